//! `Coordinator`: the side that owns sessions.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use stayline::coordinator::{Clock, Coordinator as Core, Options};
use stayline::lock::Mutex;
use stayline::net::server::{ServerOptions, ServerTls};
use stayline::session::records::Status;
use stayline::settings::Millis;
use stayline::store::faults::{Faults, Outcome};
use stayline::{Error, Settings as CoreSettings};

use crate::clock::ManualClock;
use crate::error::{Failure, Result};
use crate::home::{Home, HomeRef};
use crate::log;
use crate::notification::{Notification, Notifications};
use crate::process::Owned;
use crate::server::{self, Server};
use crate::session::{Session, SessionInfo};
use crate::settings::Settings;
use crate::text;
use crate::time::Seconds;
use crate::wait::released;

/// Owns sessions: status, event log, deadlines, subscribers::
///
///     with stayline.Coordinator("sqlite:runs.db") as coordinator:
///         session = coordinator.session("user_1:agent_1")
///
/// `location` is `memory:` (gone at the end of the process) or `sqlite:PATH`. One coordinator owns
/// a file; a second one gets `StoreInUse`, but may read with `read_only=True`. `settings` are the
/// defaults unless given; `clock` is a `ManualClock` in tests. Use it as a context manager: leaving
/// closes it in order. What was running when the process went down runs on (R23).
///
/// Raises `StoreInUse`, `StoreFormat` for a file of a newer version or another program,
/// `StoreError` where it cannot be made or read, `InvalidArgument` for another kind of location;
/// with `read_only`, `NotFound` when no file is there.
#[pyclass(frozen, module = "stayline", weakref)]
pub struct Coordinator {
    home: HomeRef,
}

#[pymethods]
impl Coordinator {
    #[new]
    #[pyo3(signature = (location, *, settings = None, clock = None, read_only = false, _faults = false))]
    fn new(
        py: Python<'_>,
        location: String,
        settings: Option<Settings>,
        clock: Option<PyRef<'_, ManualClock>>,
        read_only: bool,
        _faults: bool,
    ) -> Result<Coordinator> {
        log::start(py)?;
        let settings: CoreSettings = settings.unwrap_or_default().core;
        let faults = _faults.then(Faults::default);
        let coordinator = if read_only {
            if clock.is_some() || _faults {
                return Err(Error::invalid("read_only takes neither a clock nor faults").into());
            }
            released(py, || Core::open_read_only(&location, settings))?
        } else {
            let clock = match clock {
                Some(clock) => Clock::Manual(clock.core.get()?.clone()),
                None => Clock::System,
            };
            let options = Options { settings, clock, faults: faults.clone() };
            released(py, || Core::open(&location, options))?
        };
        let immediate = coordinator.is_immediate();
        let servers = Mutex::default();
        let home = Home { coordinator, location, immediate, faults, servers };
        Ok(Coordinator { home: Arc::new(Owned::new(home)) })
    }

    /// What it was opened with: `memory:` or `sqlite:PATH`.
    #[getter]
    fn location(&self) -> Result<&str> {
        Ok(&self.home.get()?.location)
    }

    /// Its settings, frozen.
    #[getter]
    fn settings(&self) -> Result<Settings> {
        Ok(Settings { core: self.home.get()?.coordinator.settings().clone() })
    }

    /// Whether it was opened with `read_only=True`: it only reads, beside an owner or without one.
    #[getter]
    fn read_only(&self) -> Result<bool> {
        Ok(self.home.get()?.coordinator.is_read_only())
    }

    /// The coordinator's time in ms since the Unix epoch; it never goes back (R18c).
    #[getter]
    fn now_ms(&self) -> Result<Millis> {
        Ok(self.home.get()?.coordinator.now())
    }

