//! Deadlines (R13, R15–R19, R22): none hides another, each says why it woke, and handling a step
//! late, or twice, changes nothing more.
//!
//! Every liveness deadline is a moment of life plus a threshold, or a grace that began then, so
//! that time the coordinator lost is given back by moving the moment (R18b). A grace alone counts
//! while it runs (R15), and none is ever shortened (R18b, R23). Giving back is bounded: after the first time
//! since the last real sign of life it is only done again while the coordinator itself has run
//! for less than half the stale threshold, so that one that is always late still reaps.

use super::records::{Grace, NotificationKind, Status};
use super::{Active, Credit, Effect, Failure, FailureCause, NewNotification, Session, Transition};
use crate::protocol::{close, outgoing};
use crate::settings::Millis;

/// Why a session wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// A late link is told how the execution ended (R10a).
    LateEnded,
    /// A basic link has lingered long enough after its wrapper's own ending (R31).
    Lingered,
    /// SIGTERM was not honoured: SIGKILL (R13).
    Kill,
    /// Nor was SIGKILL (R13).
    NotHonoured,
    /// Nobody came back (R22).
    Grace,
    /// No sign of life (R15).
    Stale,
    /// Nobody ever came (R16).
    Pending,
    /// The host may free the sandbox (R19).
    Idle,
    /// The session goes wholly (R19).
    Expired,
}

impl Session {
    /// The earliest moment at which [`super::Command::Tick`] has something to do, and why (R18).
    pub fn next_deadline(&self) -> Option<(Millis, Deadline)> {
        let side = self.side_link_deadline();
        let rest = match &self.active {
            Some(active) => self.active_deadline(active),
            None => self.idle_deadline(),
        };
        earlier(side, rest)
    }

    /// What is kept in the row for the time in which the session is not in memory: the deadline
    /// while nothing is active.
    pub(crate) fn wake_at_now(&self) -> Option<Millis> {
        match self.active {
            Some(_) => None,
            None => self.idle_deadline().map(|(at, _)| at),
        }
    }

    fn active_deadline(&self, active: &Active) -> Option<(Millis, Deadline)> {
        let record = &active.record;
        let liveness = match (record.status, &record.grace) {
            // "More than": one ms beyond the threshold.
            (Status::Pending, _) => {
                (active.alive_at + self.settings.pending_timeout_ms + 1, Deadline::Pending)
            }
            (_, Some(grace)) => (grace.deadline, Deadline::Grace),
            (_, None) => (active.alive_at + self.settings.stale_after_ms + 1, Deadline::Stale),
        };
        let interrupt = record.interrupt.as_ref();
        let candidates = [
            interrupt.and_then(|i| i.kill_at).map(|at| (at, Deadline::Kill)),
            interrupt.and_then(|i| i.fail_at).map(|at| (at, Deadline::NotHonoured)),
            Some(liveness),
        ];
        candidates.into_iter().fold(None, earlier)
    }

    fn idle_deadline(&self) -> Option<(Millis, Deadline)> {
        let since = self.record.last_activity_at;
        let idle = (!self.record.idle_told)
            .then_some((since + self.settings.idle_after_ms, Deadline::Idle));
        let expires_at = since + self.settings.session_ttl_ms + self.age_lag_ms;
        earlier(idle, Some((expires_at, Deadline::Expired)))
    }

    /// Handles all that is due, in order.
    pub(super) fn tick(&mut self, now: Millis, out: &mut Transition) {
        while let Some((at, deadline)) = self.next_deadline()
            && at <= now
        {
            match deadline {
                Deadline::LateEnded => self.send_ended_frames(now, out),
                Deadline::Lingered => self.close_lingering(now, out),
                Deadline::Kill => self.escalate_now(out),
                Deadline::NotHonoured => {
                    let cause = FailureCause::InterruptNotHonoured;
                    self.fail_for("Interrupt not honoured", cause, now, out);
                }
                Deadline::Grace => self.expire_grace(now, out),
                Deadline::Stale => {
                    let message = "Execution timeout - no heartbeat received";
                    self.fail_for(message, FailureCause::Stale, now, out);
                }
                Deadline::Pending => {
                    let message = "Execution timeout - wrapper never connected";
                    self.fail_for(message, FailureCause::NeverConnected, now, out);
                }
                Deadline::Idle => self.tell_idle(out),
                Deadline::Expired => {
                    self.delete(now, out);
                    return;
                }
            }
        }
    }

