//! What every object of one coordinator shares, so that any of them keeps it alive.

use std::sync::Arc;

use pyo3::prelude::*;
use stayline::Error;
use stayline::coordinator::Coordinator;
use stayline::lock::Mutex;
use stayline::store::faults::Faults;

use crate::error::{Result, guarded};
use crate::process::Owned;
use crate::server::Running;
use crate::wait::released;

/// A coordinator with what the module needs to know about it.
pub struct Home {
    /// The core's handle.
    pub coordinator: Coordinator,
    /// What it was opened with.
    pub location: String,
    /// Whether commands reach no disk, so that the interpreter lock is kept during them.
    pub immediate: bool,
    /// Fails commits on request, in tests.
    pub faults: Option<Faults>,
    /// Its servers. They run until closed, whether or not somebody holds on to them.
    pub servers: Mutex<Vec<Arc<Running>>>,
}

/// A reference to it, of one process.
pub type HomeRef = Arc<Owned<Home>>;

impl Home {
    /// Runs a command: without the interpreter lock where it may wait for a disk.
    pub fn run<T: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce() -> std::result::Result<T, Error> + Send,
    ) -> Result<T> {
        if self.immediate { guarded(call) } else { released(py, call) }
    }

    /// Whether somebody owns the store: this coordinator, or, for one that only reads, another.
    pub fn is_owned(&self, py: Python<'_>) -> Result<bool> {
        if !self.coordinator.is_read_only() {
            return Ok(true);
        }
        Ok(self.run(py, || self.coordinator.store_owner())?.is_some())
    }

    /// Closes the servers, then the coordinator. Idempotent.
    pub fn close(&self) {
        let servers = std::mem::take(&mut *self.servers.lock());
        for server in servers {
            server.close();
        }
        self.coordinator.close();
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Closing may wait for threads and a disk. Late in the interpreter's shutdown there is no
        // lock to give back, and nobody to tell about a failure.
        let close = || {
            self.close();
            Ok(())
        };
        if Python::try_attach(|py| released(py, close)).is_none() {
            self.close();
        }
    }
}
