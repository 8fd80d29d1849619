//! What is due, and when the next thing will be (R18, R18b, R19).
//!
//! It is handled in steps, each no longer than an ordinary commit, and whoever drives them lets
//! others in between. A step that finds something due and moves nothing is looked at once more;
//! then it is a mistake, told in the log, and waits, so that it never keeps the coordinator busy
//! for ever.
//!
//! Live sessions have their deadlines in memory; all others keep theirs in their row, where the
//! store finds the due ones. The smallest of the stored ones, of the notifications and of the
//! log's retention are remembered until a commit changes them.

use std::sync::Arc;

use super::engine::{Engine, RETRY_MS};
use super::shared::Shared;
use crate::Error;
use crate::session::{Command, Session};
use crate::settings::Millis;
use crate::store::Batch;

/// So many sessions are handled in one step.
pub(super) const AT_ONCE: usize = 256;
/// How often an idle coordinator looks whether its store is where it was opened.
const LOOK_MS: Millis = 1_000;
/// So many events are pruned in one step.
const PRUNE_AT_ONCE: usize = 2_000;

/// Answers of the store that hold until a commit changes them; the outer `None`: ask again.
#[derive(Debug, Default)]
pub(super) struct DueCache {
    stored_wake: Option<Option<Millis>>,
    oldest_event: Option<Option<Millis>>,
    notification: Option<Option<Millis>>,
    /// One of them could not be asked for, and is taken for none until then.
    ask_again_at: Option<Millis>,
}

impl DueCache {
    /// What a commit changes of the answers. `earlier_wakes` are those that the rows of the batch
    /// held before.
    pub(super) fn committed(&mut self, batch: &Batch, earlier_wakes: &[Millis], now: Millis) {
        let holds_smallest = |smallest: Millis| earlier_wakes.contains(&smallest);
        if self.stored_wake.flatten().is_some_and(holds_smallest) {
            self.stored_wake = None;
        }
        for changes in &batch.sessions {
            let wake_at = changes.record.as_ref().and_then(|row| row.wake_at);
            if let (Some(smallest), Some(wake_at)) = (&mut self.stored_wake, wake_at) {
                *smallest = Some(smallest.map_or(wake_at, |smallest| smallest.min(wake_at)));
            }
            if changes.delete {
                self.oldest_event = None;
            } else if !changes.events.is_empty() && self.oldest_event == Some(None) {
                self.oldest_event = Some(Some(now));
            }
        }
    }

    /// The smallest of the remembered answers; the minimum of all only where all are known.
    pub(super) fn smallest(&self) -> Option<Millis> {
        [self.stored_wake, self.notification].into_iter().flatten().flatten().min()
    }

    pub(super) fn forget_notifications(&mut self) {
        self.notification = None;
    }

    /// What sessions hold may not be what was remembered.
    pub(super) fn forget_sessions(&mut self) {
        self.stored_wake = None;
        self.oldest_event = None;
    }
}

impl Engine {
    /// Keeps the deadline of a live session (R18).
    pub(super) fn set_deadline(&mut self, session_id: &Arc<str>, session: Option<&Session>) {
        let next = session.filter(|session| session.is_live()).and_then(Session::next_deadline);
        let next = next.map(|(at, _)| at);
        let earlier = self.deadline_of.get(session_id).copied();
        if earlier == next {
            return;
        }
        if let Some(earlier) = earlier {
            self.deadlines.remove(&(earlier, session_id.clone()));
            self.deadline_of.remove(session_id);
        }
        if let Some(next) = next {
            self.deadlines.insert((next, session_id.clone()));
            self.deadline_of.insert(session_id.clone(), next);
        }
    }

    /// Moves a live session's deadline, only here in memory; whether there is one.
    pub(super) fn postpone_deadline(
        &mut self,
        session_id: &Arc<str>,
        now: Millis,
        until: Millis,
    ) -> bool {
        let Some(at) = self.deadline_of.get(session_id).copied() else { return false };
        if at <= now {
            self.deadlines.remove(&(at, session_id.clone()));
            self.deadlines.insert((until, session_id.clone()));
            self.deadline_of.insert(session_id.clone(), until);
        }
        true
    }

