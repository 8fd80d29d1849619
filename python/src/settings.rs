//! `Settings`: the core's table, frozen.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDelta, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde_json::{Value, json};
use stayline::Error;
use stayline::settings::Settings as Core;

use crate::error::Result;
use crate::given::Given;
use crate::import;
use crate::json;
use crate::text;
use crate::values::Reduced;

/// Every setting of the coordinator and of the wrapper, frozen.
///
/// Names carry their unit: `Settings(lease_ttl_ms=60_000)`; a `timedelta` will do as well.
/// What is not named has its default; `Settings.table()` says what each does. Settings that
/// contradict each other raise `InvalidSettings` naming both (R24); an unknown name, or a value
/// of the wrong shape, raises `InvalidArgument`. Equal settings compare equal and hash alike.
#[pyclass(frozen, eq, module = "stayline", from_py_object)]
#[derive(Clone, PartialEq, Default)]
pub struct Settings {
    /// What the core takes.
    pub core: Core,
}

macro_rules! settings_class {
    ($($(#[doc = $about:literal])+ $name:ident)*) => {
        /// The names that have a getter; a test compares them, and what they say, with the core's
        /// table.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];

        #[pymethods]
        impl Settings {
            #[new]
            #[pyo3(signature = (**settings))]
            fn new(settings: Option<&Bound<'_, PyDict>>) -> Result<Settings> {
                Settings::default().changed(settings)
            }

            /// A copy with some settings changed: `settings.replace(jitter=0)`. Raises
            /// `InvalidSettings` for what contradicts the rest (R24), `InvalidArgument` for an
            /// unknown name or a value of the wrong shape.
            #[pyo3(signature = (**settings))]
            fn replace(&self, settings: Option<&Bound<'_, PyDict>>) -> Result<Settings> {
                self.changed(settings)
            }

            /// All settings as a dictionary, by name; durations in ms.
            fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                let all = PyDict::new(py);
                for name in NAMES {
                    all.set_item(name, self.value(py, name)?)?;
                }
                Ok(all)
            }

            /// The table of all settings: a dictionary for each, with `name`, `about`, `shape` and
            /// `default`.
            #[staticmethod]
            fn table(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
                let table = PyList::empty(py);
                for row in Core::table() {
                    let entry = PyDict::new(py);
                    entry.set_item("name", row.name)?;
                    entry.set_item("about", row.about)?;
                    entry.set_item("shape", row.shape)?;
                    entry.set_item("default", json::to_python(py, &row.default)?)?;
                    table.append(entry)?;
                }
                Ok(table)
            }

            fn __hash__(&self) -> u64 {
                use std::hash::{DefaultHasher, Hash, Hasher};
                let mut hasher = DefaultHasher::new();
                for name in NAMES {
                    self.core.get(name).map(|value| value.to_string()).hash(&mut hasher);
                }
                hasher.finish()
            }

            /// Copies and pickles: every setting goes along, also what is a default today.
            fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
                let make = import::module(py, "copyreg")?.getattr("__newobj_ex__")?;
                let nothing = PyTuple::empty(py);
                let all = (py.get_type::<Settings>(), nothing, self.as_dict(py)?);
                Ok((make, all.into_pyobject(py)?))
            }

            /// Names what differs from the defaults.
            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let defaults = Core::default();
                let mut parts = Vec::new();
                for name in NAMES.iter().filter(|name| self.core.get(name) != defaults.get(name)) {
                    parts.push(format!("{name}={}", text::repr(&self.value(py, name)?)?));
                }
                Ok(format!("Settings({})", parts.join(", ")))
            }

            $(
                $(#[doc = $about])+
                #[getter]
                fn $name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                    self.value(py, stringify!($name))
                }
            )*
        }
    };
}

