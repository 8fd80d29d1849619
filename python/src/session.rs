//! `Session`: a handle on one session.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use stayline::coordinator::{
    AttachOptions, Credential, FailOptions, InterruptGrace, Session as Core, StartOptions,
    SubscribeOptions,
};
use stayline::protocol::Filter;

use crate::coordinator::status;
use crate::error::{Failure, Result, refused};
use crate::execution::Execution;
use crate::given::{self, Given, Said, Secret};
use crate::home::{Home, HomeRef};
use crate::import;
use crate::json;
use crate::launch::Launch;
use crate::lease::Lease;
use crate::link::Link;
use crate::process::Owned;
use crate::session_info::SessionInfo;
use crate::subscription::{Events, Subscription};
use crate::text::{self, Text};
use crate::time::{Moment, Seconds};

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
    pub(crate) handle: HandleRef,
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

    /// The id of the active execution (pending or running), or `None`. Costs next to nothing where
    /// the session is in memory, else the store is read. Raises `NotFound`.
    #[getter]
    fn active(&self, py: Python<'_>) -> Result<Option<Text>> {
        let handle = self.handle.get()?;
        let active = match handle.core.active_in_memory() {
            Some(active) => active,
            None => handle.home()?.run(py, || handle.core.active())?,
        };
        Ok(active.map(Text))
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
        execution_id: Option<Given<String>>,
        mode: Option<Given<String>>,
        token: Option<Secret>,
    ) -> Result<Execution> {
        Execution::start(py, &self.handle, start_options(execution_id, mode, token))
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
        execution_id: Option<Given<String>>,
        mode: Option<Given<String>>,
        token: Option<Secret>,
        suppress_notification: bool,
    ) -> Result<Launch> {
        self.handle.get()?;
        let options = start_options(execution_id, mode, token);
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
        execution_id: Given<String>,
        token: Option<Secret>,
        trusted: bool,
        acknowledged: bool,
        producer: Option<Given<String>>,
        attempt: Option<Given<u64>>,
    ) -> Result<Link> {
        let handle = self.handle.get()?;
        let credential = if trusted {
            Credential::Trusted
        } else {
            Credential::Token(token.map(|token| token.0))
        };
        let options = AttachOptions {
            execution_id: execution_id.0,
            credential,
            acknowledged,
            producer: producer.map(|producer| producer.0),
            attempt: attempt.map(|attempt| attempt.0),
        };
        let attached = handle.home()?.run(py, || Ok(handle.core.attach_or_refuse(options)))?;
        let link = attached.map_err(|refusal| refused(py, &refusal))?;
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
        execution_id: Given<&str>,
        message: Said,
        event_type: Option<Given<String>>,
        payload: Option<&Bound<'_, PyDict>>,
        suppress_notification: bool,
    ) -> Result<bool> {
        let handle = self.handle.get()?;
        let payload = payload.map(json::object).transpose()?;
        let only_pending = false;
        let options = FailOptions {
            message: message.0,
            event_type: event_type.map(|event_type| event_type.0),
            payload,
            suppress_notification,
            only_pending,
        };
        handle.home()?.run(py, || handle.core.fail(execution_id.0, options))
    }

    /// Ends an execution as you know it ended: `completed`, `failed` or `interrupted`.
    ///
    /// `message` is its error or reason. `completed_at` is an aware `datetime`, or ms since the
    /// Unix epoch (R5); default: now. Raises `InvalidTransition` for one that has ended, or that
    /// would complete without having run (R1), and `NotFound`.
    #[pyo3(
        signature = (execution_id, status = Given("completed"), *, message = None, completed_at = None),
        text_signature = "($self, execution_id, status='completed', *, message=None, completed_at=None)"
    )]
    fn finish(
        &self,
        py: Python<'_>,
        execution_id: Given<&str>,
        status: Given<&str>,
        message: Option<Said>,
        completed_at: Option<Moment>,
    ) -> Result<()> {
        let handle = self.handle.get()?;
        let status = self::status(status.0)?;
        let message = message.as_ref().map(Said::as_str);
        let completed_at = completed_at.map(|moment| moment.0);
        handle.home()?.run(py, || handle.core.finish(execution_id.0, status, message, completed_at))
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
        execution_id: Option<Given<&str>>,
        escalate: bool,
        grace: Grace,
    ) -> Result<&'static str> {
        let handle = self.handle.get()?;
        let execution_id = execution_id.map(|id| id.0);
        let call = || handle.core.interrupt(execution_id, escalate, grace.0);
        Ok(handle.home()?.run(py, call)?.as_str())
    }

    /// Takes an interrupt back, from the active execution or the one named (R13). What was sent was
    /// sent. Raises `NoActiveExecution`, or `NotFound`.
    #[pyo3(signature = (execution_id = None))]
    fn clear_interrupt(&self, py: Python<'_>, execution_id: Option<Given<&str>>) -> Result<()> {
        let handle = self.handle.get()?;
        let execution_id = execution_id.map(|id| id.0);
        handle.home()?.run(py, || handle.core.clear_interrupt(execution_id))
    }

    /// A sign of life that you have of an execution in your own way (R14): moves the stale
    /// deadline. Raises `NotFound`, or `ExecutionNotActive`.
    fn heartbeat(&self, py: Python<'_>, execution_id: Given<&str>) -> Result<()> {
        let handle = self.handle.get()?;
        handle.home()?.run(py, || handle.core.heartbeat(execution_id.0))
    }

    /// Takes the exclusive lease on an execution for `lease_ttl_ms`, or renews it (R38).
    ///
    /// `lease_id` says who you are; `message_id` what for. As a context manager it is released at
    /// the end. Raises `AlreadyHeld` with the holder and when it expires, and `NotFound`.
    #[pyo3(signature = (execution_id, lease_id, *, message_id = None))]
    fn lease(
        &self,
        py: Python<'_>,
        execution_id: Given<&str>,
        lease_id: Given<&str>,
        message_id: Option<Given<&str>>,
    ) -> Result<Lease> {
        let message_id = message_id.map(|id| id.0);
        Lease::acquire(py, &self.handle, execution_id.0, lease_id.0, message_id)
    }

    /// Extends the lease that `lease_id` holds by `lease_ttl_ms` from now (R38). Raises `NotFound`
    /// when there is none or it has expired, `WrongHolder` when another holds it.
    fn extend_lease(
        &self,
        py: Python<'_>,
        execution_id: Given<&str>,
        lease_id: Given<&str>,
    ) -> Result<Lease> {
        Lease::extended(py, &self.handle, execution_id.0, lease_id.0)
    }

    /// Gives the lease that `lease_id` holds back (R38). Raises `NotFound` when there is none or it
    /// has expired, `WrongHolder` when another holds it.
    fn release_lease(
        &self,
        py: Python<'_>,
        execution_id: Given<&str>,
        lease_id: Given<&str>,
    ) -> Result<()> {
        let handle = self.handle.get()?;
        handle.home()?.run(py, || handle.core.release_lease(execution_id.0, lease_id.0))
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
    fn execution(&self, py: Python<'_>, execution_id: Given<&str>) -> Result<Execution> {
        let handle = self.handle.get()?;
        let view = handle.home()?.run(py, || handle.core.execution(execution_id.0))?;
        Execution::of(py, &self.handle, view)
    }

    /// The executions, the newest first, at most `limit`; with `status` only those of that status.
    /// Raises `NotFound`.
    #[pyo3(signature = (*, status = None, limit = 100))]
    fn executions(
        &self,
        py: Python<'_>,
        status: Option<Given<&str>>,
        #[pyo3(from_py_with = given::taken)] limit: usize,
    ) -> Result<Vec<Execution>> {
        let handle = self.handle.get()?;
        let wanted = status.map(|name| self::status(name.0)).transpose()?;
        let found = handle.home()?.run(py, || handle.core.executions(wanted, limit))?;
        found.into_iter().map(|view| Execution::of(py, &self.handle, view)).collect()
    }

    /// The health of a running execution (R6): `healthy`, `unknown` or `stale`; `None` for one that
    /// is not running. Raises `NotFound`.
    fn health(&self, py: Python<'_>, execution_id: Given<&str>) -> Result<Option<&'static str>> {
        let handle = self.handle.get()?;
        let health = handle.home()?.run(py, || handle.core.health(execution_id.0))?;
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
        #[pyo3(from_py_with = given::taken)] after: u64,
        types: Option<Given<Vec<String>>>,
        executions: Option<Given<Vec<String>>>,
        since: Option<Moment>,
        until: Option<Moment>,
        limit: Option<Given<u64>>,
    ) -> Result<Events> {
        let filter = Filter {
            after,
            limit: limit.map(|limit| limit.0),
            ..filter(types, executions, since, until)
        };
        Events::new(py, Arc::clone(&self.handle), filter)
    }

    /// How many stored events pass the filters `after`, `types`, `executions`, `since` and `until`,
    /// which are those of `events` (R34). Raises `NotFound`.
    #[pyo3(signature = (*, after = 0, types = None, executions = None, since = None, until = None))]
    #[allow(clippy::too_many_arguments)] // keyword arguments in Python
    fn count_events(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = given::taken)] after: u64,
        types: Option<Given<Vec<String>>>,
        executions: Option<Given<Vec<String>>>,
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
        #[pyo3(from_py_with = given::taken)] after: u64,
        until: Option<Given<String>>,
        timeout: Option<Seconds>,
        types: Option<Given<Vec<String>>>,
        executions: Option<Given<Vec<String>>>,
        since: Option<Moment>,
        epoch: Option<Given<String>>,
        live_only: bool,
    ) -> Result<Subscription> {
        let filter = Filter { after, ..filter(types, executions, since, None) };
        let epoch = epoch.map(|epoch| epoch.0);
        let until = until.map(|until| until.0);
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
        #[pyo3(from_py_with = given::taken)] limit: i64,
    ) -> Result<Bound<'py, PyAny>> {
        let py = slf.py();
        // Runs that have not ended are drawn up to the coordinator's now (R18c).
        let home = slf.get().handle.get()?.home()?;
        let now = home.coordinator.now();
        let options = PyDict::new(py);
        options.set_item("now_ms", now)?;
        options.set_item("owned", home.is_owned(py)?)?;
        options.set_item("executions", executions)?;
        options.set_item("limit", limit)?;
        let module = import::module(py, "stayline.timeline")?;
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

fn start_options(
    execution_id: Option<Given<String>>,
    mode: Option<Given<String>>,
    token: Option<Secret>,
) -> StartOptions {
    let taken = |text: Option<Given<String>>| text.map(|text| text.0);
    StartOptions {
        execution_id: taken(execution_id),
        mode: taken(mode),
        token: token.map(|token| token.0),
    }
}

fn filter(
    types: Option<Given<Vec<String>>>,
    executions: Option<Given<Vec<String>>>,
    since: Option<Moment>,
    until: Option<Moment>,
) -> Filter {
    let shared = |items: Given<Vec<String>>| items.0.into_iter().map(Arc::from).collect();
    Filter {
        types: types.map(shared),
        executions: executions.map(shared),
        since: since.map(|moment| moment.0),
        until: until.map(|moment| moment.0),
        ..Filter::default()
    }
}
