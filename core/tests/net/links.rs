//! The life of a link: replaced, closed, silent, congested, and the server's own end (R20, R26,
//! R35, R47a).

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;
use stayline::Settings;
use stayline::coordinator::{Coordinator, Options};
use stayline::net::server::{ServerOptions, serve};
use stayline::session::records::Status;
use stayline::store::faults::Faults;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::support::{Host, PATIENCE, Peer, all_events, host, host_with, prompt, wait_for};

/// Code and reason of the grace that the execution is in.
fn grace(host: &Host) -> (u16, String) {
    wait_for(|| {
        let grace = host.session().execution("e").unwrap().record.grace;
        grace.map(|grace| (grace.code, grace.reason))
    })
}

#[test]
fn a_newer_link_replaces_the_older_with_4001() {
    let host = host();
    host.start("e");
    let mut older = host.basic("e");
    let mut newer = host.basic("e");
    assert_eq!(older.close(), (4001, "replaced by a newer link".into()));
    drop(older);
    newer.send(&json!({"streamEventType": "output"}));
    newer.send(&json!({"streamEventType": "complete", "data": {"exitCode": 0}}));
    assert_eq!(newer.close().0, 4000);
    assert_eq!(host.types(), ["output", "complete"]);
}

#[test]
fn the_peers_close_code_and_reason_begin_the_grace() {
    let host = host();
    host.start("e");
    let mut link = host.basic("e");
    let frame = CloseFrame { code: 1001.into(), reason: "going away".into() };
    link.socket.close(Some(frame)).unwrap();
    assert_eq!(grace(&host), (1001, "going away".into()));
}

#[test]
fn a_close_without_a_code_and_a_lost_connection_count_as_1006() {
    for without_a_word in [false, true] {
        let host = host();
        host.start("e");
        let mut link = host.basic("e");
        link.send(&json!({"streamEventType": "output"}));
        if without_a_word {
            drop(link);
        } else {
            link.socket.close(None).unwrap();
        }
        assert_eq!(grace(&host).0, 1006);
        assert_eq!(host.types(), ["output"]);
    }
}

fn quick_to_give_up() -> Settings {
    // Long enough that a busy machine does not make a lively peer look dead.
    Settings {
        ping_interval_ms: 100,
        link_timeout_ms: 2_000,
        basic_link_timeout_ms: 2_000,
        ..prompt()
    }
}

#[test]
fn a_silent_link_is_given_up_and_a_ponging_one_is_kept() {
    let host = host_with(quick_to_give_up(), ServerOptions::default());
    host.start("e");
    let silent = host.basic("e");
    // Reads nothing, so it answers no ping.
    let (code, reason) = grace(&host);
    assert_eq!((code, reason.as_str()), (1006, "the link fell silent"));
    drop(silent);

    let mut answering = host.basic("e");
    // Each of them is answered by the read that finds it; together they outlast the timeout.
    for _ in 0..25 {
        while !matches!(answering.socket.read().unwrap(), Message::Ping(_)) {}
    }
    answering.send(&json!({"streamEventType": "complete", "data": {"exitCode": 0}}));
    assert_eq!(answering.rest().1, 4000);
    host.wait_until("e", Status::Completed);
}

#[test]
fn a_slow_coordinator_is_not_the_wrappers_fault() {
    let host = host_with(quick_to_give_up(), ServerOptions::default());
    host.start("e");
    let mut link = host.basic("e");
    let (release, released) = mpsc::channel::<()>();
    host.faults.before_commit(move |_| {
        // Much longer than the link timeout.
        let _ = released.recv_timeout(Duration::from_millis(3_000));
    });
    link.send(&json!({"streamEventType": "output"}));
    link.send(&json!({"streamEventType": "complete", "data": {"exitCode": 0}}));
    assert_eq!(link.rest().1, 4000);
    drop(release);
    let view = host.wait_until("e", Status::Completed);
    assert_eq!(view.record.reconnects, 0);
}

