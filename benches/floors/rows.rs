//! The floor of ingest and replay: SQLite itself, one row an event.
//!
//! The table has the shape of the store's own: in the order of commit, with an index on (session,
//! id), integer keys. WAL, `synchronous=FULL`, 1 000 rows a transaction, one statement prepared
//! once, everything else as SQLite does it by default.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::events;

/// Rows of one transaction.
pub const ROWS_A_TRANSACTION: u64 = 1_000;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE events (
        position INTEGER PRIMARY KEY,
        session_key INTEGER NOT NULL,
        id INTEGER NOT NULL,
        execution_key INTEGER NOT NULL,
        event_type TEXT NOT NULL,
        timestamp INTEGER NOT NULL,
        stored_at INTEGER NOT NULL,
        late INTEGER NOT NULL,
        data TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX events_by_session ON events (session_key, id);
";

/// Makes a file at `path` and writes `count` rows of `sessions` sessions in turn. How long that
/// took, without making the file.
pub fn insert(path: &Path, count: u64, sessions: u64) -> rusqlite::Result<Duration> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch(SCHEMA)?;
    let texts: Vec<String> = (0..256).map(events::data).collect();
    let started = Instant::now();
    let mut number = 0;
    while number < count {
        number = insert_some(&mut connection, &texts, number, count, sessions)?;
    }
    Ok(started.elapsed())
}

/// One transaction; the number after its last row.
fn insert_some(
    connection: &mut Connection,
    texts: &[String],
    first: u64,
    count: u64,
    sessions: u64,
) -> rusqlite::Result<u64> {
    let end = count.min(first + ROWS_A_TRANSACTION);
    let transaction = connection.transaction()?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO events (session_key, id, execution_key, event_type, timestamp, stored_at, \
         late, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for number in first..end {
        let session = (number % sessions) as i64;
        let id = (number / sessions) as i64 + 1;
        let time = 1_772_884_800_000 + number as i64;
        let text = &texts[number as usize % texts.len()];
        insert.execute(params![session, id, session, "output", time, time, false, text])?;
    }
    drop(insert);
    transaction.commit()?;
    Ok(end)
}

/// Reads all rows of the first session in the order of their ids, every column of each. How many
/// there were, and how long that took.
pub fn read(path: &Path) -> rusqlite::Result<(u64, Duration)> {
    let connection = Connection::open(path)?;
    let mut select = connection.prepare(
        "SELECT id, execution_key, event_type, timestamp, stored_at, late, data FROM events \
         INDEXED BY events_by_session WHERE session_key = 0 ORDER BY id",
    )?;
    let started = Instant::now();
    let mut rows = select.query([])?;
    let (mut count, mut sum) = (0, 0u64);
    while let Some(row) = rows.next()? {
        let numbers = [0, 1, 3, 4, 5].map(|column| row.get::<_, i64>(column));
        for number in numbers {
            sum = sum.wrapping_add(number? as u64);
        }
        let texts = [row.get_ref(2)?.as_str()?, row.get_ref(6)?.as_str()?];
        sum = sum.wrapping_add(texts.iter().map(|text| text.len() as u64).sum());
        count += 1;
    }
    std::hint::black_box(sum);
    Ok((count, started.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn what_is_written_is_read() {
        let scratch = Scratch::new().unwrap();
        insert(&scratch.file("one.db"), 2_500, 1).unwrap();
        assert_eq!(read(&scratch.file("one.db")).unwrap().0, 2_500);
        insert(&scratch.file("ten.db"), 2_500, 10).unwrap();
        assert_eq!(read(&scratch.file("ten.db")).unwrap().0, 250);
    }
}
