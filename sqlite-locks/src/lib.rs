//! Two copies of SQLite in one process, both at work on one file.
//!
//! SQLite locks files with POSIX record locks, which belong to the process. Two copies of SQLite in
//! one process, the bundled one and Python's `sqlite3`, say, are never in each other's way: both
//! write to the write-ahead log at once, and the database is damaged. And when anything in the
//! process closes the file, the locks of both are gone.
//!
//! [`install`] has the bundled copy take the locks that connections exclude each other by, those in
//! the index of the log (the `-shm` file), for the *open file description* instead: who writes (byte
//! 120), who copies the log back (121) or reads it anew (122), what readers look at (123 to 127), and
//! that somebody is there (128). Such a lock conflicts with everybody else's of either kind,
//! within the process too, and goes with nobody else's close.
//!
//! A copy of SQLite has one descriptor of a `-shm` file in a process, whatever the number of
//! connections, and keeps count among them itself; it asks the system only for the first and the
//! last. So a lock that belongs to an open file means the same to it as one that belongs to the
//! process. That is not so of the database file, which each connection opens anew: those locks
//! stay POSIX.
//!
//! Where there are no such locks (other systems, some file systems) all stays as it was.
//!
//! # Forks
//!
//! A child inherits its parent's open files, and with them these locks: they would outlive the
//! parent, and parent and child would not be kept apart. So they are on descriptors of their own,
//! which are closed in the child; when SQLite locks something there, another one is opened.
//!
//! It inherits SQLite's mutexes too, as they are: one that another thread held at that moment
//! stays locked for ever. So a program that forks calls [`before_fork`], which waits until nobody
//! holds those that all connections share, and [`Forking::in_child`]. The mutexes of connections
//! and open databases are not among them: a child opens its own.
#![warn(missing_docs)]

use std::marker::PhantomData;
use std::sync::OnceLock;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::ffi::c_int;

    // What the C part calls.
    use libsqlite3_sys as _;

    unsafe extern "C" {
        fn staylinelocks_install() -> c_int;
        fn staylinelocks_before_fork();
        fn staylinelocks_after_fork();
        fn staylinelocks_let_go();
    }

    pub(super) fn install() -> bool {
        // SAFETY: called once, by `super::install`; SQLite initialises itself.
        unsafe { staylinelocks_install() != 0 }
    }

    pub(super) fn before_fork() {
        // SAFETY: SQLite is initialised, since `install` was called. What is taken is given back
        // on the same thread: `Forking` is not `Send`.
        unsafe { staylinelocks_before_fork() };
    }

    pub(super) fn after_fork() {
        // SAFETY: as above.
        unsafe { staylinelocks_after_fork() };
    }

    pub(super) fn let_go() {
        // SAFETY: called in a child that has just been forked, where no other thread runs. It
        // closes descriptors that only the C part knows.
        unsafe { staylinelocks_let_go() };
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    pub(super) fn install() -> bool {
        false
    }

    pub(super) fn before_fork() {}

    pub(super) fn after_fork() {}

    pub(super) fn let_go() {}
}

/// Has the bundled SQLite lock for the open file; whether it does. Call it before the first
/// connection is opened; any number of times, from any thread.
///
/// Connections of this copy of SQLite that are open already may go on: what they have locked
/// before is given back as it was taken.
pub fn install() -> bool {
    *INSTALLED.get_or_init(system::install)
}

static INSTALLED: OnceLock<bool> = OnceLock::new();

/// Call before a fork, on the thread that forks: waits until nobody is in the middle of what all
/// connections share, which never takes long. Drop what it gives behind the fork, in the parent and
/// in the child.
pub fn before_fork() -> Forking {
    let is_held = INSTALLED.get().is_some();
    if is_held {
        system::before_fork();
    }
    Forking { parent: std::process::id(), is_held, _own_thread: PhantomData }
}

/// A fork is about to happen, or has just happened.
#[must_use = "SQLite waits until it is dropped"]
pub struct Forking {
    parent: u32,
    is_held: bool,
    _own_thread: PhantomData<*const ()>,
}

impl Forking {
    /// In the child: lets go of the parent's locks there, without taking them from it.
    pub fn in_child(self) {
        if self.is_held && std::process::id() != self.parent {
            system::let_go();
        }
    }
}

impl Drop for Forking {
    fn drop(&mut self) {
        if self.is_held {
            system::after_fork();
        }
    }
}
