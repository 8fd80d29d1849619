//! Races over threads on the system clock: one ending (R4), owned clean-up (R8), interrupts that
//! stay with their execution (R12), deadlines under load (R18), and a close that answers all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crate::fixture::*;
use stayline::Error;
use stayline::coordinator::{Coordinator, FailOptions, InterruptGrace, Options, Output, Session};
use stayline::protocol::Filter;
use stayline::session::records::Status;

const ENDINGS: [&str; 4] = ["complete", "interrupted", "error", "wrapper_disconnected"];

fn open(location: &str) -> Coordinator {
    Coordinator::open(location, Options::default()).unwrap()
}

/// The wrapper, two callers that fail it, and two that finish it, all at once.
fn race_for_the_ending(session: &Session, execution_id: &str) -> usize {
    start(session, execution_id).unwrap();
    let link = attach(session, execution_id, Some("p")).unwrap();
    let barrier = Barrier::new(5);
    std::thread::scope(|scope| {
        let wrapper = scope.spawn(|| {
            barrier.wait();
            let text = r#"{"streamEventType":"complete","data":{"exitCode":0},"seq":1}"#;
            link.receive(text).unwrap();
        });
        let failing: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    session.fail(execution_id, FailOptions::default()).unwrap()
                })
            })
            .collect();
        let finishing: Vec<_> = [Status::Completed, Status::Interrupted]
            .map(|status| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    match session.finish(execution_id, status, None, None) {
                        Ok(()) => true,
                        Err(Error::InvalidTransition { .. }) => false,
                        Err(other) => panic!("{other}"),
                    }
                })
            })
            .into_iter()
            .collect();
        wrapper.join().unwrap();
        let callers = failing.into_iter().chain(finishing);
        callers.map(|caller| usize::from(caller.join().unwrap())).sum()
    })
}

fn one_ending_on(location: &str, rounds: usize) {
    let coordinator = open(location);
    let session = coordinator.session("s").unwrap();
    for round in 0..rounds {
        let id = format!("e{round}");
        let callers = race_for_the_ending(&session, &id);
        let record = session.wait(&id, Some(PATIENCE)).unwrap().record;
        let own: Vec<_> =
            log(&session).into_iter().filter(|event| *event.execution_id == *id).collect();
        let endings: Vec<_> =
            own.iter().filter(|e| !e.late && ENDINGS.contains(&&*e.event_type)).collect();
        assert_eq!(endings.len(), 1, "one ending (R4): {own:?}");
        let by_the_wrapper = usize::from(endings[0].data.contains("exitCode"));
        assert_eq!(callers + by_the_wrapper, 1, "one of them did it, and knows it: {own:?}");
        assert!(record.interrupt.is_none() && record.grace.is_none());
    }
    let mut told: Vec<_> = coordinator
        .notifications(false)
        .unwrap()
        .into_iter()
        .filter(|record| record.kind.as_str() == "execution_ended")
        .map(|record| record.execution_id.unwrap())
        .collect();
    told.sort();
    told.dedup();
    let all = coordinator.notifications(false).unwrap();
    let ended = all.iter().filter(|record| record.kind.as_str() == "execution_ended").count();
    assert_eq!((told.len(), ended), (rounds, rounds), "one notification an ending (R39)");
    let ids: Vec<u64> = log(&session).iter().map(|event| event.id).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
}

#[test]
fn one_ending_whoever_races_for_it_in_memory() {
    one_ending_on("memory:", 200);
}

#[test]
fn one_ending_whoever_races_for_it_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    one_ending_on(&format!("sqlite:{}", folder.path().join("runs.db").display()), 40);
}

