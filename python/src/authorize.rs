//! The `authorize` hook of a server: asked by its threads, answered by a thread of Python's.
//!
//! A server's thread puts its question into a queue and waits, without the interpreter lock; a
//! Python thread that was started with the server takes it out, calls the host's function and
//! answers. No answer in time, or a server that is closing: denied.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use stayline::lock::{Condvar, Mutex};
use stayline::wake::Wake;

use crate::error::Result;
use crate::process::Owned;
use crate::wait::Bell;

/// How long a server's thread waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Answer {
    verdict: Mutex<Option<bool>>,
    given: Condvar,
}

impl Answer {
    fn give(&self, verdict: bool) {
        // The first answer counts.
        self.verdict.lock().get_or_insert(verdict);
        self.given.notify_all();
    }

    fn wait(&self, deadline: Instant) -> bool {
        let mut verdict = self.verdict.lock();
        while verdict.is_none() {
            if self.given.wait_until(&mut verdict, deadline).timed_out() {
                break;
            }
        }
        verdict.unwrap_or(false)
    }
}

/// One question: may this wrapper attach?
struct Asked {
    session_id: String,
    execution_id: String,
    bearer: Option<String>,
    answer: Arc<Answer>,
}

#[derive(Default)]
struct Line {
    questions: VecDeque<Asked>,
    /// Whoever waits for an answer, whether the question was taken or not.
    waiting: Vec<Arc<Answer>>,
    stopped: bool,
}

/// The questions of one server.
#[derive(Default)]
pub struct Desk {
    line: Mutex<Line>,
    bell: Bell,
}

impl Desk {
    /// Asks and waits; called by the server's threads.
    pub fn ask(&self, session_id: &str, execution_id: &str, bearer: Option<&str>) -> bool {
        let answer = Arc::new(Answer::default());
        {
            let mut line = self.line.lock();
            if line.stopped {
                return false;
            }
            line.waiting.push(Arc::clone(&answer));
            line.questions.push_back(Asked {
                session_id: session_id.to_owned(),
                execution_id: execution_id.to_owned(),
                bearer: bearer.map(str::to_owned),
                answer: Arc::clone(&answer),
            });
        }
        self.bell.wake();
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let verdict = answer.wait(deadline);
        self.line.lock().waiting.retain(|other| !Arc::ptr_eq(other, &answer));
        verdict
    }

    /// Denies what is waiting and what comes, and ends the Python thread.
    pub fn stop(&self) {
        {
            let mut line = self.line.lock();
            line.stopped = true;
            line.questions.clear();
            for answer in line.waiting.drain(..) {
                answer.give(false);
            }
        }
        self.bell.wake();
    }
}

/// The desk as the Python thread sees it.
#[pyclass(frozen, module = "stayline._internal")]
pub struct Questions {
    desk: Owned<Arc<Desk>>,
}

impl Questions {
    /// For a server's desk.
    pub fn new(desk: Arc<Desk>) -> Questions {
        Questions { desk: Owned::new(desk) }
    }
}

#[pymethods]
impl Questions {
    /// The next question; waits for it. `None`: the server is closed.
    fn next(&self, py: Python<'_>) -> Result<Option<Question>> {
        let desk = self.desk.get()?;
        let taken = desk.bell.wait(py, None, None, || {
            let mut line = desk.line.lock();
            Ok(match line.questions.pop_front() {
                Some(asked) => Some(Some(Question { asked })),
                None => line.stopped.then_some(None),
            })
        })?;
        Ok(taken.flatten())
    }

    /// Denies everything from now on, and ends `next`.
    fn stop(&self) {
        if let Some(desk) = self.desk.peek() {
            desk.stop();
        }
    }
}

/// One question, to be answered once. One that is dropped unanswered is denied.
#[pyclass(frozen, module = "stayline._internal")]
pub struct Question {
    asked: Asked,
}

#[pymethods]
impl Question {
    /// The session the wrapper names.
    #[getter]
    fn session_id(&self) -> &str {
        &self.asked.session_id
    }

    /// The execution the wrapper names.
    #[getter]
    fn execution_id(&self) -> &str {
        &self.asked.execution_id
    }

    /// What it sent as its bearer token.
    #[getter]
    fn bearer(&self) -> Option<&str> {
        self.asked.bearer.as_deref()
    }

    /// The answer.
    fn answer(&self, verdict: bool) {
        self.asked.answer.give(verdict);
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.asked.answer.give(false);
    }
}
