//! The commit loop (R27): requests are applied to working copies of their sessions, all changes
//! are written in one commit, and only then are the snapshots swapped and answers,
//! acknowledgements and records let out.
//!
//! When a commit fails, the working copies are dropped and nothing has happened: callers get
//! `StoreError`, acknowledged links with a frame in the step are closed with 1011. What is done
//! when it is not known whether it was kept is in `outcome`. When the store refuses the data of
//! one session, only that session's requests are done again, by halves, so that one poison
//! row costs one row. That a link is gone is never undone: it is told again until it is kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::HashMap;

use super::aside::PutOff;
use super::entry::Entry;
use super::ids;
use super::link::Output;
use super::outcome::{Failing, Outcome, Unresolved};
use super::owed::Owed;
use super::record::Record;
use super::release::release;
use super::request::{Request, Work, by_session};
use super::shared::{COORDINATOR_CLOSED, Shared, unknown_session};
use super::working::Working;
use crate::protocol::{BadFrame, RejectCode, close, outgoing};
use crate::session::{Command, Effect, Session, Transition};
use crate::settings::Millis;
use crate::store::{Batch, FaultKind, ReadOnlyStore, Store};
use crate::{Error, Settings};

/// A step that failed is tried again after this long (R27).
pub(super) const RETRY_MS: Millis = 1_000;
/// How often a version conflict is resolved by loading again before it counts as a failure.
const CONFLICT_ATTEMPTS: usize = 5;

/// The writer's side of the coordinator. One thread at a time has it, through its lock.
pub(super) struct Engine {
    /// `None`: closed, or read-only.
    store: Option<Box<dyn Store>>,
    /// Instead of `store`, beside another owner.
    read_only: Option<Box<dyn ReadOnlyStore>>,
    pub(super) retention_ms: Millis,
    /// What is deleted for its age is taken for younger by this: the wall clock has moved on by more
    /// than the time that has passed, and may be wrong (R19).
    pub(super) age_lag_ms: Millis,
    /// When the driver looks by itself.
    driver_looks_at: Millis,
    pub(super) next_commit_id: u64,
    /// Deadlines of the sessions that are live (R18).
    pub(super) deadlines: BTreeSet<(Millis, Arc<str>)>,
    pub(super) deadline_of: HashMap<Arc<str>, Millis>,
    pub(super) cache: super::due::DueCache,
    /// Link closes that are not kept yet.
    pub(super) unkept_closes: Vec<Work>,
    /// Nothing that is due is handled before this moment, since the store fails.
    pub(super) retry_at: Option<Millis>,
    /// Since when no commit has succeeded.
    pub(super) failing: Option<Failing>,
    /// The deadline for which a step has moved nothing.
    pub(super) stood_still_at: Option<Millis>,
    /// Whoever waits for notifications was told last at this moment.
    pub(super) told_until: Millis,
    /// A commit whose outcome could not be found out yet.
    pub(super) unresolved: Option<Unresolved>,
    /// What is done to sessions before anything else, in steps.
    pub(super) owed: Owed,
    /// Sessions of which the store refuses steps.
    pub(super) put_off: PutOff,
    /// How often a session could not be read, for no fault of its own that is known.
    pub(super) unread: u64,
    /// When the store was looked at last.
    pub(super) looked_at: Millis,
    /// Commits that failed since it was told that they are kept again.
    pub(super) failed_commits: u64,
    /// What one command does; here for the room that it takes.
    transition: Transition,
}

impl Engine {
    pub(super) fn new(store: Box<dyn Store>, settings: &Settings) -> Engine {
        Engine { store: Some(store), ..Engine::empty(settings) }
    }

    pub(super) fn read_only(store: Box<dyn ReadOnlyStore>, settings: &Settings) -> Engine {
        Engine { read_only: Some(store), ..Engine::empty(settings) }
    }

