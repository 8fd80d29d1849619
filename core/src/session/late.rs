//! What comes after the end (R10a): evidence is never dropped, and never a second ending.
//!
//! Three kinds of link bring it. A *late* link was accepted after the end, because the execution
//! ended without its wrapper's own word; it is told how the execution ended and is closed once
//! that word has come. A *lingering* link is a basic wrapper's on which that word came: the
//! wrapper closes it when it has said all, and if not, the coordinator does after a while (R31).
//! A *closing* link was there when the execution ended; frames that were under way are kept too.
//! None changes a status, starts a grace or counts for a deadline of the execution.

use std::sync::Arc;

use super::ingest::{
    Number, Told, adopt_producer, gap_frame, is_unnumbered, place, refusal_frame, rejected_event,
    stored_event, told_by, volatile_record,
};
use super::lifecycle::ended_frame;
use super::records::{ExecutionRecord, NotificationKind};
use super::{
    AcknowledgedLink, Deadline, Effect, LinkId, LinkMode, LinkState, NewNotification, SIDE_LINKS,
    Session, SideKind, SideLink, Transition,
};
use crate::Error;
use crate::protocol::{BadFrame, Branch, Frame, Lifecycle, close, outgoing};
use crate::settings::Millis;

impl Session {
    /// Attaching to an execution that has ended.
    pub(super) fn attach_late(
        &mut self,
        link: LinkId,
        mut record: ExecutionRecord,
        mode: LinkMode,
        now: Millis,
        out: &mut Transition,
    ) -> Result<(), Error> {
        let refused = Err(Error::ExecutionNotActive { status: record.status.as_str() });
        let LinkMode::Acknowledged { producer, attempt } = mode else { return refused };
        let known = record.producer.as_ref().is_none_or(|current| current.id == producer);
        let in_time = record
            .completed_at
            .is_none_or(|completed_at| now - completed_at <= self.settings.late_window_ms);
        if record.own_ending || !known || !in_time {
            return refused;
        }
        // R45a: an attempt that was overtaken on its way must not throw out the newer one.
        if self.late_attempt(&record.id, &producer).is_some_and(|current| attempt < current) {
            return Err(Error::Superseded);
        }
        self.replace_side_links(&record.id, out);
        let is_first = record.producer.is_none();
        let last_number = adopt_producer(&mut record, &producer);
        let grace_ms = self.settings.disconnect_grace_ms;
        let welcome =
            outgoing::welcome(last_number, &producer, grace_ms, self.frame_limits(), true);
        out.effects.push(Effect::Send(link, welcome.into()));
        let side = SideLink {
            link: LinkState {
                id: link,
                acknowledged: Some(AcknowledgedLink { producer, attempt, last_number }),
            },
            execution_id: record.id.clone(),
            // `ended` follows in a step of its own, due at once.
            kind: SideKind::Late { ended: Some((now, ended_frame(&record))) },
        };
        self.keep_side_link(side, out);
        if is_first {
            out.changes.executions.push(record);
            out.changes.session = true;
        }
        Ok(())
    }

    /// A frame on a link that is not the active execution's: kept if the link is known here,
    /// ignored if it was replaced.
    pub(super) fn receive_late(
        &mut self,
        link: LinkId,
        frame: Result<Frame, BadFrame>,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) {
        let Some(index) = self.side_links.iter().position(|side| side.link.id == link) else {
            return;
        };
        let Some(mut record) = subject else { return };
        // What the link has to be told comes before what answers its frames.
        self.send_ended_frames(now, out);
        let side = &mut self.side_links[index];
        let Some(numbers) = &mut side.link.acknowledged else {
            match frame {
                Ok(frame) => self.keep_late(index, frame, &mut record, now, out),
                Err(bad) => out.effects.push(Effect::Send(link, refusal_frame(&bad))),
            }
            if !out.changes.events.is_empty() {
                out.changes.executions.push(record);
            }
            return;
        };
        let last_seq = record.producer.as_ref().map_or(0, |producer| producer.last_seq);
        let seq = match &frame {
            Ok(frame) if frame.seq.is_none() && is_unnumbered(&frame.event_type) => return,
            Ok(Frame { seq: None, .. }) => {
                let text = outgoing::protocol_error("in acknowledged mode every frame carries seq");
                out.effects.push(Effect::Send(link, text.into()));
                return;
            }
            Ok(Frame { seq: Some(seq), .. }) => *seq,
            Err(bad) => bad.seq.unwrap_or(numbers.last_number.saturating_add(1)),
        };
        numbers.last_number = seq;
        match place(seq, last_seq) {
            Number::Seen => out.effects.push(Effect::Acknowledge(link, last_seq)),
            Number::Gap => {
                out.effects.push(Effect::Send(link, gap_frame(seq, last_seq)));
                let reason = close::GAP_REASON.into();
                out.effects.push(Effect::Close(link, close::PROTOCOL_VIOLATED, reason));
                self.side_links.remove(index);
            }
            Number::Next(seq) => {
                if let Some(producer) = &mut record.producer {
                    producer.last_seq = seq;
                }
                out.effects.push(Effect::Acknowledge(link, seq));
                match frame {
                    Ok(frame) => self.keep_late(index, frame, &mut record, now, out),
                    Err(bad) => {
                        let mut event = rejected_event(&bad);
                        event.late = true;
                        self.append(&record.id, event, now, out);
                        out.effects.push(Effect::Send(link, refusal_frame(&bad)));
                    }
                }
                out.changes.executions.push(record);
                out.changes.session = true;
            }
        }
    }

