//! Frames from the wrapper: reading, and refusing with a number (R28, R29, R45d).

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::time::parse_timestamp;

/// One event frame from a wrapper, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// `streamEventType`: never empty.
    pub event_type: Arc<str>,
    /// The wrapper's timestamp in ms; `None` when missing or unreadable.
    pub timestamp: Option<i64>,
    /// `data` as it came, JSON text; `{}` when missing.
    pub data: Arc<str>,
    /// The frame's number in acknowledged mode.
    pub seq: Option<u64>,
}

/// Why a frame was refused (R28).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectCode {
    /// A binary frame.
    Binary,
    /// Longer than `max_frame_bytes`.
    TooLarge,
    /// Nested deeper than `max_nesting`.
    TooDeep,
    /// Not JSON.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// No `streamEventType`, or one that is no non-empty string.
    NoType,
    /// It alone could not be stored, while other commits succeeded.
    NotStored,
}

impl RejectCode {
    /// The `code` in the data of the `rejected` event.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectCode::Binary => "binary",
            RejectCode::TooLarge => "too_large",
            RejectCode::TooDeep => "too_deep",
            RejectCode::NotJson => "not_json",
            RejectCode::NotAnObject => "not_an_object",
            RejectCode::NoType => "no_type",
            RejectCode::NotStored => "not_stored",
        }
    }

    /// What the error frame says.
    pub fn message(self) -> &'static str {
        match self {
            RejectCode::Binary => "frames are text, this one is binary",
            RejectCode::TooLarge => "the frame is larger than maxFrameBytes",
            RejectCode::TooDeep => "the frame is nested deeper than maxNesting",
            RejectCode::NotJson => "the frame is not JSON",
            RejectCode::NotAnObject => "the frame is not a JSON object",
            RejectCode::NoType => "streamEventType is missing or no non-empty string",
            RejectCode::NotStored => "the frame could not be stored",
        }
    }
}

/// A frame that cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadFrame {
    /// Why.
    pub code: RejectCode,
    /// Its number, where it could be read.
    pub seq: Option<u64>,
    /// Its size.
    pub bytes: u64,
}

/// The bounds of one frame; both sides check the same ones (R40).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Of the whole frame, in bytes.
    pub max_frame_bytes: u64,
    /// Of the whole frame, its outer object included.
    pub max_nesting: u32,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, rename = "streamEventType")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    seq: Option<&'a RawValue>,
}

/// Reads one text frame from a wrapper.
pub fn parse_frame(text: &str, limits: FrameLimits) -> Result<Frame, BadFrame> {
    let bytes = text.len() as u64;
    let bad = |code, seq| BadFrame { code, seq, bytes };
    if is_deeper_than(text, limits.max_nesting) {
        return Err(bad(RejectCode::TooDeep, None));
    }
    let envelope: Envelope = match serde_json::from_str(text) {
        Ok(envelope) if text.trim_ascii_start().starts_with('{') => envelope,
        // A JSON array fits the struct too, field by field; it is no object all the same.
        Ok(_) => return Err(bad(RejectCode::NotAnObject, None)),
        Err(_) if serde_json::from_str::<&RawValue>(text).is_ok() => {
            let is_object = text.trim_ascii_start().starts_with('{');
            // An object that is JSON but does not fit has a field twice.
            let code = if is_object { RejectCode::NotJson } else { RejectCode::NotAnObject };
            return Err(bad(code, None));
        }
        Err(_) => return Err(bad(RejectCode::NotJson, None)),
    };
    let seq = envelope.seq.and_then(|raw| serde_json::from_str::<u64>(raw.get()).ok());
    if bytes > limits.max_frame_bytes {
        return Err(bad(RejectCode::TooLarge, seq));
    }
    let event_type = envelope
        .event_type
        .and_then(|raw| read_text(raw.get()))
        .filter(|name| !name.is_empty())
        .ok_or(bad(RejectCode::NoType, seq))?;
    Ok(Frame {
        event_type: (*event_type).into(),
        timestamp: envelope.timestamp.and_then(|raw| read_timestamp(raw.get())),
        data: envelope.data.map_or("{}", |raw| raw.get()).into(),
        seq,
    })
}

