//! Where the file is, and how each kind of connection to it is made.
//!
//! The writer looks at the file through a read-only connection first, so that what is not ours
//! stays as it was, then makes or migrates it, then turns on WAL. Checkpoints have a connection of
//! their own, so they are switched off on the writer. A reader is read-only throughout; where it
//! may not even make the `-shm` file, and no `-wal` is there, the file stands still and is read as
//! immutable.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::SqliteOptions;
use super::failure::opening_error;
use super::guard::{Guard, beside};
use super::schema::{Format, Unfit, inspect, migrate};
use crate::Error;
use crate::settings::Synchronous;

/// How long a connection waits for another one.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: i64 = 32 * 1024;
/// A WAL that has grown beyond this is cut back when it starts anew, in bytes.
const WAL_SIZE_LIMIT: i64 = 64 * 1024 * 1024;
/// More than there are different statements, so that each is prepared once.
const STATEMENTS: usize = 96;

/// The file, and what every connection to it shares.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    vfs: Option<String>,
    synchronous: Synchronous,
    /// The owner's. Behind every connection through it: it goes after them.
    pub(super) guard: Option<Arc<Guard>>,
}

impl Place {
    /// Errors: [`Error::InvalidArgument`] for a path that no file can have, [`Error::StoreError`]
    /// for a directory or a folder that is not there.
    pub(super) fn new(
        path: &Path,
        options: &SqliteOptions,
        synchronous: Synchronous,
    ) -> Result<Place, Error> {
        // Before any connection of ours.
        stayline_sqlite_locks::install();
        let path = match &options.vfs {
            // Its names are its own business.
            Some(_) => path.to_owned(),
            None => real_path(path)?,
        };
        Ok(Place { path, vfs: options.vfs.clone(), synchronous, guard: None })
    }

    /// Checks the file without changing it, if there is one. What it was looked at with is to be
    /// kept until the writer is there: the close of the last one takes the locks away that
    /// another copy of SQLite in this process may have.
    pub(super) fn check_untouched(&self) -> Result<Option<Connection>, Error> {
        if self.vfs.is_some() || !self.path.exists() {
            return Ok(None);
        }
        let Ok(connection) = self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY) else {
            // What is wrong is told when it is opened for writing.
            return Ok(None);
        };
        match inspect(&connection) {
            Ok(_) => Ok(Some(connection)),
            Err(Unfit::Sqlite(_)) => Ok(None),
            Err(Unfit::Format(error)) => Err(error),
        }
    }

    /// The writer's connection, to a file made and migrated as needed.
    pub(super) fn open_writer(&self) -> Result<Connection, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut connection = self.connect(flags).map_err(|error| self.error(&error))?;
        let format = inspect(&connection).map_err(|unfit| self.unfit(unfit))?;
        if connection.is_readonly("main").map_err(|error| self.error(&error))? {
            return Err(Error::StoreError {
                detail: format!(
                    "{} cannot be written; change its permissions, or open read-only",
                    self.path.display()
                ),
            });
        }
        if format == Format::Empty {
            // Made in the rollback journal's mode, so that the file itself says what it is from
            // its first moment on, not only its WAL.
            migrate(&mut connection, Format::Empty).map_err(|error| self.error(&error))?;
        }
        self.set_up_writing(&connection)?;
        if format != Format::Empty {
            migrate(&mut connection, format).map_err(|error| self.error(&error))?;
        }
        Ok(connection)
    }

    /// The connection that does nothing but checkpoints.
    pub(super) fn open_checkpointer(&self) -> rusqlite::Result<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "synchronous", self.synchronous_name())?;
        connection.pragma_update(None, "journal_size_limit", WAL_SIZE_LIMIT)?;
        Ok(connection)
    }

    /// A reader's connection, checked to be to a file of ours, and whether the file must be
    /// looked at anew for every call because nothing locks it.
    pub(super) fn open_reader(&self) -> Result<(Connection, bool), Error> {
        self.check_database()?;
        let shared = self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY);
        let looked = shared
            .map_err(Unfit::Sqlite)
            .and_then(|connection| inspect(&connection).map(|format| (connection, format)));
        let (connection, format, is_snapshot) = match looked {
            Ok((connection, format)) => (connection, format, false),
            Err(Unfit::Sqlite(error)) if self.stands_still(&error) => {
                let connection = self.connect_immutable().map_err(|error| self.error(&error))?;
                let format = inspect(&connection).map_err(|unfit| self.unfit(unfit))?;
                (connection, format, true)
            }
            Err(unfit) => return Err(self.unfit(unfit)),
        };
        match format {
            Format::Version(version) if version == super::schema::SCHEMA_VERSION => {
                Ok((connection, is_snapshot))
            }
            Format::Version(version) => Err(Error::StoreFormat {
                found: format!("schema version {version}, which a coordinator has to migrate"),
                supported: format!("schema version {}", super::schema::SCHEMA_VERSION),
            }),
            Format::Empty => Err(Error::StoreFormat {
                found: "an empty file".into(),
                supported: "a store that a coordinator has made".into(),
            }),
        }
    }

    /// The owner opens no other file that has come to this path.
    pub(super) fn check_database(&self) -> Result<(), Error> {
        self.guard
            .as_ref()
            .map_or(Ok(()), |guard| guard.look_at_database())
            .map_err(|missing| Error::StoreError { detail: missing.to_string() })
    }

    /// Whether a reader failed only because it may not make the files beside the database, which
    /// nobody needs as long as no WAL is there.
    fn stands_still(&self, error: &rusqlite::Error) -> bool {
        let wal = beside(&self.path, "-wal");
        let may_not_make =
            matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly));
        may_not_make
            && self.vfs.is_none()
            && self.path.is_file()
            && std::fs::metadata(wal).map_or(true, |wal| wal.len() == 0)
    }

    fn set_up_writing(&self, connection: &Connection) -> Result<(), Error> {
        let set_up = || -> rusqlite::Result<String> {
            let mode = connection
                .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            connection.pragma_update(None, "synchronous", self.synchronous_name())?;
            connection.pragma_update(None, "journal_size_limit", WAL_SIZE_LIMIT)?;
            connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
            Ok(mode)
        };
        let mode = set_up().map_err(|error| self.error(&error))?;
        if mode.eq_ignore_ascii_case("wal") {
            return Ok(());
        }
        Err(Error::StoreError {
            detail: format!(
                "{}: this file system offers no shared memory for a write-ahead log; put the \
                 store on a local disk",
                self.path.display()
            ),
        })
    }

    fn connect(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match &self.vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs.as_str()),
            None => Connection::open_with_flags(&self.path, flags),
        }?;
        prepare(&connection, flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY))?;
        Ok(connection)
    }

    fn connect_immutable(&self) -> rusqlite::Result<Connection> {
        let mut address = String::from("file:");
        for byte in self.path.as_os_str().as_encoded_bytes() {
            match byte {
                b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                    address.push(char::from(*byte));
                }
                _ => address.push_str(&format!("%{byte:02X}")),
            }
        }
        address.push_str("?immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(address, flags)?;
        prepare(&connection, true)?;
        Ok(connection)
    }

    fn synchronous_name(&self) -> &'static str {
        match self.synchronous {
            Synchronous::Full => "full",
            Synchronous::Normal => "normal",
            Synchronous::Off => "off",
        }
    }

    pub(super) fn error(&self, error: &rusqlite::Error) -> Error {
        opening_error(&self.path, error)
    }

    fn unfit(&self, unfit: Unfit) -> Error {
        match unfit {
            Unfit::Format(error) => error,
            Unfit::Sqlite(error) => self.error(&error),
        }
    }
}