    fn empty(settings: &Settings) -> Engine {
        Engine {
            store: None,
            read_only: None,
            retention_ms: settings.event_retention_ms,
            age_lag_ms: 0,
            driver_looks_at: Millis::MIN,
            next_commit_id: ids::first_commit_id(),
            deadlines: BTreeSet::new(),
            deadline_of: HashMap::default(),
            cache: super::due::DueCache::default(),
            unkept_closes: Vec::new(),
            retry_at: None,
            failing: None,
            stood_still_at: None,
            told_until: Millis::MIN,
            unresolved: None,
            owed: Owed::default(),
            put_off: PutOff::default(),
            unread: 0,
            looked_at: 0,
            failed_commits: 0,
            transition: Transition::default(),
        }
    }

    /// Releases the store; whatever comes later is told that this is closed.
    pub(super) fn shut(&mut self) {
        self.store = None;
        self.read_only = None;
        self.deadlines.clear();
        self.deadline_of.clear();
    }

    pub(super) fn store(&mut self) -> Result<&mut Box<dyn Store>, Error> {
        match (&mut self.store, &self.read_only) {
            (Some(store), _) => Ok(store),
            (None, Some(_)) => Err(Error::invalid(
                "this coordinator is read-only; open the store without read_only to change it",
            )),
            (None, None) => Err(Error::closed(COORDINATOR_CLOSED)),
        }
    }

    /// Who owns a store that is only read.
    pub(super) fn store_owner(&self) -> Option<crate::store::Owner> {
        self.read_only.as_ref()?.owner()
    }

    pub(super) fn driver_looks_at(&self) -> Millis {
        self.driver_looks_at
    }

    /// The driver sleeps until `at` unless something comes sooner.
    pub(super) fn driver_sleeps_until(&mut self, at: Millis) {
        self.driver_looks_at = at;
    }

    /// Wakes the driver when something is due before it looks by itself.
    pub(super) fn wake_driver_if_sooner(&self, shared: &Shared) {
        let live = self.deadlines.first().map(|(at, _)| *at);
        let retry = self.retry_at.filter(|_| self.has_to_retry());
        let soonest = [live, self.cache.smallest(), retry].into_iter().flatten().min();
        if soonest.is_some_and(|at| at < self.driver_looks_at) {
            shared.wake_driver();
        }
    }

    /// One step: everything in `requests` is applied and committed together.
    pub(super) fn step(&mut self, shared: &Shared, requests: Vec<Request>) {
        self.release_unread(shared);
        let (sessions, notifications) = by_session(requests);
        if !sessions.is_empty() {
            self.retell_closes(shared);
            self.commit_sessions(shared, sessions, 0);
            // A failure may have closed links; that they are gone is told at once.
            self.retell_closes(shared);
        }
        for request in notifications {
            let Work::Notification(command) = &request.work else { continue };
            let result = self.notification(shared, command);
            request.finish(shared, result);
        }
        self.wake_driver_if_sooner(shared);
    }

    /// Applies one command to each of several sessions, as one commit, with no one waiting for
    /// an answer. Whether it was kept.
    pub(super) fn step_all(
        &mut self,
        shared: &Shared,
        commands: impl IntoIterator<Item = (Arc<str>, Vec<Command>)>,
    ) -> bool {
        let requests = commands
            .into_iter()
            .map(|(session_id, commands)| {
                let requests = commands
                    .into_iter()
                    .map(|command| Request::new(session_id.clone(), command))
                    .collect();
                (session_id, requests)
            })
            .collect();
        self.commit_sessions(shared, requests, 0)
    }

    pub(super) fn commit_sessions(
        &mut self,
        shared: &Shared,
        by_session: Vec<(Arc<str>, Vec<Request>)>,
        attempt: usize,
    ) -> bool {
        let now = shared.time.now();
        if let Err(error) = self.resolve(shared) {
            self.fail_all(shared, by_session.into_iter().flat_map(|(_, r)| r).collect(), &error);
            return false;
        }
        let mut steps = Vec::with_capacity(by_session.len());
        let mut loaded_all = true;
        for (session_id, requests) in by_session {
            match self.working(shared, &session_id, requests.len()) {
                Ok(mut working) => {
                    let first = requests.first().and_then(Request::command);
                    let loaded = working.session().filter(|_| working.entry.is_none());
                    if let Some(owed) = self.owed_to(shared, &session_id, loaded, first) {
                        let request = Request::new(session_id, owed);
                        self.apply(shared, &mut working, request, now);
                    }
                    for request in requests {
                        if request.is_cut_off() {
                            request.finish(shared, Err(Error::closed(COORDINATOR_CLOSED)));
                        } else {
                            self.apply(shared, &mut working, request, now);
                        }
                    }
                    steps.push(working);
                }
                Err(error) => {
                    loaded_all = false;
                    self.unread += u64::from(shared.check_aside(&session_id).is_ok());
                    self.fail_all(shared, requests, &error);
                }
            }
        }
        self.commit_steps(shared, steps, now, attempt) && loaded_all
    }

