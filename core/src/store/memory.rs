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

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::HashMap;

use crate::lock::RwLock;

use self::queue::NotificationQueue;
use self::session::MemorySession;
use super::{
    Batch, CommitError, EventPage, FaultKind, LogBounds, NotificationChange, Reader,
    SessionChanges, SessionFault, SessionSummary, Store, StoredSession, check_batch_entry,
};
use crate::Error;
use crate::protocol::Filter;
use crate::session::records::{ExecutionRecord, NotificationRecord, Status};
use crate::settings::Millis;

/// A store that lives as long as the process.
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore { state: Arc::default() }
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

    fn active_sessions(&mut self) -> Result<Vec<StoredSession>, Error> {
        let state = self.state.read();
        Ok(state.active.iter().filter_map(|key| state.by_key(*key)).map(|s| s.stored()).collect())
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

    fn next_wake(&mut self) -> Result<Option<Millis>, Error> {
        Ok(self.state.read().wakes.first().map(|(at, _)| *at))
    }

    fn due_sessions(&mut self, now: Millis, limit: usize) -> Result<Vec<Arc<str>>, Error> {
        let state = self.state.read();
        let due = state.wakes.iter().take_while(|(at, _)| *at <= now).take(limit);
        Ok(due.filter_map(|(_, key)| state.ids.get(key).cloned()).collect())
    }

    fn oldest_event(&mut self) -> Result<Option<Millis>, Error> {
        Ok(self.state.write().oldest_event())
    }

    fn prune_events(&mut self, before: Millis, limit: usize) -> Result<usize, Error> {
        Ok(self.state.write().prune(before, limit))
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

    fn reader(&self) -> Result<Box<dyn Reader>, Error> {
        Ok(Box::new(MemoryReader { state: self.state.clone() }))
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
        limit: usize,
    ) -> Result<Vec<ExecutionRecord>, Error> {
        let state = self.state.read();
        let session = state.sessions.get(session_id);
        Ok(session.map(|session| session.executions(status, limit)).unwrap_or_default())
    }

    fn sessions(&mut self, limit: usize) -> Result<Vec<SessionSummary>, Error> {
        let state = self.state.read();
        let mut newest: Vec<&MemorySession> = state.sessions.values().collect();
        newest.sort_unstable_by_key(|session| {
            std::cmp::Reverse((session.record.last_activity_at, session.key))
        });
        Ok(newest.into_iter().take(limit).map(MemorySession::summary).collect())
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
    ids: HashMap<u64, Arc<str>>,
    /// The keys of the sessions with an active execution.
    active: BTreeSet<u64>,
    /// `wake_at` and key of the sessions that have one.
    wakes: BTreeSet<(Millis, u64)>,
    /// The keys and ids of all events in the order of commit, for retention. Entries of deleted
    /// sessions stay until they come to the front.
    log_order: VecDeque<(u64, u64)>,
    notifications: NotificationQueue,
}

impl State {
    fn by_key(&self, key: u64) -> Option<&MemorySession> {
        self.sessions.get(self.ids.get(&key)?)
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

    fn oldest_event(&mut self) -> Option<Millis> {
        while let Some(&(key, id)) = self.log_order.front() {
            let front = self.by_key(key).and_then(|session| session.events.front());
            if let Some(event) = front.filter(|event| event.id == id) {
                return Some(event.stored_at);
            }
            // Its session was deleted.
            self.log_order.pop_front();
        }
        None
    }

    fn prune(&mut self, before: Millis, limit: usize) -> usize {
        let mut pruned = 0;
        while pruned < limit && self.oldest_event().is_some_and(|at| at < before) {
            let oldest = self.log_order.pop_front().and_then(|(key, _)| self.ids.get(&key));
            if let Some(session) = oldest.and_then(|id| self.sessions.get_mut(id)) {
                session.events.pop_front();
                pruned += 1;
            }
        }
        pruned
    }
}

fn exists_already(notification_id: &str) -> FaultKind {
    FaultKind::Poison(format!("notification {notification_id} exists already"))
}
