//! The handshake of `/ingest`: what is refused, in which order, and how (R25, R45a, R46).

use std::sync::{Arc, Mutex};

use serde_json::json;
use stayline::Settings;
use stayline::coordinator::FailOptions;
use stayline::net::server::{Authorization, ServerOptions};

use crate::support::{ASK, Host, Peer, Refused, TOKEN, acknowledged_path, host, host_with, http};

fn attach(host: &Host, path: &str, headers: &[(&str, &str)]) -> Box<Refused> {
    Peer::connect(host.address(), path, headers).err().expect("it should have been refused")
}

/// Status, our header and the status header.
fn told(refused: &Refused) -> (u16, Option<&str>, Option<&str>) {
    assert!(refused.body.ends_with('\n'), "{refused:?}");
    assert_eq!(refused.body.trim_end().lines().count(), 1, "{refused:?}");
    (refused.status, refused.header("stayline-refusal"), refused.header("stayline-status"))
}

#[test]
fn the_checks_of_an_attach_are_made_in_their_order() {
    let host = host();
    let session = host.start("e");
    let options = FailOptions { message: "gone".into(), ..FailOptions::default() };
    session.fail("e", options).unwrap();

    let plain = http(host.address(), "GET", "/sessions/none/ingest", &[], "");
    assert_eq!((plain.status, plain.header("upgrade")), (426, Some("websocket")));
    assert_eq!(plain.header("stayline-refusal"), None);

    let no_execution = attach(&host, "/sessions/none/ingest", &[]);
    assert_eq!(told(&no_execution), (400, Some("bad_request"), None));

    let no_session = attach(&host, "/sessions/none/ingest?executionId=e&token=wrong", &[]);
    assert_eq!(told(&no_session), (404, Some("not_found"), None));
    let unknown = attach(&host, "/sessions/s/ingest?executionId=none&token=wrong", &[]);
    assert_eq!(told(&unknown), (404, Some("not_found"), None));

    let wrong = attach(&host, "/sessions/s/ingest?executionId=e&token=wrong", &[]);
    assert_eq!(told(&wrong), (401, Some("unauthorized"), None));
    let missing = attach(&host, "/sessions/s/ingest?executionId=e", &[]);
    assert_eq!(told(&missing), (401, Some("unauthorized"), None));

    let bearer = ("authorization", "Bearer a token");
    let ended = attach(&host, "/sessions/s/ingest?executionId=e", &[bearer]);
    assert_eq!(told(&ended), (409, Some("not_active"), Some("failed")));
}

#[test]
fn acknowledged_mode_needs_producer_and_attempt() {
    let host = host();
    host.start("e");
    for query in ["producer=p", "attempt=1", "producer=p&attempt=x", "producer=&attempt=1"] {
        let path = format!("/sessions/s/ingest?executionId=e&{query}");
        assert_eq!(told(&attach(&host, &path, ASK)), (400, Some("bad_request"), None), "{query}");
    }
}

#[test]
fn a_former_producer_is_superseded_and_an_old_attempt_only_fails() {
    let host = host();
    host.start("e");
    let mut first = host.acknowledged("e", "p1", 1);
    assert_eq!(first.next()["producer"], "p1");
    let mut newer = host.acknowledged("e", "p2", 5);
    assert_eq!(newer.next()["producer"], "p2");
    assert_eq!(first.close(), (4001, "replaced by a newer link".into()));

    let former = attach(&host, &acknowledged_path("e", "p1", 2), ASK);
    assert_eq!(told(&former), (409, Some("superseded"), None));
    let overtaken = attach(&host, &acknowledged_path("e", "p2", 4), ASK);
    assert_eq!(told(&overtaken), (409, None, None));

    newer.send(&json!({"streamEventType": "output", "seq": 1}));
    assert_eq!(newer.next(), json!({"type": "ack", "seq": 1}));
}

#[test]
fn a_failing_store_is_no_final_refusal() {
    let host = host();
    host.start("e");
    host.faults.fail_commits(true);
    let refused = attach(&host, &acknowledged_path("e", "p", 1), ASK);
    assert_eq!(told(&refused), (503, None, None));
    host.faults.fail_commits(false);
    let mut link = host.acknowledged("e", "p", 2);
    assert_eq!(link.next()["type"], "welcome");
}

#[test]
fn a_closed_coordinator_is_no_final_refusal() {
    let host = host();
    host.start("e");
    host.coordinator.close();
    let refused = attach(&host, &acknowledged_path("e", "p", 1), ASK);
    assert_eq!(told(&refused), (503, None, None));
}

#[test]
fn the_hosts_own_check_comes_after_the_execution_is_known() {
    type Asked = Vec<(String, String, Option<String>)>;
    let asked: Arc<Mutex<Asked>> = Arc::default();
    let asking = Arc::clone(&asked);
    let authorize = move |session: &str, execution: &str, bearer: Option<&str>| {
        let call = (session.to_owned(), execution.to_owned(), bearer.map(str::to_owned));
        asking.lock().unwrap().push(call);
        if bearer == Some("open sesame") { Authorization::Allow } else { Authorization::Deny }
    };
    let options =
        ServerOptions { authorize: Some(Arc::new(authorize)), ..ServerOptions::default() };
    let host = host_with(Settings::default(), options);
    host.start("e");

    let unknown = attach(&host, "/sessions/s/ingest?executionId=none&token=open%20sesame", &[]);
    assert_eq!(told(&unknown), (404, Some("not_found"), None));
    assert!(asked.lock().unwrap().is_empty());

    let token = format!("/sessions/s/ingest?executionId=e&token={}", TOKEN.replace(' ', "%20"));
    assert_eq!(told(&attach(&host, &token, &[])), (401, Some("unauthorized"), None));
    let path = "/sessions/s/ingest?executionId=e";
    let bearer = ("authorization", "Bearer open sesame");
    assert!(Peer::connect(host.address(), path, &[bearer]).is_ok());
    let call = |bearer: &str| ("s".to_owned(), "e".to_owned(), Some(bearer.to_owned()));
    assert_eq!(*asked.lock().unwrap(), [call(TOKEN), call("open sesame")]);
}

#[test]
fn session_ids_may_hold_anything_when_encoded() {
    let host = host();
    let session = host.coordinator.session("user_1:a/b ü").unwrap();
    let started = session.start(stayline::coordinator::StartOptions::default()).unwrap();
    let path = format!(
        "/sessions/user_1:a%2Fb%20%C3%BC/ingest?executionId={}&token={}",
        started.execution_id, started.token
    );
    let (mut link, _) = Peer::connect(host.address(), &path, &[]).unwrap();
    link.send(&json!({"streamEventType": "complete", "data": {"exitCode": 0}}));
    assert_eq!(link.close(), (4000, "execution done".into()));
}
