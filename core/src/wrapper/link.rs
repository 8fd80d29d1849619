//! What a link brings, and how it ends (R10a, R41, R42, R45c, R46).

use std::sync::Arc;

use serde_json::Value;

use crate::protocol::outgoing::Signal;
use crate::protocol::{PROTOCOL_ACKNOWLEDGED, Refusal, close, raw};
use crate::session::records::Status;
use crate::settings::Millis;

use super::action::{Action, Outcome, Refused, State, Told};
use super::connection::Input;
use super::outbox::{Mode, Welcomed};
use super::timers::Timer;
use super::{Ended, Wrapper};

/// What the host is told when all attempts are used up (R41).
const GAVE_UP: &str = "ingest websocket closed (reconnection failed)";
/// What the host is told after a final 4002 (R46).
const VIOLATED: &str = "protocol violated";
/// The reason with which the wrapper closes a link that is not current (R42).
const NOT_CURRENT: &str = "no longer wanted";

impl Wrapper {
    /// An attempt succeeded: the upgrade was answered with 101. `protocol` is the value of the
    /// answer's `Stayline-Protocol` header.
    pub fn handle_opened(&mut self, attempt: u64, protocol: Option<u8>, now: Millis) {
        if !self.is_current(attempt) {
            self.refuse_socket(attempt);
            return;
        }
        let granted = protocol == Some(PROTOCOL_ACKNOWLEDGED);
        let is_news = self.connection.is_dialling();
        match self.outbox.mode() {
            Mode::Undecided | Mode::Acknowledged if granted => {
                if self.step(Input::Granted) {
                    if !self.connection.is_first() {
                        self.timers.stop(Timer::Attempt);
                    }
                    self.timers.set(Timer::Welcome, now + self.settings.ack_timeout_ms);
                }
            }
            // A coordinator that knows only basic mode. One that has been known to know more is
            // not fit to go on with: events could be stored twice.
            Mode::Acknowledged if is_news => {
                self.link_failed("acknowledged mode was not granted", now);
            }
            Mode::Acknowledged => {}
            Mode::Undecided | Mode::Basic => {
                let again = !self.connection.is_first();
                if self.step(Input::Basic { now }) {
                    self.outbox.become_basic();
                    self.backoff.reset();
                    self.connected(again, now);
                }
            }
        }
    }

    /// An attempt failed: refused by the other side, or never answered (R46).
    pub fn handle_refused(&mut self, attempt: u64, refused: Refused, now: Millis) {
        if !self.is_current(attempt) {
            return;
        }
        match refused.refusal {
            None => {
                let not_before = refused.retry_after_ms.unwrap_or_default();
                let misplaced = refused.is_misplaced() && !refused.detail.is_empty();
                self.course.misplaced = misplaced.then(|| refused.detail.as_str().into());
                self.lose_link_until(&refused.detail, not_before, now);
            }
            Some(Refusal::NotActive) => {
                let status = refused.execution_status;
                self.execution_is_done(status, now);
            }
            Some(Refusal::Superseded) => self.stop(Outcome::Replaced, now),
            Some(refusal) => {
                let mut reason = format!("the coordinator refused the link ({})", refusal.as_str());
                if !refused.detail.is_empty() {
                    reason += &format!(": {}", refused.detail);
                }
                self.stop(Outcome::Disconnected { reason: reason.into() }, now);
            }
        }
    }

    /// A link was closed, by whomever, or broke.
    pub fn handle_closed(&mut self, attempt: u64, code: u16, reason: &str, now: Millis) {
        if !self.is_current(attempt) {
            return;
        }
        match code {
            close::DONE => self.execution_is_done(None, now),
            close::REPLACED => self.stop(Outcome::Replaced, now),
            close::PROTOCOL_VIOLATED => self.protocol_violated(now),
            _ => self.lose_link(&format!("closed with {code} {reason}"), now),
        }
    }

    /// A text frame arrived.
    pub fn handle_frame(&mut self, attempt: u64, text: &str, now: Millis) {
        if !self.is_current(attempt) {
            self.refuse_socket(attempt);
            return;
        }
        // A stop must not be lost for what stands beside it.
        let Some(frame) = raw::object(text).map(Value::Object) else {
            return;
        };
        let kind = frame.get("type").and_then(Value::as_str).unwrap_or_default();
        if !self.connection.is_connected() {
            // Nothing counts before the welcome (R45c).
            if kind == "welcome" && self.connection.awaits_welcome() {
                self.welcomed(&frame, now);
            }
            return;
        }
        match kind {
            "welcome" => {
                self.step(Input::Welcomed { now });
            }
            "ack" => self.acknowledged(frame.get("seq"), now),
            "ended" => self.ended(&frame, now),
            "kill" => {
                let name = frame.get("signal").and_then(Value::as_str);
                self.killed(name.and_then(Signal::parse).unwrap_or(Signal::Term), now);
            }
            "ping" => self.write_unnumbered("pong", "{}", now),
            // The coordinator has stored `rejected` in the frame's place (R45d).
            "error" => {}
            _ => self.tell(Told::Command(frame)),
        }
    }

