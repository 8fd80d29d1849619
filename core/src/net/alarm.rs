//! The core's wake-ups, for a task: [`Alarm`] is the [`Wake`] of whatever a task waits for.

#[cfg(feature = "server")]
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::wake::Wake;

/// Wakes one task. A wake-up that comes while nobody waits is kept, and several count as one.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    rang: AtomicBool,
    task: AtomicWaker,
}

impl Alarm {
    pub(crate) fn new() -> Arc<Alarm> {
        Arc::new(Alarm::default())
    }

    /// Ready when it rang since the last time it was ready. For one task at a time.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        // Registered before the look, or a wake-up in between would be lost.
        self.task.register(context.waker());
        if self.rang.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until it rings.
    #[cfg(feature = "server")]
    pub(crate) async fn rung(&self) {
        poll_fn(|context| self.poll(context)).await;
    }
}

impl Wake for Alarm {
    fn wake(&self) {
        // The task is woken at the first of several rings only; it looks at everything anyway.
        if !self.rang.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_before_the_wait_is_not_lost_and_two_are_one() {
        let alarm = Alarm::new();
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(alarm.poll(&mut context).is_pending());
        alarm.wake();
        alarm.wake();
        assert!(alarm.poll(&mut context).is_ready());
        assert!(alarm.poll(&mut context).is_pending());
    }
}
