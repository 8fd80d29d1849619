//! `Wrapper`: the side next to the agent, driven over a WebSocket.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use stayline::net::client::{Proxy, Wrapper as Core, WrapperOptions};
use stayline::wrapper::{Job, Outcome, SendOptions};
use stayline::{Error, Settings as CoreSettings};

use crate::error::{Failure, Result, guarded};
use crate::exit::Inside;
use crate::given::{self, Given, Said, Secret};
use crate::import;
use crate::json;
use crate::leaving::{note_untold, tell_raised};
use crate::log;
use crate::process::Owned;
use crate::settings::Settings;
use crate::signals::{Hub, HubRef, Kills, Signals, python};
use crate::text;
use crate::time::{Moment, Seconds};
use crate::values::Ended;
use crate::wait::{Waiting, released};

/// Sends an agent's events to a coordinator; reconnects, buffers and sends again by itself::
///
///     with stayline.Wrapper(url, session_id="s", execution_id=id, token=token) as wrapper:
///         wrapper.send("output", {"text": "hi"})
///         ended = wrapper.complete()
///
/// `url` is the server's base; `token` the execution's. `settings` say how to reconnect (R41),
/// buffer (R40, R44) and keep (`outbox`, R45e). It connects at once, in the background.
///
/// `proxy` is `"environment"` (`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say, as for curl),
/// `"none"`, or the address of one, `http://[USER:PASSWORD@]HOST[:PORT]`.
///
/// As a context manager it waits for its first connection (unless `retry_first`), and leaving it
/// waits until everything sent is acknowledged, up to `ack_timeout_ms`. An exception that leaves
/// it, unless the run has had its ending, fails the run with its text, or interrupts it
/// (`KeyboardInterrupt`, cancellation, an exit by a signal, or any after a `Kill`); then it goes on
/// (R51a).
///
/// The run is active from the beginning: an interrupt arrives as a `Kill` signal; stop the agent
/// and say `aborted()`, or end the run yourself (R52). Hosts that give jobs and turns themselves
/// (`start_job`, `begin_turn`) pass `active=False`; then a kill between turns ends the run at once.
#[pyclass(frozen, module = "stayline", weakref)]
pub struct Wrapper {
    url: String,
    session_id: String,
    execution_id: String,
    settings: CoreSettings,
    retry_first: bool,
    hub: HubRef,
}

impl Wrapper {
    /// How it ended, waiting for it.
    fn ended(&self, py: Python<'_>, timeout: Option<Seconds>) -> Result<Ended> {
        let hub = self.hub.get()?;
        let timeout = timeout.unwrap_or_default().0;
        let outcome = hub.changes.wait_aside(py, timeout, || known_outcome(hub))?;
        outcome.map(ended).ok_or_else(|| Error::Timeout.into())
    }

    /// How long leaving its block waits for what is on its way.
    fn patience(&self) -> Duration {
        Duration::from_millis(self.settings.ack_timeout_ms.unsigned_abs())
    }

    /// Waits until it is known how it ended, or the time is over, which is noted on the exception.
    fn await_ending(
        &self,
        py: Python<'_>,
        patience: Duration,
        raised: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let hub = self.hub.get()?;
        match hub.changes.wait_aside(py, Some(patience), || known_outcome(hub))? {
            Some(_) => Ok(()),
            None => note_untold(py, raised),
        }
    }

    /// Waits until nothing is left to be sent or acknowledged, or the wrapper is closed.
    fn drain(&self, py: Python<'_>, timeout: Duration) -> Result<()> {
        let hub = self.hub.get()?;
        let empty = || {
            let core = &hub.core;
            let over = core.state().as_str() == "closed";
            Ok((over || core.buffered() + core.unacknowledged() == 0).then_some(()))
        };
        hub.changes.wait_aside(py, Some(timeout), empty)?;
        Ok(())
    }

    fn send_text(
        &self,
        py: Python<'_>,
        event_type: &str,
        data: &str,
        options: SendOptions,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let hub = self.hub.get()?;
        let mut full = None;
        let attempt = || match guarded(|| hub.core.try_send(event_type, data, options)) {
            Err(Failure::Core(error @ Error::Full { .. })) => {
                full = Some(error);
                Ok(None)
            }
            other => other.map(Some),
        };
        match hub.changes.wait_aside(py, timeout, attempt)? {
            Some(()) => Ok(()),
            None => Err(full.unwrap_or(Error::Timeout).into()),
        }
    }
}

