//! The disk as SQLite's file system.
//!
//! Locks and shared memory, which SQLite needs for a write-ahead log with several connections,
//! work within the process. They are in memory, so a power cut ends them; what was opened before
//! it gets an I/O error for everything.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use crate::Disk;
use crate::disk::Refused;

/// Shared by the VFS and all open files.
#[derive(Default)]
struct Shared {
    disk: Disk,
    files: HashMap<(u64, usize), Sharing>,
    next_id: u64,
}

/// What the connections to one file share besides its bytes.
#[derive(Default)]
struct Sharing {
    levels: HashMap<u64, c_int>,
    /// Regions of shared memory. They are not freed before the VFS is: SQLite holds pointers.
    regions: Vec<Box<[u64]>>,
    slots: [Slot; ffi::SQLITE_SHM_NLOCK as usize],
}

#[derive(Default)]
struct Slot {
    shared: Vec<u64>,
    exclusive: Option<u64>,
}

type Handle = Arc<Mutex<Shared>>;

fn lock(handle: &Handle) -> MutexGuard<'_, Shared> {
    handle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A registered disk. It is known to SQLite under its name until this is dropped, which must be
/// after every connection to it.
pub struct Vfs {
    name: CString,
    table: *mut ffi::sqlite3_vfs,
    shared: Handle,
}

/// Makes an empty disk known to SQLite under `name`, which must be new and hold no NUL.
pub fn register(name: &str) -> Vfs {
    let name = CString::new(name).expect("a name without NUL");
    let shared = Handle::default();
    let table = Box::into_raw(Box::new(ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<File>() as c_int,
        mxPathname: 512,
        pNext: std::ptr::null_mut(),
        zName: name.as_ptr(),
        pAppData: Box::into_raw(Box::new(shared.clone())).cast(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_path),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: None,
        xCurrentTimeInt64: Some(current_time_ms),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }));
    // SAFETY: the table is valid and stays where it is until it is unregistered in `drop`.
    let status = unsafe { ffi::sqlite3_vfs_register(table, 0) };
    assert_eq!(status, ffi::SQLITE_OK);
    Vfs { name, table, shared }
}

impl Vfs {
    /// The name by which SQLite knows it.
    pub fn name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    /// Does something to the disk.
    pub fn with_disk<T>(&self, act: impl FnOnce(&mut Disk) -> T) -> T {
        act(&mut lock(&self.shared).disk)
    }
}

impl Drop for Vfs {
    fn drop(&mut self) {
        // SAFETY: registered in `register`, with both pointers from `Box::into_raw`; no
        // connection uses it any more, as the type demands.
        unsafe {
            ffi::sqlite3_vfs_unregister(self.table);
            drop(Box::from_raw((*self.table).pAppData.cast::<Handle>()));
            drop(Box::from_raw(self.table));
        }
    }
}

/// What SQLite allocates for an open file; it begins with SQLite's own part.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    open: *mut OpenFile,
}

struct OpenFile {
    handle: Handle,
    id: u64,
    inode: usize,
    /// Of the disk when it was opened.
    power_cycles: u64,
    /// A journal or WAL that was made by this: its first sync syncs the names too, as SQLite's
    /// own VFS for Unix does.
    syncs_names: bool,
    deletes: Option<String>,
}

impl OpenFile {
    /// The shared state, unless the power has been off since.
    fn shared(&self) -> Result<MutexGuard<'_, Shared>, Refused> {
        let shared = lock(&self.handle);
        if shared.disk.power_cycles() == self.power_cycles && !shared.disk.is_dark() {
            Ok(shared)
        } else {
            Err(Refused::NoPower)
        }
    }

    fn key(&self) -> (u64, usize) {
        (self.power_cycles, self.inode)
    }
}

/// # Safety
/// `file` was opened by `open` and not closed yet.
unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a mut OpenFile {
    // SAFETY: by the contract it is a `File` whose `open` came from `Box::into_raw`. SQLite uses a
    // file from one thread at a time.
    unsafe { &mut *(*file.cast::<File>()).open }
}

/// # Safety
/// `vfs` is a table made by `register`.
unsafe fn handle_of<'a>(vfs: *mut ffi::sqlite3_vfs) -> &'a Handle {
    // SAFETY: by the contract.
    unsafe { &*(*vfs).pAppData.cast::<Handle>() }
}

/// # Safety
/// `name` is NUL or a C string.
unsafe fn text(name: *const c_char) -> Option<String> {
    // SAFETY: by the contract.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
}

