//! The core's log records on their way to `logging.getLogger("stayline")`.
//!
//! The core tells what it does through `tracing`, from any of its threads. None of them may take
//! the interpreter lock, so records go into a bounded queue; a daemon thread of Python's, started
//! with the first coordinator or wrapper, takes them out. What finds the queue full is dropped
//! and counted. The thread is stopped before the interpreter goes down.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use pyo3::prelude::*;
use stayline::lock::Mutex;
use stayline::wake::Wake;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::error::Result;
use crate::exit::Inside;
use crate::process;
use crate::wait::Bell;

/// How many records wait for Python at most.
const QUEUE_LIMIT: usize = 1_000;
/// Python's numbers of the levels.
const WARNING: u32 = 30;
const DEBUG: u32 = 10;

#[derive(Default)]
struct Queue {
    records: Mutex<VecDeque<(u32, String)>>,
    dropped: AtomicU64,
    bell: Bell,
    stopped: AtomicBool,
}

// The queue of this process. A child gets a new one: a lock of the old one may be held for ever.
static QUEUE: AtomicPtr<Queue> = AtomicPtr::new(std::ptr::null_mut());
// The process that has a thread for it.
static STARTED_IN: AtomicU32 = AtomicU32::new(0);
// Records below INFO are only made when Python's logger wants them.
static WANTS_DEBUG: AtomicBool = AtomicBool::new(false);

fn renew() {
    QUEUE.store(Box::into_raw(Box::default()), Ordering::Release);
}

fn queue() -> Option<&'static Queue> {
    let queue = QUEUE.load(Ordering::Acquire);
    // SAFETY: it is null, or comes from a box in `renew` that is never freed.
    unsafe { queue.as_ref() }
}

/// A new queue for a forked child.
pub fn after_fork() {
    renew();
}

/// Makes sure that this process has a thread that takes records out.
pub fn start(py: Python<'_>) -> Result<()> {
    let process = process::current();
    if STARTED_IN.swap(process, Ordering::AcqRel) != process {
        let _inside = Inside::calling(py);
        py.import("stayline._threads")?.call_method0("start_log")?;
    }
    Ok(())
}

/// Registers the functions of the log's thread, and the subscriber that feeds it.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    renew();
    // Somebody embedding the module may have a subscriber already; then that one is told.
    let _ = tracing::subscriber::set_global_default(Collector);
    module.add_function(wrap_pyfunction!(_log_next, module)?)?;
    module.add_function(wrap_pyfunction!(_log_level, module)?)?;
    module.add_function(wrap_pyfunction!(_log_stop, module)?)
}

/// The next record, `(level, text)`; waits for it. `None`: the log was stopped.
#[pyfunction]
fn _log_next(py: Python<'_>) -> Result<Option<(u32, String)>> {
    let Some(queue) = queue() else { return Ok(None) };
    let taken = queue.bell.wait(py, None, None, || {
        let dropped = queue.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            return Ok(Some(Some((WARNING, format!("{dropped} log records were dropped")))));
        }
        if let Some(record) = queue.records.lock().pop_front() {
            return Ok(Some(Some(record)));
        }
        Ok(queue.stopped.load(Ordering::Acquire).then_some(None))
    })?;
    Ok(taken.flatten())
}

/// Python's logger wants records from this level on.
#[pyfunction]
fn _log_level(level: u32) {
    let wants_debug = level <= DEBUG;
    if WANTS_DEBUG.swap(wants_debug, Ordering::Relaxed) != wants_debug {
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Ends the log's thread once it has taken what there is.
#[pyfunction]
fn _log_stop() {
    if let Some(queue) = queue() {
        queue.stopped.store(true, Ordering::Release);
        queue.bell.wake();
    }
}

/// Puts the core's records into the queue.
struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with("stayline")
            && self.max_level_hint().is_some_and(|most| *metadata.level() <= most)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let wants_debug = WANTS_DEBUG.load(Ordering::Relaxed);
        Some(if wants_debug { LevelFilter::DEBUG } else { LevelFilter::INFO })
    }

    fn event(&self, event: &Event<'_>) {
        let Some(queue) = queue().filter(|queue| !queue.stopped.load(Ordering::Relaxed)) else {
            return;
        };
        let mut text = Text::default();
        event.record(&mut text);
        let level = match *event.metadata().level() {
            Level::ERROR => 40,
            Level::WARN => WARNING,
            Level::INFO => 20,
            Level::DEBUG | Level::TRACE => DEBUG,
        };
        let mut records = queue.records.lock();
        if records.len() < QUEUE_LIMIT {
            records.push_back((level, text.message + &text.fields));
        } else {
            queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(records);
        queue.bell.wake();
    }

    // Spans are not used; what is asked of a subscriber about them is answered all the same.
    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        Id::from_u64(NEXT.fetch_add(1, Ordering::Relaxed) as u64)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// A record as one line: the message, then `name=value` for each field.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing into a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}
