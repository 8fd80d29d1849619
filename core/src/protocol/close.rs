//! Close codes and their reasons (`wire.md`).

/// Closed in the ordinary way; if not by us, it counts as dropped.
pub const NORMAL: u16 = 1000;
/// The peer's bytes are no WebSocket frames, or none that may come now.
pub const PROTOCOL: u16 = 1002;
/// Dropped: what a side is told when no close frame came.
pub const DROPPED: u16 = 1006;
/// A text frame of the peer is no UTF-8.
pub const NO_UTF8: u16 = 1007;
/// The peer does not take what it makes us answer.
pub const POLICY: u16 = 1008;
/// A frame of the peer is larger than the socket takes.
pub const TOO_LARGE: u16 = 1009;
/// Storage failed; the wrapper reconnects and sends again (R27).
pub const STORAGE_FAILED: u16 = 1011;
/// The coordinator restarts; the wrapper reconnects.
pub const RESTART: u16 = 1012;
/// The execution has ended (R31).
pub const DONE: u16 = 4000;
/// A newer link took this one's place (R26).
pub const REPLACED: u16 = 4001;
/// The peer broke the protocol; the wrapper stops (R46).
pub const PROTOCOL_VIOLATED: u16 = 4002;
/// To subscribers: the session was deleted (R19a).
pub const DELETED: u16 = 4004;

/// Reason with [`DONE`].
pub const DONE_REASON: &str = "execution done";
/// Reason with [`REPLACED`].
pub const REPLACED_REASON: &str = "replaced by a newer link";
/// Reason with [`PROTOCOL_VIOLATED`].
pub const GAP_REASON: &str = "a number is missing";
/// Reason with [`POLICY`].
pub const OUTPUTS_REASON: &str = "what was answered is not read";
/// Reason with [`STORAGE_FAILED`].
pub const STORAGE_REASON: &str = "storage failed";
/// Reason with [`RESTART`], and of the grace that recovery starts (R23).
pub const RESTART_REASON: &str = "coordinator restarted";
