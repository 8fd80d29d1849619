//! The coordinator: many sessions over one store.
//!
//! It takes commands, applies them to working copies of the pure [`crate::session::Session`],
//! writes all their changes in one commit, and only then shows them and lets their effects out
//! (R27). It keeps time, so that every deadline is met (R18), and it serves readers from the past
//! into the present (R35).
//!
//! ```
//! use stayline::coordinator::{AttachOptions, Coordinator, Credential, Options, StartOptions};
//!
//! let coordinator = Coordinator::open("memory:", Options::default())?;
//! let session = coordinator.session("user_1:agent_1")?;
//! let started = session.start(StartOptions::default())?;
//! let link = session.attach(AttachOptions {
//!     execution_id: started.execution_id.to_string(),
//!     credential: Credential::Token(Some(started.token.to_string())),
//!     acknowledged: false,
//!     producer: None,
//!     attempt: None,
//! })?;
//! link.receive(r#"{"streamEventType":"complete","data":{"exitCode":0}}"#)?;
//! let ended = session.wait(&started.execution_id, None)?;
//! assert_eq!(ended.record.status.as_str(), "completed");
//! # Ok::<(), stayline::Error>(())
//! ```
//!
//! Where things are: `shared` (what all handles share), `lead` (the queue and who leads), `turns` (the engine's lock), `engine` (the commit loop), `outcome` (how a
//! commit went), `aside` (sessions that the store does not take), `release` (what a kept commit lets out), `working` (one session during one step), `due` (deadlines), `owed` (recovery and
//! lost time), `entry` and `record` (what readers share), `readers` (those of the store),
//! `subscription`, `follow` (one execution in memory), `link`, `session` (the handle), `notifications`, `clock`, `ticket`, `ids`,
//! `metrics` and `exposition` (their text).

mod aside;
mod clock;
mod due;
mod engine;
mod entry;
mod exposition;
mod follow;
mod ids;
mod lead;
mod link;
mod metrics;
mod notifications;
mod notified;
mod outcome;
mod owed;
mod readers;
mod record;
mod release;
mod request;
mod session;
mod shared;
mod signal;
mod subscription;
mod ticket;
mod turns;
mod working;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::lock::Mutex;

pub use self::clock::{Clock, ManualClock};
pub use self::exposition::EXPOSITION_TYPE;
pub use self::follow::Follower;
pub use self::link::{Link, Output};
pub use self::metrics::{BATCH_BOUNDS, HistogramView, LATENCY_BOUNDS_US, Metrics};
pub use self::record::Record;
pub use self::session::{
    AttachOptions, AttachRefusal, Credential, ExecutionView, FailOptions, Session, SessionView,
    StartOptions, Started, Watch,
};
pub use self::subscription::{Next, SubscribeOptions, Subscription};
pub use crate::session::{Health, InterruptGrace, Verdict};
use crate::store::Owner as StoreOwner;

use self::clock::TimeSource;
use self::engine::Engine;
use self::notifications::NotificationCommand;
use self::readers::Purpose;
use self::request::{Answer, Work};
use self::shared::Shared;
use crate::session::records::{ExecutionRecord, NotificationRecord};
use crate::settings::Millis;
use crate::store::faults::{Faults, FaultyStore};
use crate::store::{Listed, Part, SessionSummary, Store};
use crate::wake::Wake;
use crate::{Error, Settings, threads};

/// How to open a coordinator.
#[derive(Clone, Default)]
pub struct Options {
    /// Every bound and delay.
    pub settings: Settings,
    /// Where time comes from.
    pub clock: Clock,
    /// For tests: makes the store fail on request.
    pub faults: Option<Faults>,
}

/// A handle; clones share one coordinator, and any thread may use it. It is closed by
/// [`Coordinator::close`], or when the last clone goes.
#[derive(Clone)]
pub struct Coordinator {
    shared: Arc<Shared>,
    owner: Arc<Owner>,
}

/// Closes the coordinator when the last handle goes, and ends its thread.
struct Owner {
    shared: Arc<Shared>,
    driver: Mutex<Option<JoinHandle<()>>>,
    is_read_only: bool,
}

