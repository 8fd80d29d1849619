//! A connection that counts what its peer has taken, and keeps the head of its answer together.
//!
//! The library takes an upgrade whose answer comes in many small pieces for an attack, though a
//! slow line, or a proxy that passes on byte by byte, is none. What it may cost is bounded all the
//! same: by [`LONGEST_HEAD`], and by the time that the answer has.
//!
//! Nor does it read an answer in HTTP/1.0, in which simple servers and old proxies refuse.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connect::Transport;

/// What is waited for of a head; the library takes no longer one.
const LONGEST_HEAD: usize = 64 * 1024;

/// A connection, and how many bytes of ours it has carried.
pub(super) struct Counted {
    inner: Box<dyn Transport>,
    written: u64,
    /// Until the head of the answer has been handed on.
    head: Option<Head>,
}

/// The first bytes of the peer's.
#[derive(Default)]
struct Head {
    bytes: Vec<u8>,
    taken: usize,
    is_whole: bool,
}

const OLD: &[u8] = b"HTTP/1.0 ";
const NEW: &[u8] = b"HTTP/1.1 ";

impl Head {
    /// Makes a refusal in HTTP/1.0 one of the version that is read. An upgrade stays what it is: an
    /// old proxy in the way could not carry what follows it.
    fn modernise(&mut self) {
        let status = self.bytes.strip_prefix(OLD).and_then(|rest| rest.get(..3));
        if status.is_some_and(|status| status != b"101") {
            self.bytes[..NEW.len()].copy_from_slice(NEW);
        }
    }

    /// Reads on until it is whole, too long, or the peer has ended.
    fn poll_whole(
        &mut self,
        inner: &mut Box<dyn Transport>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_whole {
            let mut piece = [0; 4 * 1024];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut *inner).poll_read(context, &mut piece))?;
            let piece = piece.filled();
            // The end of a head may be divided.
            let seen = self.bytes.len().saturating_sub(3);
            self.bytes.extend_from_slice(piece);
            let ends = |at: &[u8]| at.starts_with(b"\n\n") || at.starts_with(b"\n\r\n");
            let has_end = (seen..self.bytes.len()).any(|at| ends(&self.bytes[at..]));
            self.is_whole = piece.is_empty() || has_end || self.bytes.len() >= LONGEST_HEAD;
            if self.is_whole {
                self.modernise();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Counted {
    pub(super) fn new(inner: Box<dyn Transport>) -> Counted {
        Counted { inner, written: 0, head: Some(Head::default()) }
    }

    /// Bytes that the system has taken from us.
    pub(super) fn written(&self) -> u64 {
        self.written
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(head) = &mut this.head else {
            return Pin::new(&mut this.inner).poll_read(context, buffer);
        };
        ready!(head.poll_whole(&mut this.inner, context))?;
        let left = &head.bytes[head.taken..];
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        head.taken += count;
        if head.taken == head.bytes.len() {
            this.head = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.written += *count as u64;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::net::runtime;

    /// A peer from which one byte comes at a time.
    struct Slow(Vec<u8>, bool);

    impl AsyncRead for Slow {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.1 = !self.1;
            if self.1 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !self.0.is_empty() {
                buffer.put_slice(&[self.0.remove(0)]);
            }
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// What is read at first, and all that is read.
    fn read(said: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (done, waiting) = std::sync::mpsc::channel();
        let mut counted = Counted::new(Box::new(Slow(said.to_vec(), false)));
        runtime::handle().unwrap().spawn(async move {
            let mut first = [0; 8 * 1024];
            let count = counted.read(&mut first).await.unwrap();
            let mut all = first[..count].to_vec();
            counted.read_to_end(&mut all).await.unwrap();
            done.send((first[..count].to_vec(), all))
        });
        waiting.recv_timeout(std::time::Duration::from_secs(30)).unwrap()
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_is_handed_on_as_a_whole() {
        for head in ["HTTP/1.1 101 X\r\na: b\r\n\r\n", "HTTP/1.1 101 X\na: b\n\n", "X\r\n\n"] {
            let said = [head.as_bytes(), b"and then frames"].concat();
            assert_eq!(read(&said), (head.into(), said), "{head:?}");
        }
    }

    #[test]
    fn a_refusal_in_an_older_version_is_one_all_the_same() {
        let answer = |version: &str, rest: &str| format!("HTTP/{version} {rest}\r\na: b\r\n\r\nno");
        for (rest, version) in [("401 No", "1.1"), ("503", "1.1"), ("101 Yes", "1.0")] {
            let said = answer("1.0", rest);
            assert_eq!(read(said.as_bytes()).1, answer(version, rest).into_bytes(), "{rest}");
        }
        assert_eq!(read(b"HTTP/1.0").1, b"HTTP/1.0");
    }

    #[test]
    fn nothing_is_waited_for_behind_an_end_or_a_head_that_is_too_long() {
        assert_eq!(read(b""), (vec![], vec![]));
        assert_eq!(read(b"HTTP/1.1 101"), (b"HTTP/1.1 101".to_vec(), b"HTTP/1.1 101".to_vec()));
        let long = vec![b'x'; LONGEST_HEAD + 10];
        let (first, all) = read(&long);
        assert_eq!((first.len(), all.len()), (8 * 1024, long.len()));
    }
}
