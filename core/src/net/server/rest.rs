//! The REST interface: what a host in another process or language needs (`docs/rest.md`).
//!
//! JSON in and out, field names as on the wire. Errors are `{"error": name, "message": text, …}`
//! with the status of the error table. What reads the store and what waits for a commit do so on
//! threads of their own, which do not wait for each other (`pool`).

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Shared;
use super::budget::{Held, Share};
use super::fields::Fields;
use super::front::{Received, Upload};
use super::parameters::InPath;
use super::reply::{self, Reply};
use super::view;
use crate::Error;
use crate::coordinator::{Coordinator, ExecutionView, FailOptions, Session, StartOptions};
use crate::net::request::Parameters;
use crate::protocol::Filter;
use crate::session::records::Status;
use crate::settings::Millis;
use crate::store::{Cursor, Listed, Part};

/// How long a ticket is valid unless asked otherwise, and at most.
const TICKET_TTL_MS: Millis = 60_000;
const TICKET_TTL_MAX_MS: Millis = 86_400_000;

/// Entries of a list unless asked otherwise, and at most.
const LIST_LIMIT: u64 = 100;
const LIST_LIMIT_MAX: u64 = 1_000;

type Server = State<Arc<Shared>>;
type Answer = Result<(StatusCode, Value), Error>;

/// `GET /health`: open to everybody, tells nothing but that the server answers and that what it is
/// given is stored; 503 with the error when it cannot be any more.
pub(super) async fn health(State(shared): Server) -> Reply {
    match shared.coordinator.check_open() {
        Ok(()) => reply::json(StatusCode::OK, &json!({"status": "ok"})),
        Err(error) => reply::error(&error),
    }
}

/// `GET /sessions`.
pub(super) async fn sessions(
    State(shared): Server,
    parameters: Parameters,
    headers: HeaderMap,
) -> Reply {
    let part = part_of(&shared, &parameters);
    look(&shared, &headers, move |coordinator| {
        let Listed { entries, next } = coordinator.list_sessions(part?)?;
        Ok((StatusCode::OK, view::list("sessions", &entries, view::summary, next)))
    })
    .await
}

/// `GET /sessions/{id}`.
pub(super) async fn session(
    State(shared): Server,
    InPath(session_id): InPath<String>,
    headers: HeaderMap,
) -> Reply {
    look_at_session(&shared, &headers, session_id, |session| {
        Ok((StatusCode::OK, view::session(&session.view()?)))
    })
    .await
}

/// `DELETE /sessions/{id}` (R19a).
pub(super) async fn delete(
    State(shared): Server,
    InPath(session_id): InPath<String>,
    headers: HeaderMap,
    upload: Upload,
) -> Reply {
    act_on_session(&shared, &headers, session_id, upload, |session, _| {
        session.delete()?;
        Ok((StatusCode::OK, json!({"deleted": true})))
    })
    .await
}

