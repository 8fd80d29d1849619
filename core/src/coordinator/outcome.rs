//! How a commit went, and what is done while that is not known.
//!
//! In the steady case a commit is kept, or it is lost and nothing has happened. When its outcome
//! is unknown the store is opened anew and asked; versions tell which sessions' parts had been
//! refused in it, since that answer was lost too. Where even asking fails, callers are told
//! `StoreUnknown`, and nothing else is committed before the answer has come. Commits that turn
//! out to have been kept are caught up with at once, so that nothing that they wrote escapes its
//! deadline (R17) or its readers (R35), although nobody asks for it again.

use std::sync::Arc;
use std::time::Instant;

use super::clock::LOST_AFTER_MS;
use super::engine::{Engine, RETRY_MS};
use super::entry::Entry;
use super::record::Record;
use super::shared::Shared;
use crate::Error;
use crate::session::{Command, Session};
use crate::settings::Millis;
use crate::store::{Batch, CommitError, FaultKind, NotificationChange, SessionFault};

/// How a commit went, for everybody in it.
pub(super) enum Outcome {
    /// Kept, but for the parts of these sessions.
    Kept(Vec<SessionFault>),
    /// Not kept, or not known to be.
    Failed(Error),
}

/// A commit that may or may not have been kept.
pub(super) struct Unresolved {
    commit_id: u64,
    session_ids: Vec<Arc<str>>,
}

impl Engine {
    /// Writes a batch and finds out how that went.
    pub(super) fn commit(
        &mut self,
        shared: &Shared,
        batch: &Batch,
        earlier_wakes: &[Millis],
        now: Millis,
    ) -> Outcome {
        self.next_commit_id += 1;
        let store = match self.store() {
            Ok(store) => store,
            Err(error) => return Outcome::Failed(error),
        };
        // In memory a look at the clock would cost more than the commit.
        let began = (!shared.is_immediate()).then(Instant::now);
        let committed = store.commit(batch);
        let took = began.map(|began| began.elapsed());
        let outcome = match committed {
            Ok(faults) => Outcome::Kept(faults),
            Err(CommitError::Lost(detail)) => Outcome::Failed(Error::StoreError { detail }),
            Err(CommitError::Unknown(detail)) => {
                tracing::warn!("a commit may or may not have been kept: {detail}");
                self.find_out(batch, detail)
            }
        };
        let is_kept = matches!(outcome, Outcome::Kept(_));
        let events = batch.sessions.iter().map(|changes| changes.events.len()).sum();
        shared.counters.commit(is_kept, events, took);
        match &outcome {
            Outcome::Kept(faults) => {
                self.succeeded(shared, batch, earlier_wakes, now);
                if !faults.is_empty() {
                    // What the batch says of their wake-ups is not in the store.
                    self.cache.forget_sessions();
                }
            }
            Outcome::Failed(error) => {
                tracing::error!("{error}");
                let (since, _) = self.failing.unwrap_or((now, now));
                self.failing = Some((since, now));
                self.retry_at = Some(now + RETRY_MS);
            }
        }
        outcome
    }

    fn succeeded(&mut self, shared: &Shared, batch: &Batch, earlier_wakes: &[Millis], now: Millis) {
        self.retry_at = None;
        // Given back before the next deadline is handled (R18b).
        self.owed_ms += self.failing_ms();
        self.failing = None;
        self.cache.committed(batch, earlier_wakes, now);
        let enqueues =
            |change: &NotificationChange| matches!(change, NotificationChange::Enqueue(_));
        if batch.notifications.iter().any(enqueues) {
            self.cache.forget_notifications();
            shared.notified.notify();
        }
    }

    /// How long no commit has succeeded, if that is worth giving back: from the first that failed
    /// to the last. A quiet time after a failure is not one in which the store failed.
    pub(super) fn failing_ms(&self) -> Millis {
        let failing_ms = self.failing.map_or(0, |(since, last)| last - since);
        if failing_ms > LOST_AFTER_MS { failing_ms } else { 0 }
    }

    /// Asks the store, opened anew, what became of a batch.
    fn find_out(&mut self, batch: &Batch, detail: String) -> Outcome {
        let outcome = match self.was_kept(batch.commit_id) {
            Ok(false) => return Outcome::Failed(Error::StoreError { detail }),
            Ok(true) => self.missing_parts(batch),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(missing) => Outcome::Kept(missing),
            Err(_) => {
                let session_ids =
                    batch.sessions.iter().map(|changes| changes.session_id.clone()).collect();
                self.unresolved = Some(Unresolved { commit_id: batch.commit_id, session_ids });
                Outcome::Failed(Error::StoreUnknown { detail })
            }
        }
    }

