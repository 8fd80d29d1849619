//! One test for each way to make a server keep what a peer decides.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::child::*;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PING: u8 = 9;

/// How long a write may take before it counts as not taken. What is asserted does not depend on it.
const BLOCKED: Duration = Duration::from_millis(500);

/// Writes the same bytes again and again until the peer takes no more, at most so many; how many.
fn flood(stream: &mut TcpStream, piece: &[u8], most: u64) -> u64 {
    stream.set_write_timeout(Some(BLOCKED)).unwrap();
    let many = piece.repeat(64 * 1024 / piece.len());
    let mut written = 0;
    while written < most {
        match stream.write(&many[usize::try_from(written).unwrap() % many.len()..]) {
            Ok(bytes) => written += bytes as u64,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(_) => break,
        }
    }
    written
}

/// Floods with ever more; what the server holds must not grow with it.
fn stays_flat(path: &str, piece: &[u8]) {
    let server = Server::start(60_000, 10_000, "");
    let before = server.memory();
    let mut sockets = Vec::new();
    for most in [4 * MIB, 24 * MIB, 48 * MIB] {
        let mut socket = server.socket(path);
        flood(&mut socket, piece, most);
        sockets.push(socket);
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 24 * MIB, "{path}: {grown} bytes more");
    assert_eq!(server.get("/health").0, 200);
}

#[test]
fn pings_whose_pongs_are_never_read() {
    let ping = frame(PING, &[7; 125]);
    stays_flat("/sessions/s/stream", &ping);
    stays_flat("/sessions/s/ingest?executionId=e&token=t", &ping);
    stays_flat("/sessions/s/stream", &frame(PING, b""));
}

#[test]
fn bad_frames_whose_answers_are_never_read() {
    stays_flat("/sessions/s/ingest?executionId=e&token=t", &frame(TEXT, b"x"));
    stays_flat("/sessions/s/ingest?executionId=e&token=t", &frame(BINARY, b""));
}

#[test]
fn acknowledgements_that_are_never_read() {
    let server = Server::start(60_000, 10_000, "");
    let before = server.memory();
    let path = "/sessions/s/ingest?executionId=e&token=t&protocol=2&producer=p&attempt=1";
    let mut socket = server.socket(path);
    socket.set_write_timeout(Some(BLOCKED)).unwrap();
    // A number that was seen is acknowledged again and stored no more.
    let event = br#"{"streamEventType":"output","data":{},"seq":1}"#;
    flood(&mut socket, &frame(TEXT, event), 48 * MIB);
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 24 * MIB, "{grown} bytes more");
}

#[test]
fn a_peer_that_takes_nothing_for_long_is_told_1008() {
    let server = Server::start(8_000, 10_000, "");
    let paths = ["/sessions/s/stream", "/sessions/s/ingest?executionId=e&token=t"];
    let mut sockets = paths.map(|path| server.socket(path));
    for socket in &mut sockets {
        flood(socket, &frame(PING, &[7; 125]), 64 * MIB);
    }
    // Long over, and so long again the server waits for somebody to read why.
    std::thread::sleep(Duration::from_secs(11));
    for (path, mut socket) in paths.into_iter().zip(sockets) {
        let mut told = Vec::new();
        // The end may be a reset, since not all that was written has been read.
        let _ = socket.read_to_end(&mut told);
        // A close frame, its length, and the code.
        let is_close = |bytes: &[u8]| bytes[0] == 0x88 && bytes[2..] == 1008u16.to_be_bytes();
        let found = told.windows(4).any(is_close);
        assert!(found, "{path}: no close 1008 among {} bytes", told.len());
    }
}

