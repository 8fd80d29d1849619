//! What is due, and when the next thing will be (R18, R18b, R19).
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

/// So many due sessions are handled in one commit.
const DUE_AT_ONCE: usize = 256;
/// So many events are pruned in one transaction.
const PRUNE_AT_ONCE: usize = 2_000;

/// Answers of the store that hold until a commit changes them; the outer `None`: ask again.
#[derive(Debug, Default)]
pub(super) struct DueCache {
    stored_wake: Option<Option<Millis>>,
    oldest_event: Option<Option<Millis>>,
    notification: Option<Option<Millis>>,
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
    fn postpone_deadline(&mut self, session_id: &Arc<str>, now: Millis, until: Millis) -> bool {
        let Some(at) = self.deadline_of.get(session_id).copied() else { return false };
        if at <= now {
            self.deadlines.remove(&(at, session_id.clone()));
            self.deadlines.insert((until, session_id.clone()));
            self.deadline_of.insert(session_id.clone(), until);
        }
        true
    }

    /// The next wake-up: the minimum of all pending deadlines (R18).
    pub(super) fn next_deadline(&mut self, now: Millis) -> Result<Option<Millis>, Error> {
        let live = self.deadlines.first().map(|(at, _)| *at);
        let stored = self.stored_wake()?;
        let pruning = self.next_pruning()?;
        let notification = self.next_notification_at(now)?;
        let next = [live, stored, pruning, notification].into_iter().flatten().min();
        let retry = self.retry_at.filter(|_| self.has_to_retry());
        let next = [next, retry].into_iter().flatten().min();
        // While the store fails, what is due waits for the next try.
        Ok(next.map(|at| self.retry_at.map_or(at, |retry_at| at.max(retry_at))))
    }

    /// Handles all that is due now. What fails is tried again (R27).
    pub(super) fn handle_due(&mut self, shared: &Shared) {
        let now = shared.time.now();
        if self.retry_at.is_some_and(|retry_at| now < retry_at) {
            return;
        }
        if let Err(error) = self.handle_all_due(shared, now)
            && !matches!(error, Error::Closed | Error::InvalidArgument { .. })
        {
            tracing::error!("what is due could not be handled: {error}");
            self.retry_at = Some(now + RETRY_MS);
        }
    }

    fn handle_all_due(&mut self, shared: &Shared, now: Millis) -> Result<(), Error> {
        self.store()?;
        self.resolve(shared)?;
        self.give_back_lost_time(shared, now);
        self.retell_closes(shared);
        while self.next_deadline(now)?.is_some_and(|at| at <= now) {
            let mut due: Vec<Arc<str>> = self
                .deadlines
                .iter()
                .take_while(|(at, _)| *at <= now)
                .take(DUE_AT_ONCE)
                .map(|(_, session_id)| session_id.clone())
                .collect();
            if self.stored_wake()?.is_some_and(|at| at <= now) {
                let stored = self.store()?.due_sessions(now, DUE_AT_ONCE)?;
                // Asked again in the next round, whatever becomes of these.
                self.cache.forget_sessions();
                due.extend(stored.into_iter().filter(|id| !due.contains(id)).collect::<Vec<_>>());
            }
            let ticks = due.iter().map(|session_id| (session_id.clone(), vec![Command::Tick]));
            if !self.step_all(shared, ticks) {
                if self.retry_at.is_some_and(|retry_at| retry_at > now) {
                    return Ok(());
                }
                // The store works, but refuses some of these sessions.
                self.postpone(due, now);
            }
            self.prune(shared, now)?;
            if self.next_notification_at(now)?.is_some_and(|at| at <= now) {
                self.handle_due_notifications(shared)?;
            }
        }
        Ok(())
    }

    /// Sessions whose step the store refuses are tried again after a while, and hold up nobody.
    fn postpone(&mut self, session_ids: Vec<Arc<str>>, now: Millis) {
        for session_id in session_ids {
            if !self.postpone_deadline(&session_id, now, now + RETRY_MS) {
                // It is not live: its deadline is in its row, which cannot be written.
                self.retry_at = Some(now + RETRY_MS);
            }
        }
    }

    /// Lost time is given back before anything is failed for it (R18b), and so is the time in which
    /// no commit succeeded. As long as the store fails it stays owed.
    fn give_back_lost_time(&mut self, shared: &Shared, now: Millis) {
        let lost_ms = self.owed_ms + self.failing_ms();
        if lost_ms == 0 {
            return;
        }
        let told = self.tell_resumed(shared, lost_ms);
        if told || self.retry_at.is_none_or(|retry_at| retry_at <= now) {
            self.owed_ms = 0;
            self.failing = None;
        }
    }

    /// Time was lost: everybody live gets it back before anything that is due is handled.
    pub(super) fn resumed(&mut self, shared: &Shared, lost_ms: Millis) {
        tracing::warn!(lost_ms, "the coordinator was away; liveness deadlines are moved");
        self.owed_ms += lost_ms;
        self.give_back_lost_time(shared, shared.time.now());
    }

    fn tell_resumed(&mut self, shared: &Shared, lost_ms: Millis) -> bool {
        let live: Vec<Arc<str>> =
            self.deadlines.iter().map(|(_, session_id)| session_id.clone()).collect();
        let commands =
            live.into_iter().map(|session_id| (session_id, vec![Command::Resumed { lost_ms }]));
        self.step_all(shared, commands)
    }

    /// Events stored longer ago than the retention go, in small transactions (R19).
    fn prune(&mut self, shared: &Shared, now: Millis) -> Result<(), Error> {
        let before = now - shared.settings.event_retention_ms;
        while self.oldest_event()?.is_some_and(|oldest| oldest < before) {
            let pruned = self.store()?.prune_events(before, PRUNE_AT_ONCE)?;
            self.cache.oldest_event = None;
            if pruned == 0 {
                break;
            }
        }
        Ok(())
    }

    fn next_pruning(&mut self) -> Result<Option<Millis>, Error> {
        let retention_ms = self.retention_ms;
        Ok(self.oldest_event()?.map(|oldest| oldest + retention_ms + 1))
    }

    fn oldest_event(&mut self) -> Result<Option<Millis>, Error> {
        if let Some(known) = self.cache.oldest_event {
            return Ok(known);
        }
        let oldest = self.store()?.oldest_event()?;
        self.cache.oldest_event = Some(oldest);
        Ok(oldest)
    }

    fn stored_wake(&mut self) -> Result<Option<Millis>, Error> {
        if let Some(known) = self.cache.stored_wake {
            return Ok(known);
        }
        let wake = self.store()?.next_wake()?;
        self.cache.stored_wake = Some(wake);
        Ok(wake)
    }

    /// When a notification that is leased or waits becomes available.
    fn next_notification_at(&mut self, now: Millis) -> Result<Option<Millis>, Error> {
        if let Some(known) = self.cache.notification {
            return Ok(known);
        }
        let at = self.store()?.next_notification_at(now)?;
        self.cache.notification = Some(at);
        Ok(at)
    }
}
