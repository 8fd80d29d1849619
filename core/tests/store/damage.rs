//! A damaged file: what cannot be told is an error, and never another session's rows.

use std::path::{Path, PathBuf};

use crate::fixture::*;
use rusqlite::Connection;
use stayline::protocol::Filter;
use stayline::session::records::*;
use stayline::settings::Millis;
use stayline::store::sqlite::SqliteStore;
use stayline::store::{NotificationChange, Part, Reader, Store};
use stayline::{Error, Settings};

/// Two sessions with an execution and events each; `a` is not told what is `b`'s.
fn made() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = SqliteStore::open(&path, &Settings::default(), NOW).unwrap();
    keep(&mut store, ["a", "b"].map(|id| new_session(id, 3)).into());
    (folder, path)
}

/// An index gets the entries that `rows` gives, as a flipped bit would change them.
fn misled(path: &Path, index: &str, columns: &str, rows: &str) {
    let connection = Connection::open(path).unwrap();
    let misled = connection.execute_batch(&format!(
        "CREATE TABLE wrong AS {rows};
         CREATE TABLE other (place INTEGER PRIMARY KEY, {columns});
         INSERT INTO other (place, {columns}) SELECT * FROM wrong;
         CREATE INDEX misled ON other ({columns});
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET rootpage =
             (SELECT rootpage FROM sqlite_schema WHERE name = 'misled') WHERE name = '{index}';
         DELETE FROM sqlite_schema WHERE name IN ('misled', 'other', 'wrong');"
    ));
    misled.unwrap();
}

fn is_damage<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::StoreError { .. })), "{result:?}");
}

fn with_reader(path: &Path, check: impl Fn(&mut dyn Reader)) {
    check(&mut *SqliteStore::open(path, &Settings::default(), NOW).unwrap().reader().unwrap());
}

#[test]
fn an_index_that_leads_to_another_sessions_events_is_an_error() {
    let (_folder, path) = made();
    with_reader(&path, |reader| {
        assert_eq!(reader.events("a", &Filter::default(), 1_000_000).unwrap().events.len(), 3);
    });
    misled(
        &path,
        "events_by_session",
        "session_key, id",
        "SELECT theirs.position, ours.session_key, ours.id FROM events AS ours JOIN events AS theirs \
         ON theirs.id = ours.id AND theirs.session_key <> ours.session_key",
    );
    with_reader(&path, |reader| {
        is_damage(reader.events("a", &Filter::default(), 1_000_000));
        let filter = Filter { types: Some(vec!["output".into()]), ..Filter::default() };
        is_damage(reader.count_events("a", &filter));
    });
}

#[test]
fn events_out_of_their_order_are_an_error_and_no_circle() {
    let (_folder, path) = made();
    let turned = "CREATE INDEX turned ON events (session_key, id DESC);
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET rootpage =
             (SELECT rootpage FROM sqlite_schema WHERE name = 'turned') WHERE name = 'events_by_session';
         DELETE FROM sqlite_schema WHERE name = 'turned';";
    Connection::open(&path).unwrap().execute_batch(turned).unwrap();
    with_reader(&path, |reader| is_damage(reader.events("a", &Filter::default(), 1_000_000)));
}

#[test]
fn an_event_of_another_sessions_execution_is_an_error() {
    let (_folder, path) = made();
    let swapped = "UPDATE events SET execution_key = (SELECT max(key) FROM executions) \
                   WHERE session_key = (SELECT key FROM sessions WHERE id = 'a') AND id = 2";
    assert_eq!(Connection::open(&path).unwrap().execute(swapped, []).unwrap(), 1);
    with_reader(&path, |reader| {
        // Whoever has read the other session before is not misled by what it remembers.
        assert_eq!(reader.events("b", &Filter::default(), 1_000_000).unwrap().events.len(), 3);
        is_damage(reader.events("a", &Filter::default(), 1_000_000));
    });
}

#[test]
fn an_index_that_leads_to_another_sessions_executions_is_an_error() {
    let others = "SELECT theirs.key, ours.session_key {columns} FROM executions AS ours \
                  JOIN executions AS theirs ON theirs.session_key <> ours.session_key";
    for (index, columns, selected) in [
        ("executions_in_order", "session_key", ""),
        ("one_active_execution", "session_key", ""),
        ("sqlite_autoindex_executions_1", "session_key, id", ", ours.id"),
    ] {
        let (_folder, path) = made();
        misled(&path, index, columns, &others.replace("{columns}", selected));
        with_reader(&path, |reader| match index {
            "executions_in_order" => is_damage(reader.executions("a", None, Part::first(10))),
            "one_active_execution" => is_damage(reader.load("a")),
            _ => is_damage(reader.execution("a", "e")),
        });
    }
}

