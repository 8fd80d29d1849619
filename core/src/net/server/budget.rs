//! How much is done at the same time: requests, and the bytes of their bodies and answers.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::ServerLimits;
use crate::Error;

/// The bodies that have come and are not dealt with yet, all of them together.
pub(super) const BODIES_BYTES: usize = 64 * 1024 * 1024;
/// The answers that were not taken yet, all of them together.
pub(super) const ANSWERS_BYTES: usize = 64 * 1024 * 1024;

/// Bytes are counted in steps of this.
const STEP: usize = 1024;

/// A share of a budget, given back when it is dropped.
pub(super) type Share = Option<OwnedSemaphorePermit>;

/// What one request holds until its answer was taken.
#[derive(Clone)]
pub(super) struct Held(#[allow(dead_code)] Arc<[Share]>);

impl Held {
    pub(super) fn new(shares: [Share; 2]) -> Held {
        Held(Arc::new(shares))
    }
}

/// The budgets of one server.
pub(super) struct Budgets {
    reads: Arc<Semaphore>,
    commands: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    max_requests: usize,
}

impl Budgets {
    pub(super) fn new(limits: &ServerLimits) -> Budgets {
        let of = |permits| Arc::new(Semaphore::new(permits));
        Budgets {
            reads: of(limits.max_requests),
            commands: of(limits.max_requests),
            bodies: of((BODIES_BYTES / STEP).max(steps(limits.max_body_bytes))),
            answers: of((ANSWERS_BYTES / STEP).max(steps(limits.max_page_bytes) * 2)),
            max_requests: limits.max_requests,
        }
    }

    /// One more request that reads.
    pub(super) fn read(&self) -> Result<Share, Error> {
        take(&self.reads, 1).ok_or_else(|| exceeded("max_requests", self.max_requests))
    }

    /// One more request that changes something.
    pub(super) fn command(&self) -> Result<Share, Error> {
        take(&self.commands, 1).ok_or_else(|| exceeded("max_requests", self.max_requests))
    }

    /// Makes the share of a body that has so many bytes by now as large as it has to be.
    pub(super) fn body(&self, share: &mut Share, bytes: usize) -> Result<(), Error> {
        let has = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = steps(bytes).saturating_sub(has);
        if more == 0 {
            return Ok(());
        }
        let more = take(&self.bodies, more)
            .ok_or_else(|| exceeded("the size of all bodies", BODIES_BYTES))?;
        match (share, more) {
            (Some(share), Some(more)) => share.merge(more),
            (share, more) => *share = more,
        }
        Ok(())
    }

    /// An answer of so many bytes.
    pub(super) fn answer(&self, bytes: usize) -> Result<Share, Error> {
        take(&self.answers, steps(bytes))
            .ok_or_else(|| exceeded("the size of all answers", ANSWERS_BYTES))
    }
}

fn take(budget: &Arc<Semaphore>, permits: usize) -> Option<Share> {
    let permits = u32::try_from(permits).ok()?;
    Arc::clone(budget).try_acquire_many_owned(permits).ok().map(Some)
}

fn steps(bytes: usize) -> usize {
    bytes.div_ceil(STEP)
}

/// One more than there may be.
fn exceeded(limit: &'static str, most: usize) -> Error {
    Error::LimitExceeded { limit, value: most as u64 + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_and_gives_it_back() {
        let budgets = Budgets::new(&ServerLimits { max_requests: 1, ..ServerLimits::default() });
        let read = budgets.read().unwrap();
        assert_eq!(budgets.read().unwrap_err().name(), "LimitExceeded");
        let _command = budgets.command().unwrap();
        drop(read);
        budgets.read().unwrap();
        let (mut first, mut second) = (None, None);
        budgets.body(&mut first, 1).unwrap();
        budgets.body(&mut first, BODIES_BYTES - STEP).unwrap();
        assert!(budgets.body(&mut second, STEP + 1).is_err());
        budgets.body(&mut second, STEP).unwrap();
        assert!(budgets.body(&mut second, STEP + 1).is_err());
        drop(first);
        budgets.body(&mut second, STEP + 1).unwrap();
        budgets.answer(ANSWERS_BYTES).unwrap();
    }
}