/// Somebody interrupts the execution with a name, or whatever is active, while executions follow
/// one another. A kill only ever arrives on a link of the one that it was asked for.
#[test]
fn an_interrupt_never_reaches_the_next_execution() {
    let coordinator = open("memory:");
    let session = coordinator.session("s").unwrap();
    const ROUNDS: u64 = 400;
    let current = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let interrupter = scope.spawn(|| {
            let mut sent = 0u64;
            while !stop.load(Ordering::Acquire) {
                // Only even ones are ever meant.
                let meant = current.load(Ordering::Acquire) & !1;
                let id = format!("e{meant}");
                match session.interrupt(Some(&id), false, InterruptGrace::Default) {
                    Ok(_) => sent += 1,
                    Err(Error::NotFound { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            sent
        });
        let runner = scope.spawn(|| {
            for round in 0..ROUNDS {
                let id = format!("e{round}");
                start(&session, &id).unwrap();
                current.store(round, Ordering::Release);
                let link = attach(&session, &id, None).unwrap();
                std::thread::yield_now();
                let active = session.view().unwrap().active.unwrap();
                if round % 2 == 1 {
                    assert!(active.interrupt.is_none(), "the flag of another one (R8)");
                }
                session.fail(&id, FailOptions::default()).unwrap();
                let killed = outputs(&link).iter().any(|frame| frame.contains("\"kill\""));
                assert!(round % 2 == 0 || !killed, "{id} was never asked to stop (R12)");
            }
        });
        let ran = runner.join();
        stop.store(true, Ordering::Release);
        assert!(interrupter.join().unwrap() > 0);
        ran.unwrap();
    });
}

/// R18: wrappers that send as fast as they can do not hold up anybody's deadline.
#[test]
fn deadlines_are_met_under_heavy_writing() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("sqlite:{}", folder.path().join("runs.db").display());
    let options = Options { settings: quick_settings(), ..Options::default() };
    let coordinator = Coordinator::open(&location, options).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|n| {
                let session = coordinator.session(&format!("writer{n}")).unwrap();
                let stop = &stop;
                scope.spawn(move || {
                    start(&session, "e").unwrap();
                    let link = attach(&session, "e", Some("p")).unwrap();
                    let text = "x".repeat(200);
                    let mut seq = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let batch: Vec<String> =
                            (1..=64).map(|n| numbered(seq + n, &text)).collect();
                        link.receive_many(&batch).unwrap();
                        seq += 64;
                        while link.try_output().is_some() {}
                    }
                    seq
                })
            })
            .collect();
        let session = coordinator.session("quiet").unwrap();
        let begun = Instant::now();
        let mut longest = Duration::ZERO;
        for round in 0..5 {
            let id = format!("e{round}");
            start(&session, &id).unwrap();
            let link = attach(&session, &id, None).unwrap();
            let gone = Instant::now();
            link.closed(1006, "gone").unwrap();
            let ended = session.wait(&id, Some(PATIENCE));
            longest = longest.max(gone.elapsed());
            if ended.is_err() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let sent: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        assert!(sent > 0);
        // A grace of 300 ms; the bound leaves room for a machine that is busy with other things.
        assert!(longest < Duration::from_secs(10), "{longest:?} of {:?}", begun.elapsed());
        for round in 0..5 {
            let record = session.execution(&format!("e{round}")).unwrap().record;
            assert_eq!(record.error.as_deref(), Some("Wrapper disconnected"));
        }
    });
}

/// Whoever calls while it closes gets an answer, and nothing that was answered with success is
/// missing afterwards.
#[test]
fn calls_that_meet_a_close_are_all_answered() {
    must_end("a call that met a close", || {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..25 {
            let path = folder.path().join(format!("{round}.db"));
            let location = format!("sqlite:{}", path.display());
            let coordinator = open(&location);
            let started = Arc::new(AtomicU64::new(0));
            let threads: Vec<_> = (0..4)
                .map(|n| {
                    let session = coordinator.session(&format!("s{n}")).unwrap();
                    let started = started.clone();
                    std::thread::spawn(move || call_until_closed(&session, &started))
                })
                .collect();
            wait_for("some calls", || (started.load(Ordering::Relaxed) > 8).then_some(()));
            coordinator.close();
            let done: Vec<u64> = threads.into_iter().map(|t| t.join().unwrap()).collect();
            let again = open(&location);
            for (n, runs) in done.into_iter().enumerate() {
                let session = again.session(&format!("s{n}")).unwrap();
                let filter = Filter::default();
                let stored = session.count_events(&filter).map_or(0, |count| count);
                assert!(stored >= runs, "{stored} endings stored, {runs} answered with success");
            }
        }
    });
}

