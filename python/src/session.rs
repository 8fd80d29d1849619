//! `Session`: a handle on one session, and `SessionInfo`, what is known about one.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use stayline::coordinator::{
    AttachOptions, Credential, FailOptions, InterruptGrace, Session as Core, StartOptions,
    SubscribeOptions,
};
use stayline::protocol::Filter;
use stayline::session::records::{ExecutionRecord, SessionRecord};
use stayline::store::SessionSummary;

use crate::coordinator::status;
use crate::error::{Failure, Result, guarded};
use crate::execution::Execution;
use crate::home::{Home, HomeRef};
use crate::json;
use crate::launch::Launch;
use crate::lease::Lease;
use crate::link::Link;
use crate::process::Owned;
use crate::subscription::{Events, Subscription};
use crate::text::{self, Text};
use crate::time::{Moment, Seconds, datetime};

/// A session of a coordinator, and what it takes to reach it.
pub struct Handle {
    /// Keeps the coordinator alive.
    pub home: HomeRef,
    /// The core's handle.
    pub core: Core,
}

impl Handle {
    /// What the coordinator's objects share. A handle is only reached through its own process
    /// check, so this cannot fail there.
    pub fn home(&self) -> Result<&Home> {
        self.home.get()
    }
}

/// A reference to it, of one process.
pub type HandleRef = Arc<Owned<Handle>>;

/// How long after an interrupt SIGKILL goes out (R13): not given, never, or so many seconds.
pub struct Grace(InterruptGrace);

