//! A bare connection to a server, made as a wrapper's own: every address of its name, by way of a
//! proxy or not. For the command line, which speaks HTTP over it by itself.

use std::io;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::address;
use super::proxy::Proxy;
use crate::Error;
use crate::net::runtime;

/// A connection that is being made. Dropping it gives it up.
#[derive(Debug)]
pub struct Dialing {
    answer: Receiver<io::Result<TcpStream>>,
    task: AbortHandle,
}

impl Dialing {
    /// Begins to connect to a server's base address; it takes at most `limit`.
    ///
    /// [`Error::InvalidArgument`] for an address or a proxy that is none.
    pub fn begin(url: &str, proxy: &Proxy, limit: Duration) -> Result<Dialing, Error> {
        let (route, _) = address::route(url, proxy)?;
        let (sender, answer) = sync_channel(1);
        let task = runtime::handle()?.spawn(async move {
            let dialed = route.connect(limit).await.map_err(io::Error::other);
            let plain = dialed.and_then(|dialed| {
                let stream = dialed.stream.into_std()?;
                stream.set_nonblocking(false)?;
                Ok(stream)
            });
            // Nobody waits any more where this fails.
            let _ = sender.send(plain);
        });
        Ok(Dialing { answer, task: task.abort_handle() })
    }

    /// Waits for it, at most so long; `None` when it is not there yet.
    pub fn wait(&mut self, limit: Duration) -> Option<io::Result<TcpStream>> {
        match self.answer.recv_timeout(limit) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(io::Error::other("given up"))),
        }
    }
}

impl Drop for Dialing {
    fn drop(&mut self) {
        self.task.abort();
    }
}
