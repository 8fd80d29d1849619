//! A wrapper with its socket: the machine of [`crate::wrapper`], driven over WebSocket.
//!
//! [`Wrapper::open`] returns at once; a task on the process's runtime connects, reconnects, writes
//! and reads. Every method may be called from any thread. What the host has to know arrives as
//! signals ([`Wrapper::signal`]), in order, in the end [`Error::Closed`].
//!
//! ```no_run
//! use stayline::Settings;
//! use stayline::net::client::{Wrapper, WrapperOptions};
//! use stayline::wrapper::SendOptions;
//!
//! # fn main() -> Result<(), stayline::Error> {
//! let wrapper = Wrapper::open(WrapperOptions {
//!     url: "http://127.0.0.1:8787".into(),
//!     session_id: "user_1:agent_1".into(),
//!     execution_id: "exc_1".into(),
//!     token: Some("the execution's token".into()),
//!     ..WrapperOptions::default()
//! })?;
//! wrapper.send("output", r#"{"text":"hi"}"#, SendOptions::default())?;
//! wrapper.complete(0, Some("main"))?;
//! println!("{:?}", wrapper.outcome(None)?);
//! # Ok(())
//! # }
//! ```

mod address;
mod clock;
mod connect;
mod counted;
mod dial;
mod drive;
mod lookup;
mod plain;
mod proxy;
mod refusal;
mod socket;
mod state;
#[cfg(feature = "tls")]
mod tls;
mod tunnel;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::lookup::Lookups;
#[doc(hidden)]
pub use self::plain::Dialing;
pub use self::proxy::Proxy;

use self::address::Address;
use self::clock::{Clock, wall_ms};
use self::state::{Shared, until};
use crate::net::liveness::duration;
use crate::net::runtime;
use crate::protocol::outgoing::Signal;
use crate::wake::Wake;
use crate::wrapper::{Job, Outcome, SendOptions, State, Told, Wrapper as Machine};
use crate::{Error, Settings};

/// How long [`Wrapper::close`] waits for the last bytes to get out.
const CLOSE_WAIT: Duration = Duration::from_secs(3);

/// So long the end of a run that was stopped is waited for: whoever stopped it wants to go.
const STOPPED_WAIT: Duration = Duration::from_secs(5);

/// Where a wrapper connects to, as whom, and how it behaves.
#[derive(Clone)]
pub struct WrapperOptions {
    /// The server's base address: `http://`, `https://`, `ws://` or `wss://`.
    pub url: String,
    /// The session.
    pub session_id: String,
    /// The execution.
    pub execution_id: String,
    /// The execution's token, or whatever the server's host asks for.
    pub token: Option<String>,
    /// Whether it goes through a proxy; as the environment says, unless told otherwise.
    pub proxy: Proxy,
    /// Every bound and delay.
    pub settings: Settings,
    /// The first connection is retried like later ones (R48).
    pub retry_first: bool,
    /// The run is active from the beginning: a kill is told to the host, which stops the agent
    /// and says so, instead of ending the run at once (R52). Hosts that give jobs and turns
    /// themselves ([`Wrapper::start_job`], [`Wrapper::begin_turn`]) switch it off.
    pub active: bool,
}

impl Default for WrapperOptions {
    fn default() -> WrapperOptions {
        WrapperOptions {
            url: String::new(),
            session_id: String::new(),
            execution_id: String::new(),
            token: None,
            proxy: Proxy::default(),
            settings: Settings::default(),
            retry_first: false,
            active: true,
        }
    }
}

impl std::fmt::Debug for WrapperOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("WrapperOptions")
            .field("url", &crate::credentials::without_credentials(&self.url))
            .field("session_id", &self.session_id)
            .field("execution_id", &self.execution_id)
            .field("token", &self.token.as_ref().map(|_| "(set)"))
            .field("proxy", &self.proxy)
            .field("retry_first", &self.retry_first)
            .finish_non_exhaustive()
    }
}

/// The address that a wrapper's first request would go to, without asking the network. For `fuzz/`,
/// and no part of the interface.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzzing_request(
    url: &str,
    session_id: &str,
    execution_id: &str,
    token: Option<&str>,
) -> Result<String, Error> {
    let address = Address::new(url, session_id, execution_id, token, &Proxy::None)?;
    let request = address.request(1, Some(crate::protocol::PROTOCOL_ACKNOWLEDGED), Some("p"))?;
    Ok(request.uri().to_string())
}

