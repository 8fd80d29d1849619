//! A connection to a server for the command line's HTTP, made as a wrapper's own.

use std::os::fd::{IntoRawFd, RawFd};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyConnectionError;
use pyo3::prelude::*;
use stayline::net::client::{Dialing, Proxy};

use crate::exit::Inside;
use crate::given::Secret;
use crate::time::Seconds;

/// Between two looks for signals of the system.
const SLICE: Duration = Duration::from_millis(100);

/// Adds the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(_dial, module)?)
}

/// Connects to the host of the address `url`, trying every address of its name, within `timeout`
/// seconds, through a `proxy` as a wrapper does. Returns the socket's descriptor, yours to close;
/// raises `InvalidArgument` and `ConnectionError`.
#[pyfunction]
fn _dial(py: Python<'_>, url: &str, timeout: Seconds, proxy: Secret) -> PyResult<RawFd> {
    let limit = timeout.0.unwrap_or(Duration::MAX);
    let begun = Dialing::begin(url, &Proxy::parse(&proxy.0), limit);
    let mut dialing = begun.map_err(|error| PyErr::from(crate::error::Failure::from(error)))?;
    let began = Instant::now();
    loop {
        let (answer, _inside) = py.detach(|| (dialing.wait(SLICE), Inside::returning()));
        py.check_signals()?;
        match answer {
            Some(Ok(stream)) => return Ok(stream.into_raw_fd()),
            Some(Err(error)) => return Err(PyConnectionError::new_err(error.to_string())),
            None if began.elapsed() > limit.saturating_add(SLICE * 50) => {
                return Err(PyConnectionError::new_err("connecting took too long"));
            }
            None => {}
        }
    }
}