/// It would be ended a second time (R4).
#[test]
fn an_index_that_takes_a_run_that_has_ended_for_active_is_an_error() {
    let (_folder, path) = made();
    let ended = "UPDATE executions SET status = 'completed'";
    assert_eq!(Connection::open(&path).unwrap().execute(ended, []).unwrap(), 2);
    let rows = "SELECT key, session_key FROM executions";
    misled(&path, "one_active_execution", "session_key", rows);
    with_reader(&path, |reader| is_damage(reader.load("a")));
}

#[test]
fn an_index_that_leads_to_another_session_is_an_error() {
    let (_folder, path) = made();
    misled(
        &path,
        "sqlite_autoindex_sessions_1",
        "id",
        "SELECT theirs.key, ours.id FROM sessions AS ours JOIN sessions AS theirs \
         ON theirs.id <> ours.id",
    );
    with_reader(&path, |reader| {
        is_damage(reader.load("a"));
        is_damage(reader.events("a", &Filter::default(), 1_000_000));
        is_damage(reader.execution("a", "e"));
    });
}

#[test]
fn numbers_and_moments_that_no_row_can_have_are_errors() {
    for (table, column) in [
        ("sessions", "last_event_id"),
        ("sessions", "version"),
        ("sessions", "created_at"),
        ("sessions", "last_activity_at"),
        ("sessions", "wake_at"),
        ("executions", "created_at"),
        ("executions", "started_at"),
        ("executions", "last_heartbeat_at"),
        ("executions", "last_event_at"),
        ("executions", "reconnects"),
    ] {
        for number in [i64::MIN, i64::MAX] {
            let (_folder, path) = made();
            let damaged = format!("UPDATE {table} SET {column} = ?1");
            assert_eq!(Connection::open(&path).unwrap().execute(&damaged, [number]).unwrap(), 2);
            with_reader(&path, |reader| {
                is_damage(reader.load("a"));
                if table == "sessions" {
                    is_damage(reader.log_bounds("a"));
                }
            });
        }
    }
    let (_folder, path) = made();
    let grace = Grace { deadline: Millis::MAX, ..full_execution("e").grace.unwrap() };
    let grace = serde_json::to_string(&grace).unwrap();
    let damaged = "UPDATE executions SET grace = ?1";
    assert_eq!(Connection::open(&path).unwrap().execute(damaged, [grace]).unwrap(), 2);
    with_reader(&path, |reader| is_damage(reader.load("a")));
    let lease = Lease { expires_at: Millis::MAX, ..full_execution("e").lease.unwrap() };
    let lease = serde_json::to_string(&lease).unwrap();
    let damaged = "UPDATE executions SET grace = NULL, lease = ?1";
    assert_eq!(Connection::open(&path).unwrap().execute(damaged, [lease]).unwrap(), 2);
    with_reader(&path, |reader| is_damage(reader.load("a")));
    for grace_ms in [-1, Millis::MAX] {
        let asked = full_execution("e").interrupt.unwrap();
        let interrupt = Interrupt { grace_ms: Some(grace_ms), ..asked };
        let interrupt = serde_json::to_string(&interrupt).unwrap();
        let damaged = "UPDATE executions SET lease = NULL, interrupt = ?1";
        assert_eq!(Connection::open(&path).unwrap().execute(damaged, [interrupt]).unwrap(), 2);
        with_reader(&path, |reader| is_damage(reader.load("a")));
    }
    let counted = "UPDATE executions SET event_count = 9223372036854775807";
    assert_eq!(Connection::open(&path).unwrap().execute(counted, []).unwrap(), 2);
    with_reader(&path, |reader| {
        // However it is counted, without overflowing.
        let filter = Filter { executions: Some(vec!["e".into(), "x".into()]), ..Filter::default() };
        assert!(reader.count_events("a", &filter).is_ok());
    });
}

