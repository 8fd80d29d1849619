//! One execution as memory has it: for those who must not wait for a disk.
//!
//! A session is in memory while something of it is live, so whoever looks at an active execution
//! looks at its snapshot there. Once it has ended the snapshot does not have it any more, and its
//! row is in the store alone. A follower is told the row by the commit that ends it.

use std::sync::{Arc, OnceLock};

use super::entry::Entry;
use super::session::{ExecutionView, Session};
use crate::Error;
use crate::session::records::ExecutionRecord;

/// Follows an execution, from when it is active to its end, without ever reading the store. Keeps
/// nothing in memory but its last row.
pub struct Follower {
    session: Session,
    entry: Arc<Entry>,
    ending: Arc<Ending>,
}

/// How an execution ended, once it has.
pub(super) struct Ending {
    execution_id: Arc<str>,
    record: OnceLock<ExecutionRecord>,
}

impl Ending {
    pub(super) fn new(execution_id: Arc<str>) -> Ending {
        Ending { execution_id, record: OnceLock::new() }
    }

    /// Whether the row is the one that is waited for; then it is kept.
    pub(super) fn is_told_by(&self, record: &ExecutionRecord) -> bool {
        let is_ours = record.id == self.execution_id;
        if is_ours {
            self.record.get_or_init(|| record.clone());
        }
        is_ours
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("execution", &self.ending.execution_id).finish()
    }
}

impl Session {
    /// Follows an execution that is active and in memory; `None` for any other. Where this
    /// coordinator owns the store, every active execution that somebody has seen is in memory.
    pub fn follow(&self, execution_id: &str) -> Option<Follower> {
        let entry = self.shared.entry(&self.id)?;
        let ending = entry.follow(execution_id)?;
        Some(Follower { session: self.clone(), entry, ending })
    }
}

impl Follower {
    /// The execution as it is committed, or as it ended. `None`: it has ended, and how could not be
    /// told. `Closed`, but for one that has ended; `NotFound` when its session was deleted, `StoreError`
    /// when it is set aside.
    pub fn view(&self) -> Result<Option<ExecutionView>, Error> {
        let live = self.entry.committed();
        // Looked at second: it is told before the end is seen in the snapshot.
        if let Some(record) = self.ending.record.get() {
            return Ok(Some(self.session.view_of(record.clone())));
        }
        self.session.shared.check_open()?;
        self.session.shared.check_aside(&self.session.id)?;
        if self.entry.deleted().is_some() {
            return Err(Error::not_found(format!("execution {:?}", self.ending.execution_id)));
        }
        let active = live.active_now().filter(|active| active.id == self.ending.execution_id);
        Ok(active.map(|active| self.session.live_view(&live, active)))
    }
}
