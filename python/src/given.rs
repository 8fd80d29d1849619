//! What Python code hands over and the core cannot hold: texts with half a surrogate pair in them,
//! which is what Python makes of names that are no UTF-8, and integers beyond 64 bits.
//!
//! Names, types, tokens and addresses are refused by an `InvalidArgument` that shows the value.
//! Texts for people are never refused: a run whose failure cannot be described must fail all the
//! same, so what is no text in them is written out, `\udcff`, as Python writes it in source code.

use pyo3::exceptions::{PyOverflowError, PyUnicodeError};
use pyo3::prelude::*;
use stayline::Error;

use crate::error::Failure;
use crate::text;

const NO_TEXT: &str =
    "has half of a surrogate pair in it, which is no text (bytes that are no UTF-8 become such)";

/// An argument that is `InvalidArgument`, rather than one of Python's errors, where it is of the
/// right type and the core cannot hold it.
#[derive(Clone, Copy)]
pub struct Given<T>(pub T);

impl<'a, 'py, T: FromPyObject<'a, 'py>> FromPyObject<'a, 'py> for Given<T> {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Given<T>> {
        value.extract::<T>().map(Given).map_err(|error| refused(&value, error.into()))
    }
}

/// A token, a key, a ticket: as `Given`, but never shown.
#[derive(Clone)]
pub struct Secret(pub String);

impl<'a, 'py> FromPyObject<'a, 'py> for Secret {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Secret> {
        value.extract::<String>().map(Secret).map_err(|error| {
            match error.is_instance_of::<PyUnicodeError>(value.py()) {
                true => Failure::Core(Error::invalid(format!("the secret {NO_TEXT}"))).into(),
                false => error,
            }
        })
    }
}

/// A text for people: an error's, a reason.
#[derive(Clone)]
pub struct Said(pub String);

impl<'a, 'py> FromPyObject<'a, 'py> for Said {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Said> {
        value.extract::<String>().or_else(|error| written_out(&value, error)).map(Said)
    }
}

impl Said {
    /// None.
    pub fn nothing() -> Said {
        Said(String::new())
    }

    /// As the core takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// For `from_py_with`, where the default is a plain number.
pub fn taken<'py, T>(value: &Bound<'py, PyAny>) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    value.extract::<Given<T>>().map(|given| given.0)
}

/// The error for a value that could not be taken.
pub fn refused(value: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = value.py();
    let why = if error.is_instance_of::<PyUnicodeError>(py) {
        NO_TEXT
    } else if error.is_instance_of::<PyOverflowError>(py) {
        "is out of range"
    } else {
        return error;
    };
    // An integer may have too many digits to be shown.
    let shown = text::repr(value).unwrap_or_else(|_| format!("the {}", text::type_name(value)));
    Failure::Core(Error::invalid(format!("{} {why}", stayline::error::shown(&shown)))).into()
}

fn written_out(value: &Bound<'_, PyAny>, error: PyErr) -> PyResult<String> {
    if !error.is_instance_of::<PyUnicodeError>(value.py()) {
        return Err(error);
    }
    let bytes = value.call_method1("encode", ("utf-8", "backslashreplace"))?;
    bytes.call_method1("decode", ("utf-8",))?.extract()
}
