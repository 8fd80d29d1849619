//! Where sessions, executions, events and notifications are kept.
//!
//! A [`Store`] has one writer, which belongs to the coordinator's commit loop, and any number of
//! [`Reader`]s, each of which sees only what is committed. Everything that one step of the
//! coordinator changes is one [`Batch`], kept wholly or not at all (R27). A batch names itself by
//! its `commit_id`, so that after a failure of unknown outcome rereading can tell whether it was
//! kept.
//!
//! A store reports which *sessions* of a batch could not be written ([`SessionFault`]) while the
//! others could: one session's poison row does not fail the rest.

pub mod faults;
pub mod memory;
mod open;
mod page;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::sync::Arc;

pub use self::open::{open, open_read_only};
use crate::Error;
use crate::protocol::Filter;
use crate::session::records::{
    EventRecord, ExecutionRecord, NotificationRecord, SessionRecord, Status,
};
use crate::settings::Millis;

/// A session as stored: its row and its active execution, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// The row.
    pub record: SessionRecord,
    /// The execution whose status is pending or running; at most one (R17).
    pub active: Option<ExecutionRecord>,
}

/// All that one step changes in one session.
#[derive(Debug, Clone, Default)]
pub struct SessionChanges {
    /// The session.
    pub session_id: Arc<str>,
    /// The version the step was computed from; 0: the session must not exist yet.
    pub base_version: u64,
    /// The row as it shall be (its `version` is `base_version + 1`); `None` with `delete`.
    pub record: Option<SessionRecord>,
    /// Rows to insert or replace, in this order. (A terminal transition followed by a start
    /// within one batch must not trip over the unique index on the way.)
    pub executions: Vec<ExecutionRecord>,
    /// Rows to append, each of an execution that is stored or in `executions`. Their ids rise,
    /// beyond all that the session had, up to `record.last_event_id` (R33).
    pub events: Vec<EventRecord>,
    /// The session goes wholly, with executions and events; notifications stay (R19a). When the
    /// batch also holds a `record`, the deletion comes first and a new session follows.
    pub delete: bool,
}

/// A change of notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationChange {
    /// A new one, behind all there are. Belongs to the session's part of the batch: it is not
    /// kept when the session's part fails.
    Enqueue(NotificationRecord),
    /// Delivery state of one that exists: `attempt`, `available_at`, `parked`.
    Update(NotificationRecord),
    /// Acknowledged: gone.
    Remove(Arc<str>),
}

/// One commit.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Unique; written with the batch. A batch that is given again, after an outcome that turned
    /// out to be lost, may keep it.
    pub commit_id: u64,
    /// The coordinator's time, written with the batch; time never goes back behind it (R18c).
    pub time: Millis,
    /// At most one entry a session.
    pub sessions: Vec<SessionChanges>,
    /// In order.
    pub notifications: Vec<NotificationChange>,
}

/// One session of a batch could not be written; nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFault {
    /// Which.
    pub session_id: Arc<str>,
    /// Why.
    pub kind: FaultKind,
}

/// Why a session's part of a batch was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The version was not `base_version`: load it again and apply again.
    Conflict,
    /// The store refuses this data, whatever is tried.
    Poison(String),
}

/// Why a whole commit failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitError {
    /// Nothing was kept.
    Lost(String),
    /// It is not known whether it was kept. [`Store::reopen`], then [`Store::was_committed`].
    Unknown(String),
}

/// The writer's side. Methods are called by one thread at a time.
pub trait Store: Send {
    /// Loads one session with its active execution.
    fn load(&mut self, session_id: &str) -> Result<Option<StoredSession>, Error>;

    /// Loads one execution of a session, active or not.
    fn load_execution(
        &mut self,
        session_id: &str,
        execution_id: &str,
    ) -> Result<Option<ExecutionRecord>, Error>;

    /// All sessions that have an active execution, in the order of their making (recovery, R17,
    /// R23).
    fn active_sessions(&mut self) -> Result<Vec<StoredSession>, Error>;

    /// Keeps a batch. `Ok` lists the sessions that could not be written; all others are kept
    /// durably. With [`CommitError::Lost`] nothing is kept.
    fn commit(&mut self, batch: &Batch) -> Result<Vec<SessionFault>, CommitError>;

    /// Drops whatever the writer holds open and opens it anew. After an fsync error the old
    /// connection is never used again.
    fn reopen(&mut self) -> Result<(), Error>;

    /// Whether the newest commit in the store is this one.
    fn was_committed(&mut self, commit_id: u64) -> Result<bool, Error>;

    /// The newest time a batch wrote; `None` in a new store (R18c).
    fn newest_time(&mut self) -> Result<Option<Millis>, Error>;

    /// The smallest `wake_at` of all sessions.
    fn next_wake(&mut self) -> Result<Option<Millis>, Error>;

    /// Sessions whose `wake_at` is at or before `now`, the earliest first, at most `limit`.
    fn due_sessions(&mut self, now: Millis, limit: usize) -> Result<Vec<Arc<str>>, Error>;

    /// When the oldest stored event was stored.
    fn oldest_event(&mut self) -> Result<Option<Millis>, Error>;

