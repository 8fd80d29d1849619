//! Both modes of `/ingest` as wrappers of any make see them (R27–R32, R45).

use serde_json::{Value, json};
use stayline::Settings;
use stayline::net::server::ServerOptions;
use stayline::protocol::Filter;
use stayline::session::records::Status;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{ASK, Peer, acknowledged_path, host, host_with, prompt, wait_for};

fn output(n: u64) -> Value {
    json!({"streamEventType": "output", "data": {"n": n}})
}

fn numbered(seq: u64) -> Value {
    json!({"streamEventType": "output", "data": {"n": seq}, "seq": seq})
}

#[test]
fn basic_mode_stores_events_in_order_and_ends_with_4000() {
    let host = host();
    host.start("e");
    let path = "/sessions/s/ingest?executionId=e&token=a%20token";
    let (mut link, headers) = Peer::connect(host.address(), path, &[]).unwrap();
    assert!(!headers.contains_key("stayline-protocol"));
    link.send_all(&(1..=1_000).map(output).collect::<Vec<_>>());
    link.send(&json!({
        "streamEventType": "complete", "data": {"exitCode": 0, "currentBranch": "main"}
    }));
    assert_eq!(link.close(), (4000, "execution done".into()));
    host.wait_until("e", Status::Completed);
    let events = host.events();
    assert_eq!(events.len(), 1_001);
    for (index, (event_type, data)) in events.iter().take(1_000).enumerate() {
        assert_eq!((event_type.as_str(), &data["n"]), ("output", &json!(index + 1)));
    }
    assert_eq!(host.session().view().unwrap().record.branch.as_deref(), Some("main"));
}

/// R31: such a wrapper says its last words behind its ending, and then closes by itself.
#[test]
fn a_basic_wrapper_is_let_finish() {
    let host = host_with(Settings::default(), ServerOptions::default());
    host.start("e");
    let mut link = host.basic("e");
    link.send(&json!({"streamEventType": "interrupted", "data": {"exitCode": 130}}));
    let view = host.wait_until("e", Status::Interrupted);
    assert_eq!(view.record.exit_code, Some(130));
    // The next run does not wait for it, nor cut it off.
    host.start("f");
    let next = host.basic("f");
    for n in 1..=20 {
        link.send(&output(n));
    }
    link.socket.close(None).unwrap();
    wait_for(|| (host.types().len() == 21).then_some(()));
    while let Ok(message) = link.socket.read() {
        assert!(message.is_close(), "nothing else is said to it: {message:?}");
    }
    let page = host.session().events(&Filter::default()).unwrap();
    let late: Vec<bool> = page.events.iter().map(|event| event.late).collect();
    assert_eq!((late[0], late[1..].iter().all(|late| *late)), (false, true));
    let record = host.session().execution("f").unwrap().record;
    assert_eq!((record.status, record.grace), (Status::Running, None));
    drop(next);
}

#[test]
fn bad_frames_are_answered_and_the_link_stays_open() {
    let settings = Settings { max_frame_bytes: 4_096, ..prompt() };
    let host = host_with(settings, ServerOptions::default());
    host.start("e");
    let mut link = host.basic("e");
    let large = json!({"streamEventType": "x", "data": "y".repeat(8_000)}).to_string();
    let larger = json!({"streamEventType": "x", "data": "y".repeat(60_000)}).to_string();
    for bad in ["nope", "[]", "{}", &large, &larger] {
        link.socket.send(Message::Text(bad.into())).unwrap();
        let answer = link.next();
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&json!("error"), &json!("WS_PROTOCOL_ERROR"))
        );
    }
    link.send(&output(1));
    link.socket.send(Message::Binary(vec![1, 2, 3].into())).unwrap();
    link.send(&output(2));
    assert_eq!(link.next()["code"], "WS_PROTOCOL_ERROR");
    link.send(&json!({"streamEventType": "complete", "data": {"exitCode": 0}}));
    assert_eq!(link.close().0, 4000);
    assert_eq!(host.types(), ["output", "output", "complete"]);
}

