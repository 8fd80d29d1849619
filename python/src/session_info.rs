//! `SessionInfo`: what is known about one session.

use std::sync::Arc;

use pyo3::prelude::*;
use stayline::session::records::{ExecutionRecord, SessionRecord};
use stayline::store::SessionSummary;

use crate::error::Result;
use crate::execution::Execution;
use crate::home::HomeRef;
use crate::session::Session;
use crate::text;
use crate::time::datetime;

/// What was known about a session when it was read.
#[pyclass(frozen, module = "stayline")]
pub struct SessionInfo {
    pub(crate) record: SessionRecord,
    pub(crate) active: Option<ExecutionRecord>,
    pub(crate) latest: Option<Execution>,
    pub(crate) link_attached: Option<bool>,
}

impl SessionInfo {
    /// From one row of the list of sessions.
    pub fn of(py: Python<'_>, home: &HomeRef, summary: SessionSummary) -> Result<SessionInfo> {
        let core = home.get()?.coordinator.session(&summary.record.id)?;
        let latest = summary.latest.map(|record| core.view_of(record));
        let session = Session::new(Arc::clone(home), core);
        let active =
            latest.as_ref().map(|latest| latest.record.clone()).filter(|r| r.status.is_active());
        let latest = latest.map(|view| Execution::of(py, &session.handle, view)).transpose()?;
        Ok(SessionInfo { record: summary.record, active, latest, link_attached: None })
    }
}

#[pymethods]
impl SessionInfo {
    /// The session's id.
    #[getter]
    fn id(&self) -> &str {
        &self.record.id
    }

    /// The log's epoch (R34a).
    #[getter]
    fn epoch(&self) -> &str {
        &self.record.epoch
    }

    /// When it was made.
    #[getter]
    fn created_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.record.created_at)
    }

    /// Start, heartbeats, events, completion (R19).
    #[getter]
    fn last_activity_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.record.last_activity_at)
    }

    /// The id of the newest event.
    #[getter]
    fn last_event_id(&self) -> u64 {
        self.record.last_event_id
    }

    /// The branch of the last completed execution that named one (R29).
    #[getter]
    fn branch(&self) -> Option<&str> {
        self.record.branch.as_deref()
    }

    /// The agent's own session id (R30).
    #[getter]
    fn agent_session_id(&self) -> Option<&str> {
        self.record.agent_session_id.as_deref()
    }

    /// The id of the active execution.
    #[getter]
    fn active(&self) -> Option<&str> {
        self.active.as_ref().map(|active| &*active.id)
    }

    /// Whether the active execution is without a link and in its grace (R20).
    #[getter]
    fn grace(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.grace.is_some())
    }

    /// Whether a wrapper is connected; `None` in a list of sessions.
    #[getter]
    fn link_attached(&self) -> Option<bool> {
        self.link_attached
    }

    /// In a list of sessions: the active execution, or else the newest one.
    #[getter]
    fn latest(&self) -> Option<Execution> {
        self.latest.clone()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "SessionInfo(id={}, active={}, last_event_id={}, branch={})",
            text::quoted(py, &self.record.id),
            text::optional(py, self.active()),
            self.record.last_event_id,
            text::optional(py, self.branch()),
        )
    }
}
