//! The end always gets through (R29, R40).

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::protocol::{FrameLimits, Lifecycle, parse_frame};

fn small(acknowledged: bool) -> Bench {
    Bench::connected(json!({"acknowledged": acknowledged, "max_frame_bytes": 400}))
}

/// The data of the one frame that was sent since the last look.
fn ending(bench: &mut Bench) -> Value {
    let sent = bench.take_sent();
    assert_eq!(sent.as_array().map(Vec::len), Some(1), "{sent}");
    sent[0][1].clone()
}

#[test]
fn every_way_to_end_gets_through_though_it_is_larger_than_a_frame() {
    let long = "boom ".repeat(1_000);
    for acknowledged in [false, true] {
        let mut bench = small(acknowledged);
        bench.wrapper.fail(&long, Some(-9), bench.now).unwrap();
        bench.settle();
        let data = ending(&mut bench);
        assert_eq!(data["exitCode"], -9);
        assert_eq!((&data["fatal"], &data["truncated"]), (&json!(true), &json!(true)));
        assert!(data["bytes"].as_u64().unwrap() > 5_000);
        assert!(data["error"].as_str().unwrap().len() > 200);

        let mut bench = small(acknowledged);
        bench.wrapper.interrupted(Some(&long), Some(130), bench.now).unwrap();
        bench.settle();
        let data = ending(&mut bench);
        assert!(data["reason"].as_str().unwrap().starts_with("boom "));
        assert_eq!(data["exitCode"], 130);

        let mut bench = small(acknowledged);
        bench.wrapper.complete(7, Some(&long), bench.now).unwrap();
        bench.settle();
        let data = ending(&mut bench);
        assert_eq!((&data["exitCode"], data.get("currentBranch")), (&json!(7), None));

        let mut bench = small(acknowledged);
        bench.send_as("complete", json!({"exitCode": 7, "notes": [long]}), false).unwrap();
        assert_eq!(ending(&mut bench)["exitCode"], 7);
        assert_eq!(bench.send(1).unwrap_err().name(), "Closed");
    }
}

#[test]
fn what_ends_nothing_is_refused_as_ever() {
    let mut bench = small(true);
    let long = "x".repeat(1_000);
    for (event_type, data) in [
        ("output", json!({"text": long})),
        ("error", json!({"error": long, "fatal": false})),
        ("complete", json!({"exitCode": "7", "text": long})),
    ] {
        let refused = bench.send_as(event_type, data, false).unwrap_err();
        assert!(matches!(refused, Error::InvalidEvent { bytes: 1_000.., .. }), "{refused:?}");
    }
    for no_json in [r#"{"exitCode":0"#, r#"{"exitCode":0},"seq":9"#] {
        let options = SendOptions::default();
        let refused = bench.wrapper.send("complete", no_json, options, bench.now);
        assert!(matches!(refused, Err(Error::InvalidEvent { .. })), "{no_json}");
    }
    bench.send(1).unwrap();
}

#[test]
fn a_failure_and_an_interrupt_have_an_exit_code_where_one_is_given() {
    type End = fn(&mut Wrapper, Millis) -> Result<(), Error>;
    let ways: [(End, Value); 5] = [
        (
            |one, now| one.fail("boom", Some(3), now),
            json!(["error", {"error": "boom", "exitCode": 3, "fatal": true}]),
        ),
        (
            |one, now| one.fail("boom", None, now),
            json!(["error", {"error": "boom", "fatal": true}]),
        ),
        (
            |one, now| one.interrupted(Some("stop"), Some(i64::MIN), now),
            json!(["interrupted", {"exitCode": i64::MIN, "reason": "stop"}]),
        ),
        (
            |one, now| one.interrupted(None, Some(130), now),
            json!(["interrupted", {"exitCode": 130}]),
        ),
        (|one, now| one.interrupted(None, None, now), json!(["interrupted", {}])),
    ];
    for (end, sent) in ways {
        let mut bench = Bench::connected(json!({}));
        end(&mut bench.wrapper, bench.now).unwrap();
        bench.settle();
        assert_eq!(bench.take_sent(), json!([sent]));
    }
}

