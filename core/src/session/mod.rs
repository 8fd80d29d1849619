//! One session.
pub mod records;
