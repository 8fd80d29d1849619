//! What waits to be written to a socket: fed as far as the socket takes it, flushed once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Sink;

/// A close reason may be this long: a control frame has 125 bytes, two of them are the code.
const MAX_REASON_BYTES: usize = 123;

/// What a message takes on its way out.
pub(crate) trait Weigh {
    /// Its bytes.
    fn weigh(&self) -> usize;
}

/// What a frame has beside its payload, at most; and what it takes in a queue, about.
const FRAME_BYTES: usize = 64;

/// Messages on their way out.
#[derive(Debug)]
pub(crate) struct Outgoing<M> {
    queue: VecDeque<M>,
    /// Bytes of the messages that wait in the queue, or have been fed since the last flush.
    waiting: usize,
    /// Bytes of the pongs that the library has put on their way since the last flush.
    pongs: usize,
    /// Something was fed since the last flush.
    unflushed: bool,
}

impl<M: Weigh> Outgoing<M> {
    pub(crate) fn new() -> Outgoing<M> {
        Outgoing { queue: VecDeque::new(), waiting: 0, pongs: 0, unflushed: false }
    }

    pub(crate) fn push(&mut self, message: M) {
        self.waiting += message.weigh() + FRAME_BYTES;
        self.queue.push_back(message);
    }

    /// A ping of so many bytes was read: the library answers it by itself, and keeps the answer
    /// until it is out.
    pub(crate) fn answers_ping(&mut self, bytes: usize) {
        self.pongs += bytes + FRAME_BYTES;
        self.unflushed = true;
    }

    /// Messages that the socket has not taken yet.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes that are not out yet, pongs among them.
    pub(crate) fn bytes(&self) -> usize {
        self.waiting + self.pongs
    }

    /// Whether nothing waits.
    #[cfg(feature = "client")]
    pub(crate) fn is_out(&self) -> bool {
        self.queue.is_empty() && !self.unflushed
    }

    /// Bytes of pongs that are not out yet.
    pub(crate) fn pong_bytes(&self) -> usize {
        self.pongs
    }

    /// Feeds and flushes. Ready when everything is out; pending while the socket is full.
    pub(crate) fn poll<S>(
        &mut self,
        socket: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), S::Error>>
    where
        S: Sink<M> + Unpin,
    {
        while !self.queue.is_empty() {
            ready!(Pin::new(&mut *socket).poll_ready(context))?;
            if let Some(message) = self.queue.pop_front() {
                Pin::new(&mut *socket).start_send(message)?;
                self.unflushed = true;
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut *socket).poll_flush(context))?;
            self.unflushed = false;
            self.waiting = 0;
            self.pongs = 0;
            // A burst must not cost memory for ever after.
            self.queue.shrink_to(16);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "server")]
impl Weigh for axum::extract::ws::Message {
    fn weigh(&self) -> usize {
        use axum::extract::ws::Message;
        match self {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
            Message::Close(_) => MAX_REASON_BYTES,
        }
    }
}

#[cfg(feature = "client")]
impl Weigh for tokio_tungstenite::tungstenite::Message {
    fn weigh(&self) -> usize {
        self.len()
    }
}

/// A reason as a close frame can carry it.
pub(crate) fn close_reason(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert_eq!(close_reason("short"), "short");
        let long = "ä".repeat(100);
        assert_eq!(close_reason(&long).len(), 122);
        assert!(long.starts_with(close_reason(&long)));
    }
}
