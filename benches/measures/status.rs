//! `python_status`: what a look at a session costs from Python, beside an empty method of the same
//! module. `c_status` is in `c`.

use std::io;

use crate::measures::Scale;
use crate::measures::receive::run_python;
use crate::report::{Figure, Reference, Target};
use crate::samples::Samples;

const SCRIPT: &str = "benches/python/status.py";

/// `session.active`. The error is the reason why it cannot be measured.
pub fn python(scale: Scale) -> io::Result<Result<Vec<Figure>, String>> {
    let count = scale.pick(3_000_000, 20_000).to_string();
    let (mut samples, mut reference) = (Samples::default(), Samples::default());
    for _ in 0..Scale::RUNS {
        for (what, samples) in [("empty", &mut reference), ("active", &mut samples)] {
            match run_python(SCRIPT, &[count.clone(), what.to_owned()])? {
                Ok(microseconds) => samples.push(microseconds * 1_000.0),
                Err(reason) => return Ok(Err(reason)),
            }
        }
    }
    let reference = Reference { name: "an empty PyO3 method".into(), samples: reference };
    Ok(Ok(vec![Figure {
        name: "python_status",
        unit: "ns a look",
        samples,
        reference: Some(reference),
        target: Target::at_most(6.0),
        note: None,
    }]))
}
