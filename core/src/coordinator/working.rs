//! The working copy of one session during one step, and what the step wants written. It is the
//! committed one until the first change.

use std::sync::Arc;

use foldhash::HashMap;

use super::entry::Entry;
use super::ids;
use super::request::Request;
use crate::Error;
use crate::session::records::{EventRecord, ExecutionRecord, NotificationRecord};
use crate::session::{Changes, Command, Effect, NewNotification, Reply, Session, Transition};
use crate::settings::Millis;
use crate::store::{Batch, NotificationChange, SessionChanges};

pub(super) struct Working {
    pub(super) session_id: Arc<str>,
    /// Where it is in memory.
    pub(super) entry: Option<Arc<Entry>>,
    pub(super) session: Option<Arc<Session>>,
    /// The version that the step began with; 0: the session was not stored.
    base_version: u64,
    /// The wake-up that the stored row holds.
    pub(super) base_wake_at: Option<Millis>,
    /// Made in this step and not stored yet.
    is_new: bool,
    is_dirty: bool,
    is_active_dirty: bool,
    pub(super) deleted: bool,
    /// Rows of executions that are not active: fetched, and as this step left them.
    fetched: HashMap<Arc<str>, Option<ExecutionRecord>>,
    pub(super) executions: Vec<ExecutionRecord>,
    pub(super) events: Vec<EventRecord>,
    notifications: Vec<NewNotification>,
    pub(super) effects: Vec<Effect>,
    /// For each broadcast among the effects, how many events come before it.
    pub(super) broadcasts: Vec<usize>,
    pub(super) answers: Vec<(Request, Result<Option<Reply>, Error>)>,
    /// Where in the batch this session's part is.
    part: Option<usize>,
}

impl Working {
    /// For so many requests.
    pub(super) fn new(
        session_id: Arc<str>,
        entry: Option<Arc<Entry>>,
        session: Option<Arc<Session>>,
        requests: usize,
    ) -> Working {
        Working {
            session_id,
            entry,
            base_version: session.as_ref().map_or(0, |session| session.record().version),
            base_wake_at: session.as_ref().and_then(|session| session.record().wake_at),
            session,
            is_new: false,
            is_dirty: false,
            is_active_dirty: false,
            deleted: false,
            fetched: HashMap::default(),
            executions: Vec::new(),
            events: Vec::new(),
            notifications: Vec::new(),
            effects: Vec::new(),
            broadcasts: Vec::new(),
            answers: Vec::with_capacity(requests),
            part: None,
        }
    }

    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    /// See [`Session::set_age_lag`].
    pub(super) fn set_age_lag(&mut self, lag_ms: Millis) {
        if let Some(session) = &mut self.session
            && session.age_lag() != lag_ms
        {
            Arc::make_mut(session).set_age_lag(lag_ms);
        }
    }

    /// A session that begins with this step.
    pub(super) fn create(&mut self, session: Session) {
        self.session = Some(Arc::new(session));
        self.is_new = true;
    }

    /// Whether the execution's row must be supplied before a command on it is applied.
    pub(super) fn needs(&self, execution_id: &Arc<str>) -> bool {
        // A new session, or one after a deletion, has nothing stored.
        let Some(session) = self.session().filter(|_| !self.is_new) else { return false };
        let is_active = session.active().is_some_and(|active| active.id == *execution_id);
        !is_active && !self.fetched.contains_key(execution_id)
    }

    pub(super) fn supply(&mut self, execution_id: Arc<str>, record: Option<ExecutionRecord>) {
        self.fetched.insert(execution_id, record);
    }

    /// Applies one command; an error has changed nothing. `transition` is empty before and after,
    /// but for the room it takes.
    pub(super) fn apply(
        &mut self,
        command: Command,
        now: Millis,
        transition: &mut Transition,
    ) -> Result<Option<Reply>, Error> {
        let Some(session) = self.session.as_mut().map(Arc::make_mut) else { return Ok(None) };
        let is_tick = matches!(command, Command::Tick);
        let subject =
            command.row_needed().and_then(|subject| self.fetched.get(subject).cloned().flatten());
        if let Err(error) = session.apply_into(command, subject, now, transition) {
            if self.is_new && session.active().is_none() && !self.is_dirty {
                // A refused start makes no session (R19a).
                self.session = None;
                self.is_new = self.deleted;
            }
            *transition = Transition::default();
            return Err(error);
        }
        // A wake-up that found nothing to do, or was computed with other settings, is rewritten
        // (R18).
        self.is_dirty |= is_tick && session.wake_at_now() != self.base_wake_at;
        self.take(&mut transition.changes);
        for effect in transition.effects.drain(..) {
            self.add_effect(effect);
        }
        if std::mem::take(&mut transition.changes.deleted) {
            self.forget_everything();
        }
        Ok(transition.reply.take())
    }