#[pymethods]
impl Wrapper {
    #[new]
    #[pyo3(
        signature = (url, *, session_id, execution_id, token = None, proxy = environment(), settings = None, retry_first = false, active = true),
        text_signature = "(url, *, session_id, execution_id, token=None, proxy='environment', settings=None, retry_first=False, active=True)"
    )]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn new(
        py: Python<'_>,
        url: Given<String>,
        session_id: Given<String>,
        execution_id: Given<String>,
        token: Option<Secret>,
        proxy: Secret,
        settings: Option<Settings>,
        retry_first: bool,
        active: bool,
    ) -> Result<Wrapper> {
        log::start(py)?;
        let settings = settings.unwrap_or_default().core;
        let (url, session_id, execution_id) = (url.0, session_id.0, execution_id.0);
        let options = WrapperOptions {
            url: url.clone(),
            session_id: session_id.clone(),
            execution_id: execution_id.clone(),
            token: token.map(|token| token.0),
            proxy: Proxy::parse(&proxy.0),
            settings: settings.clone(),
            retry_first,
            active,
        };
        let core = released(py, || Core::open(options))?;
        let hub = Arc::new(Owned::new(Hub::new(core)));
        Ok(Wrapper { url, session_id, execution_id, settings, retry_first, hub })
    }

    /// The server's base URL, as given.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// The session it belongs to.
    #[getter]
    fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The execution it sends for.
    #[getter]
    fn execution_id(&self) -> &str {
        &self.execution_id
    }

    /// Its settings.
    #[getter]
    fn settings(&self) -> Settings {
        Settings { core: self.settings.clone() }
    }

    /// `idle`, `connecting`, `connected`, `reconnecting` or `closed`.
    #[getter]
    fn state(&self) -> Result<&'static str> {
        Ok(self.hub.get()?.core.state().as_str())
    }

    /// Events not yet written to a link.
    #[getter]
    fn buffered(&self) -> Result<u64> {
        Ok(self.hub.get()?.core.buffered())
    }

    /// Events written and not yet acknowledged.
    #[getter]
    fn unacknowledged(&self) -> Result<u64> {
        Ok(self.hub.get()?.core.unacknowledged())
    }

    /// Connection attempts so far.
    #[getter]
    fn attempts(&self) -> Result<u64> {
        Ok(self.hub.get()?.core.attempts())
    }

    /// How often it came back after a disconnect (R41).
    #[getter]
    fn reconnects(&self) -> Result<u64> {
        Ok(self.hub.get()?.core.reconnects())
    }

    /// Waits for the connection, at most `timeout` seconds (a number or a `timedelta`; `None`: as
    /// long as it takes). Raises `Timeout` when the time is over, `Disconnected` when the wrapper
    /// gave up (R48), `Superseded` when another one took over, `Closed`.
    #[pyo3(signature = (timeout = None))]
    fn wait_connected(&self, py: Python<'_>, timeout: Option<Seconds>) -> Result<()> {
        let hub = self.hub.get()?;
        let timeout = timeout.unwrap_or_default().0;
        hub.changes.wait_aside(py, timeout, || connected(hub))?.ok_or_else(|| Error::Timeout.into())
    }

    /// Sends an event of the type `event_type`; `data` is anything that JSON can say, `raw_data`
    /// JSON text as it is. `timestamp` is the event's own time, an aware `datetime` or ms since the
    /// Unix epoch; default: now.
    ///
    /// Never loses silently (R40): what the coordinator would refuse raises `InvalidEvent`. When
    /// the buffer is full and the policy is to wait, it waits up to `send_timeout_ms`, then
    /// raises `Full`. A `droppable` event gives way first (R44). Once the run has ended, or the
    /// wrapper was closed, it raises `Closed`; `Disconnected` when the wrapper gave up, `Superseded`
    /// when another one took over. What ends the execution is never too large: it is cut (R40).
    #[pyo3(signature = (event_type, data = None, *, raw_data = None, droppable = false, timestamp = None))]
    fn send(
        &self,
        py: Python<'_>,
        event_type: Given<&str>,
        data: Option<&Bound<'_, PyAny>>,
        raw_data: Option<Given<&str>>,
        droppable: bool,
        timestamp: Option<Moment>,
    ) -> Result<()> {
        let options = options(droppable, timestamp);
        let timeout = Duration::from_millis(self.settings.send_timeout_ms.unsigned_abs());
        self.send_text(py, event_type.0, &payload(data, raw_data)?, options, Some(timeout))
    }

    /// The same as `send` (`event_type`, `data`, `raw_data`, `droppable`, `timestamp`) without ever
    /// waiting: raises `Full` at once.
    #[pyo3(signature = (event_type, data = None, *, raw_data = None, droppable = false, timestamp = None))]
    fn try_send(
        &self,
        py: Python<'_>,
        event_type: Given<&str>,
        data: Option<&Bound<'_, PyAny>>,
        raw_data: Option<Given<&str>>,
        droppable: bool,
        timestamp: Option<Moment>,
    ) -> Result<()> {
        let options = options(droppable, timestamp);
        let data = payload(data, raw_data)?;
        self.send_text(py, event_type.0, &data, options, Some(Duration::ZERO))
    }

    /// The run is complete: sends `complete`, drains, and returns how it ended once that is
    /// known (R46, R51). `exit_code` and `branch` are stored with it (R29). Raises `Timeout` when
    /// `timeout` seconds are over before, and the ending is under way all the same;
    /// `Disconnected`, `Superseded`, and `Closed` when it has ended already.
    #[pyo3(signature = (exit_code = 0, *, branch = None, timeout = None))]
    fn complete(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = given::taken)] exit_code: i64,
        branch: Option<Given<&str>>,
        timeout: Option<Seconds>,
    ) -> Result<Ended> {
        let hub = self.hub.get()?;
        guarded(|| hub.core.complete(exit_code, branch.map(|name| name.0)))?;
        self.ended(py, timeout)
    }

    /// The run failed: sends a fatal `error`, drains, and returns how it ended (R46). `exit_code`,
    /// where there is one, is stored with it (R29). Waits up to `timeout` seconds and raises as
    /// `complete` does.
    #[pyo3(signature = (error, *, exit_code = None, timeout = None))]
    fn fail(
        &self,
        py: Python<'_>,
        error: Said,
        exit_code: Option<Given<i64>>,
        timeout: Option<Seconds>,
    ) -> Result<Ended> {
        let hub = self.hub.get()?;
        guarded(|| hub.core.fail(&error.0, exit_code.map(|code| code.0)))?;
        self.ended(py, timeout)
    }

    /// The run was stopped: sends `interrupted`, drains, and returns how it ended (R46).
    /// `exit_code`, where there is one, is stored with it (R29). Waits up to `timeout` seconds and
    /// raises as `complete` does.
    #[pyo3(signature = (reason = None, *, exit_code = None, timeout = None))]
    fn interrupted(
        &self,
        py: Python<'_>,
        reason: Option<Said>,
        exit_code: Option<Given<i64>>,
        timeout: Option<Seconds>,
    ) -> Result<Ended> {
        let hub = self.hub.get()?;
        let reason = reason.as_ref().map(Said::as_str);
        guarded(|| hub.core.interrupted(reason, exit_code.map(|code| code.0)))?;
        self.ended(py, timeout)
    }

    /// Waits for how the execution ended, whoever ends it (R46), at most `timeout` seconds (a
    /// number or a `timedelta`; `None`: for ever). Raises `Timeout` when the time is over,
    /// `Disconnected` when the wrapper gave up, `Superseded` when another one took over, `Closed`.
    #[pyo3(signature = (timeout = None))]
    fn outcome(&self, py: Python<'_>, timeout: Option<Seconds>) -> Result<Ended> {
        self.ended(py, timeout)
    }

    /// Looks without waiting: `True` when it is connected, and raises as `wait_connected` does.
    /// When it is not connected yet `changes_fileno()` is made unreadable.
    fn poll_connected(&self) -> Result<bool> {
        let hub = self.hub.get()?;
        Ok(hub.changes.take(|| connected(hub))?.is_some())
    }

    /// Looks without waiting: how it ended, `None` while it has not, and raises as `outcome`
    /// does. When it has not ended `changes_fileno()` is made unreadable.
    fn poll_outcome(&self) -> Result<Option<Ended>> {
        let hub = self.hub.get()?;
        Ok(hub.changes.take(|| known_outcome(hub))?.map(ended))
    }

    /// A descriptor for event loops: readable when `poll_connected`, `poll_outcome` or `try_send`
    /// may have another answer.
    fn changes_fileno(&self) -> Result<RawFd> {
        self.hub.get()?.changes.fileno()
    }

    /// Begins a job for this execution (R49): `agent_session` is the agent's own session id, whose
    /// idleness ends the run; `tasks` names what `RunTask` shall ask for after it; `branch` goes
    /// into `complete` (R51). Raises `JobConflict` while another one is active.
    #[pyo3(signature = (*, agent_session = None, tasks = None, branch = None))]
    fn start_job(
        &self,
        agent_session: Option<Given<String>>,
        tasks: Option<Given<Vec<String>>>,
        branch: Option<Given<String>>,
    ) -> Result<()> {
        let hub = self.hub.get()?;
        let job = job(self.execution_id.clone(), agent_session, tasks, branch);
        guarded(|| hub.core.start_job(job))
    }

    /// A prompt goes to the agent: returns the message id for it (R49, R50).
    fn begin_turn(&self) -> Result<String> {
        let hub = self.hub.get()?;
        guarded(|| hub.core.begin_turn())
    }

    /// Hands over an event of the agent's own feed, in the `kilo` dialect: its type `event_type`
    /// and its `properties`, anything that JSON can say (R30, R53, R54).
    #[pyo3(signature = (event_type, properties = None))]
    fn agent_event(
        &self,
        event_type: Given<&str>,
        properties: Option<&Bound<'_, PyAny>>,
    ) -> Result<()> {
        let hub = self.hub.get()?;
        let properties = properties.map_or_else(|| Ok("{}".to_owned()), json::encode)?;
        guarded(|| hub.core.agent_event(event_type.0, &properties))
    }

    /// The run is idle: runs the tasks, completes, drains (R51). For hosts without a dialect.
    fn idle(&self) -> Result<()> {
        let hub = self.hub.get()?;
        guarded(|| {
            hub.core.idle();
            Ok(())
        })
    }

    /// A post-completion task that `RunTask` asked for has ended, well unless `ok` is false (R51).
    #[pyo3(signature = (name, ok = true))]
    fn task_done(&self, name: Given<&str>, ok: bool) -> Result<()> {
        let hub = self.hub.get()?;
        guarded(|| {
            hub.core.task_done(name.0, ok);
            Ok(())
        })
    }

    /// The agent was stopped, as `Kill` asked for (R52).
    fn aborted(&self) -> Result<()> {
        let hub = self.hub.get()?;
        guarded(|| {
            hub.core.aborted();
            Ok(())
        })
    }

    /// What the host has to know, as it comes: `Kill`, `Reconnecting`, `Reconnected`, `Ended`,
    /// `Replaced`, `Disconnected`, `RunTask`, `RestartFeed`, `Command`, `Drained`. Waits up to
    /// `timeout` seconds for each; ends after the last one, or quietly when none came.
    #[pyo3(signature = (timeout = None))]
    fn signals(&self, timeout: Option<Seconds>) -> Result<Signals> {
        self.hub.get()?;
        Ok(Signals::new(Arc::clone(&self.hub), timeout.unwrap_or_default()))
    }

    /// The next signal without waiting; `None`: nothing now, and `fileno()` is made unreadable.
    fn try_signal(&self, py: Python<'_>) -> Result<Option<Py<PyAny>>> {
        self.hub.get()?.try_signal()?.map(|told| python(py, told)).transpose()
    }

    /// A descriptor for event loops: readable from a signal until a take finds nothing.
    fn fileno(&self) -> Result<RawFd> {
        self.hub.get()?.bell.fileno()
    }

    /// For `stayline.aio`: whether there will be no more signals.
    fn _signals_are_over(&self) -> Result<bool> {
        Ok(self.hub.get()?.is_over())
    }

    /// For `stayline.aio`: a place to wait for signals.
    fn _waiting_for_signals(&self) -> Result<Waiting> {
        Waiting::at(&self.hub.get()?.bell)
    }

    /// For `stayline.aio`: a place to wait for the connection, for room and for the outcome.
    fn _waiting_for_changes(&self) -> Result<Waiting> {
        Waiting::at(&self.hub.get()?.changes)
    }

    /// For `stayline.aio`: whether entering it does not wait for the first connection.
    fn _retries_first(&self) -> bool {
        self.retry_first
    }

    /// For `stayline.aio`: ends the run of a block that an exception left (R51a). Returns for how
    /// many seconds its ending is to be waited for; `None`: as if there had been no exception.
    fn _raised(&self, py: Python<'_>, error: &Bound<'_, PyAny>) -> Result<Option<f64>> {
        let wait = tell_raised(py, self.hub.get()?, error, self.patience())?;
        Ok(wait.map(|wait| wait.as_secs_f64()))
    }

    /// Calls `callback(kill)` on a Python thread of its own for each `Kill` from now on.
    /// `signals` gives them all the same.
    fn on_kill(&self, py: Python<'_>, callback: Bound<'_, PyAny>) -> Result<()> {
        if !callback.is_callable() {
            return Err(Error::invalid("on_kill takes something that can be called").into());
        }
        let kills = Py::new(py, Kills::new(&self.hub)?)?;
        let _inside = Inside::calling(py);
        import::module(py, "stayline._threads")?.call_method1("start_kills", (kills, callback))?;
        Ok(())
    }

    /// Closes it and gives up what is unacknowledged; returns how many events that were (R42).
    fn close(&self, py: Python<'_>) -> Result<u64> {
        let hub = self.hub.get()?;
        released(py, || Ok(hub.core.close()))
    }

    fn __enter__<'py>(slf: PyRef<'py, Self>, py: Python<'py>) -> Result<PyRef<'py, Self>> {
        if !slf.retry_first {
            // Bounded by the machine: the first connection fails fast (R48).
            slf.wait_connected(py, None)?;
        }
        Ok(slf)
    }

    #[pyo3(signature = (kind, error, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let Some(hub) = self.hub.peek() else {
            return Ok(());
        };
        let raised = if error.is_none() { kind } else { error };
        let ending = match kind.is_none() {
            true => Ok(None),
            false => tell_raised(py, hub, raised, self.patience()),
        };
        let waited = match ending {
            Ok(None) => self.drain(py, self.patience()),
            Ok(Some(patience)) => self.await_ending(py, patience, raised),
            Err(failure) => Err(failure),
        };
        // Whatever became of the wait: Ctrl-C ends it, too.
        let closed = self.close(py).map(|_| ());
        match waited.and(closed) {
            // The exception of the block is what its caller has to see.
            Err(Failure::Core(_)) if !kind.is_none() => Ok(()),
            done => done,
        }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = self.hub.peek().map_or("of another process", |hub| hub.core.state().as_str());
        format!("<stayline.Wrapper of {}, {state}>", text::quoted(py, &self.execution_id))
    }
}

