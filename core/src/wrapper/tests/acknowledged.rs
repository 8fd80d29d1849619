//! Acknowledged mode: numbers, the welcome, going back, undeliverable events, late links
//! (R10a, R45, R46, R47a).

use super::super::Outcome;
use super::*;

fn connected() -> Bench {
    Bench::connected(json!({"acknowledged": true}))
}

fn output(n: u64, seq: u64) -> Value {
    json!(["output", {"n": n}, seq])
}

/// Breaks the link and makes a new one, whose welcome says `last_seq`.
fn reconnect(bench: &mut Bench, last_seq: u64) {
    bench.cut(close::DROPPED);
    bench.advance(8_000);
    bench.up(last_seq);
}

#[test]
fn events_are_numbered_at_their_first_write_and_kept_until_acknowledged() {
    let mut bench = connected();
    assert_eq!(bench.asked.0, Some(2));
    assert!(bench.asked.1.clone().unwrap().starts_with("prd_"));
    bench.send(1).unwrap();
    bench.send(2).unwrap();
    bench.send(3).unwrap();
    assert_eq!(bench.take_sent(), json!([output(1, 1), output(2, 2), output(3, 3)]));
    bench.ack(2);
    assert_eq!(bench.held(), (0, 1));
    bench.cut(close::DROPPED);
    bench.send(4).unwrap();
    assert_eq!(bench.held(), (1, 1));
    bench.advance(1_000);
    bench.up(2);
    // No marker: nothing was lost.
    assert_eq!(bench.take_sent(), json!([output(3, 3), output(4, 4)]));
    bench.ack(4);
    bench.ack(99);
    bench.ack(1);
    assert_eq!(bench.held(), (0, 0));
    bench.send(5).unwrap();
    assert_eq!(bench.take_sent(), json!([output(5, 5)]));
}

#[test]
fn heartbeats_and_pongs_carry_no_number() {
    let mut bench = connected();
    bench.frame(json!({"type": "ping"}));
    bench.advance(20_000);
    bench.send_as("pong", json!({}), false).unwrap();
    bench.send(1).unwrap();
    assert_eq!(
        bench.take_sent(),
        json!([["pong", {}], ["heartbeat", {"executionId": "e"}], ["pong", {}], output(1, 1)])
    );
    assert_eq!(bench.held(), (0, 1));
}

#[test]
fn nothing_is_written_before_the_welcome() {
    let mut bench = Bench::new(json!({"acknowledged": true}));
    bench.open("e").unwrap();
    bench.send(1).unwrap();
    bench.opened(1, Some(2));
    bench.frame(json!({"type": "ack", "seq": 1}));
    bench.frame(json!({"type": "kill", "signal": "SIGTERM"}));
    bench.send(2).unwrap();
    assert_eq!((bench.state(), bench.take_sent()), ("connecting", json!([])));
    bench.frame(json!({"type": "welcome", "lastSeq": 0}));
    assert_eq!(bench.take_sent(), json!([output(1, 1), output(2, 2)]));
    // A second one on the same link says nothing.
    bench.frame(json!({"type": "welcome", "lastSeq": 0}));
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.opened(2, Some(2));
    assert_eq!((bench.state(), bench.take_told()), ("reconnecting", json!([{"reconnecting": 1}])));
    bench.frame(json!({"type": "welcome", "lastSeq": 0}));
    assert_eq!(bench.take_told(), json!(["reconnected"]));
}

#[test]
fn a_welcome_that_does_not_come_is_a_failed_attempt() {
    let mut bench = connected();
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.opened(2, Some(2));
    bench.advance(14_999);
    assert_eq!(bench.take_told(), json!([{"reconnecting": 1}]));
    bench.advance(1);
    assert_eq!(bench.take_told(), json!([{"reconnecting": 2}]));
    assert_eq!(bench.closed, [(2, close::DROPPED)]);
    bench.advance(2_000);
    bench.opened(3, Some(2));
    bench.frame(json!({"type": "welcome"}));
    assert_eq!(bench.take_told(), json!([{"reconnecting": 3}]), "it cannot be read");
}

