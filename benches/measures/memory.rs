//! `idle_sessions`: the memory that a coordinator has taken for each session that it has had to do
//! with and that is idle now, beside a small record a session in a map; and `idle_sessions_linked`:
//! for each session with a live link, its run and the server's side of the socket included.
//!
//! What is measured runs in a process of its own, this program again, so that nothing else is
//! counted: the anonymous memory after so many sessions less that after fewer, by the difference.
//! What a process needs once falls out; so that SQLite's page caches, which have a bound, are full
//! by then, half of the fewer sessions have had a run.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};

use stayline::coordinator::{Coordinator, FailOptions, Options, Session, StartOptions};
use stayline::net::server::{ServerOptions, serve};

use crate::events::Templates;
use crate::measures::Scale;
use crate::report::{Figure, Reference, Target};
use crate::samples::Samples;
use crate::scratch::{Scratch, allow_descriptors};
use crate::site::{acknowledged, connect, failed, filling_settings};
use crate::socket::text_frame;
use crate::stored::{Crowd, crowd_session, fill_crowd};

/// How this program is told that it is such a process.
pub const CHILD: &str = "--child";

const TOKEN: &str = "token";
const RECORD_BYTES: usize = 500;
/// One in so many has a run, from its start to its failure, in the process that is measured.
const RUN_EVERY: u64 = 50;
/// The same before anything is measured.
const RUN_EVERY_BEFORE: u64 = 2;

/// Both. The error is the reason why they cannot be measured.
pub fn idle(scale: Scale) -> io::Result<Result<Vec<Figure>, String>> {
    if let Err(error) = anonymous_bytes() {
        return Ok(Err(format!("this system does not tell what memory a process has: {error}")));
    }
    let (few, many) = (scale.pick(20_000, 500), scale.pick(100_000, 2_000));
    let (few_links, many_links) = (scale.pick(100, 10), scale.pick(1_100, 60));
    if let Err(reason) = allow_descriptors(many_links + 200) {
        return Ok(Err(reason));
    }
    let scratch = Scratch::new()?;
    let file = scratch.file("crowd.db");
    fill_crowd(&file, Crowd { sessions: many, active: 0 })?;
    let [mut idle, mut records, mut linked]: [Samples; 3] = Default::default();
    for _ in 0..Scale::RUNS {
        let copy = Scratch::new()?;
        std::fs::copy(&file, copy.file("runs.db"))?;
        let location = copy.location("runs.db");
        let span = [few.to_string(), many.to_string()];
        records.push(told_by(&["records", &span[0], &span[1]])?);
        idle.push(told_by(&["known", &location, &span[0], &span[1]])?);
        // Those with a link are among the first; the caches are filled by others.
        let others = [many_links, many_links + few].map(|number| number.to_string());
        linked.push(linked_bytes(&[&location, &others[0], &others[1]], few_links, many_links)?);
    }
    let name = format!("a record of {RECORD_BYTES} bytes in a map");
    Ok(Ok(vec![
        Figure {
            name: "idle_sessions",
            unit: "bytes a session",
            samples: idle,
            reference: Some(Reference { name, samples: records }),
            target: Target::at_most(0.1),
            note: None,
        },
        Figure {
            name: "idle_sessions_linked",
            unit: "bytes a live link",
            samples: linked,
            reference: None,
            target: Target::value_at_most(12.0 * 1024.0),
            note: None,
        },
    ]))
}

/// Starts such a process and reads the number that it tells.
fn told_by(arguments: &[&str]) -> io::Result<f64> {
    let output = child(arguments)?.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    text.parse().map_err(|_| failed(format!("the process that is measured told {text:?}")))
}

fn child(arguments: &[&str]) -> io::Result<Process> {
    let mut process = Process::new(std::env::current_exe()?);
    process.arg(CHILD).args(arguments);
    Ok(process)
}

/// What such a process does.
pub fn run_child(arguments: &[String]) -> io::Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().map_err(failed);
    match *words.as_slice() {
        ["records", few, many] => println!("{}", records(number(few)?, number(many)?)?),
        ["known", location, few, many] => {
            println!("{}", known(location, number(few)?, number(many)?)?);
        }
        ["serve", location, few, many] => serve_lines(location, number(few)?, number(many)?)?,
        _ => return Err(failed("there is no such process")),
    }
    Ok(())
}

fn records(few: u64, many: u64) -> io::Result<f64> {
    let mut map: HashMap<String, Box<[u8; RECORD_BYTES]>> = HashMap::new();
    // Room for all from the beginning, or it would depend on when the map grows.
    map.reserve(many as usize);
    let mut fill = |range: std::ops::Range<u64>| {
        for number in range {
            map.insert(crowd_session(number), Box::new([number as u8; RECORD_BYTES]));
        }
        anonymous_bytes()
    };
    let (before, after) = (fill(0..few)?, fill(few..many)?);
    std::hint::black_box(&map);
    // The map's own table was touched as far as it is used; its share is the same for all.
    Ok(each(before, after, many - few))
}

