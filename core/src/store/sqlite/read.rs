//! What is read, by the writer and by readers alike.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::connection::Place;
use super::failure::store_error;
use super::notifications;
use super::rows::{
    EVENT_COLUMNS, EXECUTION_COLUMNS, SESSION_COLUMNS, limit, read_execution, read_session,
};
use crate::Error;
use crate::protocol::Filter;
use crate::session::records::{
    EventRecord, ExecutionRecord, NotificationRecord, SessionRecord, Status,
};
use crate::store::page::PageBuilder;
use crate::store::{EventPage, LogBounds, Reader, SessionSummary, StoredSession};

/// Ids of executions and types that a reader remembers, so that events share them.
const REMEMBERED: usize = 4_096;

/// A reader of the file: a connection of its own, in a transaction only during a call.
pub(super) struct SqliteReader {
    place: Place,
    connection: Connection,
    /// Nothing locks the file: it is opened anew for each call.
    is_snapshot: bool,
    names: Names,
}

impl SqliteReader {
    pub(super) fn open(place: &Place) -> Result<SqliteReader, Error> {
        let (connection, is_snapshot) = place.open_reader()?;
        Ok(SqliteReader { place: place.clone(), connection, is_snapshot, names: Names::default() })
    }

    /// Runs `query` in one transaction, so that it sees one committed state.
    fn read<T>(
        &mut self,
        query: impl FnOnce(&Connection, &mut Names) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        if self.is_snapshot {
            *self = SqliteReader::open(&self.place)?;
        }
        let transaction = self.connection.unchecked_transaction().map_err(store_error)?;
        let result = query(&transaction, &mut self.names).map_err(store_error);
        transaction.finish().map_err(store_error)?;
        result
    }
}

impl Reader for SqliteReader {
    fn load(&mut self, session_id: &str) -> Result<Option<StoredSession>, Error> {
        self.read(|connection, _| load(connection, session_id))
    }

    fn execution(
        &mut self,
        session_id: &str,
        execution_id: &str,
    ) -> Result<Option<ExecutionRecord>, Error> {
        self.read(|connection, _| execution(connection, session_id, execution_id))
    }

    fn executions(
        &mut self,
        session_id: &str,
        status: Option<Status>,
        limit: usize,
    ) -> Result<Vec<ExecutionRecord>, Error> {
        self.read(|connection, _| match session(connection, session_id)? {
            Some((key, _)) => executions(connection, key, status, limit),
            None => Ok(Vec::new()),
        })
    }

    fn sessions(&mut self, limit: usize) -> Result<Vec<SessionSummary>, Error> {
        self.read(|connection, _| sessions(connection, limit))
    }

    fn log_bounds(&mut self, session_id: &str) -> Result<Option<LogBounds>, Error> {
        self.read(|connection, _| {
            let Some((key, record)) = session(connection, session_id)? else { return Ok(None) };
            let last = record.last_event_id;
            let earliest: Option<i64> = connection
                .prepare_cached("SELECT min(id) FROM events WHERE session_key = ?1")?
                .query_row([key], |row| row.get(0))?;
            Ok(Some(LogBounds { earliest: earliest.map_or(last + 1, |id| id as u64), last }))
        })
    }

    fn events(
        &mut self,
        session_id: &str,
        filter: &Filter,
        max_bytes: usize,
    ) -> Result<EventPage, Error> {
        self.read(|connection, names| {
            let page = PageBuilder::new(filter, max_bytes);
            match session(connection, session_id)? {
                Some((key, record)) => fill(page, connection, names, key, &record, filter),
                None => Ok(page.ended(0)),
            }
        })
    }

    fn count_events(&mut self, session_id: &str, filter: &Filter) -> Result<u64, Error> {
        self.read(|connection, names| match session(connection, session_id)? {
            Some((key, record)) => count(connection, names, key, &record, filter),
            None => Ok(0),
        })
    }

    fn notifications(&mut self, parked_only: bool) -> Result<Vec<NotificationRecord>, Error> {
        self.read(|connection, _| notifications::list(connection, parked_only))
    }
}

fn session(
    connection: &Connection,
    session_id: &str,
) -> rusqlite::Result<Option<(i64, SessionRecord)>> {
    connection
        .prepare_cached(&format!("SELECT {SESSION_COLUMNS}, key FROM sessions WHERE id = ?1"))?
        .query_row([session_id], |row| Ok((row.get(10)?, read_session(row)?)))
        .optional()
}

