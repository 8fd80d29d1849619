//! The engine's lock, with turns.
//!
//! What is due is handled in steps, with the lock given back between them, so that nobody waits
//! longer than for one step. The standard lock is not fair: who gives it back and takes it again
//! at once mostly gets it, whoever waits. So who comes a second time stands in line behind those
//! who wait.

use crate::lock::{Mutex, MutexGuard};

/// A lock whose holders may let others in between.
pub(super) struct Turns<T> {
    /// Held by whoever is next, while it waits.
    line: Mutex<()>,
    inner: Mutex<T>,
}

impl<T> Turns<T> {
    pub(super) fn new(inner: T) -> Turns<T> {
        Turns { line: Mutex::new(()), inner: Mutex::new(inner) }
    }

    /// Waits until nobody else holds it.
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        match self.inner.try_lock() {
            Some(guard) => guard,
            None => self.lock_in_turn(),
        }
    }

    /// Takes it if nobody else holds it.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.inner.try_lock()
    }

    /// Waits as [`Turns::lock`] does, behind whoever waits already: for the next of many steps.
    pub(super) fn lock_in_turn(&self) -> MutexGuard<'_, T> {
        let _next = self.line.lock();
        self.inner.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    #[test]
    fn who_takes_many_turns_lets_in_who_waits() {
        let turns = Arc::new(Turns::new(()));
        let (waits, was_in) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let first = turns.lock_in_turn();
        let waiter = {
            let (turns, waits, was_in) = (turns.clone(), waits.clone(), was_in.clone());
            std::thread::spawn(move || {
                // Behind the holder, and first in line from here on.
                let _next = turns.line.lock();
                waits.store(true, Ordering::SeqCst);
                let _guard = turns.inner.lock();
                was_in.fetch_add(1, Ordering::SeqCst);
            })
        };
        while !waits.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        drop(first);
        // The very next turn comes after the waiter's.
        let _second = turns.lock_in_turn();
        assert_eq!(was_in.load(Ordering::SeqCst), 1);
        drop(_second);
        waiter.join().unwrap();
    }
}