fn status(result: Result<(), Refused>, io_error: c_int) -> c_int {
    match result {
        Ok(()) => ffi::SQLITE_OK,
        Err(Refused::Full) => ffi::SQLITE_FULL,
        Err(Refused::NoSuchFile) => ffi::SQLITE_IOERR_DELETE_NOENT,
        Err(Refused::NoPower | Refused::SyncFailed) => io_error,
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_file),
    xUnlock: Some(unlock_file),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes our table, a name or NUL, and room for a `File`.
    unsafe {
        let file = file.cast::<File>();
        // Without methods SQLite does not close what failed to open.
        (*file).base.pMethods = std::ptr::null();
        let (handle, name) = (handle_of(vfs).clone(), text(name));
        let mut shared = lock(&handle);
        let found = name.as_deref().and_then(|name| shared.disk.find(name));
        let made = found.is_none();
        let inode = match found {
            Some(_) if shared.disk.is_dark() => return ffi::SQLITE_IOERR,
            Some(inode) => inode,
            None if flags & ffi::SQLITE_OPEN_CREATE == 0 => return ffi::SQLITE_CANTOPEN,
            None => match shared.disk.create(name.as_deref()) {
                Ok(inode) => inode,
                Err(_) => return ffi::SQLITE_IOERR,
            },
        };
        let is_log = flags & (ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL) != 0;
        shared.next_id += 1;
        let open = OpenFile {
            id: shared.next_id,
            inode,
            power_cycles: shared.disk.power_cycles(),
            syncs_names: made && is_log,
            deletes: name.filter(|_| flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0),
            handle: handle.clone(),
        };
        drop(shared);
        (*file).open = Box::into_raw(Box::new(open));
        (*file).base.pMethods = &METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: opened by `open`; SQLite does not use it again.
    let open = unsafe { Box::from_raw((*file.cast::<File>()).open) };
    let mut shared = lock(&open.handle);
    if let Some(sharing) = shared.files.get_mut(&open.key()) {
        sharing.levels.remove(&open.id);
        sharing.slots.iter_mut().for_each(|slot| slot.release(open.id));
    }
    if let Some(name) = &open.deletes {
        // Without power it is gone anyway.
        let _ = shared.disk.delete(name, false);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: an open file, and room for `amount` bytes.
    let (open, into) = unsafe {
        (opened(file), std::slice::from_raw_parts_mut(into.cast::<u8>(), amount as usize))
    };
    let read = open.shared().and_then(|shared| shared.disk.read(open.inode, offset as usize, into));
    match read {
        Ok(length) if length == into.len() => ffi::SQLITE_OK,
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(_) => ffi::SQLITE_IOERR_READ,
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: an open file, and `amount` bytes.
    let (open, from) =
        unsafe { (opened(file), std::slice::from_raw_parts(from.cast::<u8>(), amount as usize)) };
    let written =
        open.shared().and_then(|mut shared| shared.disk.write(open.inode, offset as usize, from));
    status(written, ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    let done = open.shared().and_then(|mut shared| shared.disk.truncate(open.inode, size as usize));
    status(done, ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    let done = open.shared().and_then(|mut shared| shared.disk.sync(open.inode, open.syncs_names));
    open.syncs_names &= done.is_err();
    status(done, ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(
    file: *mut ffi::sqlite3_file,
    size: *mut ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: an open file, and room for the answer.
    let open = unsafe { opened(file) };
    match open.shared() {
        Ok(shared) => {
            // SAFETY: as above.
            unsafe { *size = shared.disk.size(open.inode) as ffi::sqlite3_int64 };
            ffi::SQLITE_OK
        }
        Err(_) => ffi::SQLITE_IOERR_FSTAT,
    }
}

unsafe extern "C" fn lock_file(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    let Ok(mut shared) = open.shared() else { return ffi::SQLITE_IOERR_LOCK };
    let levels = &mut shared.files.entry(open.key()).or_default().levels;
    let others = levels.iter().filter(|(id, _)| **id != open.id).map(|(_, level)| *level);
    let strongest = others.max().unwrap_or(ffi::SQLITE_LOCK_NONE);
    let is_free = match level {
        ffi::SQLITE_LOCK_SHARED => strongest < ffi::SQLITE_LOCK_PENDING,
        ffi::SQLITE_LOCK_RESERVED => strongest < ffi::SQLITE_LOCK_RESERVED,
        _ => strongest == ffi::SQLITE_LOCK_NONE,
    };
    if !is_free {
        return ffi::SQLITE_BUSY;
    }
    let own = levels.entry(open.id).or_insert(level);
    *own = level.max(*own);
    ffi::SQLITE_OK
}

unsafe extern "C" fn unlock_file(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    let mut shared = lock(&open.handle);
    let levels = &mut shared.files.entry(open.key()).or_default().levels;
    if level == ffi::SQLITE_LOCK_NONE {
        levels.remove(&open.id);
    } else {
        levels.insert(open.id, level);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, is_held: *mut c_int) -> c_int {
    // SAFETY: an open file, and room for the answer.
    let open = unsafe { opened(file) };
    let mut shared = lock(&open.handle);
    let levels = &shared.files.entry(open.key()).or_default().levels;
    let held = levels.values().any(|level| *level >= ffi::SQLITE_LOCK_RESERVED);
    // SAFETY: as above.
    unsafe { *is_held = c_int::from(held) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(
    _file: *mut ffi::sqlite3_file,
    _operation: c_int,
    _argument: *mut c_void,
) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    // What SQLite takes every disk to be unless told otherwise.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: an open file, and room for a pointer.
    let open = unsafe { opened(file) };
    let Ok(mut shared) = open.shared() else { return ffi::SQLITE_IOERR_SHMMAP };
    let regions = &mut shared.files.entry(open.key()).or_default().regions;
    while extend != 0 && regions.len() <= region as usize {
        regions.push(vec![0; size as usize / size_of::<u64>()].into_boxed_slice());
    }
    let found = regions.get_mut(region as usize);
    let pointer = found.map_or(std::ptr::null_mut(), |region| region.as_mut_ptr().cast());
    // SAFETY: as above. The region stays where it is: boxes are never removed while SQLite runs.
    unsafe { *out = pointer };
    ffi::SQLITE_OK
}

impl Slot {
    fn release(&mut self, id: u64) {
        self.shared.retain(|holder| *holder != id);
        self.exclusive = self.exclusive.filter(|holder| *holder != id);
    }

    fn is_free(&self, id: u64, exclusive: bool) -> bool {
        let nobody_exclusive = self.exclusive.is_none_or(|holder| holder == id);
        nobody_exclusive && (!exclusive || self.shared.iter().all(|holder| *holder == id))
    }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    let exclusive = flags & ffi::SQLITE_SHM_EXCLUSIVE != 0;
    let mut shared = lock(&open.handle);
    let sharing = shared.files.entry(open.key()).or_default();
    let slots = &mut sharing.slots[offset as usize..(offset + count) as usize];
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        slots.iter_mut().for_each(|slot| slot.release(open.id));
        return ffi::SQLITE_OK;
    }
    if !slots.iter().all(|slot| slot.is_free(open.id, exclusive)) {
        return ffi::SQLITE_BUSY;
    }
    for slot in slots {
        slot.release(open.id);
        if exclusive {
            slot.exclusive = Some(open.id);
        } else {
            slot.shared.push(open.id);
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    let mut shared = lock(&open.handle);
    let sharing = shared.files.entry(open.key()).or_default();
    if delete != 0 {
        // The last connection leaves: the next one begins with fresh memory. What is there is
        // emptied, not freed.
        sharing.regions.iter_mut().for_each(|region| region.fill(0));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_names: c_int,
) -> c_int {
    // SAFETY: SQLite passes our table and a name.
    let (handle, name) = unsafe { (handle_of(vfs), text(name)) };
    let name = name.unwrap_or_default();
    status(lock(handle).disk.delete(&name, sync_names != 0), ffi::SQLITE_IOERR_DELETE)
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    answer: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes our table, a name, and room for the answer.
    unsafe {
        let name = text(name).unwrap_or_default();
        *answer = c_int::from(lock(handle_of(vfs)).disk.find(&name).is_some());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_path(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite passes a C string, and `room` bytes for the answer.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > room as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(
    _vfs: *mut ffi::sqlite3_vfs,
    amount: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite passes room for `amount` bytes. The same each time, so that runs repeat.
    unsafe { std::ptr::write_bytes(out, 0x5a, amount as usize) };
    amount
}

unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

unsafe extern "C" fn current_time(_vfs: *mut ffi::sqlite3_vfs, days: *mut f64) -> c_int {
    // SAFETY: SQLite passes room for the answer.
    unsafe { *days = 2_460_000.5 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_ms(
    _vfs: *mut ffi::sqlite3_vfs,
    ms: *mut ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite passes room for the answer.
    unsafe { *ms = 2_460_000 * 86_400_000 + 43_200_000 };
    ffi::SQLITE_OK
}
