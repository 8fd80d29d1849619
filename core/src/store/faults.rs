//! A store that fails on request, for tests: `fail_next_commit` of the scenario format, poison
//! rows, disks that are full for a while, slow to read, or not to be read at all.
//!
//! [`FaultyStore`] wraps any other store and passes everything on. The [`Faults`] handle, which
//! can be cloned and used from any thread, tells it what to do instead. Where nothing is asked
//! for it changes nothing, so a driver may wrap every store in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::lock::{Mutex, MutexGuard};

use super::slow::SlowReader;
use super::{
    Batch, CommitError, FaultKind, Gone, NotificationChange, OpenReader, Placed, SessionChanges,
    SessionFault, Store, StoredSession,
};
use crate::Error;
use crate::session::records::{ExecutionRecord, NotificationRecord};
use crate::settings::Millis;

/// How a commit that is made to fail goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is kept, and that is told.
    Lost,
    /// It is kept, but the outcome is reported as unknown.
    UnknownKept,
    /// It is not kept, and the outcome is reported as unknown.
    UnknownLost,
}

type Hook = Box<dyn FnMut(&Batch) + Send>;

#[derive(Default)]
struct Plan {
    next_commit: Option<Outcome>,
    all_fail: bool,
    cannot_reopen: bool,
    cannot_read: bool,
    cannot_load: Option<Arc<str>>,
    false_wake: Option<Millis>,
    poisoned_sessions: Vec<Arc<str>>,
    poisoned_data: Vec<String>,
    before_commit: Option<Hook>,
    after_commit: Option<Hook>,
    read_delay: Duration,
    commit_delay: Duration,
}

impl Plan {
    fn is_poisoned(&self, changes: &SessionChanges) -> bool {
        let is_bad = |data: &str| self.poisoned_data.iter().any(|bad| data.contains(bad.as_str()));
        self.poisoned_sessions.contains(&changes.session_id)
            || changes.events.iter().any(|event| is_bad(&event.data))
    }
}

/// The handle that says how a [`FaultyStore`] fails.
#[derive(Clone, Default)]
pub struct Faults {
    asked: Arc<Asked>,
}

#[derive(Default)]
struct Asked {
    plan: Mutex<Plan>,
    /// Anything was ever asked for; until then the plan is not even looked at.
    is_any: AtomicBool,
    commits: AtomicU64,
}

