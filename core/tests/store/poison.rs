//! Rows that SQLite itself refuses: they fail their session and nobody else.

use crate::fixture::*;
use rusqlite::Connection;
use stayline::Settings;
use stayline::session::records::*;
use stayline::store::sqlite::SqliteStore;
use stayline::store::{Batch, CommitError, FaultKind, NotificationChange, Store};

fn store_with_trigger(sql: &str) -> (tempfile::TempDir, SqliteStore, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = SqliteStore::open(&path, &Settings::default(), NOW).unwrap();
    keep(&mut store, ["a", "b", "c"].map(|id| new_session(id, 1)).into());
    let other = Connection::open(&path).unwrap();
    other.execute_batch(sql).unwrap();
    (folder, store, other)
}

const VENOM: &str = "CREATE TRIGGER venom BEFORE INSERT ON events \
     WHEN NEW.data LIKE '%venom%' BEGIN SELECT RAISE(ABORT, 'venom'); END";

#[test]
fn a_poison_row_fails_its_session_alone() {
    let (_folder, mut store, other) = store_with_trigger(VENOM);
    let mut parts: Vec<_> = ["a", "b", "c"]
        .map(|id| {
            appended(&mut store, id, vec![event(2, "e", "output"), event(3, "e", "complete")])
        })
        .into();
    parts[1].events[1].data = "{\"x\":\"venom\"}".into();
    for part in &mut parts {
        part.executions = vec![execution("e", Status::Completed), execution("f", Status::Pending)];
    }
    let mut given = Batch { commit_id: 9, ..batch(parts) };
    given.notifications = ["a", "b", "c"]
        .map(|id| NotificationChange::Enqueue(notification(&format!("n-{id}"), id)))
        .into();
    let faults = store.commit(&given).unwrap();
    assert_eq!(faults.len(), 1);
    assert_eq!(&*faults[0].session_id, "b");
    assert!(matches!(&faults[0].kind, FaultKind::Poison(text) if text.contains("venom")));
    for id in ["a", "b", "c"] {
        let is_kept = id != "b";
        let stored = store.load(id).unwrap().unwrap();
        assert_eq!(stored.record.version, if is_kept { 2 } else { 1 });
        assert_eq!(&*stored.active.unwrap().id, if is_kept { "f" } else { "e" });
        let ids: &[u64] = if is_kept { &[1, 2, 3] } else { &[1] };
        assert_eq!(all_ids(&store, id, &after(0)), ids);
        assert_eq!(store.notification(&format!("n-{id}")).unwrap().is_some(), is_kept);
    }
    assert!(store.was_committed(9).unwrap());
    // Once the cause is gone the session goes on.
    other.execute_batch("DROP TRIGGER venom").unwrap();
    let changes = appended(&mut store, "b", vec![event(2, "e", "output")]);
    keep(&mut store, vec![changes]);
    assert_eq!(all_ids(&store, "b", &after(0)), [1, 2]);
}

#[test]
fn new_sessions_beside_a_poisoned_one_are_kept() {
    let (_folder, mut store, _other) = store_with_trigger(VENOM);
    let mut parts: Vec<_> = (0..20).map(|n| new_session(&format!("s{n}"), 2)).collect();
    for n in [0, 7, 19] {
        parts[n].events[1].data = "venom".into();
    }
    let faults = store.commit(&batch(parts)).unwrap();
    let ids: Vec<&str> = faults.iter().map(|fault| &*fault.session_id).collect();
    assert_eq!(ids, ["s0", "s7", "s19"]);
    // Keys that the failed attempt had made are not mistaken for others afterwards.
    for n in 0..20 {
        let id = format!("s{n}");
        if [0, 7, 19].contains(&n) {
            assert_eq!(store.load(&id).unwrap(), None);
            keep(&mut store, vec![new_session(&id, 2)]);
        }
        let changes = appended(&mut store, &id, vec![event(3, "e", "output")]);
        keep(&mut store, vec![changes]);
        assert_eq!(all_ids(&store, &id, &after(0)), [1, 2, 3]);
    }
}

#[test]
fn a_poisoned_notification_fails_its_session() {
    let (_folder, mut store, _other) = store_with_trigger(
        "CREATE TRIGGER venom BEFORE INSERT ON notifications \
         WHEN NEW.error = 'venom' BEGIN SELECT RAISE(ABORT, 'venom'); END",
    );
    let mut given = batch(vec![change(&mut store, "a"), change(&mut store, "b")]);
    let bad = NotificationRecord { error: Some("venom".into()), ..notification("n1", "a") };
    given.notifications = vec![
        NotificationChange::Enqueue(bad),
        NotificationChange::Enqueue(notification("n2", "b")),
    ];
    let faults = store.commit(&given).unwrap();
    assert_eq!((faults.len(), &*faults[0].session_id), (1, "a"));
    assert_eq!(store.load("a").unwrap().unwrap().record.version, 1);
    assert_eq!(store.load("b").unwrap().unwrap().record.version, 2);
    assert!(store.notification("n2").unwrap().is_some());
}