/// A connected wrapper; clones share it. Dropping the last one closes it, without waiting.
#[derive(Clone)]
pub struct Wrapper {
    handle: Arc<Handle>,
}

/// What the clones share, and the task does not: so that the last clone can be told.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl std::fmt::Debug for Wrapper {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.handle.shared.lock();
        formatter
            .debug_struct("Wrapper")
            .field("state", &state.machine.state())
            .field("buffered", &state.machine.buffered())
            .field("unacknowledged", &state.machine.unacknowledged())
            .finish_non_exhaustive()
    }
}

impl Wrapper {
    /// Begins the first connection attempt and returns at once.
    ///
    /// [`Error::InvalidArgument`] for an address or a proxy that is none, [`Error::InvalidSettings`] for
    /// settings that contradict each other (R24).
    pub fn open(options: WrapperOptions) -> Result<Wrapper, Error> {
        let WrapperOptions {
            url,
            session_id,
            execution_id,
            token,
            proxy,
            settings,
            retry_first,
            active,
        } = options;
        if session_id.is_empty() || execution_id.is_empty() {
            return Err(Error::invalid("a wrapper needs a session id and an execution id"));
        }
        // No server has such a session, and the address would not show it.
        if session_id.chars().any(char::is_control) {
            let shown = format!("the session id {session_id:?} has a control character in it");
            return Err(Error::invalid(shown));
        }
        let address = Address::new(&url, &session_id, &execution_id, token.as_deref(), &proxy)?;
        let runtime = runtime::handle()?;
        let clock = Clock::new();
        let mut machine = Machine::new(settings.clone(), seed()?)?;
        if retry_first {
            machine.open_retrying(&execution_id, clock.now())?;
        } else {
            machine.open(&execution_id, clock.now())?;
        }
        if active {
            machine.start_job(Job { execution_id, ..Job::default() }, clock.now())?;
            machine.begin_turn(clock.now())?;
        }
        let shared = Shared::new(machine, settings, clock);
        shared.settle(shared.lock());
        runtime.spawn(drive::drive(Arc::clone(&shared), address));
        Ok(Wrapper { handle: Arc::new(Handle { shared }) })
    }

    /// Waits until it is connected. [`Error::Timeout`], or how it ended instead.
    pub fn wait_connected(&self, timeout: Option<Duration>) -> Result<(), Error> {
        let connected = self.shared().wait(until(timeout), |state| {
            if state.machine.state() == State::Connected {
                return Some(Ok(()));
            }
            match state.machine.outcome() {
                Some(outcome) => Some(Err(outcome.as_error())),
                None => state.over.then(|| Err(state.machine.why_over())),
            }
        });
        connected.unwrap_or(Err(Error::Timeout))
    }

    /// Sends an event; `data` is JSON text. Where the overflow policy waits it waits for room, up
    /// to `send_timeout_ms`, then says [`Error::Full`] (R44). [`Error::InvalidEvent`] for what the
    /// other side would refuse (R40), [`Error::Closed`] after the end, [`Error::Disconnected`] when the
    /// wrapper gave up, [`Error::Superseded`] when another one took over.
    pub fn send(&self, event_type: &str, data: &str, options: SendOptions) -> Result<(), Error> {
        let shared = self.shared();
        let deadline = until(Some(duration(shared.settings.send_timeout_ms)));
        loop {
            match self.try_send(event_type, data, options) {
                Err(full @ Error::Full { .. }) => {
                    let again = shared.wait(deadline, |state| {
                        let room =
                            state.machine.has_room() && state.socket_keeps_up(&shared.settings);
                        (room || state.over).then_some(())
                    });
                    if again.is_none() {
                        return Err(full);
                    }
                }
                result => return result,
            }
        }
    }

