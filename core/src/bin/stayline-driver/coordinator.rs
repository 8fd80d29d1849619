//! The coordinator's operations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stayline::coordinator::{
    AttachOptions, Clock, Coordinator, Credential, FailOptions, InterruptGrace, Link, ManualClock,
    Next, Options, Output, Record, Session, StartOptions, SubscribeOptions, Subscription,
};
use stayline::protocol::Filter;
use stayline::session::records::{EventRecord, Lease, NotificationRecord, Status};
use stayline::store::faults::{Faults, Outcome};

use crate::arguments::Arguments;
use crate::{Answer, Failure};

/// One coordinator at a time, and the handles on what belongs to it.
#[derive(Default)]
pub struct CoordinatorSide {
    coordinator: Option<Coordinator>,
    clock: Option<ManualClock>,
    faults: Faults,
    links: BTreeMap<String, Link>,
    streams: BTreeMap<String, Subscription>,
}

impl CoordinatorSide {
    /// Forgets everything of the scenario before.
    pub fn reset(&mut self) {
        self.abandon();
        *self = CoordinatorSide::default();
    }

    /// Performs one operation.
    pub fn perform(&mut self, operation: &str, arguments: &Arguments) -> Answer {
        match operation {
            "open" => self.open(arguments),
            "abandon" => {
                self.abandon();
                Ok(Value::Null)
            }
            "set_time" => {
                self.clock()?.set(arguments.integer("now")?);
                Ok(Value::Null)
            }
            "suspend" => {
                self.clock()?.suspend(arguments.integer("ms")?);
                Ok(Value::Null)
            }
            "next_deadline" => Ok(json!(self.coordinator()?.next_deadline()?)),
            "handle_due" => {
                self.coordinator()?.handle_due();
                Ok(Value::Null)
            }
            "fail_next_commit" => self.fail_next_commit(arguments),
            "attach" | "receive" | "receive_binary" | "link_closed" | "link_outputs" => {
                self.perform_on_link(operation, arguments)
            }
            "subscribe" => self.subscribe(arguments),
            "stream_records" => self.stream_records(arguments),
            "notifications" => {
                let notifications = self.coordinator()?.notifications(false)?;
                Ok(notifications.iter().map(notification).collect())
            }
            "take_notification" => {
                let taken = self.coordinator()?.take_notification(Some(Duration::ZERO))?;
                Ok(taken.as_ref().map_or(Value::Null, notification))
            }
            "acknowledge_notification" => {
                let id = arguments.text("notification_id")?;
                Ok(json!(self.coordinator()?.acknowledge_notification(id)?))
            }
            _ => self.perform_on_session(operation, arguments),
        }
    }

    fn perform_on_session(&mut self, operation: &str, arguments: &Arguments) -> Answer {
        // Asked first: an unknown operation has no arguments to complain about.
        let perform: fn(&Session, &Arguments) -> Answer = match operation {
            "start" => start,
            "fail" => fail,
            "finish" => finish,
            "interrupt" => interrupt,
            "clear_interrupt" => clear_interrupt,
            "heartbeat" => heartbeat,
            "lease_acquire" => lease_acquire,
            "lease_extend" => lease_extend,
            "lease_release" => lease_release,
            "delete_session" => delete,
            "session" => view,
            "execution" => execution,
            "events" => events,
            _ => return Err(Failure::UnknownOperation(operation.to_owned())),
        };
        perform(&self.session(arguments)?, arguments)
    }

    fn perform_on_link(&mut self, operation: &str, arguments: &Arguments) -> Answer {
        if operation == "attach" {
            return self.attach(arguments);
        }
        let name = arguments.text("link")?;
        let link = self
            .links
            .get(name)
            .ok_or_else(|| Failure::BadArgument(format!("there is no link {name:?}")))?;
        match operation {
            "receive" => link.receive(arguments.text("text")?)?,
            "receive_binary" => link.receive_binary(arguments.number("bytes")?)?,
            "link_closed" => {
                link.closed(arguments.number("code")?, arguments.text("reason")?)?;
            }
            _ => return Ok(std::iter::from_fn(|| link.try_output()).map(output).collect()),
        }
        Ok(Value::Null)
    }

    fn open(&mut self, arguments: &Arguments) -> Answer {
        // Every case names a store of its own, so that it is empty without our doing.
        let now = arguments.integer("now")?;
        let clock = self.clock.get_or_insert_with(|| ManualClock::new(now));
        clock.set(now);
        let options = Options {
            settings: arguments.settings()?,
            clock: Clock::Manual(clock.clone()),
            faults: Some(self.faults.clone()),
        };
        self.coordinator = Some(Coordinator::open(arguments.text("location")?, options)?);
        Ok(Value::Null)
    }

