//! The server's own life: open, closing, killed; and waiting until every task has noticed.
//!
//! Each task holds a [`Watch`]. When the last one is dropped, nothing of the server runs any more.

use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::watch;

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
        let (done, waiting) = mpsc::channel();
        let phase = self.phase.clone();
        runtime.spawn(async move {
            phase.closed().await;
            // Nobody listening means that nobody waits any more.
            let _ = done.send(());
        });
        waiting.recv_timeout(timeout).is_ok()
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
