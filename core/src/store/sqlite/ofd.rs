//! Locks that belong to an open file and not to the process, where the system has them.

use std::fs::File;

/// Which bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    pub(super) first: i64,
    pub(super) count: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locked {
    Ours,
    /// Somebody else's, perhaps within this process.
    Taken,
    /// This system, or this file system, has no such locks.
    Unsupported,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc::{self, flock};

    use super::{Bytes, File, Kind, Locked};

    #[allow(clippy::unnecessary_cast)] // the widths differ between systems
    fn described(kind: libc::c_int, bytes: Bytes) -> flock {
        flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: bytes.first as libc::off_t,
            l_len: bytes.count as libc::off_t,
            l_pid: 0,
        }
    }

    pub(in super::super) fn lock(file: &File, kind: Kind, bytes: Bytes) -> Locked {
        let kind = match kind {
            Kind::Read => libc::F_RDLCK,
            Kind::Write => libc::F_WRLCK,
        };
        match fcntl(file, FcntlArg::F_OFD_SETLK(&described(kind as libc::c_int, bytes))) {
            Ok(_) => Locked::Ours,
            Err(Errno::EAGAIN | Errno::EACCES) => Locked::Taken,
            Err(_) => Locked::Unsupported,
        }
    }

    pub(in super::super) fn unlock(file: &File, bytes: Bytes) {
        let described = described(libc::F_UNLCK as libc::c_int, bytes);
        // Not to be held is what was wanted.
        let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&described));
    }

    pub(in super::super) fn is_locked(file: &File, bytes: Bytes) -> bool {
        let mut found = described(libc::F_WRLCK as libc::c_int, bytes);
        let asked = fcntl(file, FcntlArg::F_OFD_GETLK(&mut found));
        asked.is_ok() && libc::c_int::from(found.l_type) != libc::F_UNLCK
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use super::{Bytes, File, Kind, Locked};

    pub(in super::super) fn lock(_: &File, _: Kind, _: Bytes) -> Locked {
        Locked::Unsupported
    }

    pub(in super::super) fn unlock(_: &File, _: Bytes) {}

    pub(in super::super) fn is_locked(_: &File, _: Bytes) -> bool {
        false
    }
}

pub(super) use system::{is_locked, lock, unlock};