    /// A handle on a session; creates nothing, and asks nobody (R19a). `session_id` is any text of
    /// at most `max_id_bytes` without control characters; otherwise `InvalidArgument`.
    fn session(&self, session_id: &str) -> Result<Session> {
        let session = self.home.get()?.coordinator.session(session_id)?;
        Ok(Session::new(Arc::clone(&self.home), session))
    }

    /// What is known about the sessions, at most `limit`, the one with the newest activity first.
    #[pyo3(signature = (*, limit = 100))]
    fn sessions(&self, py: Python<'_>, limit: usize) -> Result<Vec<SessionInfo>> {
        let home = self.home.get()?;
        let found = home.run(py, || home.coordinator.sessions(limit))?;
        found.into_iter().map(|summary| SessionInfo::of(&self.home, summary)).collect()
    }

    /// Takes notifications as they come (R39), waiting up to `timeout` seconds for each; the
    /// iteration ends when nothing came in that time. Acknowledge each, or it comes again.
    #[pyo3(signature = (timeout = None))]
    fn notifications(&self, timeout: Option<Seconds>) -> Result<Notifications> {
        Notifications::new(Arc::clone(&self.home), timeout.unwrap_or_default())
    }

    /// Notifications that are not acknowledged, whether waiting, leased or parked; takes none. With
    /// `parked_only` those whose deliveries are used up (R39).
    #[pyo3(signature = (*, parked_only = false))]
    fn pending_notifications(
        &self,
        py: Python<'_>,
        parked_only: bool,
    ) -> Result<Vec<Notification>> {
        let home = self.home.get()?;
        let found = home.run(py, || home.coordinator.notifications(parked_only))?;
        Ok(found.into_iter().map(|record| Notification::new(&self.home, record)).collect())
    }

    /// Serves wrappers and subscribers on `address` (`host:port`; port 0: any free one).
    ///
    /// Anything but loopback needs a `key`. `authorize(session_id, execution_id, bearer) -> bool`
    /// decides about wrappers instead of the execution's token; it runs on a Python thread, and
    /// one that raises, or takes longer than ten seconds, denies. `allowed_origins` are those of
    /// web pages that may connect (`*`: all); `base_path` stands before `/sessions` in every path.
    ///
    /// With `tls_certificate` and `tls_key`, the paths of two PEM files, it serves `https://` and
    /// `wss://`, and nothing without TLS: the certificate followed by those that lead to its
    /// authority's, and its private key without a passphrase. They are read once, here.
    ///
    /// Returns at once, with the server running. Raises `InvalidArgument` for an address that
    /// cannot be bound, or that needs a key, and for a certificate or key that cannot be used.
    #[pyo3(signature = (address = "127.0.0.1:0", *, key = None, allowed_origins = None, authorize = None, base_path = "", tls_certificate = None, tls_key = None))]
    #[allow(clippy::too_many_arguments)] // keyword arguments in Python
    fn serve(
        &self,
        py: Python<'_>,
        address: &str,
        key: Option<String>,
        allowed_origins: Option<Vec<String>>,
        authorize: Option<Bound<'_, PyAny>>,
        base_path: &str,
        tls_certificate: Option<PathBuf>,
        tls_key: Option<PathBuf>,
    ) -> Result<Server> {
        let tls = match (tls_certificate, tls_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(ServerTls::from_files(certificate, key)?),
            (Some(_), None) => return Err(Error::invalid("tls_certificate needs tls_key").into()),
            (None, Some(_)) => return Err(Error::invalid("tls_key needs tls_certificate").into()),
        };
        let allowed_origins = allowed_origins.unwrap_or_default();
        let base_path = base_path.to_owned();
        let options = ServerOptions { key, allowed_origins, base_path, authorize: None, tls };
        server::serve(py, &self.home, address, options, authorize)
    }

