//! Holds the crate's public API to scenario files: one JSON object a line on stdin, one answer a
//! line on stdout.
//!
//! ```text
//! {"id":1,"do":"start","session":"s","execution":"e"}
//! {"id":1,"ok":{"execution_id":"e","token":"…"}}
//! ```
//!
//! The interpreter in `stayline.testing` decides what happens and when; the operations, which
//! `docs/drivers.md` lists, only translate. Coordinator operations are in `coordinator`, the
//! wrapper's machine is behind `wrapper`, reading arguments in `arguments`.
#![forbid(unsafe_code)]

mod arguments;
mod coordinator;
mod wrapper;

use std::io::{BufRead, Write};

use serde_json::{Map, Value, json};
use stayline::Error;

use arguments::Arguments;
use coordinator::CoordinatorSide;
use wrapper::WrapperSide;

/// Why an operation has no result.
enum Failure {
    /// Stayline refused it.
    Refused(Error),
    /// No operation of this name.
    UnknownOperation(String),
    /// The operation exists, its arguments do not fit.
    BadArgument(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Refused(error)
    }
}

impl Failure {
    fn to_json(&self) -> Value {
        match self {
            Failure::Refused(error) => {
                let mut fields: Map<String, Value> = error
                    .fields()
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect();
                fields.insert("name".into(), json!(error.name()));
                fields.insert("message".into(), json!(error.to_string()));
                Value::Object(fields)
            }
            Failure::UnknownOperation(operation) => json!({
                "name": "UnknownOperation",
                "message": format!("there is no operation {operation:?}"),
                "operation": operation,
            }),
            Failure::BadArgument(what) => json!({"name": "BadArgument", "message": what}),
        }
    }
}

/// What an operation gives.
type Answer = Result<Value, Failure>;

/// All that a scenario made.
#[derive(Default)]
struct Driver {
    coordinator: CoordinatorSide,
    wrappers: WrapperSide,
}

impl Driver {
    fn perform(&mut self, operation: &str, arguments: &Arguments) -> Answer {
        match operation {
            "hello" => Ok(json!({
                "driver": "stayline-driver",
                "version": env!("CARGO_PKG_VERSION"),
                "capabilities": [],
            })),
            "reset" => {
                self.wrappers = WrapperSide::default();
                self.coordinator.reset();
                Ok(Value::Null)
            }
            _ if operation.starts_with("w_") => self.wrappers.perform(operation, arguments),
            _ => self.coordinator.perform(operation, arguments),
        }
    }

    fn answer(&mut self, line: &str) -> Value {
        let request: Map<String, Value> = match serde_json::from_str(line) {
            Ok(request) => request,
            Err(error) => {
                let failure = Failure::BadArgument(format!("the line is no JSON object: {error}"));
                return json!({"id": null, "error": failure.to_json()});
            }
        };
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let arguments = Arguments::new(&request, line);
        let result = arguments.text("do").and_then(|operation| self.perform(operation, &arguments));
        match result {
            Ok(value) => json!({"id": id, "ok": value}),
            Err(failure) => json!({"id": id, "error": failure.to_json()}),
        }
    }
}

fn main() -> std::io::Result<()> {
    let mut driver = Driver::default();
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        writeln!(output, "{}", driver.answer(&line))?;
        output.flush()?;
    }
    Ok(())
}
