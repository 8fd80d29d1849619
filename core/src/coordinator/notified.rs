//! Who waits for notifications, and how those who want to be woken are woken.

use std::sync::Weak;
use std::time::Instant;

use crate::lock::{Condvar, Mutex};

use crate::wake::Wake;

/// Who waits for notifications.
#[derive(Default)]
pub(super) struct Notified {
    count: Mutex<u64>,
    changed: Condvar,
    wakers: Mutex<Vec<Weak<dyn Wake>>>,
}

impl Notified {
    pub(super) fn count(&self) -> u64 {
        *self.count.lock()
    }

    pub(super) fn notify(&self) {
        *self.count.lock() += 1;
        self.changed.notify_all();
        wake_all(&self.wakers);
    }

    /// Waits for a notification after `seen`; whether there was one in time.
    pub(super) fn wait(&self, seen: u64, until: Option<Instant>) -> bool {
        let mut count = self.count.lock();
        while *count == seen {
            match until {
                None => self.changed.wait(&mut count),
                Some(until) => {
                    if self.changed.wait_until(&mut count, until).timed_out() {
                        return *count != seen;
                    }
                }
            }
        }
        true
    }

    pub(super) fn add_waker(&self, waker: Weak<dyn Wake>) {
        add_waker(&self.wakers, waker);
    }
}

/// Adds one. Those that are gone are forgotten now and then, though nobody is ever woken.
pub(super) fn add_waker(wakers: &Mutex<Vec<Weak<dyn Wake>>>, waker: Weak<dyn Wake>) {
    let mut wakers = wakers.lock();
    if wakers.len() == wakers.capacity() {
        wakers.retain(|waker| waker.strong_count() > 0);
    }
    wakers.push(waker);
}

/// Wakes those that are still there, and forgets the others.
pub(super) fn wake_all(wakers: &Mutex<Vec<Weak<dyn Wake>>>) {
    let mut wakers = wakers.lock();
    wakers.retain(|waker| match waker.upgrade() {
        Some(waker) => {
            waker.wake();
            true
        }
        None => false,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::signal::Signal;
    use std::sync::Arc;

    #[test]
    fn wakers_that_are_gone_do_not_pile_up_where_nobody_is_woken() {
        let wakers = Mutex::default();
        let stays = Arc::new(Signal::default());
        let weak: Weak<Signal> = Arc::downgrade(&stays);
        add_waker(&wakers, weak);
        for _ in 0..10_000 {
            let gone: Weak<Signal> = Arc::downgrade(&Arc::new(Signal::default()));
            add_waker(&wakers, gone);
        }
        let kept = wakers.lock();
        assert!(kept.len() < 100, "{} wakers", kept.len());
        assert!(kept.iter().any(|waker| waker.strong_count() > 0));
    }
}
