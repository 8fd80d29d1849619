//! What goes out: events, heartbeats, the run's own ending, and the drain after it (R40, R44,
//! R47, R51).

use serde_json::{Value, json};

use crate::Error;
use crate::protocol::{FrameLimits, Lifecycle, RejectCode, parse_frame, raw};
use crate::session::records::Status;
use crate::session::text::cut;
use crate::settings::Millis;

use super::Wrapper;
use super::action::{Action, SendOptions, State};
use super::outbox::Entry;
use super::timers::Timer;

/// Room kept for `,"seq":n` with the longest number: an event gets its number after it was
/// checked.
const SEQ_BYTES: u64 = 27;

/// What is told of an error that says nothing.
const NO_WORDS: &str = "an exception without a message";

impl Wrapper {
    /// Sends an event; `data` is JSON text. Connected, it goes out; otherwise it is buffered, and
    /// so are events sent before `open` (R40).
    ///
    /// An event that ends the execution always gets through: what is too large or nested too deep
    /// for a link is cut, and marked by `"truncated": true, "bytes": n`.
    ///
    /// Errors: [`Error::InvalidEvent`] for what the other side would refuse; [`Error::Full`] when
    /// there is no room and the policy is to wait (R44): wait for [`Wrapper::has_room`], up to
    /// `send_timeout_ms`, and call again; [`Error::Closed`] after the end, and after this
    /// wrapper's own terminal event (R42); [`Error::Disconnected`] when it gave up,
    /// [`Error::Superseded`] when another one took over.
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
    /// A run that a kill has asked to stop does not complete any more: it is `interrupted`, with
    /// this exit code (R51).
    ///
    /// [`Error::Closed`] after the end, and after another ending; [`Error::Disconnected`],
    /// [`Error::Superseded`], as [`Wrapper::send`].
    pub fn complete(
        &mut self,
        exit_code: i64,
        branch: Option<&str>,
        now: Millis,
    ) -> Result<(), Error> {
        if self.run.is_interrupted() {
            return self.interrupted(None, Some(exit_code), now);
        }
        let mut data = json!({"exitCode": exit_code});
        if let Some(branch) = branch {
            data["currentBranch"] = json!(branch);
        }
        self.end_run("complete", &data, now)
    }

    /// The host ends the run with a fatal `error`, then drain. The exit code, where there is one,
    /// is kept with it (R29). A text that is too large is cut (R40). Errors: as
    /// [`Wrapper::complete`].
    pub fn fail(&mut self, error: &str, exit_code: Option<i64>, now: Millis) -> Result<(), Error> {
        let mut data = json!({"error": error, "fatal": true});
        if let Some(exit_code) = exit_code {
            data["exitCode"] = json!(exit_code);
        }
        self.end_run("error", &data, now)
    }

    /// The host ends the run as `interrupted`, then drain. The exit code, where there is one, is
    /// kept with it (R29). Errors: as [`Wrapper::fail`].
    pub fn interrupted(
        &mut self,
        reason: Option<&str>,
        exit_code: Option<i64>,
        now: Millis,
    ) -> Result<(), Error> {
        let mut data = json!({});
        if let Some(reason) = reason {
            data["reason"] = json!(reason);
        }
        if let Some(exit_code) = exit_code {
            data["exitCode"] = json!(exit_code);
        }
        self.end_run("interrupted", &data, now)
    }

    /// The code that has the run in its hands ended by an error (R51a): the run fails with what is
    /// told of it, or is interrupted where the code was stopped from outside or a kill has asked
    /// for it. Errors: as [`Wrapper::complete`], and then there is nothing to do.
    #[doc(hidden)]
    pub fn raised(
        &mut self,
        what: &str,
        stopped: bool,
        exit_code: Option<i64>,
        now: Millis,
    ) -> Result<(), Error> {
        let what = if what.trim().is_empty() { NO_WORDS } else { what };
        let text = cut(what.into(), self.settings.max_text_bytes as usize);
        if stopped || self.run.is_interrupted() {
            return self.interrupted(Some(&text), exit_code, now);
        }
        self.fail(&text, exit_code, now)
    }

    // --- for the other parts ---

    /// Whether nothing more is taken in: closed, draining, or ended by its own event.
    pub(super) fn is_over(&self) -> bool {
        self.connection.state() == State::Closed
            || self.course.draining
            || self.course.own_ending.is_some()
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_over() { Err(self.why_over()) } else { Ok(()) }
    }

    /// Why nothing more is taken in. That the wrapper gave up, or was replaced, is worth knowing;
    /// after its own ending its host knows better.
    pub(crate) fn why_over(&self) -> Error {
        match (self.course.own_ending, &self.outcome) {
            (Some(status), _) => Error::closed(format!(
                "this wrapper has ended its run itself, as {}; nothing can follow",
                status.as_str()
            )),
            (None, Some(outcome)) => outcome.as_error(),
            (None, None) => Error::closed("the run is ending; nothing can follow"),
        }
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
        let bytes = entry.bytes();
        let invalid = |reason: &str| Error::InvalidEvent { reason: reason.into(), bytes };
        let limits = self.link_limits();
        let ends_as = Lifecycle::of(event_type, data).and_then(|meaning| status_of(&meaning));
        if let Some(status) = ends_as.filter(|_| raw::is_json(data)) {
            let mut ending = entry.ends_as(status);
            ending.cut(limits);
            return Ok(ending);
        }
        let frame = entry.frame();
        let parsed = parse_frame(&frame, limits).map_err(|bad| invalid(bad.code.as_str()))?;
        // Text that is no single JSON value could still continue the frame: `1,"seq":2`.
        if &*parsed.data != data {
            return Err(invalid(RejectCode::NotJson.as_str()));
        }
        if !self.outbox.can_hold(bytes) {
            return Err(invalid("larger than buffer_bytes"));
        }
        Ok(entry)
    }

    /// What a frame may have on the present link before it has a number, or on the next.
    pub(super) fn link_limits(&self) -> FrameLimits {
        let reserved = if self.is_basic() { 0 } else { SEQ_BYTES };
        FrameLimits {
            max_frame_bytes: self.limits.max_frame_bytes.saturating_sub(reserved),
            ..self.limits
        }
    }

    /// Takes an event in, under the overflow policy.
    pub(super) fn take_in(&mut self, entry: Entry, now: Millis) -> Result<(), Error> {
        let ends_as = entry.ending();
        self.outbox.push(entry, self.connection.is_connected())?;
        if let Some(status) = ends_as {
            self.run_ended_itself(status);
        }
        self.flush(now);
        Ok(())
    }

    /// Takes in an event of the machine's own, for which there is always room.
    pub(super) fn take_in_always(&mut self, entry: Entry, now: Millis) {
        if let Some(status) = entry.ending() {
            self.run_ended_itself(status);
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
    fn run_ended_itself(&mut self, status: Status) {
        self.course.own_ending = Some(status);
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
        } else if self.course.own_ending.is_some() {
            self.timers.set(Timer::Drain, now + self.settings.ack_timeout_ms);
        } else {
            self.finish_drain();
        }
    }
}

/// How an event ends the execution, where it does.
fn status_of(meaning: &Lifecycle) -> Option<Status> {
    match meaning {
        Lifecycle::Completed { .. } => Some(Status::Completed),
        Lifecycle::Interrupted { .. } => Some(Status::Interrupted),
        Lifecycle::Failed { .. } => Some(Status::Failed),
        Lifecycle::Unfit => None,
    }
}
