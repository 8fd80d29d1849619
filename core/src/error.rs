//! The one list of errors, shared by Rust, C (numbers), Python (names) and HTTP (statuses).
//!
//! The table at [`ERRORS`] is the source: bindings and documentation are generated from it or
//! checked against it. Texts may change; names, numbers and fields may not.

use std::sync::Arc;

use serde_json::{Value, json};

/// What went wrong, and with which value. Each text tells the caller what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the fields are documented by the table in `docs/errors.md`
pub enum Error {
    #[error("invalid argument: {what}")]
    InvalidArgument { what: String },
    #[error("settings contradict each other: {first} and {second}; change one of them")]
    InvalidSettings { first: String, second: String },
    #[error("the event was not accepted ({reason}, {bytes} bytes); send something else")]
    InvalidEvent { reason: String, bytes: u64 },
    #[error("not found: {what}")]
    NotFound { what: String },
    #[error("an execution with the id {execution_id:?} exists already; choose another id")]
    AlreadyExists { execution_id: Arc<str> },
    #[error("execution {active:?} is still active in this session; wait for it, or interrupt it")]
    ExecutionInProgress { active: Arc<str> },
    #[error("the execution is not active any more: it is {status}")]
    ExecutionNotActive { status: &'static str },
    #[error("an execution that is {from} cannot become {to}")]
    InvalidTransition { from: &'static str, to: &'static str },
    #[error("no execution is active in this session; there is nothing to stop")]
    NoActiveExecution,
    #[error("job {active:?} is active; wait until it is idle")]
    JobConflict { active: String },
    #[error("another wrapper has taken over this execution; stop")]
    Superseded,
    #[error("the lease is held by {holder:?} until {expires_at} ms; wait, or give up")]
    AlreadyHeld { holder: Arc<str>, expires_at: i64 },
    #[error("the lease is held by {holder:?}, not by you")]
    WrongHolder { holder: Arc<str>, expires_at: i64 },
    #[error("the token or ticket is missing or wrong")]
    Unauthorized,
    #[error(
        "the buffer is full ({events} events, {bytes} bytes); slow down, or choose an overflow policy"
    )]
    Full { events: u64, bytes: u64 },
    #[error("{limit} is exceeded by {value}")]
    LimitExceeded { limit: &'static str, value: u64 },
    #[error("timed out; what was stored stays stored")]
    Timeout,
    #[error("the object was closed")]
    Closed,
    #[error("the wrapper gave up: {reason}")]
    Disconnected { reason: String },
    #[error(
        "another coordinator owns this store (pid {pid}, since {since} ms{}); use that one, or open read-only",
        url_suffix(.url)
    )]
    StoreInUse { pid: u32, since: i64, url: Option<String> },
    #[error("the store failed, nothing of this step was kept; try again ({detail})")]
    StoreError { detail: String },
    #[error("it is not known whether this step was kept; read before you try again ({detail})")]
    StoreUnknown { detail: String },
    #[error("this store has the format {found}, supported is {supported}")]
    StoreFormat { found: String, supported: String },
    #[error(
        "this object was made in process {pid} and does not work in a forked child; make a new one"
    )]
    ForkError { pid: u32 },
    #[error("a bug in Stayline: {detail}; the object is unusable, please report this")]
    Panic { detail: String },
}

fn url_suffix(url: &Option<String>) -> String {
    url.as_ref().map(|url| format!(", serving {url}")).unwrap_or_default()
}

/// One row of the error table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRow {
    /// The stable name, in every language.
    pub name: &'static str,
    /// The stable number (C status).
    pub number: u16,
    /// The HTTP status of the built-in server; `None` where it never answers one.
    pub http: Option<u16>,
    /// The names of the fields.
    pub fields: &'static [&'static str],
}

macro_rules! error_rows {
    ($($name:literal $number:literal $http:expr, [$($field:literal),*];)*) => {
        &[$(ErrorRow { name: $name, number: $number, http: $http, fields: &[$($field),*] }),*]
    };
}

/// Every error, in the order of its number.
pub const ERRORS: &[ErrorRow] = error_rows! {
    "InvalidArgument" 100 Some(400), ["what"];
    "InvalidSettings" 101 None, ["first", "second"];
    "InvalidEvent" 102 Some(400), ["reason", "bytes"];
    "NotFound" 200 Some(404), ["what"];
    "AlreadyExists" 201 Some(409), ["execution_id"];
    "ExecutionInProgress" 202 Some(409), ["active"];
    "ExecutionNotActive" 203 Some(409), ["status"];
    "InvalidTransition" 204 Some(409), ["from", "to"];
    "NoActiveExecution" 205 Some(409), [];
    "JobConflict" 206 Some(409), ["active"];
    "Superseded" 207 Some(409), [];
    "AlreadyHeld" 210 Some(409), ["holder", "expires_at"];
    "WrongHolder" 211 Some(409), ["holder", "expires_at"];
    "Unauthorized" 300 Some(401), [];
    "Full" 400 Some(429), ["events", "bytes"];
    "LimitExceeded" 401 Some(429), ["limit", "value"];
    "Timeout" 402 Some(504), [];
    "Closed" 403 Some(503), [];
    "Disconnected" 404 Some(502), ["reason"];
    "StoreInUse" 500 Some(503), ["pid", "since", "url"];
    "StoreError" 501 Some(503), [];
    "StoreUnknown" 502 Some(503), [];
    "StoreFormat" 503 None, ["found", "supported"];
    "ForkError" 600 None, ["pid"];
    "Panic" 700 Some(500), [];
};

impl Error {
    /// A shorthand for [`Error::InvalidArgument`].
    pub fn invalid(what: impl Into<String>) -> Error {
        Error::InvalidArgument { what: what.into() }
    }

