//! What the coordinator promises when things go wrong, and when many threads want the same thing:
//! `failures` on virtual time with a store that fails on request, `races` and `readers` with
//! threads on the system clock, where only bounds that are far too generous depend on speed.

mod failures;
mod fixture;
mod races;
mod readers;
