//! What is worth counting about a session: how runs end, why they fail, how often wrappers come
//! back.
//!
//! The session keeps no count itself. It says what happened, as an effect of the step in which it
//! did, so that a step that is not kept (R27) counts for nothing; the coordinator adds up.

use super::records::Status;

/// Something to add one for, once the step is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// A wrapper came back after a disconnect (R21).
    Reconnected,
    /// An execution has ended (R4); a failure has a cause.
    Ended(Status, Option<FailureCause>),
}

/// Why an execution failed: one for each way into the one failure path (R7), and the wrapper's
/// own fatal `error` (R29).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailureCause {
    /// The host said so.
    #[default]
    Caller,
    /// The host's launch raised before a wrapper attached (R10).
    Launch,
    /// The wrapper told of a fatal error (R29).
    Wrapper,
    /// No link came back within the grace (R22).
    Disconnected,
    /// No sign of life (R15).
    Stale,
    /// No wrapper ever came (R16).
    NeverConnected,
    /// A kill was not obeyed (R13).
    InterruptNotHonoured,
    /// The session was deleted under it (R19a).
    Deleted,
}

impl FailureCause {
    /// All there are, in the order in which they are shown.
    pub const ALL: [FailureCause; 8] = [
        FailureCause::Caller,
        FailureCause::Launch,
        FailureCause::Wrapper,
        FailureCause::Disconnected,
        FailureCause::Stale,
        FailureCause::NeverConnected,
        FailureCause::InterruptNotHonoured,
        FailureCause::Deleted,
    ];

    /// The name under which it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureCause::Caller => "caller",
            FailureCause::Launch => "launch",
            FailureCause::Wrapper => "wrapper",
            FailureCause::Disconnected => "disconnected",
            FailureCause::Stale => "stale",
            FailureCause::NeverConnected => "never_connected",
            FailureCause::InterruptNotHonoured => "interrupt_not_honoured",
            FailureCause::Deleted => "deleted",
        }
    }
}
