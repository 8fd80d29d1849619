//! A handle on one session: what a host does with it and asks of it.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::entry::Entry;
use super::ids;
use super::link::Link;
use super::readers::Purpose;
use super::shared::Shared;
use super::signal::Signal;
use super::subscription::{ROUND_BYTES, SubscribeOptions, Subscription};
use crate::Error;
use crate::protocol::{Filter, Payload};
use crate::session::records::{ExecutionRecord, Lease, SessionRecord, Status};
use crate::session::{
    self, Command, Failure, FailureCause, Health, InterruptGrace, LinkMode, Proof, Reply, Verdict,
};
use crate::settings::{Millis, moment};
use crate::store::{EventPage, Listed, Part};
use crate::wake::Wake;

/// A handle on one session; making one creates nothing (R19a). Clones are cheap; any thread may
/// use it. Everything that changes something returns once that is durable (R27).
#[derive(Clone)]
pub struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) id: Arc<str>,
}

/// How to start an execution (R2).
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    /// The id; generated (`exc_` + UUIDv7) unless given.
    pub execution_id: Option<String>,
    /// The host's word for the kind of run.
    pub mode: Option<String>,
    /// The wrapper's token; generated unless given.
    pub token: Option<String>,
}

/// What was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The execution's id.
    pub execution_id: Arc<str>,
    /// What the wrapper must bring. Only its hash is stored: this is the one time it is told.
    pub token: Arc<str>,
}

/// How a wrapper proves that it may attach (R25).
#[derive(Clone, Debug)]
pub enum Credential {
    /// Compared with the execution's token in constant time.
    Token(Option<String>),
    /// The host has checked already (its `authorize` hook).
    Trusted,
}

/// How to attach a link.
#[derive(Clone, Debug)]
pub struct AttachOptions {
    /// To which execution.
    pub execution_id: String,
    /// By what right.
    pub credential: Credential,
    /// Whether the wrapper asked for acknowledged mode (R45).
    pub acknowledged: bool,
    /// The wrapper's producer id; needed in acknowledged mode.
    pub producer: Option<String>,
    /// The wrapper's attempt number; needed in acknowledged mode.
    pub attempt: Option<u64>,
}

/// How to fail an execution (R9, R10).
#[derive(Clone, Debug, Default)]
pub struct FailOptions {
    /// Becomes the execution's error.
    pub message: String,
    /// The type of the event; `error` unless given.
    pub event_type: Option<String>,
    /// Further fields of the event; `error` and `fatal` cannot be overwritten.
    pub payload: Option<Payload>,
    /// No notification, since the caller handles it itself.
    pub suppress_notification: bool,
    /// Only while no wrapper has attached: a launch that failed (R10). Otherwise `fail` does
    /// nothing and answers `false`.
    pub only_pending: bool,
}

/// An execution as it is committed.
#[derive(Clone, Debug)]
pub struct ExecutionView {
    /// Its session.
    pub session_id: Arc<str>,
    /// Its row.
    pub record: ExecutionRecord,
    /// `None` unless it is running (R6).
    pub health: Option<Health>,
    /// When its wrapper was last heard of: to the moment where this coordinator runs it, else as
    /// far as it is stored, which is refreshed now and then (R14). `None` before the first link.
    pub last_seen_at: Option<Millis>,
}

/// A session as it is committed.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// Its row.
    pub record: SessionRecord,
    /// Its active execution.
    pub active: Option<ExecutionRecord>,
    /// Whether the active execution has a link.
    pub link_attached: bool,
}

