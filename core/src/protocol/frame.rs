//! Frames from the wrapper: reading, and refusing with a number (R28, R29, R45d).

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::raw;
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
    let envelope = match read_envelope(text) {
        Some(envelope) => envelope,
        None => {
            let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
            // An object that is JSON but does not fit has a field twice.
            let is_object = text.trim_ascii_start().starts_with('{');
            let code = match is_json && !is_object {
                true => RejectCode::NotAnObject,
                false => RejectCode::NotJson,
            };
            return Err(bad(code, None));
        }
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

fn read_envelope(text: &str) -> Option<Envelope<'_>> {
    // A JSON array fits the struct too, field by field; it is no object all the same.
    if !text.trim_ascii_start().starts_with('{') {
        return None;
    }
    if let Ok(envelope) = serde_json::from_str(text) {
        return Some(envelope);
    }
    // A name beside ours may be one that no string can hold.
    let names = ["streamEventType", "timestamp", "data", "seq"];
    let fields = raw::fields_once(text, names)?;
    let [event_type, timestamp, data, seq] = fields.map(|raw| {
        raw.filter(|raw| *raw != "null").and_then(|raw| serde_json::from_str::<&RawValue>(raw).ok())
    });
    Some(Envelope { event_type, timestamp, data, seq })
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

/// Reads a JSON value as a string, where it is a whole one.
fn read_text(raw: &str) -> Option<Cow<'_, str>> {
    raw::text(raw).filter(|(_, exact)| *exact).map(|(text, _)| text)
}

/// Whether the brackets of a text go deeper than `limit`. They cannot where there are no more
/// than that, and counting them is many times faster than following them.
pub(crate) fn is_deeper_than(text: &str, limit: u32) -> bool {
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

/// The branch that an event names. A name is kept as it is or not at all (R5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Branch {
    /// It names none.
    #[default]
    Unnamed,
    /// This one.
    Named(Arc<str>),
    /// One that cannot be kept: half a character in it, or too long.
    Unfit,
}

/// What a frame means for the lifecycle (R29).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifecycle {
    /// `complete` with an integer `exitCode`.
    Completed {
        /// `currentBranch`.
        branch: Branch,
        /// `exitCode`; `None`: it is beyond 64 bits.
        exit_code: Option<i64>,
    },
    /// `interrupted`.
    Interrupted {
        /// Its reason, or `User interrupted`.
        reason: Arc<str>,
        /// An integer `exitCode`, where given.
        exit_code: Option<i64>,
    },
    /// A fatal `error`.
    Failed {
        /// `error`, else `message`, else `Fatal error`.
        error: Arc<str>,
        /// An integer `exitCode`, where given.
        exit_code: Option<i64>,
    },
    /// One of the three types, but its data does not fit: only an event, warned about.
    Unfit,
}

impl Lifecycle {
    /// Reads an event's meaning; `None` for an ordinary event. Whatever else stands in its data
    /// does not matter, be it something that nobody can read.
    pub fn of(event_type: &str, data: &str) -> Option<Lifecycle> {
        let read = match event_type {
            "complete" => completed(data).map(Some),
            "interrupted" => interrupted(data).map(Some),
            "error" => failed(data),
            _ => return None,
        };
        read.unwrap_or(Some(Lifecycle::Unfit))
    }

    /// Whether this ends an execution.
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Lifecycle::Unfit)
    }
}

/// `None`: the data does not fit.
fn completed(data: &str) -> Option<Lifecycle> {
    let [code, branch] = raw::fields(data, ["exitCode", "currentBranch"])?;
    let code = code.filter(|code| raw::is_integer(code))?;
    let branch = match branch.and_then(raw::text) {
        None => Branch::Unnamed,
        Some((name, true)) => Branch::Named(name.into()),
        Some((_, false)) => Branch::Unfit,
    };
    Some(Lifecycle::Completed { branch, exit_code: code.parse().ok() })
}