/// R51a.
#[test]
fn code_that_raises_ends_its_run_unless_it_has_had_its_ending() {
    let raised = |bench: &mut Bench, what: &str, stopped, code| {
        let answer = bench.wrapper.raised(what, stopped, code, bench.now);
        bench.settle();
        answer
    };
    let mut bench = Bench::connected(json!({}));
    raised(&mut bench, "boom", false, Some(3)).unwrap();
    let failed = json!(["error", {"error": "boom", "exitCode": 3, "fatal": true}]);
    assert_eq!(bench.take_sent(), json!([failed]));
    assert_eq!(raised(&mut bench, "again", false, None).unwrap_err().name(), "Closed");

    let mut bench = Bench::connected(json!({}));
    raised(&mut bench, "Ctrl-C", true, None).unwrap();
    assert_eq!(bench.take_sent(), json!([["interrupted", {"reason": "Ctrl-C"}]]));

    // It was asked to stop, and what it then raised is what came of that.
    let mut bench = Bench::with_job(json!({}), &[]);
    bench.turn();
    bench.frame(json!({"type": "kill", "signal": "SIGTERM"}));
    raised(&mut bench, "the agent died", false, None).unwrap();
    assert_eq!(bench.take_sent(), json!([["interrupted", {"reason": "the agent died"}]]));

    for (what, told) in [
        ("", "an exception without a message"),
        (" \n", "an exception without a message"),
        (&*"ä".repeat(100), "ääääääääääääääääääääääääääääääääää… (+132 bytes)"),
    ] {
        let mut bench = Bench::connected(json!({"max_text_bytes": 84}));
        raised(&mut bench, what, false, None).unwrap();
        assert_eq!(ending(&mut bench)["error"], told);
    }
}

/// It was refused with `larger than buffer_bytes`.
#[test]
fn an_ending_larger_than_the_buffer_has_room() {
    let mut bench = Bench::new(json!({"acknowledged": true, "buffer_bytes": 1_000}));
    bench.open("e").unwrap();
    bench.wrapper.fail(&"x".repeat(5_000), None, bench.now).unwrap();
    bench.settle();
    bench.up(0);
    assert_eq!(ending(&mut bench)["error"].as_str().unwrap().len(), 5_000);
}

#[test]
fn an_ending_that_waited_is_cut_to_the_bound_that_the_welcome_told() {
    let mut bench = Bench::new(json!({"acknowledged": true}));
    bench.open("e").unwrap();
    bench.opened(1, Some(2));
    bench.wrapper.fail(&"x".repeat(5_000), None, bench.now).unwrap();
    bench.frame(json!({"type": "welcome", "lastSeq": 0, "maxFrameBytes": 2_000}));
    let first = ending(&mut bench);
    assert!((1_500..2_000).contains(&first["error"].as_str().unwrap().len()), "{first}");
    // It has its number, and a smaller bound on the next link.
    bench.cut(close::DROPPED);
    bench.advance(1_000);
    bench.opened(2, Some(2));
    bench.frame(json!({"type": "welcome", "lastSeq": 0, "maxFrameBytes": 400}));
    let sent = bench.take_sent();
    assert_eq!((&sent[0][0], &sent[0][2]), (&json!("error"), &json!(1)));
    let second = &sent[0][1];
    assert!(second["error"].as_str().unwrap().len() < 400);
    assert_eq!(second["bytes"], first["bytes"], "what it would have been at first");
    bench.ack(1);
    assert_eq!(bench.held(), (0, 0));
}

/// R45d: what is left of it is tried alone before anything takes its place.
#[test]
fn an_undeliverable_ending_is_bared_before_it_is_replaced() {
    let mut bench = Bench::connected(json!({"acknowledged": true}));
    let data = json!({"exitCode": 3, "currentBranch": "main"});
    bench.send_as("complete", data.clone(), false).unwrap();
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(bench.take_sent()[0].clone());
        bench.cut(close::DROPPED);
        bench.advance(10_000);
        bench.up(0);
    }
    let bare = &seen[4][1];
    assert!(seen[..4].iter().all(|sent| sent[1] == data), "{seen:?}");
    assert_eq!((&bare["exitCode"], bare.get("currentBranch")), (&json!(3), None));
    assert_eq!((&seen[4][0], &seen[4][2]), (&json!("complete"), &json!(1)));
    assert_eq!((&seen[5][0], &seen[5][1]["code"]), (&json!("rejected"), &json!("undeliverable")));
}

