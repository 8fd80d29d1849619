//! A store that cannot be read for a while: what is not known is no "no", and nothing is passed over
//! for it (R17, R23, R27, R45d).

use std::time::Duration;

use crate::fixture::*;
use stayline::Error;
use stayline::coordinator::{Coordinator, FailOptions, Next};
use stayline::store::faults::Outcome;

fn is_store_error<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::StoreError { .. })), "{result:?}");
}

fn kinds(coordinator: &Coordinator) -> Vec<&'static str> {
    let all = coordinator.notifications(false).unwrap();
    all.iter().map(|notification| notification.kind.as_str()).collect()
}

/// The row of an execution that has ended is needed for what comes late. Where it cannot be read,
/// a frame is not dropped as if it had never come.
#[test]
fn a_late_frame_whose_run_cannot_be_read_breaks_its_link() {
    let host = host();
    start(&host.session, "e").unwrap();
    attach(&host.session, "e", Some("p")).unwrap().closed(1006, "gone").unwrap();
    host.session.fail("e", FailOptions::default()).unwrap();
    let link = attach(&host.session, "e", Some("p")).unwrap();
    outputs(&link);
    host.faults.fail_loads(true);
    link.receive_many(&[numbered(1, "a"), numbered(2, "b")]).unwrap();
    assert_eq!(outputs(&link), ["close 1011 storage failed"]);
    host.faults.fail_loads(false);
    // It comes back, and brings all of it.
    let link = attach(&host.session, "e", Some("p")).unwrap();
    link.receive_many(&[numbered(1, "a"), numbered(2, "b")]).unwrap();
    let late: Vec<_> = log(&host.session).into_iter().filter(|event| event.late).collect();
    assert_eq!(late.len(), 2);
}

