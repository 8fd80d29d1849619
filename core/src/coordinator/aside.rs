//! Sessions that the store does not take: they fail alone and hold up nobody (R27).
//!
//! One whose rows cannot be read, or whose recovery is refused, is *set aside* until the store is
//! opened anew: its calls are told why, nothing of it is due. One that is in memory and whose
//! deadline or whose link's end is refused is tried again, after 1 s, 2 s, 4 s … at most a
//! minute: every try costs everybody's commit a second attempt.

use std::sync::Arc;

use foldhash::HashMap;

use super::engine::{Engine, RETRY_MS};
use super::outcome::break_off_lost;
use super::request::{Request, Work};
use super::shared::Shared;
use crate::Error;
use crate::session::Command;
use crate::settings::Millis;
use crate::store::StoredSession;

/// The longest time between two tries.
const LONGEST_MS: Millis = 60_000;

/// Sessions of which a step was refused, and when they are tried again.
#[derive(Debug, Default)]
pub(super) struct PutOff(HashMap<Arc<str>, Wait>);

#[derive(Debug)]
struct Wait {
    until: Millis,
    ms: Millis,
    /// The store does not count it among those that are due.
    is_hidden: bool,
}

impl PutOff {
    fn refused(&mut self, session_id: &Arc<str>, now: Millis) {
        let wait = self.0.entry(session_id.clone()).or_insert(Wait {
            until: now,
            ms: RETRY_MS / 2,
            is_hidden: false,
        });
        if wait.until <= now {
            wait.ms = (wait.ms * 2).min(LONGEST_MS);
            wait.until = now + wait.ms;
        }
    }

    /// A step of it was kept.
    pub(super) fn kept(&mut self, session_id: &str) {
        if self.0.get(session_id).is_some_and(|wait| !wait.is_hidden) {
            self.0.remove(session_id);
        }
    }

    /// Until when it waits.
    pub(super) fn until(&self, session_id: &str, now: Millis) -> Option<Millis> {
        self.0.get(session_id).map(|wait| wait.until).filter(|until| *until > now)
    }
}

impl Engine {
    /// Loads a session. One whose rows cannot be read although the store can is set aside.
    pub(super) fn load(
        &mut self,
        shared: &Shared,
        session_id: &Arc<str>,
    ) -> Result<Option<StoredSession>, Error> {
        shared.check_aside(session_id)?;
        if let Ok(stored) = self.store()?.load(session_id) {
            return Ok(stored);
        }
        // It may be the store that cannot be read, now or a moment ago.
        self.store()?.newest_time()?;
        let again = match self.store()?.load(session_id) {
            Ok(stored) => return Ok(stored),
            Err(again) => again,
        };
        self.store()?.newest_time()?;
        Err(self.set_aside(shared, session_id, &again))
    }

    /// Until the store is opened anew nothing is done to this session; what its calls are told. Its
    /// readers end, its links are broken off.
    pub(super) fn set_aside(
        &mut self,
        shared: &Shared,
        session_id: &Arc<str>,
        why: &Error,
    ) -> Error {
        let why = match why {
            Error::StoreError { detail } => detail.clone(),
            other => other.to_string(),
        };
        tracing::error!(session = %session_id, "the session is set aside until the store is opened anew: {why}");
        if let Ok(store) = self.store() {
            store.hide(session_id, true);
        }
        self.cache.forget_sessions();
        self.set_deadline(session_id, None);
        let told = shared.set_aside(session_id, &why);
        if let Some(entry) = shared.entry(session_id) {
            shared.entries.write().remove(session_id);
            break_off_lost(shared, &entry.committed(), None);
            entry.close();
        }
        told
    }

    /// The store refuses what these would do to their session, now or for good; `false`.
    pub(super) fn fail_refused(
        &mut self,
        shared: &Shared,
        requests: Vec<Request>,
        why: &Error,
    ) -> bool {
        for request in &requests {
            let Work::Session { session_id, command, .. } = &request.work else { continue };
            match command {
                // One that is in memory has its deadlines.
                Command::Recover { .. } if shared.entry(session_id).is_none() => {
                    self.set_aside(shared, session_id, why);
                }
                Command::Tick | Command::LinkClosed { .. } => {
                    self.put_off.refused(session_id, shared.time.now());
                }
                _ => {}
            }
        }
        self.fail_all(shared, requests, why);
        false
    }

    /// Has those of them that were refused wait.
    pub(super) fn postpone(&mut self, session_ids: Vec<Arc<str>>, now: Millis) {
        for session_id in session_ids {
            let Some(until) = self.put_off.until(&session_id, now) else { continue };
            if self.postpone_deadline(&session_id, now, until) {
                continue;
            }
            // It is not live: its deadline is in its row, which cannot be written.
            if let Some(wait) = self.put_off.0.get_mut(&session_id) {
                wait.is_hidden = true;
            }
            self.hide(&session_id, true);
        }
    }

    fn hide(&mut self, session_id: &Arc<str>, hidden: bool) {
        if let Ok(store) = self.store() {
            store.hide(session_id, hidden);
        }
        self.cache.forget_sessions();
    }

    /// Counts those among the due again that have waited long enough.
    pub(super) fn take_up(&mut self, now: Millis) {
        let is_over = |wait: &Wait| wait.is_hidden && wait.until <= now;
        let over: Vec<Arc<str>> = self
            .put_off
            .0
            .iter_mut()
            .filter(|(_, wait)| is_over(wait))
            .map(|(session_id, wait)| {
                wait.is_hidden = false;
                session_id.clone()
            })
            .collect();
        for session_id in over {
            self.hide(&session_id, false);
        }
    }

    /// When the next of them is tried again.
    pub(super) fn next_try(&self) -> Option<Millis> {
        let waits = |session_id: &Arc<str>, wait: &Wait| {
            wait.is_hidden || self.unkept_closes.iter().any(|work| is_of(work, session_id))
        };
        let waiting = self.put_off.0.iter().filter(|(id, wait)| waits(id, wait));
        waiting.map(|(_, wait)| wait.until).min()
    }

    /// Tells again that links are gone.
    pub(super) fn retell_closes(&mut self, shared: &Shared) {
        if self.unkept_closes.is_empty() || self.store().is_err() {
            return;
        }
        let now = shared.time.now();
        let mut by_session: Vec<(Arc<str>, Vec<Request>)> = Vec::new();
        for work in std::mem::take(&mut self.unkept_closes) {
            let Work::Session { session_id, .. } = &work else { continue };
            if self.put_off.until(session_id, now).is_some() {
                self.unkept_closes.push(work);
                continue;
            }
            let session_id = session_id.clone();
            let request = Request { work, slot: None };
            match by_session.iter_mut().find(|(id, _)| *id == session_id) {
                Some((_, requests)) => requests.push(request),
                None => by_session.push((session_id, vec![request])),
            }
        }
        if !by_session.is_empty() {
            self.commit_sessions(shared, by_session, 0);
        }
    }
}

fn is_of(work: &Work, id: &Arc<str>) -> bool {
    matches!(work, Work::Session { session_id, .. } if session_id == id)
}

/// What calls of a session that is set aside are told.
pub(super) fn is_aside(session_id: &str, why: &str) -> Error {
    let detail =
        format!("session {session_id:?} is set aside until the store is opened anew: {why}");
    Error::StoreError { detail }
}
