//! One session as a pure machine: a command goes in, changes and effects come out.
//!
//! ```text
//! let transition = session.apply(command, subject, now)?;
//! // 1. keep transition.changes durably, 2. then let transition.effects happen (R27)
//! ```
//!
//! A [`Session`] holds only what is live: the active execution with its link, grace, interrupt
//! and producer, and links that late events may still come on. Its size does not depend on the
//! history (R37). A command names at most one execution ([`Command::subject`]); when that is not
//! the active one, the caller fetches its row and passes it in.
//!
//! [`Session::apply`] changes the machine in place. With an error it has changed nothing. The
//! caller works on a copy and keeps it only once the changes are committed, so that a failed
//! commit undoes the step wholly. There is no clock here: `now` is an argument, in ms, and
//! [`Session::next_deadline`] says when [`Command::Tick`] has something to do.
//!
//! Each concern has its file: `lifecycle` (the table of R1 and the one terminal step), `failure`
//! (the one failure path), `interrupt`, `ingest` (attach, frames, numbers), `late` (what comes
//! after the end), `disconnect`, `deadlines`, `lease`.

mod count;
mod deadlines;
mod disconnect;
mod failure;
mod ingest;
mod interrupt;
mod late;
mod lease;
mod lifecycle;
pub mod records;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::protocol::outgoing::Signal;
use crate::protocol::{BadFrame, Frame, FrameLimits};
use crate::settings::Millis;
use crate::store::StoredSession;
use crate::{Error, Settings};

pub use count::{Count, FailureCause};
pub use deadlines::Deadline;
pub use lifecycle::{TRANSITIONS, may_become};

use records::{
    EventRecord, ExecutionRecord, Interrupt, Lease, NotificationKind, SessionRecord, Status,
};

/// One connection of a wrapper, named by the coordinator; never reused within its life.
pub type LinkId = u64;

/// One session: its row, its active execution, and the links that are open.
#[derive(Debug, Clone)]
pub struct Session {
    settings: Arc<Settings>,
    record: SessionRecord,
    active: Option<Active>,
    /// Links of executions that have ended, oldest first, at most [`SIDE_LINKS`].
    side_links: Vec<SideLink>,
}

/// How many links of ended executions a session follows; of more the oldest is forgotten.
pub const SIDE_LINKS: usize = 16;

/// The one execution that is pending or running.
#[derive(Debug, Clone)]
pub struct Active {
    record: ExecutionRecord,
    link: Option<LinkState>,
    /// Running: the newest sign of life. Pending: since when it waits. Time that the coordinator
    /// lost is added (R18b), so that `alive_at` plus the threshold is always the deadline.
    alive_at: Millis,
    credit: Option<Credit>,
}

/// Lost time has been given back since the last real sign of life (R18b).
#[derive(Debug, Clone, Copy)]
struct Credit {
    /// When it was first given.
    since: Millis,
    /// What was lost after that, so that only time in which the coordinator ran counts.
    lost_ms: Millis,
}

/// An open link.
#[derive(Debug, Clone)]
struct LinkState {
    id: LinkId,
    /// `None` in basic mode.
    acknowledged: Option<AcknowledgedLink>,
}

#[derive(Debug, Clone)]
struct AcknowledgedLink {
    producer: Arc<str>,
    attempt: u64,
    /// The number of the last frame that came on this link (R45d).
    last_number: u64,
}

/// A link of an execution that has ended (R10a).
#[derive(Debug, Clone)]
struct SideLink {
    link: LinkState,
    execution_id: Arc<str>,
    kind: SideKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SideKind {
    /// Accepted after the end; the `ended` frame goes out at this moment, `None` once it has.
    Late { ended: Option<(Millis, Arc<str>)> },
    /// A terminal step has closed it; frames under way still arrive.
    Closing,
}

/// How a link proves that it may attach (R25).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// SHA-256 of the token it brought, hex.
    TokenHash(Option<Arc<str>>),
    /// The host has checked it.
    Trusted,
}

/// The mode of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkMode {
    /// Existing wrappers: no numbers, no acknowledgements.
    Basic,
    /// R45.
    Acknowledged {
        /// The identity of the wrapper's outbox.
        producer: Arc<str>,
        /// The wrapper's attempt number.
        attempt: u64,
    },
}

/// When an interrupt becomes a SIGKILL (R13).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InterruptGrace {
    /// As the settings say.
    #[default]
    Default,
    /// Never, and the execution is not failed for it either.
    Never,
    /// After this many ms.
    After(Millis),
}

