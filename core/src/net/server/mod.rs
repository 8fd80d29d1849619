//! The built-in server: ingest links, streams, and a small REST interface.
//!
//! [`serve`] binds, and returns at once; the rest happens on the process's runtime. Under
//! `{base}/sessions/{session_id}` (percent-encoded):
//!
//! - `/ingest`: wrappers. The handshake with its refusals is in `ingest`, the link in `link`.
//! - `/stream`, `/events`: subscribers, by WebSocket (`stream`) or server-sent events (`events`).
//!   `{base}/stream?cloudAgentSessionId=…` is the same stream.
//! - `{base}/metrics`: what is counted, for Prometheus, in `metrics`.
//! - everything else: REST, in `rest` and `docs/rest.md`.
//!
//! Who may do what is decided in `access`: a key for REST and for issuing tickets, tickets for
//! streams, tokens for wrappers. Without a key the server serves this machine only, refuses to
//! bind to anything but loopback, and refuses what a browser sends on behalf of a foreign page.
//!
//! With a certificate (`tls`) all of it is `https://` and `wss://`. How long a peer may take for the
//! handshake of TLS and for the head of a request is in `connection`.
//!
//! A slow peer slows nobody else. A slow subscriber is a cursor that stands still; a wrapper that
//! sends faster than commits go is not read until they have caught up. Waiting for a commit and
//! long reads of the store happen on threads that no socket needs.

mod access;
mod connection;
mod events;
mod ingest;
mod lifetime;
mod link;
mod listener;
mod metrics;
mod parameters;
mod pull;
mod reply;
mod rest;
mod stream;
mod tls;
mod view;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tokio::net::{TcpListener, TcpSocket};

use crate::Error;
use crate::coordinator::Coordinator;
use crate::net::runtime;

use access::Access;
use lifetime::{Lifetime, Phase};
use listener::Listener;

pub use tls::ServerTls;

/// The host's own way to let wrappers in: `(session id, execution id, bearer)`. It may block.
pub type Authorize = Arc<dyn Fn(&str, &str, Option<&str>) -> bool + Send + Sync>;

/// Connections that wait to be accepted: a restart brings all wrappers back at the same time.
const BACKLOG: u32 = 1_024;

/// How long [`Server::close`] waits for links to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a server is set up. The default serves this machine only.
#[derive(Clone, Default)]
pub struct ServerOptions {
    /// The key for REST and for issuing tickets (`Authorization: Bearer`). Needed on anything but
    /// loopback.
    pub key: Option<String>,
    /// Origins whose pages may connect, as browsers send them (`https://example.org`); `*` for
    /// all. The server's own origin is always let in.
    pub allowed_origins: Vec<String>,
    /// Decides instead of the execution's token whether a wrapper is let in (R25).
    pub authorize: Option<Authorize>,
    /// What stands before `/sessions` in every path: empty, or `/something`.
    pub base_path: String,
    /// Serve `https://` and `wss://`, with this certificate. Plain HTTP is then refused.
    pub tls: Option<ServerTls>,
}

impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ServerOptions")
            .field("key", &self.key.as_ref().map(|_| "(set)"))
            .field("allowed_origins", &self.allowed_origins)
            .field("authorize", &self.authorize.as_ref().map(|_| "(set)"))
            .field("base_path", &self.base_path)
            .field("tls", &self.tls)
            .finish()
    }
}

/// A running server. Dropping it closes it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    url: String,
    shared: Arc<Shared>,
}

