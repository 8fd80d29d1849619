//! One wrapper, as a pure machine: it sits next to the agent process, sends its events, buffers,
//! reconnects, and ends the run properly (R40–R54).
//!
//! It has no socket, no clock and no randomness of its own. After **every** call of a method that
//! takes `now`, take its actions with [`Wrapper::poll_action`] until there is none, and do them in
//! order; then call [`Wrapper::handle_timeout`] at [`Wrapper::next_deadline`]. Time is in
//! milliseconds since the Unix epoch and must not go back. That is all:
//!
//! ```
//! use stayline::wrapper::{Action, SendOptions, Wrapper};
//! use stayline::Settings;
//!
//! let settings = Settings { acknowledged: false, ..Settings::default() };
//! let mut wrapper = Wrapper::new(settings, 42).unwrap();
//! let mut written = Vec::new();
//! let mut now = 1_700_000_000_000;
//! wrapper.open("exc_1", now).unwrap();
//! wrapper.send("output", r#"{"text":"hi"}"#, SendOptions::default(), now).unwrap();
//! for _ in 0..3 {
//!     while let Some(action) = wrapper.poll_action() {
//!         match action {
//!             // A driver dials here, and says later how it went.
//!             Action::Connect { attempt, .. } => wrapper.handle_opened(attempt, None, now),
//!             Action::Write { text, .. } => written.push(text),
//!             Action::Close { .. } | Action::Tell(_) => {}
//!         }
//!     }
//!     if let Some(deadline) = wrapper.next_deadline() {
//!         now = deadline; // A driver sleeps here.
//!         wrapper.handle_timeout(now);
//!     }
//! }
//! assert!(written[0].contains(r#""data":{"text":"hi"}"#));
//! assert!(written[1].contains("heartbeat"));
//! ```
//!
//! **The steady case.** `open` begins the first attempt, `send` writes, heartbeats fill the
//! silence. The link breaks: events are buffered, attempts follow one another with growing
//! delays, and when one succeeds what is held goes out, in order. In acknowledged mode every event
//! is numbered and kept until the coordinator says that it is stored (the [outbox](self#files)).
//!
//! **The awkward cases.** *Generations* (R42): every attempt has a number, and whatever arrives
//! for another number than the current one is discarded and its socket closed, so that a late
//! socket can never install itself. *How it ended* (R46): close code 4000 or a refusal
//! `not_active` is not a disconnect; each final stop tells an active job to abort. *Late truth*
//! (R10a): a link to an execution that has ended already still takes what the wrapper has. *The
//! store or the outbox went back* (R45c): the outbox becomes a new producer and reconnects.
//!
//! **Out of scope.** Sockets, TLS, WebSocket pings and waiting for room are the driver's; so is
//! whatever the host does when it is told something. A durable outbox (R45e) is not there yet.
//!
//! # Files
//!
//! `connection` has the states and their table, `outbox` and `overflow` the events that are held,
//! `ending` what is left of an end that is too
//! large, `link` what a link brings and how it ends, `sending` what goes out and the drain, `run` and
//! `conduct` the agent's run, `timers` the deadlines, and `dialect` what agents say.

mod action;
mod conduct;
mod connection;
pub mod dialect;
mod ending;
mod link;
mod outbox;
mod overflow;
mod random;
mod run;
mod sending;
mod timers;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::protocol::{FrameLimits, PROTOCOL_ACKNOWLEDGED, close};
use crate::session::records::Status;
use crate::settings::{self, Millis};
use crate::{Error, Settings};

pub use action::{Action, Job, Outcome, Refused, SendOptions, State, Told};
use connection::{Backoff, Connection, Input};
use outbox::{Mode, Outbox};
use random::Random;
use run::Run;
use timers::{Timer, Timers};

/// One wrapper. See the [module](self) for how it is driven.
#[derive(Debug)]
pub struct Wrapper {
    settings: Settings,
    random: Random,
    timers: Timers,
    connection: Connection,
    backoff: Backoff,
    outbox: Outbox,
    course: Course,
    run: Run,
    limits: FrameLimits,
    attempts: u64,
    outcome: Option<Outcome>,
    actions: VecDeque<Action>,
    #[cfg(test)]
    taken: Vec<(Connection, Input)>,
}

