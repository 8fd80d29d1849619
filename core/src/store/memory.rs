//! The store in memory: for tests, and for hosts that accept that everything goes on exit.
//!
//! One state behind one lock. A commit takes it once, checks every session's part before it
//! writes anything of it, and copies only what the batch brings: the log is never cloned, and no
//! cost depends on how many executions or events a session has had (R37). Readers share the
//! lock for one call each.
//!
//! It keeps what a database would enforce: versions, event ids that only rise (R33), one active
//! execution a session (R17). So a test on it finds the same mistakes.

mod queue;
mod session;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use foldhash::HashMap;

use crate::lock::RwLock;

use self::queue::NotificationQueue;
use self::session::MemorySession;
use super::{
    Batch, CommitError, Cursor, EventPage, FaultKind, Listed, LogBounds, NotificationChange,
    OpenReader, Part, PartBuilder, Placed, Reader, SessionChanges, SessionFault, SessionSummary,
    Store, StoredSession, check_batch_entry,
};
use crate::Error;
use crate::protocol::Filter;
use crate::session::records::{ExecutionRecord, NotificationRecord, Status};
use crate::settings::Millis;

/// A store that lives as long as the process. Clones share what it holds: like a file, it can be
/// opened again by one coordinator after another.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
    /// Sessions that this opener of it leaves out of what is due.
    hidden: HashSet<Arc<str>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore { state: Arc::default(), hidden: HashSet::new() }
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

impl Store for MemoryStore {
    fn load(&mut self, session_id: &str) -> Result<Option<StoredSession>, Error> {
        Ok(self.state.read().sessions.get(session_id).map(MemorySession::stored))
    }

    fn load_execution(
        &mut self,
        session_id: &str,
        execution_id: &str,
    ) -> Result<Option<ExecutionRecord>, Error> {
        Ok(self.state.read().execution(session_id, execution_id))
    }

    fn active_sessions(&mut self, after: u64, limit: usize) -> Result<Vec<Placed>, Error> {
        let state = self.state.read();
        let keys = state.active.range(after.saturating_add(1)..).take(limit);
        Ok(keys.filter_map(|key| Some((*key, state.ids.get(key)?.clone()))).collect())
    }

    fn waking_sessions(&mut self, after: u64, limit: usize) -> Result<Vec<Placed>, Error> {
        let state = self.state.read();
        let beyond = state.ids.range(after.saturating_add(1)..);
        let wakes = |id: &Arc<str>| state.sessions.get(id).and_then(|s| s.record.wake_at).is_some();
        let waking = beyond.filter(|(_, id)| wakes(id)).take(limit);
        Ok(waking.map(|(key, id)| (*key, id.clone())).collect())
    }

    fn wake_settings(&mut self) -> Result<Option<String>, Error> {
        Ok(self.state.read().wake_settings.clone())
    }

    fn set_wake_settings(&mut self, settings: Option<&str>) -> Result<(), Error> {
        self.state.write().wake_settings = settings.map(str::to_owned);
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<Vec<SessionFault>, CommitError> {
        Ok(self.state.write().commit(batch))
    }

    fn reopen(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn was_committed(&mut self, commit_id: u64) -> Result<bool, Error> {
        Ok(self.state.read().newest_commit == Some(commit_id))
    }

    fn newest_time(&mut self) -> Result<Option<Millis>, Error> {
        Ok(self.state.read().newest_time)
    }

    fn hide(&mut self, session_id: &Arc<str>, is_hidden: bool) {
        if is_hidden {
            self.hidden.insert(session_id.clone());
        } else {
            self.hidden.remove(session_id);
        }
    }

    fn next_wake(&mut self) -> Result<Option<Millis>, Error> {
        Ok(self.state.read().waking(&self.hidden).next().map(|(at, _)| at))
    }

    fn due_sessions(&mut self, now: Millis, limit: usize) -> Result<Vec<Arc<str>>, Error> {
        let state = self.state.read();
        let due = state.waking(&self.hidden).take_while(|(at, _)| *at <= now).take(limit);
        Ok(due.map(|(_, id)| id.clone()).collect())
    }

    fn oldest_event(&mut self) -> Result<Option<Millis>, Error> {
        Ok(self.state.write().oldest_event(&self.hidden).map(|(_, at)| at))
    }

    fn prune_events(&mut self, before: Millis, limit: usize) -> Result<usize, Error> {
        Ok(self.state.write().prune(&self.hidden, before, limit))
    }

    fn next_notification(&mut self, now: Millis) -> Result<Option<NotificationRecord>, Error> {
        Ok(self.state.read().notifications.next(now).cloned())
    }

    fn next_notification_at(&mut self, now: Millis) -> Result<Option<Millis>, Error> {
        Ok(self.state.read().notifications.next_at(now))
    }

    fn notification(&mut self, id: &str) -> Result<Option<NotificationRecord>, Error> {
        Ok(self.state.read().notifications.get(id).cloned())
    }

    fn readers(&self) -> OpenReader {
        let state = self.state.clone();
        Arc::new(move || Ok(Box::new(MemoryReader { state: state.clone() })))
    }

    fn is_immediate(&self) -> bool {
        true
    }
}

struct MemoryReader {
    state: Arc<RwLock<State>>,
}

impl Reader for MemoryReader {
    fn load(&mut self, session_id: &str) -> Result<Option<StoredSession>, Error> {
        Ok(self.state.read().sessions.get(session_id).map(MemorySession::stored))
    }

    fn execution(
        &mut self,
        session_id: &str,
        execution_id: &str,
    ) -> Result<Option<ExecutionRecord>, Error> {
        Ok(self.state.read().execution(session_id, execution_id))
    }

    fn executions(
        &mut self,
        session_id: &str,
        status: Option<Status>,
        part: Part,
    ) -> Result<Listed<ExecutionRecord>, Error> {
        let state = self.state.read();
        Ok(match state.sessions.get(session_id) {
            Some(session) => session.executions(status, part),
            None => Listed { entries: Vec::new(), next: None },
        })
    }

    fn sessions(&mut self, part: Part) -> Result<Listed<SessionSummary>, Error> {
        let state = self.state.read();
        let mut newest: Vec<(Cursor, &MemorySession)> =
            state.sessions.values().map(|session| (session.place(), session)).collect();
        newest.sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place));
        let mut builder = PartBuilder::new(part);
        let left = newest.into_iter().filter(|(place, _)| part.after.is_none_or(|at| *place < at));
        for (place, session) in left {
            if !builder.take(place, session.summary()) {
                return Ok(builder.finish(false));
            }
        }
        Ok(builder.finish(true))
    }

