//! The `authorize` hook of a server: asked by its threads, answered by threads of Python's.
//!
//! A server's thread puts its question into a queue and waits, without the interpreter lock; a
//! Python thread that was started with the server takes it out, calls the host's function and
//! answers. How long an answer may take, and what is made of none, is the core's business (R25);
//! what is not answered here, because the server closes or the thread ends, is "later".

use std::collections::VecDeque;
use std::sync::Arc;

use pyo3::prelude::*;
use stayline::lock::{Condvar, Mutex};
use stayline::net::server::Authorization;
use stayline::wake::Wake;

use crate::error::Result;
use crate::process::Owned;
use crate::wait::Bell;

#[derive(Default)]
struct Answer {
    verdict: Mutex<Option<Authorization>>,
    given: Condvar,
}

impl Answer {
    fn give(&self, verdict: Authorization) {
        // The first answer counts.
        self.verdict.lock().get_or_insert(verdict);
        self.given.notify_all();
    }

    fn wait(&self) -> Authorization {
        let mut verdict = self.verdict.lock();
        loop {
            match *verdict {
                Some(verdict) => return verdict,
                None => self.given.wait(&mut verdict),
            }
        }
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
    pub fn ask(&self, session_id: &str, execution_id: &str, bearer: Option<&str>) -> Authorization {
        let answer = Arc::new(Answer::default());
        {
            let mut line = self.line.lock();
            if line.stopped {
                return Authorization::Later;
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
        let verdict = answer.wait();
        self.line.lock().waiting.retain(|other| !Arc::ptr_eq(other, &answer));
        verdict
    }

    /// Says "later" to what is waiting and what comes, and ends the Python threads.
    pub fn stop(&self) {
        {
            let mut line = self.line.lock();
            line.stopped = true;
            line.questions.clear();
            for answer in line.waiting.drain(..) {
                answer.give(Authorization::Later);
            }
        }
        self.bell.wake();
    }
}

/// The desk as the Python threads see it.
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

    /// Answers nothing any more ("later"), and ends `next`.
    fn stop(&self) {
        if let Some(desk) = self.desk.peek() {
            desk.stop();
        }
    }
}

/// One question, to be answered once. One that is dropped unanswered was answered "later".
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

    /// The answer: allow, deny, or `None`: that is not known now.
    #[pyo3(signature = (verdict))]
    fn answer(&self, verdict: Option<bool>) {
        self.asked.answer.give(match verdict {
            Some(true) => Authorization::Allow,
            Some(false) => Authorization::Deny,
            None => Authorization::Later,
        });
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.asked.answer.give(Authorization::Later);
    }
}
