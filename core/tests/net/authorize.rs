//! The host's `authorize` hook: what is decided is final, and what is not known is "later" (R25).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use serde_json::json;
use stayline::Settings;
use stayline::net::client::{Wrapper, WrapperOptions};
use stayline::net::server::{Authorization, Authorize, ServerOptions};
use stayline::session::records::Status;
use stayline::wrapper::Told;

use crate::proxy::Proxy;
use crate::support::{Host, PATIENCE, Peer, Refused, host, host_with, wait_for};

const PATH: &str = "/sessions/s/ingest?executionId=e";

fn asking(
    hook: impl Fn(&str, &str, Option<&str>) -> Authorization + Send + Sync + 'static,
) -> Host {
    asking_within(Settings::default(), hook)
}

fn asking_within(
    settings: Settings,
    hook: impl Fn(&str, &str, Option<&str>) -> Authorization + Send + Sync + 'static,
) -> Host {
    let authorize: Option<Authorize> = Some(Arc::new(hook));
    let host = host_with(settings, ServerOptions { authorize, ..ServerOptions::default() });
    host.start("e");
    host
}

fn with_token(token: &str) -> String {
    format!("{PATH}&token={token}")
}

fn refused(host: &Host, path: &str) -> Box<Refused> {
    Peer::connect(host.address(), path, &[]).err().expect("it should have been refused")
}

/// Status, our header, and when to come again.
fn told(refused: &Refused) -> (u16, Option<&str>, Option<&str>) {
    (refused.status, refused.header("stayline-refusal"), refused.header("retry-after"))
}

#[test]
fn only_what_was_decided_is_final() {
    let host = asking(|_, _, bearer| match bearer {
        Some("good") => Authorization::Allow,
        Some("bad") => Authorization::Deny,
        Some("panic") => panic!("the database is away"),
        _ => Authorization::Later,
    });
    assert_eq!(told(&refused(&host, &with_token("bad"))), (401, Some("unauthorized"), None));
    assert_eq!(told(&refused(&host, &with_token("unsure"))), (503, None, Some("1")));
    assert_eq!(told(&refused(&host, &with_token("panic"))), (503, None, Some("1")));
    assert!(Peer::connect(host.address(), &with_token("good"), &[]).is_ok());
}

#[test]
fn a_hook_that_fails_once_costs_a_healthy_run_nothing() {
    let failures: [fn() -> Authorization; 2] =
        [|| Authorization::Later, || panic!("the database is away")];
    for fails in failures {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let host = asking(move |_, _, _| match counted.fetch_add(1, Ordering::SeqCst) {
            1 => fails(),
            _ => Authorization::Allow,
        });
        let proxy = Proxy::to(host.address());
        let settings =
            Settings { reconnect_base_ms: 5, reconnect_cap_ms: 50, ..Settings::default() };
        let wrapper = Wrapper::open(WrapperOptions {
            url: proxy.url(),
            session_id: "s".into(),
            execution_id: "e".into(),
            settings,
            ..WrapperOptions::default()
        })
        .unwrap();
        wrapper.wait_connected(Some(PATIENCE)).unwrap();
        proxy.cut_all();
        loop {
            let signal = wrapper.signal(Some(PATIENCE)).unwrap().expect("a signal in time");
            assert!(!matches!(signal, Told::Abort { .. }), "the run was killed");
            if signal == Told::Reconnected {
                break;
            }
        }
        assert_eq!(calls.load(Ordering::SeqCst), 3);
        wrapper.complete(0, None).unwrap();
        host.wait_until("e", Status::Completed);
    }
}

/// A hook that holds those who bring `slow` until they are let go.
fn holding() -> (Host, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (came, coming) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (came, released) = (Mutex::new(came), Mutex::new(released));
    let host = asking(move |_, _, bearer| {
        if bearer == Some("slow") {
            came.lock().unwrap().send(()).unwrap();
            let _ = released.lock().unwrap().recv();
        }
        Authorization::Allow
    });
    (host, coming, release)
}

#[test]
fn of_two_upgrades_the_one_that_came_later_wins() {
    let (host, coming, release) = holding();
    let address = host.address();
    let earlier = thread::spawn(move || Peer::connect(address, &with_token("slow"), &[]));
    coming.recv_timeout(PATIENCE).unwrap();
    let (mut later, _) = Peer::connect(address, &with_token("quick"), &[]).unwrap();
    drop(release);
    let overtaken = earlier.join().unwrap().err().expect("the later one is there already");
    assert_eq!(told(&overtaken), (503, None, Some("1")));
    // The later link was not touched.
    later.send(&json!({"streamEventType": "complete", "data": {"exitCode": 0}}));
    assert_eq!(later.close(), (4000, "execution done".into()));
}

#[test]
fn upgrades_that_meet_a_closing_server_are_to_come_again() {
    let (host, coming, release) = holding();
    let address = host.address();
    let asked = thread::spawn(move || Peer::connect(address, &with_token("slow"), &[]));
    coming.recv_timeout(PATIENCE).unwrap();
    host.server.close();
    let refusal = asked.join().unwrap().err().expect("the server is closing");
    assert_eq!(told(&refusal), (503, None, Some("1")));
    drop(release);
}

#[test]
fn a_slow_hook_holds_up_nobody_else() {
    let (host, coming, release) = holding();
    let address = host.address();
    let slow: Vec<_> = (0..7)
        .map(|_| {
            let asking = thread::spawn(move || Peer::connect(address, &with_token("slow"), &[]));
            coming.recv_timeout(PATIENCE).unwrap();
            asking
        })
        .collect();
    assert!(Peer::connect(address, &with_token("quick"), &[]).is_ok());
    drop(release);
    for asking in slow {
        // Which of them had a later one before them is not said here.
        drop(asking.join().unwrap());
    }
}

#[test]
fn a_hook_that_takes_longer_than_its_time_means_later() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let settings = Settings { authorize_timeout_ms: 20, ..Settings::default() };
    let host = asking_within(settings, move |_, _, bearer| {
        if bearer == Some("slow") {
            let _ = released.lock().unwrap().recv();
        }
        Authorization::Deny
    });
    // It would have been a "no".
    assert_eq!(told(&refused(&host, &with_token("slow"))), (503, None, Some("1")));
    drop(release);
    wait_for(|| (refused(&host, &with_token("quick")).status == 401).then_some(()));
}

#[test]
fn a_store_that_cannot_be_asked_is_no_final_refusal() {
    let host = host();
    host.start("e");
    host.faults.fail_commits(true);
    let refusal = refused(&host, &format!("{PATH}&token=a%20token"));
    assert_eq!(told(&refusal), (503, None, Some("1")));
    host.faults.fail_commits(false);
    drop(wait_for(|| Peer::connect(host.address(), &format!("{PATH}&token=a%20token"), &[]).ok()));
}
