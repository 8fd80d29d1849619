//! The store in an SQLite file.
//!
//! One coordinator owns the file (`owner`); it writes through one connection, each batch in one
//! transaction (`write`), in WAL mode with `synchronous=FULL` unless the settings relax it.
//! Readers have connections of their own and see only what is committed; anybody may open the
//! file read-only beside the owner. Checkpoints happen on a thread of their own (`checkpoint`).
//! Other programs, other copies of SQLite in this process too, cannot take the log away (`guard`)
//! or write at the same time as the owner (`stayline-sqlite-locks`), and files that were removed
//! or replaced are noticed (`watch`).
//!
//! When things go wrong: rows that are refused fail only their session; a full disk loses the
//! commit and nothing else; after an I/O error the connection is given up, and after one during
//! COMMIT the outcome is unknown until [`Store::reopen`] has made sure that what is found is on
//! disk, and that what is not found cannot come back.

mod checkpoint;
mod connection;
mod due;
mod failure;
mod guard;
mod keys;
mod notifications;
mod ofd;
mod owner;
mod part;
mod program;
mod read;
mod rows;
mod schema;
mod watch;
mod write;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use self::checkpoint::{Checkpointer, Gate};
use self::connection::Place;
use self::due::Hidden;
use self::failure::{Reach, reach, store_error};
use self::guard::{Guard, Refused};
use self::owner::OwnerLock;
use self::read::SqliteReader;
use self::watch::Watch;
use self::write::Writer;
use super::{
    Batch, CommitError, Gone, OpenReader, Owner, Placed, ReadOnlyStore, SessionFault, Store,
    StoredSession,
};
use crate::session::records::{ExecutionRecord, NotificationRecord};
use crate::settings::Millis;
use crate::{Error, Settings};

/// What only tests and unusual hosts choose.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// A VFS registered with SQLite, by name; `None`: the operating system's files.
    pub vfs: Option<String>,
    /// Hold the owner's lock. Without it the caller sees to it that there is one owner.
    pub owner_lock: bool,
    /// Run checkpoints on a thread. Without it the owner calls [`SqliteStore::checkpoint`].
    pub background_checkpoints: bool,
}

impl Default for SqliteOptions {
    fn default() -> SqliteOptions {
        SqliteOptions { vfs: None, owner_lock: true, background_checkpoints: true }
    }
}

/// The owner's side of a file.
pub struct SqliteStore {
    // In the order of their end: the lock goes last, when nothing writes any more.
    checkpointer: Option<Checkpointer>,
    writer: Option<Writer>,
    gate: Gate,
    place: Place,
    watch: Watch,
    hidden: Hidden,
    owner: Option<OwnerLock>,
}

impl SqliteStore {
    /// Opens the file at `path`, makes it if it is not there, migrates it if it is older, and
    /// becomes its owner from `wall_now` on (wall clock, ms).
    ///
    /// The cost does not depend on how many sessions it holds.
    ///
    /// Errors, all of which leave what was there as it was:
    /// - [`Error::StoreInUse`]: another coordinator owns it.
    /// - [`Error::StoreFormat`]: a newer schema, another program's database, or no database.
    /// - [`Error::StoreError`]: a directory, a folder that is missing or cannot be written, a full
    ///   disk, a damaged file; the text says which and what to do.
    /// - [`Error::InvalidArgument`]: no file can have this path.
    pub fn open(
        path: impl AsRef<Path>,
        settings: &Settings,
        wall_now: Millis,
    ) -> Result<SqliteStore, Error> {
        SqliteStore::open_with(path, settings, wall_now, &SqliteOptions::default())
    }

    /// The same, with options.
    pub fn open_with(
        path: impl AsRef<Path>,
        settings: &Settings,
        wall_now: Millis,
        options: &SqliteOptions,
    ) -> Result<SqliteStore, Error> {
        let mut place = Place::new(path.as_ref(), options, settings.synchronous)?;
        let looked_at_with = place.check_untouched()?;
        let owner = match options.owner_lock {
            true => Some(OwnerLock::acquire(&place.path, wall_now)?),
            false => None,
        };
        if owner.is_some() && options.vfs.is_none() {
            place.guard = guard(&place)?;
        }
        let gate = Gate::default();
        let writer = open_writer(&place)?;
        hold(&place)?;
        drop(looked_at_with);
        let checkpointer = match options.background_checkpoints {
            true => Some(Checkpointer::start(&place, &gate)?),
            false => None,
        };
        let watch = Watch::default();
        let hidden = Hidden::default();
        Ok(SqliteStore { checkpointer, writer: Some(writer), gate, place, watch, hidden, owner })
    }

