//! Events: one of them, filters, and reading the past.

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::sync::{Arc, OnceLock};

use stayline::Error;
use stayline::coordinator::{Record, Session};
use stayline::lock::Mutex;
use stayline::protocol::Filter;
use stayline::session::records::EventRecord;

use crate::boundary::{self, object, required};
use crate::clock::STAYLINE_NONE;
use crate::error::{Failure, OutError, stayline_status};
use crate::home::Home;
use crate::session::Held;
use crate::structs::{self, versioned};
use crate::text::stayline_view;

/// Conditions on stored events, all of which must hold (R34). Begin with
/// `stayline_event_filter_default()`, which lets everything through.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_event_filter {
    /// `sizeof(stayline_event_filter)`.
    pub struct_size: usize,
    /// Only ids greater than this.
    pub after: u64,
    /// Only these executions; NULL: all.
    pub executions: *const stayline_view,
    /// How many.
    pub executions_count: usize,
    /// Only these event types; NULL: all.
    pub types: *const stayline_view,
    /// How many.
    pub types_count: usize,
    /// Only timestamps from here on, ms, inclusive; `STAYLINE_NONE`: no bound.
    pub since_ms: i64,
    /// Only timestamps up to here, ms, inclusive; `STAYLINE_NONE`: no bound.
    pub until_ms: i64,
    /// At most so many; `UINT64_MAX`: no bound.
    pub limit: u64,
}
versioned!(stayline_event_filter {
    after: 0,
    executions: std::ptr::null(),
    executions_count: 0,
    types: std::ptr::null(),
    types_count: 0,
    since_ms: STAYLINE_NONE,
    until_ms: STAYLINE_NONE,
    limit: u64::MAX,
});

/// Writes a filter that lets everything through: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_event_filter_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_event_filter_init(
    options: *mut stayline_event_filter,
    struct_size: usize,
) {
    structs::init(options, struct_size);
}

/// Reads a filter; NULL lets everything through.
pub(crate) fn filter(filter: *const stayline_event_filter) -> Result<Filter, Error> {
    let filter = structs::read(filter)?;
    let bound = |at: i64| (at != STAYLINE_NONE).then_some(at);
    Ok(Filter {
        after: filter.after,
        executions: structs::names(filter.executions, filter.executions_count, "executions")?,
        types: structs::names(filter.types, filter.types_count, "types")?,
        since: bound(filter.since_ms),
        until: bound(filter.until_ms),
        limit: (filter.limit != u64::MAX).then_some(filter.limit),
    })
}

/// One event of a session's log or stream. It does not change; any thread may use it.
pub struct stayline_event {
    known: Known,
    frame: OnceLock<Arc<str>>,
}

enum Known {
    Stored { event: Arc<EventRecord>, session_id: Arc<str> },
    Streamed(Arc<Record>),
}

impl stayline_event {
    fn stored(event: Arc<EventRecord>, session_id: Arc<str>) -> Box<stayline_event> {
        Box::new(stayline_event {
            known: Known::Stored { event, session_id },
            frame: OnceLock::new(),
        })
    }

    /// One that a subscription gave.
    pub(crate) fn streamed(record: Arc<Record>) -> Box<stayline_event> {
        Box::new(stayline_event { known: Known::Streamed(record), frame: OnceLock::new() })
    }
}

/// What an event says. Set `struct_size`, and call `stayline_event_get`. Texts live as long as the
/// event.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_event_info {
    /// `sizeof(stayline_event_info)`.
    pub struct_size: usize,
    /// Per session, from 1, strictly increasing (R33); 0 for volatile and control records.
    pub id: u64,
    /// Whose run it belongs to; none for control records.
    pub execution_id: stayline_view,
    /// The session.
    pub session_id: stayline_view,
    /// Its type; of a control record `connected`, `gap` or `deleted`.
    pub event_type: stayline_view,
    /// The event's own timestamp, ms since the Unix epoch; it may lie.
    pub timestamp_ms: i64,
    /// It came after the execution's end (R10a).
    pub late: bool,
    /// It is a control record, which passes every filter (R34a).
    pub control: bool,
    /// JSON.
    pub data: stayline_view,
}
versioned!(stayline_event_info {
    id: 0,
    execution_id: stayline_view::NONE,
    session_id: stayline_view::NONE,
    event_type: stayline_view::NONE,
    timestamp_ms: 0,
    late: false,
    control: false,
    data: stayline_view::NONE,
});

