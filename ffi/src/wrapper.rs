//! A wrapper with its socket.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::Value;
use stayline::Error;
use stayline::lock::Mutex;
use stayline::net::client::{Wrapper, WrapperOptions};
use stayline::session::records::Status;
use stayline::wake::Wake;
use stayline::wrapper::{Job, Outcome, SendOptions, State, Told};

use crate::bell::Bell;
use crate::boundary::{self, Guard, Object, object, required};
use crate::callback::Callback;
use crate::clock::STAYLINE_NONE;
use crate::error::{Failure, OutError, stayline_status};
use crate::execution;
use crate::settings::{self, stayline_settings};
use crate::signal::{self, stayline_signal};
use crate::structs::{self, Versioned, versioned};
use crate::text::{stayline_buffer, stayline_view};

/// The side next to the agent, with its socket: it connects, reconnects, buffers and resends by
/// itself. Any thread may use it.
pub struct stayline_wrapper(boundary::Handle<Arc<Hub>>);
object!(stayline_wrapper, "wrapper", Arc<Hub>);

/// What stands behind a wrapper.
pub(crate) struct Hub {
    core: Wrapper,
    settings: stayline::Settings,
    url: String,
    session_id: String,
    execution_id: String,
    /// Rung when there may be a signal.
    bell: Arc<Bell>,
    /// Rung when it may be connected, have room, have sent all, or have ended.
    changes: Arc<Bell>,
    queues: Mutex<Queues>,
}

#[derive(Default)]
struct Queues {
    signals: VecDeque<Told>,
    /// `None` until somebody wants them.
    kills: Option<VecDeque<i32>>,
    /// The core has told the last one.
    over: bool,
}

/// Signals kept for a host that takes none, since it only has a kill callback.
const SIGNALS_KEPT: usize = 1_024;

impl Queues {
    /// When there is no room, one that a later one makes pointless goes, as in the core.
    fn keep(&mut self, told: Told) {
        if self.signals.len() >= SIGNALS_KEPT {
            let pointless = |told: &Told| {
                matches!(told, Told::Reconnecting(_) | Told::Reconnected | Told::Command(_))
            };
            if let Some(at) = self.signals.iter().position(pointless) {
                self.signals.remove(at);
            }
        }
        self.signals.push_back(told);
    }
}

impl Hub {
    /// Moves what the core has told into the queues of those who want it.
    fn sort(&self) -> Result<(), Failure> {
        let mut sorted = false;
        loop {
            // Under the lock, so that two threads keep the order.
            let mut queues = self.queues.lock();
            match self.core.try_signal() {
                Ok(Some(told)) => {
                    if let (Told::Abort { signal }, Some(kills)) = (&told, &mut queues.kills) {
                        kills.push_back(signal::number_of(*signal));
                    }
                    queues.keep(told);
                    sorted = true;
                }
                Ok(None) => break,
                Err(Error::Closed) => {
                    sorted |= !std::mem::replace(&mut queues.over, true);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if sorted {
            self.bell.wake();
        }
        Ok(())
    }

    /// The next signal; `Some(None)`: there will be no more.
    fn signal(&self) -> Result<Option<Option<Told>>, Failure> {
        self.sort()?;
        let mut queues = self.queues.lock();
        let told = queues.signals.pop_front();
        Ok(if told.is_none() && !queues.over { None } else { Some(told) })
    }

    /// Waits for a change. Only who does not wait is an event loop, which looks at everything when
    /// the descriptor is readable; others must not make it unreadable for it.
    fn wait_for_change<T>(
        &self,
        timeout_ms: i64,
        look: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        match timeout_ms {
            0 => self.changes.wait(timeout_ms, look),
            _ => self.changes.wait_aside(timeout_ms, look),
        }
    }

    /// The next kill; `Some(None)`: there will be no more.
    fn kill(&self) -> Result<Option<Option<i32>>, Failure> {
        self.sort()?;
        let mut queues = self.queues.lock();
        let kill = queues.kills.as_mut().and_then(VecDeque::pop_front);
        Ok(if kill.is_none() && !queues.over { None } else { Some(kill) })
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // Whoever waits for kills sees that there is no wrapper any more.
        self.bell.wake();
    }
}

/// Where a wrapper connects to, as whom, and how it behaves. Begin with
/// `stayline_wrapper_options_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_wrapper_options<'a> {
    /// `sizeof(stayline_wrapper_options)`.
    pub struct_size: usize,
    /// The server's base address: `http://`, `https://`, `ws://` or `wss://`.
    pub url: stayline_view,
    /// The session.
    pub session_id: stayline_view,
    /// The execution.
    pub execution_id: stayline_view,
    /// The execution's token, or whatever the server's host asks for; may be none.
    pub token: stayline_view,
    /// Every bound and delay, copied; NULL: the defaults.
    pub settings: Option<&'a stayline_settings>,
    /// The first connection is retried like later ones (R48); default: it fails fast.
    pub retry_first: bool,
    /// The run is active from the beginning (default): a kill is told to the host, which stops the
    /// agent and answers with `stayline_wrapper_aborted` (R52). Hosts that give jobs and turns
    /// themselves switch it off.
    pub active: bool,
}

// SAFETY: as the macro `versioned` says; a lifetime keeps it from being used here.
unsafe impl Versioned for stayline_wrapper_options<'_> {
    const NAME: &'static str = "stayline_wrapper_options";
    const DEFAULT: Self = stayline_wrapper_options {
        struct_size: size_of::<stayline_wrapper_options<'_>>(),
        url: stayline_view::NONE,
        session_id: stayline_view::NONE,
        execution_id: stayline_view::NONE,
        token: stayline_view::NONE,
        settings: None,
        retry_first: false,
        active: true,
    };
}

/// The defaults of `stayline_wrapper_open`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_options_default() -> stayline_wrapper_options<'static> {
    Versioned::DEFAULT
}

