//! Notifications (R39): taken, leased, acknowledged, repeated with growing delays, parked.

use std::sync::Arc;

use super::engine::Engine;
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
    ) -> Result<Option<NotificationRecord>, Error> {
        let now = shared.time.now();
        self.forget_notification_deadline();
        match command {
            NotificationCommand::Take => self.take_notification(shared, now),
            NotificationCommand::Acknowledge(id) => {
                let record = self.known_notification(id)?;
                self.commit_notification(shared, NotificationChange::Remove(record.id))?;
                // The next one of the session may go.
                shared.notified.notify();
                Ok(None)
            }
            NotificationCommand::Reject(id, retry_in_ms) => {
                let mut record = self.known_notification(id)?;
                record.available_at = now + retry_in_ms;
                self.commit_notification(shared, NotificationChange::Update(record))?;
                shared.notified.notify();
                Ok(None)
            }
            NotificationCommand::GiveBack(id) => {
                let mut record = self.known_notification(id)?;
                record.attempt = record.attempt.saturating_sub(1);
                record.available_at = now;
                self.commit_notification(shared, NotificationChange::Update(record))?;
                shared.notified.notify();
                Ok(None)
            }
            NotificationCommand::Requeue(id) => {
                let mut record = self.known_notification(id)?;
                record.parked = false;
                record.attempt = 0;
                record.available_at = now;
                self.commit_notification(shared, NotificationChange::Update(record))?;
                shared.notified.notify();
                Ok(None)
            }
        }
    }

    fn take_notification(
        &mut self,
        shared: &Shared,
        now: Millis,
    ) -> Result<Option<NotificationRecord>, Error> {
        while let Some(mut record) = self.store()?.next_notification(now)? {
            if record.attempt >= shared.settings.notification_attempts {
                record.parked = true;
                tracing::warn!(notification = %record.id, "notification parked after its last delivery");
                self.commit_notification(shared, NotificationChange::Update(record))?;
                continue;
            }
            record.available_at = now + lease(shared, record.attempt);
            record.attempt += 1;
            self.commit_notification(shared, NotificationChange::Update(record.clone()))?;
            return Ok(Some(record));
        }
        Ok(None)
    }

    /// Parks those whose last delivery has run out, and wakes those who wait (R18).
    pub(super) fn handle_due_notifications(&mut self, shared: &Shared) -> Result<(), Error> {
        let now = shared.time.now();
        while let Some(mut record) = self.store()?.next_notification(now)? {
            if record.attempt < shared.settings.notification_attempts {
                shared.notified.notify();
                break;
            }
            record.parked = true;
            self.commit_notification(shared, NotificationChange::Update(record))?;
        }
        self.forget_notification_deadline();
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
