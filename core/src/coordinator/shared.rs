//! What all handles of one coordinator share: the queue of requests, the engine behind its lock,
//! the sessions in memory, and who leads the next commit.
//!
//! Whoever hands something over while nobody leads becomes the leader and commits for all that
//! came meanwhile (group commit); the others wait for their answer. A lone caller therefore pays
//! no thread hop and waits for no company. What does not wait for an answer is led by the driver
//! thread, or on the spot where a commit costs no I/O.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use foldhash::HashMap;

use crate::lock::{Condvar, Mutex, MutexGuard, RwLock};

use super::clock::TimeSource;
use super::engine::Engine;
use super::entry::Entry;
use super::link::LinkState;
use super::metrics::Counters;
use super::notified::Notified;
use super::request::{Answer, Request, Slot, Work};
use super::ticket::Tickets;
use crate::protocol::close;
use crate::session::{Command, LinkId, Reply};
use crate::settings::Millis;
use crate::store::{Reader, StoredSession};
use crate::{Error, Settings};

/// The most that one commit takes from the queue.
const BATCH_REQUESTS: usize = 8_192;
/// More than this handed over and not committed, and every link is congested.
const CONGESTED_BYTES: usize = 64 * 1024 * 1024;

#[derive(Default)]
struct Queue {
    requests: VecDeque<Request>,
    /// Somebody is taking requests until there are none.
    is_led: bool,
    /// The driver shall lead.
    driver_leads: bool,
    /// The driver shall look at the deadlines again.
    driver_looks: bool,
    /// The driver has ended: nothing can be handed on to it any more.
    driver_ended: bool,
}

pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) time: TimeSource,
    queue: Mutex<Queue>,
    /// The driver waits here: for the lead, or for a change of the next deadline.
    driver: Condvar,
    engine: Mutex<Engine>,
    /// Sessions in memory: those with something live, or with readers.
    pub(super) entries: RwLock<HashMap<Arc<str>, Arc<Entry>>>,
    links: Mutex<HashMap<LinkId, Arc<LinkState>>>,
    next_link: Mutex<LinkId>,
    readers: Mutex<Vec<Box<dyn Reader>>>,
    under_way: AtomicUsize,
    is_immediate: bool,
    is_driven: bool,
    closed: AtomicBool,
    failure: Mutex<Option<Error>>,
    /// It was closed, or has failed: every call looks here.
    is_over: AtomicBool,
    pub(super) notified: Notified,
    pub(super) tickets: Tickets,
    pub(super) counters: Counters,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(
        settings: Arc<Settings>,
        time: TimeSource,
        engine: Engine,
        is_immediate: bool,
        secret: [u8; 32],
    ) -> Shared {
        let is_driven = matches!(time, TimeSource::System(_));
        Shared {
            settings,
            time,
            queue: Mutex::default(),
            driver: Condvar::new(),
            engine: Mutex::new(engine),
            entries: RwLock::default(),
            links: Mutex::default(),
            next_link: Mutex::new(1),
            readers: Mutex::default(),
            under_way: AtomicUsize::new(0),
            is_immediate,
            is_driven,
            closed: AtomicBool::new(false),
            failure: Mutex::new(None),
            is_over: AtomicBool::new(false),
            notified: Notified::default(),
            tickets: Tickets::new(secret),
            counters: Counters::default(),
        }
    }

    pub(super) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// [`Error::Closed`] after close; [`Error::Panic`] after a bug of ours.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        if !self.is_over.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(self.failure.lock().clone().unwrap_or(Error::Closed))
    }

    pub(super) fn is_congested(&self) -> bool {
        self.under_way.load(Ordering::Acquire) >= CONGESTED_BYTES
    }

    /// Whether a commit costs no I/O.
    pub(super) fn is_immediate(&self) -> bool {
        self.is_immediate
    }

    /// Does one thing and waits for its answer.
    pub(super) fn call(&self, work: Work) -> Result<Answer, Error> {
        self.check_open()?;
        let slot = Arc::new(Slot::default());
        let request = Request { work, slot: Some(slot.clone()) };
        if self.push([request]) {
            self.lead();
        }
        let answer = slot.wait();
        if answer == Err(Error::Closed) {
            // What closed it while this call was under way.
            self.check_open()?;
        }
        answer
    }

    /// [`Shared::call`] for a session's command.
    pub(super) fn apply(&self, session_id: &Arc<str>, command: Command) -> Result<Reply, Error> {
        let work = Work::Session { session_id: session_id.clone(), command, link: None };
        match self.call(work)? {
            Answer::Session(reply) => Ok(reply),
            Answer::Notification(_) => Ok(Reply::Done),
        }
    }

    /// Has things done without waiting for answers. `bytes`: what they cost in the books.
    pub(super) fn submit(
        &self,
        requests: impl IntoIterator<Item = Request>,
        bytes: usize,
    ) -> Result<(), Error> {
        self.under_way.fetch_add(bytes, Ordering::AcqRel);
        if let Err(error) = self.check_open() {
            for request in requests {
                request.finish(self, Err(error.clone()));
            }
            return Err(error);
        }
        let leads = self.push(requests);
        if leads && (self.is_immediate || !self.is_driven || !self.let_driver_lead()) {
            self.lead();
        }
        Ok(())
    }

    /// Queues requests; whether the caller has become the leader.
    fn push(&self, requests: impl IntoIterator<Item = Request>) -> bool {
        let mut queue = self.queue.lock();
        queue.requests.extend(requests);
        !std::mem::replace(&mut queue.is_led, true)
    }

    /// Hands the lead on; whether there is a driver to take it.
    fn let_driver_lead(&self) -> bool {
        let mut queue = self.queue.lock();
        if queue.driver_ended {
            return false;
        }
        queue.driver_leads = true;
        self.driver.notify_one();
        true
    }

    /// Takes requests and commits, until there are none; hands on to the driver, where there is
    /// one, after the first round.
    fn lead(&self) {
        let mut rounds = 0;
        loop {
            let mut engine = self.engine.lock();
            // What is taken is dealt with before the engine is let go, or it would be overtaken.
            let Some(requests) = self.take(rounds > 0 && self.is_driven) else { return };
            self.guarded(&mut engine, requests);
            if self.ends_lead() {
                return;
            }
            drop(engine);
            rounds += 1;
        }
    }

    /// Gives the lead up if there is nothing left.
    fn ends_lead(&self) -> bool {
        let mut queue = self.queue.lock();
        let is_over = queue.requests.is_empty();
        queue.is_led &= !is_over;
        is_over
    }

    /// The next requests; `None` when the lead has ended, or has gone to the driver.
    fn take(&self, hand_on: bool) -> Option<Vec<Request>> {
        let mut queue = self.queue.lock();
        if queue.requests.is_empty() {
            queue.is_led = false;
            return None;
        }
        if hand_on && !queue.driver_ended {
            queue.driver_leads = true;
            self.driver.notify_one();
            return None;
        }
        let count = queue.requests.len().min(BATCH_REQUESTS);
        Some(queue.requests.drain(..count).collect())
    }

    /// One step, with its callers told if it panics.
    fn guarded(&self, engine: &mut Engine, requests: Vec<Request>) {
        let slots: Vec<Arc<Slot>> = requests.iter().filter_map(|r| r.slot.clone()).collect();
        if let Err(error) = self.guard(engine, |engine| engine.step(self, requests)) {
            for slot in slots {
                slot.fill(Err(error.clone()));
            }
        }
    }

    /// A panic below here is a bug of ours: everybody is told, and the coordinator is done.
    fn guard(&self, engine: &mut Engine, work: impl FnOnce(&mut Engine)) -> Result<(), Error> {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(engine))) else { return Ok(()) };
        let detail = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "no message".to_owned());
        let error = Error::Panic { detail };
        *self.failure.lock() = Some(error.clone());
        self.is_over.store(true, Ordering::Release);
        tracing::error!("{error}");
        engine.shut();
        self.let_go(Some((close::STORAGE_FAILED, "internal error")));
        Err(error)
    }

    /// Takes what has arrived, then handles what is due (R18a).
    pub(super) fn handle_due(&self) {
        let mut engine = self.engine.lock();
        self.drain(&mut engine);
        // Whoever asks next is told of a panic.
        let _ = self.guard(&mut engine, |engine| engine.handle_due(self));
    }

    /// Time was lost (R18b).
    pub(super) fn resumed(&self, lost_ms: Millis) {
        let mut engine = self.engine.lock();
        self.drain(&mut engine);
        let _ = self.guard(&mut engine, |engine| engine.resumed(self, lost_ms));
    }

    /// Takes what has arrived, and not what arrives meanwhile: under steady writing that would
    /// never end.
    fn drain(&self, engine: &mut Engine) {
        let mut left = self.queue.lock().requests.len();
        while left > 0 {
            let requests: Vec<Request> = {
                let mut queue = self.queue.lock();
                let count = queue.requests.len().min(BATCH_REQUESTS).min(left);
                queue.requests.drain(..count).collect()
            };
            if requests.is_empty() {
                return;
            }
            left -= requests.len();
            self.guarded(engine, requests);
        }
    }

    pub(super) fn next_deadline(&self) -> Result<Option<Millis>, Error> {
        self.open_engine()?.next_deadline(self.time.now())
    }

    /// Runs until the coordinator closes: leads for those who do not wait, and wakes at
    /// deadlines and at every tick (R18b).
    pub(super) fn drive(&self) {
        const TICK: Duration = Duration::from_secs(1);
        while self.check_open().is_ok() {
            // What changes from here on is looked at again.
            self.queue.lock().driver_looks = false;
            if let Some(lost_ms) = self.time.tick() {
                self.resumed(lost_ms);
            }
            self.handle_due();
            let sleep = self.driver_sleep(TICK);
            let leads = {
                let mut queue = self.queue.lock();
                let has_work = queue.driver_leads || queue.driver_looks;
                if !has_work && self.check_open().is_ok() && !sleep.is_zero() {
                    self.driver.wait_for(&mut queue, sleep);
                }
                std::mem::take(&mut queue.driver_leads)
            };
            if leads {
                self.lead_as_driver();
            }
        }
        let leads = {
            let mut queue = self.queue.lock();
            queue.driver_ended = true;
            std::mem::take(&mut queue.driver_leads)
        };
        if leads {
            self.lead();
        }
    }

    /// How long the driver may sleep: until the next deadline, at most a tick.
    fn driver_sleep(&self, tick: Duration) -> Duration {
        let now = self.time.now();
        let mut engine = self.engine.lock();
        let next = match engine.next_deadline(now) {
            Ok(Some(at)) => at.min(now + 1_000),
            Ok(None) | Err(_) => now + 1_000,
        };
        engine.driver_sleeps_until(next);
        tick.min(Duration::from_millis(u64::try_from(next - now).unwrap_or(0)))
    }

    /// Leads until there is nothing left, or until the deadlines have to be looked at (R18): those
    /// who send as fast as they can do not hold up what is due.
    fn lead_as_driver(&self) {
        loop {
            let mut engine = self.engine.lock();
            let Some(requests) = self.take(false) else { return };
            self.guarded(&mut engine, requests);
            let is_time = engine.driver_looks_at() <= self.time.now();
            drop(engine);
            let mut queue = self.queue.lock();
            if is_time || queue.driver_looks {
                queue.driver_leads = true;
                return;
            }
        }
    }

    /// A deadline may have come nearer: the driver looks again.
    pub(super) fn wake_driver(&self) {
        self.queue.lock().driver_looks = true;
        self.driver.notify_one();
    }

    pub(super) fn new_link(&self, acknowledged: bool) -> Arc<LinkState> {
        let id = {
            let mut next = self.next_link.lock();
            *next += 1;
            *next
        };
        let link = LinkState::new(id, acknowledged);
        self.links.lock().insert(id, link.clone());
        link
    }

    pub(super) fn link(&self, id: LinkId) -> Option<Arc<LinkState>> {
        self.links.lock().get(&id).cloned()
    }

    /// Whether it was known.
    pub(super) fn forget_link(&self, id: LinkId) -> bool {
        self.links.lock().remove(&id).is_some()
    }

    /// How many links are open: in basic and in acknowledged mode.
    pub(super) fn count_links(&self) -> (u64, u64) {
        let links = self.links.lock();
        let acknowledged = links.values().filter(|link| link.acknowledged).count();
        ((links.len() - acknowledged) as u64, acknowledged as u64)
    }

    /// What was handed over on links has been dealt with.
    pub(super) fn settle(&self, bytes: usize) {
        self.under_way.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Handed over on links and not committed yet.
    pub(super) fn bytes_under_way(&self) -> usize {
        self.under_way.load(Ordering::Acquire)
    }

    /// Reads through a reader of the pool.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&mut dyn Reader) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.check_open()?;
        let pooled = self.readers.lock().pop();
        let mut reader = match pooled {
            Some(reader) => reader,
            None => self.open_engine()?.reader()?,
        };
        let result = read(reader.as_mut());
        // One that failed is not used again.
        if result.is_ok() && self.check_open().is_ok() {
            self.readers.lock().push(reader);
        }
        result
    }

    pub(super) fn entry(&self, session_id: &str) -> Option<Arc<Entry>> {
        self.entries.read().get(session_id).cloned()
    }

    /// The committed state of a session, from memory or from the store.
    pub(super) fn committed(&self, session_id: &str) -> Result<StoredSession, Error> {
        self.check_open()?;
        if let Some(entry) = self.entry(session_id) {
            let session = entry.committed();
            return Ok(StoredSession {
                record: session.record().clone(),
                active: session.active().cloned(),
            });
        }
        self.read(|reader| reader.load(session_id))?.ok_or_else(|| unknown_session(session_id))
    }

    /// Forgets a session that nobody reads and in which nothing is live.
    pub(super) fn release_entry(&self, session_id: &Arc<str>) {
        self.engine.lock().release_entry(self, session_id);
    }

    /// The engine of a coordinator that is still open when its lock is taken: what closed it
    /// meanwhile is told as such.
    pub(super) fn open_engine(&self) -> Result<MutexGuard<'_, Engine>, Error> {
        let engine = self.engine.lock();
        self.check_open()?;
        Ok(engine)
    }

    pub(super) fn lock_engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock()
    }

    /// Commits what was handed over, tells links and readers, releases the store. Whether this
    /// call did it.
    pub(super) fn close(&self, orderly: bool) -> bool {
        if self.closed.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.is_over.store(true, Ordering::Release);
        let mut engine = self.engine.lock();
        if orderly {
            self.drain(&mut engine);
        }
        engine.shut();
        let requests: Vec<Request> = {
            let mut queue = self.queue.lock();
            // Who comes later leads itself, to the answer that this is closed.
            queue.is_led = false;
            queue.requests.drain(..).collect()
        };
        for request in requests {
            request.finish(self, Err(Error::Closed));
        }
        drop(engine);
        self.let_go(orderly.then_some((close::RESTART, close::RESTART_REASON)));
        true
    }

    /// Ends links, with this close or as a crash would, streams and waiting calls.
    fn let_go(&self, told: Option<(u16, &str)>) {
        let links: Vec<Arc<LinkState>> = self.links.lock().drain().map(|(_, link)| link).collect();
        for link in links {
            match told {
                Some((code, reason)) => {
                    link.put(super::link::Output::Close { code, reason: reason.to_owned() });
                }
                None => link.abandon(),
            }
        }
        let entries: Vec<Arc<Entry>> =
            self.entries.write().drain().map(|(_, entry)| entry).collect();
        for entry in entries {
            entry.close();
        }
        self.readers.lock().clear();
        self.notified.notify();
        // Who is about to wait there has not seen the end yet.
        drop(self.queue.lock());
        self.driver.notify_all();
    }
}

pub(super) fn unknown_session(session_id: &str) -> Error {
    Error::not_found(format!("session {session_id:?}"))
}
