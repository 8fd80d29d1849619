//! Processes that die, readers beside a busy writer, checkpoints, and long sessions that go.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::child::Process;
use crate::fixture::*;
use rusqlite::Connection;
use stayline::Settings;
use stayline::session::records::*;
use stayline::store::sqlite::SqliteStore;
use stayline::store::{LogBounds, Part, Store};

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &Settings::default(), NOW).unwrap()
}

#[test]
fn what_a_killed_writer_had_committed_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut process = Process::start("writes_on_and_on", &path, None);
    let mut committed = 0;
    while committed < 25 {
        committed = process.told().unwrap().parse().unwrap();
    }
    process.kill();
    // What it told between our last look and its end counts too.
    while let Some(round) = process.told().and_then(|round| round.parse().ok()) {
        committed = round;
    }
    let mut store = open(&path);
    let rounds = store.load("a").unwrap().unwrap().record.last_event_id / 3;
    assert!(rounds == committed || rounds == committed + 1, "{rounds}, told {committed}");
    for id in ["a", "b"] {
        let stored = store.load(id).unwrap().unwrap().record;
        assert_eq!((stored.last_event_id, stored.version), (rounds * 3, rounds + 1));
        assert_eq!(all_ids(&store, id, &after(0)), (1..=rounds * 3).collect::<Vec<_>>());
    }
    assert!(store.was_committed(rounds).unwrap());
    let changes = appended(&mut store, "a", vec![event(rounds * 3 + 1, "e", "output")]);
    keep(&mut store, vec![changes]);
}

#[test]
fn a_reader_beside_a_busy_writer_sees_whole_commits_only() {
    const ROUNDS: u64 = 150;
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder.path().join("runs.db"));
    keep(&mut store, ["a", "b"].map(|id| new_session(id, 0)).into());
    let mut reader = store.reader().unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let (mut seen, mut looks) = (0, 0);
            loop {
                let is_last = is_done.load(Ordering::Acquire);
                let listed = reader.sessions(Part::first(2)).unwrap().entries;
                assert_eq!(listed[0].record.last_event_id, listed[1].record.last_event_id);
                assert_eq!(listed[0].record.version, listed[1].record.version);
                let page = reader.events("a", &after(seen), 1 << 20).unwrap();
                for event in &page.events {
                    assert_eq!(event.id, seen + 1, "an event is missing or out of order");
                    seen = event.id;
                }
                // Ten events a commit: never a part of one.
                assert!(!page.end || seen.is_multiple_of(10), "half a commit: {seen}");
                looks += 1;
                if is_last && page.end {
                    return (seen, looks);
                }
            }
        });
        for round in 0..ROUNDS {
            let parts = ["a", "b"].map(|id| {
                let ids = round * 10 + 1..=round * 10 + 10;
                appended(&mut store, id, ids.map(|id| event(id, "e", "output")).collect())
            });
            keep(&mut store, parts.into());
        }
        is_done.store(true, Ordering::Release);
        let (seen, looks) = looker.join().unwrap();
        assert_eq!(seen, ROUNDS * 10);
        assert!(looks > 0);
    });
}

#[test]
fn the_log_is_copied_back_while_the_store_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = open(&path);
    keep(&mut store, vec![new_session("s", 0)]);
    // More than the WAL may grow before it is copied back: 24 MiB.
    for id in 1..=48 {
        let large = EventRecord { data: "x".repeat(512 * 1024).into(), ..event(id, "e", "output") };
        let changes = appended(&mut store, "s", vec![large]);
        keep(&mut store, vec![changes]);
    }
    let size = || std::fs::metadata(&path).unwrap().len();
    let started = Instant::now();
    while size() < 15 << 20 {
        assert!(started.elapsed() < Duration::from_secs(120), "no checkpoint: {}", size());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(all_ids(&store, "s", &after(0)), (1..=48).collect::<Vec<_>>());
    drop(store);
    // A clean end leaves one file, and the owner's.
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["runs.db", "runs.db-owner"]);
}

