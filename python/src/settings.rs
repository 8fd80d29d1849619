//! `Settings`: the core's table, frozen.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDelta, PyDict, PyFloat, PyInt, PyList, PyString};
use serde_json::{Value, json};
use stayline::Error;
use stayline::settings::Settings as Core;

use crate::error::Result;
use crate::json;
use crate::text;

/// Every setting of the coordinator and of the wrapper, frozen.
///
/// Names carry their unit: `Settings(stale_after_ms=60_000)`; a `timedelta` will do as well.
/// Settings that contradict each other raise `InvalidSettings` naming both (R24).
#[pyclass(frozen, eq, module = "stayline", from_py_object)]
#[derive(Clone, PartialEq, Default)]
pub struct Settings {
    /// What the core takes.
    pub core: Core,
}

macro_rules! settings_class {
    ($($name:ident)*) => {
        /// The names that have a getter; a test compares them with the core's table.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];

        #[pymethods]
        impl Settings {
            #[new]
            #[pyo3(signature = (**settings))]
            fn new(settings: Option<&Bound<'_, PyDict>>) -> Result<Settings> {
                Settings::default().changed(settings)
            }

            /// A copy with some settings changed.
            #[pyo3(signature = (**settings))]
            fn replace(&self, settings: Option<&Bound<'_, PyDict>>) -> Result<Settings> {
                self.changed(settings)
            }

            /// All settings as a dictionary.
            fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                let all = PyDict::new(py);
                for name in NAMES {
                    all.set_item(name, self.value(py, name)?)?;
                }
                Ok(all)
            }

            /// The table: a dictionary a setting with `name`, `about`, `shape` and `default`.
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
                #[getter]
                fn $name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                    self.value(py, stringify!($name))
                }
            )*
        }
    };
}

settings_class! {
    healthy_within_ms stale_after_ms pending_timeout_ms heartbeat_debounce_ms
    disconnect_grace_ms recovery_grace_ms interrupt_grace_ms kill_grace_ms late_window_ms
    lease_ttl_ms notification_lease_ms notification_attempts event_retention_ms session_ttl_ms
    idle_after_ms max_frame_bytes max_nesting max_id_bytes volatile_types ping_interval_ms
    link_timeout_ms synchronous acknowledged reconnect_base_ms reconnect_factor
    reconnect_cap_ms reconnect_attempts give_up_after_ms jitter buffer_events buffer_bytes
    overflow send_timeout_ms outbox heartbeat_interval_ms ack_timeout_ms connect_timeout_ms
    dial_timeout_ms upgrade_timeout_ms drain_delay_ms task_timeout_ms abort_timeout_ms
    feed_timeout_ms
}

impl Settings {
    fn changed(&self, changes: Option<&Bound<'_, PyDict>>) -> Result<Settings> {
        let mut core = self.core.clone();
        for (name, value) in changes.into_iter().flatten() {
            core.set(name.extract::<&str>()?, &read(&value)?)?;
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
        return Ok(value.extract::<i64>().map_or_else(|_| json!(f64::INFINITY), |n| json!(n)));
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(json!(value.extract::<f64>()?));
    }
    if value.is_instance_of::<PyString>() {
        return Ok(json!(value.extract::<String>()?));
    }
    if value.is_instance_of::<PyDelta>() {
        let seconds = value.call_method0("total_seconds")?.extract::<f64>()?;
        return Ok(json!((seconds * 1000.0).round() as i64));
    }
    if value.hasattr("__fspath__")? {
        return Ok(json!(value.call_method0("__fspath__")?.extract::<String>()?));
    }
    let items = value
        .try_iter()
        .map_err(|_| Error::invalid(format!("a setting cannot be a {}", text::type_name(value))))?;
    let mut list = Vec::new();
    for item in items {
        list.push(read(&item?)?);
    }
    Ok(Value::Array(list))
}
