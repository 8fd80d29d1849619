//! One ingest link: frames in, in batches; outputs out, with one flush; pings; the close.
//!
//! The steady case: the socket has frames, all that are there (up to a bound) are handed to the
//! coordinator at once, and what it puts out — acknowledgements, one a commit — goes back in one
//! write. While the coordinator is behind, the socket is not read: the kernel's buffers fill, and
//! the wrapper feels it (R35, R40).
//!
//! The awkward cases: our own close frame does not end the reading, since frames that are on
//! their way are kept as late (R10a); the peer gets a moment to answer it. A peer that is silent
//! is pinged and then given up (R47a), but silence that we caused by not reading does not count.
//! A binary frame must be handed over in its place among the texts, and only when that does not
//! make a worker thread wait. And a peer that makes us answer and does not read the answers is not
//! read from a bound on; one that has not taken a byte of them for long is closed, 1008. A peer that
//! takes nothing any more, since its process has gone, may have said its last words before: what
//! has arrived is read first (R18a).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::Stream;
use tokio::time::Sleep;

use super::lifetime::{Phase, Watch};
use super::socket::{self, Stuck};
use crate::Settings;
use crate::coordinator::{Link, Output};
use crate::net::alarm::Alarm;
use crate::net::liveness::{Liveness, Silence};
use crate::net::outgoing::{Outgoing, close_reason};
use crate::protocol::close;
use crate::settings::Millis;

/// The largest batch that is handed over at once.
const BATCH_FRAMES: usize = 512;
const BATCH_BYTES: usize = 1024 * 1024;

/// Outputs taken from the link ahead of what the socket accepts.
const OUTPUTS_AHEAD: usize = 64;

/// How often a link that may not read looks again.
const CONGESTED_LOOK: Duration = Duration::from_millis(20);

/// How long a peer may take to answer our close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// How long writing the answer to the peer's own close frame may take.
const ANSWER_WAIT: Duration = Duration::from_millis(500);

/// How long a socket that takes nothing may say nothing before that is its end.
const BROKEN_WAIT: Duration = Duration::from_secs(2);

/// When to ping, and when to give up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    ping_interval_ms: Millis,
    link_timeout_ms: Millis,
    /// The same for a basic link, which cannot resend what its socket swallowed (R47a).
    basic_link_timeout_ms: Millis,
}

impl Pace {
    pub(super) fn of(settings: &Settings) -> Pace {
        Pace {
            ping_interval_ms: settings.ping_interval_ms,
            link_timeout_ms: settings.link_timeout_ms,
            basic_link_timeout_ms: settings.basic_link_timeout_ms,
        }
    }

    fn liveness(&self, acknowledged: bool, now: Instant) -> Liveness {
        let timeout = if acknowledged { self.link_timeout_ms } else { self.basic_link_timeout_ms };
        Liveness::new(self.ping_interval_ms, Some(timeout), now)
    }
}

/// Carries one link until it is over, then tells the coordinator how it ended.
pub(super) async fn run(socket: WebSocket, link: Link, pace: Pace, stuck: Stuck, mut watch: Watch) {
    let mut pump = Pump::new(socket, link, pace, stuck);
    let mut server_closes = false;
    pump.take_outputs(OUTPUTS_AHEAD);
    let (code, reason) = loop {
        let happening = tokio::select! {
            biased;
            () = watch.reached(Phase::Closing), if !server_closes => {
                server_closes = true;
                // An ending that is out already is not lost to the restart (R31).
                pump.take_outputs(usize::MAX);
                pump.say_goodbye(close::RESTART, close::RESTART_REASON);
                continue;
            }
            happening = poll_fn(|context| pump.poll(context)) => happening,
        };
        if let Some(end) = pump.handle(happening) {
            break end;
        }
    };
    let Pump { mut socket, mut outgoing, link, stuck, failure, .. } = pump;
    if let Some(failure) = failure {
        // What it still sends is read, or it would not learn why.
        stuck.peer().set_lingering();
        outgoing.push(failure.frame());
    }
    // Whatever is left to be said, our part of the closing handshake above all.
    let answered = poll_fn(|context| match outgoing.poll(&mut socket, context) {
        Poll::Ready(Ok(())) => futures_util::Sink::poll_flush(Pin::new(&mut socket), context),
        other => other,
    });
    // A peer that is gone takes no answer.
    let _ = tokio::time::timeout(ANSWER_WAIT, answered).await;
    drop(socket);
    if let Err(error) = link.closed(code, &reason) {
        tracing::debug!(%error, "the end of a link could not be told");
    }
}

