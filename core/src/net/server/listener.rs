//! The listening socket and what it accepts, with a note of their descriptors (`fork`).

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;

use crate::fork::Inherited;
use crate::net::tcp::Tcp;

/// How long nothing is accepted after the system refused to.
const BACK_OFF: Duration = Duration::from_millis(100);

fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// A socket that listens.
pub(super) struct Listener {
    // First: the note ends before the descriptor does.
    _inherited: Inherited,
    socket: TcpListener,
}

impl Listener {
    /// From a bound socket.
    pub(super) fn new(socket: TcpListener) -> Listener {
        Listener { _inherited: Inherited::new(&socket), socket }
    }

    /// The next connection; each time that there might be one and the system refuses it,
    /// `tell_refused` is called.
    pub(super) async fn accept(&mut self, tell_refused: impl Fn(&io::Error)) -> Accepted {
        let socket = loop {
            match self.socket.accept().await {
                Ok((socket, _)) => break socket,
                // It was gone again before it was accepted.
                Err(error) if is_of_the_peer(&error) => {}
                // Most likely the process, or the system, has no descriptors left.
                Err(error) => {
                    tell_refused(&error);
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        };
        if let Err(error) = tune(&socket) {
            tracing::debug!(%error, "could not set the options of an accepted socket");
        }
        Accepted { _inherited: Inherited::new(&socket), socket: Tcp::new(socket) }
    }
}

/// A connection.
pub(super) struct Accepted {
    // First: the note ends before the descriptor does.
    _inherited: Inherited,
    socket: Tcp,
}

impl Accepted {
    /// The first byte that the peer sends, which stays to be read; `None` when there is none.
    #[cfg(feature = "tls")]
    pub(super) async fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        let read = self.socket.stream().peek(&mut byte).await?;
        Ok((read == 1).then_some(byte[0]))
    }

    fn socket(self: Pin<&mut Self>) -> Pin<&mut Tcp> {
        Pin::new(&mut self.get_mut().socket)
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.socket().poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

/// Small frames go out at once, and the kernel notices peers that vanished without a word: a
/// subscriber may be silent and slow for as long as it likes, so silence alone is no sign.
fn tune(socket: &tokio::net::TcpStream) -> std::io::Result<()> {
    use rustix::net::sockopt;

    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    #[cfg(target_os = "linux")]
    {
        sockopt::set_tcp_keepidle(socket, Duration::from_secs(15))?;
        sockopt::set_tcp_keepintvl(socket, Duration::from_secs(5))?;
        sockopt::set_tcp_keepcnt(socket, 4)?;
    }
    Ok(())
}