fn known(location: &str, few: u64, many: u64) -> io::Result<f64> {
    let options = Options { settings: filling_settings(), ..Options::default() };
    let coordinator = Coordinator::open(location, options).map_err(failed)?;
    let meet = |range: std::ops::Range<u64>| {
        for number in range {
            let session = coordinator.session(&crowd_session(number)).map_err(failed)?;
            let view = session.view().map_err(failed)?;
            if view.active.is_some() || session.active().map_err(failed)?.is_some() {
                return Err(failed(format!("{:?} is not idle", view.record.id)));
            }
            let every = if number < few { RUN_EVERY_BEFORE } else { RUN_EVERY };
            if number % every == 0 {
                run_once(&session)?;
            }
        }
        anonymous_bytes()
    };
    let (before, after) = (meet(0..few)?, meet(few..many)?);
    Ok(each(before, after, many - few))
}

fn run_once(session: &Session) -> io::Result<()> {
    let started = session.start(StartOptions::default()).map_err(failed)?;
    let over = FailOptions { message: "over".into(), ..FailOptions::default() };
    session.fail(&started.execution_id, over).map_err(failed).map(drop)
}

/// Serves, starts runs when told to, and tells its memory when asked.
fn serve_lines(location: &str, few: u64, many: u64) -> io::Result<()> {
    let options = Options { settings: filling_settings(), ..Options::default() };
    let coordinator = Coordinator::open(location, options).map_err(failed)?;
    for number in (few..many).step_by(RUN_EVERY_BEFORE as usize) {
        run_once(&coordinator.session(&crowd_session(number)).map_err(failed)?)?;
    }
    let server = serve(coordinator.clone(), "127.0.0.1:0", ServerOptions::default());
    let server = server.map_err(failed)?;
    println!("{}", server.address());
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        if let ["start", first, end] = *words {
            let (first, end): (u64, u64) =
                (first.parse().map_err(failed)?, end.parse().map_err(failed)?);
            for number in first..end {
                let session = coordinator.session(&crowd_session(number)).map_err(failed)?;
                let options = StartOptions {
                    execution_id: Some(linked_execution(number)),
                    token: Some(TOKEN.into()),
                    ..StartOptions::default()
                };
                session.start(options).map_err(failed)?;
            }
        }
        println!("{}", anonymous_bytes()?);
    }
    Ok(())
}

fn linked_execution(number: u64) -> String {
    format!("exc_linked_{number}")
}

/// Bytes for each link, by a process that serves them.
fn linked_bytes(served: &[&str], few: u64, many: u64) -> io::Result<f64> {
    let mut serving = Serving::start(served)?;
    let mut sockets = Vec::new();
    let mut with = |serving: &mut Serving, range: std::ops::Range<u64>| {
        serving.ask(&format!("start {} {}", range.start, range.end))?;
        for number in range {
            let id = crowd_session(number);
            let mut socket = connect(serving.address, &id, &linked_execution(number), TOKEN)?;
            // A link that has done something, so that its buffers are there.
            let mut frame = Vec::new();
            text_frame(Templates::new().numbered(1).as_bytes(), &mut frame);
            socket.send(&frame)?;
            let mut acked = None;
            while acked.is_none() {
                socket.receive(|text| acked = acknowledged(text))?;
            }
            sockets.push(socket);
        }
        let bytes: i64 = serving.ask("memory")?.parse().map_err(failed)?;
        io::Result::Ok(bytes)
    };
    let (before, after) = (with(&mut serving, 0..few)?, with(&mut serving, few..many)?);
    Ok(each(before, after, many - few))
}

/// A process that serves. It ends with this value.
struct Serving {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Serving {
    fn start(served: &[&str]) -> io::Result<Serving> {
        let mut command = child(&[&["serve"], served].concat())?;
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = process.stdin.take();
        let answers = process.stdout.take().ok_or_else(|| failed("no pipe"))?;
        let mut answers = BufReader::new(answers);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let address = line.trim().parse();
        let address = address.map_err(|_| failed("the process that is measured does not serve"))?;
        Ok(Serving { process, questions, answers, address })
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        let questions = self.questions.as_mut().ok_or_else(|| failed("no pipe"))?;
        writeln!(questions, "{question}")?;
        let mut answer = String::new();
        match self.answers.read_line(&mut answer)? {
            0 => Err(failed("the process that is measured has ended")),
            _ => Ok(answer.trim().to_owned()),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The end of the questions is the end of the process.
        self.questions = None;
        if let Err(error) = self.process.wait() {
            eprintln!("the process that was measured: {error}");
        }
    }
}

fn each(before: i64, after: i64, number: u64) -> f64 {
    (after - before) as f64 / number as f64
}

/// Memory of this process that no file stands behind.
fn anonymous_bytes() -> io::Result<i64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<i64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| failed("no RssAnon in status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_map_of_records_takes_is_about_what_is_put_into_it() {
        if anonymous_bytes().is_ok() {
            let bytes = records(2_000, 20_000).unwrap();
            assert!((500.0..2_000.0).contains(&bytes), "{bytes}");
        }
    }
}
