//! What is read, by the writer and by readers alike.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::connection::Place;
use super::failure::store_error;
use super::notifications;
use super::rows::{
    EVENT_COLUMNS, EXECUTION_COLUMNS, SESSION_COLUMNS, damaged, limit, read_execution,
    read_session, readable,
};
use crate::Error;
use crate::protocol::Filter;
use crate::session::records::{
    EventRecord, ExecutionRecord, NotificationRecord, SessionRecord, Status,
};
use crate::store::page::PageBuilder;
use crate::store::{
    Cursor, EventPage, Listed, LogBounds, Part, PartBuilder, Placed, Reader, SessionSummary,
    StoredSession,
};

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
        part: Part,
    ) -> Result<Listed<ExecutionRecord>, Error> {
        self.read(|connection, _| match session(connection, session_id)? {
            Some((key, _)) => executions(connection, key, status, part),
            None => Ok(Listed { entries: Vec::new(), next: None }),
        })
    }

    fn sessions(&mut self, part: Part) -> Result<Listed<SessionSummary>, Error> {
        self.read(|connection, _| sessions(connection, part))
    }

    fn log_bounds(&mut self, session_id: &str) -> Result<Option<LogBounds>, Error> {
        self.read(|connection, _| {
            let Some((key, record)) = session(connection, session_id)? else { return Ok(None) };
            let last = record.last_event_id;
            // As reading does, it looks at no number that the log cannot have.
            let earliest: Option<i64> = connection
                .prepare_cached(
                    "SELECT min(id) FROM events WHERE session_key = ?1 AND id BETWEEN 1 AND ?2",
                )?
                .query_row([key, last as i64], |row| row.get(0))?;
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
    let found: Option<(i64, SessionRecord)> = connection
        .prepare_cached(&format!("SELECT {SESSION_COLUMNS}, key FROM sessions WHERE id = ?1"))?
        .query_row([session_id], |row| Ok((row.get(10)?, read_session(row)?)))
        .optional()?;
    if let Some((key, _)) = &found {
        let id: String = connection
            .prepare_cached("SELECT id FROM sessions WHERE key = ?1")?
            .query_row([key], |row| row.get(0))?;
        expect_row_of(&id, session_id)?;
    }
    Ok(found)
}

fn active(connection: &Connection, session_key: i64) -> rusqlite::Result<Option<ExecutionRecord>> {
    connection
        .prepare_cached(&format!(
            "SELECT {EXECUTION_COLUMNS}, key FROM executions INDEXED BY one_active_execution \
             WHERE session_key = ?1 AND status IN ('pending', 'running')"
        ))?
        .query_row([session_key], |row| {
            let record = read_execution_of(connection, row, session_key)?;
            match record.status.is_active() {
                true => Ok(record),
                false => Err(damaged(1, "an index leads to a run that has ended".into())),
            }
        })
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
    let Some((session_key, _)) = session(connection, session_id)? else { return Ok(None) };
    connection
        .prepare_cached(&format!(
            "SELECT {EXECUTION_COLUMNS}, key FROM executions WHERE session_key = ?1 AND id = ?2"
        ))?
        .query_row(params![session_key, execution_id], |row| {
            read_execution_of(connection, row, session_key)
        })
        .optional()
}

/// Reads [`EXECUTION_COLUMNS`] of a row, with its `key`, and sees to it that it is that session's.
fn read_execution_of(
    connection: &Connection,
    row: &Row<'_>,
    session_key: i64,
) -> rusqlite::Result<ExecutionRecord> {
    let owner: i64 = connection
        .prepare_cached("SELECT session_key FROM executions WHERE key = ?1")?
        .query_row([row.get::<_, i64>("key")?], |row| row.get(0))?;
    expect_row_of(&owner, &session_key)?;
    read_execution(row)
}

/// An index that is damaged may lead to another's row, and SQLite takes the columns that an index
/// has from there. So whose row it is, is asked of the row itself, by its key.
fn expect_row_of<T: PartialEq<U> + ?Sized, U: ?Sized>(
    owner: &T,
    wanted: &U,
) -> rusqlite::Result<()> {
    match owner == wanted {
        true => Ok(()),
        false => Err(damaged(0, "an index leads to a row of another session".into())),
    }
}

/// The secret of tickets; `None` where none is kept, or nothing that could be one.
pub(super) fn ticket_secret(connection: &Connection) -> rusqlite::Result<Option<[u8; 32]>> {
    let kept: Option<Vec<u8>> =
        connection.query_row("SELECT ticket_secret FROM store", [], |row| row.get(0))?;
    Ok(kept.and_then(|kept| kept.try_into().ok()))
}

/// Sessions with an active execution, by key, found through the index of the active ones only.
pub(super) const ACTIVE: &str = "SELECT sessions.key, sessions.id \
    FROM executions INDEXED BY one_active_execution \
    CROSS JOIN sessions ON sessions.key = executions.session_key \
    WHERE status IN ('pending', 'running') AND session_key > ?1 ORDER BY session_key";

/// Sessions with a wake-up, by key.
pub(super) const WAKING: &str = "SELECT key, id FROM sessions \
    WHERE key > ?1 AND wake_at IS NOT NULL ORDER BY key";

/// Keys and ids of the first so many sessions that `query` chooses. One whose id cannot be read is
/// passed over: nobody can name it.
pub(super) fn placed(
    connection: &Connection,
    query: &str,
    after: u64,
    at_most: usize,
) -> rusqlite::Result<Vec<Placed>> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([after])?;
    let mut placed = Vec::new();
    while placed.len() < at_most
        && let Some(row) = rows.next()?
    {
        let key = row.get::<_, i64>(0)?;
        let id = readable("the id of session", key, row.get(1))?;
        placed.extend(id.map(|id| (key as u64, id)));
    }
    Ok(placed)
}

fn executions(
    connection: &Connection,
    session_key: i64,
    status: Option<Status>,
    part: Part,
) -> rusqlite::Result<Listed<ExecutionRecord>> {
    let (index, condition) = match status {
        Some(_) => ("executions_by_status", "AND status = ?3"),
        None => ("executions_in_order", "AND ?3 IS NULL"),
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {EXECUTION_COLUMNS}, key FROM executions INDEXED BY {index} \
         WHERE session_key = ?1 {condition} AND key < ?4 ORDER BY key DESC LIMIT ?2"
    ))?;
    let (status, before) = (status.map(Status::as_str), part.after.map_or(i64::MAX, |at| at.key));
    // One more than there is room for tells that there are more.
    let mut rows = statement.query(params![
        session_key,
        limit(part.limit.saturating_add(1)),
        status,
        before
    ])?;
    let mut builder = PartBuilder::new(part);
    while let Some(row) = rows.next()? {
        let place = Cursor { at: 0, key: row.get("key")? };
        if !builder.take(place, read_execution_of(connection, row, session_key)?) {
            return Ok(builder.finish(false));
        }
    }
    Ok(builder.finish(true))
}

