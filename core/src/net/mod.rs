//! Sockets: the server that wrappers and subscribers connect to, and the wrapper's own driver.
//!
//! Everything that decides anything is elsewhere: the coordinator owns the sessions, the wrapper
//! machine owns reconnecting and buffering. Here bytes are carried between those and the network,
//! in batches and with one flush a batch, pings are sent, and silence is noticed (R47a).
//!
//! tokio lives in this module only. One runtime a process serves all servers and all wrappers
//! (`runtime`); callers never see it: every public function here is an ordinary blocking or
//! non-blocking call that works from any thread, inside or outside of somebody else's runtime.
//!
//! - [`server`] (feature `server`): `/ingest`, `/stream`, `/events` and a small REST interface.
//! - [`client`] (feature `client`): a wrapper with its socket.
//!
//! - [`request`]: what an HTTP request asks for, also for hosts with sockets of their own.
//!
//! With the feature `tls` both speak TLS as well: `https://` and `wss://`.

mod alarm;
mod liveness;
mod outgoing;
mod percent;
pub mod request;
mod runtime;
mod tcp;

/// Ends the threads of this process that drive sockets, and waits for them, at most a second. For
/// the end of a process: servers and wrappers that are still there stop where they are, and new
/// ones do nothing. In a forked child what its parent has is left alone.
pub fn shut_down() {
    runtime::shut_down(std::time::Duration::from_secs(1));
}

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;
