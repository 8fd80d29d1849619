//! `history`: what an execution costs from its start to its completion in a session with a long
//! past, beside one with a short past (R37). Each is started, attached, completed by its wrapper
//! and waited for, on SQLite. The two stores take turns, execution by execution.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use stayline::coordinator::{
    AttachOptions, Coordinator, Credential, Options, Session, StartOptions,
};

use crate::measures::Scale;
use crate::report::{Figure, Reference, Target};
use crate::samples::{Samples, microseconds};
use crate::scratch::Scratch;
use crate::site::{PATIENCE, failed};
use crate::stored::{Log, fill};

const EVENTS_EACH: u64 = 100;
const SHORT_PAST: u64 = 10;
const COMPLETE: &str = r#"{"streamEventType":"complete","data":{"exitCode":0}}"#;

/// A session with 100 000 past executions and 10 million events, beside one with 10.
pub fn history(scale: Scale) -> io::Result<Vec<Figure>> {
    let past = scale.pick(100_000, 500);
    let (long, short) = (Place::new(past)?, Place::new(SHORT_PAST)?);
    let each = scale.pick(100, 10);
    let (mut samples, mut reference) = (Samples::default(), Samples::default());
    // The first opens what is then open, and is not counted.
    long.run_once()?;
    short.run_once()?;
    for _ in 0..Scale::RUNS {
        let (mut after_long, mut after_short) = (Samples::default(), Samples::default());
        for _ in 0..each {
            after_short.push(short.run_once()?);
            after_long.push(long.run_once()?);
        }
        samples.push(after_long.median());
        reference.push(after_short.median());
    }
    let name = format!("the same after {SHORT_PAST} executions");
    Ok(vec![Figure {
        name: "history",
        unit: "µs",
        samples,
        reference: Some(Reference { name, samples: reference }),
        target: Target::at_most(1.15),
        note: None,
    }])
}

struct Place {
    session: Session,
    // In the order of their end.
    _coordinator: Coordinator,
    _scratch: Scratch,
}

impl Place {
    fn new(executions: u64) -> io::Result<Place> {
        let scratch = Scratch::new()?;
        let log = Log { session_id: Arc::from("session"), executions, events_each: EVENTS_EACH };
        // Small, since it is their number that counts.
        fill(&scratch.file("runs.db"), &log, |number| format!("{{\"n\":{number}}}"))?;
        let opened = Coordinator::open(&scratch.location("runs.db"), Options::default());
        let coordinator = opened.map_err(failed)?;
        let session = coordinator.session("session").map_err(failed)?;
        Ok(Place { session, _coordinator: coordinator, _scratch: scratch })
    }

    /// µs.
    fn run_once(&self) -> io::Result<f64> {
        let started_at = Instant::now();
        let started = self.session.start(StartOptions::default()).map_err(failed)?;
        let attach = AttachOptions {
            execution_id: started.execution_id.to_string(),
            credential: Credential::Token(Some(started.token.to_string())),
            acknowledged: false,
            producer: None,
            attempt: None,
        };
        let link = self.session.attach(attach).map_err(failed)?;
        link.receive(COMPLETE).map_err(failed)?;
        let ended = self.session.wait(&started.execution_id, Some(PATIENCE)).map_err(failed)?;
        let elapsed = microseconds(started_at.elapsed());
        match ended.record.status.as_str() {
            "completed" => Ok(elapsed),
            other => Err(failed(format!("the execution is {other}"))),
        }
    }
}
