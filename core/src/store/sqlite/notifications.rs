//! The notifications' table (R39).
//!
//! The oldest of each session that is not parked is marked as its head; only heads are delivered.
//! The mark is set anew for one session after each change of its queue, in the same transaction,
//! so that finding the next one costs no more when queues are long.

use rusqlite::{Connection, OptionalExtension, Rows, params};

use super::rows::{
    NOTIFICATION_COLUMNS, damaged, insert_notification, read_notification, readable,
};
use crate::session::records::NotificationRecord;
use crate::settings::Millis;
use crate::store::NotificationChange;

/// Applies one change.
pub(super) fn apply(connection: &Connection, change: &NotificationChange) -> rusqlite::Result<()> {
    match change {
        NotificationChange::Enqueue(record) => {
            let mut insert = connection.prepare_cached(&format!(
                "INSERT INTO notifications ({NOTIFICATION_COLUMNS}) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
            ))?;
            insert_notification(&mut insert, record)?;
            mark_head(connection, &record.session_id)
        }
        NotificationChange::Update(record) => {
            connection
                .prepare_cached(
                    "UPDATE notifications SET attempt = ?2, available_at = ?3, parked = ?4 \
                     WHERE id = ?1",
                )?
                .execute(params![record.id, record.attempt, record.available_at, record.parked])?;
            mark_head(connection, &record.session_id)
        }
        NotificationChange::Remove(id) => {
            let session_id: Option<String> = connection
                .prepare_cached("DELETE FROM notifications WHERE id = ?1 RETURNING session_id")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            session_id.map_or(Ok(()), |session_id| mark_head(connection, &session_id))
        }
    }
}

fn mark_head(connection: &Connection, session_id: &str) -> rusqlite::Result<()> {
    let marked: Option<i64> = connection
        .prepare_cached("SELECT place FROM notifications WHERE session_id = ?1 AND head = 1")?
        .query_row([session_id], |row| row.get(0))
        .optional()?;
    let head: Option<i64> = connection
        .prepare_cached(
            "SELECT min(place) FROM notifications WHERE session_id = ?1 AND parked = 0",
        )?
        .query_row([session_id], |row| row.get(0))?;
    if marked == head {
        return Ok(());
    }
    let mut mark =
        connection.prepare_cached("UPDATE notifications SET head = ?2 WHERE place = ?1")?;
    // First away, then on: there is never more than one.
    for (place, is_head) in [(marked, false), (head, true)] {
        if let Some(place) = place {
            mark.execute(params![place, is_head])?;
        }
    }
    Ok(())
}

/// The oldest head that is available at `now`. One that cannot be read, or not be found by its id,
/// so that no change would reach it, holds up its session alone.
pub(super) fn next(
    connection: &Connection,
    now: Millis,
) -> rusqlite::Result<Option<NotificationRecord>> {
    let mut heads = connection.prepare_cached(&format!(
        "SELECT {NOTIFICATION_COLUMNS}, place FROM notifications \
         INDEXED BY notification_heads_in_order \
         WHERE head = 1 AND available_at <= ?1 ORDER BY place"
    ))?;
    read_first(&mut heads.query([now])?, |record, place| {
        let found: Option<i64> = connection
            .prepare_cached("SELECT place FROM notifications WHERE id = ?1")?
            .query_row([&record.id], |row| row.get(0))
            .optional()?;
        match found == Some(place) {
            true => Ok(()),
            false => Err(damaged(0, "an index does not find it by its id".into())),
        }
    })
}

fn read_first(
    rows: &mut Rows<'_>,
    check: impl Fn(&NotificationRecord, i64) -> rusqlite::Result<()>,
) -> rusqlite::Result<Option<NotificationRecord>> {
    while let Some(row) = rows.next()? {
        let place = row.get("place")?;
        let read = read_notification(row).and_then(|record| {
            check(&record, place)?;
            Ok(record)
        });
        let found = readable("notification", place, read)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The first moment after `now` at which a head becomes available.
pub(super) fn next_at(connection: &Connection, now: Millis) -> rusqlite::Result<Option<Millis>> {
    connection
        .prepare_cached(
            "SELECT min(available_at) FROM notifications INDEXED BY notification_heads_by_time \
             WHERE head = 1 AND available_at > ?1",
        )?
        .query_row([now], |row| row.get(0))
}

/// One by its id.
pub(super) fn get(
    connection: &Connection,
    id: &str,
) -> rusqlite::Result<Option<NotificationRecord>> {
    connection
        .prepare_cached(&format!("SELECT {NOTIFICATION_COLUMNS} FROM notifications WHERE id = ?1"))?
        .query_row([id], read_notification)
        .optional()
}

/// All that can be read, or the parked ones, in order.
pub(super) fn list(
    connection: &Connection,
    parked_only: bool,
) -> rusqlite::Result<Vec<NotificationRecord>> {
    let mut all = connection.prepare_cached(&format!(
        "SELECT {NOTIFICATION_COLUMNS}, place FROM notifications WHERE parked >= ?1 ORDER BY place"
    ))?;
    let mut rows = all.query([parked_only])?;
    let mut list = Vec::new();
    while let Some(found) = read_first(&mut rows, |_, _| Ok(()))? {
        list.push(found);
    }
    Ok(list)
}
