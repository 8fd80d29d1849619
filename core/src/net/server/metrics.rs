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
use super::rest;
use crate::coordinator::EXPOSITION_TYPE;

/// `GET /metrics`.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Reply {
    rest::read(&shared, &headers, |coordinator| match coordinator.metrics() {
        Ok(metrics) => {
            let mut answer = Reply::new(Body::from(metrics.exposition()));
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EXPOSITION_TYPE));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            answer
        }
        Err(error) => reply::error(&error),
    })
    .await
}
