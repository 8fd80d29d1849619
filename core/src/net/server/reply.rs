//! Answers: JSON, and one line with our headers for wrappers that are refused.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::protocol::{REFUSAL_HEADER, Refusal, STATUS_HEADER};

/// When to try again, in seconds.
const SOON: HeaderValue = HeaderValue::from_static("1");

/// What every handler returns.
pub(super) type Reply = Response<Body>;

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &Value) -> Reply {
    let mut reply = Response::new(Body::from(body.to_string()));
    *reply.status_mut() = status;
    reply.extensions_mut().insert(Ours);
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
    if matches!(error, Error::LimitExceeded { .. }) {
        reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    reply
}

/// An error that is not in the table, with its own status, in the same shape.
pub(super) fn problem(status: StatusCode, name: &str, message: &str) -> Reply {
    json(status, &json!({"error": name, "message": message}))
}

/// A body that is longer than it may be.
pub(super) fn too_long(most: usize) -> Reply {
    let message = format!("the body is longer than max_body_bytes, {most}");
    let body = json!({
        "error": "LimitExceeded", "message": message, "limit": "max_body_bytes", "value": most,
    });
    json(StatusCode::PAYLOAD_TOO_LARGE, &body)
}

/// A body that does not come to its end.
pub(super) fn too_slow(timeout: Duration) -> Reply {
    let message = format!("the body did not come in {} s", timeout.as_secs_f64());
    problem(StatusCode::REQUEST_TIMEOUT, "Timeout", &message)
}

/// A body that cannot be read.
pub(super) fn broken_body(error: &axum::Error) -> Reply {
    self::error(&Error::invalid(format!("the body cannot be read: {error}")))
}

/// What was asked could not be done, by no fault of whoever asked.
pub(super) fn failed(error: &Error) -> Reply {
    let mut reply = self::error(error);
    if matches!(error, Error::LimitExceeded { .. }) {
        *reply.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    reply
}

/// There is no room: try again.
pub(super) fn unavailable(limit: &'static str) -> Reply {
    let error = Error::LimitExceeded { limit, value: 1 };
    let mut reply = self::error(&error);
    *reply.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    reply
}

/// The same as it goes over the wire, for a peer that has not asked anything.
pub(super) fn full(limit: &str) -> Vec<u8> {
    let message = format!("{limit} is reached; try again");
    let body = json!({"error": "LimitExceeded", "message": message, "limit": limit});
    raw("503 Service Unavailable", "retry-after: 1\r\n", &body)
}

/// An answer to what is no HTTP, or no HTTP that is served here, from the library's empty one.
pub(super) fn malformed(head: &[u8]) -> Vec<u8> {
    let head = String::from_utf8_lossy(head);
    let line = head.lines().next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.1 ").unwrap_or("400 Bad Request");
    let message = match status.split(' ').next() {
        Some("414") => "the address is too long",
        Some("431") => "the head of the request is longer than max_head_bytes",
        _ => "this is no HTTP request",
    };
    raw(status, "", &json!({"error": "InvalidArgument", "message": message}))
}

/// For a peer that speaks HTTP to a port with TLS. The status is that of other servers.
#[cfg(feature = "tls")]
pub(super) fn speaks_tls() -> Vec<u8> {
    let message = "this port speaks TLS: use https://";
    raw("400 Bad Request", "", &json!({"error": "InvalidArgument", "message": message}))
}

fn raw(status: &str, headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\n{headers}connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// An answer in words of ours: it passes [`worded`] as it is.
#[derive(Clone)]
struct Ours;

/// What a library has refused, in the shape of all errors.
pub(super) fn worded(reply: Reply) -> Reply {
    let status = reply.status();
    let refused = status.is_client_error() || status.is_server_error();
    if !refused || reply.extensions().get::<Ours>().is_some() {
        return reply;
    }
    let message = status.canonical_reason().unwrap_or("refused").to_lowercase();
    problem(status, "InvalidArgument", &format!("the request is not understood: {message}"))
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
    reply.extensions_mut().insert(Ours);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    reply.headers_mut().insert(header::CONTENT_TYPE, plain);
    reply
}

/// The request is no WebSocket upgrade, and why (R25).
pub(super) fn upgrade_required(why: &str) -> Reply {
    let mut reply = problem(StatusCode::UPGRADE_REQUIRED, "InvalidArgument", why);
    let headers = reply.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
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
    } else if reply.status() == StatusCode::SERVICE_UNAVAILABLE {
        reply.headers_mut().insert(header::RETRY_AFTER, SOON);
    }
    reply
}

/// Nothing is known against the wrapper: it tries again (R25).
pub(super) fn later(why: &str) -> Reply {
    let mut reply = line(StatusCode::SERVICE_UNAVAILABLE, why);
    reply.headers_mut().insert(header::RETRY_AFTER, SOON);
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
        assert_eq!(store.headers()[header::RETRY_AFTER], "1");
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