fn environment() -> Secret {
    Secret("environment".to_owned())
}

fn connected(hub: &Hub) -> Result<Option<()>> {
    if_known(guarded(|| hub.core.wait_connected(Some(Duration::ZERO))))
}

fn known_outcome(hub: &Hub) -> Result<Option<Outcome>> {
    if_known(guarded(|| hub.core.outcome(Some(Duration::ZERO))))
}

/// A wait of no time that timed out: not yet.
fn if_known<T>(looked: Result<T>) -> Result<Option<T>> {
    match looked {
        Err(Failure::Core(Error::Timeout)) => Ok(None),
        other => other.map(Some),
    }
}

fn options(droppable: bool, timestamp: Option<Moment>) -> SendOptions {
    SendOptions { droppable, timestamp: timestamp.map(|moment| moment.0) }
}

/// A job as the core takes it.
pub fn job(
    execution_id: String,
    agent_session: Option<Given<String>>,
    tasks: Option<Given<Vec<String>>>,
    branch: Option<Given<String>>,
) -> Job {
    Job {
        execution_id,
        agent_session: agent_session.map(|id| id.0),
        tasks: tasks.map(|tasks| tasks.0).unwrap_or_default(),
        branch: branch.map(|name| name.0),
    }
}

/// The data of an event as JSON text.
pub fn payload(data: Option<&Bound<'_, PyAny>>, raw_data: Option<Given<&str>>) -> Result<String> {
    match (data, raw_data) {
        (Some(_), Some(_)) => Err(Error::invalid("give data or raw_data, not both").into()),
        (None, None) => Ok("{}".to_owned()),
        (None, Some(raw)) => Ok(raw.0.to_owned()),
        (Some(data), None) => json::encode(data),
    }
}

fn ended(outcome: Outcome) -> Ended {
    match outcome {
        Outcome::Done { status, error, unacknowledged } => Ended {
            status: status.map(|status| status.as_str().to_owned()),
            error: error.map(|error| error.to_string()),
            unacknowledged,
        },
        // Everything was sent and nobody said how it ended; the other outcomes are errors.
        _ => Ended { status: None, error: None, unacknowledged: 0 },
    }
}
