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
mod slow;
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

/// A session's place in the order in which sessions were made, and its id.
pub type Placed = (u64, Arc<str>);

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
    /// Nothing was kept and nothing will be: the store is not where it was opened.
    Gone(Gone),
}

/// A store whose files were removed, moved or replaced while it was open (R27).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// What happened, and what it means.
    pub detail: String,
    /// Events that had been acknowledged and are not kept, as far as is known: those since the
    /// files were seen last. What they held before that is where they are.
    pub events: u64,
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

    /// Sessions that have an active execution, in the order of their making: the first `limit`
    /// whose place is beyond `after` (0: from the beginning), each with its place (recovery, R17,
    /// R23).
    fn active_sessions(&mut self, after: u64, limit: usize) -> Result<Vec<Placed>, Error>;

    /// The same of sessions that have a `wake_at`.
    fn waking_sessions(&mut self, after: u64, limit: usize) -> Result<Vec<Placed>, Error>;

    /// The settings that all `wake_at` were computed with, in the words of
    /// [`Store::set_wake_settings`]; `None`: not known (R18).
    fn wake_settings(&mut self) -> Result<Option<String>, Error>;

    /// Notes them, durably.
    fn set_wake_settings(&mut self, settings: Option<&str>) -> Result<(), Error>;

    /// Keeps a batch. `Ok` lists the sessions that could not be written; all others are kept
    /// durably. With [`CommitError::Lost`] nothing is kept.
    fn commit(&mut self, batch: &Batch) -> Result<Vec<SessionFault>, CommitError>;

    /// Drops whatever the writer holds open and opens it anew. After an fsync error the old
    /// connection is never used again.
    fn reopen(&mut self) -> Result<(), Error>;

    /// Whether the newest commit in the store is this one.
    fn was_committed(&mut self, commit_id: u64) -> Result<bool, Error>;

    /// Looks whether the store is still where it was opened. Where it is not, nothing is kept any
    /// more. `now` is the coordinator's time.
    fn gone(&mut self, now: Millis) -> Option<Gone> {
        let _ = now;
        None
    }

    /// The newest time a batch wrote; `None` in a new store (R18c).
    fn newest_time(&mut self) -> Result<Option<Millis>, Error>;

    /// The secret that signs tickets, so that they outlive a restart: the one that is kept, or
    /// else `fresh`, which is kept from then on. A store that keeps none answers `fresh`.
    fn ticket_secret(&mut self, fresh: &[u8; 32]) -> Result<[u8; 32], Error> {
        Ok(*fresh)
    }

    /// The smallest `wake_at` of all sessions.
    fn next_wake(&mut self) -> Result<Option<Millis>, Error>;

    /// Sessions whose `wake_at` is at or before `now`, the earliest first, at most `limit`.
    fn due_sessions(&mut self, now: Millis, limit: usize) -> Result<Vec<Arc<str>>, Error>;

    /// From now on, or no more, this session is left out by [`Store::next_wake`],
    /// [`Store::due_sessions`], [`Store::oldest_event`] and [`Store::prune_events`]: it cannot be
    /// read or written, and shall hold up nobody.
    fn hide(&mut self, session_id: &Arc<str>, is_hidden: bool);

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

    /// What opens readers, independent of the writer, for as long as anybody has it.
    fn readers(&self) -> OpenReader;

    /// A new reader, independent of the writer.
    fn reader(&self) -> Result<Box<dyn Reader>, Error> {
        (self.readers())()
    }

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
    /// What opens readers.
    fn readers(&self) -> OpenReader;

    /// A new reader.
    fn reader(&self) -> Result<Box<dyn Reader>, Error> {
        (self.readers())()
    }

    /// The secret that signs tickets, where the owner has kept one.
    fn ticket_secret(&self) -> Result<Option<[u8; 32]>, Error>;

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

/// Opens readers of a store, from any thread.
pub type OpenReader = Arc<dyn Fn() -> Result<Box<dyn Reader>, Error> + Send + Sync>;