    /// A signed ticket for the stream of the session `session_id`, for browsers and others that
    /// shall not have the key. Good for `ttl` seconds (a number or a `timedelta`; default 60).
    #[pyo3(signature = (session_id, *, ttl = None))]
    fn issue_ticket(&self, session_id: &str, ttl: Option<Seconds>) -> Result<String> {
        let ttl_ms = ttl.map_or(Ok(60_000), Seconds::finite_millis)?;
        Ok(self.home.get()?.coordinator.issue_ticket(session_id, ttl_ms)?)
    }

    /// Checks a ticket of `issue_ticket`, for hosts with their own sockets: raises `Unauthorized`
    /// for one that is wrong, expired, or not for the session `session_id`.
    fn verify_ticket(&self, session_id: &str, ticket: &str) -> Result<()> {
        Ok(self.home.get()?.coordinator.verify_ticket(session_id, ticket)?)
    }

    /// What was done since it was opened and what it holds now, as the text that Prometheus reads
    /// (format 0.0.4): what the built-in server answers at `/metrics`, for hosts with a server of
    /// their own. Reads memory only. Raises `Closed`.
    fn metrics(&self) -> Result<String> {
        Ok(self.home.get()?.coordinator.metrics()?.exposition())
    }

    /// Closes in order: what was handed over is committed, links get close 1012, waiters get
    /// `Closed`, the store is released. Runs are not ended: whoever opens the store next goes on
    /// with them (R23). Twice is fine.
    fn close(&self, py: Python<'_>) -> Result<()> {
        let home = self.home.get()?;
        released(py, || {
            home.close();
            Ok(())
        })
    }

    fn __enter__(slf: PyRef<'_, Self>) -> Result<PyRef<'_, Self>> {
        slf.home.get()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> Result<()> {
        // In a forked child the block belongs to the parent.
        if self.home.peek().is_some() { self.close(py) } else { Ok(()) }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        match self.home.peek() {
            Some(home) => format!("<stayline.Coordinator {}>", text::quoted(py, &home.location)),
            None => "<stayline.Coordinator of another process>".to_owned(),
        }
    }

    /// Test hook: the next wake-up in ms, lease expiry aside; `None`: there is none.
    fn _next_deadline(&self) -> Result<Option<Millis>> {
        Ok(self.home.get()?.coordinator.next_deadline()?)
    }

    /// Test hook: handles what is due now, with a `ManualClock` that was moved by `set`.
    fn _handle_due(&self, py: Python<'_>) -> Result<()> {
        let home = self.home.get()?;
        released(py, || {
            home.coordinator.handle_due();
            Ok(())
        })
    }

    /// Test hook: goes away as a crash would; nothing is flushed and nobody is told.
    fn _abandon(&self, py: Python<'_>) -> Result<()> {
        let home = self.home.get()?;
        released(py, || {
            home.coordinator.abandon();
            Ok(())
        })
    }

    /// Test hook, with `_faults=True`: the next commit reports failure. `"lost"`: nothing of it
    /// is kept; `"unknown_kept"`: it was kept all the same; `"unknown_lost"`: it was not.
    fn _fail_next_commit(&self, outcome: &str) -> Result<()> {
        let faults = self.home.get()?.faults.as_ref();
        let faults =
            faults.ok_or_else(|| Error::invalid("open the coordinator with _faults=True"))?;
        fail_next_commit(faults, outcome)
    }
}

fn fail_next_commit(faults: &Faults, outcome: &str) -> Result<()> {
    let outcome = match outcome {
        "lost" => Outcome::Lost,
        "unknown_kept" => Outcome::UnknownKept,
        "unknown_lost" => Outcome::UnknownLost,
        _ => {
            return Err(Error::invalid(format!("no such outcome of a commit: {outcome:?}")).into());
        }
    };
    faults.fail_next_commit(outcome);
    Ok(())
}

/// Reads a status by its name.
pub fn status(name: &str) -> std::result::Result<Status, Failure> {
    Status::parse(name).ok_or_else(|| Error::invalid(format!("no such status: {name:?}")).into())
}