    fn log_bounds(&mut self, session_id: &str) -> Result<Option<LogBounds>, Error> {
        Ok(self.state.read().sessions.get(session_id).map(MemorySession::bounds))
    }

    fn events(
        &mut self,
        session_id: &str,
        filter: &Filter,
        max_bytes: usize,
    ) -> Result<EventPage, Error> {
        Ok(match self.state.read().sessions.get(session_id) {
            Some(session) => session.page(filter, max_bytes),
            None => EventPage { events: Vec::new(), next_after: filter.after, end: true },
        })
    }

    fn count_events(&mut self, session_id: &str, filter: &Filter) -> Result<u64, Error> {
        Ok(self.state.read().sessions.get(session_id).map_or(0, |session| session.count(filter)))
    }

    fn notifications(&mut self, parked_only: bool) -> Result<Vec<NotificationRecord>, Error> {
        let state = self.state.read();
        let wanted = state.notifications.iter().filter(|record| record.parked || !parked_only);
        Ok(wanted.cloned().collect())
    }
}

#[derive(Default)]
struct State {
    newest_commit: Option<u64>,
    newest_time: Option<Millis>,
    next_key: u64,
    sessions: HashMap<Arc<str>, MemorySession>,
    /// The ids of the sessions that exist, by key.
    ids: BTreeMap<u64, Arc<str>>,
    /// The keys of the sessions with an active execution.
    active: BTreeSet<u64>,
    /// `wake_at` and key of the sessions that have one.
    wakes: BTreeSet<(Millis, u64)>,
    wake_settings: Option<String>,
    /// The keys and ids of all events in the order of commit, for retention. Entries of deleted
    /// sessions stay until they come to the front.
    log_order: VecDeque<(u64, u64)>,
    notifications: NotificationQueue,
}

