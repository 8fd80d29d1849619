//! `stayline.sansio.Wrapper`: the wrapper's machine, for hosts with a transport of their own.

use pyo3::prelude::*;
use stayline::Error;
use stayline::lock::Mutex;
use stayline::protocol::Refusal;
use stayline::settings::Millis;
use stayline::wrapper::{Action, Outcome, Refused, SendOptions, Told, Wrapper as Core};

use crate::coordinator::status;
use crate::error::{Result, exception, guarded};
use crate::given::{self, Given, Said};
use crate::json;
use crate::settings::Settings;
use crate::signals::python;
use crate::text;
use crate::time::{Moment, Now};
use crate::values::{CloseAttempt, Connect, Write};
use crate::wrapper::{job, payload};

/// The machine itself, without sockets, threads or a clock; `now_ms` is the host's.
///
/// After every call empty `poll_action()`; at `next_deadline_ms()` call `handle_timeout`. It is
/// plain memory, so it works in a forked child too.
///
/// `now_ms` is the time in ms of any clock that only goes forward. `attempt` is the number that
/// came with `Connect`; what names an older one changes nothing (R42). `seed` makes jitter and
/// producer ids repeatable; without one they are random.
#[pyclass(frozen, module = "stayline.sansio", weakref)]
pub struct Wrapper {
    core: Mutex<Core>,
}

impl Wrapper {
    fn with<T>(&self, call: impl FnOnce(&mut Core) -> std::result::Result<T, Error>) -> Result<T> {
        guarded(|| call(&mut self.core.lock()))
    }

    fn tell(&self, call: impl FnOnce(&mut Core)) -> Result<()> {
        self.with(|core| {
            call(core);
            Ok(())
        })
    }
}

#[pymethods]
impl Wrapper {
    /// `seed` makes jitter and producer ids repeatable; without one they are random.
    #[new]
    #[pyo3(signature = (settings = None, *, seed = None))]
    fn new(
        py: Python<'_>,
        settings: Option<Settings>,
        seed: Option<Given<u128>>,
    ) -> Result<Wrapper> {
        let seed = match seed {
            Some(seed) => seed.0,
            None => {
                let bytes: [u8; 16] = py.import("os")?.call_method1("urandom", (16,))?.extract()?;
                u128::from_ne_bytes(bytes)
            }
        };
        let core = guarded(|| Core::new(settings.unwrap_or_default().core, seed))?;
        Ok(Wrapper { core: Mutex::new(core) })
    }

    /// Begins the first connection attempt for the execution `execution_id`. It fails fast (R48),
    /// unless `retry_first`.
    #[pyo3(signature = (execution_id, now_ms, *, retry_first = false))]
    fn open(&self, execution_id: Given<&str>, now_ms: Now, retry_first: bool) -> Result<()> {
        self.with(|core| match retry_first {
            true => core.open_retrying(execution_id.0, now_ms.0),
            false => core.open(execution_id.0, now_ms.0),
        })
    }

    /// The handshake of an attempt succeeded; `protocol` is what the answer granted.
    #[pyo3(signature = (attempt, protocol, now_ms))]
    fn handle_opened(
        &self,
        attempt: Given<u64>,
        protocol: Option<Given<u8>>,
        now_ms: Now,
    ) -> Result<()> {
        self.tell(|core| core.handle_opened(attempt.0, protocol.map(|number| number.0), now_ms.0))
    }

