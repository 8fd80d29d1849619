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
        if let Some(waker) = &waker {
            waker.wake();
        }
        *self.waker.lock() = waker;
    }
}

impl Wake for Signal {
    fn wake(&self) {
        *self.woken.lock() = true;
        self.changed.notify_all();
        if let Some(waker) = &*self.waker.lock() {
            waker.wake();
        }
    }
}
