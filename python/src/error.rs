//! The exceptions: one class a row of the core's error table, made when the module is imported.
//!
//! `stayline.Error` is the base of all. A class carries `name` and `number`, an instance also
//! `fields` (a dictionary) and each field as an attribute; `from`, which Python cannot write after
//! a dot, is there as `from_` too.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyException, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use stayline::Error;
use stayline::coordinator::AttachRefusal;
use stayline::error::ERRORS;

use crate::json;

/// What a method of the module can fail with: an error of the core, or one of Python's own.
pub enum Failure {
    /// Becomes the class of its name.
    Core(Error),
    /// Raised as it is (a `TypeError`, `KeyboardInterrupt` during a wait, …).
    Python(PyErr),
}

/// What the methods of the module return.
pub type Result<T> = std::result::Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Core(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Failure {
        Failure::Python(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> PyErr {
        match failure {
            Failure::Python(error) => error,
            Failure::Core(error) => {
                Python::attach(|py| exception(py, &error).unwrap_or_else(|error| error))
            }
        }
    }
}

/// Calls into the core; a panic there becomes `Panic` instead of unwinding into Python.
pub fn guarded<T>(call: impl FnOnce() -> std::result::Result<T, Error>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Failure::Core),
        Err(panic) => {
            let detail = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "it panicked".to_owned());
            Err(Error::Panic { detail }.into())
        }
    }
}

static CLASSES: PyOnceLock<Vec<Py<PyType>>> = PyOnceLock::new();

/// Makes the classes and puts them into the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let base = class(
        py,
        "Error",
        &[py.get_type::<PyException>().into_any()],
        "The base of every error of this library.\n\n`name` and `number` are stable and the same in \
         every language; `fields` is a dictionary of what the text names, and each field is an \
         attribute as well.",
    )?;
    module.add("Error", &base)?;
    let mut classes = Vec::with_capacity(ERRORS.len());
    for row in ERRORS {
        let mut bases = vec![base.clone()];
        match row.name {
            "InvalidArgument" => bases.push(py.get_type::<PyValueError>().into_any()),
            "Timeout" => bases.push(py.get_type::<PyTimeoutError>().into_any()),
            _ => {}
        }
        let about = format!("{}\n\nNumber {}.", self::about(row.name), row.number);
        let class = class(py, row.name, &bases, &about)?;
        class.setattr("name", row.name)?;
        class.setattr("number", row.number)?;
        let attributes = row.fields.iter().map(|field| attribute(field));
        class.setattr("__match_args__", PyTuple::new(py, attributes.collect::<Vec<_>>())?)?;
        module.add(row.name, &class)?;
        classes.push(class.cast_into::<PyType>()?.unbind());
    }
    CLASSES
        .set(py, classes)
        .map_err(|_| pyo3::exceptions::PyImportError::new_err("stayline._internal loads once"))
}