/// What a caller can say about a failure (R9).
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// Becomes the execution's error.
    pub message: Arc<str>,
    /// The type of the event; `error` unless given.
    pub event_type: Option<Arc<str>>,
    /// Further fields of the event's data; `error` and `fatal` cannot be overwritten.
    pub payload: Map<String, Value>,
    /// The caller handles it itself (R10).
    pub suppress_notification: bool,
    /// Only while no wrapper has attached: a launch that failed (R10). Otherwise nothing happens,
    /// and the reply is `false`.
    pub only_pending: bool,
    /// For whoever keeps count.
    pub cause: FailureCause,
}

/// Everything that can happen to a session.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the fields are those of the rules
pub enum Command {
    /// R2.
    Start { execution_id: Arc<str>, mode: Option<Arc<str>>, token_hash: Option<Arc<str>> },
    /// R3, R25.
    Attach { link: LinkId, execution_id: Arc<str>, proof: Proof, mode: LinkMode },
    /// A frame, read or refused (R28).
    Receive { link: LinkId, execution_id: Arc<str>, frame: Result<Frame, BadFrame> },
    /// The link is gone (R20).
    LinkClosed { link: LinkId, execution_id: Arc<str>, code: u16, reason: Arc<str> },
    /// R7.
    Fail { execution_id: Arc<str>, failure: Failure },
    /// The host ends it (R4, R5).
    Finish {
        execution_id: Arc<str>,
        status: Status,
        message: Option<Arc<str>>,
        completed_at: Option<Millis>,
    },
    /// R11; `None`: the active one.
    Interrupt { execution_id: Option<Arc<str>>, escalate: bool, grace: InterruptGrace },
    /// R13.
    ClearInterrupt { execution_id: Option<Arc<str>> },
    /// A sign of life from the host (R14).
    Heartbeat { execution_id: Arc<str> },
    /// R38.
    AcquireLease { execution_id: Arc<str>, lease_id: Arc<str>, message_id: Option<Arc<str>> },
    /// R38.
    ExtendLease { execution_id: Arc<str>, lease_id: Arc<str> },
    /// R38.
    ReleaseLease { execution_id: Arc<str>, lease_id: Arc<str> },
    /// R19a.
    Delete,
    /// Handles everything due (R18).
    Tick,
    /// The coordinator did not run, or could not store, for this long (R18b).
    Resumed { lost_ms: Millis },
    /// The first command after a restart (R23).
    Recover,
}

impl Command {
    /// The execution that the command names, if it names one.
    pub fn subject(&self) -> Option<&Arc<str>> {
        match self {
            Command::Start { execution_id, .. }
            | Command::Attach { execution_id, .. }
            | Command::Receive { execution_id, .. }
            | Command::LinkClosed { execution_id, .. }
            | Command::Fail { execution_id, .. }
            | Command::Finish { execution_id, .. }
            | Command::Heartbeat { execution_id }
            | Command::AcquireLease { execution_id, .. }
            | Command::ExtendLease { execution_id, .. }
            | Command::ReleaseLease { execution_id, .. } => Some(execution_id),
            Command::Interrupt { execution_id, .. } | Command::ClearInterrupt { execution_id } => {
                execution_id.as_ref()
            }
            Command::Delete | Command::Tick | Command::Resumed { .. } | Command::Recover => None,
        }
    }
}

/// The verdict on an interrupt (R11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A link is attached: the kill goes out on it.
    Sent,
    /// It will go out at attach.
    Latched,
    /// There is nothing to stop any more.
    AlreadyTerminal,
}

impl Verdict {
    /// The name in every language.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Sent => "sent",
            Verdict::Latched => "latched",
            Verdict::AlreadyTerminal => "already_terminal",
        }
    }
}

/// The health of a running execution (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// A sign of life not long ago.
    Healthy,
    /// None for a while.
    Unknown,
    /// About to be failed.
    Stale,
}

impl Health {
    /// What the age of the last sign of life means, in ms (R6).
    pub fn of_age(age: Millis, settings: &Settings) -> Health {
        if age < settings.healthy_within_ms {
            Health::Healthy
        } else if age <= settings.stale_after_ms {
            Health::Unknown
        } else {
            Health::Stale
        }
    }

    /// The name in every language.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Healthy => "healthy",
            Health::Unknown => "unknown",
            Health::Stale => "stale",
        }
    }
}

/// What a command answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Nothing to say.
    Done,
    /// `fail`: whether this call did the transition.
    Failed(bool),
    /// `interrupt`.
    Verdict(Verdict),
    /// `lease`.
    Lease(Lease),
}

/// What one command did: what must be written, and what may happen once that is durable.
#[derive(Debug, Default)]
pub struct Transition {
    /// To be written, all or nothing.
    pub changes: Changes,
    /// In this order, afterwards.
    pub effects: Vec<Effect>,
    /// To the caller, afterwards; `None` reads as [`Reply::Done`].
    pub reply: Option<Reply>,
}

