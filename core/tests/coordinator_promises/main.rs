//! What the coordinator promises when things go wrong, and when many want the same thing:
//! `failures` and `links` on virtual time, the first with a store that fails on request, `races` and `readers` with
//! threads on the system clock, where only bounds that are far too generous depend on speed.

mod failures;
mod fixture;
mod links;
mod races;
mod readers;
