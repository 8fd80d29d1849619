//! The wrapper's driver against the server: sending, reconnecting, every way to end (R40–R52).

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stayline::coordinator::{Coordinator, FailOptions, InterruptGrace};
use stayline::net::client::{Wrapper, WrapperOptions};
use stayline::net::server::{ServerOptions, serve};
use stayline::session::records::Status;
use stayline::wake::EventFd;
use stayline::wrapper::{Job, Outcome, SendOptions, State, Told};
use stayline::{Error, Settings};

use crate::proxy::{Proxy, Random};
use crate::support::{Host, PATIENCE, TOKEN, all_events, error_name, host, host_with, wait_for};

/// Reconnects at once, so that tests do not wait.
fn eager() -> Settings {
    Settings { reconnect_base_ms: 5, reconnect_cap_ms: 50, ..Settings::default() }
}

fn options(url: &str, execution_id: &str) -> WrapperOptions {
    WrapperOptions {
        url: url.into(),
        session_id: "s".into(),
        execution_id: execution_id.into(),
        token: Some(TOKEN.into()),
        settings: eager(),
        // Jobs and turns are given where a test wants them.
        active: false,
        ..WrapperOptions::default()
    }
}

fn open(url: &str, execution_id: &str) -> Wrapper {
    Wrapper::open(options(url, execution_id)).unwrap()
}

fn send(wrapper: &Wrapper, n: u64) {
    let data = json!({"n": n}).to_string();
    wrapper.send("output", &data, SendOptions::default()).unwrap();
}

/// The numbers of the stored `output` events.
fn numbers(host: &Host) -> Vec<u64> {
    let outputs = host.events().into_iter().filter(|(event_type, _)| event_type == "output");
    outputs.map(|(_, data)| data["n"].as_u64().unwrap()).collect()
}

/// Signals up to the one that is looked for.
fn told(wrapper: &Wrapper, wanted: impl Fn(&Told) -> bool) -> Vec<Told> {
    let mut signals = Vec::new();
    loop {
        let signal = wrapper.signal(Some(PATIENCE)).unwrap().expect("a signal in time");
        let found = wanted(&signal);
        signals.push(signal);
        if found {
            return signals;
        }
    }
}

fn status_of(outcome: &Outcome) -> Option<Status> {
    match outcome {
        Outcome::Done { status, .. } => *status,
        other => panic!("not done, but {other:?}"),
    }
}

#[test]
fn a_run_is_sent_completed_and_its_outcome_known() {
    let host = host();
    host.start("e");
    let wrapper = open(host.server.url(), "e");
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    assert_eq!(wrapper.state(), State::Connected);
    for n in 1..=5_000 {
        send(&wrapper, n);
    }
    wrapper.complete(0, Some("main")).unwrap();
    let outcome = wrapper.outcome(Some(PATIENCE)).unwrap();
    assert_eq!(status_of(&outcome), Some(Status::Completed));
    assert_eq!(numbers(&host), (1..=5_000).collect::<Vec<_>>());
    assert_eq!(wrapper.unacknowledged(), 0);
    told(&wrapper, |signal| *signal == Told::Drained);
    assert_eq!(error_name(wrapper.signal(Some(PATIENCE))), "Closed");
    assert_eq!(error_name(wrapper.send("output", "{}", SendOptions::default())), "Closed");
    let view = host.session().view().unwrap();
    assert_eq!(view.record.branch.as_deref(), Some("main"));
    assert_eq!((wrapper.attempts(), wrapper.reconnects()), (1, 0));
}

#[test]
fn basic_mode_works_too() {
    let host = host();
    host.start("e");
    let settings = Settings { acknowledged: false, ..eager() };
    let wrapper =
        Wrapper::open(WrapperOptions { settings, ..options(host.server.url(), "e") }).unwrap();
    for n in 1..=500 {
        // Before it is connected the buffer takes them, and more than it holds would be dropped.
        send(&wrapper, n);
    }
    wrapper.complete(3, None).unwrap();
    wrapper.outcome(Some(PATIENCE)).unwrap();
    host.wait_until("e", Status::Completed);
    assert_eq!(numbers(&host), (1..=500).collect::<Vec<_>>());
}

