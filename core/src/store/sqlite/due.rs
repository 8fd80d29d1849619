//! What is due, and what is so old that it goes. Sessions that are hidden are left out of both, and
//! so are those whose id cannot be read: they hold up nobody (R27).

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;

use crate::settings::Millis;

/// Sessions that are not counted among the due, and their keys.
#[derive(Default)]
pub(super) struct Hidden(BTreeMap<Arc<str>, Option<i64>>);

impl Hidden {
    pub(super) fn show(&mut self, session_id: &str) {
        self.0.remove(session_id);
    }

    /// Without its key, where that cannot be found, its old events are not left out.
    pub(super) fn hide(&mut self, session_id: &Arc<str>, key: Option<i64>) {
        self.0.insert(session_id.clone(), key);
    }

    /// Their keys, as SQL lists them.
    fn keys(&self) -> String {
        let keys: Vec<String> = self.0.values().flatten().map(i64::to_string).collect();
        keys.join(", ")
    }

    /// The smallest wake-up.
    pub(super) fn next_wake(&self, connection: &Connection) -> rusqlite::Result<Option<Millis>> {
        Ok(self.waking(connection, Millis::MAX, 1)?.first().map(|(at, _)| *at))
    }

    /// Those with a wake-up at or before `until`, the earliest first.
    pub(super) fn due_sessions(
        &self,
        connection: &Connection,
        until: Millis,
        at_most: usize,
    ) -> rusqlite::Result<Vec<Arc<str>>> {
        Ok(self.waking(connection, until, at_most)?.into_iter().map(|(_, id)| id).collect())
    }

    fn waking(
        &self,
        connection: &Connection,
        until: Millis,
        at_most: usize,
    ) -> rusqlite::Result<Vec<(Millis, Arc<str>)>> {
        let mut statement = connection.prepare_cached(
            "SELECT wake_at, id FROM sessions INDEXED BY sessions_by_wake \
             WHERE wake_at IS NOT NULL AND wake_at <= ?1 ORDER BY wake_at, key",
        )?;
        let mut rows = statement.query([until])?;
        let mut found = Vec::new();
        while found.len() < at_most
            && let Some(row) = rows.next()?
        {
            if let Ok(id) = row.get::<_, Arc<str>>(1)
                && !self.0.contains_key(&id)
            {
                found.push((row.get(0)?, id));
            }
        }
        Ok(found)
    }

    /// When the oldest event was stored.
    pub(super) fn oldest_event(&self, connection: &Connection) -> rusqlite::Result<Option<Millis>> {
        let keys = self.keys();
        connection
            .prepare_cached(&format!(
                "SELECT (SELECT stored_at FROM events WHERE session_key NOT IN ({keys}) \
                 ORDER BY position LIMIT 1)"
            ))?
            .query_row([], |row| row.get(0))
    }

    /// Deletes the oldest events stored before `before`, at most `limit`; how many.
    pub(super) fn prune(
        &self,
        connection: &Connection,
        before: Millis,
        limit: i64,
    ) -> rusqlite::Result<usize> {
        let keys = self.keys();
        let mut oldest = connection.prepare_cached(&format!(
            "SELECT position, stored_at FROM events WHERE session_key NOT IN ({keys}) \
             ORDER BY position LIMIT ?1"
        ))?;
        let mut rows = oldest.query([limit])?;
        let mut last = None;
        while let Some(row) = rows.next()?
            && row.get::<_, i64>(1)? < before
        {
            last = Some(row.get::<_, i64>(0)?);
        }
        drop(rows);
        let Some(last) = last else { return Ok(0) };
        connection
            .prepare_cached(&format!(
                "UPDATE executions SET event_count = event_count - gone.number \
                 FROM (SELECT execution_key, count(*) AS number FROM events \
                 WHERE position <= ?1 AND session_key NOT IN ({keys}) GROUP BY execution_key) \
                 AS gone WHERE executions.key = gone.execution_key"
            ))?
            .execute([last])?;
        connection
            .prepare_cached(&format!(
                "DELETE FROM events WHERE position <= ?1 AND session_key NOT IN ({keys})"
            ))?
            .execute([last])
    }
}
