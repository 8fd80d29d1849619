//! `ingest_10` and `ingest_1`: events a second over `/ingest` into SQLite, acknowledged, with a
//! subscriber for each wrapper that sees every event.
//!
//! A wrapper may have as many events under way as ours has by default. The time ends when every
//! event is acknowledged and every subscriber has seen all of its own.

use std::io;
use std::sync::Barrier;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use crate::events::Templates;
use crate::floors::rows;
use crate::measures::Scale;
use crate::report::{Figure, Reference, Target};
use crate::samples::{Samples, per_second};
use crate::scratch::Scratch;
use crate::site::{Site, Subscriber, acknowledged, failed};
use crate::socket::{Socket, text_frame};

/// Sent and not acknowledged: the default of `buffer_events`.
pub(super) const WINDOW: u64 = 1_000;
/// Frames that are written at once.
const AT_ONCE: u64 = 128;

/// With ten wrappers.
pub fn ten(scale: Scale) -> io::Result<Vec<Figure>> {
    figure("ingest_10", 10, scale.pick(30_000, 1_500), Target::at_least(0.7))
}

/// With one.
pub fn one(scale: Scale) -> io::Result<Vec<Figure>> {
    figure("ingest_1", 1, scale.pick(200_000, 10_000), Target::at_least(0.6))
}

fn figure(
    name: &'static str,
    wrappers: u64,
    events_each: u64,
    target: Target,
) -> io::Result<Vec<Figure>> {
    let count = wrappers * events_each;
    let load = Load { wrappers, events_each, subscribers_each: 1 };
    let (mut samples, mut floor) = (Samples::default(), Samples::default());
    for _ in 0..Scale::RUNS {
        let scratch = Scratch::new()?;
        let elapsed = rows::insert(&scratch.file("floor.db"), count, wrappers).map_err(failed)?;
        floor.push(per_second(count, elapsed));
        drop(scratch);
        samples.push(per_second(count, run(load)?.complete));
    }
    let sessions = if wrappers == 1 { "1 session".into() } else { format!("{wrappers} sessions") };
    let name_of_floor = format!("SQLite rows/s, 1 000 a transaction, {sessions}");
    Ok(vec![Figure {
        name,
        unit: "events/s",
        samples,
        reference: Some(Reference { name: name_of_floor, samples: floor }),
        target,
        note: None,
    }])
}

/// Who takes part in a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Each with a session of its own.
    pub wrappers: u64,
    /// Of each wrapper.
    pub events_each: u64,
    /// Of each session.
    pub subscribers_each: u64,
}

/// How long a run took, from the first frame.
pub(super) struct Took {
    /// To the last acknowledgement.
    pub acknowledged: Duration,
    /// Until every subscriber has seen every event, too.
    pub complete: Duration,
}

/// One run.
pub(super) fn run(load: Load) -> io::Result<Took> {
    let Load { wrappers, events_each, subscribers_each } = load;
    let site = Site::new()?;
    let mut senders = Vec::new();
    let mut subscribers = Vec::new();
    for number in 0..wrappers {
        let session_id = format!("session-{number}");
        senders.push(site.wrapper(&session_id)?);
        for _ in 0..subscribers_each {
            let mut subscriber = site.subscriber(&session_id)?;
            subscriber.wait_until_connected()?;
            subscribers.push(subscriber);
        }
    }
    let start = Barrier::new(senders.len() + subscribers.len() + 1);
    let took = std::thread::scope(|scope| {
        let start = &start;
        let senders: Vec<_> = senders
            .into_iter()
            .map(|socket| scope.spawn(move || send_all(socket, events_each, start)))
            .collect();
        let subscribers: Vec<_> = subscribers
            .into_iter()
            .map(|subscriber| scope.spawn(move || see_all(subscriber, events_each, start)))
            .collect();
        start.wait();
        let started = Instant::now();
        join(senders)?;
        let acknowledged = started.elapsed();
        join(subscribers)?;
        io::Result::Ok(Took { acknowledged, complete: started.elapsed() })
    })?;
    for number in 0..wrappers {
        site.expect_stored(&format!("session-{number}"), events_each)?;
    }
    Ok(took)
}

fn join(threads: Vec<ScopedJoinHandle<'_, io::Result<()>>>) -> io::Result<()> {
    for thread in threads {
        thread.join().map_err(|_| failed("a client panicked"))??;
    }
    Ok(())
}

fn send_all(mut socket: Socket, count: u64, start: &Barrier) -> io::Result<()> {
    let mut templates = Templates::new();
    let mut frames = Vec::new();
    let (mut sent, mut acked) = (0, 0);
    start.wait();
    while acked < count {
        while sent < count.min(acked + WINDOW) {
            let end = count.min(acked + WINDOW).min(sent + AT_ONCE);
            frames.clear();
            for seq in sent + 1..=end {
                text_frame(templates.numbered(seq).as_bytes(), &mut frames);
            }
            socket.send(&frames)?;
            sent = end;
        }
        let mut unexpected = None;
        socket.receive(|text| match acknowledged(text) {
            Some(seq) => acked = seq,
            None => unexpected = Some(String::from_utf8_lossy(text).into_owned()),
        })?;
        if let Some(text) = unexpected {
            return Err(failed(format!("not an acknowledgement: {text}")));
        }
    }
    Ok(())
}

fn see_all(mut subscriber: Subscriber, count: u64, start: &Barrier) -> io::Result<()> {
    start.wait();
    subscriber.read_up_to(count)
}
