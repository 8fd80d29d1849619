//! The store in an SQLite file.
//!
//! One coordinator owns the file (`owner`); it writes through one connection, each batch in one
//! transaction (`write`), in WAL mode with `synchronous=FULL` unless the settings relax it.
//! Readers have connections of their own and see only what is committed; anybody may open the
//! file read-only beside the owner. Checkpoints happen on a thread of their own (`checkpoint`).
//!
//! When things go wrong: rows that are refused fail only their session; a full disk loses the
//! commit and nothing else; after an I/O error the connection is given up, and after one during
//! COMMIT the outcome is unknown until [`Store::reopen`] has made sure that what is found is on
//! disk, and that what is not found cannot come back.

mod checkpoint;
mod connection;
mod failure;
mod keys;
mod notifications;
mod owner;
mod part;
mod read;
mod rows;
mod schema;
mod write;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use self::checkpoint::{Checkpointer, Gate};
use self::connection::Place;
use self::failure::{Reach, reach, store_error};
use self::owner::OwnerLock;
use self::read::SqliteReader;
use self::rows::limit;
use self::write::Writer;
use super::{Batch, CommitError, Owner, ReadOnlyStore, Reader, SessionFault, Store, StoredSession};
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
        let place = Place::new(path.as_ref(), options, settings.synchronous)?;
        place.check_untouched()?;
        let owner = match options.owner_lock {
            true => Some(OwnerLock::acquire(&place.path, wall_now)?),
            false => None,
        };
        let gate = Gate::default();
        let writer = open_writer(&place)?;
        let checkpointer = match options.background_checkpoints {
            true => Some(Checkpointer::start(&place, &gate)?),
            false => None,
        };
        Ok(SqliteStore { checkpointer, writer: Some(writer), gate, place, owner })
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
            connection.and_then(|connection| checkpoint::checkpoint(&connection, "RESTART"))
        };
        copied.map(|copied| copied.is_complete).map_err(store_error)
    }

    /// The writer, opened anew if it had to be given up.
    fn writer(&mut self) -> Result<&mut Writer, Error> {
        if self.writer.is_none() {
            self.reopen()?;
        }
        self.writer.as_mut().ok_or(Error::Closed)
    }

    fn read<T>(
        &mut self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let result = query(&self.writer()?.connection);
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
}

fn open_writer(place: &Place) -> Result<Writer, Error> {
    let connection = place.open_writer()?;
    checkpoint::watch_wal(&connection);
    Writer::new(connection).map_err(|error| place.error(&error))
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

    fn active_sessions(&mut self) -> Result<Vec<StoredSession>, Error> {
        self.read(read::active_sessions)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Vec<SessionFault>, CommitError> {
        let lost = |error: Error| CommitError::Lost(error.to_string());
        let result = {
            self.writer().map_err(lost)?;
            let _entered = self.gate.enter();
            let writer = self.writer.as_mut().ok_or_else(|| lost(Error::Closed))?;
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
    }

    /// Also sees to it that what is found now is what a crash would leave. A commit that is found
    /// although its fsync failed was read back from the WAL, which happens only when nobody else
    /// has the file open; so the WAL can be copied into the database as a whole, and that is
    /// synced. One that is not found may have left frames behind from which a crash could bring
    /// it back: they go with the WAL, or, where a reader is in the way, are written over.
    fn reopen(&mut self) -> Result<(), Error> {
        let _entered = self.gate.enter();
        self.writer = None;
        let writer = open_writer(&self.place)?;
        let copied = checkpoint::checkpoint(&writer.connection, "TRUNCATE").map_err(store_error)?;
        if !copied.is_complete {
            let write_over = writer.connection.execute("UPDATE store SET one = one", []);
            write_over.map_err(store_error)?;
        }
        self.writer = Some(writer);
        Ok(())
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

    fn next_wake(&mut self) -> Result<Option<Millis>, Error> {
        self.read(|connection| {
            one_value(
                connection,
                "SELECT min(wake_at) FROM sessions INDEXED BY sessions_by_wake \
                 WHERE wake_at IS NOT NULL",
            )
        })
    }

    fn due_sessions(&mut self, now: Millis, at_most: usize) -> Result<Vec<Arc<str>>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT id FROM sessions INDEXED BY sessions_by_wake \
                     WHERE wake_at IS NOT NULL AND wake_at <= ?1 ORDER BY wake_at, key LIMIT ?2",
                )?
                .query_map(rusqlite::params![now, limit(at_most)], |row| row.get(0))?
                .collect()
        })
    }

    fn oldest_event(&mut self) -> Result<Option<Millis>, Error> {
        self.read(|connection| {
            one_value(connection, "SELECT (SELECT stored_at FROM events ORDER BY position LIMIT 1)")
        })
    }

    fn prune_events(&mut self, before: Millis, limit: usize) -> Result<usize, Error> {
        self.writer()?;
        let pruned = {
            let _entered = self.gate.enter();
            let writer = self.writer.as_mut().ok_or(Error::Closed)?;
            writer.prune(before, limit)
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

    fn reader(&self) -> Result<Box<dyn Reader>, Error> {
        Ok(Box::new(SqliteReader::open(&self.place)?))
    }

    fn set_owner_url(&mut self, url: Option<&str>) -> Result<(), Error> {
        self.owner.as_mut().map_or(Ok(()), |owner| owner.set_url(url))
    }
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
    fn reader(&self) -> Result<Box<dyn Reader>, Error> {
        Ok(Box::new(SqliteReader::open(&self.place)?))
    }

    fn owner(&self) -> Option<Owner> {
        owner::current_owner(&self.place.path)
    }
}
