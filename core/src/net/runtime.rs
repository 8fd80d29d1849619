//! One tokio runtime a process, made when it is first needed.
//!
//! A forked child inherits the memory of its parent's runtime but none of its threads: nothing
//! spawned there would ever run, and dropping it would wait for threads that do not exist. So a
//! runtime is kept together with the pid it was made in. A child leaves the inherited one alone,
//! for ever, and makes its own one link further along a chain. Reading the chain takes no lock,
//! so that a lock held by another thread at the moment of the fork cannot block the child.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::Error;

/// Threads that drive sockets; commits and store reads have their own.
const WORKERS: usize = 2;

/// The most threads that wait for commits or read the store on behalf of sockets. They are made
/// when needed and go away when idle.
const BLOCKING_THREADS: usize = 128;

struct Slot {
    runtime: OnceLock<(u32, Runtime)>,
    next: OnceLock<Box<Slot>>,
}

impl Slot {
    const fn new() -> Slot {
        Slot { runtime: OnceLock::new(), next: OnceLock::new() }
    }
}

static FIRST: Slot = Slot::new();

/// This process's runtime. [`Error::LimitExceeded`] when its threads cannot be made.
pub(crate) fn handle() -> Result<&'static Handle, Error> {
    runtime_of(&FIRST, std::process::id())
}

fn runtime_of(first: &'static Slot, pid: u32) -> Result<&'static Handle, Error> {
    let mut slot = first;
    loop {
        match slot.runtime.get() {
            Some((owner, runtime)) if *owner == pid => return Ok(runtime.handle()),
            // Made by an ancestor: never dropped, never used.
            Some(_) => slot = slot.next.get_or_init(|| Box::new(Slot::new())),
            None => {
                if let Err((_, surplus)) = slot.runtime.set((pid, build()?)) {
                    // Another thread was quicker. Not waiting: this may be a runtime's thread.
                    surplus.shutdown_background();
                }
            }
        }
    }
}

fn build() -> Result<Runtime, Error> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("stayline-net")
        .enable_io()
        .enable_time()
        .build()
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
        let parents = runtime_of(first, 100).unwrap().id();
        let childs = runtime_of(first, 101).unwrap().id();
        assert_ne!(parents, childs);
        assert_eq!(runtime_of(first, 101).unwrap().id(), childs);
        assert_eq!(runtime_of(first, 100).unwrap().id(), parents);
    }
}
