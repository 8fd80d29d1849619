//! Files that are not ours, are older or newer, or cannot be written.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::child::Process;
use crate::fixture::*;
use rusqlite::Connection;
use stayline::protocol::Filter;
use stayline::session::records::*;
use stayline::store::sqlite::SqliteStore;
use stayline::store::{Part, Store};
use stayline::{Error, Settings};

fn open(path: &Path) -> Result<SqliteStore, Error> {
    SqliteStore::open(path, &Settings::default(), NOW)
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Expects that neither way of opening takes the file, and that nothing changes in the folder.
fn expect_format(folder: &Path, path: &Path, found: &str) {
    let before = fs::read(path).unwrap();
    let names = names_in(folder);
    for told in [open(path).err(), SqliteStore::open_read_only(path).err()] {
        match told {
            Some(Error::StoreFormat { found: told, supported }) => {
                assert!(told.contains(found), "{told}");
                assert!(supported.contains("version"), "{supported}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(fs::read(path).unwrap() == before, "the file was changed");
    assert_eq!(names_in(folder), names);
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "not a database, but rather some text that somebody wrote\n".repeat(50))
        .unwrap();
    expect_format(folder.path(), &path, "no SQLite database");
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE sessions (id TEXT); INSERT INTO sessions VALUES ('x')")
        .unwrap();
    drop(other);
    expect_format(folder.path(), &path, "another program");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA application_id = 42; PRAGMA user_version = 1").unwrap();
    drop(other);
    expect_format(folder.path(), &path, "another program");
}

#[test]
fn a_newer_schema_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = open(&path).unwrap();
    keep(&mut store, vec![new_session("s", 3)]);
    drop(store);
    let newer = Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99").unwrap();
    drop(newer);
    expect_format(folder.path(), &path, "version 99");
}

#[test]
fn places_where_no_file_can_be_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let detail = |path: PathBuf| match open(&path) {
        Err(Error::StoreError { detail }) => detail,
        other => panic!("{:?}", other.err()),
    };
    assert!(detail(folder.path().into()).contains("is a directory"));
    assert!(detail(folder.path().join("none/runs.db")).contains("make it first"));
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(detail(file.join("runs.db")).contains("is not a folder"));
    assert!(matches!(open(Path::new("a\0b")), Err(Error::InvalidArgument { .. })));
    // No file has these names, though one without the slash may be there, or could be made.
    for path in ["file/", "file//", "new/", "new/.", "new/./"] {
        let path = folder.path().join(path);
        let told = open(&path).err();
        let Some(Error::InvalidArgument { what }) = told else { panic!("{path:?}: {told:?}") };
        assert!(what.contains("leave the last slash out"), "{what}");
        let told = SqliteStore::open_read_only(&path).err();
        assert!(matches!(told, Some(Error::InvalidArgument { .. })), "{told:?}");
    }
    let itself = folder.path().join("itself");
    std::os::unix::fs::symlink(&itself, &itself).unwrap();
    assert!(detail(itself.clone()).contains("leads to itself"));
    fs::remove_file(itself).unwrap();
    assert_eq!(names_in(folder.path()), ["file"]);
    let missing = folder.path().join("runs.db");
    let told = SqliteStore::open_read_only(&missing).unwrap_err();
    assert!(matches!(told, Error::NotFound { .. }), "{told}");
    fs::write(&missing, "").unwrap();
    let told = SqliteStore::open_read_only(&missing).unwrap_err();
    assert!(matches!(told, Error::StoreFormat { .. }), "{told}");
    // An empty file becomes a store.
    open(&missing).unwrap();
}

#[test]
fn names_that_mean_something_to_sqlite_are_only_names() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["file:x?mode=memory", ":memory:", "a b%20\u{e9}?#.db"] {
        let path = folder.path().join(name);
        let mut store = open(&path).unwrap();
        keep(&mut store, vec![new_session("s", 1)]);
        drop(store);
        assert!(path.is_file(), "{name}");
        assert_eq!(all_ids(&open(&path).unwrap(), "s", &after(0)), [1]);
    }
}

#[test]
fn a_store_of_version_1_is_brought_forward() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    make_version_1(&path);
    let told = SqliteStore::open_read_only(&path).unwrap_err();
    assert!(matches!(told, Error::StoreFormat { .. }), "{told}");
    let mut store = open(&path).unwrap();
    let stored = store.load("s").unwrap().unwrap();
    assert_eq!((stored.record.version, stored.record.last_event_id), (4, 5));
    assert_eq!(stored.active.unwrap().status, Status::Running);
    // Version 2 knows where each execution's events end.
    let of_past = Filter { executions: names(&["past"]), ..after(0) };
    assert_eq!(all_ids(&store, "s", &of_past), [1, 2]);
    let of_none = Filter { executions: names(&["none"]), ..after(0) };
    assert_eq!(all_ids(&store, "s", &of_none), Vec::<u64>::new());
    let mut reader = store.reader().unwrap();
    let failed = reader.executions("s", Some(Status::Failed), Part::first(9)).unwrap().entries;
    assert_eq!(failed.iter().map(|row| &*row.id).collect::<Vec<_>>(), ["none", "past"]);
    // Version 3 has no text of any length (R5).
    let cut = format!("{}… (+11820 bytes)", "ü".repeat(4_090));
    assert_eq!(failed[1].error.as_deref(), Some(&*cut));
    assert_eq!((failed[0].error.as_deref(), stored.record.branch), (None, None));
    let told = store.next_notification(NOW).unwrap().unwrap();
    assert_eq!((&*told.id, told.error.as_deref(), told.branch), ("n1", Some(&*cut), None));
    let changes = appended(&mut store, "s", vec![event(6, "e", "output")]);
    keep(&mut store, vec![changes]);
    drop((reader, store));
    let version: i64 = Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 3);
    assert_eq!(all_ids(&open(&path).unwrap(), "s", &after(0)), [1, 2, 3, 4, 5, 6]);
}