    fn was_kept(&mut self, commit_id: u64) -> Result<bool, Error> {
        let store = self.store()?;
        store.reopen()?;
        store.was_committed(commit_id)
    }

    /// The sessions of a commit that was kept without them: which had been refused was lost with
    /// the answer, so their versions tell.
    fn missing_parts(&mut self, batch: &Batch) -> Result<Vec<SessionFault>, Error> {
        let mut missing = Vec::new();
        for changes in &batch.sessions {
            let stored = self.store()?.load(&changes.session_id)?;
            let wanted = changes.record.as_ref().map(|record| record.version);
            if stored.map(|stored| stored.record.version) != wanted {
                let session_id = changes.session_id.clone();
                missing.push(SessionFault { session_id, kind: FaultKind::Conflict });
            }
        }
        Ok(missing)
    }

    /// Before anything else, an earlier commit's outcome must be known. When it was kept after
    /// all, what is in memory is behind the store, and is loaded anew.
    pub(super) fn resolve(&mut self, shared: &Shared) -> Result<(), Error> {
        let Some(unresolved) = self.unresolved.take() else { return Ok(()) };
        let caught_up = self.was_kept(unresolved.commit_id).and_then(|kept| {
            let behind = if kept { &*unresolved.session_ids } else { &[] };
            behind.iter().map(|id| self.catch_up(shared, id)).collect::<Result<Vec<_>, _>>()
        });
        match caught_up {
            Ok(lost_their_link) => {
                let recover = lost_their_link
                    .into_iter()
                    .flatten()
                    .map(|session_id| (session_id, vec![Command::Recover]));
                // A part that the store refuses has its deadline all the same.
                self.step_all(shared, recover);
                self.cache.forget_sessions();
                self.cache.forget_notifications();
                match self.unresolved {
                    None => Ok(()),
                    Some(_) => Err(Error::StoreError {
                        detail: "what had been kept could not be caught up with".into(),
                    }),
                }
            }
            Err(error) => {
                self.unresolved = Some(unresolved);
                let detail = format!("an earlier commit is not resolved yet: {error}");
                Err(Error::StoreError { detail })
            }
        }
    }

    /// Shows what the store has of a session. Its id is given back when it runs without a link
    /// and without a grace: an attach that was not known to be kept.
    fn catch_up(
        &mut self,
        shared: &Shared,
        session_id: &Arc<str>,
    ) -> Result<Option<Arc<str>>, Error> {
        let entry = shared.entry(session_id);
        let Some(stored) = self.store()?.load(session_id)? else {
            if let Some(entry) = entry {
                let now = shared.time.now();
                let record = Record::control(session_id, "deleted", &serde_json::json!({}), now);
                entry.delete(record);
                shared.entries.write().remove(session_id);
            }
            self.set_deadline(session_id, None);
            return Ok(None);
        };
        let session = match &entry {
            Some(entry) => {
                let mut session = (*entry.committed()).clone();
                session.reload(stored);
                session
            }
            None => Session::load(stored, shared.settings.clone()),
        };
        self.set_deadline(session_id, Some(&session));
        let runs_without_link = !session.has_link()
            && session.active().is_some_and(|a| a.started_at.is_some() && a.grace.is_none());
        match entry {
            // Readers find what they missed in the store.
            Some(entry) => {
                let last_id = session.record().last_event_id;
                entry.show(Arc::new(session), |ring| ring.clear(last_id));
                self.release_entry(shared, session_id);
            }
            None if session.is_live() => {
                shared.entries.write().insert(session_id.clone(), Entry::new(Arc::new(session)));
            }
            None => {}
        }
        Ok(runs_without_link.then(|| session_id.clone()))
    }

    pub(super) fn commit_notification(
        &mut self,
        shared: &Shared,
        change: NotificationChange,
    ) -> Result<(), Error> {
        self.resolve(shared)?;
        let now = shared.time.now();
        let batch = Batch {
            commit_id: self.next_commit_id,
            time: now,
            sessions: Vec::new(),
            notifications: vec![change],
        };
        match self.commit(shared, &batch, &[], now) {
            Outcome::Kept(_) => Ok(()),
            Outcome::Failed(error) => Err(error),
        }
    }
}
