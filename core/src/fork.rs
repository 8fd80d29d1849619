//! What a forked child must let go of.
//!
//! A child inherits every descriptor of its parent, and with them what hangs on them: the lock
//! that makes the parent the owner of a store, the port it listens on, its connections. While the
//! parent lives that harms nobody. But when it is killed, the kernel sees a holder left: the file
//! would stay "in use" by a process that is gone, wrappers would connect to a port that nobody
//! serves, and peers would not notice that the other end has died.
//!
//! So the core notes the descriptors of that kind ([`Inherited`]) while they are open. A binding
//! calls [`before`] ahead of a fork, [`after_in_parent`] and [`after_in_child`] behind it, and in
//! the child closes what the latter names. Closing there takes nothing from the parent: a lock
//! and a socket go with the *last* descriptor.
//!
//! What SQLite itself has open stays open in the child, which may open the same file; but for the
//! descriptors that have its locks in the index of the log (`stayline-sqlite-locks`), which are
//! closed here. And a fork waits until no thread holds the mutexes that all of SQLite shares, or
//! they would stay locked in the child.
//!
//! Only processes that fork without `exec` are concerned; every descriptor of the core is closed
//! by `exec`.

use std::cell::RefCell;
use std::collections::BTreeSet;
#[cfg(any(feature = "sqlite", feature = "server"))]
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;

use crate::lock::{Mutex, MutexGuard};
#[cfg(feature = "sqlite")]
use stayline_sqlite_locks::Forking;

static OPEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Taken before a fork and given back behind it.
struct Held {
    open: MutexGuard<'static, BTreeSet<RawFd>>,
    #[cfg(feature = "sqlite")]
    sqlite: Forking,
}

thread_local! {
    // Of the thread that forks: the only one that the child has.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Call before a fork, on the thread that forks: nobody is in the middle of an entry then. Waits
/// for nobody else, and entries are made and taken out in no time.
pub fn before() {
    let held = Held {
        open: OPEN.lock(),
        #[cfg(feature = "sqlite")]
        sqlite: stayline_sqlite_locks::before_fork(),
    };
    HELD.with_borrow_mut(|slot| *slot = Some(held));
}

/// Call behind a fork in the parent, on the thread that forked; also when the fork failed.
pub fn after_in_parent() {
    HELD.with_borrow_mut(|slot| slot.take());
}

/// Call behind a fork in the child: the descriptors that it must close now, and whose owners are
/// never to be used or dropped there. The child's own are noted from then on.
pub fn after_in_child() -> Vec<RawFd> {
    // Without `before` the lock may be held for ever by a thread that is not here.
    let open = HELD.with_borrow_mut(Option::take).map(|held| {
        #[cfg(feature = "sqlite")]
        held.sqlite.in_child();
        held.open
    });
    let open = open.or_else(|| OPEN.try_lock());
    open.map(|mut open| std::mem::take(&mut *open).into_iter().collect()).unwrap_or_default()
}

/// Notes that a descriptor is open, as long as it lives.
///
/// It must end before its descriptor does: put it in front of it in the struct that has both.
#[derive(Debug)]
#[cfg(any(feature = "sqlite", feature = "server"))]
pub(crate) struct Inherited {
    descriptor: RawFd,
    process: u32,
}

#[cfg(any(feature = "sqlite", feature = "server"))]
impl Inherited {
    /// For an open descriptor.
    pub(crate) fn new(descriptor: &impl AsRawFd) -> Inherited {
        let descriptor = descriptor.as_raw_fd();
        OPEN.lock().insert(descriptor);
        Inherited { descriptor, process: std::process::id() }
    }
}

#[cfg(any(feature = "sqlite", feature = "server"))]
impl Drop for Inherited {
    fn drop(&mut self) {
        // One of the parent's that is dropped in a child after all: the number may be another
        // descriptor's by now.
        if self.process == std::process::id() {
            OPEN.lock().remove(&self.descriptor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test, because all share the list of this process.
    #[test]
    fn only_what_is_open_is_named_and_a_fork_waits_for_no_entry() {
        let kept = std::fs::File::open("/dev/null").unwrap();
        let closed = std::fs::File::open("/dev/null").unwrap();
        let noted = Inherited::new(&kept);
        drop(Inherited::new(&closed));

        before();
        let other = std::thread::spawn({
            let closed = closed.as_raw_fd();
            move || drop(Inherited { descriptor: closed, process: std::process::id() })
        });
        after_in_parent();
        other.join().unwrap();

        before();
        let named = after_in_child();
        assert!(named.contains(&kept.as_raw_fd()));
        assert!(!named.contains(&closed.as_raw_fd()));
        // The list begins anew, and the old entry's end takes nothing out of it.
        let entry = Inherited { descriptor: noted.descriptor, process: noted.process + 1 };
        drop(noted);
        let renewed = Inherited::new(&kept);
        drop(entry);
        assert!(OPEN.lock().contains(&kept.as_raw_fd()));
        drop(renewed);
    }
}
