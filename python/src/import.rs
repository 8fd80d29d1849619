//! Modules that are imported when they are first needed, so that `import stayline` is quick.
//!
//! A module that another thread is importing at the moment of a fork stays locked in the child for
//! ever, and whoever needs it there waits for it. So a fork by Python waits until nothing is being
//! imported here.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// How many imports are under way.
static IMPORTING: AtomicUsize = AtomicUsize::new(0);

/// Between two looks, and for how long a fork waits: longer than any import takes.
const PAUSE: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(10);

thread_local! {
    /// How many of them are this thread's.
    static OWN: Cell<usize> = const { Cell::new(0) };
}

struct Importing;

impl Importing {
    fn begin() -> Importing {
        IMPORTING.fetch_add(1, Ordering::SeqCst);
        OWN.set(OWN.get() + 1);
        Importing
    }
}

impl Drop for Importing {
    fn drop(&mut self) {
        IMPORTING.fetch_sub(1, Ordering::SeqCst);
        OWN.set(OWN.get() - 1);
    }
}

/// The module; imported, if it is not yet.
pub fn module<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyModule>> {
    let _importing = Importing::begin();
    py.import(name)
}

/// To be called before anything of `datetime` is looked at: that imports it, unseen from here.
pub fn datetime(py: Python<'_>) -> PyResult<()> {
    static IS_THERE: AtomicBool = AtomicBool::new(false);
    if !IS_THERE.load(Ordering::Relaxed) {
        module(py, "datetime")?;
        IS_THERE.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Called by Python before a fork.
#[pyfunction]
fn _before_fork(py: Python<'_>) {
    let until = Instant::now() + PATIENCE;
    while IMPORTING.load(Ordering::SeqCst) > OWN.get() && Instant::now() < until {
        py.detach(|| std::thread::sleep(PAUSE));
    }
}

/// In a forked child nobody else imports.
pub fn after_fork() {
    IMPORTING.store(OWN.get(), Ordering::SeqCst);
}

/// Has forks wait.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let options = PyDict::new(py);
    options.set_item("before", wrap_pyfunction!(_before_fork, module)?)?;
    py.import("os")?.call_method("register_at_fork", (), Some(&options))?;
    Ok(())
}
