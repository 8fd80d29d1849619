//! `stayline-driver` speaks its protocol (`docs/drivers.md`): one answer a line, errors by name.
#![cfg(feature = "sqlite")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

struct Driver {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Driver {
    fn start() -> Driver {
        let mut process = Command::new(env!("CARGO_BIN_EXE_stayline-driver"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the driver starts");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("it has an output"));
        Driver { process, input, output }
    }

    fn line(&mut self, line: &str) -> Value {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("the driver reads");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("the driver answers");
        serde_json::from_str(&answer).expect("the answer is JSON")
    }

    fn ask(&mut self, request: Value) -> Value {
        self.line(&request.to_string())
    }

    fn open(&mut self) {
        let request = json!({
            "id": 0, "do": "open", "location": "memory:", "settings": {}, "now": 1_700_000_000_000_i64,
        });
        assert_eq!(self.ask(request), json!({"id": 0, "ok": null}));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.input.take());
        let ended = self.process.wait().expect("the driver ends with its input");
        if !std::thread::panicking() {
            assert!(ended.success());
        }
    }
}

#[test]
fn an_unknown_operation_is_named_and_the_next_one_is_answered() {
    let mut driver = Driver::start();
    for operation in ["fly", "w_fly"] {
        let answer = driver.ask(json!({"id": 1, "do": operation}));
        assert_eq!(answer["error"]["name"], "UnknownOperation");
        assert_eq!(answer["error"]["operation"], operation);
    }
    assert_eq!(driver.ask(json!({"id": 2, "do": "hello"}))["ok"]["driver"], "stayline-driver");
}

#[test]
fn arguments_that_do_not_fit_are_told_by_their_name() {
    let mut driver = Driver::start();
    driver.open();
    let bad = |answer: Value| {
        assert_eq!(answer["error"]["name"], "BadArgument");
        answer["error"]["message"].as_str().unwrap_or_default().to_owned()
    };
    assert!(bad(driver.line("nonsense")).contains("no JSON object"));
    assert!(bad(driver.ask(json!({"id": 1}))).contains("\"do\" is missing"));
    let missing = bad(driver.ask(json!({"id": 2, "do": "heartbeat", "session": "s"})));
    assert!(missing.contains("\"execution\" is missing"), "{missing}");
    let wrong = bad(driver.ask(json!({"id": 3, "do": "suspend", "ms": "long"})));
    assert!(wrong.contains("\"ms\" is \"long\", not an integer"), "{wrong}");
    let unknown = bad(driver.ask(json!({"id": 4, "do": "link_outputs", "link": "x"})));
    assert!(unknown.contains("no link \"x\""), "{unknown}");
}

#[test]
fn errors_carry_their_name_and_fields() {
    let mut driver = Driver::start();
    driver.open();
    let start =
        |execution: &str| json!({"id": 1, "do": "start", "session": "s", "execution": execution});
    assert_eq!(driver.ask(start("a"))["ok"]["execution_id"], "a");
    let answer = driver.ask(start("b"));
    assert_eq!(answer["error"]["name"], "ExecutionInProgress");
    assert_eq!(answer["error"]["active"], "a");
    let refused =
        json!({"id": 2, "do": "w_new", "wrapper": "w", "seed": "1", "settings": {"jitter": 2}});
    assert_eq!(driver.ask(refused)["error"]["name"], "InvalidArgument");
}

#[test]
fn reset_forgets_everything() {
    let mut driver = Driver::start();
    driver.open();
    let start = json!({"id": 1, "do": "start", "session": "s", "execution": "a"});
    assert_eq!(driver.ask(start.clone())["ok"]["execution_id"], "a");
    assert_eq!(driver.ask(json!({"id": 2, "do": "reset"})), json!({"id": 2, "ok": null}));
    assert_eq!(driver.ask(start.clone())["error"]["name"], "BadArgument");
    driver.open();
    assert_eq!(driver.ask(start)["ok"]["execution_id"], "a");
}