#[test]
fn events_carry_the_wall_clocks_time() {
    let host = host();
    host.start("e");
    let wrapper = open(host.server.url(), "e");
    let before = host.coordinator.now() - 60_000;
    wrapper.send("output", "{}", SendOptions::default()).unwrap();
    let given = SendOptions { timestamp: Some(5), ..SendOptions::default() };
    wrapper.send("output", "{}", given).unwrap();
    wrapper.complete(0, None).unwrap();
    wrapper.outcome(Some(PATIENCE)).unwrap();
    let page = host.session().events(&Default::default()).unwrap();
    assert!(page.events[0].timestamp > before);
    assert_eq!(page.events[1].timestamp, 5);
}

/// The promise of acknowledged mode, over sockets that are cut in the middle of frames (R45).
#[test]
fn every_event_is_stored_once_and_in_order_across_many_cuts() {
    const EVENTS: u64 = 4_000;
    for seed in 1..=3 {
        let mut random = Random(seed);
        let host = host();
        host.start("e");
        let proxy = Proxy::to(host.address());
        proxy.cut_after((0..25).map(|_| random.within(200..20_000)).collect());
        let wrapper =
            Wrapper::open(WrapperOptions { retry_first: true, ..options(&proxy.url(), "e") })
                .unwrap();
        for n in 1..=EVENTS {
            send(&wrapper, n);
        }
        wrapper.complete(0, None).unwrap();
        let outcome = wrapper.outcome(Some(PATIENCE)).unwrap();
        assert_eq!(status_of(&outcome), Some(Status::Completed), "seed {seed}");
        assert_eq!(numbers(&host), (1..=EVENTS).collect::<Vec<_>>(), "seed {seed}");
        assert!(proxy.connections() > 5, "seed {seed}: {} connections", proxy.connections());
        assert_eq!(host.types().iter().filter(|one| *one == "complete").count(), 1);
    }
}

#[test]
fn many_threads_may_send() {
    let host = host();
    host.start("e");
    let wrapper = open(host.server.url(), "e");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let wrapper = wrapper.clone();
            std::thread::spawn(move || (1..=1_000).for_each(|n| send(&wrapper, n)))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    wrapper.complete(0, None).unwrap();
    wrapper.outcome(Some(PATIENCE)).unwrap();
    assert_eq!(numbers(&host).len(), 4_000);
}

#[test]
fn the_first_connection_fails_fast_unless_it_is_to_be_retried() {
    let host = host();
    host.start("e");
    let address = host.address();
    let url = host.server.url().to_owned();
    host.server.close();

    let wrapper = open(&url, "e");
    assert_eq!(error_name(wrapper.wait_connected(Some(PATIENCE))), "Disconnected");
    assert_eq!(error_name(wrapper.outcome(Some(PATIENCE))), "Disconnected");
    assert_eq!(wrapper.attempts(), 1);

    let patient =
        Wrapper::open(WrapperOptions { retry_first: true, ..options(&url, "e") }).unwrap();
    wait_for(|| (patient.attempts() > 2).then_some(()));
    let again =
        serve(host.coordinator.clone(), &address.to_string(), ServerOptions::default()).unwrap();
    patient.wait_connected(Some(PATIENCE)).unwrap();
    drop(patient);
    again.close();
}

#[test]
fn a_refusal_with_our_header_is_final() {
    let host = host();
    host.start("e");
    let wrong = WrapperOptions { token: Some("wrong".into()), ..options(host.server.url(), "e") };
    let wrapper = Wrapper::open(WrapperOptions { retry_first: true, ..wrong }).unwrap();
    assert_eq!(error_name(wrapper.outcome(Some(PATIENCE))), "Disconnected");
    assert_eq!(wrapper.attempts(), 1);
}

