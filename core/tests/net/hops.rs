//! What proxies and other people's clients make of HTTP and WebSocket: heads in other letters and
//! on more lines, HTTP/1.0, frames that come with the request, in pieces, or a byte at a time.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};
use stayline::Settings;
use stayline::net::server::ServerOptions;

use crate::support::{Host, PATIENCE, host, host_with};

/// The sample key of RFC 6455, and what must be answered to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const INGEST: &str = "/sessions/s/ingest?executionId=e&token=a%20token";

/// A client that writes bytes.
struct Raw {
    socket: TcpStream,
    /// Read and not used yet.
    got: Vec<u8>,
}

impl Raw {
    fn to(host: &Host) -> Raw {
        let socket = TcpStream::connect(host.address()).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Raw { socket, got: Vec::new() }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// Whether there was more.
    fn fill(&mut self) -> bool {
        let mut more = [0; 4096];
        let read = self.socket.read(&mut more).unwrap_or(0);
        self.got.extend_from_slice(&more[..read]);
        read > 0
    }

    /// The status, and the head in small letters.
    fn head(&mut self) -> (u16, String) {
        loop {
            if let Some(end) = self.got.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.got.drain(..end + 4).collect();
                let head = String::from_utf8(head).unwrap().to_lowercase();
                return (head.split(' ').nth(1).unwrap().parse().unwrap(), head);
            }
            assert!(self.fill(), "no answer: {:?}", String::from_utf8_lossy(&self.got));
        }
    }

    /// The next frame of the server's: its kind and what is in it. None is longer than 64 KiB.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        loop {
            if let [first, length, rest @ ..] = &self.got[..] {
                let (at, length) = match (length, rest) {
                    (126, [high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
                    (126, _) => (4, usize::MAX - 4),
                    (length, _) => (2, usize::from(*length)),
                };
                if self.got.len() >= at + length {
                    let kind = first & 15;
                    let frame = self.got.drain(..at + length).skip(at).collect();
                    return (kind, frame);
                }
            }
            assert!(self.fill(), "the connection ended without a close frame");
        }
    }
}

