//! Nothing due stays due (R18): stores that are opened with other settings than they were written
//! with, floods of due work (R19), and recoveries of many (R23). Each on every store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::fixture::*;
use serde_json::json;
use stayline::coordinator::{
    Clock, Coordinator, FailOptions, InterruptGrace, ManualClock, Options, Session,
};
use stayline::settings::{Millis, Synchronous};
use stayline::store::Store;
use stayline::store::faults::Faults;
use stayline::store::memory::MemoryStore;
use stayline::{Error, Settings};

const DAY_MS: Millis = 86_400_000;

/// A store that can be opened again and again.
enum Place {
    Memory(MemoryStore),
    File(tempfile::TempDir),
}

impl Place {
    fn all() -> [Place; 2] {
        [Place::Memory(MemoryStore::new()), Place::file()]
    }

    fn file() -> Place {
        Place::File(tempfile::tempdir().unwrap())
    }

    fn store(&self, settings: &Settings) -> Box<dyn Store> {
        match self {
            Place::Memory(store) => Box::new(store.clone()),
            Place::File(folder) => {
                let location = format!("sqlite:{}", folder.path().join("runs.db").display());
                // Nothing here is about power cuts.
                let settings = Settings { synchronous: Synchronous::Off, ..settings.clone() };
                stayline::store::open(&location, &settings, START).unwrap()
            }
        }
    }

    fn open(&self, settings: &Settings, clock: Clock, faults: &Faults) -> Coordinator {
        let options = Options { settings: settings.clone(), clock, faults: Some(faults.clone()) };
        Coordinator::with_store(self.store(settings), options).unwrap()
    }

    /// On virtual time.
    fn at(&self, settings: &Settings, clock: &ManualClock) -> Coordinator {
        self.open(settings, Clock::Manual(clock.clone()), &Faults::new())
    }
}

fn ended(coordinator: &Coordinator, id: &str) -> Session {
    let session = coordinator.session(id).unwrap();
    start(&session, "e").unwrap();
    session.fail("e", FailOptions::default()).unwrap();
    session
}

fn kinds(coordinator: &Coordinator) -> Vec<&'static str> {
    let all = coordinator.notifications(false).unwrap();
    all.iter().map(|notification| notification.kind.as_str()).collect()
}

/// One session of every kind that something is due for.
fn every_kind(coordinator: &Coordinator) {
    ended(coordinator, "ended");
    coordinator.take_notification(Some(Duration::ZERO)).unwrap();
    let session = |id: &str| {
        let session = coordinator.session(id).unwrap();
        start(&session, "e").unwrap();
        session
    };
    session("pending");
    let leased = session("leased");
    leased.acquire_lease("e", "me", None).unwrap();
    let grace = session("grace");
    attach(&grace, "e", Some("p")).unwrap().closed(1006, "gone").unwrap();
    let told = session("told to stop");
    std::mem::forget(attach(&told, "e", Some("p")).unwrap());
    told.interrupt(None, false, InterruptGrace::Default).unwrap();
    let late = session("late");
    late.fail("e", FailOptions::default()).unwrap();
    std::mem::forget(attach(&late, "e", Some("p")).unwrap());
}

#[test]
fn a_store_opened_with_any_other_time_setting_comes_to_an_end_with_all_that_is_due() {
    for row in Settings::table() {
        if !row.name.ends_with("_ms") {
            continue;
        }
        let default = Settings::default().get(row.name).unwrap().as_i64().unwrap_or(60_000);
        for value in [json!(default * 4), json!(default / 4), json!(null)] {
            let mut changed = Settings::default();
            if changed.set(row.name, &value).is_err() || changed.check().is_err() {
                continue;
            }
            let what = format!("{} = {value}", row.name);
            for place in Place::all() {
                let (what, changed) = (what.clone(), changed.clone());
                must_end(&what.clone(), move || {
                    let clock = ManualClock::new(START);
                    let first = place.at(&Settings::default(), &clock);
                    every_kind(&first);
                    clock.advance(5_000);
                    first.abandon();
                    let second = place.at(&changed, &clock);
                    for step in [901_000, DAY_MS, 91 * DAY_MS, 300 * DAY_MS] {
                        clock.advance(step);
                        let next = second.next_deadline().unwrap();
                        assert!(next.is_none_or(|at| at > clock.now()), "{what}: {next:?}");
                    }
                    assert!(second.sessions(9).unwrap().is_empty(), "{what}");
                });
            }
        }
    }
}