#[test]
fn a_newer_wrapper_replaces_the_older() {
    let host = host();
    host.start("e");
    let older = open(host.server.url(), "e");
    older.wait_connected(Some(PATIENCE)).unwrap();
    let newer = open(host.server.url(), "e");
    newer.wait_connected(Some(PATIENCE)).unwrap();
    told(&older, |signal| *signal == Told::Replaced);
    assert_eq!(error_name(older.outcome(Some(PATIENCE))), "Superseded");
    send(&newer, 1);
    newer.complete(0, None).unwrap();
    newer.outcome(Some(PATIENCE)).unwrap();
    assert_eq!(older.attempts(), 1);
}

#[test]
fn the_coordinators_ending_reaches_the_host_and_its_job() {
    let host = host();
    let session = host.start("e");
    let wrapper = open(host.server.url(), "e");
    let job = Job { execution_id: "e".into(), ..Job::default() };
    wrapper.start_job(job).unwrap();
    wrapper.begin_turn().unwrap();
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    session.fail("e", FailOptions { message: "boom".into(), ..FailOptions::default() }).unwrap();
    let outcome = wrapper.outcome(Some(PATIENCE)).unwrap();
    assert_eq!(status_of(&outcome), Some(Status::Failed));
    let signals = told(&wrapper, |signal| matches!(signal, Told::Abort { .. }));
    assert!(matches!(signals[signals.len() - 2], Told::ExecutionDone { .. }), "{signals:?}");
    wrapper.aborted();
}

#[test]
fn an_interrupt_is_told_and_its_ending_sent() {
    let host = host();
    let session = host.start("e");
    let wrapper = open(host.server.url(), "e");
    let job = Job { execution_id: "e".into(), ..Job::default() };
    wrapper.start_job(job).unwrap();
    wrapper.begin_turn().unwrap();
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    session.interrupt(None, false, InterruptGrace::Default).unwrap();
    told(&wrapper, |signal| matches!(signal, Told::Abort { .. }));
    wrapper.aborted();
    let outcome = wrapper.outcome(Some(PATIENCE)).unwrap();
    assert_eq!(status_of(&outcome), Some(Status::Interrupted));
    host.wait_until("e", Status::Interrupted);
}

#[test]
fn a_link_that_swallows_everything_is_noticed_and_replaced() {
    let quick = Settings { ping_interval_ms: 50, link_timeout_ms: 300, ..eager() };
    let host = host_with(quick.clone(), ServerOptions::default());
    host.start("e");
    let proxy = Proxy::to(host.address());
    let wrapper =
        Wrapper::open(WrapperOptions { settings: quick, ..options(&proxy.url(), "e") }).unwrap();
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    send(&wrapper, 1);
    wait_for(|| (numbers(&host).len() == 1).then_some(()));
    proxy.swallow();
    send(&wrapper, 2);
    told(&wrapper, |signal| *signal == Told::Reconnected);
    assert!(wrapper.reconnects() >= 1);
    wrapper.complete(0, None).unwrap();
    wrapper.outcome(Some(PATIENCE)).unwrap();
    assert_eq!(numbers(&host), [1, 2]);
}

/// What the socket had taken was lost when the link was given up: a basic link sends nothing again.
#[test]
fn a_basic_link_that_stalls_for_longer_than_a_link_may_loses_nothing() {
    let quick = Settings {
        acknowledged: false,
        ping_interval_ms: 50,
        link_timeout_ms: 300,
        basic_link_timeout_ms: 60_000,
        ..eager()
    };
    let host = host_with(quick.clone(), ServerOptions::default());
    host.start("e");
    let proxy = Proxy::to(host.address());
    let wrapper =
        Wrapper::open(WrapperOptions { settings: quick, ..options(&proxy.url(), "e") }).unwrap();
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    send(&wrapper, 1);
    wait_for(|| (numbers(&host).len() == 1).then_some(()));
    proxy.stall(true);
    (2..=100).for_each(|n| send(&wrapper, n));
    // Several times the timeout of other links.
    std::thread::sleep(Duration::from_millis(1_500));
    proxy.stall(false);
    (101..=110).for_each(|n| send(&wrapper, n));
    wrapper.complete(0, None).unwrap();
    wrapper.outcome(Some(PATIENCE)).unwrap();
    host.wait_until("e", Status::Completed);
    assert_eq!(numbers(&host), (1..=110).collect::<Vec<_>>());
    assert_eq!((wrapper.attempts(), wrapper.reconnects()), (1, 0));
}

