//! `Execution`: one agent run.

use std::os::fd::RawFd;
use std::sync::{Arc, OnceLock};

use pyo3::prelude::*;
use stayline::Error;
use stayline::coordinator::{ExecutionView, StartOptions, Watch};
use stayline::lock::Mutex;
use stayline::wake::Wake;

use crate::error::{Result, guarded};
use crate::process::Owned;
use crate::session::HandleRef;
use crate::text::{self, Text};
use crate::time::{Seconds, optional_datetime};
use crate::wait::{Bell, Waiting};

struct Watching {
    watch: Watch,
    bell: Arc<Bell>,
}

/// One execution. Its properties show what is committed now; once they have shown it terminal
/// they stay as they are, also after the coordinator was closed.
#[pyclass(frozen, module = "stayline", weakref)]
#[derive(Clone)]
pub struct Execution {
    id: Arc<str>,
    token: Option<Arc<str>>,
    handle: HandleRef,
    known: Arc<Mutex<Option<Arc<ExecutionView>>>>,
    watching: Arc<OnceLock<Owned<Watching>>>,
}

impl Execution {
    /// Starts one (R2).
    pub fn start(py: Python<'_>, session: &HandleRef, options: StartOptions) -> Result<Execution> {
        let handle = session.get()?;
        let started = handle.home()?.run(py, || handle.core.start(options))?;
        Ok(Execution {
            id: started.execution_id,
            token: Some(started.token),
            handle: Arc::clone(session),
            known: Arc::default(),
            watching: Arc::default(),
        })
    }

    /// One that was read.
    pub fn of(handle: HandleRef, view: ExecutionView) -> Execution {
        Execution {
            id: Arc::clone(&view.record.id),
            token: None,
            handle,
            known: Arc::new(Mutex::new(Some(Arc::new(view)))),
            watching: Arc::default(),
        }
    }

    /// Its id.
    pub fn execution_id(&self) -> &str {
        &self.id
    }

    /// What is committed now.
    pub fn view(&self, py: Python<'_>) -> Result<Arc<ExecutionView>> {
        let known = self.known.lock().clone();
        if let Some(known) = known.filter(|view| view.record.status.is_terminal()) {
            return Ok(known);
        }
        let handle = self.handle.get()?;
        let view = Arc::new(handle.home()?.run(py, || handle.core.execution(&self.id))?);
        *self.known.lock() = Some(Arc::clone(&view));
        Ok(view)
    }

    /// The watch on its end, set up when somebody first wants to wait for it.
    fn watching(&self, py: Python<'_>) -> Result<&Watching> {
        if self.watching.get().is_none() {
            let handle = self.handle.get()?;
            let watch = handle.home()?.run(py, || handle.core.watch(&self.id))?;
            let bell = Bell::new();
            watch.set_waker(Some(Arc::clone(&bell) as Arc<dyn Wake>));
            // Another thread may have been faster; then its watch stays.
            let _ = self.watching.set(Owned::new(Watching { watch, bell }));
        }
        self.watching.get().ok_or(Error::Closed)?.get()
    }

    fn ended(&self, watching: &Watching) -> Result<Option<()>> {
        let Some(view) = guarded(|| watching.watch.poll())? else { return Ok(None) };
        *self.known.lock() = Some(Arc::new(view));
        Ok(Some(()))
    }
}

#[pymethods]
impl Execution {
    /// Its id, unique within its session.
    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    /// What a wrapper needs to attach; only the one that started the execution has it.
    #[getter]
    fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The session it belongs to.
    #[getter]
    fn session_id(&self, py: Python<'_>) -> Result<Text> {
        match self.handle.peek() {
            Some(handle) => Ok(Text(Arc::clone(handle.core.id()))),
            None => Ok(Text(Arc::clone(&self.view(py)?.session_id))),
        }
    }

