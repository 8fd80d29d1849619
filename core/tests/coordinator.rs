//! The coordinator over the memory store, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use stayline::Error;
use stayline::coordinator::{
    AttachOptions, Clock, Coordinator, Credential, FailOptions, InterruptGrace, Link, ManualClock,
    Next, Options, Output, Session, StartOptions, SubscribeOptions, Subscription, Verdict,
};
use stayline::protocol::Filter;
use stayline::store::faults::{Faults, Outcome};

const START: i64 = 1_700_000_000_000;

struct Host {
    clock: ManualClock,
    faults: Faults,
    coordinator: Coordinator,
    session: Session,
}

fn host() -> Host {
    let clock = ManualClock::new(START);
    let faults = Faults::new();
    let options = Options {
        clock: Clock::Manual(clock.clone()),
        faults: Some(faults.clone()),
        ..Options::default()
    };
    let coordinator = Coordinator::open("memory:", options).unwrap();
    let session = coordinator.session("s").unwrap();
    Host { clock, faults, coordinator, session }
}

impl Host {
    fn start(&self, id: &str) {
        let options = StartOptions { execution_id: Some(id.into()), ..StartOptions::default() };
        self.session.start(options).unwrap();
    }

    fn attach(&self, id: &str, producer: Option<&str>) -> Link {
        self.session
            .attach(AttachOptions {
                execution_id: id.into(),
                credential: Credential::Trusted,
                acknowledged: producer.is_some(),
                producer: producer.map(str::to_owned),
                attempt: Some(1),
            })
            .unwrap()
    }

    fn status(&self, id: &str) -> &'static str {
        self.session.execution(id).unwrap().record.status.as_str()
    }

    fn log(&self) -> Vec<(u64, String, String)> {
        let page = self.session.events(&Filter::default()).unwrap();
        let row = |event: &Arc<stayline::session::records::EventRecord>| {
            (event.id, event.event_type.to_string(), event.data.to_string())
        };
        page.events.iter().map(row).collect()
    }
}

fn outputs(link: &Link) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(output) = link.try_output() {
        all.push(match output {
            Output::Send(text) => text.to_string(),
            Output::Close { code, reason } => format!("close {code} {reason}"),
        });
    }
    all
}

fn drain(subscription: &mut Subscription) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    while let Next::Record(record) = subscription.try_next().unwrap() {
        all.push((record.id, record.event_type.to_string()));
    }
    all
}

