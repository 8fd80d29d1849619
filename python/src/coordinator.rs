//! `Coordinator`: the side that owns sessions.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
use crate::given::{self, Given, Secret};
use crate::home::{Home, HomeRef};
use crate::log;
use crate::notification::{Notification, Notifications};
use crate::process::Owned;
use crate::server::{self, Server};
use crate::session::Session;
use crate::session_info::SessionInfo;
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
        location: Given<String>,
        settings: Option<Settings>,
        clock: Option<PyRef<'_, ManualClock>>,
        read_only: bool,
        _faults: bool,
    ) -> Result<Coordinator> {
        log::start(py)?;
        let location = location.0;
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
    fn session(&self, session_id: Given<&str>) -> Result<Session> {
        let session = self.home.get()?.coordinator.session(session_id.0)?;
        Ok(Session::new(Arc::clone(&self.home), session))
    }

    /// What is known about the sessions, at most `limit`, the one with the newest activity first.
    #[pyo3(signature = (*, limit = 100))]
    fn sessions(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = given::taken)] limit: usize,
    ) -> Result<Vec<SessionInfo>> {
        let home = self.home.get()?;
        let found = home.run(py, || home.coordinator.sessions(limit))?;
        found.into_iter().map(|summary| SessionInfo::of(py, &self.home, summary)).collect()
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
    /// Anything but loopback needs a `key`. `authorize(session_id, execution_id, bearer)` decides
    /// about wrappers instead of the execution's token: `True`, `False` (final: the wrapper stops)
    /// or `None`: not known now, it tries again (R25). It runs on Python threads, up to eight at a
    /// time; one that raises, says something else, or takes longer than `authorize_timeout_ms`, has
    /// said `None`.
    /// `allowed_origins` are those of web pages that may connect (`*`: all, which needs a key);
    /// `base_path` stands before `/sessions` in every path.
    ///
    /// With `tls_certificate` and `tls_key`, the paths of two PEM files, it serves `https://` and
    /// `wss://`, and nothing without TLS: the certificate followed by those that lead to its
    /// authority's, and its private key without a passphrase. Where the files
    /// change, new connections get the new certificate within a minute.
    ///
    /// What peers may take is bounded (`docs/rest.md`): `max_sockets` at the same time (10 000), of
    /// them `max_unauthenticated_sockets` that were let in to nothing yet (256; 503 beyond),
    /// `max_requests` under way of each kind (256; 429 beyond), `max_body_bytes` a request (2 MiB;
    /// 413 beyond). `workers` threads drive the sockets (2, at most 64).
    ///
    /// Returns at once, with the server running. Raises `InvalidArgument` for an address that
    /// cannot be bound, or that needs a key, for a certificate or key that cannot be used, and for
    /// a number that is out of its range.
    #[pyo3(
        signature = (address = Given("127.0.0.1:0"), *, key = None, allowed_origins = None, authorize = None, base_path = Given(""), tls_certificate = None, tls_key = None, max_sockets = None, max_unauthenticated_sockets = None, max_requests = None, max_body_bytes = None, workers = None),
        text_signature = "($self, address='127.0.0.1:0', *, key=None, allowed_origins=None, authorize=None, base_path='', tls_certificate=None, tls_key=None, max_sockets=None, max_unauthenticated_sockets=None, max_requests=None, max_body_bytes=None, workers=None)"
    )]
    #[allow(clippy::too_many_arguments)] // keyword arguments in Python
    fn serve(
        &self,
        py: Python<'_>,
        address: Given<&str>,
        key: Option<Secret>,
        allowed_origins: Option<Given<Vec<String>>>,
        authorize: Option<Bound<'_, PyAny>>,
        base_path: Given<&str>,
        tls_certificate: Option<Given<PathBuf>>,
        tls_key: Option<Given<PathBuf>>,
        max_sockets: Option<Given<usize>>,
        max_unauthenticated_sockets: Option<Given<usize>>,
        max_requests: Option<Given<usize>>,
        max_body_bytes: Option<Given<usize>>,
        workers: Option<Given<usize>>,
    ) -> Result<Server> {
        let tls = match (tls_certificate, tls_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(ServerTls::from_files(certificate.0, key.0)?),
            (Some(_), None) => return Err(Error::invalid("tls_certificate needs tls_key").into()),
            (None, Some(_)) => return Err(Error::invalid("tls_key needs tls_certificate").into()),
        };
        let key = key.map(|key| key.0);
        let allowed_origins = allowed_origins.map(|origins| origins.0).unwrap_or_default();
        let base_path = base_path.0.to_owned();
        let mut options =
            ServerOptions { key, allowed_origins, base_path, tls, ..ServerOptions::default() };
        for (given, option) in [
            (max_sockets, &mut options.limits.max_sockets),
            (max_unauthenticated_sockets, &mut options.limits.max_unauthenticated_sockets),
            (max_requests, &mut options.limits.max_requests),
            (max_body_bytes, &mut options.limits.max_body_bytes),
            (workers, &mut options.workers),
        ] {
            if let Some(Given(number)) = given {
                *option = number;
            }
        }
        server::serve(py, &self.home, address.0, options, authorize)
    }

    /// A signed ticket for the stream of the session `session_id`, for browsers and others that
    /// shall not have the key. Good for `ttl` seconds (a number or a `timedelta`; default 60), also
    /// after a restart, where the store is a file; not for a session of that name that is made
    /// after this one was deleted. Raises `NotFound` for a session that is not there.
    #[pyo3(signature = (session_id, *, ttl = None))]
    fn issue_ticket(
        &self,
        py: Python<'_>,
        session_id: Given<&str>,
        ttl: Option<Seconds>,
    ) -> Result<String> {
        let ttl_ms = ttl.map_or(Ok(60_000), Seconds::finite_millis)?;
        let home = self.home.get()?;
        home.run(py, || home.coordinator.issue_ticket(session_id.0, ttl_ms))
    }

    /// Checks a ticket of `issue_ticket`, for hosts with their own sockets: raises `Unauthorized`
    /// for one that is wrong, expired, or not for the session `session_id`, and `StoreError` where
    /// that cannot be told now.
    fn verify_ticket(&self, py: Python<'_>, session_id: Given<&str>, ticket: Secret) -> Result<()> {
        let home = self.home.get()?;
        home.run(py, || home.coordinator.verify_ticket(session_id.0, &ticket.0))
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

    /// For the command line: whether somebody owns the store; this one, or, where it only reads,
    /// another that is alive.
    fn _is_owned(&self, py: Python<'_>) -> Result<bool> {
        self.home.get()?.is_owned(py)
    }

    /// Test hook: the next wake-up in ms, lease expiry aside; `None`: there is none.
    fn _next_deadline(&self, py: Python<'_>) -> Result<Option<Millis>> {
        let home = self.home.get()?;
        home.run(py, || home.coordinator.next_deadline())
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

    /// Test hook, with `_faults=True`: from now on every read of the store takes so many seconds
    /// longer.
    fn _slow_reads(&self, seconds: f64) -> Result<()> {
        let delay = Duration::try_from_secs_f64(seconds);
        self.faults()?.slow_reads(delay.map_err(|error| Error::invalid(error.to_string()))?);
        Ok(())
    }

    /// Test hook, with `_faults=True`: from now on every commit takes so many seconds longer.
    fn _slow_commits(&self, seconds: f64) -> Result<()> {
        let delay = Duration::try_from_secs_f64(seconds);
        self.faults()?.slow_commits(delay.map_err(|error| Error::invalid(error.to_string()))?);
        Ok(())
    }

    /// Test hook, with `_faults=True`: the next commit reports failure. `"lost"`: nothing of it
    /// is kept; `"unknown_kept"`: it was kept all the same; `"unknown_lost"`: it was not.
    fn _fail_next_commit(&self, outcome: &str) -> Result<()> {
        fail_next_commit(self.faults()?, outcome)
    }
}

impl Coordinator {
    fn faults(&self) -> Result<&Faults> {
        let faults = self.home.get()?.faults.as_ref();
        Ok(faults.ok_or_else(|| Error::invalid("open the coordinator with _faults=True"))?)
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
