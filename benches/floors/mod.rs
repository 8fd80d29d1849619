//! Floors: what the machine and the libraries below give to a program that does nothing else.
//!
//! They stand for what Stayline cannot beat without doing something else, so each does only the
//! one thing, in the plainest way, on the same disk, with the same events.

pub mod loopback;
pub mod rows;
pub mod sync;