#[test]
fn keys_of_a_part_that_was_taken_back_are_not_mistaken_for_others() {
    let (_folder, mut store, other) = store_with_trigger(
        "CREATE TRIGGER venom BEFORE INSERT ON notifications \
         WHEN NEW.error = 'venom' BEGIN SELECT RAISE(ABORT, 'venom'); END",
    );
    for id in ["a", "b"] {
        let mut part = change(&mut store, id);
        part.executions = vec![execution("e", Status::Completed)];
        keep(&mut store, vec![part]);
    }
    let next = |store: &mut SqliteStore, id: &str| {
        let mut part = appended(store, id, vec![event(2, "next", "output")]);
        part.executions = vec![execution("next", Status::Pending)];
        part
    };
    let parts = vec![next(&mut store, "a"), next(&mut store, "b")];
    let mut given = batch(parts);
    let bad = NotificationRecord { error: Some("venom".into()), ..notification("n1", "a") };
    given.notifications = vec![NotificationChange::Enqueue(bad)];
    let faults = store.commit(&given).unwrap();
    assert_eq!((faults.len(), &*faults[0].session_id), (1, "a"));
    // The key that a's new execution had is the one of b's by now.
    let again = next(&mut store, "a");
    keep(&mut store, vec![again]);
    let more = appended(&mut store, "a", vec![event(3, "next", "output")]);
    keep(&mut store, vec![more]);
    for (id, events) in [("a", 3), ("b", 2)] {
        let rows: i64 = other
            .query_row(
                "SELECT count(*) FROM events JOIN executions ON executions.key = execution_key \
                 JOIN sessions ON sessions.key = events.session_key \
                 WHERE sessions.id = ?1 AND executions.session_key = sessions.key",
                [id],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(rows, events, "events of {id} under executions of its own");
    }
}

#[test]
fn a_row_that_somebody_else_took_away_is_a_conflict() {
    let (_folder, mut store, other) = store_with_trigger("");
    for rows_of_execution in [true, false] {
        let id = if rows_of_execution { "a" } else { "b" };
        let first = appended(&mut store, id, vec![event(2, "e", "output")]);
        keep(&mut store, vec![first]);
        let take_away = "UPDATE executions SET id = 'gone' WHERE session_key = \
             (SELECT key FROM sessions WHERE id = ?1)";
        other.execute(take_away, [id]).unwrap();
        let mut part = appended(&mut store, id, vec![event(3, "e", "output")]);
        if rows_of_execution {
            part.executions = vec![execution("e", Status::Running)];
        }
        let faults = store.commit(&batch(vec![part])).unwrap();
        assert_eq!((faults.len(), &*faults[0].session_id), (1, id), "{faults:?}");
        assert_eq!(store.load(id).unwrap().unwrap().record.version, 2);
        assert_eq!(all_ids(&store, id, &after(0)), [1, 2]);
    }
}

#[test]
fn a_refusal_that_is_nobodys_fault_loses_the_commit_and_nothing_else() {
    let (_folder, mut store, other) = store_with_trigger(
        "CREATE TRIGGER venom BEFORE UPDATE ON store BEGIN SELECT RAISE(ABORT, 'venom'); END",
    );
    let changes = appended(&mut store, "a", vec![event(2, "e", "output")]);
    let given = Batch { commit_id: 9, ..batch(vec![changes]) };
    let told = store.commit(&given);
    assert!(matches!(&told, Err(CommitError::Lost(text)) if text.contains("venom")), "{told:?}");
    assert!(!store.was_committed(9).unwrap());
    assert_eq!(all_ids(&store, "a", &after(0)), [1]);
    other.execute_batch("DROP TRIGGER venom").unwrap();
    assert_eq!(store.commit(&given), Ok(vec![]));
    assert_eq!(all_ids(&store, "a", &after(0)), [1, 2]);
}

#[test]
fn a_file_that_somebody_else_locks_loses_the_commit_with_advice() {
    let (_folder, mut store, other) = store_with_trigger("");
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let changes = appended(&mut store, "a", vec![event(2, "e", "output")]);
    let given = batch(vec![changes]);
    let told = store.commit(&given);
    assert!(matches!(&told, Err(CommitError::Lost(text)) if text.contains("let it finish")));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.commit(&given), Ok(vec![]));
}
