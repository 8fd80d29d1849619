//! One open socket of a wrapper: writes in batches, reads what is there, pings.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::{Sink, Stream};
use tokio::time::Sleep;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

use super::connect::Socket;
use crate::Settings;
use crate::net::liveness::{Liveness, Silence};
use crate::net::outgoing::{Outgoing, close_reason};
use crate::protocol::close;

/// Frames handed over at once.
const BATCH_FRAMES: usize = 512;

/// Their bytes, and one frame more.
const BATCH_BYTES: usize = 1024 * 1024;

/// Pongs that the peer has not read; at so many its pings are not read any more either.
const PONG_BYTES: usize = 1024 * 1024;

/// How long a socket may take to get out what was written, and to hear the other's goodbye.
const FINISH_WAIT: Duration = Duration::from_secs(2);

/// What a socket has to tell.
pub(super) enum Noticed {
    Frames(Vec<Utf8Bytes>),
    Closed {
        code: u16,
        reason: String,
    },
    /// Everything is written.
    Room,
}

pub(super) struct LinkSocket {
    pub(super) attempt: u64,
    socket: Socket,
    outgoing: Outgoing<Message>,
    liveness: Liveness,
    /// The same for what we say: a peer that takes nothing is as good as gone.
    taking: Liveness,
    /// What it had taken at the last look.
    taken: u64,
    timer: Pin<Box<Sleep>>,
    /// Came after frames that were handed over first.
    end: Option<(u16, String)>,
    /// Our close frame is on its way: the other's answer is awaited.
    closing: bool,
    /// The close code is one that no frame carries: the socket is simply dropped.
    dropped: bool,
}

impl LinkSocket {
    pub(super) fn new(
        attempt: u64,
        socket: Socket,
        acknowledged: bool,
        settings: &Settings,
    ) -> LinkSocket {
        let now = Instant::now();
        let ping = settings.ping_interval_ms;
        // A basic link cannot send again what its socket swallowed: it is given up later (R47a).
        let timeout =
            if acknowledged { settings.link_timeout_ms } else { settings.basic_link_timeout_ms };
        LinkSocket {
            attempt,
            socket,
            outgoing: Outgoing::new(),
            liveness: Liveness::new(ping, Some(timeout), now),
            taking: Liveness::new(ping, Some(timeout), now),
            taken: 0,
            timer: Box::pin(tokio::time::sleep_until(now.into())),
            end: None,
            closing: false,
            dropped: false,
        }
    }

    /// Messages and bytes that the socket has not taken yet.
    pub(super) fn unwritten(&self) -> (usize, usize) {
        (self.outgoing.len(), self.outgoing.bytes())
    }

    pub(super) fn write(&mut self, text: String) {
        self.outgoing.push(Message::Text(text.into()));
    }

    /// Says goodbye after what was written. Nothing may be written any more.
    pub(super) fn close(&mut self, code: u16, reason: &str) {
        // 1005, 1006 and 1015 say that there was no close frame; none can carry them.
        if matches!(code, 1005 | 1006 | 1015) {
            self.dropped = true;
            return;
        }
        let frame = CloseFrame { code: code.into(), reason: close_reason(reason).into() };
        self.outgoing.push(Message::Close(Some(frame)));
        self.closing = true;
    }

