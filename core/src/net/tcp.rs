//! A TCP connection on which no write raises SIGPIPE: in a host that leaves that signal as the
//! system has it, one peer that went away would end the process.
//!
//! The standard library writes one buffer with `MSG_NOSIGNAL`, but several at once by `writev`,
//! which has no such flag.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// A connection, made or accepted.
#[derive(Debug)]
pub(super) struct Tcp(TcpStream);

impl Tcp {
    pub(super) fn new(stream: TcpStream) -> Tcp {
        Tcp(stream)
    }

    #[cfg(all(feature = "server", feature = "tls"))]
    pub(super) fn stream(&self) -> &TcpStream {
        &self.0
    }

    fn pinned(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.get_mut().0)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const SEND: SendFlags = SendFlags::NOSIGNAL;
/// There the sockets themselves are told (`SO_NOSIGPIPE`), by whoever makes them.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SEND: SendFlags = SendFlags::empty();

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.pinned().poll_read(context, buffer)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pinned().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = &self.get_mut().0;
        loop {
            ready!(stream.poll_write_ready(context))?;
            let send = || {
                let mut nothing_besides = SendAncillaryBuffer::default();
                Ok(sendmsg(stream, slices, &mut nothing_besides, SEND)?)
            };
            match stream.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_shutdown(context)
    }
}
