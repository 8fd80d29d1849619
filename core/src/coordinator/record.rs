//! What a subscriber gets, and the ring of recent records that subscribers of one session share.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use crate::protocol::outgoing;
use crate::session::records::EventRecord;
use crate::settings::Millis;

/// One record of a stream: a stored event, a volatile one (`id` 0, R32), or a control record
/// (`id` 0: `connected`, `gap`, `deleted`).
#[derive(Debug)]
pub struct Record {
    /// The event's id; 0 for volatile and control records, which move no cursor.
    pub id: u64,
    /// Whose run it belongs to; `None` for control records.
    pub execution_id: Option<Arc<str>>,
    /// The session.
    pub session_id: Arc<str>,
    /// The event's type, or the control record's name.
    pub event_type: Arc<str>,
    /// ms since the epoch.
    pub timestamp: Millis,
    /// It came after the execution's end (R10a).
    pub late: bool,
    /// Whether this is a control record: it passes every filter.
    pub control: bool,
    /// JSON text.
    pub data: Arc<str>,
    frame: OnceLock<Arc<str>>,
}

impl Record {
    /// A stored or volatile event.
    pub fn event(session_id: &Arc<str>, event: EventRecord) -> Arc<Record> {
        Arc::new(Record {
            id: event.id,
            execution_id: Some(event.execution_id),
            session_id: session_id.clone(),
            event_type: event.event_type,
            timestamp: event.timestamp,
            late: event.late,
            control: false,
            data: event.data,
            frame: OnceLock::new(),
        })
    }

    /// A control record with its name and JSON text.
    pub fn control(
        session_id: &Arc<str>,
        name: impl Into<Arc<str>>,
        data: impl Into<Arc<str>>,
        now: Millis,
    ) -> Arc<Record> {
        Arc::new(Record {
            id: 0,
            execution_id: None,
            session_id: session_id.clone(),
            event_type: name.into(),
            timestamp: now,
            late: false,
            control: true,
            data: data.into(),
            frame: OnceLock::new(),
        })
    }

    /// The frame of the wire, serialized once for everybody.
    pub fn frame(&self) -> Arc<str> {
        let make = || {
            outgoing::stream_record(
                self.id,
                self.execution_id.as_deref(),
                &self.session_id,
                &self.event_type,
                self.timestamp,
                self.late,
                &self.data,
            )
            .into()
        };
        self.frame.get_or_init(make).clone()
    }

    fn bytes(&self) -> usize {
        self.data.len() + RECORD_OVERHEAD
    }
}

/// What a record costs in the books beyond its data.
const RECORD_OVERHEAD: usize = 200;
/// How much a session with subscribers keeps of its newest records.
const RING_BYTES: usize = 1024 * 1024;
const RING_RECORDS: usize = 4_096;

/// The newest committed records of a session that has subscribers.
#[derive(Debug)]
pub(super) struct Ring {
    records: VecDeque<Arc<Record>>,
    /// The position of the first record; positions count stored and volatile ones alike.
    first_position: u64,
    /// Every committed event from this id on is in the ring.
    first_id: u64,
    bytes: usize,
}

impl Ring {
    /// An empty ring behind the event with the id `last_id`.
    pub(super) fn new(last_id: u64) -> Ring {
        Ring { records: VecDeque::new(), first_position: 0, first_id: last_id + 1, bytes: 0 }
    }

    pub(super) fn push(&mut self, record: Arc<Record>) {
        self.bytes += record.bytes();
        self.records.push_back(record);
        while self.bytes > RING_BYTES || self.records.len() > RING_RECORDS {
            let Some(oldest) = self.records.pop_front() else { return };
            self.bytes -= oldest.bytes();
            self.first_position += 1;
            if oldest.id > 0 {
                self.first_id = oldest.id + 1;
            }
        }
    }

    /// Nobody reads: keeps nothing.
    pub(super) fn clear(&mut self, last_id: u64) {
        self.first_position += self.records.len() as u64;
        self.records.clear();
        self.bytes = 0;
        self.first_id = last_id + 1;
    }

    /// Where the next record will be.
    pub(super) fn end_position(&self) -> u64 {
        self.first_position + self.records.len() as u64
    }

    /// Whether a reader that has seen everything up to `cursor` can go on from here.
    pub(super) fn covers(&self, cursor: u64) -> bool {
        cursor + 1 >= self.first_id
    }

    /// The records from a position on (or from the first that is left), with their positions.
    pub(super) fn starting_at(&self, position: u64) -> impl Iterator<Item = (u64, &Arc<Record>)> {
        let skip = position.saturating_sub(self.first_position);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(self.records.len());
        let first = self.first_position + skip as u64;
        (first..).zip(self.records.range(skip..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: u64, bytes: usize) -> Arc<Record> {
        let event = EventRecord {
            id,
            execution_id: "e".into(),
            event_type: "output".into(),
            timestamp: 0,
            stored_at: 0,
            late: false,
            data: "x".repeat(bytes).into(),
        };
        Record::event(&"s".into(), event)
    }

    #[test]
    fn the_ring_is_bounded_and_knows_what_it_covers() {
        let mut ring = Ring::new(10);
        assert!(ring.covers(10) && !ring.covers(9));
        for id in 11..=12 {
            ring.push(record(id, 10));
        }
        assert!(ring.covers(10));
        ring.push(record(13, RING_BYTES - 250));
        assert!(!ring.covers(10) && ring.covers(12));
        let left: Vec<_> = ring.starting_at(0).map(|(at, record)| (at, record.id)).collect();
        assert_eq!(left, [(2, 13)]);
        ring.push(record(0, 1));
        ring.clear(13);
        assert_eq!(ring.end_position(), 4);
        assert!(ring.covers(13) && !ring.covers(12));
    }

    #[test]
    fn a_frame_is_made_once() {
        let record = record(7, 0);
        assert!(Arc::ptr_eq(&record.frame(), &record.frame()));
        assert!(record.frame().starts_with("{\"eventId\":7,\"executionId\":\"e\""));
    }
}
