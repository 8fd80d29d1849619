//! Who waits for whom: nobody for readers, and no thread that drives sockets for a disk.
//!
//! The disk takes longer than the test: what is asserted has come while every read still waits.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;
use stayline::Settings;
use stayline::net::server::ServerOptions;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Host, PATIENCE, host_with, http, request, wait_for};

const DISK: Duration = Duration::from_secs(120);

/// One thread for all sockets.
fn host() -> Host {
    host_with(Settings::default(), ServerOptions { workers: 1, ..ServerOptions::default() })
}

/// A wrapper comes, and what it sends is kept; a command is carried out; the server answers.
fn all_goes_on(host: &Host) {
    let mut link = host.acknowledged("e", "p", 1);
    assert_eq!(link.next()["type"], "welcome");
    link.send(&json!({"streamEventType": "output", "data": {}, "seq": 1}));
    assert_eq!(link.next(), json!({"type": "ack", "seq": 1}));
    let interrupted = http(host.address(), "POST", "/sessions/s/interrupt", &[], "");
    assert_eq!(interrupted.json()["verdict"], "sent");
    assert_eq!(http(host.address(), "GET", "/health", &[], "").status, 200);
}

#[test]
fn wrappers_and_commands_do_not_wait_for_readers() {
    let host = host();
    host.start("e");
    host.faults.slow_reads(DISK);
    let path = "/sessions/s/executions?events=true";
    let mut reading: Vec<TcpStream> =
        (0..150).map(|_| request(host.address(), "GET", path, &[], "")).collect();
    let _streams: Vec<_> = (0..8).map(|_| host.stream("")).collect();
    all_goes_on(&host);
    for stream in &mut reading {
        stream.set_nonblocking(true).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_reader_that_falls_behind_holds_up_no_socket() {
    const EVENTS: u64 = 4_000;
    let host = host();
    let session = host.start("e");
    let mut stream = host.stream("");
    assert_eq!(stream.next()["streamEventType"], "connected");
    // More than the sockets' buffers and the session's memory take together.
    let mut link = host.basic("e");
    let event = json!({"streamEventType": "output", "data": {"text": "x".repeat(4_000)}});
    for _ in 0..EVENTS / 100 {
        link.send_all(&vec![event.clone(); 100]);
    }
    wait_for(|| (session.view().unwrap().record.last_event_id >= EVENTS).then_some(()));
    host.faults.slow_reads(DISK);
    // It takes what was on its way, and then the rest has to be read from the store.
    let socket = stream.socket.get_mut();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut buffer = vec![0; 1024 * 1024];
    let mut taken = 0;
    while let Ok(bytes) = socket.read(&mut buffer) {
        taken += bytes as u64;
    }
    assert!(taken < EVENTS * 4_000, "all of it was still in memory");
    all_goes_on(&host);
}

/// Commits wait until the answer is dropped; each tells that it has begun.
fn hold_commits(host: &Host) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (begin, begun) = mpsc::channel();
    let (let_go, held) = mpsc::channel::<()>();
    host.faults.before_commit(move |_| {
        let _ = begin.send(());
        // Ends at once when the other end is dropped.
        let _ = held.recv_timeout(DISK);
    });
    (begun, let_go)
}

#[test]
fn no_commit_is_made_where_sockets_are_driven() {
    let frame = json!({"streamEventType": "output", "data": {}, "seq": 1}).to_string();
    for message in [Some(Message::text(frame)), Some(Message::binary(vec![1, 2, 3])), None] {
        let host = host();
        host.start("e");
        let mut link = host.acknowledged("e", "p", 1);
        assert_eq!(link.next()["type"], "welcome");
        let (begun, let_go) = hold_commits(&host);
        let told = format!("{message:?}");
        match message {
            Some(message) => link.socket.send(message).unwrap(),
            // It goes away without a word.
            None => drop(link),
        }
        begun.recv_timeout(PATIENCE).expect(&told);
        assert_eq!(http(host.address(), "GET", "/health", &[], "").status, 200, "{told}");
        drop(let_go);
    }
}
