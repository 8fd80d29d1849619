//! Ingest: attaching a link (R3, R25, R26, R45a), and what its frames do (R28–R32, R45b, R45d).
//!
//! The steady case is a good frame with the next number: it is appended, the producer's number
//! goes up with it in the same commit, and the acknowledgement waits for that commit. The awkward
//! cases: a frame that cannot be read takes its number all the same and leaves a `rejected` event
//! in its place; a number seen before is only acknowledged again; a missing number closes the
//! link. Frames of links that were replaced are ignored.

use std::sync::Arc;

use serde_json::json;

use super::lifecycle::Ending;
use super::records::{EventRecord, ExecutionRecord, FORMER_PRODUCERS, Producer, Status};
use super::{
    AcknowledgedLink, Active, Effect, FailureCause, LinkId, LinkMode, LinkState, NewEvent, Proof,
    Session, Transition, kill_frame, unknown_execution,
};
use crate::Error;
use crate::protocol::kilo::{self, SessionCreated};
use crate::protocol::{BadFrame, Branch, Frame, Lifecycle, close, outgoing};
use crate::settings::Millis;

/// What a frame's number says in acknowledged mode.
pub(super) enum Number {
    /// The next one: the frame is taken.
    Next(u64),
    /// Seen before: acknowledged again, otherwise ignored.
    Seen,
    /// One is missing.
    Gap,
}

/// Places a number behind the last stored one.
pub(super) fn place(seq: u64, last_seq: u64) -> Number {
    if seq <= last_seq {
        Number::Seen
    } else if seq == last_seq + 1 {
        Number::Next(seq)
    } else {
        Number::Gap
    }
}

/// `heartbeat` and `pong` carry no number (R45b).
pub(super) fn is_unnumbered(event_type: &str) -> bool {
    matches!(event_type, "heartbeat" | "pong")
}

/// The event that is stored in a refused frame's place (R45d).
pub(super) fn rejected_event(bad: &BadFrame) -> NewEvent {
    let data = json!({"code": bad.code.as_str(), "bytes": bad.bytes});
    NewEvent::made("rejected", &data)
}

/// The frame that tells a wrapper of a refused one.
pub(super) fn refusal_frame(bad: &BadFrame) -> Arc<str> {
    outgoing::protocol_error(bad.code.message()).into()
}

/// The frame that tells a wrapper that a number is missing.
pub(super) fn gap_frame(seq: u64, last_seq: u64) -> Arc<str> {
    let message = format!("number {seq} came after {last_seq}; {} is missing", last_seq + 1);
    outgoing::protocol_error(&message).into()
}

const NO_NUMBER: &str = "in acknowledged mode every frame but heartbeat and pong carries seq";

impl Session {
    #[allow(clippy::too_many_arguments)] // the command's fields, as they come
    pub(super) fn attach(
        &mut self,
        link: LinkId,
        execution_id: Arc<str>,
        proof: &Proof,
        mode: LinkMode,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) -> Result<(), Error> {
        let Some(active) = self.active.as_ref().filter(|a| a.record.id == execution_id) else {
            let record = subject.ok_or_else(|| unknown_execution(&execution_id))?;
            check_proof(&record, proof)?;
            return self.attach_late(link, record, mode, now, out);
        };
        check_proof(&active.record, proof)?;
        check_producer(active, &mode)?;
        self.accept(link, mode, now, out);
        Ok(())
    }