/// An attach that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct AttachRefusal {
    /// Why.
    pub error: Error,
    /// Whether the wrapper shall stop. An attempt that a newer one of the same wrapper has
    /// overtaken is refused as a mere failed attempt (R45a).
    pub is_final: bool,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, id: &str) -> Result<Session, Error> {
        ids::check_id("session", id, shared.settings.max_id_bytes)?;
        Ok(Session { shared, id: id.into() })
    }

    /// Its id.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Adds a pending execution, which is thereby the active one (R2).
    ///
    /// Errors: `ExecutionInProgress`, `AlreadyExists`, `InvalidArgument` for a bad id or a mode
    /// longer than `max_id_bytes`.
    pub fn start(&self, options: StartOptions) -> Result<Started, Error> {
        let execution_id: Arc<str> = match &options.execution_id {
            Some(id) => self.checked("execution", id)?,
            None => ids::execution_id(self.shared.time.now()),
        };
        let token: Arc<str> = match options.token {
            Some(token) if token.is_empty() => {
                return Err(Error::invalid("the token is empty; leave it out to have one made"));
            }
            Some(token) if token.trim() != token => {
                return Err(Error::invalid(
                    "the token begins or ends with white space, which gets lost on its way in a \
                     header; take it off",
                ));
            }
            Some(token) => token.into(),
            None => ids::random_id("tok"),
        };
        let max_bytes = self.shared.settings.max_id_bytes as usize;
        if let Some(mode) = options.mode.as_ref().filter(|mode| mode.len() > max_bytes) {
            return Err(Error::invalid(format!(
                "the mode is {} bytes long; at most {max_bytes} are allowed (max_id_bytes)",
                mode.len()
            )));
        }
        self.apply(Command::Start {
            execution_id: execution_id.clone(),
            mode: options.mode.map(Arc::from),
            token_hash: Some(ids::token_hash(&token)),
        })?;
        Ok(Started { execution_id, token })
    }

    /// Attaches a link (R3, R25, R26). A refused attach changes nothing.
    ///
    /// Errors, in the order of the checks: `NotFound`, `Unauthorized`, `ExecutionNotActive`,
    /// `Superseded`; `InvalidArgument` when acknowledged mode lacks its producer or attempt.
    pub fn attach(&self, options: AttachOptions) -> Result<Link, Error> {
        self.attach_or_refuse(options).map_err(|refusal| refusal.error)
    }

    /// [`Session::attach`] for servers, which tell their peers whether a refusal is final.
    pub fn attach_or_refuse(&self, options: AttachOptions) -> Result<Link, AttachRefusal> {
        let refusal = |error: Error| AttachRefusal { error, is_final: true };
        let execution_id = self.checked("execution", &options.execution_id).map_err(refusal)?;
        let mode = self.link_mode(&options).map_err(refusal)?;
        let proof = match options.credential {
            Credential::Trusted => Proof::Trusted,
            Credential::Token(token) => {
                Proof::TokenHash(token.map(|token| ids::token_hash(&token)))
            }
        };
        let producer = match &mode {
            LinkMode::Acknowledged { producer, .. } => Some(producer.clone()),
            LinkMode::Basic => None,
        };
        let state = self.shared.new_link(producer.is_some());
        let command =
            Command::Attach { link: state.id, execution_id: execution_id.clone(), proof, mode };
        if let Err(error) = self.apply(command) {
            self.shared.forget_link(state.id);
            let is_final = error != Error::Superseded || !self.is_current(&execution_id, &producer);
            return Err(AttachRefusal { error, is_final });
        }
        Ok(Link::new(self.shared.clone(), self.id.clone(), execution_id, state))
    }

    /// Fails an execution through the one failure path (R7): `true` when this call did it,
    /// `false` when it had ended already. `NotFound` for an unknown one.
    pub fn fail(&self, execution_id: &str, options: FailOptions) -> Result<bool, Error> {
        if options.event_type.as_deref() == Some("") {
            return Err(Error::invalid("the event type is empty"));
        }
        let payload = options.payload.unwrap_or_default();
        payload.check_nesting(self.shared.settings.max_nesting)?;
        let failure = Failure {
            message: options.message.into(),
            event_type: options.event_type.map(Arc::from),
            payload,
            suppress_notification: options.suppress_notification,
            // What is failed only while no wrapper has attached is a launch.
            cause: match options.only_pending {
                true => FailureCause::Launch,
                false => FailureCause::Caller,
            },
            only_pending: options.only_pending,
        };
        let execution_id = self.checked("execution", execution_id)?;
        match self.apply(Command::Fail { execution_id, failure })? {
            Reply::Failed(did) => Ok(did),
            _ => Ok(false),
        }
    }

    /// Ends a running execution in the host's name. `InvalidTransition` when it has ended, or
    /// cannot end so (R1); `InvalidArgument` for a moment beyond all calendars.
    pub fn finish(
        &self,
        execution_id: &str,
        status: Status,
        message: Option<&str>,
        completed_at: Option<Millis>,
    ) -> Result<(), Error> {
        let execution_id = self.checked("execution", execution_id)?;
        if let Some(at) = completed_at {
            moment(at, "completed_at")?;
        }
        let message = message.map(Arc::from);
        self.apply(Command::Finish { execution_id, status, message, completed_at })?;
        Ok(())
    }

    /// Asks the active execution, or the one named, to stop (R11, R13).
    pub fn interrupt(
        &self,
        execution_id: Option<&str>,
        escalate: bool,
        grace: InterruptGrace,
    ) -> Result<Verdict, Error> {
        if matches!(grace, InterruptGrace::After(ms) if !(0..=crate::settings::MAX_DURATION_MS).contains(&ms))
        {
            return Err(Error::invalid("the interrupt's grace is negative or beyond 100 years"));
        }
        let execution_id = execution_id.map(|id| self.checked("execution", id)).transpose()?;
        match self.apply(Command::Interrupt { execution_id, escalate, grace })? {
            Reply::Verdict(verdict) => Ok(verdict),
            _ => Ok(Verdict::AlreadyTerminal),
        }
    }

    /// Takes an interrupt back (R13).
    pub fn clear_interrupt(&self, execution_id: Option<&str>) -> Result<(), Error> {
        let execution_id = execution_id.map(|id| self.checked("execution", id)).transpose()?;
        self.apply(Command::ClearInterrupt { execution_id })?;
        Ok(())
    }

    /// A sign of life that the host has of the run (R14).
    pub fn heartbeat(&self, execution_id: &str) -> Result<(), Error> {
        let execution_id = self.checked("execution", execution_id)?;
        self.apply(Command::Heartbeat { execution_id })?;
        Ok(())
    }

    /// Takes the lease on an execution, or renews one's own (R38). `AlreadyHeld`.
    pub fn acquire_lease(
        &self,
        execution_id: &str,
        lease_id: &str,
        message_id: Option<&str>,
    ) -> Result<Lease, Error> {
        let execution_id = self.checked("execution", execution_id)?;
        let lease_id = self.checked("lease", lease_id)?;
        let message_id = message_id.map(|id| self.checked("message", id)).transpose()?;
        self.lease(Command::AcquireLease { execution_id, lease_id, message_id })
    }

    /// Extends a lease by its time to live (R38). `NotFound`, `WrongHolder`.
    pub fn extend_lease(&self, execution_id: &str, lease_id: &str) -> Result<Lease, Error> {
        let execution_id = self.checked("execution", execution_id)?;
        let lease_id = self.checked("lease", lease_id)?;
        self.lease(Command::ExtendLease { execution_id, lease_id })
    }

    /// Gives a lease back (R38). `NotFound`, `WrongHolder`.
    pub fn release_lease(&self, execution_id: &str, lease_id: &str) -> Result<(), Error> {
        let execution_id = self.checked("execution", execution_id)?;
        let lease_id = self.checked("lease", lease_id)?;
        self.apply(Command::ReleaseLease { execution_id, lease_id })?;
        Ok(())
    }

    /// Removes the session wholly and at once (R19a).
    pub fn delete(&self) -> Result<(), Error> {
        self.apply(Command::Delete)?;
        Ok(())
    }

    /// The session as it is committed. `NotFound`.
    pub fn view(&self) -> Result<SessionView, Error> {
        self.shared.check_open()?;
        self.shared.recover([&*self.id])?;
        if let Some(entry) = self.shared.entry(&self.id) {
            // One snapshot, so that all of it belongs together.
            let session = entry.committed();
            return Ok(SessionView {
                record: session.record().clone(),
                active: session.active_now(),
                link_attached: session.has_link(),
            });
        }
        let stored = self.shared.committed(&self.id)?;
        Ok(SessionView { record: stored.record, active: stored.active, link_attached: false })
    }

    /// The id of the active execution. `NotFound` for an unknown session.
    pub fn active(&self) -> Result<Option<Arc<str>>, Error> {
        self.with_active(|active| active.id.clone())
    }

    /// The same for threads that must not wait for a disk: `None` where it would have to be read
    /// from the store, or the coordinator is closed.
    pub fn active_in_memory(&self) -> Option<Option<Arc<str>>> {
        let entries = self.shared.entries.read();
        let entry = entries.get(&self.id)?;
        Some(entry.with_committed(|session| session.active().map(|active| active.id.clone())))
    }

    /// The status of the active execution. `NotFound` for an unknown session.
    pub fn active_status(&self) -> Result<Option<Status>, Error> {
        self.with_active(|active| active.status)
    }

    /// One execution. `NotFound`.
    pub fn execution(&self, id: &str) -> Result<ExecutionView, Error> {
        self.shared.check_open()?;
        self.shared.recover([&*self.id])?;
        self.shared.check_aside(&self.id)?;
        if let Some(entry) = self.shared.entry(&self.id) {
            let session = entry.committed();
            if let Some(active) = session.active_now().filter(|active| *active.id == *id) {
                return Ok(self.live_view(&session, active));
            }
        }
        let record = self.shared.read(Purpose::LookUp, |reader| {
            if let Some(record) = reader.execution(&self.id, id)? {
                return Ok(record);
            }
            match reader.load(&self.id)? {
                Some(_) => Err(Error::not_found(format!("execution {id:?}"))),
                None => Err(super::shared::unknown_session(&self.id)),
            }
        })?;
        Ok(self.view_of(record))
    }

    /// Executions, the newest first, at most `limit`; optionally of one status.
    pub fn executions(
        &self,
        status: Option<Status>,
        limit: usize,
    ) -> Result<Vec<ExecutionView>, Error> {
        Ok(self.list_executions(status, Part::first(limit))?.entries)
    }

    /// One part of the executions, the newest first; optionally of one status.
    pub fn list_executions(
        &self,
        status: Option<Status>,
        part: Part,
    ) -> Result<Listed<ExecutionView>, Error> {
        self.shared.committed(&self.id)?;
        let Listed { entries, next } =
            self.shared.read(Purpose::Read, |reader| reader.executions(&self.id, status, part))?;
        let entries = entries.into_iter().map(|record| self.view_of(record)).collect();
        Ok(Listed { entries, next })
    }

    /// The health of an execution; `None` unless it is running (R6).
    pub fn health(&self, execution_id: &str) -> Result<Option<Health>, Error> {
        Ok(self.execution(execution_id)?.health)
    }

    /// One bounded round of the past (R36); go on with `filter.after = page.next_after` until
    /// `page.end`. `NotFound` for an unknown session.
    pub fn events(&self, filter: &Filter) -> Result<EventPage, Error> {
        self.shared.committed(&self.id)?;
        self.shared.read(Purpose::Read, |reader| reader.events(&self.id, filter, ROUND_BYTES))
    }

    /// How many stored events pass the filter, its limit included.
    pub fn count_events(&self, filter: &Filter) -> Result<u64, Error> {
        self.shared.committed(&self.id)?;
        self.shared.read(Purpose::Read, |reader| reader.count_events(&self.id, filter))
    }

    /// The past and then what is live (R34a, R35).
    pub fn subscribe(&self, options: SubscribeOptions) -> Result<Subscription, Error> {
        self.shared.check_open()?;
        Subscription::open(self.shared.clone(), self.id.clone(), options)
    }

    /// Waits until the execution is terminal. `Timeout` (`None`: waits for ever).
    pub fn wait(
        &self,
        execution_id: &str,
        timeout: Option<Duration>,
    ) -> Result<ExecutionView, Error> {
        let watch = self.watch(execution_id)?;
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            watch.signal.clear();
            if let Some(view) = watch.poll()? {
                return Ok(view);
            }
            if !watch.signal.wait(until) {
                return Err(Error::Timeout);
            }
        }
    }

    /// Watches an execution until it is terminal.
    pub fn watch(&self, execution_id: &str) -> Result<Watch, Error> {
        let view = self.execution(execution_id)?;
        let entry = match view.record.status.is_terminal() {
            true => None,
            false => {
                let mut engine = self.shared.open_engine()?;
                let entry = engine
                    .ensure_entry(&self.shared, &self.id)?
                    .ok_or_else(|| super::shared::unknown_session(&self.id))?;
                entry.add_reader();
                Some(entry)
            }
        };
        let signal = Arc::new(Signal::default());
        if let Some(entry) = &entry {
            let weak: Weak<Signal> = Arc::downgrade(&signal);
            entry.add_waker(weak);
        }
        Ok(Watch { session: self.clone(), execution_id: execution_id.into(), entry, signal })
    }

    /// A look at the active execution: what hosts ask for most, so it counts no references.
    fn with_active<T>(&self, look: impl Fn(&ExecutionRecord) -> T) -> Result<Option<T>, Error> {
        if let Some(entry) = self.shared.entries.read().get(&self.id) {
            return Ok(entry.with_committed(|session| session.active().map(&look)));
        }
        Ok(self.shared.committed(&self.id)?.active.as_ref().map(look))
    }

    /// What a row of this session says, with what is known of it beside the store.
    pub fn view_of(&self, record: ExecutionRecord) -> ExecutionView {
        let live = self.shared.entry(&self.id).map(|entry| entry.committed());
        // A row that says that it has ended is newer than what is in memory.
        let live = live.filter(|_| record.status.is_active()).and_then(|session| {
            let active = session.active_now().filter(|active| active.id == record.id)?;
            Some((session, active))
        });
        match live {
            // All of it of one moment.
            Some((session, active)) => self.live_view(&session, active),
            // Beside the owner only the stored sign of life is known, which is debounced (R14).
            None => ExecutionView {
                session_id: self.id.clone(),
                health: record
                    .last_heartbeat_at
                    .filter(|_| record.status == Status::Running)
                    .map(|at| Health::of_age(self.shared.time.now() - at, &self.shared.settings)),
                last_seen_at: record.last_seen_at(),
                record,
            },
        }
    }

    pub(super) fn live_view(
        &self,
        live: &crate::session::Session,
        record: ExecutionRecord,
    ) -> ExecutionView {
        ExecutionView {
            session_id: self.id.clone(),
            health: live.health(self.shared.time.now()),
            last_seen_at: live.last_seen_at().max(record.last_seen_at()),
            record,
        }
    }

    fn lease(&self, command: Command) -> Result<Lease, Error> {
        match self.apply(command)? {
            Reply::Lease(lease) => Ok(lease),
            other => Err(Error::Panic { detail: format!("a lease was answered with {other:?}") }),
        }
    }

    fn apply(&self, command: Command) -> Result<Reply, Error> {
        self.shared.apply(&self.id, command)
    }

    fn checked(&self, what: &str, id: &str) -> Result<Arc<str>, Error> {
        ids::check_id(what, id, self.shared.settings.max_id_bytes)?;
        Ok(id.into())
    }

    fn link_mode(&self, options: &AttachOptions) -> Result<LinkMode, Error> {
        if !options.acknowledged {
            return Ok(LinkMode::Basic);
        }
        let missing = |what: &str| {
            Error::invalid(format!("protocol 2 needs {what}; give it, or attach in basic mode"))
        };
        let producer = options.producer.as_deref().ok_or_else(|| missing("producer"))?;
        let attempt = options.attempt.ok_or_else(|| missing("attempt"))?;
        Ok(LinkMode::Acknowledged { producer: self.checked("producer", producer)?, attempt })
    }

    /// Whether a newer link of the same wrapper is there (R45a).
    fn is_current(&self, execution_id: &str, producer: &Option<Arc<str>>) -> bool {
        let (Some(entry), Some(producer)) = (self.shared.entry(&self.id), producer) else {
            return false;
        };
        entry.committed().is_current_producer(execution_id, producer)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish()
    }
}

