//! The REST interface: what a host in another process or language needs (`docs/rest.md`).
//!
//! JSON in and out, field names as on the wire. Errors are `{"error": name, "message": text, …}`
//! with the status of the error table. Whatever waits for a commit waits on a thread of its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::Shared;
use super::parameters::Parameters;
use super::reply::{self, Reply};
use super::view;
use crate::Error;
use crate::coordinator::{
    Coordinator, ExecutionView, FailOptions, InterruptGrace, Session, StartOptions,
};
use crate::protocol::Filter;
use crate::session::records::Status;
use crate::settings::Millis;

/// How long a ticket is valid unless asked otherwise, and at most.
const TICKET_TTL_MS: Millis = 60_000;
const TICKET_TTL_MAX_MS: Millis = 86_400_000;

/// Entries of a list unless asked otherwise, and at most.
const LIST_LIMIT: u64 = 100;
const LIST_LIMIT_MAX: u64 = 1_000;

type Server = State<Arc<Shared>>;
type Answer = Result<(StatusCode, Value), Error>;

/// `GET /health`: open to everybody, tells nothing but that the server answers.
pub(super) async fn health() -> Reply {
    reply::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// `GET /sessions`.
pub(super) async fn sessions(
    State(shared): Server,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Reply {
    let limit = limit_of(&Parameters::parse(query.as_deref()));
    answer(&shared, &headers, move |coordinator| {
        let sessions = coordinator.sessions(limit)?;
        Ok((StatusCode::OK, json!({"sessions": view::list(&sessions, view::summary)})))
    })
    .await
}

/// `GET /sessions/{id}`.
pub(super) async fn session(
    State(shared): Server,
    Path(session_id): Path<String>,
    headers: HeaderMap,
) -> Reply {
    of_session(&shared, &headers, session_id, |session| {
        Ok((StatusCode::OK, view::session(&session.view()?)))
    })
    .await
}

/// `DELETE /sessions/{id}` (R19a).
pub(super) async fn delete(
    State(shared): Server,
    Path(session_id): Path<String>,
    headers: HeaderMap,
) -> Reply {
    of_session(&shared, &headers, session_id, |session| {
        session.delete()?;
        Ok((StatusCode::OK, json!({"deleted": true})))
    })
    .await
}

/// `POST /sessions/{id}/executions`: start (R2).
pub(super) async fn start(
    State(shared): Server,
    Path(session_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    of_session(&shared, &headers, session_id, move |session| {
        let mut fields = Fields::read(&body)?;
        let options = StartOptions {
            execution_id: fields.text("executionId")?,
            mode: fields.text("mode")?,
            token: fields.text("token")?,
        };
        fields.finish()?;
        let started = session.start(options)?;
        let body = json!({"executionId": &*started.execution_id, "token": &*started.token});
        Ok((StatusCode::CREATED, body))
    })
    .await
}

/// `GET /sessions/{id}/executions`.
pub(super) async fn executions(
    State(shared): Server,
    Path(session_id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Reply {
    let parameters = Parameters::parse(query.as_deref());
    of_session(&shared, &headers, session_id, move |session| {
        let status = parameters
            .get("status")
            .map(|name| {
                let known = Status::parse(name);
                known.ok_or_else(|| Error::invalid(format!("there is no status {name:?}")))
            })
            .transpose()?;
        let executions = session.executions(status, limit_of(&parameters))?;
        let listed = executions.iter().map(|one| execution_of(session, &parameters, one));
        let listed: Vec<Value> = listed.collect::<Result<_, _>>()?;
        Ok((StatusCode::OK, json!({"executions": listed})))
    })
    .await
}

/// `GET /sessions/{id}/executions/{execution}`.
pub(super) async fn execution(
    State(shared): Server,
    Path((session_id, execution_id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Reply {
    let parameters = Parameters::parse(query.as_deref());
    of_session(&shared, &headers, session_id, move |session| {
        let execution = session.execution(&execution_id)?;
        Ok((StatusCode::OK, execution_of(session, &parameters, &execution)?))
    })
    .await
}

/// One execution; with `events=true` how many are stored of it, which is looked up in the log.
fn execution_of(
    session: &Session,
    parameters: &Parameters,
    execution: &ExecutionView,
) -> Result<Value, Error> {
    let mut body = view::execution(execution);
    if parameters.get("events") == Some("true") {
        let filter =
            Filter { executions: Some(vec![execution.record.id.clone()]), ..Filter::default() };
        body["events"] = session.count_events(&filter)?.into();
    }
    Ok(body)
}

/// `POST /sessions/{id}/executions/{execution}/fail` (R7).
pub(super) async fn fail(
    State(shared): Server,
    Path((session_id, execution_id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    of_session(&shared, &headers, session_id, move |session| {
        let mut fields = Fields::read(&body)?;
        let message = fields.text("message")?;
        let options = FailOptions {
            message: message.ok_or_else(|| Error::invalid("the body has no message"))?,
            event_type: fields.text("eventType")?,
            payload: fields.object("payload")?,
            suppress_notification: fields.flag("suppressNotification")?,
            only_pending: fields.flag("onlyPending")?,
        };
        fields.finish()?;
        let failed = session.fail(&execution_id, options)?;
        Ok((StatusCode::OK, json!({"failed": failed})))
    })
    .await
}

/// `POST /sessions/{id}/interrupt`: the active execution (R11).
pub(super) async fn interrupt_active(
    State(shared): Server,
    Path(session_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    of_session(&shared, &headers, session_id, move |session| interrupt_one(session, None, &body))
        .await
}

/// `POST /sessions/{id}/executions/{execution}/interrupt` (R11).
pub(super) async fn interrupt(
    State(shared): Server,
    Path((session_id, execution_id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    of_session(&shared, &headers, session_id, move |session| {
        interrupt_one(session, Some(&execution_id), &body)
    })
    .await
}

fn interrupt_one(session: &Session, execution_id: Option<&str>, body: &[u8]) -> Answer {
    let mut fields = Fields::read(body)?;
    let escalate = fields.flag("escalate")?;
    let grace = fields.grace("graceMs")?;
    fields.finish()?;
    let verdict = session.interrupt(execution_id, escalate, grace)?;
    Ok((StatusCode::OK, json!({"verdict": verdict.as_str()})))
}

/// `POST /sessions/{id}/ticket`.
pub(super) async fn ticket(
    State(shared): Server,
    Path(session_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    answer(&shared, &headers, move |coordinator| {
        let mut fields = Fields::read(&body)?;
        let ttl_ms = fields.duration("ttlMs")?.unwrap_or(TICKET_TTL_MS).min(TICKET_TTL_MAX_MS);
        fields.finish()?;
        let ticket = coordinator.issue_ticket(&session_id, ttl_ms)?;
        Ok((StatusCode::CREATED, json!({"ticket": ticket, "ttlMs": ttl_ms})))
    })
    .await
}

/// No such address.
pub(super) async fn unknown() -> Reply {
    reply::error(&Error::not_found("this address"))
}

/// The address is known, the method is not.
pub(super) async fn not_allowed() -> Reply {
    let error = Error::invalid("this address does not take this method");
    let mut reply = reply::error(&error);
    *reply.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    reply
}

/// Checks the key, does the work where it may block, and answers.
async fn answer<Work>(shared: &Arc<Shared>, headers: &HeaderMap, work: Work) -> Reply
where
    Work: FnOnce(&Coordinator) -> Answer + Send + 'static,
{
    if let Err(error) = shared.access.check_key(headers) {
        return reply::error(&error);
    }
    let working = Arc::clone(shared);
    match tokio::task::spawn_blocking(move || work(&working.coordinator)).await {
        Ok(Ok((status, body))) => reply::json(status, &body),
        Ok(Err(error)) => reply::error(&error),
        Err(_) => reply::error(&Error::Panic { detail: "answering a request failed".into() }),
    }
}

async fn of_session<Work>(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    session_id: String,
    work: Work,
) -> Reply
where
    Work: FnOnce(&Session) -> Answer + Send + 'static,
{
    answer(shared, headers, move |coordinator| work(&coordinator.session(&session_id)?)).await
}

fn limit_of(parameters: &Parameters) -> usize {
    let limit = parameters.number("limit").unwrap_or(LIST_LIMIT).clamp(1, LIST_LIMIT_MAX);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The fields of a body, taken one by one, so that a misspelt one is told rather than ignored.
struct Fields {
    fields: Map<String, Value>,
    known: BTreeSet<&'static str>,
}

impl Fields {
    /// An empty body is an empty object.
    fn read(body: &[u8]) -> Result<Fields, Error> {
        let fields = if body.trim_ascii().is_empty() {
            Map::new()
        } else {
            serde_json::from_slice(body)
                .map_err(|error| Error::invalid(format!("the body is no JSON object: {error}")))?
        };
        Ok(Fields { fields, known: BTreeSet::new() })
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.insert(name);
        self.fields.remove(name)
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, Error> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, &other, "a string")),
        }
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, Error> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(wrong(name, &other, "true or false")),
        }
    }

    fn object(&mut self, name: &'static str) -> Result<Option<Map<String, Value>>, Error> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(other) => Err(wrong(name, &other, "an object")),
        }
    }

    fn duration(&mut self, name: &'static str) -> Result<Option<Millis>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => milliseconds(name, &value).map(Some),
        }
    }

    /// Missing: the setting's; null: never.
    fn grace(&mut self, name: &'static str) -> Result<InterruptGrace, Error> {
        match self.take(name) {
            None => Ok(InterruptGrace::Default),
            Some(Value::Null) => Ok(InterruptGrace::Never),
            Some(value) => milliseconds(name, &value).map(InterruptGrace::After),
        }
    }

    fn finish(self) -> Result<(), Error> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(unknown) => {
                let known: Vec<_> = self.known.into_iter().collect();
                let known = known.join(", ");
                Err(Error::invalid(format!("unknown field {unknown:?}; there are: {known}")))
            }
        }
    }
}

fn milliseconds(name: &str, value: &Value) -> Result<Millis, Error> {
    let ms = value.as_i64().filter(|ms| (0..=crate::settings::MAX_DURATION_MS).contains(ms));
    ms.ok_or_else(|| wrong(name, value, "an integer of milliseconds, not negative"))
}

fn wrong(name: &str, value: &Value, shape: &str) -> Error {
    Error::invalid(format!("{name} cannot be {value}; it is {shape}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_typed_and_unknown_ones_are_told() {
        let body =
            br#"{"message":"m","suppressNotification":true,"payload":{"a":1},"graceMs":null}"#;
        let mut fields = Fields::read(body).unwrap();
        assert_eq!(fields.text("message").unwrap().as_deref(), Some("m"));
        assert!(fields.flag("suppressNotification").unwrap());
        assert_eq!(fields.object("payload").unwrap().unwrap()["a"], 1);
        assert_eq!(fields.grace("graceMs").unwrap(), InterruptGrace::Never);
        assert_eq!(fields.duration("ttlMs").unwrap(), None);
        fields.finish().unwrap();
        let mut fields = Fields::read(br#"{"mesage":"m"}"#).unwrap();
        assert_eq!(fields.text("message").unwrap(), None);
        let told = fields.finish().unwrap_err().to_string();
        assert!(told.contains("mesage") && told.contains("message"), "{told}");
    }

    #[test]
    fn wrong_shapes_are_told() {
        for (body, name) in [("{\"x\":-1}", "x"), ("{\"x\":1.5}", "x"), ("{\"x\":\"1\"}", "x")] {
            let mut fields = Fields::read(body.as_bytes()).unwrap();
            let told = fields.duration("x").unwrap_err().to_string();
            assert!(told.contains(name), "{told}");
        }
        assert!(Fields::read(b"[]").is_err());
        assert!(Fields::read(b"  ").unwrap().finish().is_ok());
    }
}
