//! One session as a pure machine: a command goes in, changes and effects come out.
//!
//! ```text
//! let transition = session.apply(command, subject, now)?;
//! // 1. keep transition.changes durably, 2. then let transition.effects happen (R27)
//! ```
//!
//! A [`Session`] holds only what is live: the active execution with its link, grace, interrupt
//! and producer, and links that late events may still come on. Its size does not depend on the
//! history (R37). A command names at most one execution; when that is not the active one, the
//! caller fetches its row and passes it in ([`Command::row_needed`]).
//!
//! [`Session::apply`] changes the machine in place. With an error it has changed nothing. The
//! caller works on a copy and keeps it only once the changes are committed, so that a failed
//! commit undoes the step wholly. There is no clock here: `now` is an argument, in ms, and
//! [`Session::next_deadline`] says when [`Command::Tick`] has something to do.
//!
//! What comes in is in `command`, what goes out in `transition`. Each concern has its file:
//! `lifecycle` (the table of R1 and the one terminal step), `failure` (the one failure path),
//! `interrupt`, `ingest` (attach, frames, numbers), `late` (what comes after the end),
//! `disconnect`, `deadlines`, `lease`, `text` (how much of a text is kept).

mod command;
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
pub(crate) mod text;
mod transition;

use std::sync::Arc;

use serde_json::Value;

use crate::protocol::FrameLimits;
use crate::protocol::outgoing::Signal;
use crate::settings::Millis;
use crate::store::StoredSession;
use crate::{Error, Settings};

pub use command::{Command, Failure, InterruptGrace, LinkMode, Proof};
pub use count::{Count, FailureCause};
pub use deadlines::Deadline;
pub use lifecycle::{TRANSITIONS, may_become};
pub use transition::{Changes, Effect, NewNotification, Reply, Transition, Verdict};

use records::{EventRecord, ExecutionRecord, Interrupt, SessionRecord, Status};

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
    /// See [`Session::set_age_lag`].
    age_lag_ms: Millis,
}

/// How many links of ended executions a session follows; of more the oldest is closed.
pub const SIDE_LINKS: usize = 16;

/// The one execution that is pending or running.
#[derive(Debug, Clone)]
pub struct Active {
    record: ExecutionRecord,
    link: Option<LinkState>,
    /// Running: the newest sign of life. Pending: since when it waits. Time that the coordinator
    /// lost is added (R18b), so that `alive_at` plus the threshold is always the deadline.
    alive_at: Millis,
    /// When the newest frame other than a heartbeat came; of the row it is debounced (R14).
    last_event_at: Option<Millis>,
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
    /// A basic wrapper's own ending came on it: it may finish what it has to say (R31).
    Lingering { until: Millis },
    /// A terminal step has closed it; frames under way still arrive.
    Closing,
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
        Session { settings, record, active: None, side_links: Vec::new(), age_lag_ms: 0 }
    }

    /// A session from its rows. After a restart [`Command::Recover`] comes first.
    pub fn load(stored: StoredSession, settings: Arc<Settings>) -> Session {
        let active = stored.active.map(|record| Active {
            alive_at: record.last_heartbeat_at.or(record.started_at).unwrap_or(record.created_at),
            last_event_at: record.last_event_at,
            record,
            link: None,
            credit: None,
        });
        let record = stored.record;
        Session { settings, record, active, side_links: Vec::new(), age_lag_ms: 0 }
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
                active.last_event_at = active.last_event_at.max(earlier.last_event_at);
                active.credit = earlier.credit;
            }
            active
        });
    }

    /// Applies a command. `subject` is the row of [`Command::row_needed`] unless that is the active
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
            Command::Recover { down_ms } => self.recover(down_ms, now, out),
        }
        Ok(())
    }

    /// The row as it must be written: one version above the one that the step began with, and
    /// with the wake-up that holds while nothing is active. Called once a commit.
    pub fn row_to_write(&mut self, base_version: u64) -> SessionRecord {
        self.record.version = base_version + 1;
        self.record.wake_at = self.wake_at_now();
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

    /// The active execution as it is now: its row, and what of it is written less often than it
    /// changes (R14).
    pub fn active_now(&self) -> Option<ExecutionRecord> {
        let Active { record, last_event_at, .. } = self.active.as_ref()?;
        Some(ExecutionRecord { last_event_at: *last_event_at, ..record.clone() })
    }

    /// For retention it is taken for younger by this: the wall clock has moved on by more than the
    /// time that has passed, and may be wrong (R19).
    pub(crate) fn set_age_lag(&mut self, lag_ms: Millis) {
        self.age_lag_ms = lag_ms;
    }

    pub(crate) fn age_lag(&self) -> Millis {
        self.age_lag_ms
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

    /// When the wrapper of the active execution was last heard of, while it runs: the newest known,
    /// not only what is stored (R14). Time that was lost is given back (R18b), so silence is counted
    /// from here.
    pub fn last_seen_at(&self) -> Option<Millis> {
        self.active.as_ref().filter(|a| a.record.status == Status::Running).map(|a| a.alive_at)
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
        NewEvent::of(event_type.into(), data.to_string())
    }

    /// The same; `data` is JSON.
    fn of(event_type: Arc<str>, data: String) -> NewEvent {
        NewEvent { event_type, timestamp: None, late: false, data: data.into() }
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
