//! Writing one batch in one transaction.
//!
//! The steady case tries the whole batch at once, with no savepoint and no look-up of what it
//! already knows. If rows are refused, everything is taken back and tried again with a savepoint
//! around each session's part, so that only the sessions at fault fail (R45d). Where what a part
//! changes is damaged, the batch is tried again without it. A failure of the disk is nobody's fault
//! in the batch: the whole commit is lost. Once COMMIT itself has failed with an I/O error, it is
//! not known what a crash would leave behind.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};

use super::connection::BUSY_TIMEOUT;
use super::due::Hidden;
use super::failure::{Reach, commit_failure, describe, reach};
use super::guard::Guard;
use super::keys::Keys;
use super::notifications;
use super::part::{PartWriter, Refusal, delete_remnants};
use crate::store::{Batch, CommitError, FaultKind, NotificationChange, SessionFault};

/// Events of deleted sessions that each later commit takes along.
const DELETED_ALONG: i64 = 1_000;
/// How long a commit waits for somebody else before it gives them what they may be waiting for.
const MOMENT: Duration = Duration::from_millis(50);

/// How an attempt to write a batch ended without a commit.
enum Attempt {
    /// Rows were refused: try again with savepoints.
    Refused(String),
    /// Those of one session are damaged: try again without them.
    Damaged(SessionFault),
    /// Before COMMIT.
    Failed(rusqlite::Error),
    /// At COMMIT.
    CommitFailed(rusqlite::Error),
}

impl From<rusqlite::Error> for Attempt {
    fn from(error: rusqlite::Error) -> Attempt {
        Attempt::Failed(error)
    }
}

/// A commit that was not made.
pub(super) struct Failure {
    pub(super) error: CommitError,
    /// The connection must not be used again.
    pub(super) is_final: bool,
}