    fn is_current(&self, attempt: u64) -> bool {
        self.connection.attempt() == Some(attempt)
    }

    /// Closes a socket that came too late (R42).
    fn refuse_socket(&mut self, attempt: u64) {
        let close = Action::Close { attempt, code: close::NORMAL, reason: NOT_CURRENT };
        self.actions.push_back(close);
    }

    // --- up ---

    fn welcomed(&mut self, frame: &Value, now: Millis) {
        let Some(last_seq) = frame.get("lastSeq").and_then(Value::as_u64) else {
            self.link_failed("a welcome without lastSeq", now);
            return;
        };
        let progress = match self.outbox.welcome(last_seq) {
            Welcomed::Fits { progress } => progress,
            Welcomed::WentBack { lost } => {
                self.renew_producer(lost);
                self.close_link(close::NORMAL, "the numbers went back");
                self.reconnect(now);
                return;
            }
        };
        let limit = |name: &str| frame.get(name).and_then(Value::as_u64).filter(|max| *max > 0);
        if let Some(max) = limit("maxFrameBytes") {
            self.limits.max_frame_bytes = max;
        }
        if let Some(max) = limit("maxNesting") {
            self.limits.max_nesting = u32::try_from(max).unwrap_or(u32::MAX);
        }
        let again = !self.connection.is_first();
        if !self.step(Input::Welcomed { now }) {
            return;
        }
        self.course.late = frame.get("late") == Some(&Value::Bool(true));
        if progress {
            self.proved();
        }
        self.connected(again, now);
    }

    /// Events go out from now on.
    fn connected(&mut self, again: bool, now: Millis) {
        for timer in [Timer::Attempt, Timer::Welcome, Timer::GiveUp] {
            self.timers.stop(timer);
        }
        self.course.misplaced = None;
        if again {
            self.tell(Told::Reconnected);
        }
        self.keep_alive(now);
        self.outbox.cut_endings(self.link_limits());
        self.outbox.begin_link(again, now);
        self.flush(now);
        if self.run.kilo.feed_in_use && !self.is_over() {
            self.watch_feed(now);
        }
        self.go_on_draining(now);
    }

    fn acknowledged(&mut self, seq: Option<&Value>, now: Millis) {
        let Some(seq) = seq.and_then(Value::as_u64).filter(|_| !self.is_basic()) else {
            return;
        };
        self.proved();
        if self.outbox.acknowledge(seq) {
            // Each acknowledgement gives the next one its full time.
            self.timers.stop(Timer::Acknowledgement);
            self.flush(now);
            self.await_acknowledgement(now);
            self.go_on_draining(now);
        }
    }

    /// The link has proved itself (R41, R45c).
    fn proved(&mut self) {
        self.backoff.reset();
        self.course.violated = false;
    }

    /// The execution has ended: the close follows, except on a late link (R10a, R31).
    fn ended(&mut self, frame: &Value, now: Millis) {
        let text = |name: &str| frame.get(name).and_then(Value::as_str);
        let status = text("status").and_then(Status::parse);
        let error: Option<Arc<str>> = text("error").map(Arc::from);
        self.course.ended = Some(Ended { status, error: error.clone() });
        if let Some(seq) = frame.get("lastSeq") {
            self.acknowledged(Some(seq), now);
        }
        if self.course.late {
            self.tell_done(status, error.clone(), 0);
            self.ended_as(Outcome::Done { status, error, unacknowledged: 0 });
            self.cut_run_short(now);
            if !self.run.is_active() {
                self.begin_drain(now);
            }
        }
    }

    // --- down ---

    /// The attempt or the link failed on this side: drop its socket, then as if it had broken.
    pub(super) fn link_failed(&mut self, why: &'static str, now: Millis) {
        self.close_link(close::DROPPED, why);
        self.lose_link(why, now);
    }

    fn lose_link(&mut self, why: &str, now: Millis) {
        self.lose_link_until(why, 0, now);
    }

    /// The attempt failed or the link broke (R41). A first connection fails fast (R48).
    fn lose_link_until(&mut self, why: &str, not_before: Millis, now: Millis) {
        if self.course.ended.is_some() && !self.course.late && self.outbox.held() == 0 {
            // The close that follows `ended` was all that was still to come (R46).
            self.execution_is_done(None, now);
            return;
        }
        if self.connection.is_connected() {
            self.outbox.link_broke();
        }
        if self.connection.is_first() && !self.course.retries_first {
            let reason = format!("ingest websocket could not be opened ({why})");
            self.spend(reason.into(), now);
        } else {
            self.reconnect_until(not_before, now);
        }
    }

    fn reconnect(&mut self, now: Millis) {
        self.reconnect_until(0, now);
    }