/// Whether one execution is terminal yet, with a waker for event loops.
pub struct Watch {
    session: Session,
    execution_id: Arc<str>,
    /// `None`: it was terminal from the beginning.
    entry: Option<Arc<Entry>>,
    signal: Arc<Signal>,
}

impl Watch {
    /// The execution once it is terminal; then it may be read from the store. `NotFound` when its
    /// session was deleted meanwhile.
    pub fn poll(&self) -> Result<Option<ExecutionView>, Error> {
        match self.is_over()? {
            true => self.session.execution(&self.execution_id).map(Some),
            false => Ok(None),
        }
    }

    /// Whether [`Watch::poll`] has an answer. Looks at memory only.
    pub fn is_over(&self) -> Result<bool, Error> {
        let Some(entry) = &self.entry else { return Ok(true) };
        self.session.shared.check_open()?;
        let session: Arc<session::Session> = entry.committed();
        let is_active = session.active().is_some_and(|active| active.id == self.execution_id);
        Ok(!is_active || entry.deleted().is_some() || entry.is_closed())
    }

    /// Called whenever the answer of [`Watch::poll`] may have changed.
    pub fn set_waker(&self, waker: Option<Arc<dyn Wake>>) {
        self.signal.set_waker(waker);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.entry.as_ref().is_some_and(|entry| entry.remove_reader()) {
            self.session.shared.release_entry(&self.session.id);
        }
    }
}
