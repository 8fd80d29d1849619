//! Moving the write-ahead log into the database, away from commits.
//!
//! The writer tells after each commit how long the WAL is. Once it has grown enough, a thread of
//! its own copies it back, on a connection of its own, while commits go on. Under steady writing
//! the WAL would never be copied to its end that way and would grow without bound; so from a
//! certain length on the last stretch, which is short by then, is copied while the writer waits
//! at the *gate*, and the WAL starts anew. A checkpoint that fails is tried again when the WAL has
//! grown further; nothing is lost, it is only longer.

use std::cell::Cell;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::lock::{Condvar, Mutex, MutexGuard};
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::connection::Place;
use super::failure::describe;
use crate::elapsed::elapsed_ms;
use crate::seldom::Seldom;
use crate::{Error, threads};

/// Pages by which the WAL grows between two checkpoints (16 MiB).
const PAGES_BETWEEN: i32 = 4_000;
/// Pages from which on the WAL is made to start anew (64 MiB).
const PAGES_UNTIL_RESTART: i32 = 16_000;
/// How long the last stretch may wait for readers while the writer waits for it.
const RESTART_PATIENCE: Duration = Duration::from_millis(50);

thread_local! {
    /// Length of the WAL after the newest commit on this thread, told by SQLite's hook, which
    /// takes no closure.
    static WAL_PAGES: Cell<i32> = const { Cell::new(0) };
}

/// Has SQLite tell the length of the WAL after each commit.
pub(super) fn watch_wal(connection: &Connection) {
    fn note_pages(_: &Wal, pages: i32) -> rusqlite::Result<()> {
        WAL_PAGES.set(pages);
        Ok(())
    }
    connection.wal_hook(Some(note_pages));
}

/// Held by the writer while it writes, and by the last stretch of a checkpoint. Without it the
/// writer would find the file locked and sleep.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Mutex<()>>);

impl Gate {
    pub(super) fn enter(&self) -> MutexGuard<'_, ()> {
        self.0.lock()
    }
}

#[derive(Default)]
struct Work {
    /// Pages of the WAL at the newest commit.
    pages: i32,
    /// Pages of it that have been copied back.
    copied: i32,
    is_asked: bool,
    is_stopped: bool,
}

#[derive(Default)]
struct Shared {
    work: Mutex<Work>,
    wake: Condvar,
}

/// The thread, from the opening of the store to its end.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(place: &Place, gate: &Gate) -> Result<Checkpointer, Error> {
        let shared = Arc::new(Shared::default());
        let (own, place, gate) = (shared.clone(), place.clone(), gate.clone());
        let thread = threads::spawn("stayline-checkpoint", move || work(&own, &place, &gate))
            .map_err(|error| Error::StoreError {
                detail: format!("the checkpoint thread cannot be started: {error}"),
            })?;
        Ok(Checkpointer { shared, thread: Some(thread) })
    }

    /// To be called after each commit, on the committing thread.
    pub(super) fn committed(&self) {
        let pages = WAL_PAGES.get();
        let mut work = self.shared.work.lock();
        if pages < work.pages {
            // It has started anew.
            work.copied = 0;
        }
        work.pages = pages;
        if !work.is_asked && pages - work.copied >= PAGES_BETWEEN {
            work.is_asked = true;
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.work.lock().is_stopped = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, place: &Place, gate: &Gate) {
    let (mut connection, told) = (None, Seldom::default());
    loop {
        let mut work = shared.work.lock();
        while !work.is_asked && !work.is_stopped {
            shared.wake.wait(&mut work);
        }
        if work.is_stopped {
            return;
        }
        drop(work);
        let copied = match connection.take().map_or_else(|| place.open_checkpointer(), Ok) {
            Ok(open) => {
                let copied = copy_back(&open, place, gate);
                if copied.is_ok() {
                    connection = Some(open);
                }
                // After a failure it is opened anew: what an fsync has failed on is not trusted.
                copied
            }
            Err(error) => Err(error),
        };
        let mut work = shared.work.lock();
        work.is_asked = false;
        match copied {
            Ok(copied) => work.copied = copied,
            Err(error) => {
                // Again when it has grown as much once more.
                work.copied = work.pages;
                drop(work);
                if let Some(more) = told.admits("checkpoint", elapsed_ms()) {
                    tracing::warn!(
                        path = %place.path.display(),
                        error = describe(&error),
                        "a checkpoint failed; the write-ahead log stays longer{more}"
                    );
                }
            }
        }
    }
}

/// Copies back what can be; pages of the present WAL that are copied then.
fn copy_back(connection: &Connection, place: &Place, gate: &Gate) -> rusqlite::Result<i32> {
    let first = checkpoint(connection, "PASSIVE")?;
    if !first.is_whole() {
        if first.pages < PAGES_UNTIL_RESTART {
            return Ok(first.copied);
        }
        // What was written meanwhile, so that the writer waits for as little as possible.
        checkpoint(connection, "PASSIVE")?;
    }
    // Of a WAL that is whole and short nothing is lost by trying again later.
    let is_long = first.pages >= PAGES_UNTIL_RESTART;
    connection.busy_timeout(if is_long { RESTART_PATIENCE } else { Duration::ZERO })?;
    let _entered = gate.enter();
    let last = restart(place, connection, "RESTART")?;
    Ok(if last.is_complete { 0 } else { last.copied })
}

/// A checkpoint after which the WAL starts anew. Nobody but the owner makes it do so, unless they
/// hold up a commit until they can.
pub(super) fn restart(
    place: &Place,
    connection: &Connection,
    mode: &str,
) -> rusqlite::Result<Checkpoint> {
    if let Some(guard) = &place.guard {
        guard.step_aside();
    }
    checkpoint(connection, mode)
}

/// What a checkpoint came to.
pub(super) struct Checkpoint {
    /// Nobody was in its way.
    pub(super) is_complete: bool,
    pages: i32,
    copied: i32,
}

impl Checkpoint {
    fn is_whole(&self) -> bool {
        self.is_complete && self.copied == self.pages
    }
}

/// Runs one checkpoint: `PASSIVE`, `RESTART` or `TRUNCATE`.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<Checkpoint> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        let busy: i32 = row.get(0)?;
        Ok(Checkpoint { is_complete: busy == 0, pages: row.get(1)?, copied: row.get(2)? })
    })
}
