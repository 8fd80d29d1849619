//! One accepted connection: TLS where the server speaks it, then requests, one after the other.
//!
//! Whoever connects may be silent, slow, or mistaken. So both the handshake and the head of each
//! request have a limit of time, and a peer that speaks plain HTTP to a server with TLS is told so
//! in plain HTTP. What follows a request's head has limits of its own: bodies in `front`, answers
//! in `transport`; links and streams are pinged.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::door::Peer;
use super::lifetime::{Phase, Watch};
use super::limits::ServerLimits;
use super::listener::Accepted;
use super::reply;
use super::tls::ServerTls;
use super::transport::Transport;

/// Serves it until it ends, or the server does.
pub(super) async fn serve(
    accepted: Accepted,
    tls: Option<ServerTls>,
    routes: Router,
    mut watch: Watch,
    peer: Arc<Peer>,
    limits: ServerLimits,
) {
    let Some(tls) = tls else {
        return requests(accepted, routes, watch, peer, &limits).await;
    };
    let secured = tokio::select! {
        secured = tokio::time::timeout(limits.handshake_timeout, tls.secure(accepted)) => secured,
        () = std::future::poll_fn(|context| peer.poll_sent_away(context)) => return,
        () = watch.reached(Phase::Closing) => return,
    };
    match secured {
        Ok(Ok(secured)) => requests(secured, routes, watch, peer, &limits).await,
        Ok(Err(error)) => tracing::debug!(%error, "no TLS came about with a peer"),
        Err(_) => tracing::debug!("a peer took too long for the handshake of TLS"),
    }
}

/// Answers what is asked. An upgrade ends this task; the link or stream has one of its own.
async fn requests<T>(
    transport: T,
    routes: Router,
    mut watch: Watch,
    peer: Arc<Peer>,
    limits: &ServerLimits,
) where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut killed = watch.clone();
    let transport = Transport::new(transport, Arc::clone(&peer), limits.stuck_timeout);
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Arc::clone(&peer));
        routes.call(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.max_head_bytes)
        .serve_connection(TokioIo::new(transport), service)
        .with_upgrades();
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = watch.reached(Phase::Closing) => {
            // What was asked is answered, and nothing more.
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                ended = serving => ended,
                () = killed.reached(Phase::Killed) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection broke");
    }
}

/// How many are told at the same time that there is no room for them; others are dropped.
static REFUSALS: Semaphore = Semaphore::const_new(64);
const REFUSAL_TIME: Duration = Duration::from_secs(2);

/// There are too many sockets for this one.
pub(super) async fn refuse(mut accepted: Accepted, has_tls: bool) {
    let Ok(_place) = REFUSALS.try_acquire() else { return };
    if has_tls {
        return;
    }
    let saying = async {
        accepted.write_all(&reply::full("max_sockets")).await?;
        accepted.shutdown().await?;
        // A socket that is closed with something unread takes the answer back.
        tokio::io::copy(&mut accepted.take(64 * 1024), &mut tokio::io::sink()).await
    };
    // The peer may be gone.
    let _ = tokio::time::timeout(REFUSAL_TIME, saying).await;
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::super::door::Door;
    use super::super::lifetime::Lifetime;
    use super::super::listener::Listener;
    use super::*;
    use crate::net::runtime;

    fn short() -> ServerLimits {
        let short = Duration::from_millis(50);
        ServerLimits { handshake_timeout: short, head_timeout: short, ..ServerLimits::default() }
    }

    /// Serves what a peer has begun to write; returns when the connection is over.
    fn over_after(begun: &'static [u8], tls: Option<ServerTls>) -> Vec<u8> {
        let (done, waiting) = std::sync::mpsc::channel();
        runtime::handle().unwrap().spawn(async move {
            let listening = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut near = TcpStream::connect(listening.local_addr().unwrap()).await.unwrap();
            // Before it is looked at, so that all of it is there however slow the machine is.
            near.write_all(begun).await.unwrap();
            let accepted = Listener::new(listening).accept(|_| ()).await;
            let lifetime = Lifetime::new();
            let peer = Door::new(&short()).enter().unwrap();
            let watch = lifetime.watch();
            tokio::spawn(serve(accepted, tls, Router::new(), watch, peer, short()));
            let mut answer = Vec::new();
            // The end may be a reset.
            let _ = near.read_to_end(&mut answer).await;
            drop(lifetime);
            done.send(answer)
        });
        waiting.recv_timeout(Duration::from_secs(30)).unwrap()
    }

    #[test]
    fn a_peer_that_is_silent_or_never_ends_its_head_is_not_waited_for() {
        assert!(over_after(b"", None).is_empty());
        let answer = over_after(b"GET /health HTTP/1.1\r\nhost: local", None);
        assert!(!answer.starts_with(b"HTTP/1.1 2"));
    }

    #[test]
    fn a_connection_that_was_used_and_is_idle_now_ends_too() {
        let answer = over_after(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", None);
        assert!(answer.starts_with(b"HTTP/1.1 404"));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_peer_that_never_ends_its_handshake_is_not_waited_for() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/net/certificates");
        let (certificate, key) = (format!("{folder}/server.pem"), format!("{folder}/server.key"));
        let tls = || Some(ServerTls::from_files(&certificate, &key).unwrap());
        assert!(over_after(b"", tls()).is_empty());
        // The beginning of a record.
        over_after(&[22, 3, 1, 1, 0, 1], tls());
        // Told in plain HTTP, and then not left to hold the connection.
        assert!(over_after(b"GET / HTTP/1.1\r\n", tls()).starts_with(b"HTTP/1.1 400"));
    }
}
