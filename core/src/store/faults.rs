//! A store that fails on request, for tests: `fail_next_commit` of the scenario format, poison
//! rows, disks that are full for a while.
//!
//! [`FaultyStore`] wraps any other store and passes everything on. The [`Faults`] handle, which
//! can be cloned and used from any thread, tells it what to do instead. Where nothing is asked
//! for it changes nothing, so a driver may wrap every store in it.

use std::sync::Arc;

use crate::lock::Mutex;

use super::{
    Batch, CommitError, FaultKind, NotificationChange, Reader, SessionChanges, SessionFault, Store,
    StoredSession,
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

type BeforeCommit = Box<dyn FnMut(&Batch) + Send>;

#[derive(Default)]
struct Plan {
    next_commit: Option<Outcome>,
    all_fail: bool,
    poisoned_sessions: Vec<Arc<str>>,
    poisoned_data: Vec<String>,
    before_commit: Option<BeforeCommit>,
    commits: u64,
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
    plan: Arc<Mutex<Plan>>,
}

impl Faults {
    /// Nothing fails until something is asked for.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// The next commit that has something to write fails in this way; only that one.
    pub fn fail_next_commit(&self, outcome: Outcome) {
        self.plan.lock().next_commit = Some(outcome);
    }

    /// Whether every commit that has something to write is lost, until switched off.
    pub fn fail_commits(&self, all: bool) {
        self.plan.lock().all_fail = all;
    }

    /// From now on this session's part of any batch is refused.
    pub fn poison_session(&self, session_id: &str) {
        self.plan.lock().poisoned_sessions.push(session_id.into());
    }

    /// From now on a session's part with an event whose data contains this text is refused.
    pub fn poison_data(&self, text: &str) {
        self.plan.lock().poisoned_data.push(text.into());
    }

    /// No session and no data is refused any more.
    pub fn heal(&self) {
        let mut plan = self.plan.lock();
        plan.poisoned_sessions.clear();
        plan.poisoned_data.clear();
    }

    /// Calls `hook` with each batch before it is committed, on the committing thread. It replaces
    /// the hook there was, and must not commit itself; it may use this handle.
    pub fn before_commit(&self, hook: impl FnMut(&Batch) + Send + 'static) {
        self.plan.lock().before_commit = Some(Box::new(hook));
    }

    /// How many batches with something to write have been given to the store, failed ones
    /// included.
    pub fn commits(&self) -> u64 {
        self.plan.lock().commits
    }

    /// The outcome asked for, if this batch is to fail, and which sessions of it are refused.
    fn verdict(&self, batch: &Batch) -> (Option<Outcome>, Vec<SessionFault>) {
        let mut plan = self.plan.lock();
        // Taken out for the call: the hook may use this handle.
        if let Some(mut hook) = plan.before_commit.take() {
            drop(plan);
            hook(batch);
            plan = self.plan.lock();
            plan.before_commit.get_or_insert(hook);
        }
        let refused = batch.sessions.iter().filter(|changes| plan.is_poisoned(changes));
        let refused = refused.map(|changes| SessionFault {
            session_id: changes.session_id.clone(),
            kind: FaultKind::Poison("refused on request".into()),
        });
        let refused = refused.collect();
        if batch.sessions.is_empty() && batch.notifications.is_empty() {
            return (None, refused);
        }
        plan.commits += 1;
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
        let (outcome, refused) = self.faults.verdict(batch);
        match outcome {
            None => self.commit_rest(batch, refused),
            Some(Outcome::Lost) => Err(CommitError::Lost("failed on request".into())),
            Some(Outcome::UnknownLost) => Err(CommitError::Unknown("failed on request".into())),
            Some(Outcome::UnknownKept) => {
                self.commit_rest(batch, refused)?;
                Err(CommitError::Unknown("kept, but failed on request".into()))
            }
        }
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.inner.reopen()
    }

    fn was_committed(&mut self, commit_id: u64) -> Result<bool, Error> {
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

    fn set_owner_url(&mut self, url: Option<&str>) -> Result<(), Error> {
        self.inner.set_owner_url(url)
    }
}
