//! Readers (R35, R36): each matching event exactly once and in order, whenever they come and
//! however slow they are, and they slow nobody down.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use crate::fixture::*;
use stayline::Settings;
use stayline::coordinator::{Coordinator, FailOptions, Next, Options, Session, SubscribeOptions};
use stayline::protocol::Filter;
use stayline::session::records::Status;
use stayline::store::faults::Faults;

/// Sends numbered events on one link until it is told to stop, and then how many.
fn write_until(session: &Session, stop: &AtomicBool, bytes: usize) -> u64 {
    let link = attach(session, "e", Some("writer")).unwrap();
    let text = "x".repeat(bytes);
    let mut seq = 0;
    while !stop.load(Ordering::Relaxed) {
        seq += 1;
        link.receive(&numbered(seq, &text)).unwrap();
        while link.try_output().is_some() {}
    }
    let last = format!(r#"{{"type":"ack","seq":{seq}}}"#);
    // The link must outlive its last commit.
    let until = std::time::Instant::now() + PATIENCE;
    while session.execution("e").unwrap().record.producer.unwrap().last_seq < seq {
        assert!(std::time::Instant::now() < until, "{last} never came");
        std::thread::yield_now();
    }
    seq
}

fn subscribe_after(session: &Session, after: u64) -> stayline::coordinator::Subscription {
    let filter = Filter { after, ..Filter::default() };
    session.subscribe(SubscribeOptions { filter, ..SubscribeOptions::default() }).unwrap()
}

/// Readers come, read a little and go, at the very end of a log that grows.
#[test]
fn no_event_is_lost_at_the_seam_while_others_write() {
    let coordinator = Coordinator::open("memory:", Options::default()).unwrap();
    let session = coordinator.session("s").unwrap();
    start(&session, "e").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&session, &stop, 10));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = 0;
                    for _ in 0..1_500 {
                        let newest = session.view().unwrap().record.last_event_id;
                        // As a reader that is up to date and whose connection broke.
                        last = newest.max(last);
                        let mut reader = subscribe_after(&session, last);
                        for _ in 0..5 {
                            if let Next::Record(record) = reader.try_next().unwrap()
                                && record.id > 0
                            {
                                assert_eq!(record.id, last + 1, "lost at the seam");
                                last = record.id;
                            }
                        }
                    }
                })
            })
            .collect();
        let ends: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        for end in ends {
            end.unwrap();
        }
    });
}

/// A fast reader, slow ones that fall out of the ring again and again, and one that only wants
/// few: all see what is theirs, once.
#[test]
fn slow_readers_see_everything_once_while_a_file_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("sqlite:{}", folder.path().join("runs.db").display());
    let coordinator = Coordinator::open(&location, Options::default()).unwrap();
    let session = coordinator.session("s").unwrap();
    start(&session, "e").unwrap();
    let stop = AtomicBool::new(false);
    let total = AtomicU64::new(u64::MAX);
    std::thread::scope(|scope| {
        let readers: Vec<_> = [0u64, 1, 7]
            .map(|pause_ms| {
                let mut reader = subscribe_after(&session, 0);
                let total = &total;
                scope.spawn(move || {
                    let (mut last, mut taken) = (0, 0u64);
                    let until = std::time::Instant::now() + PATIENCE;
                    while last < total.load(Ordering::Acquire) {
                        assert!(std::time::Instant::now() < until, "never caught up: {last}");
                        match reader.next(Some(std::time::Duration::from_millis(20))).unwrap() {
                            Next::Record(record) if record.id > 0 => {
                                assert_eq!(record.id, last + 1, "once, in order");
                                last = record.id;
                                taken += 1;
                                let is_written = total.load(Ordering::Acquire) < u64::MAX;
                                if pause_ms > 0 && taken.is_multiple_of(50) && !is_written {
                                    let pause = std::time::Duration::from_millis(pause_ms);
                                    std::thread::sleep(pause);
                                }
                            }
                            _ => {}
                        }
                    }
                    last
                })
            })
            .into_iter()
            .collect();
        let writer = scope.spawn(|| {
            let sent = write_until(&session, &stop, 2_000);
            total.store(sent, Ordering::Release);
            sent
        });
        // Enough for the ring (1 MiB) to turn over many times.
        wait_for("ten thousand events", || {
            (session.view().unwrap().record.last_event_id >= 10_000 || writer.is_finished())
                .then_some(())
        });
        stop.store(true, Ordering::Relaxed);
        let sent = writer.join().unwrap();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), sent);
        }
    });
}

