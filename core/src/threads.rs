//! The threads of the core. They take no signal of their host's: all signals are blocked on them,
//! so that each goes to a thread of the host, and a host that waits for signals gets them.
//!
//! Only those that a fault of the thread itself raises stay as they are: a host's handler for
//! crashes hears of those, too.

use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::thread::{Builder, JoinHandle};

use nix::sys::pthread::pthread_self;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Raised by what a thread does itself; blocked, they would end the process without a word.
const FAULTS: [Signal; 6] = [
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGSYS,
    Signal::SIGTRAP,
];

/// Starts a thread on which all signals are blocked.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    without_signals(|| Builder::new().name(name.to_owned()).spawn(work))
}

/// Whether the caller runs on this thread. `std::thread::current` would tell it, too; but it makes a
/// record of the thread, and on a host's main thread that stays until the process is gone, which
/// leak checkers report. So whatever a host's thread may run does without it, and without channels
/// of the standard library, which use it where they wait.
pub fn is_own<T>(thread: &JoinHandle<T>) -> bool {
    thread.as_pthread_t() == pthread_self()
}

/// Blocks all signals on this thread while `work` runs: threads that it starts have them blocked
/// from their first instruction on.
pub fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    let mut blocked = SigSet::all();
    for fault in FAULTS {
        blocked.remove(fault);
    }
    let _restored = Restored(blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok());
    work()
}

/// The mask that a thread had, given back however its work ended.
struct Restored(Option<SigSet>);

impl Drop for Restored {
    fn drop(&mut self) {
        if let Some(mask) = &self.0 {
            // It cannot fail for a mask that the system gave.
            let _ = mask.thread_set_mask();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_blocked(signal: Signal) -> bool {
        SigSet::thread_get_mask().unwrap().contains(signal)
    }

    #[test]
    fn a_thread_of_ours_blocks_what_is_not_its_own_fault() {
        let before = SigSet::thread_get_mask().unwrap();
        let seen = spawn("stayline-test", || {
            Signal::iterator().filter(|signal| !is_blocked(*signal)).collect::<Vec<_>>()
        });
        let mut open = seen.unwrap().join().unwrap();
        // Nobody can block these two.
        open.retain(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP));
        open.sort_unstable();
        let mut faults = FAULTS.to_vec();
        faults.sort_unstable();
        assert_eq!(open, faults);
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }

    #[test]
    fn the_mask_comes_back_after_a_panic() {
        let was_blocked = is_blocked(Signal::SIGUSR1);
        let panicked = std::panic::catch_unwind(|| {
            without_signals(|| {
                assert!(is_blocked(Signal::SIGUSR1));
                panic!("in the middle");
            });
        });
        assert!(panicked.is_err());
        assert_eq!(is_blocked(Signal::SIGUSR1), was_blocked);
    }
}