    /// Stores a late frame; the first terminal one of an execution without an ending of its own
    /// is told to the host, and closes a late link.
    fn keep_late(
        &mut self,
        index: usize,
        frame: Frame,
        record: &mut ExecutionRecord,
        now: Millis,
        out: &mut Transition,
    ) {
        let lifecycle = Lifecycle::of(&frame.event_type, &frame.data);
        if lifecycle.is_none() && self.settings.volatile_types.contains(&frame.event_type) {
            out.effects.push(Effect::Broadcast(volatile_record(&record.id, frame, now)));
            return;
        }
        self.append(&record.id, stored_event(frame, true), now, out);
        let Some(lifecycle) = lifecycle.filter(Lifecycle::is_terminal) else { return };
        if !record.own_ending {
            record.own_ending = true;
            let Told { status, error, branch, .. } = told_by(lifecycle);
            let branch = match self.kept_branch(branch, &record.id, out) {
                Branch::Named(branch) => Some(branch),
                Branch::Unnamed | Branch::Unfit => None,
            };
            out.changes.notifications.push(NewNotification {
                kind: NotificationKind::LateResult,
                execution_id: Some(record.id.clone()),
                status: Some(status),
                error: error.map(|error| self.kept_text(error)),
                branch,
                agent_session_id: record.agent_session_id.clone(),
            });
        }
        let side = &mut self.side_links[index];
        if matches!(side.kind, SideKind::Late { .. }) {
            side.kind = SideKind::Closing;
            close_done(side, out);
        }
    }

    /// Sends the `ended` frames that are due.
    pub(super) fn send_ended_frames(&mut self, now: Millis, out: &mut Transition) {
        for side in &mut self.side_links {
            if let SideKind::Late { ended } = &mut side.kind
                && let Some((_, frame)) = ended.take_if(|(at, _)| *at <= now)
            {
                out.effects.push(Effect::Send(side.link.id, frame));
            }
        }
    }

    /// Closes the links that have lingered long enough (R31).
    pub(super) fn close_lingering(&mut self, now: Millis, out: &mut Transition) {
        for side in &mut self.side_links {
            if matches!(side.kind, SideKind::Lingering { until } if until <= now) {
                side.kind = SideKind::Closing;
                close_done(side, out);
            }
        }
    }

    /// When something is due on a link of an execution that has ended, and what.
    pub(super) fn side_link_deadline(&self) -> Option<(Millis, Deadline)> {
        let due = self.side_links.iter().filter_map(|side| match &side.kind {
            SideKind::Late { ended } => ended.as_ref().map(|(at, _)| (*at, Deadline::LateEnded)),
            SideKind::Lingering { until } => Some((*until, Deadline::Lingered)),
            SideKind::Closing => None,
        });
        due.min_by_key(|(at, _)| *at)
    }

    /// The close of a side link: a late one is answered with 4000.
    pub(super) fn side_link_closed(&mut self, link: LinkId, out: &mut Transition) {
        let Some(index) = self.side_links.iter().position(|side| side.link.id == link) else {
            return;
        };
        let side = self.side_links.remove(index);
        if matches!(side.kind, SideKind::Late { .. }) {
            close_done(&side, out);
        }
    }

    /// Follows a link from now on; of too many the oldest is not followed any more, hence closed.
    pub(super) fn keep_side_link(&mut self, side: SideLink, out: &mut Transition) {
        if self.side_links.len() == SIDE_LINKS {
            let oldest = self.side_links.remove(0);
            if oldest.kind != SideKind::Closing {
                close_done(&oldest, out);
            }
        }
        self.side_links.push(side);
    }

    /// The attempt number of a producer's late link, if it has one.
    fn late_attempt(&self, execution_id: &str, producer: &str) -> Option<u64> {
        let late = self.side_links.iter().filter(|side| {
            *side.execution_id == *execution_id && matches!(side.kind, SideKind::Late { .. })
        });
        let mut numbers = late.filter_map(|side| side.link.acknowledged.as_ref());
        numbers.find(|link| *link.producer == *producer).map(|link| link.attempt)
    }

    /// Whether a producer's link is the one that counts: the active execution's current producer,
    /// or the one of a late link (R45a).
    pub fn is_current_producer(&self, execution_id: &str, producer: &str) -> bool {
        match self.active() {
            Some(active) if *active.id == *execution_id => {
                active.producer.as_ref().is_some_and(|current| *current.id == *producer)
            }
            _ => self.late_attempt(execution_id, producer).is_some(),
        }
    }

    fn replace_side_links(&mut self, execution_id: &Arc<str>, out: &mut Transition) {
        self.side_links.retain(|side| {
            let replaced = side.execution_id == *execution_id;
            if replaced && matches!(side.kind, SideKind::Late { .. }) {
                let reason = close::REPLACED_REASON.into();
                out.effects.push(Effect::Close(side.link.id, close::REPLACED, reason));
            }
            !replaced
        });
    }
}

fn close_done(side: &SideLink, out: &mut Transition) {
    out.effects.push(Effect::Close(side.link.id, close::DONE, close::DONE_REASON.into()));
}