/// Begins the first connection attempt and returns at once.
///
/// - `out_wrapper`: yours; free it with `stayline_wrapper_free`.
///
/// Returns:
/// - `OK`
/// - `INVALID_ARGUMENT`: an address that is none; no session or execution id.
/// - `INVALID_SETTINGS`: settings that contradict each other (R24).
/// - `FORK_ERROR`: settings of the process that this one was forked from.
/// - `LIMIT_EXCEEDED`: no thread can be made.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_open(
    options: *const stayline_wrapper_options<'_>,
    out_wrapper: Option<&mut MaybeUninit<Option<Box<stayline_wrapper>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_wrapper = required(out_wrapper, "out_wrapper");
    boundary::run(out_error, || {
        let out_wrapper = out_wrapper?;
        let options = structs::read(options)?;
        let settings = settings::copied(options.settings)?;
        let url = options.url.text("url")?.to_owned();
        let session_id = options.session_id.text("session_id")?.to_owned();
        let execution_id = options.execution_id.text("execution_id")?.to_owned();
        let core = Wrapper::open(WrapperOptions {
            url: url.clone(),
            session_id: session_id.clone(),
            execution_id: execution_id.clone(),
            token: options.token.optional("token")?.map(str::to_owned),
            settings: settings.clone(),
            retry_first: options.retry_first,
            active: options.active,
        })?;
        let (bell, changes) = (Bell::new(), Bell::new());
        core.set_waker(Some(bell.waker()));
        core.set_change_waker(Some(changes.waker()));
        let queues = Mutex::default();
        let hub = Hub { core, settings, url, session_id, execution_id, bell, changes, queues };
        out_wrapper.set(Some(stayline_wrapper::boxed(&Guard::new(), Arc::new(hub))));
        Ok(())
    })
}

/// The server's base address; it lives as long as the wrapper. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_url(wrapper: Option<&stayline_wrapper>) -> stayline_view {
    boundary::look(wrapper, stayline_view::NONE, |hub| stayline_view::of(&hub.url))
}

/// Its session; it lives as long as the wrapper. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_session_id(wrapper: Option<&stayline_wrapper>) -> stayline_view {
    boundary::look(wrapper, stayline_view::NONE, |hub| stayline_view::of(&hub.session_id))
}

/// Its execution; it lives as long as the wrapper. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_execution_id(
    wrapper: Option<&stayline_wrapper>,
) -> stayline_view {
    boundary::look(wrapper, stayline_view::NONE, |hub| stayline_view::of(&hub.execution_id))
}

