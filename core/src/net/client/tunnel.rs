//! A way through a proxy: `CONNECT`, then the connection is the coordinator's, TLS included.

use std::fmt;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

/// The head of a proxy's answer may be this long.
const LARGEST_ANSWER_BYTES: usize = 16 * 1024;

/// A proxy, and what it wants to know. Shown, it is its address without the credentials.
#[derive(Clone)]
pub(super) struct Tunnel {
    host: String,
    port: u16,
    /// The value of `Proxy-Authorization`.
    credentials: Option<HeaderValue>,
}

impl Tunnel {
    /// `host` may have brackets.
    pub(super) fn new(host: &str, port: u16, credentials: Option<HeaderValue>) -> Tunnel {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Tunnel { host, port, credentials }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Asks for the tunnel and reads the answer, and not a byte more.
    pub(super) async fn open(
        &self,
        stream: &mut TcpStream,
        host: &str,
        port: u16,
    ) -> Result<(), Unopened> {
        let silent = |text| Unopened { text, answered: false };
        let broke = |error| silent(format!("the proxy {self} broke off: {error}"));
        let to = authority(host, port);
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
        if let Some(credentials) = &self.credentials {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(credentials.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await.map_err(broke)?;
        let mut head = Vec::new();
        while !is_whole(&head) {
            if head.len() >= LARGEST_ANSWER_BYTES {
                return Err(silent(format!("the proxy {self} answers without an end")));
            }
            // One at a time: what follows the head is the coordinator's.
            head.push(stream.read_u8().await.map_err(broke)?);
        }
        match status(&head) {
            Some(status) if status.is_success() => Ok(()),
            Some(status) => {
                let text = format!("the proxy {self} refused with {status}");
                Err(Unopened { text, answered: true })
            }
            None => Err(silent(format!("the proxy {self} does not speak HTTP"))),
        }
    }
}

/// Why there is no tunnel.
#[derive(Debug)]
pub(super) struct Unopened {
    /// For people.
    pub(super) text: String,
    /// The proxy is there, and has said no.
    pub(super) answered: bool,
}

impl fmt::Display for Tunnel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}", authority(&self.host, self.port))
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether a head has come to its end. Some write line breaks of one character (RFC 9112, 2.2).
fn is_whole(head: &[u8]) -> bool {
    head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}

/// Of the first line, `HTTP/1.1 200 …`.
fn status(head: &[u8]) -> Option<StatusCode> {
    let mut words = head.split(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    words.next().filter(|version| version.starts_with(b"HTTP/1."))?;
    StatusCode::from_bytes(words.next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_whatever_stands_behind_it() {
        let code = |line: &str| status(line.as_bytes()).map(|status| status.as_u16());
        assert_eq!(code("HTTP/1.1 200 Connection established\r\n\r\n"), Some(200));
        assert_eq!(code("HTTP/1.0 407\r\nA: b\r\n\r\n"), Some(407));
        assert_eq!(code("HTTP/1.1 200\n\n"), Some(200));
        for wrong in ["", "SSH-2.0-x\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 2x0 \r\n\r\n"] {
            assert_eq!(code(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_end_of_a_head_is_an_empty_line() {
        for whole in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200\nA: b\n\r\n"]
        {
            assert!(is_whole(whole.as_bytes()), "{whole:?}");
            for cut in 1..whole.len() {
                assert!(!is_whole(&whole.as_bytes()[..cut]), "{whole:?} to {cut}");
            }
        }
    }

    #[test]
    fn it_is_shown_without_its_credentials() {
        let credentials = Some(HeaderValue::from_static("Basic c2VjcmV0"));
        let tunnel = Tunnel::new("[::1]", 3128, credentials);
        assert_eq!(format!("{tunnel} {tunnel:?}"), "http://[::1]:3128 http://[::1]:3128");
    }
}
