//! Waiting without the interpreter lock, and answering Ctrl-C meanwhile.
//!
//! No Rust thread ever takes the interpreter lock: whatever goes towards Python is taken out of a
//! queue by the Python thread that wants it. A waiting call first looks without waiting, keeping
//! the lock (releasing and taking it back can cost milliseconds when other threads are busy).
//! Only when there is nothing it releases the lock, waits on a descriptor of its own, looks at
//! the signals (Ctrl-C) and looks again, until its time is over.
//!
//! A [`Bell`] is what the core rings. Each waiting call hangs up a descriptor of its own for the
//! time of its wait, so that two threads at one object never take each other's wake-ups. Event
//! loops get one more descriptor that stays readable until a take finds nothing.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use stayline::Error;
use stayline::lock::Mutex;
use stayline::wake::{EventFd, Readable, Wake};

use crate::error::{Result, guarded};
use crate::exit::Inside;
use crate::process::Owned;

/// Wakes every call that waits at one object, and its event loop.
#[derive(Default)]
pub struct Bell {
    waiting: Mutex<Vec<Arc<EventFd>>>,
    readable: Readable,
}

impl Wake for Bell {
    fn wake(&self) {
        self.readable.wake();
        for waiting in &*self.waiting.lock() {
            waiting.wake();
        }
    }
}

impl Bell {
    /// A new one.
    pub fn new() -> Arc<Bell> {
        Arc::new(Bell::default())
    }

    /// The descriptor for event loops. Readable at first: there may be something already.
    pub fn fileno(&self) -> Result<RawFd> {
        Ok(self.readable.fileno()?)
    }

    /// Looks once, without waiting. When there is nothing the descriptor is made unreadable.
    pub fn take<T>(&self, attempt: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
        self.readable.take(attempt)
    }

    /// Looks, waits until there is something, and looks again. `None`: the time is over.
    ///
    /// `at_least_every` bounds a single wait, for conditions that ring no bell.
    pub fn wait<T>(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
        at_least_every: Option<Duration>,
        mut attempt: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        self.wait_by(py, timeout, at_least_every, || self.take(&mut attempt))
    }

    /// The same for somebody who looks at something else than event loops do: that it finds nothing
    /// does not make the descriptor unreadable.
    pub fn wait_aside<T>(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
        attempt: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        self.wait_by(py, timeout, None, attempt)
    }

    fn wait_by<T>(
        &self,
        py: Python<'_>,
        timeout: Option<Duration>,
        at_least_every: Option<Duration>,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        if let Some(taken) = look()? {
            return Ok(Some(taken));
        }
        if timeout == Some(Duration::ZERO) {
            return Ok(None);
        }
        // A time beyond what a clock can say is for ever.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let place = self.hang_up()?;
        loop {
            if let Some(taken) = look()? {
                return Ok(Some(taken));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            let pause = match (left, at_least_every) {
                (Some(left), Some(bound)) => Some(left.min(bound)),
                (left, bound) => left.or(bound),
            };
            let inside = py.detach(|| {
                place.descriptor.wait(pause);
                Inside::returning()
            });
            drop(inside);
            py.check_signals()?;
            place.descriptor.clear();
        }
    }

    fn hang_up(&self) -> Result<Place<'_>> {
        let descriptor = EventFd::new()?;
        self.waiting.lock().push(Arc::clone(&descriptor));
        Ok(Place { bell: self, descriptor })
    }
}

/// A waiting call's place at a bell, given up when the call ends, however it ends.
struct Place<'a> {
    bell: &'a Bell,
    descriptor: Arc<EventFd>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.bell.waiting.lock().retain(|other| !Arc::ptr_eq(other, &self.descriptor));
    }
}

/// An event loop's place at a bell: a descriptor of its own for the time of one wait, so that
/// several loops, and several tasks of one, never take each other's wake-ups.
#[pyclass(frozen, module = "stayline._internal")]
pub struct Waiting {
    hung: Owned<Mutex<Option<Hung>>>,
}

struct Hung {
    bell: Arc<Bell>,
    descriptor: Arc<EventFd>,
}

impl Waiting {
    /// Hangs one up.
    pub fn at(bell: &Arc<Bell>) -> Result<Waiting> {
        let descriptor = EventFd::new()?;
        bell.waiting.lock().push(Arc::clone(&descriptor));
        let hung = Hung { bell: Arc::clone(bell), descriptor };
        Ok(Waiting { hung: Owned::new(Mutex::new(Some(hung))) })
    }

    fn with<T>(&self, call: impl FnOnce(&EventFd) -> T) -> Result<T> {
        let hung = self.hung.get()?.lock();
        let hung = hung.as_ref().ok_or_else(|| Error::closed("nobody waits here any more"))?;
        Ok(call(&hung.descriptor))
    }
}

#[pymethods]
impl Waiting {
    /// Readable from a ring until `clear`.
    fn fileno(&self) -> Result<RawFd> {
        self.with(|descriptor| descriptor.as_fd().as_raw_fd())
    }

    /// Makes it unreadable; look after this, not before.
    fn clear(&self) -> Result<()> {
        self.with(EventFd::clear)
    }

    /// Rings no more, and gives the descriptor back. Twice is fine.
    fn close(&self) {
        if let Some(hung) = self.hung.peek() {
            hung.lock().take();
        }
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.bell.waiting.lock().retain(|other| !Arc::ptr_eq(other, &self.descriptor));
    }
}

/// Calls something that may wait for a disk or for another thread: without the interpreter lock.
pub fn released<T: Send>(
    py: Python<'_>,
    call: impl FnOnce() -> std::result::Result<T, Error> + Send,
) -> Result<T> {
    let (result, _inside) = py.detach(|| {
        let result = guarded(call);
        (result, Inside::returning())
    });
    result
}
