//! One session's part of a batch: the deletion first, then its row, its executions in the order
//! given, its events.

use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, params};

use super::failure::{Reach, describe, reach};
use super::keys::Keys;
use super::rows::{ExecutionValues, insert_event};
use crate::session::records::{ExecutionRecord, SessionRecord};
use crate::store::{FaultKind, SessionChanges, check_batch_entry};

/// Events of deleted sessions that go with one batch; what is beyond goes piece by piece, so that
/// deleting a session with a long log, or many sessions at once, does not hold up everybody else.
const DELETED_AT_ONCE: i64 = 10_000;

macro_rules! execution_values {
    () => {
        "last_event_id = ifnull(?3, last_event_id), mode = ?4, token_hash = ?5, created_at = ?6, \
         started_at = ?7, completed_at = ?8, error = ?9, last_heartbeat_at = ?10, \
         last_event_at = ?11, first_event_id = ?12, agent_session_id = ?13, interrupt = ?14, \
         grace = ?15, producer = ?16, producer_last_seq = ?17, former_producers = ?18, \
         own_ending = ?19, reconnects = ?20, lease = ?21, exit_code = ?23, \
         event_count = event_count + ?24"
    };
}

/// Leaves the status alone: setting it, even to what it is, would rewrite two indexes.
const UPDATE_EXECUTION: &str = concat!(
    "UPDATE executions SET ",
    execution_values!(),
    " WHERE key = ?1 AND status = ?2 AND id = ?22"
);
const UPDATE_STATUS_TOO: &str = concat!(
    "UPDATE executions SET status = ?2, ",
    execution_values!(),
    " WHERE key = ?1 AND id = ?22"
);
const INSERT_EXECUTION: &str = "INSERT INTO executions (session_key, status, last_event_id, mode, \
     token_hash, created_at, started_at, completed_at, error, last_heartbeat_at, last_event_at, \
     first_event_id, agent_session_id, interrupt, grace, producer, producer_last_seq, \
     former_producers, own_ending, reconnects, lease, id, exit_code, event_count) VALUES (?1, ?2, \
     ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
     ?23, ?24)";
/// `?12` is the first new event's id: R33 holds whatever the caller thinks.
const UPDATE_SESSION: &str = "UPDATE sessions SET version = ?3, last_event_id = ?4, \
     last_activity_at = ?5, idle_told = ?6, branch = ?7, agent_session_id = ?8, wake_at = ?9, \
     epoch = ?10, created_at = ?11 WHERE key = ?1 AND version = ?2 AND last_event_id < ?12";
const INSERT_SESSION: &str = "INSERT INTO sessions (id, epoch, version, created_at, \
     last_event_id, last_activity_at, idle_told, branch, agent_session_id, wake_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING";
const INSERT_EVENT: &str = "INSERT INTO events (session_key, id, execution_key, event_type, \
     timestamp, stored_at, late, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Why a session's part is not written.
pub(super) enum Refusal {
    /// Told before anything of it was written: nothing has to be taken back.
    Before(FaultKind),
    /// Part of it may be written already.
    Within(FaultKind),
    /// These rows, or what leads to them, are damaged; others may be fine. Nothing more is done in
    /// the same transaction.
    Damage(String),
    /// The store cannot write at present.
    Store(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Refusal {
        if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) {
            return Refusal::Damage(describe(&error));
        }
        match reach(&error) {
            Reach::Rows => Refusal::Within(FaultKind::Poison(error.to_string())),
            Reach::Store | Reach::Connection => Refusal::Store(error),
        }
    }
}

/// Writes sessions' parts, with the statements that each of them needs at hand.
pub(super) struct PartWriter<'a> {
    connection: &'a Connection,
    keys: &'a mut Keys,
    update_session: CachedStatement<'a>,
    update_execution: CachedStatement<'a>,
    insert_event: CachedStatement<'a>,
    /// So many events may still go at once.
    deletable: i64,
}