fn active(connection: &Connection, session_key: i64) -> rusqlite::Result<Option<ExecutionRecord>> {
    connection
        .prepare_cached(&format!(
            "SELECT {EXECUTION_COLUMNS} FROM executions INDEXED BY one_active_execution \
             WHERE session_key = ?1 AND status IN ('pending', 'running')"
        ))?
        .query_row([session_key], read_execution)
        .optional()
}

/// A session with its active execution.
pub(super) fn load(
    connection: &Connection,
    session_id: &str,
) -> rusqlite::Result<Option<StoredSession>> {
    let Some((key, record)) = session(connection, session_id)? else { return Ok(None) };
    Ok(Some(StoredSession { record, active: active(connection, key)? }))
}

/// One execution.
pub(super) fn execution(
    connection: &Connection,
    session_id: &str,
    execution_id: &str,
) -> rusqlite::Result<Option<ExecutionRecord>> {
    connection
        .prepare_cached(&format!(
            "SELECT {EXECUTION_COLUMNS} FROM executions \
             WHERE session_key = (SELECT key FROM sessions WHERE id = ?1) AND id = ?2"
        ))?
        .query_row(params![session_id, execution_id], read_execution)
        .optional()
}

/// All sessions with an active execution, found through the index of the active ones only.
pub(super) fn active_sessions(connection: &Connection) -> rusqlite::Result<Vec<StoredSession>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT session_key, {EXECUTION_COLUMNS} FROM executions INDEXED BY one_active_execution \
         WHERE status IN ('pending', 'running') ORDER BY session_key"
    ))?;
    let mut of_session = connection
        .prepare_cached(&format!("SELECT {SESSION_COLUMNS} FROM sessions WHERE key = ?1"))?;
    let keys = statement.query_map([], |row| row.get::<_, i64>(0))?;
    let mut found = Vec::new();
    for key in keys {
        let key = key?;
        let record = of_session.query_row([key], read_session)?;
        found.push(StoredSession { record, active: active(connection, key)? });
    }
    Ok(found)
}

fn executions(
    connection: &Connection,
    session_key: i64,
    status: Option<Status>,
    at_most: usize,
) -> rusqlite::Result<Vec<ExecutionRecord>> {
    let (index, condition) = match status {
        Some(_) => ("executions_by_status", "AND status = ?3"),
        None => ("executions_in_order", "AND ?3 IS NULL"),
    };
    connection
        .prepare_cached(&format!(
            "SELECT {EXECUTION_COLUMNS} FROM executions INDEXED BY {index} \
             WHERE session_key = ?1 {condition} ORDER BY key DESC LIMIT ?2"
        ))?
        .query_map(
            params![session_key, limit(at_most), status.map(Status::as_str)],
            read_execution,
        )?
        .collect()
}

fn sessions(connection: &Connection, at_most: usize) -> rusqlite::Result<Vec<SessionSummary>> {
    // Only what the order needs goes through the sorter.
    let mut keys = connection.prepare_cached(
        "SELECT key FROM sessions ORDER BY last_activity_at DESC, key DESC LIMIT ?1",
    )?;
    let mut of_session = connection
        .prepare_cached(&format!("SELECT {SESSION_COLUMNS} FROM sessions WHERE key = ?1"))?;
    let mut summaries = Vec::new();
    for key in keys.query_map([limit(at_most)], |row| row.get::<_, i64>(0))? {
        let key = key?;
        let latest = match active(connection, key)? {
            Some(active) => Some(active),
            None => executions(connection, key, None, 1)?.pop(),
        };
        let record = of_session.query_row([key], read_session)?;
        summaries.push(SessionSummary { record, latest });
    }
    Ok(summaries)
}

/// The ids between which events can pass the filter, both inclusive.
struct Span {
    first: i64,
    last: i64,
}

