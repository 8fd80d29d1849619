//! Properties of one session under random command lists, with shrinking (R2, R4, R7, R8, R12,
//! R15, R18, R18b, R23, R31, R33). The host below keeps the rows, as a store would, and can
//! restart. `fuzz/` takes its lists from here, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use stayline::protocol::{Frame, FrameLimits, parse_frame};
use stayline::session::records::{EventRecord, ExecutionRecord, NotificationKind, Status};
use stayline::session::{
    Command, Deadline, Effect, Failure, InterruptGrace, LinkMode, Proof, Reply, SIDE_LINKS,
    Session, Transition,
};
use stayline::store::StoredSession;
use stayline::{Error, Settings};

#[cfg(test)]
#[path = "session_tables/transitions.rs"]
mod transitions;

const LIMITS: FrameLimits = FrameLimits { max_frame_bytes: 10_000, max_nesting: 64 };

/// What may happen to a session.
#[derive(Debug, Clone)]
pub enum Step {
    Start(u8),
    Attach { execution: u8, producer: Option<u8> },
    Event { link: u8, kind: u8 },
    Garbage { link: u8 },
    Close { link: u8 },
    Fail { execution: u8 },
    Finish { execution: u8, status: u8 },
    Interrupt { execution: Option<u8>, escalate: bool, grace: u8 },
    ClearInterrupt { execution: Option<u8> },
    Heartbeat { execution: u8 },
    Lease { execution: u8 },
    Wait(u32),
    Freeze(u32),
    Restart { down: u32 },
    Tick,
}

/// Lists of it.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..120)
}

/// Graces of a link: shorter than the recovery grace, longer, and longer than the stale threshold.
pub const GRACES: [i64; 3] = [10_000, 80_000, 300_000];

/// Nothing of what the host checks is broken, whatever happens.
pub fn keeps_its_promises(steps: Vec<Step>, disconnect_grace_ms: i64) {
    let mut host = Host::with(Settings { disconnect_grace_ms, ..Settings::default() });
    for step in steps {
        host.run(step);
    }
}

fn step() -> impl Strategy<Value = Step> {
    let execution = 0u8..4;
    let named = proptest::option::of(0u8..4);
    prop_oneof![
        4 => execution.clone().prop_map(Step::Start),
        6 => (execution.clone(), proptest::option::of(0u8..3))
            .prop_map(|(execution, producer)| Step::Attach { execution, producer }),
        8 => (0u8..6, 0u8..8).prop_map(|(link, kind)| Step::Event { link, kind }),
        1 => (0u8..6).prop_map(|link| Step::Garbage { link }),
        4 => (0u8..6).prop_map(|link| Step::Close { link }),
        2 => execution.clone().prop_map(|execution| Step::Fail { execution }),
        2 => (execution.clone(), 0u8..5)
            .prop_map(|(execution, status)| Step::Finish { execution, status }),
        3 => (named.clone(), any::<bool>(), 0u8..3).prop_map(|(execution, escalate, grace)| {
            Step::Interrupt { execution, escalate, grace }
        }),
        1 => named.prop_map(|execution| Step::ClearInterrupt { execution }),
        2 => execution.clone().prop_map(|execution| Step::Heartbeat { execution }),
        1 => execution.prop_map(|execution| Step::Lease { execution }),
        4 => (0u32..40_000).prop_map(Step::Wait),
        1 => (3_001u32..1_000_000).prop_map(Step::Freeze),
        1 => (0u32..1_000_000).prop_map(|down| Step::Restart { down }),
        2 => Just(Step::Tick),
    ]
}

fn execution_id(n: u8) -> Arc<str> {
    format!("e{n}").into()
}

/// A link as its peer sees it.
#[derive(Debug, Clone)]
struct Peer {
    id: u64,
    execution: Arc<str>,
    producer: Option<Arc<str>>,
    next_seq: u64,
    is_open: bool,
}

struct Host {
    session: Session,
    settings: Arc<Settings>,
    rows: BTreeMap<Arc<str>, ExecutionRecord>,
    log: Vec<EventRecord>,
    ended: BTreeMap<Arc<str>, u32>,
    late_results: BTreeSet<Arc<str>>,
    peers: Vec<Peer>,
    /// Basic links on which their wrapper's ending came, and until when they linger (R31).
    lingering: BTreeMap<u64, i64>,
    next_link: u64,
    now: i64,
}