fn prepare(connection: &Connection, is_read_only: bool) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if is_read_only {
        // Looking at a file must not change it, not even when the last one leaves.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    }
    Ok(())
}

/// How many symbolic links are followed to a file that is not there yet, as Linux does.
const MOST_LINKS: usize = 40;

/// One name for one file: two owners of one file under two names would be two owners. Being
/// absolute, it is never taken for one of SQLite's special names.
fn real_path(path: &Path) -> Result<PathBuf, Error> {
    let shown = path.display();
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.contains(&0) {
        return Err(Error::invalid(format!("the path {shown:?} contains a NUL")));
    }
    let failed = |detail: String| Err(Error::StoreError { detail });
    if path.is_dir() {
        return failed(format!("{shown} is a directory; name a file in it"));
    }
    // `Path` forgets what stands behind the last name: without it this would be another file.
    if bytes.ends_with(b"/") || bytes.ends_with(b"/.") {
        return Err(Error::invalid(format!(
            "the path {shown:?} is that of a directory; leave the last slash out, or name a file \
             in it"
        )));
    }
    let mut named = path.to_owned();
    for _ in 0..=MOST_LINKS {
        if let Ok(real) = named.canonicalize() {
            return Ok(real);
        }
        let (Ok(absolute), Some(name)) = (std::path::absolute(&named), named.file_name()) else {
            return failed(format!("{shown} names no file"));
        };
        let folder = absolute.parent().unwrap_or(Path::new("/"));
        let folder = match folder.canonicalize() {
            Ok(folder) if folder.is_dir() => folder,
            Ok(folder) => {
                let folder = folder.display();
                return failed(format!("{folder} is not a folder; choose another path"));
            }
            Err(error) => {
                let folder = folder.display();
                return failed(format!(
                    "the folder {folder} cannot be used; make it first ({error})"
                ));
            }
        };
        let file = folder.join(name);
        match file.read_link() {
            // It leads to a file that is not there yet.
            Ok(target) => named = folder.join(target),
            Err(_) => return Ok(file),
        }
    }
    failed(format!("{shown} is a symbolic link that leads to itself"))
}