    /// An attempt failed (R46). When there was an answer, `http_status` is its status, `refusal`
    /// and `execution_status` the values of its headers `Stayline-Refusal` and `Stayline-Status`
    /// where they were there; `None` otherwise. `retry_after_ms`, its `Retry-After` in ms: the next
    /// attempt comes no sooner, as far as `reconnect_cap_ms` goes (R41). `detail` says in words what
    /// happened.
    #[pyo3(
        signature = (attempt, now_ms, *, http_status = None, refusal = None, execution_status = None, retry_after_ms = None, detail = Given("")),
        text_signature = "($self, attempt, now_ms, *, http_status=None, refusal=None, execution_status=None, retry_after_ms=None, detail='')"
    )]
    #[allow(clippy::too_many_arguments)] // keyword arguments in Python
    fn handle_refused(
        &self,
        attempt: Given<u64>,
        now_ms: Now,
        http_status: Option<Given<u16>>,
        refusal: Option<Given<&str>>,
        execution_status: Option<Given<&str>>,
        retry_after_ms: Option<Given<i64>>,
        detail: Given<&str>,
    ) -> Result<()> {
        let refused = Refused {
            status: http_status.map(|status| status.0),
            // One that this version does not know counts as none.
            refusal: refusal.and_then(|name| Refusal::parse(name.0)),
            execution_status: execution_status.map(|name| status(name.0)).transpose()?,
            retry_after_ms: retry_after_ms.map(|wait| wait.0),
            detail: detail.0.into(),
        };
        self.tell(|core| core.handle_refused(attempt.0, refused, now_ms.0))
    }

    /// An attempt's connection is closed, with this WebSocket close `code` and reason (R41).
    #[pyo3(signature = (attempt, code, reason, now_ms))]
    fn handle_closed(
        &self,
        attempt: Given<u64>,
        code: Given<u16>,
        reason: Said,
        now_ms: Now,
    ) -> Result<()> {
        self.tell(|core| core.handle_closed(attempt.0, code.0, &reason.0, now_ms.0))
    }

    /// A text frame came from the coordinator.
    fn handle_frame(&self, attempt: Given<u64>, text: Given<&str>, now_ms: Now) -> Result<()> {
        self.tell(|core| core.handle_frame(attempt.0, text.0, now_ms.0))
    }

    /// Does everything that is due at `now_ms`.
    fn handle_timeout(&self, now_ms: Now) -> Result<()> {
        self.tell(|core| core.handle_timeout(now_ms.0))
    }

    /// Sends an event of the type `event_type`; `data`, `raw_data`, `droppable` and `timestamp` as
    /// for `stayline.Wrapper.send` (R40). Raises `Full` at once when the policy is to wait: call
    /// again once `has_room`.
    #[pyo3(signature = (event_type, data = None, *, now_ms, raw_data = None, droppable = false, timestamp = None))]
    fn send(
        &self,
        event_type: Given<&str>,
        data: Option<&Bound<'_, PyAny>>,
        now_ms: Now,
        raw_data: Option<Given<&str>>,
        droppable: bool,
        timestamp: Option<Moment>,
    ) -> Result<()> {
        let data = payload(data, raw_data)?;
        let options = SendOptions { droppable, timestamp: timestamp.map(|moment| moment.0) };
        self.with(|core| core.send(event_type.0, &data, options, now_ms.0))
    }

    /// Whether `send` would be taken now.
    #[getter]
    fn has_room(&self) -> bool {
        self.core.lock().has_room()
    }

    /// The run is complete: `complete` is sent with `exit_code` and `branch`, then it drains (R51).
    /// Raises `Closed` when it has ended before.
    #[pyo3(signature = (exit_code = 0, *, now_ms, branch = None))]
    fn complete(
        &self,
        #[pyo3(from_py_with = given::taken)] exit_code: i64,
        now_ms: Now,
        branch: Option<Given<&str>>,
    ) -> Result<()> {
        self.with(|core| core.complete(exit_code, branch.map(|name| name.0), now_ms.0))
    }

    /// The run failed: a fatal `error` is sent, with `exit_code` where there is one, then it drains
    /// (R29, R51).
    #[pyo3(signature = (error, *, now_ms, exit_code = None))]
    fn fail(&self, error: Said, now_ms: Now, exit_code: Option<Given<i64>>) -> Result<()> {
        self.with(|core| core.fail(&error.0, exit_code.map(|code| code.0), now_ms.0))
    }

    /// The run was stopped: `interrupted` is sent, with `exit_code` where there is one, then it
    /// drains (R29, R51).
    #[pyo3(signature = (reason = None, *, now_ms, exit_code = None))]
    fn interrupted(
        &self,
        reason: Option<Said>,
        now_ms: Now,
        exit_code: Option<Given<i64>>,
    ) -> Result<()> {
        let reason = reason.as_ref().map(Said::as_str);
        self.with(|core| core.interrupted(reason, exit_code.map(|code| code.0), now_ms.0))
    }

    /// For `stayline.testing`: the code that has the run in its hands raised (R51a).
    fn _raised(
        &self,
        what: Said,
        stopped: bool,
        exit_code: Option<i64>,
        now_ms: Now,
    ) -> Result<()> {
        self.with(|core| core.raised(&what.0, stopped, exit_code, now_ms.0))
    }

    /// The host closes; returns how many unacknowledged events are given up (R42).
    fn close(&self, now_ms: Now) -> Result<u64> {
        self.with(|core| Ok(core.close(now_ms.0)))
    }

    /// Begins a job for `execution_id` (R49); `agent_session`, `tasks` and `branch` as for
    /// `stayline.Wrapper.start_job`. Raises `JobConflict` while another one is active.
    #[pyo3(signature = (execution_id, *, now_ms, agent_session = None, tasks = None, branch = None))]
    fn start_job(
        &self,
        execution_id: Given<String>,
        now_ms: Now,
        agent_session: Option<Given<String>>,
        tasks: Option<Given<Vec<String>>>,
        branch: Option<Given<String>>,
    ) -> Result<()> {
        let job = job(execution_id.0, agent_session, tasks, branch);
        self.with(|core| core.start_job(job, now_ms.0))
    }

    /// A prompt goes to the agent: returns the message id for it (R49, R50).
    fn begin_turn(&self, now_ms: Now) -> Result<String> {
        self.with(|core| core.begin_turn(now_ms.0))
    }

    /// An event of the agent's own feed, in the `kilo` dialect: its type `event_type` and its
    /// `properties`, anything that JSON can say (R30, R53, R54).
    #[pyo3(signature = (event_type, properties = None, *, now_ms))]
    fn handle_agent_event(
        &self,
        event_type: Given<&str>,
        properties: Option<&Bound<'_, PyAny>>,
        now_ms: Now,
    ) -> Result<()> {
        let properties = properties.map_or_else(|| Ok("{}".to_owned()), json::encode)?;
        self.with(|core| core.handle_agent_event(event_type.0, &properties, now_ms.0))
    }

    /// The run is idle, for hosts without a dialect (R51).
    fn handle_idle(&self, now_ms: Now) -> Result<()> {
        self.tell(|core| core.handle_idle(now_ms.0))
    }

    /// A post-completion task that `RunTask` asked for has ended, well unless `ok` is false (R51).
    #[pyo3(signature = (name, ok = true, *, now_ms))]
    fn handle_task_done(&self, name: Given<&str>, ok: bool, now_ms: Now) -> Result<()> {
        self.tell(|core| core.handle_task_done(name.0, ok, now_ms.0))
    }

    /// The agent was stopped, as `Kill` asked for (R52).
    fn handle_aborted(&self, now_ms: Now) -> Result<()> {
        self.tell(|core| core.handle_aborted(now_ms.0))
    }

    /// The next thing to do: `Connect`, `Write`, `CloseAttempt`, or a signal for the host.
    fn poll_action(&self, py: Python<'_>) -> Result<Option<Py<PyAny>>> {
        let action = self.with(|core| Ok(core.poll_action()))?;
        action.map(|action| python_action(py, action)).transpose()
    }

    /// When `handle_timeout` is due next, in ms of the clock that `now_ms` is of; `None`: never.
    fn next_deadline_ms(&self) -> Option<Millis> {
        self.core.lock().next_deadline()
    }

    /// `idle`, `connecting`, `connected`, `reconnecting` or `closed`.
    #[getter]
    fn state(&self) -> &'static str {
        self.core.lock().state().as_str()
    }

    /// Events not yet written.
    #[getter]
    fn buffered(&self) -> u64 {
        self.core.lock().buffered()
    }

    /// Events written and not acknowledged.
    #[getter]
    fn unacknowledged(&self) -> u64 {
        self.core.lock().unacknowledged()
    }

    /// Connection attempts so far.
    #[getter]
    fn attempts(&self) -> u64 {
        self.core.lock().attempts()
    }

    /// The producer's id (R45a).
    #[getter]
    fn producer(&self) -> Option<String> {
        self.core.lock().producer().map(str::to_owned)
    }

    /// How it ended, once that is known: `Ended`, `Drained`, `Replaced`, `Disconnected`, or
    /// `Closed` when the host closed it.
    #[getter]
    fn outcome(&self, py: Python<'_>) -> Result<Option<Py<PyAny>>> {
        let outcome = self.core.lock().outcome().cloned();
        outcome.map(|outcome| python_outcome(py, outcome)).transpose()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let core = self.core.lock();
        format!(
            "<stayline.sansio.Wrapper {}, attempts={}, producer={}>",
            core.state().as_str(),
            core.attempts(),
            text::optional(py, core.producer()),
        )
    }
}