    fn abandon(&mut self) {
        if let Some(coordinator) = self.coordinator.take() {
            coordinator.abandon();
        }
        self.links.clear();
        self.streams.clear();
    }

    fn fail_next_commit(&mut self, arguments: &Arguments) -> Answer {
        let outcome = arguments.optional_word("outcome", |word| match word {
            "lost" => Some(Outcome::Lost),
            "unknown_kept" => Some(Outcome::UnknownKept),
            _ => None,
        })?;
        self.faults.fail_next_commit(outcome.unwrap_or(Outcome::Lost));
        Ok(Value::Null)
    }

    fn attach(&mut self, arguments: &Arguments) -> Answer {
        let options = AttachOptions {
            execution_id: arguments.text("execution")?.to_owned(),
            credential: Credential::Token(arguments.optional_text("token")?.map(str::to_owned)),
            acknowledged: arguments.flag("acknowledged")?,
            producer: arguments.optional_text("producer")?.map(str::to_owned),
            attempt: arguments.optional_number("attempt")?,
        };
        let link = self.session(arguments)?.attach(options)?;
        self.links.insert(arguments.text("link")?.to_owned(), link);
        Ok(Value::Null)
    }

    fn subscribe(&mut self, arguments: &Arguments) -> Answer {
        let options = SubscribeOptions {
            filter: filter(arguments)?,
            epoch: arguments.optional_text("epoch")?.map(str::to_owned),
            ..SubscribeOptions::default()
        };
        let subscription = self.session(arguments)?.subscribe(options)?;
        self.streams.insert(arguments.text("stream")?.to_owned(), subscription);
        Ok(Value::Null)
    }

    fn stream_records(&mut self, arguments: &Arguments) -> Answer {
        let name = arguments.text("stream")?;
        let stream = self
            .streams
            .get_mut(name)
            .ok_or_else(|| Failure::BadArgument(format!("there is no stream {name:?}")))?;
        let mut records = Vec::new();
        let ended = loop {
            match stream.try_next()? {
                Next::Record(next) => records.push(record(&next)),
                Next::Empty => break false,
                Next::Ended => break true,
            }
        };
        Ok(json!({"records": records, "ended": ended}))
    }

    fn coordinator(&self) -> Result<&Coordinator, Failure> {
        self.coordinator
            .as_ref()
            .ok_or_else(|| Failure::BadArgument("the coordinator is not open".into()))
    }

    fn clock(&self) -> Result<&ManualClock, Failure> {
        self.clock
            .as_ref()
            .ok_or_else(|| Failure::BadArgument("the coordinator was never opened".into()))
    }

    fn session(&self, arguments: &Arguments) -> Result<Session, Failure> {
        Ok(self.coordinator()?.session(arguments.text("session")?)?)
    }
}

fn start(session: &Session, arguments: &Arguments) -> Answer {
    let started = session.start(StartOptions {
        execution_id: arguments.optional_text("execution")?.map(str::to_owned),
        mode: arguments.optional_text("mode")?.map(str::to_owned),
        token: arguments.optional_text("token")?.map(str::to_owned),
    })?;
    Ok(json!({"execution_id": &*started.execution_id, "token": &*started.token}))
}

fn fail(session: &Session, arguments: &Arguments) -> Answer {
    let options = FailOptions {
        message: arguments.text("message")?.to_owned(),
        event_type: arguments.optional_text("event_type")?.map(str::to_owned),
        payload: arguments.optional_object("payload")?.cloned().map(Into::into),
        suppress_notification: arguments.flag("suppress_notification")?,
        only_pending: false,
    };
    Ok(json!(session.fail(arguments.text("execution")?, options)?))
}

fn finish(session: &Session, arguments: &Arguments) -> Answer {
    let status = arguments
        .optional_word("status", Status::parse)?
        .ok_or_else(|| Failure::BadArgument("argument \"status\" is missing".into()))?;
    let message = arguments.optional_text("message")?;
    Ok(json!(session.finish(arguments.text("execution")?, status, message, None)?))
}

fn interrupt(session: &Session, arguments: &Arguments) -> Answer {
    let grace = match (arguments.given("grace"), arguments.optional_integer("grace")?) {
        (None, _) => InterruptGrace::Default,
        (Some(_), None) => InterruptGrace::Never,
        (Some(_), Some(ms)) => InterruptGrace::After(ms),
    };
    let execution = arguments.optional_text("execution")?;
    Ok(json!(session.interrupt(execution, arguments.flag("escalate")?, grace)?.as_str()))
}

fn clear_interrupt(session: &Session, arguments: &Arguments) -> Answer {
    Ok(json!(session.clear_interrupt(arguments.optional_text("execution")?)?))
}