    /// A shorthand for [`Error::NotFound`].
    pub fn not_found(what: impl Into<String>) -> Error {
        Error::NotFound { what: what.into() }
    }

    /// The stable name, the same in every language.
    pub fn name(&self) -> &'static str {
        match self {
            Error::InvalidArgument { .. } => "InvalidArgument",
            Error::InvalidSettings { .. } => "InvalidSettings",
            Error::InvalidEvent { .. } => "InvalidEvent",
            Error::NotFound { .. } => "NotFound",
            Error::AlreadyExists { .. } => "AlreadyExists",
            Error::ExecutionInProgress { .. } => "ExecutionInProgress",
            Error::ExecutionNotActive { .. } => "ExecutionNotActive",
            Error::InvalidTransition { .. } => "InvalidTransition",
            Error::NoActiveExecution => "NoActiveExecution",
            Error::JobConflict { .. } => "JobConflict",
            Error::Superseded => "Superseded",
            Error::AlreadyHeld { .. } => "AlreadyHeld",
            Error::WrongHolder { .. } => "WrongHolder",
            Error::Unauthorized => "Unauthorized",
            Error::Full { .. } => "Full",
            Error::LimitExceeded { .. } => "LimitExceeded",
            Error::Timeout => "Timeout",
            Error::Closed => "Closed",
            Error::Disconnected { .. } => "Disconnected",
            Error::StoreInUse { .. } => "StoreInUse",
            Error::StoreError { .. } => "StoreError",
            Error::StoreUnknown { .. } => "StoreUnknown",
            Error::StoreFormat { .. } => "StoreFormat",
            Error::ForkError { .. } => "ForkError",
            Error::Panic { .. } => "Panic",
        }
    }

    /// This error's row of the table.
    pub fn row(&self) -> &'static ErrorRow {
        let name = self.name();
        ERRORS.iter().find(|row| row.name == name).unwrap_or(&ERRORS[ERRORS.len() - 1])
    }

    /// The fields by name, in the order of the table.
    pub fn fields(&self) -> Vec<(&'static str, Value)> {
        match self {
            Error::InvalidArgument { what } | Error::NotFound { what } => {
                vec![("what", json!(what))]
            }
            Error::InvalidSettings { first, second } => {
                vec![("first", json!(first)), ("second", json!(second))]
            }
            Error::InvalidEvent { reason, bytes } => {
                vec![("reason", json!(reason)), ("bytes", json!(bytes))]
            }
            Error::AlreadyExists { execution_id } => {
                vec![("execution_id", json!(**execution_id))]
            }
            Error::ExecutionInProgress { active } => vec![("active", json!(**active))],
            Error::ExecutionNotActive { status } => vec![("status", json!(status))],
            Error::InvalidTransition { from, to } => {
                vec![("from", json!(from)), ("to", json!(to))]
            }
            Error::JobConflict { active } => vec![("active", json!(active))],
            Error::AlreadyHeld { holder, expires_at }
            | Error::WrongHolder { holder, expires_at } => {
                vec![("holder", json!(**holder)), ("expires_at", json!(expires_at))]
            }
            Error::Full { events, bytes } => {
                vec![("events", json!(events)), ("bytes", json!(bytes))]
            }
            Error::LimitExceeded { limit, value } => {
                vec![("limit", json!(limit)), ("value", json!(value))]
            }
            Error::Disconnected { reason } => vec![("reason", json!(reason))],
            Error::StoreInUse { pid, since, url } => {
                vec![("pid", json!(pid)), ("since", json!(since)), ("url", json!(url))]
            }
            Error::StoreFormat { found, supported } => {
                vec![("found", json!(found)), ("supported", json!(supported))]
            }
            Error::ForkError { pid } => vec![("pid", json!(pid))],
            Error::NoActiveExecution
            | Error::Superseded
            | Error::Unauthorized
            | Error::Timeout
            | Error::Closed
            | Error::StoreError { .. }
            | Error::StoreUnknown { .. }
            | Error::Panic { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_row_and_the_rows_fields() {
        let samples = [
            Error::invalid("x"),
            Error::InvalidSettings { first: "a".into(), second: "b".into() },
            Error::InvalidEvent { reason: "x".into(), bytes: 1 },
            Error::not_found("x"),
            Error::AlreadyExists { execution_id: "e".into() },
            Error::ExecutionInProgress { active: "e".into() },
            Error::ExecutionNotActive { status: "failed" },
            Error::InvalidTransition { from: "failed", to: "running" },
            Error::NoActiveExecution,
            Error::JobConflict { active: "e".into() },
            Error::Superseded,
            Error::AlreadyHeld { holder: "h".into(), expires_at: 1 },
            Error::WrongHolder { holder: "h".into(), expires_at: 1 },
            Error::Unauthorized,
            Error::Full { events: 1, bytes: 1 },
            Error::LimitExceeded { limit: "x", value: 1 },
            Error::Timeout,
            Error::Closed,
            Error::Disconnected { reason: "x".into() },
            Error::StoreInUse { pid: 1, since: 1, url: None },
            Error::StoreError { detail: "x".into() },
            Error::StoreUnknown { detail: "x".into() },
            Error::StoreFormat { found: "2".into(), supported: "1".into() },
            Error::ForkError { pid: 1 },
            Error::Panic { detail: "x".into() },
        ];
        assert_eq!(samples.len(), ERRORS.len());
        for (sample, row) in samples.iter().zip(ERRORS) {
            assert_eq!(sample.row(), row);
            let names: Vec<_> = sample.fields().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, row.fields, "{}", row.name);
            assert!(!sample.to_string().is_empty());
        }
        assert!(ERRORS.windows(2).all(|pair| pair[0].number < pair[1].number));
    }
}