    /// The link becomes the active execution's one.
    fn accept(&mut self, link: LinkId, mode: LinkMode, now: Millis, out: &mut Transition) {
        let limits = self.frame_limits();
        let grace_ms = self.settings.disconnect_grace_ms;
        let Some(active) = &mut self.active else { return };
        if let Some(replaced) = active.link.take() {
            let reason = close::REPLACED_REASON.into();
            out.effects.push(Effect::Close(replaced.id, close::REPLACED, reason));
        }
        let acknowledged = match mode {
            LinkMode::Basic => None,
            LinkMode::Acknowledged { producer, attempt } => {
                let last_number = adopt_producer(&mut active.record, &producer);
                let welcome = outgoing::welcome(last_number, &producer, grace_ms, limits, false);
                out.effects.push(Effect::Send(link, welcome.into()));
                Some(AcknowledgedLink { producer, attempt, last_number })
            }
        };
        if let Some(interrupt) = &active.record.interrupt {
            out.effects.push(Effect::Send(link, kill_frame(interrupt)));
        }
        active.link = Some(LinkState { id: link, acknowledged });
        if active.record.status == Status::Pending {
            active.record.status = Status::Running;
            active.record.started_at = Some(now);
        }
        active.record.last_heartbeat_at = Some(now);
        active.alive_at = now;
        active.credit = None;
        out.changes.active = true;
        out.changes.session = true;
        self.end_grace(now, out);
    }

    pub(super) fn receive(
        &mut self,
        link: LinkId,
        execution_id: &Arc<str>,
        frame: Result<Frame, BadFrame>,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) {
        let current = self.active_named(execution_id).and_then(|active| active.link.as_ref());
        match current.filter(|current| current.id == link) {
            Some(LinkState { acknowledged: Some(_), .. }) => match frame {
                Ok(frame) if frame.seq.is_none() && is_unnumbered(&frame.event_type) => {
                    self.accept_frame(frame, None, now, out);
                }
                frame => self.receive_numbered(link, frame, now, out),
            },
            Some(_) => match frame {
                Ok(frame) => self.accept_frame(frame, None, now, out),
                Err(bad) => out.effects.push(Effect::Send(link, refusal_frame(&bad))),
            },
            // Of an execution that has ended, or replaced (then nothing knows the link).
            None => self.receive_late(link, frame, subject, now, out),
        }
    }

    fn receive_numbered(
        &mut self,
        link: LinkId,
        frame: Result<Frame, BadFrame>,
        now: Millis,
        out: &mut Transition,
    ) {
        let Some(Active { record, link: Some(state), .. }) = &mut self.active else { return };
        let Some(numbers) = &mut state.acknowledged else { return };
        let last_seq = record.producer.as_ref().map_or(0, |producer| producer.last_seq);
        let seq = match &frame {
            Ok(Frame { seq: Some(seq), .. }) => *seq,
            Ok(_) => {
                let text = outgoing::protocol_error(NO_NUMBER);
                out.effects.push(Effect::Send(link, text.into()));
                return;
            }
            Err(bad) => bad.seq.unwrap_or(numbers.last_number.saturating_add(1)),
        };
        numbers.last_number = seq;
        match place(seq, last_seq) {
            Number::Seen => {
                self.sign_of_life(frame.as_ref().ok().map(|frame| &*frame.event_type), now, out);
                out.effects.push(Effect::Acknowledge(link, last_seq));
            }
            Number::Gap => {
                out.effects.push(Effect::Send(link, gap_frame(seq, last_seq)));
                let reason: Arc<str> = close::GAP_REASON.into();
                out.effects.push(Effect::Close(link, close::PROTOCOL_VIOLATED, reason.clone()));
                self.link_closed(link, close::PROTOCOL_VIOLATED, &reason, now, out);
            }
            Number::Next(seq) => match frame {
                Ok(frame) => self.accept_frame(frame, Some(seq), now, out),
                Err(bad) => {
                    self.count(seq, out);
                    let execution_id = self.active().map(|record| record.id.clone());
                    if let Some(execution_id) = execution_id {
                        self.append(&execution_id, rejected_event(&bad), now, out);
                    }
                    out.effects.push(Effect::Send(link, refusal_frame(&bad)));
                    out.effects.push(Effect::Acknowledge(link, seq));
                }
            },
        }
    }