    /// As [`Wrapper::send`], but says [`Error::Full`] at once.
    pub fn try_send(
        &self,
        event_type: &str,
        data: &str,
        options: SendOptions,
    ) -> Result<(), Error> {
        let shared = self.shared();
        let mut state = shared.lock();
        if state.closed {
            return Err(state.machine.why_over());
        }
        if !state.socket_keeps_up(&shared.settings) {
            return Err(state.full());
        }
        let now = state.clock.now();
        // The machine's time runs beside the wall clock; events carry the wall clock's.
        let timestamp = options.timestamp.or_else(|| Some(wall_ms()));
        let options = SendOptions { timestamp, ..options };
        let result = state.machine.send(event_type, data, options, now);
        shared.settle(state);
        result
    }

    /// The run has ended: sends `complete`, drains and closes (R51). [`Wrapper::outcome`] tells
    /// when that is done.
    pub fn complete(&self, exit_code: i64, branch: Option<&str>) -> Result<(), Error> {
        self.shared().with(|machine, now| machine.complete(exit_code, branch, now))
    }

    /// The run has failed: sends a fatal `error`, drains and closes. The exit code, where there is
    /// one, is kept on the execution (R29).
    pub fn fail(&self, error: &str, exit_code: Option<i64>) -> Result<(), Error> {
        self.shared().with(|machine, now| machine.fail(error, exit_code, now))
    }

    /// The run was stopped: sends `interrupted`, drains and closes. The exit code, where there is
    /// one, is kept on the execution (R29).
    pub fn interrupted(&self, reason: Option<&str>, exit_code: Option<i64>) -> Result<(), Error> {
        self.shared().with(|machine, now| machine.interrupted(reason, exit_code, now))
    }

    /// The code that has the run in its hands ended by an error before it had ended the run (R51a):
    /// as [`Wrapper::fail`] with what is told of it, cut to `max_text_bytes`; as
    /// [`Wrapper::interrupted`] where the code was `stopped` from outside, or a kill has asked for
    /// it. Returns how long the outcome is worth waiting for. A run that has had its ending is left
    /// alone: [`Error::Closed`], [`Error::Disconnected`], [`Error::Superseded`].
    pub fn raised(
        &self,
        what: &str,
        stopped: bool,
        exit_code: Option<i64>,
    ) -> Result<Duration, Error> {
        let shared = self.shared();
        shared.with(|machine, now| machine.raised(what, stopped, exit_code, now))?;
        let patience = duration(shared.settings.ack_timeout_ms);
        Ok(if stopped { patience.min(STOPPED_WAIT) } else { patience })
    }

    /// Waits until it is known how it ended (R46). [`Error::Disconnected`] when the wrapper gave
    /// up, [`Error::Superseded`] when another one took over, [`Error::Closed`] after
    /// [`Wrapper::close`], [`Error::Timeout`].
    pub fn outcome(&self, timeout: Option<Duration>) -> Result<Outcome, Error> {
        let ended = self.shared().wait(until(timeout), |state| match state.machine.outcome() {
            Some(outcome @ (Outcome::Done { .. } | Outcome::Drained)) => Some(Ok(outcome.clone())),
            Some(outcome) => Some(Err(outcome.as_error())),
            None => state.over.then(|| Err(state.machine.why_over())),
        });
        ended.unwrap_or(Err(Error::Timeout))
    }

    /// A job begins (R49). [`Error::JobConflict`] while another is active.
    pub fn start_job(&self, job: Job) -> Result<(), Error> {
        self.shared().with(|machine, now| machine.start_job(job, now))
    }

    /// A prompt goes to the agent; returns its message id (R50).
    pub fn begin_turn(&self) -> Result<String, Error> {
        self.shared().with(|machine, now| machine.begin_turn(now))
    }

    /// An event of the agent itself, for the `kilo` dialect. [`Error::Full`] when there is no room:
    /// nothing has happened, call again; [`Error::InvalidEvent`] when it cannot be passed on.
    pub fn agent_event(&self, event_type: &str, properties: &str) -> Result<(), Error> {
        let shared = self.shared();
        let mut state = shared.lock();
        // In basic mode nothing else bounds what waits for a slow socket.
        if !state.socket_keeps_up(&shared.settings) {
            return Err(state.full());
        }
        let now = state.clock.now();
        let result = state.machine.handle_agent_event(event_type, properties, now);
        shared.settle(state);
        result
    }

