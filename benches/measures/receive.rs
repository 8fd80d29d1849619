//! `core_apply`, and beside it `link_receive_rust` and `link_receive_python`: what one event costs
//! without sockets and without a disk. `link_receive_c` is in `c`.
//!
//! `core_apply` is the least that must be done for an event: its frame is read, applied to the
//! session's machine, and what changes is committed to the memory store, one commit an event, one
//! thread, nothing in between. `link_receive` does the same through a coordinator on `memory:`,
//! with everything that makes it one: the queue, the commit loop, snapshots, deadlines, readers.

use std::io;
use std::process::{self, Command as Process};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use stayline::Settings;
use stayline::coordinator::{
    AttachOptions, Coordinator, Credential, Link, Options, Output, StartOptions,
};
use stayline::protocol::{FrameLimits, parse_frame};
use stayline::session::records::ExecutionRecord;
use stayline::session::{Command, LinkMode, Proof, Session, Transition};
use stayline::store::memory::MemoryStore;
use stayline::store::{Batch, SessionChanges, Store};

use crate::events::{Templates, frame};
use crate::measures::Scale;
use crate::report::{Figure, Reference, Target};
use crate::samples::{Samples, microseconds, per_second};
use crate::scratch::workspace_folder;
use crate::site::failed;

const LINK: u64 = 1;
const NOW: i64 = 1_772_884_800_000;
/// After so many events the sender looks at what the link has put out.
const LOOK_EVERY: u64 = 64;
/// The exit code of the Python side when the module cannot be imported.
const NOT_IMPORTABLE: i32 = 77;

/// The least, in events a second.
pub fn core_apply(scale: Scale) -> io::Result<Vec<Figure>> {
    let count = events(scale);
    let mut samples = Samples::default();
    for _ in 0..Scale::RUNS {
        samples.push(1e6 / apply_all(count)?);
    }
    Ok(vec![Figure {
        name: "core_apply",
        unit: "events/s",
        samples,
        reference: None,
        target: Target::value_at_least(1.5e6),
        note: None,
    }])
}

/// Through a coordinator.
pub fn rust(scale: Scale) -> io::Result<Vec<Figure>> {
    let count = events(scale);
    let (mut samples, mut reference) = (Samples::default(), Samples::default());
    for _ in 0..Scale::RUNS {
        reference.push(apply_all(count)?);
        samples.push(receive_all(count)?);
    }
    Ok(vec![figure("link_receive_rust", samples, reference, Target::at_most(1.0))])
}