    /// The next wake-up: the minimum of all pending deadlines (R18).
    pub(super) fn next_deadline(&mut self, shared: &Shared) -> Result<Option<Millis>, Error> {
        self.store()?;
        let live = self.deadlines.first().map(|(at, _)| *at);
        let stored = self.stored_wake(shared);
        let pruning = self.next_pruning(shared);
        let notification = self.next_notification_at(shared);
        let refused = self.next_try();
        let retry = self.retry_at.filter(|_| self.has_to_retry());
        // Not `flatten().min()`: the compiler lets that compare what is none before it knows so, which
        // valgrind takes for the use of an uninitialised value.
        let soonest = [live, stored, pruning, notification, refused, retry]
            .into_iter()
            .map(|at| at.unwrap_or(Millis::MAX))
            .fold(Millis::MAX, Millis::min);
        let next = (soonest < Millis::MAX).then_some(soonest);
        // While the store fails, what is due waits for the next try.
        Ok(next.map(|at| self.retry_at.map_or(at, |retry_at| at.max(retry_at))))
    }

    /// Does one step of what is due now; whether there may be more. What fails is tried again
    /// after a while (R27).
    pub(super) fn handle_due_step(&mut self, shared: &Shared) -> bool {
        let now = shared.time.now();
        if !(self.looked_at..self.looked_at.saturating_add(LOOK_MS)).contains(&now) {
            self.looked_at = now;
            self.look_at_store(shared);
        }
        if self.retry_at.is_some_and(|retry_at| now < retry_at) {
            return false;
        }
        // What fails again says so again.
        self.retry_at = None;
        self.due_step(shared, now).unwrap_or_else(|error| {
            if !matches!(error, Error::Closed { .. } | Error::InvalidArgument { .. }) {
                shared.tell(&format!("what is due could not be handled: {error}"));
            }
            false
        })
    }

    fn due_step(&mut self, shared: &Shared, now: Millis) -> Result<bool, Error> {
        self.store()?;
        self.release_unread(shared);
        self.resolve(shared)?;
        self.age_lag_ms = shared.time.age_lag();
        if self.cache.ask_again_at.is_some_and(|at| at <= now) {
            self.cache = DueCache::default();
        }
        self.take_up(now);
        self.divide_lost_time();
        let paid = self.pay_some(shared);
        if paid == Ok(true) || (paid.is_err() && self.is_failing()) {
            return paid;
        }
        self.retell_closes(shared);
        let has_more = self.handle_next_due(shared, now)?;
        // What cannot be recovered now holds up nobody else.
        paid.map(|_| has_more)
    }

    fn handle_next_due(&mut self, shared: &Shared, now: Millis) -> Result<bool, Error> {
        match self.next_deadline(shared)?.filter(|at| *at <= now) {
            Some(at) => {
                let commits = self.next_commit_id;
                let has_pruned = self.handle_some_due(shared, now)?;
                let has_written = has_pruned || self.next_commit_id != commits;
                let has_moved = has_written || self.next_deadline(shared)? != Some(at);
                Ok(has_moved || self.may_stand_still(shared, at, now))
            }
            None => self.rewake_some(shared),
        }
    }

    /// A step has moved nothing of what is due at `at`: it may once, not twice running.
    fn may_stand_still(&mut self, shared: &Shared, at: Millis, now: Millis) -> bool {
        if self.stood_still_at.replace(at) != Some(at) {
            return true;
        }
        self.stood_still_at = None;
        if self.leave_out_due(shared, at, now) {
            return true;
        }
        shared
            .tell(&format!("something is due at {at} and nothing can be done about it; it waits"));
        self.retry_at = Some(now + RETRY_MS);
        false
    }

    /// Sessions that the store says are due at `at`, and with which nothing can be done: a damaged
    /// index leads to them, and does not find them by their names. They hold up nobody; whether that
    /// has helped.
    fn leave_out_due(&mut self, shared: &Shared, at: Millis, now: Millis) -> bool {
        if self.stored_wake(shared) != Some(at) {
            return false;
        }
        let Ok(store) = self.store() else { return false };
        let due = store.due_sessions(now, AT_ONCE).unwrap_or_default();
        for session_id in &due {
            tracing::error!(
                session = %session_id,
                "it is due and nothing can be done about it; it is left out until the store is \
                 opened anew"
            );
            store.hide(session_id, true);
        }
        self.cache.forget_sessions();
        self.stored_wake(shared) != Some(at)
    }

