//! Wake-ups from the core to whoever waits: a callback, or a file descriptor for event loops.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
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

#[cfg(test)]
mod tests {
    use super::*;

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
