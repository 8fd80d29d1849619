//! The agent's run, as the host and the agent report it, turned into events and orders (R49–R54).

use serde_json::json;

use crate::Error;
use crate::protocol::outgoing::Signal;
use crate::protocol::raw;
use crate::settings::Millis;

use super::Wrapper;
use super::action::{Job, State, Told};
use super::dialect::kilo::{self, Meaning};
use super::run::{AfterAbort, OnKill};
use super::timers::Timer;

impl Wrapper {
    /// Takes a job (R49). The same execution again changes nothing.
    ///
    /// Errors: [`Error::JobConflict`] while another one is active; [`Error::InvalidArgument`] when
    /// its id is no id.
    pub fn start_job(&mut self, job: Job, _now: Millis) -> Result<(), Error> {
        self.check_id(&job.execution_id)?;
        self.run.start_job(job)
    }

    /// A prompt goes to the agent: the job is active until the run is idle. Returns the message's
    /// id, `msg_<execution>_<n>` (R49, R50).
    ///
    /// Errors: [`Error::InvalidArgument`] without a job and while the run is stopping;
    /// [`Error::Closed`], [`Error::Disconnected`] or [`Error::Superseded`] when the job's execution
    /// has had its ending, as [`Wrapper::send`].
    pub fn begin_turn(&mut self, _now: Millis) -> Result<String, Error> {
        let job = self.run.job().map(|job| job.execution_id.as_str());
        if self.is_over() && job.is_some() && job == self.execution_id() {
            return Err(self.why_over());
        }
        self.run.begin_turn()
    }

    /// An event of an agent that speaks the `kilo` dialect: passed on as `kilocode`, and read for
    /// what it means for the run (R51, R53, R54). After the end it means nothing any more, and is
    /// ignored.
    ///
    /// `properties` is JSON text, which is passed on as it is. Errors: [`Error::InvalidArgument`] where
    /// it is none; [`Error::Full`], as [`Wrapper::send`]: nothing has happened, call again;
    /// [`Error::InvalidEvent`] when it cannot be passed on; its meaning was heeded all the same.
    pub fn handle_agent_event(
        &mut self,
        event_type: &str,
        properties: &str,
        now: Millis,
    ) -> Result<(), Error> {
        if self.is_over() || self.run.is_leftover(self.course.execution_id.as_deref()) {
            return Ok(());
        }
        let properties = properties.trim_ascii();
        let understood = raw::understood(properties)
            .ok_or_else(|| Error::invalid(format!("the properties {properties} are no JSON")))?;
        let meaning = self.run.kilo.read(event_type, &understood);
        self.watch_feed(now);
        let entry = self.entry("kilocode", now, &kilo::event_data(event_type, properties));
        let passed = match entry {
            Err(invalid) => Err(invalid),
            Ok(entry) if meaning == Meaning::Nothing => {
                let droppable = kilo::is_droppable(event_type, &understood);
                return self.take_in(entry.droppable(droppable), now);
            }
            // What ends the run must not wait for room.
            Ok(entry) => {
                self.take_in_always(entry, now);
                Ok(())
            }
        };
        match meaning {
            Meaning::Nothing => {}
            Meaning::Idle => self.handle_idle(now),
            Meaning::TerminalError(text) => self.agent_failed(&text, now),
        }
        passed
    }

    /// The run is idle: post-completion tasks, then `complete`, then drain (R51). For hosts
    /// without a dialect. Outside a turn it means nothing.
    pub fn handle_idle(&mut self, now: Millis) {
        if self.is_over() {
            self.run_is_idle_after_the_end();
            return;
        }
        if let Ok(task) = self.run.idle() {
            let task = task.map(str::to_owned);
            // From here on the agent is not expected to say anything.
            self.timers.stop(Timer::Feed);
            self.go_on_with(task, now);
        }
    }

    /// A post-completion task has ended; `ok: false` is reported as a non-fatal `error` (R51).
    /// An answer for a task that does not run is late, and ignored.
    pub fn handle_task_done(&mut self, name: &str, ok: bool, now: Millis) {
        if !self.run.is_current_task(name) {
            return;
        }
        if !ok {
            self.report_task(name, "failed", now);
        }
        self.next_task(now);
    }

