//! What crosses the wire, as data: frames, close codes, refusals, filters. It knows nobody else.
//!
//! [`parse_frame`] reads what a wrapper sent, or says why it cannot be read (R28) and still finds
//! the frame's number where it can (R45d). The functions in [`outgoing`] write what the
//! coordinator sends. Payloads that are only passed on stay text: they are checked to be JSON
//! once and never built into a tree.

pub mod close;
mod filter;
mod frame;
pub mod kilo;
pub mod outgoing;
mod payload;
pub mod raw;
mod refusal;
mod time;

pub use filter::Filter;
pub(crate) use frame::is_deeper_than;
pub use frame::{BadFrame, Branch, Frame, FrameLimits, Lifecycle, RejectCode, parse_frame};
pub use payload::Payload;
pub use refusal::Refusal;
pub use time::{format_timestamp, parse_timestamp};

/// The request and response header that asks for and grants acknowledged mode.
pub const PROTOCOL_HEADER: &str = "stayline-protocol";
/// The version of acknowledged mode.
pub const PROTOCOL_ACKNOWLEDGED: u8 = 2;
/// The header that makes a refused handshake final for the wrapper (R46).
pub const REFUSAL_HEADER: &str = "stayline-refusal";
/// With a `not_active` refusal: the execution's status.
pub const STATUS_HEADER: &str = "stayline-status";
