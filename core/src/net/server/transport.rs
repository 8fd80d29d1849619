//! The bytes of one connection, under HTTP: counted, and not waited for without end.
//!
//! hyper writes what it is given and waits until the peer has taken it, for ever, and says with an
//! empty answer what it cannot understand. Here an answer that is not taken ends the connection,
//! what cannot be understood is answered as everything else is, a peer that has to make room for
//! others is told so, and one that was refused while it was still sending gets to read why.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Sleep;

use super::door::Peer;
use super::reply;

/// In the time of [`super::ServerLimits::stuck_timeout`] a peer takes so much of an answer, or all.
const LEAST_BYTES: usize = 16 * 1024;

/// How long what a refused peer still sends is read, and how much of it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 4 * 1024 * 1024;

/// A connection's transport, plain or TLS.
pub(super) struct Transport<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> {
    /// Away once it lingers.
    inner: Option<T>,
    peer: Arc<Peer>,
    stuck_timeout: Duration,
    /// Runs while an answer is not taken.
    stuck: Option<Pin<Box<Sleep>>>,
    /// Taken since it began to run.
    taken: usize,
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport<T> {
    pub(super) fn new(inner: T, peer: Arc<Peer>, stuck_timeout: Duration) -> Transport<T> {
        Transport { inner: Some(inner), peer, stuck_timeout, stuck: None, taken: 0 }
    }

    fn inner(&mut self) -> io::Result<Pin<&mut T>> {
        self.inner.as_mut().map(Pin::new).ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Writes what `write` does, and notes how it went.
    fn write(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match write(self.inner()?, context) {
            Poll::Ready(Ok(bytes)) => {
                self.peer.wrote(bytes);
                self.taken += bytes;
                if self.taken >= LEAST_BYTES {
                    self.stuck = None;
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Pending => self.wait(context).map(Err),
            broken => broken,
        }
    }

    /// The peer takes nothing now: ready when it has not for too long.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        if self.peer.is_patient() {
            self.stuck = None;
            return Poll::Pending;
        }
        if self.peer.poll_sent_away(context).is_ready() {
            // It takes nothing, so there is nothing to say.
            return Poll::Ready(ErrorKind::ConnectionAborted.into());
        }
        if self.stuck.is_none() {
            self.taken = 0;
        }
        let timeout = self.stuck_timeout;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        stuck.as_mut().poll(context).map(|()| {
            tracing::debug!("an answer was not taken, its connection is closed");
            ErrorKind::TimedOut.into()
        })
    }

    /// hyper's own answer to what it could not read, with what every error says.
    fn explain(&mut self, context: &mut Context<'_>, written: &[u8]) -> Poll<io::Result<usize>> {
        self.peer.set_lingering();
        let answer = reply::malformed(written);
        let mut inner = self.inner()?;
        // It is short and the first or the only thing that is on its way: what the kernel's buffer
        // does not take of it is not worth waiting for.
        let _ = inner.as_mut().poll_write(context, &answer);
        Poll::Ready(Ok(written.len()))
    }

    /// Says that others need the place, and ends.
    fn send_away(&mut self, context: &mut Context<'_>) -> io::Error {
        self.peer.set_lingering();
        if let Ok(mut inner) = self.inner() {
            let _ = inner.as_mut().poll_write(context, &reply::full("max_unauthenticated_sockets"));
            let _ = inner.poll_flush(context);
        }
        ErrorKind::ConnectionAborted.into()
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncRead for Transport<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.peer.is_patient() && this.peer.poll_sent_away(context).is_ready() {
            return Poll::Ready(Err(this.send_away(context)));
        }
        this.inner()?.poll_read(context, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncWrite for Transport<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if is_unexplained(bytes) && !this.peer.is_patient() {
            return this.explain(context, bytes);
        }
        this.write(context, |inner, context| inner.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let [only] = slices
            && is_unexplained(only)
            && !this.peer.is_patient()
        {
            return this.explain(context, only);
        }
        this.write(context, |inner, context| inner.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.inner()?.poll_flush(context) {
            Poll::Pending => this.wait(context).map(Err),
            flushed => {
                this.stuck = None;
                this.peer.release();
                flushed
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().inner()?.poll_shutdown(context)
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Drop for Transport<T> {
    fn drop(&mut self) {
        if !self.peer.lingers() {
            return;
        }
        if let (Some(inner), Ok(runtime)) =
            (self.inner.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(linger(inner, Arc::clone(&self.peer)));
        }
    }
}

/// Says that nothing follows, and reads what the peer still sends, for a moment. It keeps its
/// place for so long.
pub(super) async fn linger<T: AsyncRead + AsyncWrite + Unpin>(mut socket: T, _place: Arc<Peer>) {
    let until_end = async {
        socket.shutdown().await?;
        tokio::io::copy(&mut socket.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // The peer may be gone already.
    let _ = tokio::time::timeout(LINGER, until_end).await;
}

/// Whether it is hyper's answer to what it could not read: the only one that says nothing of what
/// is in it.
fn is_unexplained(bytes: &[u8]) -> bool {
    let wanted = b"content-type";
    bytes.starts_with(b"HTTP/1.1 4")
        && bytes.ends_with(b"\r\n\r\n")
        && !bytes.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_librarys_own_answers_are_explained() {
        let own = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert!(is_unexplained(own));
        assert!(!is_unexplained(
            b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\r\n"
        ));
        assert!(!is_unexplained(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        assert!(!is_unexplained(b"HTTP/1.1 400 Bad"));
    }
}
