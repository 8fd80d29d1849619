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
//! reading the store happen on threads that no socket needs, and that do not wait for each other
//! (`pools`).
//!
//! Whatever a peer can make the server keep has a bound (`limits`): sockets (`door`), requests with
//! their bodies and answers (`front`, `budget`, `transport`), what waits to be written to a link or
//! stream (`socket`).

mod access;
mod address;
mod authorize;
mod budget;
mod connection;
mod door;
mod events;
mod fields;
mod front;
mod handshake;
mod held;
mod ingest;
mod lifetime;
mod limits;
mod link;
mod listener;
mod metrics;
mod parameters;
mod pools;
mod pull;
mod renewal;
mod reply;
mod rest;
mod socket;
mod start;
mod stream;
mod tls;
mod transport;
mod turns;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};

use crate::Error;
use crate::coordinator::Coordinator;
use crate::net::runtime;
use crate::seldom::{LeftOut, Seldom};

use access::Access;
use address::{bind, named, reachable};
use authorize::Authorizer;
use budget::Budgets;
use door::Door;
use held::Held;
use lifetime::{Lifetime, Phase};
use listener::Listener;
use pools::Pools;
use turns::Turns;

pub use authorize::{Authorization, Authorize};
pub use limits::ServerLimits;
pub use tls::ServerTls;

/// How long [`Server::close`] waits for links to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a server is set up. The default serves this machine only.
#[derive(Clone)]
pub struct ServerOptions {
    /// The key for REST and for issuing tickets (`Authorization: Bearer`). Needed on anything but
    /// loopback.
    pub key: Option<String>,
    /// Origins whose pages may connect, as browsers send them (`https://example.org`); `*` for
    /// all, which needs a key. The server's own origin is always let in.
    pub allowed_origins: Vec<String>,
    /// Decides instead of the execution's token whether a wrapper is let in (R25): up to eight
    /// calls side by side, each with `authorize_timeout_ms`. No answer is "later", never "no".
    pub authorize: Option<Authorize>,
    /// What stands before `/sessions` in every path: empty, or `/something`, of letters, digits and
    /// `-._~`.
    pub base_path: String,
    /// Serve `https://` and `wss://`, with this certificate. Plain HTTP is then refused.
    pub tls: Option<ServerTls>,
    /// What peers may take: sockets, requests, memory, time.
    pub limits: ServerLimits,
    /// Threads that drive sockets, 1 to 64. Commits and reads of the store have others, made when
    /// they are needed. Servers of one process with the same number share them, with its wrappers
    /// where it is 2, the default.
    pub workers: usize,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            key: None,
            allowed_origins: Vec::new(),
            authorize: None,
            base_path: String::new(),
            tls: None,
            limits: ServerLimits::default(),
            workers: runtime::WORKERS,
        }
    }
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
            .field("limits", &self.limits)
            .field("workers", &self.workers)
            .finish()
    }
}

/// A running server. Dropping it closes it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    url: String,
    tls: Option<ServerTls>,
    shared: Arc<Shared>,
}

/// What every handler needs.
struct Shared {
    coordinator: Held,
    access: Access,
    authorizer: Option<Arc<Authorizer>>,
    turns: Arc<Turns>,
    lifetime: Lifetime,
    limits: ServerLimits,
    door: Arc<Door>,
    budgets: Budgets,
    pools: Pools,
    /// What was told in the log.
    told: Seldom,
}