    /// The working copy of a session, for so many requests.
    fn working(
        &mut self,
        shared: &Shared,
        session_id: &Arc<str>,
        requests: usize,
    ) -> Result<Working, Error> {
        if let Some(entry) = shared.entry(session_id) {
            self.store()?;
            let session = entry.committed();
            return Ok(Working::new(session_id.clone(), Some(entry), Some(session), requests));
        }
        let settings = shared.settings.clone();
        let stored = self.load(shared, session_id)?;
        let session = stored.map(|stored| Arc::new(Session::load(stored, settings)));
        Ok(Working::new(session_id.clone(), None, session, requests))
    }

    fn apply(&mut self, shared: &Shared, working: &mut Working, request: Request, now: Millis) {
        let Work::Session { command, .. } = &request.work else { return };
        if let Err(error) = self.supply(working, command) {
            self.fail_all(shared, vec![request], &error);
            return;
        }
        let result = self.apply_command(shared, working, command.clone(), now);
        working.took(request, result);
    }

    /// Fetches the row that a command looks at.
    fn supply(&mut self, working: &mut Working, command: &Command) -> Result<(), Error> {
        if let Some(subject) = command.row_needed()
            && working.needs(subject)
        {
            let stored = self.store()?.load_execution(&working.session_id, subject)?;
            working.supply(subject.clone(), stored);
        }
        Ok(())
    }

    fn apply_command(
        &mut self,
        shared: &Shared,
        working: &mut Working,
        command: Command,
        now: Millis,
    ) -> Result<Option<crate::session::Reply>, Error> {
        if working.session().is_none() {
            if !matches!(command, Command::Start { .. }) {
                return Err(unknown_session(&working.session_id));
            }
            let epoch = ids::random_id("ep");
            working.create(Session::create(
                working.session_id.clone(),
                epoch,
                shared.settings.clone(),
                now,
            ));
        }
        if let Command::Tick = command {
            working.set_age_lag(self.age_lag_ms);
        }
        working.apply(command, now, &mut self.transition)
    }

    fn commit_steps(
        &mut self,
        shared: &Shared,
        mut steps: Vec<Working>,
        now: Millis,
        attempt: usize,
    ) -> bool {
        let mut batch = Batch {
            commit_id: self.next_commit_id,
            time: now,
            sessions: Vec::with_capacity(steps.len()),
            notifications: Vec::new(),
        };
        let earlier_wakes: Vec<_> =
            steps.iter().filter_map(|working| working.base_wake_at).collect();
        for working in &mut steps {
            working.write_into(&mut batch, now, shared.settings.notifications);
        }
        let faults = if batch.sessions.is_empty() && batch.notifications.is_empty() {
            Vec::new()
        } else {
            match self.commit(shared, &batch, &earlier_wakes, now) {
                Outcome::Kept(faults) => faults,
                Outcome::Failed(error) => {
                    let requests = steps.into_iter().flat_map(Working::into_requests).collect();
                    self.fail_all(shared, requests, &error);
                    return false;
                }
            }
        };
        let mut kept = true;
        for mut working in steps {
            working.take_back(&mut batch);
            let fault = faults.iter().find(|fault| fault.session_id == working.session_id);
            match fault.map(|fault| fault.kind.clone()) {
                None => self.install(shared, working, now),
                Some(kind) => kept &= self.redo(shared, working, kind, attempt),
            }
        }
        kept
    }

