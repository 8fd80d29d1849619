//! The fields of a JSON body, for the REST interface.

use std::collections::{BTreeMap, BTreeSet};

use crate::Error;
use crate::coordinator::InterruptGrace;
use crate::protocol::{Payload, raw};
use crate::settings::Millis;

/// The fields of a body, taken one by one, so that a misspelt one is told rather than ignored. Each
/// is the text that stands there: what nobody asks for may be anything.
pub(super) struct Fields {
    fields: BTreeMap<String, String>,
    known: BTreeSet<&'static str>,
}

impl Fields {
    /// An empty body is an empty object.
    pub(super) fn read(body: &[u8]) -> Result<Fields, Error> {
        let wrong = |why: &str| Error::invalid(format!("the body is no JSON object: {why}"));
        let text = str::from_utf8(body)
            .map_err(|error| wrong(&format!("no UTF-8 at byte {}", error.valid_up_to())))?;
        let mut fields = BTreeMap::new();
        if !text.trim_ascii().is_empty() {
            let members = raw::members(text).ok_or_else(|| {
                let read = serde_json::from_str::<serde::de::IgnoredAny>(text);
                wrong(&read.err().map_or("it is another value".into(), |error| error.to_string()))
            })?;
            for (name, value) in members {
                let known = raw::text(name).filter(|(_, is_exact)| *is_exact);
                let name = known.map_or(name.to_owned(), |(name, _)| name.into_owned());
                fields.insert(name, value.to_owned());
            }
        }
        Ok(Fields { fields, known: BTreeSet::new() })
    }

    /// `None` where it is missing or null.
    fn take(&mut self, name: &'static str) -> Option<String> {
        self.take_given(name).filter(|value| value != "null")
    }

    fn take_given(&mut self, name: &'static str) -> Option<String> {
        self.known.insert(name);
        self.fields.remove(name)
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Error> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match raw::text(&value) {
            Some((text, true)) => Ok(Some(text.into_owned())),
            Some((_, false)) => {
                // A secret is never shown.
                let shown = if name == "token" { "the value" } else { &value };
                Err(Error::invalid(format!(
                    "{name}: {shown} has half of a surrogate pair in it, which is no text"
                )))
            }
            None => Err(wrong(name, &value, "a string")),
        }
    }

    /// A text for people: half of a surrogate pair in it is U+FFFD.
    pub(super) fn said(&mut self, name: &'static str) -> Result<Option<String>, Error> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let said = raw::text(&value).map(|(text, _)| text.into_owned());
        said.map(Some).ok_or_else(|| wrong(name, &value, "a string"))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, Error> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(wrong(name, other, "true or false")),
        }
    }

    pub(super) fn object(&mut self, name: &'static str) -> Result<Option<Payload>, Error> {
        let Some(value) = self.take(name) else { return Ok(None) };
        Payload::parse(&value).map(Some).map_err(|_| wrong(name, &value, "an object"))
    }

    pub(super) fn duration(&mut self, name: &'static str) -> Result<Option<Millis>, Error> {
        match self.take_given(name) {
            None => Ok(None),
            Some(value) => milliseconds(name, &value).map(Some),
        }
    }

    /// Missing: the setting's; null: never.
    pub(super) fn grace(&mut self, name: &'static str) -> Result<InterruptGrace, Error> {
        match self.take_given(name).as_deref() {
            None => Ok(InterruptGrace::Default),
            Some("null") => Ok(InterruptGrace::Never),
            Some(value) => milliseconds(name, value).map(InterruptGrace::After),
        }
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(unknown) => {
                let known: Vec<_> = self.known.into_iter().collect();
                let known = known.join(", ");
                Err(Error::invalid(format!("unknown field {unknown:?}; there are: {known}")))
            }
        }
    }
}

fn milliseconds(name: &str, value: &str) -> Result<Millis, Error> {
    let ms =
        value.parse::<i64>().ok().filter(|ms| (0..=crate::settings::MAX_DURATION_MS).contains(ms));
    ms.ok_or_else(|| wrong(name, value, "an integer of milliseconds, not negative"))
}

fn wrong(name: &str, value: &str, shape: &str) -> Error {
    Error::invalid(format!("{name} cannot be {value}; it is {shape}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_typed_and_unknown_ones_are_told() {
        let body =
            br#"{"message":"m","suppressNotification":true,"payload":{"a":1},"graceMs":null}"#;
        let mut fields = Fields::read(body).unwrap();
        assert_eq!(fields.text("message").unwrap().as_deref(), Some("m"));
        assert!(fields.flag("suppressNotification").unwrap());
        assert_eq!(fields.object("payload").unwrap().unwrap().to_string(), r#"{"a":1}"#);
        assert_eq!(fields.grace("graceMs").unwrap(), InterruptGrace::Never);
        assert_eq!(fields.duration("ttlMs").unwrap(), None);
        fields.finish().unwrap();
        let mut fields = Fields::read(br#"{"mesage":"m"}"#).unwrap();
        assert_eq!(fields.text("message").unwrap(), None);
        let told = fields.finish().unwrap_err().to_string();
        assert!(told.contains("mesage") && told.contains("message"), "{told}");
    }

    #[test]
    fn wrong_shapes_are_told() {
        for (body, name) in [("{\"x\":-1}", "x"), ("{\"x\":1.5}", "x"), ("{\"x\":\"1\"}", "x")] {
            let mut fields = Fields::read(body.as_bytes()).unwrap();
            let told = fields.duration("x").unwrap_err().to_string();
            assert!(told.contains(name), "{told}");
        }
        assert!(Fields::read(b"[]").is_err());
        assert!(Fields::read(b"  ").unwrap().finish().is_ok());
    }
    #[test]
    fn what_no_value_holds_hides_nothing_beside_it() {
        let body = br#"{"message":"a\ud800","eventType":"\udc00","token":"geheim\ud800",
            "payload":{"n":1e999,"\ud83d":"\ud83d"},"executionId":null,"\ud800":1}"#;
        let mut fields = Fields::read(body).unwrap();
        assert_eq!(fields.said("message").unwrap().as_deref(), Some("a\u{fffd}"));
        assert_eq!(fields.text("executionId").unwrap(), None);
        let payload = fields.object("payload").unwrap().unwrap();
        assert_eq!(payload.to_string(), r#"{"n":1e999,"\ud83d":"\ud83d"}"#);
        let told = fields.text("eventType").unwrap_err().to_string();
        assert!(told.contains(r#"eventType: "\udc00" has half of a surrogate pair"#), "{told}");
        let told = fields.text("token").unwrap_err().to_string();
        assert!(told.contains("token: the value has half") && !told.contains("geheim"), "{told}");
        let told = fields.finish().unwrap_err().to_string();
        assert!(told.contains("unknown field") && told.contains("ud800"), "{told}");
        let digits = format!(r#"{{"ttlMs":{}}}"#, "9".repeat(5_000));
        let told = Fields::read(digits.as_bytes()).unwrap().duration("ttlMs").unwrap_err();
        assert!(told.to_string().contains("ttlMs cannot be 999"), "{told}");
        for (body, why) in [
            (&b"{\"a\":\xff}"[..], "no UTF-8 at byte 5"),
            (b"[1]", "it is another value"),
            (b"{\"a\":1", "EOF while parsing"),
        ] {
            let told = Fields::read(body).err().unwrap().to_string();
            assert!(told.contains(why), "{told}");
        }
    }
}