/// How many executions were ended with success.
fn call_until_closed(session: &Session, started: &AtomicU64) -> u64 {
    let mut ended = 0;
    for n in 0.. {
        let id = format!("e{n}");
        let run = || -> Result<(), Error> {
            start(session, &id)?;
            started.fetch_add(1, Ordering::Relaxed);
            let link = attach(session, &id, None)?;
            link.receive(r#"{"streamEventType":"heartbeat"}"#)?;
            session.fail(&id, FailOptions::default())?;
            Ok(())
        };
        match run() {
            Ok(()) => ended += 1,
            Err(Error::Closed { .. }) => return ended,
            Err(other) => panic!("{other}"),
        }
    }
    ended
}

/// R26: of many links for one execution the last one accepted is the one; the others are told.
/// One that only reads has nobody who does things for others: each call is answered all the same.
#[test]
fn calls_on_a_read_only_coordinator_are_all_answered() {
    must_end("calling a read-only coordinator", || {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("sqlite:{}", folder.path().join("runs.db").display());
        let owner = open(&location);
        start(&owner.session("s").unwrap(), "e").unwrap();
        let reading = Coordinator::open_read_only(&location, Default::default()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let session = reading.session("s").unwrap();
                    for _ in 0..5_000 {
                        let refused = session.fail("e", FailOptions::default());
                        assert!(matches!(refused, Err(Error::InvalidArgument { .. })));
                    }
                });
            }
        });
    });
}

/// R18: a notification that comes again comes at its moment, not when the coordinator looks next.
#[test]
fn a_rejected_notification_comes_again_at_its_moment() {
    const TIMES: u32 = 20;
    let settings =
        stayline::Settings { notification_attempts: TIMES + 2, ..stayline::Settings::default() };
    let coordinator =
        Coordinator::open("memory:", Options { settings, ..Options::default() }).unwrap();
    let session = coordinator.session("s").unwrap();
    start(&session, "e").unwrap();
    session.fail("e", FailOptions::default()).unwrap();
    let began = Instant::now();
    for _ in 0..TIMES {
        let taken = coordinator.take_notification(Some(PATIENCE)).unwrap().unwrap();
        coordinator.reject_notification(&taken.id, 50).unwrap();
    }
    assert!(coordinator.take_notification(Some(PATIENCE)).unwrap().is_some());
    // Twenty looks would be twenty seconds.
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[test]
fn of_many_links_at_once_one_remains() {
    let coordinator = open("memory:");
    let session = coordinator.session("s").unwrap();
    for round in 0..50 {
        let id = format!("e{round}");
        start(&session, &id).unwrap();
        let barrier = Barrier::new(4);
        let links: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        attach(&session, &id, None).unwrap()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let open: Vec<_> = links.iter().filter(|link| link.close_state().is_none()).collect();
        assert_eq!(open.len(), 1);
        for link in links.iter().filter(|link| link.close_state().is_some()) {
            let last = std::iter::from_fn(|| link.try_output()).last().unwrap();
            assert!(matches!(last, Output::Close { code: 4001, .. }), "{last:?}");
            // Its late close starts no grace (R20).
            link.closed(1006, "late").unwrap();
        }
        assert!(session.view().unwrap().active.unwrap().grace.is_none());
        open[0].receive(r#"{"streamEventType":"complete","data":{"exitCode":0}}"#).unwrap();
        let ended = session.wait(&id, Some(PATIENCE)).unwrap().record;
        assert_eq!(ended.status, Status::Completed);
    }
}