/// A copy of its settings.
///
/// - `out_settings`: yours; free it with `stayline_settings_free`.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_settings(
    wrapper: Option<&stayline_wrapper>,
    out_settings: Option<&mut MaybeUninit<Option<Box<stayline_settings>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_settings = required(out_settings, "out_settings");
    boundary::on(wrapper, out_error, |hub| {
        let out_settings = out_settings?;
        out_settings.set(Some(settings::boxed(hub.settings.clone())));
        Ok(())
    })
}

/// Waits until it is connected.
///
/// - `timeout_ms`: 0: does not wait, below 0: for ever. The first connection fails fast by itself
///   unless `retry_first` is set (R48).
///
/// Returns:
/// - `OK`
/// - `TIMEOUT`: it is not, yet.
/// - `DISCONNECTED`: it gave up; the field `reason` says why.
/// - `SUPERSEDED`: another wrapper took over.
/// - `CLOSED`: it was closed, also while this call waited; or the execution has ended.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_wait_connected(
    wrapper: Option<&stayline_wrapper>,
    timeout_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        let look = || if_known(hub.core.wait_connected(Some(Duration::ZERO)));
        Ok(hub.wait_for_change(timeout_ms, look)?.ok_or(Error::Timeout)?)
    })
}

/// How an event is to be sent. Begin with `stayline_send_options_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_send_options {
    /// `sizeof(stayline_send_options)`.
    pub struct_size: usize,
    /// It may give way when the buffer is full, before any other kind does (R44).
    pub droppable: bool,
    /// When it happened, ms since the Unix epoch; `STAYLINE_NONE`: now.
    pub timestamp_ms: i64,
}
versioned!(stayline_send_options { droppable: false, timestamp_ms: STAYLINE_NONE });

/// The defaults of `stayline_wrapper_send`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_send_options_default() -> stayline_send_options {
    Versioned::DEFAULT
}

/// Reads send options; NULL for the defaults.
pub(crate) fn send_options(options: *const stayline_send_options) -> Result<SendOptions, Error> {
    let options = structs::read(options)?;
    let timestamp = (options.timestamp_ms != STAYLINE_NONE).then_some(options.timestamp_ms);
    Ok(SendOptions { droppable: options.droppable, timestamp })
}

/// Sends an event. Where the overflow policy waits, it waits for room up to `send_timeout_ms`
/// (R44).
///
/// - `event_type`: not empty.
/// - `data`: JSON; none: `{}`.
/// - `options`: NULL for the defaults.
///
/// Returns:
/// - `OK`: it is written, or kept until it can be.
/// - `INVALID_EVENT`: the other side would refuse it (R40); nothing is sent.
/// - `FULL`: no room in time; nothing is sent.
/// - `CLOSED`: after the end.
///
/// Threads: any; events keep the order of calls that follow one another.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_send(
    wrapper: *mut stayline_wrapper,
    event_type: stayline_view,
    data: stayline_view,
    options: *const stayline_send_options,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        let (event_type, data) = (event_type.text("event_type")?, data.optional("data")?);
        Ok(hub.core.send(event_type, data.unwrap_or("{}"), send_options(options)?)?)
    })
}

/// As `stayline_wrapper_send`, but never waits: `FULL` at once.
///
/// Returns as `stayline_wrapper_send`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_try_send(
    wrapper: *mut stayline_wrapper,
    event_type: stayline_view,
    data: stayline_view,
    options: *const stayline_send_options,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        let (event_type, data) = (event_type.text("event_type")?, data.optional("data")?);
        Ok(hub.core.try_send(event_type, data.unwrap_or("{}"), send_options(options)?)?)
    })
}

/// The run has ended: sends `complete`, drains and closes (R51). `stayline_wrapper_outcome` tells
/// when that is done.
///
/// - `branch`: may be none.
///
/// Returns `OK`, `INVALID_EVENT` for a text that is too large, or `CLOSED` after the end. Threads:
/// any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_complete(
    wrapper: *mut stayline_wrapper,
    exit_code: i64,
    branch: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        Ok(hub.core.complete(exit_code, branch.optional("branch")?)?)
    })
}

/// The run has failed: sends a fatal `error`, drains and closes.
///
/// - `error`: what the execution's error becomes.
///
/// Returns `OK`, `INVALID_EVENT` for a text that is too large, or `CLOSED` after the end. Threads:
/// any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_fail(
    wrapper: *mut stayline_wrapper,
    error: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| Ok(hub.core.fail(error.text("error")?)?))
}