impl Host {
    fn with(settings: Settings) -> Host {
        let settings = Arc::new(settings);
        let session = Session::create("s".into(), "epoch".into(), settings.clone(), 1_000);
        Host {
            session,
            settings,
            rows: BTreeMap::new(),
            log: Vec::new(),
            ended: BTreeMap::new(),
            late_results: BTreeSet::new(),
            peers: Vec::new(),
            lingering: BTreeMap::new(),
            next_link: 0,
            now: 1_000,
        }
    }

    fn active(&self) -> Option<ExecutionRecord> {
        self.session.active().cloned()
    }

    fn status_of(&self, id: &str) -> Option<Status> {
        match self.session.active() {
            Some(active) if *active.id == *id => Some(active.status),
            _ => self.rows.get(id).map(|row| row.status),
        }
    }

    /// Applies one command with its checks, keeps what it writes.
    fn apply(&mut self, command: Command) -> Result<Transition, Error> {
        let before = self.active();
        let interrupted = before.as_ref().and_then(|active| active.interrupt.clone());
        let subject = command.subject().cloned();
        let row = subject.as_ref().and_then(|subject| self.rows.get(subject).cloned());
        let result = self.session.apply(command.clone(), row, self.now);
        let transition = match result {
            Ok(transition) => transition,
            Err(error) => {
                assert_eq!(before, self.active(), "an error changes nothing: {error}");
                return Err(error);
            }
        };
        self.check_owned(&command, &before);
        self.keep(&transition);
        self.check_kills(&transition, interrupted.is_some());
        Ok(transition)
    }

    /// R8: what a command on another execution does leaves the active one's flag and grace.
    fn check_owned(&self, command: &Command, before: &Option<ExecutionRecord>) {
        let (Some(before), Some(after)) = (before, self.active()) else { return };
        let is_other = command.subject().is_some_and(|subject| *subject != before.id);
        if before.id == after.id && is_other {
            assert_eq!(before.interrupt, after.interrupt, "{command:?}");
            assert_eq!(before.grace, after.grace, "{command:?}");
        }
    }

    /// R12: a kill only ever goes to a link of an execution that is being interrupted.
    fn check_kills(&self, transition: &Transition, was_interrupted: bool) {
        for effect in &transition.effects {
            let Effect::Send(link, text) = effect else { continue };
            if !text.contains("\"kill\"") {
                continue;
            }
            let is_interrupted = self.active().is_some_and(|a| a.interrupt.is_some());
            assert!(is_interrupted || was_interrupted, "a kill nobody asked for");
            let peer = self.peers.iter().find(|peer| peer.id == *link).expect("a known link");
            let ended = self.ended.keys().any(|id| *id == peer.execution);
            let is_active = self.active().is_some_and(|active| active.id == peer.execution);
            assert!(is_active || ended, "a kill for another execution");
        }
    }

