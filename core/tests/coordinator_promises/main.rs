//! What the coordinator promises when things go wrong, and when many want the same thing:
//! `failures`, `reads` and `links` on virtual time, the first two with a store that fails on request,
//! `races` and `readers` with threads on the system clock, where only bounds that are far too generous depend on speed.

#[cfg(feature = "sqlite")]
mod aside;
mod due;
mod failures;
mod fixture;
mod links;
mod older_stores;
mod outputs;
mod races;
mod readers;
mod reads;
mod tickets;
mod told;
