//! `import`: what `import stayline` costs a program, beside `import asyncio`.

use std::io;

use crate::measures::Scale;
use crate::measures::receive::run_python;
use crate::report::{Figure, Reference, Target};
use crate::samples::Samples;

/// In new interpreters, in turns. The error is the reason why it cannot be measured.
pub fn import(scale: Scale) -> io::Result<Result<Vec<Figure>, String>> {
    let (mut samples, mut reference) = (Samples::default(), Samples::default());
    let rounds = scale.pick(3, 1) as usize * Scale::RUNS;
    // The first run only writes the bytecode.
    for round in 0..=rounds {
        for (name, samples) in [("asyncio", &mut reference), ("stayline", &mut samples)] {
            match run_python("benches/python/import_time.py", &[name.to_owned()])? {
                Ok(microseconds) if round > 0 => samples.push(microseconds / 1_000.0),
                Ok(_) => {}
                Err(reason) => return Ok(Err(reason)),
            }
        }
    }
    let reference = Some(Reference { name: "import asyncio".into(), samples: reference });
    let target = Target::at_most(0.5);
    Ok(Ok(vec![Figure { name: "import", unit: "ms", samples, reference, target, note: None }]))
}