#[test]
fn the_mode_is_fixed_by_the_first_accepted_link() {
    // Basic first: not asked for again, and its limits are those of basic mode.
    let mut bench = Bench::new(json!({"acknowledged": true}));
    bench.open("e").unwrap();
    bench.send(1).unwrap();
    bench.opened(1, None);
    assert_eq!(bench.take_sent(), json!([["output", {"n": 1}]]));
    assert_eq!((bench.held(), bench.wrapper.producer()), ((0, 0), None));
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    assert_eq!(bench.asked, (None, None));
    bench.refused(None);
    bench.advance(2_000);
    bench.refused(None);
    bench.advance(4_000);
    bench.refused(None);
    assert_eq!(bench.state(), "closed");
    // A welcome first: a basic answer is a failed attempt.
    let mut bench = connected();
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.opened(2, None);
    assert_eq!((bench.state(), bench.closed.clone()), ("reconnecting", vec![(2, close::DROPPED)]));
    bench.advance(2_000);
    assert_eq!(bench.asked.0, Some(2));
    // Said twice of the same attempt, it changes nothing.
    bench.up(0);
    bench.opened(3, None);
    assert_eq!(bench.state(), "connected");
}

#[test]
fn a_coordinator_that_grants_what_was_not_asked_for_gets_basic_mode() {
    let mut bench = Bench::new(json!({}));
    bench.open("e").unwrap();
    bench.opened(1, Some(2));
    assert_eq!(bench.state(), "connected");
    bench.send(1).unwrap();
    assert_eq!(bench.take_sent(), json!([["output", {"n": 1}]]));
    bench.ack(1);
    assert_eq!(bench.held(), (0, 0));
}

#[test]
fn what_was_lost_is_told_by_a_numbered_marker_between_old_and_new() {
    let mut bench = Bench::connected(
        json!({"acknowledged": true, "buffer_events": 2, "overflow": "drop_newest"}),
    );
    bench.send(1).unwrap();
    bench.take_sent();
    bench.cut(close::DROPPED);
    bench.send(2).unwrap();
    bench.send(3).unwrap();
    bench.send(4).unwrap();
    bench.advance(1_000);
    bench.up(0);
    let marker = json!({"bufferedEvents": 1, "eventsLost": true, "lostEvents": 2});
    let expected = json!([output(1, 1), ["wrapper_resumed", marker, 2], output(2, 3)]);
    assert_eq!(bench.take_sent(), expected);
    // The marker is as safe as any event, and comes once.
    reconnect(&mut bench, 1);
    let expected = json!([["wrapper_resumed", marker, 2], output(2, 3)]);
    assert_eq!(bench.take_sent(), expected);
}

#[test]
fn a_store_that_went_back_gets_a_new_producer() {
    let mut bench = connected();
    for n in 1..=4 {
        bench.send(n).unwrap();
    }
    bench.ack(3);
    bench.cut(close::DROPPED);
    bench.send(5).unwrap();
    bench.advance(1_000);
    let old = bench.asked.1.clone();
    bench.take_told();
    bench.up(1);
    // 2 and 3 were acknowledged and are missing; the link is closed without a word to the host.
    assert_eq!(bench.take_told(), json!([{"reconnecting": 2}]));
    assert_eq!(bench.closed, [(2, close::NORMAL)]);
    assert_eq!(bench.take_sent(), json!([]));
    bench.advance(2_000);
    assert_ne!(bench.asked.1, old);
    bench.up(0);
    let marker = json!({"bufferedEvents": 1, "eventsLost": true, "lostEvents": 2});
    assert_eq!(
        bench.take_sent(),
        json!([output(4, 1), ["wrapper_resumed", marker, 2], output(5, 3)])
    );
}

#[test]
fn an_outbox_that_went_back_gets_a_new_producer_even_at_first() {
    let mut bench = Bench::new(json!({"acknowledged": true}));
    bench.open("e").unwrap();
    bench.send(1).unwrap();
    let old = bench.asked.1.clone();
    bench.up(5);
    assert_eq!(bench.take_told(), json!([{"reconnecting": 1}]));
    bench.advance(1_000);
    assert_ne!(bench.asked.1, old);
    bench.up(0);
    assert_eq!(bench.take_sent(), json!([output(1, 1)]));
}

