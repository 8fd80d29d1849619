//! Both ends together: the real coordinator, the real wrapper machine, and between them a network
//! that cuts, loses and delays, a store that fails, and a coordinator that restarts. All of it on
//! virtual time and from one seed, so that a failure replays.
//!
//! What must hold in the end (R45): every event that `send` accepted is in the log exactly once
//! and in order, whatever happened on the way; nothing was shown or acknowledged before it was
//! kept (R27); each execution has one ending (R4); and no wrapper was given up before its grace was
//! over, however the coordinator fared meanwhile (R15, R18b, R23).

use std::collections::{BTreeMap, VecDeque};

use stayline::coordinator::{
    AttachOptions, Clock, Coordinator, Credential, Link, ManualClock, Next, Options, Output,
    StartOptions, SubscribeOptions, Subscription,
};
use stayline::protocol::{Filter, Refusal};
use stayline::session::records::{NotificationKind, Status};
use stayline::store::faults::{Faults, Outcome};
use stayline::wrapper::{Action, Refused, SendOptions, State, Wrapper};
use stayline::{Error, Settings};

const START: i64 = 1_700_000_000_000;
const STEPS: usize = 250;

/// SplitMix64: the whole run follows from the seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// One connection: what is under way in each direction.
struct Connection {
    attempt: u64,
    link: Link,
    up: VecDeque<String>,
    down: VecDeque<Output>,
}

struct World {
    random: Random,
    clock: ManualClock,
    faults: Faults,
    location: String,
    coordinator: Coordinator,
    wrapper: Wrapper,
    handshake: Option<(u64, Option<String>)>,
    connection: Option<Connection>,
    reader: Option<Subscription>,
    seen: Vec<u64>,
    sent: Vec<u64>,
    token: String,
    /// Whether the store is on disk, so that the coordinator can restart.
    durable: bool,
    disconnect_grace_ms: i64,
    /// Whether the wrapper had its own last word.
    completes: bool,
    /// When the last grace that was seen began.
    grace_since: Option<i64>,
}

impl World {
    fn new(seed: u64, location: &str) -> World {
        let clock = ManualClock::new(START);
        let faults = Faults::new();
        // Shorter than what a restart gives at least, or longer.
        let disconnect_grace_ms = if seed.is_multiple_of(2) { 10_000 } else { 100_000 };
        let coordinator = open(location, disconnect_grace_ms, &clock, &faults);
        let started = coordinator
            .session("s")
            .unwrap()
            .start(StartOptions { execution_id: Some("e".into()), ..StartOptions::default() })
            .unwrap();
        let mut random = Random(seed);
        let settings = Settings { buffer_events: 200, ..Settings::default() };
        let wrapper = Wrapper::new(settings, u128::from(random.next())).unwrap();
        World {
            random,
            clock,
            faults,
            location: location.to_owned(),
            coordinator,
            wrapper,
            handshake: None,
            connection: None,
            reader: None,
            seen: Vec::new(),
            sent: Vec::new(),
            token: started.token.to_string(),
            durable: location != "memory:",
            disconnect_grace_ms,
            completes: false,
            grace_since: None,
        }
    }

    fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Does what the wrapper wants done.
    fn actions(&mut self) {
        while let Some(action) = self.wrapper.poll_action() {
            match action {
                Action::Connect { attempt, producer, .. } => {
                    self.handshake = Some((attempt, producer.map(|id| id.to_string())));
                }
                Action::Write { attempt, text } => match &mut self.connection {
                    Some(connection) if connection.attempt == attempt => {
                        connection.up.push_back(text);
                    }
                    // Its socket is gone, and the machine has not heard of it yet.
                    _ => {}
                },
                Action::Close { attempt, .. } => {
                    if self.handshake.as_ref().is_some_and(|(number, _)| *number == attempt) {
                        self.handshake = None;
                    }
                    if self.connection.as_ref().is_some_and(|c| c.attempt == attempt) {
                        self.connection = None;
                    }
                }
                Action::Tell(_) => {}
            }
        }
    }

    fn shake_hands(&mut self) {
        let Some((attempt, producer)) = self.handshake.take() else { return };
        let attached = self.coordinator.session("s").unwrap().attach_or_refuse(AttachOptions {
            execution_id: "e".into(),
            credential: Credential::Token(Some(self.token.clone())),
            acknowledged: producer.is_some(),
            producer,
            attempt: Some(attempt),
        });
        let now = self.now();
        match attached {
            Ok(link) => {
                let (up, down) = (VecDeque::new(), VecDeque::new());
                self.connection = Some(Connection { attempt, link, up, down });
                self.wrapper.handle_opened(attempt, Some(2), now);
            }
            Err(refusal) => {
                let refused = Refused {
                    status: Some(409),
                    refusal: Refusal::of(&refusal.error).filter(|_| refusal.is_final),
                    detail: refusal.error.to_string(),
                    ..Refused::default()
                };
                self.wrapper.handle_refused(attempt, refused, now);
            }
        }
        self.actions();
    }

