//! `ack_latency`: from the sending of one event to its acknowledgement, one at a time, over the
//! socket into SQLite. The floor is one `fdatasync` and one round trip over loopback, at their
//! medians.
//!
//! What a sync takes on a disk that others use changes thirtyfold from one moment to the next, so
//! the floor is taken event by event between those that are timed. Taken before or after them it
//! would be of another disk, so to speak.

use std::io;
use std::time::Instant;

use crate::events::Templates;
use crate::floors::loopback::Echo;
use crate::floors::sync::Synced;
use crate::measures::Scale;
use crate::report::{Figure, Reference, Target};
use crate::samples::{Samples, microseconds};
use crate::scratch::Scratch;
use crate::site::{Site, acknowledged};
use crate::socket::{Socket, text_frame};

/// Events before anything is timed.
const WARM_UP: u64 = 50;

/// The median, and what one in a hundred takes.
pub fn ack(scale: Scale) -> io::Result<Vec<Figure>> {
    let count = scale.pick(2_000, 200);
    let (mut p50, mut p99, mut floor) =
        (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..Scale::RUNS {
        let scratch = Scratch::new()?;
        let (mut synced, mut echo) = (Synced::create(&scratch.file("synced"))?, Echo::connect()?);
        let site = Site::new()?;
        let mut sender = Sender::new(site.wrapper("session")?);
        for _ in 0..WARM_UP {
            sender.send_one()?;
        }
        let (mut timed, mut syncs, mut trips) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            syncs.push(synced.append()?);
            trips.push(echo.round_trip()?);
            timed.push(sender.send_one()?);
        }
        let [timed, syncs, trips] = [timed, syncs, trips].map(Samples::from_iter);
        floor.push(syncs.median() + trips.median());
        p50.push(timed.median());
        p99.push(timed.quantile(0.99));
        site.expect_stored("session", WARM_UP + count)?;
    }
    let name = "fdatasync + loopback round trip, p50".to_owned();
    let reference = Some(Reference { name, samples: floor });
    let figure = |name, unit, samples, target| Figure {
        name,
        unit,
        samples,
        reference: reference.clone(),
        target,
        note: None,
    };
    Ok(vec![
        figure("ack_latency", "µs, p50", p50, Target::at_most(1.5)),
        figure("ack_latency_p99", "µs, p99", p99, Target::at_most(3.0)),
    ])
}

struct Sender {
    socket: Socket,
    templates: Templates,
    frame: Vec<u8>,
    seq: u64,
}

impl Sender {
    fn new(socket: Socket) -> Sender {
        Sender { socket, templates: Templates::new(), frame: Vec::new(), seq: 0 }
    }

    /// µs.
    fn send_one(&mut self) -> io::Result<f64> {
        self.seq += 1;
        self.frame.clear();
        text_frame(self.templates.numbered(self.seq).as_bytes(), &mut self.frame);
        let started = Instant::now();
        self.socket.send(&self.frame)?;
        let mut acked = 0;
        while acked < self.seq {
            self.socket.receive(|text| acked = acknowledged(text).unwrap_or(acked))?;
        }
        Ok(microseconds(started.elapsed()))
    }
}