/// One row of `Reader::sessions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// The row.
    pub record: SessionRecord,
    /// The active execution, or else the one started last.
    pub latest: Option<ExecutionRecord>,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Go on behind this entry; `None`: from the beginning.
    pub after: Option<Cursor>,
    /// At most so many entries.
    pub limit: usize,
    /// At most so many bytes of them, about; at least one entry where there is one.
    pub max_bytes: usize,
}

impl Part {
    /// The first `limit` entries, whatever their size.
    pub fn first(limit: usize) -> Part {
        Part { after: None, limit, max_bytes: usize::MAX }
    }
}

/// A place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// What the list is ordered by; 0 where it is the order of making.
    pub at: Millis,
    /// Which of those.
    pub key: i64,
}

impl Cursor {
    /// From what [`Cursor`] is written as.
    pub fn parse(text: &str) -> Option<Cursor> {
        let (at, key) = text.split_once('.')?;
        Some(Cursor { at: at.parse().ok()?, key: key.parse().ok()? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.at, self.key)
    }
}

/// One part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// Its entries.
    pub entries: Vec<T>,
    /// Where the next part begins; `None`: there is none.
    pub next: Option<Cursor>,
}

/// Collects a part. Stores offer entries one by one, in order.
struct PartBuilder<T> {
    part: Part,
    entries: Vec<T>,
    last: Option<Cursor>,
    bytes: usize,
}

impl<T: Weigh> PartBuilder<T> {
    fn new(part: Part) -> PartBuilder<T> {
        PartBuilder { part, entries: Vec::new(), last: None, bytes: 0 }
    }

    /// Takes an entry; `false`: there is no room, and this is the end of the part.
    fn take(&mut self, place: Cursor, entry: T) -> bool {
        self.bytes = self.bytes.saturating_add(entry.weigh());
        let has_room = self.entries.len() < self.part.limit
            && (self.entries.is_empty() || self.bytes <= self.part.max_bytes);
        if has_room {
            self.last = Some(place);
            self.entries.push(entry);
        }
        has_room
    }

    fn finish(self, is_complete: bool) -> Listed<T> {
        Listed { entries: self.entries, next: self.last.filter(|_| !is_complete) }
    }
}

/// What an entry of a list takes, about: in memory, and as JSON.
trait Weigh {
    fn weigh(&self) -> usize;
}

/// The bytes of a text within a JSON string: what has to be escaped takes up to six for one.
fn as_json(text: &str) -> usize {
    let cost = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    text.bytes().map(cost).sum()
}

impl Weigh for ExecutionRecord {
    fn weigh(&self) -> usize {
        let texts = [&self.mode, &self.error, &self.agent_session_id, &self.token_hash];
        let texts = texts.into_iter().flatten().map(|text| as_json(text)).sum::<usize>();
        size_of::<ExecutionRecord>() + as_json(&self.id) + texts
    }
}

impl Weigh for SessionSummary {
    fn weigh(&self) -> usize {
        let record = &self.record;
        let texts = [&record.branch, &record.agent_session_id];
        let texts = texts.into_iter().flatten().map(|text| as_json(text)).sum::<usize>();
        let latest = self.latest.as_ref().map_or(0, Weigh::weigh);
        size_of::<SessionSummary>() + as_json(&record.id) + record.epoch.len() + texts + latest
    }
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

    /// Executions of a session, the newest first, optionally of one status; one part of them. A
    /// session that is not known has none.
    fn executions(
        &mut self,
        session_id: &str,
        status: Option<Status>,
        part: Part,
    ) -> Result<Listed<ExecutionRecord>, Error>;

    /// Sessions, the one with the newest activity first; one part of them. One that is active while
    /// its list is read may be in two parts, or in none.
    fn sessions(&mut self, part: Part) -> Result<Listed<SessionSummary>, Error>;

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

    /// How many events pass the filter (its limit included). All of a session and all of some
    /// executions are known; for other filters the log is walked.
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
