//! Reading a session's log: `Events`, the past, and `Subscription`, the past and then live.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::Arc;

use pyo3::prelude::*;
use stayline::coordinator::{Next, Record, SubscribeOptions, Subscription as Core};
use stayline::lock::Mutex;
use stayline::protocol::Filter;
use stayline::session::records::EventRecord;

use crate::error::{Result, guarded};
use crate::event::Event;
use crate::process::Owned;
use crate::session::HandleRef;
use crate::text::{self, Text};
use crate::time::Seconds;
use crate::wait::{Bell, Waiting, released};

struct Reading {
    filter: Filter,
    page: VecDeque<Arc<EventRecord>>,
    end: bool,
}

/// Stored events, read in bounded rounds as the iteration goes on (R36).
#[pyclass(frozen, module = "stayline")]
pub struct Events {
    session: HandleRef,
    reading: Mutex<Reading>,
}

impl Events {
    /// Reads the first round, so that an unknown session is told at once.
    pub fn new(py: Python<'_>, session: HandleRef, filter: Filter) -> Result<Events> {
        let reading = Reading { filter, page: VecDeque::new(), end: false };
        let events = Events { session, reading: Mutex::new(reading) };
        events.read(py)?;
        Ok(events)
    }

    fn read(&self, py: Python<'_>) -> Result<()> {
        let handle = self.session.get()?;
        // The lock is not held while the interpreter lock is given up.
        let filter = self.reading.lock().filter.clone();
        let page = handle.home()?.run(py, || handle.core.events(&filter))?;
        let mut reading = self.reading.lock();
        if reading.filter.after != filter.after {
            return Ok(()); // another thread was faster
        }
        reading.filter.after = page.next_after;
        reading.end = page.end;
        if let Some(limit) = &mut reading.filter.limit {
            *limit = limit.saturating_sub(page.events.len() as u64);
            let none_left = *limit == 0;
            reading.end |= none_left;
        }
        reading.page.extend(page.events);
        Ok(())
    }
}

#[pymethods]
impl Events {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Result<Option<Event>> {
        loop {
            let (record, end) = {
                let mut reading = self.reading.lock();
                (reading.page.pop_front(), reading.end)
            };
            if let Some(record) = record {
                let session_id = Arc::clone(self.session.get()?.core.id());
                return Ok(Some(Event::stored(record, session_id)));
            }
            if end {
                return Ok(None);
            }
            py.check_signals()?;
            self.read(py)?;
        }
    }

    /// For `stayline.aio`: whether the next step reads nothing from the store.
    fn _is_ready(&self) -> bool {
        let reading = self.reading.lock();
        reading.end || !reading.page.is_empty()
    }

    /// For `stayline.aio`: reads a round, so that the next step need not.
    fn _read_ahead(&self, py: Python<'_>) -> Result<()> {
        if self._is_ready() { Ok(()) } else { self.read(py) }
    }
}

struct Inner {
    core: Mutex<Core>,
    bell: Arc<Bell>,
    // Keeps the coordinator alive.
    session: HandleRef,
}

#[derive(Default)]
struct Position {
    last_id: u64,
    ended: bool,
}

/// A cursor over a session's log: the past, then live, each event once and in order (R35).
///
/// Iterate it; when its `timeout` ended the iteration, iterating again goes on. `ended` says
/// whether the stream is over for good.
#[pyclass(frozen, module = "stayline", weakref)]
pub struct Subscription {
    session_id: Arc<str>,
    inner: Owned<Inner>,
    timeout: Seconds,
    position: Mutex<Position>,
}

/// What a look at the cursor found.
enum Found {
    Record(Arc<Record>),
    End,
}

