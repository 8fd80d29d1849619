//! JSON between Python and the core. Data that is only passed on stays text on this side and is
//! read by Python's own `json` when somebody looks at it.

use std::sync::OnceLock;

use pyo3::exceptions::{PyRecursionError, PyUnicodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyInt, PyList};
use serde_json::Value;
use stayline::Error;
use stayline::error::shown;
use stayline::protocol::Payload;

use crate::error::{Failure, Result};
use crate::exit::Inside;
use crate::import;

static ENCODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static ENCODE_ASCII: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static DECODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static DECODE_LONG: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// A Python value as JSON text. What JSON cannot say is `InvalidEvent`; an object of a type that
/// JSON does not know is Python's `TypeError`. Half of a surrogate pair, which Python makes of
/// bytes that are no UTF-8, is kept: JSON can say it by its escape.
pub fn encode(value: &Bound<'_, PyAny>) -> Result<String> {
    let py = value.py();
    let _inside = Inside::calling(py);
    let said = |encoder: &Py<PyAny>| {
        encoder.bind(py).call1((value,)).and_then(|text| text.extract::<String>())
    };
    let text = said(encoder(py, &ENCODE, false)?).or_else(|error| {
        // What is refused above for another reason is refused again, by the same words.
        if error.is_instance_of::<PyUnicodeError>(py) {
            return said(encoder(py, &ENCODE_ASCII, true)?);
        }
        Err(error)
    });
    text.map_err(|error| {
        if error.is_instance_of::<PyValueError>(py) || error.is_instance_of::<PyRecursionError>(py)
        {
            let reason = error.value(py).str().map_or_else(
                |_| "it cannot be said in JSON".to_owned(),
                |reason| reason.to_string_lossy().into_owned(),
            );
            Error::InvalidEvent { reason: shown(&reason).into_owned(), bytes: 0 }.into()
        } else {
            Failure::Python(error)
        }
    })
}

/// What encodes; `ascii`: with an escape for all that is not ASCII.
fn encoder<'a>(
    py: Python<'_>,
    cell: &'a PyOnceLock<Py<PyAny>>,
    ascii: bool,
) -> PyResult<&'a Py<PyAny>> {
    cell.get_or_try_init(py, || {
        let options = PyDict::new(py);
        options.set_item("ensure_ascii", ascii)?;
        options.set_item("allow_nan", false)?;
        options.set_item("separators", (",", ":"))?;
        let encoder = import::module(py, "json")?.call_method("JSONEncoder", (), Some(&options))?;
        Ok(encoder.getattr("encode")?.unbind())
    })
}

/// For `stayline.aio`: `encode`, so that an event that has to wait for room is encoded once.
#[pyfunction]
pub fn _to_json(value: &Bound<'_, PyAny>) -> Result<String> {
    encode(value)
}

/// JSON text as a Python value. An integer of more digits than Python is set to read
/// (`sys.set_int_max_str_digits`) is a `decimal.Decimal`, which is exact and can be shown.
pub fn decode(py: Python<'_>, text: &str) -> PyResult<Py<PyAny>> {
    let _inside = Inside::calling(py);
    let decode = DECODE.get_or_try_init(py, || -> PyResult<Py<PyAny>> {
        Ok(import::module(py, "json")?.getattr("loads")?.unbind())
    })?;
    decode.call1(py, (text,)).or_else(|error| {
        if !error.is_instance_of::<PyValueError>(py) {
            return Err(error);
        }
        decode_long(py)?.call1(py, (text,))
    })
}

/// A reader for texts with integers that `int` refuses. Several times slower than the plain one.
fn decode_long(py: Python<'_>) -> PyResult<&'static Py<PyAny>> {
    DECODE_LONG.get_or_try_init(py, || {
        let options = PyDict::new(py);
        options.set_item("parse_int", wrap_pyfunction!(integer, py)?)?;
        let decoder = import::module(py, "json")?.call_method("JSONDecoder", (), Some(&options))?;
        Ok(decoder.getattr("decode")?.unbind())
    })
}

/// Digits as an `int`, or as a `Decimal` where there are too many.
#[pyfunction]
fn integer<'py>(digits: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = digits.py();
    py.get_type::<PyInt>().call1((digits,)).or_else(|error| {
        if error.is_instance_of::<PyValueError>(py) {
            import::module(py, "decimal")?.getattr("Decimal")?.call1((digits,))
        } else {
            Err(error)
        }
    })
}

/// For the command line and `stayline.web`: JSON text as a value, as `Event.data` reads it.
#[pyfunction]
pub fn _from_json(py: Python<'_>, text: &str) -> PyResult<Py<PyAny>> {
    decode(py, text)
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
pub fn object(value: &Bound<'_, PyDict>) -> Result<Payload> {
    Ok(Payload::parse(&encode(value.as_any())?)?)
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
