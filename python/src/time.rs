//! Times as Python says them: seconds (a number or a `timedelta`) for how long, `datetime` or
//! milliseconds for when.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDateTime, PyDelta, PyInt, PyTzInfo};
use stayline::Error;
use stayline::settings::{MAX_DURATION_MS, Millis, moment};

use crate::error::{Failure, Result};
use crate::given::Given;
use crate::import;

/// How long: seconds as a number, a `timedelta`, or `None` for ever.
#[derive(Clone, Copy, Default)]
pub struct Seconds(pub Option<Duration>);

impl<'a, 'py> FromPyObject<'a, 'py> for Seconds {
    type Error = Failure;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> Result<Seconds> {
        if value.is_none() {
            return Ok(Seconds(None));
        }
        import::datetime(value.py())?;
        let seconds = if value.is_instance_of::<PyDelta>() {
            value.call_method0("total_seconds")?.extract::<f64>()?
        } else {
            value.extract::<Given<f64>>()?.0
        };
        if seconds.is_nan() || seconds < 0.0 {
            return Err(Error::invalid(format!(
                "{seconds} seconds; a time is not negative, and None means for ever"
            ))
            .into());
        }
        // Longer than a Duration can say (infinity too) is for ever.
        Ok(Seconds(Duration::try_from_secs_f64(seconds).ok()))
    }
}

impl Seconds {
    /// In milliseconds, bounded as all durations are; `None`: for ever.
    pub fn millis(self) -> Option<Millis> {
        self.0.map(|duration| {
            Millis::try_from(duration.as_millis()).unwrap_or(MAX_DURATION_MS).min(MAX_DURATION_MS)
        })
    }

    /// In milliseconds, where for ever makes no sense.
    pub fn finite_millis(self) -> Result<Millis> {
        self.millis().ok_or_else(|| Error::invalid("a finite time is needed here").into())
    }
}

/// When: an aware `datetime`, or milliseconds since the Unix epoch.
#[derive(Clone, Copy)]
pub struct Moment(pub Millis);

impl<'a, 'py> FromPyObject<'a, 'py> for Moment {
    type Error = Failure;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> Result<Moment> {
        if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
            return Ok(Moment(value.extract::<Given<Millis>>()?.0));
        }
        import::datetime(value.py())?;
        if !value.is_instance_of::<PyDateTime>() {
            return Err(pyo3::exceptions::PyTypeError::new_err(
                "expected a datetime, or an int in milliseconds since the Unix epoch",
            )
            .into());
        }
        if value.getattr("tzinfo")?.is_none() {
            return Err(Error::invalid(
                "a datetime without a time zone; use datetime.now(timezone.utc)",
            )
            .into());
        }
        let seconds = value.call_method0("timestamp")?.extract::<f64>()?;
        Ok(Moment((seconds * 1000.0).round() as Millis))
    }
}

/// What time it is, as a host's clock has it: ms, and not beyond all calendars.
#[derive(Clone, Copy)]
pub struct Now(pub Millis);

impl<'a, 'py> FromPyObject<'a, 'py> for Now {
    type Error = Failure;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> Result<Now> {
        Ok(Now(moment(value.extract::<Given<Millis>>()?.0, "now_ms")?))
    }
}

/// Milliseconds since the epoch as a `datetime` in UTC. A moment that `datetime` cannot say
/// becomes the nearest that it can.
pub fn datetime(py: Python<'_>, moment: Millis) -> PyResult<Bound<'_, PyAny>> {
    import::datetime(py)?;
    // 0001-01-01 and 9999-12-31, whole seconds.
    let clamped = moment.clamp(-62_135_596_800_000, 253_402_300_799_000);
    let utc = PyTzInfo::utc(py)?;
    let moment = PyDateTime::from_timestamp(py, clamped as f64 / 1000.0, Some(&utc))?;
    Ok(moment.into_any())
}

/// The same for a moment that may not have come.
pub fn optional_datetime(
    py: Python<'_>,
    moment: Option<Millis>,
) -> PyResult<Option<Bound<'_, PyAny>>> {
    moment.map(|moment| datetime(py, moment)).transpose()
}
