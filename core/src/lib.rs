//! Stayline keeps long agent runs on the line.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod coordinator;
pub mod error;
#[cfg(any(feature = "server", feature = "client"))]
pub mod net;
pub mod protocol;
pub mod session;
pub mod settings;
pub mod store;
pub mod wake;
pub mod wrapper;

pub use error::Error;
pub use settings::Settings;
