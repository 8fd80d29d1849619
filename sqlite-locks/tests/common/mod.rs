//! A database in a folder of its own, and the bytes of its index as another copy of SQLite in this
//! process would lock them.
#![allow(dead_code)]

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{self, flock};
use rusqlite::Connection;

pub const WRITE: i64 = 120;
pub const SOMEBODY: i64 = 128;

pub struct Database {
    pub folder: tempfile::TempDir,
}

impl Database {
    pub fn new() -> Database {
        let database = Database { folder: tempfile::tempdir().unwrap() };
        let connection = database.connect();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        database
    }

    pub fn connect(&self) -> Connection {
        let connection = Connection::open(self.path("")).unwrap();
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        connection
    }

    pub fn path(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("a.db{suffix}"))
    }

    /// The index, opened beside SQLite.
    pub fn index(&self) -> File {
        OpenOptions::new().read(true).write(true).open(self.path("-shm")).unwrap()
    }
}

fn described(kind: libc::c_int, byte: i64) -> flock {
    flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

/// As another copy of SQLite does it: for the process.
pub fn lock(file: &File, kind: libc::c_int, byte: i64) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_SETLK(&described(kind, byte))).map(drop)
}

/// For the open file.
pub fn lock_open_file(file: &File, kind: libc::c_int, byte: i64) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&described(kind, byte))).map(drop)
}

/// Whose lock is in the way: -1 is an open file's.
pub fn holder(file: &File, byte: i64) -> Option<i32> {
    let mut found = described(libc::F_WRLCK, byte);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut found)).unwrap();
    (libc::c_int::from(found.l_type) != libc::F_UNLCK).then_some(found.l_pid)
}
