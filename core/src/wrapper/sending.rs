//! What goes out: events, heartbeats, the run's own ending, and the drain after it (R40, R44,
//! R47, R51).

use serde_json::{Value, json};

use crate::Error;
use crate::protocol::{FrameLimits, Lifecycle, RejectCode, parse_frame};
use crate::settings::Millis;

use super::Wrapper;
use super::action::{Action, SendOptions, State};
use super::outbox::Entry;
use super::timers::Timer;

/// Room kept for `,"seq":n` with the longest number: an event gets its number after it was
/// checked.
const SEQ_BYTES: u64 = 27;

impl Wrapper {
    /// Sends an event; `data` is JSON text. Connected, it goes out; otherwise it is buffered, and
    /// so are events sent before `open` (R40).
    ///
    /// Errors: [`Error::InvalidEvent`] for what the other side would refuse; [`Error::Full`] when
    /// there is no room and the policy is to wait (R44): wait for [`Wrapper::has_room`], up to
    /// `send_timeout_ms`, and call again; [`Error::Closed`] after the end, and after this
    /// wrapper's own terminal event (R42).
    pub fn send(
        &mut self,
        event_type: &str,
        data: &str,
        options: SendOptions,
        now: Millis,
    ) -> Result<(), Error> {
        self.check_open()?;
        let timestamp = options.timestamp.unwrap_or(now);
        let entry = self.entry(event_type, timestamp, data)?.droppable(options.droppable);
        self.take_in(entry, now)
    }

    /// Whether [`Wrapper::send`] would now give another answer than [`Error::Full`], for an event
    /// of the size that was refused last.
    pub fn has_room(&self) -> bool {
        self.check_open().is_err() || self.outbox.has_room(self.connection.is_connected())
    }

    /// The host ends the run: `complete`, then drain (R51). The job's remaining tasks are skipped.
    /// A run that a kill has asked to stop does not complete any more: it is `interrupted` (R51).
    ///
    /// [`Error::Closed`] after the end, and after another ending.
    pub fn complete(
        &mut self,
        exit_code: i64,
        branch: Option<&str>,
        now: Millis,
    ) -> Result<(), Error> {
        if self.run.is_interrupted() {
            return self.interrupted(None, now);
        }
        let mut data = json!({"exitCode": exit_code});
        if let Some(branch) = branch {
            data["currentBranch"] = json!(branch);
        }
        self.end_run("complete", &data, now)
    }

    /// The host ends the run with a fatal `error`, then drain. Errors: as [`Wrapper::complete`],
    /// and [`Error::InvalidEvent`] for a text that is too large.
    pub fn fail(&mut self, error: &str, now: Millis) -> Result<(), Error> {
        self.end_run("error", &json!({"error": error, "fatal": true}), now)
    }

    /// The host ends the run as `interrupted`, then drain. Errors: as [`Wrapper::fail`].
    pub fn interrupted(&mut self, reason: Option<&str>, now: Millis) -> Result<(), Error> {
        let data = match reason {
            Some(reason) => json!({"reason": reason}),
            None => json!({}),
        };
        self.end_run("interrupted", &data, now)
    }

    // --- for the other parts ---

    /// Whether nothing more is taken in: closed, draining, or ended by its own event.
    pub(super) fn is_over(&self) -> bool {
        self.connection.state() == State::Closed || self.course.draining || self.course.own_ending
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_over() { Err(Error::Closed) } else { Ok(()) }
    }

    /// An event, checked as the other side will check it (R40).
    pub(super) fn entry(
        &self,
        event_type: &str,
        timestamp: Millis,
        data: &str,
    ) -> Result<Entry, Error> {
        let data = data.trim_ascii();
        let entry = Entry::new(event_type, timestamp, data);
        let frame = entry.frame();
        let bytes = frame.len() as u64;
        let invalid = |reason: &str| Error::InvalidEvent { reason: reason.into(), bytes };
        let reserved = if self.is_basic() { 0 } else { SEQ_BYTES };
        let limits = FrameLimits {
            max_frame_bytes: self.limits.max_frame_bytes.saturating_sub(reserved),
            ..self.limits
        };
        let parsed = parse_frame(&frame, limits).map_err(|bad| invalid(bad.code.as_str()))?;
        // Text that is no single JSON value could still continue the frame: `1,"seq":2`.
        if &*parsed.data != data {
            return Err(invalid(RejectCode::NotJson.as_str()));
        }
        if !self.outbox.can_hold(bytes) {
            return Err(invalid("larger than buffer_bytes"));
        }
        let lifecycle =
            Lifecycle::of(event_type, data).is_some_and(|meaning| meaning.is_terminal());
        Ok(entry.lifecycle(lifecycle))
    }