    /// A session's part of a commit was refused.
    fn redo(&mut self, shared: &Shared, working: Working, kind: FaultKind, attempt: usize) -> bool {
        let session_id = working.session_id.clone();
        let requests = working.into_requests();
        match kind {
            FaultKind::Conflict if attempt < CONFLICT_ATTEMPTS => {
                self.reload(shared, &session_id);
                self.commit_sessions(shared, vec![(session_id, requests)], attempt + 1)
            }
            FaultKind::Conflict => {
                let detail = format!("session {session_id:?} is changed by somebody else");
                self.fail_refused(shared, requests, &Error::StoreError { detail })
            }
            FaultKind::Poison(detail) if requests.len() == 1 => {
                shared
                    .tell(&format!("the store refuses a row of session {session_id:?}: {detail}"));
                let mut requests = requests;
                match requests.pop() {
                    Some(request) => self.refuse(shared, request, &detail),
                    None => true,
                }
            }
            FaultKind::Poison(_) => {
                // By halves: thousands may have come with the one that is refused.
                let mut first = requests;
                let second = first.split_off(first.len() / 2);
                let kept = self.commit_sessions(shared, vec![(session_id.clone(), first)], 0);
                self.commit_sessions(shared, vec![(session_id, second)], 0) && kept
            }
        }
    }

    /// One request that alone cannot be stored. A numbered frame leaves a `rejected` event in
    /// its place (R45d).
    fn refuse(&mut self, shared: &Shared, request: Request, detail: &str) -> bool {
        let error = Error::StoreError { detail: detail.to_owned() };
        let Work::Session { session_id, command, link: Some((link, bytes)) } = &request.work else {
            return self.fail_refused(shared, vec![request], &error);
        };
        let Command::Receive { link: id, execution_id, frame: Ok(frame) } = command else {
            return self.fail_refused(shared, vec![request], &error);
        };
        if !link.acknowledged {
            return self.fail_refused(shared, vec![request], &error);
        }
        let bad = BadFrame {
            code: RejectCode::NotStored,
            seq: frame.seq,
            bytes: frame.data.len() as u64,
        };
        let command =
            Command::Receive { link: *id, execution_id: execution_id.clone(), frame: Err(bad) };
        let work = Work::Session {
            session_id: session_id.clone(),
            command,
            link: Some((link.clone(), *bytes)),
        };
        let replaced = Request { work, slot: request.slot.clone() };
        self.commit_sessions(shared, vec![(session_id.clone(), vec![replaced])], 0)
    }

    /// Loads a session anew, where it is in memory.
    fn reload(&mut self, shared: &Shared, session_id: &Arc<str>) {
        let Some(entry) = shared.entry(session_id) else { return };
        let loaded = self.store().and_then(|store| store.load(session_id));
        if let Ok(Some(stored)) = loaded {
            let mut session = (*entry.committed()).clone();
            session.reload(stored);
            self.show_loaded(shared, &entry, session);
        }
    }

    /// The commit is kept: now it may be seen.
    fn install(&mut self, shared: &Shared, working: Working, now: Millis) {
        let Working {
            session_id,
            entry,
            session,
            deleted,
            executions,
            events,
            effects,
            broadcasts,
            answers,
            ..
        } = working;
        let stored = events.len();
        self.put_off.kept(&session_id);
        if deleted && let Some(entry) = &entry {
            let record = Record::control(&session_id, "deleted", "{}", now);
            entry.delete(record);
            shared.entries.write().remove(&session_id);
        }
        let entry = entry.filter(|_| !deleted);
        self.set_deadline(&session_id, session.as_deref());
        if let Some(session) = session {
            let is_live = session.is_live();
            let volatile = effects.iter().filter_map(|effect| match effect {
                Effect::Broadcast(event) => Some(event.clone()),
                _ => None,
            });
            let mut volatile = broadcasts.into_iter().zip(volatile).peekable();
            match entry {
                Some(entry) => {
                    entry.show(session, &executions, |ring| {
                        for (at, event) in events.into_iter().enumerate() {
                            while let Some((_, event)) = volatile.next_if(|(place, _)| *place <= at)
                            {
                                ring.push(Record::event(&session_id, event));
                            }
                            ring.push(Record::event(&session_id, event));
                        }
                        for (_, event) in volatile {
                            ring.push(Record::event(&session_id, event));
                        }
                    });
                    if !is_live && !entry.has_readers() {
                        shared.entries.write().remove(&session_id);
                    }
                }
                None if is_live => {
                    shared.entries.write().insert(session_id.clone(), Entry::new(session));
                }
                None => {}
            }
        }
        shared.counters.step(stored, &effects);
        release(shared, effects, answers.first().and_then(|(request, _)| request.sender()));
        Request::finish_all(shared, answers);
    }

