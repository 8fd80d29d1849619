//! Reading the arguments of one operation. A missing one and null are the same, except where
//! [`Arguments::given`] is asked.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use stayline::{Error, Settings};

use crate::Failure;

/// The fields of one request.
pub struct Arguments<'a> {
    fields: &'a Map<String, Value>,
    line: &'a str,
}

impl<'a> Arguments<'a> {
    /// The fields of `line` as they came.
    pub fn new(fields: &'a Map<String, Value>, line: &'a str) -> Arguments<'a> {
        Arguments { fields, line }
    }

    /// One as it is; `None` only when it is missing.
    pub fn given(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name)
    }

    /// The JSON of one, byte for byte as it stands in the request.
    pub fn json(&self, name: &str) -> Option<&'a str> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(self.line).ok()?;
        fields.get(name).map(|value| value.get())
    }

    /// A string.
    pub fn text(&self, name: &str) -> Result<&'a str, Failure> {
        self.optional_text(name)?.ok_or_else(|| missing(name))
    }

    /// A string, or nothing.
    pub fn optional_text(&self, name: &str) -> Result<Option<&'a str>, Failure> {
        self.read(name, "a string", Value::as_str)
    }

    /// An integer.
    pub fn integer(&self, name: &str) -> Result<i64, Failure> {
        self.optional_integer(name)?.ok_or_else(|| missing(name))
    }

    /// An integer, or nothing.
    pub fn optional_integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.read(name, "an integer", Value::as_i64)
    }

    /// An integer that is not negative and fits the type.
    pub fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<T, Failure> {
        self.optional_number(name)?.ok_or_else(|| missing(name))
    }

    /// The same, or nothing.
    pub fn optional_number<T: TryFrom<i64>>(&self, name: &str) -> Result<Option<T>, Failure> {
        self.read(name, "a small enough integer from 0", |value| {
            value.as_i64().filter(|number| *number >= 0).and_then(|number| T::try_from(number).ok())
        })
    }

    /// True or false; false when missing.
    pub fn flag(&self, name: &str) -> Result<bool, Failure> {
        Ok(self.read(name, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    /// An object, or nothing.
    pub fn optional_object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Failure> {
        self.read(name, "an object", Value::as_object)
    }

    /// A list of strings, or nothing.
    pub fn optional_texts(&self, name: &str) -> Result<Option<Vec<&'a str>>, Failure> {
        self.read(name, "a list of strings", |value| {
            value.as_array()?.iter().map(Value::as_str).collect()
        })
    }

    /// A word of a fixed set, or nothing.
    pub fn optional_word<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        self.read(name, "a known word", |value| parse(value.as_str()?))
    }

    /// The settings, by their full names. What they are refused with is Stayline's error.
    pub fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = Settings::default();
        for (name, value) in self.optional_object("settings")?.into_iter().flatten() {
            settings.set(name, value).map_err(|error: Error| Failure::Refused(error))?;
        }
        Ok(settings)
    }

    fn read<T>(
        &self,
        name: &str,
        shape: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| {
                Failure::BadArgument(format!("argument {name:?} is {value}, not {shape}"))
            }),
        }
    }
}

fn missing(name: &str) -> Failure {
    Failure::BadArgument(format!("argument {name:?} is missing"))
}
