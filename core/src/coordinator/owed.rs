//! What is owed to sessions before anything else happens to them, and is paid in steps (R19).
//!
//! After an opening every active execution has to be recovered (R23); after time was lost every
//! live one gets it back (R18b). Both may be a hundred thousand, so they go in steps with others
//! let in between, and a session that somebody touches first is paid first, in the same commit:
//! nobody sees an execution that is not recovered, nor fails one for lost time.
//!
//! A store that was opened with other settings has wake-ups that were computed with the old ones:
//! they are computed anew, in steps too (R18).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use foldhash::HashMap;

use super::due::AT_ONCE;
use super::engine::Engine;
use super::shared::Shared;
use crate::Error;
use crate::session::{Command, Session};
use crate::settings::{Millis, Settings};

/// What is not paid yet.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Lost time that is not divided up yet (R18b).
    lost_ms: Millis,
    /// Sessions and the lost time that each of them gets back.
    lost_of: HashMap<Arc<str>, Millis>,
    /// The same sessions, in the order of payment. One that was paid before is passed over.
    line: VecDeque<Arc<str>>,
    /// The newest time that was in the store at the opening: nobody was there since (R23).
    down_since: Option<Millis>,
    /// Up to this place the sessions that were active at the opening are recovered; `None`: all.
    recovered_to: Option<u64>,
    /// Up to this place the wake-ups are computed anew; `None`: all.
    rewoken_to: Option<u64>,
    /// How the settings are noted once that is done.
    wake_settings: String,
}

impl Owed {
    pub(super) fn lose(&mut self, lost_ms: Millis) {
        self.lost_ms += lost_ms;
    }

    /// Whether anything is left to be paid.
    pub(super) fn is_owing(&self) -> bool {
        self.lost_ms > 0
            || !self.lost_of.is_empty()
            || self.recovered_to.is_some()
            || self.rewoken_to.is_some()
    }

    /// The lost time that a session gets back now.
    pub(super) fn take_lost(&mut self, session_id: &Arc<str>) -> Option<Millis> {
        if self.lost_of.is_empty() { None } else { self.lost_of.remove(session_id) }
    }

    /// A step that paid it back was not kept.
    pub(super) fn put_back(&mut self, session_id: &Arc<str>, lost_ms: Millis) {
        let owed = self.lost_of.entry(session_id.clone()).or_insert_with(|| {
            self.line.push_back(session_id.clone());
            0
        });
        *owed += lost_ms;
    }

    /// The next sessions to be paid.
    fn next(&mut self) -> Vec<Arc<str>> {
        let mut next = Vec::new();
        while next.len() < AT_ONCE
            && let Some(session_id) = self.line.pop_front()
        {
            if self.lost_of.contains_key(&session_id) {
                next.push(session_id);
            }
        }
        next
    }
}

/// The settings that stored wake-ups depend on.
fn wake_settings(settings: &Settings) -> String {
    let Settings { idle_after_ms, session_ttl_ms, .. } = settings;
    format!("idle_after_ms={idle_after_ms} session_ttl_ms={session_ttl_ms}")
}

fn not_recovered() -> Error {
    Error::StoreError { detail: "what was active could not be recovered".to_owned() }
}

impl Engine {
    /// Looks at what is owed after an opening, and pays the first of it: the others follow in
    /// steps, each when its turn comes or when it is first touched.
    pub(super) fn begin_recovery(
        &mut self,
        shared: &Shared,
        newest: Option<Millis>,
    ) -> Result<(), Error> {
        let wanted = wake_settings(&shared.settings);
        let noted = self.store()?.wake_settings()?;
        if noted.as_ref() != Some(&wanted) {
            // From here on rows of both kinds may be there.
            if noted.is_some() {
                self.store()?.set_wake_settings(None)?;
            }
            self.owed.rewoken_to = Some(0);
            self.owed.wake_settings = wanted;
        }
        self.owed.down_since = newest;
        self.owed.recovered_to = Some(0);
        shared.recovering.store(true, Ordering::Release);
        self.recover_some(shared)
    }

    /// Pays all that is owed after an opening.
    pub(super) fn end_recovery(&mut self, shared: &Shared) -> Result<(), Error> {
        while self.pay_some(shared)? || self.rewake_some(shared)? {
            if self.is_failing() {
                return Err(not_recovered());
            }
        }
        Ok(())
    }

    /// Recovers some of those that were active at the opening (R23).
    fn recover_some(&mut self, shared: &Shared) -> Result<(), Error> {
        let Some(after) = self.owed.recovered_to else { return Ok(()) };
        let next = self.store()?.active_sessions(after, AT_ONCE)?;
        let Some((last, _)) = next.last() else {
            self.owed.recovered_to = None;
            shared.recovering.store(false, Ordering::Release);
            return Ok(());
        };
        let last = *last;
        self.recover(shared, next.into_iter().map(|(_, session_id)| session_id))?;
        self.owed.recovered_to = Some(last);
        Ok(())
    }

