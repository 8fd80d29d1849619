//! What a link's peer makes the coordinator say, and does not take (R28).

use std::sync::mpsc;
use std::time::Duration;

use crate::fixture::*;
use stayline::coordinator::FailOptions;

/// Whoever goes on handing frames over after the close, and takes nothing, waits for the commits
/// all the same.
#[test]
fn a_closed_link_whose_outputs_are_not_taken_waits_for_commits() {
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", None).unwrap();
    while !link.is_congested() {
        link.submit(&["no JSON"]).unwrap();
    }
    host.session.fail("e", FailOptions::default()).unwrap();
    assert_eq!(link.close_state().unwrap().0, 4000);
    let (begun, has_begun) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    host.faults.before_commit(move |_| {
        let _ = begun.send(());
        let _ = gate.recv_timeout(PATIENCE);
    });
    let other = host.coordinator.session("other").unwrap();
    let holding = std::thread::spawn(move || start(&other, "e").unwrap());
    has_begun.recv().unwrap();
    let frame =
        format!(r#"{{"streamEventType":"output","data":{{"text":"{}"}}}}"#, "x".repeat(600_000));
    // Waits for nothing; handed over behind the commit that is held.
    link.submit(&[frame]).unwrap();
    let (done, is_done) = mpsc::channel();
    let receiving = std::thread::spawn(move || {
        link.receive(&numbered(1, "a")).unwrap();
        done.send(()).unwrap();
        link
    });
    assert!(is_done.recv_timeout(Duration::from_millis(200)).is_err(), "it did not wait");
    drop(go);
    holding.join().unwrap();
    is_done.recv_timeout(PATIENCE).unwrap();
    drop(receiving.join().unwrap());
    host.faults.before_commit(|_| {});
}

#[test]
fn a_link_is_congested_while_its_outputs_are_not_taken() {
    const MIB: usize = 1024 * 1024;
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", None).unwrap();
    let mut frames = 0;
    while !link.is_congested() {
        link.submit(&["no JSON"]).unwrap();
        frames += 1;
        assert!(frames < 100_000, "it is never congested");
    }
    assert!((MIB..MIB + MIB / 8).contains(&link.output_bytes()), "{}", link.output_bytes());
    let answered = std::iter::from_fn(|| link.try_output()).count();
    assert_eq!((answered, link.output_bytes()), (frames, 0));
    // Now it does not wait.
    link.receive(&numbered(1, "a")).unwrap();
    assert!(!link.is_congested());
}