#[test]
fn a_first_4002_costs_a_producer_and_a_second_is_final() {
    let mut bench = connected();
    bench.send(1).unwrap();
    let old = bench.asked.1.clone();
    bench.cut(close::PROTOCOL_VIOLATED);
    bench.advance(1_000);
    assert_ne!(bench.asked.1, old);
    bench.up(0);
    assert_eq!(bench.take_sent(), json!([output(1, 1)]));
    // An acknowledgement between: it may happen once more.
    bench.ack(1);
    bench.cut(close::PROTOCOL_VIOLATED);
    bench.advance(1_000);
    bench.up(0);
    bench.take_told();
    bench.cut(close::PROTOCOL_VIOLATED);
    assert_eq!(bench.take_told(), json!([{"disconnected": "protocol violated"}]));
    assert_eq!(bench.state(), "closed");
}

#[test]
fn an_event_that_breaks_every_link_is_sent_alone_and_then_replaced() {
    let mut bench = connected();
    bench.send(1).unwrap();
    bench.send(2).unwrap();
    bench.take_sent();
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    for _ in 0..2 {
        bench.up(0);
        assert_eq!(bench.take_sent(), json!([output(1, 1), output(2, 2)]));
        bench.cut(1011);
        bench.advance(8_000);
    }
    bench.send(3).unwrap();
    bench.up(0);
    assert_eq!(bench.take_sent(), json!([output(1, 1)]), "alone after three breaks");
    bench.send(4).unwrap();
    assert_eq!((bench.take_sent(), bench.held()), (json!([]), (2, 2)));
    bench.cut(1011);
    bench.advance(8_000);
    bench.up(0);
    let sent = bench.take_sent();
    assert_eq!(sent[0][0], "rejected");
    assert_eq!(sent[0][1]["code"], "undeliverable");
    assert!(sent[0][1]["bytes"].as_u64().unwrap() > 50);
    assert_eq!(sent[0][2], 1);
    assert_eq!(sent.as_array().unwrap()[1..], [output(2, 2), output(3, 3), output(4, 4)]);
}

#[test]
fn a_marker_that_is_undeliverable_takes_no_count_with_it() {
    let mut bench =
        Bench::new(json!({"acknowledged": true, "buffer_events": 1, "overflow": "drop_newest"}));
    bench.open("e").unwrap();
    bench.send(1).unwrap();
    bench.send(2).unwrap();
    bench.up(0);
    for _ in 0..4 {
        reconnect(&mut bench, 0);
    }
    let sent = bench.take_sent();
    assert_eq!((&sent[0][0], &sent[1]), (&json!("rejected"), &output(1, 2)));
    let marker = json!({"bufferedEvents": 0, "eventsLost": true, "lostEvents": 1});
    assert_eq!(sent[2], json!(["wrapper_resumed", marker, 3]));
}

#[test]
fn an_event_sent_alone_that_is_acknowledged_lets_the_others_follow() {
    let mut bench = connected();
    bench.send(1).unwrap();
    bench.send(2).unwrap();
    for _ in 0..3 {
        reconnect(&mut bench, 0);
    }
    assert_eq!(bench.take_sent(), json!([output(1, 1)]));
    bench.ack(1);
    assert_eq!(bench.take_sent(), json!([output(2, 2)]));
    // Another first number: it begins anew.
    reconnect(&mut bench, 1);
    reconnect(&mut bench, 1);
    bench.send(3).unwrap();
    assert_eq!(bench.take_sent(), json!([output(2, 2), output(3, 3)]));
}

#[test]
fn a_missing_acknowledgement_breaks_the_link() {
    let mut bench = connected();
    bench.advance(60_000);
    assert_eq!(bench.state(), "connected", "heartbeats are not acknowledged");
    bench.send(1).unwrap();
    bench.advance(10_000);
    bench.send(2).unwrap();
    bench.ack(1);
    bench.advance(14_999);
    assert_eq!(bench.state(), "connected", "each acknowledgement gives the next its time");
    bench.advance(1);
    assert_eq!((bench.state(), bench.held()), ("reconnecting", (0, 1)));
    assert_eq!(bench.closed, [(1, close::DROPPED)]);
}

