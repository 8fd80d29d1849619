//! What SQLite's errors mean for the caller, in words that say what to do.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::Error;
use crate::store::CommitError;

/// How far a failure reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// These rows are refused, whatever is tried; others may be fine.
    Rows,
    /// Nothing can be written at present.
    Store,
    /// The disk or the file is at fault: this connection is not used again.
    Connection,
}

pub(super) fn reach(error: &rusqlite::Error) -> Reach {
    if matches!(error, rusqlite::Error::SqlInputError { .. }) {
        // A table or column of ours is missing: no fault of the rows.
        return Reach::Store;
    }
    match error.sqlite_error_code() {
        Some(
            ErrorCode::ConstraintViolation
            | ErrorCode::TooBig
            | ErrorCode::TypeMismatch
            | ErrorCode::ParameterOutOfRange
            // An expression in a trigger or an index that these rows make fail.
            | ErrorCode::Unknown,
        ) => Reach::Rows,
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::CannotOpen,
        ) => Reach::Connection,
        Some(_) => Reach::Store,
        // A value that cannot be bound.
        None => Reach::Rows,
    }
}

/// A text for people, with what to do where there is something.
pub(super) fn describe(error: &rusqlite::Error) -> String {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; free some space",
        Some(ErrorCode::ReadOnly) => "the file cannot be written; check its permissions",
        Some(ErrorCode::CannotOpen) => {
            "the file cannot be opened; check that it and its folder are there and permitted"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another connection has locked the file; let it finish"
        }
        Some(ErrorCode::DatabaseCorrupt) => "the file is damaged; restore a copy",
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error; check it",
        _ => return error.to_string(),
    };
    format!("{advice} ({error})")
}

pub(super) fn store_error(error: rusqlite::Error) -> Error {
    Error::StoreError { detail: describe(&error) }
}

/// A failure to open `path`.
pub(super) fn opening_error(path: &Path, error: &rusqlite::Error) -> Error {
    Error::StoreError { detail: format!("{}: {}", path.display(), describe(error)) }
}

/// What a failed COMMIT leaves behind. Where SQLite itself takes the transaction back before
/// anything of it can count, it is lost; after an I/O error nobody knows.
pub(super) fn commit_failure(error: &rusqlite::Error) -> CommitError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::ConstraintViolation
            | ErrorCode::OutOfMemory,
        ) => CommitError::Lost(describe(error)),
        _ => CommitError::Unknown(describe(error)),
    }
}
