//! `ingest_1000_sessions`: a thousand wrappers, each with a session of its own, over `/ingest` into
//! SQLite, acknowledged. First each offers 50 events a second, and what comes of that is told in
//! the note; then each sends as fast as it may, and that is the figure.
//!
//! Two threads serve the wrappers' ends, so that the machine is not busy with changing threads.

use std::io;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::events::Templates;
use crate::floors::rows;
use crate::measures::Scale;
use crate::measures::ingest::WINDOW;
use crate::report::{Figure, Reference, Target};
use crate::samples::{Samples, per_second};
use crate::scratch::{Scratch, allow_descriptors};
use crate::site::{PATIENCE, Site, acknowledged, failed};
use crate::socket::{Socket, text_frame};

const THREADS: usize = 2;
/// Events of each wrapper, one every 20 ms.
const OFFERED_EACH: u64 = 50;
const OFFER_EVERY: Duration = Duration::from_millis(20);
/// For the sockets of both ends, and what a process has besides.
const DESCRIPTORS_EACH: u64 = 2;
const DESCRIPTORS_BESIDES: u64 = 200;

/// The error is the reason why it cannot be measured.
pub fn ingest(scale: Scale) -> io::Result<Result<Vec<Figure>, String>> {
    let wrappers = scale.pick(1_000, 50);
    let events_each = scale.pick(200, 40);
    if let Err(reason) = allow_descriptors(wrappers * DESCRIPTORS_EACH + DESCRIPTORS_BESIDES) {
        return Ok(Err(reason));
    }
    let count = wrappers * events_each;
    let site = Site::new()?;
    let mut senders = Vec::new();
    for number in 0..wrappers {
        senders.push(Sender::new(site.wrapper(&format!("session-{number}"))?));
    }
    let (mut samples, mut floor, mut offered) =
        (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..Scale::RUNS {
        let scratch = Scratch::new()?;
        let elapsed = rows::insert(&scratch.file("floor.db"), count, wrappers).map_err(failed)?;
        floor.push(per_second(count, elapsed));
        drop(scratch);
        let elapsed = on_threads(&mut senders, |senders| offer(senders, OFFERED_EACH))?;
        offered.push(per_second(wrappers * OFFERED_EACH, elapsed));
        let elapsed = on_threads(&mut senders, |senders| send_all(senders, events_each))?;
        samples.push(per_second(count, elapsed));
    }
    for number in 0..wrappers {
        let stored = Scale::RUNS as u64 * (OFFERED_EACH + events_each);
        site.expect_stored(&format!("session-{number}"), stored)?;
    }
    let rate = 1_000 / OFFER_EVERY.as_millis() as u64;
    let note = format!(
        "offered {rate} events/s each, together {}: {:.0} (median) were acknowledged a second",
        wrappers * rate,
        offered.median()
    );
    let name = format!("SQLite rows/s, 1 000 a transaction, {wrappers} sessions");
    Ok(Ok(vec![Figure {
        name: "ingest_1000_sessions",
        unit: "events/s",
        samples,
        reference: Some(Reference { name, samples: floor }),
        target: Target::at_least(0.7),
        note: Some(note),
    }]))
}

/// One wrapper's end.
struct Sender {
    socket: Socket,
    sent: u64,
    acked: u64,
}

impl Sender {
    fn new(socket: Socket) -> Sender {
        Sender { socket, sent: 0, acked: 0 }
    }

    /// Sends up to the number `end`, as far as the window allows.
    fn send(
        &mut self,
        end: u64,
        templates: &mut Templates,
        frames: &mut Vec<u8>,
    ) -> io::Result<()> {
        let end = end.min(self.acked + WINDOW);
        if self.sent >= end {
            return Ok(());
        }
        frames.clear();
        for seq in self.sent + 1..=end {
            text_frame(templates.numbered(seq).as_bytes(), frames);
        }
        self.sent = end;
        self.socket.send(frames)
    }

    fn take(&mut self) -> io::Result<()> {
        let (acked, mut unexpected) = (&mut self.acked, None);
        self.socket.receive_ready(|text| match acknowledged(text) {
            Some(seq) => *acked = seq,
            None => unexpected = Some(String::from_utf8_lossy(text).into_owned()),
        })?;
        match unexpected {
            None => Ok(()),
            Some(text) => Err(failed(format!("not an acknowledgement: {text}"))),
        }
    }
}

/// How long it takes until all threads are done, each with its share of the wrappers.
fn on_threads(
    senders: &mut [Sender],
    work: impl Fn(&mut [Sender]) -> io::Result<()> + Sync,
) -> io::Result<Duration> {
    let share = senders.len().div_ceil(THREADS);
    let shares: Vec<_> = senders.chunks_mut(share).collect();
    let start = Barrier::new(shares.len() + 1);
    std::thread::scope(|scope| {
        let (start, work) = (&start, &work);
        let begin = |share| {
            scope.spawn(move || {
                start.wait();
                work(share)
            })
        };
        let threads: Vec<_> = shares.into_iter().map(begin).collect();
        start.wait();
        let started = Instant::now();
        for thread in threads {
            thread.join().map_err(|_| failed("a client panicked"))??;
        }
        Ok(started.elapsed())
    })
}

/// Sends one event each, at a steady pace, and waits for the last acknowledgement.
fn offer(senders: &mut [Sender], count: u64) -> io::Result<()> {
    let (mut templates, mut frames) = (Templates::new(), Vec::new());
    let started = Instant::now();
    for number in 0..count {
        for sender in &mut *senders {
            sender.send(sender.sent + 1, &mut templates, &mut frames)?;
        }
        let next = OFFER_EVERY * (number as u32 + 1);
        loop {
            let left = next.saturating_sub(started.elapsed());
            take_ready(senders, left)?;
            if left.is_zero() {
                break;
            }
        }
    }
    wait_for_all(senders)
}

/// Sends `count` more each.
fn send_all(senders: &mut [Sender], count: u64) -> io::Result<()> {
    let (mut templates, mut frames) = (Templates::new(), Vec::new());
    let ends: Vec<u64> = senders.iter().map(|sender| sender.sent + count).collect();
    while senders.iter().zip(&ends).any(|(sender, end)| sender.sent < *end) {
        for (sender, end) in senders.iter_mut().zip(&ends) {
            sender.send(*end, &mut templates, &mut frames)?;
        }
        take_ready(senders, Duration::from_millis(1))?;
    }
    wait_for_all(senders)
}

fn wait_for_all(senders: &mut [Sender]) -> io::Result<()> {
    let started = Instant::now();
    while senders.iter().any(|sender| sender.acked < sender.sent) {
        take_ready(senders, Duration::from_millis(100))?;
        if started.elapsed() > PATIENCE {
            return Err(failed("some events are never acknowledged"));
        }
    }
    Ok(())
}

/// Takes what has come, and waits so long for anything to come at all.
fn take_ready(senders: &mut [Sender], patience: Duration) -> io::Result<()> {
    let watch = |sender: &'_ Sender| sender.acked < sender.sent;
    let waiting: Vec<usize> = (0..senders.len()).filter(|at| watch(&senders[*at])).collect();
    let ready: Vec<usize> = {
        let socket = |at: &usize| PollFd::new(&senders[*at].socket, PollFlags::IN);
        let mut polled: Vec<PollFd<'_>> = waiting.iter().map(socket).collect();
        let patience = Timespec::try_from(patience).map_err(failed)?;
        poll(&mut polled, Some(&patience))?;
        let answers = waiting.iter().zip(&polled);
        answers.filter(|(_, one)| !one.revents().is_empty()).map(|(at, _)| *at).collect()
    };
    ready.into_iter().try_for_each(|at| senders[at].take())
}
