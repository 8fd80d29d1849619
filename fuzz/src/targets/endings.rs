//! The JSON that only R29 and R30 look into: `TYPE`, a line break, the data. What an event means
//! depends on the fields that its meaning needs, not on what stands beside them.

use libfuzzer_sys::Corpus;
use serde_json::{Map, Value};
use stayline::protocol::Lifecycle;
use stayline::protocol::kilo::session_created;

use crate::reader::is_json;

/// Members that are JSON and cannot be understood: half a character, a number beyond all bounds.
const BESIDE: [&str; 4] =
    [r#""zz":"\ud800""#, r#""zz":1e999"#, r#""zz":{"a":["\udfff"]}"#, r#""\ud800":1"#];

pub fn run(bytes: &[u8]) -> Corpus {
    let Ok(text) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    let Some((event_type, data)) = text.split_once('\n') else { return Corpus::Reject };
    if !is_json(data) {
        return Corpus::Reject;
    }
    let meaning = Lifecycle::of(event_type, data);
    let created = session_created(event_type, data);
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(data) else { return Corpus::Keep };
    if let Some(expected) = expected(event_type, &fields) {
        let is_terminal = meaning.as_ref().is_some_and(Lifecycle::is_terminal);
        assert_eq!(is_terminal, expected, "{event_type} {data}");
    }
    let inner = data.trim_ascii().trim_start_matches('{').trim_end_matches('}').trim_ascii();
    if inner.is_empty() || fields.is_empty() {
        return Corpus::Keep;
    }
    let opened = data.trim_ascii().strip_prefix('{').expect("an object");
    let closed = data.trim_ascii().strip_suffix('}').expect("an object");
    for beside in BESIDE {
        for with in [format!("{{{beside},{opened}"), format!("{closed},{beside}}}")] {
            assert!(is_json(&with), "{with}");
            assert_eq!(Lifecycle::of(event_type, &with), meaning, "{with}");
            assert_eq!(session_created(event_type, &with), created, "{with}");
        }
    }
    Corpus::Keep
}

/// Whether R29 lets it end the run, where that is beyond doubt.
fn expected(event_type: &str, fields: &Map<String, Value>) -> Option<bool> {
    let field = |name: &str| fields.get(name);
    match event_type {
        "complete" => match field("exitCode") {
            Some(code) if code.is_i64() => Some(true),
            // Whole numbers in another form, and beyond 64 bits, are a matter of reading.
            Some(Value::Number(_)) => None,
            _ => Some(false),
        },
        "interrupted" => {
            Some(matches!(field("reason"), None | Some(Value::Null | Value::String(_))))
        }
        "error" => Some(field("fatal") == Some(&Value::Bool(true))),
        _ => Some(false),
    }
}
