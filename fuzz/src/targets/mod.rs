//! What is tried, each in a file of its own.

pub mod addresses;
pub mod control;
pub mod endings;
pub mod files;
pub mod frames;
pub mod lines;
pub mod locations;
pub mod requests;
pub mod resume;
pub mod session;
pub mod wrapper;