    /// `wants_room`: tell when everything is written. `may_read`: take what has come.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        wants_room: bool,
        may_read: bool,
    ) -> Poll<Noticed> {
        let written = self.outgoing.poll(&mut self.socket, context);
        if let Some((code, reason)) = self.end.take() {
            return Poll::Ready(Noticed::Closed { code, reason });
        }
        let frames = if may_read { self.read(context) } else { Vec::new() };
        if !frames.is_empty() {
            return Poll::Ready(Noticed::Frames(frames));
        }
        if let Some((code, reason)) = self.end.take() {
            return Poll::Ready(Noticed::Closed { code, reason });
        }
        match written {
            // Only now: what had arrived before the break was read first.
            Poll::Ready(Err(error)) => {
                let reason = error.to_string();
                return Poll::Ready(Noticed::Closed { code: close::DROPPED, reason });
            }
            Poll::Ready(Ok(())) if wants_room => return Poll::Ready(Noticed::Room),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        self.poll_timer(context)
    }

    /// What is there, up to a batch.
    fn read(&mut self, context: &mut Context<'_>) -> Vec<Utf8Bytes> {
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while frames.len() < BATCH_FRAMES
            && bytes < BATCH_BYTES
            && self.outgoing.pong_bytes() < PONG_BYTES
            && self.end.is_none()
        {
            let Poll::Ready(item) = Pin::new(&mut self.socket).poll_next(context) else { break };
            self.liveness.heard(Instant::now());
            match item {
                Some(Ok(Message::Text(text))) => {
                    bytes += text.len();
                    frames.push(text);
                }
                // Binary frames mean nothing; pongs are signs of life, and pings are answered
                // with the next flush.
                Some(Ok(Message::Binary(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Ping(payload))) => {
                    self.outgoing.answers_ping(payload.len());
                    // Pending means that it goes out with whatever follows.
                    let _ = Pin::new(&mut self.socket).poll_flush(context);
                }
                Some(Ok(Message::Close(frame))) => {
                    self.end = Some(frame.map_or_else(
                        || (close::DROPPED, String::new()),
                        |frame| (frame.code.into(), frame.reason.to_string()),
                    ));
                }
                Some(Err(error)) => self.end = Some((close::DROPPED, error.to_string())),
                None => self.end = Some((close::DROPPED, "the connection was lost".into())),
            }
        }
        frames
    }

    /// When to look again; `None`: it has taken nothing of what waits for as long as a link may be
    /// silent, though it may have said enough itself.
    fn look_at_what_it_takes(&mut self, now: Instant) -> Option<Instant> {
        let taken = self.socket.get_ref().written();
        if taken != self.taken || self.outgoing.is_out() {
            self.taken = taken;
            self.taking.heard(now);
        }
        match self.taking.check(now) {
            Silence::Dead => None,
            Silence::Fine(next) | Silence::Ping(next) => Some(next),
        }
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Noticed> {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let Some(look) = self.look_at_what_it_takes(now) else {
                let reason = "the link takes nothing".to_owned();
                self.dropped = true;
                return Poll::Ready(Noticed::Closed { code: close::DROPPED, reason });
            };
            let next = match self.liveness.check(now) {
                Silence::Dead => {
                    let reason = "the link fell silent".to_owned();
                    self.dropped = true;
                    return Poll::Ready(Noticed::Closed { code: close::DROPPED, reason });
                }
                Silence::Fine(next) => next,
                Silence::Ping(next) => {
                    self.outgoing.push(Message::Ping(Default::default()));
                    // Pending means that the socket wakes us when it takes it; an error comes
                    // back at the next look.
                    let _ = self.outgoing.poll(&mut self.socket, context);
                    next
                }
            };
            self.timer.as_mut().reset(next.min(look).into());
        }
        Poll::Pending
    }

    /// Writes what is left, then waits for the other's goodbye where ours is out, both within a
    /// bound. Reading on matters: a socket that is dropped with something unread is reset, and
    /// what it had sent may be lost with it.
    pub(super) async fn finish(mut self) {
        if self.dropped {
            return;
        }
        let farewell = async {
            let written = poll_fn(|context| match self.outgoing.poll(&mut self.socket, context) {
                Poll::Ready(Ok(())) => Pin::new(&mut self.socket).poll_flush(context),
                other => other,
            });
            if written.await.is_err() || !self.closing {
                return;
            }
            while let Some(Ok(_)) =
                poll_fn(|context| Pin::new(&mut self.socket).poll_next(context)).await
            {}
        };
        // A peer that takes longer is not waited for.
        let _ = tokio::time::timeout(FINISH_WAIT, farewell).await;
    }
}
