//! A server in a process of its own: this test binary again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use stayline::Settings;
use stayline::coordinator::{
    AttachOptions, Coordinator, Credential, FailOptions, Options, StartOptions,
};
use stayline::log::{Collector, Sink};
use stayline::net::server::{ServerLimits, ServerOptions, serve};
use tracing::Level;
use tracing::level_filters::LevelFilter;

/// How long anything is waited for. Never reached unless something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const KEY: &str = "a key";
pub const MIB: u64 = 1024 * 1024;

/// So many events of a kilobyte are in the session `full`, and so many failed runs with long texts
/// in the session `runs`.
pub const EVENTS: usize = 6_000;
pub const RUNS: usize = 600;
pub const ERROR_BYTES: usize = 16_000;

/// The server, killed when the test ends.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// The child ends when this does, so that none outlives a test that crashed.
    _lifeline: ChildStdin,
    /// What its harness says later on has to go somewhere.
    _told: BufReader<ChildStdout>,
}

impl Server {
    /// With these bounds: `stuck_ms`, `body_ms`; a key where one is given.
    pub fn start(stuck_ms: u64, body_ms: u64, key: &str) -> Server {
        Server::start_with(stuck_ms, body_ms, key, &[])
    }

    /// One that may open only so many descriptors more, and writes its log to a file.
    pub fn with_few_descriptors(more: u64, log: &Path) -> Server {
        let more = more.to_string();
        let log = log.to_str().unwrap();
        let set = [("STAYLINE_TEST_DESCRIPTORS", &*more), ("STAYLINE_TEST_LOG", log)];
        Server::start_with(60_000, 10_000, "", &set)
    }

    fn start_with(stuck_ms: u64, body_ms: u64, key: &str, set: &[(&str, &str)]) -> Server {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child::server", "--exact", "--ignored", "--nocapture"])
            .env("STAYLINE_TEST_STUCK_MS", stuck_ms.to_string())
            .env("STAYLINE_TEST_BODY_MS", body_ms.to_string())
            .env("STAYLINE_TEST_KEY", key)
            .envs(set.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lifeline = child.stdin.take().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        // The harness has its say too, on the same line.
        let address = told.by_ref().lines().map(Result::unwrap).find_map(|line| {
            let (_, address) = line.split_once("serving ")?;
            Some(address.trim().parse().unwrap())
        });
        Server { child, address: address.unwrap(), _lifeline: lifeline, _told: told }
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// What its memory has of pages, in bytes.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib * 1024
    }

    /// Waits until this holds.
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < until, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends the head of a request.
    pub fn ask(&self, method: &str, path: &str, headers: &str) -> TcpStream {
        let mut stream = self.connect();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", self.address);
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    /// A WebSocket that is open.
    pub fn socket(&self, path: &str) -> TcpStream {
        let headers = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let mut stream = self.ask("GET", path, headers);
        let head = head_of(&mut stream);
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        stream
    }

    /// A link of the run that waits for its wrapper.
    pub fn link(&self) -> TcpStream {
        self.socket("/sessions/s/ingest?executionId=e&token=t")
    }

    /// The status of a whole answer, and its text.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut text = String::new();
        let mut stream =
            self.ask("GET", path, &format!("authorization: Bearer {KEY}\r\nconnection: close\r\n"));
        stream.read_to_string(&mut text).unwrap();
        (status_of(&text), text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The head of an answer, and not a byte more.
pub fn head_of(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

pub fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// A masked frame, as clients send them; the mask is zero.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

fn number(name: &str) -> u64 {
    std::env::var(name).unwrap().parse().unwrap()
}

#[test]
#[ignore = "a process of the other tests"]
fn server() {
    let settings = Settings { event_retention_ms: 86_400_000, ..Settings::default() };
    let coordinator =
        Coordinator::open("memory:", Options { settings, ..Options::default() }).unwrap();
    fill(&coordinator);
    let key = Some(std::env::var("STAYLINE_TEST_KEY").unwrap()).filter(|key| !key.is_empty());
    let limits = ServerLimits {
        stuck_timeout: Duration::from_millis(number("STAYLINE_TEST_STUCK_MS")),
        body_timeout: Duration::from_millis(number("STAYLINE_TEST_BODY_MS")),
        ..ServerLimits::default()
    };
    let options = ServerOptions { key, limits, ..ServerOptions::default() };
    let server = serve(coordinator.clone(), "127.0.0.1:0", options).unwrap();
    if let Ok(path) = std::env::var("STAYLINE_TEST_LOG") {
        let file = Mutex::new(std::fs::File::create(path).unwrap());
        tracing::subscriber::set_global_default(Collector(Log(file))).unwrap();
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let most = Some(open + number("STAYLINE_TEST_DESCRIPTORS"));
        let limit = Rlimit { current: most, maximum: most };
        setrlimit(Resource::Nofile, limit).unwrap();
    }
    println!("serving {}", server.address());
    // Until the parent has gone.
    let _ = std::io::stdin().read(&mut [0]);
    std::process::exit(0);
}

/// The log as lines of a file.
struct Log(Mutex<std::fs::File>);

impl Sink for Log {
    fn level(&self) -> LevelFilter {
        LevelFilter::WARN
    }

    fn is_open(&self) -> bool {
        true
    }

    fn take(&self, level: Level, line: String) {
        writeln!(self.0.lock().unwrap(), "{level} {line}").unwrap();
    }
}

fn fill(coordinator: &Coordinator) {
    let start = |session: &str, execution: &str| {
        let session = coordinator.session(session).unwrap();
        let options = StartOptions {
            execution_id: Some(execution.into()),
            token: Some("t".into()),
            ..StartOptions::default()
        };
        session.start(options).unwrap();
        session
    };
    start("s", "e");
    let session = start("full", "e");
    let link = session.attach(AttachOptions {
        execution_id: "e".into(),
        credential: Credential::Trusted,
        acknowledged: false,
        producer: None,
        attempt: None,
    });
    let link = link.unwrap();
    let text = "x".repeat(1_000);
    let frame = format!(r#"{{"streamEventType":"output","data":{{"text":"{text}"}}}}"#);
    for _ in 0..EVENTS {
        link.receive(&frame).unwrap();
    }
    for run in 0..RUNS {
        let session = start("runs", &format!("e{run}"));
        let message = "y".repeat(ERROR_BYTES);
        let options = FailOptions { message, ..FailOptions::default() };
        session.fail(&format!("e{run}"), options).unwrap();
    }
    // The link is open as long as this process.
    std::mem::forget(link);
}
