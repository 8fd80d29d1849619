//! The handshake of `/ingest`: the checks of R25 in their order, and the two modes.
//!
//! A refusal carries `Stayline-Refusal`, so that the wrapper knows that it is final; whatever may
//! go away by itself (a failing store, an attempt that a newer one overtook) does not (R46).

use std::sync::Arc;

use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue};

use super::Shared;
use super::access;
use super::link;
use super::parameters::Parameters;
use super::reply::{self, Reply};
use crate::Error;
use crate::coordinator::{AttachOptions, AttachRefusal, Credential, Link};
use crate::protocol::{PROTOCOL_ACKNOWLEDGED, PROTOCOL_HEADER};

/// Room for an idle link must stay small: there may be many.
const READ_BUFFER_BYTES: usize = 4 * 1024;
const WRITE_BUFFER_BYTES: usize = 4 * 1024;

/// A frame over `max_frame_bytes` is answered, not a reason to close (R28); so the socket itself
/// takes this many times as much, within [`SOCKET_LIMIT_BYTES`]. Beyond that the link breaks.
const SOCKET_LIMIT_FACTOR: usize = 16;
const SOCKET_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// `GET …/ingest`.
pub(super) async fn ingest(
    State(shared): State<Arc<Shared>>,
    Path(session_id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Reply {
    let Ok(upgrade) = upgrade else { return reply::upgrade_required() };
    let parameters = Parameters::parse(query.as_deref());
    let request = match Request::read(session_id, &headers, &parameters) {
        Ok(request) => request,
        Err(error) => return reply::refused(&error, true),
    };
    let watch = shared.lifetime.watch();
    let attaching = Arc::clone(&shared);
    // Attaching waits for a commit, and the host's hook may take its time.
    let attached = tokio::task::spawn_blocking(move || request.attach(&attaching)).await;
    let link = match attached {
        Ok(Ok(link)) => link,
        Ok(Err(refused)) => return reply::refused(&refused.error, refused.is_final),
        Err(_) => {
            let error = Error::Panic { detail: "attaching a link failed".into() };
            return reply::refused(&error, false);
        }
    };
    let settings = shared.coordinator.settings();
    let acknowledged = link.is_acknowledged();
    let pace = link::Pace::of(settings);
    let limit = socket_limit(settings.max_frame_bytes);
    let mut granted = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(limit)
        .max_frame_size(limit)
        // The link is dropped with the closure when the upgrade fails: closed, 1006.
        .on_upgrade(move |socket| link::run(socket, link, pace, watch));
    if acknowledged {
        let version = HeaderValue::from(u16::from(PROTOCOL_ACKNOWLEDGED));
        granted.headers_mut().insert(PROTOCOL_HEADER, version);
    }
    granted
}

/// What a wrapper asks for.
struct Request {
    session_id: String,
    execution_id: String,
    bearer: Option<String>,
    acknowledged: bool,
    producer: Option<String>,
    attempt: Option<u64>,
}

impl Request {
    fn read(
        session_id: String,
        headers: &HeaderMap,
        parameters: &Parameters,
    ) -> Result<Request, Error> {
        let execution_id = parameters
            .get("executionId")
            .ok_or_else(|| Error::invalid("the query has no executionId"))?
            .to_owned();
        let version = PROTOCOL_ACKNOWLEDGED.to_string();
        let asked = headers.get(PROTOCOL_HEADER).and_then(|value| value.to_str().ok());
        let acknowledged = asked.or(parameters.get("protocol")) == Some(version.as_str());
        let producer = parameters.get("producer").map(str::to_owned);
        let attempt = parameters.number("attempt");
        if acknowledged && (producer.is_none() || attempt.is_none()) {
            return Err(Error::invalid("protocol 2 needs producer and attempt in the query"));
        }
        let bearer = access::bearer(headers).or(parameters.get("token")).map(str::to_owned);
        Ok(Request { session_id, execution_id, bearer, acknowledged, producer, attempt })
    }

    /// Blocks until the attach is committed.
    fn attach(self, shared: &Shared) -> Result<Link, AttachRefusal> {
        let refusal = |error: Error| AttachRefusal { error, is_final: true };
        let session = shared.coordinator.session(&self.session_id).map_err(refusal)?;
        let credential = match &shared.authorize {
            None => Credential::Token(self.bearer),
            Some(authorize) => {
                // That the execution is known comes before who asks (R25).
                session.execution(&self.execution_id).map_err(refusal)?;
                if !authorize(&self.session_id, &self.execution_id, self.bearer.as_deref()) {
                    return Err(refusal(Error::Unauthorized));
                }
                Credential::Trusted
            }
        };
        let options = AttachOptions {
            execution_id: self.execution_id,
            credential,
            acknowledged: self.acknowledged,
            producer: self.producer.filter(|_| self.acknowledged),
            attempt: self.attempt.filter(|_| self.acknowledged),
        };
        session.attach_or_refuse(options)
    }
}

fn socket_limit(max_frame_bytes: u32) -> usize {
    let largest = usize::try_from(max_frame_bytes).unwrap_or(usize::MAX);
    let multiple = largest.saturating_mul(SOCKET_LIMIT_FACTOR).min(SOCKET_LIMIT_BYTES);
    // A setting beyond the bound still gets a little more than itself.
    multiple.max(largest.saturating_add(64 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, headers: &[(&'static str, &'static str)]) -> Result<Request, Error> {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse().expect("a header"), HeaderValue::from_static(value))
        });
        let headers = HeaderMap::from_iter(headers);
        Request::read("s".into(), &headers, &Parameters::parse(Some(query)))
    }

    #[test]
    fn the_mode_is_asked_for_by_header_or_query() {
        let basic = read("executionId=e", &[]).unwrap();
        assert!(!basic.acknowledged && basic.bearer.is_none());
        let query = "executionId=e&producer=p&attempt=3";
        let by_header = read(query, &[("stayline-protocol", "2")]).unwrap();
        assert!(by_header.acknowledged);
        assert_eq!((by_header.producer.as_deref(), by_header.attempt), (Some("p"), Some(3)));
        assert!(read(&format!("{query}&protocol=2"), &[]).unwrap().acknowledged);
        assert!(!read(query, &[("stayline-protocol", "7")]).unwrap().acknowledged);
    }

    #[test]
    fn requests_that_lack_something_are_bad() {
        for (query, headers) in [
            ("", &[][..]),
            ("executionId=", &[][..]),
            ("executionId=e&producer=p&protocol=2", &[][..]),
            ("executionId=e&attempt=1", &[("stayline-protocol", "2")][..]),
            ("executionId=e&producer=p&attempt=x&protocol=2", &[][..]),
        ] {
            let error = read(query, headers).err().expect(query);
            assert_eq!(error.name(), "InvalidArgument", "{query}");
        }
    }

    #[test]
    fn the_token_comes_by_header_or_query() {
        let by_query = read("executionId=e&token=t", &[]).unwrap();
        assert_eq!(by_query.bearer.as_deref(), Some("t"));
        let both = read("executionId=e&token=t", &[("authorization", "Bearer h")]).unwrap();
        assert_eq!(both.bearer.as_deref(), Some("h"));
    }

    #[test]
    fn the_socket_takes_more_than_the_largest_frame() {
        assert_eq!(socket_limit(1_048_576), 16 * 1_048_576);
        assert_eq!(socket_limit(16 * 1_048_576), 64 * 1_048_576);
        assert_eq!(socket_limit(128 * 1_048_576), 128 * 1_048_576 + 65_536);
    }
}
