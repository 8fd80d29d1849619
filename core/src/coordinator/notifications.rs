//! Notifications (R39): taken, leased, acknowledged, repeated with growing delays, parked.

use std::sync::Arc;

use super::engine::Engine;
use super::request::Answer;
use super::shared::Shared;
use crate::Error;
use crate::session::records::NotificationRecord;
use crate::settings::Millis;
use crate::store::NotificationChange;

/// What can be done with notifications.
#[derive(Debug, Clone)]
pub(super) enum NotificationCommand {
    /// Leases the next one.
    Take,
    /// It is dealt with.
    Acknowledge(Arc<str>),
    /// It comes again after this long.
    Reject(Arc<str>, Millis),
    /// Nobody got to see it: it is as if it had not been taken.
    GiveBack(Arc<str>),
    /// A parked one starts anew.
    Requeue(Arc<str>),
}

impl Engine {
    /// Does one of them, in a commit of its own.
    pub(super) fn notification(
        &mut self,
        shared: &Shared,
        command: &NotificationCommand,
    ) -> Result<Answer, Error> {
        let now = shared.time.now();
        let change = match command {
            NotificationCommand::Take => return self.take_notification(shared, now),
            NotificationCommand::Acknowledge(id) => {
                NotificationChange::Remove(self.known_notification(id)?.id)
            }
            NotificationCommand::Reject(id, retry_in_ms) => {
                let mut record = self.known_notification(id)?;
                record.available_at = now + retry_in_ms;
                NotificationChange::Update(record)
            }
            NotificationCommand::GiveBack(id) => {
                let mut record = self.known_notification(id)?;
                record.attempt = record.attempt.saturating_sub(1);
                record.available_at = now;
                NotificationChange::Update(record)
            }
            NotificationCommand::Requeue(id) => {
                let mut record = self.known_notification(id)?;
                record.parked = false;
                record.attempt = 0;
                record.available_at = now;
                NotificationChange::Update(record)
            }
        };
        self.commit_notification(shared, change)?;
        // It, or the next one of its session, may go.
        self.tell_waiting(shared, now);
        if let NotificationCommand::Reject(..) = command {
            // So that the driver is woken where it looks later than that. It is kept either way.
            self.next_notification_at(shared);
        }
        Ok(Answer::Notification(None))
    }

    /// Those who wait for notifications look again, and find all that can be taken at `now`.
    pub(super) fn tell_waiting(&mut self, shared: &Shared, now: Millis) {
        self.told_until = now;
        self.cache.forget_notifications();
        shared.notified.notify();
    }

    /// Leases the next one. Those whose last delivery has run out are parked first, one at a time:
    /// there may be many, and others are let in between (R19).
    fn take_notification(&mut self, shared: &Shared, now: Millis) -> Result<Answer, Error> {
        let Some(mut record) = self.store()?.next_notification(now)? else {
            return Ok(Answer::Notification(None));
        };
        if record.attempt >= shared.settings.notification_attempts {
            self.park(shared, record)?;
            return Ok(Answer::AskAgain);
        }
        record.available_at = now + lease(shared, record.attempt);
        record.attempt += 1;
        self.cache.forget_notifications();
        self.commit_notification(shared, NotificationChange::Update(record.clone()))?;
        Ok(Answer::Notification(Some(record)))
    }

    /// Parks one whose last delivery has run out, or else wakes those who wait (R18).
    pub(super) fn handle_due_notification(&mut self, shared: &Shared) -> Result<(), Error> {
        let now = shared.time.now();
        if let Some(record) = self.store()?.next_notification(now)?
            && record.attempt >= shared.settings.notification_attempts
        {
            // There may be more of them.
            return self.park(shared, record);
        }
        self.tell_waiting(shared, now);
        Ok(())
    }

    fn park(&mut self, shared: &Shared, mut record: NotificationRecord) -> Result<(), Error> {
        record.parked = true;
        let id = record.id.clone();
        self.cache.forget_notifications();
        self.commit_notification(shared, NotificationChange::Update(record))?;
        tracing::warn!(notification = %id, "notification parked after its last delivery");
        // The next one of its session may go.
        shared.notified.notify();
        Ok(())
    }

    fn known_notification(&mut self, id: &str) -> Result<NotificationRecord, Error> {
        self.store()?
            .notification(id)?
            .ok_or_else(|| Error::not_found(format!("notification {id:?}")))
    }
}

/// How long a delivery is leased: the n-th comes again after the lease, doubled n - 1 times.
fn lease(shared: &Shared, earlier_deliveries: u32) -> Millis {
    let doubled = 1i64.checked_shl(earlier_deliveries.min(30)).unwrap_or(i64::MAX);
    shared
        .settings
        .notification_lease_ms
        .saturating_mul(doubled)
        .min(crate::settings::MAX_DURATION_MS)
}