    /// Some of the wrapper's frames arrive.
    fn deliver_up(&mut self, count: usize) {
        let Some(connection) = &mut self.connection else { return };
        let count = count.min(connection.up.len());
        let frames: Vec<String> = connection.up.drain(..count).collect();
        connection.link.receive_many(&frames).unwrap();
        self.collect_outputs();
    }

    fn collect_outputs(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        while let Some(output) = connection.link.try_output() {
            connection.down.push_back(output);
        }
    }

    /// Some of the coordinator's frames arrive.
    fn deliver_down(&mut self, count: usize) {
        self.collect_outputs();
        for _ in 0..count {
            let now = self.now();
            let Some(connection) = &mut self.connection else { return };
            let attempt = connection.attempt;
            match connection.down.pop_front() {
                None => return,
                Some(Output::Send(text)) => {
                    self.check_acknowledgement(&text);
                    self.wrapper.handle_frame(attempt, &text, now);
                }
                Some(Output::Close { code, reason }) => {
                    connection.link.closed(code, &reason).unwrap();
                    self.connection = None;
                    self.wrapper.handle_closed(attempt, code, &reason, now);
                }
            }
            self.actions();
        }
    }

    /// R27: what is acknowledged is in the store.
    fn check_acknowledgement(&self, text: &str) {
        let frame: serde_json::Value = serde_json::from_str(text).unwrap();
        if frame["type"] != "ack" {
            return;
        }
        let session = self.coordinator.session("s").unwrap();
        let record = session.execution("e").unwrap().record;
        let stored = record.producer.map_or(0, |producer| producer.last_seq);
        assert!(frame["seq"].as_u64().unwrap() <= stored, "{text}, stored {stored}");
    }

    /// The connection drops for both ends; some of what was under way still arrives.
    fn cut(&mut self) {
        let arrives = self.random.below(8) as usize;
        self.deliver_up(arrives);
        let Some(connection) = self.connection.take() else { return };
        connection.link.closed(1006, "cut").unwrap();
        let now = self.now();
        self.wrapper.handle_closed(connection.attempt, 1006, "cut", now);
        self.actions();
    }

    fn send(&mut self) {
        let number = self.sent.len() as u64;
        let now = self.now();
        let data = format!("{{\"n\":{number}}}");
        if self.wrapper.send("output", &data, SendOptions::default(), now).is_ok() {
            self.sent.push(number);
        }
        self.actions();
    }

    /// Time passes for both ends, in steps small enough for either's deadlines.
    fn advance(&mut self, ms: i64) {
        let target = self.now() + ms;
        while self.now() < target {
            let next = self.wrapper.next_deadline().unwrap_or(target).min(target);
            self.clock.advance((next - self.now()).max(1).min(target - self.now()));
            let now = self.now();
            self.wrapper.handle_timeout(now);
            self.actions();
        }
    }

    fn restart(&mut self) {
        if !self.durable {
            return;
        }
        self.reader = None;
        self.coordinator.abandon();
        if let Some(connection) = self.connection.take() {
            let now = self.now();
            self.wrapper.handle_closed(connection.attempt, 1006, "crash", now);
            self.actions();
        }
        self.faults = Faults::new();
        // Nobody is there for a while.
        self.clock.set(self.now() + self.random.below(30_000) as i64);
        let grace_ms = self.disconnect_grace_ms;
        self.coordinator = open(&self.location, grace_ms, &self.clock, &self.faults);
        self.advance(0);
    }

    fn look_at_the_grace(&mut self) {
        let record = self.coordinator.session("s").unwrap().execution("e").unwrap().record;
        self.grace_since = record.grace.map(|grace| grace.started_at).or(self.grace_since);
    }

