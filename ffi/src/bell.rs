//! Waiting for what is taken: by a call with a timeout, or through a file descriptor.
//!
//! The core rings a [`Bell`] whenever there may be something new at an object. A waiting call
//! looks, waits for a ring, and looks again; any number of threads may wait at one bell. Event
//! loops get a descriptor that stays readable until a look finds nothing
//! (`stayline::wake::Readable`). After the object's close a look fails instead of finding nothing,
//! so the descriptor stays readable for ever.

use std::ffi::c_int;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stayline::Error;
use stayline::lock::{Condvar, Mutex};
use stayline::wake::{Readable, Wake};

use crate::error::Failure;

/// Wakes every call that waits at one object, and its event loop.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<u64>,
    changed: Condvar,
    readable: Readable,
}

impl Wake for Bell {
    fn wake(&self) {
        self.readable.wake();
        *self.rung.lock() += 1;
        self.changed.notify_all();
    }
}

impl Bell {
    /// A new one.
    pub(crate) fn new() -> Arc<Bell> {
        Arc::new(Bell::default())
    }

    /// It as what the core rings.
    pub(crate) fn waker(self: &Arc<Bell>) -> Arc<dyn Wake> {
        Arc::clone(self) as Arc<dyn Wake>
    }

    /// The descriptor for event loops; it lives as long as the bell.
    pub(crate) fn descriptor(&self) -> Result<c_int, Error> {
        self.readable.fileno()
    }

    /// Looks until there is something, or the time is over (`None`). `timeout_ms` below 0 waits
    /// for ever, 0 not at all.
    pub(crate) fn wait<T>(
        &self,
        timeout_ms: i64,
        mut look: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        self.wait_aside(timeout_ms, || self.readable.take(&mut look))
    }

    /// The same for somebody who looks at something else than event loops do: that it finds nothing
    /// does not make the descriptor unreadable.
    pub(crate) fn wait_aside<T>(
        &self,
        timeout_ms: i64,
        mut look: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        let until = deadline(timeout_ms);
        loop {
            let seen = *self.rung.lock();
            if let Some(found) = look()? {
                return Ok(Some(found));
            }
            if timeout_ms == 0 {
                return Ok(None);
            }
            let mut rung = self.rung.lock();
            while *rung == seen {
                match until {
                    None => self.changed.wait(&mut rung),
                    Some(until) => {
                        if self.changed.wait_until(&mut rung, until).timed_out() {
                            drop(rung);
                            // What came at the last moment counts.
                            return look();
                        }
                    }
                }
            }
        }
    }
}

/// A timeout of the core's: below 0 none.
pub(crate) fn timeout(timeout_ms: i64) -> Option<Duration> {
    u64::try_from(timeout_ms).ok().map(Duration::from_millis)
}

/// The moment at which it is over. One beyond what a clock can say is never.
fn deadline(timeout_ms: i64) -> Option<Instant> {
    timeout(timeout_ms).and_then(|timeout| Instant::now().checked_add(timeout))
}
