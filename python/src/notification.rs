//! `Notification`: what a host is told about ends of runs (R39).

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use stayline::session::records::NotificationRecord;
use stayline::wake::Wake;

use crate::error::Result;
use crate::home::HomeRef;
use crate::text;
use crate::time::{Seconds, datetime};
use crate::wait::{Bell, Waiting};

/// What a host is told: that a run ended, that a session is idle, that a late result came (R39).
///
/// Taken from the queue it is leased for `notification_lease_ms`: acknowledge it, or it comes
/// again. One that was delivered `notification_attempts` times is parked.
#[pyclass(frozen, module = "stayline")]
pub struct Notification {
    home: HomeRef,
    record: NotificationRecord,
}

impl Notification {
    /// One of a coordinator.
    pub fn new(home: &HomeRef, record: NotificationRecord) -> Notification {
        Notification { home: Arc::clone(home), record }
    }
}

#[pymethods]
impl Notification {
    /// Its own id; the same at each delivery.
    #[getter]
    fn id(&self) -> &str {
        &self.record.id
    }

    /// `execution_ended`, `session_idle` or `late_result`.
    #[getter]
    fn kind(&self) -> &'static str {
        self.record.kind.as_str()
    }

    /// The session it is about.
    #[getter]
    fn session_id(&self) -> &str {
        &self.record.session_id
    }

    /// The execution it is about; `None` for `session_idle`.
    #[getter]
    fn execution_id(&self) -> Option<&str> {
        self.record.execution_id.as_deref()
    }

    /// How it ended; for a late result, how the wrapper says it ended.
    #[getter]
    fn status(&self) -> Option<&'static str> {
        self.record.status.map(|status| status.as_str())
    }

    /// Why it failed or was interrupted.
    #[getter]
    fn error(&self) -> Option<&str> {
        self.record.error.as_deref()
    }

    /// The branch that the run named when it completed (R29).
    #[getter]
    fn branch(&self) -> Option<&str> {
        self.record.branch.as_deref()
    }

    /// The agent's own session id, where it is known (R30).
    #[getter]
    fn agent_session_id(&self) -> Option<&str> {
        self.record.agent_session_id.as_deref()
    }

    /// Which delivery this is, from 1.
    #[getter]
    fn attempt(&self) -> u32 {
        self.record.attempt
    }

    /// Whether all its deliveries are used up: it comes no more unless it is requeued (R39).
    #[getter]
    fn parked(&self) -> bool {
        self.record.parked
    }

    /// When it was enqueued, as an aware `datetime` in UTC.
    #[getter]
    fn created_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.record.created_at)
    }

    /// It was dealt with and does not come again (R39). Raises `NotFound` when it is not there any
    /// more, because it was acknowledged before.
    fn ack(&self, py: Python<'_>) -> Result<()> {
        let home = self.home.get()?;
        home.run(py, || home.coordinator.acknowledge_notification(&self.record.id))
    }

    /// It could not be dealt with: it comes again in `retry_in` seconds (a number or a `timedelta`;
    /// default: at once), unless this was its last delivery (R39).
    #[pyo3(signature = (retry_in = None))]
    fn nack(&self, py: Python<'_>, retry_in: Option<Seconds>) -> Result<()> {
        let home = self.home.get()?;
        let retry_in_ms = retry_in.map_or(Ok(0), Seconds::finite_millis)?;
        home.run(py, || home.coordinator.reject_notification(&self.record.id, retry_in_ms))
    }

    /// Puts a parked one back into the queue, with all its deliveries (R39).
    fn requeue(&self, py: Python<'_>) -> Result<()> {
        let home = self.home.get()?;
        home.run(py, || home.coordinator.requeue_notification(&self.record.id))
    }

    /// For `stayline.aio`: nobody got to see it; the delivery does not count.
    fn _give_back(&self, py: Python<'_>) -> Result<()> {
        let home = self.home.get()?;
        home.run(py, || home.coordinator.give_back_notification(&self.record.id))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "Notification(kind={}, session_id={}, execution_id={}, status={}, attempt={})",
            text::quoted(py, self.kind()),
            text::quoted(py, self.session_id()),
            text::optional(py, self.execution_id()),
            text::optional(py, self.status()),
            self.attempt(),
        )
    }
}

/// Takes notifications as they come; see `Coordinator.notifications`.
#[pyclass(frozen, module = "stayline", weakref)]
pub struct Notifications {
    home: HomeRef,
    bell: Arc<Bell>,
    timeout: Seconds,
}

impl Notifications {
    /// An iterator over a coordinator's notifications.
    pub fn new(home: HomeRef, timeout: Seconds) -> Result<Notifications> {
        let bell = Bell::new();
        let waker: Arc<dyn Wake> = Arc::clone(&bell) as Arc<dyn Wake>;
        home.get()?.coordinator.add_notification_waker(Arc::downgrade(&waker));
        Ok(Notifications { home, bell, timeout })
    }

    fn look(&self, py: Python<'_>) -> Result<Option<NotificationRecord>> {
        let home = self.home.get()?;
        home.run(py, || home.coordinator.take_notification(Some(Duration::ZERO)))
    }
}

#[pymethods]
impl Notifications {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Result<Option<Notification>> {
        let taken = self.bell.wait(py, self.timeout.0, None, || self.look(py))?;
        Ok(taken.map(|record| Notification::new(&self.home, record)))
    }

    /// The next one without waiting; `None`: nothing now, and `fileno()` is made unreadable.
    fn try_next(&self, py: Python<'_>) -> Result<Option<Notification>> {
        let taken = self.bell.take(|| self.look(py))?;
        Ok(taken.map(|record| Notification::new(&self.home, record)))
    }

    /// For `stayline.aio`: a place to wait for notifications.
    fn _waiting(&self) -> Result<Waiting> {
        self.home.get()?;
        Waiting::at(&self.bell)
    }

    /// A descriptor for event loops: readable from a notification until a take finds nothing.
    fn fileno(&self) -> Result<RawFd> {
        self.home.get()?;
        self.bell.fileno()
    }
}
