//! A system, or a file system, that has no locks for open files.
#![cfg(all(
    any(target_os = "linux", target_os = "android"),
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

mod common;

use std::ffi::{c_int, c_void};

use common::*;
use nix::libc;
use rusqlite::ffi;
use stayline_sqlite_locks::install;

/// What a system without them answers. On these processors a function that is called with variable
/// arguments finds them where it would find its own.
unsafe extern "C" fn older_fcntl(number: c_int, command: c_int, argument: *mut c_void) -> c_int {
    if matches!(command, libc::F_OFD_SETLK | libc::F_OFD_GETLK) {
        // SAFETY: the calling thread's own.
        unsafe { *libc::__errno_location() = libc::EINVAL };
        return -1;
    }
    // SAFETY: as SQLite called it.
    unsafe { libc::fcntl(number, command, argument) }
}

#[test]
fn everything_stays_as_it_was() {
    let database = Database::new();
    // SAFETY: the table of SQLite's own files, which is there as long as the program; the function
    // is as described.
    unsafe {
        let files = ffi::sqlite3_vfs_find(c"unix".as_ptr());
        let set = (*files).xSetSystemCall.unwrap();
        let older: unsafe extern "C" fn(c_int, c_int, *mut c_void) -> c_int = older_fcntl;
        let older: unsafe extern "C" fn() = std::mem::transmute(older);
        assert_eq!(set(files, c"fcntl".as_ptr(), Some(older)), ffi::SQLITE_OK);
    }
    assert!(install());
    let own = database.connect();
    own.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
    let beside = database.index();
    assert_eq!(holder(&beside, WRITE), Some(i32::try_from(std::process::id()).unwrap()));
    own.execute_batch("COMMIT").unwrap();
    assert_eq!(holder(&beside, WRITE), None);
    drop(own);
    assert!(!database.path("-wal").exists());
}
