//! `open`: opening a store with a hundred thousand sessions, a hundred of them active, beside one
//! that has none. Opening recovers what was active (R23), so each opening gets a fresh copy.

use std::io;
use std::path::Path;
use std::time::Instant;

use stayline::coordinator::{Coordinator, Options};

use crate::measures::Scale;
use crate::report::{Figure, Reference, Target};
use crate::samples::Samples;
use crate::scratch::Scratch;
use crate::site::failed;
use crate::stored::{Crowd, fill_crowd};

const ACTIVE: u64 = 100;

/// Both exist already; nothing is made.
pub fn open(scale: Scale) -> io::Result<Vec<Figure>> {
    let sessions = scale.pick(100_000, 2_000);
    let scratch = Scratch::new()?;
    let (full, empty) = (scratch.file("full.db"), scratch.file("empty.db"));
    fill_crowd(&full, Crowd { sessions, active: ACTIVE })?;
    fill_crowd(&empty, Crowd { sessions: 0, active: 0 })?;
    let (mut samples, mut reference) = (Samples::default(), Samples::default());
    for _ in 0..scale.pick(3, 1) as usize * Scale::RUNS {
        reference.push(open_copy(&scratch, &empty, 0)?);
        samples.push(open_copy(&scratch, &full, sessions)?);
    }
    Ok(vec![Figure {
        name: "open",
        unit: "ms",
        samples,
        reference: Some(Reference { name: "opening an empty one".into(), samples: reference }),
        target: Target::at_most(5.0),
        note: None,
    }])
}

/// ms. A copy of the file is opened, and looked into afterwards.
fn open_copy(scratch: &Scratch, file: &Path, sessions: u64) -> io::Result<f64> {
    let copy = scratch.file("copy.db");
    std::fs::copy(file, &copy)?;
    std::fs::File::open(&copy)?.sync_all()?;
    let location = scratch.location("copy.db");
    let started = Instant::now();
    let coordinator = Coordinator::open(&location, Options::default()).map_err(failed)?;
    let elapsed = started.elapsed().as_secs_f64() * 1e3;
    let found = coordinator.sessions(1).map_err(failed)?.len() as u64;
    coordinator.close();
    drop(coordinator);
    for rest in std::fs::read_dir(copy.parent().unwrap_or(Path::new(".")))? {
        let path = rest?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("copy.db") {
            std::fs::remove_file(path)?;
        }
    }
    match found == sessions.min(1) {
        true => Ok(elapsed),
        false => Err(failed("the copy does not hold what was filled in")),
    }
}
