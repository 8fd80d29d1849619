//! What belongs to which process (fork rule).
//!
//! A forked child has the parent's memory but none of its threads, and locks may be held by
//! threads that no longer exist. So every object remembers the process that made it: in a child
//! a call raises `ForkError`, and dropping the object there does nothing, so that the parent's
//! sockets, files and runs stay untouched. New objects made in the child work. What hangs on
//! descriptors that the child inherited, it lets go of at once (`stayline::fork`).
//!
//! The process id is refreshed by `os.register_at_fork`, because asking the kernel at every call
//! would cost more than most calls.

use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

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

/// Called by Python right before a fork.
#[pyfunction]
fn _before_fork(py: Python<'_>) {
    // Another thread may be forking, and needs the interpreter lock to get it done.
    py.detach(fork::before);
}

/// Called by Python in the parent right after a fork.
#[pyfunction]
fn _after_fork_in_parent() {
    fork::after_in_parent();
}

/// Called by Python in a child right after a fork.
#[pyfunction]
fn _after_fork() {
    CURRENT.store(std::process::id(), Ordering::Relaxed);
    for descriptor in fork::after_in_child() {
        // SAFETY: it was open in the parent at the fork, so it is here, where nothing has run
        // since; what owns it belongs to the parent (`Owned`) and never closes it here.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    }
    crate::exit::after_fork();
    crate::log::after_fork();
}

/// Sets the process id and keeps it right in children.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    CURRENT.store(std::process::id(), Ordering::Relaxed);
    let options = pyo3::types::PyDict::new(module.py());
    options.set_item("before", wrap_pyfunction!(_before_fork, module)?)?;
    options.set_item("after_in_parent", wrap_pyfunction!(_after_fork_in_parent, module)?)?;
    options.set_item("after_in_child", wrap_pyfunction!(_after_fork, module)?)?;
    module.py().import("os")?.call_method("register_at_fork", (), Some(&options))?;
    Ok(())
}
