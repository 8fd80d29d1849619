//! The run: its job, its turns, and how it stops (R49–R52).
//!
//! A job is one run of the agent; a turn is one prompt to it. A turn makes the job active until
//! the agent is idle. Then the post-completion tasks run, one after the other, and the run is
//! completed and drained. A kill, or the end of the connection, turns an active job into one that
//! is being aborted; it stays active until the host says that the agent has stopped, or takes too
//! long. This file says what the run is doing; the wrapper sends what follows from it.

use std::collections::VecDeque;

use crate::Error;
use crate::protocol::outgoing::Signal;

use super::action::Job;
use super::dialect::kilo::Kilo;

/// What the run is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Activity {
    /// No turn is active.
    Resting,
    /// The agent works on a turn.
    Turn,
    /// The host has been told to stop the agent.
    Aborting {
        /// What follows when it has.
        then: AfterAbort,
    },
    /// Post-completion tasks.
    Tasks {
        /// The one that runs.
        current: String,
        /// Those after it.
        remaining: VecDeque<String>,
    },
}

/// What follows an abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterAbort {
    /// An `interrupted` event, then drain (R52).
    Interrupted,
    /// Drain only: the execution has ended otherwise (R10a, R46).
    Drain,
}

/// What a kill asks the wrapper to do (R52).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnKill {
    /// It has been acted on before.
    Nothing,
    /// Tell the host to stop the agent.
    Abort,
    /// There is nothing to stop: the run is interrupted at once.
    Interrupt,
}

/// The run, and what outlives one job.
#[derive(Debug)]
pub(super) struct Run {
    job: Option<Job>,
    turns: u64,
    activity: Activity,
    /// The strongest signal acted on, for this job (R12).
    acted_on: Option<Signal>,
    /// What is known of the agent's sessions and feed.
    pub(super) kilo: Kilo,
}

impl Run {
    /// Without a job.
    pub(super) fn new() -> Run {
        Run {
            job: None,
            turns: 0,
            activity: Activity::Resting,
            acted_on: None,
            kilo: Kilo::new(None),
        }
    }

    /// The job, active or not.
    pub(super) fn job(&self) -> Option<&Job> {
        self.job.as_ref()
    }

    /// Takes a job (R49). The same one again changes nothing; another one replaces it unless it
    /// is active: [`Error::JobConflict`].
    pub(super) fn start_job(&mut self, job: Job) -> Result<(), Error> {
        if let Some(current) = &self.job {
            if current.execution_id == job.execution_id {
                return Ok(());
            }
            if self.activity != Activity::Resting {
                return Err(Error::JobConflict { active: current.execution_id.clone() });
            }
        }
        self.kilo = Kilo::new(job.agent_session.clone());
        self.job = Some(job);
        self.turns = 0;
        self.acted_on = None;
        Ok(())
    }

    /// A prompt goes to the agent: the message's id (R50). [`Error::InvalidArgument`] without a
    /// job, and while the run is stopping.
    pub(super) fn begin_turn(&mut self) -> Result<String, Error> {
        let Some(job) = &self.job else {
            return Err(Error::invalid("there is no job; call start_job before begin_turn"));
        };
        if !matches!(self.activity, Activity::Resting | Activity::Turn) {
            return Err(Error::invalid("the run is stopping; it takes no further turn"));
        }
        self.activity = Activity::Turn;
        self.turns += 1;
        Ok(format!("msg_{}_{}", bare_id(&job.execution_id), self.turns))
    }

    /// Another execution begins: nothing of the last one may leak into it (R42). A job that was
    /// started for it already stays, and so does one that is still being aborted.
    pub(super) fn begin_execution(&mut self, execution_id: &str) {
        self.acted_on = None;
        let is_other = self.job.as_ref().is_some_and(|job| job.execution_id != execution_id);
        if is_other && self.activity == Activity::Resting {
            self.job = None;
            self.kilo = Kilo::new(None);
        }
    }

    /// Whether events of the agent belong to a run that has ended, beside the present execution.
    pub(super) fn is_leftover(&self, execution_id: Option<&str>) -> bool {
        let drains = matches!(self.activity, Activity::Aborting { then: AfterAbort::Drain });
        let of_other = self.job.as_ref().map(|job| job.execution_id.as_str()) != execution_id;
        drains && of_other
    }

