//! What ends the execution, cut to what a link takes (R29, R40).
//!
//! Pure text: the data of a terminal event goes in, and comes out at most so long and so deep.
//! The texts (`error`, `message`, `reason`) give way first, the longest of them; then other fields
//! go, the largest first, and what is nested too deep. `exitCode` and `fatal` stay: they are what
//! makes it an ending. What was cut says so by `"truncated": true, "bytes": n`.
//!
//! Only the outermost object is taken apart. What is in its fields may be nested as deep as it
//! likes, or have texts that no string can hold.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::dialect::jsonl::escaped_bytes;
use crate::protocol::{is_deeper_than, raw};

/// Those that are cut before anything goes.
const TEXTS: [&str; 3] = ["error", "message", "reason"];

/// Those that stay.
const KEPT: [&str; 2] = ["exitCode", "fatal"];

/// Ours, on what was cut.
const MARKS: [&str; 2] = ["truncated", "bytes"];

/// A value that stays is no longer than this; an integer that is keeps so many digits, which are
/// beyond 64 bits as all of them were.
const LONGEST_KEPT: usize = 32;

/// The bounds of an event's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) bytes: usize,
    /// Of the data, its outer object included.
    pub(super) nesting: u32,
}

/// Whether it fits as it is.
pub(super) fn fits(data: &str, room: Room) -> bool {
    data.len() <= room.bytes && !is_deeper_than(data, room.nesting)
}

/// Cuts it to the room; `whole` is the size of its frame as it would have been. Where not even
/// what stays fits, it is that all the same.
pub(super) fn cut(data: &str, room: Room, whole: u64) -> String {
    let mut fields = Fields::of(data);
    fields.0.retain(|field| !is_deeper_than(field.value, room.nesting.saturating_sub(1)));
    fields.drop_others(room.bytes, whole);
    // As much of the texts as fits: the longest are cut to one length.
    let (mut fits, mut too_long) = (0, data.len() + 1);
    while fits + 1 < too_long {
        let middle = fits + (too_long - fits) / 2;
        if fields.bytes(middle, whole) > room.bytes { too_long = middle } else { fits = middle }
    }
    fields.written(fits, whole)
}

/// What stays of it, alone; `None` when nothing else is in it.
pub(super) fn bare(data: &str, whole: u64) -> Option<String> {
    let mut fields = Fields::of(data);
    let before = fields.0.len();
    fields.0.retain(|field| matches!(field.kind, Kind::Kept));
    (fields.0.len() < before).then(|| fields.written(0, whole))
}

struct Field<'a> {
    /// Its name as it is written, with its quotes.
    written: &'a str,
    value: &'a str,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Kept,
    Text(Cow<'a, str>),
    Other,
}

impl Field<'_> {
    /// How many bytes it takes with a text of at most `level` bytes, the comma behind it included.
    fn bytes(&self, level: usize) -> usize {
        let value = match &self.kind {
            Kind::Kept | Kind::Other => self.value.len(),
            Kind::Text(text) => match text_within(text, level) {
                "" if !text.is_empty() => return 0,
                part if part.len() == text.len() => self.value.len(),
                part => part.chars().map(escaped_bytes).sum::<usize>() + 2,
            },
        };
        self.written.len() + value + 2
    }

    fn write(&self, level: usize, into: &mut String) {
        let value = match &self.kind {
            Kind::Kept | Kind::Other => self.value.to_owned(),
            Kind::Text(text) => match text_within(text, level) {
                // An empty one would hide what its reader says in its place.
                "" if !text.is_empty() => return,
                part if part.len() == text.len() => self.value.to_owned(),
                part => serde_json::Value::from(part).to_string(),
            },
        };
        *into += &format!("{}:{value},", self.written);
    }
}

/// The beginning of a text that takes at most `level` bytes once it is escaped.
fn text_within(text: &str, level: usize) -> &str {
    let mut taken = 0;
    for (at, character) in text.char_indices() {
        taken += escaped_bytes(character);
        if taken > level {
            return &text[..at];
        }
    }
    text
}

struct Fields<'a>(Vec<Field<'a>>);