impl Coordinator {
    /// Opens `memory:` or `sqlite:PATH`, and recovers what was active (R23). Of many active
    /// executions the others are recovered in steps after it has returned, and each before
    /// anybody sees it; with a manual clock all of it has happened when it returns.
    ///
    /// Errors: `InvalidSettings` (R24), `InvalidArgument` for another location, `StoreInUse`,
    /// `StoreFormat`, `StoreError`.
    pub fn open(location: &str, options: Options) -> Result<Coordinator, Error> {
        options.settings.check()?;
        let now = match &options.clock {
            Clock::System => Millis::MIN,
            Clock::Manual(clock) => clock.now(),
        };
        let opened_at = if now == Millis::MIN { clock::wall_ms() } else { now };
        let store = crate::store::open(location, &options.settings, opened_at)?;
        Coordinator::with_store(store, options)
    }

    /// [`Coordinator::open`] over a store of the host's own.
    pub fn with_store(store: Box<dyn Store>, options: Options) -> Result<Coordinator, Error> {
        options.settings.check()?;
        let is_immediate = store.is_immediate();
        let mut store = match options.faults {
            Some(faults) => Box::new(FaultyStore::new(store, faults)),
            None => store,
        };
        let readers = store.readers();
        let newest = store.newest_time()?.filter(|at| is_moment(*at));
        let secret = store.ticket_secret(&ids::secret())?;
        let settings = Arc::new(options.settings);
        let shared = Arc::new(Shared::new(
            settings.clone(),
            TimeSource::new(&options.clock, newest),
            Engine::new(store, &settings),
            readers,
            is_immediate,
            matches!(options.clock, Clock::System),
            secret,
        ));
        shared.lock_engine().told_until = shared.time.now();
        shared.lock_engine().begin_recovery(&shared, newest)?;
        if let Clock::Manual(_) = options.clock {
            shared.lock_engine().end_recovery(&shared)?;
        }
        let driver = match options.clock {
            Clock::Manual(clock) => {
                clock.register(&shared);
                None
            }
            Clock::System => Some(spawn_driver(&shared)?),
        };
        let owner =
            Owner { shared: shared.clone(), driver: Mutex::new(driver), is_read_only: false };
        Ok(Coordinator { shared, owner: Arc::new(owner) })
    }

    /// Opens a store beside its owner, or without one: getters and `events` work, whatever would
    /// write is `InvalidArgument`. Nothing is recovered and no deadline is acted on.
    pub fn open_read_only(location: &str, settings: Settings) -> Result<Coordinator, Error> {
        settings.check()?;
        let store = crate::store::open_read_only(location)?;
        let readers = store.readers();
        // One of a store that nobody has made tickets with yet opens nothing.
        let secret = store.ticket_secret()?.unwrap_or_else(ids::secret);
        let settings = Arc::new(settings);
        let shared = Arc::new(Shared::new(
            settings.clone(),
            TimeSource::new(&Clock::System, None),
            Engine::read_only(store, &settings),
            readers,
            false,
            false,
            secret,
        ));
        let owner = Owner { shared: shared.clone(), driver: Mutex::new(None), is_read_only: true };
        Ok(Coordinator { shared, owner: Arc::new(owner) })
    }

    /// Whether it was opened with [`Coordinator::open_read_only`].
    pub fn is_read_only(&self) -> bool {
        self.owner.is_read_only
    }

    /// Who owns the store now, for one that only reads; `None` when nobody does: what is running in
    /// it waits for the next owner. An owner itself is told nothing.
    pub fn store_owner(&self) -> Result<Option<StoreOwner>, Error> {
        self.shared.check_open()?;
        Ok(self.shared.lock_engine().store_owner())
    }

    /// A handle on a session; creates nothing (R19a). `InvalidArgument` for an id that is none.
    pub fn session(&self, id: &str) -> Result<Session, Error> {
        Session::new(self.shared.clone(), id)
    }

    /// Sessions, the one with the newest activity first, at most `limit`.
    pub fn sessions(&self, limit: usize) -> Result<Vec<SessionSummary>, Error> {
        Ok(self.list_sessions(Part::first(limit))?.entries)
    }

