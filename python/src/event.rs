//! `Event`: one record of a session's log or of its live stream.
//!
//! It shares the core's record and makes Python values only for the fields that are looked at:
//! building a dictionary for each event would cost ten times as much.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use pyo3::prelude::*;
use stayline::coordinator::Record;
use stayline::error::shown;
use stayline::protocol::outgoing::stream_record;
use stayline::session::records::EventRecord;
use stayline::settings::Millis;

use crate::json;
use crate::text;
use crate::time;
use crate::values::Reduced;

type Parts<'event> =
    (u64, Option<&'event str>, &'event str, &'event str, Millis, bool, &'event str);

enum Source {
    /// Read from the store, with the session's id.
    Stored(Arc<EventRecord>, Arc<str>),
    /// From a stream.
    Streamed(Arc<Record>),
}

/// One event. `id` is 0 for what is not stored: volatile events, and the control records
/// `connected`, `gap` and `deleted`.
#[pyclass(frozen, module = "stayline")]
pub struct Event {
    source: Source,
    parsed: OnceLock<Py<PyAny>>,
}

impl Event {
    /// From the store.
    pub fn stored(record: Arc<EventRecord>, session_id: Arc<str>) -> Event {
        Event { source: Source::Stored(record, session_id), parsed: OnceLock::new() }
    }

    /// From a stream.
    pub fn streamed(record: Arc<Record>) -> Event {
        Event { source: Source::Streamed(record), parsed: OnceLock::new() }
    }

    /// All of it, in the order in which `_event` takes it.
    fn parts(&self) -> Parts<'_> {
        (
            self.event_id(),
            self.execution_id(),
            self.session_id(),
            self.event_type(),
            self.at(),
            self.late(),
            self.raw_data(),
        )
    }

    fn event_id(&self) -> u64 {
        match &self.source {
            Source::Stored(record, _) => record.id,
            Source::Streamed(record) => record.id,
        }
    }

    fn at(&self) -> Millis {
        match &self.source {
            Source::Stored(record, _) => record.timestamp,
            Source::Streamed(record) => record.timestamp,
        }
    }
}

/// An event that was copied or has come from another process; one without an execution is a control
/// record.
#[pyfunction]
pub fn _event(
    id: u64,
    execution_id: Option<&str>,
    session_id: &str,
    event_type: &str,
    timestamp: Millis,
    late: bool,
    data: &str,
) -> Event {
    let session_id = Arc::from(session_id);
    let (event_type, data) = (Arc::from(event_type), Arc::from(data));
    Event::streamed(match execution_id.map(Arc::from) {
        Some(execution_id) => {
            let stored_at = timestamp;
            let event =
                EventRecord { id, execution_id, event_type, timestamp, stored_at, late, data };
            Record::event(&session_id, event)
        }
        None => Record::control(&session_id, event_type, data, timestamp),
    })
}

#[pymethods]
impl Event {
    /// Per session, from 1, in the order of commit (R33); 0 for what is not stored.
    #[getter]
    fn id(&self) -> u64 {
        self.event_id()
    }

    /// The execution it belongs to; `None` for control records.
    #[getter]
    fn execution_id(&self) -> Option<&str> {
        match &self.source {
            Source::Stored(record, _) => Some(&record.execution_id),
            Source::Streamed(record) => record.execution_id.as_deref(),
        }
    }

    /// The session it belongs to.
    #[getter]
    fn session_id(&self) -> &str {
        match &self.source {
            Source::Stored(_, session_id) => session_id,
            Source::Streamed(record) => &record.session_id,
        }
    }

    /// Its type, `streamEventType` on the wire.
    #[getter(r#type)]
    fn event_type(&self) -> &str {
        match &self.source {
            Source::Stored(record, _) => &record.event_type,
            Source::Streamed(record) => &record.event_type,
        }
    }

    /// The event's own time, as an aware `datetime` in UTC.
    #[getter]
    fn timestamp<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        time::datetime(py, self.at())
    }

    /// The event's own time in milliseconds since the Unix epoch.
    #[getter]
    fn timestamp_ms(&self) -> Millis {
        self.at()
    }

    /// It came after the execution had ended (R10a).
    #[getter]
    fn late(&self) -> bool {
        match &self.source {
            Source::Stored(record, _) => record.late,
            Source::Streamed(record) => record.late,
        }
    }

    /// A control record of the stream: `connected`, `gap` or `deleted`.
    #[getter]
    fn control(&self) -> bool {
        matches!(&self.source, Source::Streamed(record) if record.control)
    }

    /// The data, read with `json.loads` when it is first asked for. An integer of more digits than
    /// Python reads (`sys.set_int_max_str_digits`) is a `decimal.Decimal`.
    #[getter]
    fn data(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        json::decode_once(py, &self.parsed, self.raw_data())
    }

    /// The data as JSON text, as it was received.
    #[getter]
    fn raw_data(&self) -> &str {
        match &self.source {
            Source::Stored(record, _) => &record.data,
            Source::Streamed(record) => &record.data,
        }
    }

    /// The frame that a subscriber at `/stream` gets.
    #[getter]
    fn frame(&self) -> String {
        match &self.source {
            Source::Stored(record, session_id) => stream_record(
                record.id,
                Some(&record.execution_id),
                session_id,
                &record.event_type,
                record.timestamp,
                record.late,
                &record.data,
            ),
            Source::Streamed(record) => record.frame().to_string(),
        }
    }

    /// Events are equal when all that they say is; the data as text.
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Event>().is_ok_and(|other| self.parts() == other.get().parts())
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.parts().hash(&mut hasher);
        hasher.finish()
    }

    /// Copies and pickles: the event goes along whole.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        Ok((py.import("stayline._internal")?.getattr("_event")?, self.parts().into_pyobject(py)?))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let begin: String = self.raw_data().chars().take(80).collect();
        let more = if begin.len() < self.raw_data().len() { "…" } else { "" };
        // JSON may have control characters of the upper range, and DEL, as they are.
        let raw = shown(&begin);
        format!(
            "Event(id={}, type={}, execution_id={}{}, data={raw}{more})",
            self.event_id(),
            text::quoted(py, self.event_type()),
            text::optional(py, self.execution_id()),
            if self.late() { ", late=True" } else { "" },
        )
    }
}