    /// Opens the file at `path` for reading only, beside its owner or without one.
    ///
    /// Errors: [`Error::NotFound`] when no file is there, [`Error::StoreFormat`] when it is not
    /// one of this version (it is the owner's business to migrate it), [`Error::StoreError`] when
    /// it cannot be read.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<SqliteFile, Error> {
        let settings = Settings::default();
        let options = SqliteOptions::default();
        let path = path.as_ref();
        let place = Place::new(path, &options, settings.synchronous)?;
        if !place.path.exists() {
            return Err(Error::not_found(format!(
                "the store {}; a coordinator that opens it makes it",
                path.display()
            )));
        }
        let file = SqliteFile { place };
        file.reader()?;
        Ok(file)
    }

    /// Copies the write-ahead log into the database now, as far as readers let it; whether all of
    /// it. Only needed without [`SqliteOptions::background_checkpoints`].
    pub fn checkpoint(&mut self) -> Result<bool, Error> {
        let copied = {
            let _entered = self.gate.enter();
            let connection = self.place.open_checkpointer();
            connection
                .and_then(|connection| checkpoint::restart(&self.place, &connection, "RESTART"))
        };
        copied.map(|copied| copied.is_complete).map_err(store_error)
    }

    /// The writer, opened anew if it had to be given up.
    fn writer(&mut self) -> Result<&mut Writer, Error> {
        if self.writer.is_none() {
            self.reopen()?;
        }
        self.writer.as_mut().ok_or_else(store_closed)
    }

    fn read<T>(
        &mut self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let result = query(&self.writer()?.connection);
        self.checked(result)
    }

    fn read_due<T>(
        &mut self,
        query: impl FnOnce(&Hidden, &Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.writer()?;
        let writer = self.writer.as_ref().ok_or_else(store_closed)?;
        let result = query(&self.hidden, &writer.connection);
        self.checked(result)
    }

    /// Gives the connection up where it has failed for good.
    fn checked<T>(&mut self, result: rusqlite::Result<T>) -> Result<T, Error> {
        result.map_err(|error| {
            if reach(&error) == Reach::Connection {
                self.writer = None;
            }
            store_error(error)
        })
    }

    /// Whether the batch that was just committed may be acknowledged.
    fn acknowledge(&mut self, batch: &Batch) -> Result<(), CommitError> {
        let can_be_taken = self.place.guard.as_ref().is_some_and(|guard| !guard.is_held());
        if can_be_taken || self.watch.wants_look(batch) {
            return self.look(batch.time).map_err(CommitError::Gone);
        }
        self.watch.acknowledged(batch);
        Ok(())
    }

    /// Looks for the files. `Ok`: what is committed by now is kept.
    fn look(&mut self, now: Millis) -> Result<(), Gone> {
        let Some(guard) = self.place.guard.clone() else { return Ok(()) };
        let owner = &mut self.owner;
        let found = guard.look().and_then(|()| owner.as_mut().map_or(Ok(()), OwnerLock::stay));
        let Err(missing) = found else {
            self.watch.seen(now);
            return Ok(());
        };
        // The log that was taken away is still open here.
        let is_saved = guard.look_at_database().is_ok() && self.copy_log_back();
        let gone = self.watch.missed(&missing, is_saved);
        if is_saved { Ok(()) } else { Err(gone) }
    }

    fn copy_log_back(&self) -> bool {
        let _entered = self.gate.enter();
        self.writer.as_ref().is_some_and(|writer| {
            let copied = checkpoint::restart(&self.place, &writer.connection, "TRUNCATE");
            copied.is_ok_and(|copied| copied.is_complete)
        })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.checkpointer = None;
        let Some(guard) = self.place.guard.clone() else { return };
        // The last one to leave copies the log back and deletes it, by its name: where that is
        // another file's by now, nobody must be the last.
        if self.watch.gone().is_none() && guard.look().is_ok() {
            guard.let_go();
        }
        self.writer = None;
        guard.resign();
    }
}