    /// One part of the sessions, the one with the newest activity first.
    pub fn list_sessions(&self, part: Part) -> Result<Listed<SessionSummary>, Error> {
        // Asked first: what is read may be recovered by others before it is looked at.
        let may_be_behind = self.shared.recovering.load(Ordering::Acquire);
        let found = self.shared.read(Purpose::Read, |reader| reader.sessions(part))?;
        let is_active = |latest: &ExecutionRecord| latest.status.is_active();
        let active = |one: &&SessionSummary| one.latest.as_ref().is_some_and(is_active);
        if !may_be_behind || !found.entries.iter().any(|one| active(&one)) {
            return Ok(found);
        }
        self.shared.recover(found.entries.iter().filter(active).map(|one| &*one.record.id))?;
        self.shared.read(Purpose::Read, |reader| reader.sessions(part))
    }

    /// Whether it still works: `Closed` after its end, `Panic` after a bug of ours.
    pub fn check_open(&self) -> Result<(), Error> {
        self.shared.check_open()
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Its time, ms since the Unix epoch; it never goes back (R18c).
    pub fn now(&self) -> Millis {
        self.shared.time.now()
    }

    /// The next wake-up: the minimum of all pending deadlines, the expiry of leases aside (R18).
    pub fn next_deadline(&self) -> Result<Option<Millis>, Error> {
        self.shared.next_deadline()
    }

    /// Handles what is due now. With the system clock a thread does it by itself.
    pub fn handle_due(&self) {
        self.shared.handle_due();
    }

    /// What it has done since it was opened, and what it holds now. Reads memory only. `Closed`.
    pub fn metrics(&self) -> Result<Metrics, Error> {
        self.shared.check_open()?;
        Ok(metrics::snapshot(&self.shared))
    }

    /// Waits until all that was handed over so far is committed and let out to everybody: readers
    /// see it a moment before links do.
    pub fn settle(&self) {
        self.shared.settle_queue();
    }

    /// Whether a commit costs no I/O, so that calls return at once.
    pub fn is_immediate(&self) -> bool {
        self.shared.is_immediate()
    }

    /// Takes the next notification, which leases it (R39). Waits up to `timeout` (`None`: for
    /// ever; zero: not at all); `Ok(None)` when there is none in time.
    pub fn take_notification(
        &self,
        timeout: Option<Duration>,
    ) -> Result<Option<NotificationRecord>, Error> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let seen = self.shared.notified.count();
            if let Some(taken) = self.notification(NotificationCommand::Take)? {
                return Ok(Some(taken));
            }
            if timeout == Some(Duration::ZERO) || !self.shared.notified.wait(seen, until) {
                return Ok(None);
            }
        }
    }

    /// It is dealt with and will not come again. `NotFound`.
    pub fn acknowledge_notification(&self, id: &str) -> Result<(), Error> {
        self.notification(NotificationCommand::Acknowledge(id.into())).map(|_| ())
    }

    /// It comes again after `retry_in_ms`. `NotFound`.
    pub fn reject_notification(&self, id: &str, retry_in_ms: Millis) -> Result<(), Error> {
        if !(0..=crate::settings::MAX_DURATION_MS).contains(&retry_in_ms) {
            return Err(Error::invalid(format!("retry_in_ms cannot be {retry_in_ms}")));
        }
        self.notification(NotificationCommand::Reject(id.into(), retry_in_ms)).map(|_| ())
    }

    /// Undoes a take whose notification nobody got to see, because whoever had asked for it went
    /// away meanwhile: it is available at once, and the delivery does not count. `NotFound`.
    pub fn give_back_notification(&self, id: &str) -> Result<(), Error> {
        self.notification(NotificationCommand::GiveBack(id.into())).map(|_| ())
    }

    /// Those not acknowledged, in order, parked ones included, or only those.
    pub fn notifications(&self, parked_only: bool) -> Result<Vec<NotificationRecord>, Error> {
        self.shared.read(Purpose::Read, |reader| reader.notifications(parked_only))
    }

    /// A parked notification starts anew. `NotFound`.
    pub fn requeue_notification(&self, id: &str) -> Result<(), Error> {
        self.notification(NotificationCommand::Requeue(id.into())).map(|_| ())
    }

    /// Called whenever a notification may have become available, and at close.
    pub fn add_notification_waker(&self, waker: Weak<dyn Wake>) {
        self.shared.notified.add_waker(waker);
    }

    /// A signed ticket that opens one session's stream for `ttl_ms`: the session that is there
    /// now, and no later one of its name. It outlives a restart where the store does. May read the
    /// store. `NotFound` for an unknown session.
    pub fn issue_ticket(&self, session_id: &str, ttl_ms: Millis) -> Result<String, Error> {
        self.shared.check_open()?;
        ids::check_id("session", session_id, self.shared.settings.max_id_bytes)?;
        if !(1..=crate::settings::MAX_DURATION_MS).contains(&ttl_ms) {
            return Err(Error::invalid(format!("ttl_ms cannot be {ttl_ms}")));
        }
        let epoch = self.shared.committed(session_id)?.record.epoch;
        Ok(self.shared.tickets.issue(session_id, &epoch, self.now() + ttl_ms))
    }

    /// `Unauthorized` for a ticket that is wrong, expired, of another session (one that was deleted
    /// since is another one) or of another store. May read the store, for a ticket that is ours: what
    /// the store cannot say now is a `StoreError`, not `Unauthorized`.
    pub fn verify_ticket(&self, session_id: &str, ticket: &str) -> Result<(), Error> {
        let epoch = self.shared.tickets.verify(session_id, ticket, self.now())?;
        match self.shared.committed(session_id) {
            Ok(stored) if *stored.record.epoch == *epoch => Ok(()),
            Ok(_) | Err(Error::NotFound { .. }) => Err(Error::Unauthorized),
            Err(error) => Err(error),
        }
    }

    /// Where it serves: what a second opener of the store is told (`StoreInUse.url`).
    pub fn set_url(&self, url: Option<&str>) -> Result<(), Error> {
        self.shared.open_engine()?.store()?.set_owner_url(url)
    }

    /// Closes in order: what was handed over is committed, links get `Close` 1012, streams end,
    /// waiting calls get `Closed`, the store is released. Calling it again does nothing.
    pub fn close(&self) {
        self.owner.end(true);
    }

    /// Drops this handle, for threads that must not wait for a disk: if it is the last one, a thread
    /// made for it closes the coordinator.
    #[cfg(feature = "server")]
    pub(crate) fn drop_elsewhere(self) {
        let Some(last) = Arc::into_inner(self.owner) else { return };
        // Without room for a thread what it would have dropped is dropped here.
        let _ = threads::spawn("stayline-close", move || drop(last));
    }

    /// Ends it as a crash would: nothing is flushed and nobody is told; only the store is
    /// released. For tests.
    pub fn abandon(&self) {
        self.owner.end(false);
    }

    fn notification(
        &self,
        command: NotificationCommand,
    ) -> Result<Option<NotificationRecord>, Error> {
        loop {
            match self.shared.call(Work::Notification(command.clone()))? {
                Answer::Notification(record) => return Ok(record),
                Answer::Session(_) => return Ok(None),
                Answer::AskAgain => {}
            }
        }
    }
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").finish_non_exhaustive()
    }
}

impl Owner {
    fn end(&self, orderly: bool) {
        self.shared.close(orderly);
        let driver = self.driver.lock().take();
        if let Some(driver) = driver
            && !threads::is_own(&driver)
            && driver.join().is_err()
        {
            tracing::error!("the coordinator's thread had panicked");
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.end(true);
    }
}

/// Whether the newest time of a store can be one; a damaged one is not followed.
fn is_moment(at: Millis) -> bool {
    let checked = crate::settings::moment(at, "the newest time of the store");
    checked.inspect_err(|error| tracing::error!("the store is damaged: {error}")).is_ok()
}

fn spawn_driver(shared: &Arc<Shared>) -> Result<JoinHandle<()>, Error> {
    let shared = shared.clone();
    threads::spawn("stayline", move || shared.drive())
        .map_err(|_| Error::LimitExceeded { limit: "threads", value: 1 })
}