fn heartbeat(session: &Session, arguments: &Arguments) -> Answer {
    Ok(json!(session.heartbeat(arguments.text("execution")?)?))
}

fn lease_acquire(session: &Session, arguments: &Arguments) -> Answer {
    let (execution, lease_id) = (arguments.text("execution")?, arguments.text("lease_id")?);
    let message_id = arguments.optional_text("message_id")?;
    Ok(lease(&session.acquire_lease(execution, lease_id, message_id)?))
}

fn lease_extend(session: &Session, arguments: &Arguments) -> Answer {
    let (execution, lease_id) = (arguments.text("execution")?, arguments.text("lease_id")?);
    Ok(lease(&session.extend_lease(execution, lease_id)?))
}

fn lease_release(session: &Session, arguments: &Arguments) -> Answer {
    let (execution, lease_id) = (arguments.text("execution")?, arguments.text("lease_id")?);
    Ok(json!(session.release_lease(execution, lease_id)?))
}

fn delete(session: &Session, _: &Arguments) -> Answer {
    Ok(json!(session.delete()?))
}

fn view(session: &Session, _: &Arguments) -> Answer {
    let view = session.view()?;
    Ok(json!({
        "branch": view.record.branch.as_deref(),
        "agent_session_id": view.record.agent_session_id.as_deref(),
        "active": view.active.as_ref().map(|active| &*active.id),
        "grace": view.active.as_ref().is_some_and(|active| active.grace.is_some()),
        "link_attached": view.link_attached,
    }))
}

fn execution(session: &Session, arguments: &Arguments) -> Answer {
    let view = session.execution(arguments.text("execution")?)?;
    Ok(json!({
        "status": view.record.status.as_str(),
        "message": view.record.error.as_deref(),
        "health": view.health.map(|health| health.as_str()),
        "interrupt_requested": view.record.interrupt.is_some(),
        "completed_at": view.record.completed_at,
        "last_heartbeat_at": view.record.last_heartbeat_at,
        "exit_code": view.record.exit_code,
    }))
}

fn events(session: &Session, arguments: &Arguments) -> Answer {
    let mut filter = filter(arguments)?;
    filter.executions = arguments.optional_texts("executions")?.map(shared);
    filter.since = arguments.optional_integer("since")?;
    filter.until = arguments.optional_integer("until")?;
    filter.limit = arguments.optional_number("limit")?;
    let mut events = Vec::new();
    loop {
        let page = session.events(&filter)?;
        events.extend(page.events.iter().map(|read| event(read)));
        filter.limit = filter.limit.map(|limit| limit.saturating_sub(page.events.len() as u64));
        if page.end || filter.limit == Some(0) {
            return Ok(Value::Array(events));
        }
        filter.after = page.next_after;
    }
}

fn filter(arguments: &Arguments) -> Result<Filter, Failure> {
    Ok(Filter {
        after: arguments.optional_number("after")?.unwrap_or(0),
        types: arguments.optional_texts("types")?.map(shared),
        ..Filter::default()
    })
}

fn shared(texts: Vec<&str>) -> Vec<Arc<str>> {
    texts.into_iter().map(Arc::from).collect()
}

fn output(output: Output) -> Value {
    match output {
        Output::Send(text) => json!({"send": &*text}),
        Output::Close { code, reason } => json!({"close": {"code": code, "reason": reason}}),
    }
}

fn lease(lease: &Lease) -> Value {
    json!({
        "lease_id": &*lease.lease_id,
        "message_id": lease.message_id.as_deref(),
        "expires_at": lease.expires_at,
    })
}

fn notification(record: &NotificationRecord) -> Value {
    json!({
        "notification_id": &*record.id,
        "kind": record.kind.as_str(),
        "session_id": &*record.session_id,
        "execution_id": record.execution_id.as_deref(),
        "status": record.status.map(Status::as_str),
        "error": record.error.as_deref(),
        "branch": record.branch.as_deref(),
        "agent_session_id": record.agent_session_id.as_deref(),
        "attempt": record.attempt,
        "parked": record.parked,
    })
}

fn event(event: &EventRecord) -> Value {
    json!({
        "id": event.id,
        "execution": &*event.execution_id,
        "type": &*event.event_type,
        "timestamp": event.timestamp,
        "late": event.late,
        "data": data(&event.data),
    })
}

fn record(record: &Record) -> Value {
    json!({
        "id": record.id,
        "execution": record.execution_id.as_deref(),
        "type": &*record.event_type,
        "timestamp": record.timestamp,
        "late": record.late,
        "data": data(&record.data),
    })
}

/// What is stored is JSON; if it were not, the comparison shall say so.
fn data(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!({"not JSON": text}))
}