    /// The run is idle (R51), for hosts without a dialect.
    pub fn idle(&self) {
        self.shared().with(|machine, now| machine.handle_idle(now));
    }

    /// A post-completion task ended (R51).
    pub fn task_done(&self, name: &str, ok: bool) {
        self.shared().with(|machine, now| machine.handle_task_done(name, ok, now));
    }

    /// What was asked for by an abort signal is done (R52).
    pub fn aborted(&self) {
        self.shared().with(|machine, now| machine.handle_aborted(now));
    }

    /// Closes, gives up what is unacknowledged and returns its count (R42). What was written
    /// before gets out first, within a few seconds. Closing again does nothing.
    pub fn close(&self) -> u64 {
        let given_up = self.close_without_waiting();
        self.shared().wait(until(Some(CLOSE_WAIT)), |state| {
            (state.lingering == 0 && state.orders.is_empty()).then_some(())
        });
        given_up
    }

    /// The same, and what was written before gets out while others go on, as after the last
    /// clone's end.
    pub fn close_without_waiting(&self) -> u64 {
        self.shared().close()
    }

    /// Idle, connecting, connected, reconnecting or closed.
    pub fn state(&self) -> State {
        self.shared().lock().machine.state()
    }

    /// Events not written yet.
    pub fn buffered(&self) -> u64 {
        self.shared().lock().machine.buffered()
    }

    /// Events written and not acknowledged yet.
    pub fn unacknowledged(&self) -> u64 {
        self.shared().lock().machine.unacknowledged()
    }

    /// Connection attempts so far.
    pub fn attempts(&self) -> u64 {
        self.shared().lock().machine.attempts()
    }

    /// Times it came back.
    pub fn reconnects(&self) -> u64 {
        self.shared().lock().reconnects
    }

    /// Waits for the next signal; `None` when the time is over (without a timeout: never).
    /// [`Error::Closed`] after the last.
    pub fn signal(&self, timeout: Option<Duration>) -> Result<Option<Told>, Error> {
        let found = self.shared().wait(until(timeout), |state| match state.next_signal() {
            Some(signal) => Some(Ok(Some(signal))),
            None => state.over.then(|| Err(no_more_signals())),
        });
        found.unwrap_or(Ok(None))
    }

    /// The next signal if there is one. [`Error::Closed`] after the last.
    pub fn try_signal(&self) -> Result<Option<Told>, Error> {
        let mut state = self.shared().lock();
        match state.next_signal() {
            Some(signal) => Ok(Some(signal)),
            None if state.over => Err(no_more_signals()),
            None => Ok(None),
        }
    }

    /// Kills are wanted by somebody who takes no other signals, such as a thread that calls the host
    /// at each: from now on, and those that nobody has taken as signals yet.
    pub fn want_kills(&self) {
        self.shared().lock().want_kills();
    }

    /// The next kill (R52) if there is one, after [`Wrapper::want_kills`]; as a signal it is told all
    /// the same. [`Error::Closed`] after the last.
    pub fn try_kill(&self) -> Result<Option<Signal>, Error> {
        let mut state = self.shared().lock();
        match state.next_kill() {
            Some(signal) => Ok(Some(signal)),
            None if state.over => Err(no_more_signals()),
            None => Ok(None),
        }
    }

    /// Whether there will be no more signals, all being taken.
    pub fn is_finished(&self) -> bool {
        let state = self.shared().lock();
        state.over && !state.has_signal()
    }

    /// Called whenever there may be a signal or a kill, also once after the last. Called at once too: what
    /// came before must not wait for the next.
    pub fn set_waker(&self, waker: Option<Arc<dyn Wake>>) {
        self.shared().lock().waker = waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Called at everything that [`Wrapper::wait_connected`], [`Wrapper::send`] and
    /// [`Wrapper::outcome`] wait for, and more often: for hosts that wait in a way of their own.
    pub fn set_change_waker(&self, waker: Option<Arc<dyn Wake>>) {
        *self.shared().change_waker.lock() = waker;
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

fn seed() -> Result<u128, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| Error::LimitExceeded { limit: "the system's randomness", value: 1 })?;
    Ok(u128::from_ne_bytes(bytes))
}

fn no_more_signals() -> Error {
    Error::closed("the wrapper is closed; there are no more signals")
}