/// What a class says about itself: what happened, its fields, what to do.
fn about(name: &str) -> &'static str {
    match name {
        "InvalidArgument" => {
            "The call is wrong; `what` says how. Fix the call. Also a `ValueError`."
        }
        "InvalidSettings" => {
            "Two settings contradict each other (R24); `first` and `second` name them."
        }
        "InvalidEvent" => {
            "The event was not accepted, for `reason`; it had `bytes` bytes (R40). Send something else."
        }
        "NotFound" => "There is no such session, execution, lease or file; `what` names it (R19a).",
        "AlreadyExists" => {
            "An execution with the id `execution_id` exists already (R2). Choose another id."
        }
        "ExecutionInProgress" => {
            "Another execution, `active`, is active in the session (R2). Wait for it, or interrupt it."
        }
        "ExecutionNotActive" => {
            "The execution is not active any more; its `status` says how it ended (R25)."
        }
        "InvalidTransition" => {
            "An execution cannot go from status `from_` to status `to` (R1): it had ended, or not begun."
        }
        "NoActiveExecution" => {
            "No execution is active in the session: there is nothing to stop (R11)."
        }
        "JobConflict" => "The wrapper's job `active` is still active (R49). Wait until it is idle.",
        "Superseded" => "Another wrapper has taken over this execution (R45a). Stop.",
        "AlreadyHeld" => {
            "The lease is held by `holder` until `expires_at` (ms since the Unix epoch; R38). Wait, or give up."
        }
        "WrongHolder" => {
            "The lease is held by `holder`, not by you, until `expires_at` (ms since the Unix epoch; R38)."
        }
        "Unauthorized" => "The token or the ticket is missing or wrong (R25).",
        "Full" => {
            "The wrapper's buffer is full: `events` events, `bytes` bytes (R44). Slow down, or choose an overflow policy."
        }
        "LimitExceeded" => "The limit named `limit` is exceeded by `value`.",
        "Timeout" => {
            "The time given to a waiting call is over; what was stored stays stored. Also a `TimeoutError`."
        }
        "Closed" => {
            "It was closed, or has ended; the text says what, and how a run ended. Make a new one."
        }
        "Disconnected" => {
            "The wrapper gave up, for `reason` (R41, R46, R48). Also told by `Wrapper.signals`."
        }
        "StoreInUse" => {
            "Another coordinator owns the file: process `pid`, since `since` (ms since the Unix epoch), serving at `url` if it serves; `program` is its name, where that is known. Use that one, or open with `read_only=True`."
        }
        "StoreError" => "The store failed and nothing of this step was kept (R27). Try again.",
        "StoreUnknown" => {
            "It could not be found out whether this step was kept (R27). Read before you try again."
        }
        "StoreFormat" => {
            "The file has the format `found`, supported is `supported`: a newer schema, or no database of ours."
        }
        "ForkError" => {
            "The object was made in process `pid` and does not work in a forked child. Make new objects in the child."
        }
        "Panic" => "A bug of ours; the object is unusable. Please report it.",
        // A test fails for a row without a text.
        _ => "",
    }
}

/// The name that Python code can write after a dot.
fn attribute(field: &'static str) -> &'static str {
    if field == "from" { "from_" } else { field }
}

fn class<'py>(
    py: Python<'py>,
    name: &str,
    bases: &[Bound<'py, PyAny>],
    about: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let members = PyDict::new(py);
    members.set_item("__module__", "stayline")?;
    members.set_item("__doc__", about)?;
    members.set_item("name", name)?;
    members.set_item("number", 0)?;
    // An instance made by hand has them too.
    members.set_item("fields", PyDict::new(py))?;
    py.get_type::<PyType>().call1((name, PyTuple::new(py, bases)?, members))
}

/// The exception for a refused attach. An attempt that a newer one has overtaken was not refused
/// for good, which the error's name alone does not say: `stayline.web.refusal` asks for it.
pub fn refused(py: Python<'_>, refusal: &AttachRefusal) -> Failure {
    let error = exception(py, &refusal.error).unwrap_or_else(|error| error);
    if !refusal.is_final
        && let Err(error) = error.value(py).setattr("_passing", true)
    {
        return error.into();
    }
    error.into()
}

/// The exception for an error; `Err` holds what went wrong while making it.
pub fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let name = error.name();
    let index = ERRORS.iter().position(|row| row.name == name).unwrap_or(ERRORS.len() - 1);
    let classes = CLASSES
        .get(py)
        .ok_or_else(|| pyo3::exceptions::PyImportError::new_err("stayline is not imported"))?;
    let instance = classes[index].bind(py).call1((error.to_string(),))?;
    let fields = PyDict::new(py);
    for (field, value) in error.fields() {
        let value = json::to_python(py, &value)?;
        fields.set_item(field, &value)?;
        instance.setattr(field, &value)?;
        instance.setattr(attribute(field), &value)?;
    }
    instance.setattr("fields", fields)?;
    Ok(PyErr::from_value(instance))
}
