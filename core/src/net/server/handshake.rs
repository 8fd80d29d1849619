//! Whether a request is a WebSocket upgrade, however it is written.
//!
//! HTTP lets a list stand on one line or on several, in letters of any case, with more in it than
//! what is meant; proxies and clients make use of all of that. What the library looks for is one
//! line with one word; so the lines are made so first. What is no upgrade is told why, since whoever
//! sees it has a proxy to set up: 426, or 400 for what RFC 6455 forbids. Neither is final for a
//! wrapper (R25).

use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};

use super::reply::{self, Reply};

/// A request that is an upgrade.
pub(super) struct Handshake(pub(super) WebSocketUpgrade);

impl<S: Send + Sync> FromRequestParts<S> for Handshake {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Handshake, Reply> {
        let headers = &mut parts.headers;
        let asks = names(headers, header::CONNECTION, "upgrade")
            && names(headers, header::UPGRADE, "websocket");
        if asks && parts.version < Version::HTTP_11 {
            return Err(reply::upgrade_required(
                "this came by HTTP/1.0, which knows no upgrades: let the proxy in front speak \
                 HTTP/1.1 (nginx: proxy_http_version 1.1)",
            ));
        }
        if asks {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            // Where the request ends and the frames begin must be no matter of opinion.
            if has_body(headers) {
                return Err(bad("a WebSocket upgrade has no body"));
            }
            if headers.get(header::SEC_WEBSOCKET_KEY).is_some_and(|key| !is_key(key)) {
                return Err(bad("Sec-WebSocket-Key is no base64 of 16 bytes"));
            }
        }
        let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
        upgrade.map(Handshake).map_err(|why| {
            tracing::debug!(%why, "no WebSocket upgrade");
            reply::upgrade_required("this address speaks WebSocket only")
        })
    }
}

fn bad(why: &str) -> Reply {
    reply::problem(StatusCode::BAD_REQUEST, "InvalidArgument", why)
}

/// Whether a header that is a list has this word in it.
fn names(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(word))
}

fn has_body(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    lengths.any(|length| length.as_bytes() != b"0")
        || headers.contains_key(header::TRANSFER_ENCODING)
}

/// 16 bytes in base64: 22 letters and two signs that fill up.
fn is_key(key: &HeaderValue) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let letters = key.as_bytes().strip_suffix(b"==");
    letters.is_some_and(|letters| letters.len() == 22 && letters.iter().all(is_letter))
}
