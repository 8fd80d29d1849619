//! `/stream`: one subscriber by WebSocket.
//!
//! The subscription is a cursor; this task moves it on as fast as the socket takes the records,
//! in batches with one flush each. A slow subscriber costs one batch of memory, slows nobody, and
//! is never dropped for it (R35): it is pinged, so that proxies keep the connection, but only the
//! kernel's own probing or a close ends it. What it makes us answer beside that, it has to read.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use futures_util::Stream;
use tokio::time::Sleep;

use super::Shared;
use super::access;
use super::door::Peer;
use super::handshake::Handshake;
use super::lifetime::{Phase, Watch};
use super::parameters::InPath;
use super::pull::{After, Puller, is_control};
use super::reply::{self, Reply};
use super::socket::{Failure, Stuck};
use crate::Error;
use crate::coordinator::{SubscribeOptions, Subscription};
use crate::net::liveness::{Liveness, Silence};
use crate::net::outgoing::{Outgoing, close_reason};
use crate::net::request::Parameters;
use crate::protocol::close;
use crate::settings::Millis;

/// Subscribers send next to nothing.
const READ_BUFFER_BYTES: usize = 1024;
const LARGEST_FRAME_BYTES: usize = 64 * 1024;
const WRITE_BUFFER_BYTES: usize = 32 * 1024;

/// So many frames are read before others are served.
const BATCH_FRAMES: usize = 64;

/// How often a subscriber that is not read is looked at.
const STUCK_LOOK: Duration = Duration::from_millis(100);

/// How long a subscriber may take to answer our close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// The reason with [`close::DELETED`].
const DELETED_REASON: &str = "session deleted";

/// `GET …/sessions/{session_id}/stream`.
pub(super) async fn of_session(
    State(shared): State<Arc<Shared>>,
    Handshake(upgrade): Handshake,
    InPath(session_id): InPath<String>,
    parameters: Parameters,
    headers: HeaderMap,
    Extension(peer): Extension<Arc<Peer>>,
) -> Reply {
    open(shared, session_id, parameters, headers, peer, upgrade).await
}

/// `GET …/stream?cloudAgentSessionId=…`: the session in the query, as older clients have it.
pub(super) async fn of_query(
    State(shared): State<Arc<Shared>>,
    Handshake(upgrade): Handshake,
    parameters: Parameters,
    headers: HeaderMap,
    Extension(peer): Extension<Arc<Peer>>,
) -> Reply {
    let Some(session_id) = parameters.get("cloudAgentSessionId").map(str::to_owned) else {
        return reply::error(&Error::invalid("the query has no cloudAgentSessionId"));
    };
    open(shared, session_id, parameters, headers, peer, upgrade).await
}

async fn open(
    shared: Arc<Shared>,
    session_id: String,
    parameters: Parameters,
    headers: HeaderMap,
    peer: Arc<Peer>,
    upgrade: WebSocketUpgrade,
) -> Reply {
    let watch = shared.lifetime.watch();
    let ping_interval_ms = shared.coordinator.settings().ping_interval_ms;
    let options = parameters.stream(None);
    match subscribe(&shared, session_id, &headers, &parameters, options).await {
        Err(error) => reply::failed(&error),
        Ok(subscription) => upgrade
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_message_size(LARGEST_FRAME_BYTES)
            .max_frame_size(LARGEST_FRAME_BYTES)
            .on_upgrade(move |socket| async move {
                let stuck = Stuck::new(peer, &shared.limits);
                let puller = Puller::new(&shared, subscription);
                run(Pump::new(socket, ping_interval_ms, stuck), puller, watch).await;
            }),
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
    let ticket = access::ticket_or_key(shared, headers, parameters)?;
    let looking = Arc::clone(shared);
    // Both look into the store.
    let subscribe = move || {
        if let Some(ticket) = ticket {
            looking.coordinator.verify_ticket(&session_id, &ticket)?;
        }
        looking.coordinator.session(&session_id)?.subscribe(options)
    };
    shared.pools.streams.run(subscribe).await?
}

async fn run(mut pump: Pump, mut puller: Puller, mut watch: Watch) {
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
            Happening::Failed(failure) => return pump.fail(&failure).await,
            Happening::Room => {
                after = match puller.pull().await {
                    Ok(batch) => pump.take(batch),
                    Err(_) => {
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
    /// It broke the rules of WebSocket.
    Failed(Failure),
}

struct Pump {
    socket: WebSocket,
    outgoing: Outgoing<Message>,
    stuck: Stuck,
    liveness: Liveness,
    timer: Pin<Box<Sleep>>,
    /// Our close frame is out; when to stop waiting for the peer's.
    close_by: Option<Instant>,
}

impl Pump {
    fn new(socket: WebSocket, ping_interval_ms: Millis, stuck: Stuck) -> Pump {
        let now = Instant::now();
        Pump {
            socket,
            outgoing: Outgoing::new(),
            stuck,
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
        if let Poll::Ready(over) = self.read(context) {
            return Poll::Ready(over);
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

    /// Reads what is there, which means nothing, but is a sign of life. Ready when that is the end.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        for _ in 0..BATCH_FRAMES {
            if self.has_full_pongs() {
                self.look_by(Instant::now() + STUCK_LOOK);
                return Poll::Pending;
            }
            let item = ready!(Pin::new(&mut self.socket).poll_next(context));
            match item {
                Some(Ok(Message::Ping(bytes))) => self.outgoing.answers_ping(bytes.len()),
                // The answer to a close frame goes out with the flush.
                Some(Ok(Message::Close(_))) => {
                    let flushed =
                        futures_util::Sink::poll_flush(Pin::new(&mut self.socket), context);
                    return flushed.map(|_| Happening::Over);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    return Poll::Ready(match Failure::of(error) {
                        Some(failure) => Happening::Failed(failure),
                        None => Happening::Over,
                    });
                }
                None => return Poll::Ready(Happening::Over),
            }
            self.liveness.heard(Instant::now());
        }
        // There may be more, but others are served first.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// A subscriber may be as slow as it likes with what it asked for, but what it makes us answer
    /// has a bound.
    fn has_full_pongs(&self) -> bool {
        self.stuck.is_full(self.outgoing.pong_bytes())
    }

    /// The timer fires at that moment, if not before.
    fn look_by(&mut self, moment: Instant) {
        if self.timer.deadline() > moment.into() {
            self.timer.as_mut().reset(moment.into());
        }
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

    /// Says why, and that is the end.
    async fn fail(mut self, failure: &Failure) {
        self.stuck.peer().set_lingering();
        self.outgoing.push(failure.frame());
        let said = poll_fn(|context| self.outgoing.poll(&mut self.socket, context));
        // A peer that is gone takes no answer.
        let _ = tokio::time::timeout(CLOSE_WAIT, said).await;
    }

    fn say_goodbye(&mut self, code: u16, reason: &str) {
        if self.close_by.is_none() {
            let reason = close_reason(reason).into();
            self.outgoing.push(Message::Close(Some(CloseFrame { code, reason })));
            let wait = if code == close::POLICY { self.stuck.wait() } else { CLOSE_WAIT };
            let by = Instant::now() + wait;
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
        if self.stuck.is_over(self.has_full_pongs(), now) {
            self.say_goodbye(close::POLICY, close::OUTPUTS_REASON);
            return true;
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
        if self.has_full_pongs() {
            self.look_by(now + STUCK_LOOK);
        }
        true
    }
}
