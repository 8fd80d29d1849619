//! What all handles of one coordinator share: the queue of requests (`lead` has who takes from it),
//! the engine behind its lock, and the sessions in memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use foldhash::HashMap;

use crate::lock::{Condvar, Mutex, MutexGuard, RwLock};

use super::aside::is_aside;
use super::clock::TimeSource;
use super::engine::Engine;
use super::entry::Entry;
use super::lead::{BATCH_REQUESTS, Queue};
use super::link::LinkState;
use super::metrics::Counters;
use super::notified::Notified;
use super::readers::{Purpose, Readers};
use super::request::{Answer, Request, Slot, Work};
use super::ticket::Tickets;
use super::turns::Turns;
use crate::protocol::close;
use crate::seldom::Seldom;
use crate::session::{Command, LinkId, Reply};
use crate::settings::Millis;
use crate::store::{OpenReader, Reader, StoredSession};
use crate::{Error, Settings};

/// What [`Error::Closed`] says when there is no coordinator any more.
pub(super) const COORDINATOR_CLOSED: &str = "the coordinator was closed";

/// More than this handed over and not committed, and every link is congested.
const CONGESTED_BYTES: usize = 64 * 1024 * 1024;

pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) time: TimeSource,
    pub(super) queue: Mutex<Queue>,
    /// The driver waits here: for the lead, or for a change of the next deadline.
    pub(super) driver: Condvar,
    pub(super) engine: Turns<Engine>,
    /// Sessions in memory: those with something live, or with readers.
    pub(super) entries: RwLock<HashMap<Arc<str>, Arc<Entry>>>,
    /// Sessions that are set aside, and why.
    aside: RwLock<HashMap<Arc<str>, String>>,
    links: Mutex<HashMap<LinkId, Arc<LinkState>>>,
    next_link: Mutex<LinkId>,
    /// Sessions whose last reader is gone.
    unread: Mutex<Vec<Arc<str>>>,
    has_unread: AtomicBool,
    readers: Readers,
    /// What was told in the log.
    pub(super) told: Seldom,
    pub(super) under_way: AtomicUsize,
    pub(super) is_immediate: bool,
    /// It has a driver thread.
    pub(super) is_driven: bool,
    closed: AtomicBool,
    failure: Mutex<Option<Error>>,
    /// Not all that was active at the opening is recovered yet (R23).
    pub(super) recovering: AtomicBool,
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
        readers: OpenReader,
        is_immediate: bool,
        is_driven: bool,
        secret: [u8; 32],
    ) -> Shared {
        let most_readers = usize::try_from(settings.max_readers).unwrap_or(usize::MAX);
        Shared {
            settings,
            time,
            queue: Mutex::default(),
            driver: Condvar::new(),
            engine: Turns::new(engine),
            entries: RwLock::default(),
            aside: RwLock::default(),
            links: Mutex::default(),
            next_link: Mutex::new(1),
            unread: Mutex::default(),
            has_unread: AtomicBool::new(false),
            readers: Readers::new(readers, most_readers),
            told: Seldom::default(),
            under_way: AtomicUsize::new(0),
            is_immediate,
            is_driven,
            closed: AtomicBool::new(false),
            failure: Mutex::new(None),
            recovering: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            notified: Notified::default(),
            tickets: Tickets::new(secret),
            counters: Counters::default(),
        }
    }

    pub(super) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// [`Error::Closed`] after close; [`Error::Panic`] after a bug of ours, [`Error::StoreError`]
    /// when the store is not where it was opened.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        if !self.is_over.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(self.failure.lock().clone().unwrap_or(Error::closed(COORDINATOR_CLOSED)))
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
        if matches!(answer, Err(Error::Closed { .. })) {
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
            Answer::Notification(_) | Answer::AskAgain => Ok(Reply::Done),
        }
    }

    /// One step, with its callers told if it panics.
    pub(super) fn guarded(&self, engine: &mut Engine, requests: Vec<Request>) {
        let slot = |request: &Request| request.slot.clone();
        let (first, others) = match requests.split_first() {
            // A lone caller pays for no list.
            Some((first, others)) => (slot(first), others.iter().filter_map(slot).collect()),
            None => (None, Vec::new()),
        };
        if let Err(error) = self.guard(engine, |engine| engine.step(self, requests)) {
            for slot in first.into_iter().chain(others) {
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
        tracing::error!("{error}");
        self.fail(engine, error.clone(), "internal error");
        Err(error)
    }

    /// Ends the coordinator: from now on everybody is told this error.
    pub(super) fn fail(&self, engine: &mut Engine, error: Error, reason: &str) {
        *self.failure.lock() = Some(error);
        self.is_over.store(true, Ordering::Release);
        engine.shut();
        self.let_go(Some((close::STORAGE_FAILED, reason)));
    }

    /// Handles all that is due, in steps with others let in between (R19). Before each of them what
    /// has arrived is taken (R18a).
    pub(super) fn handle_due(&self) {
        while self.check_open().is_ok() && self.handle_due_step() {}
    }

    /// One of these steps; whether there may be more.
    pub(super) fn handle_due_step(&self) -> bool {
        let mut engine = self.engine.lock_in_turn();
        self.drain(&mut engine);
        let mut has_more = false;
        // Whoever asks next is told of a panic.
        let _ = self.guard(&mut engine, |engine| has_more = engine.handle_due_step(self));
        has_more
    }

    /// Time was lost (R18b): it is given back before anything else that is due is handled. What has
    /// arrived is taken before.
    pub(super) fn resumed(&self, lost_ms: Millis) {
        let mut engine = self.engine.lock();
        self.drain(&mut engine);
        engine.resumed(lost_ms);
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

    /// Has what has arrived by now committed.
    pub(super) fn settle_queue(&self) {
        let mut engine = self.engine.lock_in_turn();
        if self.check_open().is_ok() {
            self.drain(&mut engine);
        }
    }

    pub(super) fn next_deadline(&self) -> Result<Option<Millis>, Error> {
        self.open_engine()?.next_deadline(self)
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
        let before = self.under_way.fetch_sub(bytes, Ordering::AcqRel);
        if before >= CONGESTED_BYTES && before - bytes < CONGESTED_BYTES {
            // Every link was congested, those with nothing under way too.
            let links: Vec<_> = self.links.lock().values().cloned().collect();
            links.iter().for_each(|link| link.tell_room());
        }
    }

    /// Handed over on links and not committed yet.
    pub(super) fn bytes_under_way(&self) -> usize {
        self.under_way.load(Ordering::Acquire)
    }

    /// Tells of a failure, but not the same one thousands of times.
    pub(super) fn tell(&self, failure: &str) {
        if let Some(more) = self.told.admits(failure, self.time.now()) {
            tracing::error!("{failure}{more}");
        }
    }

    /// Reads the store, beside the engine, when it is this one's turn.
    pub(super) fn read<T>(
        &self,
        purpose: Purpose,
        read: impl FnOnce(&mut dyn Reader) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.check_open()?;
        let result = self.readers.read(purpose, read);
        if let Err(Error::Closed { .. } | Error::StoreError { .. }) = &result {
            // What ended it meanwhile.
            self.check_open()?;
        }
        result
    }

    pub(super) fn entry(&self, session_id: &str) -> Option<Arc<Entry>> {
        self.entries.read().get(session_id).cloned()
    }

    /// Notes that a session is set aside; what its calls are told.
    pub(super) fn set_aside(&self, session_id: &Arc<str>, why: &str) -> Error {
        self.aside.write().insert(session_id.clone(), why.to_owned());
        is_aside(session_id, why)
    }

    /// `StoreError` for a session that is set aside.
    pub(super) fn check_aside(&self, session_id: &str) -> Result<(), Error> {
        match self.aside.read().get(session_id) {
            Some(why) => Err(is_aside(session_id, why)),
            None => Ok(()),
        }
    }

    /// The committed state of a session, from memory or from the store.
    pub(super) fn committed(&self, session_id: &str) -> Result<StoredSession, Error> {
        self.check_open()?;
        self.recover([session_id])?;
        self.check_aside(session_id)?;
        if let Some(entry) = self.entry(session_id) {
            let session = entry.committed();
            return Ok(StoredSession {
                record: session.record().clone(),
                active: session.active_now(),
            });
        }
        self.read(Purpose::LookUp, |reader| reader.load(session_id))?
            .ok_or_else(|| unknown_session(session_id))
    }

    /// Nobody reads this session any more: the engine forgets it, if nothing in it is live, with
    /// its next step. Whoever drops a reader never waits for the engine, and so for a disk.
    pub(super) fn release_entry(&self, session_id: &Arc<str>) {
        self.unread.lock().push(session_id.clone());
        self.has_unread.store(true, Ordering::Release);
        if self.is_driven {
            self.wake_driver();
        }
    }

    /// Sessions whose last reader has gone since the last call.
    pub(super) fn take_unread(&self) -> Vec<Arc<str>> {
        if !self.has_unread.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.has_unread.store(false, Ordering::Release);
        std::mem::take(&mut *self.unread.lock())
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
            engine.look_at_store(self);
        }
        engine.shut();
        let requests: Vec<Request> = {
            let mut queue = self.queue.lock();
            // Who comes later leads itself, to the answer that this is closed.
            queue.is_led = false;
            queue.requests.drain(..).collect()
        };
        for request in requests {
            request.finish(self, Err(Error::closed(COORDINATOR_CLOSED)));
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
        self.readers.close();
        self.notified.notify();
        // Who is about to wait there has not seen the end yet.
        drop(self.queue.lock());
        self.driver.notify_all();
    }
}

pub(super) fn unknown_session(session_id: &str) -> Error {
    Error::not_found(format!("session {session_id:?}"))
}
