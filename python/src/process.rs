//! What belongs to which process (fork rule).
//!
//! A forked child has the parent's memory but none of its threads, and locks may be held by
//! threads that no longer exist. So every object remembers the process that made it: in a child
//! a call raises `ForkError`, and dropping the object there does nothing, so that the parent's
//! sockets, files and runs stay untouched. New objects made in the child work. What hangs on
//! descriptors that the child inherited, it lets go of at once (`stayline::fork`).
//!
//! The process id is refreshed by `pthread_atfork`, because asking the kernel at every call would
//! cost more than most calls. Not by `os.register_at_fork`: other hooks of that kind run between ours
//! and the fork, and let go of the interpreter lock, while threads that have it would wait for what
//! our hook holds; and it knows nothing of the forks of other extensions.

use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use stayline::{Error, fork};

use crate::error::Result;

static CURRENT: AtomicU32 = AtomicU32::new(0);

/// The id of this process.
pub fn current() -> u32 {
    CURRENT.load(Ordering::Relaxed)
}

/// Something that only works in the process that made it.
pub struct Owned<T> {
    process: u32,
    // `None` only while it is being dropped.
    value: Option<T>,
}

impl<T> Owned<T> {
    /// Belongs to this process from now on.
    pub fn new(value: T) -> Owned<T> {
        Owned { process: current(), value: Some(value) }
    }

    /// The value; `ForkError` in a child.
    pub fn get(&self) -> Result<&T> {
        self.peek().ok_or_else(|| Error::ForkError { pid: self.process }.into())
    }

    /// The value; `None` in a child. For `repr`, which must never raise.
    pub fn peek(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.process == current())
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.process != current() {
            // Its threads are gone and its locks may be held for ever: leave it alone.
            std::mem::forget(self.value.take());
        }
    }
}

unsafe extern "C" fn before() {
    fork::before();
}

unsafe extern "C" fn after_in_parent() {
    fork::after_in_parent();
}

unsafe extern "C" fn after_in_child() {
    CURRENT.store(std::process::id(), Ordering::Relaxed);
    for descriptor in fork::after_in_child() {
        // SAFETY: it was open in the parent at the fork, so it is here, where nothing has run
        // since; what owns it belongs to the parent (`Owned`) and never closes it here.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    }
    crate::import::after_fork();
    crate::exit::after_fork();
    crate::log::after_fork();
}

/// Sets the process id and keeps it right in children.
pub fn register() -> PyResult<()> {
    CURRENT.store(std::process::id(), Ordering::Relaxed);
    // SAFETY: the three are functions that live as long as the process, and no more is asked of
    // them: an extension is never unloaded.
    match unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) }
    {
        0 => Ok(()),
        _ => Err(PyMemoryError::new_err("no memory for what a fork needs")),
    }
}
