//! What happens to every request before and after its route: whether its peer counts as let in,
//! and its body, which is read before the answer goes out, whoever it was for.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::Shared;
use super::budget::{Held, Share};
use super::door::Peer;
use super::reply::{self, Reply};
use crate::Error;
use crate::lock::Mutex;

/// Stands before everything else.
pub(super) async fn front(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request,
    next: Next,
) -> Reply {
    if !peer.begins() {
        peer.set_lingering();
        return reply::unavailable("max_unauthenticated_sockets");
    }
    let has_key = shared.access.check_key(request.headers()).is_ok();
    let waits_for_us = request.headers().contains_key(header::EXPECT);
    let (mut parts, body) = request.into_parts();
    let upload = Upload::new(body, &parts.headers);
    parts.extensions.insert(upload.clone());
    let answer = next.run(Request::from_parts(parts, Body::empty())).await;
    let mut answer = reply::worded(answer);
    let streams = answer.status() == StatusCode::SWITCHING_PROTOCOLS || is_stream(&answer);
    if streams {
        peer.set_patient();
    }
    peer.ends(has_key || streams);
    // Some clients are not ready for an answer before they have sent all; one that waits for our
    // word before it sends has sent nothing.
    if !waits_for_us && !upload.discard(&shared).await {
        peer.set_lingering();
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(held) = answer.extensions_mut().remove::<Held>() {
        peer.hold(held);
    }
    answer
}

fn is_stream(answer: &Reply) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes() == b"text/event-stream")
}

/// The body of a request, read when it is known that it may be.
#[derive(Clone)]
pub(super) struct Upload(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    /// `None`: there is none, or it was read.
    stream: Option<BodyDataStream>,
    /// How long it is, as its head says.
    announced: Option<u64>,
    /// It has failed: the rest is not worth reading.
    is_broken: bool,
}

impl Upload {
    fn new(body: Body, headers: &HeaderMap) -> Upload {
        let announced: Option<u64> =
            headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let is_there = match announced {
            Some(bytes) => bytes > 0,
            None => headers.contains_key(header::TRANSFER_ENCODING),
        };
        let stream = is_there.then(|| body.into_data_stream());
        Upload(Arc::new(Mutex::new(Content { stream, announced, is_broken: false })))
    }

    /// All of it; or the answer to one that is too long, too slow, or broken.
    pub(super) async fn read(&self, shared: &Shared) -> Result<Received, Reply> {
        let (stream, announced) = {
            let mut content = self.0.lock();
            (content.stream.take(), content.announced)
        };
        let Some(mut stream) = stream else { return Ok(Received::default()) };
        let most = shared.limits.max_body_bytes;
        let read = match announced {
            Some(bytes) if bytes > most as u64 => Err(Failure::TooLong),
            _ => read_all(&mut stream, shared).await,
        };
        read.map_err(|failure| {
            let mut content = self.0.lock();
            content.is_broken = matches!(failure, Failure::TooSlow | Failure::Broken(_));
            content.stream = Some(stream);
            match failure {
                Failure::TooLong => reply::too_long(most),
                Failure::TooSlow => reply::too_slow(shared.limits.body_timeout),
                Failure::TooMany(error) => reply::error(&error),
                Failure::Broken(error) => reply::broken_body(&error),
            }
        })
    }

    /// Reads what nobody wanted and keeps nothing of it; `false`: there is more, or it is too slow.
    async fn discard(&self, shared: &Shared) -> bool {
        let (stream, is_broken) = {
            let mut content = self.0.lock();
            (content.stream.take(), content.is_broken)
        };
        let Some(mut stream) = stream else { return true };
        let until = Instant::now() + shared.limits.body_timeout;
        let mut bytes = 0;
        while bytes <= shared.limits.max_body_bytes && !is_broken {
            match tokio::time::timeout_at(until, stream.next()).await {
                Ok(None) => return true,
                Ok(Some(Ok(chunk))) => bytes += chunk.len(),
                Ok(Some(Err(_))) | Err(_) => return false,
            }
        }
        false
    }
}

/// A whole body, with its share of the budget.
#[derive(Default)]
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    _share: Share,
}

enum Failure {
    TooLong,
    TooSlow,
    TooMany(Error),
    Broken(axum::Error),
}

async fn read_all(stream: &mut BodyDataStream, shared: &Shared) -> Result<Received, Failure> {
    let until = Instant::now() + shared.limits.body_timeout;
    let (mut bytes, mut share) = (Vec::new(), Share::default());
    loop {
        let next = tokio::time::timeout_at(until, stream.next()).await;
        match next.map_err(|_| Failure::TooSlow)? {
            None => return Ok(Received { bytes, _share: share }),
            Some(Err(error)) => return Err(Failure::Broken(error)),
            Some(Ok(chunk)) => {
                let length = bytes.len() + chunk.len();
                if length > shared.limits.max_body_bytes {
                    return Err(Failure::TooLong);
                }
                shared.budgets.body(&mut share, length).map_err(Failure::TooMany)?;
                bytes.extend_from_slice(&chunk);
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Upload {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Upload, Self::Rejection> {
        let none = || Upload(Arc::new(Mutex::new(Content::default())));
        Ok(parts.extensions.get::<Upload>().cloned().unwrap_or_else(none))
    }
}
