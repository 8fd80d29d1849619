//! A store that fails: nothing is shown that is not kept (R27), nobody is failed for it (R18b),
//! and nothing escapes its deadline (R17, R18).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::fixture::*;
use stayline::coordinator::{Clock, Coordinator, FailOptions, ManualClock, Next, Options};
use stayline::store::faults::Outcome;
use stayline::{Error, Settings};

/// A commit was kept, but its report was lost, and with it the news that one session's part had
/// been refused: rereading must find that out before anything is acknowledged.
#[test]
fn a_refused_part_of_a_commit_of_unknown_outcome_is_not_taken_for_kept() {
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", Some("p")).unwrap();
    let other = host.coordinator.session("other").unwrap();
    start(&other, "e").unwrap();
    outputs(&link);
    host.faults.poison_session("s");
    host.faults.fail_next_commit(Outcome::UnknownKept);
    link.receive(&numbered(1, "a")).unwrap();
    let told = outputs(&link);
    let acknowledged = told.iter().any(|frame| frame.contains("\"ack\""));
    assert!(!acknowledged || !log(&host.session).is_empty(), "acknowledged, not stored: {told:?}");
    // Its own caller is not told that it had succeeded either.
    host.faults.fail_next_commit(Outcome::UnknownKept);
    let failed = host.session.fail("e", FailOptions::default());
    assert!(matches!(failed, Err(Error::StoreError { .. })), "{failed:?}");
    assert_eq!(host.status("e"), "running");
    host.faults.heal();
    assert_eq!(host.session.fail("e", FailOptions::default()), Ok(true));
    assert_eq!(log(&host.session).len(), 1);
}

#[test]
fn lost_time_is_given_back_although_the_first_commit_after_it_fails() {
    let host = host();
    start(&host.session, "e").unwrap();
    let _link = attach(&host.session, "e", None).unwrap();
    let other = host.coordinator.session("other").unwrap();
    start(&other, "e").unwrap();
    attach(&other, "e", None).unwrap().closed(1006, "gone").unwrap();
    host.faults.fail_next_commit(Outcome::Lost);
    // Far beyond the stale threshold and the grace.
    host.clock.suspend(200_000);
    host.clock.advance(2_000);
    assert_eq!(host.status("e"), "running", "the frozen coordinator is not the wrapper's fault");
    assert_eq!(other.active().unwrap().as_deref(), Some("e"), "a fresh grace comes first");
    host.clock.advance(60_000);
    assert_eq!(other.active().unwrap(), None);
    // It is given once: without a sign of life it is stale in the end.
    host.clock.advance(30_001);
    assert_eq!(host.status("e"), "failed");
}