/// The run was stopped: sends `interrupted`, drains and closes.
///
/// - `reason`: may be none.
///
/// Returns `OK`, `INVALID_EVENT` for a text that is too large, or `CLOSED` after the end. Threads:
/// any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_interrupted(
    wrapper: *mut stayline_wrapper,
    reason: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| Ok(hub.core.interrupted(reason.optional("reason")?)?))
}

/// How it ended. Set `struct_size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_outcome {
    /// `sizeof(stayline_outcome)`.
    pub struct_size: usize,
    /// A `stayline_execution_status`; 0: everything was sent, and nobody said how it ended.
    pub status: i32,
    /// Events that were not acknowledged and are discarded.
    pub unacknowledged: u64,
}
versioned!(stayline_outcome { status: 0, unacknowledged: 0 });

/// Waits until it is known how it ended (R46).
///
/// - `timeout_ms`: 0: does not wait, below 0: for ever.
/// - `out_outcome`: may be NULL; with its `struct_size` set.
/// - `out_error_text`: may be NULL. Why, for failed and interrupted executions; yours, free it
///   with `stayline_buffer_free`.
///
/// Returns:
/// - `OK`
/// - `TIMEOUT`: it is not known yet.
/// - `DISCONNECTED`: the wrapper gave up; the field `reason` says why.
/// - `SUPERSEDED`: another wrapper took over.
/// - `CLOSED`: it was closed, also while this call waited.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_outcome(
    wrapper: Option<&stayline_wrapper>,
    timeout_ms: i64,
    out_outcome: *mut stayline_outcome,
    mut out_error_text: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_error_text);
    boundary::on(wrapper, out_error, |hub| {
        structs::check_optional(out_outcome)?;
        let look = || if_known(hub.core.outcome(Some(Duration::ZERO)));
        let outcome = hub.wait_for_change(timeout_ms, look)?.ok_or(Error::Timeout)?;
        let (status, error, unacknowledged) = match outcome {
            Outcome::Done { status, error, unacknowledged } => (status, error, unacknowledged),
            // Everything was sent and nobody said how it ended; the other outcomes are errors.
            _ => (None, None, 0),
        };
        write_outcome(out_outcome, out_error_text, status, error, unacknowledged)
    })
}

/// Writes what is known of an end to where it is wanted.
pub(crate) fn write_outcome(
    out_outcome: *mut stayline_outcome,
    out_error_text: Option<&mut MaybeUninit<stayline_buffer>>,
    status: Option<Status>,
    error: Option<Arc<str>>,
    unacknowledged: u64,
) -> boundary::Done {
    if !out_outcome.is_null() {
        let status = execution::number_of(status);
        let outcome = stayline_outcome { status, unacknowledged, ..Versioned::DEFAULT };
        structs::write(out_outcome, &outcome)?;
    }
    if let Some(out_error_text) = out_error_text {
        out_error_text.write(stayline_buffer::maybe(error.as_deref())?);
    }
    Ok(())
}

/// A file descriptor for event loops: readable when `stayline_wrapper_wait_connected`,
/// `stayline_wrapper_outcome` or `stayline_wrapper_try_send` may answer otherwise than before;
/// the former two with a timeout of 0 make it unreadable when they have nothing to say.
///
/// - `out_fd`: borrowed; it lives as long as the wrapper. Never read from it or close it.
///
/// Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_changes_fd(
    wrapper: Option<&stayline_wrapper>,
    out_fd: Option<&mut MaybeUninit<c_int>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_fd = required(out_fd, "out_fd");
    boundary::on(wrapper, out_error, |hub| {
        let out_fd = out_fd?;
        out_fd.set(hub.changes.descriptor()?);
        Ok(())
    })
}

/// A job of the agent. Begin with `stayline_job_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_job {
    /// `sizeof(stayline_job)`.
    pub struct_size: usize,
    /// The execution it belongs to; a driven wrapper takes its own where there is none here.
    pub execution_id: stayline_view,
    /// The agent's root session, where it is known: only its idle ends the run (R51).
    pub agent_session: stayline_view,
    /// The post-completion tasks, run one after the other when the run is idle (R51).
    pub tasks: *const stayline_view,
    /// How many.
    pub tasks_count: usize,
    /// The branch that `complete` names; may be none.
    pub branch: stayline_view,
}
versioned!(stayline_job {
    execution_id: stayline_view::NONE,
    agent_session: stayline_view::NONE,
    tasks: std::ptr::null(),
    tasks_count: 0,
    branch: stayline_view::NONE,
});

