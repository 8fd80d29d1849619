//! One connection attempt: TCP, by way of a proxy or not, TLS where asked for, and the upgrade
//! with its answer.
//!
//! Each part has its own time (R48). Whatever goes wrong becomes a [`Refused`], and only our own
//! header makes it final for the machine (R46); see `refusal`.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::address::Address;
use super::counted::Counted;
use super::dial::{Dialed, Route};
use super::refusal;
use crate::net::tcp::Tcp;
use crate::protocol::PROTOCOL_HEADER;
use crate::wrapper::Refused;

const READ_BUFFER_BYTES: usize = 4 * 1024;
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// Acknowledgements are tiny; only the text of an error may be long. One that is larger breaks the
/// connection.
const LARGEST_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// A connection, with TLS or without.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// An upgraded connection.
pub(super) type Socket = WebSocketStream<Counted>;

/// What one attempt asks for.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) number: u64,
    pub(super) protocol: Option<u8>,
    pub(super) producer: Option<Arc<str>>,
    /// For TCP and TLS.
    pub(super) dial_timeout: Duration,
    /// For the answer to the upgrade.
    pub(super) upgrade_timeout: Duration,
}

/// Connects; the second part is the protocol that was granted.
pub(super) async fn connect(
    address: Address,
    attempt: Attempt,
) -> Result<(Socket, Option<u8>), Refused> {
    let request = address
        .request(attempt.number, attempt.protocol, attempt.producer.as_deref())
        .map_err(failed)?;
    let deadline = Instant::now() + attempt.dial_timeout;
    let route = &address.route;
    let Dialed { stream, peer } = route.connect(attempt.dial_timeout).await.map_err(failed)?;
    let answered = async {
        let transport = tokio::time::timeout_at(deadline, secured(route, stream))
            .await
            .map_err(|_| failed(format!("TLS{} took too long", route.by_way_of())))??;
        let asked = address.shown();
        upgrade(request, &asked, Counted::new(transport), attempt.upgrade_timeout).await
    };
    let answered = answered.await;
    // A refusal is an answer, too.
    if answered.as_ref().map_or_else(|refused| refused.status.is_some(), |_| true) {
        peer.answered();
    }
    answered
}

async fn upgrade(
    request: Request<()>,
    asked: &str,
    transport: Counted,
    limit: Duration,
) -> Result<(Socket, Option<u8>), Refused> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(LARGEST_FRAME_BYTES))
        .max_frame_size(Some(LARGEST_FRAME_BYTES));
    let upgrading = client_async_with_config(request, transport, Some(config));
    let (socket, response) = tokio::time::timeout(limit, upgrading)
        .await
        .map_err(|_| failed("the upgrade was not answered in time"))?
        .map_err(|error| refusal::read(error, asked))?;
    let granted = response.headers().get(PROTOCOL_HEADER);
    let granted = granted.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Ok((socket, granted))
}

async fn secured(route: &Route, stream: TcpStream) -> Result<Box<dyn Transport>, Refused> {
    let stream = Tcp::new(stream);
    if route.secure { secure(&route.host, stream).await } else { Ok(Box::new(stream)) }
}

#[cfg(feature = "tls")]
async fn secure(host: &str, stream: Tcp) -> Result<Box<dyn Transport>, Refused> {
    let stream = super::tls::secure(host, stream).await.map_err(failed)?;
    Ok(Box::new(stream))
}

#[cfg(not(feature = "tls"))]
async fn secure(_: &str, _: Tcp) -> Result<Box<dyn Transport>, Refused> {
    Err(failed("this build has no TLS"))
}

fn failed(why: impl Display) -> Refused {
    Refused { detail: why.to_string(), ..Refused::default() }
}
