//! Wake-ups from the core to whoever waits: a callback, or a file descriptor for event loops.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::Error;

/// Somebody who waits. `wake` is called from any thread, often, and must return at once: it
/// takes no locks that are held around calls into the core.
pub trait Wake: Send + Sync {
    /// Something may have changed: look again.
    fn wake(&self);
}

/// A wake-up as a file descriptor: readable from a `wake` until the next [`EventFd::clear`].
/// Level-triggered, so that it fits `poll`, epoll, libuv and asyncio.
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    /// A new one, not readable. [`Error::LimitExceeded`] when the process has no descriptor left.
    pub fn new() -> Result<Arc<EventFd>, Error> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map(|fd| Arc::new(EventFd { fd }))
            .map_err(|_| Error::LimitExceeded { limit: "open file descriptors", value: 1 })
    }

    /// Makes it unreadable. Look for work *after* this, or a wake-up between is lost.
    pub fn clear(&self) {
        let mut buffer = [0u8; 8];
        // EAGAIN: it was not readable.
        let _ = rustix::io::read(&self.fd, &mut buffer);
    }

    /// Waits until it is readable. `Ok(true)`: it is; `Ok(false)`: the time is over, or a signal
    /// handler ran on this thread (the caller looks at its signals and waits again).
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        matches!(poll(&mut fds, timeout.as_ref()), Ok(ready) if ready > 0)
    }
}

impl Wake for EventFd {
    fn wake(&self) {
        // EAGAIN: the counter is at its end, so it is readable already.
        let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What a binding gives to event loops for one object: a descriptor that is made when somebody
/// first asks for it, and is readable from a wake-up until a look finds nothing.
#[derive(Debug, Default)]
pub struct Readable {
    descriptor: OnceLock<Arc<EventFd>>,
}

impl Readable {
    /// The descriptor; it lives as long as this. Readable at first: there may be something
    /// already. [`Error::LimitExceeded`] when the process has none left.
    pub fn fileno(&self) -> Result<RawFd, Error> {
        if self.descriptor.get().is_none() {
            let descriptor = EventFd::new()?;
            descriptor.wake();
            // Another thread may have been faster; then its descriptor stays.
            let _ = self.descriptor.set(descriptor);
        }
        Ok(self.descriptor.get().map_or(-1, |descriptor| descriptor.as_fd().as_raw_fd()))
    }

    /// Looks once, without waiting. When there is nothing the descriptor is made unreadable; when
    /// the look fails it stays as it is.
    pub fn take<T, E>(
        &self,
        mut look: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        if let Some(taken) = look()? {
            return Ok(Some(taken));
        }
        let Some(descriptor) = self.descriptor.get() else { return Ok(None) };
        descriptor.clear();
        // What came between the look and the clearing must not be lost, and there may be more.
        let taken = look();
        if !matches!(taken, Ok(None)) {
            descriptor.wake();
        }
        taken
    }
}

impl Wake for Readable {
    fn wake(&self) {
        if let Some(descriptor) = self.descriptor.get() {
            descriptor.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_until_a_look_finds_nothing_and_for_ever_once_looks_fail() {
        let readable = Readable::default();
        let is_readable = |readable: &Readable| {
            readable.fileno().unwrap();
            readable.descriptor.get().unwrap().wait(Some(Duration::ZERO))
        };
        assert!(is_readable(&readable));
        assert_eq!(readable.take(|| Ok::<_, ()>(Some(1))), Ok(Some(1)));
        assert!(is_readable(&readable), "there may be more");
        assert_eq!(readable.take(|| Ok::<Option<u8>, ()>(None)), Ok(None));
        assert!(!is_readable(&readable));
        // What comes between the look and the clearing is found all the same.
        let mut looks = 0;
        let taken = readable.take(|| {
            looks += 1;
            Ok::<_, ()>((looks == 2).then_some(7))
        });
        assert_eq!((taken, is_readable(&readable)), (Ok(Some(7)), true));
        assert_eq!(readable.take(|| Err::<Option<u8>, _>("closed")), Err("closed"));
        assert!(is_readable(&readable));
    }

    #[test]
    fn readable_from_wake_to_clear() {
        let fd = EventFd::new().unwrap();
        assert!(!fd.wait(Some(Duration::ZERO)));
        fd.wake();
        fd.wake();
        assert!(fd.wait(None));
        fd.clear();
        assert!(!fd.wait(Some(Duration::ZERO)));
    }
}