impl<'a> PartWriter<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        keys: &'a mut Keys,
    ) -> rusqlite::Result<PartWriter<'a>> {
        Ok(PartWriter {
            connection,
            keys,
            update_session: connection.prepare_cached(UPDATE_SESSION)?,
            update_execution: connection.prepare_cached(UPDATE_EXECUTION)?,
            insert_event: connection.prepare_cached(INSERT_EVENT)?,
            deletable: DELETED_AT_ONCE,
        })
    }

    /// What was remembered of a session is not there any more: its part was taken back.
    pub(super) fn forget(&mut self, session_id: &str) {
        self.keys.forget(session_id);
    }

    /// Writes one part. After a refusal its keys are forgotten.
    pub(super) fn write(&mut self, changes: &SessionChanges) -> Result<(), Refusal> {
        let written = self.write_rows(changes);
        if written.is_err() {
            self.keys.forget(&changes.session_id);
        }
        written
    }

    fn write_rows(&mut self, changes: &SessionChanges) -> Result<(), Refusal> {
        check_batch_entry(changes).map_err(Refusal::Before)?;
        if changes.delete {
            self.delete(changes)?;
        }
        let Some(record) = &changes.record else { return Ok(()) };
        let session_key = if changes.delete || changes.base_version == 0 {
            self.insert_session(record)?
        } else {
            self.update_session(changes, record)?
        };
        for row in &changes.executions {
            self.put_execution(changes, session_key, row)?;
        }
        self.insert_events(changes, session_key)
    }

    fn delete(&mut self, changes: &SessionChanges) -> Result<(), Refusal> {
        let id = &changes.session_id;
        let conflict = || Err(Refusal::Before(FaultKind::Conflict));
        let key = match self.keys.session(self.connection, id)? {
            Some(key) if changes.base_version > 0 => key,
            None if changes.base_version == 0 => return Ok(()),
            _ => return conflict(),
        };
        let run = |sql: &str, parameters: &[i64]| {
            let parameters = rusqlite::params_from_iter(parameters);
            self.connection.prepare_cached(sql)?.execute(parameters)
        };
        let version = changes.base_version as i64;
        if run("DELETE FROM sessions WHERE key = ?1 AND version = ?2", &[key, version])? == 0 {
            return conflict();
        }
        run("DELETE FROM executions WHERE session_key = ?1", &[key])?;
        let events = delete_events(self.connection, key, self.deletable)?;
        self.deletable -= events;
        if self.deletable == 0 {
            run("INSERT INTO remnants (session_key) VALUES (?1)", &[key])?;
        }
        self.keys.forget(id);
        Ok(())
    }

    fn insert_session(&mut self, record: &SessionRecord) -> Result<i64, Refusal> {
        let inserted = self.connection.prepare_cached(INSERT_SESSION)?.execute(params![
            record.id,
            record.epoch,
            record.version as i64,
            record.created_at,
            record.last_event_id as i64,
            record.last_activity_at,
            record.idle_told,
            record.branch,
            record.agent_session_id,
            record.wake_at,
        ])?;
        if inserted == 0 {
            return Err(Refusal::Before(FaultKind::Conflict));
        }
        let key = self.connection.last_insert_rowid();
        self.keys.remember_session(&record.id, key);
        Ok(key)
    }

    fn update_session(
        &mut self,
        changes: &SessionChanges,
        record: &SessionRecord,
    ) -> Result<i64, Refusal> {
        let Some(key) = self.keys.session(self.connection, &record.id)? else {
            return Err(Refusal::Before(FaultKind::Conflict));
        };
        let first_new = changes.events.first().map_or(i64::MAX, |event| event.id as i64);
        let updated = self.update_session.execute(params![
            key,
            changes.base_version as i64,
            record.version as i64,
            record.last_event_id as i64,
            record.last_activity_at,
            record.idle_told,
            record.branch,
            record.agent_session_id,
            record.wake_at,
            record.epoch,
            record.created_at,
            first_new,
        ])?;
        if updated > 0 {
            return Ok(key);
        }
        let version: Option<i64> = self
            .connection
            .prepare_cached("SELECT version FROM sessions WHERE id = ?1")?
            .query_row([&record.id], |row| row.get(0))
            .optional()?;
        Err(Refusal::Before(if version == Some(changes.base_version as i64) {
            FaultKind::Poison(format!("event id {first_new} is not new"))
        } else {
            FaultKind::Conflict
        }))
    }

    fn put_execution(
        &mut self,
        changes: &SessionChanges,
        session_key: i64,
        row: &ExecutionRecord,
    ) -> Result<(), Refusal> {
        let events = EventsOf::new(changes, row);
        let values = ExecutionValues::new(row);
        let id = &changes.session_id;
        let Some(key) = self.keys.execution(self.connection, id, session_key, &row.id)? else {
            let mut insert = self.connection.prepare_cached(INSERT_EXECUTION)?;
            values.execute(&mut insert, session_key, events)?;
            self.keys.remember_execution(id, &row.id, self.connection.last_insert_rowid());
            return Ok(());
        };
        if values.execute(&mut self.update_execution, key, events)? == 0 {
            let mut update = self.connection.prepare_cached(UPDATE_STATUS_TOO)?;
            expect_row(values.execute(&mut update, key, events)?)?;
        }
        Ok(())
    }

    fn insert_events(&mut self, changes: &SessionChanges, session_key: i64) -> Result<(), Refusal> {
        // Events of one execution come in runs.
        for run in changes.events.chunk_by(|one, next| one.execution_id == next.execution_id) {
            let (id, last) = (&run[0].execution_id, run[run.len() - 1].id);
            let found =
                self.keys.execution(self.connection, &changes.session_id, session_key, id)?;
            let Some(execution_key) = found else {
                let text = format!("event {last} of an unknown execution: {id}");
                return Err(Refusal::Within(FaultKind::Poison(text)));
            };
            for event in run {
                insert_event(&mut self.insert_event, session_key, execution_key, event)?;
            }
            if !changes.executions.iter().any(|row| row.id == *id) {
                let updated = self
                    .connection
                    .prepare_cached(
                        "UPDATE executions SET last_event_id = ?2, \
                         event_count = event_count + ?4 WHERE key = ?1 AND id = ?3",
                    )?
                    .execute(params![execution_key, last as i64, id, run.len() as i64])?;
                expect_row(updated)?;
            }
        }
        Ok(())
    }
}

