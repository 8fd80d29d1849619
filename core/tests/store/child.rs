//! Processes of their own: this test binary again, at one of the entries below.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
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
    file: PathBuf,
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
        Process { child, lines, file: file.to_owned() }
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

    /// Has a process that obeys do one thing more, and waits until it has.
    pub fn order(&mut self, number: u64, order: &str) -> String {
        let file = order_file(&self.file, number);
        std::fs::write(file.with_extension("new"), order).unwrap();
        std::fs::rename(file.with_extension("new"), &file).unwrap();
        self.told().unwrap_or_else(|| panic!("it ended at {order}"))
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

/// Beside the folder of the store, whose files are counted.
fn order_file(file: &Path, number: u64) -> PathBuf {
    let mut name = file.parent().unwrap().as_os_str().to_owned();
    name.push(format!(".order-{number}"));
    PathBuf::from(name)
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

/// Owns the file and does what it is told: `write` appends three events, `copy` opens, reads and
/// closes the files as a program does that makes a copy, which takes all POSIX locks of this
/// process away.
#[test]
#[ignore = "a process that another test starts"]
fn obeys() {
    let path = PathBuf::from(file());
    let mut store = SqliteStore::open(&path, &Settings::default(), NOW).unwrap();
    keep(&mut store, vec![new_session("s", 3)]);
    tell("ready");
    for number in 1.. {
        let order = order_file(&path, number);
        while !order.exists() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        match std::fs::read_to_string(&order).unwrap().as_str() {
            "write" => {
                let last = store.load("s").unwrap().unwrap().record.last_event_id;
                let events = (last + 1..=last + 3).map(|id| event(id, "e", "output")).collect();
                let changes = appended(&mut store, "s", events);
                let given = Batch { time: NOW + number as i64, ..batch(vec![changes]) };
                match store.commit(&given) {
                    Ok(_) => tell(last + 3),
                    Err(error) => tell(format!("{error:?}")),
                }
            }
            "copy" => {
                for suffix in ["", "-wal", "-shm"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(suffix);
                    tell_nothing(std::fs::read(name));
                }
                tell("copied");
            }
            other => tell(format!("what is {other}?")),
        }
    }
}

fn tell_nothing<T>(_: T) {}