/// What every handler needs.
struct Shared {
    coordinator: Coordinator,
    access: Access,
    authorize: Option<Authorize>,
    lifetime: Lifetime,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// Serves a coordinator at `address` (`127.0.0.1:8787`; port 0 takes a free one).
///
/// [`Error::InvalidArgument`] for an address that cannot be bound, a base path that does not
/// begin with `/`, and for anything but loopback without a key. With [`ServerOptions::tls`] the
/// server's address is `https://…`.
pub fn serve(
    coordinator: Coordinator,
    address: &str,
    options: ServerOptions,
) -> Result<Server, Error> {
    let base_path = options.base_path.trim_end_matches('/').to_owned();
    if !base_path.is_empty() && (!base_path.starts_with('/') || base_path.contains(['{', '}'])) {
        return Err(Error::invalid(format!("base path {base_path:?} must begin with '/'")));
    }
    if options.key.as_ref().is_some_and(String::is_empty) {
        return Err(Error::invalid("the server's key is empty; leave it out, or set one"));
    }
    let runtime = runtime::handle()?;
    let given = address;
    let (listener, address) = bind(given, options.key.is_some(), runtime)?;
    let url = match &options.tls {
        // A certificate is for a name, so the name that was given stays.
        Some(_) => format!("https://{}{base_path}", named(given, address)),
        None => format!("http://{}{base_path}", reachable(address)),
    };
    let shared = Arc::new(Shared {
        access: Access::new(options.key, options.allowed_origins),
        authorize: options.authorize,
        lifetime: Lifetime::new(),
        coordinator,
    });
    tell_url(&shared.coordinator, Some(&url));
    runtime.spawn(accept(
        Listener::new(listener),
        options.tls,
        routes(&base_path, &shared),
        Arc::clone(&shared),
    ));
    tracing::info!(%url, "serving");
    Ok(Server { address, url, shared })
}

impl Server {
    /// The base of all paths: `http://127.0.0.1:8787`. Give it to wrappers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, closes links and streams with 1012 after taking what their peers had
    /// sent, and waits for that, at most a few seconds. The coordinator goes on. Closing again
    /// does nothing.
    pub fn close(&self) {
        // Who has seen a run end may close at once: its wrapper is to be told all the same.
        self.shared.coordinator.settle();
        let first = self.shared.lifetime.close();
        if first {
            tell_url(&self.shared.coordinator, None);
        }
        if !self.shared.lifetime.wait_until_over(CLOSE_TIMEOUT) {
            tracing::warn!(url = %self.url, "links did not close in time and were dropped");
            self.shared.lifetime.kill();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

/// A second opener of the store is told where this one serves. A read-only coordinator owns no
/// store, and one that was closed owns none any more: then there is nothing to tell.
fn tell_url(coordinator: &Coordinator, url: Option<&str>) {
    if let Err(error) = coordinator.set_url(url) {
        tracing::debug!(%error, "the server's address was not noted in the store");
    }
}

/// Binds the first address that works. `protected`: there is a key.
fn bind(
    address: &str,
    protected: bool,
    runtime: &tokio::runtime::Handle,
) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |error: std::io::Error| {
        Error::invalid(format!("cannot serve at {address:?} (HOST:PORT): {error}"))
    };
    let candidates: Vec<SocketAddr> = address.to_socket_addrs().map_err(failed)?.collect();
    if !protected && candidates.iter().any(|one| !one.ip().to_canonical().is_loopback()) {
        return Err(Error::invalid(format!(
            "cannot serve at {address:?} without a key: it can be reached from other machines; \
             set a key, or serve at 127.0.0.1"
        )));
    }
    // The listener registers with the runtime it is made in.
    let _inside = runtime.enter();
    let mut last = std::io::Error::other("the name has no address");
    for candidate in candidates {
        match listen(candidate) {
            Ok(listener) => {
                let bound = listener.local_addr().map_err(failed)?;
                return Ok((listener, bound));
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted server takes its port back although old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// An address that a client on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            reachable.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            reachable.set_ip(std::net::Ipv6Addr::LOCALHOST.into());
        }
        _ => {}
    }
    reachable
}

/// The same with the name of `given` (`name:port`), where it is a name.
fn named(given: &str, address: SocketAddr) -> String {
    match given.rsplit_once(':') {
        Some((name, _)) if !name.is_empty() && given.parse::<SocketAddr>().is_err() => {
            format!("{name}:{}", address.port())
        }
        _ => reachable(address).to_string(),
    }
}

fn routes(base_path: &str, shared: &Arc<Shared>) -> Router {
    let session = "/sessions/{session_id}";
    let execution = "/sessions/{session_id}/executions/{execution_id}";
    let at = |path: &str| format!("{base_path}{path}");
    Router::new()
        .route(&at(&format!("{session}/ingest")), get(ingest::ingest))
        .route(&at(&format!("{session}/stream")), get(stream::of_session))
        .route(&at("/stream"), get(stream::of_query))
        .route(&at(&format!("{session}/events")), get(events::events))
        .route(&at("/sessions"), get(rest::sessions))
        .route(&at(session), get(rest::session).delete(rest::delete))
        .route(&at(&format!("{session}/ticket")), post(rest::ticket))
        .route(&at(&format!("{session}/interrupt")), post(rest::interrupt_active))
        .route(&at(&format!("{session}/executions")), get(rest::executions).post(rest::start))
        .route(&at(execution), get(rest::execution))
        .route(&at(&format!("{execution}/fail")), post(rest::fail))
        .route(&at(&format!("{execution}/interrupt")), post(rest::interrupt))
        .route(&at("/health"), get(rest::health))
        .route(&at("/metrics"), get(metrics::metrics))
        .fallback(rest::unknown)
        .method_not_allowed_fallback(rest::not_allowed)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(shared), access::guard))
        .with_state(Arc::clone(shared))
}

/// Accepts until the server closes. Nothing is waited for here that a peer could delay.
async fn accept(
    mut listener: Listener,
    tls: Option<ServerTls>,
    routes: Router,
    shared: Arc<Shared>,
) {
    let mut watch = shared.lifetime.watch();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = watch.reached(Phase::Closing) => return,
        };
        let watch = shared.lifetime.watch();
        tokio::spawn(connection::serve(
            accepted,
            tls.clone(),
            routes.clone(),
            watch,
            connection::LIMITS,
        ));
    }
}