#[derive(Debug, Clone)]
struct Ending {
    event_type: &'static str,
    data: String,
}

fn field() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        3 => ".{0,80}".prop_map(|text| json!(text).to_string()),
        1 => (0..600usize).prop_map(|length| json!("long \u{1}ä".repeat(length)).to_string()),
        1 => (0..200usize).prop_map(|deep| "[".repeat(deep) + "1" + &"]".repeat(deep)),
        1 => (1..500usize).prop_map(|digits| "7".repeat(digits)),
        1 => Just(r#""half \udead of a character""#.to_owned()),
        1 => Just("null".to_owned()),
    ];
    let name = prop_oneof![
        3 => prop_oneof![Just("error"), Just("message"), Just("bytes"), Just("truncated")]
            .prop_map(|name| json!(name).to_string()),
        2 => ".{0,20}".prop_map(|name| json!(name).to_string()),
        1 => Just(r#""exitCod\u0065""#.to_owned()),
    ];
    (name, value).prop_map(|(name, value)| format!("{name}:{value}"))
}

fn ending_of_any_kind() -> impl Strategy<Value = Ending> {
    let kinds = prop_oneof![
        Just(("complete", r#""exitCode":-3"#)),
        Just(("error", r#""fatal":true"#)),
        Just(("interrupted", r#""reason":"why not why not why not""#)),
    ];
    (kinds, vec(field(), 0..6), any::<prop::sample::Index>()).prop_map(
        |((event_type, kept), mut fields, at)| {
            fields.insert(at.index(fields.len() + 1), kept.to_owned());
            Ending { event_type, data: format!("{{{}}}", fields.join(",")) }
        },
    )
}

proptest! {
    /// Whatever is in it, and whatever the bound: it fits, it ends the execution in the same way,
    /// and what stays is as it was.
    #[test]
    fn an_ending_fits_every_bound_and_stays_the_ending_that_it_was(
        ending in ending_of_any_kind(),
        bounds in vec(260..3_000u64, 1..4),
        nesting in 3..12u32,
    ) {
        let meant = Lifecycle::of(ending.event_type, &ending.data);
        prop_assume!(meant.as_ref().is_some_and(Lifecycle::is_terminal));
        let mut bench = Bench::new(json!({"acknowledged": true}));
        bench.open("e").unwrap();
        let options = SendOptions::default();
        bench.wrapper.send(ending.event_type, &ending.data, options, bench.now).unwrap();
        for bound in bounds {
            bench.opened(bench.attempt, Some(2));
            let limits = json!({
                "type": "welcome", "lastSeq": 0, "maxFrameBytes": bound, "maxNesting": nesting,
            });
            bench.wrapper.handle_frame(bench.attempt, &limits.to_string(), bench.now);
            let mut texts = Vec::new();
            while let Some(action) = bench.wrapper.poll_action() {
                if let Action::Write { text, .. } = action {
                    texts.push(text);
                }
            }
            prop_assert_eq!(texts.len(), 1);
            let limits = FrameLimits { max_frame_bytes: bound, max_nesting: nesting };
            let frame = parse_frame(&texts[0], limits).unwrap();
            prop_assert_eq!(frame.seq, Some(1));
            let came = Lifecycle::of(&frame.event_type, &frame.data).unwrap();
            match (meant.as_ref().unwrap(), &came) {
                (
                    Lifecycle::Completed { exit_code, .. },
                    Lifecycle::Completed { exit_code: came_with, .. },
                ) => prop_assert_eq!(exit_code, came_with),
                (
                    Lifecycle::Failed { error: meant, exit_code },
                    Lifecycle::Failed { error: came, exit_code: came_with },
                ) => {
                    prop_assert!(meant.starts_with(&**came) || texts[0].contains("truncated"));
                    prop_assert_eq!(exit_code, came_with);
                }
                (
                    Lifecycle::Interrupted { reason: meant, exit_code },
                    Lifecycle::Interrupted { reason: came, exit_code: came_with },
                ) => {
                    prop_assert!(meant.starts_with(&**came) || &**came == "User interrupted");
                    prop_assert_eq!(exit_code, came_with);
                }
                (meant, came) => prop_assert!(false, "{meant:?} became {came:?}"),
            }
            bench.cut(close::DROPPED);
            bench.advance(10_000);
        }
    }
}
