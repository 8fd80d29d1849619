//! One connection attempt: TCP, TLS where asked for, and the upgrade with its answer.
//!
//! Each part has its own time (R48). Whatever goes wrong becomes a [`Refused`], and only our own
//! header makes it final for the machine (R46).

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::http::HeaderMap;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::address::Address;
use crate::protocol::{PROTOCOL_HEADER, REFUSAL_HEADER, Refusal, STATUS_HEADER};
use crate::session::records::Status;
use crate::wrapper::Refused;

const READ_BUFFER_BYTES: usize = 4 * 1024;
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// Acknowledgements are tiny; only the text of an error may be long.
const LARGEST_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// A connection, with TLS or without.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// An upgraded connection.
pub(super) type Socket = WebSocketStream<Box<dyn Transport>>;

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
    let transport = tokio::time::timeout(attempt.dial_timeout, dial(&address))
        .await
        .map_err(|_| failed("connecting took too long"))??;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(LARGEST_FRAME_BYTES))
        .max_frame_size(Some(LARGEST_FRAME_BYTES));
    let upgrading = client_async_with_config(request, transport, Some(config));
    let (socket, response) = tokio::time::timeout(attempt.upgrade_timeout, upgrading)
        .await
        .map_err(|_| failed("the upgrade was not answered in time"))?
        .map_err(refused)?;
    let granted = response.headers().get(PROTOCOL_HEADER);
    let granted = granted.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Ok((socket, granted))
}

async fn dial(address: &Address) -> Result<Box<dyn Transport>, Refused> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(failed)?;
    // Small frames go out at once.
    stream.set_nodelay(true).map_err(failed)?;
    if address.secure { secure(address, stream).await } else { Ok(Box::new(stream)) }
}

#[cfg(feature = "tls")]
async fn secure(address: &Address, stream: TcpStream) -> Result<Box<dyn Transport>, Refused> {
    let stream = super::tls::secure(&address.host, stream).await.map_err(failed)?;
    Ok(Box::new(stream))
}

#[cfg(not(feature = "tls"))]
async fn secure(_: &Address, _: TcpStream) -> Result<Box<dyn Transport>, Refused> {
    Err(failed("this build has no TLS"))
}

fn failed(why: impl Display) -> Refused {
    Refused { status: None, refusal: None, execution_status: None, detail: why.to_string() }
}

fn refused(error: SocketError) -> Refused {
    let SocketError::Http(response) = error else { return failed(error) };
    let text = |headers: &HeaderMap, name: &str| -> Option<String> {
        Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
    };
    let headers = response.headers();
    let body = response.body().as_deref().map(String::from_utf8_lossy);
    let line = body.as_deref().and_then(|body| body.lines().next()).unwrap_or_default();
    Refused {
        status: Some(response.status().as_u16()),
        refusal: text(headers, REFUSAL_HEADER).and_then(|name| Refusal::parse(&name)),
        execution_status: text(headers, STATUS_HEADER).and_then(|name| Status::parse(&name)),
        detail: line.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::http::Response;

    #[test]
    fn a_refusal_is_read_with_its_status_and_line() {
        let response = Response::builder()
            .status(409)
            .header(REFUSAL_HEADER, "not_active")
            .header(STATUS_HEADER, "failed")
            .body(Some(b"it is failed\nmore".to_vec()))
            .unwrap();
        let read = refused(SocketError::Http(Box::new(response)));
        assert_eq!((read.status, read.refusal), (Some(409), Some(Refusal::NotActive)));
        assert_eq!(read.execution_status, Some(Status::Failed));
        assert_eq!(read.detail, "it is failed");
    }

    #[test]
    fn without_our_header_it_is_only_a_failed_attempt() {
        let response = Response::builder().status(409).body(None).unwrap();
        let read = refused(SocketError::Http(Box::new(response)));
        assert_eq!((read.status, read.refusal), (Some(409), None));
    }
}