/// What must be written.
#[derive(Debug, Default)]
pub struct Changes {
    /// The session's row.
    pub session: bool,
    /// The active execution's row.
    pub active: bool,
    /// Rows of executions that are not active (any more).
    pub executions: Vec<ExecutionRecord>,
    /// Appended to the log.
    pub events: Vec<EventRecord>,
    /// Enqueued.
    pub notifications: Vec<NewNotification>,
    /// The session goes wholly.
    pub deleted: bool,
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        !self.session
            && !self.active
            && !self.deleted
            && self.executions.is_empty()
            && self.events.is_empty()
            && self.notifications.is_empty()
    }
}

/// A notification to enqueue (R39); the coordinator adds id and delivery state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // as in `NotificationRecord`
pub struct NewNotification {
    pub kind: NotificationKind,
    pub execution_id: Option<Arc<str>>,
    pub status: Option<Status>,
    pub error: Option<Arc<str>>,
    pub branch: Option<Arc<str>>,
    pub agent_session_id: Option<Arc<str>>,
}

/// What may happen once the changes are durable (R27).
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Text for a link.
    Send(LinkId, Arc<str>),
    /// Everything up to the number is committed. Of several in one commit the last is enough.
    Acknowledge(LinkId, u64),
    /// Closes a link; nothing follows on it.
    Close(LinkId, u16, Arc<str>),
    /// A volatile event for live subscribers (R32); its `id` is 0.
    Broadcast(EventRecord),
    /// Subscribers end with a `deleted` record (R19a).
    Deleted,
    /// For whoever keeps count.
    Count(Count),
    /// For the log.
    Warn(String),
}

impl Session {
    /// A session that does not exist yet: the first `start` stores it (R19a).
    pub fn create(id: Arc<str>, epoch: Arc<str>, settings: Arc<Settings>, now: Millis) -> Session {
        let record = SessionRecord {
            id,
            epoch,
            version: 0,
            created_at: now,
            last_event_id: 0,
            last_activity_at: now,
            idle_told: false,
            branch: None,
            agent_session_id: None,
            wake_at: None,
        };
        Session { settings, record, active: None, side_links: Vec::new() }
    }

    /// A session from its rows. After a restart [`Command::Recover`] comes first.
    pub fn load(stored: StoredSession, settings: Arc<Settings>) -> Session {
        let active = stored.active.map(|record| Active {
            alive_at: record.last_heartbeat_at.or(record.started_at).unwrap_or(record.created_at),
            record,
            link: None,
            credit: None,
        });
        Session { settings, record: stored.record, active, side_links: Vec::new() }
    }

    /// Takes over rows that somebody else has changed, and keeps what is only live: the link and
    /// the newest sign of life.
    pub fn reload(&mut self, stored: StoredSession) {
        let earlier = self.active.take();
        let loaded = Session::load(stored, self.settings.clone());
        self.record = loaded.record;
        self.active = loaded.active.map(|mut active| {
            if let Some(earlier) = earlier.filter(|e| e.record.id == active.record.id) {
                active.link = earlier.link;
                active.alive_at = active.alive_at.max(earlier.alive_at);
                active.credit = earlier.credit;
            }
            active
        });
    }

    /// Applies a command. `subject` is the row of [`Command::subject`] unless that is the active
    /// execution; `None` when there is no such row. With an error nothing has changed.
    pub fn apply(
        &mut self,
        command: Command,
        subject: Option<ExecutionRecord>,
        now: Millis,
    ) -> Result<Transition, Error> {
        let mut out = Transition::default();
        self.apply_into(command, subject, now, &mut out)?;
        Ok(out)
    }