    /// `pending`, `running`, `completed`, `failed` or `interrupted` (R1).
    #[getter]
    fn status(&self, py: Python<'_>) -> Result<&'static str> {
        Ok(self.view(py)?.record.status.as_str())
    }

    /// Whether it has ended.
    #[getter]
    fn terminal(&self, py: Python<'_>) -> Result<bool> {
        Ok(self.view(py)?.record.status.is_terminal())
    }

    /// Why it failed or was interrupted (R5).
    #[getter]
    fn error(&self, py: Python<'_>) -> Result<Option<Text>> {
        Ok(self.view(py)?.record.error.clone().map(Text))
    }

    /// The host's word for the kind of run.
    #[getter]
    fn mode(&self, py: Python<'_>) -> Result<Option<Text>> {
        Ok(self.view(py)?.record.mode.clone().map(Text))
    }

    /// While running: `healthy`, `unknown` or `stale` (R6).
    #[getter]
    fn health(&self, py: Python<'_>) -> Result<Option<&'static str>> {
        Ok(self.view(py)?.health.map(|health| health.as_str()))
    }

    /// Whether it was asked to stop and has not ended (R11).
    #[getter]
    fn interrupt_requested(&self, py: Python<'_>) -> Result<bool> {
        Ok(self.view(py)?.record.interrupt.is_some())
    }

    /// Whether it runs without a link, in its grace (R20).
    #[getter]
    fn grace(&self, py: Python<'_>) -> Result<bool> {
        Ok(self.view(py)?.record.grace.is_some())
    }

    /// How often its wrapper came back after a disconnect (R21).
    #[getter]
    fn reconnects(&self, py: Python<'_>) -> Result<u64> {
        Ok(self.view(py)?.record.reconnects)
    }

    /// The agent's own session id (R30).
    #[getter]
    fn agent_session_id(&self, py: Python<'_>) -> Result<Option<Text>> {
        Ok(self.view(py)?.record.agent_session_id.clone().map(Text))
    }

    /// When it was added, by `start` (R2).
    #[getter]
    fn created_at<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyAny>>> {
        Ok(optional_datetime(py, Some(self.view(py)?.record.created_at))?)
    }

    /// When its first link was accepted.
    #[getter]
    fn started_at<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyAny>>> {
        Ok(optional_datetime(py, self.view(py)?.record.started_at)?)
    }

    /// When it became terminal (R5).
    #[getter]
    fn completed_at<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyAny>>> {
        Ok(optional_datetime(py, self.view(py)?.record.completed_at)?)
    }

    /// The stored sign of life, which is refreshed now and then (R14).
    #[getter]
    fn last_heartbeat_at<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyAny>>> {
        Ok(optional_datetime(py, self.view(py)?.record.last_heartbeat_at)?)
    }

    /// The stored time of the last frame other than a heartbeat (R14).
    #[getter]
    fn last_event_at<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyAny>>> {
        Ok(optional_datetime(py, self.view(py)?.record.last_event_at)?)
    }

    /// When its wrapper was last heard of: to the moment where this coordinator runs it, else as far
    /// as it is stored, which is refreshed now and then (R14). None before the first link.
    #[getter]
    fn last_seen_at<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyAny>>> {
        Ok(optional_datetime(py, self.view(py)?.last_seen_at)?)
    }

    /// Waits until it is terminal and returns it.
    ///
    /// `timeout` is in seconds (a number or a `timedelta`; `None`: for ever). Raises `Timeout` when
    /// the time is over before; the run goes on. Raises `Closed` when the coordinator was closed.
    #[pyo3(signature = (timeout = None))]
    fn wait<'py>(slf: PyRef<'py, Self>, timeout: Option<Seconds>) -> Result<PyRef<'py, Self>> {
        let py = slf.py();
        let timeout = timeout.unwrap_or_default().0;
        let watching = slf.watching(py)?;
        match watching.bell.wait(py, timeout, None, || slf.ended(watching))? {
            Some(_) => Ok(slf),
            None => Err(Error::Timeout.into()),
        }
    }

    /// Looks without waiting: whether it is terminal. When not, `fileno()` is made unreadable.
    fn poll(&self, py: Python<'_>) -> Result<bool> {
        let watching = self.watching(py)?;
        Ok(watching.bell.take(|| self.ended(watching))?.is_some())
    }

    /// For `stayline.aio`: a place to wait for its end.
    fn _waiting(&self, py: Python<'_>) -> Result<Waiting> {
        Waiting::at(&self.watching(py)?.bell)
    }

    /// A descriptor for event loops: readable when `poll` may have something to tell.
    fn fileno(&self, py: Python<'_>) -> Result<RawFd> {
        self.watching(py)?.bell.fileno()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let Ok(other) = other.cast::<Execution>() else { return false };
        let other = other.get();
        let (Some(mine), Some(theirs)) = (self.handle.peek(), other.handle.peek()) else {
            return false;
        };
        self.id == other.id
            && mine.core.id() == theirs.core.id()
            && Arc::ptr_eq(&mine.home, &theirs.home)
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.id.hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        // What was last known will do where nothing can be read any more.
        let view = self.view(py).ok().or_else(|| self.known.lock().clone());
        let status = view.map_or("of another time", |view| view.record.status.as_str());
        format!("<stayline.Execution {} {status}>", text::quoted(py, &self.id))
    }
}