    /// Takes what must be written out of a transition and leaves the room that it took.
    fn take(&mut self, changes: &mut Changes) {
        let is_active_dirty = std::mem::take(&mut changes.active);
        self.is_dirty |= std::mem::take(&mut changes.session);
        self.is_dirty |= is_active_dirty || !changes.executions.is_empty();
        self.is_active_dirty |= is_active_dirty;
        for record in changes.executions.drain(..) {
            self.fetched.insert(record.id.clone(), Some(record.clone()));
            self.executions.retain(|earlier| earlier.id != record.id);
            self.executions.push(record);
        }
        self.events.append(&mut changes.events);
        self.notifications.append(&mut changes.notifications);
    }

    /// Of acknowledgements in a row the last is enough.
    fn add_effect(&mut self, effect: Effect) {
        if let Effect::Acknowledge(link, seq) = effect
            && let Some(Effect::Acknowledge(last_link, last_seq)) = self.effects.last_mut()
            && *last_link == link
        {
            *last_seq = seq;
            return;
        }
        if matches!(effect, Effect::Broadcast(_)) {
            self.broadcasts.push(self.events.len());
        }
        self.effects.push(effect);
    }

    /// After a deletion: what was to be written of the session goes with it, notifications stay.
    fn forget_everything(&mut self) {
        self.deleted = true;
        self.session = None;
        self.is_new = true;
        self.is_dirty = false;
        self.is_active_dirty = false;
        self.fetched.clear();
        self.executions.clear();
        self.events.clear();
        self.broadcasts.fill(0);
    }

    pub(super) fn took(&mut self, request: Request, result: Result<Option<Reply>, Error>) {
        self.answers.push((request, result));
    }

    pub(super) fn into_requests(self) -> Vec<Request> {
        self.answers.into_iter().map(|(request, _)| request).collect()
    }

    /// Adds what this step changes to a batch; nothing if it changes nothing. `notifies`: there is
    /// somebody to notify.
    pub(super) fn write_into(&mut self, batch: &mut Batch, now: Millis, notifies: bool) {
        for notification in self.notifications.drain(..).filter(|_| notifies) {
            let record = notification_record(&self.session_id, notification, now);
            batch.notifications.push(NotificationChange::Enqueue(record));
        }
        let deletes = self.deleted && self.base_version > 0;
        if !self.is_dirty && !deletes {
            return;
        }
        let mut changes = SessionChanges {
            session_id: self.session_id.clone(),
            base_version: self.base_version,
            record: None,
            // These come back for those who look once they are kept.
            executions: std::mem::take(&mut self.executions),
            events: std::mem::take(&mut self.events),
            delete: deletes,
        };
        if self.is_dirty
            && let Some(session) = self.session.as_mut().map(Arc::make_mut)
        {
            changes.record = Some(session.row_to_write(self.base_version));
            if self.is_active_dirty {
                // Mostly the only one, and room for more would cost more than the row.
                changes.executions.reserve_exact(1);
                changes.executions.extend(session.active().cloned());
            }
        }
        self.part = Some(batch.sessions.len());
        batch.sessions.push(changes);
    }

    /// The batch is kept: its events and rows are for those who look now.
    pub(super) fn take_back(&mut self, batch: &mut Batch) {
        if let Some(part) = self.part.and_then(|part| batch.sessions.get_mut(part)) {
            self.events = std::mem::take(&mut part.events);
            self.executions = std::mem::take(&mut part.executions);
        }
    }
}

fn notification_record(
    session_id: &Arc<str>,
    notification: NewNotification,
    now: Millis,
) -> NotificationRecord {
    NotificationRecord {
        id: ids::random_id("ntf"),
        kind: notification.kind,
        session_id: session_id.clone(),
        execution_id: notification.execution_id,
        status: notification.status,
        error: notification.error,
        branch: notification.branch,
        agent_session_id: notification.agent_session_id,
        created_at: now,
        attempt: 0,
        available_at: now,
        parked: false,
    }
}
