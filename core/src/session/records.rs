//! The durable records: what a store keeps and what recovery starts from.
//!
//! Whether an execution is active is derived from its status, never kept twice (R1).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::protocol::outgoing::Signal;
use crate::settings::Millis;

/// The status of an execution (R1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Started; no wrapper has attached yet.
    Pending,
    /// A wrapper has attached.
    Running,
    /// Ended by itself.
    Completed,
    /// Failed.
    Failed,
    /// Stopped on request.
    Interrupted,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 5] =
        [Status::Pending, Status::Running, Status::Completed, Status::Failed, Status::Interrupted];

    /// The name in every language and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Running => "running",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Interrupted => "interrupted",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// No way out.
    pub fn is_terminal(self) -> bool {
        matches!(self, Status::Completed | Status::Failed | Status::Interrupted)
    }

    /// Pending or running.
    pub fn is_active(self) -> bool {
        !self.is_terminal()
    }
}

/// The session's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: Arc<str>,
    /// The log's epoch: random, made with the session (R34a).
    pub epoch: Arc<str>,
    /// Raised by one at every commit that touches the session; commits are optimistic.
    /// 0: not stored yet.
    pub version: u64,
    /// When it was made.
    pub created_at: Millis,
    /// The id of the newest event; ids are never reused (R33).
    pub last_event_id: u64,
    /// Start, heartbeats, events, completion (R19).
    pub last_activity_at: Millis,
    /// `session_idle` has been told for the present idleness (R19).
    pub idle_told: bool,
    /// The branch of the last completed execution that named one (R29).
    pub branch: Option<Arc<str>>,
    /// The agent's own session id (R30).
    pub agent_session_id: Option<Arc<str>>,
    /// When something is due although no execution is active (idle, TTL); `None` while one is,
    /// since then the deadlines are in memory. What `Store::due_sessions` searches.
    pub wake_at: Option<Millis>,
}

/// The disconnect grace, in the execution's own record (R8, R20).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grace {
    /// When the last link closed.
    pub started_at: Millis,
    /// When it expires.
    pub deadline: Millis,
    /// The close code.
    pub code: u16,
    /// The close reason.
    pub reason: String,
}

/// The interrupt flag, in the execution's own record (R8, R11, R13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupt {
    /// When it was asked for.
    pub requested_at: Millis,
    /// The strongest signal so far.
    #[serde(with = "signal_name")]
    pub signal: Signal,
    /// From the request to SIGKILL; `None`: never. Kept for recovery (R23).
    pub grace_ms: Option<Millis>,
    /// When SIGKILL goes out; `None`: never, or it has.
    pub kill_at: Option<Millis>,
    /// When the execution is failed; `None`: never.
    pub fail_at: Option<Millis>,
}

mod signal_name {
    use super::Signal;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(signal: &Signal, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(signal.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Signal, D::Error> {
        let text = String::deserialize(deserializer)?;
        Signal::parse(&text).ok_or_else(|| D::Error::custom("unknown signal"))
    }
}

/// The identity of one wrapper outbox, and how far it has come (R45a).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// Its id.
    pub id: Arc<str>,
    /// The highest number stored.
    pub last_seq: u64,
}

/// A lease on an execution (R38).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it.
    pub lease_id: Arc<str>,
    /// What for, in the host's words.
    pub message_id: Option<Arc<str>>,
    /// Until when; at that moment anyone may take it.
    pub expires_at: Millis,
}

