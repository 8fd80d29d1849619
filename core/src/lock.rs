//! Locks and condition variables that a fork leaves sound.
//!
//! A host may fork while threads of ours wait, and make new objects in the child. So what a
//! waiting thread leaves behind must be nothing but memory of the object it waited at. The
//! standard library's locks keep all their state in a word of the object itself (a futex).
//! `parking_lot`, for one, keeps its waiting threads in a table of the process: in a child that
//! table still names the parent's threads, new threads take over their memory, and walking the
//! table corrupts it.
//!
//! These wrap the standard ones and differ in two things. They do not poison: what a thread that
//! panicked leaves behind is the commit loop's to judge, and nothing else is half done between two
//! statements. And a wait borrows its guard instead of consuming it.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub use std::sync::{RwLockReadGuard, RwLockWriteGuard};

/// Mutual exclusion, without poisoning.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// An open one.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(std::sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until nobody else holds it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Takes it if nobody else holds it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(MutexGuard(Some(guard))),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => {
                Some(MutexGuard(Some(poisoned.into_inner())))
            }
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }
}

/// Holds a [`Mutex`] until it is dropped.
#[derive(Debug)]
#[must_use = "the lock is given back when the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized>(Option<std::sync::MutexGuard<'a, T>>);

/// A guard is only empty inside of a wait, while nobody can look at it.
const HELD: &str = "a lock is held outside of waits";

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(HELD)
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(HELD)
    }
}

/// Many readers or one writer, without poisoning.
#[derive(Debug, Default)]
pub struct RwLock<T>(std::sync::RwLock<T>);

impl<T> RwLock<T> {
    /// An open one.
    pub const fn new(value: T) -> RwLock<T> {
        RwLock(std::sync::RwLock::new(value))
    }

    /// Waits until nobody writes.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody reads or writes.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a wait ended because its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// The time was over.
    pub fn timed_out(self) -> bool {
        self.0
    }
}

/// Where threads wait for a change of what a [`Mutex`] guards. They may wake without one, so they
/// look again each time.
///
/// A wake-up for nobody costs no system call, which the standard one always makes: those who wait
/// are counted under the mutex. So whoever wakes them has changed what they look at under it, or
/// has held it since.
#[derive(Debug, Default)]
pub struct Condvar {
    changed: std::sync::Condvar,
    waiting: AtomicUsize,
}

impl Condvar {
    /// Nobody waits.
    pub const fn new() -> Condvar {
        Condvar { changed: std::sync::Condvar::new(), waiting: AtomicUsize::new(0) }
    }

    /// Wakes one of those who wait.
    pub fn notify_one(&self) {
        if self.has_waiters() {
            self.changed.notify_one();
        }
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        if self.has_waiters() {
            self.changed.notify_all();
        }
    }

    /// Who waits was counted before giving the mutex back, which the caller has held since.
    fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Gives the lock back, waits, and takes it again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect(HELD);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        guard.0 = Some(self.changed.wait(held).unwrap_or_else(PoisonError::into_inner));
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// The same, at most for so long.
    pub fn wait_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        let held = guard.0.take().expect(HELD);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let (held, result) =
            self.changed.wait_timeout(held, timeout).unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        guard.0 = Some(held);
        WaitTimeoutResult(result.timed_out())
    }

    /// The same, at most until then.
    pub fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        until: Instant,
    ) -> WaitTimeoutResult {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return WaitTimeoutResult(true);
        }
        self.wait_for(guard, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_waiter_is_woken_and_finds_the_change() {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let other = Arc::clone(&shared);
        let waiter = std::thread::spawn(move || {
            let (changed, wake) = &*other;
            let mut changed = changed.lock();
            while !*changed {
                wake.wait(&mut changed);
            }
        });
        *shared.0.lock() = true;
        shared.1.notify_all();
        waiter.join().unwrap();
    }

    #[test]
    fn no_wake_up_is_lost_between_many_who_take_turns() {
        const THREADS: usize = 4;
        const TURNS: usize = 20_000;
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let threads: Vec<_> = (0..THREADS)
            .map(|own| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let (turn, changed) = &*shared;
                    for _ in 0..TURNS {
                        let mut now = turn.lock();
                        while *now % THREADS != own {
                            // Without a limit of time: a lost one would hang here.
                            changed.wait(&mut now);
                        }
                        *now += 1;
                        drop(now);
                        changed.notify_all();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((*shared.0.lock(), shared.1.has_waiters()), (THREADS * TURNS, false));
    }

    #[test]
    fn a_wait_ends_when_its_time_is_over() {
        let (lock, wake) = (Mutex::new(()), Condvar::new());
        let mut guard = lock.lock();
        assert!(wake.wait_until(&mut guard, Instant::now()).timed_out());
        // A wait may also end early for no reason; in the end the time is over.
        let until = Instant::now() + Duration::from_millis(5);
        while !wake.wait_until(&mut guard, until).timed_out() {}
        assert!(Instant::now() >= until);
        assert!(lock.try_lock().is_none());
        drop(guard);
        assert!(lock.try_lock().is_some());
    }

    #[test]
    fn a_panic_of_a_holder_does_not_poison() {
        let lock = Arc::new((Mutex::new(1), RwLock::new(1)));
        let other = Arc::clone(&lock);
        let panicked = std::thread::spawn(move || {
            let _guards = (other.0.lock(), other.1.write());
            panic!("while holding both");
        });
        assert!(panicked.join().is_err());
        *lock.0.lock() += 1;
        *lock.1.write() += 1;
        assert_eq!((*lock.0.try_lock().unwrap(), *lock.1.read()), (2, 2));
    }
}
