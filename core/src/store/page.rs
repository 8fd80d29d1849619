//! One bounded round of reading, the same for every store (R34, R36).
//!
//! A store walks the log in the order of ids and asks for each row whether it passes, whether it
//! still fits, and when to stop. Three things end a round: the filter's limit, the bytes, and the
//! number of rows that were looked at in vain; only the first, and the end of the log itself, end
//! the reading.

use super::EventPage;
use crate::protocol::Filter;
use crate::session::records::EventRecord;
use std::sync::Arc;

/// Rows that do not pass, after which a round ends although nothing was found.
pub(super) const PASSED_OVER_LIMIT: usize = 10_000;

/// A page being filled.
pub(super) struct PageBuilder<'a> {
    filter: &'a Filter,
    max_bytes: usize,
    bytes: usize,
    passed_over: usize,
    page: EventPage,
}

impl<'a> PageBuilder<'a> {
    pub(super) fn new(filter: &'a Filter, max_bytes: usize) -> PageBuilder<'a> {
        let page = EventPage { events: Vec::new(), next_after: filter.after, end: false };
        PageBuilder { filter, max_bytes, bytes: 0, passed_over: 0, page }
    }

    /// Whether the round ends before the next row is looked at.
    pub(super) fn is_full(&mut self) -> bool {
        let taken = self.page.events.len() as u64;
        if self.filter.limit.is_some_and(|limit| taken >= limit) {
            self.page.end = true;
            return true;
        }
        self.passed_over >= PASSED_OVER_LIMIT
    }

    /// Whether that place in the log is behind this one: a store that goes back is damaged, and
    /// whoever reads on would go round in circles.
    #[cfg(feature = "sqlite")]
    pub(super) fn has_passed(&self, id: u64) -> bool {
        id <= self.page.next_after
    }

    /// Whether the row passes the filter; one that does not is passed over.
    pub(super) fn admits(
        &mut self,
        id: u64,
        execution: &str,
        event_type: &str,
        timestamp: i64,
    ) -> bool {
        let admitted = self.filter.admits(Some(execution), event_type, timestamp);
        if !admitted {
            self.passed_over += 1;
            self.page.next_after = id;
        }
        admitted
    }

    /// Whether a row with so many bytes of data still fits; the first one always does.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        self.page.events.is_empty() || self.bytes.saturating_add(bytes) <= self.max_bytes
    }

    /// Takes a row that passes and fits.
    pub(super) fn take(&mut self, event: Arc<EventRecord>) {
        self.bytes += event.data.len();
        self.page.next_after = event.id;
        self.page.events.push(event);
    }

    /// The page, when the round ended before the log did.
    pub(super) fn stopped(self) -> EventPage {
        self.page
    }

    /// The page, when there is no further row; `last` is the newest id of the log.
    pub(super) fn ended(mut self, last: u64) -> EventPage {
        let limit = self.filter.limit.unwrap_or(u64::MAX);
        if (self.page.events.len() as u64) < limit {
            self.page.next_after = self.page.next_after.max(last);
        }
        self.page.end = true;
        self.page
    }
}
