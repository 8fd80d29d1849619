//! The bundled SQLite, and somebody else in the same process who locks as SQLite does.
#![cfg(any(target_os = "linux", target_os = "android"))]

mod common;

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

use common::*;
use nix::errno::Errno;
use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use rusqlite::ErrorCode;
use stayline_sqlite_locks::{before_fork, install};

#[test]
fn nobody_writes_while_another_library_does() {
    assert!(install());
    let database = Database::new();
    let own = database.connect();
    own.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    let theirs = database.index();
    lock(&theirs, F_WRLCK, WRITE).unwrap();
    let refused = own.execute_batch("INSERT INTO t VALUES (2)").unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    lock(&theirs, F_UNLCK, WRITE).unwrap();
    own.execute_batch("INSERT INTO t VALUES (2)").unwrap();
}

#[test]
fn another_library_finds_our_locks_whatever_it_closes() {
    assert!(install());
    let database = Database::new();
    let own = database.connect();
    own.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
    let theirs = database.index();
    assert_eq!(lock(&theirs, F_WRLCK, WRITE), Err(Errno::EAGAIN));
    for suffix in ["", "-wal", "-shm"] {
        drop(std::fs::read(database.path(suffix)).unwrap());
    }
    assert_eq!(lock(&theirs, F_WRLCK, WRITE), Err(Errno::EAGAIN));
    own.execute_batch("COMMIT").unwrap();
    lock(&theirs, F_WRLCK, WRITE).unwrap();
}

#[test]
fn our_own_connections_exclude_each_other_and_share_as_before() {
    assert!(install());
    let database = Database::new();
    let (one, other) = (database.connect(), database.connect());
    one.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
    let refused = other.execute_batch("BEGIN IMMEDIATE").unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    let rows = |connection: &rusqlite::Connection| -> i64 {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    };
    other.execute_batch("BEGIN").unwrap();
    assert_eq!(rows(&other), 0);
    one.execute_batch("COMMIT").unwrap();
    assert_eq!((rows(&one), rows(&other)), (1, 0));
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(rows(&other), 1);
    drop((one, other));
    assert!(!database.path("-wal").exists());
    // A number that comes again is another file's.
    let next = Database::new();
    next.connect().execute_batch("INSERT INTO t VALUES (1)").unwrap();
}

#[test]
fn the_last_of_ours_is_not_the_last_while_another_library_is_there() {
    assert!(install());
    let database = Database::new();
    let own = database.connect();
    own.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    let theirs = database.index();
    lock(&theirs, F_RDLCK, SOMEBODY).unwrap();
    drop(own);
    assert!(database.path("-wal").exists());
    assert!(database.path("-shm").exists());
}

#[test]
fn a_forked_child_has_none_of_the_locks() {
    assert!(install());
    let database = Database::new();
    let own = database.connect();
    own.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(descriptors_of_the_index(&database), 2);
    let forking = before_fork();
    // SAFETY: the child calls nothing that another thread may have been in the middle of.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            forking.in_child();
            let left = descriptors_of_the_index(&database);
            // SAFETY: ends the child without running the parent's destructors.
            unsafe { nix::libc::_exit(left) }
        }
        ForkResult::Parent { child } => {
            // In the parent it means nothing.
            forking.in_child();
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 1)));
        }
    }
    assert_eq!(lock(&database.index(), F_WRLCK, WRITE), Err(Errno::EAGAIN));
    own.execute_batch("COMMIT").unwrap();
}

/// How many descriptors of this process there are: SQLite's, and the one with the locks.
fn descriptors_of_the_index(database: &Database) -> i32 {
    let index = std::fs::metadata(database.path("-shm")).unwrap();
    let is_it = |entry: std::io::Result<std::fs::DirEntry>| {
        let found = std::fs::metadata(entry.unwrap().path());
        found.is_ok_and(|found| (found.dev(), found.ino()) == (index.dev(), index.ino()))
    };
    let found =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| is_it(entry).then_some(()));
    found.count() as i32
}

#[test]
fn a_child_can_use_sqlite_whatever_other_threads_did_at_the_fork() {
    assert!(install());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let busy = rusqlite::Connection::open_in_memory().unwrap();
                    busy.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
                }
            });
        }
        let mut ended = Vec::new();
        for _ in 0..100 {
            let forking = before_fork();
            // SAFETY: the child uses SQLite, which is what is tested, and memory, which the system's
            // allocator keeps sound; one that hangs is ended by its alarm.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => {
                    forking.in_child();
                    // SAFETY: as above, and it ends without running the parent's destructors.
                    unsafe {
                        nix::libc::alarm(10);
                        drop(rusqlite::Connection::open_in_memory());
                        nix::libc::_exit(0)
                    }
                }
                ForkResult::Parent { child } => {
                    drop(forking);
                    ended.push(waitpid(child, None).unwrap());
                    if !matches!(ended.last(), Some(WaitStatus::Exited(_, 0))) {
                        break;
                    }
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let is_well = |status: &WaitStatus| matches!(status, WaitStatus::Exited(_, 0));
        assert!(ended.iter().all(is_well), "{:?} after {}", ended.last(), ended.len());
    });
}