#[test]
fn a_longer_idle_time_is_kept_and_a_shorter_one_acts_at_once() {
    for place in Place::all() {
        let clock = ManualClock::new(START);
        let hour = Settings { idle_after_ms: 3_600_000, ..Settings::default() };
        let minute = Settings { idle_after_ms: 60_000, ..Settings::default() };
        let first = place.at(&hour, &clock);
        ended(&first, "s");
        clock.advance(300_000);
        first.abandon();
        // Shorter: it has been idle for long.
        let second = place.at(&minute, &clock);
        clock.advance(0);
        assert_eq!(kinds(&second), ["execution_ended", "session_idle"]);
        second.abandon();
        // It is told once a time of idleness, whatever it is opened with.
        let third = place.at(&hour, &clock);
        clock.advance(2 * 3_600_000);
        assert_eq!(kinds(&third), ["execution_ended", "session_idle"]);
        ended(&third, "t");
        clock.advance(300_000);
        third.abandon();
        // Longer: not one ms too early.
        let day = Settings { idle_after_ms: DAY_MS, ..Settings::default() };
        let fourth = place.at(&day, &clock);
        assert_eq!(fourth.next_deadline().unwrap(), Some(clock.now() + DAY_MS - 300_000));
        clock.advance(DAY_MS - 300_001);
        assert_eq!(kinds(&fourth).len(), 3);
        clock.advance(1);
        assert_eq!(kinds(&fourth).len(), 4);
    }
}

/// The coordinator that computes wake-ups anew dies on the way, and the one after it has the
/// settings that were noted before: what was computed meanwhile must not be taken for right.
#[test]
fn wake_ups_that_were_half_computed_are_all_computed_by_the_next() {
    for place in Place::all() {
        let clock = ManualClock::new(START);
        let hour = Settings { idle_after_ms: 3_600_000, ..Settings::default() };
        let first = place.at(&hour, &clock);
        for n in 0..600 {
            ended(&first, &format!("s{n}"));
        }
        clock.advance(60_000);
        first.abandon();
        let day = Settings { idle_after_ms: DAY_MS, ..Settings::default() };
        let faults = Faults::new();
        let commits = AtomicU64::new(0);
        let failing = faults.clone();
        faults.before_commit(move |_| {
            failing.fail_commits(commits.fetch_add(1, Ordering::SeqCst) > 0);
        });
        let options = Options {
            settings: day.clone(),
            clock: Clock::Manual(clock.clone()),
            faults: Some(faults),
        };
        // Its first commit is kept, the others are not.
        assert!(Coordinator::with_store(place.store(&day), options).is_err());
        let last = place.at(&hour, &clock);
        clock.advance(3_600_000);
        let idle = kinds(&last).into_iter().filter(|kind| *kind == "session_idle").count();
        assert_eq!(idle, 600);
    }
}

/// A store that says that something is due and does not say what.
#[test]
fn what_is_due_and_can_never_be_done_keeps_nobody_busy() {
    must_end("a store that insists", || {
        let host = host();
        start(&host.session, "e").unwrap();
        host.clock.advance(1_000);
        host.faults.say_due_at(Some(0));
        host.session.fail("e", FailOptions::default()).unwrap();
        host.clock.advance(10_000);
        // Everything else goes on.
        start(&host.session, "f").unwrap();
        host.clock.advance(302_000);
        assert_eq!(host.status("f"), "failed", "never connected");
    });
}

/// Many sessions are idle at the same moment: who wants something meanwhile is let in between two
/// steps.
#[test]
fn a_flood_of_due_work_lets_others_in_between() {
    const MANY: usize = 6_000;
    for place in Place::all() {
        let clock = ManualClock::new(START);
        let faults = Faults::new();
        let coordinator = place.open(&Settings::default(), Clock::Manual(clock.clone()), &faults);
        for n in 0..MANY {
            ended(&coordinator, &format!("s{n}"));
        }
        let (begun, has_begun) = mpsc::channel();
        faults.before_commit(move |_| {
            let _ = begun.send(());
            std::thread::sleep(Duration::from_millis(5));
        });
        let all = {
            let (faults, before) = (faults.clone(), faults.commits());
            std::thread::spawn(move || {
                clock.advance(Settings::default().idle_after_ms);
                faults.commits() - before
            })
        };
        has_begun.recv().unwrap();
        let before = faults.commits();
        let other = coordinator.session("other").unwrap();
        start(&other, "e").unwrap();
        other.view().unwrap();
        drop(other.subscribe(Default::default()).unwrap());
        let waited_for = faults.commits() - before;
        let all = all.join().unwrap();
        assert!(all >= 20, "the flood went in {all} steps");
        assert!(waited_for <= all / 2, "{waited_for} of {all} steps came first");
        let idle = kinds(&coordinator).into_iter().filter(|kind| *kind == "session_idle").count();
        assert_eq!(idle, MANY);
    }
}

