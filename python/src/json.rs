//! JSON between Python and the core. Data that is only passed on stays text on this side and is
//! read by Python's own `json` when somebody looks at it.

use std::sync::OnceLock;

use pyo3::exceptions::{PyRecursionError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList};
use serde_json::{Map, Value};
use stayline::Error;

use crate::error::{Failure, Result};
use crate::exit::Inside;

static ENCODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static DECODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// A Python value as JSON text. What JSON cannot say is `InvalidEvent`; an object of a type that
/// JSON does not know is Python's `TypeError`.
pub fn encode(value: &Bound<'_, PyAny>) -> Result<String> {
    let py = value.py();
    let _inside = Inside::calling(py);
    let encode = ENCODE.get_or_try_init(py, || -> PyResult<Py<PyAny>> {
        let options = PyDict::new(py);
        options.set_item("ensure_ascii", false)?;
        options.set_item("allow_nan", false)?;
        options.set_item("separators", (",", ":"))?;
        let encoder = py.import("json")?.call_method("JSONEncoder", (), Some(&options))?;
        Ok(encoder.getattr("encode")?.unbind())
    })?;
    let text = encode.bind(py).call1((value,)).and_then(|text| text.extract::<String>());
    text.map_err(|error| {
        if error.is_instance_of::<PyValueError>(py) || error.is_instance_of::<PyRecursionError>(py)
        {
            Error::InvalidEvent { reason: error.value(py).to_string(), bytes: 0 }.into()
        } else {
            Failure::Python(error)
        }
    })
}

/// For `stayline.aio`: `encode`, so that an event that has to wait for room is encoded once.
#[pyfunction]
pub fn _to_json(value: &Bound<'_, PyAny>) -> Result<String> {
    encode(value)
}

/// JSON text as a Python value.
pub fn decode(py: Python<'_>, text: &str) -> PyResult<Py<PyAny>> {
    let _inside = Inside::calling(py);
    let decode = DECODE.get_or_try_init(py, || -> PyResult<Py<PyAny>> {
        Ok(py.import("json")?.getattr("loads")?.unbind())
    })?;
    decode.call1(py, (text,))
}

/// JSON text that is read once, when it is first asked for. The reading is not done inside the
/// lock: another thread may be let in while Python runs.
pub fn decode_once(py: Python<'_>, cell: &OnceLock<Py<PyAny>>, text: &str) -> PyResult<Py<PyAny>> {
    if let Some(value) = cell.get() {
        return Ok(value.clone_ref(py));
    }
    let value = decode(py, text)?;
    Ok(cell.get_or_init(|| value).clone_ref(py))
}

/// A dictionary as a JSON object.
pub fn object(value: &Bound<'_, PyDict>) -> Result<Map<String, Value>> {
    let text = encode(value.as_any())?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(Error::invalid("the payload is no JSON object").into()),
    }
}

/// A JSON value as a Python value.
pub fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into_pyobject(py)?.into_any(),
            (None, Some(number)) => number.into_pyobject(py)?.into_any(),
            _ => number.as_f64().into_pyobject(py)?.into_any(),
        },
        Value::String(text) => text.into_pyobject(py)?.into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(map) => {
            let dict = PyDict::new(py);
            for (key, value) in map {
                dict.set_item(key, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}
