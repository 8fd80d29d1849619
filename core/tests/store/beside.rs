//! Other programs at the owner's files: whatever they do, what was acknowledged is there after a
//! SIGKILL.

use std::path::Path;

use crate::child::Process;
use crate::fixture::*;
use rusqlite::Connection;
use stayline::Settings;
use stayline::store::Store;
use stayline::store::sqlite::SqliteStore;

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &Settings::default(), NOW).unwrap()
}

/// Does something to the file as another program would, and closes it.
fn visit(path: &Path, sql: &str) {
    let other = Connection::open(path).unwrap();
    other.busy_timeout(std::time::Duration::from_millis(50)).unwrap();
    let count: i64 = other.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert!(count >= 3);
    // Refused or harmless: either will do.
    let _ = other.query_row(sql, [], |_| Ok(()));
}

const VISITS: [&str; 7] = [
    "SELECT 1",
    "VACUUM",
    "PRAGMA wal_checkpoint(PASSIVE)",
    "PRAGMA wal_checkpoint(RESTART)",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA locking_mode = EXCLUSIVE",
];

#[test]
fn a_copy_made_by_the_owners_process_lets_nobody_take_the_log_away() {
    for visited in VISITS {
        for copies_first in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store/runs.db");
            std::fs::create_dir(path.parent().unwrap()).unwrap();
            let mut owner = Process::start("obeys", &path, None);
            assert_eq!(owner.told().as_deref(), Some("ready"));
            if copies_first {
                assert_eq!(owner.order(1, "copy"), "copied");
                assert_eq!(owner.order(2, "write"), "6", "{visited}");
            } else {
                assert_eq!(owner.order(1, "write"), "6", "{visited}");
                assert_eq!(owner.order(2, "copy"), "copied");
            }
            visit(&path, visited);
            assert_eq!(owner.order(3, "write"), "9", "after {visited}");
            assert_eq!(owner.order(4, "copy"), "copied");
            assert_eq!(owner.order(5, "write"), "12", "after {visited}");
            visit(&path, "SELECT 1");
            assert_eq!(owner.order(6, "write"), "15", "after {visited}");
            owner.kill();
            let kept = all_ids(&open(&path), "s", &after(0));
            assert_eq!(kept, (1..=15).collect::<Vec<_>>(), "after {visited}");
        }
    }
}

#[test]
fn a_program_that_has_the_file_open_before_the_owner_and_after_it_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store/runs.db");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    drop(open(&path));
    let other = Connection::open(&path).unwrap();
    let count =
        || -> i64 { other.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap() };
    assert_eq!(count(), 0);
    let mut owner = Process::start("obeys", &path, None);
    assert_eq!(owner.told().as_deref(), Some("ready"));
    assert_eq!(count(), 3);
    assert_eq!(owner.order(1, "copy"), "copied");
    assert_eq!(owner.order(2, "write"), "6");
    assert_eq!(count(), 6);
    drop(other);
    assert_eq!(owner.order(3, "write"), "9");
    owner.kill();
    assert_eq!(all_ids(&open(&path), "s", &after(0)), (1..=9).collect::<Vec<_>>());
}

#[test]
fn the_owners_own_end_still_leaves_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    for round in 1..=3 {
        let mut store = open(&path);
        let id = format!("s{round}");
        keep(&mut store, vec![new_session(&id, 3)]);
        store.reopen().unwrap();
        keep(&mut store, vec![new_session(&format!("t{round}"), 3)]);
        let mut reader = store.reader().unwrap();
        assert!(reader.load(&id).unwrap().is_some());
        drop(reader);
        drop(store);
        for suffix in ["-wal", "-shm"] {
            assert!(!folder.path().join(format!("runs.db{suffix}")).exists(), "{suffix}");
        }
    }
}

/// What another copy of SQLite does in this process: it locks, for the process, the byte of the
/// index that writers lock.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod another_copy {
    use std::fs::{File, OpenOptions};
    use std::path::Path;

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc::{self, flock};

    pub struct Index(File);

    impl Index {
        pub fn of(path: &Path) -> Index {
            let mut name = path.as_os_str().to_owned();
            name.push("-shm");
            Index(OpenOptions::new().read(true).write(true).open(name).unwrap())
        }

        fn set(&self, kind: libc::c_int) -> bool {
            let write_lock = flock {
                l_type: kind as libc::c_short,
                l_whence: libc::SEEK_SET as libc::c_short,
                l_start: 120,
                l_len: 1,
                l_pid: 0,
            };
            fcntl(&self.0, FcntlArg::F_SETLK(&write_lock)).is_ok()
        }

        pub fn lock(&self) -> bool {
            self.set(libc::F_WRLCK)
        }

        pub fn unlock(&self) {
            assert!(self.set(libc::F_UNLCK));
        }
    }
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn a_commit_waits_for_what_another_library_writes_in_this_process() {
    use std::sync::mpsc::RecvTimeoutError::Timeout;
    use std::time::Duration;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = open(&path);
    keep(&mut store, vec![new_session("s", 3)]);
    let theirs = another_copy::Index::of(&path);
    for round in 1..=3 {
        assert!(theirs.lock());
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let ids = 3 * round + 1..=3 * round + 3;
                let events = ids.map(|id| event(id, "e", "output")).collect();
                let changes = appended(&mut store, "s", events);
                done.send(store.commit(&batch(vec![changes]))).unwrap();
            });
            // Long enough for a commit that does not wait.
            assert_eq!(is_done.recv_timeout(Duration::from_millis(100)), Err(Timeout));
            theirs.unlock();
            assert_eq!(is_done.recv_timeout(Duration::from_secs(30)), Ok(Ok(vec![])));
        });
    }
    drop(store);
    assert_eq!(all_ids(&open(&path), "s", &after(0)), (1..=12).collect::<Vec<_>>());
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn another_library_in_this_process_finds_a_commit_under_way() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut store = open(&path);
    keep(&mut store, vec![new_session("s", 3)]);
    let theirs = another_copy::Index::of(&path);
    let was_refused = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !was_refused.load(Ordering::SeqCst) {
                match theirs.lock() {
                    // Only looked: SQLite would write something in between.
                    true => theirs.unlock(),
                    false => was_refused.store(true, Ordering::SeqCst),
                }
            }
        });
        let mut last = 3;
        while !was_refused.load(Ordering::SeqCst) && last < 9_000 {
            let events = (last + 1..=last + 3).map(|id| event(id, "e", "output")).collect();
            let changes = appended(&mut store, "s", events);
            assert_eq!(store.commit(&batch(vec![changes])), Ok(vec![]));
            last += 3;
        }
        let was_found = was_refused.swap(true, Ordering::SeqCst);
        assert!(was_found, "{last} events were written with nobody in the way");
    });
}
