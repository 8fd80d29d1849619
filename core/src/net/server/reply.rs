//! Answers: JSON for REST, one line with our headers for refused handshakes.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::protocol::{REFUSAL_HEADER, Refusal, STATUS_HEADER};

/// What every handler returns.
pub(super) type Reply = Response<Body>;

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &Value) -> Reply {
    let mut reply = Response::new(Body::from(body.to_string()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Statuses change from one moment to the next.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// An error as JSON: its name, its text and its fields.
pub(super) fn error(error: &Error) -> Reply {
    let mut body = Map::new();
    body.insert("error".into(), json!(error.name()));
    body.insert("message".into(), json!(error.to_string()));
    body.extend(error.fields().into_iter().map(|(name, value)| (name.to_owned(), value)));
    let mut reply = json(status_of(error), &Value::Object(body));
    if matches!(error, Error::Unauthorized) {
        reply.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    reply
}

/// The error table's status.
pub(super) fn status_of(error: &Error) -> StatusCode {
    let status = error.row().http.and_then(|status| StatusCode::from_u16(status).ok());
    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// One line of text.
pub(super) fn line(status: StatusCode, text: &str) -> Reply {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut reply = Response::new(Body::from(text + "\n"));
    *reply.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    reply.headers_mut().insert(header::CONTENT_TYPE, plain);
    reply
}

/// The request is no WebSocket upgrade (R25).
pub(super) fn upgrade_required() -> Reply {
    let mut reply = line(StatusCode::UPGRADE_REQUIRED, "this address speaks WebSocket only");
    let headers = reply.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    reply
}

/// A refused attach. `final_for_wrapper`: with our header, so that the wrapper does not come
/// again (R46); never for a failing store.
pub(super) fn refused(error: &Error, final_for_wrapper: bool) -> Reply {
    let mut reply = line(status_of(error), &error.to_string());
    let refusal = Refusal::of(error).filter(|_| final_for_wrapper);
    if let Some(refusal) = refusal {
        let headers = reply.headers_mut();
        headers.insert(REFUSAL_HEADER, HeaderValue::from_static(refusal.as_str()));
        if let Error::ExecutionNotActive { status } = error {
            headers.insert(STATUS_HEADER, HeaderValue::from_static(status));
        }
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_final_only_where_they_are_refusals() {
        let ended = refused(&Error::ExecutionNotActive { status: "failed" }, true);
        assert_eq!(ended.status(), StatusCode::CONFLICT);
        assert_eq!(ended.headers()[REFUSAL_HEADER], "not_active");
        assert_eq!(ended.headers()[STATUS_HEADER], "failed");
        let store = refused(&Error::StoreError { detail: "x".into() }, true);
        assert_eq!(store.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!store.headers().contains_key(REFUSAL_HEADER));
        let stale = refused(&Error::Superseded, false);
        assert_eq!(stale.status(), StatusCode::CONFLICT);
        assert!(!stale.headers().contains_key(REFUSAL_HEADER));
    }

    #[test]
    fn errors_carry_name_message_and_fields() {
        let reply = error(&Error::ExecutionInProgress { active: "exc_1".into() });
        assert_eq!(reply.status(), StatusCode::CONFLICT);
        assert_eq!(reply.headers()[header::CONTENT_TYPE], "application/json");
        let unauthorized = error(&Error::Unauthorized);
        assert_eq!(unauthorized.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}
