//! One tokio runtime a process, made when it is first needed; and one for each other number of
//! worker threads that a server asks for.
//!
//! A forked child inherits the memory of its parent's runtime but none of its threads: nothing
//! spawned there would ever run, and dropping it would wait for threads that do not exist. So a
//! runtime is kept together with the pid it was made in. A child leaves the inherited one alone,
//! for ever, and makes its own one link further along a chain. Reading the chain takes no lock,
//! so that a lock held by another thread at the moment of the fork cannot block the child.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::lock::Mutex;
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
    handle: Handle,
    /// Gone when it was shut down.
    runtime: Mutex<Option<Runtime>>,
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
    Ok(&made_of(&FIRST, (std::process::id(), workers))?.handle)
}

fn made_of(first: &'static Slot, kind: Kind) -> Result<&'static Made, Error> {
    let mut slot = first;
    loop {
        match slot.made.get() {
            Some(made) if made.kind == kind => return Ok(made),
            // Of another number of workers; or made by an ancestor: never dropped, never used.
            Some(_) => slot = slot.next.get_or_init(|| Box::new(Slot::new())),
            None => {
                let runtime = build(kind.1)?;
                let made = Made {
                    kind,
                    handle: runtime.handle().clone(),
                    runtime: Mutex::new(Some(runtime)),
                    #[cfg(feature = "client")]
                    lookups: Lookups::default(),
                };
                if let Err(surplus) = slot.made.set(made) {
                    // Another thread was quicker.
                    surplus.shut_down(Duration::ZERO);
                }
            }
        }
    }
}

/// Ends this process's threads that drive sockets and waits for them, at most `limit` for each
/// runtime. What still runs on them is dropped as it stands, and nothing runs on them afterwards.
pub(crate) fn shut_down(limit: Duration) {
    let own = std::process::id();
    let mut slot = Some(&FIRST);
    while let Some(made) = slot.and_then(|slot| slot.made.get()) {
        // An ancestor's threads are not here.
        if made.kind.0 == own {
            made.shut_down(limit);
        }
        slot = slot.and_then(|slot| slot.next.get()).map(|next| &**next);
    }
}

impl Made {
    fn shut_down(&self, limit: Duration) {
        let Some(runtime) = self.runtime.lock().take() else { return };
        // A runtime's own thread cannot wait for itself.
        if limit.is_zero() || Handle::try_current().is_ok() {
            runtime.shutdown_background();
        } else {
            runtime.shutdown_timeout(limit);
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
        let parents = made_of(first, (100, 2)).unwrap().handle.id();
        let childs = made_of(first, (101, 2)).unwrap().handle.id();
        assert_ne!(parents, childs);
        assert_eq!(made_of(first, (101, 2)).unwrap().handle.id(), childs);
        assert_eq!(made_of(first, (100, 2)).unwrap().handle.id(), parents);
    }

    #[test]
    fn what_was_shut_down_runs_nothing_more_and_holds_up_nobody() {
        let first: &'static Slot = Box::leak(Box::new(Slot::new()));
        let made = made_of(first, (100, 2)).unwrap();
        let (tell, told) = std::sync::mpsc::channel::<()>();
        made.handle.spawn(async move {
            std::future::pending::<()>().await;
            drop(tell);
        });
        made.shut_down(Duration::from_secs(30));
        // The task went, and with it what it held.
        assert!(told.recv().is_err());
        let (tell, told) = std::sync::mpsc::channel();
        made.handle.spawn(async move { tell.send(()) });
        assert!(told.recv().is_err());
        made.shut_down(Duration::from_secs(30));
        // From within.
        let other = made_of(first, (101, 2)).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        other.handle.spawn(async move {
            other.shut_down(Duration::from_secs(30));
            tell.send(())
        });
        told.recv_timeout(Duration::from_secs(30)).unwrap();
    }

    #[test]
    fn each_number_of_workers_has_its_own() {
        let three = of_workers(3).unwrap();
        assert_ne!(three.id(), handle().unwrap().id());
        assert_eq!(three.metrics().num_workers(), 3);
        assert_eq!(of_workers(3).unwrap().id(), three.id());
    }
}