#[test]
fn the_welcomes_limits_count_for_what_is_sent_next() {
    let mut bench = Bench::new(json!({"acknowledged": true}));
    bench.open("e").unwrap();
    bench.opened(1, Some(2));
    bench.frame(json!({"type": "welcome", "lastSeq": 0, "maxFrameBytes": 150, "maxNesting": 2}));
    assert!(bench.send_as("output", json!({"a": {}}), false).is_err());
    assert!(bench.send_as("output", json!("x".repeat(80)), false).is_err());
    bench.send(1).unwrap();
    bench.close();
    bench.open("next").unwrap();
    bench.send_as("output", json!({"a": {}}), false).unwrap();
}

#[test]
fn the_coordinators_ending_is_told_with_what_is_lost_by_it() {
    let mut bench = Bench::with_job(json!({"acknowledged": true}), &["task"]);
    bench.turn();
    bench.send(1).unwrap();
    bench.send(2).unwrap();
    bench.frame(json!({"type": "ended", "status": "failed", "error": "reaped", "lastSeq": 1}));
    assert_eq!(bench.take_told(), json!([]), "the close says it");
    bench.cut(close::DONE);
    assert_eq!(
        bench.take_told(),
        json!([done(Some("failed"), Some("reaped"), 1), {"abort": "SIGTERM"}])
    );
    assert!(matches!(
        bench.wrapper.outcome(),
        Some(Outcome::Done { unacknowledged: 1, error: Some(error), .. }) if &**error == "reaped"
    ));
    bench.aborted();
    assert_eq!((bench.take_told(), bench.state()), (json!([]), "closed"));
    bench.job("f", &[]).unwrap();
}

#[test]
fn a_late_link_still_takes_what_the_wrapper_has() {
    let mut bench = Bench::with_job(json!({"acknowledged": true}), &[]);
    bench.turn();
    bench.cut(close::DROPPED);
    bench.send(1).unwrap();
    bench.advance(1_000);
    bench.take_told();
    bench.opened(2, Some(2));
    bench.frame(json!({"type": "welcome", "lastSeq": 0, "late": true}));
    bench.frame(json!({"type": "ended", "status": "failed", "error": "gone", "lastSeq": 0}));
    assert_eq!(
        bench.take_told(),
        json!(["reconnected", done(Some("failed"), Some("gone"), 0), {"abort": "SIGTERM"}])
    );
    assert_eq!(bench.state(), "connected");
    // What the agent still says while it stops is evidence.
    bench.agent("message.updated", json!({})).unwrap();
    bench.aborted();
    assert_eq!(bench.take_types(), ["output", "kilocode"], "and no `interrupted`");
    assert_eq!((bench.state(), bench.take_told()), ("connected", json!([])));
    bench.ack(2);
    assert_eq!((bench.state(), bench.take_told()), ("closed", json!(["drained"])));
    assert_eq!(bench.closed, [(2, close::NORMAL)]);
    assert!(matches!(bench.wrapper.outcome(), Some(Outcome::Done { .. })));
}

#[test]
fn a_late_link_takes_the_wrappers_own_ending_and_tells_the_end_once() {
    let mut bench = Bench::with_job(json!({"acknowledged": true}), &[]);
    bench.turn();
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.take_told();
    bench.opened(2, Some(2));
    bench.frame(json!({"type": "welcome", "lastSeq": 0, "late": true}));
    bench.frame(json!({"type": "ended", "status": "failed", "lastSeq": 0}));
    assert_eq!(
        bench.take_told(),
        json!(["reconnected", done(Some("failed"), None, 0), {"abort": "SIGTERM"}])
    );
    bench.wrapper.complete(0, None, bench.now).unwrap();
    bench.settle();
    assert_eq!(bench.take_sent(), json!([["complete", {"exitCode": 0}, 1]]));
    bench.ack(1);
    bench.cut(close::DONE);
    assert_eq!(bench.take_told(), json!(["drained"]));
}