/// A file as the first version left it: two runs that ended, one with events, and one active.
fn make_version_1(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(include_str!("../../src/store/sqlite/schema_1.sql")).unwrap();
    connection
        .execute_batch(
            "PRAGMA application_id = 0x53746179; PRAGMA user_version = 1;
             PRAGMA journal_mode = WAL;
             INSERT INTO sessions VALUES (1, 's', 'epoch', 4, 1, 5, 9, 0, NULL, NULL, NULL);
             INSERT INTO executions
                 (key, session_key, id, status, created_at, first_event_id, own_ending, reconnects)
                 VALUES (1, 1, 'past', 'failed', 1, 1, 0, 0), (2, 1, 'none', 'failed', 2, NULL, 0, 0),
                 (3, 1, 'e', 'running', 3, 3, 0, 0);
             INSERT INTO events VALUES
                 (1, 1, 1, 1, 'output', 1, 1, 0, '{}'), (2, 1, 2, 1, 'output', 2, 2, 0, '{}'),
                 (3, 1, 3, 3, 'output', 3, 3, 0, '{}'), (4, 1, 4, 3, 'output', 4, 4, 0, '{}'),
                 (5, 1, 5, 3, 'output', 5, 5, 0, '{}');
             INSERT INTO notifications VALUES
                 (1, 'n1', 'execution_ended', 's', 'past', 'failed', 'boom', NULL, NULL, 1, 0, 1, 0, 1);
             UPDATE store SET commit_id = 5, newest_time = 9;",
        )
        .unwrap();
    let (long, endless) = ("ü".repeat(10_000), "b".repeat(5_000));
    connection.execute("UPDATE executions SET error = ?1 WHERE key = 1", [&long]).unwrap();
    connection
        .execute("UPDATE notifications SET error = ?1, branch = ?2", [&long, &endless])
        .unwrap();
    connection.execute("UPDATE sessions SET branch = ?1", [&endless]).unwrap();
}

/// A folder that everybody may enter, with a copy of this program that everybody may run.
struct Shared {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Shared {
    fn new() -> Shared {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let shared = Shared { folder, program };
        shared.permit(&shared.program, 0o755);
        shared.permit(shared.folder.path(), 0o755);
        fs::create_dir(shared.data()).unwrap();
        shared
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn permit(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// What a user without rights is told.
    fn told(&self, entry: &str) -> String {
        // Only root can become another user; anybody else is without rights once they are off.
        let is_root = rustix::process::geteuid().is_root();
        let program = is_root.then_some(self.program.as_path());
        let mut process = Process::start(entry, &self.data().join("runs.db"), program);
        process.told().unwrap()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.permit(&self.data(), 0o755);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let shared = Shared::new();
    shared.permit(&shared.data(), 0o555);
    let told = shared.told("tries_to_open");
    assert!(told.starts_with("StoreError ") && told.contains("cannot be written"), "{told}");
    assert_eq!(names_in(&shared.data()), Vec::<String>::new());
}

#[test]
fn a_store_that_may_not_be_written_can_be_read() {
    let shared = Shared::new();
    let path = shared.data().join("runs.db");
    let mut store = open(&path).unwrap();
    keep(&mut store, vec![new_session("s", 3)]);
    let files = |mode| {
        for name in names_in(&shared.data()) {
            shared.permit(&shared.data().join(name), mode);
        }
    };
    // Beside its owner.
    files(0o444);
    shared.permit(&shared.data(), 0o555);
    assert_eq!(shared.told("tries_to_read"), "3 events");
    // Without an owner: no files beside it are there, and none can be made.
    shared.permit(&shared.data(), 0o755);
    files(0o644);
    drop(store);
    files(0o444);
    shared.permit(&shared.data(), 0o555);
    assert_eq!(names_in(&shared.data()), ["runs.db", "runs.db-owner"]);
    assert_eq!(shared.told("tries_to_read"), "3 events");
    let told = shared.told("tries_to_open");
    assert!(told.starts_with("StoreError ") && told.contains("cannot be written"), "{told}");
    // Somebody who may not even read it.
    shared.permit(&shared.data(), 0o755);
    files(0o000);
    if rustix::process::geteuid().is_root() {
        assert!(shared.told("tries_to_read").starts_with("StoreError "));
    }
    files(0o644);
}