/// `POST /sessions/{id}/executions`: start (R2).
pub(super) async fn start(
    State(shared): Server,
    InPath(session_id): InPath<String>,
    headers: HeaderMap,
    upload: Upload,
) -> Reply {
    act_on_session(&shared, &headers, session_id, upload, move |session, body| {
        let mut fields = Fields::read(body)?;
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
    InPath(session_id): InPath<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Reply {
    let part = part_of(&shared, &parameters);
    look_at_session(&shared, &headers, session_id, move |session| {
        let status = parameters
            .get("status")
            .map(|name| {
                let known = Status::parse(name);
                known.ok_or_else(|| Error::invalid(format!("there is no status {name:?}")))
            })
            .transpose()?;
        let Listed { entries, next } = session.list_executions(status, part?)?;
        let shown = entries.iter().map(|one| execution_of(session, &parameters, one));
        let shown: Vec<Value> = shown.collect::<Result<_, _>>()?;
        Ok((StatusCode::OK, view::list("executions", &shown, Value::clone, next)))
    })
    .await
}

/// `GET /sessions/{id}/executions/{execution}`.
pub(super) async fn execution(
    State(shared): Server,
    InPath((session_id, execution_id)): InPath<(String, String)>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Reply {
    look_at_session(&shared, &headers, session_id, move |session| {
        let execution = session.execution(&execution_id)?;
        Ok((StatusCode::OK, execution_of(session, &parameters, &execution)?))
    })
    .await
}

/// One execution; with `events=true` how many are stored of it.
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
    InPath((session_id, execution_id)): InPath<(String, String)>,
    headers: HeaderMap,
    upload: Upload,
) -> Reply {
    act_on_session(&shared, &headers, session_id, upload, move |session, body| {
        let mut fields = Fields::read(body)?;
        let message = fields.said("message")?;
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
    InPath(session_id): InPath<String>,
    headers: HeaderMap,
    upload: Upload,
) -> Reply {
    act_on_session(&shared, &headers, session_id, upload, |session, body| {
        interrupt_one(session, None, body)
    })
    .await
}

/// `POST /sessions/{id}/executions/{execution}/interrupt` (R11).
pub(super) async fn interrupt(
    State(shared): Server,
    InPath((session_id, execution_id)): InPath<(String, String)>,
    headers: HeaderMap,
    upload: Upload,
) -> Reply {
    act_on_session(&shared, &headers, session_id, upload, move |session, body| {
        interrupt_one(session, Some(&execution_id), body)
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
    InPath(session_id): InPath<String>,
    headers: HeaderMap,
    upload: Upload,
) -> Reply {
    act(&shared, &headers, upload, move |coordinator, body| {
        let mut fields = Fields::read(body)?;
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

/// Checks the key, reads the store on a thread for it, and answers.
async fn look<Work>(shared: &Arc<Shared>, headers: &HeaderMap, work: Work) -> Reply
where
    Work: FnOnce(&Coordinator) -> Answer + Send + 'static,
{
    read(shared, headers, |coordinator| rendered(work(coordinator))).await
}

/// The same for an answer of any kind.
pub(super) async fn read<Work>(shared: &Arc<Shared>, headers: &HeaderMap, work: Work) -> Reply
where
    Work: FnOnce(&Coordinator) -> Reply + Send + 'static,
{
    let admitted = shared.access.check_key(headers).and_then(|()| shared.budgets.read());
    let share = match admitted {
        Ok(share) => share,
        Err(error) => return reply::error(&error),
    };
    let working = Arc::clone(shared);
    let answer = move || held(&working, work(&working.coordinator), share);
    shared.pools.reads.run(answer).await.unwrap_or_else(|error| reply::failed(&error))
}

async fn look_at_session<Work>(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    session_id: String,
    work: Work,
) -> Reply
where
    Work: FnOnce(&Session) -> Answer + Send + 'static,
{
    look(shared, headers, move |coordinator| work(&coordinator.session(&session_id)?)).await
}

/// Checks the key, reads the body, does the work on a thread for it, and answers.
async fn act<Work>(shared: &Arc<Shared>, headers: &HeaderMap, upload: Upload, work: Work) -> Reply
where
    Work: FnOnce(&Coordinator, &[u8]) -> Answer + Send + 'static,
{
    let admitted = shared.access.check_key(headers).and_then(|()| shared.budgets.command());
    let share = match admitted {
        Ok(share) => share,
        Err(error) => return reply::error(&error),
    };
    let body = match upload.read(shared).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let working = Arc::clone(shared);
    let answer = move || {
        let Received { bytes, .. } = &body;
        held(&working, rendered(work(&working.coordinator, bytes)), share)
    };
    shared.pools.commands.run(answer).await.unwrap_or_else(|error| reply::failed(&error))
}

async fn act_on_session<Work>(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    session_id: String,
    upload: Upload,
    work: Work,
) -> Reply
where
    Work: FnOnce(&Session, &[u8]) -> Answer + Send + 'static,
{
    let work = move |coordinator: &Coordinator, body: &[u8]| {
        work(&coordinator.session(&session_id)?, body)
    };
    act(shared, headers, upload, work).await
}

fn rendered(answer: Answer) -> Reply {
    match answer {
        Ok((status, body)) => reply::json(status, &body),
        Err(error) => reply::error(&error),
    }
}

/// The answer, which holds its request's share until the peer has taken it.
fn held(shared: &Shared, mut reply: Reply, share: Share) -> Reply {
    let bytes = reply.body().size_hint().lower();
    match shared.budgets.answer(usize::try_from(bytes).unwrap_or(usize::MAX)) {
        Ok(bytes) => {
            reply.extensions_mut().insert(Held::new([share, bytes]));
            reply
        }
        Err(error) => reply::error(&error),
    }
}

/// The part of a list that is asked for, and that fits into one answer.
fn part_of(shared: &Shared, parameters: &Parameters) -> Result<Part, Error> {
    let after = parameters.get("cursor").map(|text| {
        let cursor = Cursor::parse(text);
        cursor.ok_or_else(|| Error::invalid("the cursor is none of an answer to this list"))
    });
    let limit = parameters.number("limit").unwrap_or(LIST_LIMIT).clamp(1, LIST_LIMIT_MAX);
    Ok(Part {
        after: after.transpose()?,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        max_bytes: shared.limits.max_page_bytes,
    })
}
