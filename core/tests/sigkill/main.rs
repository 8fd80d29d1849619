//! Processes that are killed with SIGKILL: a coordinator twenty times while a wrapper streams
//! (`coordinator_killed`), and a wrapper in mid-run (`wrapper_killed`).
//!
//! The victims are this test binary again, at an entry of `child`. A coordinator marks each commit
//! before and after it on its standard output (`marks`), so that the test knows which kills fell
//! into one.
#![cfg(all(feature = "sqlite", feature = "server", feature = "client"))]

mod child;
mod coordinator_killed;
mod marks;
mod random;
mod wrapper_killed;
