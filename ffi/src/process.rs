//! Which process this is (fork rule).
//!
//! A forked child has the parent's memory but none of its threads, and locks may be held by
//! threads that no longer exist. So every handle remembers the process that made it. The process
//! id is kept up to date by `pthread_atfork`, because asking the kernel at every call would cost
//! more than most calls; and the child lets go of the descriptors that are the parent's
//! (`stayline::fork`).

use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use stayline::fork;

static CURRENT: AtomicU32 = AtomicU32::new(0);

/// The id of this process.
pub(crate) fn current() -> u32 {
    match CURRENT.load(Ordering::Relaxed) {
        0 => begin(),
        process => process,
    }
}

#[cold]
fn begin() -> u32 {
    static BEGIN: Once = Once::new();
    BEGIN.call_once(|| {
        // SAFETY: the three are functions that live as long as the library, and no more is asked
        // of them. Without memory for the registration a fork goes unnoticed; there is nothing
        // better to do.
        unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    });
    CURRENT.store(std::process::id(), Ordering::Relaxed);
    std::process::id()
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
        // since; what owns it belongs to the parent and never closes it here (`Handle::drop`).
        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    }
    crate::log::after_fork();
}
