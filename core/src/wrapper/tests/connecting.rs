//! Connecting, reconnecting, and how it ends (R40–R43, R46–R48).

use super::super::{Outcome, State};
use super::*;

#[test]
fn a_durable_outbox_is_refused_with_its_name() {
    let error = Wrapper::new(settings(&json!({"outbox": "outbox.db"})), 1).unwrap_err();
    assert_eq!(error.name(), "InvalidArgument");
    assert!(error.to_string().contains("outbox.db"), "{error}");
    let contradicting = Settings { disconnect_grace_ms: 1, ..Settings::default() };
    assert_eq!(Wrapper::new(contradicting, 1).unwrap_err().name(), "InvalidSettings");
}

#[test]
fn events_sent_before_and_while_connecting_go_out_without_a_marker() {
    let mut bench = Bench::new(json!({}));
    assert_eq!((bench.state(), bench.wrapper.producer()), ("idle", None));
    bench.send(1).unwrap();
    bench.open("e").unwrap();
    assert_eq!(bench.open("e").unwrap_err().name(), "InvalidArgument");
    bench.send(2).unwrap();
    assert_eq!((bench.state(), bench.held()), ("connecting", (2, 0)));
    bench.up(0);
    assert_eq!(bench.take_sent(), json!([["output", {"n": 1}], ["output", {"n": 2}]]));
    assert_eq!(bench.take_told(), json!([]));
}