#[test]
fn numbers_that_a_log_cannot_have_are_not_in_it() {
    for id in [i64::MIN, -1, 0, 4, i64::MAX] {
        let (_folder, path) = made();
        let connection = Connection::open(&path).unwrap();
        let damaged = "UPDATE events SET id = ?1 WHERE id = 1";
        connection.execute(&format!("{damaged} AND session_key = 1"), [id]).unwrap();
        with_reader(&path, |reader| {
            let bounds = reader.log_bounds("a").unwrap().unwrap();
            assert_eq!((bounds.earliest, bounds.last), (2, 3), "{id}");
        });
    }
}

/// Row after row that cannot be read is no end of the list, whatever the size of its parts.
#[test]
fn a_list_goes_on_behind_rows_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = SqliteStore::open(&path, &Settings::default(), NOW).unwrap();
    let parts = (0..40).map(|n| {
        let mut part = new_session(&format!("s{n:02}"), 1);
        part.record.as_mut().unwrap().wake_at = Some(NOW + n);
        part.record.as_mut().unwrap().last_activity_at = NOW - n;
        part
    });
    keep(&mut store, parts.collect());
    let connection = Connection::open(&path).unwrap();
    let damaged = "UPDATE sessions SET id = CAST(x'ff' || id AS TEXT), epoch = CAST(x'ff' AS TEXT) \
                   WHERE key BETWEEN 2 AND 30";
    assert_eq!(connection.execute(damaged, []).unwrap(), 29);
    let left: Vec<String> =
        (0..40).filter(|n| *n == 0 || *n >= 30).map(|n| format!("s{n:02}")).collect();
    for limit in [1, 3, 7, 11, 50] {
        assert_eq!(pages(limit, |after, limit| store.active_sessions(after, limit)), left);
        assert_eq!(pages(limit, |after, limit| store.waking_sessions(after, limit)), left);
        let (mut reader, mut after, mut seen) = (store.reader().unwrap(), None, Vec::new());
        loop {
            let listed = reader.sessions(Part { after, ..Part::first(limit) }).unwrap();
            let is_full = listed.entries.len() == limit;
            seen.extend(listed.entries.iter().map(|summary| summary.record.id.to_string()));
            after = listed.next;
            assert!(is_full || after.is_none(), "{limit}");
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, left, "{limit}");
    }
}

/// What no change would reach is not delivered: it would come again and again.
#[test]
fn a_notification_that_its_index_does_not_find_is_not_delivered() {
    let (_folder, path) = made();
    let mut store = SqliteStore::open(&path, &Settings::default(), NOW).unwrap();
    let enqueue = |id: &str, session: &str| NotificationChange::Enqueue(notification(id, session));
    notify(&mut store, vec![enqueue("n1", "a"), enqueue("n2", "b")]);
    drop(store);
    misled(
        &path,
        "sqlite_autoindex_notifications_1",
        "id",
        "SELECT place, id FROM notifications WHERE id <> 'n1'",
    );
    let mut store = SqliteStore::open(&path, &Settings::default(), NOW).unwrap();
    let next = store.next_notification(NOW).unwrap().unwrap();
    assert_eq!(&*next.id, "n2");
    let leased = NotificationRecord { available_at: NOW + 1, attempt: 1, ..next };
    notify(&mut store, vec![NotificationChange::Update(leased)]);
    assert_eq!(store.next_notification(NOW).unwrap(), None);
}

/// It is left out by its name, whatever can be found of it.
#[test]
fn a_session_that_cannot_be_looked_up_is_hidden_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = SqliteStore::open(&path, &Settings::default(), NOW).unwrap();
    for id in ["a", "b"] {
        let mut part = new_session(id, 1);
        part.record.as_mut().unwrap().wake_at = Some(NOW);
        keep(&mut store, vec![part]);
    }
    drop(store);
    let connection = Connection::open(&path).unwrap();
    let root: i64 = connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_sessions_1'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    drop(connection);
    let mut file = std::fs::read(&path).unwrap();
    let page = (root as usize - 1) * 4_096;
    file[page..page + 8].fill(0xff);
    std::fs::write(&path, file).unwrap();
    let mut store = SqliteStore::open(&path, &Settings::default(), NOW).unwrap();
    assert_eq!(store.due_sessions(NOW, 9).unwrap().len(), 2);
    store.hide(&"a".into(), true);
    let due = store.due_sessions(NOW, 9).unwrap();
    assert_eq!(due.iter().map(|id| &**id).collect::<Vec<_>>(), ["b"]);
}
