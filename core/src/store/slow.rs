//! A reader whose disk is slow on request, for tests of those who must not wait for one.

use super::faults::Faults;
use super::{EventPage, Listed, LogBounds, Part, Reader, SessionSummary, StoredSession};
use crate::Error;
use crate::protocol::Filter;
use crate::session::records::{ExecutionRecord, NotificationRecord, Status};

/// Passes everything on, after as long as `faults` says.
pub(super) struct SlowReader {
    pub(super) inner: Box<dyn Reader>,
    pub(super) faults: Faults,
}

impl SlowReader {
    fn slowly(&mut self) -> &mut dyn Reader {
        std::thread::sleep(self.faults.read_delay());
        &mut *self.inner
    }
}

impl Reader for SlowReader {
    fn load(&mut self, session_id: &str) -> Result<Option<StoredSession>, Error> {
        self.slowly().load(session_id)
    }

    fn execution(
        &mut self,
        session_id: &str,
        execution_id: &str,
    ) -> Result<Option<ExecutionRecord>, Error> {
        self.slowly().execution(session_id, execution_id)
    }

    fn executions(
        &mut self,
        session_id: &str,
        status: Option<Status>,
        part: Part,
    ) -> Result<Listed<ExecutionRecord>, Error> {
        self.slowly().executions(session_id, status, part)
    }

    fn sessions(&mut self, part: Part) -> Result<Listed<SessionSummary>, Error> {
        self.slowly().sessions(part)
    }

    fn log_bounds(&mut self, session_id: &str) -> Result<Option<LogBounds>, Error> {
        self.slowly().log_bounds(session_id)
    }

    fn events(
        &mut self,
        session_id: &str,
        filter: &Filter,
        max_bytes: usize,
    ) -> Result<EventPage, Error> {
        self.slowly().events(session_id, filter, max_bytes)
    }

    fn count_events(&mut self, session_id: &str, filter: &Filter) -> Result<u64, Error> {
        self.slowly().count_events(session_id, filter)
    }

    fn notifications(&mut self, parked_only: bool) -> Result<Vec<NotificationRecord>, Error> {
        self.slowly().notifications(parked_only)
    }
}
