//! One tokio runtime a process, made when it is first needed; and one for each other number of
//! worker threads that a server asks for.
//!
//! A forked child inherits the memory of its parent's runtime but none of its threads: nothing
//! spawned there would ever run, and dropping it would wait for threads that do not exist. So a
//! runtime is kept together with the pid it was made in. A child leaves the inherited one alone,
//! for ever, and makes its own one link further along a chain. Reading the chain takes no lock,
//! so that a lock held by another thread at the moment of the fork cannot block the child.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

#[cfg(feature = "client")]
use crate::net::client::Lookups;
use crate::{Error, threads};

/// Threads that drive sockets, unless a server asks for another number; commits and store reads
/// have their own.
pub(crate) const WORKERS: usize = 2;

/// The most threads for what the runtime itself does that blocks, such as looking a name up. They
/// are made when needed and go away when idle.
const BLOCKING_THREADS: usize = 128;

/// Which process made it, and with how many workers.
type Kind = (u32, usize);

/// A runtime, and what belongs to the same process.
struct Made {
    kind: Kind,
    runtime: Runtime,
    #[cfg(feature = "client")]
    lookups: Lookups,
}

struct Slot {
    made: OnceLock<Made>,
    next: OnceLock<Box<Slot>>,
}

impl Slot {
    const fn new() -> Slot {
        Slot { made: OnceLock::new(), next: OnceLock::new() }
    }
}

static FIRST: Slot = Slot::new();

/// This process's runtime. [`Error::LimitExceeded`] when its threads cannot be made.
pub(crate) fn handle() -> Result<&'static Handle, Error> {
    of_workers(WORKERS)
}

/// The lookups of this process's runtime. [`Error::LimitExceeded`] as above.
#[cfg(feature = "client")]
pub(crate) fn lookups() -> Result<&'static Lookups, Error> {
    Ok(&made_of(&FIRST, (std::process::id(), WORKERS))?.lookups)
}

/// This process's runtime with so many workers. [`Error::LimitExceeded`] as above.
pub(crate) fn of_workers(workers: usize) -> Result<&'static Handle, Error> {
    Ok(made_of(&FIRST, (std::process::id(), workers))?.runtime.handle())
}

fn made_of(first: &'static Slot, kind: Kind) -> Result<&'static Made, Error> {
    let mut slot = first;
    loop {
        match slot.made.get() {
            Some(made) if made.kind == kind => return Ok(made),
            // Of another number of workers; or made by an ancestor: never dropped, never used.
            Some(_) => slot = slot.next.get_or_init(|| Box::new(Slot::new())),
            None => {
                let made = Made {
                    kind,
                    runtime: build(kind.1)?,
                    #[cfg(feature = "client")]
                    lookups: Lookups::default(),
                };
                if let Err(surplus) = slot.made.set(made) {
                    // Another thread was quicker. Not waiting: this may be a runtime's thread.
                    surplus.runtime.shutdown_background();
                }
            }
        }
    }
}

fn build(workers: usize) -> Result<Runtime, Error> {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(workers)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("stayline-net")
        .enable_io()
        .enable_time();
    // The threads that it starts later are started by these.
    threads::without_signals(|| builder.build())
        .map_err(|_| Error::LimitExceeded { limit: "threads of this process", value: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_caller_gets_the_same_runtime() {
        let handles: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| handle().unwrap().id()))
            .map(|thread| thread.join().unwrap())
            .collect();
        assert!(handles.iter().all(|id| *id == handles[0]));
    }

    #[test]
    fn a_forked_child_makes_its_own_and_leaves_the_inherited_one_alone() {
        let first: &'static Slot = Box::leak(Box::new(Slot::new()));
        let parents = made_of(first, (100, 2)).unwrap().runtime.handle().id();
        let childs = made_of(first, (101, 2)).unwrap().runtime.handle().id();
        assert_ne!(parents, childs);
        assert_eq!(made_of(first, (101, 2)).unwrap().runtime.handle().id(), childs);
        assert_eq!(made_of(first, (100, 2)).unwrap().runtime.handle().id(), parents);
    }

    #[test]
    fn each_number_of_workers_has_its_own() {
        let three = of_workers(3).unwrap();
        assert_ne!(three.id(), handle().unwrap().id());
        assert_eq!(three.metrics().num_workers(), 3);
        assert_eq!(of_workers(3).unwrap().id(), three.id());
    }
}