    fn fail_for(&mut self, message: &str, cause: FailureCause, now: Millis, out: &mut Transition) {
        let failure = Failure { message: message.into(), cause, ..Failure::default() };
        self.end_failed(failure, None, now, out);
    }

    fn escalate_now(&mut self, out: &mut Transition) {
        let Some(active) = &mut self.active else { return };
        let Some(interrupt) = &mut active.record.interrupt else { return };
        interrupt.kill_at = None;
        interrupt.signal = outgoing::Signal::Kill;
        if let Some(link) = &active.link {
            let frame = outgoing::kill(outgoing::Signal::Kill).into();
            out.effects.push(Effect::Send(link.id, frame));
        }
        out.changes.active = true;
        out.changes.session = true;
    }

    fn tell_idle(&mut self, out: &mut Transition) {
        self.record.idle_told = true;
        out.changes.session = true;
        out.changes.notifications.push(NewNotification {
            kind: NotificationKind::SessionIdle,
            execution_id: None,
            status: None,
            error: None,
            branch: self.record.branch.clone(),
            agent_session_id: self.record.agent_session_id.clone(),
        });
    }

    /// Removes the session wholly (R19a): the active execution is failed first, every link is
    /// closed, subscribers end.
    pub(super) fn delete(&mut self, now: Millis, out: &mut Transition) {
        if self.active.is_some() {
            self.fail_for("Session deleted", FailureCause::Deleted, now, out);
        }
        for side in self.side_links.drain(..) {
            let reason = close::DONE_REASON.into();
            out.effects.push(Effect::Close(side.link.id, close::DONE, reason));
        }
        out.effects.push(Effect::Deleted);
        out.changes.deleted = true;
    }

    /// Time in which the coordinator did not run, or could not store, is not the wrapper's fault
    /// (R18b).
    pub(super) fn resumed(&mut self, lost_ms: Millis, now: Millis, out: &mut Transition) {
        let half_stale = self.settings.stale_after_ms / 2;
        let recovery_grace_ms = self.settings.recovery_grace_ms;
        let lease_ttl_ms = self.settings.lease_ttl_ms;
        let Some(active) = &mut self.active else { return };
        // Nobody could have extended it meanwhile (R38). Where the wall clock was behind before it
        // jumped, less was lost: no lease has more left than a new one.
        if let Some(lease) = &mut active.record.lease
            && lease.expires_at > now - lost_ms
        {
            let given_back = (lease.expires_at + lost_ms).min(now + lease_ttl_ms);
            lease.expires_at = lease.expires_at.max(given_back);
            out.changes.active = true;
            out.changes.session = true;
        }
        match &mut active.credit {
            Some(credit) => {
                let ran = now - credit.since - credit.lost_ms - lost_ms;
                credit.lost_ms += lost_ms;
                if ran >= half_stale {
                    return;
                }
            }
            None => active.credit = Some(Credit { since: now, lost_ms: 0 }),
        }
        // Input that came after the loss is taken before it is reported (R18a).
        active.alive_at = (active.alive_at + lost_ms).min(now);
        let interrupt = active.record.interrupt.as_mut();
        if let Some(interrupt) = interrupt.filter(|i| i.requested_at + lost_ms <= now) {
            interrupt.kill_at = interrupt.kill_at.map(|at| at + lost_ms);
            interrupt.fail_at = interrupt.fail_at.map(|at| at + lost_ms);
            out.changes.active = true;
        }
        if let Some(grace) = &mut active.record.grace {
            give_back(grace, lost_ms, recovery_grace_ms, now);
            out.changes.active = true;
        }
        out.changes.session |= out.changes.active;
        out.effects.push(Effect::Warn(format!(
            "execution {}: the coordinator was away for {lost_ms} ms, deadlines are moved",
            active.record.id
        )));
    }

