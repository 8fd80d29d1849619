//! Small helpers for `repr` and error texts.

use std::convert::Infallible;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::given::Said;

/// `repr(value)`.
pub fn repr(value: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(value.repr()?.to_string())
}

/// A text as Python writes it in source code.
pub fn quoted(py: Python<'_>, text: &str) -> String {
    PyString::new(py, text).repr().map_or_else(|_| format!("{text:?}"), |quoted| quoted.to_string())
}

/// The same, or `None`.
pub fn optional(py: Python<'_>, text: Option<&str>) -> String {
    text.map_or_else(|| "None".to_owned(), |text| quoted(py, text))
}

/// The name of a value's type.
pub fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "value".to_owned(), |name| name.to_string())
}

/// An address as it may be shown: without a password, and without its query.
#[pyfunction]
pub fn _without_credentials(address: Said) -> String {
    stayline::credentials::without_credentials(&address.0)
}

/// A text of the core's on its way to Python.
pub struct Text(pub Arc<str>);

impl<'py> IntoPyObject<'py> for Text {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Infallible> {
        Ok(PyString::new(py, &self.0))
    }
}
