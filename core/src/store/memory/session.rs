//! One session in memory: its row, its executions and its log.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::HashMap;

use crate::protocol::Filter;
use crate::session::records::{EventRecord, ExecutionRecord, SessionRecord, Status};
use crate::store::page::PageBuilder;
use crate::store::{
    Cursor, EventPage, Listed, LogBounds, Part, PartBuilder, SessionChanges, SessionSummary,
    StoredSession,
};

/// An execution, where its events end, and how many there are.
struct Slot {
    record: ExecutionRecord,
    last_event_id: Option<u64>,
    event_count: u64,
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

    pub(super) fn executions(&self, status: Option<Status>, part: Part) -> Listed<ExecutionRecord> {
        let mut builder = PartBuilder::new(part);
        let placed = self.executions.iter().enumerate().rev();
        let wanted = placed.filter(|(_, slot)| status.is_none_or(|one| slot.record.status == one));
        for (place, slot) in wanted {
            let place = Cursor { at: 0, key: i64::try_from(place).unwrap_or(i64::MAX) };
            if part.after.is_some_and(|after| place >= after) {
                continue;
            }
            if !builder.take(place, slot.record.clone()) {
                return builder.finish(false);
            }
        }
        builder.finish(true)
    }

    /// Where it is among the sessions.
    pub(super) fn place(&self) -> Cursor {
        let key = i64::try_from(self.key).unwrap_or(i64::MAX);
        Cursor { at: self.record.last_activity_at, key }
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
                self.executions[place].event_count += 1;
            }
            self.events.push_back(Arc::new(event.clone()));
        }
    }

    /// Its oldest event goes.
    pub(super) fn prune_first(&mut self) {
        let Some(event) = self.events.pop_front() else { return };
        if let Some(place) = self.place_of(&event.execution_id) {
            self.executions[place].event_count -= 1;
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
                let record = row.clone();
                self.executions.push(Slot { record, last_event_id: None, event_count: 0 });
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
        let at_most = filter.limit.unwrap_or(u64::MAX);
        if filter.asks_for_whole_runs() {
            return at_most.min(match &filter.executions {
                None => self.events.len() as u64,
                Some(wanted) => {
                    let places: BTreeSet<usize> =
                        wanted.iter().filter_map(|id| self.place_of(id)).collect();
                    places.into_iter().map(|place| self.executions[place].event_count).sum()
                }
            });
        }
        let passing = self.events_within(filter).filter(|event| {
            filter.admits(Some(&event.execution_id), &event.event_type, event.timestamp)
        });
        passing.take(usize::try_from(at_most).unwrap_or(usize::MAX)).count() as u64
    }
}
