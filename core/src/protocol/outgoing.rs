//! Frames from the coordinator, as text.

use serde_json::json;

use super::frame::FrameLimits;
use super::time::push_timestamp;

/// The strength of a kill (R12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Asks.
    Term,
    /// Insists.
    Kill,
}

impl Signal {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Term => "SIGTERM",
            Signal::Kill => "SIGKILL",
        }
    }

    /// Reads the name on the wire.
    pub fn parse(text: &str) -> Option<Signal> {
        match text {
            "SIGTERM" => Some(Signal::Term),
            "SIGKILL" => Some(Signal::Kill),
            _ => None,
        }
    }
}

/// `{"type":"kill",…}`
pub fn kill(signal: Signal) -> String {
    json!({"type": "kill", "signal": signal.as_str()}).to_string()
}

/// `{"type":"ack",…}`: everything up to `seq` is committed.
pub fn ack(seq: u64) -> String {
    // One a commit: made without looking for its size.
    let mut frame = String::with_capacity(48);
    frame.push_str("{\"type\":\"ack\",\"seq\":");
    push_number(&mut frame, seq);
    frame.push('}');
    frame
}

/// The first frame of an acknowledged link.
pub fn welcome(
    last_seq: u64,
    producer: &str,
    grace_ms: i64,
    limits: FrameLimits,
    late: bool,
) -> String {
    json!({
        "type": "welcome",
        "lastSeq": last_seq,
        "producer": producer,
        "graceMs": grace_ms,
        "maxFrameBytes": limits.max_frame_bytes,
        "maxNesting": limits.max_nesting,
        "late": late,
    })
    .to_string()
}

/// How the execution ended, before close 4000 (R31).
pub fn ended(status: &str, error: Option<&str>, last_seq: u64) -> String {
    let mut frame = json!({"type": "ended", "status": status, "lastSeq": last_seq});
    if let Some(error) = error {
        frame["error"] = json!(error);
    }
    frame.to_string()
}

/// A frame could not be accepted (R28).
pub fn protocol_error(message: &str) -> String {
    json!({"type": "error", "code": "WS_PROTOCOL_ERROR", "message": message}).to_string()
}

/// A frame could not be stored, in basic mode (R28).
pub fn internal_error(message: &str) -> String {
    json!({"type": "error", "code": "WS_INTERNAL_ERROR", "message": message}).to_string()
}

/// One record of the subscribers' stream. `data` is JSON text.
pub fn stream_record(
    id: u64,
    execution: Option<&str>,
    session: &str,
    event_type: &str,
    timestamp: i64,
    late: bool,
    data: &str,
) -> String {
    let texts = execution.map_or(0, str::len) + session.len() + event_type.len() + data.len();
    let mut frame = String::with_capacity(STREAM_RECORD_FRAME + texts);
    frame.push_str("{\"eventId\":");
    push_number(&mut frame, id);
    frame.push_str(",\"executionId\":");
    match execution {
        Some(id) => push_text(&mut frame, id),
        None => frame.push_str("null"),
    }
    frame.push_str(",\"sessionId\":");
    push_text(&mut frame, session);
    frame.push_str(",\"streamEventType\":");
    push_text(&mut frame, event_type);
    frame.push_str(",\"timestamp\":\"");
    push_timestamp(&mut frame, timestamp);
    frame.push_str("\",\"data\":");
    frame.push_str(data);
    frame.push_str(if late { ",\"late\":true}" } else { "}" });
    frame
}

/// What a stream's record has beside its texts, in bytes.
const STREAM_RECORD_FRAME: usize = 160;

/// Appends a number, without the detour through a formatter.
fn push_number(frame: &mut String, number: u64) {
    if number >= 10 {
        push_number(frame, number / 10);
    }
    frame.push(char::from(b'0' + (number % 10) as u8));
}

/// Appends a text as JSON. Most need no escape.
fn push_text(frame: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        frame.push_str(&json!(text).to_string());
    } else {
        frame.push('"');
        frame.push_str(text);
        frame.push('"');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn numbers_are_whole_at_every_size() {
        for number in [0, 9, 10, 99, 100, 1_234_567_890, u64::MAX] {
            assert_eq!(ack(number), format!("{{\"type\":\"ack\",\"seq\":{number}}}"));
        }
    }

    #[test]
    fn a_stream_record_is_json_whatever_its_texts_hold() {
        for text in ["plain", "", "with \"quotes\" and \\", "line\nbreak \u{1}", "ümläut \u{7f}"]
        {
            let frame = stream_record(7, Some(text), text, text, 0, true, "[1]");
            let expected = json!({
                "eventId": 7, "executionId": text, "sessionId": text, "streamEventType": text,
                "timestamp": "1970-01-01T00:00:00.000Z", "data": [1], "late": true,
            });
            assert_eq!(serde_json::from_str::<Value>(&frame).unwrap(), expected);
        }
        assert_eq!(
            stream_record(0, None, "s", "gap", 1_700_000_000_000, false, "{}"),
            "{\"eventId\":0,\"executionId\":null,\"sessionId\":\"s\",\"streamEventType\":\"gap\",\
             \"timestamp\":\"2023-11-14T22:13:20.000Z\",\"data\":{}}"
        );
    }
}
