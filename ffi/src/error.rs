//! Statuses and errors (`errors.md`): the numbers are those of `stayline::error::ERRORS`.

use std::mem::MaybeUninit;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use stayline::Error;
use stayline::coordinator::AttachRefusal;
use stayline::error::ERRORS;
use stayline::protocol::Refusal;

use crate::boundary;
use crate::text::stayline_view;

/// How a call went. Numbers are never used again for something else; handle unknown ones.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum stayline_status {
    /// It did what it says.
    Ok = 0,
    /// The call is wrong; the message names the argument. Fix the call.
    InvalidArgument = 100,
    /// Two settings contradict each other (R24); fields `first`, `second`.
    InvalidSettings = 101,
    /// The event was not accepted (R40); fields `reason`, `bytes`.
    InvalidEvent = 102,
    /// No such session, execution, lease or notification; field `what`.
    NotFound = 200,
    /// The execution id is taken (R2); field `execution_id`.
    AlreadyExists = 201,
    /// Another execution is active (R2); field `active`.
    ExecutionInProgress = 202,
    /// The execution has ended (R25); field `status`.
    ExecutionNotActive = 203,
    /// It had ended, or not begun (R1); fields `from`, `to`.
    InvalidTransition = 204,
    /// There is nothing to stop (R11).
    NoActiveExecution = 205,
    /// Another job is active (R49); field `active`.
    JobConflict = 206,
    /// Another wrapper has taken over (R45a): stop.
    Superseded = 207,
    /// Somebody else has the lease (R38); fields `holder`, `expires_at`.
    AlreadyHeld = 210,
    /// The lease is not yours (R38); fields `holder`, `expires_at`.
    WrongHolder = 211,
    /// Token or ticket missing or wrong.
    Unauthorized = 300,
    /// No room for the event (R44); fields `events`, `bytes`. Slow down.
    Full = 400,
    /// A limit is exceeded; fields `limit`, `value`.
    LimitExceeded = 401,
    /// The time is over; what was stored stays stored.
    Timeout = 402,
    /// It was closed, or has ended; the message says what, and how a run ended.
    Closed = 403,
    /// The wrapper gave up (R41); field `reason`.
    Disconnected = 404,
    /// Another coordinator owns the file; fields `pid`, `since`, `url`.
    StoreInUse = 500,
    /// Nothing of this step was kept; try again.
    StoreError = 501,
    /// It is not known whether this step was kept: read before you try again.
    StoreUnknown = 502,
    /// A newer format, or no database of ours; fields `found`, `supported`.
    StoreFormat = 503,
    /// The object belongs to the process that made it; field `pid`. Make a new one.
    ForkError = 600,
    /// A bug of ours; the object is unusable from now on.
    Panic = 700,
}

impl stayline_status {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [stayline_status; 26] = [
        stayline_status::Ok,
        stayline_status::InvalidArgument,
        stayline_status::InvalidSettings,
        stayline_status::InvalidEvent,
        stayline_status::NotFound,
        stayline_status::AlreadyExists,
        stayline_status::ExecutionInProgress,
        stayline_status::ExecutionNotActive,
        stayline_status::InvalidTransition,
        stayline_status::NoActiveExecution,
        stayline_status::JobConflict,
        stayline_status::Superseded,
        stayline_status::AlreadyHeld,
        stayline_status::WrongHolder,
        stayline_status::Unauthorized,
        stayline_status::Full,
        stayline_status::LimitExceeded,
        stayline_status::Timeout,
        stayline_status::Closed,
        stayline_status::Disconnected,
        stayline_status::StoreInUse,
        stayline_status::StoreError,
        stayline_status::StoreUnknown,
        stayline_status::StoreFormat,
        stayline_status::ForkError,
        stayline_status::Panic,
    ];

    fn of(error: &Error) -> stayline_status {
        let number = i32::from(error.row().number);
        let found = Self::ALL.into_iter().find(|status| *status as i32 == number);
        found.unwrap_or(stayline_status::Panic)
    }
}

/// What the body of a call fails with.
#[derive(Debug)]
pub(crate) struct Failure {
    error: Error,
    /// A refused attach that the wrapper may try again (R45a).
    is_passing: bool,
}

impl Failure {
    /// A bug of ours.
    pub(crate) fn is_panic(&self) -> bool {
        matches!(self.error, Error::Panic { .. })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, is_passing: false }
    }
}

impl From<AttachRefusal> for Failure {
    fn from(refusal: AttachRefusal) -> Failure {
        Failure { error: refusal.error, is_passing: !refusal.is_final }
    }
}

