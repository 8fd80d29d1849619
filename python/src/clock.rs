//! `ManualClock`: time that only moves when told, for tests of hosts.

use pyo3::prelude::*;
use stayline::Error;
use stayline::coordinator::ManualClock as Core;
use stayline::settings::{MAX_DURATION_MS, Millis, moment};

use crate::error::{Result, guarded};
use crate::given::{self, Given};
use crate::process::Owned;
use crate::time::{Now, Seconds};
use crate::wait::released;

/// A clock for `Coordinator(clock=…)` that moves only with `advance`. Everything due on the way
/// is handled, each at its own moment, before `advance` returns.
#[pyclass(frozen, module = "stayline")]
pub struct ManualClock {
    /// What the core takes.
    pub core: Owned<Core>,
}

#[pymethods]
impl ManualClock {
    #[new]
    #[pyo3(signature = (now_ms = 1_700_000_000_000))]
    fn new(#[pyo3(from_py_with = given::taken)] now_ms: Millis) -> Result<ManualClock> {
        Ok(ManualClock { core: Owned::new(Core::new(moment(now_ms, "now_ms")?)) })
    }

    /// Milliseconds since the Unix epoch.
    #[getter]
    fn now_ms(&self) -> Result<Millis> {
        Ok(self.core.get()?.now())
    }

    /// Moves on by `seconds` (a number or a `timedelta`) and handles what is due on the way.
    fn advance(&self, py: Python<'_>, seconds: Seconds) -> Result<()> {
        let core = self.core.get()?;
        let ms = seconds.finite_millis()?;
        moment(core.now() + ms, "the clock")?;
        released(py, || {
            core.advance(ms);
            Ok(())
        })
    }

    /// Time jumps by `ms` for the coordinators, which notice at the end (R18b).
    fn suspend(&self, py: Python<'_>, ms: Given<Millis>) -> Result<()> {
        let ms = ms.0;
        let core = self.core.get()?;
        if !(0..=MAX_DURATION_MS).contains(&ms) {
            return Err(Error::invalid(format!("a clock cannot jump by {ms} ms")).into());
        }
        moment(core.now() + ms, "the clock")?;
        released(py, || {
            core.suspend(ms);
            Ok(())
        })
    }

    /// Only moves time to `now_ms`; what is due is left to `Coordinator._handle_due`. A hook for
    /// harnesses that order wrappers, network and coordinators themselves.
    fn set(&self, now_ms: Now) -> Result<()> {
        let core = self.core.get()?;
        let now_ms = now_ms.0;
        if now_ms < core.now() {
            return Err(Error::invalid("time does not go back").into());
        }
        guarded(|| {
            core.set(now_ms);
            Ok(())
        })
    }

    /// The earliest deadline of all coordinators on this clock, in ms; `None`: there is none.
    fn next_deadline_ms(&self, py: Python<'_>) -> Result<Option<Millis>> {
        let core = self.core.get()?;
        released(py, || Ok(core.next_deadline()))
    }

    fn __repr__(&self) -> String {
        match self.core.peek() {
            Some(core) => format!("ManualClock(now_ms={})", core.now()),
            None => "<stayline.ManualClock of another process>".to_owned(),
        }
    }
}