/// A store with so many runs, half of them pending.
fn with_runs(place: &Place, clock: &ManualClock, count: usize) {
    let coordinator = place.at(&Settings::default(), clock);
    for n in 0..count {
        let session = coordinator.session(&format!("s{n}")).unwrap();
        start(&session, "e").unwrap();
        if n % 2 == 0 {
            std::mem::forget(attach(&session, "e", Some("p")).unwrap());
        }
    }
    coordinator.abandon();
}

/// An opening waits for the first recoveries only, and whoever looks sees none that is not
/// recovered (R23).
#[test]
fn nobody_waits_for_all_recoveries_and_nobody_sees_a_run_that_is_not_recovered() {
    const MANY: usize = 1_500;
    let clock = ManualClock::new(START);
    for place in Place::all() {
        with_runs(&place, &clock, MANY);
        let faults = Faults::new();
        let (go, gate) = mpsc::channel::<()>();
        let mut commits = 0;
        faults.before_commit(move |_| {
            commits += 1;
            // The second is not made before the opening has returned.
            if commits == 2 {
                let _ = gate.recv_timeout(PATIENCE);
            }
        });
        let coordinator = place.open(&Settings::default(), Clock::System, &faults);
        assert!(faults.commits() <= 2, "the opening waited for all recoveries");
        let seen = |n: usize| {
            let view = coordinator.session(&format!("s{n}")).unwrap().view().unwrap();
            let active = view.active.unwrap();
            assert_eq!(
                active.grace.is_some(),
                n.is_multiple_of(2),
                "s{n} is not recovered: {active:?}"
            );
        };
        seen(0);
        go.send(()).unwrap();
        seen(MANY - 2);
        let session = coordinator.session(&format!("s{}", MANY - 4)).unwrap();
        assert!(session.execution("e").unwrap().record.grace.is_some());
        assert!(session.executions(None, 1).unwrap()[0].record.grace.is_some());
        let waits = session.watch("e").unwrap();
        assert!(waits.poll().unwrap().is_none());
        for summary in coordinator.sessions(MANY).unwrap() {
            let run = summary.latest.unwrap();
            assert_eq!(run.grace.is_some(), run.started_at.is_some(), "{}", summary.record.id);
        }
        // A new link is one that comes back.
        let back = coordinator.session(&format!("s{}", MANY - 6)).unwrap();
        let _link = attach(&back, "e", Some("p")).unwrap();
        assert_eq!(back.execution("e").unwrap().record.reconnects, 1);
        (0..MANY).filter(|n| *n != MANY - 6).for_each(seen);
    }
}

/// A store that cannot be read for a while keeps no run from being recovered, and no run is unknown
/// for it.
#[test]
fn a_store_that_cannot_be_read_for_a_while_forgets_no_recovery() {
    const MANY: usize = 600;
    for place in Place::all() {
        with_runs(&place, &ManualClock::new(START), MANY);
        let faults = Faults::new();
        let reading = faults.clone();
        // From the first recoveries on.
        faults.before_commit(move |_| reading.fail_loads(true));
        let coordinator = place.open(&Settings::default(), Clock::System, &faults);
        let last = coordinator.session(&format!("s{}", MANY - 1)).unwrap();
        for _ in 0..20 {
            let told = last.subscribe(Default::default()).err();
            assert!(matches!(told, Some(Error::StoreError { .. })), "{told:?}");
        }
        faults.before_commit(|_| {});
        faults.fail_loads(false);
        wait_for("all to be recovered", || {
            let metrics = coordinator.metrics().unwrap();
            (metrics.pending + metrics.running == MANY as u64).then_some(())
        });
    }
}

/// The same for wake-ups that have to be computed anew.
#[test]
fn a_store_that_cannot_be_read_for_a_while_forgets_no_wake_up() {
    for place in Place::all() {
        let clock = ManualClock::new(START);
        let hour = Settings { idle_after_ms: 3_600_000, ..Settings::default() };
        let first = place.at(&hour, &clock);
        for n in 0..600 {
            ended(&first, &format!("s{n}"));
        }
        clock.advance(60_000);
        first.abandon();
        let minute = Settings { idle_after_ms: 60_000, ..Settings::default() };
        let faults = Faults::new();
        let reading = faults.clone();
        faults.before_commit(move |_| reading.fail_loads(true));
        let options = Options {
            settings: minute.clone(),
            clock: Clock::Manual(clock.clone()),
            faults: Some(faults),
        };
        assert!(Coordinator::with_store(place.store(&minute), options).is_err());
        let second = place.at(&minute, &clock);
        clock.advance(0);
        let idle = kinds(&second).into_iter().filter(|kind| *kind == "session_idle").count();
        assert_eq!(idle, 600);
    }
}