    /// A good frame on the active execution's link, with its number in acknowledged mode.
    fn accept_frame(
        &mut self,
        frame: Frame,
        number: Option<u64>,
        now: Millis,
        out: &mut Transition,
    ) {
        self.sign_of_life(Some(&frame.event_type), now, out);
        let Some(active) = &self.active else { return };
        let execution_id = active.record.id.clone();
        let link = active.link.as_ref().map(|link| link.id);
        if let Some(seq) = number {
            self.count(seq, out);
        }
        let lifecycle = Lifecycle::of(&frame.event_type, &frame.data);
        if lifecycle.is_none() && self.settings.volatile_types.contains(&frame.event_type) {
            out.effects.push(Effect::Broadcast(volatile_record(&execution_id, frame, now)));
        } else {
            match kilo::session_created(&frame.event_type, &frame.data) {
                Some(SessionCreated::Id(id)) => self.remember_agent_session(&id, out),
                Some(SessionCreated::Unfit) => out.effects.push(Effect::Warn(format!(
                    "execution {execution_id}: session_created without a UUID is ignored"
                ))),
                None => {}
            }
            let event = stored_event(frame, false);
            match lifecycle {
                Some(Lifecycle::Unfit) => {
                    out.effects.push(Effect::Warn(format!(
                        "execution {execution_id}: the data of this {} does not fit, it is only \
                         an event",
                        event.event_type
                    )));
                    self.append(&execution_id, event, now, out);
                }
                Some(lifecycle) => self.end(own_ending(lifecycle, event), now, out),
                None => self.append(&execution_id, event, now, out),
            }
        }
        if let (Some(link), Some(seq)) = (link, number)
            && self.active_named(&execution_id).is_some()
        {
            out.effects.push(Effect::Acknowledge(link, seq));
        }
    }

    /// The number is stored with what it numbers, in one commit (R45b).
    fn count(&mut self, seq: u64, out: &mut Transition) {
        if let Some(producer) = self.active.as_mut().and_then(|a| a.record.producer.as_mut()) {
            producer.last_seq = seq;
            out.changes.active = true;
            out.changes.session = true;
        }
    }

    /// Any valid frame is one (R14); what is stored of it is debounced.
    fn sign_of_life(&mut self, event_type: Option<&str>, now: Millis, out: &mut Transition) {
        let Some(event_type) = event_type else { return };
        let debounce = self.settings.heartbeat_debounce_ms;
        let is_due = |stored: Option<Millis>| stored.is_none_or(|at| now - at >= debounce);
        let Some(active) = &mut self.active else { return };
        active.alive_at = now;
        active.credit = None;
        if event_type != "heartbeat" {
            active.last_event_at = Some(now);
        }
        self.record.last_activity_at = now;
        let mut dirty = false;
        if is_due(active.record.last_heartbeat_at) {
            active.record.last_heartbeat_at = Some(now);
            dirty = true;
        }
        if event_type != "heartbeat" && is_due(active.record.last_event_at) {
            active.record.last_event_at = Some(now);
            dirty = true;
        }
        if dirty {
            out.changes.active = true;
            out.changes.session = true;
        }
    }

    /// A sign of life that the host reports (R14).
    pub(super) fn heartbeat(
        &mut self,
        execution_id: &str,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) -> Result<(), Error> {
        match self.active_named(execution_id).map(|active| active.record.status) {
            Some(Status::Running) => {
                self.sign_of_life(Some("heartbeat"), now, out);
                Ok(())
            }
            // A sign of life does not stand for an attach: the pending timeout runs on (R16).
            Some(_) => {
                self.record.last_activity_at = now;
                if let Some(active) = &mut self.active {
                    active.record.last_heartbeat_at = Some(now);
                }
                out.changes.active = true;
                out.changes.session = true;
                Ok(())
            }
            None => {
                let record = subject.ok_or_else(|| unknown_execution(execution_id))?;
                Err(Error::ExecutionNotActive { status: record.status.as_str() })
            }
        }
    }

