//! `Link`: one ingest link, for hosts that bring their own sockets.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use stayline::Error;
use stayline::coordinator::{Link as Core, Output};

use crate::error::{Result, guarded};
use crate::given::{self, Given, Said};
use crate::process::Owned;
use crate::session::HandleRef;
use crate::text;
use crate::time::Seconds;
use crate::values::{Close, Send};
use crate::wait::{Bell, Waiting, released};

struct Inner {
    // Before the session: a link that is dropped tells its coordinator.
    link: Core,
    bell: Arc<Bell>,
    session: HandleRef,
}

/// One connection from a wrapper. Give it what the socket receives, write what it puts out, and
/// say when the socket is gone. Dropping it unclosed counts as close 1006.
#[pyclass(frozen, module = "stayline", weakref)]
pub struct Link {
    execution_id: Arc<str>,
    inner: Arc<Owned<Inner>>,
}

impl Link {
    /// A link that was accepted.
    pub fn new(session: HandleRef, link: Core) -> Link {
        let bell = Bell::new();
        link.set_waker(Some(Arc::clone(&bell) as Arc<dyn stayline::wake::Wake>));
        let execution_id = Arc::clone(link.execution_id());
        Link { execution_id, inner: Arc::new(Owned::new(Inner { link, bell, session })) }
    }
}

impl Inner {
    /// Waits for back-pressure to end, without the interpreter lock.
    fn wait_for_room(&self, py: Python<'_>) -> Result<()> {
        if self.link.is_congested() {
            let free = || Ok((!self.link.is_congested()).then_some(()));
            self.bell.wait(py, None, Some(Duration::from_millis(50)), free)?;
        }
        Ok(())
    }
}

#[pymethods]
impl Link {
    /// The execution it belongs to.
    #[getter]
    fn execution_id(&self) -> &str {
        &self.execution_id
    }

    /// Whether it speaks the acknowledged mode (R45).
    #[getter]
    fn acknowledged(&self) -> Result<bool> {
        Ok(self.inner.get()?.link.is_acknowledged())
    }

    /// Hands one frame over: `str` for a text frame, `bytes` for a binary one (which is refused,
    /// R28). Waits only for back-pressure; a frame that is refused is answered on the link and
    /// raises nothing. Raises `Closed` once the coordinator is closed.
    fn receive(&self, py: Python<'_>, frame: &Bound<'_, PyAny>) -> Result<()> {
        let inner = self.inner.get()?;
        inner.wait_for_room(py)?;
        if let Ok(frame) = frame.cast::<PyString>() {
            let frame = frame.as_any().extract::<Given<&str>>()?.0;
            // There is room: it does not wait again while it holds the interpreter lock.
            return guarded(|| inner.link.submit(&[frame]));
        }
        let frame = frame.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes().len();
        guarded(|| inner.link.receive_binary(frame))
    }

    /// Hands many text frames over in one step. Waits only for back-pressure.
    fn receive_many(&self, py: Python<'_>, frames: Given<Vec<String>>) -> Result<()> {
        let inner = self.inner.get()?;
        inner.wait_for_room(py)?;
        guarded(|| inner.link.submit(&frames.0))
    }

    /// For `stayline.aio`: hands frames over unless the link is congested; whether it did.
    fn _try_receive(&self, frames: Given<Vec<String>>) -> Result<bool> {
        let inner = self.inner.get()?;
        let free = !inner.link.is_congested();
        if free {
            guarded(|| inner.link.submit(&frames.0))?;
        }
        Ok(free)
    }

    /// For `stayline.aio`: the same for a binary frame of this size.
    fn _try_receive_binary(&self, bytes: usize) -> Result<bool> {
        let inner = self.inner.get()?;
        let free = !inner.link.is_congested();
        if free {
            guarded(|| inner.link.receive_binary(bytes))?;
        }
        Ok(free)
    }

    /// For `stayline.aio`: a place to wait for outputs, room and the end.
    fn _waiting(&self) -> Result<Waiting> {
        Waiting::at(&self.inner.get()?.bell)
    }

    /// Whether the next `receive` would wait: stop reading from the socket meanwhile.
    #[getter]
    fn congested(&self) -> Result<bool> {
        Ok(self.inner.get()?.link.is_congested())
    }