fn span(
    connection: &Connection,
    session_key: i64,
    record: &SessionRecord,
    filter: &Filter,
) -> rusqlite::Result<Option<Span>> {
    let last = i64::try_from(record.last_event_id).unwrap_or(i64::MAX);
    let after = i64::try_from(filter.after).unwrap_or(i64::MAX);
    let mut span = Span { first: after.saturating_add(1), last };
    if let Some(wanted) = &filter.executions {
        let mut ends = connection.prepare_cached(
            "SELECT ifnull(first_event_id, 1), last_event_id FROM executions \
             WHERE session_key = ?1 AND id = ?2 AND last_event_id IS NOT NULL",
        )?;
        let (mut earliest, mut latest) = (i64::MAX, 0);
        for id in wanted {
            let bounds: Option<(i64, i64)> = ends
                .query_row(params![session_key, id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            if let Some((first, last)) = bounds {
                (earliest, latest) = (earliest.min(first), latest.max(last));
            }
        }
        (span.first, span.last) = (span.first.max(earliest), span.last.min(latest));
    }
    Ok((span.first <= span.last && after < last).then_some(span))
}

const EVENTS_IN_SPAN: &str = "FROM events INDEXED BY events_by_session \
     WHERE session_key = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id";

fn fill(
    mut page: PageBuilder<'_>,
    connection: &Connection,
    names: &mut Names,
    session_key: i64,
    record: &SessionRecord,
    filter: &Filter,
) -> rusqlite::Result<EventPage> {
    let Some(span) = span(connection, session_key, record, filter)? else {
        return Ok(page.ended(record.last_event_id));
    };
    let mut statement =
        connection.prepare_cached(&format!("SELECT {EVENT_COLUMNS} {EVENTS_IN_SPAN}"))?;
    let mut rows = statement.query([session_key, span.first, span.last])?;
    while let Some(row) = rows.next()? {
        if page.is_full() {
            return Ok(page.stopped());
        }
        let id = row.get::<_, i64>(0)? as u64;
        let execution_id = names.execution(connection, row.get(1)?)?;
        let event_type = row.get_ref(2)?.as_str()?;
        let timestamp = row.get(3)?;
        if !page.admits(id, &execution_id, event_type, timestamp) {
            continue;
        }
        let data = row.get_ref(6)?.as_str()?;
        if !page.fits(data.len()) {
            return Ok(page.stopped());
        }
        page.take(Arc::new(EventRecord {
            id,
            execution_id,
            event_type: names.event_type(event_type),
            timestamp,
            stored_at: row.get(4)?,
            late: row.get(5)?,
            data: data.into(),
        }));
    }
    Ok(page.ended(record.last_event_id))
}

fn count(
    connection: &Connection,
    names: &mut Names,
    session_key: i64,
    record: &SessionRecord,
    filter: &Filter,
) -> rusqlite::Result<u64> {
    let Some(span) = span(connection, session_key, record, filter)? else { return Ok(0) };
    let at_most = filter.limit.unwrap_or(u64::MAX);
    let Filter { executions: None, types: None, since: None, until: None, .. } = filter else {
        return count_passing(connection, names, session_key, &span, filter, at_most);
    };
    let all: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM events WHERE session_key = ?1 AND id BETWEEN ?2 AND ?3",
        )?
        .query_row([session_key, span.first, span.last], |row| row.get(0))?;
    Ok(at_most.min(all as u64))
}

fn count_passing(
    connection: &Connection,
    names: &mut Names,
    session_key: i64,
    span: &Span,
    filter: &Filter,
    at_most: u64,
) -> rusqlite::Result<u64> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT execution_key, event_type, timestamp {EVENTS_IN_SPAN}"))?;
    let mut rows = statement.query([session_key, span.first, span.last])?;
    let mut passing = 0;
    while passing < at_most
        && let Some(row) = rows.next()?
    {
        let execution_id = names.execution(connection, row.get(0)?)?;
        let event_type = row.get_ref(1)?.as_str()?;
        passing += u64::from(filter.admits(Some(&execution_id), event_type, row.get(2)?));
    }
    Ok(passing)
}

/// Ids of executions by key, and event types, shared by the events that carry them. Keys are
/// never given twice, so what is remembered stays right.
#[derive(Default)]
struct Names {
    executions: HashMap<i64, Arc<str>>,
    newest: Option<(i64, Arc<str>)>,
    types: Vec<Arc<str>>,
}

impl Names {
    fn execution(&mut self, connection: &Connection, key: i64) -> rusqlite::Result<Arc<str>> {
        if let Some((newest, id)) = &self.newest
            && *newest == key
        {
            return Ok(id.clone());
        }
        let id = match self.executions.get(&key) {
            Some(id) => id.clone(),
            None => {
                let id: Arc<str> = connection
                    .prepare_cached("SELECT id FROM executions WHERE key = ?1")?
                    .query_row([key], |row| row.get(0))?;
                if self.executions.len() >= REMEMBERED {
                    self.executions.clear();
                }
                self.executions.insert(key, id.clone());
                id
            }
        };
        self.newest = Some((key, id.clone()));
        Ok(id)
    }

    fn event_type(&mut self, name: &str) -> Arc<str> {
        // A dozen in practice; a log with a type for each event is not remembered for long.
        if let Some(known) = self.types.iter().find(|known| ***known == *name) {
            return known.clone();
        }
        if self.types.len() >= 64 {
            self.types.clear();
        }
        let name: Arc<str> = name.into();
        self.types.push(name.clone());
        name
    }
}
