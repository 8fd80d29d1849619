//! The keys of the sessions and executions that are being written, so that a batch need not look
//! them up. What is forgotten is only looked up again.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

/// Sessions whose keys are remembered.
const REMEMBERED: usize = 65_536;

#[derive(Default)]
pub(super) struct Keys {
    sessions: HashMap<Arc<str>, SessionKeys>,
}

struct SessionKeys {
    key: i64,
    /// The execution that was written last: nearly always the active one.
    execution: Option<(Arc<str>, i64)>,
}

impl Keys {
    /// After a rollback the keys it had made may be given to others.
    pub(super) fn clear(&mut self) {
        self.sessions.clear();
    }

    pub(super) fn forget(&mut self, session_id: &str) {
        self.sessions.remove(session_id);
    }

    pub(super) fn session(
        &mut self,
        connection: &Connection,
        session_id: &Arc<str>,
    ) -> rusqlite::Result<Option<i64>> {
        if let Some(known) = self.sessions.get(session_id) {
            return Ok(Some(known.key));
        }
        let found: Option<i64> = connection
            .prepare_cached("SELECT key FROM sessions WHERE id = ?1")?
            .query_row([session_id], |row| row.get(0))
            .optional()?;
        if let Some(key) = found {
            self.remember_session(session_id, key);
        }
        Ok(found)
    }

    pub(super) fn remember_session(&mut self, session_id: &Arc<str>, key: i64) {
        if self.sessions.len() >= REMEMBERED {
            self.sessions.clear();
        }
        self.sessions.insert(session_id.clone(), SessionKeys { key, execution: None });
    }

    pub(super) fn execution(
        &mut self,
        connection: &Connection,
        session_id: &Arc<str>,
        session_key: i64,
        execution_id: &Arc<str>,
    ) -> rusqlite::Result<Option<i64>> {
        let known = self.sessions.get(session_id).and_then(|keys| keys.execution.as_ref());
        if let Some((id, key)) = known
            && id == execution_id
        {
            return Ok(Some(*key));
        }
        let found: Option<i64> = connection
            .prepare_cached("SELECT key FROM executions WHERE session_key = ?1 AND id = ?2")?
            .query_row(params![session_key, execution_id], |row| row.get(0))
            .optional()?;
        if let Some(key) = found {
            self.remember_execution(session_id, execution_id, key);
        }
        Ok(found)
    }

    pub(super) fn remember_execution(
        &mut self,
        session_id: &Arc<str>,
        execution_id: &Arc<str>,
        key: i64,
    ) {
        if let Some(keys) = self.sessions.get_mut(session_id) {
            keys.execution = Some((execution_id.clone(), key));
        }
    }
}
