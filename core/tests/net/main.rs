//! The server and the wrapper's driver over real sockets on this machine.
//!
//! No test depends on how fast the machine is: what must happen is waited for with a generous
//! limit ([`support::PATIENCE`]), and what must not happen is shown by something that comes after.
#![cfg(all(feature = "server", feature = "client", feature = "sqlite"))]

mod access;
mod authorize;
mod bounds;
mod hops;
mod hostile;
mod ingest;
mod links;
mod proxy;
mod refusals;
mod rest;
mod stream;
mod support;
mod threads;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tunnel;
mod wrapper;
