//! The server's own life: open, closing, killed; and waiting until every task has noticed.
//!
//! Each task holds a [`Watch`]. When the last one is dropped, nothing of the server runs any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::lock::{Condvar, Mutex};
use crate::net::runtime;

/// How far the end of a server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Serving.
    Open,
    /// No new connections; links and streams say goodbye.
    Closing,
    /// Whoever is left is dropped.
    Killed,
}

#[derive(Debug)]
pub(super) struct Lifetime {
    phase: watch::Sender<Phase>,
}

/// One task's view of it, and the proof that the task still runs.
#[derive(Debug, Clone)]
pub(super) struct Watch(watch::Receiver<Phase>);

impl Lifetime {
    pub(super) fn new() -> Lifetime {
        Lifetime { phase: watch::Sender::new(Phase::Open) }
    }

    pub(super) fn watch(&self) -> Watch {
        Watch(self.phase.subscribe())
    }

    /// Begins to close; `false` if that had begun already.
    pub(super) fn close(&self) -> bool {
        self.advance(Phase::Closing)
    }

    /// Gives up on whoever is left.
    pub(super) fn kill(&self) {
        self.advance(Phase::Killed);
    }

    fn advance(&self, to: Phase) -> bool {
        self.phase.send_if_modified(|phase| {
            let advanced = *phase < to;
            *phase = (*phase).max(to);
            advanced
        })
    }

    /// Waits until no task is left; `false` when the time was over first. Not through `block_on`,
    /// which panics on the threads of any runtime.
    pub(super) fn wait_until_over(&self, timeout: Duration) -> bool {
        let Ok(runtime) = runtime::handle() else { return false };
        let end = Arc::new(End::default());
        let phase = self.phase.clone();
        let telling = Telling(Arc::clone(&end));
        runtime.spawn(async move {
            phase.closed().await;
            telling.0.tell(true);
        });
        end.wait(timeout)
    }
}

/// Whether all tasks have ended, once that is known.
#[derive(Default)]
struct End {
    known: Mutex<Option<bool>>,
    changed: Condvar,
}

impl End {
    fn tell(&self, is_over: bool) {
        self.known.lock().get_or_insert(is_over);
        self.changed.notify_all();
    }

    /// `false` when the time is over first.
    fn wait(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut known = self.known.lock();
        while known.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if self.changed.wait_for(&mut known, left).timed_out() {
                break;
            }
        }
        known.unwrap_or(false)
    }
}

/// A runtime that was shut down drops it without having run it.
struct Telling(Arc<End>);

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.tell(false);
    }
}

impl Watch {
    /// How far it has come.
    pub(super) fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until the server has come that far.
    pub(super) async fn reached(&mut self, wanted: Phase) {
        // The sender lives in the server's shared state; without it everything is over.
        let _ = self.0.wait_for(|phase| *phase >= wanted).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_the_last_watch_is_gone() {
        let lifetime = Lifetime::new();
        let watch = lifetime.watch();
        assert!(lifetime.close());
        assert!(!lifetime.close());
        assert!(!lifetime.wait_until_over(Duration::from_millis(20)));
        let mut other = watch.clone();
        drop(watch);
        runtime::handle().unwrap().spawn(async move { other.reached(Phase::Killed).await });
        lifetime.kill();
        assert!(lifetime.wait_until_over(Duration::from_secs(30)));
    }
}
