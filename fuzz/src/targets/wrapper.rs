//! Lists of what may happen to a wrapper, with the promises of `wrapper_properties` (R42, R45). The
//! first byte says which of them: its link, its events across cuts, or after losses.

use libfuzzer_sys::Corpus;
use stayline::protocol::close;

use crate::reader::Reader;
use properties::{Happening, Trouble};

#[path = "../../../core/tests/wrapper_properties/main.rs"]
#[allow(dead_code)]
mod properties;

const MOST_HAPPENINGS: usize = 80;
const MOST_TROUBLES: usize = 120;

pub fn run(bytes: &[u8]) -> Corpus {
    let mut reader = Reader::new(bytes);
    match reader.letter(b"bacl") {
        letter @ (b'b' | b'a') => {
            let happenings = list(&mut reader, MOST_HAPPENINGS, happening);
            properties::keeps_to_its_link(letter == b'a', &happenings);
        }
        b'c' => {
            let overflow = ["block", "drop_newest", "drop_oldest"][usize::from(reader.below(3))];
            let room = 2 + u32::from(reader.byte()) % 28;
            let troubles = list(&mut reader, MOST_TROUBLES, |reader| trouble(reader, false));
            properties::stores_everything_once(overflow, room, &troubles);
        }
        _ => {
            let troubles = list(&mut reader, MOST_TROUBLES, |reader| trouble(reader, true));
            properties::goes_on_after_losses(&troubles);
        }
    }
    Corpus::Keep
}

fn list<T>(reader: &mut Reader<'_>, most: usize, next: impl Fn(&mut Reader<'_>) -> T) -> Vec<T> {
    let mut items = Vec::new();
    while !reader.is_at_end() && items.len() < most {
        items.push(next(reader));
    }
    items
}

const FRAMES: [&str; 7] = [
    r#"{"type":"welcome","lastSeq":0}"#,
    r#"{"type":"welcome","lastSeq":2}"#,
    r#"{"type":"ack","seq":1}"#,
    r#"{"type":"kill","signal":"SIGTERM"}"#,
    r#"{"type":"ended","status":"failed","lastSeq":0}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"unknown"}"#,
];
const CODES: [u16; 4] = [close::DROPPED, close::DONE, close::REPLACED, close::PROTOCOL_VIOLATED];

/// open, opened (O), refused, closed (x), frame, send, idle, turn, aborted, close, advance (w).
fn happening(reader: &mut Reader<'_>) -> Happening {
    let letter = reader.letter(b"oOrxfsitacw");
    let mut below = |end| reader.below(end);
    match letter {
        b'o' => Happening::Open,
        b'O' => Happening::Opened { back: below(4).into(), acknowledged: below(2) == 1 },
        b'r' => Happening::Refused { back: below(4).into(), final_one: below(2) == 1 },
        b'x' => Happening::Closed { back: below(4).into(), code: CODES[usize::from(below(4))] },
        b'f' => Happening::Frame { back: below(4).into(), frame: FRAMES[usize::from(below(7))] },
        b's' => Happening::Send { event_type: ["output", "interrupted"][usize::from(below(2))] },
        b'i' => Happening::Idle,
        b't' => Happening::Turn,
        b'a' => Happening::Aborted,
        b'c' => Happening::Close,
        _ => Happening::Advance { ms: i64::from(reader.number()) % 30_000 },
    }
}

/// send, up, down, cut, advance (w); with losses also go back, crash (k).
fn trouble(reader: &mut Reader<'_>, with_losses: bool) -> Trouble {
    let letters: &[u8] = if with_losses { b"sudcwbk" } else { b"sudcw" };
    match reader.letter(letters) {
        b's' => Trouble::Send { droppable: reader.below(2) == 1 },
        b'u' => Trouble::DeliverUp { count: 1 + usize::from(reader.below(5)) },
        b'd' => Trouble::DeliverDown { count: 1 + usize::from(reader.below(5)) },
        b'c' => Trouble::Cut,
        b'b' => Trouble::GoBack { count: 1 + usize::from(reader.below(3)) },
        b'k' => Trouble::Crash,
        _ => Trouble::Advance { ms: i64::from(reader.number()) % 9_000 },
    }
}
