//! Lines of a program's output, as `stayline run` reads them: nothing that was printed is lost,
//! and no program ends its own run.

use libfuzzer_sys::Corpus;
use serde_json::Value;
use stayline::Settings;
use stayline::protocol::{FrameLimits, parse_frame};
use stayline::wrapper::dialect::jsonl::{LineEvent, line_to_events};
use stayline::wrapper::{SendOptions, Wrapper};

use crate::reader::is_json;

const NOW: i64 = 1_700_000_000_000;

pub fn run(bytes: &[u8]) -> Corpus {
    for max_frame_bytes in [512, 100_000] {
        let limits = FrameLimits { max_frame_bytes, max_nesting: 16 };
        let settings = Settings {
            max_frame_bytes: max_frame_bytes as u32,
            max_nesting: 16,
            buffer_events: 100_000,
            ..Settings::default()
        };
        let mut wrapper = Wrapper::new(settings, 1).expect("good settings");
        wrapper.open("e", NOW).expect("it opens");
        for line in bytes.split(|byte| *byte == b'\n') {
            let events = line_to_events(line, limits);
            assert!(!events.is_empty(), "a line without an event");
            for event in &events {
                check(event, limits);
                let sent =
                    wrapper.send(&event.event_type, &event.data, SendOptions::default(), NOW);
                sent.expect("what a line becomes can be sent");
            }
            assert_eq!(printed(&events, line), strip(line), "something is lost");
        }
    }
    Corpus::Keep
}

fn check(event: &LineEvent, limits: FrameLimits) {
    assert!(!["", "complete", "interrupted", "error"].contains(&event.event_type.as_str()));
    assert!(is_json(&event.data), "{}", event.data);
    let event_type = serde_json::to_string(&event.event_type).expect("a string");
    let frame = format!(
        "{{\"streamEventType\":{event_type},\"timestamp\":\"2026-03-07T12:00:00.000Z\",\
         \"data\":{},\"seq\":{}}}",
        event.data,
        u64::MAX
    );
    if let Err(bad) = parse_frame(&frame, limits) {
        panic!("the other side would refuse it as {:?}: {frame}", bad.code);
    }
}

fn strip(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What the events say was printed. A line that is an object stands for itself.
fn printed(events: &[LineEvent], line: &[u8]) -> Vec<u8> {
    let mut printed = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let data = serde_json::from_str::<Value>(&event.data).unwrap_or_default();
        let of_ours = |name: &&String| ["text", "base64", "part", "last"].contains(&name.as_str());
        let is_text = event.event_type == "output"
            && data.as_object().is_some_and(|data| data.keys().all(|name| of_ours(&name)))
            && data.get("text").is_some_and(Value::is_string)
            && !strip(line).trim_ascii().starts_with(b"{");
        if !is_text {
            return strip(line).to_vec();
        }
        if events.len() > 1 {
            assert_eq!(data["part"], at);
            assert_eq!(data["last"], at + 1 == events.len());
        }
        match data.get("base64").and_then(Value::as_str) {
            Some(text) => printed.extend(base64(text)),
            None => printed.extend(data["text"].as_str().unwrap_or_default().as_bytes()),
        }
    }
    printed
}

fn base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let value = |byte: u8| match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => 0,
            other => panic!("{other} is no base64"),
        };
        let bits = group.iter().fold(0u32, |bits, byte| bits << 6 | u32::from(value(*byte)));
        let padding = group.iter().filter(|byte| **byte == b'=').count();
        bytes.extend(&bits.to_be_bytes()[1..4 - padding]);
    }
    bytes
}