    /// Whether something was pruned; commits tell of themselves.
    fn handle_some_due(&mut self, shared: &Shared, now: Millis) -> Result<bool, Error> {
        let live = self.deadlines.iter().take_while(|(at, _)| *at <= now).take(AT_ONCE);
        let mut due: Vec<Arc<str>> = live.map(|(_, session_id)| session_id.clone()).collect();
        if due.len() < AT_ONCE && self.stored_wake(shared).is_some_and(|at| at <= now) {
            let stored = self.store()?.due_sessions(now, AT_ONCE - due.len());
            // Asked again in the next step, whatever becomes of these.
            self.cache.forget_sessions();
            match stored {
                Ok(stored) => {
                    let is_new = |id: &Arc<str>| !due.contains(id);
                    let waits = |id: &Arc<str>| self.put_off.until(id, now).is_some();
                    let stored = stored.into_iter().filter(|id| is_new(id) && !waits(id));
                    due.extend(stored.collect::<Vec<_>>());
                }
                Err(error) => {
                    self.cache.stored_wake = self.not_known(shared, "what is due", &error)
                }
            }
        }
        self.tick_all(shared, due)?;
        let has_pruned = self.prune(shared, now).unwrap_or_else(|error| {
            self.cache.oldest_event = self.not_known(shared, "what is old", &error);
            false
        });
        if self.next_notification_at(shared).is_some_and(|at| at <= now)
            && let Err(error) = self.handle_due_notification(shared)
        {
            self.cache.notification = self.not_known(shared, "notifications", &error);
        }
        Ok(has_pruned)
    }

    /// The store cannot say this, or do it, now: asked again in a moment, it holds up nothing else.
    fn not_known(&mut self, shared: &Shared, what: &str, why: &Error) -> Option<Option<Millis>> {
        if !matches!(why, Error::Closed { .. }) {
            shared.tell(&format!("{what} cannot be looked at, and waits: {why}"));
        }
        self.cache.ask_again_at.get_or_insert(shared.time.now() + RETRY_MS);
        Some(None)
    }

    /// Lets each of these do what is due. An error: some could not be read, and are tried again.
    pub(super) fn tick_all(
        &mut self,
        shared: &Shared,
        session_ids: Vec<Arc<str>>,
    ) -> Result<(), Error> {
        let (now, unread) = (shared.time.now(), self.unread);
        let ticks = session_ids.iter().map(|id| (id.clone(), vec![Command::Tick]));
        if !self.step_all(shared, ticks) && self.retry_at.is_none_or(|retry_at| retry_at <= now) {
            // The store works, but refuses some of these sessions.
            self.postpone(session_ids, now);
        }
        if self.unread == unread {
            return Ok(());
        }
        self.store()?;
        Err(Error::StoreError { detail: "sessions cannot be read".to_owned() })
    }

    /// Some of the events stored longer ago than the retention go; whether any did (R19).
    fn prune(&mut self, shared: &Shared, now: Millis) -> Result<bool, Error> {
        let before = now - self.retention_ms - self.age_lag_ms;
        if self.oldest_event(shared).is_none_or(|oldest| oldest >= before) {
            return Ok(false);
        }
        let pruned = self.store()?.prune_events(before, PRUNE_AT_ONCE)?;
        self.cache.oldest_event = None;
        Ok(pruned > 0)
    }

    fn next_pruning(&mut self, shared: &Shared) -> Option<Millis> {
        let retention_ms = self.retention_ms + self.age_lag_ms + 1;
        // A damaged row may say anything.
        self.oldest_event(shared).map(|oldest| oldest.saturating_add(retention_ms))
    }

    fn oldest_event(&mut self, shared: &Shared) -> Option<Millis> {
        let known = match self.cache.oldest_event {
            Some(known) => Some(known),
            None => match self.store().and_then(|store| store.oldest_event()) {
                Ok(oldest) => Some(oldest),
                Err(error) => self.not_known(shared, "what is old", &error),
            },
        };
        self.cache.oldest_event = known;
        known.flatten()
    }

    fn stored_wake(&mut self, shared: &Shared) -> Option<Millis> {
        let known = match self.cache.stored_wake {
            Some(known) => Some(known),
            None => match self.store().and_then(|store| store.next_wake()) {
                Ok(wake) => Some(wake),
                Err(error) => self.not_known(shared, "what is due", &error),
            },
        };
        self.cache.stored_wake = known;
        known.flatten()
    }

    /// When a notification that is leased or waits becomes available, or became so since those who
    /// wait were told last.
    pub(super) fn next_notification_at(&mut self, shared: &Shared) -> Option<Millis> {
        let told_until = self.told_until;
        let known = match self.cache.notification {
            Some(known) => Some(known),
            None => match self.store().and_then(|store| store.next_notification_at(told_until)) {
                Ok(at) => Some(at),
                Err(error) => self.not_known(shared, "notifications", &error),
            },
        };
        self.cache.notification = known;
        known.flatten()
    }
}