/// What belongs to one execution, and starts anew with the next (R42).
#[derive(Debug, Default)]
struct Course {
    execution_id: Option<Arc<str>>,
    /// The first connection is retried like later ones (R48).
    retries_first: bool,
    /// This wrapper has sent, or buffered, a terminal event: how that ends the execution.
    own_ending: Option<Status>,
    /// Nothing more is taken in; what is held goes out, then the link is closed (R51).
    draining: bool,
    /// What `ended` said.
    ended: Option<Ended>,
    /// The host has been told that the execution is done: once (R10a, R46).
    done_told: bool,
    /// The present link is a late one (R10a).
    late: bool,
    /// The last attempt was answered by something that is no server of ours: by what.
    misplaced: Option<Arc<str>>,
    /// The coordinator has closed with 4002, and acknowledged nothing since (R45c).
    violated: bool,
}

/// The `ended` frame (R31).
#[derive(Debug, Clone)]
struct Ended {
    status: Option<Status>,
    error: Option<Arc<str>>,
}

impl Wrapper {
    /// A wrapper that has not been opened. `seed` should be random: jitter and producer ids come
    /// from it, and only from it.
    ///
    /// Errors: those of [`Settings::check`]; [`Error::InvalidArgument`] for a durable outbox,
    /// which is not supported yet (R45e).
    pub fn new(settings: Settings, seed: u128) -> Result<Wrapper, Error> {
        settings.check()?;
        if let settings::Outbox::Path(path) = &settings.outbox {
            return Err(Error::invalid(format!(
                "setting outbox is {path:?}, but a durable outbox is not supported yet; \
                 use \"memory\""
            )));
        }
        let mut random = Random::new(seed);
        let outbox = Outbox::new(&settings, random.producer_id());
        Ok(Wrapper {
            limits: own_limits(&settings),
            settings,
            random,
            timers: Timers::default(),
            connection: Connection::Idle,
            backoff: Backoff::default(),
            outbox,
            course: Course::default(),
            run: Run::new(),
            attempts: 0,
            outcome: None,
            actions: VecDeque::new(),
            #[cfg(test)]
            taken: Vec::new(),
        })
    }

    /// Begins the first attempt for an execution. It fails fast: one attempt, in all
    /// `connect_timeout_ms` (R48). Events sent before are kept for it. After the end of one
    /// execution the next may be opened: as a new producer, and nothing leaks into it (R42).
    ///
    /// [`Error::InvalidArgument`] when it is open already, or the id is no id.
    pub fn open(&mut self, execution_id: &str, now: Millis) -> Result<(), Error> {
        self.open_as(execution_id, false, now)
    }

    /// The same, but a first connection that fails is retried like a later one (R41, R48).
    pub fn open_retrying(&mut self, execution_id: &str, now: Millis) -> Result<(), Error> {
        self.open_as(execution_id, true, now)
    }

    fn open_as(&mut self, execution_id: &str, retries: bool, now: Millis) -> Result<(), Error> {
        self.check_id(execution_id)?;
        match self.connection.state() {
            State::Idle => {}
            State::Closed => self.forget_last_execution(),
            state => {
                return Err(Error::invalid(format!(
                    "the wrapper is open already (it is {}); close it first",
                    state.as_str()
                )));
            }
        }
        self.run.begin_execution(execution_id);
        self.course.execution_id = Some(execution_id.into());
        self.course.retries_first = retries;
        let attempt = self.next_attempt();
        self.step(Input::Open { attempt });
        self.timers.set(Timer::Attempt, now + self.settings.connect_timeout_ms);
        self.connect(attempt, self.settings.connect_timeout_ms, self.settings.connect_timeout_ms);
        Ok(())
    }

    /// The host closes: the link goes, nothing is sent, retried or told any more. What is
    /// unacknowledged or not written is given up; returns how many events that are (R42). Closing
    /// twice is fine.
    pub fn close(&mut self, _now: Millis) -> u64 {
        let unacknowledged = self.outbox.held();
        self.close_link(close::NORMAL, "closed by the host");
        self.step(Input::Stop);
        self.timers.stop_all_but(&[]);
        self.run.rest();
        self.outbox.clear();
        self.outcome.get_or_insert(Outcome::Closed { unacknowledged });
        unacknowledged
    }

