//! `session.launch(…)`: the host's launch code as a `with` block (R10).

use std::sync::OnceLock;

use pyo3::prelude::*;
use stayline::Error;
use stayline::coordinator::{FailOptions, StartOptions};

use crate::error::Result;
use crate::execution::Execution;
use crate::given::Said;
use crate::session::HandleRef;

/// Starts an execution on entering. An exception inside, before a wrapper has attached, fails it
/// and is raised on; once a wrapper has attached nothing is done.
#[pyclass(frozen, module = "stayline")]
pub struct Launch {
    session: HandleRef,
    options: StartOptions,
    suppress_notification: bool,
    execution: OnceLock<Execution>,
}

impl Launch {
    /// One that has not been entered.
    pub fn new(session: HandleRef, options: StartOptions, suppress_notification: bool) -> Launch {
        Launch { session, options, suppress_notification, execution: OnceLock::new() }
    }

    fn fail(&self, py: Python<'_>, execution: &Execution, message: String) -> Result<bool> {
        let handle = self.session.get()?;
        let suppress_notification = self.suppress_notification;
        let options = FailOptions {
            message,
            suppress_notification,
            only_pending: true,
            ..FailOptions::default()
        };
        handle.home()?.run(py, || handle.core.fail(execution.execution_id(), options))
    }
}

#[pymethods]
impl Launch {
    fn __enter__(&self, py: Python<'_>) -> Result<Execution> {
        if self.execution.get().is_some() {
            return Err(Error::invalid("a launch is entered once; make another one").into());
        }
        let execution = Execution::start(py, &self.session, self.options.clone())?;
        Ok(self.execution.get_or_init(|| execution).clone())
    }

    #[pyo3(signature = (kind, error, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let Some(execution) = self.execution.get().filter(|_| !kind.is_none()) else {
            return Ok(false);
        };
        // Whatever it says: a run whose launch failed is failed.
        let text = error.str().and_then(|text| text.extract::<Said>());
        let text = text.map(|text| text.0).unwrap_or_default();
        let message =
            if text.is_empty() { kind.getattr("__name__")?.extract::<String>()? } else { text };
        // In a child the run is the parent's.
        if self.session.peek().is_some()
            && let Err(failure) = self.fail(py, execution, message)
        {
            // The exception of the block is what the caller has to see; this one goes with it.
            let failure: PyErr = failure.into();
            let note = format!("the execution could not be failed: {failure}");
            if error.hasattr("add_note")? {
                error.call_method1("add_note", (note,))?;
            }
        }
        Ok(false)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        match self.execution.get() {
            Some(execution) => format!(
                "<stayline.Launch of {}>",
                crate::text::quoted(py, execution.execution_id())
            ),
            None => "<stayline.Launch, not entered>".to_owned(),
        }
    }
}
