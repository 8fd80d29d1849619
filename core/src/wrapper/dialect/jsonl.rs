//! The `jsonl` dialect: any program's stdout, line by line, as events.
//!
//! A line that is a JSON object with a non-empty string `streamEventType` is that event, with its
//! `data`; but a program cannot end its own run by printing: `complete`, `interrupted` and `error`
//! are the wrapper's to say. Any other JSON object is an `output` event with the object as its
//! data, byte for byte. Any other line is `output {"text": …}`. Nothing a program prints is lost:
//! bytes that are not UTF-8 are there again, exactly, as `base64`, and a line that does not fit
//! into one frame comes as several events with `part` (from 0) and `last`. Lines of stderr are
//! always text, marked by `"stream":"stderr"`.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::protocol::{FrameLimits, parse_frame};

/// One event made of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineEvent {
    /// Its type.
    pub event_type: String,
    /// JSON text.
    pub data: String,
}

/// Room for the frame around the data: the names, a timestamp, the longest number.
const ENVELOPE_BYTES: u64 = 128;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default, rename = "streamEventType")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Turns one line, with or without its line end, into events: at least one, several when it is
/// too long for one frame. All of them are such as [`send`](crate::wrapper::Wrapper::send)
/// accepts under these limits; below 512 bytes a frame holds too little for that.
pub fn line_to_events(line: &[u8], limits: FrameLimits) -> Vec<LineEvent> {
    let line = without_end(line);
    let Ok(text) = std::str::from_utf8(line) else {
        return as_text(line, Stream::Stdout, limits);
    };
    match as_object(text.trim_ascii()) {
        Some(event) if fits(&event, limits) => vec![event],
        _ => as_text(line, Stream::Stdout, limits),
    }
}

/// The same for a line of its stderr, which is text whatever it looks like.
pub fn stderr_line_to_events(line: &[u8], limits: FrameLimits) -> Vec<LineEvent> {
    as_text(without_end(line), Stream::Stderr, limits)
}

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A line that is a JSON object.
fn as_object(text: &str) -> Option<LineEvent> {
    if !text.starts_with('{') || serde_json::from_str::<&RawValue>(text).is_err() {
        return None;
    }
    let named = serde_json::from_str::<Line>(text).ok().and_then(|line| {
        let event_type = serde_json::from_str::<String>(line.event_type?.get()).ok()?;
        let reserved = ["", "complete", "interrupted", "error"].contains(&event_type.as_str());
        let data = line.data.map_or("{}", RawValue::get).to_owned();
        (!reserved).then_some(LineEvent { event_type, data })
    });
    Some(named.unwrap_or_else(|| LineEvent { event_type: "output".into(), data: text.to_owned() }))
}

/// Whether the other side would take it.
fn fits(event: &LineEvent, limits: FrameLimits) -> bool {
    let frame = format!("{{\"streamEventType\":\"x\",\"data\":{}}}", event.data);
    // The type is escaped on its way; six bytes for each of its own are enough.
    let around = ENVELOPE_BYTES + event.event_type.len() as u64 * 6;
    let max_frame_bytes = limits.max_frame_bytes.saturating_sub(around);
    parse_frame(&frame, FrameLimits { max_frame_bytes, ..limits }).is_ok()
}

/// A line as text, in as many parts as it takes.
fn as_text(line: &[u8], stream: Stream, limits: FrameLimits) -> Vec<LineEvent> {
    let budget = limits.max_frame_bytes.saturating_sub(ENVELOPE_BYTES);
    let whole = text_data(line, stream);
    if whole.to_string().len() as u64 <= budget {
        return vec![output(&whole)];
    }
    // `"part":n,"last":false`, the stream, and the names around text and base64.
    let room = usize::try_from(budget.saturating_sub(ENVELOPE_BYTES)).unwrap_or(usize::MAX);
    let mut events = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(part_length(rest, room));
        let mut data = text_data(part, stream);
        data["part"] = json!(events.len());
        data["last"] = json!(after.is_empty());
        events.push(output(&data));
        rest = after;
    }
    events
}

/// How many bytes the next part takes: at most `room` once escaped, whole characters, at least
/// one.
fn part_length(rest: &[u8], room: usize) -> usize {
    let (mut length, mut text_cost, mut is_utf8) = (0, 0, true);
    for chunk in rest.utf8_chunks() {
        let valid = chunk.valid().chars().map(|one| (one.len_utf8(), escaped_bytes(one), true));
        // Bytes that are not UTF-8 become one replacement character of three bytes, and the whole
        // part is there again as base64.
        let invalid = Some((chunk.invalid().len(), 3, false)).filter(|(bytes, ..)| *bytes > 0);
        for (bytes, cost, fits_text) in valid.chain(invalid) {
            is_utf8 &= fits_text;
            text_cost += cost;
            let base64_cost = if is_utf8 { 0 } else { (length + bytes).div_ceil(3) * 4 };
            if length > 0 && text_cost + base64_cost > room {
                return length;
            }
            length += bytes;
        }
    }
    length
}

/// What a character costs inside a JSON string.
pub(in crate::wrapper) fn escaped_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

fn text_data(bytes: &[u8], stream: Stream) -> Value {
    let mut data = match std::str::from_utf8(bytes) {
        Ok(text) => json!({"text": text}),
        Err(_) => json!({"text": String::from_utf8_lossy(bytes), "base64": base64(bytes)}),
    };
    if stream == Stream::Stderr {
        data["stream"] = json!("stderr");
    }
    data
}

fn output(data: &Value) -> LineEvent {
    LineEvent { event_type: "output".into(), data: data.to_string() }
}

/// Standard base64, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            if place <= group.len() {
                text.push(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize] as char);
            } else {
                text.push('=');
            }
        }
    }
    text
}
