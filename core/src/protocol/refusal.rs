//! Why an attach is refused, as the built-in server answers it (R25).

use crate::Error;

/// The value of the `Stayline-Refusal` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Session or execution unknown.
    NotFound,
    /// Token or ticket missing or wrong.
    Unauthorized,
    /// The execution has ended.
    NotActive,
    /// Another wrapper took over.
    Superseded,
    /// The request itself is malformed.
    BadRequest,
}

impl Refusal {
    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::NotFound => "not_found",
            Refusal::Unauthorized => "unauthorized",
            Refusal::NotActive => "not_active",
            Refusal::Superseded => "superseded",
            Refusal::BadRequest => "bad_request",
        }
    }

    /// Reads the header's value; `None` for one that this version does not know.
    pub fn parse(text: &str) -> Option<Refusal> {
        [
            Refusal::NotFound,
            Refusal::Unauthorized,
            Refusal::NotActive,
            Refusal::Superseded,
            Refusal::BadRequest,
        ]
        .into_iter()
        .find(|refusal| refusal.as_str() == text)
    }

    /// The refusal that stands for an error of attach; `None` for errors that are no refusals
    /// (a failing store), which must not be final for the wrapper.
    pub fn of(error: &Error) -> Option<Refusal> {
        match error {
            Error::NotFound { .. } => Some(Refusal::NotFound),
            Error::Unauthorized => Some(Refusal::Unauthorized),
            Error::ExecutionNotActive { .. } => Some(Refusal::NotActive),
            Error::Superseded => Some(Refusal::Superseded),
            Error::InvalidArgument { .. } => Some(Refusal::BadRequest),
            _ => None,
        }
    }
}
