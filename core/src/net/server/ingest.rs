//! The handshake of `/ingest`: the checks of R25 in their order, and the two modes.
//!
//! A refusal carries `Stayline-Refusal`, so that the wrapper knows that it is final: somebody
//! decided it. Whatever may go away by itself does not, and the wrapper tries again (R46): a failing
//! store, a hook that gave no answer, a server that closes, an upgrade that a later one overtook.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};

use super::Shared;
use super::access;
use super::authorize::{Asked, Authorization};
use super::door::Peer;
use super::handshake::Handshake;
use super::lifetime::{Phase, Watch};
use super::link;
use super::parameters::InPath;
use super::reply::{self, Reply};
use super::socket::Stuck;
use crate::Error;
use crate::coordinator::{AttachOptions, AttachRefusal, Credential, Link};
use crate::net::request::Parameters;
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
    Handshake(upgrade): Handshake,
    InPath(session_id): InPath<String>,
    parameters: Parameters,
    headers: HeaderMap,
    Extension(peer): Extension<Arc<Peer>>,
) -> Reply {
    let request = match Request::read(session_id, &headers, &parameters) {
        Ok(request) => request,
        Err(error) => return reply::refused(&error, true),
    };
    let watch = shared.lifetime.watch();
    let link = match request.admit(&shared, watch.clone()).await {
        Ok(link) => link,
        Err(Refused::Error(refusal)) => return reply::refused(&refusal.error, refusal.is_final),
        Err(Refused::Later(why)) => return reply::later(why),
    };
    let settings = shared.coordinator.settings();
    let acknowledged = link.is_acknowledged();
    let pace = link::Pace::of(settings);
    let stuck = Stuck::new(peer, &shared.limits);
    let limit = socket_limit(settings.max_frame_bytes);
    let mut granted = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(limit)
        .max_frame_size(limit)
        // The link is dropped with the closure when the upgrade fails: closed, 1006.
        .on_upgrade(move |socket| link::run(socket, link, pace, stuck, watch));
    if acknowledged {
        let version = HeaderValue::from(u16::from(PROTOCOL_ACKNOWLEDGED));
        granted.headers_mut().insert(PROTOCOL_HEADER, version);
    }
    granted
}

/// Why there is no link.
enum Refused {
    /// A check failed, or could not be made.
    Error(AttachRefusal),
    /// Nothing is known against the wrapper: it is to come again.
    Later(&'static str),
}

impl From<Error> for Refused {
    /// What is no refusal of R25 is not final, whatever is said here ([`reply::refused`]).
    fn from(error: Error) -> Refused {
        Refused::Error(AttachRefusal { error, is_final: true })
    }
}

const CLOSING: Refused = Refused::Later("the server is closing; try again");
const OVERTAKEN: Refused =
    Refused::Later("a later attempt has attached; try again if it was not yours");
const UNDECIDED: Refused =
    Refused::Later("it cannot be told now whether this wrapper may attach; try again");
const READ_ONLY: Refused =
    Refused::Later("this server only reads the store; its owner takes wrappers");

/// What a wrapper asks for.
struct Request {
    session_id: Arc<str>,
    bearer: Option<Arc<str>>,
    options: AttachOptions,
}

impl Request {
    fn read(
        session_id: String,
        headers: &HeaderMap,
        parameters: &Parameters,
    ) -> Result<Request, Error> {
        let protocol = headers.get(PROTOCOL_HEADER).and_then(|value| value.to_str().ok());
        let bearer = access::bearer(headers).or(parameters.get("token"));
        let options = parameters.attach(protocol, bearer)?;
        Ok(Request { session_id: session_id.into(), bearer: bearer.map(Arc::from), options })
    }

    /// The checks of R25 behind the first two, and the attach.
    async fn admit(self, shared: &Arc<Shared>, mut watch: Watch) -> Result<Link, Refused> {
        if watch.phase() >= Phase::Closing {
            return Err(CLOSING);
        }
        if shared.coordinator.is_read_only() {
            return Err(READ_ONLY);
        }
        let execution_id = self.options.execution_id.as_str();
        let turn = shared.turns.draw(&self.session_id, &execution_id.into());
        let session = shared.coordinator.session(&self.session_id)?;
        let credential = match &shared.authorizer {
            None => self.options.credential.clone(),
            Some(authorizer) => {
                // That the execution is known comes before who asks.
                let (looking, execution_id) = (session.clone(), execution_id.to_owned());
                blocking(shared, move || looking.execution(&execution_id)).await??;
                let verdict = tokio::select! {
                    verdict = authorizer.ask(self.asked()) => verdict,
                    () = watch.reached(Phase::Closing) => return Err(CLOSING),
                };
                match verdict {
                    Authorization::Allow => Credential::Trusted,
                    Authorization::Deny => return Err(Error::Unauthorized.into()),
                    Authorization::Later => return Err(UNDECIDED),
                }
            }
        };
        let attaching = turn.take().await.ok_or(OVERTAKEN)?;
        let options = AttachOptions { credential, ..self.options };
        let attach = move || {
            let link = session.attach_or_refuse(options).map(Link::led_elsewhere);
            if link.is_ok() {
                attaching.done();
            }
            link
        };
        blocking(shared, attach).await?.map_err(Refused::Error)
    }

    fn asked(&self) -> Asked {
        Asked {
            session_id: Arc::clone(&self.session_id),
            execution_id: self.options.execution_id.as_str().into(),
            bearer: self.bearer.clone(),
        }
    }
}

/// Does what waits for a commit or reads the store.
async fn blocking<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    shared.pools.attaches.run(work).await.map_err(|error| {
        if let Some(more) = shared.admits("attach") {
            tracing::warn!("a wrapper could not be attached; it tries again: {error}{more}");
        }
        Refused::Later("this could not be done now; try again")
    })
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
        Request::read("s".into(), &headers, &Parameters::parse(Some(query))?)
    }

    #[test]
    fn the_mode_is_asked_for_by_header_or_query() {
        let basic = read("executionId=e", &[]).unwrap();
        assert!(!basic.options.acknowledged && basic.bearer.is_none());
        let query = "executionId=e&producer=p&attempt=3";
        let by_header = read(query, &[("stayline-protocol", "2")]).unwrap();
        assert!(by_header.options.acknowledged);
        assert_eq!(
            (by_header.options.producer.as_deref(), by_header.options.attempt),
            (Some("p"), Some(3))
        );
        assert!(read(&format!("{query}&protocol=2"), &[]).unwrap().options.acknowledged);
        assert!(!read(query, &[("stayline-protocol", "7")]).unwrap().options.acknowledged);
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
