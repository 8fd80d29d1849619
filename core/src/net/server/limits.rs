//! What a peer may take of the server: sockets, time, memory (`docs/rest.md`, "Bounds").

use std::time::Duration;

use crate::Error;

/// The bounds of one server. Everything that a peer can make it keep has one of these, or one of
/// the settings (`docs/rest.md` has them all in one table).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLimits {
    /// Sockets at the same time, of all kinds. One more is answered with 503 and closed.
    pub max_sockets: usize,
    /// Sockets at the same time that nothing was answered to yet but refusals. When one more
    /// comes, the one that has been silent longest is answered with 503 and closed.
    pub max_unauthenticated_sockets: usize,
    /// Requests that are answered at the same time: so many that read, and so many that change
    /// something. One more of its kind is answered with 429. An answer counts until its peer has
    /// taken it.
    pub max_requests: usize,
    /// The body of a request, in bytes. A longer one is answered with 413.
    pub max_body_bytes: usize,
    /// How long a body may take to come; then 408.
    pub body_timeout: Duration,
    /// The head of a request, in bytes. A longer one is answered with 431.
    pub max_head_bytes: usize,
    /// How long the head of a request may take, and how long a connection may be idle between
    /// two; then it is closed.
    pub head_timeout: Duration,
    /// How long the handshake of TLS may take; then the connection is closed.
    pub handshake_timeout: Duration,
    /// What waits to be written to one WebSocket, in bytes: outputs and pongs. From there on the
    /// socket is not read.
    pub max_output_bytes: usize,
    /// How long a WebSocket whose outputs are at their bound may take nothing (then close 1008),
    /// and how long an answer may lie untaken (then the connection is closed).
    pub stuck_timeout: Duration,
    /// What waits to be written to one reader of events, in bytes, or one event.
    pub max_stream_bytes: usize,
    /// The entries of one page of a list, in bytes, or one entry. The rest is behind its cursor.
    pub max_page_bytes: usize,
}

impl Default for ServerLimits {
    fn default() -> ServerLimits {
        ServerLimits {
            max_sockets: 10_000,
            max_unauthenticated_sockets: 256,
            max_requests: 256,
            max_body_bytes: 2 * 1024 * 1024,
            body_timeout: Duration::from_secs(10),
            max_head_bytes: 64 * 1024,
            head_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            max_output_bytes: 1024 * 1024,
            stuck_timeout: Duration::from_secs(30),
            max_stream_bytes: 256 * 1024,
            max_page_bytes: 4 * 1024 * 1024,
        }
    }
}

/// The least that a bound in bytes may be.
const LEAST_BYTES: usize = 8 * 1024;
/// The least that a time may be: below it, a peer on a busy machine would have none.
const LEAST_TIME: Duration = Duration::from_millis(10);
/// The most that any of them may be.
const MOST: usize = 1 << 30;
const MOST_TIME: Duration = Duration::from_secs(24 * 60 * 60);

impl ServerLimits {
    /// [`Error::InvalidArgument`] for one that is out of its range, by its name.
    pub fn check(&self) -> Result<(), Error> {
        for (name, value, least) in [
            ("max_sockets", self.max_sockets, 1),
            ("max_unauthenticated_sockets", self.max_unauthenticated_sockets, 1),
            ("max_requests", self.max_requests, 1),
            ("max_body_bytes", self.max_body_bytes, LEAST_BYTES),
            ("max_head_bytes", self.max_head_bytes, LEAST_BYTES),
            ("max_output_bytes", self.max_output_bytes, LEAST_BYTES),
            ("max_stream_bytes", self.max_stream_bytes, LEAST_BYTES),
            ("max_page_bytes", self.max_page_bytes, LEAST_BYTES),
        ] {
            if !(least..=MOST).contains(&value) {
                return Err(out_of_range(name, value, least, MOST));
            }
        }
        for (name, value) in [
            ("body_timeout", self.body_timeout),
            ("head_timeout", self.head_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("stuck_timeout", self.stuck_timeout),
        ] {
            if !(LEAST_TIME..=MOST_TIME).contains(&value) {
                let text = format!("{name} cannot be {value:?}; it is between 10 ms and 24 h");
                return Err(Error::invalid(text));
            }
        }
        Ok(())
    }
}

/// [`Error::InvalidArgument`] for a number of worker threads that makes no sense.
pub(super) fn check_workers(workers: usize) -> Result<(), Error> {
    const MOST_WORKERS: usize = 64;
    if (1..=MOST_WORKERS).contains(&workers) {
        return Ok(());
    }
    Err(out_of_range("workers", workers, 1, MOST_WORKERS))
}

fn out_of_range(name: &str, value: usize, least: usize, most: usize) -> Error {
    Error::invalid(format!("{name} cannot be {value}; it is between {least} and {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_told_by_its_name() {
        ServerLimits::default().check().unwrap();
        let wrong = [
            (ServerLimits { max_sockets: 0, ..ServerLimits::default() }, "max_sockets"),
            (ServerLimits { max_requests: usize::MAX, ..ServerLimits::default() }, "max_requests"),
            (ServerLimits { max_body_bytes: 1, ..ServerLimits::default() }, "max_body_bytes"),
            (
                ServerLimits { stuck_timeout: Duration::ZERO, ..ServerLimits::default() },
                "stuck_timeout",
            ),
        ];
        for (limits, name) in wrong {
            assert!(limits.check().unwrap_err().to_string().contains(name));
        }
        assert!(check_workers(0).is_err() && check_workers(65).is_err());
        check_workers(1).unwrap();
    }
}
