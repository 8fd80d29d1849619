//! What keeps the owner's files in order while other programs open, copy and close them.
//!
//! SQLite locks files with POSIX record locks. They belong to the process: when anything else in
//! it closes the file (another copy of SQLite, a program that makes a copy), all of ours are gone,
//! and nobody is told. The next connection to be closed, in this process or another, then takes
//! itself for the last one, copies the write-ahead log back and deletes it, while the owner goes
//! on writing to a log without a name: what was acknowledged is gone with the process.
//!
//! So the owner holds *open file description* locks besides, on descriptors of its own. They
//! conflict with everybody's, within the process too, and nobody else's close takes them away.
//! They are read locks on bytes that SQLite uses, of the kind that every connection holds, so
//! they are in nobody's way who only reads or writes:
//!
//! - the shared bytes of the database: nobody is alone with it, so nobody deletes the log or
//!   leaves WAL mode;
//! - in the log's index, the byte that says that somebody is there: nobody makes the index anew;
//! - there, the last of the read marks: nobody lets the log start anew, over what readers read.
//!
//! Whoever writes, copies the log back or reads it takes locks in the index for that long. SQLite
//! takes these itself, and ours takes them as locks of the open file (`stayline-sqlite-locks`): so
//! another copy of SQLite in this process finds the owner's commits, and the owner waits for its.
//!
//! Where SQLite itself has to be alone, at the end and to let the log start anew, the owner lets
//! go first; also where somebody else waits for that and holds up a commit meanwhile. A byte behind SQLite's own says who is the owner, whatever name the file was opened
//! under.

