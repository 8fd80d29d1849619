//! Sessions and executions as JSON (`docs/rest.md`).

use serde_json::{Value, json};

use crate::coordinator::{ExecutionView, SessionView};
use crate::session::records::ExecutionRecord;
use crate::store::{Cursor, SessionSummary};

/// Part of a list under its name, with the cursor of the next part where there is one.
pub(super) fn list<Item>(
    name: &str,
    items: &[Item],
    show: fn(&Item) -> Value,
    next: Option<Cursor>,
) -> Value {
    let items: Vec<Value> = items.iter().map(show).collect();
    let mut list = json!({name: items});
    if let Some(next) = next {
        list["cursor"] = next.to_string().into();
    }
    list
}

pub(super) fn summary(summary: &SessionSummary) -> Value {
    let latest = summary.latest.as_ref();
    json!({
        "sessionId": &*summary.record.id,
        "createdAt": summary.record.created_at,
        "lastActivityAt": summary.record.last_activity_at,
        "lastEventId": summary.record.last_event_id,
        "activeExecutionId": latest.filter(|one| one.status.is_active()).map(|one| &*one.id),
        "latestExecutionId": latest.map(|one| &*one.id),
        "latestStatus": latest.map(|one| one.status.as_str()),
    })
}

pub(super) fn session(view: &SessionView) -> Value {
    let record = &view.record;
    json!({
        "sessionId": &*record.id,
        "epoch": &*record.epoch,
        "createdAt": record.created_at,
        "lastActivityAt": record.last_activity_at,
        "lastEventId": record.last_event_id,
        "branch": record.branch.as_deref(),
        "agentSessionId": record.agent_session_id.as_deref(),
        "activeExecutionId": view.active.as_ref().map(|active| &*active.id),
        "linkAttached": view.link_attached,
    })
}

pub(super) fn execution(view: &ExecutionView) -> Value {
    let ExecutionRecord { id, mode, status, created_at, started_at, completed_at, error, .. } =
        &view.record;
    json!({
        "executionId": &**id,
        "sessionId": &*view.session_id,
        "mode": mode.as_deref(),
        "status": status.as_str(),
        "health": view.health.map(|health| health.as_str()),
        "createdAt": created_at,
        "startedAt": started_at,
        "completedAt": completed_at,
        "error": error.as_deref(),
        "exitCode": view.record.exit_code,
        "interruptRequested": view.record.interrupt.is_some(),
        "lastSeenAt": view.last_seen_at,
        "lastHeartbeatAt": view.record.last_heartbeat_at,
        "lastEventAt": view.record.last_event_at,
        "reconnects": view.record.reconnects,
    })
}