#[test]
fn a_server_that_restarts_loses_nothing() {
    let host = host();
    host.start("e");
    let wrapper = open(host.server.url(), "e");
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    for n in 1..=200 {
        send(&wrapper, n);
    }
    let address = host.address().to_string();
    host.server.close();
    for n in 201..=400 {
        send(&wrapper, n);
    }
    let again = serve(host.coordinator.clone(), &address, ServerOptions::default()).unwrap();
    wrapper.complete(0, None).unwrap();
    wrapper.outcome(Some(PATIENCE)).unwrap();
    assert_eq!(numbers(&host), (1..=400).collect::<Vec<_>>());
    assert!(wrapper.reconnects() >= 1);
    again.close();
}

#[test]
fn a_full_window_is_told_and_makes_room_again() {
    let host = host();
    host.start("e");
    let proxy = Proxy::to(host.address());
    let settings = Settings { buffer_events: 10, send_timeout_ms: 50, ..eager() };
    let wrapper = Wrapper::open(WrapperOptions { settings, ..options(&proxy.url(), "e") }).unwrap();
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    proxy.refuse(true);
    proxy.cut_all();
    let mut sent = 0;
    let full = loop {
        let data = json!({"n": sent + 1}).to_string();
        match wrapper.send("output", &data, SendOptions::default()) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1_000);
    };
    assert!(matches!(full, Error::Full { .. }), "{full}");
    assert_eq!(error_name(wrapper.try_send("output", "{}", SendOptions::default())), "Full");
    proxy.refuse(false);
    wait_for(|| {
        wrapper.send("output", &json!({"n": sent + 1}).to_string(), SendOptions::default()).ok()
    });
    wrapper.complete(0, None).unwrap();
    wrapper.outcome(Some(PATIENCE)).unwrap();
    assert_eq!(numbers(&host), (1..=sent + 1).collect::<Vec<_>>());
}

#[test]
fn closing_gives_up_what_is_unacknowledged_and_says_how_much() {
    let host = host();
    host.start("e");
    let proxy = Proxy::to(host.address());
    let wrapper = open(&proxy.url(), "e");
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    proxy.swallow();
    for n in 1..=7 {
        send(&wrapper, n);
    }
    assert_eq!(wrapper.close(), 7);
    assert_eq!(wrapper.close(), 0);
    assert_eq!(error_name(wrapper.outcome(Some(PATIENCE))), "Closed");
    assert_eq!(error_name(wrapper.try_send("output", "{}", SendOptions::default())), "Closed");
    assert_eq!(wrapper.state(), State::Closed);
}

#[test]
fn dropping_the_last_clone_closes_the_link() {
    let host = host();
    host.start("e");
    let wrapper = open(host.server.url(), "e");
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    let clone = wrapper.clone();
    drop(wrapper);
    send(&clone, 1);
    wait_for(|| (numbers(&host).len() == 1).then_some(()));
    drop(clone);
    let grace = wait_for(|| host.session().execution("e").unwrap().record.grace);
    assert_eq!(grace.code, 1000);
}

