//! The events that everything here carries: frames of about 300 bytes of JSON, each a little
//! different from the one before.

use std::fmt::Write as _;

/// The `data` of an event, about 220 bytes. The same number gives the same data.
pub fn data(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = format!("{{\"text\":\"line {number}:");
    while text.len() < 205 {
        // Words of a kind, from a generator that needs no library.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let _ = write!(text, " {:x}", state & 0xFF_FFFF);
    }
    text.push_str("\",\"fd\":1}");
    text
}

/// A frame without its number: [`numbered`] closes it.
pub fn open_frame(number: u64) -> String {
    let data = data(number);
    format!(
        "{{\"streamEventType\":\"output\",\"timestamp\":\"2026-03-07T12:00:00.000Z\",\
         \"data\":{data}"
    )
}

/// A whole frame, without a number.
pub fn frame(number: u64) -> String {
    open_frame(number) + "}"
}

/// Different frames that a sender goes through again and again, so that making them up is no part
/// of what is measured.
pub struct Templates {
    open: Vec<String>,
    text: String,
}

impl Templates {
    /// A few hundred.
    pub fn new() -> Templates {
        Templates { open: (0..256).map(open_frame).collect(), text: String::new() }
    }

    /// The frame with the number `seq`.
    pub fn numbered(&mut self, seq: u64) -> &str {
        let open = &self.open[seq as usize % self.open.len()];
        self.text.clear();
        self.text.push_str(open);
        // Writing to a string does not fail.
        let _ = write!(self.text, ",\"seq\":{seq}}}");
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use stayline::protocol::{FrameLimits, parse_frame};

    use super::*;

    #[test]
    fn frames_are_good_and_of_the_size_that_is_claimed() {
        let limits = FrameLimits { max_frame_bytes: 1_000, max_nesting: 4 };
        let mut templates = Templates::new();
        for seq in [1, 255, 256, 1_000_000] {
            let text = templates.numbered(seq).to_owned();
            assert!((290..=320).contains(&text.len()), "{}: {text}", text.len());
            let read = parse_frame(&text, limits).unwrap();
            assert_eq!((read.seq, &*read.event_type), (Some(seq), "output"));
        }
        assert_eq!(parse_frame(&frame(7), limits).unwrap().data.as_ref(), data(7));
        assert_ne!(data(7), data(8));
    }
}