    /// After a restart every link is gone, and recovery counts as a sign of life (R23). `down_ms`:
    /// how long nobody was there.
    pub(super) fn recover(&mut self, down_ms: Millis, now: Millis, out: &mut Transition) {
        let recovery_grace_ms = self.settings.recovery_grace_ms;
        let kill_grace_ms = self.settings.kill_grace_ms;
        let Some(active) = &mut self.active else { return };
        active.alive_at = now;
        active.credit = None;
        active.link = None;
        let record = &mut active.record;
        if record.status == Status::Running {
            let grace = record.grace.get_or_insert_with(|| Grace {
                started_at: now,
                deadline: now,
                code: close::RESTART,
                reason: close::RESTART_REASON.to_owned(),
            });
            give_back(grace, down_ms, recovery_grace_ms, now);
        }
        if let Some(interrupt) = &mut record.interrupt {
            let killed_at = match interrupt.signal {
                outgoing::Signal::Kill => Some(now),
                outgoing::Signal::Term => interrupt.grace_ms.map(|grace| now + grace),
            };
            interrupt.kill_at = killed_at.filter(|_| interrupt.kill_at.is_some());
            // What was switched off stays off.
            interrupt.fail_at = killed_at
                .zip(kill_grace_ms)
                .map(|(at, grace)| at + grace)
                .filter(|_| interrupt.fail_at.is_some());
        }
        out.changes.active = true;
        out.changes.session = true;
    }
}

/// A grace keeps what was left of it, gets back what was lost of its time, and has at least the
/// recovery grace (R18b, R23).
fn give_back(grace: &mut Grace, lost_ms: Millis, recovery_grace_ms: Millis, now: Millis) {
    let lost_ms = lost_ms.min(now - grace.started_at).max(0);
    grace.deadline = (grace.deadline + lost_ms).max(now + recovery_grace_ms);
}

fn earlier<T>(one: Option<(Millis, T)>, other: Option<(Millis, T)>) -> Option<(Millis, T)> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.0 < one.0 { other } else { one }),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::session::Command;
    use std::sync::Arc;

    const DAY_MS: Millis = 86_400_000;

    fn started(settings: Settings) -> Session {
        let mut session = Session::create("s".into(), "ep".into(), Arc::new(settings), 0);
        let start = Command::Start { execution_id: "e".into(), mode: None, token_hash: None };
        session.apply(start, None, 0).unwrap();
        session
    }

    #[test]
    fn a_session_is_not_deleted_for_time_that_has_not_passed() {
        let mut session = started(Settings::default());
        let failure = Failure::default();
        session.apply(Command::Fail { execution_id: "e".into(), failure }, None, 0).unwrap();
        // The wall clock says that a hundred days have passed; one had.
        session.set_age_lag(99 * DAY_MS);
        let out = session.apply(Command::Tick, None, 100 * DAY_MS).unwrap();
        assert!(!out.changes.deleted);
        assert_eq!(session.next_deadline(), Some((189 * DAY_MS, Deadline::Expired)));
        let out = session.apply(Command::Tick, None, 189 * DAY_MS).unwrap();
        assert!(out.changes.deleted);
    }

    #[test]
    fn a_lease_keeps_what_was_left_of_it_over_lost_time() {
        let mut session = started(Settings::default());
        let lease = |lease_id: &str| Command::AcquireLease {
            execution_id: "e".into(),
            lease_id: lease_id.into(),
            message_id: None,
        };
        session.apply(lease("mine"), None, 0).unwrap();
        session.apply(Command::Resumed { lost_ms: 100_000 }, None, 130_000).unwrap();
        assert!(session.apply(lease("other"), None, 189_999).is_err());
        session.apply(lease("other"), None, 190_000).unwrap();
        // It never has more left than a new one, whatever the clock says of the time.
        session.apply(Command::Resumed { lost_ms: 3_600_000 }, None, 200_000).unwrap();
        assert!(session.apply(lease("third"), None, 289_999).is_err());
        session.apply(lease("third"), None, 290_000).unwrap();
        // One that had expired before is not brought back.
        session.apply(Command::Resumed { lost_ms: 1_000 }, None, 400_000).unwrap();
        session.apply(lease("fourth"), None, 400_000).unwrap();
    }
}