#[test]
fn the_owner_can_copy_the_log_back_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let options = stayline::store::sqlite::SqliteOptions {
        background_checkpoints: false,
        ..Default::default()
    };
    let mut store = SqliteStore::open_with(&path, &Settings::default(), NOW, &options).unwrap();
    keep(&mut store, vec![new_session("s", 2_000)]);
    let size = || std::fs::metadata(&path).unwrap().len();
    let before = size();
    assert_eq!(store.checkpoint(), Ok(true));
    assert!(size() > before);
    assert_eq!(all_ids(&store, "s", &after(1_990)).len(), 10);
}

#[test]
fn many_sessions_that_go_at_once_take_no_more_rows_along_than_one() {
    const EACH: u64 = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = open(&path);
    let ids: Vec<String> = (0..5).map(|n| format!("s{n}")).collect();
    keep(&mut store, ids.iter().map(|id| new_session(id, EACH)).collect());
    let gone = ids.iter().map(|id| deletion(&mut store, id)).collect();
    keep(&mut store, gone);
    let other = Connection::open(&path).unwrap();
    let rows = |table: &str| -> i64 {
        other.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    // Ten thousand with the batch, and a thousand that any batch takes along.
    assert_eq!(rows("events"), 5 * EACH as i64 - 11_000);
    assert!(ids.iter().all(|id| store.load(id).unwrap().is_none()));
    for _ in 0..5 {
        let changes = match store.load("other").unwrap() {
            Some(_) => change(&mut store, "other"),
            None => new_session("other", 0),
        };
        keep(&mut store, vec![changes]);
    }
    assert_eq!((rows("events"), rows("remnants")), (0, 0));
}

#[test]
fn a_log_that_was_copied_back_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let options = stayline::store::sqlite::SqliteOptions {
        background_checkpoints: false,
        ..Default::default()
    };
    let mut store = SqliteStore::open_with(&path, &Settings::default(), NOW, &options).unwrap();
    let size = || std::fs::metadata(folder.path().join("runs.db-wal")).unwrap().len();
    let mut largest = 0;
    for round in 0..6 {
        for n in 0..10 {
            keep(&mut store, vec![new_session(&format!("s{round}-{n}"), 200)]);
        }
        if round == 1 {
            largest = size();
        }
        assert_eq!(store.checkpoint(), Ok(true));
    }
    assert!(size() <= largest, "{} after {largest}", size());
}

#[test]
fn a_long_session_is_gone_at_once_and_its_rows_soon() {
    const EVENTS: u64 = 12_500;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = open(&path);
    keep(&mut store, vec![new_session("long", EVENTS), new_session("other", 5)]);
    let gone = deletion(&mut store, "long");
    keep(&mut store, vec![gone]);
    assert_eq!(store.load("long").unwrap(), None);
    keep(&mut store, vec![new_session("long", 1)]);
    let bounds = store.reader().unwrap().log_bounds("long").unwrap();
    assert_eq!(bounds, Some(LogBounds { earliest: 1, last: 1 }));
    drop(store);
    // The rest goes along with later commits, of the next owner too.
    let mut store = open(&path);
    let other = Connection::open(&path).unwrap();
    let rows = |table: &str| -> i64 {
        other.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    let mut left = rows("events");
    assert!(left > 6, "nothing was left for later");
    for _ in 0..EVENTS {
        if rows("remnants") == 0 {
            break;
        }
        let changes = change(&mut store, "other");
        keep(&mut store, vec![changes]);
        let now_left = rows("events");
        assert!(now_left < left || rows("remnants") == 0);
        left = now_left;
    }
    assert_eq!((rows("events"), rows("remnants")), (6, 0));
    assert_eq!(all_ids(&store, "long", &after(0)), [1]);
    assert_eq!(all_ids(&store, "other", &after(0)), [1, 2, 3, 4, 5]);
}