    /// A reader that comes, goes, and goes on where it was: each event once, in order (R35).
    fn read(&mut self) {
        if self.random.below(6) == 0 {
            self.reader = None;
        }
        if self.reader.is_none() {
            let filter =
                Filter { after: self.seen.last().copied().unwrap_or(0), ..Filter::default() };
            let options = SubscribeOptions { filter, ..SubscribeOptions::default() };
            self.reader = Some(self.coordinator.session("s").unwrap().subscribe(options).unwrap());
        }
        let Some(reader) = &mut self.reader else { return };
        for _ in 0..50 {
            match reader.try_next().unwrap() {
                Next::Record(record) => {
                    assert_ne!(&*record.event_type, "gap", "the log went back");
                    if record.id > 0 {
                        self.seen.push(record.id);
                    }
                }
                Next::Empty | Next::Ended => return,
            }
        }
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..30 => self.send(),
            30..50 => {
                let count = self.random.below(6) as usize;
                self.deliver_up(count);
            }
            50..65 => {
                let count = self.random.below(4) as usize;
                self.deliver_down(count);
            }
            65..75 => self.shake_hands(),
            75..83 => {
                let ms = self.random.below(2_500) as i64;
                self.advance(ms);
            }
            83..87 => self.cut(),
            87..90 => {
                let outcomes = [Outcome::Lost, Outcome::UnknownKept, Outcome::UnknownLost];
                let which = self.random.below(3) as usize;
                self.faults.fail_next_commit(outcomes[which]);
            }
            90..91 => self.restart(),
            91..92 => {
                let ms = self.random.below(20_000) as i64;
                self.clock.suspend(ms);
            }
            _ => self.read(),
        }
        self.look_at_the_grace();
    }

    /// Everything works again: the run is completed, and what is held goes out. A wrapper that
    /// came back after the end has brought what it had, and has gone (R10a).
    fn finish(&mut self) {
        self.faults.heal();
        let now = self.now();
        self.completes = match self.wrapper.complete(0, Some("main"), now) {
            Ok(()) => true,
            Err(Error::Closed { .. }) => false,
            Err(error) => panic!("{error}"),
        };
        self.actions();
        for _ in 0..400 {
            self.shake_hands();
            self.deliver_up(usize::MAX);
            self.deliver_down(usize::MAX);
            if self.wrapper.state() == State::Closed {
                return;
            }
            self.advance(500);
        }
        panic!("the wrapper does not come to an end: {:?}", self.wrapper);
    }

    fn check(&mut self) {
        for _ in 0..100 {
            self.read();
        }
        let session = self.coordinator.session("s").unwrap();
        let mut filter = Filter::default();
        let (mut numbers, mut ids) = (Vec::new(), Vec::new());
        let (mut endings, mut undeliverable) = (0, 0);
        loop {
            let page = session.events(&filter).unwrap();
            for event in &page.events {
                ids.push(event.id);
                if &*event.event_type == "output" {
                    let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
                    numbers.push(data["n"].as_u64().unwrap());
                }
                undeliverable += usize::from(event.data.contains("undeliverable"));
                let ends = ["complete", "error", "wrapper_disconnected"];
                endings += usize::from(ends.contains(&&*event.event_type) && !event.late);
            }
            filter.after = page.next_after;
            if page.end {
                break;
            }
        }
        // Only an event whose link broke four times in its place may be missing, and then a
        // `rejected` event stands there (R45d).
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "once, in order: {numbers:?}");
        let missing: Vec<_> = self.sent.iter().filter(|n| !numbers.contains(n)).collect();
        assert!(missing.len() <= undeliverable, "lost: {missing:?}, told {undeliverable}");
        assert!(numbers.iter().all(|n| self.sent.contains(n)));
        assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
        assert_eq!(self.seen, ids, "a reader sees what is stored, once, in order");
        assert_eq!(endings, 1, "one ending");
        let record = session.execution("e").unwrap().record;
        assert!(record.status.is_terminal());
        assert_eq!(record.own_ending, self.completes);
        if record.error.as_deref() == Some("Wrapper disconnected") {
            let waited = record.completed_at.unwrap() - self.grace_since.unwrap();
            assert!(waited >= self.disconnect_grace_ms, "given up after {waited} ms");
        }
        let mut told: BTreeMap<&str, usize> = BTreeMap::new();
        for notification in self.coordinator.notifications(false).unwrap() {
            *told.entry(notification.kind.as_str()).or_default() += 1;
        }
        assert_eq!(told.get(NotificationKind::ExecutionEnded.as_str()), Some(&1));
        let late = told.get(NotificationKind::LateResult.as_str()).copied().unwrap_or(0);
        let is_late = self.completes && record.status != Status::Completed;
        assert_eq!(late, usize::from(is_late), "late truth is told");
    }
}

fn open(location: &str, grace_ms: i64, clock: &ManualClock, faults: &Faults) -> Coordinator {
    let options = Options {
        settings: Settings { disconnect_grace_ms: grace_ms, ..Settings::default() },
        clock: Clock::Manual(clock.clone()),
        faults: Some(faults.clone()),
    };
    Coordinator::open(location, options).unwrap()
}

fn simulate(seed: u64, location: &str) {
    let mut world = World::new(seed, location);
    let now = world.now();
    world.wrapper.open_retrying("e", now).unwrap();
    world.actions();
    world.shake_hands();
    for _ in 0..STEPS {
        world.step();
    }
    world.finish();
    world.check();
}

/// How many seeds: `STAYLINE_SEEDS`, or the default.
fn seeds(default: u64) -> u64 {
    std::env::var("STAYLINE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn run(name: &str, seeds: u64, location: impl Fn(u64) -> String) {
    for seed in 0..seeds {
        let location = location(seed);
        let outcome = std::panic::catch_unwind(|| simulate(seed, &location));
        if let Err(panic) = outcome {
            eprintln!("{name}: seed {seed} failed");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn both_ends_over_the_memory_store() {
    run("memory", seeds(400), |_| "memory:".to_owned());
}

#[cfg(feature = "sqlite")]
#[test]
fn both_ends_over_a_file_with_restarts() {
    let folder = tempfile::tempdir().unwrap();
    run("sqlite", seeds(400) / 10, |seed| {
        format!("sqlite:{}", folder.path().join(format!("{seed}.db")).display())
    });
}
