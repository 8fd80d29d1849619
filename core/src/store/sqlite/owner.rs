//! One coordinator owns a file (`StoreInUse`).
//!
//! The owner holds an OS lock on `PATH-owner` as long as it lives: the lock goes with the
//! process, however that ends, also when children live on that it forked (`fork`). The text in the file says who it is; the file itself may stay
//! behind and means nothing without the lock. The database file is never opened besides SQLite:
//! closing it would take SQLite's own locks away.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    owner: Entry,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    pid: u32,
    since: Millis,
    url: Option<String>,
}

impl OwnerLock {
    /// Becomes the owner of the database at `path`, from `now` on (wall clock, ms).
    ///
    /// Errors: [`Error::StoreInUse`], or [`Error::StoreError`] where the folder cannot be written.
    pub(super) fn acquire(path: &Path, now: Millis) -> Result<OwnerLock, Error> {
        let lock_path = lock_path(path);
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock_path);
        let mut file = opened.map_err(|error| unwritable(&lock_path, &error))?;
        for attempt in 1..=TRIES {
            match file.try_lock() {
                Ok(()) => {
                    let owner = Entry { pid: std::process::id(), since: now, url: None };
                    let mut lock = OwnerLock { _inherited: Inherited::new(&file), file, owner };
                    lock.write_down()?;
                    return Ok(lock);
                }
                Err(TryLockError::WouldBlock) if attempt < TRIES => {
                    std::thread::sleep(BETWEEN_TRIES);
                }
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => return Err(unwritable(&lock_path, &error)),
            }
        }
        let entry = read_entry(&mut file).unwrap_or(Entry { pid: 0, since: 0, url: None });
        Err(Error::StoreInUse { pid: entry.pid, since: entry.since, url: entry.url })
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
    let mut name = path.as_os_str().to_owned();
    name.push("-owner");
    PathBuf::from(name)
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