/// A job without anything. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_job_default() -> stayline_job {
    Versioned::DEFAULT
}

/// Reads a job; NULL for one without anything.
pub(crate) fn job(job: *const stayline_job, own: Option<&str>) -> Result<Job, Error> {
    let job = structs::read(job)?;
    let given = job.execution_id.optional("execution_id")?;
    let execution_id = given.or(own).ok_or_else(|| Error::invalid("execution_id is NULL"))?;
    let tasks = structs::texts(job.tasks, job.tasks_count, "tasks")?;
    Ok(Job {
        execution_id: execution_id.to_owned(),
        agent_session: job.agent_session.optional("agent_session")?.map(str::to_owned),
        tasks: tasks.into_iter().map(str::to_owned).collect(),
        branch: job.branch.optional("branch")?.map(str::to_owned),
    })
}

/// A job begins (R49); for wrappers that were opened without `active`.
///
/// - `job`: NULL for one without anything.
///
/// Returns `OK`, `INVALID_ARGUMENT`, or `JOB_CONFLICT` while another is active. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_start_job(
    wrapper: *mut stayline_wrapper,
    job: *const stayline_job,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        Ok(hub.core.start_job(self::job(job, Some(&hub.execution_id))?)?)
    })
}

/// A prompt goes to the agent: the run is active until it is idle (R49).
///
/// - `out_message_id`: may be NULL. R50; yours, free it with `stayline_buffer_free`.
///
/// Returns `OK`, `INVALID_ARGUMENT` without a job and while the run is stopping, or `CLOSED` after
/// the end. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_begin_turn(
    wrapper: *mut stayline_wrapper,
    mut out_message_id: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_message_id);
    boundary::on(wrapper, out_error, |hub| {
        let message_id = hub.core.begin_turn()?;
        if let Some(out_message_id) = out_message_id {
            out_message_id.write(stayline_buffer::of(&message_id)?);
        }
        Ok(())
    })
}

/// An event of the agent itself, for the `kilo` dialect (R51, R53, R54).
///
/// - `event_type`: the agent's word.
/// - `properties`: JSON; none: `{}`.
///
/// Returns `OK`, also after the end, when it means nothing any more; `INVALID_ARGUMENT` for
/// properties that are no JSON; `INVALID_EVENT`; or `FULL`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_agent_event(
    wrapper: *mut stayline_wrapper,
    event_type: stayline_view,
    properties: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        let properties = self::properties(&properties)?;
        Ok(hub.core.agent_event(event_type.text("event_type")?, &properties)?)
    })
}

/// Reads an agent event's properties.
pub(crate) fn properties(text: &stayline_view) -> Result<Value, Error> {
    serde_json::from_str(text.optional("properties")?.unwrap_or("{}"))
        .map_err(|error| Error::invalid(format!("the properties are no JSON: {error}")))
}

/// The run is idle (R51): tasks run, `complete` goes out, it drains and closes. For hosts without
/// a dialect.
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_idle(
    wrapper: *mut stayline_wrapper,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        hub.core.idle();
        Ok(())
    })
}

/// A post-completion task has ended (R51).
///
/// - `name`: as the signal `TASK` gave it.
/// - `ok`: `false`: it failed, which becomes a non-fatal `error` event.
///
/// Returns `OK`, or `INVALID_ARGUMENT`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_task_done(
    wrapper: *mut stayline_wrapper,
    name: stayline_view,
    ok: bool,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        hub.core.task_done(name.text("name")?, ok);
        Ok(())
    })
}

/// What the signal `ABORT` asked for is done: the agent has stopped (R52).
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_aborted(
    wrapper: *mut stayline_wrapper,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        hub.core.aborted();
        Ok(())
    })
}