fn sessions(connection: &Connection, part: Part) -> rusqlite::Result<Listed<SessionSummary>> {
    // Only what the order needs goes through the sorter.
    let mut places = connection.prepare_cached(
        "SELECT last_activity_at, key FROM sessions \
         WHERE ?2 IS NULL OR (last_activity_at, key) < (?2, ?3) \
         ORDER BY last_activity_at DESC, key DESC LIMIT ?1",
    )?;
    let mut builder = PartBuilder::new(part);
    // One more than there is room for tells that there are more.
    let at_once = part.limit.saturating_add(1);
    let mut after = part.after;
    loop {
        let (at, key) = (after.map(|after| after.at), after.map(|after| after.key));
        let mut rows = places.query(params![limit(at_once), at, key])?;
        let mut looked_at = 0;
        while let Some(row) = rows.next()? {
            let place = Cursor { at: row.get(0)?, key: row.get(1)? };
            (after, looked_at) = (Some(place), looked_at + 1);
            let summary = readable("session", place.key, summary(connection, place.key))?;
            if let Some(summary) = summary
                && !builder.take(place, summary)
            {
                return Ok(builder.finish(false));
            }
        }
        // Where some cannot be read there is room for others.
        if looked_at < at_once {
            return Ok(builder.finish(true));
        }
    }
}

