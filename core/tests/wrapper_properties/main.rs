//! Properties of one wrapper over random lists of what may happen (R42, R45). `fuzz/` takes its
//! lists from here, too.

#[path = "coordinator.rs"]
mod coordinator;

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use stayline::Settings;
use stayline::protocol::{Refusal, close};
use stayline::settings::Millis;
use stayline::wrapper::{Action, Job, Refused, SendOptions, Told, Wrapper};

use coordinator::Coordinator;

/// When virtual time begins.
const START: Millis = 1_700_000_000_000;

/// No jitter, `Full` at once, basic unless set.
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

// --- R42: generations ---

/// What may happen to a wrapper. Attempts are given as how far back they lie.
#[derive(Debug, Clone)]
pub enum Happening {
    Open,
    Opened { back: u64, acknowledged: bool },
    Refused { back: u64, final_one: bool },
    Closed { back: u64, code: u16 },
    Frame { back: u64, frame: &'static str },
    Send { event_type: &'static str },
    Idle,
    Turn,
    Aborted,
    Close,
    Advance { ms: Millis },
}

/// Lists of it.
pub fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    vec(happening(), 1..80)
}

fn happening() -> impl Strategy<Value = Happening> {
    // Mostly the current attempt, so that links do come up.
    let back = || prop_oneof![4 => Just(0u64), 1 => 1..4u64];
    let frames = prop_oneof![
        3 => Just(r#"{"type":"welcome","lastSeq":0}"#),
        1 => Just(r#"{"type":"welcome","lastSeq":2}"#),
        1 => Just(r#"{"type":"ack","seq":1}"#),
        1 => Just(r#"{"type":"kill","signal":"SIGTERM"}"#),
        1 => Just(r#"{"type":"ended","status":"failed","lastSeq":0}"#),
        1 => Just(r#"{"type":"ping"}"#),
        1 => Just(r#"{"type":"unknown"}"#),
    ];
    let codes = prop_oneof![
        5 => Just(close::DROPPED),
        1 => Just(close::DONE),
        1 => Just(close::REPLACED),
        1 => Just(close::PROTOCOL_VIOLATED),
    ];
    prop_oneof![
        2 => Just(Happening::Open),
        6 => (back(), any::<bool>())
            .prop_map(|(back, acknowledged)| Happening::Opened { back, acknowledged }),
        2 => (back(), prop::bool::weighted(0.1))
            .prop_map(|(back, final_one)| Happening::Refused { back, final_one }),
        3 => (back(), codes).prop_map(|(back, code)| Happening::Closed { back, code }),
        6 => (back(), frames).prop_map(|(back, frame)| Happening::Frame { back, frame }),
        5 => prop_oneof![9 => Just("output"), 1 => Just("interrupted")]
            .prop_map(|event_type| Happening::Send { event_type }),
        1 => Just(Happening::Idle),
        2 => Just(Happening::Turn),
        1 => Just(Happening::Aborted),
        1 => Just(Happening::Close),
        6 => (0..30_000i64).prop_map(|ms| Happening::Advance { ms }),
    ]
}

/// Follows the wrapper's actions and checks each against what the driver knows.
struct Watch {
    wrapper: Wrapper,
    now: Millis,
    newest: u64,
    /// The attempt that is under way or open: neither refused nor closed.
    current: Option<u64>,
    /// The one attempt that may be written to: opened, and neither closed nor replaced.
    open: Option<u64>,
    /// The host has closed, and not opened since.
    closed_by_host: bool,
}

impl Watch {
    fn settle(&mut self) {
        while let Some(action) = self.wrapper.poll_action() {
            match action {
                Action::Connect { attempt, .. } => {
                    assert!(!self.closed_by_host);
                    assert_eq!(attempt, self.newest + 1);
                    assert_eq!(self.open, None, "one link at a time");
                    self.newest = attempt;
                    self.current = Some(attempt);
                }
                Action::Write { attempt, .. } => {
                    assert!(!self.closed_by_host);
                    assert_eq!(Some(attempt), self.open, "written to a link that is not current");
                }
                Action::Close { attempt, .. } => {
                    self.is_over(attempt);
                }
                Action::Tell(told) => assert!(!self.closed_by_host, "told {told:?}"),
            }
        }
    }

    fn is_over(&mut self, attempt: u64) {
        for known in [&mut self.current, &mut self.open] {
            *known = known.filter(|known| *known != attempt);
        }
    }

    fn apply(&mut self, happening: &Happening) {
        let now = self.now;
        let attempt = |back: u64| self.newest.saturating_sub(back);
        match *happening {
            Happening::Open => {
                if self.wrapper.open("e", now).is_ok() {
                    self.closed_by_host = false;
                }
                // A job may be there already; that is fine.
                let job = Job { execution_id: "e".into(), ..Job::default() };
                let _ = self.wrapper.start_job(job, now);
            }
            Happening::Opened { back, acknowledged } => {
                let attempt = attempt(back);
                if self.current == Some(attempt) {
                    self.open = Some(attempt);
                }
                self.wrapper.handle_opened(attempt, acknowledged.then_some(2), now);
            }
            Happening::Refused { back, final_one } => {
                let refused = Refused {
                    refusal: final_one.then_some(Refusal::NotFound),
                    ..Refused::default()
                };
                let attempt = attempt(back);
                // A link that is up is not refused any more.
                if self.open != Some(attempt) {
                    self.is_over(attempt);
                    self.wrapper.handle_refused(attempt, refused, now);
                }
            }
            Happening::Closed { back, code } => {
                let attempt = attempt(back);
                self.is_over(attempt);
                self.wrapper.handle_closed(attempt, code, "", now);
            }
            Happening::Frame { back, frame } => {
                self.wrapper.handle_frame(attempt(back), frame, now);
            }
            // Whether it is taken in is not what is looked at here.
            Happening::Send { event_type } => {
                let _ = self.wrapper.send(event_type, "{}", SendOptions::default(), now);
            }
            Happening::Turn => {
                let _ = self.wrapper.begin_turn(now);
            }
            Happening::Idle => self.wrapper.handle_idle(now),
            Happening::Aborted => self.wrapper.handle_aborted(now),
            Happening::Close => {
                self.wrapper.close(now);
                // The link may be closed; nothing else may follow.
                self.closed_by_host = true;
                assert_eq!(self.wrapper.next_deadline(), None);
            }
            Happening::Advance { ms } => {
                let end = now + ms;
                while let Some(due) = self.wrapper.next_deadline().filter(|due| *due <= end) {
                    self.now = self.now.max(due);
                    self.wrapper.handle_timeout(self.now);
                    self.settle();
                }
                self.now = end;
            }
        }
        self.settle();
    }
}

/// Only the current link is written to, and nothing follows a close, whatever happens.
pub fn keeps_to_its_link(acknowledged: bool, happenings: &[Happening]) {
    let mut watch = Watch {
        wrapper: Wrapper::new(settings(&json!({"acknowledged": acknowledged})), 3).unwrap(),
        now: START,
        newest: 0,
        current: None,
        open: None,
        closed_by_host: false,
    };
    for happening in happenings {
        watch.apply(happening);
    }
}

proptest! {

    #[test]
    fn only_the_current_link_is_written_to_and_nothing_follows_a_close(
        acknowledged in any::<bool>(),
        happenings in happenings(),
    ) {
        keeps_to_its_link(acknowledged, &happenings);
    }
}

// --- R45: exactly once, in order ---

/// What may happen between a wrapper and its coordinator.
#[derive(Debug, Clone)]
pub enum Trouble {
    Send {
        droppable: bool,
    },
    /// The oldest frames in flight arrive, to the coordinator or to the wrapper.
    DeliverUp {
        count: usize,
    },
    DeliverDown {
        count: usize,
    },
    /// The link is cut; what is in flight is lost.
    Cut,
    Advance {
        ms: Millis,
    },
    /// The store loses its end, as after a power cut with relaxed durability.
    GoBack {
        count: usize,
    },
    /// The wrapper's process dies, with its outbox.
    Crash,
}

/// Lists of it; with losses the store may go back and the wrapper may crash.
pub fn troubles(with_losses: bool) -> impl Strategy<Value = Vec<Trouble>> {
    vec(trouble(with_losses), 1..120)
}

fn trouble(with_losses: bool) -> impl Strategy<Value = Trouble> {
    let losses = u32::from(with_losses);
    prop_oneof![
        8 => prop::bool::weighted(0.3).prop_map(|droppable| Trouble::Send { droppable }),
        8 => (1..6usize).prop_map(|count| Trouble::DeliverUp { count }),
        8 => (1..6usize).prop_map(|count| Trouble::DeliverDown { count }),
        3 => Just(Trouble::Cut),
        4 => (0..9_000i64).prop_map(|ms| Trouble::Advance { ms }),
        losses => (1..4usize).prop_map(|count| Trouble::GoBack { count }),
        losses => Just(Trouble::Crash),
    ]
}

/// A wrapper, a coordinator, and the frames in flight between them.
struct Pair {
    wrapper: Wrapper,
    coordinator: Coordinator,
    now: Millis,
    settings: Settings,
    seed: u128,
    attempt: u64,
    up: VecDeque<Value>,
    down: VecDeque<Value>,
    /// What `send` took in, in order.
    sent: Vec<u64>,
    next: u64,
}

impl Pair {
    fn new(changes: Value) -> Pair {
        let settings = settings(&changes);
        let mut pair = Pair {
            wrapper: Wrapper::new(settings.clone(), 1).unwrap(),
            coordinator: Coordinator::default(),
            now: START,
            settings,
            seed: 1,
            attempt: 0,
            up: VecDeque::new(),
            down: VecDeque::new(),
            sent: Vec::new(),
            next: 0,
        };
        pair.wrapper.open_retrying("e", START).unwrap();
        pair.settle();
        pair
    }

    fn settle(&mut self) {
        while let Some(action) = self.wrapper.poll_action() {
            match action {
                Action::Connect { attempt, producer, .. } => {
                    self.attempt = attempt;
                    self.up.clear();
                    self.down.clear();
                    let welcome = self.coordinator.attach(&producer.unwrap());
                    self.wrapper.handle_opened(attempt, Some(2), self.now);
                    self.down.push_back(welcome);
                }
                Action::Write { attempt, text } => {
                    assert_eq!(attempt, self.attempt);
                    self.up.push_back(serde_json::from_str(&text).unwrap());
                }
                Action::Close { .. } => {
                    self.up.clear();
                    self.down.clear();
                }
                Action::Tell(Told::Disconnected { reason }) => panic!("gave up: {reason}"),
                Action::Tell(_) => {}
            }
        }
    }

    fn deliver_up(&mut self, count: usize) {
        for _ in 0..count {
            let Some(frame) = self.up.pop_front() else { break };
            self.down.extend(self.coordinator.receive(&frame));
            assert_eq!(self.coordinator.violated, None);
        }
    }

    fn deliver_down(&mut self, count: usize) {
        for _ in 0..count {
            let Some(frame) = self.down.pop_front() else { break };
            self.wrapper.handle_frame(self.attempt, &frame.to_string(), self.now);
            self.settle();
        }
    }

    fn cut(&mut self) {
        self.up.clear();
        self.down.clear();
        self.wrapper.handle_closed(self.attempt, close::DROPPED, "", self.now);
        self.settle();
    }

    fn advance(&mut self, ms: Millis) {
        let end = self.now + ms;
        while let Some(due) = self.wrapper.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.wrapper.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn apply(&mut self, trouble: &Trouble) {
        match *trouble {
            Trouble::Send { droppable } => {
                let options = SendOptions { droppable, timestamp: None };
                let data = json!({"n": self.next}).to_string();
                if self.wrapper.send("output", &data, options, self.now).is_ok() {
                    self.sent.push(self.next);
                }
                self.next += 1;
                self.settle();
            }
            Trouble::DeliverUp { count } => self.deliver_up(count),
            Trouble::DeliverDown { count } => self.deliver_down(count),
            Trouble::Cut => self.cut(),
            Trouble::Advance { ms } => self.advance(ms),
            Trouble::GoBack { count } => {
                self.coordinator.go_back(count);
                self.cut();
            }
            Trouble::Crash => {
                self.seed += 1;
                self.up.clear();
                self.down.clear();
                self.wrapper = Wrapper::new(self.settings.clone(), self.seed).unwrap();
                self.wrapper.open_retrying("e", self.now).unwrap();
                self.settle();
            }
        }
    }

    /// The network is well again: everything arrives.
    fn come_to_rest(&mut self) {
        for _ in 0..60 {
            while !self.up.is_empty() || !self.down.is_empty() {
                self.deliver_down(100);
                self.deliver_up(100);
            }
            if self.wrapper.state().as_str() == "connected" && self.holds_nothing() {
                return;
            }
            self.advance(1_000);
        }
        panic!("it never comes to rest: {:?}", self.wrapper);
    }

    fn holds_nothing(&self) -> bool {
        self.wrapper.buffered() + self.wrapper.unacknowledged() == 0
    }

    /// The stored outputs; how many a stored marker says were lost; how many were replaced.
    fn outcome(&self) -> (Vec<u64>, u64, usize) {
        let stored = &self.coordinator.stored;
        let outputs = stored.iter().filter_map(|(_, data)| data["n"].as_u64()).collect();
        let lost = stored.iter().filter_map(|(_, data)| data["lostEvents"].as_u64()).sum();
        let rejected = stored.iter().filter(|(event_type, _)| event_type == "rejected").count();
        (outputs, lost, rejected)
    }
}

fn is_in_order(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[0] < pair[1])
}

/// Without a crash everything sent is stored once and in order; only what the bounds dropped is
/// missing, and that is counted once; only what broke its links is replaced.
pub fn stores_everything_once(overflow: &str, room: u32, troubles: &[Trouble]) {
    let mut pair =
        Pair::new(json!({"acknowledged": true, "overflow": overflow, "buffer_events": room}));
    for trouble in troubles {
        pair.apply(trouble);
    }
    pair.come_to_rest();
    let (stored, lost, rejected) = pair.outcome();
    assert!(is_in_order(&stored), "{stored:?}");
    // What was replaced was an output, or a marker, whose count another one then tells.
    let missing = pair.sent.len() as i64 - stored.len() as i64 - lost as i64;
    assert!((0..=rejected as i64).contains(&missing), "{missing} of {:?}", pair.sent);
    if lost == 0 && rejected == 0 {
        assert_eq!(stored, pair.sent);
    }
}

/// A store that goes back and a wrapper that crashes with its outbox lose events, but the stream
/// goes on, in order, and no event is stored twice by what the wrapper does.
pub fn goes_on_after_losses(troubles: &[Trouble]) {
    let mut pair = Pair::new(json!({"acknowledged": true, "buffer_events": 30}));
    for trouble in troubles {
        pair.apply(trouble);
    }
    pair.come_to_rest();
    let sends = pair.sent.len();
    pair.apply(&Trouble::Send { droppable: false });
    pair.come_to_rest();
    let (stored, _, _) = pair.outcome();
    assert_eq!(pair.sent.len(), sends + 1);
    assert_eq!(stored.last(), pair.sent.last());
    assert!(is_in_order(&stored), "{stored:?}");
}

proptest! {

    #[test]
    fn across_cuts_every_event_is_stored_once_and_in_order(
        overflow in prop_oneof![Just("block"), Just("drop_newest"), Just("drop_oldest")],
        room in 2..30u32,
        troubles in troubles(false),
    ) {
        stores_everything_once(overflow, room, &troubles);
    }

    #[test]
    fn after_losses_the_stream_goes_on_in_order(troubles in troubles(true)) {
        goes_on_after_losses(&troubles);
    }
}

/// The properties would not notice much if nothing ever went wrong in them: a coordinator that
/// acknowledges what it has not stored must be caught.
#[test]
fn a_lying_coordinator_is_caught() {
    let mut pair = Pair::new(json!({"acknowledged": true}));
    pair.deliver_down(1);
    for _ in 0..3 {
        pair.apply(&Trouble::Send { droppable: false });
    }
    pair.wrapper.handle_frame(pair.attempt, r#"{"type":"ack","seq":3}"#, pair.now);
    pair.cut();
    pair.come_to_rest();
    let (stored, lost, _) = pair.outcome();
    assert!(stored.is_empty());
    assert_eq!(lost, 3, "acknowledged but missing events are counted");
}
