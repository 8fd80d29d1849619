//! What every object of one coordinator shares, so that any of them keeps it alive.

use std::sync::{Arc, Weak};

use stayline::coordinator::Coordinator;
use stayline::pool::Pool;
use stayline::store::faults::Faults;

use crate::bell::Bell;
use crate::server::Running;
use stayline::lock::Mutex;

/// A coordinator with what this library needs to know about it.
pub(crate) struct Home {
    /// The core's handle.
    pub(crate) coordinator: Coordinator,
    /// What it was opened with.
    pub(crate) location: String,
    /// Fails commits on request, in tests; `None` for one that only reads.
    pub(crate) faults: Option<Faults>,
    /// Rung when there may be a notification.
    pub(crate) notified: Arc<Bell>,
    /// Threads for attaches that nobody waits for.
    pub(crate) attaches: Pool,
    /// Its servers, for closing; `None` once it is closed.
    pub(crate) servers: Mutex<Option<Vec<Weak<Running>>>>,
}

/// The most threads for attaches, each of which waits for a commit.
pub(crate) const ATTACHES: usize = 8;

impl Home {
    /// Closes the servers, then the coordinator, and waits for the threads. Idempotent.
    pub(crate) fn close(&self) {
        let servers = self.servers.lock().take().unwrap_or_default();
        for server in servers.iter().filter_map(Weak::upgrade) {
            server.close();
        }
        self.coordinator.close();
        self.attaches.close();
        stayline::wake::Wake::wake(&*self.notified);
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.attaches.close();
    }
}