/// R34a: an old place in the log, another log, and a place that is not there yet.
#[test]
fn a_place_that_is_gone_is_told_and_a_place_that_is_there_is_not() {
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", Some("p")).unwrap();
    for seq in 1..=5 {
        link.receive(&numbered(seq, "x")).unwrap();
    }
    let first = |after: u64, epoch: Option<&str>| -> Vec<(String, u64)> {
        let filter = Filter { after, types: Some(vec![Arc::from("output")]), ..Filter::default() };
        let epoch = epoch.map(str::to_owned);
        let options = SubscribeOptions { filter, epoch, ..SubscribeOptions::default() };
        let mut reader = host.session.subscribe(options).unwrap();
        let mut seen = Vec::new();
        while let Next::Record(record) = reader.try_next().unwrap() {
            let requested = serde_json::from_str::<serde_json::Value>(&record.data).unwrap();
            let told = requested["requested"].as_u64().unwrap_or(record.id);
            seen.push((record.event_type.to_string(), told));
        }
        seen
    };
    let epoch = host.session.view().unwrap().record.epoch.to_string();
    let names = |seen: &[(String, u64)]| -> Vec<String> {
        seen.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&first(5, Some(&epoch))), ["connected"]);
    assert_eq!(names(&first(3, Some(&epoch))), ["output", "output", "connected"]);
    assert_eq!(first(3, Some("another"))[..2], [("gap".into(), 3), ("output".into(), 1)]);
    assert_eq!(first(6, None)[..2], [("gap".into(), 6), ("output".into(), 1)]);
    assert_eq!(names(&first(0, Some("another")))[0], "output", "0 is never a gap");
    // Ninety days later, with two younger events behind the old ones.
    let day = 86_400_000;
    host.clock.set(START + 89 * day);
    link.receive_many(&[numbered(6, "x"), numbered(7, "x")]).unwrap();
    host.clock.set(START + 91 * day);
    host.session.heartbeat("e").unwrap();
    host.coordinator.handle_due();
    assert_eq!(first(2, None)[..2], [("gap".into(), 2), ("output".into(), 6)]);
    assert_eq!(first(5, None)[0], ("output".into(), 6), "nothing between was lost");
    assert_eq!(first(0, None)[0], ("output".into(), 6));
}

/// A store in a file, with a session of which nothing is in memory.
fn with_cold_session(location: &str, faults: &Faults) -> Coordinator {
    let options = Options { faults: Some(faults.clone()), ..Options::default() };
    let coordinator = Coordinator::open(location, options).unwrap();
    for id in ["s", "cold"] {
        start(&coordinator.session(id).unwrap(), "e").unwrap();
    }
    let cold = coordinator.session("cold").unwrap();
    cold.fail("e", FailOptions::default()).unwrap();
    coordinator
}

#[test]
fn readers_come_and_go_while_a_commit_waits_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("sqlite:{}", folder.path().join("runs.db").display());
    let faults = Faults::new();
    let coordinator = with_cold_session(&location, &faults);
    let session = coordinator.session("s").unwrap();
    let subscription = session.subscribe(SubscribeOptions::default()).unwrap();
    let watch = session.watch("e").unwrap();
    let (waits, does_wait) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    faults.before_commit(move |_| {
        let _ = waits.send(());
        let _ = gate.recv_timeout(2 * PATIENCE);
    });
    let writer = {
        let session = coordinator.session("other").unwrap();
        std::thread::spawn(move || start(&session, "e"))
    };
    does_wait.recv().unwrap();
    let cold = coordinator.session("cold").unwrap();
    must_end("a reader that waits for a commit", move || {
        // The first read of all: its reader has to be opened.
        assert!(cold.execution("e").unwrap().record.status.is_terminal());
        drop(subscription);
        drop(watch);
    });
    assert!(!writer.is_finished());
    go.send(()).unwrap();
    drop(go);
    writer.join().unwrap().unwrap();
}