/// Reads what an event says.
///
/// - `out_info`: with its `struct_size` set.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_event_get(
    event: Option<&stayline_event>,
    out_info: *mut stayline_event_info,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::run(out_error, || {
        let event = event.ok_or_else(|| Error::invalid("the event is NULL"))?;
        let info = match &event.known {
            Known::Stored { event, session_id } => stayline_event_info {
                id: event.id,
                execution_id: stayline_view::of(&event.execution_id),
                session_id: stayline_view::of(session_id),
                event_type: stayline_view::of(&event.event_type),
                timestamp_ms: event.timestamp,
                late: event.late,
                control: false,
                data: stayline_view::of(&event.data),
                ..structs::Versioned::DEFAULT
            },
            Known::Streamed(record) => stayline_event_info {
                id: record.id,
                execution_id: stayline_view::maybe(record.execution_id.as_deref()),
                session_id: stayline_view::of(&record.session_id),
                event_type: stayline_view::of(&record.event_type),
                timestamp_ms: record.timestamp,
                late: record.late,
                control: record.control,
                data: stayline_view::of(&record.data),
                ..structs::Versioned::DEFAULT
            },
        };
        Ok(structs::write(out_info, &info)?)
    })
}

/// The event as `/stream` sends it: one JSON object (`docs/rest.md`).
///
/// Returns a view that lives as long as the event; none for NULL. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_event_frame(event: Option<&stayline_event>) -> stayline_view {
    boundary::plain(stayline_view::NONE, || {
        let Some(event) = event else { return stayline_view::NONE };
        let frame = event.frame.get_or_init(|| match &event.known {
            Known::Streamed(record) => record.frame(),
            Known::Stored { event, session_id } => stayline::protocol::outgoing::stream_record(
                event.id,
                Some(&event.execution_id),
                session_id,
                &event.event_type,
                event.timestamp,
                event.late,
                &event.data,
            )
            .into(),
        });
        stayline_view::of(frame)
    })
}

/// Frees an event; NULL is fine. Texts that were got from it end with it.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_event_free(event: Option<Box<stayline_event>>) {
    drop(event);
}

/// Stored events, read in bounded rounds as they are taken (R36). Any thread may use it; each
/// event goes to one of those that take.
pub struct stayline_events(boundary::Handle<Reading>);
object!(stayline_events, "event reader", Reading);

/// What stands behind an event reader.
pub(crate) struct Reading {
    session: Session,
    // Keeps the coordinator alive.
    _home: Arc<Home>,
    place: Mutex<Place>,
}

struct Place {
    filter: Filter,
    page: VecDeque<Arc<EventRecord>>,
    end: bool,
}

impl Reading {
    /// Reads the first round, so that an unknown session is told at once.
    pub(crate) fn begin(held: &Held, filter: Filter) -> Result<Reading, Error> {
        let mut place = Place { filter, page: VecDeque::new(), end: false };
        place.read(&held.core)?;
        let place = Mutex::new(place);
        Ok(Reading { session: held.core.clone(), _home: Arc::clone(&held.home), place })
    }

    fn next(&self) -> Result<Option<Box<stayline_event>>, Failure> {
        let mut place = self.place.lock();
        loop {
            if let Some(event) = place.page.pop_front() {
                return Ok(Some(stayline_event::stored(event, Arc::clone(self.session.id()))));
            }
            if place.end {
                return Ok(None);
            }
            place.read(&self.session)?;
        }
    }
}

impl Place {
    fn read(&mut self, session: &Session) -> Result<(), Error> {
        let page = session.events(&self.filter)?;
        self.filter.after = page.next_after;
        self.end = page.end;
        if let Some(limit) = &mut self.filter.limit {
            *limit = limit.saturating_sub(page.events.len() as u64);
            self.end |= *limit == 0;
        }
        self.page.extend(page.events);
        Ok(())
    }
}

/// The next event.
///
/// - `out_event`: yours; free it with `stayline_event_free`. NULL: that was the last.
///
/// Returns `OK`, `NOT_FOUND` when the session was deleted meanwhile, `CLOSED`, or `STORE_ERROR`.
/// Threads: any. It may wait for a disk.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_events_next(
    events: *mut stayline_events,
    out_event: Option<&mut MaybeUninit<Option<Box<stayline_event>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_event = required(out_event, "out_event");
    boundary::on(events, out_error, |reading| {
        let out_event = out_event?;
        out_event.set(reading.next()?);
        Ok(())
    })
}

/// Frees the reader; NULL is fine. Events that were taken stay.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_events_free(events: Option<Box<stayline_events>>) {
    drop(events);
}
