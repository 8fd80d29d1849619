//! A server with a coordinator in memory, and plain blocking clients for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use stayline::coordinator::{Coordinator, ExecutionView, Options, Session, StartOptions};
use stayline::net::server::{Server, ServerOptions, serve};
use stayline::protocol::Filter;
use stayline::session::records::Status;
use stayline::store::faults::Faults;
use stayline::{Error, Settings};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::{HeaderMap, Request, Response};
use tokio_tungstenite::tungstenite::{
    Error as SocketError, HandshakeError, Message, WebSocket, client,
};

/// How long anything is waited for. Never reached unless something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const TOKEN: &str = "a token";

pub struct Host {
    pub coordinator: Coordinator,
    pub server: Server,
    pub faults: Faults,
}

pub fn host() -> Host {
    host_with(prompt(), ServerOptions::default())
}

/// Basic wrappers are not let finish for long (R31), so that their 4000 need not be waited for.
pub fn prompt() -> Settings {
    Settings { basic_linger_ms: 50, ..Settings::default() }
}

pub fn host_with(settings: Settings, options: ServerOptions) -> Host {
    let faults = Faults::new();
    let opening = Options { settings, faults: Some(faults.clone()), ..Options::default() };
    let coordinator = Coordinator::open("memory:", opening).unwrap();
    let server = serve(coordinator.clone(), "127.0.0.1:0", options).unwrap();
    Host { coordinator, server, faults }
}

impl Host {
    pub fn session(&self) -> Session {
        self.coordinator.session("s").unwrap()
    }

    /// Starts an execution in the session `s`, with [`TOKEN`].
    pub fn start(&self, execution_id: &str) -> Session {
        let session = self.session();
        let options = StartOptions {
            execution_id: Some(execution_id.into()),
            token: Some(TOKEN.into()),
            ..StartOptions::default()
        };
        session.start(options).unwrap();
        session
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A link of the session `s` in basic mode.
    pub fn basic(&self, execution_id: &str) -> Peer {
        let path = format!("/sessions/s/ingest?executionId={execution_id}&token={TOKEN}");
        Peer::connect(self.address(), &path.replace(' ', "%20"), &[]).unwrap().0
    }

    /// A link of the session `s` in acknowledged mode; its welcome is still to be read.
    pub fn acknowledged(&self, execution_id: &str, producer: &str, attempt: u64) -> Peer {
        Peer::connect(self.address(), &acknowledged_path(execution_id, producer, attempt), ASK)
            .unwrap()
            .0
    }

    pub fn stream(&self, query: &str) -> Peer {
        let path = format!("/sessions/s/stream?{query}");
        Peer::connect(self.address(), &path, &[]).unwrap().0
    }

    pub fn wait_until(&self, execution_id: &str, status: Status) -> ExecutionView {
        wait_for(|| {
            let view = self.session().execution(execution_id).unwrap();
            (view.record.status == status).then_some(view)
        })
    }

    /// The types of the stored events, in order.
    pub fn types(&self) -> Vec<String> {
        self.events().into_iter().map(|(event_type, _)| event_type).collect()
    }

    /// Types and data of the stored events, in order.
    pub fn events(&self) -> Vec<(String, Value)> {
        all_events(&self.session())
    }
}

/// Every stored event of a session.
pub fn all_events(session: &Session) -> Vec<(String, Value)> {
    let mut filter = Filter::default();
    let mut events = Vec::new();
    loop {
        let page = session.events(&filter).unwrap();
        for event in &page.events {
            let data = serde_json::from_str(&event.data).unwrap();
            events.push((event.event_type.to_string(), data));
        }
        if page.end {
            return events;
        }
        filter.after = page.next_after;
    }
}

pub const ASK: &[(&str, &str)] = &[("stayline-protocol", "2")];

pub fn acknowledged_path(execution_id: &str, producer: &str, attempt: u64) -> String {
    format!(
        "/sessions/s/ingest?executionId={execution_id}&producer={producer}&attempt={attempt}\
         &token=a%20token"
    )
}

/// Looks until there is something.
pub fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A refused handshake.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Refused {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A WebSocket peer that reads and writes only when it is told to.
pub struct Peer {
    pub socket: WebSocket<TcpStream>,
}

impl Peer {
    pub fn connect(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(Peer, HeaderMap), Box<Refused>> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = Request::builder()
            .uri(format!("ws://{address}{path}"))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", generate_key());
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match client(request.body(()).unwrap(), stream) {
            Ok((socket, response)) => Ok((Peer { socket }, response.headers().clone())),
            Err(HandshakeError::Failure(SocketError::Http(response))) => {
                Err(Box::new(refused_of(*response)))
            }
            Err(error) => panic!("the handshake broke: {error}"),
        }
    }

    pub fn send(&mut self, frame: &Value) {
        self.socket.send(Message::Text(frame.to_string().into())).unwrap();
    }

    /// Sends several with one flush.
    pub fn send_all(&mut self, frames: &[Value]) {
        for frame in frames {
            self.socket.write(Message::Text(frame.to_string().into())).unwrap();
        }
        self.socket.flush().unwrap();
    }

    /// The next text frame, as JSON.
    pub fn next(&mut self) -> Value {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected a text frame, not {other:?}"),
            }
        }
    }

    /// Text frames up to the close, and the close.
    pub fn rest(&mut self) -> (Vec<Value>, u16, String) {
        let mut frames = Vec::new();
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => frames.push(serde_json::from_str(&text).unwrap()),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(Some(close)) => {
                    // The answer goes out with the next read.
                    let _ = self.socket.read();
                    return (frames, close.code.into(), close.reason.to_string());
                }
                other => panic!("expected text frames and a close, not {other:?}"),
            }
        }
    }

    /// The close, which must be the next thing.
    pub fn close(&mut self) -> (u16, String) {
        let (frames, code, reason) = self.rest();
        assert!(frames.is_empty(), "frames before the close: {frames:?}");
        (code, reason)
    }
}

fn refused_of(response: Response<Option<Vec<u8>>>) -> Refused {
    let (parts, body) = response.into_parts();
    let body = String::from_utf8(body.unwrap_or_default()).unwrap();
    Refused { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// An answer over plain HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Sends a request, and leaves the connection open for reading.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        head += &format!("host: {address}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    stream
}

/// One request over plain HTTP, with its whole answer.
pub fn http(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut text = String::new();
    request(address, method, path, headers, body).read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// The name of the error of a call that must fail.
pub fn error_name<T>(result: Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error.name(),
    }
}