/// Where a wrapper's connection stands.
#[repr(i32)]
pub enum stayline_wrapper_state {
    /// Never opened.
    Idle = 0,
    /// The first attempt is under way; in acknowledged mode until its `welcome`.
    Connecting = 1,
    /// Events go out.
    Connected = 2,
    /// The link broke; waiting for the next attempt, or making it.
    Reconnecting = 3,
    /// Over.
    Closed = 4,
}

/// The number of a state.
pub(crate) fn state_number(state: State) -> i32 {
    (match state {
        State::Idle => stayline_wrapper_state::Idle,
        State::Connecting => stayline_wrapper_state::Connecting,
        State::Connected => stayline_wrapper_state::Connected,
        State::Reconnecting => stayline_wrapper_state::Reconnecting,
        State::Closed => stayline_wrapper_state::Closed,
    }) as i32
}

/// The name of a state, as in every language: `reconnecting`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_state_name(state: i32) -> stayline_view {
    let all =
        [State::Idle, State::Connecting, State::Connected, State::Reconnecting, State::Closed];
    let found = all.into_iter().find(|one| state_number(*one) == state);
    stayline_view::maybe(found.map(State::as_str))
}

/// Where its connection stands: a `stayline_wrapper_state`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_state_get(wrapper: Option<&stayline_wrapper>) -> i32 {
    boundary::look(wrapper, stayline_wrapper_state::Closed as i32, |hub| {
        state_number(hub.core.state())
    })
}

/// Events not written yet. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_buffered(wrapper: Option<&stayline_wrapper>) -> u64 {
    boundary::look(wrapper, 0, |hub| hub.core.buffered())
}

/// Events written and not acknowledged yet; 0 in basic mode. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_unacknowledged(wrapper: Option<&stayline_wrapper>) -> u64 {
    boundary::look(wrapper, 0, |hub| hub.core.unacknowledged())
}

/// Connection attempts so far. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_attempts(wrapper: Option<&stayline_wrapper>) -> u64 {
    boundary::look(wrapper, 0, |hub| hub.core.attempts())
}

/// Times it came back. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_reconnects(wrapper: Option<&stayline_wrapper>) -> u64 {
    boundary::look(wrapper, 0, |hub| hub.core.reconnects())
}

/// The next thing that the wrapper tells.
///
/// - `timeout_ms`: how long to wait; 0: not at all, below 0: for ever.
/// - `out_signal`: yours; free it with `stayline_signal_free`. NULL: none in time, or there will
///   be no more, which `stayline_wrapper_is_finished` says.
///
/// Returns `OK`. Threads: any; each signal goes to one of those that take.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_next_signal(
    wrapper: *mut stayline_wrapper,
    timeout_ms: i64,
    out_signal: Option<&mut MaybeUninit<Option<Box<stayline_signal>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_signal = required(out_signal, "out_signal");
    boundary::on(wrapper, out_error, |hub| {
        let out_signal = out_signal?;
        let told = hub.bell.wait(timeout_ms, || hub.signal())?.flatten();
        out_signal.set(told.map(|told| Box::new(stayline_signal::of(told))));
        Ok(())
    })
}

/// A file descriptor for event loops: readable from a signal until a take with a timeout of 0
/// finds none, and for ever after the last.
///
/// - `out_fd`: borrowed; it lives as long as the wrapper. Never read from it or close it.
///
/// Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_fd(
    wrapper: Option<&stayline_wrapper>,
    out_fd: Option<&mut MaybeUninit<c_int>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_fd = required(out_fd, "out_fd");
    boundary::on(wrapper, out_error, |hub| {
        let out_fd = out_fd?;
        out_fd.set(hub.bell.descriptor()?);
        Ok(())
    })
}

/// Whether there will be no more signals, all being taken. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_is_finished(wrapper: Option<&stayline_wrapper>) -> bool {
    boundary::look(wrapper, true, |hub| {
        let queues = hub.queues.lock();
        queues.over && queues.signals.is_empty()
    })
}

/// What is called when the agent is to be stopped.
///
/// `call` runs on a thread of ours, one call at a time, and may block; it may call into this
/// library, also `stayline_wrapper_aborted` and `stayline_wrapper_close`, but must not free the
/// wrapper. It must not throw. `drop` runs once, on that thread, after the last `call`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_kill_callback {
    /// Stop the agent by this `stayline_kill_signal`, and answer with `stayline_wrapper_aborted`.
    pub call: Option<extern "C" fn(user_data: *mut c_void, kill_signal: i32)>,
    /// Frees `user_data`; NULL: nothing to free.
    pub drop: Option<extern "C" fn(user_data: *mut c_void)>,
    /// Passed to both.
    pub user_data: *mut c_void,
}