/// What made the task go on.
enum Happening {
    /// Frames are waiting in `incoming`.
    Incoming,
    /// The link has outputs, or room again.
    Alarm,
    /// The timer fired.
    Timer,
}

/// What was read and not handed over yet.
#[derive(Default)]
struct Incoming {
    texts: Vec<Utf8Bytes>,
    bytes: usize,
    /// Came after the texts: its size.
    binary: Option<usize>,
    /// Came after everything else.
    end: Option<(u16, String)>,
}

/// A socket that takes nothing any more. It says so itself when all that had arrived is read.
struct Broken {
    why: String,
    /// When to stop waiting for that.
    by: Option<Instant>,
}

struct Pump {
    socket: WebSocket,
    link: Link,
    outgoing: Outgoing<Message>,
    stuck: Stuck,
    /// The peer broke WebSocket's rules.
    failure: Option<socket::Failure>,
    /// Writing failed: nothing is written any more.
    broken: Option<Broken>,
    incoming: Incoming,
    alarm: Arc<Alarm>,
    liveness: Liveness,
    timer: Pin<Box<Sleep>>,
    /// The link may have more outputs than were taken.
    outputs_left: bool,
    /// Our close frame is out; when to stop waiting for the peer's.
    close_by: Option<Instant>,
}

impl Pump {
    fn new(socket: WebSocket, link: Link, pace: Pace, stuck: Stuck) -> Pump {
        let now = Instant::now();
        let alarm = Alarm::new();
        link.set_waker(Some(alarm.clone()));
        let liveness = pace.liveness(link.is_acknowledged(), now);
        Pump {
            socket,
            link,
            outgoing: Outgoing::new(),
            stuck,
            failure: None,
            broken: None,
            incoming: Incoming::default(),
            alarm,
            liveness,
            timer: Box::pin(tokio::time::sleep_until(now.into())),
            outputs_left: false,
            close_by: None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Happening> {
        if self.broken.is_none() {
            match self.outgoing.poll(&mut self.socket, context) {
                Poll::Ready(Err(error)) => {
                    self.broken = Some(Broken { why: error.to_string(), by: None });
                }
                Poll::Ready(Ok(())) if self.outputs_left => return Poll::Ready(Happening::Alarm),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        if self.alarm.poll(context).is_ready() {
            return Poll::Ready(Happening::Alarm);
        }
        let may_read = self.may_read();
        let has_read = may_read && self.read(context);
        self.wait_for_end(may_read && !has_read);
        if has_read {
            return Poll::Ready(Happening::Incoming);
        }
        self.timer.as_mut().poll(context).map(|()| Happening::Timer)
    }

    /// A socket that is broken says so when it is read to its end; nothing is known while it is not
    /// read, or says something else.
    fn wait_for_end(&mut self, is_silent: bool) {
        let Some(broken) = &mut self.broken else { return };
        if !is_silent {
            broken.by = None;
            return;
        }
        let by = *broken.by.get_or_insert_with(|| Instant::now() + BROKEN_WAIT);
        self.look_by(by);
    }

    /// Not while the coordinator is behind, nor while the peer does not read: then the socket fills
    /// up, and the wrapper waits.
    fn may_read(&self) -> bool {
        self.incoming.binary.is_none() && !self.link.is_congested() && !self.has_full_outputs()
    }

    fn has_full_outputs(&self) -> bool {
        self.broken.is_none()
            && self.stuck.is_full(self.outgoing.bytes() + self.link.output_bytes())
    }

    /// Reads what is there, up to a batch. Whether there was anything.
    fn read(&mut self, context: &mut Context<'_>) -> bool {
        let mut read = 0;
        while read < BATCH_FRAMES && self.incoming.bytes < BATCH_BYTES {
            let Poll::Ready(item) = Pin::new(&mut self.socket).poll_next(context) else { break };
            read += 1;
            match item {
                Some(Ok(Message::Text(text))) => {
                    self.incoming.bytes += text.len();
                    self.incoming.texts.push(text);
                }
                Some(Ok(Message::Ping(bytes))) => self.outgoing.answers_ping(bytes.len()),
                Some(Ok(Message::Pong(_))) => {}
                Some(Ok(Message::Binary(bytes))) => {
                    self.incoming.binary = Some(bytes.len());
                    break;
                }
                Some(Ok(Message::Close(frame))) => {
                    self.incoming.end = Some(frame.map_or_else(
                        || (close::DROPPED, String::new()),
                        |frame| (frame.code, frame.reason.to_string()),
                    ));
                    break;
                }
                Some(Err(error)) => {
                    self.incoming.end = Some((close::DROPPED, error.to_string()));
                    self.failure = socket::Failure::of(error);
                    break;
                }
                None => {
                    self.incoming.end = Some((close::DROPPED, "the connection was lost".into()));
                    break;
                }
            }
        }
        read > 0
    }

    /// The code and reason of the end, once there is one.
    fn handle(&mut self, happening: Happening) -> Option<(u16, String)> {
        let now = Instant::now();
        match happening {
            Happening::Incoming => self.liveness.heard(now),
            Happening::Alarm => {}
            Happening::Timer => {
                if let Some(end) = self.handle_timer(now) {
                    return Some(end);
                }
            }
        }
        self.hand_over();
        self.take_outputs(OUTPUTS_AHEAD);
        if self.close_by.is_none() && self.link.is_finished() {
            return Some((close::DROPPED, "the coordinator is gone".into()));
        }
        if self.stuck.is_over(self.has_full_outputs(), now) {
            self.say_goodbye(close::POLICY, close::OUTPUTS_REASON);
        }
        if !self.may_read() {
            // The alarm rings when this link's own backlog clears. What clears may also be the
            // backlog of others.
            self.look_by(now + CONGESTED_LOOK);
        }
        // A binary frame that still waits for room came before the end.
        if self.incoming.binary.is_none() { self.incoming.end.take() } else { None }
    }

    fn hand_over(&mut self) {
        if !self.incoming.texts.is_empty() {
            self.incoming.bytes = 0;
            let texts: Vec<&str> = self.incoming.texts.iter().map(Utf8Bytes::as_str).collect();
            // Fails only when the coordinator is closed; the link's own close says so.
            let _ = self.link.submit(&texts);
            self.incoming.texts.clear();
            // An idle link must not keep the room that a burst took.
            self.incoming.texts.shrink_to(8);
        }
        if !self.link.is_congested()
            && let Some(bytes) = self.incoming.binary.take()
        {
            let _ = self.link.receive_binary(bytes);
        }
    }

    /// Takes outputs until so many wait for the socket.
    fn take_outputs(&mut self, ahead: usize) {
        self.outputs_left = false;
        if self.broken.is_some() {
            // Nobody takes them any more, and they must not keep the rest from being read.
            while self.link.try_output().is_some() {}
            return;
        }
        loop {
            if self.outgoing.len() >= ahead {
                self.outputs_left = true;
                return;
            }
            match self.link.try_output() {
                // After our close frame nothing may follow.
                Some(Output::Send(_)) if self.close_by.is_some() => {}
                Some(Output::Send(text)) => self.outgoing.push(Message::Text((*text).into())),
                Some(Output::Close { code, reason }) => self.say_goodbye(code, &reason),
                None => return,
            }
        }
    }

    fn say_goodbye(&mut self, code: u16, reason: &str) {
        if self.close_by.is_none() {
            let reason = close_reason(reason).into();
            self.outgoing.push(Message::Close(Some(CloseFrame { code, reason })));
            let wait = if code == close::POLICY { self.stuck.wait() } else { CLOSE_WAIT };
            let by = Instant::now() + wait;
            self.close_by = Some(by);
            self.look_by(by);
        }
    }

    /// The timer fires at that moment, if not before.
    fn look_by(&mut self, moment: Instant) {
        if self.timer.deadline() > moment.into() {
            self.timer.as_mut().reset(moment.into());
        }
    }

    fn handle_timer(&mut self, now: Instant) -> Option<(u16, String)> {
        if let Some(Broken { why, .. }) =
            self.broken.take_if(|broken| broken.by.is_some_and(|by| now >= by))
        {
            return Some((close::DROPPED, why));
        }
        if let Some(by) = self.close_by {
            if now >= by {
                return Some((close::DROPPED, "the close frame was not answered".into()));
            }
            self.timer.as_mut().reset(by.into());
            return None;
        }
        if !self.may_read() {
            // We are not listening, so silence says nothing.
            self.liveness.heard(now);
        }
        let next = match self.liveness.check(now) {
            Silence::Dead => return Some((close::DROPPED, "the link fell silent".into())),
            Silence::Fine(next) => next,
            Silence::Ping(next) => {
                self.outgoing.push(Message::Ping(axum::body::Bytes::new()));
                next
            }
        };
        self.timer.as_mut().reset(next.into());
        None
    }
}
