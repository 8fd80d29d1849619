//! `replay`: events a second to a `/stream` client that reads a long log from its beginning. The
//! floor reads as many of the same rows from SQLite, every column, in the same order.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use stayline::coordinator::{Coordinator, Options};

use crate::floors::rows;
use crate::measures::Scale;
use crate::report::{Figure, Reference, Target};
use crate::samples::{Samples, per_second};
use crate::scratch::Scratch;
use crate::site::{Site, failed};
use crate::stored::{Log, fill};

/// One client, everything.
pub fn replay(scale: Scale) -> io::Result<Vec<Figure>> {
    let count = scale.pick(1_000_000, 20_000);
    let floor_files = Scratch::new()?;
    let floor_file = floor_files.file("floor.db");
    rows::insert(&floor_file, count, 1).map_err(failed)?;
    let files = Scratch::new()?;
    let log = Log { session_id: Arc::from("session"), executions: 1, events_each: count };
    fill(&files.file("runs.db"), &log, crate::events::data)?;
    let opened = Coordinator::open(&files.location("runs.db"), Options::default());
    let site = Site::serving(opened.map_err(failed)?, files)?;
    let (mut samples, mut floor) = (Samples::default(), Samples::default());
    for _ in 0..Scale::RUNS {
        let (read, elapsed) = rows::read(&floor_file).map_err(failed)?;
        floor.push(per_second(read, elapsed));
        let started = Instant::now();
        site.subscriber("session")?.read_up_to(count)?;
        samples.push(per_second(count, started.elapsed()));
    }
    Ok(vec![Figure {
        name: "replay",
        unit: "events/s",
        samples,
        reference: Some(Reference {
            name: "the same rows read from SQLite".into(),
            samples: floor,
        }),
        target: Target::at_least(0.4).and_value_at_least(1e6),
        note: None,
    }])
}