    /// Begins the wait before the next attempt, or gives up. The other side may ask for a longer
    /// wait than ours, but not for one beyond our longest.
    fn reconnect_until(&mut self, not_before: Millis, now: Millis) {
        if let Some(since) = self.connection.connected_since() {
            self.backoff.link_broke(since, now);
        }
        let basic = self.is_basic();
        let Some((number, delay)) = self.backoff.next(&self.settings, basic, &mut self.random)
        else {
            self.spend(self.gave_up(), now);
            return;
        };
        self.stop_link_timers();
        self.step(Input::Lost);
        self.tell(Told::Reconnecting(number));
        let delay = delay.max(not_before.min(self.settings.reconnect_cap_ms));
        self.timers.set(Timer::Retry, now + delay);
        if let Some(give_up_after) = self.settings.give_up_after_ms {
            self.timers.set_once(Timer::GiveUp, now + give_up_after);
        }
    }

    /// Disconnected for too long (R41).
    pub(super) fn give_up(&mut self, now: Millis) {
        self.close_link(close::DROPPED, "disconnected for too long");
        self.spend(self.gave_up(), now);
    }

    /// The wait is over.
    pub(super) fn retry(&mut self, now: Millis) {
        let attempt = self.next_attempt();
        self.step(Input::Due { attempt });
        let (dial, upgrade) = (self.settings.dial_timeout_ms, self.settings.upgrade_timeout_ms);
        self.timers.set(Timer::Attempt, now + dial + upgrade);
        self.connect(attempt, dial, upgrade);
    }

    /// A first 4002 costs a new producer, a second without an acknowledgement between is final.
    /// In basic mode there are no numbers to begin anew (R45c, R46).
    fn protocol_violated(&mut self, now: Millis) {
        if self.is_basic() || self.course.violated {
            self.stop(Outcome::Disconnected { reason: VIOLATED.into() }, now);
            return;
        }
        self.course.violated = true;
        self.renew_producer(0);
        self.reconnect(now);
    }

    fn renew_producer(&mut self, lost: u64) {
        let producer = self.random.producer_id();
        self.outbox.renew(producer, lost);
    }

    fn stop_link_timers(&mut self) {
        for timer in [
            Timer::Attempt,
            Timer::Welcome,
            Timer::Acknowledgement,
            Timer::Drain,
            Timer::Feed,
            Timer::Heartbeat,
        ] {
            self.timers.stop(timer);
        }
    }

    // --- over ---

    /// 4000, or a refusal `not_active`: not a disconnect (R46).
    fn execution_is_done(&mut self, status: Option<Status>, now: Millis) {
        let unacknowledged = self.outbox.held();
        self.outbox.clear();
        let ended = self.course.ended.clone();
        let status = status.or(ended.as_ref().and_then(|ended| ended.status));
        let error = ended.and_then(|ended| ended.error);
        self.stop(Outcome::Done { status, error, unacknowledged }, now);
    }

    /// What the host is told when all attempts are used up; with what somebody has to mend, where
    /// something else than a server of ours answered.
    fn gave_up(&self) -> Arc<str> {
        match &self.course.misplaced {
            Some(detail) => format!("{GAVE_UP}: {detail}").into(),
            None => GAVE_UP.into(),
        }
    }

    /// All attempts are used up.
    fn spend(&mut self, reason: Arc<str>, now: Millis) {
        self.step(Input::Spent);
        self.stopped(Outcome::Disconnected { reason }, now);
    }

    /// A final stop.
    fn stop(&mut self, outcome: Outcome, now: Millis) {
        self.step(Input::Stop);
        self.stopped(outcome, now);
    }

    /// Tells how it ended, and an active job to abort (R46).
    fn stopped(&mut self, outcome: Outcome, now: Millis) {
        self.timers.stop_all_but(&[Timer::Abort]);
        let drained = self.course.draining && matches!(outcome, Outcome::Done { .. });
        match &outcome {
            Outcome::Done { status, error, unacknowledged } => {
                self.tell_done(*status, error.clone(), *unacknowledged);
            }
            Outcome::Replaced => self.tell(Told::Replaced),
            Outcome::Disconnected { reason } => {
                self.tell(Told::Disconnected { reason: reason.clone() });
            }
            Outcome::Drained | Outcome::Closed { .. } => {}
        }
        self.ended_as(outcome);
        self.cut_run_short(now);
        if drained {
            self.tell(Told::Drained);
        }
    }

    /// Remembers how it ended. That the execution is done is not unsaid by how its late link goes.
    fn ended_as(&mut self, outcome: Outcome) {
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::Done { .. });
        if is_done(&outcome) || !self.outcome.as_ref().is_some_and(is_done) {
            self.outcome = Some(outcome);
        }
    }

    /// Tells once that the execution is done.
    fn tell_done(&mut self, status: Option<Status>, error: Option<Arc<str>>, unacknowledged: u64) {
        if !std::mem::replace(&mut self.course.done_told, true) {
            self.tell(Told::ExecutionDone { status, error, unacknowledged });
        }
    }

    /// The drain is over: everything is sent, the link is closed (R51).
    pub(super) fn finish_drain(&mut self) {
        debug_assert_eq!(self.connection.state(), State::Connected);
        self.close_link(close::NORMAL, "drained");
        self.step(Input::Stop);
        self.timers.stop_all_but(&[]);
        self.ended_as(Outcome::Drained);
        self.tell(Told::Drained);
    }
}