#[test]
fn signals_ring_a_descriptor() {
    let host = host();
    host.start("e");
    let wrapper = open(host.server.url(), "e");
    let bell = EventFd::new().unwrap();
    wrapper.set_waker(Some(bell.clone()));
    wrapper.complete(0, None).unwrap();
    let mut signals = Vec::new();
    loop {
        assert!(bell.wait(Some(PATIENCE)));
        bell.clear();
        match wrapper.try_signal() {
            Ok(Some(signal)) => {
                signals.push(signal);
                // There may be more behind it.
                bell_again(&bell);
            }
            Ok(None) => {}
            Err(error) => {
                assert_eq!(error.name(), "Closed");
                break;
            }
        }
    }
    assert_eq!(signals.last(), Some(&Told::Drained));
}

fn bell_again(bell: &Arc<EventFd>) {
    use stayline::wake::Wake;
    bell.wake();
}

#[test]
fn a_wait_without_result_ends_in_time() {
    let host = host();
    host.start("e");
    let wrapper = open(host.server.url(), "e");
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    assert_eq!(wrapper.signal(Some(Duration::from_millis(10))), Ok(None));
    assert_eq!(wrapper.outcome(Some(Duration::from_millis(10))), Err(Error::Timeout));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let refused = |change: fn(&mut WrapperOptions)| {
        let mut options = options("http://127.0.0.1:1", "e");
        change(&mut options);
        error_name(Wrapper::open(options))
    };
    assert_eq!(refused(|options| options.url = "127.0.0.1".into()), "InvalidArgument");
    assert_eq!(refused(|options| options.session_id.clear()), "InvalidArgument");
    assert_eq!(refused(|options| options.execution_id.clear()), "InvalidArgument");
    assert_eq!(refused(|options| options.settings.recovery_grace_ms = 1), "InvalidSettings");
}

/// Twenty wrappers, a coordinator that is restarted under them (R23, R45).
#[test]
fn wrappers_outlive_a_restart_of_the_coordinator() {
    const WRAPPERS: u64 = 20;
    const EVENTS: u64 = 200;
    let directory = tempfile::tempdir().unwrap();
    let location = format!("sqlite:{}", directory.path().join("runs.db").display());
    let begin = || Coordinator::open(&location, Default::default()).unwrap();
    let coordinator = begin();
    let server = serve(coordinator.clone(), "127.0.0.1:0", ServerOptions::default()).unwrap();
    let wrappers: Vec<Wrapper> = (0..WRAPPERS)
        .map(|n| {
            let session_id = format!("s{n}");
            let session = coordinator.session(&session_id).unwrap();
            let started = session.start(Default::default()).unwrap();
            let wrapper = Wrapper::open(WrapperOptions {
                session_id,
                token: Some(started.token.to_string()),
                ..options(server.url(), &started.execution_id)
            });
            wrapper.unwrap()
        })
        .collect();
    for wrapper in &wrappers {
        // A first connection that fails would not be retried.
        wrapper.wait_connected(Some(PATIENCE)).unwrap();
    }
    for n in 1..=EVENTS / 2 {
        wrappers.iter().for_each(|wrapper| send(wrapper, n));
    }
    let address = server.address().to_string();
    coordinator.abandon();
    drop(server);
    let coordinator = begin();
    let server = serve(coordinator.clone(), &address, ServerOptions::default()).unwrap();
    for n in EVENTS / 2 + 1..=EVENTS {
        wrappers.iter().for_each(|wrapper| send(wrapper, n));
    }
    for wrapper in &wrappers {
        wrapper.complete(0, None).unwrap();
    }
    for (n, wrapper) in wrappers.iter().enumerate() {
        let outcome = wrapper.outcome(Some(PATIENCE)).unwrap();
        assert_eq!(status_of(&outcome), Some(Status::Completed));
        let session = coordinator.session(&format!("s{n}")).unwrap();
        let outputs = all_events(&session).into_iter().filter(|(kind, _)| kind == "output");
        let numbers: Vec<u64> = outputs.map(|(_, data)| data["n"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=EVENTS).collect::<Vec<_>>());
    }
    server.close();
}
