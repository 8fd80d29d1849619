//! Links that meet each other: what replaces what, who is told to stop, and what a link that is on
//! its way out may still do (R10a, R25, R26, R45a).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use crate::fixture::*;
use stayline::Error;
use stayline::coordinator::{
    AttachOptions, Credential, FailOptions, InterruptGrace, Link, StartOptions,
};

#[test]
fn an_overtaken_attempt_throws_nobody_out() {
    let host = host();
    start(&host.session, "e").unwrap();
    let newer = attempt(&host.session, "e", Some("p"), 3).unwrap();
    let overtaken = attempt(&host.session, "e", Some("p"), 2).err().unwrap();
    assert_eq!(overtaken.error, Error::Superseded);
    assert!(!overtaken.is_final, "a mere failed attempt");
    assert!(newer.close_state().is_none());
    // Another wrapper takes over: now the first one is told to stop.
    let other = attempt(&host.session, "e", Some("q"), 1).unwrap();
    assert_eq!(newer.close_state().unwrap().0, 4001);
    let former = attempt(&host.session, "e", Some("p"), 4).err().unwrap();
    assert!(former.is_final && former.error == Error::Superseded);
    assert!(other.close_state().is_none());
}

#[test]
fn an_overtaken_attempt_throws_no_late_link_out() {
    let host = host();
    start(&host.session, "e").unwrap();
    attempt(&host.session, "e", Some("p"), 1).unwrap().closed(1006, "gone").unwrap();
    host.session.fail("e", FailOptions::default()).unwrap();
    let newer = attempt(&host.session, "e", Some("p"), 3).unwrap();
    let overtaken = attempt(&host.session, "e", Some("p"), 2).err().unwrap();
    assert_eq!(overtaken.error, Error::Superseded);
    assert!(!overtaken.is_final);
    assert!(newer.close_state().is_none());
    // A newer attempt of the same wrapper replaces it, and has its say.
    let newest = attempt(&host.session, "e", Some("p"), 4).unwrap();
    assert_eq!(newer.close_state().unwrap().0, 4001);
    newest.receive(r#"{"streamEventType":"complete","data":{"exitCode":0},"seq":1}"#).unwrap();
    assert_eq!(newest.close_state().unwrap().0, 4000);
    let kinds: Vec<_> =
        host.coordinator.notifications(false).unwrap().iter().map(|n| n.kind.as_str()).collect();
    assert_eq!(kinds, ["execution_ended", "late_result"]);
    assert_eq!(host.status("e"), "failed", "never a second ending");
    let refused = attempt(&host.session, "e", Some("p"), 5).err().unwrap();
    assert_eq!(refused.error, Error::ExecutionNotActive { status: "failed" });
}

/// R25: the token decides before the status does, and a refused attach changes nothing.
#[test]
fn a_wrong_token_learns_nothing_and_changes_nothing() {
    let host = host();
    let options = StartOptions {
        execution_id: Some("e".into()),
        token: Some("secret".into()),
        ..StartOptions::default()
    };
    host.session.start(options).unwrap();
    let with = |token: Option<&str>, producer: &str| {
        host.session.attach(AttachOptions {
            execution_id: "e".into(),
            credential: Credential::Token(token.map(str::to_owned)),
            acknowledged: true,
            producer: Some(producer.into()),
            attempt: Some(1),
        })
    };
    for wrong in [None, Some(""), Some("secre"), Some("secret "), Some("Secret")] {
        assert_eq!(with(wrong, "p").err(), Some(Error::Unauthorized), "{wrong:?}");
    }
    assert_eq!(host.status("e"), "pending");
    let link = with(Some("secret"), "p").unwrap();
    assert_eq!(with(Some("guess"), "q").err(), Some(Error::Unauthorized));
    assert!(link.close_state().is_none());
    host.session.fail("e", FailOptions::default()).unwrap();
    assert_eq!(with(Some("guess"), "p").err(), Some(Error::Unauthorized), "before the status");
}

/// R26, R20: what a replaced link still says is ignored, and its end is not the run's.
#[test]
fn a_replaced_link_has_no_say() {
    let host = host();
    start(&host.session, "e").unwrap();
    let replaced = attach(&host.session, "e", None).unwrap();
    let link = attach(&host.session, "e", None).unwrap();
    assert_eq!(replaced.close_state(), Some((4001, "replaced by a newer link".into())));
    replaced.receive(r#"{"streamEventType":"complete","data":{"exitCode":0}}"#).unwrap();
    replaced.receive(r#"{"streamEventType":"output","data":{"text":"late"}}"#).unwrap();
    replaced.closed(1006, "gone").unwrap();
    assert_eq!(host.status("e"), "running");
    assert!(log(&host.session).is_empty());
    assert!(host.session.view().unwrap().active.unwrap().grace.is_none());
    // The one that is left still decides.
    link.closed(1000, "bye").unwrap();
    assert!(host.session.view().unwrap().active.unwrap().grace.is_some());
    host.clock.advance(10_000);
    assert_eq!(host.status("e"), "failed");
}

/// R8, R12: what belonged to the last execution is gone with it, however late its link goes.
#[test]
fn nothing_of_the_last_execution_reaches_the_next() {
    let host = host();
    start(&host.session, "old").unwrap();
    let old = attach(&host.session, "old", Some("p")).unwrap();
    host.session.interrupt(None, false, Default::default()).unwrap();
    host.session.fail("old", FailOptions::default()).unwrap();
    start(&host.session, "new").unwrap();
    let new = attach(&host.session, "new", Some("q")).unwrap();
    assert_eq!(outputs(&new).len(), 1, "a welcome, and no kill");
    host.session.interrupt(Some("new"), false, Default::default()).unwrap();
    new.closed(1006, "gone").unwrap();
    let before = host.session.view().unwrap().active.unwrap();
    // Late frames, the late end of the link, and calls in the old one's name.
    old.receive(&numbered(1, "late")).unwrap();
    old.closed(1006, "late").unwrap();
    host.session.clear_interrupt(Some("old")).unwrap();
    assert_eq!(host.session.fail("old", FailOptions::default()), Ok(false));
    let after = host.session.view().unwrap().active.unwrap();
    assert_eq!((before.interrupt, before.grace), (after.interrupt, after.grace));
    assert!(log(&host.session).iter().any(|event| event.late), "evidence is kept (R10a)");
}

/// R12, R13: the strongest signal wins, and no deadline moves later.
#[test]
fn a_second_interrupt_moves_no_deadline_later() {
    let host = host();
    start(&host.session, "e").unwrap();
    let interrupt = |escalate: bool, grace: InterruptGrace| {
        host.session.interrupt(None, escalate, grace).unwrap();
        host.session.view().unwrap().active.unwrap().interrupt.unwrap()
    };
    let first = interrupt(false, InterruptGrace::After(5_000));
    assert_eq!((first.kill_at, first.fail_at), (Some(START + 5_000), Some(START + 15_000)));
    host.clock.advance(1_000);
    let second = interrupt(false, InterruptGrace::Default);
    assert_eq!((second.kill_at, second.fail_at), (first.kill_at, first.fail_at));
    let third = interrupt(false, InterruptGrace::Never);
    assert_eq!((third.kill_at, third.fail_at), (first.kill_at, first.fail_at));
    let escalated = interrupt(true, InterruptGrace::Default);
    assert_eq!((escalated.kill_at, escalated.fail_at), (None, Some(START + 11_000)));
    let again = interrupt(false, InterruptGrace::After(1));
    assert_eq!(again.signal.as_str(), "SIGKILL", "not weakened");
    let link = attach(&host.session, "e", Some("p")).unwrap();
    assert!(outputs(&link)[1].contains("SIGKILL"), "first after the welcome");
    // Every later link gets it too.
    let link = attach(&host.session, "e", None).unwrap();
    assert!(outputs(&link)[0].contains("SIGKILL"));
    host.clock.advance(10_000);
    assert_eq!(host.status("e"), "failed");
}

/// R14: the row is refreshed now and then, a look at it says what is known.
#[test]
fn when_a_wrapper_was_last_seen_is_known_to_the_moment() {
    let host = host();
    start(&host.session, "e").unwrap();
    assert_eq!(host.session.execution("e").unwrap().last_seen_at, None, "nobody came yet");
    let link = attach(&host.session, "e", Some("p")).unwrap();
    let attached_at = host.clock.now();
    host.clock.advance(10_000);
    link.receive(&numbered(1, "a")).unwrap();
    let heard_at = host.clock.now();
    host.clock.advance(5_000);
    let listed = host.session.executions(None, 1).unwrap().remove(0);
    for view in [host.session.execution("e").unwrap(), listed] {
        assert_eq!(view.record.last_heartbeat_at, Some(attached_at));
        assert_eq!(view.last_seen_at, Some(heard_at));
    }
    // What ends a run from outside is no sign of life.
    host.session.fail("e", FailOptions::default()).unwrap();
    assert!(host.session.execution("e").unwrap().last_seen_at <= Some(heard_at));
}

/// R14: so is when its newest event came, which is no sign of the wrapper's heart alone; and the
/// row of a run that has ended says it, too.
#[test]
fn when_the_newest_event_came_is_known_to_the_moment() {
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", Some("p")).unwrap();
    link.receive(&numbered(1, "a")).unwrap();
    host.clock.advance(10_000);
    link.receive(&numbered(2, "b")).unwrap();
    let came_at = host.clock.now();
    host.clock.advance(5_000);
    link.receive(r#"{"streamEventType":"heartbeat","data":{}}"#).unwrap();
    let listed = host.session.executions(None, 1).unwrap().remove(0).record;
    let active = host.session.view().unwrap().active.unwrap();
    for record in [host.session.execution("e").unwrap().record, listed, active] {
        assert_eq!(record.last_event_at, Some(came_at));
    }
    host.session.fail("e", FailOptions::default()).unwrap();
    assert_eq!(host.session.execution("e").unwrap().record.last_event_at, Some(came_at));
}

/// What a view says of a session is of one moment.
#[test]
fn a_view_never_mixes_two_moments() {
    let host = host();
    let stop = Arc::new(AtomicBool::new(false));
    let looking = {
        let (session, stop) = (host.session.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut looks = 0;
            while !stop.load(Ordering::SeqCst) {
                let Ok(view) = session.view() else { continue };
                looks += 1;
                let running = view.active.is_some_and(|active| active.started_at.is_some());
                assert!(running || !view.link_attached, "a link of nobody, at look {looks}");
            }
            looks
        })
    };
    for n in 0..20_000 {
        let id = format!("e{n}");
        start(&host.session, &id).unwrap();
        let link = attach(&host.session, &id, None).unwrap();
        host.session.fail(&id, FailOptions::default()).unwrap();
        drop(link);
    }
    stop.store(true, Ordering::SeqCst);
    assert!(looking.join().unwrap() > 0);
}

/// So much is under way that every link is congested: one with nothing under way is told, too, when
/// that is over.
#[test]
fn a_link_that_others_have_congested_is_woken_when_there_is_room() {
    let host = host();
    let busy: Vec<Link> = (0..2)
        .map(|n| {
            let session = host.coordinator.session(&format!("busy{n}")).unwrap();
            start(&session, "e").unwrap();
            attach(&session, "e", None).unwrap()
        })
        .collect();
    start(&host.session, "e").unwrap();
    let idle = attach(&host.session, "e", None).unwrap();
    let woken = stayline::wake::EventFd::new().unwrap();
    idle.set_waker(Some(woken.clone()));
    let (waits, does_wait) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    host.faults.before_commit(move |_| {
        let _ = waits.send(());
        let _ = gate.recv_timeout(PATIENCE);
    });
    let [first, second] = <[Link; 2]>::try_from(busy).ok().unwrap();
    let frame =
        format!(r#"{{"streamEventType":"output","data":{{"text":"{}"}}}}"#, "x".repeat(900_000));
    let writer = std::thread::spawn({
        let frame = frame.clone();
        move || first.submit(&[frame]).unwrap()
    });
    does_wait.recv().unwrap();
    // Behind the commit that waits.
    second.submit(&vec![frame; 80]).unwrap();
    assert!(idle.is_congested());
    woken.clear();
    drop(go);
    writer.join().unwrap();
    assert!(woken.wait(Some(PATIENCE)), "nobody told that there is room");
    assert!(!idle.is_congested());
}
