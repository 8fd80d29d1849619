//! The fields that a host adds to an event that the coordinator makes (R9).
//!
//! They are only passed on, so they stay text: integers of thousands of digits, numbers beyond all
//! numbers, half of a surrogate pair, in names too, are kept as they were given.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::{RejectCode, is_deeper_than, raw};
use crate::Error;

/// A JSON object that is passed on as it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Payload(BTreeMap<Name, Box<str>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Text(Box<str>),
    /// As it stands there, quotes included: no string of ours can hold it.
    Raw(Box<str>),
}

impl Payload {
    /// From JSON text. Of a name given twice the last counts. [`Error::InvalidArgument`], which shows
    /// the text, for what is no JSON object.
    pub fn parse(text: &str) -> Result<Payload, Error> {
        let members = raw::members(text)
            .ok_or_else(|| Error::invalid(format!("the payload {text} is no JSON object")))?;
        let named = |(name, value): (&str, &str)| {
            let name = match raw::text(name) {
                Some((text, true)) => Name::Text((*text).into()),
                _ => Name::Raw(name.into()),
            };
            (name, value.into())
        };
        Ok(Payload(members.into_iter().map(named).collect()))
    }

    /// [`Error::InvalidEvent`] where an event with it would be nested deeper: its data is one level
    /// below the event, as in the frame of a wrapper (R28).
    pub(crate) fn check_nesting(&self, max_nesting: u32) -> Result<(), Error> {
        let text = self.to_string();
        match is_deeper_than(&text, max_nesting.saturating_sub(1)) {
            false => Ok(()),
            true => Err(Error::InvalidEvent {
                reason: RejectCode::TooDeep.as_str().into(),
                bytes: text.len() as u64,
            }),
        }
    }

    /// Sets a field.
    pub fn set(&mut self, name: &str, value: &Value) {
        self.0.insert(Name::Text(name.into()), value.to_string().into());
    }
}

/// JSON text, the names in order.
impl fmt::Display for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        for (at, (name, value)) in self.0.iter().enumerate() {
            if at > 0 {
                formatter.write_str(",")?;
            }
            match name {
                Name::Text(name) => write!(formatter, "{}", Value::from(&**name))?,
                Name::Raw(name) => formatter.write_str(name)?,
            }
            write!(formatter, ":{value}")?;
        }
        formatter.write_str("}")
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Payload({self})")
    }
}

impl From<Map<String, Value>> for Payload {
    fn from(fields: Map<String, Value>) -> Payload {
        let named = |(name, value): (String, Value)| {
            (Name::Text(name.into()), value.to_string().into_boxed_str())
        };
        Payload(fields.into_iter().map(named).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_no_value_holds_is_kept_as_it_was_given() {
        let digits = "9".repeat(5_000);
        let text = format!(
            r#"{{"a":{digits},"b":[-1e999, {{"x": "\ud800"}}],"\udc00":"\ud83d\ude00","\udc01":1}}"#
        );
        let mut payload = Payload::parse(&format!(" {text}\n")).unwrap();
        assert_eq!(payload.to_string(), text);
        payload.set("error", &json!("oh\"\n"));
        payload.set("a", &json!(1));
        assert_eq!(
            payload.to_string(),
            r#"{"a":1,"b":[-1e999, {"x": "\ud800"}],"error":"oh\"\n","\udc00":"\ud83d\ude00","\udc01":1}"#
        );
    }

    #[test]
    fn names_are_in_order_and_the_last_of_two_counts() {
        let payload = Payload::parse(r#"{"z":1,"a\u0062":2,"ab":3,"":null}"#).unwrap();
        assert_eq!(payload.to_string(), r#"{"":null,"ab":3,"z":1}"#);
        let map = json!({"z": [1, {"y": null}], "a": "\u{1}"});
        assert_eq!(Payload::from(map.as_object().unwrap().clone()).to_string(), map.to_string());
        assert_eq!(Payload::default().to_string(), "{}");
    }

    #[test]
    fn it_is_nested_no_deeper_than_a_frame_may_be() {
        let nested = |depth| {
            let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            Payload::parse(&format!(r#"{{"a":{value},"b":"[[[[[[[["}}"#)).unwrap().check_nesting(4)
        };
        nested(2).unwrap();
        assert_eq!(nested(3).unwrap_err().name(), "InvalidEvent");
        assert_eq!(nested(100_000).unwrap_err().name(), "InvalidEvent");
    }

    #[test]
    fn what_is_no_object_is_shown() {
        for text in ["", "[]", "7", "{\"a\":1}x", "{'a':1}", "\"{}\"", "{\"a\":\u{1b}}"] {
            let told = Payload::parse(text).unwrap_err();
            assert_eq!(told.name(), "InvalidArgument");
            let shown = crate::error::shown(text).into_owned();
            assert!(told.to_string().contains(&shown), "{told}");
        }
        let long = Payload::parse(&"[".repeat(1 << 20)).unwrap_err().to_string();
        assert!(long.len() < 1_000 && long.contains("is no JSON object"), "{long}");
    }
}
