//! What a wrapper tells its host, for `signals()` and for the thread of `on_kill`.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use pyo3::prelude::*;
use stayline::Error;
use stayline::net::client::Wrapper as Core;
use stayline::wake::Wake;
use stayline::wrapper::Told;

use crate::error::{Failure, Result, exception, guarded};
use crate::process::Owned;
use crate::time::Seconds;
use crate::values::{
    Command, Drained, Ended, Kill, Reconnected, Reconnecting, Replaced, RestartFeed, RunTask,
};
use crate::wait::Bell;

/// A wrapper's core with what it rings.
pub struct Hub {
    /// The driven wrapper.
    pub core: Core,
    /// Rung by the core when there may be a signal.
    pub bell: Arc<Bell>,
    /// Rung by the core when it may be connected, have room, have sent all, or have ended.
    pub changes: Arc<Bell>,
}

/// A reference to it, of one process.
pub type HubRef = Arc<Owned<Hub>>;

impl Hub {
    /// Takes over a wrapper's waker.
    pub fn new(core: Core) -> Hub {
        let bell = Bell::new();
        let changes = Bell::new();
        core.set_waker(Some(Arc::clone(&bell) as Arc<dyn Wake>));
        core.set_change_waker(Some(Arc::clone(&changes) as Arc<dyn Wake>));
        Hub { core, bell, changes }
    }

    /// The next signal; `Some(None)`: there will be no more.
    fn signal(&self) -> Result<Option<Option<Told>>> {
        until_closed(guarded(|| self.core.try_signal()))
    }

    /// The next kill; `Some(None)`: there will be no more.
    fn kill(&self) -> Result<Option<Option<Kill>>> {
        let taken = guarded(|| self.core.try_kill());
        until_closed(taken.map(|taken| taken.map(|signal| Kill { signal: signal.as_str().into() })))
    }

    /// Whether there will be no more signals, all being taken.
    pub fn is_over(&self) -> bool {
        self.core.is_finished()
    }

    /// The next signal without waiting.
    pub fn try_signal(&self) -> Result<Option<Told>> {
        Ok(self.bell.take(|| self.signal())?.flatten())
    }
}

/// What was taken; `Some(None)`: there will be no more.
fn until_closed<T>(taken: Result<Option<T>>) -> Result<Option<Option<T>>> {
    match taken {
        Ok(taken) => Ok(taken.map(Some)),
        Err(Failure::Core(Error::Closed { .. })) => Ok(Some(None)),
        Err(failure) => Err(failure),
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // Whoever waits for kills sees that there is no wrapper any more.
        self.bell.wake();
    }
}

/// The signals of a wrapper as an iterator; see `Wrapper.signals`.
#[pyclass(frozen, module = "stayline")]
pub struct Signals {
    hub: HubRef,
    timeout: Seconds,
}

impl Signals {
    /// An iterator that waits so long for each.
    pub fn new(hub: HubRef, timeout: Seconds) -> Signals {
        Signals { hub, timeout }
    }
}

#[pymethods]
impl Signals {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Result<Option<Py<PyAny>>> {
        let hub = self.hub.get()?;
        let told = hub.bell.wait(py, self.timeout.0, None, || hub.signal())?;
        told.flatten().map(|told| python(py, told)).transpose()
    }

    /// A descriptor for event loops: readable from a signal until a take finds nothing.
    fn fileno(&self) -> Result<RawFd> {
        self.hub.get()?.bell.fileno()
    }
}

/// The kills of a wrapper, for the thread of `on_kill`. It does not keep the wrapper alive.
#[pyclass(frozen, module = "stayline._internal")]
pub struct Kills {
    hub: Weak<Owned<Hub>>,
    bell: Arc<Bell>,
    stopped: AtomicBool,
}

impl Kills {
    /// Kills from now on.
    pub fn new(hub: &HubRef) -> Result<Kills> {
        let known = hub.get()?;
        known.core.want_kills();
        let bell = Arc::clone(&known.bell);
        Ok(Kills { hub: Arc::downgrade(hub), bell, stopped: AtomicBool::new(false) })
    }
}

#[pymethods]
impl Kills {
    /// The next kill; waits for it. `None`: there will be no more.
    fn next(&self, py: Python<'_>) -> Result<Option<Kill>> {
        let taken = self.bell.wait_aside(py, None, || {
            let Some(hub) = self.hub.upgrade().filter(|_| !self.stopped.load(Ordering::Acquire))
            else {
                return Ok(Some(None));
            };
            hub.get()?.kill()
        })?;
        Ok(taken.flatten())
    }

    /// Ends `next`.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.bell.wake();
    }
}

/// What the machine tells, as the class that Python sees.
pub fn python(py: Python<'_>, told: Told) -> Result<Py<PyAny>> {
    Ok(match told {
        Told::Reconnecting(attempt) => Py::new(py, Reconnecting { attempt })?.into_any(),
        Told::Reconnected => Py::new(py, Reconnected {})?.into_any(),
        Told::Disconnected { reason } => {
            let error = Error::Disconnected { reason: reason.to_string() };
            exception(py, &error)?.into_value(py).into_any()
        }
        Told::ExecutionDone { status, error, unacknowledged } => {
            let status = status.map(|status| status.as_str().to_owned());
            let error = error.map(|error| error.to_string());
            Py::new(py, Ended { status, error, unacknowledged })?.into_any()
        }
        Told::Replaced => Py::new(py, Replaced {})?.into_any(),
        Told::Command(frame) => Py::new(py, Command::from_text(frame.to_string()))?.into_any(),
        Told::RestartFeed => Py::new(py, RestartFeed {})?.into_any(),
        Told::Task { name } => Py::new(py, RunTask { name: name.to_string() })?.into_any(),
        Told::Abort { signal } => {
            Py::new(py, Kill { signal: signal.as_str().to_owned() })?.into_any()
        }
        Told::Drained => Py::new(py, Drained {})?.into_any(),
    })
}
