//! Processes of their own: this test binary again, at one of the entries below.

use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stayline::coordinator::{Coordinator, Options, StartOptions};
use stayline::net::client::{Wrapper, WrapperOptions};
use stayline::net::server::{ServerOptions, serve};
use stayline::store::faults::Faults;
use stayline::store::sqlite::SqliteStore;
use stayline::wrapper::SendOptions;
use stayline::{Error, Settings};
use std::sync::{Condvar, Mutex};

use crate::marks::{BEGUN, ENDED, READY, mark};

/// How long anything is waited for. Never reached unless something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const SESSION: &str = "s";
pub const EXECUTION: &str = "e";
pub const TOKEN: &str = "a token";

const FILE: &str = "STAYLINE_TEST_FILE";
const ADDRESS: &str = "STAYLINE_TEST_ADDRESS";

/// What has come from a child so far.
#[derive(Clone, Copy, Default)]
struct Marks {
    begun: u64,
    ended: u64,
    ready: u64,
    is_over: bool,
}

/// A child that is killed, at the latest, when the test ends.
pub struct Process {
    child: Child,
    marks: Arc<(Mutex<Marks>, Condvar)>,
    reader: Option<JoinHandle<()>>,
    /// The child ends when this does, so that none outlives a test that crashed.
    _lifeline: Option<ChildStdin>,
}

impl Process {
    /// Starts an entry.
    pub fn start(entry: &str, file: &Path, address: &str) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([&format!("child::{entry}"), "--exact", "--ignored", "--nocapture"])
            .env(FILE, file)
            .env(ADDRESS, address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let marks = Arc::new((Mutex::new(Marks::default()), Condvar::new()));
        let mut stdout = child.stdout.take().unwrap();
        let own = marks.clone();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let count = stdout.read(&mut buffer).unwrap_or(0);
                let mut marks = own.0.lock().unwrap();
                for byte in &buffer[..count] {
                    match *byte {
                        BEGUN => marks.begun += 1,
                        ENDED => marks.ended += 1,
                        READY => marks.ready += 1,
                        // The harness has its say too.
                        _ => {}
                    }
                }
                marks.is_over = count == 0;
                own.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        let lifeline = child.stdin.take();
        Process { child, marks, reader: Some(reader), _lifeline: lifeline }
    }

    /// Waits until it does what it was started for.
    pub fn wait_ready(&self) {
        self.wait("the child to be ready", |marks| marks.ready > 0);
    }

    /// Waits until a commit begins that had not begun before.
    pub fn wait_for_a_commit(&self) {
        let before = self.marks.0.lock().unwrap().begun;
        self.wait("a commit", |marks| marks.begun > before);
    }

    fn wait(&self, what: &str, found: impl Fn(&Marks) -> bool) {
        let until = Instant::now() + PATIENCE;
        let mut marks = self.marks.0.lock().unwrap();
        while !found(&marks) {
            assert!(!marks.is_over, "the child ended instead of {what}");
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}");
            marks = self.marks.1.wait_timeout(marks, left).unwrap().0;
        }
    }

    /// SIGKILL. Whether it fell into a commit.
    pub fn kill(&mut self) -> bool {
        // What std sends is SIGKILL: the process has no say in it.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        let marks = *self.marks.0.lock().unwrap();
        marks.begun > marks.ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends this process when the parent does.
fn live_no_longer_than_the_parent() {
    std::thread::spawn(|| {
        let mut nothing = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut nothing);
        std::process::exit(0);
    });
}

#[test]
#[ignore = "a process that another test starts"]
fn coordinator() {
    let (Ok(file), Ok(address)) = (std::env::var(FILE), std::env::var(ADDRESS)) else { return };
    live_no_longer_than_the_parent();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let store = SqliteStore::open(file, &Settings::default(), now as i64).unwrap();
    let faults = Faults::new();
    faults.before_commit(|_| mark(BEGUN));
    faults.after_commit(|_| mark(ENDED));
    let options = Options { faults: Some(faults), ..Options::default() };
    let coordinator = Coordinator::with_store(Box::new(store), options).unwrap();
    let started = coordinator.session(SESSION).unwrap().start(StartOptions {
        execution_id: Some(EXECUTION.into()),
        token: Some(TOKEN.into()),
        ..StartOptions::default()
    });
    match started {
        // An earlier one has started it, or has even seen its end.
        Ok(_) | Err(Error::ExecutionInProgress { .. } | Error::AlreadyExists { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    let _server = serve(coordinator, &address, ServerOptions::default()).unwrap();
    mark(READY);
    loop {
        std::thread::park();
    }
}

/// Sends numbered events for ever. The address is the server's.
#[test]
#[ignore = "a process that another test starts"]
fn wrapper() {
    let Ok(url) = std::env::var(ADDRESS) else { return };
    live_no_longer_than_the_parent();
    let wrapper = Wrapper::open(wrapper_options(&url)).unwrap();
    wrapper.wait_connected(Some(PATIENCE)).unwrap();
    for n in 1.. {
        wrapper.send("output", &format!("{{\"n\":{n}}}"), SendOptions::default()).unwrap();
        if n == 100 {
            mark(READY);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A wrapper that comes back at once, however often.
pub fn wrapper_options(url: &str) -> WrapperOptions {
    WrapperOptions {
        url: url.into(),
        session_id: SESSION.into(),
        execution_id: EXECUTION.into(),
        token: Some(TOKEN.into()),
        settings: Settings {
            reconnect_base_ms: 10,
            reconnect_cap_ms: 100,
            send_timeout_ms: PATIENCE.as_millis() as i64,
            ..Settings::default()
        },
        retry_first: true,
        ..WrapperOptions::default()
    }
}