#[test]
fn frames_carry_type_timestamp_and_data_as_given() {
    let mut wrapper = Wrapper::new(settings(&json!({})), 1).unwrap();
    wrapper.open("e", START).unwrap();
    wrapper.handle_opened(1, None, START);
    let options = SendOptions { droppable: false, timestamp: Some(START + 5) };
    wrapper.send("a \"b\"", " {\"x\" : [1] } ", options, START).unwrap();
    let texts: Vec<_> = std::iter::from_fn(|| wrapper.poll_action())
        .filter_map(|action| match action {
            Action::Write { text, .. } => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(
        texts,
        [concat!(
            r#"{"streamEventType":"a \"b\"","timestamp":"2023-11-14T22:13:20.005Z","#,
            r#""data":{"x" : [1] }}"#
        )]
    );
}

#[test]
fn what_the_other_side_would_refuse_is_refused_at_once() {
    let mut bench =
        Bench::connected(json!({"max_frame_bytes": 200, "max_nesting": 3, "buffer_events": 1}));
    let send = |bench: &mut Bench, event_type: &str, data: &str| {
        bench.wrapper.send(event_type, data, SendOptions::default(), START)
    };
    let reason = |result: Result<(), Error>| match result.unwrap_err() {
        Error::InvalidEvent { reason, .. } => reason,
        other => panic!("{other}"),
    };
    assert_eq!(reason(send(&mut bench, "output", "nope")), "not_json");
    assert_eq!(reason(send(&mut bench, "output", "")), "not_json");
    assert_eq!(reason(send(&mut bench, "", "{}")), "no_type");
    assert_eq!(reason(send(&mut bench, "output", "[[[1]]]")), "too_deep");
    let long = format!("\"{}\"", "x".repeat(200));
    assert_eq!(reason(send(&mut bench, "output", &long)), "too_large");
    for smuggled in [r#"{},"seq":7"#, r#"1,"data":2"#, r#"1},{"a":1"#, r#"1}"#] {
        assert_eq!(reason(send(&mut bench, "output", smuggled)), "not_json", "{smuggled}");
    }
    assert_eq!(bench.held(), (0, 0));
    send(&mut bench, "output", "[[1]]").unwrap();
}

#[test]
fn the_delays_double_up_to_the_cap() {
    let mut bench = Bench::connected(json!({"reconnect_attempts": null}));
    bench.cut(close::DROPPED);
    for (number, delay) in [(1, 1_000), (2, 2_000), (3, 4_000), (4, 8_000), (5, 8_000)] {
        assert_eq!(bench.take_told(), json!([{"reconnecting": number}]));
        bench.advance(delay - 1);
        assert_eq!(bench.wrapper.attempts(), number);
        bench.advance(1);
        assert_eq!(bench.wrapper.attempts(), number + 1);
        bench.refused(None);
    }
}

#[test]
fn jitter_draws_from_the_upper_half_of_each_delay() {
    let mut waits = Vec::new();
    for seed in 0..50 {
        let mut wrapper = Wrapper::new(settings(&json!({"jitter": 0.5})), seed).unwrap();
        wrapper.open("e", 0).unwrap();
        wrapper.handle_opened(1, None, 0);
        wrapper.handle_closed(1, close::DROPPED, "", 0);
        waits.push(wrapper.next_deadline().unwrap());
    }
    assert!(waits.iter().all(|wait| (500..=1_000).contains(wait)), "{waits:?}");
    waits.sort();
    waits.dedup();
    assert!(waits.len() > 25, "{waits:?}");
}

#[test]
fn the_count_starts_again_when_the_link_has_proved_itself() {
    // Basic mode: at opening.
    let mut basic = Bench::connected(json!({}));
    for _ in 0..5 {
        basic.cut(close::DROPPED);
        basic.advance(1_000);
        basic.up(0);
    }
    assert_eq!(basic.wrapper.attempts(), 6);
    // Acknowledged mode: at an acknowledgement, or after 10 s connected.
    let mut bench = Bench::connected(json!({"acknowledged": true}));
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.up(0);
    bench.cut(close::DROPPED);
    bench.advance(2_000);
    bench.up(0);
    bench.advance(9_999);
    bench.cut(close::DROPPED);
    bench.advance(4_000);
    bench.up(0);
    bench.advance(10_000);
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.up(0);
    bench.send(1).unwrap();
    bench.cut(close::DROPPED);
    bench.advance(2_000);
    bench.up(1);
    bench.cut(close::DROPPED);
    let numbers: Vec<Value> = bench.told.iter().filter(|told| told.is_object()).cloned().collect();
    let expected: Vec<Value> =
        [1, 2, 3, 1, 2, 1].map(|number| json!({"reconnecting": number})).into();
    assert_eq!(numbers, expected);
}

#[test]
fn the_first_connection_fails_fast() {
    let mut bench = Bench::new(json!({"acknowledged": true}));
    bench.open("e").unwrap();
    bench.advance(4_000);
    bench.opened(1, Some(2));
    bench.advance(5_999);
    assert_eq!(bench.state(), "connecting");
    bench.advance(1);
    assert_eq!(bench.state(), "closed");
    assert_eq!(bench.closed, [(1, close::DROPPED)]);
    let reason = "ingest websocket could not be opened (no answer in time)";
    assert_eq!(bench.take_told(), json!([{"disconnected": reason}]));
    assert_eq!(bench.wrapper.outcome(), Some(&Outcome::Disconnected { reason: reason.into() }));
    bench.advance(100_000);
    assert_eq!(bench.wrapper.attempts(), 1);
}

#[test]
fn a_first_connection_is_retried_when_asked_for() {
    let mut bench = Bench::new(json!({}));
    bench.wrapper.open_retrying("e", START).unwrap();
    bench.settle();
    bench.refused(None);
    bench.advance(1_000);
    bench.up(0);
    assert_eq!(bench.take_told(), json!([{"reconnecting": 1}, "reconnected"]));
}

#[test]
fn a_later_attempt_that_is_not_answered_is_a_failed_one() {
    let mut bench = Bench::connected(json!({
        "dial_timeout_ms": 2_000, "upgrade_timeout_ms": 3_000, "authorize_timeout_ms": 2_000,
    }));
    bench.cut(close::DROPPED);
    bench.advance(5_999);
    assert_eq!(bench.take_told(), json!([{"reconnecting": 1}]));
    bench.advance(1);
    assert_eq!(bench.take_told(), json!([{"reconnecting": 2}]));
    assert_eq!(bench.closed, [(2, close::DROPPED)]);
    // The answer comes after all: its socket is closed, nothing else happens.
    bench.opened(2, None);
    assert_eq!(bench.closed, [(2, close::DROPPED), (2, close::NORMAL)]);
    assert_eq!(bench.state(), "reconnecting");
}

#[test]
fn it_gives_up_when_disconnected_for_too_long() {
    let mut bench =
        Bench::connected(json!({"reconnect_attempts": null, "give_up_after_ms": 20_000}));
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.up(0);
    bench.cut(close::DROPPED);
    bench.advance(19_999);
    assert_eq!(bench.state(), "reconnecting");
    bench.told.clear();
    bench.advance(1);
    assert_eq!(bench.state(), "closed");
    let told = json!([{"disconnected": "ingest websocket closed (reconnection failed)"}]);
    assert_eq!(bench.take_told(), told);
}

#[test]
fn late_inputs_of_old_attempts_change_nothing() {
    let mut bench = Bench::connected(json!({}));
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.up(0);
    bench.told.clear();
    let now = bench.now;
    bench.wrapper.handle_closed(1, close::DONE, "", now);
    bench.wrapper.handle_refused(1, Refused::default(), now);
    bench.wrapper.handle_frame(1, r#"{"type":"kill"}"#, now);
    bench.wrapper.handle_opened(1, None, now);
    bench.wrapper.handle_opened(99, None, now);
    bench.settle();
    assert_eq!((bench.state(), bench.take_told()), ("connected", json!([])));
    let expected = [1, 1, 99].map(|attempt| (attempt, close::NORMAL));
    assert_eq!(bench.closed, expected);
}

#[test]
fn nothing_leaks_into_the_next_execution() {
    let mut bench = Bench::connected(json!({"acknowledged": true}));
    let producer = bench.wrapper.producer().unwrap().to_owned();
    bench.job("e", &[]).unwrap();
    bench.turn();
    bench.send(1).unwrap();
    bench.cut(close::DROPPED);
    bench.send(2).unwrap();
    assert_eq!(bench.close(), 2);
    assert_eq!(bench.close(), 0);
    assert_eq!(bench.wrapper.outcome(), Some(&Outcome::Closed { unacknowledged: 2 }));
    assert_eq!(bench.send(3).unwrap_err().name(), "Closed");
    assert_eq!(bench.wrapper.next_deadline(), None);
    bench.told.clear();

    bench.open("next").unwrap();
    assert_eq!((bench.attempt, bench.wrapper.outcome()), (2, None));
    assert_ne!(bench.wrapper.producer(), Some(&*producer));
    assert_eq!(bench.asked.1.as_deref(), bench.wrapper.producer());
    bench.up(0);
    assert_eq!((bench.take_sent(), bench.held()), (json!([]), (0, 0)));
    assert!(bench.wrapper.begin_turn(bench.now).is_err(), "the job went with its execution");
    bench.cut(close::DROPPED);
    assert_eq!(bench.take_told(), json!([{"reconnecting": 1}]));
}

#[test]
fn a_refusal_is_final_only_with_our_header() {
    let cases = [
        (Refusal::NotFound, "the coordinator refused the link (not_found): refused"),
        (Refusal::Unauthorized, "the coordinator refused the link (unauthorized): refused"),
        (Refusal::BadRequest, "the coordinator refused the link (bad_request): refused"),
    ];
    for (refusal, reason) in cases {
        let mut bench = Bench::with_job(json!({}), &[]);
        bench.turn();
        bench.cut(close::DROPPED);
        bench.advance(1_000);
        bench.refused(None);
        assert_eq!(bench.state(), "reconnecting");
        bench.advance(2_000);
        bench.told.clear();
        bench.refused(Some(refusal));
        assert_eq!(bench.state(), "closed");
        assert_eq!(bench.take_told(), json!([{"disconnected": reason}, {"abort": "SIGTERM"}]));
    }
}

/// It said only that it was closed.
#[test]
fn giving_up_says_what_answers_where_no_server_of_ours_does() {
    let answered = |status: u16, detail: &str| Refused {
        status: Some(status),
        detail: detail.into(),
        ..Refused::default()
    };
    let gave_up = "ingest websocket closed (reconnection failed)";
    for (answers, told) in [
        (vec![answered(404, "http://x answered 404")], format!("{gave_up}: http://x answered 404")),
        (vec![answered(404, "no"), answered(503, "soon")], gave_up.to_owned()),
        (vec![answered(503, "soon"), answered(200, "a page")], format!("{gave_up}: a page")),
        (vec![answered(401, "no")], gave_up.to_owned()),
    ] {
        let mut bench = Bench::connected(json!({"reconnect_attempts": answers.len()}));
        bench.cut(close::DROPPED);
        for answer in answers {
            bench.advance(8_000);
            bench.wrapper.handle_refused(bench.attempt, answer, bench.now);
            bench.settle();
        }
        let last = bench.told.last().cloned();
        assert_eq!(last, Some(json!({"disconnected": told})));
    }
}

#[test]
fn another_wrapper_taking_over_is_no_reason_to_come_back() {
    for by_refusal in [false, true] {
        let mut bench = Bench::with_job(json!({}), &[]);
        bench.turn();
        if by_refusal {
            bench.cut(close::DROPPED);
            bench.advance(1_000);
            bench.told.clear();
            bench.refused(Some(Refusal::Superseded));
        } else {
            bench.cut(close::REPLACED);
        }
        assert_eq!(bench.take_told(), json!(["replaced", {"abort": "SIGTERM"}]));
        assert_eq!(bench.wrapper.outcome(), Some(&Outcome::Replaced));
        // The job stays active until the host has stopped the agent.
        assert_eq!(bench.job("f", &[]).unwrap_err().name(), "JobConflict");
        bench.advance(9_999);
        assert_eq!(bench.job("f", &[]).unwrap_err().name(), "JobConflict");
        bench.advance(1);
        bench.job("f", &[]).unwrap();
        assert_eq!(bench.take_told(), json!([]));
    }
}

#[test]
fn not_active_is_how_it_ended_and_no_disconnect() {
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.turn();
    bench.cut(close::DROPPED);
    bench.send(1).unwrap();
    bench.advance(1_000);
    bench.told.clear();
    let refused = Refused {
        status: Some(409),
        refusal: Some(Refusal::NotActive),
        execution_status: crate::session::records::Status::parse("failed"),
        ..Refused::default()
    };
    bench.wrapper.handle_refused(2, refused, bench.now);
    bench.settle();
    assert_eq!(bench.take_told(), json!([done(Some("failed"), None, 1), {"abort": "SIGTERM"}]));
    assert_eq!(bench.held(), (0, 0));
}

/// A busy server or proxy says how long; not for ever, whoever asks for that.
#[test]
fn the_wait_that_a_refusal_asks_for_is_kept_up_to_the_longest_of_ours() {
    for (asked, wait) in
        [(None, 2_000), (Some(500), 2_000), (Some(3_000), 3_000), (Some(99_000), 8_000)]
    {
        let mut bench = Bench::connected(json!({"acknowledged": true}));
        bench.cut(close::DROPPED);
        bench.advance(1_000);
        let refused = Refused { status: Some(503), retry_after_ms: asked, ..Refused::default() };
        bench.wrapper.handle_refused(2, refused, bench.now);
        bench.settle();
        assert_eq!(
            (bench.state(), bench.wrapper.next_deadline()),
            ("reconnecting", Some(bench.now + wait))
        );
    }
}

#[test]
fn a_4002_is_final_in_basic_mode() {
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.turn();
    bench.cut(close::PROTOCOL_VIOLATED);
    let told = json!([{"disconnected": "protocol violated"}, {"abort": "SIGTERM"}]);
    assert_eq!(bench.take_told(), told);
}

#[test]
fn attempts_used_up_tell_an_active_job_to_abort() {
    let mut bench = Bench::with_job(json!({"reconnect_attempts": 1}), &[]);
    bench.turn();
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.refused(None);
    assert_eq!(
        bench.take_told(),
        json!([
            {"reconnecting": 1},
            {"disconnected": "ingest websocket closed (reconnection failed)"},
            {"abort": "SIGTERM"},
        ])
    );
    bench.aborted();
    assert_eq!((bench.take_told(), bench.wrapper.next_deadline()), (json!([]), None));
}

#[test]
fn heartbeats_fill_the_silence_only() {
    let mut bench = Bench::connected(json!({}));
    bench.advance(19_999);
    bench.send(1).unwrap();
    bench.advance(19_999);
    assert_eq!(bench.take_types(), ["output"]);
    bench.advance(1);
    assert_eq!(bench.take_sent(), json!([["heartbeat", {"executionId": "e"}]]));
    bench.advance(40_000);
    assert_eq!(bench.take_types(), ["heartbeat", "heartbeat"]);
    bench.cut(close::DROPPED);
    assert_eq!(bench.wrapper.state(), State::Reconnecting);
    bench.advance(14_000);
    assert_eq!(bench.take_types(), [""; 0]);
}

#[test]
fn commands_and_pings_from_the_coordinator() {
    let mut bench = Bench::connected(json!({}));
    bench.frame(json!({"type": "ping"}));
    assert_eq!(bench.take_sent(), json!([["pong", {}]]));
    bench.frame(json!({"type": "dance", "steps": 2}));
    bench.frame(json!({"type": "error", "code": "WS_PROTOCOL_ERROR", "message": "?"}));
    bench.frame(json!([1]));
    bench.wrapper.handle_frame(1, "nope", bench.now);
    bench.settle();
    assert_eq!(bench.take_told(), json!([{"command": {"type": "dance", "steps": 2}}]));
    assert_eq!(bench.state(), "connected");
}

/// Both were `Closed`, which says that somebody had closed it.
#[test]
fn who_wants_more_of_a_wrapper_that_gave_up_is_told_why() {
    let mut bench = Bench::new(json!({"acknowledged": true}));
    bench.open("e").unwrap();
    bench.opened(1, Some(2));
    bench.cut(close::DROPPED);
    let why = bench.send(1).unwrap_err();
    assert!(matches!(&why, Error::Disconnected { reason } if reason.contains("1006")), "{why}");
    assert_eq!(bench.wrapper.complete(0, None, bench.now), Err(why.clone()));
    bench.job("e", &[]).unwrap();
    assert_eq!(bench.wrapper.begin_turn(bench.now), Err(why));

    let mut bench = Bench::connected(json!({"acknowledged": true}));
    bench.cut(close::REPLACED);
    assert_eq!(bench.send(1), Err(Error::Superseded));

    let mut bench = Bench::connected(json!({"acknowledged": true}));
    bench.close();
    assert_eq!(bench.send(1).unwrap_err().name(), "Closed");
}
