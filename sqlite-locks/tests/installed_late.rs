//! A program that shares its copy of SQLite with us may have connections open before we come.
#![cfg(any(target_os = "linux", target_os = "android"))]

mod common;

use common::*;
use stayline_sqlite_locks::install;

// One test: each would have to be the first in its process.
#[test]
fn what_was_locked_before_is_given_back_as_it_was_taken() {
    let database = Database::new();
    let own = database.connect();
    own.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
    let beside = database.index();
    let process = i32::try_from(std::process::id()).unwrap();
    assert_eq!(holder(&beside, WRITE), Some(process));

    assert!(install());
    own.execute_batch("COMMIT").unwrap();
    assert_eq!(holder(&beside, WRITE), None);
    own.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)").unwrap();
    assert_eq!(holder(&beside, WRITE), Some(-1));
    own.execute_batch("COMMIT").unwrap();
    assert_eq!(holder(&beside, WRITE), None);
    // The locks of the process are still there, and go with the descriptor.
    assert_eq!(holder(&beside, SOMEBODY), Some(process));
    drop(own);
    assert_eq!(holder(&beside, SOMEBODY), None);
}
