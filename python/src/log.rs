//! The core's log records on their way to `logging.getLogger("stayline")`.
//!
//! No thread that tells something (`stayline::log`) may take the interpreter lock, so records go
//! into a bounded queue; a daemon thread of Python's, started with the first coordinator or
//! wrapper, takes them out. What finds the queue full is dropped and counted. The thread is
//! stopped before the interpreter goes down.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use pyo3::prelude::*;
use stayline::lock::Mutex;
use stayline::log::{Collector, Sink};
use stayline::wake::Wake;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::error::Result;
use crate::exit::Inside;
use crate::import;
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
        import::module(py, "stayline._threads")?.call_method0("start_log")?;
    }
    Ok(())
}

/// Registers the functions of the log's thread, and the subscriber that feeds it.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    renew();
    // Somebody embedding the module may have a subscriber already; then that one is told.
    let _ = tracing::subscriber::set_global_default(Collector(Queueing));
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
struct Queueing;

impl Sink for Queueing {
    fn level(&self) -> LevelFilter {
        let wants_debug = WANTS_DEBUG.load(Ordering::Relaxed);
        if wants_debug { LevelFilter::DEBUG } else { LevelFilter::INFO }
    }

    fn is_open(&self) -> bool {
        queue().is_some_and(|queue| !queue.stopped.load(Ordering::Relaxed))
    }

    fn take(&self, level: Level, line: String) {
        let Some(queue) = queue() else { return };
        let level = match level {
            Level::ERROR => 40,
            Level::WARN => WARNING,
            Level::INFO => 20,
            Level::DEBUG | Level::TRACE => DEBUG,
        };
        let mut records = queue.records.lock();
        if records.len() < QUEUE_LIMIT {
            records.push_back((level, line));
        } else {
            queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(records);
        queue.bell.wake();
    }
}