use std::fs::{File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::ofd::{self, Bytes, Kind, Locked};
use crate::fork::Inherited;
use crate::lock::Mutex;

/// Of the database file: what every connection locks (`SHARED_FIRST`, `SHARED_SIZE`).
const SHARED: Bytes = Bytes { first: 0x4000_0002, count: 510 };
/// Of the database file: the byte behind those, which SQLite does not use.
const OWNER: Bytes = Bytes { first: 0x4000_0200, count: 1 };
/// Of the index: the last read mark (`WAL_READ_LOCK(4)`).
const READ_MARK: Bytes = Bytes { first: 127, count: 1 };
/// Of the index: somebody is there (`UNIX_SHM_DMS`).
const ALIVE: Bytes = Bytes { first: 128, count: 1 };

/// Files that other programs must not find: they hold what agents said.
pub(super) const FILE_MODE: u32 = 0o600;

/// The database files that this process owns: two owners within it would take each other's
/// locks away by looking.
static OWNED: Mutex<Vec<(u32, FileId)>> = Mutex::new(Vec::new());

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> FileId {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A descriptor for locks.
#[derive(Debug)]
struct Held {
    // First: the note ends before the descriptor does.
    _inherited: Inherited,
    file: File,
}

impl Held {
    fn new(file: File) -> Held {
        Held { _inherited: Inherited::new(&file), file }
    }
}

/// Why there is no guard.
pub(super) enum Refused {
    /// The file has an owner.
    InUse,
    /// It cannot be opened for writing.
    Io,
}

/// The locks. Shared by all that has the file open through one owner, since closing its
/// descriptors takes SQLite's own locks away: they go last.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    main: Held,
    id: FileId,
    index: Mutex<Option<Held>>,
    /// What the files beside it were when they were opened.
    beside: Mutex<Vec<(PathBuf, FileId)>>,
    /// All of the locks are held: nobody can take the log away.
    is_held: AtomicBool,
    is_owner: AtomicBool,
}

impl Guard {
    /// Becomes the owner of the file, which is made if it is not there.
    pub(super) fn acquire(path: &Path) -> Result<Guard, Refused> {
        // Before it is opened: closing it again would take the locks of its owner away.
        if let Ok(metadata) = std::fs::metadata(path)
            && is_owned_here(FileId::of(&metadata))
        {
            return Err(Refused::InUse);
        }
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path);
        let main = Held::new(opened.map_err(|_| Refused::Io)?);
        let id = FileId::of(&main.file.metadata().map_err(|_| Refused::Io)?);
        if ofd::lock(&main.file, Kind::Write, OWNER) == Locked::Taken {
            return Err(Refused::InUse);
        }
        OWNED.lock().push((std::process::id(), id));
        let guard = Guard {
            path: path.to_owned(),
            main,
            id,
            index: Mutex::new(None),
            beside: Mutex::new(Vec::new()),
            is_held: AtomicBool::new(false),
            is_owner: AtomicBool::new(true),
        };
        guard.join();
        Ok(guard)
    }

    /// Somebody has the file open already, perhaps in this process: SQLite could not see that,
    /// and would make the index anew under them.
    fn join(&self) {
        let Ok(file) = OpenOptions::new().read(true).write(true).open(self.beside_path("-shm"))
        else {
            return;
        };
        let index = Held::new(file);
        if ofd::is_locked(&index.file, ALIVE) {
            ofd::lock(&index.file, Kind::Read, ALIVE);
            *self.index.lock() = Some(index);
        }
    }

    /// Takes the locks and notes which files these are, once SQLite has opened them.
    pub(super) fn hold(&self) -> std::io::Result<()> {
        let mut beside = Vec::new();
        for suffix in ["-wal", "-shm"] {
            let path = self.beside_path(suffix);
            let id = FileId::of(&std::fs::metadata(&path)?);
            beside.push((path, id));
        }
        *self.beside.lock() = beside;
        let mut index = self.index.lock();
        if index.as_ref().is_none_or(|index| !is_at(&index.file, &self.beside_path("-shm"))) {
            let path = self.beside_path("-shm");
            *index = Some(Held::new(OpenOptions::new().read(true).write(true).open(path)?));
        }
        drop(index);
        self.lock();
        Ok(())
    }

    fn lock(&self) {
        let index = self.index.lock();
        let is_held = index.as_ref().is_some_and(|index| {
            [(&self.main.file, SHARED), (&index.file, ALIVE), (&index.file, READ_MARK)]
                .into_iter()
                .all(|(file, bytes)| ofd::lock(file, Kind::Read, bytes) == Locked::Ours)
        });
        self.is_held.store(is_held, Ordering::Release);
    }

    /// Whether nobody can take the log away; tries again where somebody was in the way.
    pub(super) fn is_held(&self) -> bool {
        if !self.is_held.load(Ordering::Acquire) {
            self.lock();
        }
        self.is_held.load(Ordering::Acquire)
    }

    /// Makes room for the log to start anew. That is done by the next commit, or by somebody who
    /// holds it up, so the lock is taken again behind it (`is_held`).
    pub(super) fn step_aside(&self) {
        if let Some(index) = &*self.index.lock() {
            ofd::unlock(&index.file, READ_MARK);
        }
        self.is_held.store(false, Ordering::Release);
    }

    /// Lets go, so that SQLite can find itself alone.
    pub(super) fn let_go(&self) {
        self.is_held.store(false, Ordering::Release);
        ofd::unlock(&self.main.file, SHARED);
        if let Some(index) = &*self.index.lock() {
            ofd::unlock(&index.file, READ_MARK);
            ofd::unlock(&index.file, ALIVE);
        }
    }

    /// Is not the owner any more.
    pub(super) fn resign(&self) {
        if self.is_owner.swap(false, Ordering::AcqRel) {
            ofd::unlock(&self.main.file, OWNER);
            let own = (std::process::id(), self.id);
            let mut owned = OWNED.lock();
            if let Some(at) = owned.iter().position(|one| *one == own) {
                owned.swap_remove(at);
            }
        }
    }

    /// Whether path and files are still the ones that were opened; else what has become of them.
    pub(super) fn look(&self) -> Result<(), Missing> {
        self.look_at_database()?;
        for (path, id) in &*self.beside.lock() {
            look_at(path, *id)?;
        }
        Ok(())
    }

    /// The same for the database alone.
    pub(super) fn look_at_database(&self) -> Result<(), Missing> {
        look_at(&self.path, self.id)
    }

    fn beside_path(&self, suffix: &str) -> PathBuf {
        beside(&self.path, suffix)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.resign();
    }
}

/// A file that is not there any more, or is another one.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) path: PathBuf,
    pub(super) is_replaced: bool,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.is_replaced { "replaced by another file" } else { "removed or moved" };
        write!(f, "{} was {what} while the store was open", self.path.display())
    }
}

fn look_at(path: &Path, id: FileId) -> Result<(), Missing> {
    match std::fs::metadata(path) {
        Ok(metadata) if FileId::of(&metadata) == id => Ok(()),
        Ok(_) => Err(Missing { path: path.to_owned(), is_replaced: true }),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Missing { path: path.to_owned(), is_replaced: false })
        }
        // Not to be looked at is not gone: what is open stays open.
        Err(_) => Ok(()),
    }
}

fn is_owned_here(id: FileId) -> bool {
    OWNED.lock().contains(&(std::process::id(), id))
}

/// Whether the path still leads to the open file.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(own), Ok(there)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    FileId::of(&own) == FileId::of(&there)
}

/// The path with something behind it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
