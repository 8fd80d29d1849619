//! Records as rows, both ways.

use std::sync::{Arc, LazyLock};

use rusqlite::types::Type;
use rusqlite::{Row, ToSql, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::part::EventsOf;
use crate::elapsed::elapsed_ms;
use crate::seldom::Seldom;
use crate::session::records::{
    EventRecord, ExecutionRecord, Grace, Interrupt, Lease, NotificationKind, NotificationRecord,
    Producer, SessionRecord, Status,
};
use crate::settings::{self, MAX_DURATION_MS, Millis};

pub(super) const SESSION_COLUMNS: &str = "id, epoch, version, created_at, last_event_id, \
     last_activity_at, idle_told, branch, agent_session_id, wake_at";

/// Reads [`SESSION_COLUMNS`].
pub(super) fn read_session(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        id: row.get(0)?,
        epoch: row.get(1)?,
        version: counted(row, 2)?,
        created_at: moment(row, 3)?,
        last_event_id: counted(row, 4)?,
        last_activity_at: moment(row, 5)?,
        idle_told: row.get(6)?,
        branch: row.get(7)?,
        agent_session_id: row.get(8)?,
        wake_at: some_moment(row, 9)?,
    })
}

pub(super) const EXECUTION_COLUMNS: &str = "id, status, mode, token_hash, created_at, started_at, \
     completed_at, error, last_heartbeat_at, last_event_at, first_event_id, agent_session_id, \
     interrupt, grace, producer, producer_last_seq, former_producers, own_ending, reconnects, \
     lease, exit_code";

/// Reads [`EXECUTION_COLUMNS`].
pub(super) fn read_execution(row: &Row<'_>) -> rusqlite::Result<ExecutionRecord> {
    let producer: Option<Arc<str>> = row.get(14)?;
    Ok(ExecutionRecord {
        id: row.get(0)?,
        status: named(row, 1, Status::parse)?,
        mode: row.get(2)?,
        token_hash: row.get(3)?,
        created_at: moment(row, 4)?,
        started_at: some_moment(row, 5)?,
        completed_at: some_moment(row, 6)?,
        error: row.get(7)?,
        last_heartbeat_at: some_moment(row, 8)?,
        last_event_at: some_moment(row, 9)?,
        first_event_id: row.get::<_, Option<i64>>(10)?.map(|id| id as u64),
        agent_session_id: row.get(11)?,
        interrupt: json(row, 12)?.map(|interrupt| due(12, interrupt)).transpose()?,
        grace: json(row, 13)?.map(|grace| ending(13, grace)).transpose()?,
        producer: match producer {
            Some(id) => Some(Producer { id, last_seq: unsigned(row, 15)? }),
            None => None,
        },
        former_producers: json(row, 16)?.unwrap_or_default(),
        own_ending: row.get(17)?,
        reconnects: counted(row, 18)?,
        lease: json(row, 19)?.map(|lease| held(19, lease)).transpose()?,
        exit_code: row.get(20)?,
    })
}

/// The values of an execution's row, to be bound in the order of `?4` onward of the statements
/// in `write`; see there.
pub(super) struct ExecutionValues<'a> {
    row: &'a ExecutionRecord,
    interrupt: Option<String>,
    grace: Option<String>,
    former_producers: Option<String>,
    lease: Option<String>,
}