/// An error: what went wrong and with which values. Owned by whoever got it; never changes.
pub struct stayline_error {
    failure: Failure,
    status: stayline_status,
    message: String,
    fields: Vec<(&'static str, Value)>,
    json: OnceLock<String>,
}

/// Where a function puts its error.
pub(crate) type OutError<'a> = Option<&'a mut MaybeUninit<Option<Box<stayline_error>>>>;

/// Makes the status, and the error where one is wanted.
pub(crate) fn report(out_error: OutError<'_>, failure: Failure) -> stayline_status {
    let status = stayline_status::of(&failure.error);
    if let Some(out_error) = out_error {
        let message = failure.error.to_string();
        let fields = failure.error.fields();
        let error = stayline_error { failure, status, message, fields, json: OnceLock::new() };
        out_error.write(Some(Box::new(error)));
    }
    status
}

impl stayline_error {
    fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// The status that the call returned; `STAYLINE_STATUS_OK` for NULL.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_error_status(error: Option<&stayline_error>) -> stayline_status {
    error.map_or(stayline_status::Ok, |error| error.status)
}

/// The stable name, the same in every language: `NotFound`.
///
/// Returns a view that lives as long as the library; none for NULL. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_error_name(error: Option<&stayline_error>) -> stayline_view {
    error.map_or(stayline_view::NONE, |error| stayline_view::of(error.failure.error.name()))
}

/// What went wrong and what to do, for people. The words may change.
///
/// Returns a view that lives as long as the error; none for NULL. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_error_message(error: Option<&stayline_error>) -> stayline_view {
    error.map_or(stayline_view::NONE, |error| stayline_view::of(&error.message))
}

/// A field that is a text, by its name (`docs/errors.md`).
///
/// Returns a view that lives as long as the error; none for a field that the error does not have,
/// that is null or that is a number. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_error_text(
    error: Option<&stayline_error>,
    field: stayline_view,
) -> stayline_view {
    boundary::plain(stayline_view::NONE, || {
        let field = field.text("field").ok().and_then(|name| error?.field(name));
        stayline_view::maybe(field.and_then(Value::as_str))
    })
}

/// A field that is an integer, by its name (`docs/errors.md`).
///
/// - `out_value`: may be NULL; 0 when there is no such field.
///
/// Returns whether there is such a field. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_error_integer(
    error: Option<&stayline_error>,
    field: stayline_view,
    out_value: Option<&mut MaybeUninit<i64>>,
) -> bool {
    boundary::plain(false, || {
        let field = field.text("field").ok().and_then(|name| error?.field(name));
        let value = field.and_then(|value| {
            value.as_i64().or_else(|| value.as_u64().map(|value| value.min(i64::MAX as u64) as i64))
        });
        if let Some(out_value) = out_value {
            out_value.write(value.unwrap_or(0));
        }
        value.is_some()
    })
}

/// All of it as a JSON object: `name`, `message`, and each field by its name.
///
/// Returns a view that lives as long as the error; none for NULL. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_error_json(error: Option<&stayline_error>) -> stayline_view {
    boundary::plain(stayline_view::NONE, || {
        let Some(error) = error else { return stayline_view::NONE };
        let text = error.json.get_or_init(|| {
            let mut all = Map::new();
            all.insert("name".into(), json!(error.failure.error.name()));
            all.insert("message".into(), json!(error.message));
            let fields = error.fields.iter();
            all.extend(fields.map(|(name, value)| ((*name).to_owned(), value.clone())));
            Value::Object(all).to_string()
        });
        stayline_view::of(text)
    })
}

/// The HTTP status with which a server answers this error; 500 where the table names none.
///
/// Returns 200 for NULL. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_error_http_status(error: Option<&stayline_error>) -> u16 {
    error.map_or(200, |error| error.failure.error.row().http.unwrap_or(500))
}

/// For hosts that accept wrappers on sockets of their own: the `Stayline-Refusal` header with
/// which to answer the handshake that this error refuses. With it a wrapper stops; without it, it
/// tries again (R46).
///
/// Returns a view that lives as long as the library; none where no such header is to be sent: the
/// error is no refusal, or the attempt was merely overtaken by a newer one (R45a). Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_error_refusal(error: Option<&stayline_error>) -> stayline_view {
    boundary::plain(stayline_view::NONE, || {
        let Some(error) = error.filter(|error| !error.failure.is_passing) else {
            return stayline_view::NONE;
        };
        let refusal = match error.failure.error {
            Error::NotFound { .. } => Refusal::NotFound,
            Error::Unauthorized => Refusal::Unauthorized,
            Error::ExecutionNotActive { .. } => Refusal::NotActive,
            Error::Superseded => Refusal::Superseded,
            Error::InvalidArgument { .. } => Refusal::BadRequest,
            _ => return stayline_view::NONE,
        };
        stayline_view::of(refusal.as_str())
    })
}

/// Frees an error; NULL is fine. Views of its texts end with it.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_error_free(error: Option<Box<stayline_error>>) {
    drop(error);
}

/// The stable name of a status: `NotFound`, `Ok`.
///
/// Returns a view that lives as long as the library; none for a number that this version does not
/// know. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_status_name(status: i32) -> stayline_view {
    if status == stayline_status::Ok as i32 {
        return stayline_view::of("Ok");
    }
    let row = ERRORS.iter().find(|row| i32::from(row.number) == status);
    stayline_view::maybe(row.map(|row| row.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_rows_of_the_error_table() {
        assert_eq!(stayline_status::ALL.len(), ERRORS.len() + 1);
        for (status, row) in stayline_status::ALL.iter().skip(1).zip(ERRORS) {
            assert_eq!(*status as i32, i32::from(row.number));
            assert_eq!(format!("{status:?}"), row.name);
        }
    }
}
