//! The `jsonl` dialect for `stayline run`: a program's output as events.

use pyo3::prelude::*;
use stayline::protocol::FrameLimits;
use stayline::wrapper::dialect::jsonl::{line_to_events, stderr_line_to_events};

use crate::settings::Settings;

/// Adds the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(_line_to_events, module)?)
}

/// Turns one line of a program's stdout into `(event type, data as JSON text)`, at least one.
/// `stderr`: of its stderr, which is text whatever it looks like.
#[pyfunction]
#[pyo3(signature = (line, settings, *, stderr = false))]
fn _line_to_events(line: &[u8], settings: &Settings, stderr: bool) -> Vec<(String, String)> {
    let limits = FrameLimits {
        max_frame_bytes: settings.core.max_frame_bytes.into(),
        max_nesting: settings.core.max_nesting,
    };
    let events =
        if stderr { stderr_line_to_events(line, limits) } else { line_to_events(line, limits) };
    events.into_iter().map(|event| (event.event_type, event.data)).collect()
}
