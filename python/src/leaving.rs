//! How a wrapper's `with` block is left: in peace, or by an exception (R51a).

use std::time::Duration;

use pyo3::prelude::*;

use crate::error::{Failure, Result, guarded};
use crate::exit::Inside;
use crate::given::Said;
use crate::import;
use crate::signals::Hub;

/// Ends the run of a block that an exception left, unless it has had its ending. Returns how long
/// that ending is to be waited for, `patience` at most; `None`: as if there had been no exception.
pub fn tell_raised(
    py: Python<'_>,
    hub: &Hub,
    error: &Bound<'_, PyAny>,
    patience: Duration,
) -> Result<Option<Duration>> {
    let Some((what, stopped, exit_code)) = raised(py, error)? else {
        return Ok(None);
    };
    Ok(Some(match guarded(|| hub.core.raised(&what.0, stopped, exit_code)) {
        Ok(patience) => patience,
        // It has ended, or ends; whoever is stopped now has had enough of waiting for that.
        Err(_) if stopped => Duration::ZERO,
        Err(_) => patience,
    }))
}

type Raised = Option<(Said, bool, Option<i64>)>;

fn raised(py: Python<'_>, error: &Bound<'_, PyAny>) -> Result<Raised> {
    let _inside = Inside::calling(py);
    let ask =
        || import::module(py, "stayline._endings")?.call_method1("raised", (error,))?.extract();
    match ask() {
        Ok(raised) => Ok(raised),
        // An exception that cannot even be shown, or the interpreter goes down.
        Err(_) => {
            let name = error.get_type().name().and_then(|name| name.extract::<Said>());
            Ok(Some((name.map_err(Failure::Python)?, false, None)))
        }
    }
}

/// Says on an exception that nobody may know of the ending that it made.
pub fn note_untold(py: Python<'_>, error: &Bound<'_, PyAny>) -> Result<()> {
    let _inside = Inside::calling(py);
    import::module(py, "stayline._endings")?.call_method1("note_untold", (error,))?;
    Ok(())
}
