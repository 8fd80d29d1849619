//! What a peer can make the server keep, by its curve: a server in a process of its own is
//! attacked with ever more, and what it holds stays flat.
//!
//! No test depends on how fast the machine is: what is asserted are sizes, with wide margins.
#![cfg(all(feature = "server", feature = "client", feature = "sqlite", target_os = "linux"))]

mod attacks;
mod child;