/// Calls back at every kill from now on (R52), beside the signal `ABORT`, which is told all the
/// same. A second callback shares the kills with the first.
///
/// - `callback`: taken over in any case.
///
/// Returns `OK`, `INVALID_ARGUMENT`, or `LIMIT_EXCEEDED` when no thread can be made. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_on_kill(
    wrapper: *mut stayline_wrapper,
    callback: stayline_kill_callback,
    out_error: OutError<'_>,
) -> stayline_status {
    let stayline_kill_callback { call, drop, user_data } = callback;
    let callback = Callback::new(call, drop, user_data, "callback");
    boundary::on(wrapper, out_error, |hub| {
        let callback = callback?;
        hub.queues.lock().kills.get_or_insert_default();
        let (weak, bell) = (Arc::downgrade(hub), Arc::clone(&hub.bell));
        std::thread::Builder::new()
            .name("stayline-kill".to_owned())
            .spawn(move || call_back(&weak, &bell, &callback))
            .map_err(|_| Error::LimitExceeded { limit: "threads", value: 1 })?;
        Ok(())
    })
}

/// Calls until there will be no more kills, or no wrapper.
fn call_back(
    hub: &Weak<Hub>,
    bell: &Bell,
    callback: &Callback<extern "C" fn(user_data: *mut c_void, kill_signal: i32)>,
) {
    loop {
        let kill = bell.wait_aside(-1, || match hub.upgrade() {
            Some(hub) => hub.kill(),
            None => Ok(Some(None)),
        });
        let Ok(Some(Some(kill))) = kill else { return };
        callback.with(|call, user_data| call(user_data, kill));
    }
}

/// Waits until everything that was sent has been written and, in acknowledged mode, acknowledged.
///
/// - `timeout_ms`: 0: does not wait, below 0: for ever.
///
/// Returns `OK`, `TIMEOUT`, or `CLOSED` when it was closed, also while this call waited, or is over
/// with something left. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_flush(
    wrapper: Option<&stayline_wrapper>,
    timeout_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        let flushed = hub.changes.wait_aside(timeout_ms, || {
            let left = hub.core.buffered() + hub.core.unacknowledged();
            if hub.core.state() != State::Closed {
                return Ok((left == 0).then_some(()));
            }
            // Closing gives up what is left, so that nothing is.
            let is_out = match hub.core.outcome(Some(Duration::ZERO)) {
                Ok(Outcome::Done { unacknowledged, .. }) => unacknowledged == 0,
                Ok(_) => true,
                Err(Error::Closed) => false,
                Err(_) => left == 0,
            };
            if is_out { Ok(Some(())) } else { Err(Error::Closed.into()) }
        })?;
        Ok(flushed.ok_or(Error::Timeout)?)
    })
}

/// Closes, gives up what is unacknowledged, and returns once what was written before is out, at
/// most a few seconds later (R42). Waiting calls answer `CLOSED`. Closing again does nothing.
///
/// - `out_unacknowledged`: may be NULL. How many events were given up.
///
/// Returns `OK`. Threads: any, also while others wait.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_close(
    wrapper: *mut stayline_wrapper,
    mut out_unacknowledged: Option<&mut MaybeUninit<u64>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_unacknowledged);
    boundary::on(wrapper, out_error, |hub| {
        let given_up = hub.core.close();
        hub.bell.wake();
        hub.changes.wake();
        if let Some(out_unacknowledged) = out_unacknowledged {
            out_unacknowledged.write(given_up);
        }
        Ok(())
    })
}

/// Frees it, which closes it without waiting; NULL is fine.
///
/// Threads: any; nobody else may be using it, the kill callback excepted.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_free(wrapper: Option<Box<stayline_wrapper>>) {
    drop(wrapper);
}

/// `Timeout` of the core stands for "not known yet".
fn if_known<T>(looked: Result<T, Error>) -> Result<Option<T>, Failure> {
    match looked {
        Ok(known) => Ok(Some(known)),
        Err(Error::Timeout) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