#[test]
fn acknowledged_mode_welcomes_acknowledges_and_ends() {
    let host = host();
    host.start("e");
    let path = acknowledged_path("e", "p", 1);
    let (mut link, headers) = Peer::connect(host.address(), &path, ASK).unwrap();
    assert_eq!(headers["stayline-protocol"], "2");
    let welcome = link.next();
    assert_eq!((&welcome["type"], &welcome["lastSeq"]), (&json!("welcome"), &json!(0)));
    link.send_all(&(1..=500).map(numbered).collect::<Vec<_>>());
    let mut acknowledged = 0;
    while acknowledged < 500 {
        let ack = link.next();
        assert_eq!(ack["type"], "ack");
        let seq = ack["seq"].as_u64().unwrap();
        assert!(seq > acknowledged, "{seq} after {acknowledged}");
        acknowledged = seq;
    }
    // Once more, and what follows: only the new one is stored.
    link.send_all(&[numbered(499), numbered(500)]);
    link.send(&json!({"streamEventType": "complete", "data": {"exitCode": 0}, "seq": 501}));
    let (frames, code, _) = link.rest();
    assert_eq!(code, 4000);
    let ended = frames.last().unwrap();
    assert_eq!(*ended, json!({"type": "ended", "status": "completed", "lastSeq": 501}));
    let before = &frames[frames.len() - 2];
    assert_eq!(*before, json!({"type": "ack", "seq": 501}));
    assert_eq!(host.events().len(), 501);
}

#[test]
fn the_mode_may_be_asked_for_in_the_query() {
    let host = host();
    host.start("e");
    let path = acknowledged_path("e", "p", 1) + "&protocol=2";
    let (mut link, headers) = Peer::connect(host.address(), &path, &[]).unwrap();
    assert_eq!(headers["stayline-protocol"], "2");
    assert_eq!(link.next()["type"], "welcome");
}

#[test]
fn a_resend_after_a_cut_is_stored_once() {
    let host = host();
    host.start("e");
    let mut link = host.acknowledged("e", "p", 1);
    link.next();
    link.send_all(&(1..=20).map(numbered).collect::<Vec<_>>());
    while link.next()["seq"] != 20 {}
    drop(link);
    let mut again = host.acknowledged("e", "p", 2);
    assert_eq!(again.next()["lastSeq"], 20);
    again.send_all(&(15..=30).map(numbered).collect::<Vec<_>>());
    while again.next()["seq"] != 30 {}
    let numbers: Vec<u64> = host
        .events()
        .iter()
        .filter(|(event_type, _)| event_type == "output")
        .map(|(_, data)| data["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
}

#[test]
fn a_numbered_gap_breaks_the_protocol() {
    let host = host();
    host.start("e");
    let mut link = host.acknowledged("e", "p", 1);
    link.next();
    link.send(&numbered(3));
    let (frames, code, _) = link.rest();
    assert_eq!((frames[0]["code"].as_str(), code), (Some("WS_PROTOCOL_ERROR"), 4002));
}

#[test]
fn a_storage_failure_closes_an_acknowledged_link_with_1011() {
    let host = host();
    host.start("e");
    let mut link = host.acknowledged("e", "p", 1);
    link.next();
    host.faults.fail_commits(true);
    link.send(&numbered(1));
    assert_eq!(link.close().0, 1011);
    host.faults.fail_commits(false);
    let mut again = host.acknowledged("e", "p", 2);
    assert_eq!(again.next()["lastSeq"], 0);
    again.send(&numbered(1));
    assert_eq!(again.next(), json!({"type": "ack", "seq": 1}));
}

#[test]
fn what_still_arrives_while_a_link_closes_is_kept_as_late() {
    let host = host();
    let session = host.start("e");
    let mut link = host.acknowledged("e", "p", 1);
    link.next();
    let options = stayline::coordinator::FailOptions {
        message: "host gave up".into(),
        ..stayline::coordinator::FailOptions::default()
    };
    session.fail("e", options).unwrap();
    // The peer has not looked yet: what it sends crosses our close.
    link.send_all(&[numbered(1), numbered(2)]);
    let (frames, code, _) = link.rest();
    assert_eq!((code, frames.last().unwrap()["status"].as_str()), (4000, Some("failed")));
    drop(link);
    crate::support::wait_for(|| (host.events().len() == 3).then_some(()));
    let page = session.events(&Filter::default()).unwrap();
    let late: Vec<bool> = page.events.iter().map(|event| event.late).collect();
    assert_eq!(late, [false, true, true]);
}

#[test]
fn a_kill_reaches_the_wrapper() {
    let host = host();
    let session = host.start("e");
    let mut link = host.basic("e");
    let verdict =
        session.interrupt(None, false, stayline::coordinator::InterruptGrace::Default).unwrap();
    assert_eq!(verdict.as_str(), "sent");
    assert_eq!(link.next(), json!({"type": "kill", "signal": "SIGTERM"}));
    link.send(&json!({"streamEventType": "interrupted", "data": {"reason": "asked to"}}));
    assert_eq!(link.close().0, 4000);
    let view = host.wait_until("e", Status::Interrupted);
    assert_eq!(view.record.error.as_deref(), Some("asked to"));
}