/// Becomes the owner of the file itself.
fn guard(place: &Place) -> Result<Option<Arc<Guard>>, Error> {
    match Guard::acquire(&place.path) {
        Ok(guard) => Ok(Some(Arc::new(guard))),
        Err(Refused::InUse) => Err(owner::in_use_by_somebody()),
        // SQLite finds the same and tells it.
        Err(Refused::Io) => Ok(None),
    }
}

fn hold(place: &Place) -> Result<(), Error> {
    let Some(guard) = &place.guard else { return Ok(()) };
    guard.hold().map_err(|error| Error::StoreError {
        detail: format!("{} cannot be locked: {error}", place.path.display()),
    })
}

fn open_writer(place: &Place) -> Result<Writer, Error> {
    let connection = place.open_writer()?;
    checkpoint::watch_wal(&connection);
    Writer::new(connection, place.guard.clone()).map_err(|error| place.error(&error))
}

impl Store for SqliteStore {
    fn load(&mut self, session_id: &str) -> Result<Option<StoredSession>, Error> {
        self.read(|connection| read::load(connection, session_id))
    }

    fn load_execution(
        &mut self,
        session_id: &str,
        execution_id: &str,
    ) -> Result<Option<ExecutionRecord>, Error> {
        self.read(|connection| read::execution(connection, session_id, execution_id))
    }

    fn active_sessions(&mut self, after: u64, limit: usize) -> Result<Vec<Placed>, Error> {
        self.read(|connection| read::placed(connection, read::ACTIVE, after, limit))
    }

    fn waking_sessions(&mut self, after: u64, limit: usize) -> Result<Vec<Placed>, Error> {
        self.read(|connection| read::placed(connection, read::WAKING, after, limit))
    }

