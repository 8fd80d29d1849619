//! Where a waiting call and a host's waker hear that something may have changed.

use std::sync::Arc;
use std::time::Instant;

use crate::lock::{Condvar, Mutex};

use crate::wake::Wake;

/// A flag to wait for, passed on to the host's waker.
#[derive(Default)]
pub(super) struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
    waker: Mutex<Option<Arc<dyn Wake>>>,
}

impl Signal {
    /// Look for work after this, or a wake-up between is lost.
    pub(super) fn clear(&self) {
        *self.woken.lock() = false;
    }

    /// Whether it was woken in time (`None`: waits for ever).
    pub(super) fn wait(&self, until: Option<Instant>) -> bool {
        let mut woken = self.woken.lock();
        while !*woken {
            match until {
                None => self.changed.wait(&mut woken),
                Some(until) => {
                    if self.changed.wait_until(&mut woken, until).timed_out() {
                        return *woken;
                    }
                }
            }
        }
        true
    }

    /// What came before the waker was set must not wait for the next commit: it is woken once.
    pub(super) fn set_waker(&self, waker: Option<Arc<dyn Wake>>) {
        *self.waker.lock() = waker.clone();
        // Afterwards: what comes between would wake nobody otherwise.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Signal {
    fn wake(&self) {
        *self.woken.lock() = true;
        self.changed.notify_all();
        let waker = self.waker.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Weak;

    /// Wakes, and at its own first wake-up the signal is woken by somebody else.
    struct Between {
        signal: Weak<Signal>,
        wakes: Mutex<u32>,
    }

    impl Wake for Between {
        fn wake(&self) {
            let first = {
                let mut wakes = self.wakes.lock();
                *wakes += 1;
                *wakes == 1
            };
            if first && let Some(signal) = self.signal.upgrade() {
                signal.wake();
            }
        }
    }

    #[test]
    fn a_wake_up_while_the_waker_is_set_reaches_it() {
        let signal = Arc::new(Signal::default());
        let waker = Between { signal: Arc::downgrade(&signal), wakes: Mutex::new(0) };
        let waker = Arc::new(waker);
        signal.set_waker(Some(waker.clone()));
        assert_eq!(*waker.wakes.lock(), 2, "what came while it was set was missed");
    }
}