    /// Nothing of the step was kept.
    pub(super) fn fail_all(&mut self, shared: &Shared, requests: Vec<Request>, error: &Error) {
        for request in requests {
            if let Work::Session { session_id, command, link } = &request.work {
                match command {
                    Command::Receive { link: id, execution_id, .. } => {
                        if let Some((link, _)) = link {
                            self.fail_frame(session_id, execution_id, *id, link);
                        }
                    }
                    // Of one that is set aside nothing is kept before the next opening.
                    Command::LinkClosed { .. } if shared.check_aside(session_id).is_ok() => {
                        self.unkept_closes.push(request.work.clone());
                    }
                    Command::Resumed { lost_ms } if self.is_failing() => {
                        self.owed.put_back(session_id, *lost_ms);
                    }
                    _ => {}
                }
            }
            request.finish(shared, Err(error.clone()));
        }
    }

    fn fail_frame(
        &mut self,
        session_id: &Arc<str>,
        execution_id: &Arc<str>,
        id: u64,
        link: &Arc<super::link::LinkState>,
    ) {
        if !link.acknowledged {
            let text = outgoing::internal_error("the event could not be stored, it is lost");
            link.put(Output::Send(text.into()));
            return;
        }
        if link.is_broken() {
            return;
        }
        link.break_off();
        self.unkept_closes.push(Work::Session {
            session_id: session_id.clone(),
            command: Command::LinkClosed {
                link: id,
                execution_id: execution_id.clone(),
                code: close::STORAGE_FAILED,
                reason: close::STORAGE_REASON.into(),
            },
            link: None,
        });
    }

    /// Whether something waits for the store to work again.
    pub(super) fn has_to_retry(&self) -> bool {
        !self.unkept_closes.is_empty() || self.unresolved.is_some() || self.owed.is_owing()
    }

    /// The session in memory; loaded if it is only stored, `None` if it is not known.
    pub(super) fn ensure_entry(
        &mut self,
        shared: &Shared,
        session_id: &Arc<str>,
    ) -> Result<Option<Arc<Entry>>, Error> {
        if let Some(entry) = shared.entry(session_id) {
            return Ok(Some(entry));
        }
        let Some(stored) = self.load(shared, session_id)? else { return Ok(None) };
        if stored.active.is_some() {
            // Nobody has recovered it yet (R23).
            self.recover(shared, [session_id.clone()])?;
            shared.check_aside(session_id)?;
            return Ok(shared.entry(session_id));
        }
        let session = Session::load(stored, shared.settings.clone());
        let entry = Entry::new(Arc::new(session));
        shared.entries.write().insert(session_id.clone(), entry.clone());
        Ok(Some(entry))
    }

    /// Forgets the sessions whose last reader has gone and in which nothing is live.
    pub(super) fn release_unread(&mut self, shared: &Shared) {
        for session_id in shared.take_unread() {
            self.release_entry(shared, &session_id);
        }
    }

    /// Forgets a session that nobody reads and in which nothing is live.
    pub(super) fn release_entry(&mut self, shared: &Shared, session_id: &Arc<str>) {
        let Some(entry) = shared.entry(session_id) else { return };
        if !entry.has_readers() && !entry.committed().is_live() {
            shared.entries.write().remove(session_id);
        }
    }

    /// `NotFound` unless the session has this execution.
    pub(super) fn require_execution(
        &mut self,
        entry: &Entry,
        session_id: &str,
        execution_id: &str,
    ) -> Result<(), Error> {
        if entry.committed().active().is_some_and(|active| *active.id == *execution_id) {
            return Ok(());
        }
        match self.store()?.load_execution(session_id, execution_id)? {
            Some(_) => Ok(()),
            None => Err(Error::not_found(format!("execution {execution_id:?}"))),
        }
    }
}