impl Default for Grace {
    fn default() -> Grace {
        Grace(InterruptGrace::Default)
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Grace {
    type Error = Failure;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> Result<Grace> {
        let seconds: Seconds = value.extract()?;
        Ok(Grace(seconds.millis().map_or(InterruptGrace::Never, InterruptGrace::After)))
    }
}

/// A handle on one session. Making one creates nothing; only `start` and `launch` do (R19a).
#[pyclass(frozen, module = "stayline", weakref)]
pub struct Session {
    id: Arc<str>,
    handle: HandleRef,
}

impl Session {
    /// A handle.
    pub fn new(home: HomeRef, core: Core) -> Session {
        Session { id: Arc::clone(core.id()), handle: Arc::new(Owned::new(Handle { home, core })) }
    }
}

#[pymethods]
impl Session {
    /// The session's id.
    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    /// The id of the active execution (pending or running), or `None`.
    #[getter]
    fn active(&self) -> Result<Option<Text>> {
        let handle = self.handle.get()?;
        Ok(guarded(|| handle.core.active())?.map(Text))
    }

    /// Adds a pending execution (R2). Raises `ExecutionInProgress`, or `AlreadyExists`.
    #[pyo3(signature = (execution_id = None, *, mode = None, token = None))]
    fn start(
        &self,
        py: Python<'_>,
        execution_id: Option<String>,
        mode: Option<String>,
        token: Option<String>,
    ) -> Result<Execution> {
        Execution::start(py, &self.handle, StartOptions { execution_id, mode, token })
    }

    /// A context manager around `start` and the host's own launch code: an exception inside,
    /// before a wrapper has attached, fails the execution and is raised on (R10). Once a wrapper
    /// has attached the run is in its hands and nothing is done.
    #[pyo3(signature = (execution_id = None, *, mode = None, token = None, suppress_notification = false))]
    fn launch(
        &self,
        execution_id: Option<String>,
        mode: Option<String>,
        token: Option<String>,
        suppress_notification: bool,
    ) -> Result<Launch> {
        self.handle.get()?;
        let options = StartOptions { execution_id, mode, token };
        Ok(Launch::new(Arc::clone(&self.handle), options, suppress_notification))
    }

    /// Accepts an ingest link for an execution (R25, R26), for hosts with their own sockets.
    ///
    /// `token` is compared with the execution's; `trusted=True` says that the host has checked
    /// in its own way. `acknowledged`, `producer` and `attempt` are what the wrapper asked for.
    #[pyo3(signature = (execution_id, *, token = None, trusted = false, acknowledged = false, producer = None, attempt = None))]
    #[allow(clippy::too_many_arguments)] // keyword arguments in Python
    fn attach(
        &self,
        py: Python<'_>,
        execution_id: String,
        token: Option<String>,
        trusted: bool,
        acknowledged: bool,
        producer: Option<String>,
        attempt: Option<u64>,
    ) -> Result<Link> {
        let handle = self.handle.get()?;
        let credential = if trusted { Credential::Trusted } else { Credential::Token(token) };
        let options = AttachOptions { execution_id, credential, acknowledged, producer, attempt };
        let link = handle.home()?.run(py, || handle.core.attach(options))?;
        Ok(Link::new(Arc::clone(&self.handle), link))
    }

    /// The one failure path (R7): `True` when it did the transition, `False` when the execution
    /// had ended already and nothing was changed.
    #[pyo3(signature = (execution_id, message, *, event_type = None, payload = None, suppress_notification = false))]
    fn fail(
        &self,
        py: Python<'_>,
        execution_id: &str,
        message: String,
        event_type: Option<String>,
        payload: Option<&Bound<'_, PyDict>>,
        suppress_notification: bool,
    ) -> Result<bool> {
        let handle = self.handle.get()?;
        let payload = payload.map(json::object).transpose()?;
        let only_pending = false;
        let options =
            FailOptions { message, event_type, payload, suppress_notification, only_pending };
        handle.home()?.run(py, || handle.core.fail(execution_id, options))
    }

    /// Ends an execution as the host knows it ended: `completed`, `failed` or `interrupted`.
    #[pyo3(signature = (execution_id, status = "completed", *, message = None, completed_at = None))]
    fn finish(
        &self,
        py: Python<'_>,
        execution_id: &str,
        status: &str,
        message: Option<&str>,
        completed_at: Option<Moment>,
    ) -> Result<()> {
        let handle = self.handle.get()?;
        let status = self::status(status)?;
        let completed_at = completed_at.map(|moment| moment.0);
        handle.home()?.run(py, || handle.core.finish(execution_id, status, message, completed_at))
    }

    /// Asks the active execution (or the one named) to stop (R11): `sent`, `latched` or
    /// `already_terminal`. SIGKILL follows after `grace` seconds (`None`: never; R13), or at once
    /// with `escalate`.
    #[pyo3(signature = (execution_id = None, *, escalate = false, grace = Grace::default()))]
    fn interrupt(
        &self,
        py: Python<'_>,
        execution_id: Option<&str>,
        escalate: bool,
        grace: Grace,
    ) -> Result<&'static str> {
        let handle = self.handle.get()?;
        let call = || handle.core.interrupt(execution_id, escalate, grace.0);
        Ok(handle.home()?.run(py, call)?.as_str())
    }

    /// Takes an interrupt back (R13).
    #[pyo3(signature = (execution_id = None))]
    fn clear_interrupt(&self, py: Python<'_>, execution_id: Option<&str>) -> Result<()> {
        let handle = self.handle.get()?;
        handle.home()?.run(py, || handle.core.clear_interrupt(execution_id))
    }

    /// A sign of life that the host has of an execution (R14).
    fn heartbeat(&self, py: Python<'_>, execution_id: &str) -> Result<()> {
        let handle = self.handle.get()?;
        handle.home()?.run(py, || handle.core.heartbeat(execution_id))
    }

    /// Takes the exclusive lease on an execution, or renews it (R38). Raises `AlreadyHeld`.
    #[pyo3(signature = (execution_id, lease_id, *, message_id = None))]
    fn lease(
        &self,
        py: Python<'_>,
        execution_id: &str,
        lease_id: &str,
        message_id: Option<&str>,
    ) -> Result<Lease> {
        Lease::acquire(py, &self.handle, execution_id, lease_id, message_id)
    }

    /// Extends a lease (R38). Raises `NotFound` or `WrongHolder`.
    fn extend_lease(&self, py: Python<'_>, execution_id: &str, lease_id: &str) -> Result<Lease> {
        Lease::extended(py, &self.handle, execution_id, lease_id)
    }

    /// Gives a lease back (R38). Raises `NotFound` or `WrongHolder`.
    fn release_lease(&self, py: Python<'_>, execution_id: &str, lease_id: &str) -> Result<()> {
        let handle = self.handle.get()?;
        handle.home()?.run(py, || handle.core.release_lease(execution_id, lease_id))
    }

    /// Removes the session wholly and at once (R19a).
    fn delete(&self, py: Python<'_>) -> Result<()> {
        let handle = self.handle.get()?;
        handle.home()?.run(py, || handle.core.delete())
    }

    /// What is known about the session now. Raises `NotFound` when nothing ever started in it.
    fn info(&self, py: Python<'_>) -> Result<SessionInfo> {
        let handle = self.handle.get()?;
        let view = handle.home()?.run(py, || handle.core.view())?;
        Ok(SessionInfo {
            latest: None,
            active: view.active,
            link_attached: Some(view.link_attached),
            record: view.record,
        })
    }

    /// One execution.
    fn execution(&self, py: Python<'_>, execution_id: &str) -> Result<Execution> {
        let handle = self.handle.get()?;
        let view = handle.home()?.run(py, || handle.core.execution(execution_id))?;
        Ok(Execution::of(Arc::clone(&self.handle), view))
    }

    /// The executions, the newest first, optionally of one status.
    #[pyo3(signature = (*, status = None, limit = 100))]
    fn executions(
        &self,
        py: Python<'_>,
        status: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Execution>> {
        let handle = self.handle.get()?;
        let wanted = status.map(self::status).transpose()?;
        let found = handle.home()?.run(py, || handle.core.executions(wanted, limit))?;
        Ok(found.into_iter().map(|view| Execution::of(Arc::clone(&self.handle), view)).collect())
    }

    /// The health of a running execution (R6): `healthy`, `unknown` or `stale`; otherwise `None`.
    fn health(&self, py: Python<'_>, execution_id: &str) -> Result<Option<&'static str>> {
        let handle = self.handle.get()?;
        let health = handle.home()?.run(py, || handle.core.health(execution_id))?;
        Ok(health.map(|health| health.as_str()))
    }

    /// The past: stored events that pass all filters (R34), read in bounded rounds.
    #[pyo3(signature = (*, after = 0, types = None, executions = None, since = None, until = None, limit = None))]
    #[allow(clippy::too_many_arguments)] // keyword arguments in Python
    fn events(
        &self,
        py: Python<'_>,
        after: u64,
        types: Option<Vec<String>>,
        executions: Option<Vec<String>>,
        since: Option<Moment>,
        until: Option<Moment>,
        limit: Option<u64>,
    ) -> Result<Events> {
        let filter = Filter { after, limit, ..filter(types, executions, since, until) };
        Events::new(py, Arc::clone(&self.handle), filter)
    }

    /// How many stored events pass the filters.
    #[pyo3(signature = (*, after = 0, types = None, executions = None, since = None, until = None))]
    #[allow(clippy::too_many_arguments)] // keyword arguments in Python
    fn count_events(
        &self,
        py: Python<'_>,
        after: u64,
        types: Option<Vec<String>>,
        executions: Option<Vec<String>>,
        since: Option<Moment>,
        until: Option<Moment>,
    ) -> Result<u64> {
        let handle = self.handle.get()?;
        let filter = Filter { after, ..filter(types, executions, since, until) };
        handle.home()?.run(py, || handle.core.count_events(&filter))
    }

    /// The past, then live, each event once and in order (R35); with `until` up to the end of
    /// that execution. `timeout` bounds the wait for each event: iteration ends quietly when
    /// nothing came for so long, and goes on from there when iterated again.
    ///
    /// `epoch` says which log `after` belongs to (R34a); `live_only` begins at the end.
    #[pyo3(signature = (*, after = 0, until = None, timeout = None, types = None, executions = None, since = None, epoch = None, live_only = false))]
    #[allow(clippy::too_many_arguments)] // keyword arguments in Python
    fn stream(
        &self,
        py: Python<'_>,
        after: u64,
        until: Option<String>,
        timeout: Option<Seconds>,
        types: Option<Vec<String>>,
        executions: Option<Vec<String>>,
        since: Option<Moment>,
        epoch: Option<String>,
        live_only: bool,
    ) -> Result<Subscription> {
        let filter = Filter { after, ..filter(types, executions, since, None) };
        let options = SubscribeOptions { filter, epoch, live_only, until };
        Subscription::new(py, Arc::clone(&self.handle), options, timeout.unwrap_or_default())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        // Two handles on one session of one coordinator are the same to a user.
        let (Ok(other), Some(mine)) = (other.cast::<Session>(), self.handle.peek()) else {
            return false;
        };
        other.get().handle.peek().is_some_and(|theirs| {
            Arc::ptr_eq(&mine.home, &theirs.home) && self.id == other.get().id
        })
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.id.hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<stayline.Session {}>", text::quoted(py, &self.id))
    }
}

fn filter(
    types: Option<Vec<String>>,
    executions: Option<Vec<String>>,
    since: Option<Moment>,
    until: Option<Moment>,
) -> Filter {
    let shared = |items: Vec<String>| items.into_iter().map(Arc::from).collect();
    Filter {
        types: types.map(shared),
        executions: executions.map(shared),
        since: since.map(|moment| moment.0),
        until: until.map(|moment| moment.0),
        ..Filter::default()
    }
}

/// What was known about a session when it was read.
#[pyclass(frozen, module = "stayline")]
pub struct SessionInfo {
    record: SessionRecord,
    active: Option<ExecutionRecord>,
    latest: Option<Execution>,
    link_attached: Option<bool>,
}

impl SessionInfo {
    /// From one row of the list of sessions.
    pub fn of(home: &HomeRef, summary: SessionSummary) -> Result<SessionInfo> {
        let core = home.get()?.coordinator.session(&summary.record.id)?;
        let session = Session::new(Arc::clone(home), core);
        let active = summary.latest.clone().filter(|latest| latest.status.is_active());
        let latest = summary.latest.map(|record| Execution::listed(&session.handle, record));
        Ok(SessionInfo { record: summary.record, active, latest, link_attached: None })
    }
}

#[pymethods]
impl SessionInfo {
    /// The session's id.
    #[getter]
    fn id(&self) -> &str {
        &self.record.id
    }

    /// The log's epoch (R34a).
    #[getter]
    fn epoch(&self) -> &str {
        &self.record.epoch
    }

    /// When it was made.
    #[getter]
    fn created_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.record.created_at)
    }

    /// Start, heartbeats, events, completion (R19).
    #[getter]
    fn last_activity_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.record.last_activity_at)
    }

    /// The id of the newest event.
    #[getter]
    fn last_event_id(&self) -> u64 {
        self.record.last_event_id
    }

    /// The branch of the last completed execution that named one (R29).
    #[getter]
    fn branch(&self) -> Option<&str> {
        self.record.branch.as_deref()
    }

    /// The agent's own session id (R30).
    #[getter]
    fn agent_session_id(&self) -> Option<&str> {
        self.record.agent_session_id.as_deref()
    }

    /// The id of the active execution.
    #[getter]
    fn active(&self) -> Option<&str> {
        self.active.as_ref().map(|active| &*active.id)
    }

    /// Whether the active execution is without a link and in its grace (R20).
    #[getter]
    fn grace(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.grace.is_some())
    }

    /// Whether a wrapper is connected; `None` in a list of sessions.
    #[getter]
    fn link_attached(&self) -> Option<bool> {
        self.link_attached
    }

    /// In a list of sessions: the active execution, or else the newest one.
    #[getter]
    fn latest(&self) -> Option<Execution> {
        self.latest.clone()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "SessionInfo(id={}, active={}, last_event_id={}, branch={})",
            text::quoted(py, &self.record.id),
            text::optional(py, self.active()),
            self.record.last_event_id,
            text::optional(py, self.branch()),
        )
    }
}
