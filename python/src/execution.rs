//! `Execution`: one agent run.

use std::os::fd::RawFd;
use std::sync::{Arc, OnceLock};

use pyo3::prelude::*;
use stayline::Error;
use stayline::coordinator::{ExecutionView, Follower, StartOptions, Watch};
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
    /// As it was known last.
    known: Arc<Mutex<Option<Arc<ExecutionView>>>>,
    /// What memory knows of one that was active here.
    follower: Option<Arc<Owned<Follower>>>,
    /// It stays as it was known.
    is_fixed: bool,
    watching: Arc<OnceLock<Owned<Watching>>>,
}

impl Execution {
    /// Starts one (R2).
    pub fn start(py: Python<'_>, session: &HandleRef, options: StartOptions) -> Result<Execution> {
        let handle = session.get()?;
        let started = handle.home()?.run(py, || handle.core.start(options))?;
        let execution = Execution {
            token: Some(started.token),
            ..Execution::new(session, started.execution_id, None)?
        };
        // It is read where it has ended already. It was started, whatever comes of that.
        let _ = execution.view(py);
        Ok(execution)
    }

    /// One that was read.
    pub fn of(py: Python<'_>, session: &HandleRef, view: ExecutionView) -> Result<Execution> {
        let is_over = view.record.status.is_terminal();
        let id = Arc::clone(&view.record.id);
        let execution = Execution::new(session, id, Some(view))?;
        let home = session.get()?.home()?;
        if !is_over && execution.follower.is_none() && !home.coordinator.is_read_only() {
            // It has ended meanwhile. What was read of it stands, whatever comes of this.
            let _ = execution.view(py);
        }
        Ok(execution)
    }

    fn new(session: &HandleRef, id: Arc<str>, view: Option<ExecutionView>) -> Result<Execution> {
        let handle = session.get()?;
        let is_over = view.as_ref().is_some_and(|view| view.record.status.is_terminal());
        let follower = if is_over { None } else { guarded(|| Ok(handle.core.follow(&id)))? };
        Ok(Execution {
            id,
            token: None,
            handle: Arc::clone(session),
            known: Arc::new(Mutex::new(view.map(Arc::new))),
            follower: follower.map(|follower| Arc::new(Owned::new(follower))),
            is_fixed: false,
            watching: Arc::default(),
        })
    }

    /// Its id.
    pub fn execution_id(&self) -> &str {
        &self.id
    }

    /// What is committed now.
    pub fn view(&self, py: Python<'_>) -> Result<Arc<ExecutionView>> {
        if let Some(view) = self.view_in_memory()? {
            return Ok(view);
        }
        let handle = self.handle.get()?;
        let view = handle.home()?.run(py, || handle.core.execution(&self.id))?;
        Ok(self.now_known(view))
    }

    /// The same where memory has it: always, but for one that only the store has.
    fn view_in_memory(&self) -> Result<Option<Arc<ExecutionView>>> {
        let known = self.known.lock().clone();
        if let Some(known) = known.filter(|view| self.is_fixed || view.record.status.is_terminal())
        {
            return Ok(Some(known));
        }
        self.handle.get()?;
        let Some(follower) = &self.follower else { return Ok(None) };
        let follower = follower.get()?;
        Ok(guarded(|| follower.view())?.map(|view| self.now_known(view)))
    }

    /// As memory has it, else as it was read last. Never reads the store.
    fn seen(&self) -> Result<Arc<ExecutionView>> {
        if let Some(view) = self.view_in_memory()? {
            return Ok(view);
        }
        let coordinator = &self.handle.get()?.home()?.coordinator;
        guarded(|| coordinator.check_open())?;
        let known = self.known.lock().clone();
        Ok(known.ok_or_else(|| Error::not_found(format!("execution {:?}", self.id)))?)
    }

    fn now_known(&self, view: ExecutionView) -> Arc<ExecutionView> {
        let view = Arc::new(view);
        *self.known.lock() = Some(Arc::clone(&view));
        view
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
        self.watching.get().ok_or_else(|| Error::closed("it is not watched"))?.get()
    }

    fn ended(&self, py: Python<'_>, watching: &Watching) -> Result<Option<()>> {
        if !guarded(|| watching.watch.is_over())? {
            return Ok(None);
        }
        let handle = self.handle.get()?;
        let view = handle.home()?.run(py, || watching.watch.poll())?;
        let Some(view) = view else { return Ok(None) };
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

    /// The integer `exitCode` of its wrapper's terminal event (R29).
    #[getter]
    fn exit_code(&self, py: Python<'_>) -> Result<Option<i64>> {
        Ok(self.view(py)?.record.exit_code)
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

    /// When its newest frame other than a heartbeat came: to the moment where this coordinator runs
    /// it, and once it has ended; else as far as it is stored (R14). None before the first.
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
        match watching.bell.wait(py, timeout, None, || slf.ended(py, watching))? {
            Some(_) => Ok(slf),
            None => Err(Error::Timeout.into()),
        }
    }

    /// Looks without waiting: whether it is terminal. When not, `fileno()` is made unreadable.
    fn poll(&self, py: Python<'_>) -> Result<bool> {
        let watching = self.watching(py)?;
        Ok(watching.bell.take(|| self.ended(py, watching))?.is_some())
    }

    /// For `stayline.aio`: a place to wait for its end.
    fn _waiting(&self, py: Python<'_>) -> Result<Waiting> {
        Waiting::at(&self.watching(py)?.bell)
    }

    /// For `stayline.aio`: the execution as memory has it, else as it was read last. It stays as it
    /// is, and never reads the store.
    fn _seen(&self) -> Result<Execution> {
        let known = Arc::new(Mutex::new(Some(self.seen()?)));
        Ok(Execution { known, is_fixed: true, ..self.clone() })
    }

    /// For `stayline.aio`: whether it is terminal, as far as memory tells; `poll` reads the rest.
    fn _is_over(&self, py: Python<'_>) -> Result<bool> {
        let watching = self.watching(py)?;
        guarded(|| watching.watch.is_over())
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
        // What was last known will do: nothing is read for it.
        let view = self.seen().ok().or_else(|| self.known.lock().clone());
        let status = view.map_or("of another time", |view| view.record.status.as_str());
        format!("<stayline.Execution {} {status}>", text::quoted(py, &self.id))
    }
}