impl<'a> ExecutionValues<'a> {
    pub(super) fn new(row: &'a ExecutionRecord) -> ExecutionValues<'a> {
        let former = Some(&row.former_producers).filter(|former| !former.is_empty());
        ExecutionValues {
            row,
            interrupt: text(row.interrupt.as_ref()),
            grace: text(row.grace.as_ref()),
            former_producers: text(former),
            lease: text(row.lease.as_ref()),
        }
    }

    /// Runs a statement whose `?1` is `key`, `?2` the status, `?3` the last event's id, `?24` how
    /// many events there are more.
    pub(super) fn execute(
        &self,
        statement: &mut rusqlite::Statement<'_>,
        key: i64,
        events: EventsOf,
    ) -> rusqlite::Result<usize> {
        let row = self.row;
        let producer = row.producer.as_ref();
        statement.execute(params![
            key,
            row.status.as_str(),
            events.last_id.map(|id| id as i64),
            row.mode,
            row.token_hash,
            row.created_at,
            row.started_at,
            row.completed_at,
            row.error,
            row.last_heartbeat_at,
            row.last_event_at,
            row.first_event_id.map(|id| id as i64),
            row.agent_session_id,
            self.interrupt,
            self.grace,
            producer.map(|producer| &producer.id),
            producer.map(|producer| producer.last_seq as i64),
            self.former_producers,
            row.own_ending,
            row.reconnects as i64,
            self.lease,
            row.id,
            row.exit_code,
            events.count as i64,
        ])
    }
}

/// The columns of an event, the execution's key in place of its id and the data last: it is
/// looked at only where the row passes.
pub(super) const EVENT_COLUMNS: &str =
    "id, execution_key, event_type, timestamp, stored_at, late, data";

/// Writes an event; the statement's parameters are the session's key and [`EVENT_COLUMNS`].
pub(super) fn insert_event(
    statement: &mut rusqlite::Statement<'_>,
    session_key: i64,
    execution_key: i64,
    event: &EventRecord,
) -> rusqlite::Result<usize> {
    statement.execute(params![
        session_key,
        event.id as i64,
        execution_key,
        event.event_type,
        event.timestamp,
        event.stored_at,
        event.late,
        event.data,
    ])
}

pub(super) const NOTIFICATION_COLUMNS: &str = "id, kind, session_id, execution_id, status, error, \
     branch, agent_session_id, created_at, attempt, available_at, parked";

/// Reads [`NOTIFICATION_COLUMNS`].
pub(super) fn read_notification(row: &Row<'_>) -> rusqlite::Result<NotificationRecord> {
    let has_status = row.get_ref(4)? != rusqlite::types::ValueRef::Null;
    Ok(NotificationRecord {
        id: row.get(0)?,
        kind: named(row, 1, NotificationKind::parse)?,
        session_id: row.get(2)?,
        execution_id: row.get(3)?,
        status: if has_status { Some(named(row, 4, Status::parse)?) } else { None },
        error: row.get(5)?,
        branch: row.get(6)?,
        agent_session_id: row.get(7)?,
        created_at: moment(row, 8)?,
        attempt: row.get(9)?,
        available_at: moment(row, 10)?,
        parked: row.get(11)?,
    })
}

/// Runs a statement whose parameters are [`NOTIFICATION_COLUMNS`].
pub(super) fn insert_notification(
    statement: &mut rusqlite::Statement<'_>,
    record: &NotificationRecord,
) -> rusqlite::Result<usize> {
    statement.execute(params![
        record.id,
        record.kind.as_str(),
        record.session_id,
        record.execution_id,
        record.status.map(Status::as_str),
        record.error,
        record.branch,
        record.agent_session_id,
        record.created_at,
        record.attempt,
        record.available_at,
        record.parked,
    ])
}

/// Columns are signed; counters above their range come back as they were, since both ways keep
/// the bits.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)? as u64)
}

/// A number that grows by one at a time, and cannot have grown beyond its column.
fn counted(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    match u64::try_from(number) {
        Ok(counted) if number < i64::MAX => Ok(counted),
        _ => Err(damaged(column, format!("the count {number}").into())),
    }
}

/// A moment with room for what is counted from it.
fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Millis> {
    in_range(column, row.get(column)?)
}

fn some_moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Millis>> {
    row.get::<_, Option<Millis>>(column)?.map(|at| in_range(column, at)).transpose()
}

fn in_range(column: usize, at: Millis) -> rusqlite::Result<Millis> {
    settings::moment(at, "a moment").map_err(|error| damaged(column, error.into()))
}

fn due(column: usize, interrupt: Interrupt) -> rusqlite::Result<Interrupt> {
    let moments = [Some(interrupt.requested_at), interrupt.kill_at, interrupt.fail_at];
    for at in moments.into_iter().flatten() {
        in_range(column, at)?;
    }
    match interrupt.grace_ms.is_none_or(|ms| (0..=MAX_DURATION_MS).contains(&ms)) {
        true => Ok(interrupt),
        false => Err(damaged(column, "a grace that nobody can ask for".into())),
    }
}

fn held(column: usize, lease: Lease) -> rusqlite::Result<Lease> {
    in_range(column, lease.expires_at)?;
    Ok(lease)
}

fn ending(column: usize, grace: Grace) -> rusqlite::Result<Grace> {
    in_range(column, grace.started_at)?;
    in_range(column, grace.deadline)?;
    Ok(grace)
}

fn named<T>(row: &Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let name = row.get_ref(column)?.as_str()?;
    parse(name).ok_or_else(|| damaged(column, format!("unknown name {name:?}").into()))
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(|error| damaged(column, error.into()))
}

pub(super) fn damaged(
    column: usize,
    why: Box<dyn std::error::Error + Send + Sync>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why)
}

/// Whether an error says that this one row cannot be read, and nothing of the file.
pub(super) fn is_of_row(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..)
    )
}

/// Whatever of this can be read; a row that cannot is told in the log and passed over.
pub(super) fn readable<T>(
    what: &str,
    place: i64,
    read: rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if is_of_row(&error) => {
            static TOLD: LazyLock<Seldom> = LazyLock::new(Seldom::default);
            if let Some(more) = TOLD.admits(&format!("{what} {place}"), elapsed_ms()) {
                tracing::error!("{what} {place} cannot be read, and is passed over: {error}{more}");
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A structure as JSON. These are plain structures of ours, which always can be written.
fn text<T: Serialize>(value: Option<&T>) -> Option<String> {
    value.and_then(|value| serde_json::to_string(value).ok())
}

/// Something that can be bound as a limit.
pub(super) fn limit(limit: usize) -> impl ToSql {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
