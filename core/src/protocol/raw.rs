//! Single values of a JSON text, without understanding the rest of it.
//!
//! What is JSON may still hold what no value of ours can: an escape that is half a character, a
//! number beyond all numbers. That must not hide what stands beside it (R29), so only what is
//! asked for is read.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The named fields of an object, each as the text that stands there; of a field given twice the
/// last. `None`: the text is no JSON object.
pub fn fields<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[Option<&'a str>; N]> {
    read_fields(text, Fields { names, once: false })
}

/// The same; `None`, too, where one of them is given twice.
pub fn fields_once<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
) -> Option<[Option<&'a str>; N]> {
    read_fields(text, Fields { names, once: true })
}

fn read_fields<'a, const N: usize>(
    text: &'a str,
    fields: Fields<'_, N>,
) -> Option<[Option<&'a str>; N]> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = reader.deserialize_map(fields).ok()?;
    reader.end().ok()?;
    Some(found)
}

/// An object, as far as it can be understood: half a surrogate pair is read as U+FFFD, and of a
/// field whose value cannot be read at all the text is given that stands there. `None`: the text
/// is no JSON object.
pub fn object(text: &str) -> Option<Map<String, Value>> {
    if let Some(object) = value(text) {
        return serde_json::from_value(object).ok();
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let object = reader.deserialize_map(Object).ok()?;
    reader.end().ok()?;
    Some(object)
}

/// Any value, as far as it can be understood; what cannot be at all is null. `None`: the text is no
/// JSON.
pub fn understood(text: &str) -> Option<Value> {
    value(text)
        .or_else(|| object(text).map(Value::Object))
        .or_else(|| is_json(text).then_some(Value::Null))
}

/// Whether a text is one JSON value, of whatever kind and size.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The fields of an object in their order, names and values as the text that stands there. `None`:
/// the text is no JSON object.
pub fn members(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = reader.deserialize_map(Members).ok()?;
    reader.end().ok()?;
    Some(members)
}

fn value(text: &str) -> Option<Value> {
    let read = |text: &str| serde_json::from_str(text).ok();
    read(text).or_else(|| read(&without_halves(text)))
}

/// A JSON text's string, and whether it is exactly what stood there: half a surrogate pair is
/// read as U+FFFD. `None`: it is no string.
pub fn text(raw: &str) -> Option<(Cow<'_, str>, bool)> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some((Cow::Borrowed(inner), true));
    }
    match serde_json::from_str::<String>(raw) {
        Ok(text) => Some((Cow::Owned(text), true)),
        Err(_) => serde_json::from_str::<String>(&without_halves(raw))
            .ok()
            .map(|text| (Cow::Owned(text), false)),
    }
}

/// Whether a JSON value is a number without fraction and exponent, however large.
pub fn is_integer(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// JSON with each escape of half a surrogate pair replaced by U+FFFD.
pub fn without_halves(json: &str) -> String {
    let mut whole = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        whole.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = match (unit(rest), unit(rest.get(6..).unwrap_or_default())) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                whole.push(char::REPLACEMENT_CHARACTER);
                rest = &rest[6..];
                continue;
            }
            (Some(_), _) => 6,
            // Behind the backslash stands one ASCII character.
            (None, _) => 2.min(rest.len()),
        };
        whole.push_str(rest.get(..end).unwrap_or(rest));
        rest = rest.get(end..).unwrap_or_default();
    }
    whole.push_str(rest);
    whole
}

/// The UTF-16 unit of an escape that begins the text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

struct Fields<'n, const N: usize> {
    names: [&'n str; N],
    /// Each at most once.
    once: bool,
}

impl<'de, const N: usize> Visitor<'de> for Fields<'_, N> {
    type Value = [Option<&'de str>; N];

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let Some((name, true)) = text(name.get()) else { continue };
            if let Some(at) = self.names.iter().position(|wanted| *wanted == name)
                && found[at].replace(value.get()).is_some()
                && self.once
            {
                return Err(A::Error::custom("a field twice"));
            }
        }
        Ok(found)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(&'de str, &'de str)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            members.push((name.get(), value.get()));
        }
        Ok(members)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Map<String, Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, raw)) = map.next_entry::<&RawValue, &RawValue>()? {
            let Some((name, _)) = text(name.get()) else { continue };
            let read = value(raw.get()).unwrap_or_else(|| raw.get().into());
            object.insert(name.into_owned(), read);
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_found_beside_anything() {
        let thousands = "9".repeat(5_000);
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for beside in [r#""\ud800""#, r#""\udc00\ud800x""#, "1e999", "-1e-999", &thousands, &deep] {
            for data in [
                format!(r#"{{"a":{beside},"b":1}}"#),
                format!(r#"{{"b":1,"a":[{{"x":{beside}}}]}}"#),
                format!(r#" {{"b" : 0, "\ud800": {beside}, "\u0062" : 1 }} "#),
            ] {
                assert_eq!(fields(&data, ["b", "c"]), Some([Some("1"), None]), "{data}");
            }
        }
        for no_object in ["[]", "7", "", "{\"a\":1}x", "\"{}\"", "{1:2}"] {
            assert_eq!(fields(no_object, ["a"]), None, "{no_object}");
        }
        let twice = r#"{"a":1,"b":2,"b":3}"#;
        assert_eq!(fields(twice, ["a", "b"]), Some([Some("1"), Some("3")]));
        assert_eq!(fields_once(twice, ["a", "b"]), None);
        assert_eq!(fields_once(twice, ["a", "c"]), Some([Some("1"), None]));
    }

    #[test]
    fn half_a_character_is_replaced_and_told() {
        let read = |raw| text(raw).map(|(text, exact)| (text.into_owned(), exact));
        let lossy = |text: &str| Some((text.to_owned(), false));
        assert_eq!(read(r#""a\n\ud83d\ude00""#), Some(("a\n\u{1f600}".to_owned(), true)));
        assert_eq!(read(r#""a\ud83d""#), lossy("a\u{fffd}"));
        assert_eq!(read(r#""\ude00\ud83d\ude00\ud83dä""#), lossy("\u{fffd}\u{1f600}\u{fffd}ä"));
        assert_eq!(read(r#""\\ud83d\ud83d\u0041""#), lossy("\\ud83d\u{fffd}A"));
        assert_eq!(read(r#""\ud83d\n\\""#), lossy("\u{fffd}\n\\"));
        assert_eq!(read("7"), None);
    }

    #[test]
    fn an_object_is_read_as_far_as_it_goes() {
        let read = |text| object(text).map(Value::Object);
        assert_eq!(read(r#"{"a":[1,"\ud83d\ude00"]}"#), Some(json!({"a": [1, "\u{1f600}"]})));
        assert_eq!(read(r#"{"\ud800":["\udc00"]}"#), Some(json!({"\u{fffd}": ["\u{fffd}"]})));
        let beyond = r#"{"type":"x","n":1e999,"s":"\ud800","o":{"n":[-1e999]}}"#;
        let expected =
            json!({"type": "x", "n": "1e999", "s": "\u{fffd}", "o": r#"{"n":[-1e999]}"#});
        assert_eq!(read(beyond), Some(expected));
        for no_object in ["[]", "7", "", "{\"n\":1e999}x", "\"{}\"", "{\"n\":1e999"] {
            assert_eq!(read(no_object), None, "{no_object}");
        }
    }

    #[test]
    fn an_integer_has_digits_only() {
        assert!(is_integer("0") && is_integer("-7") && is_integer(&"9".repeat(400)));
        for other in ["1.0", "1e3", "\"1\"", "true", "-"] {
            assert!(!is_integer(other), "{other}");
        }
    }
}
