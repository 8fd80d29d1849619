//! What waits to be written to a socket: fed as far as the socket takes it, flushed once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Sink;

/// A close reason may be this long: a control frame has 125 bytes, two of them are the code.
const MAX_REASON_BYTES: usize = 123;

/// Messages on their way out.
#[derive(Debug)]
pub(crate) struct Outgoing<M> {
    queue: VecDeque<M>,
    /// Something was fed since the last flush.
    unflushed: bool,
}

impl<M> Outgoing<M> {
    pub(crate) fn new() -> Outgoing<M> {
        Outgoing { queue: VecDeque::new(), unflushed: false }
    }

    pub(crate) fn push(&mut self, message: M) {
        self.queue.push_back(message);
    }

    /// Messages that the socket has not taken yet.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
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
            // A burst must not cost memory for ever after.
            self.queue.shrink_to(16);
        }
        Poll::Ready(Ok(()))
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