/// What cannot be noted at once is noted later, as it is.
#[test]
fn the_settings_of_the_wake_ups_are_noted_once_that_can_be_written() {
    let mut store = MemoryStore::new();
    let faults = Faults::new();
    faults.fail_commits(true);
    let place = Place::Memory(store.clone());
    let _coordinator = place.open(&Settings::default(), Clock::System, &faults);
    // It has tried in vain by then.
    std::thread::sleep(Duration::from_millis(200));
    faults.fail_commits(false);
    let noted = wait_for("the settings to be noted", || store.wake_settings().unwrap());
    assert!(noted.contains("idle_after_ms"), "{noted:?}");
}

/// However long it takes to do all that is due, the coordinator was not away meanwhile.
#[test]
fn a_long_flood_of_due_work_is_no_lost_time() {
    const STEPS: usize = 10;
    const MANY: usize = STEPS * 256;
    let place = Place::Memory(MemoryStore::new());
    let century = Settings {
        session_ttl_ms: 36_500 * DAY_MS,
        event_retention_ms: 36_500 * DAY_MS,
        disconnect_grace_ms: 3_600_000,
        ..Settings::default()
    };
    let clock = ManualClock::new(START);
    let first = place.at(&century, &clock);
    for n in 0..MANY {
        ended(&first, &format!("s{n}"));
    }
    first.abandon();
    // They all have been idle for years.
    let faults = Faults::new();
    faults.before_commit(|_| std::thread::sleep(Duration::from_millis(400)));
    let coordinator = place.open(&century, Clock::System, &faults);
    let away = coordinator.session("away").unwrap();
    start(&away, "e").unwrap();
    attach(&away, "e", Some("p")).unwrap().closed(1006, "gone").unwrap();
    let deadline = || away.view().unwrap().active.unwrap().grace.unwrap().deadline;
    let before = wait_for("the grace", || {
        away.view().unwrap().active.unwrap().grace.map(|grace| grace.deadline)
    });
    wait_for("all to be told", || {
        let told = kinds(&coordinator).into_iter().filter(|kind| *kind == "session_idle").count();
        (told == MANY).then_some(())
    });
    faults.before_commit(|_| {});
    // Two more ticks.
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(deadline(), before);
}

/// Lost time is given back to each of many before any of them is failed for it, although that
/// takes many steps, and some of them fail.
#[test]
fn lost_time_is_given_back_to_all_before_anybody_is_failed() {
    const MANY: usize = 1_000;
    for place in Place::all() {
        let clock = ManualClock::new(START);
        let faults = Faults::new();
        let coordinator = place.open(&Settings::default(), Clock::Manual(clock.clone()), &faults);
        let mut links = Vec::new();
        for n in 0..MANY {
            let session = coordinator.session(&format!("s{n}")).unwrap();
            start(&session, "e").unwrap();
            links.push(attach(&session, "e", Some("p")).unwrap());
        }
        // All of their links go in the freeze.
        for link in &links {
            link.closed(1006, "gone").unwrap();
        }
        let mut commits = 0;
        let failing = faults.clone();
        faults.before_commit(move |_| {
            commits += 1;
            failing.fail_commits(commits == 2);
        });
        clock.suspend(600_000);
        clock.advance(2_000);
        let running = |coordinator: &Coordinator| {
            let all = coordinator.sessions(MANY).unwrap();
            all.iter().filter(|s| s.latest.as_ref().unwrap().status.is_active()).count()
        };
        assert_eq!(running(&coordinator), MANY);
        // Given back once, not once a step.
        clock.advance(Settings::default().recovery_grace_ms + 10_000);
        assert_eq!(running(&coordinator), 0);
    }
}