impl Subscription {
    /// Subscribes.
    pub fn new(
        py: Python<'_>,
        session: HandleRef,
        options: SubscribeOptions,
        timeout: Seconds,
    ) -> Result<Subscription> {
        let handle = session.get()?;
        let last_id = options.filter.after;
        let core = handle.home()?.run(py, || handle.core.subscribe(options))?;
        let bell = Bell::new();
        core.set_waker(Some(Arc::clone(&bell) as Arc<dyn stayline::wake::Wake>));
        let session_id = Arc::clone(handle.core.id());
        let inner = Owned::new(Inner { core: Mutex::new(core), bell, session });
        let position = Mutex::new(Position { last_id, ended: false });
        Ok(Subscription { session_id, inner, timeout, position })
    }

    fn look(&self, inner: &Inner) -> Result<Option<Found>> {
        if self.position.lock().ended {
            return Ok(Some(Found::End));
        }
        inner.session.get()?;
        let next = guarded(|| inner.core.lock().try_next())?;
        let mut position = self.position.lock();
        Ok(match next {
            Next::Record(record) => {
                position.last_id = position.last_id.max(record.id);
                Some(Found::Record(record))
            }
            Next::Empty => None,
            Next::Ended => {
                position.ended = true;
                Some(Found::End)
            }
        })
    }
}

#[pymethods]
impl Subscription {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Result<Option<Event>> {
        let inner = self.inner.get()?;
        let found = inner.bell.wait(py, self.timeout.0, None, || self.look(inner))?;
        Ok(event(found))
    }

    /// The next event without waiting; `None`: nothing now (`fileno()` is made unreadable), or
    /// the stream is over (`ended`).
    fn try_next(&self) -> Result<Option<Event>> {
        let inner = self.inner.get()?;
        Ok(event(inner.bell.take(|| self.look(inner))?))
    }

    /// A descriptor for event loops: readable from an event until a take finds nothing, and for
    /// ever once the stream is over.
    fn fileno(&self) -> Result<RawFd> {
        self.inner.get()?.bell.fileno()
    }

    /// For `stayline.aio`: whether the next take would read from the store.
    fn _is_behind(&self) -> Result<bool> {
        let inner = self.inner.get()?;
        Ok(!self.ended() && inner.core.lock().is_behind())
    }

    /// For `stayline.aio`: reads a round from the store, so that the next take need not.
    fn _read_ahead(&self, py: Python<'_>) -> Result<()> {
        let inner = self.inner.get()?;
        released(py, || inner.core.lock().read_ahead())
    }

    /// For `stayline.aio`: a place to wait for events and the end.
    fn _waiting(&self) -> Result<Waiting> {
        Waiting::at(&self.inner.get()?.bell)
    }

    /// Ends the stream. Twice is fine.
    fn close(&self) -> Result<()> {
        let inner = self.inner.get()?;
        self.position.lock().ended = true;
        {
            let mut core = inner.core.lock();
            core.set_waker(None);
            core.retire();
        }
        stayline::wake::Wake::wake(&*inner.bell);
        Ok(())
    }

    /// The session it reads.
    #[getter]
    fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The log's epoch, to be given when resuming (R34a).
    #[getter]
    fn epoch(&self) -> Result<Text> {
        Ok(Text(self.inner.get()?.core.lock().epoch()))
    }

    /// The id of the newest event given: resume with `after=` this.
    #[getter]
    fn last_id(&self) -> u64 {
        self.position.lock().last_id
    }

    /// Whether the stream is over: closed, deleted, or `until` was reached.
    #[getter]
    fn ended(&self) -> bool {
        self.position.lock().ended
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyAny>) -> Result<()> {
        if self.inner.peek().is_some() { self.close() } else { Ok(()) }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let position = self.position.lock();
        format!(
            "<stayline.Subscription to {}, last_id={}{}>",
            text::quoted(py, &self.session_id),
            position.last_id,
            if position.ended { ", ended" } else { "" },
        )
    }
}

fn event(found: Option<Found>) -> Option<Event> {
    match found {
        Some(Found::Record(record)) => Some(Event::streamed(record)),
        Some(Found::End) | None => None,
    }
}
