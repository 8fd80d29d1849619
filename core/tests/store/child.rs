//! Processes of their own: this test binary again, at one of the entries below.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::fixture::*;
use stayline::store::sqlite::SqliteStore;
use stayline::store::{Batch, Store};
use stayline::{Error, Settings};

const FILE: &str = "STAYLINE_TEST_FILE";
const SIGN: &str = "child: ";

/// A child that is killed, at the latest, when the test ends.
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts an entry on a file. With `program`, that copy of this binary is run as a user
    /// without rights.
    pub fn start(entry: &str, file: &Path, program: Option<&Path>) -> Process {
        use std::os::unix::process::CommandExt;
        let this = std::env::current_exe().unwrap();
        let mut command = Command::new(program.unwrap_or(&this));
        command
            .args([&format!("child::{entry}"), "--exact", "--ignored", "--nocapture"])
            .env(FILE, file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if program.is_some() {
            command.uid(65_534).gid(65_534).current_dir("/");
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Process { child, lines }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next thing it tells; `None` at its end.
    pub fn told(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.ok()?;
            // The test harness writes its own, on the same line at times.
            if let Some((_, told)) = line.split_once(SIGN) {
                return Some(told.to_owned());
            }
        }
    }

    /// SIGKILL; afterwards it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file() -> String {
    std::env::var(FILE).expect("run by another test")
}

fn tell(text: impl std::fmt::Display) {
    println!("{SIGN}{text}");
}

#[test]
#[ignore = "a process that another test starts"]
fn owns() {
    let mut store = SqliteStore::open(file(), &Settings::default(), NOW + 7).unwrap();
    store.set_owner_url(Some("http://127.0.0.1:8787")).unwrap();
    tell("owner");
    loop {
        std::thread::park();
    }
}

#[test]
#[ignore = "a process that another test starts"]
fn writes_on_and_on() {
    let mut store = SqliteStore::open(file(), &Settings::default(), NOW).unwrap();
    keep(&mut store, ["a", "b"].map(|id| new_session(id, 0)).into());
    for round in 1.. {
        let ids = (round * 3 - 2)..=(round * 3);
        let parts = ["a", "b"].map(|session_id| {
            let events = ids.clone().map(|id| event(id, "e", "output")).collect();
            appended(&mut store, session_id, events)
        });
        let given = Batch { commit_id: round, ..batch(parts.into()) };
        assert_eq!(store.commit(&given), Ok(vec![]));
        tell(round);
    }
}

#[test]
#[ignore = "a process that another test starts"]
fn tries_to_open() {
    match SqliteStore::open(file(), &Settings::default(), NOW) {
        Ok(_) => tell("opened"),
        Err(error) => tell(format!("{} {error}", error.name())),
    }
}

#[test]
#[ignore = "a process that another test starts"]
fn tries_to_read() {
    let read = || -> Result<usize, Error> {
        let mut reader =
            stayline::store::open_read_only(&format!("sqlite:{}", file()))?.reader()?;
        let page = reader.events("s", &after(0), 1 << 20)?;
        assert!(reader.load("s")?.is_some() || page.events.is_empty());
        Ok(page.events.len())
    };
    match read() {
        Ok(events) => tell(format!("{events} events")),
        Err(error) => tell(format!("{} {error}", error.name())),
    }
}