    /// Once per execution (R30).
    fn remember_agent_session(&mut self, id: &str, out: &mut Transition) {
        let max_bytes = self.settings.max_id_bytes as usize;
        let Some(active) = &mut self.active else { return };
        if active.record.agent_session_id.is_some() {
            return;
        }
        if id.len() > max_bytes {
            out.effects.push(Effect::Warn(format!(
                "execution {}: the agent's session id is longer than max_id_bytes; none is kept",
                active.record.id
            )));
            return;
        }
        let id: Arc<str> = id.into();
        active.record.agent_session_id = Some(id.clone());
        self.record.agent_session_id = Some(id);
        out.changes.active = true;
        out.changes.session = true;
    }
}

/// The wrapper's own terminal event as an ending (R29).
fn own_ending(lifecycle: Lifecycle, event: NewEvent) -> Ending {
    let Told { status, error, branch, exit_code } = told_by(lifecycle);
    let cause = (status == Status::Failed).then_some(FailureCause::Wrapper);
    Ending {
        status,
        error,
        completed_at: None,
        branch,
        exit_code,
        event,
        own: true,
        cause,
        notify: true,
    }
}

/// What a terminal event tells.
pub(super) struct Told {
    pub status: Status,
    pub error: Option<Arc<str>>,
    pub branch: Branch,
    pub exit_code: Option<i64>,
}

pub(super) fn told_by(lifecycle: Lifecycle) -> Told {
    let (status, error, branch, exit_code) = match lifecycle {
        Lifecycle::Completed { branch, exit_code } => (Status::Completed, None, branch, exit_code),
        Lifecycle::Interrupted { reason, exit_code } => {
            (Status::Interrupted, Some(reason), Branch::Unnamed, exit_code)
        }
        Lifecycle::Failed { error, exit_code } => {
            (Status::Failed, Some(error), Branch::Unnamed, exit_code)
        }
        Lifecycle::Unfit => unreachable!("an unfit event ends nothing; callers match it first"),
    };
    Told { status, error, branch, exit_code }
}

pub(super) fn stored_event(frame: Frame, late: bool) -> NewEvent {
    NewEvent { event_type: frame.event_type, timestamp: frame.timestamp, late, data: frame.data }
}

pub(super) fn volatile_record(execution_id: &Arc<str>, frame: Frame, now: Millis) -> EventRecord {
    EventRecord {
        id: 0,
        execution_id: execution_id.clone(),
        event_type: frame.event_type,
        timestamp: frame.timestamp.unwrap_or(now),
        stored_at: now,
        late: false,
        data: frame.data,
    }
}

fn check_proof(record: &ExecutionRecord, proof: &Proof) -> Result<(), Error> {
    match (&record.token_hash, proof) {
        (None, _) | (_, Proof::Trusted) => Ok(()),
        (Some(wanted), Proof::TokenHash(Some(given))) if equal_in_constant_time(wanted, given) => {
            Ok(())
        }
        _ => Err(Error::Unauthorized),
    }
}

fn equal_in_constant_time(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one.bytes().zip(other.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// R45a: a former producer is refused, and so is an attempt older than the current link's.
fn check_producer(active: &Active, mode: &LinkMode) -> Result<(), Error> {
    let LinkMode::Acknowledged { producer, attempt } = mode else { return Ok(()) };
    if active.record.former_producers.contains(producer) {
        return Err(Error::Superseded);
    }
    let current = active.link.as_ref().and_then(|link| link.acknowledged.as_ref());
    if current.is_some_and(|link| link.producer == *producer && *attempt < link.attempt) {
        return Err(Error::Superseded);
    }
    Ok(())
}

/// Makes a producer the current one; its last number.
pub(super) fn adopt_producer(record: &mut ExecutionRecord, id: &Arc<str>) -> u64 {
    if let Some(current) = &record.producer {
        if current.id == *id {
            return current.last_seq;
        }
        record.former_producers.push(current.id.clone());
        if record.former_producers.len() > FORMER_PRODUCERS {
            record.former_producers.remove(0);
        }
    }
    record.producer = Some(Producer { id: id.clone(), last_seq: 0 });
    0
}
