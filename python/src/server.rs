//! `Server`: the built-in WebSocket and REST server of a coordinator.

use std::sync::Arc;

use pyo3::prelude::*;
use stayline::net::server::{Server as Core, ServerOptions, serve as core_serve};

use crate::authorize::{Desk, Questions};
use crate::error::Result;
use crate::exit::Inside;
use crate::home::HomeRef;
use crate::import;
use crate::process::Owned;
use crate::wait::released;

/// A server that runs, and the desk of its `authorize` hook.
pub struct Running {
    core: Core,
    desk: Option<Arc<Desk>>,
}

impl Running {
    /// Closes it: the last frames go out, nothing is lost. Idempotent.
    pub fn close(&self) {
        // First, so that no handshake waits for an answer while the server waits for it.
        if let Some(desk) = &self.desk {
            desk.stop();
        }
        self.core.close();
    }
}

/// A running server. It runs until it, or its coordinator, is closed.
#[pyclass(frozen, module = "stayline", weakref)]
pub struct Server {
    url: String,
    address: String,
    running: Owned<Arc<Running>>,
    home: HomeRef,
}

/// Starts one.
pub fn serve(
    py: Python<'_>,
    home: &HomeRef,
    address: &str,
    mut options: ServerOptions,
    authorize: Option<Bound<'_, PyAny>>,
) -> Result<Server> {
    let desk = authorize.as_ref().map(|_| Arc::new(Desk::default()));
    if let Some(desk) = &desk {
        let desk = Arc::clone(desk);
        options.authorize =
            Some(Arc::new(move |session, execution, bearer| desk.ask(session, execution, bearer)));
    }
    let opened = home.get()?;
    let core = released(py, || core_serve(opened.coordinator.clone(), address, options))?;
    let running = Arc::new(Running { core, desk: desk.clone() });
    opened.servers.lock().push(Arc::clone(&running));
    if let (Some(desk), Some(authorize)) = (desk, authorize) {
        let questions = Py::new(py, Questions::new(desk))?;
        let _inside = Inside::calling(py);
        import::module(py, "stayline._threads")?
            .call_method1("start_authorize", (questions, authorize))?;
    }
    Ok(Server {
        url: running.core.url().to_string(),
        address: running.core.address().to_string(),
        running: Owned::new(running),
        home: Arc::clone(home),
    })
}

#[pymethods]
impl Server {
    /// The base URL for wrappers and subscribers: `http://host:port`, with TLS `https://`, and the
    /// base path if one was given. A host that was given by its name keeps it with TLS, since
    /// certificates are for names.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// The address it listens on, `host:port`.
    #[getter]
    fn address(&self) -> &str {
        &self.address
    }

    /// Stops accepting, closes the links with 1012 after taking what their wrappers had sent, and
    /// waits for them at most five seconds; what they had sent is stored when it returns, however
    /// long the disk takes. The coordinator goes on. Twice is fine.
    fn close(&self, py: Python<'_>) -> Result<()> {
        let running = self.running.get()?;
        self.home.get()?.servers.lock().retain(|other| !Arc::ptr_eq(other, running));
        released(py, || {
            running.close();
            Ok(())
        })
    }

    /// Reads the certificate and its key anew from their files; new connections get them. A server
    /// looks every minute by itself whether they have changed. Raises `InvalidArgument` for what
    /// cannot be used, and what was served before goes on; and where there is no TLS.
    fn reload_tls(&self, py: Python<'_>) -> Result<()> {
        let running = self.running.get()?;
        released(py, || running.core.reload_tls())
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> Result<()> {
        if self.running.peek().is_some() { self.close(py) } else { Ok(()) }
    }

    fn __repr__(&self) -> String {
        format!("<stayline.Server at {}>", self.url)
    }
}
