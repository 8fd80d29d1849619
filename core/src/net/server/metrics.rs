//! `/metrics`: what the coordinator counts, for Prometheus (`docs/rest.md`).
//!
//! Asked for with the key where there is one: a scraper sends it as its bearer token. The numbers
//! are looked up in memory, so an answer waits for no commit; it walks the live sessions, which
//! is done on a thread that no socket needs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};

use super::Shared;
use super::reply::{self, Reply};
use crate::Error;
use crate::coordinator::EXPOSITION_TYPE;

/// `GET /metrics`.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Reply {
    if let Err(error) = shared.access.check_key(&headers) {
        return reply::error(&error);
    }
    let looking =
        tokio::task::spawn_blocking(move || shared.coordinator.metrics().map(|m| m.exposition()));
    match looking.await {
        Ok(Ok(page)) => {
            let mut answer = Reply::new(Body::from(page));
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EXPOSITION_TYPE));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            answer
        }
        Ok(Err(error)) => reply::error(&error),
        Err(_) => reply::error(&Error::Panic { detail: "counting failed".into() }),
    }
}
