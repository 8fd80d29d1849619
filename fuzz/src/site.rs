//! A server over a coordinator in memory, and one request at a time to it. The sockets are real, so
//! that whatever stands before the routes is tried as well; each is reset at its end, or a thousand
//! a second would use up the machine's ports.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use stayline::Settings;
use stayline::coordinator::{AttachOptions, Coordinator, Credential, Options, StartOptions};
use stayline::net::server::{Server, ServerOptions, serve};
use tempfile::TempDir;

/// The session that is there already, with a run and [`EVENTS`] events behind it.
pub const SESSION: &str = "s";
pub const EVENTS: u64 = 5;

/// What requests leave behind is thrown away after so many.
const REQUESTS: u32 = 2_000;
/// For an answer that has begun, or should have.
const PATIENCE: Duration = Duration::from_secs(20);
/// An answer that goes on for ever has told enough.
const ENOUGH_BYTES: usize = 4 * 1024 * 1024;

pub struct Site {
    pub coordinator: Coordinator,
    server: Server,
    requests: u32,
}

impl Site {
    fn new() -> Site {
        let settings = Settings { max_text_bytes: 20_000, ..Settings::default() };
        let options = Options { settings, ..Options::default() };
        let coordinator = Coordinator::open("memory:", options).expect("good settings");
        let session = coordinator.session(SESSION).expect("a good id");
        let started = session.start(StartOptions::default()).expect("it is stored");
        let link = session.attach(AttachOptions {
            execution_id: started.execution_id.to_string(),
            credential: Credential::Trusted,
            acknowledged: false,
            producer: None,
            attempt: None,
        });
        let link = link.expect("it is let in");
        for number in 1..EVENTS {
            let frame = format!(r#"{{"streamEventType":"output","data":{{"n":{number}}}}}"#);
            link.receive(&frame).expect("it is stored");
        }
        let ending = r#"{"streamEventType":"complete","data":{"exitCode":0}}"#;
        link.receive(ending).expect("it is stored");
        let server = serve(coordinator.clone(), "127.0.0.1:0", ServerOptions::default());
        Site { coordinator, server: server.expect("it serves"), requests: 0 }
    }

    /// What the server answers to these bytes, as far as `is_enough` wants to see it.
    pub fn exchange(&self, request: &[u8], is_enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.server.address()).expect("it listens");
        let no_linger = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&stream, no_linger).expect("it is a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
        // What the server does not want to read any more it need not take.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let mut piece = [0; 16 * 1024];
        while !is_enough(&answer) && answer.len() < ENOUGH_BYTES {
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => answer.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                // By libFuzzer's own alarm.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    panic!("no answer to {:?}: {error}", request.escape_ascii().to_string())
                }
            }
        }
        answer
    }
}

/// Calls `with` with this thread's site, which is new from time to time.
pub fn with_site<T>(with: impl FnOnce(&Site) -> T) -> T {
    thread_local!(static SITE: RefCell<Option<Site>> = const { RefCell::new(None) });
    SITE.with_borrow_mut(|place| {
        if place.as_ref().is_some_and(|site| site.requests >= REQUESTS) {
            *place = None;
        }
        let site = place.get_or_insert_with(Site::new);
        site.requests += 1;
        with(site)
    })
}

/// A folder of its own, in memory where there is such a place: the disk is not what is tried.
pub fn folder() -> TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory.or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// An answer, taken apart.
pub struct Answer<'a> {
    pub status: u16,
    head: &'a str,
    pub body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// `None` for an answer whose head is not whole.
    pub fn read(bytes: &'a [u8]) -> Option<Answer<'a>> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
        let status = head.strip_prefix("HTTP/1.1 ").or(head.strip_prefix("HTTP/1.0 "));
        let status = status.and_then(|rest| rest.get(..3)?.parse().ok()).expect("a status");
        let mut answer = Answer { status, head, body: &bytes[end + 4..] };
        // What follows is the answer to another request.
        if let Some(length) = answer.length() {
            answer.body = &answer.body[..length.min(answer.body.len())];
        }
        Some(answer)
    }

    fn length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }

    pub fn header(&self, name: &str) -> Option<&'a str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    /// Whether all of the body has come, or as much as ever comes of a stream.
    pub fn is_whole(&self) -> bool {
        if self.status == 101 || self.is_stream() {
            return true;
        }
        self.length().is_some_and(|length| self.body.len() >= length)
    }

    pub fn is_stream(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    pub fn json(&self) -> Option<Value> {
        let is_json = self.header("content-type").is_some_and(|kind| kind == "application/json");
        is_json.then(|| serde_json::from_slice(self.body).expect("what is called JSON is JSON"))
    }
}