fn read_timestamp(raw: &str) -> Option<i64> {
    if raw.starts_with('"') {
        let text = read_text(raw)?;
        // Digits in quotes are no ISO 8601.
        if text.parse::<i64>().is_ok() {
            return None;
        }
        parse_timestamp(&text)
    } else {
        parse_timestamp(raw)
    }
}

/// Reads a JSON value as a string, where it is one. `raw` is known to be JSON, so that without an
/// escape in it the string stands there as it is.
fn read_text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Whether the brackets of a text go deeper than `limit`. They cannot where there are no more
/// than that, and counting them is many times faster than following them.
fn is_deeper_than(text: &str, limit: u32) -> bool {
    // Few enough at once for a byte to hold the count.
    let pieces = text.as_bytes().chunks(128);
    let is_bracket = |byte: &u8| u8::from(matches!(byte, b'{' | b'['));
    let count = |piece: &[u8]| piece.iter().map(is_bracket).sum::<u8>();
    let brackets: usize = pieces.map(|piece| usize::from(count(piece))).sum();
    brackets > limit as usize && nesting(text) > limit
}

/// How deep the brackets of a text go, outside strings. For text that is JSON this is its
/// nesting; for other text it is at least harmless.
fn nesting(text: &str) -> u32 {
    let (mut depth, mut deepest) = (0u32, 0u32);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// What a frame means for the lifecycle (R29).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifecycle {
    /// `complete` with an integer `exitCode`.
    Completed {
        /// `currentBranch`, where given.
        branch: Option<Arc<str>>,
    },
    /// `interrupted`.
    Interrupted {
        /// Its reason, or `User interrupted`.
        reason: Arc<str>,
    },
    /// A fatal `error`.
    Failed {
        /// `error`, else `message`, else `Fatal error`.
        error: Arc<str>,
    },
    /// One of the three types, but its data does not fit: only an event, warned about.
    Unfit,
}

impl Lifecycle {
    /// Reads an event's meaning; `None` for an ordinary event.
    pub fn of(event_type: &str, data: &str) -> Option<Lifecycle> {
        if !matches!(event_type, "complete" | "interrupted" | "error") {
            return None;
        }
        let Ok(data) = serde_json::from_str::<Map<String, Value>>(data) else {
            return Some(Lifecycle::Unfit);
        };
        let text = |name: &str| -> Option<Arc<str>> { data.get(name)?.as_str().map(Arc::from) };
        match event_type {
            "complete" => match data.get("exitCode") {
                Some(code) if code.is_i64() || code.is_u64() => {
                    Some(Lifecycle::Completed { branch: text("currentBranch") })
                }
                _ => Some(Lifecycle::Unfit),
            },
            "interrupted" => match data.get("reason") {
                None | Some(Value::Null) => {
                    Some(Lifecycle::Interrupted { reason: "User interrupted".into() })
                }
                Some(Value::String(reason)) => {
                    Some(Lifecycle::Interrupted { reason: reason.as_str().into() })
                }
                Some(_) => Some(Lifecycle::Unfit),
            },
            _ => match data.get("fatal") {
                Some(Value::Bool(true)) => Some(Lifecycle::Failed {
                    error: text("error")
                        .or_else(|| text("message"))
                        .unwrap_or_else(|| "Fatal error".into()),
                }),
                None | Some(Value::Bool(false)) => None,
                Some(_) => Some(Lifecycle::Unfit),
            },
        }
    }

    /// Whether this ends an execution.
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Lifecycle::Unfit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits { max_frame_bytes: 200, max_nesting: 4 };

    fn code(text: &str) -> RejectCode {
        parse_frame(text, LIMITS).unwrap_err().code
    }

