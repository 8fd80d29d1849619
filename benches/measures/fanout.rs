//! `fanout_100`: how fast one wrapper's events are taken in while a hundred subscribers watch its
//! session, beside the same with one. All hundred must see every event, once and in order, however
//! long that takes them; the note tells how long.

use std::io;

use crate::measures::Scale;
use crate::measures::ingest::{self, Load};
use crate::report::{Figure, Reference, Target};
use crate::samples::{Samples, per_second};

const SUBSCRIBERS: u64 = 100;

/// With a hundred subscribers.
pub fn fanout(scale: Scale) -> io::Result<Vec<Figure>> {
    let events = scale.pick(20_000, 500);
    let load = Load { wrappers: 1, events_each: events, subscribers_each: 1 };
    let (mut samples, mut reference) = (Samples::default(), Samples::default());
    let mut seen = Samples::default();
    for _ in 0..Scale::RUNS {
        let alone = ingest::run(load)?;
        reference.push(per_second(events, alone.acknowledged));
        let watched = ingest::run(Load { subscribers_each: SUBSCRIBERS, ..load })?;
        samples.push(per_second(events, watched.acknowledged));
        seen.push(per_second(events * SUBSCRIBERS, watched.complete));
    }
    let note =
        format!("all {SUBSCRIBERS} saw every event: {:.0} events/s among them", seen.median());
    Ok(vec![Figure {
        name: "fanout_100",
        unit: "events/s acknowledged",
        samples,
        reference: Some(Reference {
            name: "the same with one subscriber".into(),
            samples: reference,
        }),
        target: Target::at_least(0.8),
        note: Some(note),
    }])
}
