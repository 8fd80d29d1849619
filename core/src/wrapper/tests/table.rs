//! The connection's table: every pair of state and input, and that each declared one is taken.

use super::super::connection::{Connection, Input};
use super::*;

const STATES: [Connection; 8] = [
    Connection::Idle,
    Connection::Connecting { attempt: 1 },
    Connection::Greeting { attempt: 1 },
    Connection::Connected { attempt: 1, since: 0 },
    Connection::Waiting,
    Connection::Reconnecting { attempt: 1 },
    Connection::Regreeting { attempt: 1 },
    Connection::Closed,
];

const INPUTS: [Input; 8] = [
    Input::Open { attempt: 1 },
    Input::Basic { now: 0 },
    Input::Granted,
    Input::Welcomed { now: 0 },
    Input::Lost,
    Input::Spent,
    Input::Due { attempt: 1 },
    Input::Stop,
];

/// The table, a row a state: a place in [`STATES`], `-` for no change, `.` for undeclared.
const TABLE: [&str; 8] = [
    "1......7", ".32.47.7", ".--347.7", ".---47.7", ".....757", ".36.47.7", ".--347.7", "1......-",
];

#[test]
fn every_pair_of_state_and_input_is_as_the_table_says() {
    for (row, state) in STATES.into_iter().enumerate() {
        for (column, input) in INPUTS.into_iter().enumerate() {
            let expected = match TABLE[row].as_bytes()[column] {
                b'.' => None,
                b'-' => Some(None),
                place => Some(Some(STATES[usize::from(place - b'0')])),
            };
            assert_eq!(state.step(input).ok(), expected, "{state:?}, {input:?}");
        }
    }
}

#[test]
fn the_current_attempt_is_kept_from_state_to_state() {
    let mut connection = Connection::Idle;
    for (input, attempt) in [
        (Input::Open { attempt: 5 }, Some(5)),
        (Input::Granted, Some(5)),
        (Input::Welcomed { now: 9 }, Some(5)),
        (Input::Lost, None),
        (Input::Due { attempt: 6 }, Some(6)),
        (Input::Basic { now: 10 }, Some(6)),
        (Input::Stop, None),
    ] {
        connection = connection.step(input).unwrap().unwrap();
        assert_eq!(connection.attempt(), attempt, "{connection:?}");
    }
}

/// A step of a script, as short as it can be.
fn run_script(script: &str) -> Vec<(Connection, Input)> {
    let acknowledged = script.starts_with('A');
    let mut bench = Bench::new(json!({"acknowledged": acknowledged, "reconnect_attempts": 2}));
    for step in script.chars().skip(1) {
        match step {
            'o' => bench.open("e").unwrap(),
            'R' => bench.wrapper.open_retrying("e", bench.now).unwrap(),
            '1' => bench.opened(bench.attempt, None),
            '2' => bench.opened(bench.attempt, Some(2)),
            'w' => bench.frame(json!({"type": "welcome", "lastSeq": 0})),
            'g' => bench.frame(json!({"type": "welcome", "lastSeq": 9})),
            'c' => bench.cut(close::DROPPED),
            'd' => bench.cut(close::DONE),
            'r' => bench.refused(None),
            't' => bench.advance(4_000),
            'x' => {
                bench.close();
            }
            other => panic!("no step {other}"),
        }
        bench.settle();
    }
    bench.wrapper.taken.clone()
}

#[test]
fn every_declared_transition_is_taken() {
    let scripts = [
        "Bx",
        "Box",
        "Bo1x",
        "Bo1ctx",
        "Bo1cxo",
        "Bo11x",
        "Bor",
        "Bo1ctrtrt",
        "Bo1ct1x",
        "BRrx",
        "Ao2x",
        "Ao2wx",
        "Ao2wx",
        "Ao2c",
        "Ao22w2wx",
        "Ao2wct2wx",
        "Ao2wct22wx",
        "Ao2wct2x",
        "Ao2wct2c",
        "Ao2wct2ct2ct",
        "Ao2gx",
        "AR2cx",
        "Ao1x",
        "Bxx",
        "Ao2wctx",
        "Ao2wct1",
        "Bo1d",
        "Ao21",
        "ARrt21",
        "Ao2ww",
    ];
    let mut taken: Vec<(String, String)> = Vec::new();
    let name = |debug: String| debug.split_whitespace().next().unwrap().to_owned();
    for script in scripts {
        for (state, input) in run_script(script) {
            taken.push((name(format!("{state:?}")), name(format!("{input:?}"))));
        }
    }
    // Giving up after a time spends the connection while it waits.
    let mut bench = Bench::connected(json!({"give_up_after_ms": 500}));
    bench.cut(close::DROPPED);
    bench.advance(500);
    assert_eq!(bench.state(), "closed");
    // A link that is up is spent by its break when no further attempt is allowed.
    let mut flapping = Bench::connected(json!({"acknowledged": true, "reconnect_attempts": 1}));
    flapping.cut(close::DROPPED);
    flapping.advance(1_000);
    flapping.up(0);
    flapping.cut(close::DROPPED);
    assert_eq!(flapping.state(), "closed");
    for (state, input) in bench.wrapper.taken.iter().chain(&flapping.wrapper.taken) {
        taken.push((name(format!("{state:?}")), name(format!("{input:?}"))));
    }
    let mut never = Vec::new();
    for (row, state) in STATES.into_iter().enumerate() {
        for (column, input) in INPUTS.into_iter().enumerate() {
            let pair = (name(format!("{state:?}")), name(format!("{input:?}")));
            if TABLE[row].as_bytes()[column] != b'.' && !taken.contains(&pair) {
                never.push(pair);
            }
        }
    }
    assert_eq!(never, Vec::new(), "declared, and taken by no test");
}
