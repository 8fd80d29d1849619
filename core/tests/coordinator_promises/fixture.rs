//! A coordinator in memory or in a file, and a store that can be told how to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stayline::coordinator::{
    AttachOptions, AttachRefusal, Clock, Coordinator, Credential, Link, ManualClock, Options,
    Output, Session, StartOptions,
};
use stayline::protocol::Filter;
use stayline::session::records::{EventRecord, ExecutionRecord, NotificationRecord};
use stayline::settings::Millis;
use stayline::store::faults::Faults;
use stayline::store::memory::MemoryStore;
use stayline::store::{Batch, CommitError, Reader, SessionFault, Store, StoredSession};
use stayline::{Error, Settings};

/// When the tests on virtual time take place.
pub const START: i64 = 1_700_000_000_000;

/// How long anything is waited for. Never reached unless something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A coordinator on virtual time.
pub struct Host {
    pub clock: ManualClock,
    pub faults: Faults,
    pub coordinator: Coordinator,
    pub session: Session,
}

pub fn host() -> Host {
    host_over(Box::new(MemoryStore::new()))
}

pub fn host_over(store: Box<dyn Store>) -> Host {
    let clock = ManualClock::new(START);
    let faults = Faults::new();
    let options = Options {
        clock: Clock::Manual(clock.clone()),
        faults: Some(faults.clone()),
        ..Options::default()
    };
    let coordinator = Coordinator::with_store(store, options).unwrap();
    let session = coordinator.session("s").unwrap();
    Host { clock, faults, coordinator, session }
}

impl Host {
    pub fn status(&self, id: &str) -> &'static str {
        self.session.execution(id).unwrap().record.status.as_str()
    }
}

pub fn start(session: &Session, id: &str) -> Result<(), Error> {
    let options = StartOptions { execution_id: Some(id.into()), ..StartOptions::default() };
    session.start(options).map(drop)
}

/// A link; acknowledged if it has a producer.
pub fn attach(session: &Session, id: &str, producer: Option<&str>) -> Result<Link, Error> {
    attempt(session, id, producer, 1).map_err(|refusal| refusal.error)
}

/// The same with an attempt number.
pub fn attempt(
    session: &Session,
    id: &str,
    producer: Option<&str>,
    number: u64,
) -> Result<Link, AttachRefusal> {
    session.attach_or_refuse(AttachOptions {
        execution_id: id.into(),
        credential: Credential::Trusted,
        acknowledged: producer.is_some(),
        producer: producer.map(str::to_owned),
        attempt: Some(number),
    })
}

pub fn numbered(seq: u64, text: &str) -> String {
    format!(r#"{{"streamEventType":"output","data":{{"text":"{text}"}},"seq":{seq}}}"#)
}

/// What the link has to send, closes included, as far as it is there.
pub fn outputs(link: &Link) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(output) = link.try_output() {
        all.push(match output {
            Output::Send(text) => text.to_string(),
            Output::Close { code, reason } => format!("close {code} {reason}"),
        });
    }
    all
}

/// The whole log of a session.
pub fn log(session: &Session) -> Vec<Arc<EventRecord>> {
    let mut filter = Filter::default();
    let mut events = Vec::new();
    loop {
        let page = session.events(&filter).unwrap();
        events.extend(page.events);
        if page.end {
            return events;
        }
        filter.after = page.next_after;
    }
}

/// Looks until there is something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs something that must come to an end on a thread of its own: when it hangs, the test fails
/// instead of hanging with it.
pub fn must_end(what: &str, run: impl FnOnce() + Send + 'static) {
    let (done, ended) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        run();
        let _ = done.send(());
    });
    if ended.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        panic!("{what} does not come to an end");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Settings with waits as short as they may be, for tests on the system clock.
pub fn quick_settings() -> Settings {
    Settings {
        reconnect_base_ms: 50,
        reconnect_cap_ms: 100,
        disconnect_grace_ms: 300,
        ..Settings::default()
    }
}

/// A switch for [`Stubborn`].
#[derive(Clone, Default)]
pub struct Closed(Arc<AtomicBool>);

impl Closed {
    pub fn set(&self, closed: bool) {
        self.0.store(closed, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), Error> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(Error::StoreError { detail: "closed on request".into() }),
            false => Ok(()),
        }
    }
}

/// A store that cannot be opened again while it is switched off, so that the outcome of a commit
/// stays unknown.
pub struct Stubborn {
    pub inner: Box<dyn Store>,
    pub closed: Closed,
}

impl Store for Stubborn {
    fn load(&mut self, session_id: &str) -> Result<Option<StoredSession>, Error> {
        self.inner.load(session_id)
    }

    fn load_execution(
        &mut self,
        session_id: &str,
        execution_id: &str,
    ) -> Result<Option<ExecutionRecord>, Error> {
        self.inner.load_execution(session_id, execution_id)
    }

    fn active_sessions(&mut self) -> Result<Vec<StoredSession>, Error> {
        self.inner.active_sessions()
    }

    fn commit(&mut self, batch: &Batch) -> Result<Vec<SessionFault>, CommitError> {
        self.inner.commit(batch)
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.closed.check()?;
        self.inner.reopen()
    }

    fn was_committed(&mut self, commit_id: u64) -> Result<bool, Error> {
        self.closed.check()?;
        self.inner.was_committed(commit_id)
    }

    fn newest_time(&mut self) -> Result<Option<Millis>, Error> {
        self.inner.newest_time()
    }

    fn next_wake(&mut self) -> Result<Option<Millis>, Error> {
        self.inner.next_wake()
    }

    fn due_sessions(&mut self, now: Millis, limit: usize) -> Result<Vec<Arc<str>>, Error> {
        self.inner.due_sessions(now, limit)
    }

    fn oldest_event(&mut self) -> Result<Option<Millis>, Error> {
        self.inner.oldest_event()
    }

    fn prune_events(&mut self, before: Millis, limit: usize) -> Result<usize, Error> {
        self.inner.prune_events(before, limit)
    }

    fn next_notification(&mut self, now: Millis) -> Result<Option<NotificationRecord>, Error> {
        self.inner.next_notification(now)
    }

    fn next_notification_at(&mut self, now: Millis) -> Result<Option<Millis>, Error> {
        self.inner.next_notification_at(now)
    }

    fn notification(&mut self, id: &str) -> Result<Option<NotificationRecord>, Error> {
        self.inner.notification(id)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Error> {
        self.inner.reader()
    }

    fn is_immediate(&self) -> bool {
        self.inner.is_immediate()
    }
}
