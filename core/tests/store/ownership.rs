//! One coordinator owns a file, across processes too.

use crate::child::Process;
use crate::fixture::*;
use stayline::store::sqlite::SqliteStore;
use stayline::store::{Owner, ReadOnlyStore, Store};
use stayline::{Error, Settings};
use std::path::Path;

fn open(path: &Path) -> Result<SqliteStore, Error> {
    SqliteStore::open(path, &Settings::default(), NOW)
}

#[test]
fn a_second_owner_is_told_who_the_first_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = open(&path).unwrap();
    let check = |told: Option<Error>, address: Option<&str>| match told {
        Some(Error::StoreInUse { pid, since, url, program }) => {
            assert_eq!((pid, since, url.as_deref()), (std::process::id(), NOW, address));
            assert!(program.is_some_and(|program| program.starts_with("store")));
        }
        other => panic!("{other:?}"),
    };
    check(open(&path).err(), None);
    store.set_owner_url(Some("http://a.rather.long.name:8787")).unwrap();
    check(open(&path).err(), Some("http://a.rather.long.name:8787"));
    store.set_owner_url(None).unwrap();
    check(open(&path).err(), None);
    // What a version wrote that did not know of programs.
    let note = folder.path().join("runs.db-owner");
    std::fs::write(&note, "{\"pid\":7,\"since\":8,\"url\":null}\n").unwrap();
    let before = Error::StoreInUse { pid: 7, since: 8, url: None, program: None };
    assert_eq!(open(&path).err(), Some(before));
    // Being refused has taken nothing from the owner.
    keep(&mut store, vec![new_session("s", 1)]);
    drop(store);
    assert_eq!(all_ids(&open(&path).unwrap(), "s", &after(0)), [1]);
}

#[test]
fn another_name_of_the_file_is_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let link = folder.path().join("link.db");
    let store = open(&path).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(open(&link), Err(Error::StoreInUse { .. })));
    let winding = folder.path().join("../").join(folder.path().file_name().unwrap());
    assert!(matches!(open(&winding.join("runs.db")), Err(Error::StoreInUse { .. })));
    drop(store);
    open(&link).unwrap();
    assert!(!folder.path().join("link.db-owner").exists());
}

#[test]
fn a_link_to_a_file_that_is_not_there_yet_is_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let (first, second) = (folder.path().join("first.db"), inner.join("second.db"));
    std::os::unix::fs::symlink("inner/second.db", &first).unwrap();
    std::os::unix::fs::symlink("../runs.db", &second).unwrap();
    let store = open(&first).unwrap();
    assert!(folder.path().join("runs.db-owner").exists());
    for name in [&second, &folder.path().join("runs.db"), &first] {
        assert!(matches!(open(name), Err(Error::StoreInUse { .. })), "{name:?}");
    }
    drop(store);
    open(&second).unwrap();
}

#[test]
fn readers_know_the_owner_and_leave_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = open(&path).unwrap();
    store.set_owner_url(Some("http://x")).unwrap();
    let file = SqliteStore::open_read_only(&path).unwrap();
    let expected = Owner { pid: std::process::id(), since: NOW, url: Some("http://x".into()) };
    assert_eq!(file.owner(), Some(expected));
    keep(&mut store, vec![new_session("s", 2)]);
    let mut reader = file.reader().unwrap();
    assert_eq!(reader.events("s", &after(0), 1 << 20).unwrap().events.len(), 2);
    drop(store);
    assert_eq!(file.owner(), None);
    assert_eq!(reader.events("s", &after(0), 1 << 20).unwrap().events.len(), 2);
    open(&path).unwrap();
}

#[test]
fn the_lock_goes_with_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut process = Process::start("owns", &path, None);
    assert_eq!(process.told().as_deref(), Some("owner"));
    let url = Some("http://127.0.0.1:8787".to_owned());
    match open(&path).err() {
        Some(Error::StoreInUse { pid, since, url: told, .. }) => {
            assert_eq!((pid, since, told), (process.id(), NOW + 7, url));
        }
        other => panic!("{other:?}"),
    }
    let file = SqliteStore::open_read_only(&path).unwrap();
    assert_eq!(file.owner().map(|owner| owner.pid), Some(process.id()));
    process.kill();
    assert_eq!(file.owner(), None);
    let store = open(&path).unwrap();
    assert_eq!(file.owner().map(|owner| owner.pid), Some(std::process::id()));
    drop(store);
}