/// The one connection that writes.
pub(super) struct Writer {
    pub(super) connection: Connection,
    guard: Option<Arc<Guard>>,
    keys: Keys,
    has_remnants: bool,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        guard: Option<Arc<Guard>>,
    ) -> rusqlite::Result<Writer> {
        let has_remnants =
            connection.query_row("SELECT EXISTS (SELECT 1 FROM remnants)", [], |row| row.get(0))?;
        Ok(Writer { connection, guard, keys: Keys::default(), has_remnants })
    }

    /// Keeps the batch and tells whose part was refused.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<Vec<SessionFault>, Failure> {
        let (mut careful, mut damaged) = (false, Vec::new());
        let attempt = loop {
            match self.attempt(batch, careful, &damaged) {
                Err(Attempt::Refused(_)) if !careful => careful = true,
                Err(Attempt::Damaged(fault)) => damaged.push(fault),
                other => break other,
            }
        };
        attempt.map_err(|attempt| match attempt {
            // Refused with savepoints too: a change that belongs to no session.
            Attempt::Refused(text) => Failure { error: CommitError::Lost(text), is_final: false },
            Attempt::Damaged(SessionFault { kind, .. }) => {
                Failure { error: CommitError::Lost(why(kind)), is_final: false }
            }
            Attempt::Failed(error) => Failure {
                error: CommitError::Lost(describe(&error)),
                is_final: reach(&error) == Reach::Connection,
            },
            Attempt::CommitFailed(error) => Failure {
                error: commit_failure(&error),
                is_final: reach(&error) == Reach::Connection,
            },
        })
    }

    fn attempt(
        &mut self,
        batch: &Batch,
        careful: bool,
        damaged: &[SessionFault],
    ) -> Result<Vec<SessionFault>, Attempt> {
        let attempt = self.begin_and_write(batch, careful, damaged).and_then(|faults| {
            run(&self.connection, "COMMIT").map_err(Attempt::CommitFailed)?;
            Ok(faults)
        });
        if attempt.is_err() {
            self.take_back();
        }
        attempt
    }

    /// Begins to write, behind whoever does at present. They may themselves wait for the log to
    /// start anew, which the guard keeps them from; then neither would get on.
    fn begin(&self) -> rusqlite::Result<()> {
        let Some(guard) = &self.guard else { return run(&self.connection, "BEGIN IMMEDIATE") };
        self.connection.busy_timeout(MOMENT)?;
        let begun = run(&self.connection, "BEGIN IMMEDIATE");
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        match begun {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                guard.step_aside();
                run(&self.connection, "BEGIN IMMEDIATE")
            }
            begun => begun,
        }
    }

    fn begin_and_write(
        &mut self,
        batch: &Batch,
        careful: bool,
        damaged: &[SessionFault],
    ) -> Result<Vec<SessionFault>, Attempt> {
        self.begin()?;
        let faults = write_batch(&self.connection, &mut self.keys, batch, careful, damaged)?;
        self.has_remnants |= batch.sessions.iter().any(|changes| changes.delete);
        if self.has_remnants {
            self.has_remnants = delete_remnants(&self.connection, DELETED_ALONG)?;
        }
        Ok(faults)
    }

    /// Undoes what is not committed, and forgets what may be undone with it.
    fn take_back(&mut self) {
        if !self.connection.is_autocommit() {
            // If even this fails, the next statement fails too and tells.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.keys.clear();
        self.has_remnants = true;
    }

    /// Deletes the oldest events stored before `before`, at most `limit`; how many. Those of
    /// deleted sessions go first, as many again, and are not counted.
    pub(super) fn prune(
        &mut self,
        hidden: &Hidden,
        before: i64,
        limit: usize,
    ) -> rusqlite::Result<usize> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let pruned = self.prune_within(hidden, before, limit).and_then(|pruned| {
            run(&self.connection, "COMMIT")?;
            Ok(pruned)
        });
        if pruned.is_err() {
            self.take_back();
        }
        pruned
    }

    fn prune_within(
        &mut self,
        hidden: &Hidden,
        before: i64,
        limit: i64,
    ) -> rusqlite::Result<usize> {
        self.begin()?;
        if self.has_remnants {
            self.has_remnants = delete_remnants(&self.connection, limit)?;
        }
        hidden.prune(&self.connection, before, limit)
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn write_batch(
    connection: &Connection,
    keys: &mut Keys,
    batch: &Batch,
    careful: bool,
    damaged: &[SessionFault],
) -> Result<Vec<SessionFault>, Attempt> {
    let mut faults = damaged.to_vec();
    let mut parts = PartWriter::new(connection, keys)?;
    for changes in &batch.sessions {
        let id = &changes.session_id;
        if damaged.iter().any(|fault| fault.session_id == *id) {
            continue;
        }
        let refusal = if careful {
            within_savepoint(connection, || {
                parts.write(changes)?;
                let mut own = batch.notifications.iter().filter(|change| enqueues_for(change, id));
                own.try_for_each(|change| Ok(notifications::apply(connection, change)?))
            })
        } else {
            parts.write(changes)
        };
        if let Err(refusal) = refusal {
            // A notification may have been refused when the part was written: keys that were made
            // in it are given to others now.
            parts.forget(id);
            faults.push(fault(id, refusal, careful)?);
        }
    }
    for change in &batch.notifications {
        let belongs_to = |id: &str| enqueues_for(change, id);
        let is_done = careful && batch.sessions.iter().any(|part| belongs_to(&part.session_id));
        if !is_done && !faults.iter().any(|fault| belongs_to(&fault.session_id)) {
            write_notification(connection, change, careful, &mut faults)?;
        }
    }
    connection
        .prepare_cached(
            "UPDATE store SET commit_id = ?1, newest_time = max(ifnull(newest_time, ?2), ?2)",
        )?
        .execute(params![batch.commit_id as i64, batch.time])?;
    Ok(faults)
}

fn enqueues_for(change: &NotificationChange, id: &str) -> bool {
    matches!(change, NotificationChange::Enqueue(record) if *record.session_id == *id)
}

/// What is told of a refused part, unless the whole attempt has to end.
fn fault(session_id: &Arc<str>, refusal: Refusal, careful: bool) -> Result<SessionFault, Attempt> {
    let of = |kind| SessionFault { session_id: session_id.clone(), kind };
    match refusal {
        Refusal::Before(kind) => Ok(of(kind)),
        Refusal::Within(kind) if careful => Ok(of(kind)),
        Refusal::Within(kind) => Err(Attempt::Refused(why(kind))),
        Refusal::Damage(text) => Err(Attempt::Damaged(of(FaultKind::Poison(text)))),
        Refusal::Store(error) => Err(Attempt::Failed(error)),
    }
}

fn why(kind: FaultKind) -> String {
    match kind {
        FaultKind::Poison(text) => text,
        FaultKind::Conflict => "a row was changed by somebody else".into(),
    }
}

/// Writes a change that no session's part has written. A new one that is refused is its
/// session's fault; a change of an old one is nobody's.
fn write_notification(
    connection: &Connection,
    change: &NotificationChange,
    careful: bool,
    faults: &mut Vec<SessionFault>,
) -> Result<(), Attempt> {
    let apply = || Ok(notifications::apply(connection, change)?);
    let refusal = if careful { within_savepoint(connection, apply) } else { apply() };
    let Err(refusal) = refusal else { return Ok(()) };
    let NotificationChange::Enqueue(record) = change else {
        return match refusal {
            Refusal::Store(error) => Err(Attempt::Failed(error)),
            Refusal::Within(kind) | Refusal::Before(kind) => Err(Attempt::Refused(why(kind))),
            Refusal::Damage(text) => Err(Attempt::Refused(text)),
        };
    };
    faults.push(fault(&record.session_id, refusal, careful)?);
    Ok(())
}

fn within_savepoint(
    connection: &Connection,
    write: impl FnOnce() -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    run(connection, "SAVEPOINT part").map_err(Refusal::Store)?;
    let written = write();
    if written.is_err() {
        run(connection, "ROLLBACK TO part").map_err(Refusal::Store)?;
    }
    run(connection, "RELEASE part").map_err(Refusal::Store)?;
    written
}
