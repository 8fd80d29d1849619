//! Tests of the machine, driven as a driver would, on virtual time.

mod acknowledged;
mod connecting;
mod endings;
mod lines;
mod overflowing;
mod runs;
mod table;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Action, Job, Refused, SendOptions, Told, Wrapper};
use crate::protocol::{Refusal, close};
use crate::settings::Millis;
use crate::{Error, Settings};

/// When virtual time begins.
const START: Millis = 1_700_000_000_000;

/// A wrapper with its driver and host: it remembers what the wrapper wanted.
struct Bench {
    wrapper: Wrapper,
    now: Millis,
    /// The newest attempt.
    attempt: u64,
    sent: BTreeMap<u64, Vec<Value>>,
    told: Vec<Value>,
    /// Links that the wrapper closed: attempt and code.
    closed: Vec<(u64, u16)>,
    /// What the newest attempt asked for: protocol and producer.
    asked: (Option<u8>, Option<String>),
}

/// Settings as scenario files have them: no jitter, `Full` at once, basic unless set.
fn settings(changes: &Value) -> Settings {
    let mut settings = Settings::default();
    let defaults = json!({"jitter": 0, "send_timeout_ms": 0, "acknowledged": false});
    for values in [&defaults, changes] {
        for (name, value) in values.as_object().unwrap() {
            settings.set(name, value).unwrap();
        }
    }
    settings
}

impl Bench {
    fn new(changes: Value) -> Bench {
        Bench {
            wrapper: Wrapper::new(settings(&changes), 7).unwrap(),
            now: START,
            attempt: 0,
            sent: BTreeMap::new(),
            told: Vec::new(),
            closed: Vec::new(),
            asked: (None, None),
        }
    }

    /// Opened and connected, in the mode that the settings ask for.
    fn connected(changes: Value) -> Bench {
        let mut bench = Bench::new(changes);
        bench.open("e").unwrap();
        bench.up(0);
        assert_eq!(bench.state(), "connected");
        bench
    }

    /// Connected, with a job `e` of the agent session `root`.
    fn with_job(changes: Value, tasks: &[&str]) -> Bench {
        let mut bench = Bench::connected(changes);
        bench.job("e", tasks).unwrap();
        bench
    }

    /// Does what the wrapper wants.
    fn settle(&mut self) {
        while let Some(action) = self.wrapper.poll_action() {
            match action {
                Action::Connect { attempt, protocol, producer, .. } => {
                    assert!(attempt > self.attempt, "attempt numbers only grow");
                    self.attempt = attempt;
                    self.asked = (protocol, producer.map(|producer| producer.to_string()));
                }
                Action::Write { attempt, text } => {
                    let frame = serde_json::from_str(&text).unwrap();
                    self.sent.entry(attempt).or_default().push(frame);
                }
                Action::Close { attempt, code, .. } => self.closed.push((attempt, code)),
                Action::Tell(told) => self.told.push(told_value(&told)),
            }
        }
    }

    fn open(&mut self, execution: &str) -> Result<(), Error> {
        let result = self.wrapper.open(execution, self.now);
        self.settle();
        result
    }

    /// The newest attempt succeeds; in acknowledged mode with a welcome.
    fn up(&mut self, last_seq: u64) {
        let (protocol, _) = self.asked.clone();
        self.opened(self.attempt, protocol);
        if protocol.is_some() {
            self.frame(json!({"type": "welcome", "lastSeq": last_seq}));
        }
    }

    fn opened(&mut self, attempt: u64, protocol: Option<u8>) {
        self.wrapper.handle_opened(attempt, protocol, self.now);
        self.settle();
    }

    fn refused(&mut self, refusal: Option<Refusal>) {
        let refused = Refused { refusal, detail: "refused".into(), ..Refused::default() };
        self.wrapper.handle_refused(self.attempt, refused, self.now);
        self.settle();
    }

    fn cut(&mut self, code: u16) {
        self.wrapper.handle_closed(self.attempt, code, "", self.now);
        self.settle();
    }

    fn frame(&mut self, frame: Value) {
        self.wrapper.handle_frame(self.attempt, &frame.to_string(), self.now);
        self.settle();
    }

