//! The one list of errors, shared by Rust, C (numbers), Python (names) and HTTP (statuses).
//!
//! The table at [`ERRORS`] is the source: bindings and documentation are generated from it or
//! checked against it. Texts may change; names, numbers and fields may not.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::protocol::format_timestamp;

/// What went wrong, and with which value. Each text tells the caller what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the fields are documented by the table in `docs/errors.md`
pub enum Error {
    #[error("invalid argument: {}", shown(.what))]
    InvalidArgument { what: String },
    #[error("{}", contradiction(first, second))]
    InvalidSettings { first: String, second: String },
    #[error("the event was not accepted ({}, {bytes} bytes); send something else", shown(.reason))]
    InvalidEvent { reason: String, bytes: u64 },
    #[error("not found: {}", shown(.what))]
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
    #[error("{}", shown(.why))]
    Closed { why: Cow<'static, str> },
    #[error("the wrapper gave up: {}", shown(.reason))]
    Disconnected { reason: String },
    #[error("{}", owned(*pid, *since, url.as_deref(), program.as_deref(), wall_ms()))]
    StoreInUse { pid: u32, since: i64, url: Option<String>, program: Option<String> },
    #[error("the store failed, nothing of this step was kept; try again ({})", shown(.detail))]
    StoreError { detail: String },
    #[error(
        "it is not known whether this step was kept; read before you try again ({})",
        shown(.detail)
    )]
    StoreUnknown { detail: String },
    #[error("this store has the format {}, supported is {supported}", shown(.found))]
    StoreFormat { found: String, supported: String },
    #[error(
        "this object was made in process {pid} and does not work in a forked child; make a new one"
    )]
    ForkError { pid: u32 },
    #[error("a bug in Stayline: {detail}; the object is unusable, please report this")]
    Panic { detail: String },
}

/// Who owns a store, since when, and what to do about it. Without a process it is somebody who
/// came to the file in another way.
fn owned(pid: u32, since: i64, url: Option<&str>, program: Option<&str>, now: i64) -> String {
    if pid == 0 {
        return "another coordinator, which cannot be named here, owns this store; close it, choose \
                another file, or open read-only"
            .into();
    }
    let program = program.map(|program| format!("{}, ", shown(program))).unwrap_or_default();
    let (serving, use_it) = match url {
        Some(url) => (format!(", and serves {}", shown(url)), "connect to that, "),
        None => (String::new(), ""),
    };
    format!(
        "another coordinator owns this store ({program}pid {pid}) since {}{serving}; {use_it}stop it, \
         choose another file, or open read-only",
        since_when(since, now)
    )
}

/// `14:02:11 UTC, 3 minutes ago`; with the day where that was another one.
fn since_when(since: i64, now: i64) -> String {
    let text = format_timestamp(since);
    let (day, time) = text.split_at_checked(DAY_LETTERS).unwrap_or((&text, ""));
    let time = time.get(1..9).unwrap_or_default();
    let moment = match format_timestamp(now).starts_with(day) {
        true => format!("{time} UTC"),
        false => format!("{day} {time} UTC"),
    };
    let seconds = now.saturating_sub(since) / 1_000;
    let (number, unit) = match seconds {
        // The clock was put back since.
        ..0 => return moment,
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{moment}, {number} {unit}{plural} ago")
}

/// Of a day in ISO 8601.
const DAY_LETTERS: usize = 10;

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A text of at most so many bytes is shown whole in an error; of a longer one both ends are.
const SHOWN_WHOLE: usize = 700;
const SHOWN_END: usize = 300;

/// A text for an error. What a caller gave may be megabytes long, begins with what matters and
/// ends with the advice; and what came over the network must not steer the reader's terminal.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.len() > SHOWN_WHOLE {
        let begin = text.floor_char_boundary(SHOWN_END);
        let end = text.ceil_char_boundary(text.len() - SHOWN_END);
        let (begin, left_out, end) = (&text[..begin], end - begin, &text[end..]);
        return Cow::Owned(without_control(&format!("{begin}… ({left_out} bytes) …{end}")).into());
    }
    without_control(text)
}

/// The text with its control characters written out.
pub(crate) fn without_control(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let written = |one: char| match one.is_control() {
        true => one.escape_default().collect::<String>(),
        false => one.to_string(),
    };
    Cow::Owned(text.chars().map(written).collect())
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
    "StoreInUse" 500 Some(503), ["pid", "since", "url", "program"];
    "StoreError" 501 Some(503), [];
    "StoreUnknown" 502 Some(503), [];
    "StoreFormat" 503 None, ["found", "supported"];
    "ForkError" 600 None, ["pid"];
    "Panic" 700 Some(500), [];
};

impl Error {
    /// A shorthand for [`Error::InvalidArgument`].
    pub fn invalid(what: impl Into<String>) -> Error {
        Error::InvalidArgument { what: shown(&what.into()).into_owned() }
    }

    /// A shorthand for [`Error::NotFound`].
    pub fn not_found(what: impl Into<String>) -> Error {
        Error::NotFound { what: shown(&what.into()).into_owned() }
    }

