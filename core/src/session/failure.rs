//! The one failure path (R7): grace expiry, the reapers, a failed launch, an interrupt that was
//! not honoured, a deletion and the caller all come through here.
//!
//! Clean-up is owned (R8): flag and grace live in the execution's own record, so whatever is
//! cleared belongs to the execution that failed.

use serde_json::json;

use super::lifecycle::Ending;
use super::records::{ExecutionRecord, Status};
use super::{Failure, NewEvent, Reply, Session, Transition, unknown_execution};
use crate::Error;
use crate::protocol::Branch;
use crate::settings::Millis;

impl Session {
    /// Fails the named execution. Replies `true` when this call did it; `false` when it had ended
    /// already, and then nothing is changed.
    pub(super) fn fail(
        &mut self,
        execution_id: &str,
        failure: Failure,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) -> Result<(), Error> {
        if let Some(active) = self.active_named(execution_id) {
            if failure.only_pending && active.record.status != Status::Pending {
                out.reply = Some(Reply::Failed(false));
                return Ok(());
            }
            self.end_failed(failure, None, now, out);
            out.reply = Some(Reply::Failed(true));
            return Ok(());
        }
        // What is not active is terminal; what is not stored is not known.
        subject.ok_or_else(|| unknown_execution(execution_id))?;
        out.reply = Some(Reply::Failed(false));
        Ok(())
    }

    /// Fails the active execution, which both active statuses allow (R1).
    pub(super) fn end_failed(
        &mut self,
        failure: Failure,
        completed_at: Option<Millis>,
        now: Millis,
        out: &mut Transition,
    ) {
        let Failure { message, event_type, mut payload, suppress_notification, cause, .. } =
            failure;
        payload.set("error", &json!(*message));
        payload.set("fatal", &json!(true));
        let event_type = event_type.unwrap_or_else(|| "error".into());
        self.end(
            Ending {
                status: Status::Failed,
                error: Some(message),
                completed_at,
                branch: Branch::Unnamed,
                exit_code: None,
                event: NewEvent::of(event_type, payload.to_string()),
                own: false,
                cause: Some(cause),
                notify: !suppress_notification,
            },
            now,
            out,
        );
    }
}