    fn ack(&mut self, seq: u64) {
        self.frame(json!({"type": "ack", "seq": seq}));
    }

    fn send_as(&mut self, event_type: &str, data: Value, droppable: bool) -> Result<(), Error> {
        let options = SendOptions { droppable, timestamp: None };
        let result = self.wrapper.send(event_type, &data.to_string(), options, self.now);
        self.settle();
        result
    }

    /// `output {"n": n}`
    fn send(&mut self, n: u64) -> Result<(), Error> {
        self.send_as("output", json!({"n": n}), false)
    }

    fn job(&mut self, execution: &str, tasks: &[&str]) -> Result<(), Error> {
        let job = Job {
            execution_id: execution.into(),
            agent_session: Some("root".into()),
            tasks: tasks.iter().map(|task| (*task).to_owned()).collect(),
            branch: None,
        };
        self.wrapper.start_job(job, self.now)
    }

    fn turn(&mut self) -> String {
        self.wrapper.begin_turn(self.now).unwrap()
    }

    fn agent(&mut self, event_type: &str, properties: Value) -> Result<(), Error> {
        let result = self.wrapper.handle_agent_event(event_type, &properties.to_string(), self.now);
        self.settle();
        result
    }

    /// The agent's root session is idle.
    fn idle(&mut self) {
        self.agent("session.idle", json!({"sessionID": "root"})).unwrap();
    }

    fn aborted(&mut self) {
        self.wrapper.handle_aborted(self.now);
        self.settle();
    }

    fn task_done(&mut self, name: &str, ok: bool) {
        self.wrapper.handle_task_done(name, ok, self.now);
        self.settle();
    }

    fn close(&mut self) -> u64 {
        let given_up = self.wrapper.close(self.now);
        self.settle();
        given_up
    }

    /// Lets time pass, handling each deadline at its own moment.
    fn advance(&mut self, ms: Millis) {
        let end = self.now + ms;
        while let Some(deadline) = self.wrapper.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(deadline);
            self.wrapper.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn state(&self) -> &'static str {
        self.wrapper.state().as_str()
    }

    /// Not yet written, and not acknowledged.
    fn held(&self) -> (u64, u64) {
        (self.wrapper.buffered(), self.wrapper.unacknowledged())
    }

    /// What was sent on the newest attempt since the last look: `[type, data]`, and the number
    /// where there is one.
    fn take_sent(&mut self) -> Value {
        let frames = self.sent.remove(&self.attempt).unwrap_or_default();
        let short = |frame: &Value| {
            let mut short = vec![frame["streamEventType"].clone(), frame["data"].clone()];
            short.extend(frame.get("seq").cloned());
            Value::Array(short)
        };
        frames.iter().map(short).collect()
    }

    /// The types of what was sent on the newest attempt since the last look.
    fn take_types(&mut self) -> Vec<String> {
        let frames = self.sent.remove(&self.attempt).unwrap_or_default();
        frames.iter().map(|frame| frame["streamEventType"].as_str().unwrap().to_owned()).collect()
    }

    /// What the host was told since the last look.
    fn take_told(&mut self) -> Value {
        Value::Array(std::mem::take(&mut self.told))
    }
}

/// Signals as scenario files write them.
fn told_value(told: &Told) -> Value {
    match told {
        Told::Reconnecting(number) => json!({"reconnecting": number}),
        Told::Disconnected { reason } => json!({"disconnected": **reason}),
        Told::ExecutionDone { status, error, unacknowledged } => json!({"execution_done": {
            "status": status.map(|status| status.as_str()),
            "error": error.as_deref(),
            "unacknowledged": unacknowledged,
        }}),
        Told::Command(frame) => json!({"command": frame}),
        Told::Task { name } => json!({"task": name}),
        Told::Abort { signal } => json!({"abort": signal.as_str()}),
        Told::Reconnected | Told::Replaced | Told::RestartFeed | Told::Drained => {
            json!(told.name())
        }
    }
}

/// `execution_done` as [`told_value`] shows it.
fn done(status: Option<&str>, error: Option<&str>, unacknowledged: u64) -> Value {
    json!({"execution_done": {
        "status": status, "error": error, "unacknowledged": unacknowledged,
    }})
}