/// While a commit stands still the peer is asked on as ever, and one that answers is there.
#[test]
fn a_commit_longer_than_the_link_timeout_gives_nobody_up() {
    let host = host_with(quick_to_give_up(), ServerOptions::default());
    host.start("e");
    let mut link = host.basic("e");
    let slow = AtomicBool::new(true);
    host.faults.before_commit(move |_| {
        if slow.swap(false, Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(3_000));
        }
    });
    link.send(&json!({"streamEventType": "output"}));
    // Each is answered by the next read.
    let mut asked = 0;
    while host.types() != ["output"] {
        let message = link.socket.read().unwrap();
        assert!(message.is_ping(), "{message:?}");
        asked += 1;
    }
    assert!(asked >= 10, "only {asked} times in 3 s of silence");
    link.send(&json!({"streamEventType": "complete", "data": {"exitCode": 0}}));
    assert_eq!(link.rest().1, 4000);
    assert_eq!(host.wait_until("e", Status::Completed).record.reconnects, 0);
}

/// A host whose commits the tests can hold up: each one waits for a thread of its own.
fn on_disk(directory: &tempfile::TempDir) -> Host {
    let faults = Faults::new();
    let location = format!("sqlite:{}", directory.path().join("runs.db").display());
    let options =
        Options { settings: prompt(), faults: Some(faults.clone()), ..Default::default() };
    let coordinator = Coordinator::open(&location, options).unwrap();
    let server = serve(coordinator.clone(), "127.0.0.1:0", ServerOptions::default()).unwrap();
    Host { coordinator, server, faults }
}

/// Waits until the other end has all that was written, read or not.
#[cfg(target_os = "linux")]
fn wait_until_arrived(stream: &TcpStream) {
    let port = format!(":{:04X}", stream.local_addr().unwrap().port());
    wait_for(|| {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let ours = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut ours = ours.filter(|fields| fields.len() > 4 && fields[1].ends_with(&port));
        ours.next().is_some_and(|fields| fields[4].starts_with("00000000:")).then_some(())
    });
}

/// A basic wrapper cannot say again what it has said before it went.
#[cfg(target_os = "linux")]
#[test]
fn what_had_arrived_is_read_though_nothing_can_be_written_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let host = on_disk(&directory);
    host.start("e");
    let mut link = host.basic("e");
    let (release, released) = mpsc::channel::<()>();
    host.faults.before_commit(move |_| {
        let _ = released.recv_timeout(PATIENCE);
    });
    // More than is read ahead of the commits, with something that is answered; what is left of it
    // fits into the kernel's buffer.
    const EVENTS: usize = 4_000;
    let mut frames = vec![json!({"streamEventType": "output", "data": {}}); EVENTS];
    frames.insert(100, json!("no event"));
    frames.push(json!({"streamEventType": "complete", "data": {"exitCode": 3}}));
    for some in frames.chunks(100) {
        link.send_all(some);
        wait_until_arrived(link.socket.get_ref());
    }
    let stream = link.socket.get_ref();
    // As the kernel ends what a killed process leaves unread.
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
    drop(link);
    drop(release);
    let view = host.wait_until("e", Status::Completed);
    assert_eq!(view.record.exit_code, Some(3));
    assert_eq!(host.types().len(), EVENTS + 1);
}

/// What a sender gets rid of while nothing is committed is bounded by the kernel's buffers and
/// the link's own bound, whatever it wants to send.
#[test]
fn while_commits_stand_still_the_sender_is_held_back() {
    const WANTED_BYTES: usize = 256 * 1024 * 1024;
    const BOUND_BYTES: usize = 64 * 1024 * 1024;
    let directory = tempfile::tempdir().unwrap();
    let host = on_disk(&directory);
    host.start("e");
    let mut link = host.basic("e");
    let (release, released) = mpsc::channel::<()>();
    host.faults.before_commit(move |_| {
        let _ = released.recv_timeout(PATIENCE);
    });
    link.socket.get_ref().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let frame = json!({"streamEventType": "output", "data": "x".repeat(64 * 1024)}).to_string();
    let mut sent = 0;
    while sent < WANTED_BYTES {
        match link.socket.send(Message::Text(frame.clone().into())) {
            Ok(()) => sent += frame.len(),
            // The last one is written in part, and stays so: what matters is counted.
            Err(_) => break,
        }
    }
    assert!(sent < BOUND_BYTES, "{sent} bytes were taken");
    let accepted = sent / frame.len();
    drop(release);
    // With commits under way again, the rest is read; then the cut in the middle of a frame.
    drop(link);
    wait_for(|| {
        (host.session().count_events(&Default::default()).unwrap() >= accepted as u64).then_some(())
    });
}