impl Shared {
    /// Whether something that may happen again and again is to be told now, and what to put behind
    /// it.
    fn admits(&self, kind: &str) -> Option<LeftOut> {
        self.told.admits(kind, self.coordinator.now())
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// Serves a coordinator at `address` (`127.0.0.1:8787`; port 0 takes a free one).
///
/// [`Error::InvalidArgument`] for an address that cannot be bound, for anything but loopback and
/// for the origin `*` without a key, for a key that no request can carry (empty, with white space
/// around it, beyond ASCII), and for an origin or a base path that is none. [`Error::Closed`] when
/// the coordinator is. With [`ServerOptions::tls`] the server's address is `https://…`.
pub fn serve(
    coordinator: Coordinator,
    address: &str,
    options: ServerOptions,
) -> Result<Server, Error> {
    let base_path = start::base_path(&options.base_path)?;
    start::check_key(options.key.as_deref())?;
    start::check_origins(&options.allowed_origins, options.key.is_some())?;
    options.limits.check()?;
    limits::check_workers(options.workers)?;
    coordinator.check_open()?;
    let runtime = runtime::of_workers(options.workers)?;
    let given = address;
    let (listener, address) = bind(given, options.key.is_some(), runtime)?;
    let url = match &options.tls {
        // A certificate is for a name, so the name that was given stays.
        Some(_) => format!("https://{}{base_path}", named(given, address)),
        None => format!("http://{}{base_path}", reachable(address)),
    };
    let patience = coordinator.settings().authorize_timeout_ms;
    let patience = Duration::from_millis(u64::try_from(patience).unwrap_or(0));
    let shared = Arc::new(Shared {
        access: Access::new(options.key, options.allowed_origins),
        authorizer: options.authorize.map(|hook| Arc::new(Authorizer::new(hook, patience))),
        turns: Arc::default(),
        lifetime: Lifetime::new(),
        door: Door::new(&options.limits),
        budgets: Budgets::new(&options.limits),
        pools: Pools::new(),
        told: Seldom::default(),
        limits: options.limits,
        coordinator: Held::new(coordinator),
    });
    tell_url(&shared.coordinator, Some(&url));
    if let Some(tls) = &options.tls {
        tls.tell_end();
        if tls.files().is_some() {
            let looking =
                renewal::keep_looking(tls.clone(), Arc::clone(&shared), renewal::INTERVAL);
            runtime.spawn(looking);
        }
    }
    runtime.spawn(accept(
        Listener::new(listener),
        options.tls.clone(),
        routes(&base_path, &shared),
        Arc::clone(&shared),
    ));
    tracing::info!(%url, "serving");
    Ok(Server { address, url, tls: options.tls, shared })
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

    /// Reads the certificate and the key anew from the files that they came from; new connections
    /// get them. A server looks every minute by itself whether they have changed: this is for those
    /// who do not want to wait. What cannot be used is an [`Error::InvalidArgument`], and what was
    /// served before goes on; so is a server without TLS, or with a certificate from elsewhere.
    pub fn reload_tls(&self) -> Result<(), Error> {
        match &self.tls {
            Some(tls) => tls.reload(),
            None => Err(Error::invalid("this server speaks no TLS")),
        }
    }

    /// Stops accepting, closes links and streams with 1012 after taking what their peers had
    /// sent, and waits for them at most a few seconds; what they had sent is stored when it returns,
    /// however long the disk takes. The coordinator goes on. Closing again does nothing.
    pub fn close(&self) {
        // Who has seen a run end may close at once: its wrapper is to be told all the same.
        self.shared.coordinator.settle();
        let first = self.shared.lifetime.close();
        if let Some(authorizer) = &self.shared.authorizer {
            authorizer.close();
        }
        if first {
            tell_url(&self.shared.coordinator, None);
        }
        if !self.shared.lifetime.wait_until_over(CLOSE_TIMEOUT) {
            tracing::warn!(url = %self.url, "links did not close in time and were dropped");
            self.shared.lifetime.kill();
        }
        // What was on its way is stored when this returns.
        self.shared.coordinator.settle();
        self.shared.pools.close();
        if let Some(authorizer) = &self.shared.authorizer {
            authorizer.end_threads();
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
        .layer(axum::middleware::from_fn_with_state(Arc::clone(shared), front::front))
        .with_state(Arc::clone(shared))
}

/// Accepts until the server closes. Nothing is waited for here that a peer could delay for long.
async fn accept(
    mut listener: Listener,
    tls: Option<ServerTls>,
    routes: Router,
    shared: Arc<Shared>,
) {
    let mut watch = shared.lifetime.watch();
    let not_accepted = |error: &std::io::Error| {
        if let Some(more) = shared.admits("accept") {
            tracing::error!("connections cannot be accepted: {error}{more}");
        }
    };
    loop {
        let accepted = tokio::select! {
            accepted = async {
                shared.door.make_room().await;
                listener.accept(&not_accepted).await
            } => accepted,
            () = watch.reached(Phase::Closing) => return,
        };
        let watch = shared.lifetime.watch();
        match shared.door.enter() {
            Some(peer) => tokio::spawn(connection::serve(
                accepted,
                tls.clone(),
                routes.clone(),
                watch,
                peer,
                shared.limits.clone(),
            )),
            None => {
                if let Some(more) = shared.admits("max_sockets") {
                    tracing::warn!("there are max_sockets sockets, others are refused{more}");
                }
                tokio::spawn(connection::refuse(accepted, tls.is_some()))
            }
        };
    }
}