#[test]
fn what_a_basic_wrapper_still_says_is_not_lost_in_silence() {
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", None).unwrap();
    link.receive(r#"{"streamEventType":"complete","data":{"exitCode":0}}"#).unwrap();
    host.faults.fail_loads(true);
    link.receive(r#"{"streamEventType":"cost","data":{}}"#).unwrap();
    let told = outputs(&link);
    assert!(told.len() == 1 && told[0].contains("WS_INTERNAL_ERROR"), "{told:?}");
}

/// R27: that a link is gone is never undone. For that nothing has to be read.
#[test]
fn a_link_that_goes_while_nothing_can_be_read_is_gone() {
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", None).unwrap();
    link.receive(r#"{"streamEventType":"complete","data":{"exitCode":0}}"#).unwrap();
    assert!(host.session.active_in_memory().is_some(), "its link lingers");
    host.faults.fail_loads(true);
    link.closed(1000, "bye").unwrap();
    host.faults.fail_loads(false);
    host.clock.advance(60_000);
    assert_eq!(host.session.active_in_memory(), None, "kept for a link that is gone");
}

/// Nobody told the wrapper of an ending whose outcome was not known: it must not go on talking to
/// nobody.
#[test]
fn a_link_whose_run_turned_out_to_have_ended_is_broken_off() {
    for deletes in [false, true] {
        for producer in [None, Some("p")] {
            let host = host();
            start(&host.session, "e").unwrap();
            let link = attach(&host.session, "e", producer).unwrap();
            host.faults.fail_reopening(true);
            host.faults.fail_next_commit(Outcome::UnknownKept);
            let told = match deletes {
                true => host.session.delete().err(),
                false => host.session.fail("e", FailOptions::default()).err(),
            };
            assert!(matches!(told, Some(Error::StoreUnknown { .. })), "{told:?}");
            host.faults.fail_reopening(false);
            host.clock.advance(2_000);
            assert_eq!(link.close_state().map(|(code, _)| code), Some(1011), "{deletes}");
            link.closed(1011, "storage failed").unwrap();
            host.clock.advance(1_000);
            assert_eq!(host.session.active_in_memory(), None);
        }
    }
}

/// A session that is in memory has its deadlines: it is not given up because the store refuses one
/// step.
#[test]
fn a_run_that_was_caught_up_with_is_not_set_aside() {
    let host = host();
    start(&host.session, "e").unwrap();
    host.faults.fail_reopening(true);
    host.faults.fail_next_commit(Outcome::UnknownKept);
    assert!(attach(&host.session, "e", Some("p")).is_err());
    host.faults.poison_session("s");
    host.faults.fail_reopening(false);
    host.clock.advance(2_000);
    assert_eq!(host.status("e"), "running");
    host.faults.heal();
    let link = attach(&host.session, "e", Some("p")).unwrap();
    link.receive(&numbered(1, "a")).unwrap();
    assert!(outputs(&link).iter().any(|frame| frame.contains("\"ack\"")));
}

/// One that is set aside although it was in memory: everybody who has to do with it is told, and
/// nobody waits for it any more.
#[test]
fn whoever_waits_for_a_session_that_is_set_aside_is_told() {
    must_end("waiting for a session that is set aside", || {
        let host = host();
        start(&host.session, "e").unwrap();
        let link = attach(&host.session, "e", Some("p")).unwrap();
        let mut reader = host.session.subscribe(Default::default()).unwrap();
        let waiting = std::thread::spawn({
            let session = host.session.clone();
            let watch = session.watch("e").unwrap();
            move || {
                let _watch = watch;
                session.wait("e", Some(PATIENCE)).map(drop)
            }
        });
        host.faults.fail_reopening(true);
        host.faults.fail_next_commit(Outcome::UnknownKept);
        assert!(host.session.interrupt(None, false, Default::default()).is_err());
        // Damaged meanwhile, while all else can be read.
        host.faults.fail_loads_of(Some("s"));
        host.faults.fail_reopening(false);
        host.clock.advance(2_000);
        is_store_error(host.session.view());
        is_store_error(host.session.active());
        is_store_error(start(&host.session, "f"));
        is_store_error(waiting.join().unwrap());
        assert_eq!(link.close_state().map(|(code, _)| code), Some(1011));
        while !matches!(reader.try_next().unwrap(), Next::Ended) {}
        // It holds up nobody, and is over with the next opening only.
        let other = host.coordinator.session("other").unwrap();
        start(&other, "e").unwrap();
        link.closed(1011, "storage failed").unwrap();
        host.faults.fail_loads_of(None);
        host.clock.advance(400_000);
        assert_eq!(other.active().unwrap(), None, "never connected");
        is_store_error(host.session.view());
        assert!(host.coordinator.next_deadline().unwrap().unwrap() > host.clock.now());
    });
}

/// R39: a parked notification lets the next one of its session go, and whoever waits gets it.
#[test]
fn who_waits_is_told_when_a_parked_notification_lets_the_next_go() {
    let host = host();
    for id in ["e", "f"] {
        start(&host.session, id).unwrap();
        host.session.fail(id, FailOptions::default()).unwrap();
    }
    let take = |host: &Host| host.coordinator.take_notification(Some(Duration::ZERO)).unwrap();
    for delay in [60_000, 120_000, 240_000, 480_000] {
        assert!(take(&host).is_some());
        host.clock.advance(delay);
    }
    assert_eq!(take(&host).unwrap().attempt, 5);
    let coordinator = host.coordinator.clone();
    let waiting = std::thread::spawn(move || coordinator.take_notification(Some(PATIENCE)));
    // It waits by then.
    std::thread::sleep(Duration::from_millis(200));
    host.clock.advance(960_000);
    let next = waiting.join().unwrap().unwrap().expect("nobody told the one who waits");
    assert_eq!(next.execution_id.as_deref(), Some("f"));
    assert_eq!(host.coordinator.notifications(true).unwrap().len(), 1);
}

/// Many notifications have had their last delivery while nobody looked: who takes one parks them,
/// and others are let in between.
#[test]
fn parking_many_notifications_lets_others_in_between() {
    const MANY: usize = 60;
    let host = host();
    for n in 0..MANY {
        let session = host.coordinator.session(&format!("s{n}")).unwrap();
        start(&session, "e").unwrap();
        session.fail("e", FailOptions::default()).unwrap();
    }
    let take = |host: &Host| host.coordinator.take_notification(Some(Duration::ZERO)).unwrap();
    for _ in 0..5 {
        for _ in 0..MANY {
            assert!(take(&host).is_some());
        }
        // Time passes, and nothing that is due is handled.
        host.clock.set(host.clock.now() + 3_600_000);
    }
    let (order, had) = std::sync::mpsc::channel();
    let other = host.coordinator.session("other").unwrap();
    let (begun, begins) = std::sync::mpsc::channel();
    let starting = std::thread::spawn(move || {
        begins.recv().unwrap();
        start(&other, "e").unwrap();
    });
    host.faults.before_commit(move |batch| {
        order.send(batch.sessions.is_empty()).unwrap();
        let _ = begun.send(());
        std::thread::sleep(Duration::from_millis(5));
    });
    assert!(take(&host).is_none());
    starting.join().unwrap();
    host.faults.before_commit(|_| {});
    let order: Vec<bool> = had.iter().collect();
    assert_eq!(order.len(), MANY + 1);
    let started = order.iter().position(|parks| !parks).unwrap();
    assert!(started < MANY / 2, "it waited for {started} others");
    assert_eq!(host.coordinator.notifications(true).unwrap().len(), MANY);
    assert_eq!(kinds(&host.coordinator).len(), MANY);
}