    fn wake_settings(&mut self) -> Result<Option<String>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT wake_settings FROM store")?
                .query_row([], |row| row.get(0))
        })
    }

    fn set_wake_settings(&mut self, settings: Option<&str>) -> Result<(), Error> {
        self.writer()?;
        let noted = {
            let _entered = self.gate.enter();
            let writer = self.writer.as_ref().ok_or_else(store_closed)?;
            writer.connection.execute("UPDATE store SET wake_settings = ?1", [settings]).map(drop)
        };
        self.checked(noted)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Vec<SessionFault>, CommitError> {
        if let Some(gone) = self.watch.gone() {
            return Err(CommitError::Gone(gone.clone()));
        }
        let lost = |error: Error| CommitError::Lost(error.to_string());
        let result = {
            self.writer().map_err(lost)?;
            let _entered = self.gate.enter();
            let writer = self.writer.as_mut().ok_or_else(|| lost(store_closed()))?;
            writer.commit(batch)
        };
        result
            .inspect(|_| {
                if let Some(checkpointer) = &self.checkpointer {
                    checkpointer.committed();
                }
            })
            .map_err(|failure| {
                if failure.is_final {
                    self.writer = None;
                }
                failure.error
            })
            .and_then(|faults| self.acknowledge(batch).map(|()| faults))
    }

    /// Also sees to it that what is found now is what a crash would leave. A commit that is found
    /// although its fsync failed was read back from the WAL, which happens only when nobody else
    /// has the file open; so the WAL can be copied into the database as a whole, and that is
    /// synced. One that is not found may have left frames behind from which a crash could bring
    /// it back: they go with the WAL, or, where a reader is in the way, are written over.
    fn reopen(&mut self) -> Result<(), Error> {
        let gate = self.gate.clone();
        let _entered = gate.enter();
        self.place.check_database()?;
        if let Some(guard) = &self.place.guard {
            guard.let_go();
        }
        self.writer = None;
        let writer = open_writer(&self.place)?;
        let copied = checkpoint::restart(&self.place, &writer.connection, "TRUNCATE");
        let copied = copied.map_err(store_error)?;
        if !copied.is_complete {
            let write_over = writer.connection.execute("UPDATE store SET one = one", []);
            write_over.map_err(store_error)?;
        }
        hold(&self.place)?;
        self.writer = Some(writer);
        Ok(())
    }

    fn gone(&mut self, now: Millis) -> Option<Gone> {
        if self.watch.gone().is_none() {
            // `Ok` for what is saved, and nothing more can be stored all the same.
            let _ = self.look(now);
        }
        self.watch.gone().cloned()
    }

    fn was_committed(&mut self, commit_id: u64) -> Result<bool, Error> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT commit_id FROM store")?
                .query_row([], |row| row.get::<_, Option<i64>>(0))
                .map(|newest| newest == Some(commit_id as i64))
        })
    }

    fn newest_time(&mut self) -> Result<Option<Millis>, Error> {
        self.read(|connection| one_value(connection, "SELECT newest_time FROM store"))
    }

    fn ticket_secret(&mut self, fresh: &[u8; 32]) -> Result<[u8; 32], Error> {
        if let Some(kept) = self.read(read::ticket_secret)? {
            return Ok(kept);
        }
        self.writer()?;
        let kept = {
            let _entered = self.gate.enter();
            let writer = self.writer.as_ref().ok_or_else(store_closed)?;
            writer.connection.execute("UPDATE store SET ticket_secret = ?1", [fresh])
        };
        // Tickets that end with the process are no reason not to open a store.
        if let Err(error) = self.checked(kept) {
            tracing::warn!(%error, "the secret of tickets could not be kept: they will not outlive a restart");
        }
        Ok(*fresh)
    }

    fn hide(&mut self, session_id: &Arc<str>, is_hidden: bool) {
        if !is_hidden {
            return self.hidden.show(session_id);
        }
        let key = self.read(|connection| {
            connection
                .prepare_cached("SELECT key FROM sessions WHERE id = ?1")?
                .query_row([session_id], |row| row.get(0))
                .optional()
        });
        self.hidden.hide(session_id, key.unwrap_or_default());
    }

    fn next_wake(&mut self) -> Result<Option<Millis>, Error> {
        self.read_due(Hidden::next_wake)
    }

    fn due_sessions(&mut self, now: Millis, at_most: usize) -> Result<Vec<Arc<str>>, Error> {
        self.read_due(|hidden, connection| hidden.due_sessions(connection, now, at_most))
    }

    fn oldest_event(&mut self) -> Result<Option<Millis>, Error> {
        self.read_due(Hidden::oldest_event)
    }

    fn prune_events(&mut self, before: Millis, limit: usize) -> Result<usize, Error> {
        self.writer()?;
        let pruned = {
            let _entered = self.gate.enter();
            let writer = self.writer.as_mut().ok_or_else(store_closed)?;
            writer.prune(&self.hidden, before, limit)
        };
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.committed();
        }
        self.checked(pruned)
    }

    fn next_notification(&mut self, now: Millis) -> Result<Option<NotificationRecord>, Error> {
        self.read(|connection| notifications::next(connection, now))
    }

    fn next_notification_at(&mut self, now: Millis) -> Result<Option<Millis>, Error> {
        self.read(|connection| notifications::next_at(connection, now))
    }

    fn notification(&mut self, id: &str) -> Result<Option<NotificationRecord>, Error> {
        self.read(|connection| notifications::get(connection, id))
    }

    fn readers(&self) -> OpenReader {
        open_readers(&self.place)
    }

    fn set_owner_url(&mut self, url: Option<&str>) -> Result<(), Error> {
        self.owner.as_mut().map_or(Ok(()), |owner| owner.set_url(url))
    }
}

fn open_readers(place: &Place) -> OpenReader {
    let place = place.clone();
    Arc::new(move || Ok(Box::new(SqliteReader::open(&place)?)))
}

fn store_closed() -> Error {
    Error::closed("the store was closed")
}

fn one_value(connection: &Connection, sql: &str) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

/// A file opened for reading only.
#[derive(Debug)]
pub struct SqliteFile {
    place: Place,
}

impl ReadOnlyStore for SqliteFile {
    fn readers(&self) -> OpenReader {
        open_readers(&self.place)
    }

    fn ticket_secret(&self) -> Result<Option<[u8; 32]>, Error> {
        let (connection, _) = self.place.open_reader()?;
        read::ticket_secret(&connection).map_err(|error| self.place.error(&error))
    }

    fn owner(&self) -> Option<Owner> {
        owner::current_owner(&self.place.path)
    }
}
