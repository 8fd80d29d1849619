//! Lists of steps for a session, with the host and the promises of `session_properties` (R2, R4,
//! R7, R8, R12, R18, R33).

use libfuzzer_sys::Corpus;

use crate::reader::Reader;
use properties::Step;

#[path = "../../../core/tests/session_properties.rs"]
#[allow(dead_code)]
mod properties;

/// As many as the property test tries.
const MOST: usize = 120;

pub fn run(bytes: &[u8]) -> Corpus {
    let mut reader = Reader::new(bytes);
    let grace = properties::GRACES[usize::from(reader.below(3))];
    let mut steps = Vec::new();
    while !reader.is_at_end() && steps.len() < MOST {
        steps.push(step(&mut reader));
    }
    properties::keeps_its_promises(steps, grace);
    Corpus::Keep
}

/// The first byte is the grace, 0 to 2; then each step. The letters are the first of their step's name: start, attach, event, garbage, close, fail,
/// finiSh, interrupt, clear (x), heartbeat, lease, wait, freeze (z), restart, tick.
fn step(reader: &mut Reader<'_>) -> Step {
    let letter = reader.letter(b"saegcfSixhlwzrt");
    let mut below = |end| reader.below(end);
    // From 4 on: the active one, whichever it is.
    let named = |number: u8| (number < 4).then_some(number);
    match letter {
        b's' => Step::Start(below(4)),
        b'a' => {
            let execution = below(4);
            let producer = below(4);
            Step::Attach { execution, producer: (producer < 3).then_some(producer) }
        }
        b'e' => Step::Event { link: below(6), kind: below(8) },
        b'g' => Step::Garbage { link: below(6) },
        b'c' => Step::Close { link: below(6) },
        b'f' => Step::Fail { execution: below(4) },
        b'S' => Step::Finish { execution: below(4), status: below(5) },
        b'i' => {
            Step::Interrupt { execution: named(below(5)), escalate: below(2) == 1, grace: below(3) }
        }
        b'x' => Step::ClearInterrupt { execution: named(below(5)) },
        b'h' => Step::Heartbeat { execution: below(4) },
        b'l' => Step::Lease { execution: below(4) },
        b'w' => Step::Wait(u32::from(reader.number()) % 40_000),
        b'z' => Step::Freeze(3_001 + u32::from(reader.number()) * 15),
        b'r' => Step::Restart { down: u32::from(reader.number()) * 15 },
        _ => Step::Tick,
    }
}
