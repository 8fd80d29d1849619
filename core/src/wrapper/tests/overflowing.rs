//! What happens when the buffer is full (R40, R43, R44).

use super::*;

/// Without a link, with room for three events.
fn cut_off(changes: Value) -> Bench {
    let mut all = json!({"buffer_events": 3});
    all.as_object_mut().unwrap().append(changes.clone().as_object_mut().unwrap());
    let mut bench = Bench::connected(all);
    bench.cut(close::DROPPED);
    bench
}

/// Reconnects, and returns the numbers that arrive, with what the marker says was lost.
fn arriving(bench: &mut Bench) -> (u64, Vec<u64>) {
    bench.advance(1_000);
    bench.up(0);
    let sent = bench.take_sent();
    let frames = sent.as_array().unwrap();
    assert_eq!(frames[0][0], "wrapper_resumed", "{sent}");
    let lost = frames[0][1].get("lostEvents").and_then(Value::as_u64).unwrap_or(0);
    assert_eq!(frames[0][1]["eventsLost"], json!(lost > 0));
    (lost, frames[1..].iter().filter_map(|frame| frame[1]["n"].as_u64()).collect())
}

#[test]
fn drop_newest_drops_what_comes_in() {
    let mut bench = cut_off(json!({}));
    for n in 1..=5 {
        bench.send(n).unwrap();
    }
    assert!(bench.wrapper.has_room());
    assert_eq!(arriving(&mut bench), (2, vec![1, 2, 3]));
    // It was told; the next reconnect has nothing to say.
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.up(0);
    assert_eq!(bench.take_sent(), json!([]));
}

#[test]
fn drop_oldest_drops_what_waited_longest() {
    let mut bench = cut_off(json!({"overflow": "drop_oldest"}));
    for n in 1..=5 {
        bench.send(n).unwrap();
    }
    assert_eq!(arriving(&mut bench), (2, vec![3, 4, 5]));
}

#[test]
fn block_says_full_with_what_is_held() {
    let mut bench = cut_off(json!({"overflow": "block"}));
    for n in 1..=3 {
        bench.send(n).unwrap();
    }
    assert!(!bench.wrapper.has_room());
    let error = bench.send(4).unwrap_err();
    assert!(matches!(error, Error::Full { events: 3, bytes } if bytes > 100), "{error}");
    assert_eq!(arriving(&mut bench), (0, vec![1, 2, 3]));
    assert!(bench.wrapper.has_room());
}

#[test]
fn droppables_give_way_first_and_displace_no_other_kind() {
    for overflow in ["drop_newest", "drop_oldest", "block"] {
        let mut bench = cut_off(json!({"overflow": overflow}));
        let droppable = |bench: &mut Bench, n: u64| bench.send_as("output", json!({"n": n}), true);
        bench.send(1).unwrap();
        droppable(&mut bench, 2).unwrap();
        droppable(&mut bench, 3).unwrap();
        // The oldest of them, for another kind and for their own.
        assert!(bench.wrapper.has_room());
        bench.send(4).unwrap();
        droppable(&mut bench, 5).unwrap();
        bench.send(6).unwrap();
        // None is left; an incoming one must not displace the others.
        let last = droppable(&mut bench, 7);
        let (lost, numbers) = match overflow {
            "block" => {
                assert_eq!(last.unwrap_err().name(), "Full");
                (3, vec![1, 4, 6])
            }
            _ => {
                last.unwrap();
                (4, vec![1, 4, 6])
            }
        };
        assert_eq!(arriving(&mut bench), (lost, numbers), "{overflow}");
    }
}

#[test]
fn what_ends_the_run_always_has_room_and_never_gives_way() {
    for overflow in ["drop_newest", "drop_oldest", "block"] {
        let endings = [
            ("complete", json!({"exitCode": 0})),
            ("interrupted", json!({})),
            ("error", json!({"fatal": true, "error": "x"})),
        ];
        for (event_type, data) in endings {
            let mut bench = cut_off(json!({"overflow": overflow}));
            for n in 1..=3 {
                bench.send(n).unwrap();
            }
            bench.send_as(event_type, data, false).unwrap();
            assert_eq!(bench.send(4).unwrap_err().name(), "Closed");
            bench.advance(1_000);
            bench.up(0);
            let types = bench.take_types();
            assert_eq!(types, ["wrapper_resumed", "output", "output", "output", event_type]);
        }
    }
}

#[test]
fn an_ending_that_does_not_fit_is_an_ordinary_event() {
    let mut bench = cut_off(json!({"overflow": "block"}));
    for n in 1..=3 {
        bench.send(n).unwrap();
    }
    let unfit = bench.send_as("complete", json!({"exitCode": "0"}), false);
    assert_eq!(unfit.unwrap_err().name(), "Full");
    let harmless = bench.send_as("error", json!({"fatal": false}), false);
    assert_eq!(harmless.unwrap_err().name(), "Full");
}

#[test]
fn the_bound_in_bytes_counts_as_well() {
    let mut bench =
        cut_off(json!({"buffer_events": 100, "buffer_bytes": 400, "overflow": "block"}));
    bench.send_as("output", json!("x".repeat(100)), false).unwrap();
    bench.send_as("output", json!(""), true).unwrap();
    assert_eq!(bench.send_as("output", json!("x".repeat(200)), false).unwrap_err().name(), "Full");
    // There is room, but not for what was refused: asking again would be in vain.
    assert!(!bench.wrapper.has_room());
    bench.send_as("output", json!(""), false).unwrap();
    assert_eq!(bench.held(), (3, 0), "nothing gave way in vain");
}

#[test]
fn a_full_window_is_back_pressure_whatever_the_policy() {
    for overflow in ["auto", "block", "drop_newest", "drop_oldest"] {
        let changes = json!({"acknowledged": true, "buffer_events": 3, "overflow": overflow});
        let mut bench = Bench::connected(changes);
        for n in 1..=3 {
            bench.send(n).unwrap();
        }
        assert_eq!(bench.held(), (0, 3));
        assert_eq!(bench.send(4).unwrap_err().name(), "Full", "{overflow}");
        assert_eq!(bench.send_as("output", json!({}), true).unwrap_err().name(), "Full");
        assert!(!bench.wrapper.has_room());
        bench.ack(1);
        assert!(bench.wrapper.has_room());
        bench.send(4).unwrap();
        bench.cut(close::DROPPED);
        // Without a link the policy decides; what has a number never goes.
        let fourth = bench.send(5);
        assert_eq!(bench.held(), (0, 3));
        match overflow {
            "auto" | "block" => assert_eq!(fourth.unwrap_err().name(), "Full"),
            _ => {
                fourth.unwrap();
                bench.advance(1_000);
                bench.up(1);
                let types = bench.take_types();
                assert_eq!(types, ["output", "output", "output", "wrapper_resumed"]);
            }
        }
    }
}

#[test]
fn what_can_never_be_held_is_refused_for_good() {
    let mut bench = Bench::connected(json!({"acknowledged": true, "buffer_bytes": 200}));
    let error = bench.send_as("output", json!("x".repeat(200)), false).unwrap_err();
    assert_eq!(error.name(), "InvalidEvent");
    bench.send(1).unwrap();
}