impl Faults {
    fn ask(&self) -> MutexGuard<'_, Plan> {
        let plan = self.asked.plan.lock();
        self.asked.is_any.store(true, Ordering::Release);
        plan
    }

    /// What was asked for, if anything was.
    fn plan(&self) -> Option<MutexGuard<'_, Plan>> {
        self.asked.is_any.load(Ordering::Acquire).then(|| self.asked.plan.lock())
    }

    /// Nothing fails until something is asked for.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// The next commit that has something to write fails in this way; only that one.
    pub fn fail_next_commit(&self, outcome: Outcome) {
        self.ask().next_commit = Some(outcome);
    }

    /// Whether every commit that has something to write is lost, until switched off; nor is it
    /// noted which settings the wake-ups were computed with.
    pub fn fail_commits(&self, all: bool) {
        self.ask().all_fail = all;
    }

    /// Whether the store cannot be opened anew, until switched off, so that the outcome of a commit
    /// stays unknown.
    pub fn fail_reopening(&self, all: bool) {
        self.ask().cannot_reopen = all;
    }

    /// Whether the writer cannot read anything of sessions, until switched off.
    pub fn fail_loads(&self, all: bool) {
        self.ask().cannot_read = all;
    }

    /// The writer cannot read this session, nor its executions, while it can read all others;
    /// `None`: it can.
    pub fn fail_loads_of(&self, session_id: Option<&str>) {
        self.ask().cannot_load = session_id.map(Arc::from);
    }

    /// The store says that something is due at this moment, and not what; `None`: it says what is
    /// so.
    pub fn say_due_at(&self, at: Option<Millis>) {
        self.ask().false_wake = at;
    }

    /// From now on this session's part of any batch is refused.
    pub fn poison_session(&self, session_id: &str) {
        self.ask().poisoned_sessions.push(session_id.into());
    }

    /// From now on a session's part with an event whose data contains this text is refused.
    pub fn poison_data(&self, text: &str) {
        self.ask().poisoned_data.push(text.into());
    }

    /// No session and no data is refused any more.
    pub fn heal(&self) {
        let mut plan = self.ask();
        plan.poisoned_sessions.clear();
        plan.poisoned_data.clear();
    }

    /// Calls `hook` with each batch before it is committed, on the committing thread. It replaces
    /// the hook there was, and must not commit itself; it may use this handle.
    pub fn before_commit(&self, hook: impl FnMut(&Batch) + Send + 'static) {
        self.ask().before_commit = Some(Box::new(hook));
    }

    /// The same after each commit, kept or not.
    pub fn after_commit(&self, hook: impl FnMut(&Batch) + Send + 'static) {
        self.ask().after_commit = Some(Box::new(hook));
    }

    /// From now on every read of a reader takes this much longer, as if the disk were slow.
    pub fn slow_reads(&self, delay: Duration) {
        self.ask().read_delay = delay;
    }

    /// From now on every commit takes this much longer, as if the disk were slow.
    pub fn slow_commits(&self, delay: Duration) {
        self.ask().commit_delay = delay;
    }

    pub(super) fn read_delay(&self) -> Duration {
        self.plan().map_or(Duration::ZERO, |plan| plan.read_delay)
    }

    /// How many batches with something to write have been given to the store, failed ones
    /// included.
    pub fn commits(&self) -> u64 {
        self.asked.commits.load(Ordering::Acquire)
    }

    fn call(&self, batch: &Batch, which: impl Fn(&mut Plan) -> &mut Option<Hook>) {
        // Taken out for the call: the hook may use this handle.
        let taken = self.plan().and_then(|mut plan| which(&mut plan).take());
        if let Some(mut hook) = taken {
            hook(batch);
            which(&mut self.ask()).get_or_insert(hook);
        }
    }

    fn check(&self, fails: impl Fn(&Plan) -> bool) -> Result<(), Error> {
        match self.plan().is_some_and(|plan| fails(&plan)) {
            true => Err(Error::StoreError { detail: "failed on request".into() }),
            false => Ok(()),
        }
    }

    fn check_load(&self, session_id: &str) -> Result<(), Error> {
        self.check(|plan| plan.cannot_read || plan.cannot_load.as_deref() == Some(session_id))
    }

    /// The outcome asked for, if this batch is to fail, and which sessions of it are refused.
    fn verdict(&self, batch: &Batch) -> (Option<Outcome>, Vec<SessionFault>) {
        self.call(batch, |plan| &mut plan.before_commit);
        let has_work = !(batch.sessions.is_empty() && batch.notifications.is_empty());
        self.asked.commits.fetch_add(u64::from(has_work), Ordering::AcqRel);
        let Some(mut plan) = self.plan() else { return (None, Vec::new()) };
        let refused = batch.sessions.iter().filter(|changes| plan.is_poisoned(changes));
        let refused = refused.map(|changes| SessionFault {
            session_id: changes.session_id.clone(),
            kind: FaultKind::Poison("refused on request".into()),
        });
        let refused = refused.collect();
        if !has_work {
            return (None, refused);
        }
        (if plan.all_fail { Some(Outcome::Lost) } else { plan.next_commit.take() }, refused)
    }
}

/// A store that fails on request.
pub struct FaultyStore {
    inner: Box<dyn Store>,
    faults: Faults,
}

impl FaultyStore {
    /// Wraps a store; `faults` says how it fails.
    pub fn new(inner: Box<dyn Store>, faults: Faults) -> FaultyStore {
        FaultyStore { inner, faults }
    }

