//! What goes into a wrapper and what comes out, as data: commands' arguments, actions, and how
//! it ended.

use std::sync::Arc;

use serde_json::Value;

use crate::Error;
use crate::protocol::Refusal;
use crate::protocol::outgoing::Signal;
use crate::session::records::Status;
use crate::settings::Millis;

/// Where the connection stands, as hosts see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Never opened.
    Idle,
    /// The first attempt is under way; in acknowledged mode until its `welcome`.
    Connecting,
    /// Events go out.
    Connected,
    /// The link broke; waiting for the next attempt, or making it.
    Reconnecting,
    /// Over; `open` may begin a new execution.
    Closed,
}

impl State {
    /// The name in every language.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Connecting => "connecting",
            State::Connected => "connected",
            State::Reconnecting => "reconnecting",
            State::Closed => "closed",
        }
    }
}

/// How an event is to be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// It may give way when the buffer is full, before any other kind does (R44). For text
    /// deltas and the like.
    pub droppable: bool,
    /// When it happened, in ms since the epoch; `None`: now.
    pub timestamp: Option<Millis>,
}

/// One run of the agent (R49).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// The execution it belongs to.
    pub execution_id: String,
    /// The agent's root session, where it is known: only its idle ends the run (R51).
    pub agent_session: Option<String>,
    /// The post-completion tasks, run one after the other when the run is idle (R51).
    pub tasks: Vec<String>,
    /// The branch that `complete` names.
    pub branch: Option<String>,
}

/// A handshake that did not succeed: refused, timed out, or never answered (R46).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The `Stayline-Refusal` header. Only with it a refusal is final.
    pub refusal: Option<Refusal>,
    /// The `Stayline-Status` header.
    pub execution_status: Option<Status>,
    /// The `Retry-After` header, in ms: the next attempt comes no sooner, as far as
    /// `reconnect_cap_ms` goes (R41).
    pub retry_after_ms: Option<Millis>,
    /// What went wrong, for people.
    pub detail: String,
}

impl Refused {
    /// Whether this is the answer of something that is no server of ours, or is one below another
    /// base path: trying again will hardly help, but for a roll-out.
    pub fn is_misplaced(&self) -> bool {
        let status = self.status.unwrap_or_default();
        self.refusal.is_none() && matches!(status, 200..400 | 404 | 405 | 410)
    }
}

/// What the driver has to do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Begin a connection attempt, and answer with `handle_opened` or `handle_refused`.
    Connect {
        /// Its number; everything about this connection carries it (R42).
        attempt: u64,
        /// The execution to attach to.
        execution_id: Arc<str>,
        /// The protocol to ask for; `None` for basic mode.
        protocol: Option<u8>,
        /// The producer to name; `None` in basic mode.
        producer: Option<Arc<str>>,
        /// For TCP and TLS, in ms (R48).
        dial_timeout_ms: Millis,
        /// For the answer to the upgrade request, in ms (R48).
        upgrade_timeout_ms: Millis,
    },
    /// Send one text frame.
    Write {
        /// On this connection.
        attempt: u64,
        /// The frame.
        text: String,
    },
    /// Close a connection, or give up an attempt in flight; nothing more is wanted of it. May
    /// name one that is gone already.
    Close {
        /// Which one.
        attempt: u64,
        /// With this code; 1006 means: drop the socket, a close handshake is no use.
        code: u16,
        /// And this reason.
        reason: &'static str,
    },
    /// Tell the host.
    Tell(Told),
}

/// What the host is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The link broke, or an attempt failed; the wait before the n-th attempt begins (R41).
    Reconnecting(u32),
    /// The link is up again.
    Reconnected,
    /// The wrapper has given up.
    Disconnected {
        /// Why.
        reason: Arc<str>,
    },
    /// The execution has ended (R46).
    ExecutionDone {
        /// How, where it is known.
        status: Option<Status>,
        /// Why, for failed and interrupted ones.
        error: Option<Arc<str>>,
        /// Events that were not acknowledged and are discarded.
        unacknowledged: u64,
    },
    /// Another wrapper has taken over (R46).
    Replaced,
    /// A frame from the coordinator that the wrapper itself has no use for (R52).
    Command(Value),
    /// The agent's own event feed is silent: restart it (R53).
    RestartFeed,
    /// Run this post-completion task, and answer with `handle_task_done` (R51).
    Task {
        /// Its name, as the job gave it.
        name: String,
    },
    /// Stop the agent, and answer with `handle_aborted` (R46, R52).
    Abort {
        /// How hard.
        signal: Signal,
    },
    /// Everything is sent and the link is closed (R51).
    Drained,
}

impl Told {
    /// The name in every language.
    pub fn name(&self) -> &'static str {
        match self {
            Told::Reconnecting(_) => "reconnecting",
            Told::Reconnected => "reconnected",
            Told::Disconnected { .. } => "disconnected",
            Told::ExecutionDone { .. } => "execution_done",
            Told::Replaced => "replaced",
            Told::Command(_) => "command",
            Told::RestartFeed => "restart_feed",
            Told::Task { .. } => "task",
            Told::Abort { .. } => "abort",
            Told::Drained => "drained",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The coordinator says that the execution has ended.
    Done {
        /// How, where it is known.
        status: Option<Status>,
        /// Why, for failed and interrupted ones.
        error: Option<Arc<str>>,
        /// Events that were not acknowledged and are discarded.
        unacknowledged: u64,
    },
    /// Everything was sent and the link closed, without a word about the execution's end.
    Drained,
    /// Another wrapper has taken over.
    Replaced,
    /// The wrapper gave up.
    Disconnected {
        /// Why.
        reason: Arc<str>,
    },
    /// The host closed it.
    Closed {
        /// What it gave up with that.
        unacknowledged: u64,
    },
}

impl Outcome {
    /// What a caller is told who wanted something else of the wrapper: [`Error::Disconnected`] when
    /// it gave up, [`Error::Superseded`] when another one took over, otherwise [`Error::Closed`].
    pub fn as_error(&self) -> Error {
        match self {
            Outcome::Disconnected { reason } => Error::Disconnected { reason: reason.to_string() },
            Outcome::Replaced => Error::Superseded,
            Outcome::Done { status: None, .. } => Error::closed("the run has ended"),
            Outcome::Done { status: Some(status), error, .. } => {
                let why = error.as_ref().map(|error| format!(" ({error})"));
                let why = why.unwrap_or_default();
                Error::closed(format!("the run has ended: {}{why}", status.as_str()))
            }
            Outcome::Drained => Error::closed("the wrapper has sent everything and is closed"),
            Outcome::Closed { .. } => Error::closed("the wrapper was closed by its own host"),
        }
    }
}
