//! Leases (R38): exclusive, with a time to live, held by name.

use std::sync::Arc;

use super::records::{ExecutionRecord, Lease};
use super::{Reply, Session, Transition, unknown_execution};
use crate::Error;
use crate::settings::Millis;

impl Session {
    pub(super) fn acquire_lease(
        &mut self,
        execution_id: &str,
        lease_id: Arc<str>,
        message_id: Option<Arc<str>>,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) -> Result<(), Error> {
        let expires_at = now + self.settings.lease_ttl_ms;
        self.with_lease(execution_id, subject, out, |lease| {
            if let Some(held) = lease.as_ref().filter(|held| now < held.expires_at)
                && held.lease_id != lease_id
            {
                return Err(Error::AlreadyHeld {
                    holder: held.lease_id.clone(),
                    expires_at: held.expires_at,
                });
            }
            let taken = Lease { lease_id, message_id, expires_at };
            *lease = Some(taken.clone());
            Ok(Reply::Lease(taken))
        })
    }

    pub(super) fn extend_lease(
        &mut self,
        execution_id: &str,
        lease_id: &str,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) -> Result<(), Error> {
        let expires_at = now + self.settings.lease_ttl_ms;
        self.with_lease(execution_id, subject, out, |lease| {
            let held = held_by(lease, lease_id, now)?;
            held.expires_at = expires_at;
            Ok(Reply::Lease(held.clone()))
        })
    }

    pub(super) fn release_lease(
        &mut self,
        execution_id: &str,
        lease_id: &str,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) -> Result<(), Error> {
        self.with_lease(execution_id, subject, out, |lease| {
            held_by(lease, lease_id, now)?;
            *lease = None;
            Ok(Reply::Done)
        })
    }

    /// Runs a change of the lease, wherever the execution's row is, and has it written if it
    /// succeeds.
    fn with_lease(
        &mut self,
        execution_id: &str,
        subject: Option<ExecutionRecord>,
        out: &mut Transition,
        change: impl FnOnce(&mut Option<Lease>) -> Result<Reply, Error>,
    ) -> Result<(), Error> {
        if let Some(active) = self.active_named(execution_id) {
            out.reply = Some(change(&mut active.record.lease)?);
            out.changes.active = true;
        } else {
            let mut record = subject.ok_or_else(|| unknown_execution(execution_id))?;
            out.reply = Some(change(&mut record.lease)?);
            out.changes.executions.push(record);
        }
        out.changes.session = true;
        Ok(())
    }
}

fn held_by<'a>(
    lease: &'a mut Option<Lease>,
    lease_id: &str,
    now: Millis,
) -> Result<&'a mut Lease, Error> {
    let held = lease
        .as_mut()
        .filter(|held| now < held.expires_at)
        .ok_or_else(|| Error::not_found("lease: nobody holds one, or it has expired"))?;
    if *held.lease_id != *lease_id {
        return Err(Error::WrongHolder {
            holder: held.lease_id.clone(),
            expires_at: held.expires_at,
        });
    }
    Ok(held)
}