fn interrupted(data: &str) -> Option<Lifecycle> {
    let [reason, code] = raw::fields(data, ["reason", "exitCode"])?;
    let reason = match reason {
        None | Some("null") => "User interrupted".into(),
        Some(reason) => raw::text(reason)?.0.into(),
    };
    Some(Lifecycle::Interrupted { reason, exit_code: integer(code) })
}

/// `Some(None)`: not fatal, hence an ordinary event.
fn failed(data: &str) -> Option<Option<Lifecycle>> {
    let [fatal, error, message, code] =
        raw::fields(data, ["fatal", "error", "message", "exitCode"])?;
    match fatal {
        None | Some("false") => return Some(None),
        Some("true") => {}
        Some(_) => return None,
    }
    let said = [error, message].into_iter().flatten().find_map(raw::text);
    let error = said.map_or_else(|| "Fatal error".into(), |(text, _)| text.into());
    Some(Some(Lifecycle::Failed { error, exit_code: integer(code) }))
}

fn integer(raw: Option<&str>) -> Option<i64> {
    raw.filter(|raw| raw::is_integer(raw))?.parse().ok()
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
    fn a_name_that_no_string_can_hold_hides_nothing_beside_it() {
        for beside in [r#""\ud800":1"#, r#""a\udc00":{"\ud800":[1e999]}"#] {
            let text = format!(
                r#"{{{beside},"streamEventType":"complete","data":{{"exitCode":3}},"seq":7}}"#
            );
            let frame = parse_frame(&text, LIMITS).unwrap();
            assert_eq!((&*frame.event_type, frame.seq), ("complete", Some(7)));
            assert_eq!(&*frame.data, r#"{"exitCode":3}"#);
            let twice = format!(r#"{{{beside},"streamEventType":"x","streamEventType":"y"}}"#);
            assert_eq!(code(&twice), RejectCode::NotJson);
        }
        let null = r#"{"\ud800":1,"streamEventType":"x","data":null}"#;
        let plain = r#"{"streamEventType":"x","data":null}"#;
        assert_eq!(parse_frame(null, LIMITS), parse_frame(plain, LIMITS));
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
            Some(Lifecycle::Failed { error: "m".into(), exit_code: None })
        );
        assert_eq!(
            of("interrupted", "{}"),
            Some(Lifecycle::Interrupted { reason: "User interrupted".into(), exit_code: None })
        );
    }

    #[test]
    fn an_ending_ends_whatever_stands_beside_it() {
        let endless = "9".repeat(4_000);
        for beside in [r#""\ud800""#, "1e999", &endless, r#"{"x":["\udfff",-1e999]}"#] {
            let of = |event_type, data: &str| {
                Lifecycle::of(event_type, &data.replace("BESIDE", beside)).unwrap()
            };
            let completed = of("complete", r#"{"exitCode":3,"currentBranch":"b","x":BESIDE}"#);
            let branch = Branch::Named("b".into());
            assert_eq!(completed, Lifecycle::Completed { branch, exit_code: Some(3) });
            let failed =
                of("error", r#"{"a":BESIDE,"fatal":true,"error":"\ud83dx","exitCode":-9}"#);
            let error = "\u{fffd}x".into();
            assert_eq!(failed, Lifecycle::Failed { error, exit_code: Some(-9) });
            let interrupted = of("interrupted", r#"{"reason":"a\udc00","exitCode":BESIDE}"#);
            let reason = "a\u{fffd}".into();
            assert_eq!(interrupted, Lifecycle::Interrupted { reason, exit_code: None });
        }
        let huge = format!(r#"{{"exitCode":{endless},"currentBranch":"b\ud800"}}"#);
        let huge = Lifecycle::of("complete", &huge);
        assert_eq!(huge, Some(Lifecycle::Completed { branch: Branch::Unfit, exit_code: None }));
    }
}
