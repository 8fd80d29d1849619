//! Twenty SIGKILLs of the coordinator, at moments that follow from a seed, while a wrapper sends
//! (R23, R27, R45): what was acknowledged is in the log, everything is there once and in order,
//! and the run completes, since no outage was longer than the grace.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use stayline::Settings;
use stayline::coordinator::Coordinator;
use stayline::net::client::Wrapper;
use stayline::protocol::Filter;
use stayline::session::records::Status;
use stayline::wrapper::{Outcome, SendOptions};

use crate::child::*;
use crate::random::Random;

const KILLS: usize = 20;
/// So many of them, at least, with a commit under way.
const UNDER_WAY: usize = 5;
/// How many are aimed at a commit; not all of them hit.
const AIMED: u64 = 9;
/// After so many kills it is given up that enough of them fall into a commit.
const KILLS_AT_MOST: usize = 60;

/// When a coordinator is killed.
#[derive(Debug)]
enum Moment {
    /// So long after its start, whatever it does: recovering, being attached to, committing.
    AfterStart(Duration),
    /// So long after a commit began, once it has served for a while.
    IntoCommit { served: Duration, after: Duration },
}

fn moments(random: &mut Random) -> impl Iterator<Item = Moment> {
    let mut made = 0;
    std::iter::from_fn(move || {
        made += 1;
        // Beyond the plan only aimed ones follow.
        let is_aimed = made > KILLS || random.below(KILLS as u64) < AIMED;
        Some(match is_aimed {
            true => Moment::IntoCommit {
                served: Duration::from_millis(random.below(250)),
                after: Duration::from_micros(random.below(300)),
            },
            false => Moment::AfterStart(Duration::from_millis(random.below(600))),
        })
    })
}

/// What the wrapper's side knows.
#[derive(Default)]
struct Sent {
    /// Events that `send` has taken.
    taken: AtomicU64,
    stop: AtomicBool,
}

/// Sends as long as it may; waits where there is no room.
fn stream(wrapper: &Wrapper, sent: &Sent) {
    while !sent.stop.load(Ordering::Acquire) {
        for _ in 0..8 {
            let n = sent.taken.load(Ordering::Acquire) + 1;
            let data = format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(100));
            wrapper.send("output", &data, SendOptions::default()).unwrap();
            sent.taken.store(n, Ordering::Release);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// At least so many of the first events are acknowledged. Events that move on between the looks
/// count as not acknowledged, so this may be less than it was a moment ago; the most that was ever
/// seen is what must be in the log.
fn acknowledged(wrapper: &Wrapper, sent: &Sent) -> u64 {
    let taken = sent.taken.load(Ordering::Acquire);
    let buffered = wrapper.buffered();
    taken.saturating_sub(buffered + wrapper.unacknowledged())
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn twenty_kills_lose_nothing_and_the_run_completes() {
    let mut random = Random::seeded(20);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.db");
    let address = free_address();
    let sent = Sent::default();
    let wrapper = Wrapper::open(wrapper_options(&format!("http://{address}"))).unwrap();
    let (mut kills, mut under_way) = (0, 0);
    let mut prefixes = Vec::new();
    let mut last = std::thread::scope(|scope| {
        let streaming = scope.spawn(|| stream(&wrapper, &sent));
        for moment in moments(&mut random) {
            if kills >= KILLS && under_way >= UNDER_WAY {
                break;
            }
            assert!(kills < KILLS_AT_MOST, "{under_way} of {kills} kills fell into a commit");
            let mut coordinator = Process::start("coordinator", &file, &address);
            match &moment {
                Moment::AfterStart(after) => std::thread::sleep(*after),
                Moment::IntoCommit { served, after } => {
                    coordinator.wait_ready();
                    std::thread::sleep(*served);
                    coordinator.wait_for_a_commit();
                    std::thread::sleep(*after);
                }
            }
            prefixes.push(acknowledged(&wrapper, &sent));
            let is_hit = coordinator.kill();
            kills += 1;
            under_way += usize::from(is_hit);
            println!("kill {kills} {moment:?}, acknowledged {}, hit {is_hit}", prefixes[kills - 1]);
            assert!(!streaming.is_finished(), "the wrapper has stopped sending");
        }
        let coordinator = Process::start("coordinator", &file, &address);
        coordinator.wait_ready();
        sent.stop.store(true, Ordering::Release);
        streaming.join().unwrap();
        coordinator
    });
    wrapper.complete(0, Some("main")).unwrap();
    let outcome = wrapper.outcome(Some(PATIENCE)).unwrap();
    let Outcome::Done { status, unacknowledged, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((status, unacknowledged), (Some(Status::Completed), 0));
    // Once more, since the end too is only true if it is durable.
    last.kill();
    println!("{kills} kills, {under_way} with a commit under way");
    check(&file, sent.taken.load(Ordering::Acquire), &prefixes);
}

/// What the file holds after it all.
fn check(file: &std::path::Path, taken: u64, prefixes: &[u64]) {
    let location = format!("sqlite:{}", file.display());
    let coordinator = Coordinator::open_read_only(&location, Settings::default()).unwrap();
    let session = coordinator.session(SESSION).unwrap();
    let (mut numbers, mut types, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let mut filter = Filter::default();
    loop {
        let page = session.events(&filter).unwrap();
        for event in &page.events {
            ids.push(event.id);
            if &*event.event_type == "output" {
                let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
                numbers.push(data["n"].as_u64().unwrap());
            } else {
                types.push(event.event_type.to_string());
            }
        }
        filter.after = page.next_after;
        if page.end {
            break;
        }
    }
    let longest = prefixes.iter().copied().max().unwrap_or(0);
    assert!(longest > 0, "nothing was acknowledged before any kill: the test tests nothing");
    assert!(numbers.len() as u64 >= longest, "{} stored, {longest} acknowledged", numbers.len());
    let expected: Vec<u64> = (1..=taken).collect();
    let first_wrong = numbers.iter().zip(&expected).position(|(one, other)| one != other);
    assert_eq!(first_wrong, None, "once, and in order");
    assert_eq!(numbers.len(), expected.len());
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>(), "ids without gaps (R33)");
    types.retain(|event_type| event_type != "wrapper_reconnected");
    assert_eq!(types, ["complete"], "one ending, and nothing was rejected or given up");
    let record = session.execution(EXECUTION).unwrap().record;
    assert_eq!((record.status, record.error), (Status::Completed, None));
    assert!(record.reconnects > 0);
    let notifications = coordinator.notifications(false).unwrap();
    let kinds: Vec<_> = notifications.iter().map(|record| record.kind.as_str()).collect();
    assert_eq!(kinds, ["execution_ended"]);
}