#[test]
fn a_closing_server_says_1012_and_keeps_what_was_sent() {
    let host = host();
    host.start("e");
    let mut link = host.basic("e");
    let mut stream = host.stream("replay=false");
    assert_eq!(stream.next()["streamEventType"], "connected");
    let frames: Vec<_> =
        (0..2_000).map(|n| json!({"streamEventType": "output", "data": {"n": n}})).collect();
    link.send_all(&frames);
    let reader = std::thread::spawn(move || link.rest());
    let watcher = std::thread::spawn(move || stream.rest());
    host.server.close();
    let (_, code, reason) = reader.join().unwrap();
    assert_eq!((code, reason.as_str()), (1012, "coordinator restarted"));
    assert_eq!(watcher.join().unwrap().1, 1012);
    assert_eq!(all_events(&host.session()).len(), 2_000);
    assert_eq!(grace(&host).0, 1012);
    // Nobody is let in any more, and closing again does nothing.
    assert!(
        TcpStream::connect(host.address())
            .and_then(|mut late| {
                late.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
                let mut byte = [0];
                std::io::Read::read_exact(&mut late, &mut byte)
            })
            .is_err()
    );
    host.server.close();
}

#[test]
fn what_was_sent_is_stored_when_closing_returns_however_slow_the_disk_is() {
    let host = host();
    host.start("e");
    let mut link = host.basic("e");
    host.faults.before_commit(|_| std::thread::sleep(Duration::from_millis(300)));
    let frames: Vec<_> =
        (0..10).map(|n| json!({"streamEventType": "output", "data": {"n": n}})).collect();
    link.send_all(&frames);
    let reader = std::thread::spawn(move || link.rest());
    host.server.close();
    assert_eq!(all_events(&host.session()).len(), 10);
    assert_eq!(reader.join().unwrap().1, 1012);
    assert_eq!(grace(&host).0, 1012);
}

#[test]
fn a_closing_coordinator_says_1012_to_links_and_streams() {
    let host = host();
    host.start("e");
    let mut link = host.acknowledged("e", "p", 1);
    link.next();
    let mut stream = host.stream("");
    assert_eq!(stream.next()["streamEventType"], "connected");
    host.coordinator.close();
    assert_eq!(link.close(), (1012, "coordinator restarted".into()));
    assert_eq!(stream.close().0, 1012);
}

#[test]
fn an_abandoned_coordinator_drops_its_links_without_a_word() {
    let host = host();
    host.start("e");
    let mut link = host.acknowledged("e", "p", 1);
    link.next();
    host.coordinator.abandon();
    assert!(link.socket.read().is_err());
}

#[test]
fn deleting_the_session_closes_links_with_4000() {
    let host = host();
    let session = host.start("e");
    let mut link = host.acknowledged("e", "p", 1);
    link.next();
    session.delete().unwrap();
    let (_, code, _) = link.rest();
    assert_eq!(code, 4000);
}

#[test]
fn two_hundred_links_work_side_by_side() {
    let host = host();
    let mut peers: Vec<Peer> = (0..200)
        .map(|n| {
            let session = host.coordinator.session(&format!("s{n}")).unwrap();
            let started = session.start(Default::default()).unwrap();
            let path = format!(
                "/sessions/s{n}/ingest?executionId={}&token={}",
                started.execution_id, started.token
            );
            Peer::connect(host.address(), &path, &[]).unwrap().0
        })
        .collect();
    for peer in &mut peers {
        peer.send(&json!({"streamEventType": "output"}));
        peer.send(&json!({"streamEventType": "complete", "data": {"exitCode": 0}}));
    }
    for (n, peer) in peers.iter_mut().enumerate() {
        assert_eq!(peer.close().0, 4000);
        let session = host.coordinator.session(&format!("s{n}")).unwrap();
        assert_eq!(all_events(&session).len(), 2);
    }
}