settings_class! {
    /// Below this age of the last sign of life a running execution is `healthy` (R6).
    healthy_within_ms
    /// Running without a sign of life for more than this fails the execution (R15).
    stale_after_ms
    /// Pending for more than this fails the execution (R16).
    pending_timeout_ms
    /// The stored heartbeat is refreshed at most this often (R14).
    heartbeat_debounce_ms
    /// How long a wrapper may be away after its last link closed (R20).
    disconnect_grace_ms
    /// The fresh grace after a restart or a freeze of the coordinator (R18b, R23).
    recovery_grace_ms
    /// From an interrupt to SIGKILL; null: never (R13).
    interrupt_grace_ms
    /// From SIGKILL to `Interrupt not honoured`; null: never (R13).
    kill_grace_ms
    /// How long after its end an execution's wrapper may still bring events (R10a).
    late_window_ms
    /// How long a lease lasts unless extended (R38).
    lease_ttl_ms
    /// Whether notifications are kept for the host (R39); false, where nobody takes them: those
    /// that are there stay.
    notifications
    /// How long a taken notification is leased; doubled at each further delivery (R39).
    notification_lease_ms
    /// Deliveries of one notification before it is parked (R39).
    notification_attempts
    /// Events stored longer ago than this go (R19).
    event_retention_ms
    /// A session without activity for this long, and nothing active, goes wholly (R19).
    session_ttl_ms
    /// A session idle for this long emits one `session_idle` (R19).
    idle_after_ms
    /// The largest frame, in bytes (R28, R40).
    max_frame_bytes
    /// The deepest nesting of a frame, its outer object included (R28, R40).
    max_nesting
    /// The longest id, in bytes of UTF-8.
    max_id_bytes
    /// How much of an error or a reason is kept on records and in notifications, in bytes; at least
    /// 64 (R5).
    max_text_bytes
    /// Event types that are delivered live and not stored (R32).
    volatile_types
    /// A WebSocket ping goes out when nothing arrived for this long (R47a).
    ping_interval_ms
    /// A link on which nothing arrived for this long counts as closed, 1006 (R47a).
    link_timeout_ms
    /// The same for a basic link, which cannot resend what its socket swallowed (R47a).
    basic_link_timeout_ms
    /// How long a basic wrapper's link stays open after its own terminal event (R31).
    basic_linger_ms
    /// How long the host's `authorize` may take; then the wrapper is told to try later (R25).
    authorize_timeout_ms
    /// Readers of the store at the same time; who comes later waits in order.
    max_readers
    /// How hard SQLite tries to keep a commit: full, or normal (the last commits may go at a power
    /// cut).
    synchronous
    /// Wrapper: ask for acknowledged mode (R45).
    acknowledged
    /// Wrapper: the delay before the first reconnect attempt (R41).
    reconnect_base_ms
    /// Wrapper: each delay is this many times the one before (R41).
    reconnect_factor
    /// Wrapper: no delay is longer than this (R41).
    reconnect_cap_ms
    /// Wrapper: attempts before it gives up; auto: unlimited in acknowledged mode, else 3 (R41).
    reconnect_attempts
    /// Wrapper: gives up when disconnected for this long; null: never (R41).
    give_up_after_ms
    /// Wrapper: each delay is drawn from its upper part of this size; 0: no jitter (R41).
    jitter
    /// Wrapper: the buffer's size in events (R40).
    buffer_events
    /// Wrapper: the buffer's size in bytes (R40).
    buffer_bytes
    /// Wrapper: what happens when the buffer is full; auto: block in acknowledged mode, else
    /// drop_newest (R44).
    overflow
    /// Wrapper: how long a send waits for room (R44).
    send_timeout_ms
    /// Wrapper: where unacknowledged events are kept (R45e).
    outbox
    /// Wrapper: a heartbeat goes out when nothing else did for this long (R47).
    heartbeat_interval_ms
    /// Wrapper: how long an acknowledgement, or the welcome, may take (R47a, R45c).
    ack_timeout_ms
    /// Wrapper: the first connection, in all (R48).
    connect_timeout_ms
    /// Wrapper: TCP and TLS of later connections (R48).
    dial_timeout_ms
    /// Wrapper: the answer to the upgrade request (R48).
    upgrade_timeout_ms
    /// Wrapper: from the write of the last event to the close, in basic mode (R51).
    drain_delay_ms
    /// Wrapper: a post-completion task (R51).
    task_timeout_ms
    /// Wrapper: the host's abort (R52).
    abort_timeout_ms
    /// Wrapper: the agent's own event feed may be silent this long (R53).
    feed_timeout_ms
}

impl Settings {
    fn changed(&self, changes: Option<&Bound<'_, PyDict>>) -> Result<Settings> {
        let mut core = self.core.clone();
        for (name, value) in changes.into_iter().flatten() {
            core.set(name.extract::<Given<&str>>()?.0, &read(&value)?)?;
        }
        core.check()?;
        Ok(Settings { core })
    }

    fn value<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let value = self.core.get(name).unwrap_or(Value::Null);
        match value {
            // What is frozen gives out nothing that can be changed.
            Value::Array(items) => {
                let items = items.iter().filter_map(Value::as_str);
                Ok(pyo3::types::PyFrozenSet::new(py, items)?.into_any())
            }
            value => json::to_python(py, &value),
        }
    }
}

/// A Python value in the shape that the core's table reads.
fn read(value: &Bound<'_, PyAny>) -> Result<Value> {
    if value.is_none() {
        return Ok(Value::Null);
    }
    if value.is_instance_of::<PyBool>() {
        return Ok(json!(value.extract::<bool>()?));
    }
    if value.is_instance_of::<PyInt>() {
        // Python itself writes no integer of thousands of digits; and null would mean "never".
        let beyond = |_| text::repr(value).unwrap_or_else(|_| "an endless integer".to_owned());
        return Ok(value.extract::<i64>().map_or_else(|error| json!(beyond(error)), Value::from));
    }
    if value.is_instance_of::<PyFloat>() {
        // JSON has no infinity and no NaN: they would pass for null, which means "never".
        let number = value.extract::<f64>()?;
        return Ok(if number.is_finite() { json!(number) } else { json!(number.to_string()) });
    }
    if value.is_instance_of::<PyString>() {
        return Ok(json!(value.extract::<Given<String>>()?.0));
    }
    import::datetime(value.py())?;
    if value.is_instance_of::<PyDelta>() {
        let seconds = value.call_method0("total_seconds")?.extract::<f64>()?;
        return Ok(json!((seconds * 1000.0).round() as i64));
    }
    if value.hasattr("__fspath__")? {
        return Ok(json!(value.call_method0("__fspath__")?.extract::<Given<String>>()?.0));
    }
    let items = value
        .try_iter()
        .map_err(|_| Error::invalid(format!("a setting cannot be a {}", text::type_name(value))))?;
    let mut list = Vec::new();
    for item in items {
        let item = item?;
        if !item.is_instance_of::<PyString>() {
            let kind = text::type_name(&item);
            return Err(Error::invalid(format!("a list of settings holds texts, no {kind}")).into());
        }
        list.push(json!(item.extract::<Given<String>>()?.0));
    }
    Ok(Value::Array(list))
}