    /// Commits all but the sessions that are refused.
    fn commit_rest(
        &mut self,
        batch: &Batch,
        mut faults: Vec<SessionFault>,
    ) -> Result<Vec<SessionFault>, CommitError> {
        if faults.is_empty() {
            return self.inner.commit(batch);
        }
        let is_refused = |id: &Arc<str>| faults.iter().any(|fault| fault.session_id == *id);
        let mut rest = batch.clone();
        rest.sessions.retain(|changes| !is_refused(&changes.session_id));
        rest.notifications.retain(|change| match change {
            NotificationChange::Enqueue(record) => !is_refused(&record.session_id),
            NotificationChange::Update(_) | NotificationChange::Remove(_) => true,
        });
        faults.extend(self.inner.commit(&rest)?);
        Ok(faults)
    }
}

impl Store for FaultyStore {
    fn load(&mut self, session_id: &str) -> Result<Option<StoredSession>, Error> {
        self.faults.check_load(session_id)?;
        self.inner.load(session_id)
    }

    fn load_execution(
        &mut self,
        session_id: &str,
        execution_id: &str,
    ) -> Result<Option<ExecutionRecord>, Error> {
        self.faults.check_load(session_id)?;
        self.inner.load_execution(session_id, execution_id)
    }

    fn active_sessions(&mut self, after: u64, limit: usize) -> Result<Vec<Placed>, Error> {
        self.inner.active_sessions(after, limit)
    }

    fn waking_sessions(&mut self, after: u64, limit: usize) -> Result<Vec<Placed>, Error> {
        self.inner.waking_sessions(after, limit)
    }

    fn wake_settings(&mut self) -> Result<Option<String>, Error> {
        self.inner.wake_settings()
    }

    fn set_wake_settings(&mut self, settings: Option<&str>) -> Result<(), Error> {
        self.faults.check(|plan| plan.all_fail)?;
        self.inner.set_wake_settings(settings)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Vec<SessionFault>, CommitError> {
        if let Some(delay) = self.faults.plan().map(|plan| plan.commit_delay) {
            std::thread::sleep(delay);
        }
        let (outcome, refused) = self.faults.verdict(batch);
        let result = match outcome {
            None => self.commit_rest(batch, refused),
            Some(Outcome::Lost) => Err(CommitError::Lost("failed on request".into())),
            Some(Outcome::UnknownLost) => Err(CommitError::Unknown("failed on request".into())),
            Some(Outcome::UnknownKept) => self
                .commit_rest(batch, refused)
                .and_then(|_| Err(CommitError::Unknown("kept, but failed on request".into()))),
        };
        self.faults.call(batch, |plan| &mut plan.after_commit);
        result
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.faults.check(|plan| plan.cannot_reopen)?;
        self.inner.reopen()
    }

    fn was_committed(&mut self, commit_id: u64) -> Result<bool, Error> {
        self.faults.check(|plan| plan.cannot_reopen)?;
        self.inner.was_committed(commit_id)
    }

    fn ticket_secret(&mut self, fresh: &[u8; 32]) -> Result<[u8; 32], Error> {
        self.inner.ticket_secret(fresh)
    }

    fn gone(&mut self, now: Millis) -> Option<Gone> {
        self.inner.gone(now)
    }

    fn newest_time(&mut self) -> Result<Option<Millis>, Error> {
        self.faults.check(|plan| plan.cannot_read)?;
        self.inner.newest_time()
    }

    fn next_wake(&mut self) -> Result<Option<Millis>, Error> {
        let said = self.faults.plan().and_then(|plan| plan.false_wake);
        said.map_or_else(|| self.inner.next_wake(), |at| Ok(Some(at)))
    }

    fn due_sessions(&mut self, now: Millis, limit: usize) -> Result<Vec<Arc<str>>, Error> {
        self.inner.due_sessions(now, limit)
    }

    fn hide(&mut self, session_id: &Arc<str>, is_hidden: bool) {
        self.inner.hide(session_id, is_hidden);
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

    fn readers(&self) -> OpenReader {
        let (open, faults) = (self.inner.readers(), self.faults.clone());
        Arc::new(move || Ok(Box::new(SlowReader { inner: open()?, faults: faults.clone() })))
    }

    fn is_immediate(&self) -> bool {
        self.inner.is_immediate()
    }

    fn set_owner_url(&mut self, url: Option<&str>) -> Result<(), Error> {
        self.inner.set_owner_url(url)
    }
}
