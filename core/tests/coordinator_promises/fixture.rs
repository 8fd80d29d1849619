//! A coordinator in memory or in a file, and a store that can be told how to fail.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stayline::coordinator::{
    AttachOptions, AttachRefusal, Clock, Coordinator, Credential, Link, ManualClock, Options,
    Output, Session, StartOptions,
};
use stayline::protocol::Filter;
use stayline::session::records::EventRecord;
use stayline::store::Store;
use stayline::store::faults::Faults;
use stayline::store::memory::MemoryStore;
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
