//! Frames from the coordinator, as text.

use serde_json::{Value, json};

use super::frame::FrameLimits;
use super::time::format_timestamp;

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
    format!("{{\"type\":\"ack\",\"seq\":{seq}}}")
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
    let execution = execution.map_or(Value::Null, |id| json!(id));
    let late = if late { ",\"late\":true" } else { "" };
    format!(
        "{{\"eventId\":{id},\"executionId\":{execution},\"sessionId\":{},\"streamEventType\":{},\
         \"timestamp\":\"{}\",\"data\":{data}{late}}}",
        json!(session),
        json!(event_type),
        format_timestamp(timestamp),
    )
}