    /// Recovers these now, where that has not happened. Those of which the store refuses it are set
    /// aside.
    pub(super) fn recover(
        &mut self,
        shared: &Shared,
        session_ids: impl IntoIterator<Item = Arc<str>>,
    ) -> Result<(), Error> {
        let command = self.recover_command(shared);
        let behind: Vec<_> = session_ids
            .into_iter()
            .filter(|id| shared.entry(id).is_none() && shared.check_aside(id).is_ok())
            .map(|session_id| (session_id, vec![command.clone()]))
            .collect();
        if behind.is_empty() {
            return Ok(());
        }
        let unread = self.unread;
        let is_kept = self.step_all(shared, behind);
        self.wake_driver_if_sooner(shared);
        if !is_kept && (self.is_failing() || self.unread != unread) {
            self.store()?;
            return Err(not_recovered());
        }
        Ok(())
    }

    /// What a session is owed before anything else is applied to it.
    pub(super) fn owed_to(
        &mut self,
        shared: &Shared,
        session_id: &Arc<str>,
        loaded: Option<&Session>,
        first: Option<&Command>,
    ) -> Option<Command> {
        if let Some(lost_ms) = self.owed.take_lost(session_id) {
            return Some(Command::Resumed { lost_ms });
        }
        // Whatever is active is in memory, unless nobody has recovered it yet (R23).
        let is_behind = loaded.is_some_and(|session| session.active().is_some());
        let is_told = matches!(first, Some(Command::Recover { .. }));
        (is_behind && !is_told).then(|| self.recover_command(shared))
    }

    /// What is not recovered yet had nobody until now.
    fn recover_command(&self, shared: &Shared) -> Command {
        let since = self.owed.down_since.filter(|_| shared.recovering.load(Ordering::Acquire));
        let now = shared.time.now();
        Command::Recover { down_ms: since.map_or(0, |since| (now - since).max(0)) }
    }

    /// Time was lost (R18b): everybody live gets it back before anything that is due is handled.
    pub(super) fn resumed(&mut self, lost_ms: Millis) {
        tracing::warn!(lost_ms, "the coordinator was away; liveness deadlines are moved");
        self.owed.lose(lost_ms);
    }

    /// Divides lost time up among those who are live, the time in which no commit succeeded with
    /// it.
    pub(super) fn divide_lost_time(&mut self) {
        let lost_ms = std::mem::take(&mut self.owed.lost_ms) + self.take_failing_ms();
        if lost_ms == 0 {
            return;
        }
        for (_, session_id) in &self.deadlines {
            self.owed.put_back(session_id, lost_ms);
        }
    }

    /// Pays one step's worth of what is owed; whether there was any.
    pub(super) fn pay_some(&mut self, shared: &Shared) -> Result<bool, Error> {
        let next = self.owed.next();
        if !next.is_empty() {
            let paid: Vec<_> = next
                .into_iter()
                .filter_map(|session_id| {
                    let lost_ms = self.owed.take_lost(&session_id)?;
                    Some((session_id, vec![Command::Resumed { lost_ms }]))
                })
                .collect();
            self.step_all(shared, paid);
            return Ok(true);
        }
        if self.owed.recovered_to.is_some() {
            self.recover_some(shared)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Computes some of the stored wake-ups anew, and acts on those that are due with the settings
    /// of now; whether there were any.
    pub(super) fn rewake_some(&mut self, shared: &Shared) -> Result<bool, Error> {
        let Some(after) = self.owed.rewoken_to else { return Ok(false) };
        let next = self.store()?.waking_sessions(after, AT_ONCE)?;
        let Some((last, _)) = next.last() else {
            let noted = self.owed.wake_settings.clone();
            self.store()?.set_wake_settings(Some(&noted))?;
            self.owed.rewoken_to = None;
            return Ok(true);
        };
        let last = *last;
        self.tick_all(shared, next.into_iter().map(|(_, session_id)| session_id).collect())?;
        if !self.is_failing() {
            self.owed.rewoken_to = Some(last);
        }
        Ok(true)
    }
}

impl Shared {
    /// Recovers those of these sessions that nobody has recovered since the opening; whether there
    /// may have been any (R23).
    pub(super) fn recover<'a>(
        &self,
        session_ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<bool, Error> {
        if !self.recovering.load(Ordering::Acquire) {
            return Ok(false);
        }
        let behind = session_ids.into_iter().filter(|id| self.entry(id).is_none());
        let behind: Vec<Arc<str>> = behind.map(Arc::from).collect();
        for some in behind.chunks(AT_ONCE) {
            self.open_engine()?.recover(self, some.iter().cloned())?;
        }
        Ok(!behind.is_empty())
    }
}