impl State {
    /// Wake-ups and whose they are, the earliest first.
    fn waking<'a>(
        &'a self,
        hidden: &'a HashSet<Arc<str>>,
    ) -> impl Iterator<Item = (Millis, &'a Arc<str>)> {
        let named = self.wakes.iter().filter_map(|(at, key)| Some((*at, self.ids.get(key)?)));
        named.filter(|(_, id)| !hidden.contains(*id))
    }

    fn execution(&self, session_id: &str, execution_id: &str) -> Option<ExecutionRecord> {
        self.sessions.get(session_id)?.execution(execution_id).cloned()
    }

    fn commit(&mut self, batch: &Batch) -> Vec<SessionFault> {
        let mut faults = Vec::new();
        for changes in &batch.sessions {
            match self.check(changes, &batch.notifications) {
                Ok(()) => self.apply(changes),
                Err(kind) => {
                    faults.push(SessionFault { session_id: changes.session_id.clone(), kind });
                }
            }
        }
        for change in &batch.notifications {
            if let NotificationChange::Enqueue(record) = change {
                if faults.iter().any(|fault| fault.session_id == record.session_id) {
                    continue;
                }
                // Found by `check` where a session's part comes with it.
                if self.notifications.contains(&record.id) {
                    faults.push(SessionFault {
                        session_id: record.session_id.clone(),
                        kind: exists_already(&record.id),
                    });
                    continue;
                }
            }
            self.notifications.apply(change);
        }
        self.newest_commit = Some(batch.commit_id);
        self.newest_time = self.newest_time.max(Some(batch.time));
        faults
    }

    /// All that can be wrong with a session's part, before anything of it is written.
    fn check(
        &self,
        changes: &SessionChanges,
        notifications: &[NotificationChange],
    ) -> Result<(), FaultKind> {
        check_batch_entry(changes)?;
        let stored = self.sessions.get(&changes.session_id);
        if stored.map_or(0, |session| session.record.version) != changes.base_version {
            return Err(FaultKind::Conflict);
        }
        let kept = stored.filter(|_| !changes.delete);
        let poison = |text: String| Err(FaultKind::Poison(text));
        if let (Some(session), Some(event)) = (kept, changes.events.first())
            && event.id <= session.record.last_event_id
        {
            return poison(format!("event id {} is not new", event.id));
        }
        let mut active = kept.and_then(MemorySession::active).map(|row| &row.id);
        for row in &changes.executions {
            if !row.status.is_active() {
                active = active.filter(|id| **id != row.id);
            } else if active.is_some_and(|id| *id != row.id) {
                return poison(format!("a second active execution: {}", row.id));
            } else {
                active = Some(&row.id);
            }
        }
        let mut known = None;
        for event in &changes.events {
            let id = &event.execution_id;
            if known == Some(id) {
                continue;
            }
            let in_batch = || changes.executions.iter().any(|row| row.id == *id);
            if kept.is_none_or(|session| session.execution(id).is_none()) && !in_batch() {
                return poison(format!("event {} of an unknown execution: {id}", event.id));
            }
            known = Some(id);
        }
        for change in notifications {
            if let NotificationChange::Enqueue(record) = change
                && record.session_id == changes.session_id
                && self.notifications.contains(&record.id)
            {
                return Err(exists_already(&record.id));
            }
        }
        Ok(())
    }

    fn apply(&mut self, changes: &SessionChanges) {
        if changes.delete
            && let Some(session) = self.sessions.remove(&changes.session_id)
        {
            self.ids.remove(&session.key);
            self.active.remove(&session.key);
            session.record.wake_at.map(|at| self.wakes.remove(&(at, session.key)));
        }
        let Some(record) = &changes.record else { return };
        if !self.sessions.contains_key(&changes.session_id) {
            self.next_key += 1;
            let id = changes.session_id.clone();
            self.ids.insert(self.next_key, id.clone());
            self.sessions.insert(id, MemorySession::new(self.next_key, record.clone()));
            self.wakes.extend(record.wake_at.map(|at| (at, self.next_key)));
        }
        let Some(session) = self.sessions.get_mut(&changes.session_id) else { return };
        let (key, wake, was_active) = (session.key, session.record.wake_at, session.has_active());
        session.apply(changes, record);
        self.log_order.extend(changes.events.iter().map(|event| (key, event.id)));
        if wake != record.wake_at {
            wake.map(|at| self.wakes.remove(&(at, key)));
            self.wakes.extend(record.wake_at.map(|at| (at, key)));
        }
        match (was_active, session.has_active()) {
            (false, true) => _ = self.active.insert(key),
            (true, false) => _ = self.active.remove(&key),
            _ => {}
        }
    }

    /// The place in `log_order` of the oldest event, and when it was stored.
    fn oldest_event(&mut self, hidden: &HashSet<Arc<str>>) -> Option<(usize, Millis)> {
        let mut place = 0;
        while let Some(&(key, id)) = self.log_order.get(place) {
            let session_id = self.ids.get(&key);
            if session_id.is_some_and(|session_id| hidden.contains(session_id)) {
                place += 1;
                continue;
            }
            let session = session_id.and_then(|session_id| self.sessions.get(session_id));
            let first = session.and_then(|session| session.events.front());
            if let Some(event) = first.filter(|event| event.id == id) {
                return Some((place, event.stored_at));
            }
            // Its session was deleted.
            self.log_order.remove(place);
        }
        None
    }

    fn prune(&mut self, hidden: &HashSet<Arc<str>>, before: Millis, limit: usize) -> usize {
        let mut pruned = 0;
        while pruned < limit
            && let Some((place, at)) = self.oldest_event(hidden)
            && at < before
        {
            let oldest = self.log_order.remove(place).and_then(|(key, _)| self.ids.get(&key));
            if let Some(session) = oldest.and_then(|id| self.sessions.get_mut(id)) {
                session.prune_first();
                pruned += 1;
            }
        }
        pruned
    }
}

fn exists_already(notification_id: &str) -> FaultKind {
    FaultKind::Poison(format!("notification {notification_id} exists already"))
}
