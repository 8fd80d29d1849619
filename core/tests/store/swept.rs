//! Files that are removed, moved or replaced while they are open, and files of others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::child::Process;
use crate::fixture::*;
use stayline::session::records::Status;
use stayline::store::sqlite::SqliteStore;
use stayline::store::{Batch, CommitError, Gone, Owner, ReadOnlyStore, Store};
use stayline::{Error, Settings};

fn open(path: &Path) -> Result<SqliteStore, Error> {
    SqliteStore::open(path, &Settings::default(), NOW)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// A store with a session of three events, seen at `NOW`, and two more within the same second.
fn store_with_events() -> (tempfile::TempDir, PathBuf, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store/runs.db");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let mut store = open(&path).unwrap();
    keep(&mut store, vec![new_session("s", 3)]);
    let changes = appended(&mut store, "s", vec![event(4, "e", "x"), event(5, "e", "x")]);
    let given = Batch { time: NOW + 500, ..batch(vec![changes]) };
    assert_eq!(store.commit(&given), Ok(vec![]));
    (folder, path, store)
}

fn next_at(
    store: &mut SqliteStore,
    time: i64,
) -> Result<Vec<stayline::store::SessionFault>, CommitError> {
    let last = store.load("s").unwrap().unwrap().record.last_event_id;
    let changes = appended(store, "s", vec![event(last + 1, "e", "x")]);
    store.commit(&Batch { time, ..batch(vec![changes]) })
}

type Sweep = fn(&Path);

const SWEEPS: [(&str, Sweep); 4] = [
    ("removed or moved", |path| fs::remove_dir_all(path.parent().unwrap()).unwrap()),
    ("removed or moved", |path| {
        let folder = path.parent().unwrap();
        fs::rename(folder, folder.with_extension("elsewhere")).unwrap();
    }),
    ("removed or moved", |path| fs::remove_file(path).unwrap()),
    ("replaced", |path| {
        fs::copy(path, beside(path, ".copy")).unwrap();
        fs::rename(beside(path, ".copy"), path).unwrap();
    }),
];

#[test]
fn a_store_that_was_swept_away_is_told_within_a_second_and_before_an_ending() {
    for (what, sweep) in SWEEPS {
        for is_ending in [false, true] {
            let (_folder, path, mut store) = store_with_events();
            sweep(&path);
            let told = if is_ending {
                let mut changes = appended(&mut store, "s", vec![event(6, "e", "complete")]);
                changes.executions = vec![execution("e", Status::Completed)];
                store.commit(&Batch { time: NOW + 501, ..batch(vec![changes]) })
            } else {
                next_at(&mut store, NOW + 1_000)
            };
            let Err(CommitError::Gone(Gone { detail, events })) = told else {
                panic!("{what}: {told:?}");
            };
            assert!(detail.contains(what) && detail.contains("runs.db"), "{detail}");
            assert_eq!(events, 2, "those since it was last seen: {detail}");
            // It stays so, whatever comes to the path.
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let again = next_at(&mut store, NOW + 1_001);
            assert!(matches!(again, Err(CommitError::Gone(_))), "{again:?}");
        }
    }
}

#[test]
fn an_idle_owner_finds_out_too() {
    let (_folder, path, mut store) = store_with_events();
    assert_eq!(store.gone(NOW + 2_000), None);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let gone = store.gone(NOW + 3_000).unwrap();
    assert_eq!(gone.events, 0, "all had been seen: {}", gone.detail);
}

#[test]
fn what_a_lost_log_held_is_saved() {
    for suffix in ["-wal", "-shm"] {
        let (_folder, path, mut store) = store_with_events();
        fs::remove_file(beside(&path, suffix)).unwrap();
        assert_eq!(next_at(&mut store, NOW + 1_000), Ok(vec![]), "{suffix}");
        let told = next_at(&mut store, NOW + 1_001);
        let Err(CommitError::Gone(Gone { detail, events: 0 })) = told else { panic!("{told:?}") };
        assert!(detail.contains("is in the database"), "{detail}");
        drop(store);
        assert_eq!(all_ids(&open(&path).unwrap(), "s", &after(0)), [1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn the_end_of_an_owner_takes_nothing_from_what_came_in_its_place() {
    let (_folder, path, store) = store_with_events();
    let folder = path.parent().unwrap();
    fs::rename(folder, folder.with_extension("elsewhere")).unwrap();
    fs::create_dir(folder).unwrap();
    let mut other = Process::start("obeys", &path, None);
    assert_eq!(other.told().as_deref(), Some("ready"));
    drop(store);
    assert!(beside(&path, "-wal").exists());
    assert_eq!(other.order(1, "write"), "6");
    other.kill();
    assert_eq!(all_ids(&open(&path).unwrap(), "s", &after(0)), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn readers_of_the_owner_open_no_file_that_came_in_its_place() {
    let (_folder, path, store) = store_with_events();
    let folder = path.parent().unwrap();
    fs::rename(folder, folder.with_extension("elsewhere")).unwrap();
    fs::create_dir(folder).unwrap();
    drop(open(&path).unwrap());
    assert!(matches!(store.reader(), Err(Error::StoreError { .. })));
}

#[test]
fn without_its_owner_file_a_store_has_one_owner_all_the_same() {
    let (_folder, path, mut store) = store_with_events();
    store.set_owner_url(Some("http://x")).unwrap();
    fs::remove_file(beside(&path, "-owner")).unwrap();
    assert!(matches!(open(&path), Err(Error::StoreInUse { .. })));
    let mut process = Process::start("tries_to_open", &path, None);
    let told = process.told().unwrap();
    assert!(told.starts_with("StoreInUse"), "{told}");
    fs::remove_file(beside(&path, "-owner")).unwrap();
    // The owner notices and writes itself down again.
    assert_eq!(next_at(&mut store, NOW + 1_000), Ok(vec![]));
    let file = SqliteStore::open_read_only(&path).unwrap();
    let expected = Owner { pid: std::process::id(), since: NOW, url: Some("http://x".into()) };
    assert_eq!(file.owner(), Some(expected));
    drop(store);
    open(&path).unwrap();
}

#[test]
fn a_hard_link_is_the_same_store() {
    let (_folder, path, mut store) = store_with_events();
    let link = beside(&path, ".link");
    fs::hard_link(&path, &link).unwrap();
    assert!(matches!(open(&link), Err(Error::StoreInUse { .. })));
    let mut process = Process::start("tries_to_open", &link, None);
    let told = process.told().unwrap();
    assert!(told.starts_with("StoreInUse"), "{told}");
    assert_eq!(next_at(&mut store, NOW + 1_000), Ok(vec![]));
    drop(store);
    assert_eq!(all_ids(&open(&link).unwrap(), "s", &after(0)), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn new_files_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mode =
        |suffix: &str| fs::metadata(beside(&path, suffix)).unwrap().permissions().mode() & 0o777;
    let mut store = open(&path).unwrap();
    keep(&mut store, vec![new_session("s", 1)]);
    for suffix in ["", "-wal", "-shm", "-owner"] {
        assert_eq!(mode(suffix), 0o600, "{suffix}");
    }
    drop(store);
    // What is there keeps the rights that somebody gave it.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let mut store = open(&path).unwrap();
    keep(&mut store, vec![new_session("t", 1)]);
    assert_eq!((mode(""), mode("-wal")), (0o640, 0o640));
}

#[test]
fn files_that_cannot_be_looked_at_for_a_while_are_not_gone() {
    let (folder, path, mut store) = store_with_events();
    let (store_folder, moved) = (path.parent().unwrap(), folder.path().join("moved"));
    fs::rename(store_folder, &moved).unwrap();
    // A path that leads round in circles tells nothing.
    std::os::unix::fs::symlink(store_folder, store_folder).unwrap();
    assert_eq!(store.gone(NOW + 5_000), None);
    fs::remove_file(store_folder).unwrap();
    fs::rename(&moved, store_folder).unwrap();
    assert_eq!(next_at(&mut store, NOW + 10_000), Ok(vec![]));
    assert_eq!(store.gone(NOW + 15_000), None);
}