    /// A shorthand for [`Error::Closed`]: what was closed, or has ended, in a sentence.
    pub fn closed(why: impl Into<Cow<'static, str>>) -> Error {
        Error::Closed { why: why.into() }
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
            Error::Closed { .. } => "Closed",
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
            Error::StoreInUse { pid, since, url, program } => vec![
                ("pid", json!(pid)),
                ("since", json!(since)),
                ("url", json!(url)),
                ("program", json!(program)),
            ],
            Error::StoreFormat { found, supported } => {
                vec![("found", json!(found)), ("supported", json!(supported))]
            }
            Error::ForkError { pid } => vec![("pid", json!(pid))],
            Error::NoActiveExecution
            | Error::Superseded
            | Error::Unauthorized
            | Error::Timeout
            | Error::Closed { .. }
            | Error::StoreError { .. }
            | Error::StoreUnknown { .. }
            | Error::Panic { .. } => Vec::new(),
        }
    }
}

/// The text of [`Error::InvalidSettings`]: a setting named twice is out of its own bounds.
fn contradiction(first: &str, second: &str) -> String {
    match first == second {
        true => format!("setting {first} is out of its bounds; change it"),
        false => {
            format!("settings contradict each other: {first} and {second}; change one of them")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_both_ends_of_what_is_megabytes_long() {
        let error = Error::invalid(format!("{:?} is no URL", "é".repeat(1 << 20)));
        let text = error.to_string();
        assert!(text.len() < 700, "{} bytes", text.len());
        assert!(text.starts_with("invalid argument: \"é"), "{text}");
        assert!(text.contains("bytes) …") && text.ends_with("is no URL"), "{text}");
        assert!(Error::not_found("x".repeat(10_000)).to_string().len() < 700);
        assert_eq!(
            error.to_string(),
            Error::invalid(error.fields()[0].1.as_str().unwrap()).to_string()
        );
    }

    #[test]
    fn an_error_never_steers_the_readers_terminal() {
        let reason = "\u{1b}[31m\u{9b}2J\0\u{7f}\r\nué";
        for error in [
            Error::invalid(reason),
            Error::not_found(reason),
            Error::InvalidEvent { reason: reason.into(), bytes: 1 },
            Error::Disconnected { reason: reason.into() },
            Error::StoreError { detail: reason.into() },
            Error::StoreUnknown { detail: reason.into() },
            Error::closed(reason),
            Error::StoreFormat { found: reason.into(), supported: "1".into() },
        ] {
            let text = error.to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
            assert!(text.contains(r"\u{1b}[31m\u{9b}2J\u{0}\u{7f}\r\nué"), "{text}");
        }
        // What a program reads is as it came.
        let fields = Error::Disconnected { reason: reason.into() }.fields();
        assert_eq!(fields[0].1.as_str(), Some(reason));
    }

    #[test]
    fn the_owner_of_a_store_is_told_in_words() {
        const NOON: i64 = 1_772_884_800_000; // 2026-03-07T12:00:00Z
        let told = |since, url, program| owned(42, since, url, program, NOON);
        assert_eq!(
            told(NOON - 190_000, Some("http://127.0.0.1:8787"), Some("stayline")),
            "another coordinator owns this store (stayline, pid 42) since 11:56:50 UTC, 3 minutes \
             ago, and serves http://127.0.0.1:8787; connect to that, stop it, choose another file, \
             or open read-only"
        );
        assert_eq!(
            told(NOON, None, None),
            "another coordinator owns this store (pid 42) since 12:00:00 UTC, 0 seconds ago; stop \
             it, choose another file, or open read-only"
        );
        for (ago_ms, words) in [
            (1_000, "11:59:59 UTC, 1 second ago"),
            (119_999, "11:58:00 UTC, 119 seconds ago"),
            (7_199_000, "10:00:01 UTC, 119 minutes ago"),
            (7_200_000, "10:00:00 UTC, 2 hours ago"),
            (13 * 3_600_000, "2026-03-06 23:00:00 UTC, 13 hours ago"),
            (9 * 86_400_000, "2026-02-26 12:00:00 UTC, 9 days ago"),
            (-5_000, "12:00:05 UTC"),
            (-86_400_000, "2026-03-08 12:00:00 UTC"),
        ] {
            assert_eq!(since_when(NOON - ago_ms, NOON), words);
        }
        for odd in [i64::MIN, -1, i64::MAX] {
            assert!(!told(odd, None, None).is_empty());
        }
        let unknown = owned(0, 0, None, None, NOON);
        assert!(!unknown.contains("pid") && unknown.contains("another file"), "{unknown}");
        let odd = told(NOON, Some("\u{1b}[2J"), Some("\u{1b}[31m"));
        assert!(!odd.contains(char::is_control), "{odd}");
    }

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
            Error::closed("the coordinator was closed"),
            Error::Disconnected { reason: "x".into() },
            Error::StoreInUse { pid: 1, since: 1, url: None, program: None },
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
