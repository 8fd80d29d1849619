//! Dialects: how one kind of agent speaks, turned into what a wrapper understands.
//!
//! `kilo` knows the events of the kilo agent (and of opencode's feed, which shares them);
//! [`jsonl`] any program that writes lines. Nothing else in the wrapper knows their words.

pub mod jsonl;
pub(super) mod kilo;
