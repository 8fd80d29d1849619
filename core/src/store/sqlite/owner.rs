//! One coordinator owns a file (`StoreInUse`).
//!
//! The owner holds an OS lock on `PATH-owner` as long as it lives: the lock goes with the
//! process, however that ends, also when children live on that it forked (`fork`). The text in the file says who it is; the file itself may stay
//! behind and means nothing without the lock. The file may be removed, and the database have
//! another name in another folder; so the database is locked as well (`guard`).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::guard::{FILE_MODE, Missing, beside, is_at};
use super::program;
use crate::Error;
use crate::fork::Inherited;
use crate::settings::Millis;
use crate::store::Owner;

/// A lock that is held may belong to somebody who only looks, and an owner needs a moment to
/// write down who it is: this many tries, this far apart.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The lock, for the owner's life.
pub(super) struct OwnerLock {
    // First: the note ends before the descriptor does.
    _inherited: Inherited,
    file: File,
    /// Of the file, and of the database beside it.
    path: PathBuf,
    path_of_store: PathBuf,
    owner: Entry,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    pid: u32,
    since: Millis,
    url: Option<String>,
    /// Earlier versions did not write it down.
    #[serde(default)]
    program: Option<String>,
}

impl Entry {
    /// Somebody who cannot be named.
    fn unknown() -> Entry {
        Entry { pid: 0, since: 0, url: None, program: None }
    }

    fn in_use(self) -> Error {
        let Entry { pid, since, url, program } = self;
        Error::StoreInUse { pid, since, url, program }
    }
}

/// The database has an owner who came to it by another path, or whose `-owner` file was removed.
pub(super) fn in_use_by_somebody() -> Error {
    Entry::unknown().in_use()
}

impl OwnerLock {
    /// Becomes the owner of the database at `path`, from `now` on (wall clock, ms).
    ///
    /// Errors: [`Error::StoreInUse`], or [`Error::StoreError`] where the folder cannot be written.
    pub(super) fn acquire(path: &Path, now: Millis) -> Result<OwnerLock, Error> {
        let lock_path = lock_path(path);
        for attempt in 1..=TRIES {
            let is_last = attempt == TRIES;
            let mut file =
                open_or_make(&lock_path).map_err(|error| unwritable(&lock_path, &error))?;
            match file.try_lock() {
                // It may have been removed while we waited: nobody else would find the lock.
                Ok(()) if is_at(&file, &lock_path) => {
                    let program = program::this();
                    let owner = Entry { pid: std::process::id(), since: now, url: None, program };
                    let _inherited = Inherited::new(&file);
                    let path_of_store = path.to_owned();
                    let mut lock =
                        OwnerLock { _inherited, file, path: lock_path, path_of_store, owner };
                    lock.write_down()?;
                    return Ok(lock);
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if !is_last => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::WouldBlock) => {
                    let entry = read_entry(&mut file);
                    return Err(entry.unwrap_or_else(Entry::unknown).in_use());
                }
                Err(TryLockError::Error(error)) => return Err(unwritable(&lock_path, &error)),
            }
        }
        Err(in_use_by_somebody())
    }

    /// Sees to it that the file that says who the owner is is in its place: where it was taken
    /// away a new one is made, unless somebody else was faster.
    pub(super) fn stay(&mut self) -> Result<(), Missing> {
        // Not to be looked at is not gone.
        let there = std::fs::metadata(&self.path);
        let is_gone = there.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        if is_at(&self.file, &self.path) || (there.is_err() && !is_gone) {
            return Ok(());
        }
        let url = self.owner.url.clone();
        let renewed = OwnerLock::acquire(&self.path_of_store, self.owner.since);
        renewed
            .and_then(|renewed| {
                *self = renewed;
                self.set_url(url.as_deref())
            })
            .map_err(|_| Missing { path: self.path.clone(), is_replaced: true })
    }

    /// Writes down where the owner serves.
    pub(super) fn set_url(&mut self, url: Option<&str>) -> Result<(), Error> {
        self.owner.url = url.map(str::to_owned);
        self.write_down()
    }

    fn write_down(&mut self) -> Result<(), Error> {
        let failed = |error: &dyn std::fmt::Display| Error::StoreError {
            detail: format!("the owner of the store cannot be written down: {error}"),
        };
        let mut text = serde_json::to_string(&self.owner).map_err(|error| failed(&error))?;
        text.push('\n');
        // Readers take the first line: whole before anything behind it goes.
        let written = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(text.as_bytes()))
            .and_then(|()| self.file.set_len(text.len() as u64));
        written.map_err(|error| failed(&error))
    }
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        // So that the next owner is not taken for this one before it has written itself down.
        // The lock goes with the file either way.
        let _ = self.file.set_len(0);
    }
}

/// Who owns the database at `path` now, if somebody does.
pub(super) fn current_owner(path: &Path) -> Option<Owner> {
    let mut file = File::open(lock_path(path)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        // Taken by us, so by nobody else; it goes again with the file.
        Ok(()) | Err(TryLockError::Error(_)) => return None,
    }
    let entry = read_entry(&mut file)?;
    Some(Owner { pid: entry.pid, since: entry.since, url: entry.url })
}

fn lock_path(path: &Path) -> PathBuf {
    beside(path, "-owner")
}

fn open_or_make(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)
}

fn read_entry(file: &mut File) -> Option<Entry> {
    for _ in 0..TRIES {
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).ok()?;
        let read = file.read_to_string(&mut text);
        let line = text.lines().next().unwrap_or_default();
        if let (Ok(_), Ok(entry)) = (read, serde_json::from_str(line)) {
            return Some(entry);
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    None
}

fn unwritable(lock_path: &Path, error: &std::io::Error) -> Error {
    let folder = lock_path.parent().unwrap_or(lock_path).display();
    let detail = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => format!(
            "the folder {folder} cannot be written, and a store needs files beside its own; \
             change its permissions, choose another folder, or open read-only ({error})"
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            format!("the disk is full; free some space ({error})")
        }
        _ => format!("{} cannot be made: {error}", lock_path.display()),
    };
    Error::StoreError { detail }
}