fn event(seq: u64, text: &str) -> String {
    format!(r#"{{"streamEventType":"output","data":{{"text":"{text}"}},"seq":{seq}}}"#)
}

#[test]
fn an_acknowledged_run_from_start_to_completion() {
    let host = host();
    host.start("e");
    let link = host.attach("e", Some("p"));
    assert!(outputs(&link)[0].contains("\"type\":\"welcome\""));
    link.receive_many(&[event(1, "a"), event(2, "b")]).unwrap();
    assert_eq!(outputs(&link), [r#"{"type":"ack","seq":2}"#]);
    link.receive(r#"{"streamEventType":"complete","data":{"exitCode":0},"seq":3}"#).unwrap();
    let end = outputs(&link);
    assert_eq!(end[0], r#"{"type":"ack","seq":3}"#);
    assert!(end[1].contains("\"type\":\"ended\""), "{end:?}");
    assert_eq!(end[2], "close 4000 execution done");
    assert_eq!(host.status("e"), "completed");
    assert_eq!(host.log().len(), 3);
}

#[test]
fn a_failed_commit_is_as_if_nothing_had_happened_and_closes_the_acknowledged_link() {
    let host = host();
    host.start("e");
    let link = host.attach("e", Some("p"));
    outputs(&link);
    host.faults.fail_next_commit(Outcome::Lost);
    link.receive(&event(1, "a")).unwrap();
    assert_eq!(outputs(&link), ["close 1011 storage failed"]);
    assert!(host.log().is_empty());
    link.receive(&event(2, "b")).unwrap();
    assert!(host.log().is_empty(), "what is behind it is ignored");
    assert!(host.session.view().unwrap().active.unwrap().grace.is_some());
}

#[test]
fn a_commit_that_was_kept_but_reported_unknown_is_a_success() {
    let host = host();
    host.start("e");
    let link = host.attach("e", Some("p"));
    outputs(&link);
    host.faults.fail_next_commit(Outcome::UnknownKept);
    link.receive(&event(1, "a")).unwrap();
    assert_eq!(outputs(&link), [r#"{"type":"ack","seq":1}"#]);
    host.faults.fail_next_commit(Outcome::UnknownLost);
    let refused = host.session.fail("e", FailOptions::default());
    assert!(matches!(refused, Err(Error::StoreError { .. })), "{refused:?}");
    assert_eq!(host.status("e"), "running");
}

#[test]
fn one_poison_frame_costs_one_frame() {
    let host = host();
    host.start("e");
    let link = host.attach("e", Some("p"));
    outputs(&link);
    host.faults.poison_data("bad");
    link.receive_many(&[event(1, "a"), event(2, "bad"), event(3, "c")]).unwrap();
    let types: Vec<_> = host.log().into_iter().map(|(_, event_type, _)| event_type).collect();
    assert_eq!(types, ["output", "rejected", "output"]);
    let told = outputs(&link);
    assert_eq!(told.last().unwrap(), r#"{"type":"ack","seq":3}"#);
    assert!(link.close_state().is_none());
}

#[test]
fn one_poison_session_among_a_hundred_harms_only_itself() {
    let host = host();
    let sessions: Vec<Session> =
        (0..100).map(|n| host.coordinator.session(&format!("s{n}")).unwrap()).collect();
    for session in &sessions {
        let options = StartOptions { execution_id: Some("e".into()), ..StartOptions::default() };
        session.start(options).unwrap();
    }
    host.faults.poison_session("s42");
    host.clock.advance(300_001);
    for (n, session) in sessions.iter().enumerate() {
        let expected = if n == 42 { "pending" } else { "failed" };
        assert_eq!(session.execution("e").unwrap().record.status.as_str(), expected, "s{n}");
    }
    host.faults.heal();
    host.clock.advance(1_000);
    assert_eq!(sessions[42].execution("e").unwrap().record.status.as_str(), "failed");
}

#[test]
fn a_deadline_step_that_failed_is_tried_again_after_a_second() {
    let host = host();
    host.start("e");
    let link = host.attach("e", None);
    link.closed(1006, "gone").unwrap();
    host.faults.fail_next_commit(Outcome::Lost);
    host.clock.advance(10_000);
    assert_eq!(host.status("e"), "running");
    host.clock.advance(999);
    assert_eq!(host.status("e"), "running");
    host.clock.advance(1);
    assert_eq!(host.status("e"), "failed");
}

#[test]
fn time_in_which_no_commit_succeeded_is_given_back() {
    let host = host();
    host.start("e");
    let link = host.attach("e", None);
    link.closed(1006, "gone").unwrap();
    host.faults.fail_commits(true);
    host.clock.advance(60_000);
    assert_eq!(host.status("e"), "running");
    host.faults.fail_commits(false);
    host.clock.advance(2_000);
    assert_eq!(host.status("e"), "running", "a fresh grace comes first");
    host.clock.advance(60_000);
    assert_eq!(host.status("e"), "failed");
}

#[test]
fn that_a_link_is_gone_survives_a_failed_commit() {
    let host = host();
    host.start("e");
    let link = host.attach("e", None);
    host.faults.fail_next_commit(Outcome::Lost);
    link.closed(1006, "gone").unwrap();
    let active = host.session.view().unwrap().active.unwrap();
    assert!(active.grace.is_some());
}

#[test]
fn a_reader_sees_each_event_once_across_the_seam_and_when_it_is_slow() {
    let host = host();
    host.start("e");
    let link = host.attach("e", None);
    for n in 1..=10 {
        link.receive(&event(n, "x")).unwrap();
    }
    let mut reader = host.session.subscribe(SubscribeOptions::default()).unwrap();
    for n in 11..=20 {
        link.receive(&event(n, "x")).unwrap();
    }
    let mut ids: Vec<u64> = Vec::new();
    let seen = drain(&mut reader);
    let connected = seen.iter().position(|(_, event_type)| event_type == "connected").unwrap();
    assert_eq!(connected, 10);
    ids.extend(seen.iter().map(|(id, _)| *id).filter(|id| *id > 0));
    // Far more than the ring holds.
    let big = "y".repeat(10_000);
    for n in 21..=400 {
        link.receive(&event(n, &big)).unwrap();
    }
    ids.extend(drain(&mut reader).into_iter().map(|(id, _)| id));
    assert_eq!(ids, (1..=400).collect::<Vec<_>>());
    link.receive(r#"{"streamEventType":"heartbeat"}"#).unwrap();
    assert_eq!(drain(&mut reader), [(0, "heartbeat".to_owned())]);
}

#[test]
fn reading_ahead_leaves_nothing_to_be_read_where_records_are_taken() {
    let host = host();
    host.start("e");
    let link = host.attach("e", None);
    // Far more than the ring holds.
    let big = "y".repeat(10_000);
    for n in 1..=400 {
        link.receive(&event(n, &big)).unwrap();
    }
    let mut reader = host.session.subscribe(SubscribeOptions::default()).unwrap();
    let mut ids = Vec::new();
    let mut rounds = 0;
    loop {
        while reader.is_behind() {
            reader.read_ahead().unwrap();
            rounds += 1;
        }
        // Once more reads nothing and gives nothing up.
        reader.read_ahead().unwrap();
        let Next::Record(record) = reader.try_next().unwrap() else { break };
        ids.push(record.id);
    }
    assert!(rounds > 1);
    assert_eq!(ids, (1..=400).chain([0]).collect::<Vec<_>>());
    assert!(!reader.is_behind());
}

#[test]
fn a_notification_that_nobody_got_to_see_is_as_if_it_had_not_been_taken() {
    let host = host();
    host.start("e");
    host.session.fail("e", FailOptions::default()).unwrap();
    let take = || host.coordinator.take_notification(Some(std::time::Duration::ZERO)).unwrap();
    let first = take().unwrap();
    assert_eq!(take(), None);
    for _ in 0..10 {
        host.coordinator.give_back_notification(&first.id).unwrap();
        let again = take().unwrap();
        assert_eq!((&again.id, again.attempt, again.parked), (&first.id, 1, false));
    }
    host.coordinator.acknowledge_notification(&first.id).unwrap();
    assert!(matches!(
        host.coordinator.give_back_notification(&first.id),
        Err(Error::NotFound { .. })
    ));
}

#[test]
fn a_stream_until_an_execution_ends_with_it() {
    let host = host();
    host.start("e");
    let link = host.attach("e", None);
    let options = SubscribeOptions { until: Some("e".into()), ..SubscribeOptions::default() };
    let mut reader = host.session.subscribe(options).unwrap();
    link.receive(&event(1, "x")).unwrap();
    assert_eq!(drain(&mut reader).len(), 2);
    assert!(matches!(reader.try_next().unwrap(), Next::Empty));
    host.session.fail("e", FailOptions::default()).unwrap();
    assert_eq!(drain(&mut reader), [(2, "error".to_owned())]);
    assert!(matches!(reader.try_next().unwrap(), Next::Ended));
    let unknown = SubscribeOptions { until: Some("x".into()), ..SubscribeOptions::default() };
    assert!(matches!(host.session.subscribe(unknown), Err(Error::NotFound { .. })));
}

/// R5: what stands on every row of every list is bounded.
#[test]
fn a_mode_is_no_longer_than_an_id() {
    let host = host();
    let with = |length| StartOptions { mode: Some("m".repeat(length)), ..StartOptions::default() };
    let refused = host.session.start(with(257)).unwrap_err();
    assert!(matches!(&refused, Error::InvalidArgument { what } if what.contains("mode")));
    assert!(matches!(host.session.active(), Err(Error::NotFound { .. })), "nothing was made");
    host.session.start(with(256)).unwrap();
}

#[test]
fn the_longest_of_timeouts_waits_for_what_is_there() {
    let host = host();
    host.start("e");
    let link = host.attach("e", Some("p"));
    let mut reader = host.session.subscribe(SubscribeOptions::default()).unwrap();
    host.session.fail("e", FailOptions { message: "x".into(), ..FailOptions::default() }).unwrap();
    let ever = Some(Duration::MAX);
    assert!(matches!(link.output(ever), Ok(Some(Output::Send(_)))));
    assert!(matches!(reader.next(ever), Ok(Next::Record(_))));
    assert!(host.coordinator.take_notification(ever).unwrap().is_some());
    assert_eq!(host.session.wait("e", ever).unwrap().record.status.as_str(), "failed");
}

#[test]
fn close_tells_links_readers_and_waiters() {
    let host = host();
    host.start("e");
    let link = host.attach("e", None);
    let mut reader = host.session.subscribe(SubscribeOptions::default()).unwrap();
    drain(&mut reader);
    host.coordinator.close();
    host.coordinator.close();
    assert_eq!(outputs(&link), ["close 1012 coordinator restarted"]);
    assert!(matches!(reader.try_next().unwrap(), Next::Ended));
    assert_eq!(link.receive("{}").unwrap_err().name(), "Closed");
    assert_eq!(host.session.active().unwrap_err().name(), "Closed");
    let verdict = host.session.interrupt(None, false, InterruptGrace::Default);
    assert_eq!(verdict.unwrap_err().name(), "Closed");
}

#[test]
fn a_refused_start_makes_no_session_and_reading_creates_none() {
    let host = host();
    assert!(matches!(host.session.view(), Err(Error::NotFound { .. })));
    assert!(matches!(
        host.session.interrupt(None, false, InterruptGrace::Default),
        Err(Error::NotFound { .. })
    ));
    assert!(host.coordinator.sessions(10).unwrap().is_empty());
    host.start("e");
    assert_eq!(host.session.interrupt(None, false, InterruptGrace::Default), Ok(Verdict::Latched));
}

#[test]
fn many_threads_share_commits_on_the_system_clock() {
    let coordinator = Coordinator::open("memory:", Options::default()).unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let coordinator = coordinator.clone();
            scope.spawn(move || {
                let session = coordinator.session(&format!("t{n}")).unwrap();
                for run in 0..50 {
                    let options = StartOptions {
                        execution_id: Some(format!("e{run}")),
                        ..StartOptions::default()
                    };
                    session.start(options).unwrap();
                    assert!(session.fail(&format!("e{run}"), FailOptions::default()).unwrap());
                }
            });
        }
    });
    let counts: Vec<u64> = (0..8)
        .map(|n| {
            let session = coordinator.session(&format!("t{n}")).unwrap();
            session.count_events(&Filter::default()).unwrap()
        })
        .collect();
    assert_eq!(counts, [50; 8]);
}

#[test]
fn a_failed_launch_fails_nothing_once_a_wrapper_has_attached() {
    let host = host();
    host.start("e");
    let failed_launch = || FailOptions {
        message: "no sandbox".into(),
        only_pending: true,
        ..FailOptions::default()
    };
    let link = host.attach("e", None);
    assert_eq!(host.session.fail("e", failed_launch()), Ok(false));
    assert_eq!(host.status("e"), "running");
    link.receive(r#"{"streamEventType":"complete","data":{"exitCode":0}}"#).unwrap();
    host.start("f");
    assert_eq!(host.session.fail("f", failed_launch()), Ok(true));
    assert_eq!(host.status("f"), "failed");
}

#[test]
fn volatile_events_keep_their_place_among_the_stored_ones() {
    let host = host();
    host.start("e");
    let link = host.attach("e", None);
    let mut reader = host.session.subscribe(SubscribeOptions::default()).unwrap();
    drain(&mut reader);
    let heartbeat = r#"{"streamEventType":"heartbeat"}"#.to_owned();
    let complete = r#"{"streamEventType":"complete","data":{"exitCode":0}}"#.to_owned();
    link.receive_many(&[heartbeat.clone(), event(1, "a"), heartbeat, complete]).unwrap();
    let types: Vec<_> = drain(&mut reader).into_iter().map(|(_, event_type)| event_type).collect();
    assert_eq!(types, ["heartbeat", "output", "heartbeat", "complete"]);
}

#[cfg(feature = "sqlite")]
#[test]
fn beside_its_owner_a_reader_judges_health_by_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("sqlite:{}", folder.path().join("runs.db").display());
    let owner = Coordinator::open(&location, Options::default()).unwrap();
    let session = owner.session("s").unwrap();
    let options = StartOptions { execution_id: Some("e".into()), ..StartOptions::default() };
    session.start(options).unwrap();
    let reader = Coordinator::open_read_only(&location, stayline::Settings::default()).unwrap();
    let health = || reader.session("s").unwrap().health("e").unwrap().map(|health| health.as_str());
    assert_eq!(health(), None, "pending");
    let attach = AttachOptions {
        execution_id: "e".into(),
        credential: Credential::Trusted,
        acknowledged: false,
        producer: None,
        attempt: None,
    };
    let _link = session.attach(attach).unwrap();
    assert_eq!(health(), Some("healthy"));
}
