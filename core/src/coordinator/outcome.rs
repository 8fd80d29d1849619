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
use crate::protocol::close;
use crate::session::{Command, Session};
use crate::settings::Millis;
use crate::store::{Batch, CommitError, FaultKind, Gone, NotificationChange, SessionFault};

/// How a commit went, for everybody in it.
pub(super) enum Outcome {
    /// Kept, but for the parts of these sessions.
    Kept(Vec<SessionFault>),
    /// Not kept, or not known to be.
    Failed(Error),
}

/// Since when commits fail (R18b).
pub(super) struct Failing {
    since: Millis,
    last: Millis,
    /// It is known to be worth giving back.
    is_counted: bool,
}

impl Failing {
    fn since(now: Millis) -> Failing {
        Failing { since: now, last: now, is_counted: false }
    }
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
            Err(CommitError::Gone(gone)) => Outcome::Failed(self.end(shared, gone)),
            Err(CommitError::Unknown(detail)) => {
                if let Some(more) = shared.told.admits("unknown", now) {
                    tracing::warn!("a commit may or may not have been kept: {detail}{more}");
                }
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
                // That it is gone for good was told, and there is nothing to try again.
                if shared.check_open().is_ok() {
                    shared.tell(&error.to_string());
                }
                self.failed_commits += 1;
                let failing = self.failing.get_or_insert(Failing::since(now));
                failing.last = now;
                self.retry_at = Some(now + RETRY_MS);
            }
        }
        outcome
    }

    /// Ends the coordinator when its store is not where it was opened: links get 1011, streams end,
    /// calls get the error that is returned here.
    pub(super) fn end(&mut self, shared: &Shared, gone: Gone) -> Error {
        tracing::error!(events = gone.events, "the store is gone: {}", gone.detail);
        let error = Error::StoreError { detail: gone.detail };
        shared.fail(self, error.clone(), close::STORAGE_REASON);
        error
    }

    /// Looks whether the store is still where it was opened.
    pub(super) fn look_at_store(&mut self, shared: &Shared) {
        let now = shared.time.now();
        if let Ok(store) = self.store()
            && let Some(gone) = store.gone(now)
        {
            self.end(shared, gone);
        }
    }

    fn succeeded(&mut self, shared: &Shared, batch: &Batch, earlier_wakes: &[Millis], now: Millis) {
        self.retry_at = None;
        // Given back before the next deadline is handled (R18b).
        self.owed.lose(self.failing_ms());
        self.failing = None;
        if self.failed_commits > 0
            && let Some(more) = shared.told.admits("kept again", now)
        {
            let failed = std::mem::take(&mut self.failed_commits);
            tracing::warn!("commits are kept again; {failed} had failed{more}");
        }
        self.cache.committed(batch, earlier_wakes, now);
        let enqueues =
            |change: &NotificationChange| matches!(change, NotificationChange::Enqueue(_));
        if batch.notifications.iter().any(enqueues) {
            self.tell_waiting(shared, now);
        }
    }

    /// How long no commit has succeeded, if that is worth giving back: from the first that failed
    /// to the last. A quiet time after a failure is not one in which the store failed.
    fn failing_ms(&self) -> Millis {
        let Some(failing) = &self.failing else { return 0 };
        let failing_ms = failing.last - failing.since;
        if failing.is_counted || failing_ms > LOST_AFTER_MS { failing_ms } else { 0 }
    }

    /// The same, for it to be given back; only what comes after it counts from here on.
    pub(super) fn take_failing_ms(&mut self) -> Millis {
        let failing_ms = self.failing_ms();
        if let Some(failing) = &mut self.failing
            && failing_ms > 0
        {
            *failing = Failing { since: failing.last, last: failing.last, is_counted: true };
        }
        failing_ms
    }

    /// Whether the last commit failed, or its outcome is not known.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.is_some() || self.unresolved.is_some()
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
                    .map(|session_id| (session_id, vec![Command::Recover { down_ms: 0 }]));
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
        let loaded = match self.load(shared, session_id) {
            // It is told for itself, and everybody else goes on.
            Err(_) if shared.check_aside(session_id).is_err() => return Ok(None),
            loaded => loaded?,
        };
        let Some(stored) = loaded else {
            if let Some(entry) = entry {
                let now = shared.time.now();
                let record = Record::control(session_id, "deleted", "{}", now);
                entry.delete(record);
                shared.entries.write().remove(session_id);
                break_off_lost(shared, &entry.committed(), None);
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
            Some(entry) => {
                self.show_loaded(shared, &entry, session);
                self.release_entry(shared, session_id);
            }
            None if session.is_live() => {
                shared.entries.write().insert(session_id.clone(), Entry::new(Arc::new(session)));
            }
            None => {}
        }
        Ok(runs_without_link.then(|| session_id.clone()))
    }

    /// Shows a session that was loaded anew. Readers find what they missed in the store.
    pub(super) fn show_loaded(&mut self, shared: &Shared, entry: &Entry, session: Session) {
        break_off_lost(shared, &entry.committed(), Some(&session));
        let before = entry.with_committed(|before| before.active().map(|a| a.id.clone()));
        let is_active = |id: &Arc<str>| session.active().is_some_and(|active| active.id == *id);
        let ended = before
            .filter(|id| !is_active(id))
            .and_then(|id| self.store().ok()?.load_execution(&session.record().id, &id).ok()?);
        let last_id = session.record().last_event_id;
        entry.show(Arc::new(session), ended.as_slice(), |ring| ring.clear(last_id));
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

/// Breaks off the links that a session does not know any more and whose wrappers nobody has told:
/// they come back, and are told how things are.
pub(super) fn break_off_lost(shared: &Shared, before: &Session, after: Option<&Session>) {
    for link in before.links() {
        let is_known = after.is_some_and(|after| after.links().any(|known| known == link));
        if let Some(state) = shared.link(link).filter(|_| !is_known) {
            state.break_off();
        }
    }
}
