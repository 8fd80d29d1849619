//! What links and streams have in common: a peer that does not read, and one that breaks the rules
//! of WebSocket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message};
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use super::door::Peer;
use super::limits::ServerLimits;
use crate::net::outgoing::close_reason;
use crate::protocol::close;

/// Whether a peer takes what it has made us answer.
pub(super) struct Stuck {
    peer: Arc<Peer>,
    max_bytes: usize,
    timeout: Duration,
    /// What its socket had taken when it was found to be full, and when that was.
    since: Option<(u64, Instant)>,
}

impl Stuck {
    pub(super) fn new(peer: Arc<Peer>, limits: &ServerLimits) -> Stuck {
        let (max_bytes, timeout) = (limits.max_output_bytes, limits.stuck_timeout);
        Stuck { peer, max_bytes, timeout, since: None }
    }

    /// How long one that was closed for it is waited for: should it begin to read, it learns why.
    pub(super) fn wait(&self) -> Duration {
        self.timeout
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether so many bytes are as many as may wait.
    pub(super) fn is_full(&self, waiting: usize) -> bool {
        waiting >= self.max_bytes
    }

    /// Whether it has taken nothing for too long. To be asked now and then while it is full.
    pub(super) fn is_over(&mut self, is_full: bool, now: Instant) -> bool {
        let written = self.peer.written();
        match self.since {
            _ if !is_full => self.since = None,
            Some((before, since)) if before == written => {
                return now.saturating_duration_since(since) >= self.timeout;
            }
            _ => self.since = Some((written, now)),
        }
        false
    }
}

/// How a peer has broken the rules of WebSocket.
pub(super) struct Failure {
    code: u16,
    reason: String,
}

impl Failure {
    /// `None`: the connection is gone, and there is nobody to tell.
    pub(super) fn of(error: axum::Error) -> Option<Failure> {
        let error = error.into_inner().downcast::<SocketError>().ok()?;
        let code = match &*error {
            SocketError::Capacity(_) => close::TOO_LARGE,
            SocketError::Utf8(_) => close::NO_UTF8,
            SocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return None,
            SocketError::Protocol(_) => close::PROTOCOL,
            _ => return None,
        };
        Some(Failure { code, reason: error.to_string() })
    }

    pub(super) fn frame(&self) -> Message {
        let reason = close_reason(&self.reason).into();
        Message::Close(Some(CloseFrame { code: self.code, reason }))
    }
}
