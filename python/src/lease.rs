//! `Lease`: an exclusive claim on an execution (R38).

use std::sync::Arc;

use pyo3::prelude::*;
use stayline::session::records::Lease as Record;

use crate::error::Result;
use crate::session::HandleRef;
use crate::text;
use crate::time::datetime;

/// A lease as it was when it was taken or extended. Leaving it as a context manager releases it.
#[pyclass(frozen, module = "stayline")]
pub struct Lease {
    session: HandleRef,
    execution_id: String,
    record: Record,
}

impl Lease {
    /// Takes or renews it.
    pub fn acquire(
        py: Python<'_>,
        session: &HandleRef,
        execution_id: &str,
        lease_id: &str,
        message_id: Option<&str>,
    ) -> Result<Lease> {
        let handle = session.get()?;
        let call = || handle.core.acquire_lease(execution_id, lease_id, message_id);
        let record = handle.home()?.run(py, call)?;
        Ok(Lease { session: Arc::clone(session), execution_id: execution_id.to_owned(), record })
    }

    /// Extends it.
    pub fn extended(
        py: Python<'_>,
        session: &HandleRef,
        execution_id: &str,
        lease_id: &str,
    ) -> Result<Lease> {
        let handle = session.get()?;
        let call = || handle.core.extend_lease(execution_id, lease_id);
        let record = handle.home()?.run(py, call)?;
        Ok(Lease { session: Arc::clone(session), execution_id: execution_id.to_owned(), record })
    }
}

#[pymethods]
impl Lease {
    /// The execution that it is on.
    #[getter]
    fn execution_id(&self) -> &str {
        &self.execution_id
    }

    /// Who holds it, as given to `Session.lease`.
    #[getter]
    fn lease_id(&self) -> &str {
        &self.record.lease_id
    }

    /// What for, in the host's words.
    #[getter]
    fn message_id(&self) -> Option<&str> {
        self.record.message_id.as_deref()
    }

    /// From this moment on anyone may take it (R38), as an aware `datetime` in UTC.
    #[getter]
    fn expires_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.record.expires_at)
    }

    /// From this moment on anyone may take it (R38), in ms since the Unix epoch.
    #[getter]
    fn expires_at_ms(&self) -> i64 {
        self.record.expires_at
    }

    /// Extends it by `lease_ttl_ms` from now, and returns it with its new expiry (R38). Raises
    /// `NotFound` once it has expired, `WrongHolder` once another has it.
    fn extend(&self, py: Python<'_>) -> Result<Lease> {
        Lease::extended(py, &self.session, &self.execution_id, &self.record.lease_id)
    }

    /// Gives it back (R38). Raises `NotFound` once it has expired, `WrongHolder` once another has
    /// it.
    fn release(&self, py: Python<'_>) -> Result<()> {
        let handle = self.session.get()?;
        handle
            .home()?
            .run(py, || handle.core.release_lease(&self.execution_id, &self.record.lease_id))
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> Result<()> {
        match self.release(py) {
            // Released or expired meanwhile: there is nothing left to give back.
            Err(crate::error::Failure::Core(
                stayline::Error::NotFound { .. } | stayline::Error::ForkError { .. },
            )) => Ok(()),
            other => other,
        }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "Lease(execution_id={}, lease_id={}, expires_at_ms={})",
            text::quoted(py, &self.execution_id),
            text::quoted(py, &self.record.lease_id),
            self.record.expires_at,
        )
    }
}
