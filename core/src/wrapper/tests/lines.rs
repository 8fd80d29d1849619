//! The `jsonl` dialect: nothing a program prints is lost, and all of it can be sent.

use proptest::prelude::*;

use super::super::dialect::jsonl::{LineEvent, line_to_events};
use super::*;
use crate::protocol::FrameLimits;

const LIMITS: FrameLimits = FrameLimits { max_frame_bytes: 1_000, max_nesting: 5 };

fn events(line: &[u8]) -> Vec<(String, String)> {
    let events = line_to_events(line, LIMITS);
    events.into_iter().map(|LineEvent { event_type, data }| (event_type, data)).collect()
}

fn one(line: &str) -> (String, String) {
    let mut events = events(line.as_bytes());
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

fn output(data: &str) -> (String, String) {
    ("output".into(), data.into())
}

#[test]
fn an_object_with_a_type_is_that_event() {
    let progress = one("{\"streamEventType\":\"progress\",\"data\": {\"at\" : 1}}\r\n");
    assert_eq!(progress, ("progress".into(), "{\"at\" : 1}".into()));
    assert_eq!(one(r#"{"streamEventType":"started"}"#), ("started".into(), "{}".into()));
}

#[test]
fn a_program_cannot_end_its_run_by_printing() {
    for event_type in ["complete", "interrupted", "error"] {
        let line = format!(r#"{{"streamEventType":"{event_type}","data":{{"fatal":true}}}}"#);
        assert_eq!(one(&line), output(&line));
    }
}

#[test]
fn any_other_object_is_output_byte_for_byte() {
    for line in [
        r#"{"b" : 1,  "a":2}"#,
        "{}",
        r#"{"streamEventType":""}"#,
        r#"{"streamEventType":7}"#,
        r#"{"streamEventType":"x","streamEventType":"y"}"#,
    ] {
        assert_eq!(one(line), output(line));
    }
}

#[test]
fn any_other_line_is_text() {
    for line in ["hello \"you\"", "", "  indented", "7", "[1]", "{not json", "null"] {
        assert_eq!(one(line), output(&json!({"text": line}).to_string()));
        assert_eq!(one(&format!("{line}\n")), one(line));
    }
    // Deeper than the other side takes, it is only text.
    let deep = r#"{"a":[[[[1]]]]}"#;
    assert_eq!(one(deep), output(&json!({"text": deep}).to_string()));
}

#[test]
fn bytes_that_are_no_text_are_there_exactly() {
    let (_, data) = events(b"a\xffb").remove(0);
    let data: Value = serde_json::from_str(&data).unwrap();
    assert_eq!(data, json!({"text": "a\u{fffd}b", "base64": "Yf9i"}));
    for (bytes, base64) in
        [(&b"\xff"[..], "/w=="), (b"\xff\xfe", "//4="), (b"\xff\xfe\xfd", "//79")]
    {
        let data: Value = serde_json::from_str(&events(bytes)[0].1).unwrap();
        assert_eq!(data["base64"], base64);
    }
}

#[test]
fn a_line_too_long_for_one_frame_comes_in_parts() {
    let line = "é\"".repeat(1_000);
    let parts: Vec<Value> = events(line.as_bytes())
        .iter()
        .map(|(_, data)| serde_json::from_str(data).unwrap())
        .collect();
    assert!(parts.len() > 3);
    for (number, part) in parts.iter().enumerate() {
        assert_eq!(part["part"], json!(number));
        assert_eq!(part["last"], json!(number == parts.len() - 1));
    }
    let text: String = parts.iter().map(|part| part["text"].as_str().unwrap()).collect();
    assert_eq!(text, line);
    // An object as well: it would not be one any more.
    let object = format!(r#"{{"streamEventType":"x","data":"{}"}}"#, "y".repeat(2_000));
    assert!(events(object.as_bytes()).iter().all(|(event_type, _)| event_type == "output"));
}

fn from_base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let padding = group.iter().filter(|byte| **byte == b'=').count();
        let bits = group.iter().fold(0, |bits, byte| bits << 6 | digit(*byte));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    bytes
}

proptest! {
    #[test]
    fn whatever_is_printed_can_be_sent_and_put_together_again(
        line in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..4_000),
            "[ -~\u{0}-\u{1f}é€😀\"\\\\]{0,2000}".prop_map(String::into_bytes),
        ],
    ) {
        let line: Vec<u8> = line.into_iter().filter(|byte| !b"\r\n".contains(byte)).collect();
        let changes = json!({"max_frame_bytes": 1_000, "max_nesting": 5, "acknowledged": true});
        let mut bench = Bench::connected(changes);
        let mut bytes = Vec::new();
        for LineEvent { event_type, data } in line_to_events(&line, LIMITS) {
            bench.wrapper.send(&event_type, &data, SendOptions::default(), START).unwrap();
            let value: Value = serde_json::from_str(&data).unwrap();
            match (value["base64"].as_str(), value["text"].as_str()) {
                (Some(base64), _) => bytes.extend(from_base64(base64)),
                (None, Some(text)) => bytes.extend(text.as_bytes()),
                // A JSON object, as it is.
                (None, None) => bytes.extend(data.as_bytes()),
            }
        }
        prop_assert_eq!(bytes, line);
    }
}
