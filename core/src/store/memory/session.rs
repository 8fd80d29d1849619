//! One session in memory: its row, its executions and its log.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::HashMap;

use crate::protocol::Filter;
use crate::session::records::{EventRecord, ExecutionRecord, SessionRecord, Status};
use crate::store::page::PageBuilder;
use crate::store::{EventPage, LogBounds, SessionChanges, SessionSummary, StoredSession};

/// An execution, and where its events end.
struct Slot {
    record: ExecutionRecord,
    last_event_id: Option<u64>,
}

pub(super) struct MemorySession {
    /// Order of creation; never given twice.
    pub(super) key: u64,
    pub(super) record: SessionRecord,
    /// In the order in which they were started.
    executions: Vec<Slot>,
    places: HashMap<Arc<str>, usize>,
    active: Option<usize>,
    pub(super) events: VecDeque<Arc<EventRecord>>,
}

impl MemorySession {
    pub(super) fn new(key: u64, record: SessionRecord) -> MemorySession {
        MemorySession {
            key,
            record,
            executions: Vec::new(),
            places: HashMap::default(),
            active: None,
            events: VecDeque::new(),
        }
    }

    pub(super) fn has_active(&self) -> bool {
        self.active.is_some()
    }

    pub(super) fn active(&self) -> Option<&ExecutionRecord> {
        self.active.map(|place| &self.executions[place].record)
    }

    pub(super) fn stored(&self) -> StoredSession {
        StoredSession { record: self.record.clone(), active: self.active().cloned() }
    }

    pub(super) fn execution(&self, id: &str) -> Option<&ExecutionRecord> {
        self.place_of(id).map(|place| &self.executions[place].record)
    }

    pub(super) fn executions(&self, status: Option<Status>, limit: usize) -> Vec<ExecutionRecord> {
        let records = self.executions.iter().rev().map(|slot| &slot.record);
        records
            .filter(|record| status.is_none_or(|wanted| record.status == wanted))
            .take(limit)
            .cloned()
            .collect()
    }

    pub(super) fn summary(&self) -> SessionSummary {
        let newest = || self.executions.last().map(|slot| &slot.record);
        SessionSummary {
            record: self.record.clone(),
            latest: self.active().or_else(newest).cloned(),
        }
    }

    pub(super) fn bounds(&self) -> LogBounds {
        let last = self.record.last_event_id;
        let earliest = self.events.front().map_or(last + 1, |event| event.id);
        LogBounds { earliest, last }
    }

    /// Writes what was checked before.
    pub(super) fn apply(&mut self, changes: &SessionChanges, record: &SessionRecord) {
        self.record.clone_from(record);
        for row in &changes.executions {
            self.put_execution(row);
        }
        for event in &changes.events {
            if let Some(place) = self.place_of(&event.execution_id) {
                self.executions[place].last_event_id = Some(event.id);
            }
            self.events.push_back(Arc::new(event.clone()));
        }
    }

    fn put_execution(&mut self, row: &ExecutionRecord) {
        let place = match self.place_of(&row.id) {
            Some(place) => {
                self.executions[place].record.clone_from(row);
                place
            }
            None => {
                let place = self.executions.len();
                self.places.insert(row.id.clone(), place);
                self.executions.push(Slot { record: row.clone(), last_event_id: None });
                place
            }
        };
        if row.status.is_active() {
            self.active = Some(place);
        } else if self.active == Some(place) {
            self.active = None;
        }
    }

    /// The active one is what is asked for nearly always: no hashing for it.
    fn place_of(&self, id: &str) -> Option<usize> {
        match self.active {
            Some(place) if *self.executions[place].record.id == *id => Some(place),
            _ => self.places.get(id).copied(),
        }
    }

    /// The ids between which events can pass the filter, both inclusive; `None`: none can.
    fn span(&self, filter: &Filter) -> Option<(u64, u64)> {
        let (mut first, mut last) = (filter.after.checked_add(1)?, self.record.last_event_id);
        if let Some(wanted) = &filter.executions {
            let slots = wanted.iter().filter_map(|id| self.place_of(id));
            let (mut earliest, mut latest) = (u64::MAX, 0);
            for slot in slots.map(|place| &self.executions[place]) {
                if let Some(last_event_id) = slot.last_event_id {
                    earliest = earliest.min(slot.record.first_event_id.unwrap_or(1));
                    latest = latest.max(last_event_id);
                }
            }
            (first, last) = (first.max(earliest), last.min(latest));
        }
        (first <= last).then_some((first, last))
    }

    fn events_within(&self, filter: &Filter) -> impl Iterator<Item = &Arc<EventRecord>> {
        let (first, last) = self.span(filter).unwrap_or((u64::MAX, 0));
        let begin = self.events.partition_point(|event| event.id < first);
        self.events.range(begin..).take_while(move |event| event.id <= last)
    }

    pub(super) fn page(&self, filter: &Filter, max_bytes: usize) -> EventPage {
        let mut page = PageBuilder::new(filter, max_bytes);
        for event in self.events_within(filter) {
            if page.is_full() {
                return page.stopped();
            }
            if !page.admits(event.id, &event.execution_id, &event.event_type, event.timestamp) {
                continue;
            }
            if !page.fits(event.data.len()) {
                return page.stopped();
            }
            page.take(event.clone());
        }
        page.ended(self.record.last_event_id)
    }

    pub(super) fn count(&self, filter: &Filter) -> u64 {
        let passing = self.events_within(filter).filter(|event| {
            filter.admits(Some(&event.execution_id), &event.event_type, event.timestamp)
        });
        let limit = usize::try_from(filter.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        passing.take(limit).count() as u64
    }
}