    /// Takes an event in, under the overflow policy.
    pub(super) fn take_in(&mut self, entry: Entry, now: Millis) -> Result<(), Error> {
        let ends = entry.is_lifecycle();
        self.outbox.push(entry, self.connection.is_connected())?;
        if ends {
            self.run_ended_itself();
        }
        self.flush(now);
        Ok(())
    }

    /// Takes in an event of the machine's own, for which there is always room.
    pub(super) fn take_in_always(&mut self, entry: Entry, now: Millis) {
        if entry.is_lifecycle() {
            self.run_ended_itself();
        }
        self.outbox.push_always(entry);
        self.flush(now);
    }

    /// An event with a lifecycle meaning, and the drain after it.
    pub(super) fn end_run(
        &mut self,
        event_type: &str,
        data: &Value,
        now: Millis,
    ) -> Result<(), Error> {
        self.check_open()?;
        let entry = self.entry(event_type, now, &data.to_string())?;
        self.take_in_always(entry, now);
        self.begin_drain(now);
        Ok(())
    }

    /// A terminal event of this wrapper is on its way: no turn, task or abort matters any more.
    fn run_ended_itself(&mut self) {
        self.course.own_ending = true;
        self.run.rest();
        for timer in [Timer::Task, Timer::Abort, Timer::Feed] {
            self.timers.stop(timer);
        }
    }

    /// Writes what may be written now.
    pub(super) fn flush(&mut self, now: Millis) {
        let Some(attempt) = self.connection.attempt().filter(|_| self.connection.is_connected())
        else {
            return;
        };
        while let Some(text) = self.outbox.next_frame(now) {
            self.write(attempt, text, now);
        }
        self.await_acknowledgement(now);
    }

    /// Writes a frame that is neither kept nor numbered; without a link it is not wanted.
    pub(super) fn write_unnumbered(&mut self, event_type: &str, data: &str, now: Millis) {
        if let Some(attempt) = self.connection.attempt().filter(|_| self.connection.is_connected())
        {
            self.write(attempt, Entry::new(event_type, now, data).frame(), now);
        }
    }

    fn write(&mut self, attempt: u64, text: String, now: Millis) {
        self.actions.push_back(Action::Write { attempt, text });
        self.keep_alive(now);
    }

    /// The next heartbeat is due an interval after whatever was sent last (R47).
    pub(super) fn keep_alive(&mut self, now: Millis) {
        self.timers.set(Timer::Heartbeat, now + self.settings.heartbeat_interval_ms.max(1));
    }

    /// Nothing was sent for the interval (R47).
    pub(super) fn heartbeat(&mut self, now: Millis) {
        let data = json!({"executionId": self.course.execution_id}).to_string();
        self.write_unnumbered("heartbeat", &data, now);
    }

    /// Something unacknowledged is waited for, for so long (R47a).
    pub(super) fn await_acknowledgement(&mut self, now: Millis) {
        if self.outbox.unacknowledged() == 0 {
            self.timers.stop(Timer::Acknowledgement);
        } else {
            self.timers.set_once(Timer::Acknowledgement, now + self.settings.ack_timeout_ms.max(1));
        }
    }

    // --- drain (R51) ---

    /// Takes nothing more in; what is held goes out, then the link is closed. Draining twice is
    /// draining once.
    pub(super) fn begin_drain(&mut self, now: Millis) {
        if self.connection.state() == State::Closed || self.course.draining {
            return;
        }
        self.course.draining = true;
        self.timers.stop(Timer::Feed);
        self.go_on_draining(now);
    }

    /// Sets when the drain ends, as far as that can be said. Without a link it waits for one; in
    /// acknowledged mode it waits for the acknowledgements first, each of which has its own
    /// deadline (R47a), and then for the coordinator's 4000 where an ending was sent.
    pub(super) fn go_on_draining(&mut self, now: Millis) {
        if !self.course.draining || !self.connection.is_connected() {
            return;
        }
        if self.is_basic() {
            self.timers.set_once(Timer::Drain, now + self.settings.drain_delay_ms);
        } else if !self.outbox.is_empty() {
            self.timers.stop(Timer::Drain);
        } else if self.course.own_ending {
            self.timers.set(Timer::Drain, now + self.settings.ack_timeout_ms);
        } else {
            self.finish_drain();
        }
    }
}