/// Through a coordinator, from Python. The error is the reason why it cannot be measured.
pub fn python(scale: Scale) -> io::Result<Result<Vec<Figure>, String>> {
    let count = events(scale);
    let (mut samples, mut reference) = (Samples::default(), Samples::default());
    let mut interpreter = Samples::default();
    for _ in 0..Scale::RUNS {
        reference.push(apply_all(count)?);
        let arguments = [count.to_string(), frame(7)];
        match run_python("benches/python/link_receive.py", &arguments)? {
            Ok(value) => samples.push(value),
            Err(reason) => return Ok(Err(reason)),
        }
        match run_python("benches/floors/python_loop.py", &arguments[..1])? {
            Ok(value) => interpreter.push(value),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    let mut figure = figure("link_receive_python", samples, reference, Target::at_most(2.5));
    let own = interpreter.median();
    figure.note = Some(format!("{own:.3} µs of it are Python's own, for the loop and a call"));
    Ok(Ok(vec![figure]))
}

pub(super) fn events(scale: Scale) -> u64 {
    scale.pick(200_000, 5_000)
}

pub(super) fn figure(
    name: &'static str,
    samples: Samples,
    reference: Samples,
    target: Target,
) -> Figure {
    let reference = Some(Reference { name: "core_apply, µs an event".into(), samples: reference });
    Figure { name, unit: "µs an event", samples, reference, target, note: None }
}

/// µs an event.
pub(super) fn apply_all(count: u64) -> io::Result<f64> {
    let mut core = Core::new()?;
    let mut templates = Templates::new();
    let started = Instant::now();
    for seq in 1..=count {
        core.receive(templates.numbered(seq))?;
    }
    let elapsed = started.elapsed();
    let stored = core.store.load("session").map_err(failed)?;
    match stored.map(|stored| stored.record.last_event_id) {
        Some(stored) if stored == count => Ok(1e6 / per_second(count, elapsed)),
        stored => Err(failed(format!("{stored:?} events are stored, not {count}"))),
    }
}

/// A session's machine and a store.
struct Core {
    session: Session,
    store: MemoryStore,
    execution_id: Arc<str>,
    limits: FrameLimits,
    commits: u64,
}

impl Core {
    /// With an execution that an acknowledged link is attached to.
    fn new() -> io::Result<Core> {
        let settings = Settings::default();
        let limits = FrameLimits {
            max_frame_bytes: u64::from(settings.max_frame_bytes),
            max_nesting: settings.max_nesting,
        };
        let session = Session::create("session".into(), "ep".into(), Arc::new(settings), NOW);
        let execution_id: Arc<str> = "exc_bench".into();
        let store = MemoryStore::new();
        let mut core =
            Core { session, store, execution_id: execution_id.clone(), limits, commits: 0 };
        core.apply(Command::Start {
            execution_id: execution_id.clone(),
            mode: None,
            token_hash: None,
        })?;
        let mode = LinkMode::Acknowledged { producer: "bench".into(), attempt: 1 };
        core.apply(Command::Attach { link: LINK, execution_id, proof: Proof::Trusted, mode })?;
        Ok(core)
    }

    fn receive(&mut self, text: &str) -> io::Result<()> {
        let frame = parse_frame(text, self.limits);
        let execution_id = self.execution_id.clone();
        self.apply(Command::Receive { link: LINK, execution_id, frame })
    }

    fn apply(&mut self, command: Command) -> io::Result<()> {
        let base_version = self.session.record().version;
        let transition = self.session.apply(command, None, NOW).map_err(failed)?;
        let Transition { changes, effects, .. } = transition;
        let mut executions: Vec<ExecutionRecord> = changes.executions;
        if changes.active {
            executions.reserve_exact(1);
            executions.extend(self.session.active().cloned());
        }
        self.commits += 1;
        let part = SessionChanges {
            session_id: self.session.record().id.clone(),
            base_version,
            record: Some(self.session.row_to_write(base_version)),
            executions,
            events: changes.events,
            delete: false,
        };
        let batch = Batch {
            commit_id: self.commits,
            time: NOW,
            sessions: vec![part],
            notifications: Vec::new(),
        };
        let faults = self.store.commit(&batch).map_err(|error| failed(format!("{error:?}")))?;
        std::hint::black_box(effects);
        match faults.first() {
            None => Ok(()),
            Some(fault) => Err(failed(format!("{fault:?}"))),
        }
    }
}

/// µs an event.
fn receive_all(count: u64) -> io::Result<f64> {
    let coordinator = Coordinator::open("memory:", Options::default()).map_err(failed)?;
    let session = coordinator.session("session").map_err(failed)?;
    let started = session.start(StartOptions::default()).map_err(failed)?;
    let attach = AttachOptions {
        execution_id: started.execution_id.to_string(),
        credential: Credential::Trusted,
        acknowledged: true,
        producer: Some("bench".into()),
        attempt: Some(1),
    };
    let link = session.attach(attach).map_err(failed)?;
    let mut templates = Templates::new();
    let started_at = Instant::now();
    let mut acked = 0;
    for seq in 1..=count {
        link.receive(templates.numbered(seq)).map_err(failed)?;
        if seq % LOOK_EVERY == 0 || seq == count {
            acked = last_ack(&link).unwrap_or(acked);
        }
    }
    let elapsed = microseconds(started_at.elapsed());
    let stored = session.count_events(&Default::default()).map_err(failed)?;
    if (stored, acked) != (count, count) {
        return Err(failed(format!("{stored} events are stored, {acked} acknowledged")));
    }
    Ok(elapsed / count as f64)
}

/// Takes what the link has put out; the last number acknowledged in it.
fn last_ack(link: &Link) -> Option<u64> {
    let mut last = None;
    while let Some(output) = link.try_output() {
        if let Output::Send(text) = output
            && let Some(seq) = crate::site::acknowledged(text.as_bytes())
        {
            last = Some(seq);
        }
    }
    last
}

/// µs that a script of ours tells, or why it cannot.
pub(super) fn run_python(script: &str, arguments: &[String]) -> io::Result<Result<f64, String>> {
    let folder = workspace_folder();
    let interpreter = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    // What the caller names comes first: it may be built better than what lies in the tree.
    let named = std::env::var_os("PYTHONPATH").unwrap_or_default();
    let search = std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty());
    let search: Vec<_> = search.chain([folder.join("python")]).collect();
    let mut process = Process::new(&interpreter);
    process.arg(folder.join(script)).args(arguments);
    process.env("PYTHONPATH", std::env::join_paths(search).map_err(failed)?);
    let output = match process.output() {
        Ok(output) => output,
        Err(error) => return Ok(Err(format!("{}: {error}", interpreter.display()))),
    };
    if output.status.code() == Some(NOT_IMPORTABLE) {
        return Ok(Err(String::from_utf8_lossy(&output.stdout).trim().to_owned()));
    }
    read(&output).map(Ok)
}

/// µs that a program of ours tells.
pub(super) fn told(process: &mut Process) -> io::Result<f64> {
    read(&process.output()?)
}

fn read(output: &process::Output) -> io::Result<f64> {
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("the program that is measured failed: {}", text.trim())));
    }
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let value = told["microseconds"].as_f64();
    value.ok_or_else(|| failed(format!("the program that is measured told {told}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_store_every_event() {
        assert!(apply_all(200).unwrap() > 0.0);
        assert!(receive_all(200).unwrap() > 0.0);
    }
}
