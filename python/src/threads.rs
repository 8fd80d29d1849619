//! Starting threads that take no signals of the host's.

use pyo3::prelude::*;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(_without_signals, module)?)
}

/// Calls `call` with all signals blocked on this thread, but for those of its own faults: what it
/// starts has them blocked from its first instruction on. Returns, or raises, what it does.
#[pyfunction]
fn _without_signals<'py>(call: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    stayline::threads::without_signals(|| call.call0())
}