    /// Says that the socket is gone, by whomever, with its close code; starts the grace of the
    /// execution when this was its last link (R20). Twice is fine.
    #[pyo3(
        signature = (code = 1006, reason = Said::nothing()),
        text_signature = "($self, code=1006, reason='')"
    )]
    fn closed(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = given::taken)] code: u16,
        reason: Said,
    ) -> Result<()> {
        let inner = self.inner.get()?;
        let home = inner.session.get()?.home()?;
        home.run(py, || inner.link.closed(code, &reason.0))
    }

    /// What is to be written to the socket: `Send(text)`, in the end one `Close(code, reason)`.
    /// Waits up to `timeout` seconds for each; the iteration ends quietly when nothing came.
    #[pyo3(signature = (timeout = None))]
    fn outgoing(&self, timeout: Option<Seconds>) -> Result<Outgoing> {
        self.inner.get()?;
        Ok(Outgoing { inner: Arc::clone(&self.inner), timeout: timeout.unwrap_or_default() })
    }

    /// The next output without waiting; `None`: nothing now. When there is nothing, `fileno()` is
    /// made unreadable, unless there will be no more: see `finished`.
    fn try_output(&self, py: Python<'_>) -> Result<Option<Py<PyAny>>> {
        let inner = self.inner.get()?;
        let taken = inner.bell.take(|| output(inner))?;
        taken.flatten().map(|taken| python(py, taken)).transpose()
    }

    /// Whether there will be no more outputs: the final `Close` was taken, or `closed` called.
    #[getter]
    fn finished(&self) -> Result<bool> {
        Ok(self.inner.get()?.link.is_finished())
    }

    /// A descriptor for event loops: readable from an output until a take finds nothing, and for
    /// ever once `finished`.
    fn fileno(&self) -> Result<RawFd> {
        self.inner.get()?.bell.fileno()
    }

    /// How the link was closed, as `Close(code, reason)`; `None` while it is open.
    #[getter]
    fn close_state(&self) -> Result<Option<Close>> {
        let state = self.inner.get()?.link.close_state();
        Ok(state.map(|(code, reason)| Close { code, reason }))
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// Leaving closes the link if nobody has: 1000, or 1006 with an exception.
    #[pyo3(signature = (kind, _error, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> Result<()> {
        let Some(inner) = self.inner.peek() else { return Ok(()) };
        let code = if kind.is_none() { 1000 } else { 1006 };
        match released(py, || inner.link.closed(code, "")) {
            Err(crate::error::Failure::Core(Error::Closed { .. })) => Ok(()),
            other => other,
        }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = match self.inner.peek().map(|inner| inner.link.close_state()) {
            None => "of another process".to_owned(),
            Some(None) => "open".to_owned(),
            Some(Some((code, reason))) => format!("closed {code} {}", text::quoted(py, &reason)),
        };
        format!("<stayline.Link to {}, {state}>", text::quoted(py, &self.execution_id))
    }
}

/// The outputs of a link as an iterator; see `Link.outgoing`.
#[pyclass(frozen, module = "stayline")]
pub struct Outgoing {
    inner: Arc<Owned<Inner>>,
    timeout: Seconds,
}

#[pymethods]
impl Outgoing {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Result<Option<Py<PyAny>>> {
        let inner = self.inner.get()?;
        let taken = inner.bell.wait(py, self.timeout.0, None, || output(inner))?;
        taken.flatten().map(|taken| python(py, taken)).transpose()
    }
}

/// The next output; `Some(None)`: there will be no more.
fn output(inner: &Inner) -> Result<Option<Option<Output>>> {
    let output = guarded(|| Ok(inner.link.try_output()))?;
    Ok(if output.is_none() && !inner.link.is_finished() { None } else { Some(output) })
}

fn python(py: Python<'_>, output: Output) -> Result<Py<PyAny>> {
    Ok(match output {
        Output::Send(text) => Py::new(py, Send { text: text.to_string() })?.into_any(),
        Output::Close { code, reason } => Py::new(py, Close { code, reason })?.into_any(),
    })
}