    /// The agent is idle: the first task to run, or `None` when the run is complete at once.
    /// Outside a turn it means nothing: `Err` (R51).
    pub(super) fn idle(&mut self) -> Result<Option<&str>, NotInTurn> {
        let without_job = self.job.is_none() && self.activity == Activity::Resting;
        if self.activity != Activity::Turn && !without_job {
            return Err(NotInTurn);
        }
        let tasks = self.job.as_ref().map(|job| job.tasks.clone()).unwrap_or_default();
        Ok(self.next_task(tasks.into()))
    }

    /// A task has ended: whether it was the one that runs (R51).
    pub(super) fn is_current_task(&self, name: &str) -> bool {
        matches!(&self.activity, Activity::Tasks { current, .. } if current == name)
    }

    /// The task that runs.
    pub(super) fn current_task(&self) -> Option<&str> {
        match &self.activity {
            Activity::Tasks { current, .. } => Some(current),
            _ => None,
        }
    }

    /// Goes on to the next task; `None` when there is none and the run is complete.
    pub(super) fn task_done(&mut self) -> Option<&str> {
        let remaining = match &mut self.activity {
            Activity::Tasks { remaining, .. } => std::mem::take(remaining),
            _ => VecDeque::new(),
        };
        self.next_task(remaining)
    }

    fn next_task(&mut self, mut remaining: VecDeque<String>) -> Option<&str> {
        self.activity = match remaining.pop_front() {
            Some(current) => Activity::Tasks { current, remaining },
            None => Activity::Resting,
        };
        self.current_task()
    }

    /// A kill: once per job and signal, and a weaker one adds nothing (R12, R52).
    pub(super) fn kill(&mut self, signal: Signal) -> OnKill {
        if self.acted_on >= Some(signal) {
            return OnKill::Nothing;
        }
        self.acted_on = Some(signal);
        match self.activity {
            Activity::Turn => {
                self.activity = Activity::Aborting { then: AfterAbort::Interrupted };
                OnKill::Abort
            }
            Activity::Aborting { .. } => OnKill::Abort,
            Activity::Resting | Activity::Tasks { .. } => {
                self.activity = Activity::Resting;
                OnKill::Interrupt
            }
        }
    }

    /// The execution is over for this wrapper: an active job is to be stopped, without an event of
    /// its own. Returns whether the host must be told, which it is once (R46).
    pub(super) fn cut_short(&mut self) -> bool {
        let then = AfterAbort::Drain;
        match self.activity {
            Activity::Resting => false,
            Activity::Turn | Activity::Tasks { .. } => {
                self.activity = Activity::Aborting { then };
                self.acted_on = self.acted_on.max(Some(Signal::Term));
                true
            }
            Activity::Aborting { .. } => {
                self.activity = Activity::Aborting { then };
                false
            }
        }
    }

    /// The agent has stopped: what follows. `None` when no abort was under way: a late or a
    /// second answer.
    pub(super) fn aborted(&mut self) -> Option<AfterAbort> {
        let Activity::Aborting { then } = self.activity else {
            return None;
        };
        self.activity = Activity::Resting;
        Some(then)
    }

    /// Whether the agent works, is being stopped, or has tasks to run.
    pub(super) fn is_active(&self) -> bool {
        self.activity != Activity::Resting
    }

    /// Whether an abort is under way that a kill asked for.
    pub(super) fn is_interrupted(&self) -> bool {
        matches!(self.activity, Activity::Aborting { then: AfterAbort::Interrupted })
    }

    /// The run has ended by itself: nothing is active.
    pub(super) fn rest(&mut self) {
        self.activity = Activity::Resting;
    }
}

/// The run is not in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotInTurn;

/// The execution's id without its prefix (R50).
fn bare_id(execution_id: &str) -> &str {
    ["exc_", "exec_", "execution_", "msg_"]
        .into_iter()
        .find_map(|prefix| execution_id.strip_prefix(prefix))
        .unwrap_or(execution_id)
}
