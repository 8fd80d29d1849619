//! `/stream`: one subscriber by WebSocket.
//!
//! The subscription is a cursor; this task moves it on as fast as the socket takes the records,
//! in batches with one flush each. A slow subscriber costs one batch of memory, slows nobody, and
//! is never dropped for it (R35): it is pinged, so that proxies keep the connection, but only the
//! kernel's own probing or a close ends it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::ws::{
    CloseFrame, Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection,
};
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use futures_util::Stream;
use tokio::time::Sleep;

use super::Shared;
use super::access;
use super::lifetime::{Phase, Watch};
use super::parameters::Parameters;
use super::pull::{After, Puller, is_control};
use super::reply::{self, Reply};
use crate::Error;
use crate::coordinator::{SubscribeOptions, Subscription};
use crate::net::liveness::{Liveness, Silence};
use crate::net::outgoing::{Outgoing, close_reason};
use crate::protocol::close;
use crate::settings::Millis;

/// Subscribers send next to nothing.
const READ_BUFFER_BYTES: usize = 1024;
const LARGEST_FRAME_BYTES: usize = 64 * 1024;
const WRITE_BUFFER_BYTES: usize = 32 * 1024;

/// How long a subscriber may take to answer our close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// The reason with [`close::DELETED`].
const DELETED_REASON: &str = "session deleted";

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// `GET …/sessions/{session_id}/stream`.
pub(super) async fn of_session(
    State(shared): State<Arc<Shared>>,
    Path(session_id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Reply {
    let parameters = Parameters::parse(query.as_deref());
    open(shared, session_id, parameters, headers, upgrade).await
}

/// `GET …/stream?cloudAgentSessionId=…`: the session in the query, as older clients have it.
pub(super) async fn of_query(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Reply {
    let parameters = Parameters::parse(query.as_deref());
    let Some(session_id) = parameters.get("cloudAgentSessionId").map(str::to_owned) else {
        return reply::error(&Error::invalid("the query has no cloudAgentSessionId"));
    };
    open(shared, session_id, parameters, headers, upgrade).await
}

async fn open(
    shared: Arc<Shared>,
    session_id: String,
    parameters: Parameters,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Reply {
    let Ok(upgrade) = upgrade else { return reply::upgrade_required() };
    let watch = shared.lifetime.watch();
    let ping_interval_ms = shared.coordinator.settings().ping_interval_ms;
    let options = parameters.stream(None);
    match subscribe(&shared, session_id, &headers, &parameters, options).await {
        Err(error) => reply::error(&error),
        Ok(subscription) => upgrade
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_message_size(LARGEST_FRAME_BYTES)
            .max_frame_size(LARGEST_FRAME_BYTES)
            .on_upgrade(move |socket| run(socket, subscription, ping_interval_ms, watch)),
    }
}

/// Lets a subscriber in: ticket or key first, then whether the session is known.
pub(super) async fn subscribe(
    shared: &Arc<Shared>,
    session_id: String,
    headers: &HeaderMap,
    parameters: &Parameters,
    options: SubscribeOptions,
) -> Result<Subscription, Error> {
    access::check_stream(shared, &session_id, headers, parameters)?;
    let shared = Arc::clone(shared);
    // Subscribing looks into the store.
    let subscribing = tokio::task::spawn_blocking(move || {
        shared.coordinator.session(&session_id)?.subscribe(options)
    });
    subscribing.await.map_err(|_| Error::Panic { detail: "subscribing failed".into() })?
}

async fn run(
    socket: WebSocket,
    subscription: Subscription,
    ping_interval_ms: Millis,
    mut watch: Watch,
) {
    let mut pump = Pump::new(socket, ping_interval_ms);
    let mut puller = Puller::new(subscription);
    let mut after = After::More;
    let mut server_closes = false;
    loop {
        let happening = tokio::select! {
            biased;
            () = watch.reached(Phase::Closing), if !server_closes => {
                server_closes = true;
                pump.say_goodbye(close::RESTART, close::RESTART_REASON);
                continue;
            }
            () = puller.alarm().rung(), if after == After::CaughtUp => {
                after = After::More;
                continue;
            }
            happening = poll_fn(|context| pump.poll(context, after == After::More)) => happening,
        };
        match happening {
            Happening::Over => return,
            Happening::Room => {
                after = match puller.pull().await {
                    Ok(batch) => pump.take(batch),
                    Err(error) => {
                        tracing::warn!(%error, "a stream could not be read on");
                        pump.say_goodbye(close::STORAGE_FAILED, close::STORAGE_REASON);
                        After::Ended
                    }
                };
            }
        }
    }
}

enum Happening {
    /// Everything is out: time for more.
    Room,
    /// The subscriber is gone, or has answered our close frame.
    Over,
}

struct Pump {
    socket: WebSocket,
    outgoing: Outgoing<Message>,
    liveness: Liveness,
    timer: Pin<Box<Sleep>>,
    /// Our close frame is out; when to stop waiting for the peer's.
    close_by: Option<Instant>,
}

impl Pump {
    fn new(socket: WebSocket, ping_interval_ms: Millis) -> Pump {
        let now = Instant::now();
        Pump {
            socket,
            outgoing: Outgoing::new(),
            liveness: Liveness::new(ping_interval_ms, None, now),
            timer: Box::pin(tokio::time::sleep_until(now.into())),
            close_by: None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>, wants_more: bool) -> Poll<Happening> {
        let written = self.outgoing.poll(&mut self.socket, context);
        if matches!(written, Poll::Ready(Err(_))) {
            return Poll::Ready(Happening::Over);
        }
        while let Poll::Ready(item) = Pin::new(&mut self.socket).poll_next(context) {
            match item {
                // What subscribers send means nothing, but it is a sign of life.
                Some(Ok(message)) if !matches!(message, Message::Close(_)) => {
                    self.liveness.heard(Instant::now());
                }
                // The answer to a close frame goes out with the flush.
                Some(Ok(_)) => {
                    let flushed =
                        futures_util::Sink::poll_flush(Pin::new(&mut self.socket), context);
                    return flushed.map(|_| Happening::Over);
                }
                Some(Err(_)) | None => return Poll::Ready(Happening::Over),
            }
        }
        if written.is_ready() && wants_more && self.close_by.is_none() {
            return Poll::Ready(Happening::Room);
        }
        while self.timer.as_mut().poll(context).is_ready() {
            if !self.handle_timer(Instant::now()) {
                return Poll::Ready(Happening::Over);
            }
        }
        Poll::Pending
    }

    /// Puts a batch on its way.
    fn take(&mut self, batch: super::pull::Batch) -> After {
        let deleted = batch.records.iter().any(|record| is_control(record, "deleted"));
        for record in batch.records {
            self.outgoing.push(Message::Text((*record.frame()).into()));
        }
        match (deleted, batch.after) {
            (true, _) => self.say_goodbye(close::DELETED, DELETED_REASON),
            (false, After::Ended) => self.say_goodbye(close::RESTART, close::RESTART_REASON),
            (false, After::More | After::CaughtUp) => return batch.after,
        }
        After::Ended
    }

    fn say_goodbye(&mut self, code: u16, reason: &str) {
        if self.close_by.is_none() {
            let reason = close_reason(reason).into();
            self.outgoing.push(Message::Close(Some(CloseFrame { code, reason })));
            let by = Instant::now() + CLOSE_WAIT;
            self.close_by = Some(by);
            self.timer.as_mut().reset(by.into());
        }
    }

    /// `false`: enough waited.
    fn handle_timer(&mut self, now: Instant) -> bool {
        if let Some(by) = self.close_by {
            self.timer.as_mut().reset(by.into());
            return now < by;
        }
        let next = match self.liveness.check(now) {
            Silence::Dead => return false,
            Silence::Fine(next) => next,
            Silence::Ping(next) => {
                // One that waits behind a full socket is enough.
                if self.outgoing.len() == 0 {
                    self.outgoing.push(Message::Ping(axum::body::Bytes::new()));
                }
                next
            }
        };
        self.timer.as_mut().reset(next.into());
        true
    }
}
