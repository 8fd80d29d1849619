//! Reading a session's log: `Events`, the past, and `Subscription`, the past and then live.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use stayline::Error;
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
    epoch: Arc<str>,
    /// It was closed: whoever reads it just now retires it.
    is_closed: AtomicBool,
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
        let (epoch, is_closed) = (core.epoch(), AtomicBool::new(false));
        let core = Mutex::new(core);
        let inner = Owned::new(Inner { core, epoch, is_closed, bell, session });
        let position = Mutex::new(Position { last_id, ended: false });
        Ok(Subscription { session_id, inner, timeout, position })
    }

    /// What there is. The store is read without the interpreter lock.
    fn look(&self, py: Python<'_>, inner: &Inner) -> Result<Option<Found>> {
        loop {
            match self.look_in_memory(py, inner)? {
                Some(Next::Empty) => return Ok(None),
                Some(Next::Record(record)) => return Ok(Some(Found::Record(record))),
                Some(Next::Ended) => return Ok(Some(Found::End)),
                None => {
                    let handle = inner.session.get()?;
                    handle.home()?.run(py, || inner.read_ahead())?;
                    // Rounds without an event that passes the filters may be many.
                    py.check_signals()?;
                }
            }
        }
    }

    /// `None`: the store has to be read.
    fn look_in_memory(&self, py: Python<'_>, inner: &Inner) -> Result<Option<Next>> {
        if self.position.lock().ended {
            return Ok(Some(Next::Ended));
        }
        inner.session.get()?;
        let next = inner.with(py, Core::try_next_in_memory)?;
        self.took(next.as_ref());
        Ok(next)
    }

    fn took(&self, next: Option<&Next>) {
        let mut position = self.position.lock();
        match next {
            Some(Next::Record(record)) => position.last_id = position.last_id.max(record.id),
            Some(Next::Ended) => position.ended = true,
            Some(Next::Empty) | None => {}
        }
    }
}

impl Inner {
    /// A call that reads no store. Another thread may be reading it just now: that is waited for
    /// without the interpreter lock.
    fn with<T: Send>(&self, py: Python<'_>, call: impl FnOnce(&mut Core) -> T + Send) -> Result<T> {
        let result = match self.core.try_lock() {
            Some(mut core) => guarded(|| Ok(call(&mut core))),
            None => released(py, || Ok(call(&mut self.core.lock()))),
        };
        self.retire_if_closed();
        result
    }

    /// Reads a round where one is needed.
    fn read_ahead(&self) -> std::result::Result<(), Error> {
        let read = self.core.lock().read_ahead();
        self.retire_if_closed();
        read
    }

    /// Nobody reads on. Who has the cursor just now comes here once it has let go of it, so that
    /// whoever closes it does not wait.
    fn retire_if_closed(&self) {
        if self.is_closed.load(Ordering::SeqCst)
            && let Some(mut core) = self.core.try_lock()
        {
            core.set_waker(None);
            core.retire();
        }
    }
}

#[pymethods]
impl Subscription {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Result<Option<Event>> {
        let inner = self.inner.get()?;
        let found = inner.bell.wait(py, self.timeout.0, None, || self.look(py, inner))?;
        Ok(event(found))
    }

    /// The next event without waiting; `None`: nothing now (`fileno()` is made unreadable), or
    /// the stream is over (`ended`).
    fn try_next(&self, py: Python<'_>) -> Result<Option<Event>> {
        let inner = self.inner.get()?;
        Ok(event(inner.bell.take(|| self.look(py, inner))?))
    }

    /// For `stayline.aio`: the next event if it is in memory. `None`: nothing now, or the stream is
    /// over, or it is behind, or somebody is reading it.
    fn _try_next_in_memory(&self) -> Result<Option<Event>> {
        let inner = self.inner.get()?;
        if self.ended() {
            return Ok(None);
        }
        inner.session.get()?;
        let Some(mut core) = inner.core.try_lock() else { return Ok(None) };
        let next = guarded(|| Ok(core.try_next_in_memory()))?;
        drop(core);
        inner.retire_if_closed();
        self.took(next.as_ref());
        match next {
            Some(Next::Record(record)) => Ok(Some(Event::streamed(record))),
            _ => Ok(None),
        }
    }

    /// A descriptor for event loops: readable from an event until a take finds nothing, and for
    /// ever once the stream is over.
    fn fileno(&self) -> Result<RawFd> {
        self.inner.get()?.bell.fileno()
    }

    /// For `stayline.aio`: whether the next take would read from the store, or wait for somebody who
    /// does.
    fn _is_behind(&self) -> Result<bool> {
        let inner = self.inner.get()?;
        let is_behind = inner.core.try_lock().is_none_or(|core| core.is_behind());
        inner.retire_if_closed();
        Ok(!self.ended() && is_behind)
    }

    /// For `stayline.aio`: reads a round from the store, so that the next take need not.
    fn _read_ahead(&self, py: Python<'_>) -> Result<()> {
        let inner = self.inner.get()?;
        released(py, || inner.read_ahead())
    }

    /// For `stayline.aio`: a place to wait for events and the end.
    fn _waiting(&self) -> Result<Waiting> {
        Waiting::at(&self.inner.get()?.bell)
    }

    /// Ends the stream. Twice is fine.
    fn close(&self) -> Result<()> {
        let inner = self.inner.get()?;
        self.position.lock().ended = true;
        inner.is_closed.store(true, Ordering::SeqCst);
        inner.retire_if_closed();
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
        Ok(Text(Arc::clone(&self.inner.get()?.epoch)))
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