impl<'a> Fields<'a> {
    fn of(data: &'a str) -> Fields<'a> {
        let Pairs(pairs) = serde_json::from_str(data).unwrap_or_default();
        let mut named: Vec<(Cow<'a, str>, &str, &str)> = Vec::with_capacity(pairs.len());
        for (written, value) in pairs {
            let read = raw::text(written).filter(|(_, exactly)| *exactly);
            named.push((read.map_or(written.into(), |(name, _)| name), written, value));
        }
        // The last of several is the one that counts.
        let last: BTreeMap<Cow<'a, str>, usize> =
            named.iter().enumerate().map(|(at, (name, ..))| (name.clone(), at)).collect();
        let mut fields = Vec::with_capacity(last.len());
        for (at, (name, written, mut value)) in named.into_iter().enumerate() {
            if last.get(&name) != Some(&at) || MARKS.contains(&&*name) {
                continue;
            }
            let kind = match raw::text(value) {
                Some((text, _)) if TEXTS.contains(&&*name) => Kind::Text(text),
                _ if !KEPT.contains(&&*name) => Kind::Other,
                _ if raw::is_integer(value) => {
                    value = &value[..value.len().min(LONGEST_KEPT)];
                    Kind::Kept
                }
                _ if value.len() <= LONGEST_KEPT => Kind::Kept,
                _ => Kind::Other,
            };
            fields.push(Field { written, value, kind });
        }
        Fields(fields)
    }

    fn bytes(&self, level: usize, whole: u64) -> usize {
        let fields: usize = self.0.iter().map(|field| field.bytes(level)).sum();
        fields + marks(whole).len() + 2
    }

    /// Other fields go, the largest first, until the rest fits without its texts.
    fn drop_others(&mut self, max_bytes: usize, whole: u64) {
        let mut left = self.bytes(0, whole);
        let sizes = self.0.iter().enumerate().map(|(at, field)| (field.bytes(0), at));
        let mut others: Vec<_> =
            sizes.filter(|(_, at)| matches!(self.0[*at].kind, Kind::Other)).collect();
        others.sort_unstable();
        let mut goes = vec![false; self.0.len()];
        while left > max_bytes
            && let Some((bytes, at)) = others.pop()
        {
            left -= bytes;
            goes[at] = true;
        }
        let mut goes = goes.into_iter();
        self.0.retain(|_| goes.next() != Some(true));
    }

    fn written(&self, level: usize, whole: u64) -> String {
        let mut text = "{".to_owned();
        for field in &self.0 {
            field.write(level, &mut text);
        }
        text + &marks(whole) + "}"
    }
}

fn marks(whole: u64) -> String {
    format!("\"{}\":true,\"{}\":{whole}", MARKS[0], MARKS[1])
}

/// The names and values of an object, untouched and in their order.
#[derive(Default)]
struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    pairs.push((name.get(), value.get()));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn cut_to(data: &Value, bytes: usize) -> Value {
        let text = cut(&data.to_string(), Room { bytes, nesting: 8 }, 9_999);
        assert!(text.len() <= bytes, "{text} has more than {bytes} bytes");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_longest_text_is_cut_first_and_as_little_as_need_be() {
        let data = json!({"error": "e".repeat(100), "message": "short", "fatal": true});
        let cut = cut_to(&data, 120);
        assert_eq!((&cut["message"], &cut["fatal"]), (&json!("short"), &json!(true)));
        assert_eq!((&cut["truncated"], &cut["bytes"]), (&json!(true), &json!(9_999)));
        assert_eq!(cut.to_string().len(), 120, "{cut}");
        // Two long ones are cut to one length.
        let data = json!({"error": "e".repeat(90), "message": "m".repeat(100), "fatal": true});
        let cut = cut_to(&data, 140);
        assert_eq!(cut["error"].as_str().unwrap().len(), cut["message"].as_str().unwrap().len());
    }

    #[test]
    fn texts_are_cut_between_characters_and_measured_as_they_are_written() {
        for text in ["ä".repeat(80), "\u{1}\"".repeat(40), "🦀".repeat(40)] {
            for bytes in 60..120 {
                let cut = cut_to(&json!({"error": text, "fatal": true}), bytes);
                let part = cut["error"].as_str().unwrap_or_default();
                assert!(text.starts_with(part));
                assert!(cut.to_string().len() > bytes - 12 - 12, "{bytes}: {cut}");
            }
        }
    }

    #[test]
    fn other_fields_go_when_texts_are_not_enough_and_the_texts_come_back() {
        let data = json!({
            "exitCode": 3, "small": "s", "large": "l".repeat(200), "list": vec![1; 50], "error": "boom",
        });
        assert_eq!(
            cut_to(&data, 90),
            json!({"exitCode": 3, "small": "s", "error": "boom", "truncated": true, "bytes": 9_999})
        );
        assert_eq!(cut_to(&data, 50), json!({"exitCode": 3, "truncated": true, "bytes": 9_999}));
    }

    #[test]
    fn an_ending_of_very_many_fields_is_cut() {
        // Comparing each with each would take minutes.
        let fields = (0..200_000).map(|n| format!(r#""field{n}":{n},"#)).collect::<String>();
        let text = format!(r#"{{{fields}"exitCode":3}}"#);
        let cut = cut(&text, Room { bytes: 1 << 20, nesting: 8 }, 7);
        assert!(cut.len() > (1 << 20) - 30 && cut.contains(r#""exitCode":3"#), "{}", cut.len());
    }

    #[test]
    fn what_is_nested_too_deep_goes_and_so_does_what_no_string_can_hold() {
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let text = format!(r#"{{"fatal":true,"deep":{deep},"flat":[[]],"error":"\ud800"}}"#);
        let room = Room { bytes: 200, nesting: 3 };
        assert!(!fits(&text, room));
        assert_eq!(
            cut(&text, room, 7),
            r#"{"fatal":true,"flat":[[]],"error":"\ud800","truncated":true,"bytes":7}"#
        );
        assert_eq!(
            cut(&text, Room { bytes: 50, ..room }, 7),
            r#"{"fatal":true,"truncated":true,"bytes":7}"#
        );
    }

    #[test]
    fn names_twice_marks_of_others_and_endless_numbers_are_no_way_around() {
        let number = "1".repeat(100);
        let text =
            format!(r#"{{"bytes":1,"exitCode":{number},"exitCode":4,"\ud800":1,"x":{number}}}"#);
        assert_eq!(
            cut(&text, Room { bytes: 70, nesting: 3 }, 7),
            r#"{"exitCode":4,"\ud800":1,"truncated":true,"bytes":7}"#
        );
        let text = format!(r#"{{"exitCode":{number}}}"#);
        assert_eq!(
            cut(&text, Room { bytes: 80, nesting: 3 }, 7),
            format!(r#"{{"exitCode":{},"truncated":true,"bytes":7}}"#, &number[..32])
        );
    }

    #[test]
    fn what_stays_is_left_alone_once() {
        let data = r#"{"exitCode":1,"currentBranch":"main"}"#;
        let bared = bare(data, 80).unwrap();
        assert_eq!(bared, r#"{"exitCode":1,"truncated":true,"bytes":80}"#);
        assert_eq!(bare(&bared, 80), None);
        assert_eq!(bare("{}", 80), None);
    }
}
