//! Small frozen values that cross to Python: what a link puts out, what a wrapper tells.
//!
//! They compare by value, match by position (`case Close(code, reason)`), and can be made by hand
//! for tests. One signal is not here: that a wrapper has given up is told as an instance of the
//! exception `Disconnected`, so that there is one class of that name, to match or to raise.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::given::Given;
use crate::json;
use crate::text;

/// What makes a value anew, and with what.
pub type Reduced<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>);

/// A class whose instances are equal when their fields are.
macro_rules! value_class {
    ($module:literal, $(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $field_about:literal])+ $field:ident: $type:ty,)*
    }) => {
        $(#[doc = $about])+
        #[pyclass(frozen, eq, hash, get_all, module = $module)]
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            $($(#[doc = $field_about])+ pub $field: $type,)*
        }

        #[pymethods]
        impl $name {
            #[new]
            fn new($($field: Given<$type>),*) -> $name {
                $name { $($field: $field.0),* }
            }

            #[classattr]
            fn __match_args__(py: Python<'_>) -> PyResult<Py<PyTuple>> {
                let fields: &[&str] = &[$(stringify!($field)),*];
                Ok(PyTuple::new(py, fields)?.unbind())
            }

            /// Copies and pickles.
            fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
                let fields: Vec<Bound<'py, PyAny>> =
                    vec![$((&self.$field).into_pyobject(py)?.into_any()),*];
                Ok((py.get_type::<$name>().into_any(), PyTuple::new(py, fields)?))
            }

            #[allow(unused_variables)] // for those without a field
            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let parts: Vec<String> = vec![$(format!(
                    "{}={}",
                    stringify!($field),
                    text::repr(&(&self.$field).into_pyobject(py)?.into_any())?,
                )),*];
                Ok(format!("{}({})", stringify!($name), parts.join(", ")))
            }
        }
    };
}

value_class! { "stayline",
    /// A text frame to write to the socket.
    Send {
        /// The frame.
        text: String,
    }
}

value_class! { "stayline",
    /// The last output of a link: close the socket with this code and reason.
    Close {
        /// The WebSocket close code.
        code: u16,
        /// The reason in words.
        reason: String,
    }
}

value_class! { "stayline",
    /// Stop the agent now (R46, R52): `SIGTERM` asks, `SIGKILL` insists. Answer with `aborted()`.
    Kill {
        /// `SIGTERM` or `SIGKILL`.
        signal: String,
    }
}

value_class! { "stayline",
    /// The connection is gone and attempt `attempt` will be made (R41).
    Reconnecting {
        /// From 1.
        attempt: u32,
    }
}

value_class! { "stayline",
    /// Connected again, and what was buffered is on its way (R41).
    Reconnected {}
}

value_class! { "stayline",
    /// The execution has ended (R46): what `Wrapper.complete`, `fail`, `interrupted` and `outcome`
    /// return, and a signal.
    Ended {
        /// `completed`, `failed` or `interrupted`; `None` when the coordinator did not say.
        status: Option<String>,
        /// Why, for those that did not complete.
        error: Option<String>,
        /// Events that were given up unacknowledged.
        unacknowledged: u64,
    }
}

value_class! { "stayline",
    /// Another wrapper has taken over; this one has stopped (R46).
    Replaced {}
}

value_class! { "stayline",
    /// Run this post-completion task and answer with `task_done` (R51).
    RunTask {
        /// The task's name, as given to `start_job`.
        name: String,
    }
}

value_class! { "stayline",
    /// The agent's own event feed has gone silent: connect to it anew (R53).
    RestartFeed {}
}

value_class! { "stayline",
    /// Everything was sent, the run is over and the link closed (R51).
    Drained {}
}

value_class! { "stayline.sansio",
    /// Open connection attempt `attempt`; answer with `handle_opened` or `handle_refused`.
    Connect {
        /// The attempt's number; it comes back with every input.
        attempt: u64,
        /// The execution to attach to.
        execution_id: String,
        /// The protocol to ask for; `None`: basic mode.
        protocol: Option<u8>,
        /// The producer to name (R45a).
        producer: Option<String>,
        /// How long TCP and TLS may take, in ms.
        dial_timeout_ms: i64,
        /// How long the answer to the upgrade may take, in ms.
        upgrade_timeout_ms: i64,
    }
}

value_class! { "stayline.sansio",
    /// Write this text frame.
    Write {
        /// To which attempt's connection.
        attempt: u64,
        /// The frame.
        text: String,
    }
}

value_class! { "stayline.sansio",
    /// Close this attempt's connection, or stop dialling.
    CloseAttempt {
        /// Which.
        attempt: u64,
        /// The close code.
        code: u16,
        /// The reason in words.
        reason: String,
    }
}

/// A frame from the coordinator that the wrapper does not know (R52).
#[pyclass(frozen, module = "stayline")]
pub struct Command {
    raw: String,
    parsed: OnceLock<Py<PyAny>>,
}

impl Command {
    /// From JSON text.
    pub fn from_text(raw: String) -> Command {
        Command { raw, parsed: OnceLock::new() }
    }
}

#[pymethods]
impl Command {
    #[new]
    fn new(data: &Bound<'_, PyAny>) -> crate::error::Result<Command> {
        Ok(Command::from_text(json::encode(data)?))
    }

    #[classattr]
    fn __match_args__(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Ok(PyTuple::new(py, ["data"])?.unbind())
    }

    /// The frame, read as JSON.
    #[getter]
    fn data(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        json::decode_once(py, &self.parsed, &self.raw)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        match other.cast::<Command>() {
            Ok(other) => self.data(py)?.bind(py).eq(other.get().data(py)?),
            Err(_) => Ok(false),
        }
    }

    /// Copies and pickles.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let fields = PyTuple::new(py, [self.data(py)?])?;
        Ok((py.get_type::<Command>().into_any(), fields))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Command(data={})", text::repr(self.data(py)?.bind(py))?))
    }
}

/// Puts the classes into the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Send>()?;
    module.add_class::<Close>()?;
    module.add_class::<Kill>()?;
    module.add_class::<Reconnecting>()?;
    module.add_class::<Reconnected>()?;
    module.add_class::<Ended>()?;
    module.add_class::<Replaced>()?;
    module.add_class::<RunTask>()?;
    module.add_class::<RestartFeed>()?;
    module.add_class::<Command>()?;
    module.add_class::<Drained>()?;
    module.add_class::<Connect>()?;
    module.add_class::<Write>()?;
    module.add_class::<CloseAttempt>()?;
    Ok(())
}
