//! The lifecycle: the table of R1, `start`, the host's `finish`, and the one terminal step (R4)
//! that every ending goes through, so that status, error, time, flag, grace, notification and
//! event are all written, or none.

use std::sync::Arc;

use serde_json::json;

use super::records::{ExecutionRecord, NotificationKind, Status};
use super::{
    Active, Count, Effect, Failure, FailureCause, LinkState, NewEvent, NewNotification, Session,
    SideKind, SideLink, Transition, unknown_execution,
};
use crate::Error;
use crate::protocol::{Branch, close, outgoing};
use crate::settings::Millis;

/// The only transitions (R1). Everything that changes a status asks [`may_become`].
pub const TRANSITIONS: &[(Status, Status)] = &[
    (Status::Pending, Status::Running),
    (Status::Pending, Status::Failed),
    (Status::Running, Status::Completed),
    (Status::Running, Status::Failed),
    (Status::Running, Status::Interrupted),
];

/// Whether the table allows it; otherwise `InvalidTransition`.
pub fn may_become(from: Status, to: Status) -> Result<(), Error> {
    if TRANSITIONS.contains(&(from, to)) {
        Ok(())
    } else {
        Err(Error::InvalidTransition { from: from.as_str(), to: to.as_str() })
    }
}

/// How the host ends an execution.
pub(super) struct HostEnding {
    pub status: Status,
    pub message: Option<Arc<str>>,
    pub completed_at: Option<Millis>,
}

/// How an execution ends, whoever ends it.
pub(super) struct Ending {
    pub status: Status,
    pub error: Option<Arc<str>>,
    pub completed_at: Option<Millis>,
    pub branch: Branch,
    /// The wrapper's `exitCode`.
    pub exit_code: Option<i64>,
    /// The event that tells it: exactly one.
    pub event: NewEvent,
    /// It is the wrapper's own terminal event (R10a).
    pub own: bool,
    /// Why it failed, where it did.
    pub cause: Option<FailureCause>,
    pub notify: bool,
}

impl Session {
    pub(super) fn start(
        &mut self,
        execution_id: Arc<str>,
        mode: Option<Arc<str>>,
        token_hash: Option<Arc<str>>,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) -> Result<(), Error> {
        if let Some(active) = &self.active {
            return Err(Error::ExecutionInProgress { active: active.record.id.clone() });
        }
        if subject.is_some() {
            return Err(Error::AlreadyExists { execution_id });
        }
        let record = ExecutionRecord {
            id: execution_id,
            mode,
            token_hash,
            status: Status::Pending,
            created_at: now,
            started_at: None,
            completed_at: None,
            error: None,
            exit_code: None,
            last_heartbeat_at: None,
            last_event_at: None,
            first_event_id: None,
            agent_session_id: None,
            interrupt: None,
            grace: None,
            producer: None,
            former_producers: Vec::new(),
            own_ending: false,
            reconnects: 0,
            lease: None,
        };
        self.active =
            Some(Active { record, link: None, alive_at: now, last_event_at: None, credit: None });
        self.record.last_activity_at = now;
        self.record.idle_told = false;
        out.changes.session = true;
        out.changes.active = true;
        Ok(())
    }

    pub(super) fn finish(
        &mut self,
        execution_id: &str,
        ending: HostEnding,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) -> Result<(), Error> {
        let from = match self.active_named(execution_id) {
            Some(active) => active.record.status,
            None => subject.ok_or_else(|| unknown_execution(execution_id))?.status,
        };
        may_become(from, ending.status)?;
        let HostEnding { status, message, completed_at } = ending;
        match status {
            Status::Pending | Status::Running => {
                return Err(Error::invalid(format!(
                    "finish takes a terminal status, not {}; attach makes an execution running",
                    status.as_str()
                )));
            }
            Status::Failed => {
                let message = message.unwrap_or_else(|| "Failed".into());
                let failure = Failure { message, ..Failure::default() };
                self.end_failed(failure, completed_at, now, out);
            }
            Status::Completed => self.end(
                Ending {
                    status,
                    error: None,
                    completed_at,
                    branch: Branch::Unnamed,
                    exit_code: None,
                    event: NewEvent::made("complete", &json!({})),
                    own: false,
                    cause: None,
                    notify: true,
                },
                now,
                out,
            ),
            Status::Interrupted => {
                let reason = message.unwrap_or_else(|| "User interrupted".into());
                self.end(
                    Ending {
                        status,
                        event: NewEvent::made("interrupted", &json!({"reason": *reason})),
                        error: Some(reason),
                        completed_at,
                        branch: Branch::Unnamed,
                        exit_code: None,
                        own: false,
                        cause: None,
                        notify: true,
                    },
                    now,
                    out,
                );
            }
        }
        Ok(())
    }