fn python_outcome(py: Python<'_>, outcome: Outcome) -> Result<Py<PyAny>> {
    let told = match outcome {
        Outcome::Done { status, error, unacknowledged } => {
            Told::ExecutionDone { status, error, unacknowledged }
        }
        Outcome::Drained => Told::Drained,
        Outcome::Replaced => Told::Replaced,
        Outcome::Disconnected { reason } => Told::Disconnected { reason },
        closed @ Outcome::Closed { .. } => {
            return Ok(exception(py, &closed.as_error())?.into_value(py).into_any());
        }
    };
    python(py, told)
}

fn python_action(py: Python<'_>, action: Action) -> Result<Py<PyAny>> {
    Ok(match action {
        Action::Connect {
            attempt,
            execution_id,
            protocol,
            producer,
            dial_timeout_ms,
            upgrade_timeout_ms,
        } => {
            let connect = Connect {
                attempt,
                execution_id: execution_id.to_string(),
                protocol,
                producer: producer.map(|producer| producer.to_string()),
                dial_timeout_ms,
                upgrade_timeout_ms,
            };
            Py::new(py, connect)?.into_any()
        }
        Action::Write { attempt, text } => {
            Py::new(py, Write { attempt, text: text.to_string() })?.into_any()
        }
        Action::Close { attempt, code, reason } => {
            Py::new(py, CloseAttempt { attempt, code, reason: reason.to_string() })?.into_any()
        }
        Action::Tell(told) => python(py, told)?,
    })
}
