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

/// A handle on one session, from `Coordinator.session`.
///
/// Making one creates nothing; only `start` and `launch` do (R19a). Everything else raises
/// `NotFound` for a session in which nothing was ever started, `Closed` once the coordinator is
/// closed, and `StoreError` when the store failed and nothing of the step was kept. Handles on
/// one session of one coordinator compare equal. `execution_id` always names an execution of
/// this session.
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

    /// The id of the active execution (pending or running), or `None`. Costs next to nothing, and
    /// never fails for a session that is not known.
    #[getter]
    fn active(&self) -> Result<Option<Text>> {
        let handle = self.handle.get()?;
        Ok(guarded(|| handle.core.active())?.map(Text))
    }

    /// Adds a pending execution, and makes the session if it is not there (R2).
    ///
    /// `execution_id` is yours, or one is made (`exc_…`). `mode` is your word for the kind of run.
    /// `token` is what a wrapper needs to attach, or one is made: pass the `token` of what is
    /// returned to the sandbox. It stays pending until a wrapper attaches (R3), at most
    /// `pending_timeout_ms` (R16).
    ///
    /// Raises `ExecutionInProgress` while another one is active, `AlreadyExists` for an id that was
    /// used before, `InvalidArgument` for one that is too long or has control characters. Then
    /// nothing was written. Around code that can fail, use `launch`.
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

    /// A context manager around `start` and your own launch code (R10)::
    ///
    ///     with session.launch(mode="code") as execution:
    ///         launch_sandbox(execution.id, execution.token)
    ///
    /// An exception inside, before a wrapper has attached, fails the execution and is raised on.
    /// Once a wrapper has attached the run is in its hands and nothing is done. Takes what `start`
    /// takes; entering raises what `start` raises. `suppress_notification` spares you the
    /// notification of a launch that failed, because you have seen the exception.
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
    /// `token` is compared with the execution's; `trusted=True` says that you have checked in your
    /// own way. `acknowledged`, `producer` and `attempt` are what the wrapper asked for (R45a). A
    /// link that was attached before is closed with 4001.
    ///
    /// Raises, and changes nothing then: `NotFound`, `Unauthorized`, `ExecutionNotActive` with the
    /// status, `Superseded`; in this order (R25).
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

    /// Fails an execution, whatever it is doing; the one failure path (R7, R8).
    ///
    /// `message` becomes its `error`. One event of `event_type` (default `error`) is stored, with
    /// `error`, `fatal` and the fields of `payload` (R9); links are closed with 4000; the host gets
    /// one notification unless `suppress_notification`.
    ///
    /// Returns `True` when it did it, `False` when the execution had ended already; then nothing
    /// was changed. So calling it twice, or from two places, is fine. Raises `NotFound`.
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

    /// Ends an execution as you know it ended: `completed`, `failed` or `interrupted`.
    ///
    /// `message` is its error or reason. `completed_at` is an aware `datetime`, or ms since the
    /// Unix epoch (R5); default: now. Raises `InvalidTransition` for one that has ended, or that
    /// would complete without having run (R1), and `NotFound`.
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

    /// Asks the active execution, or the one named, to stop (R11, R12).
    ///
    /// Returns `sent` (the kill goes out on its link), `latched` (it will when a wrapper attaches)
    /// or `already_terminal`. SIGKILL follows after `grace` seconds (a number or a `timedelta`;
    /// default `interrupt_grace_ms`; `None`: never), or at once with `escalate`; when that is not
    /// honoured either, the execution is failed `kill_grace_ms` later (R13).
    ///
    /// Raises `NoActiveExecution` when there is nothing to stop, `NotFound` for an unknown id.
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

    /// Takes an interrupt back, from the active execution or the one named (R13). What was sent was
    /// sent. Raises `NoActiveExecution`, or `NotFound`.
    #[pyo3(signature = (execution_id = None))]
    fn clear_interrupt(&self, py: Python<'_>, execution_id: Option<&str>) -> Result<()> {
        let handle = self.handle.get()?;
        handle.home()?.run(py, || handle.core.clear_interrupt(execution_id))
    }

    /// A sign of life that you have of an execution in your own way (R14): moves the stale
    /// deadline. Raises `NotFound`, or `ExecutionNotActive`.
    fn heartbeat(&self, py: Python<'_>, execution_id: &str) -> Result<()> {
        let handle = self.handle.get()?;
        handle.home()?.run(py, || handle.core.heartbeat(execution_id))
    }

    /// Takes the exclusive lease on an execution for `lease_ttl_ms`, or renews it (R38).
    ///
    /// `lease_id` says who you are; `message_id` what for. As a context manager it is released at
    /// the end. Raises `AlreadyHeld` with the holder and when it expires, and `NotFound`.
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

    /// Extends the lease that `lease_id` holds by `lease_ttl_ms` from now (R38). Raises `NotFound`
    /// when there is none or it has expired, `WrongHolder` when another holds it.
    fn extend_lease(&self, py: Python<'_>, execution_id: &str, lease_id: &str) -> Result<Lease> {
        Lease::extended(py, &self.handle, execution_id, lease_id)
    }

    /// Gives the lease that `lease_id` holds back (R38). Raises `NotFound` when there is none or it
    /// has expired, `WrongHolder` when another holds it.
    fn release_lease(&self, py: Python<'_>, execution_id: &str, lease_id: &str) -> Result<()> {
        let handle = self.handle.get()?;
        handle.home()?.run(py, || handle.core.release_lease(execution_id, lease_id))
    }

    /// Removes the session wholly and at once (R19a): an active execution is failed first (`Session
    /// deleted`), links are closed with 4000, streams end with a `deleted` record. Notifications
    /// stay until they are taken. Raises `NotFound`.
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

    /// One execution, whether it is active or long over. Raises `NotFound`.
    fn execution(&self, py: Python<'_>, execution_id: &str) -> Result<Execution> {
        let handle = self.handle.get()?;
        let view = handle.home()?.run(py, || handle.core.execution(execution_id))?;
        Ok(Execution::of(Arc::clone(&self.handle), view))
    }

    /// The executions, the newest first, at most `limit`; with `status` only those of that status.
    /// Raises `NotFound`.
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

    /// The health of a running execution (R6): `healthy`, `unknown` or `stale`; `None` for one that
    /// is not running. Raises `NotFound`.
    fn health(&self, py: Python<'_>, execution_id: &str) -> Result<Option<&'static str>> {
        let handle = self.handle.get()?;
        let health = handle.home()?.run(py, || handle.core.health(execution_id))?;
        Ok(health.map(|health| health.as_str()))
    }

    /// The past: stored events that pass all filters (R34), read in bounded rounds (R36).
    ///
    /// `after` is an event id, exclusive. `types` and `executions` are lists; `since` and `until`
    /// are aware `datetime`s or ms since the Unix epoch, inclusive, of the event's own time;
    /// `limit` is the most events given. Raises `NotFound`.
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

    /// How many stored events pass the filters `after`, `types`, `executions`, `since` and `until`,
    /// which are those of `events` (R34). Raises `NotFound`.
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

    /// The past, then live, each event once and in order (R35)::
    ///
    ///     for event in session.stream(until=execution.id):
    ///         print(event.type, event.data)
    ///
    /// With `until` (an execution id) it ends with that execution, otherwise with the session.
    /// `timeout` (seconds or a `timedelta`) bounds the wait for each event: iteration ends quietly
    /// when nothing came for so long, and goes on from there when iterated again. `after` is the id
    /// of the last event you have, and `epoch` the log it belongs to: what retention took meanwhile
    /// is told by a `gap` record first (R34a). `live_only` begins at the end. The filters `types`,
    /// `executions` and `since` are those of `events`. Raises `NotFound`; when waiting, `Closed`
    /// once the coordinator is closed.
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

    /// A picture of the newest `limit` runs, or of the `executions` named, oldest first: a
    /// `stayline.timeline.Timeline`, which notebooks show and which saves itself as a page or SVG.
    /// Raises `NotFound` for a session or execution that is not known (R19a).
    #[pyo3(signature = (*, executions = None, limit = 10))]
    fn timeline<'py>(
        slf: &Bound<'py, Session>,
        executions: Option<Bound<'py, PyAny>>,
        limit: i64,
    ) -> Result<Bound<'py, PyAny>> {
        let py = slf.py();
        // Runs that have not ended are drawn up to the coordinator's now (R18c).
        let now = slf.get().handle.get()?.home()?.coordinator.now();
        let options = PyDict::new(py);
        options.set_item("now_ms", now)?;
        options.set_item("executions", executions)?;
        options.set_item("limit", limit)?;
        let module = py.import("stayline.timeline")?;
        Ok(module.call_method("Timeline", (slf,), Some(&options))?)
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
        let latest = summary.latest.map(|record| core.view_of(record));
        let session = Session::new(Arc::clone(home), core);
        let active =
            latest.as_ref().map(|latest| latest.record.clone()).filter(|r| r.status.is_active());
        let latest = latest.map(|view| Execution::of(Arc::clone(&session.handle), view));
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