/// A client's frame. The mask changes nothing.
fn frame(is_last: bool, kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![u8::from(is_last) << 7 | kind];
    match u8::try_from(payload.len()) {
        Ok(short @ ..=125) => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn event(event_type: &str, data: Value) -> Vec<u8> {
    json!({"streamEventType": event_type, "data": data}).to_string().into_bytes()
}

fn upgrade(path: &str, lines: &[&str]) -> Vec<u8> {
    let mut head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n");
    for line in lines {
        head += line;
        head += "\r\n";
    }
    head += "\r\n";
    head.into_bytes()
}

fn key_line() -> String {
    format!("Sec-WebSocket-Key: {KEY}")
}

/// The answer to an upgrade with these lines.
fn answered(host: &Host, path: &str, lines: &[&str]) -> (u16, String) {
    let mut raw = Raw::to(host);
    raw.write(&upgrade(path, lines));
    raw.head()
}

#[test]
fn upgrades_are_understood_however_they_are_written() {
    let host = host();
    host.start("e");
    let key = key_line();
    for lines in [
        &["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"][..],
        &["UPGRADE: WebSocket", "CONNECTION: keep-alive, Upgrade", "SEC-WEBSOCKET-VERSION: 13"],
        &["upgrade: WEBSOCKET", "connection: UPGRADE,keep-alive", "sec-websocket-version:13"],
        // One list on two lines, and a choice: both are the same to HTTP.
        &[
            "Connection: keep-alive",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
        ],
        &["Connection: upgrade", "Upgrade: h2c, websocket", "Sec-WebSocket-Version: 13"],
        &["Connection: upgrade", "Upgrade: h2c", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
        // What is offered and not taken, and what proxies add.
        &[
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-unknown",
            "X-Forwarded-For: 203.0.113.7, 10.0.0.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil.example",
            "Forwarded: for=203.0.113.7;host=evil.example",
            "Via: 1.1 proxy",
        ],
        &[
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Content-Length: 0",
        ],
    ] {
        let lines: Vec<&str> = lines.iter().copied().chain([key.as_str()]).collect();
        let (status, head) = answered(&host, INGEST, &lines);
        assert_eq!(status, 101, "{lines:?}: {head}");
        assert!(
            head.contains(&format!("sec-websocket-accept: {}", ACCEPT.to_lowercase())),
            "{head}"
        );
        assert!(!head.contains("sec-websocket-extensions"), "{head}");
    }
    let absolute = format!("http://{}{INGEST}", host.address());
    let lines = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", &key];
    assert_eq!(answered(&host, &absolute, &lines).0, 101);
}

#[test]
fn what_is_no_upgrade_is_told_so_and_is_no_final_refusal() {
    let host = host();
    host.start("e");
    let key = key_line();
    let whole = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", &key];
    for left_out in 0..whole.len() {
        let mut lines = whole.to_vec();
        lines.remove(left_out);
        let (status, head) = answered(&host, INGEST, &lines);
        assert_eq!(status, 426, "{lines:?}");
        assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
        assert!(head.contains("\r\nsec-websocket-version: 13\r\n"), "{head}");
        assert!(!head.contains("stayline-refusal"), "{head}");
    }
    for wrong in [
        "Sec-WebSocket-Key: short",
        "Sec-WebSocket-Key: ",
        "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==",
    ] {
        let mut lines = whole.to_vec();
        lines[3] = wrong;
        let (status, head) = answered(&host, INGEST, &lines);
        assert_eq!(status, 400, "{wrong}");
        assert!(!head.contains("stayline-refusal"), "{head}");
    }
    // A proxy that speaks HTTP/1.0 to us cannot pass an upgrade on; that is told where it is seen.
    let mut raw = Raw::to(&host);
    let old = String::from_utf8(upgrade(INGEST, &whole)).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    raw.write(old.as_bytes());
    let (status, head) = raw.head();
    assert_eq!(status, 426, "{head}");
    assert!(!head.contains("stayline-refusal"), "{head}");
    while raw.fill() {}
    assert!(String::from_utf8_lossy(&raw.got).contains("HTTP/1.0"), "{:?}", raw.got);
    // With another method it is not this address.
    let mut raw = Raw::to(&host);
    let post = String::from_utf8(upgrade(INGEST, &whole)).unwrap().replace("GET ", "POST ");
    raw.write(post.as_bytes());
    assert_eq!(raw.head().0, 405);
}

#[test]
fn an_upgrade_with_a_body_reads_none_of_it_as_frames() {
    let host = host();
    host.start("e");
    let key = key_line();
    let frame = frame(true, 1, &event("output", json!({"n": 1})));
    let length = format!("Content-Length: {}", frame.len());
    let chunked = [format!("{:x}\r\n", frame.len()).as_bytes(), &frame, b"\r\n0\r\n\r\n"].concat();
    for (line, body) in [(&*length, &frame), ("Transfer-Encoding: chunked", &chunked)] {
        let lines =
            ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", &key, line];
        let mut raw = Raw::to(&host);
        raw.write(&[&upgrade(INGEST, &lines), &body[..]].concat());
        let (status, head) = raw.head();
        assert_eq!(status, 400, "{line}: {head}");
        assert!(!head.contains("stayline-refusal"), "{head}");
    }
    assert!(host.events().is_empty());
}

#[test]
fn frames_come_with_the_request_in_pieces_and_a_byte_at_a_time() {
    let host = host();
    host.start("e");
    let text = "grün 👀 ".repeat(30);
    let whole = event("output", json!({"n": 2, "text": text}));
    // In the middle of a character.
    let eyes = "👀".as_bytes();
    let cut = whole.windows(eyes.len()).position(|window| window == eyes).unwrap() + 2;
    let ping = [7; 125];

    let mut raw = Raw::to(&host);
    let key = key_line();
    let lines = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", &key];
    let mut first = upgrade(INGEST, &lines);
    first.extend(frame(true, 1, &event("output", json!({"n": 1}))));
    raw.write(&first);
    assert_eq!(raw.head().0, 101);
    raw.write(&frame(false, 1, &whole[..cut]));
    raw.write(&frame(true, 9, &ping));
    raw.write(&frame(false, 0, &whole[cut..cut + 1]));
    raw.write(&frame(true, 10, b"nobody asked"));
    raw.write(&frame(false, 0, b""));
    raw.write(&frame(true, 0, &whole[cut + 1..]));
    for byte in frame(true, 1, &event("output", json!({"n": 3}))) {
        raw.write(&[byte]);
    }
    raw.write(&frame(true, 1, &event("complete", json!({"exitCode": 0}))));
    let mut pong = None;
    let closed = loop {
        match raw.frame() {
            (10, payload) => pong = Some(payload),
            (8, payload) => break u16::from_be_bytes([payload[0], payload[1]]),
            _ => {}
        }
    };
    assert_eq!((pong.as_deref(), closed), (Some(&ping[..]), 4000));
    let events = host.events();
    let numbers: Vec<_> = events.iter().filter_map(|(_, data)| data["n"].as_u64()).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(events[1].1["text"], text);
}

#[test]
fn plain_requests_take_every_form_that_http_has() {
    let options = ServerOptions { base_path: "/stay/line".into(), ..ServerOptions::default() };
    let host = host_with(Settings::default(), options);
    let address = host.address();
    for (request, status) in [
        ("GET /stay/line/health HTTP/1.0\r\n\r\n".to_owned(), 421),
        ("GET /stay/line/health HTTP/1.0\r\nHost: localhost\r\n\r\n".to_owned(), 200),
        ("HEAD /stay/line/health HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 200),
        (format!("GET http://{address}/stay/line/health HTTP/1.1\r\nHost: x\r\n\r\n"), 200),
        (
            "GET http://evil.example/stay/line/health HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
            421,
        ),
        (
            "POST /stay/line/sessions/p/executions HTTP/1.0\r\nHost: localhost\r\n\
             Content-Length: 0\r\n\r\n"
                .into(),
            201,
        ),
        (
            "POST /stay/line/sessions/q/executions HTTP/1.1\r\nHost: localhost\r\n\
             Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
                .into(),
            201,
        ),
        (
            "GET /stay/line/sessions/q HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
                .into(),
            200,
        ),
        // Two lengths, or a length and chunks: where a message ends must not be a matter of opinion.
        (
            "POST /stay/line/sessions/r/executions HTTP/1.1\r\nHost: localhost\r\n\
             Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"
                .into(),
            400,
        ),
        (
            "OPTIONS /stay/line/sessions HTTP/1.1\r\nHost: localhost\r\n\
             Origin: http://localhost\r\nAccess-Control-Request-Method: GET\r\n\r\n"
                .into(),
            204,
        ),
        ("OPTIONS /stay/line/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), 405),
        // Who the proxy says it is changes nothing: anybody can say it.
        (
            "GET /stay/line/health HTTP/1.1\r\nHost: evil.example\r\n\
             X-Forwarded-Host: localhost\r\nForwarded: host=localhost\r\n\r\n"
                .into(),
            421,
        ),
    ] {
        let mut raw = Raw::to(&host);
        raw.write(request.as_bytes());
        assert_eq!(raw.head().0, status, "{request}");
        raw.socket.shutdown(Shutdown::Both).unwrap();
    }
}

#[test]
fn a_page_is_the_servers_own_whether_or_not_its_port_is_written() {
    let options = ServerOptions { key: Some("the key".into()), ..ServerOptions::default() };
    let host = host_with(Settings::default(), options);
    for (name, origin, status) in [
        ("runs.example", "https://runs.example", 401),
        ("runs.example:443", "https://runs.example", 401),
        ("runs.example", "https://runs.example:443", 401),
        ("runs.example:80", "http://runs.example", 401),
        ("RUNS.example", "https://runs.example", 401),
        ("runs.example:80", "https://runs.example", 403),
        ("runs.example:8443", "https://runs.example", 403),
        ("runs.example", "https://evil.example", 403),
        ("runs.example", "null", 403),
    ] {
        let mut raw = Raw::to(&host);
        let head = format!("GET /sessions HTTP/1.1\r\nHost: {name}\r\nOrigin: {origin}\r\n\r\n");
        raw.write(head.as_bytes());
        assert_eq!(raw.head().0, status, "{name} {origin}");
    }
}