/// The execution's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionRecord {
    /// Its id.
    pub id: Arc<str>,
    /// The host's word for the kind of run.
    pub mode: Option<Arc<str>>,
    /// SHA-256 of the token, hex; `None`: any attach is let in.
    pub token_hash: Option<Arc<str>>,
    /// R1.
    pub status: Status,
    /// When it was started.
    pub created_at: Millis,
    /// When the first link was accepted.
    pub started_at: Option<Millis>,
    /// When it became terminal (R5).
    pub completed_at: Option<Millis>,
    /// For failed and interrupted; at most `max_text_bytes` of it (R5).
    pub error: Option<Arc<str>>,
    /// The integer `exitCode` of its wrapper's terminal event (R29).
    pub exit_code: Option<i64>,
    /// The stored sign of life, debounced (R14).
    pub last_heartbeat_at: Option<Millis>,
    /// When the newest frame other than a heartbeat came: debounced in the row of a run that is
    /// active, exact in a reader's record of it, and once it has ended (R14).
    pub last_event_at: Option<Millis>,
    /// The id of its first event in the log; filters by execution begin there (R37).
    pub first_event_id: Option<u64>,
    /// Remembered once per execution (R30).
    pub agent_session_id: Option<Arc<str>>,
    /// The flag and its deadlines.
    pub interrupt: Option<Interrupt>,
    /// Running without a link.
    pub grace: Option<Grace>,
    /// The current producer.
    pub producer: Option<Producer>,
    /// Replaced producers, oldest first, at most [`FORMER_PRODUCERS`].
    pub former_producers: Vec<Arc<str>>,
    /// A terminal event of the wrapper is stored, in time or late (R10a).
    pub own_ending: bool,
    /// Times the wrapper came back after a disconnect (R21).
    pub reconnects: u64,
    /// R38.
    pub lease: Option<Lease>,
}

impl ExecutionRecord {
    /// The newest sign of life of its wrapper that is stored (R14).
    pub fn last_seen_at(&self) -> Option<Millis> {
        self.started_at.max(self.last_heartbeat_at).max(self.last_event_at)
    }
}

/// How many replaced producers an execution remembers (R45a).
pub const FORMER_PRODUCERS: usize = 16;

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Per session, from 1, strictly increasing (R33).
    pub id: u64,
    /// Whose run it belongs to.
    pub execution_id: Arc<str>,
    /// Its type.
    pub event_type: Arc<str>,
    /// The event's own timestamp, ms; it may lie.
    pub timestamp: Millis,
    /// When it was stored, by the coordinator's clock.
    pub stored_at: Millis,
    /// It came after the end (R10a).
    pub late: bool,
    /// JSON text.
    pub data: Arc<str>,
}

/// What a notification tells (R39).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationKind {
    /// An execution became terminal.
    ExecutionEnded,
    /// A session has been idle for `idle_after_ms`.
    SessionIdle,
    /// The wrapper's own ending came after the coordinator's (R10a).
    LateResult,
}

impl NotificationKind {
    /// The name in every language.
    pub fn as_str(self) -> &'static str {
        match self {
            NotificationKind::ExecutionEnded => "execution_ended",
            NotificationKind::SessionIdle => "session_idle",
            NotificationKind::LateResult => "late_result",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<NotificationKind> {
        [
            NotificationKind::ExecutionEnded,
            NotificationKind::SessionIdle,
            NotificationKind::LateResult,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }
}

/// A notification: what it tells, and how its delivery stands (R39).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationRecord {
    /// `ntf_…`.
    pub id: Arc<str>,
    /// What it tells.
    pub kind: NotificationKind,
    /// The session.
    pub session_id: Arc<str>,
    /// The execution, where it is about one.
    pub execution_id: Option<Arc<str>>,
    /// How it ended (for a late result: how the wrapper says it ended).
    pub status: Option<Status>,
    /// Why.
    pub error: Option<Arc<str>>,
    /// The branch the run named.
    pub branch: Option<Arc<str>>,
    /// The agent's own session id.
    pub agent_session_id: Option<Arc<str>>,
    /// When it was enqueued.
    pub created_at: Millis,
    /// Deliveries so far.
    pub attempt: u32,
    /// Not before this moment (leased, or told to wait).
    pub available_at: Millis,
    /// All deliveries used up: where the host can list and requeue it.
    pub parked: bool,
}