#[test]
fn bodies_that_never_end() {
    for (key, sent) in [(KEY, KEY), (KEY, "wrong"), ("", "")] {
        let server = Server::start(60_000, 60_000, key);
        let before = server.memory();
        let headers = format!("authorization: Bearer {sent}\r\ncontent-length: 2000000\r\n");
        let mut peers = Vec::new();
        for _ in 0..300 {
            let mut peer = server.ask("POST", "/sessions/s/interrupt", &headers);
            peer.set_write_timeout(Some(BLOCKED)).unwrap();
            // All but the end.
            let _ = peer.write_all(&vec![b' '; 1_900_000]);
            peers.push(peer);
        }
        let grown = server.memory().saturating_sub(before);
        assert!(grown < 200 * MIB, "{key:?} {sent:?}: {grown} bytes more");
        assert_eq!(server.get("/health").0, 200);
        // A wrapper comes in all the same.
        server.link();
    }
}

const LONG: &str = "/sessions/runs/executions?limit=1000";

#[test]
fn answers_that_nobody_reads() {
    let server = Server::start(60_000, 10_000, "");
    let before = server.memory();
    let _peers: Vec<TcpStream> =
        (0..100).map(|_| server.ask("GET", LONG, "connection: close\r\n")).collect();
    server.wait_until("an answer over the bound is refused", || server.get(LONG).0 == 429);
    let grown = settled(&server).saturating_sub(before);
    assert!(grown < 250 * MIB, "{grown} bytes more");
    // What is short is answered all the same.
    assert_eq!(server.get("/sessions/s").0, 200);
}

#[test]
fn a_peer_that_does_not_take_its_answer_is_dropped() {
    let server = Server::start(1_000, 10_000, "");
    let before = server.descriptors();
    let peers: Vec<TcpStream> =
        (0..5).map(|_| server.ask("GET", LONG, "connection: close\r\n")).collect();
    server.wait_until("they are here", || server.descriptors() >= before + peers.len());
    server.wait_until("they are dropped", || server.descriptors() <= before);
    for mut peer in peers {
        let mut text = Vec::new();
        let end = peer.read_to_end(&mut text);
        assert!(end.is_err() || text.len() < 4_000_000, "the whole answer came");
    }
}

#[test]
fn event_streams_that_are_not_read() {
    for path in ["/sessions/full/events", "/sessions/full/stream"] {
        let server = Server::start(1_000, 10_000, "");
        let open = |count: usize| -> Vec<TcpStream> {
            (0..count)
                .map(|_| match path.ends_with("stream") {
                    true => server.socket(path),
                    false => server.ask("GET", path, ""),
                })
                .collect()
        };
        let _few = open(20);
        let settled = settled(&server);
        let many = open(100);
        let each = self::settled(&server).saturating_sub(settled) / many.len() as u64;
        // The bound, with what the libraries keep of their own.
        assert!(each < 640 * 1024, "{path}: {each} bytes a stream");
        // A slow reader is not dropped (R35), and gets all.
        std::thread::sleep(Duration::from_millis(1_500));
        let mut slow = many.into_iter().next().unwrap();
        let mut read = 0;
        let mut buffer = vec![0; 64 * 1024];
        while read < EVENTS * 1_000 {
            read += slow.read(&mut buffer).unwrap();
        }
    }
}

/// Its memory once that does not grow any more.
fn settled(server: &Server) -> u64 {
    let mut last = server.memory();
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = server.memory();
        if now <= last + 256 * 1024 {
            return now;
        }
        last = now;
    }
}

#[test]
fn no_descriptors_left_is_told_once_and_is_over_when_there_are_some() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = Server::with_few_descriptors(20, &log);
    let lines = || -> Vec<String> {
        let log = std::fs::read_to_string(&log).unwrap();
        log.lines().filter(|line| line.contains("accepted")).map(str::to_owned).collect()
    };
    let sockets: Vec<TcpStream> = (0..60).map(|_| server.connect()).collect();
    server.wait_until("it is told", || !lines().is_empty());
    // It tries again and again meanwhile.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(lines().len(), 1, "{:?}", lines());
    assert!(lines()[0].starts_with("ERROR"), "{:?}", lines());
    drop(sockets);
    server.wait_until("it serves again", || {
        let mut text = String::new();
        let mut stream = server.ask("GET", "/health", "connection: close\r\n");
        stream.read_to_string(&mut text).is_ok() && status_of(&text) == 200
    });
    assert_eq!(lines().len(), 1);
}