/// The deadline in a row that was never written must not be waited for as if it were there.
#[test]
fn a_refused_part_leaves_no_wake_up_behind() {
    must_end("handling what is due", || {
        let host = host();
        start(&host.session, "e").unwrap();
        assert!(host.coordinator.next_deadline().unwrap().is_some());
        host.faults.poison_session("s");
        let refused = host.session.fail("e", FailOptions::default());
        assert!(matches!(refused, Err(Error::StoreError { .. })), "{refused:?}");
        host.faults.heal();
        // Kept alive until after the moment at which the session would have been idle.
        let link = attach(&host.session, "e", None).unwrap();
        for _ in 0..20 {
            host.clock.advance(50_000);
            link.receive(r#"{"streamEventType":"heartbeat"}"#).unwrap();
        }
        assert_eq!(host.status("e"), "running");
        assert_eq!(host.coordinator.notifications(false).unwrap().len(), 0);
        host.session.fail("e", FailOptions::default()).unwrap();
        host.clock.advance(900_000);
        assert_eq!(host.coordinator.notifications(false).unwrap().len(), 2, "ended, then idle");
    });
}

/// R17: what turned out to be kept has its deadline, although nobody asks for it again.
#[test]
fn an_execution_whose_start_was_of_unknown_outcome_does_not_escape() {
    let host = host();
    host.faults.fail_reopening(true);
    host.faults.fail_next_commit(Outcome::UnknownKept);
    let told = start(&host.session, "e");
    assert!(matches!(told, Err(Error::StoreUnknown { .. })), "{told:?}");
    host.faults.fail_reopening(false);
    host.clock.advance(2_000);
    assert_eq!(host.session.active().unwrap().as_deref(), Some("e"));
    host.clock.advance(400_000);
    assert_eq!(host.status("e"), "failed", "never reaped");
    assert_eq!(host.coordinator.notifications(false).unwrap().len(), 1);
}

/// The same for an attach: the host's link was refused, so the execution runs without one, and
/// has a grace.
#[test]
fn an_attach_of_unknown_outcome_leaves_a_run_without_a_link_in_grace() {
    let host = host();
    start(&host.session, "e").unwrap();
    host.faults.fail_reopening(true);
    host.faults.fail_next_commit(Outcome::UnknownKept);
    let refused = attach(&host.session, "e", Some("p"));
    assert!(matches!(refused, Err(Error::StoreUnknown { .. })), "{:?}", refused.err());
    host.faults.fail_reopening(false);
    host.clock.advance(2_000);
    let view = host.session.view().unwrap();
    assert!(!view.link_attached);
    assert!(view.active.unwrap().grace.is_some(), "running without a link (R20)");
    host.clock.advance(62_000);
    assert_eq!(host.status("e"), "failed");
}

/// A reader is not left behind by a commit that turned out to be kept.
#[test]
fn a_frame_of_unknown_outcome_is_seen_once_it_is_known() {
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", Some("p")).unwrap();
    outputs(&link);
    let mut reader = host.session.subscribe(Default::default()).unwrap();
    host.faults.fail_reopening(true);
    host.faults.fail_next_commit(Outcome::UnknownKept);
    link.receive(&numbered(1, "a")).unwrap();
    assert_eq!(outputs(&link), ["close 1011 storage failed"]);
    host.faults.fail_reopening(false);
    host.clock.advance(2_000);
    let mut ids = Vec::new();
    while let Next::Record(record) = reader.try_next().unwrap() {
        ids.extend((record.id > 0).then_some(record.id));
    }
    assert_eq!(ids, [1]);
    // The wrapper comes back, and is told that it was stored.
    let link = attach(&host.session, "e", Some("p")).unwrap();
    assert!(outputs(&link)[0].contains("\"lastSeq\":1"));
    link.receive_many(&[numbered(1, "a"), numbered(2, "b")]).unwrap();
    let outputs_of_wrapper = log(&host.session);
    let outputs: Vec<_> =
        outputs_of_wrapper.iter().filter(|e| &*e.event_type == "output").collect();
    assert_eq!(outputs.len(), 2);
}

/// R45d: one frame that the store refuses costs that frame, and not a commit for each that came with
/// it.
#[test]
fn one_refused_frame_among_thousands_costs_few_commits() {
    const MANY: u64 = 3_000;
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", Some("p")).unwrap();
    outputs(&link);
    host.faults.poison_data("bad");
    let before = host.faults.commits();
    let text = |seq| if seq == 2_000 { "bad" } else { "good" };
    let frames: Vec<String> = (1..=MANY).map(|seq| numbered(seq, text(seq))).collect();
    link.submit(&frames).unwrap();
    let told = wait_for("the acknowledgement", || {
        let told = outputs(&link);
        told.iter().any(|frame| frame.contains(&format!("\"ack\",\"seq\":{MANY}"))).then_some(told)
    });
    assert!(told.iter().all(|frame| !frame.starts_with("close")), "{told:?}");
    let commits = host.faults.commits() - before;
    assert!(commits < 40, "{commits} commits");
    let log = log(&host.session);
    assert_eq!(log.len() as u64, MANY);
    let rejected = log.iter().filter(|event| &*event.event_type == "rejected");
    assert_eq!(rejected.map(|event| event.id).collect::<Vec<_>>(), [2_000]);
}

/// R45d: what is behind a failed frame on its link is ignored, also where the requests of a
/// refused part are done again one by one.
#[test]
fn frames_behind_a_failed_one_are_ignored_one_by_one_too() {
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", Some("p")).unwrap();
    outputs(&link);
    host.faults.poison_data("bad");
    let faults = host.faults.clone();
    let mut batches = 0;
    host.faults.before_commit(move |_| {
        batches += 1;
        // The second is the first frame by itself, after the refusal of all three.
        if batches == 2 {
            faults.fail_next_commit(Outcome::Lost);
        }
    });
    link.receive_many(&[numbered(1, "a"), numbered(2, "b"), numbered(3, "bad")]).unwrap();
    assert_eq!(outputs(&link), ["close 1011 storage failed"]);
    assert!(log(&host.session).is_empty());
    let grace = host.session.view().unwrap().active.unwrap().grace.unwrap();
    assert_eq!(grace.code, 1011, "not a violation of the protocol");
}

/// R8, R13, R22: a failure of the store between deadlines hides none of them.
#[test]
fn deadlines_that_a_failing_store_held_up_are_all_met_in_order() {
    let host = host();
    for n in 0..20 {
        let session = host.coordinator.session(&format!("s{n}")).unwrap();
        start(&session, "e").unwrap();
        let link = attach(&session, "e", None).unwrap();
        link.closed(1006, "gone").unwrap();
        host.clock.advance(100);
    }
    // All graces expire within the two seconds in which nothing can be stored.
    host.clock.advance(7_900);
    host.faults.fail_commits(true);
    host.clock.advance(2_000);
    for n in 0..20 {
        let session = host.coordinator.session(&format!("s{n}")).unwrap();
        assert_eq!(session.active().unwrap().as_deref(), Some("e"));
    }
    host.faults.fail_commits(false);
    host.clock.advance(1_000);
    let ended = host.coordinator.notifications(false).unwrap();
    let order: Vec<&str> = ended.iter().map(|record| &*record.session_id).collect();
    let expected: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    assert_eq!(order, expected);
}

/// R16, R18b: a commit that failed once, long ago, is no time in which none succeeded.
#[test]
fn a_quiet_time_after_one_failed_commit_is_not_given_back() {
    let host = host();
    start(&host.session, "e").unwrap();
    host.faults.fail_next_commit(Outcome::Lost);
    assert!(host.session.interrupt(None, false, Default::default()).is_err());
    host.clock.advance(300_000);
    assert_eq!(host.status("e"), "pending");
    host.clock.advance(1);
    assert_eq!(host.status("e"), "failed");
}

/// R27: while its commit is under way, a step cannot be seen by anybody, and when it is lost it
/// never was.
#[test]
fn nothing_of_a_step_is_seen_before_its_commit() {
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", Some("p")).unwrap();
    outputs(&link);
    let mut reader = host.session.subscribe(Default::default()).unwrap();
    while !matches!(reader.try_next().unwrap(), Next::Empty) {}
    // A first look makes the store's reader, which cannot be made during a commit.
    assert!(log(&host.session).is_empty());
    let looks = Arc::new(AtomicUsize::new(0));
    let (session, seen) = (host.session.clone(), looks.clone());
    // Shared, so that neither goes with the hook, during a commit.
    let (link, reader) = (Arc::new(link), Arc::new(Mutex::new(reader)));
    let (own_link, own_reader) = (link.clone(), reader.clone());
    host.faults.before_commit(move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        assert_eq!(session.active().unwrap().as_deref(), Some("e"));
        assert_eq!(session.execution("e").unwrap().record.status.as_str(), "running");
        assert_eq!(own_link.try_output(), None);
        assert!(log(&session).is_empty());
        assert!(matches!(own_reader.lock().unwrap().try_next().unwrap(), Next::Empty));
    });
    host.faults.fail_next_commit(Outcome::Lost);
    let failed = host.session.fail("e", FailOptions::default());
    assert!(matches!(failed, Err(Error::StoreError { .. })), "{failed:?}");
    assert_eq!(host.session.active().unwrap().as_deref(), Some("e"));
    assert!(host.coordinator.notifications(false).unwrap().is_empty());
    link.receive(r#"{"streamEventType":"complete","data":{"exitCode":0},"seq":1}"#).unwrap();
    assert_eq!(looks.load(Ordering::Relaxed), 2);
    assert_eq!(host.status("e"), "completed");
    // The hook must not go with the store, under whose lock its reader could not be dropped.
    host.faults.before_commit(|_| {});
}

/// R23: recovery is a sign of life, and every deadline begins anew with it; what had been switched
/// off stays off.
#[test]
fn after_a_crash_nobody_is_failed_for_the_time_in_which_nobody_ran() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("sqlite:{}", folder.path().join("runs.db").display());
    let clock = ManualClock::new(START);
    let open = || {
        let options = Options { clock: Clock::Manual(clock.clone()), ..Options::default() };
        Coordinator::open(&location, options).unwrap()
    };
    let coordinator = open();
    let names = ["running", "in grace", "pending", "interrupted"];
    for name in names {
        let session = coordinator.session(name).unwrap();
        start(&session, "e").unwrap();
        if name != "pending" {
            let link = attach(&session, "e", None).unwrap();
            match name {
                "in grace" => link.closed(1000, "bye").unwrap(),
                "interrupted" => drop(session.interrupt(None, false, Default::default())),
                _ => {}
            }
            // The links of the others are lost with the process, not closed.
            std::mem::forget(link);
        }
    }
    clock.advance(9_000);
    coordinator.abandon();
    clock.set(START + 3_600_000);
    let coordinator = open();
    let status = |name: &str| {
        coordinator.session(name).unwrap().execution("e").unwrap().record.status.as_str()
    };
    clock.advance(39_999);
    for name in names {
        assert!(["pending", "running"].contains(&status(name)), "{name}");
    }
    let grace = |name: &str| {
        coordinator.session(name).unwrap().view().unwrap().active.unwrap().grace.unwrap()
    };
    assert_eq!((grace("running").code, grace("in grace").code), (1012, 1000));
    // SIGKILL 30 s after the recovery, and 10 s later it is not honoured.
    clock.advance(1);
    assert_eq!(status("interrupted"), "failed");
    clock.advance(19_999);
    assert_eq!((status("running"), status("in grace")), ("running", "running"));
    clock.advance(1);
    assert_eq!((status("running"), status("in grace")), ("failed", "failed"));
    clock.advance(240_000);
    assert_eq!(status("pending"), "pending");
    clock.advance(1);
    assert_eq!(status("pending"), "failed");
}