    #[test]
    fn a_frame_is_read_with_its_data_untouched() {
        let frame = parse_frame(
            r#"{"streamEventType":"output","timestamp":"2023-11-14T22:13:20.000Z","data":{"a" : 1},"seq":3}"#,
            LIMITS,
        )
        .unwrap();
        assert_eq!(&*frame.event_type, "output");
        assert_eq!(frame.timestamp, Some(1_700_000_000_000));
        assert_eq!(&*frame.data, r#"{"a" : 1}"#);
        assert_eq!(frame.seq, Some(3));
        let bare = parse_frame(r#"{"streamEventType":"x","timestamp":"?"}"#, LIMITS).unwrap();
        assert_eq!((bare.timestamp, &*bare.data), (None, "{}"));
    }

    #[test]
    fn escapes_in_type_and_timestamp_are_read() {
        let frame = parse_frame(
            r#"{"streamEventType":"o\u0075t\"","timestamp":"2023-11-14T22\u003a13:20.000Z"}"#,
            LIMITS,
        )
        .unwrap();
        assert_eq!(&*frame.event_type, "out\"");
        assert_eq!(frame.timestamp, Some(1_700_000_000_000));
        for no_text in ["7", "null", "[]", r#""\ud800""#] {
            assert_eq!(code(&format!(r#"{{"streamEventType":{no_text}}}"#)), RejectCode::NoType);
        }
        let quoted = parse_frame(r#"{"streamEventType":"x","timestamp":"1700"}"#, LIMITS).unwrap();
        assert_eq!(quoted.timestamp, None);
    }

    #[test]
    fn many_brackets_are_no_deep_nesting() {
        let wide = r#"{"streamEventType":"x","data":[[],[],[],[],[[]]]}"#;
        assert!(parse_frame(wide, LIMITS).is_ok());
        let deep = r#"{"streamEventType":"x","data":[[],[],[],[],[[[]]]]}"#;
        assert_eq!(code(deep), RejectCode::TooDeep);
    }

    #[test]
    fn each_kind_of_bad_frame_has_its_code() {
        assert_eq!(code("nope"), RejectCode::NotJson);
        assert_eq!(code(""), RejectCode::NotJson);
        assert_eq!(code("[1,2]"), RejectCode::NotAnObject);
        assert_eq!(code(r#"["output",1,{},4]"#), RejectCode::NotAnObject);
        assert_eq!(code("7"), RejectCode::NotAnObject);
        assert_eq!(code(r#"{"data":{}}"#), RejectCode::NoType);
        assert_eq!(code(r#"{"streamEventType":""}"#), RejectCode::NoType);
        assert_eq!(code(r#"{"streamEventType":"x","data":[[[[1]]]]}"#), RejectCode::TooDeep);
        let long = format!(r#"{{"streamEventType":"x","seq":9,"data":"{}"}}"#, "y".repeat(200));
        let bad = parse_frame(&long, LIMITS).unwrap_err();
        assert_eq!((bad.code, bad.seq), (RejectCode::TooLarge, Some(9)));
        assert_eq!(bad.bytes, long.len() as u64);
        assert!(parse_frame(r#"{"streamEventType":"x","data":"[[[[[{\"[["}"#, LIMITS).is_ok());
    }

    #[test]
    fn lifecycle_events_are_recognised_only_when_they_fit() {
        let of = |event_type, data| Lifecycle::of(event_type, data);
        assert_eq!(of("output", "{}"), None);
        assert!(matches!(of("complete", r#"{"exitCode":0}"#), Some(Lifecycle::Completed { .. })));
        assert_eq!(of("complete", r#"{"exitCode":"0"}"#), Some(Lifecycle::Unfit));
        assert_eq!(of("complete", r#"{"exitCode":0.5}"#), Some(Lifecycle::Unfit));
        assert_eq!(of("complete", "[]"), Some(Lifecycle::Unfit));
        assert_eq!(of("error", "{}"), None);
        assert_eq!(of("error", r#"{"fatal":"yes"}"#), Some(Lifecycle::Unfit));
        assert_eq!(
            of("error", r#"{"fatal":true,"message":"m"}"#),
            Some(Lifecycle::Failed { error: "m".into() })
        );
        assert_eq!(
            of("interrupted", "{}"),
            Some(Lifecycle::Interrupted { reason: "User interrupted".into() })
        );
    }
}