    /// The one terminal step (R4). The caller has checked the table; without an active execution
    /// there is nothing to end.
    pub(super) fn end(&mut self, ending: Ending, now: Millis, out: &mut Transition) {
        let Some(active) = &mut self.active else { return };
        debug_assert!(may_become(active.record.status, ending.status).is_ok());
        let execution_id = active.record.id.clone();
        self.append(&execution_id, ending.event, now, out);
        let Some(Active { mut record, link, last_event_at, .. }) = self.active.take() else {
            return;
        };
        record.last_event_at = last_event_at;
        let branch = match self.kept_branch(ending.branch, &record.id, out) {
            Branch::Unnamed => None,
            Branch::Named(branch) => {
                self.record.branch = Some(branch.clone());
                Some(branch)
            }
            // The session is on no branch that it could name.
            Branch::Unfit => {
                self.record.branch = None;
                None
            }
        };
        record.status = ending.status;
        record.error = ending.error.map(|error| self.kept_text(error));
        record.exit_code = ending.exit_code;
        record.completed_at = Some(ending.completed_at.unwrap_or(now));
        record.interrupt = None;
        record.grace = None;
        record.own_ending |= ending.own;
        self.record.last_activity_at = now;
        self.record.idle_told = false;
        if ending.notify {
            out.changes.notifications.push(NewNotification {
                kind: NotificationKind::ExecutionEnded,
                execution_id: Some(execution_id.clone()),
                status: Some(record.status),
                error: record.error.clone(),
                branch,
                agent_session_id: record.agent_session_id.clone(),
            });
        }
        if let Some(link) = link {
            self.leave_link(link, &record, ending.own, now, out);
        }
        out.effects.push(Effect::Count(Count::Ended(record.status, ending.cause)));
        out.changes.session = true;
        out.changes.executions.push(record);
    }

    /// After the terminal step: acknowledgement, `ended`, close 4000; but a basic wrapper's own
    /// ending leaves it a while (R31). The link stays known, since frames under way are kept
    /// (R10a).
    fn leave_link(
        &mut self,
        link: LinkState,
        record: &ExecutionRecord,
        own: bool,
        now: Millis,
        out: &mut Transition,
    ) {
        let execution_id = record.id.clone();
        let linger_ms = self.settings.basic_linger_ms;
        if own && link.acknowledged.is_none() && linger_ms > 0 {
            let kind = SideKind::Lingering { until: now + linger_ms };
            self.keep_side_link(SideLink { link, execution_id, kind }, out);
            return;
        }
        if link.acknowledged.is_some() {
            let last_seq = record.producer.as_ref().map_or(0, |producer| producer.last_seq);
            out.effects.push(Effect::Acknowledge(link.id, last_seq));
            out.effects.push(Effect::Send(link.id, ended_frame(record)));
        }
        out.effects.push(Effect::Close(link.id, close::DONE, close::DONE_REASON.into()));
        self.keep_side_link(SideLink { link, execution_id, kind: SideKind::Closing }, out);
    }
}

/// How an execution ended, for its wrapper.
pub(super) fn ended_frame(record: &ExecutionRecord) -> Arc<str> {
    let last_seq = record.producer.as_ref().map_or(0, |producer| producer.last_seq);
    outgoing::ended(record.status.as_str(), record.error.as_deref(), last_seq).into()
}