/// A row of the list of sessions.
fn summary(connection: &Connection, session_key: i64) -> rusqlite::Result<SessionSummary> {
    let record = connection
        .prepare_cached(&format!("SELECT {SESSION_COLUMNS} FROM sessions WHERE key = ?1"))?
        .query_row([session_key], read_session)?;
    let latest = match active(connection, session_key)? {
        Some(active) => Some(active),
        None => executions(connection, session_key, None, Part::first(1))?.entries.pop(),
    };
    Ok(SessionSummary { record, latest })
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
        if page.has_passed(id) {
            return Err(damaged(0, "the log is out of its order".into()));
        }
        let execution_id = names.execution(connection, session_key, row.get(1)?)?;
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
    let at_most = filter.limit.unwrap_or(u64::MAX);
    if filter.asks_for_whole_runs() {
        let counted = count_whole_runs(connection, session_key, filter.executions.as_deref())?;
        return Ok(at_most.min(u64::try_from(counted).unwrap_or(0)));
    }
    let Some(span) = span(connection, session_key, record, filter)? else { return Ok(0) };
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

/// How many events these executions have, or all: kept with their rows.
fn count_whole_runs(
    connection: &Connection,
    session_key: i64,
    wanted: Option<&[Arc<str>]>,
) -> rusqlite::Result<i64> {
    let Some(wanted) = wanted else {
        return connection
            .prepare_cached(
                "SELECT ifnull(sum(event_count), 0) FROM executions WHERE session_key = ?1",
            )?
            .query_row([session_key], |row| row.get(0));
    };
    let mut of_one = connection
        .prepare_cached("SELECT event_count FROM executions WHERE session_key = ?1 AND id = ?2")?;
    let mut counted: i64 = 0;
    for id in wanted.iter().collect::<BTreeSet<_>>() {
        let count: Option<i64> =
            of_one.query_row(params![session_key, id], |row| row.get(0)).optional()?;
        counted = counted.saturating_add(count.unwrap_or(0));
    }
    Ok(counted)
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
        let execution_id = names.execution(connection, session_key, row.get(0)?)?;
        let event_type = row.get_ref(1)?.as_str()?;
        passing += u64::from(filter.admits(Some(&execution_id), event_type, row.get(2)?));
    }
    Ok(passing)
}

/// Ids of executions by key, and event types, shared by the events that carry them. Keys are
/// never given twice, so what is remembered stays right.
#[derive(Default)]
struct Names {
    /// Each with its session's key.
    executions: HashMap<i64, (i64, Arc<str>)>,
    newest: Option<(i64, i64, Arc<str>)>,
    types: Vec<Arc<str>>,
}

impl Names {
    /// A key that is not one of that session's is an error.
    fn execution(
        &mut self,
        connection: &Connection,
        session_key: i64,
        key: i64,
    ) -> rusqlite::Result<Arc<str>> {
        if let Some((session, newest, id)) = &self.newest
            && (*session, *newest) == (session_key, key)
        {
            return Ok(id.clone());
        }
        let id = match self.executions.get(&key) {
            Some((session, id)) if *session == session_key => id.clone(),
            _ => {
                let id: Arc<str> = connection
                    .prepare_cached(
                        "SELECT id FROM executions WHERE key = ?1 AND session_key = ?2",
                    )?
                    .query_row([key, session_key], |row| row.get(0))
                    .optional()?
                    .ok_or_else(|| damaged(1, "an event of another session's execution".into()))?;
                if self.executions.len() >= REMEMBERED {
                    self.executions.clear();
                }
                self.executions.insert(key, (session_key, id.clone()));
                id
            }
        };
        self.newest = Some((session_key, key, id.clone()));
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
