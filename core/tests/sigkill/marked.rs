//! A store that marks its commits on the process's standard output: one byte before each, one
//! after it, each written at once and by itself, so that a kill cannot hold any of them back.

use std::sync::Arc;

use stayline::Error;
use stayline::session::records::{ExecutionRecord, NotificationRecord};
use stayline::settings::Millis;
use stayline::store::{Batch, CommitError, Reader, SessionFault, Store, StoredSession};

/// A commit begins. No byte that a test harness prints.
pub const BEGUN: u8 = 1;
/// A commit has ended.
pub const ENDED: u8 = 2;
/// What the process was started for has begun.
pub const READY: u8 = 3;

/// Writes one mark.
pub fn mark(byte: u8) {
    // The parent may be gone; then this process is about to end too.
    let _ = rustix::io::write(std::io::stdout(), &[byte]);
}

pub struct Marked(pub Box<dyn Store>);

impl Store for Marked {
    fn load(&mut self, session_id: &str) -> Result<Option<StoredSession>, Error> {
        self.0.load(session_id)
    }

    fn load_execution(
        &mut self,
        session_id: &str,
        execution_id: &str,
    ) -> Result<Option<ExecutionRecord>, Error> {
        self.0.load_execution(session_id, execution_id)
    }

    fn active_sessions(&mut self) -> Result<Vec<StoredSession>, Error> {
        self.0.active_sessions()
    }

    fn commit(&mut self, batch: &Batch) -> Result<Vec<SessionFault>, CommitError> {
        mark(BEGUN);
        let outcome = self.0.commit(batch);
        mark(ENDED);
        outcome
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.0.reopen()
    }

    fn was_committed(&mut self, commit_id: u64) -> Result<bool, Error> {
        self.0.was_committed(commit_id)
    }

    fn newest_time(&mut self) -> Result<Option<Millis>, Error> {
        self.0.newest_time()
    }

    fn next_wake(&mut self) -> Result<Option<Millis>, Error> {
        self.0.next_wake()
    }

    fn due_sessions(&mut self, now: Millis, limit: usize) -> Result<Vec<Arc<str>>, Error> {
        self.0.due_sessions(now, limit)
    }

    fn oldest_event(&mut self) -> Result<Option<Millis>, Error> {
        self.0.oldest_event()
    }

    fn prune_events(&mut self, before: Millis, limit: usize) -> Result<usize, Error> {
        self.0.prune_events(before, limit)
    }

    fn next_notification(&mut self, now: Millis) -> Result<Option<NotificationRecord>, Error> {
        self.0.next_notification(now)
    }

    fn next_notification_at(&mut self, now: Millis) -> Result<Option<Millis>, Error> {
        self.0.next_notification_at(now)
    }

    fn notification(&mut self, id: &str) -> Result<Option<NotificationRecord>, Error> {
        self.0.notification(id)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Error> {
        self.0.reader()
    }

    fn set_owner_url(&mut self, url: Option<&str>) -> Result<(), Error> {
        self.0.set_owner_url(url)
    }
}