    fn keep(&mut self, transition: &Transition) {
        for row in &transition.changes.executions {
            self.rows.insert(row.id.clone(), row.clone());
        }
        if let Some(active) = self.active() {
            if transition.changes.active {
                self.rows.insert(active.id.clone(), active);
            } else {
                let row = &self.rows[&active.id];
                assert_eq!(row.status, active.status, "a status that is not written");
                assert_eq!(row.interrupt, active.interrupt);
                assert_eq!(row.grace, active.grace);
                assert_eq!(row.producer, active.producer);
            }
        }
        for event in &transition.changes.events {
            let last = self.log.last().map_or(0, |event| event.id);
            assert_eq!(event.id, last + 1, "ids grow by one (R33)");
            self.log.push(event.clone());
        }
        for notification in &transition.changes.notifications {
            let execution = notification.execution_id.clone();
            match (notification.kind, execution) {
                (NotificationKind::ExecutionEnded, Some(id)) => {
                    *self.ended.entry(id).or_default() += 1;
                }
                (NotificationKind::LateResult, Some(id)) => {
                    assert!(self.late_results.insert(id), "a second late result");
                }
                _ => {}
            }
        }
        for effect in &transition.effects {
            let Effect::Close(link, code, _) = effect else { continue };
            if let Some(until) = self.lingering.remove(link) {
                assert_eq!(*code, 4000);
                let crowded = self.session.links().count() >= SIDE_LINKS;
                assert!(until <= self.now || crowded, "closed before its time (R31)");
            }
            if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == *link) {
                assert!(peer.is_open, "closed twice");
                peer.is_open = false;
            }
        }
    }

    /// What always holds.
    fn check(&mut self) {
        let active: Vec<_> = self.rows.values().filter(|row| row.status.is_active()).collect();
        assert!(active.len() <= 1, "more than one active execution (R2)");
        assert_eq!(active.first().map(|row| &row.id), self.session.active().map(|row| &row.id));
        assert!(self.ended.values().all(|times| *times == 1), "two endings (R4)");
        for row in self.rows.values().filter(|row| row.status.is_terminal()) {
            assert!(row.completed_at.is_some() && row.interrupt.is_none() && row.grace.is_none());
            assert!(self.ended.contains_key(&row.id), "an ending that is not told");
        }
        if self.session.active().is_some() {
            let (next, why) = self.session.next_deadline().expect("nothing escapes (R17)");
            let row = self.active().expect("it is active");
            let interrupt = row.interrupt.as_ref();
            let grace = row.grace.as_ref().map(|grace| grace.deadline);
            let (kill_at, fail_at) = (interrupt.map(|i| i.kill_at), interrupt.map(|i| i.fail_at));
            let kept = [kill_at.flatten(), fail_at.flatten(), grace].into_iter().flatten().min();
            assert!(kept.is_none_or(|at| next <= at), "hidden by a later one (R18): {row:?}");
            // And none is later than life itself allows, from now on: a grace alone, however long
            // it is, or the threshold (R15).
            let thresholds = [self.settings.stale_after_ms, self.settings.pending_timeout_ms];
            let pending = usize::from(row.status == Status::Pending);
            let threshold = self.now + thresholds[pending] + 1;
            assert!(next <= grace.unwrap_or(threshold), "{row:?}");
            assert!(grace.is_none() || why != Deadline::Stale, "a grace cut short (R15): {row:?}");
            assert!(why != Deadline::Grace || grace == Some(next), "not its own end: {row:?}");
            let is_alone = row.status == Status::Running && !self.session.has_link();
            assert_eq!(is_alone, grace.is_some(), "grace without a link");
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Start(n) => self.start(n),
            Step::Attach { execution, producer } => self.attach(execution, producer),
            Step::Event { link, kind } => self.event(link, kind),
            Step::Garbage { link } => self.garbage(link),
            Step::Close { link } => self.close(link),
            Step::Fail { execution } => self.fail(execution),
            Step::Finish { execution, status } => self.finish(execution, status),
            Step::Interrupt { execution, escalate, grace } => {
                let grace =
                    [InterruptGrace::Default, InterruptGrace::Never, InterruptGrace::After(5_000)]
                        [usize::from(grace)];
                let execution_id = execution.map(execution_id);
                let _ = self.apply(Command::Interrupt { execution_id, escalate, grace });
            }
            Step::ClearInterrupt { execution } => {
                let execution_id = execution.map(execution_id);
                let _ = self.apply(Command::ClearInterrupt { execution_id });
            }
            Step::Heartbeat { execution } => {
                let _ = self.apply(Command::Heartbeat { execution_id: execution_id(execution) });
            }
            Step::Lease { execution } => {
                let _ = self.apply(Command::AcquireLease {
                    execution_id: execution_id(execution),
                    lease_id: "l".into(),
                    message_id: None,
                });
            }
            Step::Wait(ms) => self.wait(i64::from(ms)),
            Step::Freeze(ms) => self.freeze(i64::from(ms)),
            Step::Restart { down } => self.restart(i64::from(down)),
            Step::Tick => self.tick(),
        }
        self.check();
    }

    fn start(&mut self, n: u8) {
        let id = execution_id(n);
        let expected = match (self.session.active(), self.rows.contains_key(&id)) {
            (Some(active), _) => Some(Error::ExecutionInProgress { active: active.id.clone() }),
            (None, true) => Some(Error::AlreadyExists { execution_id: id.clone() }),
            (None, false) => None,
        };
        let started =
            self.apply(Command::Start { execution_id: id.clone(), mode: None, token_hash: None });
        assert_eq!(started.err(), expected, "R2");
        if expected.is_none() {
            assert_eq!(self.status_of(&id), Some(Status::Pending));
        }
    }

    fn attach(&mut self, execution: u8, producer: Option<u8>) {
        self.next_link += 1;
        let link = self.next_link;
        let execution = execution_id(execution);
        let producer: Option<Arc<str>> = producer.map(|n| format!("p{n}").into());
        let mode = match &producer {
            Some(producer) => LinkMode::Acknowledged { producer: producer.clone(), attempt: link },
            None => LinkMode::Basic,
        };
        let flag = self.session.active().and_then(|active| active.interrupt.clone());
        self.peers.push(Peer {
            id: link,
            execution: execution.clone(),
            producer: producer.clone(),
            next_seq: 1,
            is_open: true,
        });
        let attached = self.apply(Command::Attach {
            link,
            execution_id: execution.clone(),
            proof: Proof::Trusted,
            mode,
        });
        let Ok(transition) = attached else {
            self.peers.pop();
            return;
        };
        let is_active = self.session.active().is_some_and(|active| active.id == execution);
        let sent: Vec<&Arc<str>> = transition
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Send(to, text) if *to == link => Some(text),
                _ => None,
            })
            .collect();
        if let (true, Some(flag)) = (is_active, flag) {
            let at = usize::from(producer.is_some());
            assert!(sent[at].contains(flag.signal.as_str()), "the kill first (R12): {sent:?}");
        }
        if producer.is_some() {
            let row = self.session.active().filter(|active| active.id == execution);
            let row = row.or_else(|| self.rows.get(&execution)).expect("it was attached to");
            let last = row.producer.as_ref().map_or(0, |producer| producer.last_seq);
            self.peers.last_mut().expect("just pushed").next_seq = last + 1;
        }
    }

    fn event(&mut self, link: u8, kind: u8) {
        let (event_type, data) = [
            ("output", r#"{"text":"x"}"#),
            ("output", r#"{"text":"y"}"#),
            ("heartbeat", "{}"),
            ("status", "{}"),
            ("complete", r#"{"exitCode":0,"currentBranch":"b"}"#),
            ("interrupted", "{}"),
            ("error", r#"{"fatal":true,"error":"boom"}"#),
            ("complete", r#"{"exitCode":"no"}"#),
        ][usize::from(kind)];
        let Some(index) = self.peer(link) else { return };
        let peer = &mut self.peers[index];
        let mut seq = None;
        if peer.producer.is_some() && event_type != "heartbeat" {
            seq = Some(peer.next_seq);
            peer.next_seq += 1;
        }
        let (id, execution_id) = (peer.id, peer.execution.clone());
        let is_basic = peer.producer.is_none() && peer.is_open;
        let frame =
            Frame { event_type: event_type.into(), timestamp: None, data: data.into(), seq };
        let was_active = self.status_of(&execution_id).is_some_and(Status::is_active);
        let command = Command::Receive { link: id, execution_id, frame: Ok(frame) };
        let transition = self.apply(command).unwrap();
        let ends = !transition.changes.executions.is_empty() && was_active;
        if is_basic && ends {
            // R31: it is let finish.
            assert!(self.peers[index].is_open);
            self.lingering.insert(id, self.now + self.settings.basic_linger_ms);
        }
    }

    fn garbage(&mut self, link: u8) {
        let Some(index) = self.peer(link) else { return };
        let peer = &mut self.peers[index];
        let (id, execution_id) = (peer.id, peer.execution.clone());
        peer.next_seq += u64::from(peer.producer.is_some());
        let frame = parse_frame("nonsense", LIMITS);
        self.apply(Command::Receive { link: id, execution_id, frame }).unwrap();
    }

    fn close(&mut self, link: u8) {
        let Some(index) = self.peer(link) else { return };
        let peer = self.peers.remove(index);
        self.lingering.remove(&peer.id);
        self.apply(Command::LinkClosed {
            link: peer.id,
            execution_id: peer.execution,
            code: 1006,
            reason: "".into(),
        })
        .unwrap();
    }

    /// One of the newest links, open or not.
    fn peer(&self, link: u8) -> Option<usize> {
        self.peers.len().checked_sub(1 + usize::from(link))
    }

    fn fail(&mut self, n: u8) {
        let id = execution_id(n);
        let was = self.status_of(&id);
        let events = self.log.len();
        let failure = Failure { message: "boom".into(), ..Failure::default() };
        let failed = self.apply(Command::Fail { execution_id: id.clone(), failure });
        match was {
            None => assert!(matches!(failed, Err(Error::NotFound { .. }))),
            Some(was) if was.is_active() => {
                assert_eq!(failed.unwrap().reply, Some(Reply::Failed(true)));
                assert_eq!(self.log.len(), events + 1);
                assert_eq!(self.status_of(&id), Some(Status::Failed));
            }
            Some(_) => {
                let transition = failed.unwrap();
                assert_eq!(transition.reply, Some(Reply::Failed(false)));
                assert!(transition.changes.is_empty() && transition.effects.is_empty(), "R7");
            }
        }
    }

    fn finish(&mut self, n: u8, status: u8) {
        let id = execution_id(n);
        let to = Status::ALL[usize::from(status)];
        let was = self.status_of(&id);
        let finished = self.apply(Command::Finish {
            execution_id: id.clone(),
            status: to,
            message: None,
            completed_at: None,
        });
        match was {
            None => assert!(matches!(finished, Err(Error::NotFound { .. }))),
            Some(from) if stayline::session::may_become(from, to).is_err() => {
                assert!(matches!(finished, Err(Error::InvalidTransition { .. })));
                assert_eq!(self.status_of(&id), Some(from));
            }
            Some(_) if to.is_active() => assert!(finished.is_err()),
            Some(_) => assert_eq!(self.status_of(&id), Some(to)),
        }
    }

    /// R18: the next deadline is met at its own moment; handling it twice changes nothing more.
    fn wait(&mut self, ms: i64) {
        let target = self.now + ms;
        while let Some((at, _)) = self.session.next_deadline().filter(|(at, _)| *at <= target) {
            if at > self.now {
                self.now = at - 1;
                let early = self.apply(Command::Tick).unwrap();
                assert!(early.changes.is_empty(), "nothing is due before the next deadline");
            }
            self.now = self.now.max(at);
            self.tick();
            if self.session.active().is_none() {
                break;
            }
        }
        self.now = self.now.max(target);
        self.tick();
    }

    fn tick(&mut self) {
        self.apply(Command::Tick).unwrap();
        let next = self.session.next_deadline();
        assert!(next.is_none_or(|(at, _)| at > self.now), "still due: {next:?}");
        assert!(self.lingering.values().all(|until| *until > self.now), "open for too long (R31)");
        let again = self.apply(Command::Tick).unwrap();
        assert!(again.changes.is_empty() && again.effects.is_empty(), "handled twice");
    }

    fn freeze(&mut self, ms: i64) {
        let before = self.active();
        self.now += ms;
        let resumed = self.apply(Command::Resumed { lost_ms: ms }).unwrap();
        // R18b: not given again to one that is always late.
        // Its lease is moved all the same (R38), so what changed does not tell.
        if resumed.effects.iter().any(|effect| matches!(effect, Effect::Warn(_))) {
            self.check_grace(before, ms);
        } else {
            let deadline = |row: Option<ExecutionRecord>| Some(row?.grace?.deadline);
            assert_eq!(deadline(before), deadline(self.active()), "given without a word");
        }
        self.tick();
    }

    /// R18b, R23: what was left of a grace is left, the lost time is given back, and there is at
    /// least the recovery grace.
    fn check_grace(&self, before: Option<ExecutionRecord>, lost_ms: i64) {
        let graces = (before.and_then(|row| row.grace), self.active().and_then(|row| row.grace));
        if let (Some(before), Some(after)) = graces {
            assert_eq!((before.started_at, &before.reason), (after.started_at, &after.reason));
            let recovery = self.now + self.settings.recovery_grace_ms;
            assert_eq!(after.deadline, (before.deadline + lost_ms).max(recovery));
        }
    }

    /// Only what was written is left.
    fn restart(&mut self, down_ms: i64) {
        let before = self.active();
        self.now += down_ms;
        let record = self.session.record().clone();
        let active = self.rows.values().find(|row| row.status.is_active()).cloned();
        let stored = StoredSession { record, active };
        self.session = Session::load(stored, self.settings.clone());
        self.peers.clear();
        self.lingering.clear();
        self.apply(Command::Recover { down_ms }).unwrap();
        self.check_grace(before, down_ms);
    }
}

/// How many lists: `PROPTEST_CASES`, or the default.
fn cases(default: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(1_000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_session_keeps_its_promises(
        steps in steps(),
        disconnect_grace_ms in prop_oneof![Just(GRACES[0]), Just(GRACES[1]), Just(GRACES[2])],
    ) {
        keeps_its_promises(steps, disconnect_grace_ms);
    }
}

#[test]
fn a_lease_that_a_freeze_moves_moves_no_grace_that_is_not_given_back() {
    let steps = vec![
        Step::Start(0),
        Step::Attach { execution: 0, producer: Some(1) },
        Step::Lease { execution: 0 },
        Step::Freeze(383_896),
        Step::Close { link: 0 },
        Step::Wait(31_354),
        Step::Wait(31_354),
        Step::Freeze(3_001),
    ];
    keeps_its_promises(steps, GRACES[1]);
}
