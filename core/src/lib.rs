//! Stayline keeps long agent runs on the line.
//!
//! An *agent run* (a coding agent, a crawler, a long tool call) takes minutes to hours in a
//! sandbox that is not reliable. This crate owns the run's lifecycle, carries its events to
//! whoever watches, survives dropped connections and crashed processes, and when a run does fail
//! it cleans up exactly once.
//!
//! Two pure machines are its heart: [`session::Session`] and [`wrapper::Wrapper`]. They have no
//! clock, no socket and no randomness; time is an argument. Everything else drives them:
//! [`coordinator::Coordinator`] keeps many sessions in a [`store`], and `net` puts sockets around
//! both ends.
//!
//! What it does is written down as numbered rules, which comments and tests cite (`R12`):
//! [docs/rules.md](https://github.com/stayline/stayline/blob/main/docs/rules.md).
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | session | The unit of ownership: a conversation or workspace, named by an id. At most one execution is active in it. |
//! | execution | One agent run inside a session. |
//! | active | The session's one execution that is pending or running; derived from the status. |
//! | coordinator | The side that owns sessions: status, event log, deadlines, subscribers. |
//! | wrapper | The side next to the agent process: sends its events, buffers, reconnects, drains. |
//! | ingest link | One live connection from a wrapper to the coordinator, for one execution. |
//! | producer | The identity of one wrapper outbox. |
//! | subscription | Somebody reading a session's events: from the past, then live. |
//! | terminal | Completed, failed or interrupted: no way out. |
//!
//! Rules are cited as `R12`; they are the same in code, tests and documentation.
//!
//! # Features
//!
//! `sqlite` (the durable store), `server`, `client` and `tls` (for both), all on by default. Without any of
//! them the machines, the coordinator and the memory store are left.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(not(unix))]
compile_error!(
    "Stayline needs descriptors to wait on, locks of open files and fork: it runs on Linux. On Windows \
     use it in WSL 2 or in a container."
);

pub mod coordinator;
pub mod credentials;
mod elapsed;
pub mod error;
pub mod fork;
#[doc(hidden)]
pub mod lock;
#[doc(hidden)]
pub mod log;
#[cfg(any(feature = "server", feature = "client"))]
pub mod net;
// The pure modules have no clock, no randomness and no I/O: `.clippy.toml` names what is banned.
#[doc(hidden)] // for the bindings
pub mod pool;
#[doc(hidden)] // for the bindings
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod protocol;
mod seldom;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod session;
pub mod settings;
pub mod store;
pub mod threads;
pub mod wake;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod wrapper;

pub use error::Error;
pub use settings::Settings;
