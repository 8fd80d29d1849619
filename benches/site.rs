//! A coordinator on a file of its own, with a server, and raw clients that connect to it.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use stayline::Settings;
use stayline::coordinator::{Coordinator, Options, StartOptions};
use stayline::net::server::{Server, ServerOptions, serve};

use crate::scratch::Scratch;
use crate::socket::Socket;

/// Whatever went wrong, told to whoever ran the benchmark.
pub fn failed(error: impl Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// A served coordinator. The file goes with it.
pub struct Site {
    coordinator: Coordinator,
    server: Server,
    // Last: the files go when nobody has them open.
    _scratch: Scratch,
}

impl Site {
    /// With a new and empty store.
    pub fn new() -> io::Result<Site> {
        let scratch = Scratch::new()?;
        let coordinator =
            Coordinator::open(&scratch.location("runs.db"), Options::default()).map_err(failed)?;
        Site::serving(coordinator, scratch)
    }

    /// Serves a coordinator whose files are in `scratch`.
    pub fn serving(coordinator: Coordinator, scratch: Scratch) -> io::Result<Site> {
        let served = serve(coordinator.clone(), "127.0.0.1:0", ServerOptions::default());
        let server = served.map_err(failed)?;
        Ok(Site { coordinator, server, _scratch: scratch })
    }

    /// Starts an execution in a session and connects an acknowledged wrapper to it, up to its
    /// `welcome`.
    pub fn wrapper(&self, session_id: &str) -> io::Result<Socket> {
        let session = self.coordinator.session(session_id).map_err(failed)?;
        let started = session.start(StartOptions::default()).map_err(failed)?;
        connect(self.server.address(), session_id, &started.execution_id, &started.token)
    }

    /// Connects a subscriber that reads a session from its beginning.
    pub fn subscriber(&self, session_id: &str) -> io::Result<Subscriber> {
        let path = format!("/sessions/{session_id}/stream?fromId=0");
        let socket = Socket::open(self.server.address(), &path, &[])?;
        Ok(Subscriber { socket, seen: 0 })
    }

    /// `Ok` if a session has stored exactly so many events.
    pub fn expect_stored(&self, session_id: &str, expected: u64) -> io::Result<()> {
        let session = self.coordinator.session(session_id).map_err(failed)?;
        let stored = session.count_events(&Default::default()).map_err(failed)?;
        if stored != expected {
            return Err(failed(format!("{session_id} has {stored} events, not {expected}")));
        }
        Ok(())
    }
}

/// Connects an acknowledged wrapper to an execution, up to its `welcome`.
pub fn connect(
    server: SocketAddr,
    session_id: &str,
    execution_id: &str,
    token: &str,
) -> io::Result<Socket> {
    let path = format!(
        "/sessions/{session_id}/ingest?executionId={execution_id}&producer=bench&attempt=1"
    );
    let bearer = format!("Bearer {token}");
    let headers = [("Stayline-Protocol", "2"), ("Authorization", bearer.as_str())];
    let mut socket = Socket::open(server, &path, &headers)?;
    let mut welcome = Vec::new();
    socket.receive(|text| welcome = text.to_vec())?;
    let welcome: Value = serde_json::from_slice(&welcome)?;
    if welcome["type"] != "welcome" || welcome["lastSeq"] != 0 {
        return Err(failed(format!("not a welcome: {welcome}")));
    }
    Ok(socket)
}

/// Somebody who watches, and sees to it that every event comes, once and in order.
pub struct Subscriber {
    socket: Socket,
    seen: u64,
}

impl Subscriber {
    /// Waits until the `connected` record has come, so that the rest is live.
    pub fn wait_until_connected(&mut self) -> io::Result<()> {
        let mut is_connected = false;
        while !is_connected {
            self.socket.receive(|text| {
                is_connected |= text.windows(11).any(|part| part == b"\"connected\"");
            })?;
        }
        Ok(())
    }

    /// Reads until the event with the id `last` has come.
    pub fn read_up_to(&mut self, last: u64) -> io::Result<()> {
        let (mut seen, mut is_broken) = (self.seen, false);
        while seen < last {
            self.socket.receive(|text| match event_id(text) {
                // Control records have no place in the order.
                Some(0) => {}
                Some(id) if id == seen + 1 => seen = id,
                _ => is_broken = true,
            })?;
            if is_broken {
                return Err(failed(format!("event {} is not what came next", seen + 1)));
            }
        }
        self.seen = seen;
        Ok(())
    }
}

/// The id that a record begins with.
fn event_id(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"{\"eventId\":")?;
    number(digits)
}

/// The number that an acknowledgement names; `None` for any other frame.
pub fn acknowledged(text: &[u8]) -> Option<u64> {
    number(text.strip_prefix(b"{\"type\":\"ack\",\"seq\":")?)
}

fn number(digits: &[u8]) -> Option<u64> {
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// Settings for filling a store before anything is measured: what is lost at a power cut is made
/// again.
pub fn filling_settings() -> Settings {
    Settings { synchronous: stayline::settings::Synchronous::Off, ..Settings::default() }
}

/// How long a wait inside a benchmark may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Templates;
    use crate::socket::text_frame;

    #[test]
    fn what_a_wrapper_sends_is_acknowledged_stored_and_seen() {
        let site = Site::new().unwrap();
        let mut wrapper = site.wrapper("s").unwrap();
        let mut subscriber = site.subscriber("s").unwrap();
        subscriber.wait_until_connected().unwrap();
        let (mut templates, mut frames) = (Templates::new(), Vec::new());
        for seq in 1..=5 {
            text_frame(templates.numbered(seq).as_bytes(), &mut frames);
        }
        wrapper.send(&frames).unwrap();
        let mut acked = 0;
        while acked < 5 {
            wrapper.receive(|text| acked = acknowledged(text).unwrap()).unwrap();
        }
        subscriber.read_up_to(5).unwrap();
        site.expect_stored("s", 5).unwrap();
        assert!(site.expect_stored("s", 6).is_err());
    }
}
