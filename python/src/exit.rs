//! The end of the interpreter, seen from the threads that it does not wait for.
//!
//! When CPython up to 3.13 goes down, a daemon thread that asks for the interpreter lock is ended
//! on the spot, by an unwinding that no Rust frame lets through: the process would abort, or run
//! destructors without the lock. So once the end has begun, none of our frames may be on the way
//! to the lock. A function registered with `atexit` says that it has begun, and waits until
//! everybody who is on that way has arrived. From then on, whoever would set out on it, other
//! than the thread that ends the interpreter, stands still for ever without the lock; that is
//! what newer versions do by themselves.
//!
//! Two kinds of frames are concerned: calls that come back from a wait (`wait`), and calls from
//! here into Python code, which may lose the lock at any time (`json`, imports).

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How long the end waits for those on their way. They need the lock for an instant only, but a
/// busy machine may let them wait for it.
const PATIENCE: Duration = Duration::from_secs(5);
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

static BEGUN: AtomicBool = AtomicBool::new(false);
// On their way to the lock, or in Python code called from here, over all threads.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // This thread's part of `INSIDE`.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    // The thread that ends the interpreter keeps the lock, or gets it back.
    static ENDS_IT: Cell<bool> = const { Cell::new(false) };
}

/// The end waits as long as this lives.
pub struct Inside(());

impl Inside {
    /// Sets out for the lock, without holding it. Does not return once the end has begun.
    pub fn returning() -> Inside {
        Inside::try_new().unwrap_or_else(|| stand_still())
    }

    /// Begins a call into Python code, with the lock. Does not return once the end has begun.
    pub fn calling(py: Python<'_>) -> Inside {
        Inside::try_new().unwrap_or_else(|| py.detach(|| stand_still()))
    }

    fn try_new() -> Option<Inside> {
        // Counted first, looked at second; the end does it the other way round. So one of the two
        // sees the other.
        INSIDE.fetch_add(1, Ordering::SeqCst);
        DEPTH.set(DEPTH.get() + 1);
        let inside = Inside(());
        (!BEGUN.load(Ordering::SeqCst) || ENDS_IT.get()).then_some(inside)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
        leave(1);
    }
}

fn leave(count: usize) {
    // A forked child begins at nought, whatever its one thread was in the middle of.
    let lower = |inside: usize| Some(inside.saturating_sub(count));
    let _ = INSIDE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lower);
}

fn stand_still() -> ! {
    // Nobody needs to wait for what this thread was in the middle of.
    leave(DEPTH.replace(0));
    loop {
        std::thread::park();
    }
}

/// Called by `atexit`.
#[pyfunction]
fn _before_exit(py: Python<'_>) {
    ENDS_IT.set(true);
    BEGUN.store(true, Ordering::SeqCst);
    let until = Instant::now() + PATIENCE;
    while INSIDE.load(Ordering::SeqCst) > DEPTH.get() && Instant::now() < until {
        py.detach(|| std::thread::sleep(BETWEEN_LOOKS));
    }
}

/// In a forked child nothing has begun, and nobody else is there.
pub fn after_fork() {
    BEGUN.store(false, Ordering::SeqCst);
    INSIDE.store(DEPTH.get(), Ordering::SeqCst);
    ENDS_IT.set(false);
}

/// Hears of the end. What registers with `atexit` later is called before.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let hook = wrap_pyfunction!(_before_exit, module)?;
    module.py().import("atexit")?.call_method1("register", (hook,))?;
    Ok(())
}