/// A bug of ours in a step, or in what is done at a deadline: nobody waits for ever, and everybody
/// is told.
#[test]
fn after_a_panic_everybody_is_told() {
    must_end("waiting for a coordinator that is done", || {
        for at_a_deadline in [false, true] {
            let host = host();
            start(&host.session, "e").unwrap();
            let other = host.coordinator.session("other").unwrap();
            start(&other, "e").unwrap();
            let link = attach(&other, "e", None).unwrap();
            let mut reader = other.subscribe(Default::default()).unwrap();
            let waiting = std::thread::spawn(move || other.wait("e", None).err());
            host.faults.before_commit(|_| panic!("a bug"));
            let expected = Some(Error::Panic { detail: "a bug".into() });
            match at_a_deadline {
                true => host.clock.advance(300_001),
                false => assert_eq!(host.session.fail("e", Default::default()).err(), expected),
            }
            assert_eq!(host.session.active().err(), expected);
            assert_eq!(waiting.join().unwrap(), expected);
            while !matches!(reader.try_next().unwrap(), Next::Ended) {}
            assert_eq!(outputs(&link), ["close 1011 internal error"]);
            assert_eq!(host.coordinator.take_notification(None).err(), expected);
        }
    });
}

#[test]
fn where_nobody_takes_notifications_none_are_kept() {
    let clock = ManualClock::new(START);
    let opened = |notifications: bool| {
        let options = Options {
            clock: Clock::Manual(clock.clone()),
            settings: Settings { notifications, ..Settings::default() },
            ..Options::default()
        };
        let coordinator = Coordinator::open("memory:", options).unwrap();
        let session = coordinator.session("s").unwrap();
        start(&session, "e").unwrap();
        let failed = FailOptions { message: "over".into(), ..FailOptions::default() };
        assert!(session.fail("e", failed).unwrap());
        clock.set(clock.now() + 86_400_000);
        coordinator.handle_due();
        // The runs themselves are as ever.
        assert_eq!(session.execution("e").unwrap().record.error.as_deref(), Some("over"));
        let kinds: Vec<_> =
            coordinator.notifications(false).unwrap().iter().map(|one| one.kind).collect();
        (kinds.len(), coordinator.take_notification(Some(Duration::ZERO)).unwrap().is_some())
    };
    assert_eq!(opened(true), (2, true));
    assert_eq!(opened(false), (0, false));
}
