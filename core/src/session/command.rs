//! What can happen to a session.

use std::sync::Arc;

use super::LinkId;
use super::count::FailureCause;
use super::records::Status;
use crate::protocol::{BadFrame, Frame, Payload};
use crate::settings::Millis;

/// How a link proves that it may attach (R25).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// SHA-256 of the token it brought, hex.
    TokenHash(Option<Arc<str>>),
    /// The host has checked it.
    Trusted,
}

/// The mode of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkMode {
    /// Existing wrappers: no numbers, no acknowledgements.
    Basic,
    /// R45.
    Acknowledged {
        /// The identity of the wrapper's outbox.
        producer: Arc<str>,
        /// The wrapper's attempt number.
        attempt: u64,
    },
}

/// When an interrupt becomes a SIGKILL (R13).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InterruptGrace {
    /// As the settings say.
    #[default]
    Default,
    /// Never, and the execution is not failed for it either.
    Never,
    /// After this many ms.
    After(Millis),
}

/// What a caller can say about a failure (R9).
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// Becomes the execution's error.
    pub message: Arc<str>,
    /// The type of the event; `error` unless given.
    pub event_type: Option<Arc<str>>,
    /// Further fields of the event's data; `error` and `fatal` cannot be overwritten.
    pub payload: Payload,
    /// The caller handles it itself (R10).
    pub suppress_notification: bool,
    /// Only while no wrapper has attached: a launch that failed (R10). Otherwise nothing happens,
    /// and the reply is `false`.
    pub only_pending: bool,
    /// For whoever keeps count.
    pub cause: FailureCause,
}

/// Everything that can happen to a session.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the fields are those of the rules
pub enum Command {
    /// R2.
    Start { execution_id: Arc<str>, mode: Option<Arc<str>>, token_hash: Option<Arc<str>> },
    /// R3, R25.
    Attach { link: LinkId, execution_id: Arc<str>, proof: Proof, mode: LinkMode },
    /// A frame, read or refused (R28).
    Receive { link: LinkId, execution_id: Arc<str>, frame: Result<Frame, BadFrame> },
    /// The link is gone (R20).
    LinkClosed { link: LinkId, execution_id: Arc<str>, code: u16, reason: Arc<str> },
    /// R7.
    Fail { execution_id: Arc<str>, failure: Failure },
    /// The host ends it (R4, R5).
    Finish {
        execution_id: Arc<str>,
        status: Status,
        message: Option<Arc<str>>,
        completed_at: Option<Millis>,
    },
    /// R11; `None`: the active one.
    Interrupt { execution_id: Option<Arc<str>>, escalate: bool, grace: InterruptGrace },
    /// R13.
    ClearInterrupt { execution_id: Option<Arc<str>> },
    /// A sign of life from the host (R14).
    Heartbeat { execution_id: Arc<str> },
    /// R38.
    AcquireLease { execution_id: Arc<str>, lease_id: Arc<str>, message_id: Option<Arc<str>> },
    /// R38.
    ExtendLease { execution_id: Arc<str>, lease_id: Arc<str> },
    /// R38.
    ReleaseLease { execution_id: Arc<str>, lease_id: Arc<str> },
    /// R19a.
    Delete,
    /// Handles everything due (R18).
    Tick,
    /// The coordinator did not run, or could not store, for this long (R18b).
    Resumed { lost_ms: Millis },
    /// The first command after a restart, and how long nobody was there (R23).
    Recover { down_ms: Millis },
}

impl Command {
    /// The execution whose row must be passed in with the command, unless it is the active one.
    pub fn row_needed(&self) -> Option<&Arc<str>> {
        // Of one that has ended a link is only forgotten.
        self.subject().filter(|_| !matches!(self, Command::LinkClosed { .. }))
    }

    /// The execution that the command names, if it names one.
    pub fn subject(&self) -> Option<&Arc<str>> {
        match self {
            Command::Start { execution_id, .. }
            | Command::Attach { execution_id, .. }
            | Command::Receive { execution_id, .. }
            | Command::LinkClosed { execution_id, .. }
            | Command::Fail { execution_id, .. }
            | Command::Finish { execution_id, .. }
            | Command::Heartbeat { execution_id }
            | Command::AcquireLease { execution_id, .. }
            | Command::ExtendLease { execution_id, .. }
            | Command::ReleaseLease { execution_id, .. } => Some(execution_id),
            Command::Interrupt { execution_id, .. } | Command::ClearInterrupt { execution_id } => {
                execution_id.as_ref()
            }
            Command::Delete | Command::Tick | Command::Resumed { .. } | Command::Recover { .. } => {
                None
            }
        }
    }
}