#[test]
fn descriptors_are_given_back_after_a_burst_of_readers() {
    const AT_ONCE: usize = 512;
    let folder = tempfile::tempdir().unwrap();
    let location = format!("sqlite:{}", folder.path().join("runs.db").display());
    let coordinator = with_cold_session(&location, &Faults::new());
    let open = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
        let ours = targets.filter(|target| target.starts_with(folder.path()));
        let (main, beside): (Vec<_>, Vec<_>) = ours.partition(|path| path.ends_with("runs.db"));
        (main.len(), beside.len())
    };
    let before = open();
    // Those that read, and those that look one session or execution up.
    let most = coordinator.settings().max_readers as usize + 8;
    for _ in 0..3 {
        read_at_once(&coordinator, AT_ONCE);
        let (main, beside) = open();
        // Eight readers stay, each with the log and a share of the index.
        assert!(beside - before.1 <= 8 * 2, "{beside} descriptors of the log were kept");
        // SQLite closes none of the database itself while its owner has a lock on it (POSIX locks
        // would go with it), but gives it to the next reader: never more than were open at once.
        assert!(main - before.0 <= most, "{main} descriptors of the database were kept");
    }
}

/// So many threads read the same session, again and again in the same moment.
fn read_at_once(coordinator: &Coordinator, threads: usize) {
    let barrier = Arc::new(Barrier::new(threads));
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let (session, barrier) = (coordinator.session("cold").unwrap(), barrier.clone());
            std::thread::spawn(move || {
                for _ in 0..5 {
                    barrier.wait();
                    assert!(!session.events(&Filter::default()).unwrap().events.is_empty());
                    session.execution("e").unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn one_reader_at_a_time_serves_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("sqlite:{}", folder.path().join("runs.db").display());
    let settings = Settings { max_readers: 1, ..Settings::default() };
    let coordinator =
        Coordinator::open(&location, Options { settings, ..Options::default() }).unwrap();
    let session = coordinator.session("cold").unwrap();
    start(&session, "e").unwrap();
    session.fail("e", FailOptions::default()).unwrap();
    must_end("readers with one place", move || read_at_once(&coordinator, 40));
}

/// Whoever follows an execution knows its end from the commit, not from the disk.
#[test]
fn a_follower_knows_the_end_while_the_disk_stands_still() {
    let faults = Faults::new();
    let opening = Options { faults: Some(faults.clone()), ..Options::default() };
    let coordinator = Coordinator::open("memory:", opening).unwrap();
    let session = coordinator.session("s").unwrap();
    assert!(session.follow("e").is_none());
    start(&session, "e").unwrap();
    let first = session.follow("e").unwrap();
    faults.slow_reads(Duration::from_secs(600));
    assert_eq!(first.view().unwrap().unwrap().record.status, Status::Pending);
    let link = attach(&session, "e", None).unwrap();
    assert_eq!(first.view().unwrap().unwrap().record.status, Status::Running);
    let failing = FailOptions { message: "over".into(), ..FailOptions::default() };
    session.fail("e", failing).unwrap();
    drop(link);
    assert!(session.follow("e").is_none());
    // What is in memory of the session is another execution's.
    start(&session, "f").unwrap();
    let view = first.view().unwrap().unwrap();
    assert_eq!((view.record.status, view.record.error.as_deref()), (Status::Failed, Some("over")));
    let second = session.follow("f").unwrap();
    session.delete().unwrap();
    assert_eq!(second.view().unwrap_err().name(), "NotFound");
    start(&session, "g").unwrap();
    let third = session.follow("g").unwrap();
    coordinator.close();
    assert_eq!(third.view().unwrap_err().name(), "Closed");
    assert_eq!(first.view().unwrap().unwrap().record.status, Status::Failed);
}