    /// [`Session::apply`] into a transition that the caller has emptied and uses again and again.
    /// With an error it holds nothing that counts.
    pub(crate) fn apply_into(
        &mut self,
        command: Command,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) -> Result<(), Error> {
        match command {
            Command::Start { execution_id, mode, token_hash } => {
                self.start(execution_id, mode, token_hash, subject, now, out)?;
            }
            Command::Attach { link, execution_id, proof, mode } => {
                self.attach(link, execution_id, &proof, mode, subject, now, out)?;
            }
            Command::Receive { link, execution_id, frame } => {
                self.receive(link, &execution_id, frame, subject, now, out);
            }
            Command::LinkClosed { link, code, reason, .. } => {
                self.link_closed(link, code, &reason, now, out);
            }
            Command::Fail { execution_id, failure } => {
                self.fail(&execution_id, failure, subject, now, out)?;
            }
            Command::Finish { execution_id, status, message, completed_at } => {
                let ending = lifecycle::HostEnding { status, message, completed_at };
                self.finish(&execution_id, ending, subject, now, out)?;
            }
            Command::Interrupt { execution_id, escalate, grace } => {
                self.interrupt(execution_id, escalate, grace, subject, now, out)?;
            }
            Command::ClearInterrupt { execution_id } => {
                self.clear_interrupt(execution_id, subject, out)?;
            }
            Command::Heartbeat { execution_id } => {
                self.heartbeat(&execution_id, subject, now, out)?;
            }
            Command::AcquireLease { execution_id, lease_id, message_id } => {
                self.acquire_lease(&execution_id, lease_id, message_id, subject, now, out)?;
            }
            Command::ExtendLease { execution_id, lease_id } => {
                self.extend_lease(&execution_id, &lease_id, subject, now, out)?;
            }
            Command::ReleaseLease { execution_id, lease_id } => {
                self.release_lease(&execution_id, &lease_id, subject, now, out)?;
            }
            Command::Delete => self.delete(now, out),
            Command::Tick => self.tick(now, out),
            Command::Resumed { lost_ms } => self.resumed(lost_ms, now, out),
            Command::Recover => self.recover(now, out),
        }
        Ok(())
    }

    /// The row as it must be written: one version above the one that the step began with, and
    /// with the wake-up that holds while nothing is active. Called once a commit.
    pub fn row_to_write(&mut self, base_version: u64) -> SessionRecord {
        self.record.version = base_version + 1;
        self.record.wake_at = self.stored_wake_at();
        self.record.clone()
    }

    /// The session's row.
    pub fn record(&self) -> &SessionRecord {
        &self.record
    }

    /// The active execution's row.
    pub fn active(&self) -> Option<&ExecutionRecord> {
        self.active.as_ref().map(|active| &active.record)
    }

    /// Whether the active execution has a link.
    pub fn has_link(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.link.is_some())
    }

    /// Whether anything is live, so that the session must stay in memory.
    pub fn is_live(&self) -> bool {
        self.active.is_some() || !self.side_links.is_empty()
    }

    /// Every link the session knows.
    pub fn links(&self) -> impl Iterator<Item = LinkId> {
        let active = self.active.iter().filter_map(|active| active.link.as_ref());
        active.chain(self.side_links.iter().map(|side| &side.link)).map(|link| link.id)
    }

    /// The health of the active execution while it runs (R6).
    pub fn health(&self, now: Millis) -> Option<Health> {
        let active = self.active.as_ref().filter(|a| a.record.status == Status::Running)?;
        Some(Health::of_age(now - active.alive_at, &self.settings))
    }

    fn frame_limits(&self) -> FrameLimits {
        FrameLimits {
            max_frame_bytes: u64::from(self.settings.max_frame_bytes),
            max_nesting: self.settings.max_nesting,
        }
    }

    fn active_named(&mut self, execution_id: &str) -> Option<&mut Active> {
        self.active.as_mut().filter(|active| *active.record.id == *execution_id)
    }

    /// Appends to the log; the id is the next of the session (R33).
    fn append(
        &mut self,
        execution_id: &Arc<str>,
        event: NewEvent,
        now: Millis,
        out: &mut Transition,
    ) {
        self.record.last_event_id += 1;
        self.record.last_activity_at = now;
        self.record.idle_told = false;
        out.changes.session = true;
        let id = self.record.last_event_id;
        if let Some(active) = self.active_named(execution_id)
            && active.record.first_event_id.is_none()
        {
            active.record.first_event_id = Some(id);
            out.changes.active = true;
        }
        out.changes.events.push(EventRecord {
            id,
            execution_id: execution_id.clone(),
            event_type: event.event_type,
            timestamp: event.timestamp.unwrap_or(now),
            stored_at: now,
            late: event.late,
            data: event.data,
        });
    }
}

/// An event about to be appended.
struct NewEvent {
    event_type: Arc<str>,
    timestamp: Option<Millis>,
    late: bool,
    data: Arc<str>,
}

impl NewEvent {
    /// One that the coordinator makes.
    fn made(event_type: impl Into<Arc<str>>, data: &Value) -> NewEvent {
        NewEvent {
            event_type: event_type.into(),
            timestamp: None,
            late: false,
            data: data.to_string().into(),
        }
    }
}

/// The strongest signal of a pending interrupt, as the kill frame.
fn kill_frame(interrupt: &Interrupt) -> Arc<str> {
    signal_frame(interrupt.signal)
}

fn signal_frame(signal: Signal) -> Arc<str> {
    crate::protocol::outgoing::kill(signal).into()
}

fn unknown_execution(execution_id: &str) -> Error {
    Error::not_found(format!("execution {execution_id:?}"))
}
