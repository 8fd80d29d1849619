//! Whether the files are still where they were opened.
//!
//! Files that are removed or moved live on as long as they are open: everything can be written to
//! them, and is gone with the process. So the owner looks, at most once a second by the time it is
//! handed, and before whatever must not be told in vain (the end of an execution, its own end).
//! What it acknowledged since it last saw the files in their places is counted, so that at least
//! that can be told.

use super::guard::Missing;
use crate::session::records::Status;
use crate::settings::Millis;
use crate::store::{Batch, Gone};

/// How long what was seen is believed.
const BELIEVED_MS: Millis = 1_000;

/// What is known of the files.
#[derive(Default)]
pub(super) struct Watch {
    seen_at: Option<Millis>,
    /// Events that were committed since.
    unseen: u64,
    gone: Option<Gone>,
}

impl Watch {
    /// What became of the files, once that is known: then it stays so.
    pub(super) fn gone(&self) -> Option<&Gone> {
        self.gone.as_ref()
    }

    /// Whether this batch must not be acknowledged before a look.
    pub(super) fn wants_look(&self, batch: &Batch) -> bool {
        let is_recent = self.seen_at.is_some_and(|at| (at..at + BELIEVED_MS).contains(&batch.time));
        let ends = |status: Status| !matches!(status, Status::Pending | Status::Running);
        !is_recent
            || batch.sessions.iter().any(|part| {
                part.delete || part.executions.iter().any(|execution| ends(execution.status))
            })
    }

    /// A batch is acknowledged.
    pub(super) fn acknowledged(&mut self, batch: &Batch) {
        self.unseen += batch.sessions.iter().map(|part| part.events.len() as u64).sum::<u64>();
    }

    /// The files are in their places at `now`, and so is all that was written to them.
    pub(super) fn seen(&mut self, now: Millis) {
        self.seen_at = Some(now);
        self.unseen = 0;
    }

    /// They are not. `is_saved`: only the log was taken away, and what it held is in the database.
    pub(super) fn missed(&mut self, missing: &Missing, is_saved: bool) -> Gone {
        let events = if is_saved { 0 } else { self.unseen };
        let kept = match (is_saved, events) {
            (true, _) => "all that was acknowledged is in the database".to_owned(),
            (false, 1) => "1 event that had been acknowledged is not kept".to_owned(),
            (false, n) => format!("{n} events that had been acknowledged are not kept"),
        };
        let detail = format!("{missing}; {kept}; nothing is stored until it is opened anew");
        let gone = Gone { detail, events };
        self.gone = Some(gone.clone());
        gone
    }
}
