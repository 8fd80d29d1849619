//! What a peer may take, and how it is told that there is no more: by one answer, always in the
//! same shape, or one close code. (What it costs in memory is in `tests/bounds`.)

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use stayline::coordinator::FailOptions;
use stayline::net::server::{ServerLimits, ServerOptions, serve};
use stayline::{Error, Settings};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    Answer, Host, PATIENCE, Peer, TOKEN, error_name, host, host_with, http, request, wait_for,
};

const KEY: (&str, &str) = ("authorization", "Bearer the key");

fn limited(key: Option<&str>, limits: ServerLimits) -> Host {
    let key = key.map(str::to_owned);
    host_with(Settings::default(), ServerOptions { key, limits, ..ServerOptions::default() })
}

fn silent(host: &Host) -> TcpStream {
    let stream = TcpStream::connect(host.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes until the end.
fn answer_of(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // The end may be a reset.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// The status, the error's name, and the limit that it names; the shape is always the same.
fn told(answer: &Answer) -> (u16, String, Value) {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    let json = answer.json();
    assert!(json["message"].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
    (answer.status, json["error"].as_str().unwrap().to_owned(), json["limit"].clone())
}

fn exceeded(status: u16, limit: &str) -> (u16, String, Value) {
    (status, "LimitExceeded".to_owned(), json!(limit))
}

#[test]
fn one_socket_too_many_is_told_and_has_room_when_another_has_gone() {
    let limits = ServerLimits { max_sockets: 3, ..ServerLimits::default() };
    let host = limited(None, limits);
    host.start("e");
    let link = host.basic("e");
    let held = [silent(&host), silent(&host)];
    let refused = wait_for(|| {
        let answer = http(host.address(), "GET", "/health", &[], "");
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(told(&refused), exceeded(503, "max_sockets"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(held);
    wait_for(|| {
        let mut stream = request(host.address(), "GET", "/health", &[], "");
        let mut text = String::new();
        (stream.read_to_string(&mut text).is_ok() && text.contains("200 OK")).then_some(())
    });
    drop(link);
}

#[test]
fn who_says_nothing_makes_room_for_who_does() {
    let limits = ServerLimits { max_unauthenticated_sockets: 3, ..ServerLimits::default() };
    let host = limited(Some("the key"), limits);
    host.start("e");
    // Who was let in has a place of its own, however silent.
    let mut stream = Peer::connect(host.address(), "/sessions/s/stream", &[KEY]).unwrap().0;
    assert_eq!(stream.next()["streamEventType"], "connected");
    let mut link = host.basic("e");
    let mut held: Vec<TcpStream> = (0..12).map(|_| silent(&host)).collect();
    assert_eq!(http(host.address(), "GET", "/sessions/s", &[KEY], "").status, 200);
    let first = answer_of(&mut held[0]);
    assert_eq!(told(&first), exceeded(503, "max_unauthenticated_sockets"));
    // Refused is not let in: these take the places of those that have none either.
    for _ in 0..9 {
        assert_eq!(http(host.address(), "GET", "/sessions/s", &[], "").status, 401);
    }
    link.send(&json!({"streamEventType": "output", "data": {}}));
    assert_eq!(stream.next()["streamEventType"], "output");
}

#[test]
fn requests_of_one_kind_do_not_take_the_room_of_another() {
    let limits = ServerLimits {
        max_requests: 1,
        body_timeout: Duration::from_secs(600),
        ..ServerLimits::default()
    };
    let host = limited(None, limits);
    host.start("e");
    // It is asked for its body once it has its place.
    let mut under_way = silent(&host);
    let head = "POST /sessions/s/ticket HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\
                expect: 100-continue\r\n\r\n";
    under_way.write_all(head.as_bytes()).unwrap();
    let mut asked = [0; 25];
    under_way.read_exact(&mut asked).unwrap();
    assert_eq!(asked, *b"HTTP/1.1 100 Continue\r\n\r\n");
    under_way.write_all(b"{").unwrap();
    let second = http(host.address(), "POST", "/sessions/s/ticket", &[], "");
    assert_eq!(told(&second), exceeded(429, "max_requests"));
    assert_eq!(second.header("retry-after"), Some("1"));
    assert_eq!(http(host.address(), "GET", "/sessions/s", &[], "").status, 200);
    host.basic("e");
    under_way.write_all(b"        }").unwrap();
    wait_for(|| {
        (http(host.address(), "POST", "/sessions/s/ticket", &[], "").status == 201).then_some(())
    });
}

#[test]
fn bodies_have_a_size_and_a_time() {
    let limits = ServerLimits { max_body_bytes: 10_000, ..ServerLimits::default() };
    let host = limited(Some("the key"), limits.clone());
    host.start("e");
    let path = "/sessions/s/executions/e/interrupt";
    let long = " ".repeat(10_001);
    let answer = http(host.address(), "POST", path, &[KEY], &long);
    assert_eq!(told(&answer), exceeded(413, "max_body_bytes"));
    assert_eq!(answer.json()["value"], 10_000);
    // Without a length it is found out on the way.
    let mut chunked = silent(&host);
    let head = format!("POST {path} HTTP/1.1\r\nhost: h\r\n{}: {}\r\n", KEY.0, KEY.1);
    let body = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    chunked.write_all((head.clone() + &body).as_bytes()).unwrap();
    let mut begun = vec![0; 12];
    chunked.read_exact(&mut begun).unwrap();
    assert_eq!(begun, b"HTTP/1.1 413");
    let body_timeout = Duration::from_millis(200);
    let hasty = limited(Some("the key"), ServerLimits { body_timeout, ..limits });
    let mut slow = silent(&hasty);
    slow.write_all((head + "content-length: 9\r\n\r\n{").as_bytes()).unwrap();
    let answer = answer_of(&mut slow);
    assert_eq!(told(&answer), (408, "Timeout".to_owned(), Value::Null));
    // The key comes first.
    assert_eq!(http(host.address(), "POST", path, &[], &long).status, 401);
    assert_eq!(http(host.address(), "POST", path, &[KEY], &" ".repeat(10_000)).status, 200);
}

#[test]
fn a_body_is_read_before_its_answer_whoever_it_was_for() {
    let host = limited(Some("the key"), ServerLimits::default());
    host.start("e");
    let body = "x".repeat(1_900_000);
    let wrong = ("authorization", "Bearer wrong");
    for (method, path, key, status) in [
        ("PUT", "/nowhere", KEY, 404),
        ("POST", "/nowhere/else", wrong, 404),
        ("PUT", "/sessions/s", KEY, 405),
        ("POST", "/sessions/s/executions", wrong, 401),
        ("POST", "/sessions/s/executions", KEY, 400),
    ] {
        // Writes all before it reads anything, in small pieces.
        let mut stream = silent(&host);
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: h\r\n{}: {}\r\ncontent-length: {length}\r\n\r\n",
            key.0, key.1
        );
        stream.write_all(head.as_bytes()).unwrap();
        for piece in body.as_bytes().chunks(50_000) {
            stream.write_all(piece).unwrap();
        }
        // The connection is as good as before.
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{method} {path}: {text}");
        assert!(text.contains("HTTP/1.1 200 OK"), "{method} {path}: {text}");
    }
}

#[test]
fn every_error_has_the_same_shape() {
    let host = host();
    host.start("e");
    let raw = |text: &str| {
        let mut stream = silent(&host);
        stream.write_all(text.as_bytes()).unwrap();
        told(&answer_of(&mut stream))
    };
    let invalid = |status: u16| (status, "InvalidArgument".to_owned(), Value::Null);
    assert_eq!(raw("NONSENSE\r\n\r\n"), invalid(400));
    assert_eq!(raw("\u{16}\u{3}\u{1} this is no request\r\n\r\n"), invalid(400));
    let long = "x".repeat(300_000);
    assert_eq!(
        raw(&format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n")),
        invalid(431)
    );
    let get = |path: &str| http(host.address(), "GET", path, &[], "");
    assert_eq!(told(&get("/sessions/%FF")), invalid(400));
    assert_eq!(told(&get("/sessions/s/ticket")), invalid(405));
    assert_eq!(told(&get("/sessions/s/stream")), invalid(426));
    assert_eq!(told(&get("/sessions?cursor=x")), invalid(400));
    assert_eq!(told(&get("/nowhere")).0, 404);
    let foreign = [("origin", "https://evil.example")];
    assert_eq!(told(&http(host.address(), "GET", "/health", &foreign, "")).0, 403);
    let foreign = [("host", "evil.example")];
    assert_eq!(told(&http(host.address(), "GET", "/health", &foreign, "")).0, 421);
}

#[test]
fn who_breaks_the_rules_of_websocket_is_told_how() {
    let host = host();
    host.start("e");
    let links: [&dyn Fn() -> Peer; 2] = [&|| host.basic("e"), &|| host.stream("")];
    for open in links {
        for (frame, code) in [
            // A frame that is not masked, an opcode that there is not, a text that is no UTF-8.
            (&[0x81, 1, b'x'][..], 1002),
            (&[0x83, 0x80, 0, 0, 0, 0][..], 1002),
            (&[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28][..], 1007),
            // A length of 2^40 bytes.
            (&[0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], 1009),
        ] {
            let mut peer = open();
            peer.socket.get_mut().write_all(frame).unwrap();
            loop {
                match peer.socket.read().unwrap() {
                    Message::Close(close) => {
                        assert_eq!(u16::from(close.unwrap().code), code, "{frame:?}");
                        break;
                    }
                    Message::Text(_) | Message::Ping(_) => {}
                    other => panic!("expected a close, not {other:?}"),
                }
            }
        }
    }
}

#[test]
fn a_list_comes_in_pages_that_its_cursor_leads_through() {
    let limits = ServerLimits { max_page_bytes: 20_000, ..ServerLimits::default() };
    let host = limited(None, limits);
    for run in 0..12 {
        let session = host.start(&format!("e{run}"));
        let options = FailOptions { message: "x".repeat(6_000), ..FailOptions::default() };
        session.fail(&format!("e{run}"), options).unwrap();
    }
    let (mut found, mut query) = (Vec::new(), "limit=1000".to_owned());
    loop {
        let path = format!("/sessions/s/executions?{query}");
        let page = http(host.address(), "GET", &path, &[], "");
        assert!(page.body.len() < 30_000, "{}", page.body.len());
        let page = page.json();
        let entries = page["executions"].as_array().unwrap();
        found.extend(entries.iter().map(|one| one["executionId"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["cursor"].as_str() else { break };
        query = format!("limit=1000&cursor={cursor}");
    }
    let all: Vec<String> = (0..12).rev().map(|run| format!("e{run}")).collect();
    assert_eq!(found, all);
    let sessions = http(host.address(), "GET", "/sessions", &[], "").json();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(sessions.get("cursor"), None);
}

/// As it is written, not as it is kept: an escape takes up to six bytes for one.
#[test]
fn a_page_is_bounded_whatever_its_texts_are_made_of() {
    let limits = ServerLimits { max_page_bytes: 20_000, ..ServerLimits::default() };
    let host = limited(None, limits);
    for run in 0..12 {
        let session = host.start(&format!("e{run}"));
        let options = FailOptions { message: "\u{1}".repeat(1_000), ..FailOptions::default() };
        session.fail(&format!("e{run}"), options).unwrap();
    }
    for path in ["/sessions/s/executions?limit=1000", "/sessions?limit=1000"] {
        let page = http(host.address(), "GET", path, &[], "");
        assert_eq!(page.status, 200);
        assert!(page.body.len() < 30_000, "{path}: {}", page.body.len());
    }
}

/// A host with a list that is longer than what the kernel keeps of an answer.
fn with_long_list(limits: ServerLimits) -> Host {
    let host = limited(None, ServerLimits { max_page_bytes: 64 * 1024 * 1024, ..limits });
    for run in 0..1_000 {
        let session = host.start(&format!("e{run}"));
        let options = FailOptions { message: "x".repeat(16_000), ..FailOptions::default() };
        session.fail(&format!("e{run}"), options).unwrap();
    }
    host
}

const LONG_LIST: &str = "GET /sessions/s/executions?limit=1000 HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Whether somebody else is answered. The end of one that is not may be a reset.
fn is_answered(host: &Host, path: &str, status: u16) -> Option<()> {
    let mut text = String::new();
    let read = request(host.address(), "GET", path, &[], "").read_to_string(&mut text);
    (read.is_ok() && text.starts_with(&format!("HTTP/1.1 {status}"))).then_some(())
}

#[test]
fn who_read_a_stream_is_not_waited_for_longer_with_other_answers() {
    let limits = ServerLimits {
        max_sockets: 1,
        stuck_timeout: Duration::from_millis(300),
        ..ServerLimits::default()
    };
    let host = with_long_list(limits);
    let other = host.coordinator.session("other").unwrap();
    other.start(Default::default()).unwrap();
    let mut reader = silent(&host);
    let head = "GET /sessions/other/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    reader.write_all(head.as_bytes()).unwrap();
    let mut begun = [0; 12];
    reader.read_exact(&mut begun).unwrap();
    assert_eq!(begun, *b"HTTP/1.1 200");
    other.delete().unwrap();
    // Its stream is over, and its connection is not.
    reader.write_all(LONG_LIST.as_bytes()).unwrap();
    wait_for(|| is_answered(&host, "/health", 200));
}

#[test]
fn who_is_sent_away_goes_though_it_takes_no_answer() {
    let limits = ServerLimits {
        max_sockets: 1,
        max_unauthenticated_sockets: 1,
        stuck_timeout: Duration::from_secs(600),
        ..ServerLimits::default()
    };
    let host = limited(Some("the key"), limits);
    host.start("e");
    let mut refused = silent(&host);
    refused.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let requests = "GET /sessions/s HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1_000);
    // Until its answers, and then its questions, fill everything up.
    while refused.write_all(requests.as_bytes()).is_ok() {}
    wait_for(|| is_answered(&host, "/health", 200));
}

#[test]
fn metrics_are_a_request_like_others() {
    let host = with_long_list(ServerLimits { max_requests: 1, ..ServerLimits::default() });
    assert_eq!(http(host.address(), "GET", "/metrics", &[], "").status, 200);
    let mut under_way = silent(&host);
    under_way.write_all(LONG_LIST.as_bytes()).unwrap();
    let mut begun = [0; 12];
    under_way.read_exact(&mut begun).unwrap();
    wait_for(|| is_answered(&host, "/metrics", 429));
    drop(under_way);
    wait_for(|| is_answered(&host, "/metrics", 200));
}

#[test]
fn days_without_a_time_are_times() {
    let host = host();
    host.start("e");
    let mut link = host.basic("e");
    for day in ["2026-03-06T12:00:00Z", "2026-03-07T12:00:00Z", "2026-03-08T12:00:00Z"] {
        link.send(&json!({"streamEventType": "output", "data": {"day": day}, "timestamp": day}));
    }
    link.send(&json!({"streamEventType": "output", "data": {}, "timestamp": "2026-03-09"}));
    wait_for(|| (host.events().len() == 4).then_some(()));
    let mut stream = host.stream("startTime=2026-03-07&endTime=2026-03-08");
    assert_eq!(stream.next()["data"]["day"], "2026-03-07T12:00:00Z");
    assert_eq!(stream.next()["streamEventType"], "connected");
    let mut last = host.stream("startTime=2026-03-09&endTime=2026-03-09");
    assert_eq!(last.next()["timestamp"], "2026-03-09T00:00:00.000Z");
}

#[test]
fn limits_and_workers_are_checked() {
    let wrong = [
        ServerOptions { workers: 0, ..ServerOptions::default() },
        ServerOptions {
            limits: ServerLimits { max_sockets: 0, ..ServerLimits::default() },
            ..ServerOptions::default()
        },
    ];
    let host = host();
    for options in wrong {
        let error = serve(host.coordinator.clone(), "127.0.0.1:0", options).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    }
    let options = ServerOptions { workers: 1, ..ServerOptions::default() };
    let server = serve(host.coordinator.clone(), "127.0.0.1:0", options).unwrap();
    host.start("e");
    let path = format!("/sessions/s/ingest?executionId=e&token={}", TOKEN.replace(' ', "%20"));
    Peer::connect(server.address(), &path, &[]).unwrap();
    server.close();
}

#[test]
fn a_closed_coordinator_is_not_served() {
    let host = host();
    host.coordinator.close();
    let served = serve(host.coordinator.clone(), "127.0.0.1:0", ServerOptions::default());
    assert_eq!(error_name(served), "Closed");
}