/// The new events of one execution.
#[derive(Clone, Copy)]
pub(super) struct EventsOf {
    pub(super) last_id: Option<u64>,
    pub(super) count: u64,
}

impl EventsOf {
    fn new(changes: &SessionChanges, row: &ExecutionRecord) -> EventsOf {
        let same = |one: &&ExecutionRecord| one.id == row.id;
        // Counted once, however often the row is written.
        let is_first =
            changes.executions.iter().find(same).is_some_and(|one| std::ptr::eq(one, row));
        let own = changes.events.iter().filter(|event| event.execution_id == row.id);
        let (mut last_id, mut count) = (None, 0);
        for event in own {
            last_id = Some(event.id);
            count += u64::from(is_first);
        }
        EventsOf { last_id, count }
    }
}

/// A row that was to be changed is there, and is the one that was meant.
fn expect_row(updated: usize) -> Result<(), Refusal> {
    if updated == 0 { Err(Refusal::Within(FaultKind::Conflict)) } else { Ok(()) }
}

/// Goes on deleting the events of deleted sessions, at most `limit`; whether any are left.
pub(super) fn delete_remnants(connection: &Connection, limit: i64) -> rusqlite::Result<bool> {
    let mut left = limit;
    loop {
        let key: Option<i64> = connection
            .prepare_cached("SELECT min(session_key) FROM remnants")?
            .query_row([], |row| row.get(0))?;
        let Some(key) = key else { return Ok(false) };
        let deleted = delete_events(connection, key, left)?;
        left -= deleted;
        if left <= 0 {
            return Ok(true);
        }
        connection.prepare_cached("DELETE FROM remnants WHERE session_key = ?1")?.execute([key])?;
    }
}

fn delete_events(connection: &Connection, session_key: i64, limit: i64) -> rusqlite::Result<i64> {
    let deleted = connection
        .prepare_cached(
            "DELETE FROM events WHERE position IN (SELECT position FROM events \
             INDEXED BY events_by_session WHERE session_key = ?1 LIMIT ?2)",
        )?
        .execute([session_key, limit])?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}