#[test]
fn without_an_active_job_a_late_link_brings_what_there_is_and_goes() {
    let mut bench = Bench::connected(json!({"acknowledged": true}));
    bench.cut(close::DROPPED);
    bench.send(1).unwrap();
    bench.advance(1_000);
    bench.take_told();
    bench.opened(2, Some(2));
    bench.frame(json!({"type": "welcome", "lastSeq": 0, "late": true}));
    bench.frame(json!({"type": "ended", "status": "failed", "lastSeq": 0}));
    assert_eq!(bench.take_types(), ["output"]);
    assert_eq!(bench.send(2).unwrap_err().name(), "Closed");
    bench.ack(1);
    assert_eq!(bench.take_told(), json!(["reconnected", done(Some("failed"), None, 0), "drained"]));
    assert_eq!((bench.state(), &bench.closed[..]), ("closed", &[(2, close::NORMAL)][..]));
}

#[test]
fn draining_waits_for_acknowledgements_and_across_cuts() {
    let mut bench = Bench::connected(json!({"acknowledged": true}));
    bench.send(1).unwrap();
    bench.wrapper.complete(3, Some("main"), bench.now).unwrap();
    bench.settle();
    assert_eq!(bench.send(2).unwrap_err().name(), "Closed");
    assert_eq!(bench.wrapper.complete(0, None, bench.now).unwrap_err().name(), "Closed");
    bench.advance(14_999);
    bench.ack(1);
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.take_told();
    bench.up(1);
    let complete = json!(["complete", {"exitCode": 3, "currentBranch": "main"}, 2]);
    assert_eq!(bench.take_sent(), json!([complete]));
    bench.ack(2);
    bench.frame(json!({"type": "ended", "status": "completed", "lastSeq": 2}));
    bench.cut(close::DONE);
    assert_eq!(
        bench.take_told(),
        json!(["reconnected", done(Some("completed"), None, 0), "drained"])
    );
}

#[test]
fn a_link_that_breaks_behind_ended_is_no_disconnect_unless_something_is_left() {
    let ended = json!({"type": "ended", "status": "completed", "lastSeq": 1});
    let ending = |bench: &mut Bench| {
        bench.wrapper.complete(0, None, bench.now).unwrap();
        bench.settle();
        bench.take_sent();
    };
    for code in [1006, 1001, 1011, close::NORMAL] {
        let mut bench = Bench::connected(json!({"acknowledged": true}));
        ending(&mut bench);
        bench.frame(ended.clone());
        assert_eq!((bench.state(), bench.take_told()), ("connected", json!([])));
        bench.cut(code);
        let told = json!([done(Some("completed"), None, 0), "drained"]);
        assert_eq!(bench.take_told(), told, "{code}");
        assert_eq!(bench.state(), "closed");
        bench.advance(3_600_000);
        assert_eq!(bench.take_told(), json!([]));
    }
    // What was not acknowledged goes out on the next link, late or not (R10a).
    let mut bench = Bench::connected(json!({"acknowledged": true}));
    bench.send(1).unwrap();
    bench.send(2).unwrap();
    bench.settle();
    bench.frame(json!({"type": "ended", "status": "failed", "error": "boom", "lastSeq": 1}));
    bench.cut(1006);
    assert_eq!((bench.state(), bench.take_told()), ("reconnecting", json!([{"reconnecting": 1}])));
}

#[test]
fn draining_ends_without_a_4000_after_the_last_acknowledgement() {
    let mut bench = Bench::connected(json!({"acknowledged": true}));
    bench.wrapper.fail("boom", None, bench.now).unwrap();
    bench.settle();
    assert_eq!(bench.take_sent(), json!([["error", {"error": "boom", "fatal": true}, 1]]));
    bench.advance(5_000);
    bench.ack(1);
    bench.advance(14_999);
    assert_eq!(bench.state(), "connected");
    bench.advance(1);
    assert_eq!((bench.state(), bench.take_told()), ("closed", json!(["drained"])));
    assert_eq!(bench.wrapper.outcome(), Some(&Outcome::Drained));
}