    /// Handles everything that is due at `now`.
    pub fn handle_timeout(&mut self, now: Millis) {
        let mut handled = Vec::new();
        while let Some(timer) = self.timers.expired(now, &mut handled) {
            match timer {
                Timer::Attempt => self.link_failed("no answer in time", now),
                Timer::Welcome => self.link_failed("no welcome in time", now),
                Timer::Acknowledgement => self.link_failed("no acknowledgement in time", now),
                Timer::GiveUp => self.give_up(now),
                Timer::Retry => self.retry(now),
                Timer::Task => self.task_timed_out(now),
                Timer::Abort => self.handle_aborted(now),
                Timer::Feed => self.feed_is_silent(now),
                Timer::Drain => self.finish_drain(),
                Timer::Heartbeat => self.heartbeat(now),
            }
        }
    }

    /// The next thing to do; `None`: nothing more until the next input.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Wrapper::handle_timeout`] is to be called next; `None`: not before another input.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.timers.next()
    }

    /// Where the connection stands.
    pub fn state(&self) -> State {
        self.connection.state()
    }

    /// Events that are held and have not been written.
    pub fn buffered(&self) -> u64 {
        self.outbox.buffered()
    }

    /// Events that have been written and are not acknowledged; 0 in basic mode.
    pub fn unacknowledged(&self) -> u64 {
        self.outbox.unacknowledged()
    }

    /// Connection attempts so far, over all executions.
    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    /// The id of the present producer (R45a); `None` in basic mode and before the first `open`.
    pub fn producer(&self) -> Option<&str> {
        let opened = self.course.execution_id.is_some();
        (opened && !self.is_basic()).then_some(&**self.outbox.producer())
    }

    /// The execution that was opened last.
    pub fn execution_id(&self) -> Option<&str> {
        self.course.execution_id.as_deref()
    }

    /// How it ended, once that is known.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    // --- helpers of all parts ---

    fn tell(&mut self, told: Told) {
        self.actions.push_back(Action::Tell(told));
    }

    /// Takes the connection to its next state. Returns whether it went anywhere.
    fn step(&mut self, input: Input) -> bool {
        #[cfg(test)]
        self.taken.push((self.connection, input));
        match self.connection.step(input) {
            Ok(Some(next)) => {
                self.connection = next;
                true
            }
            Ok(None) => false,
            Err(undeclared) => {
                debug_assert!(false, "{undeclared:?}: {:?}, {input:?}", self.connection);
                false
            }
        }
    }

    fn next_attempt(&mut self) -> u64 {
        self.attempts += 1;
        self.attempts
    }

    fn connect(&mut self, attempt: u64, dial_timeout_ms: Millis, upgrade_timeout_ms: Millis) {
        let acknowledged = !self.is_basic();
        let Some(execution_id) = self.course.execution_id.clone() else {
            return;
        };
        self.actions.push_back(Action::Connect {
            attempt,
            execution_id,
            protocol: acknowledged.then_some(PROTOCOL_ACKNOWLEDGED),
            producer: acknowledged.then(|| self.outbox.producer().clone()),
            dial_timeout_ms,
            upgrade_timeout_ms,
        });
    }

    /// Closes the current attempt's link, if there is one.
    fn close_link(&mut self, code: u16, reason: &'static str) {
        if let Some(attempt) = self.connection.attempt() {
            self.actions.push_back(Action::Close { attempt, code, reason });
        }
    }

    fn is_basic(&self) -> bool {
        self.outbox.mode() == Mode::Basic
    }

    fn forget_last_execution(&mut self) {
        self.timers.stop_all_but(&[Timer::Abort]);
        self.outbox = Outbox::new(&self.settings, self.random.producer_id());
        self.course = Course::default();
        self.backoff = Backoff::default();
        self.limits = own_limits(&self.settings);
        self.outcome = None;
    }

    fn check_id(&self, id: &str) -> Result<(), Error> {
        let max = self.settings.max_id_bytes as usize;
        if id.is_empty() || id.len() > max || id.chars().any(char::is_control) {
            return Err(Error::invalid(format!(
                "{id:?} is no execution id; it has 1 to {max} bytes and no control characters"
            )));
        }
        Ok(())
    }
}

fn own_limits(settings: &Settings) -> FrameLimits {
    FrameLimits {
        max_frame_bytes: settings.max_frame_bytes.into(),
        max_nesting: settings.max_nesting,
    }
}