    /// The host's abort is done: the agent has stopped (R46, R52). Without an abort under way it
    /// is late, and ignored.
    pub fn handle_aborted(&mut self, now: Millis) {
        let Some(then) = self.run.aborted() else {
            return;
        };
        self.timers.stop(Timer::Abort);
        match then {
            AfterAbort::Interrupted => self.end_as_interrupted(now),
            AfterAbort::Drain if self.course.done_told => self.begin_drain(now),
            // It was an earlier execution's agent; the present one goes on.
            AfterAbort::Drain => {}
        }
    }

    // --- kill and abort (R46, R52) ---

    /// `kill` came: once per job and signal, and not when the run is ending anyway (R12).
    pub(super) fn killed(&mut self, signal: Signal, now: Millis) {
        if self.course.draining || self.course.own_ending.is_some() {
            return;
        }
        match self.run.kill(signal) {
            OnKill::Nothing => {}
            OnKill::Abort => self.tell_abort(signal, now),
            OnKill::Interrupt => {
                self.timers.stop(Timer::Task);
                self.end_as_interrupted(now);
            }
        }
    }

    /// The execution has ended otherwise: an active job is aborted, once (R46).
    pub(super) fn cut_run_short(&mut self, now: Millis) {
        if self.course.own_ending.is_some() {
            return;
        }
        if self.run.cut_short() {
            self.timers.stop(Timer::Task);
            self.tell_abort(Signal::Term, now);
        }
    }

    fn tell_abort(&mut self, signal: Signal, now: Millis) {
        self.tell(Told::Abort { signal });
        self.timers.set_once(Timer::Abort, now + self.settings.abort_timeout_ms);
    }

    fn end_as_interrupted(&mut self, now: Millis) {
        // Refused only where the end has been reached in another way.
        let _ = self.end_run("interrupted", &json!({}), now);
    }

    // --- idle and tasks (R51) ---

    /// An idle that comes after the end completes nothing, but no turn is active any more.
    fn run_is_idle_after_the_end(&mut self) {
        if let Ok(Some(_task)) = self.run.idle() {
            self.run.rest();
        }
    }

    fn go_on_with(&mut self, task: Option<String>, now: Millis) {
        if let Some(name) = task {
            self.tell(Told::Task { name });
            self.timers.set(Timer::Task, now + self.settings.task_timeout_ms);
            return;
        }
        self.timers.stop(Timer::Task);
        let branch = self.run.job().and_then(|job| job.branch.clone());
        // Refused only where the end has been reached in another way.
        let _ = self.complete(0, branch.as_deref(), now);
    }

    fn next_task(&mut self, now: Millis) {
        let task = self.run.task_done().map(str::to_owned);
        self.go_on_with(task, now);
    }

    /// The running task takes too long: that is a failure, and the run goes on without it.
    pub(super) fn task_timed_out(&mut self, now: Millis) {
        let Some(name) = self.run.current_task().map(str::to_owned) else {
            return;
        };
        self.report_task(&name, "timed out", now);
        self.next_task(now);
    }

    fn report_task(&mut self, name: &str, what: &str, now: Millis) {
        let error = self.shorten(&format!("post-completion task {name} {what}"));
        let data = json!({"error": error, "fatal": false}).to_string();
        if let Ok(entry) = self.entry("error", now, &data) {
            self.take_in_always(entry, now);
        }
    }

    // --- the kilo dialect (R53, R54) ---

    fn agent_failed(&mut self, text: &str, now: Millis) {
        // Refused only where the end has been reached in another way.
        let _ = self.fail(text, None, now);
    }

    /// A text that fits into a frame however it is escaped.
    fn shorten(&self, text: &str) -> String {
        let max = usize::try_from(self.limits.max_frame_bytes / 8).unwrap_or(usize::MAX);
        let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        text[..end.unwrap_or(0)].to_owned()
    }

    /// The feed is alive; its silence is measured from now, but not while reconnecting, nor when
    /// the run is idle (R53).
    pub(super) fn watch_feed(&mut self, now: Millis) {
        let is_idle = self.run.current_task().is_some();
        if self.connection.state() != State::Reconnecting && !is_idle {
            self.timers.set(Timer::Feed, now + self.settings.feed_timeout_ms.max(1));
        }
    }

    /// The feed is silent: the host restarts it, and it is given its time again (R53).
    pub(super) fn feed_is_silent(&mut self, now: Millis) {
        debug_assert_ne!(self.connection.state(), State::Reconnecting);
        self.tell(Told::RestartFeed);
        self.watch_feed(now);
    }
}