/// Events of a day that are too old go in steps, with others let in between.
#[test]
fn retention_lets_others_in_between() {
    const MANY: u64 = 40_000;
    let place = Place::file();
    let settings = Settings::default();
    let clock = ManualClock::new(START);
    let coordinator = place.open(&settings, Clock::Manual(clock.clone()), &Faults::new());
    let session = coordinator.session("s").unwrap();
    start(&session, "e").unwrap();
    let link = attach(&session, "e", None).unwrap();
    let frames = vec![r#"{"streamEventType":"output","data":{}}"#; 1_000];
    for _ in 0..MANY / 1_000 {
        link.receive_many(&frames).unwrap();
    }
    drop(link);
    session.fail("e", FailOptions::default()).unwrap();
    let count = |session: &Session| session.count_events(&Default::default()).unwrap();
    let before = count(&session);
    let pruning = std::thread::spawn({
        let clock = clock.clone();
        // Before the session itself is too old.
        move || clock.advance(settings.event_retention_ms - 1_000)
    });
    pruning.join().unwrap();
    assert_eq!(count(&session), before);
    start(&session, "f").unwrap();
    let pruning = std::thread::spawn(move || clock.advance(2_000));
    let (mut least_seen_between, mut calls) = (before, 0);
    while !pruning.is_finished() {
        session.heartbeat("f").err();
        calls += 1;
        let left = count(&session);
        if left > 10 {
            least_seen_between = least_seen_between.min(left);
        }
    }
    pruning.join().unwrap();
    assert!(count(&session) <= 10);
    assert!(calls > 1 && least_seen_between < before, "{calls} calls, {least_seen_between} left");
}

/// What a session that nothing runs in is waiting for.
#[derive(Clone, Copy)]
struct Quiet {
    since: Millis,
    is_told: bool,
    /// How often it was told that it is idle, in all its lives.
    idle: usize,
    exists: bool,
}

impl Quiet {
    /// All that is due until `now`.
    fn pass(&mut self, now: Millis, settings: &Settings) {
        let (idle_at, ends_at) =
            (self.since + settings.idle_after_ms, self.since + settings.session_ttl_ms);
        if self.exists && !self.is_told && idle_at <= now.min(ends_at) {
            self.is_told = true;
            self.idle += 1;
        }
        self.exists &= ends_at > now;
    }

    fn next(&self, settings: &Settings) -> Option<Millis> {
        let idle_at = Some(self.since + settings.idle_after_ms).filter(|_| !self.is_told);
        let next = idle_at.into_iter().chain([self.since + settings.session_ttl_ms]).min();
        next.filter(|_| self.exists)
    }
}

/// Sessions come and rest, time passes, and the store is opened again and again with other
/// settings: nothing happens early, nothing late, nothing twice, and nothing that is due stays.
#[test]
fn what_is_due_happens_at_its_moment_whatever_the_store_is_opened_with() {
    const SESSIONS: usize = 12;
    const MINUTE_MS: u64 = 60_000;
    let mut random = 7_u64;
    let mut below = |bound: u64| {
        // A linear congruence: what is drawn need not be good, only the same each time.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % bound
    };
    for round in 0..30 {
        let [memory, file] = Place::all();
        let place = if round % 5 == 0 { file } else { memory };
        let clock = ManualClock::new(START);
        let mut settings = Settings { event_retention_ms: 900 * DAY_MS, ..Settings::default() };
        let mut coordinator = place.at(&settings, &clock);
        let mut model = [Quiet { since: START, is_told: true, idle: 0, exists: false }; SESSIONS];
        for step in 0..60 {
            match below(10) {
                0..4 => {
                    let which = below(SESSIONS as u64) as usize;
                    let session = coordinator.session(&format!("s{which}")).unwrap();
                    let id = format!("e{step}");
                    start(&session, &id).unwrap();
                    session.fail(&id, FailOptions::default()).unwrap();
                    let idle = model[which].idle;
                    let since = clock.now();
                    model[which] = Quiet { since, is_told: false, idle, exists: true };
                }
                4..8 => clock.advance((below(40) * MINUTE_MS + below(3)) as Millis),
                _ => {
                    coordinator.abandon();
                    settings.idle_after_ms = ((1 + below(90)) * MINUTE_MS) as Millis;
                    settings.session_ttl_ms = ((1 + below(600)) * MINUTE_MS) as Millis;
                    coordinator = place.at(&settings, &clock);
                }
            }
            let now = clock.now();
            model.iter_mut().for_each(|quiet| quiet.pass(now, &settings));
            let told = coordinator.notifications(false).unwrap();
            for (which, quiet) in model.iter().enumerate() {
                let id = format!("s{which}");
                let what = format!("{id} in round {round}, step {step}");
                let exists = coordinator.session(&id).unwrap().view().is_ok();
                assert_eq!(exists, quiet.exists, "{what}");
                let idle = told
                    .iter()
                    .filter(|told| *told.session_id == *id && told.kind.as_str() == "session_idle");
                assert_eq!(idle.count(), quiet.idle, "{what}");
            }
            let next = model.iter().filter_map(|quiet| quiet.next(&settings)).min();
            assert_eq!(coordinator.next_deadline().unwrap(), next, "round {round}, step {step}");
        }
    }
}