    /// Deletes at most `limit` events that were stored before `before` (exclusive), the oldest
    /// first, in one small transaction; how many went (R19). The log is in the order of commit,
    /// and coordinator time never goes back (R18c), so the first one that is not old ends it.
    /// Their ids are not used again.
    fn prune_events(&mut self, before: Millis, limit: usize) -> Result<usize, Error>;

    /// The next notification to deliver at `now`: the oldest of its session that is not parked,
    /// if it is available; among those the oldest (R39).
    fn next_notification(&mut self, now: Millis) -> Result<Option<NotificationRecord>, Error>;

    /// When a notification that is not available yet becomes so: the smallest `available_at`
    /// after `now` of those that are the oldest, not parked, of their session.
    fn next_notification_at(&mut self, now: Millis) -> Result<Option<Millis>, Error>;

    /// One notification.
    fn notification(&mut self, id: &str) -> Result<Option<NotificationRecord>, Error>;

    /// A new reader, independent of the writer.
    fn reader(&self) -> Result<Box<dyn Reader>, Error>;

    /// Whether a commit costs no I/O, so that a lone caller may do it on its own thread.
    fn is_immediate(&self) -> bool {
        false
    }

    /// Records under which URL the owner of this store serves, so that whoever finds it in use
    /// can be told ([`Error::StoreInUse`]); `None`: it does not (any more). A store that has no
    /// owners ignores it.
    fn set_owner_url(&mut self, url: Option<&str>) -> Result<(), Error> {
        let _ = url;
        Ok(())
    }
}

/// A store opened for reading only, beside its owner or without one. It recovers nothing, acts
/// on no deadline and writes nothing.
pub trait ReadOnlyStore: Send + Sync {
    /// A new reader.
    fn reader(&self) -> Result<Box<dyn Reader>, Error>;

    /// The coordinator that owns the store now, if one does.
    fn owner(&self) -> Option<Owner>;
}

/// The coordinator that owns a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its process.
    pub pid: u32,
    /// Since when, ms of wall time.
    pub since: Millis,
    /// Where it serves, if it does.
    pub url: Option<String>,
}

/// One row of `Reader::sessions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// The row.
    pub record: SessionRecord,
    /// The active execution, or else the one started last.
    pub latest: Option<ExecutionRecord>,
}

/// What is kept of a session's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The smallest id kept; `last + 1` when none is.
    pub earliest: u64,
    /// The newest id ever given.
    pub last: u64,
}

/// The readers' side. Each call sees one committed state and holds a transaction no longer than
/// itself.
pub trait Reader: Send {
    /// Loads one session with its active execution.
    fn load(&mut self, session_id: &str) -> Result<Option<StoredSession>, Error>;

    /// One execution.
    fn execution(
        &mut self,
        session_id: &str,
        execution_id: &str,
    ) -> Result<Option<ExecutionRecord>, Error>;

    /// Executions of a session, the newest first, at most `limit`; optionally of one status.
    fn executions(
        &mut self,
        session_id: &str,
        status: Option<Status>,
        limit: usize,
    ) -> Result<Vec<ExecutionRecord>, Error>;

    /// Sessions, the one with the newest activity first, at most `limit`.
    fn sessions(&mut self, limit: usize) -> Result<Vec<SessionSummary>, Error>;

    /// What is kept of the log; `None` for an unknown session.
    fn log_bounds(&mut self, session_id: &str) -> Result<Option<LogBounds>, Error>;

    /// Events that pass the filter, in the order of their ids. Stops at the filter's limit, or
    /// before `max_bytes` of `data` would be exceeded; at least one event where there is one
    /// (R36). Also stops after looking at a bounded number of rows that do not pass; a filter by
    /// execution looks only between the first and the last event of those it names (R37). A
    /// session that is not known has no events.
    fn events(
        &mut self,
        session_id: &str,
        filter: &Filter,
        max_bytes: usize,
    ) -> Result<EventPage, Error>;

    /// How many events pass the filter (its limit included).
    fn count_events(&mut self, session_id: &str, filter: &Filter) -> Result<u64, Error>;

    /// Notifications that are not acknowledged, in order; only the parked ones if asked.
    fn notifications(&mut self, parked_only: bool) -> Result<Vec<NotificationRecord>, Error>;
}

/// One bounded round of reading.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    /// What passed the filter.
    pub events: Vec<Arc<EventRecord>>,
    /// Go on with `after` = this: the newest event looked at or known not to pass, so that a
    /// reader that has come to the end goes on live from here.
    pub next_after: u64,
    /// Whether the end of the log (or the filter's limit) was reached.
    pub end: bool,
}

/// What a batch says of one session must make sense by itself: the row is there and is the
/// session's, and the ids of its events rise up to the row's `last_event_id`.
fn check_batch_entry(changes: &SessionChanges) -> Result<(), FaultKind> {
    let poison = |text: &str| Err(FaultKind::Poison(text.into()));
    let Some(record) = &changes.record else {
        let empty = changes.executions.is_empty() && changes.events.is_empty();
        return if changes.delete && empty { Ok(()) } else { poison("rows without a session") };
    };
    if record.id != changes.session_id {
        return poison("the row of another session");
    }
    let mut previous = 0;
    for event in &changes.events {
        if event.id <= previous {
            return poison("event ids that do not rise");
        }
        previous = event.id;
    }
    if previous > record.last_event_id {
        return poison("an event beyond the session's last_event_id");
    }
    Ok(())
}
