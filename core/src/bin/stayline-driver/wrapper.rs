//! The wrapper's operations: its sans-IO machine, with the scenario as its network.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stayline::protocol::Refusal;
use stayline::session::records::Status;
use stayline::wrapper::{Action, Job, Refused, SendOptions, Told, Wrapper};

use crate::arguments::Arguments;
use crate::{Answer, Failure};

/// The machines by name.
#[derive(Default)]
pub struct WrapperSide {
    machines: BTreeMap<String, Wrapper>,
}

impl WrapperSide {
    /// Performs one operation.
    pub fn perform(&mut self, operation: &str, arguments: &Arguments) -> Answer {
        if operation == "w_new" {
            return self.make(arguments);
        }
        let perform: fn(&mut Wrapper, &Arguments) -> Answer = match operation {
            "w_drop" => {
                self.machines.remove(arguments.text("wrapper")?);
                return Ok(Value::Null);
            }
            "w_poll" => poll,
            "w_next_deadline" => |machine, _| Ok(json!(machine.next_deadline())),
            "w_state" => state,
            "w_open" => open,
            "w_opened" => opened,
            "w_refused" => refused,
            "w_closed" => closed,
            "w_frame" => frame,
            "w_timeout" => timeout,
            "w_send" => send,
            "w_close" => close,
            "w_job" => job,
            "w_turn" => turn,
            "w_agent" => agent,
            "w_task_done" => task_done,
            "w_aborted" => aborted,
            _ => return Err(Failure::UnknownOperation(operation.to_owned())),
        };
        let name = arguments.text("wrapper")?;
        let machine = self
            .machines
            .get_mut(name)
            .ok_or_else(|| Failure::BadArgument(format!("there is no wrapper {name:?}")))?;
        perform(machine, arguments)
    }

    fn make(&mut self, arguments: &Arguments) -> Answer {
        let seed = arguments.text("seed")?;
        let seed = u128::from_str_radix(seed, 16).map_err(|_| {
            Failure::BadArgument(format!("argument \"seed\" is {seed:?}, not 32 hex digits"))
        })?;
        let machine = Wrapper::new(arguments.settings()?, seed)?;
        self.machines.insert(arguments.text("wrapper")?.to_owned(), machine);
        Ok(Value::Null)
    }
}

fn poll(machine: &mut Wrapper, _: &Arguments) -> Answer {
    Ok(std::iter::from_fn(|| machine.poll_action()).map(action).collect())
}

fn state(machine: &mut Wrapper, _: &Arguments) -> Answer {
    Ok(json!({
        "state": machine.state().as_str(),
        "buffered": machine.buffered(),
        "unacknowledged": machine.unacknowledged(),
    }))
}

fn open(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    Ok(json!(machine.open(arguments.text("execution")?, arguments.integer("now")?)?))
}

fn opened(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    let protocol = arguments.optional_number("protocol")?;
    machine.handle_opened(arguments.number("attempt")?, protocol, arguments.integer("now")?);
    Ok(Value::Null)
}

fn refused(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    let refused = Refused {
        status: arguments.optional_number("status")?,
        refusal: arguments.optional_word("refusal", Refusal::parse)?,
        execution_status: arguments.optional_word("execution_status", Status::parse)?,
        ..Refused::default()
    };
    machine.handle_refused(arguments.number("attempt")?, refused, arguments.integer("now")?);
    Ok(Value::Null)
}

fn closed(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    let (code, reason) = (arguments.number("code")?, arguments.text("reason")?);
    machine.handle_closed(arguments.number("attempt")?, code, reason, arguments.integer("now")?);
    Ok(Value::Null)
}

fn frame(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    let text = arguments.text("text")?;
    machine.handle_frame(arguments.number("attempt")?, text, arguments.integer("now")?);
    Ok(Value::Null)
}

fn timeout(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    machine.handle_timeout(arguments.integer("now")?);
    Ok(Value::Null)
}

fn send(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    let data = arguments.json("data").unwrap_or("{}");
    let options = SendOptions { droppable: arguments.flag("droppable")?, ..SendOptions::default() };
    Ok(json!(machine.send(arguments.text("type")?, data, options, arguments.integer("now")?)?))
}

fn close(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    Ok(json!(machine.close(arguments.integer("now")?)))
}

fn job(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    let tasks = arguments.optional_texts("tasks")?.unwrap_or_default();
    let job = Job {
        execution_id: arguments.text("execution")?.to_owned(),
        agent_session: arguments.optional_text("agent_session")?.map(str::to_owned),
        tasks: tasks.into_iter().map(str::to_owned).collect(),
        branch: None,
    };
    Ok(json!(machine.start_job(job, arguments.integer("now")?)?))
}

fn turn(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    Ok(json!(machine.begin_turn(arguments.integer("now")?)?))
}

fn agent(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    let properties = arguments.given("properties").map_or_else(|| "{}".into(), Value::to_string);
    let (event_type, now) = (arguments.text("type")?, arguments.integer("now")?);
    Ok(json!(machine.handle_agent_event(event_type, &properties, now)?))
}

fn task_done(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    let (name, ok) = (arguments.text("name")?, arguments.flag("ok")?);
    machine.handle_task_done(name, ok, arguments.integer("now")?);
    Ok(Value::Null)
}

fn aborted(machine: &mut Wrapper, arguments: &Arguments) -> Answer {
    machine.handle_aborted(arguments.integer("now")?);
    Ok(Value::Null)
}

fn action(action: Action) -> Value {
    match action {
        Action::Connect { attempt, protocol, producer, .. } => {
            json!({"connect": {
                "attempt": attempt,
                "protocol": protocol,
                "producer": producer.as_deref(),
            }})
        }
        Action::Write { attempt, text } => json!({"write": {"attempt": attempt, "text": &*text}}),
        Action::Close { attempt, code, reason } => {
            json!({"close": {"attempt": attempt, "code": code, "reason": reason}})
        }
        Action::Tell(told) => json!({"tell": tell(told)}),
    }
}

/// As scenario files have it.
fn tell(told: Told) -> Value {
    match told {
        Told::Reconnecting(attempt) => json!({"reconnecting": attempt}),
        Told::Reconnected => json!("reconnected"),
        Told::Disconnected { reason } => json!({"disconnected": &*reason}),
        Told::ExecutionDone { status, error, unacknowledged } => json!({"execution_done": {
            "status": status.map(Status::as_str),
            "error": error.as_deref(),
            "unacknowledged": unacknowledged,
        }}),
        Told::Replaced => json!("replaced"),
        Told::Command(command) => json!({"command": command}),
        Told::RestartFeed => json!("restart_feed"),
        Told::Task { name } => json!({"task": &*name}),
        Told::Abort { signal } => json!({"abort": {"signal": signal.as_str()}}),
        Told::Drained => json!("drained"),
    }
}
