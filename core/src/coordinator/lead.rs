//! Who leads the next commit.
//!
//! Whoever hands something over while nobody leads becomes the leader and commits for all that
//! came meanwhile (group commit); the others wait for their answer. A lone caller therefore pays
//! no thread hop and waits for no company. What does not wait for an answer is led by the driver
//! thread, or on the spot where a commit costs no I/O and the caller may wait for the engine
//! ([`Leader`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::request::Request;
use super::shared::Shared;
use crate::{Error, threads};

/// The most that one commit takes from the queue.
pub(super) const BATCH_REQUESTS: usize = 8_192;

/// Who may lead for what is handed over without waiting for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leader {
    /// The caller, where a commit costs no I/O.
    Caller,
    /// The same, unless somebody has the engine: for those who only let something go.
    CallerIfFree,
    /// Never the caller: it drives sockets, and whoever has the engine may take its time.
    Another,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) requests: VecDeque<Request>,
    /// Somebody is taking requests until there are none.
    pub(super) is_led: bool,
    /// The driver shall lead.
    driver_leads: bool,
    /// The driver shall look at the deadlines again.
    driver_looks: bool,
    /// The driver has ended: nothing can be handed on to it any more.
    driver_ended: bool,
}

impl Shared {
    /// Has things done without waiting for answers. `bytes`: what they cost in the books.
    pub(super) fn submit(
        self: &Arc<Self>,
        requests: impl IntoIterator<Item = Request>,
        bytes: usize,
        leader: Leader,
    ) -> Result<(), Error> {
        self.under_way.fetch_add(bytes, Ordering::AcqRel);
        if let Err(error) = self.check_open() {
            for request in requests {
                request.finish(self, Err(error.clone()));
            }
            return Err(error);
        }
        if self.push(requests) {
            let is_here = self.is_immediate || !self.is_driven;
            match leader {
                Leader::Caller if is_here => self.lead(),
                Leader::CallerIfFree if is_here => self.lead_if_free(),
                _ => self.hand_lead_on(),
            }
        }
        Ok(())
    }

    /// Queues requests; whether the caller has become the leader.
    pub(super) fn push(&self, requests: impl IntoIterator<Item = Request>) -> bool {
        let mut queue = self.queue.lock();
        queue.requests.extend(requests);
        !std::mem::replace(&mut queue.is_led, true)
    }

    /// Leads for one round, if nobody has the engine now, and hands on what came meanwhile.
    fn lead_if_free(self: &Arc<Self>) {
        if let Some(mut engine) = self.engine.try_lock() {
            let Some(requests) = self.take(false) else { return };
            self.guarded(&mut engine, requests);
            if self.ends_lead() {
                return;
            }
        }
        self.hand_lead_on();
    }

    /// Hands the lead on: to the driver, or, where there is none, to a thread made for it.
    fn hand_lead_on(self: &Arc<Self>) {
        if self.let_driver_lead() {
            return;
        }
        let leading = Arc::clone(self);
        if threads::spawn("stayline-lead", move || leading.lead()).is_err() {
            self.lead();
        }
    }

    /// Whether there is a driver to take the lead.
    fn let_driver_lead(&self) -> bool {
        let mut queue = self.queue.lock();
        if !self.is_driven || queue.driver_ended {
            return false;
        }
        queue.driver_leads = true;
        self.driver.notify_one();
        true
    }

    /// Takes requests and commits, until there are none; hands on to the driver, where there is
    /// one, after the first round.
    pub(super) fn lead(&self) {
        let mut rounds = 0;
        loop {
            let mut engine = self.engine.lock();
            // What is taken is dealt with before the engine is let go, or it would be overtaken.
            let Some(requests) = self.take(rounds > 0 && self.is_driven) else { return };
            self.guarded(&mut engine, requests);
            if self.ends_lead() {
                return;
            }
            drop(engine);
            rounds += 1;
        }
    }

    /// Gives the lead up if there is nothing left.
    fn ends_lead(&self) -> bool {
        let mut queue = self.queue.lock();
        let is_over = queue.requests.is_empty();
        queue.is_led &= !is_over;
        is_over
    }

    /// The next requests; `None` when the lead has ended, or has gone to the driver.
    fn take(&self, hand_on: bool) -> Option<Vec<Request>> {
        let mut queue = self.queue.lock();
        if queue.requests.is_empty() {
            queue.is_led = false;
            return None;
        }
        if hand_on && !queue.driver_ended {
            queue.driver_leads = true;
            self.driver.notify_one();
            return None;
        }
        let count = queue.requests.len().min(BATCH_REQUESTS);
        Some(queue.requests.drain(..count).collect())
    }

    /// Runs until the coordinator closes: leads for those who do not wait, and wakes at
    /// deadlines and at every tick (R18b).
    pub(super) fn drive(&self) {
        const TICK: Duration = Duration::from_secs(1);
        while self.check_open().is_ok() {
            // What changes from here on is looked at again.
            self.queue.lock().driver_looks = false;
            if let Some(lost_ms) = self.time.tick() {
                self.resumed(lost_ms);
            }
            // However much is due, it ticks between two steps: it is not away.
            if self.handle_due_step() {
                continue;
            }
            let sleep = self.driver_sleep(TICK);
            let leads = {
                let mut queue = self.queue.lock();
                let has_work = queue.driver_leads || queue.driver_looks;
                if !has_work && self.check_open().is_ok() && !sleep.is_zero() {
                    self.driver.wait_for(&mut queue, sleep);
                }
                std::mem::take(&mut queue.driver_leads)
            };
            if leads {
                self.lead_as_driver();
            }
        }
        let leads = {
            let mut queue = self.queue.lock();
            queue.driver_ended = true;
            std::mem::take(&mut queue.driver_leads)
        };
        if leads {
            self.lead();
        }
    }

    /// How long the driver may sleep: until the next deadline, at most a tick.
    fn driver_sleep(&self, tick: Duration) -> Duration {
        let now = self.time.now();
        let mut engine = self.engine.lock();
        let next = match engine.next_deadline(self) {
            Ok(Some(at)) => at.min(now + 1_000),
            Ok(None) | Err(_) => now + 1_000,
        };
        engine.driver_sleeps_until(next);
        tick.min(Duration::from_millis(u64::try_from(next - now).unwrap_or(0)))
    }

    /// Leads until there is nothing left, or until the deadlines have to be looked at (R18): those
    /// who send as fast as they can do not hold up what is due.
    fn lead_as_driver(&self) {
        loop {
            let mut engine = self.engine.lock();
            let Some(requests) = self.take(false) else { return };
            self.guarded(&mut engine, requests);
            let is_time = engine.driver_looks_at() <= self.time.now();
            drop(engine);
            let mut queue = self.queue.lock();
            if is_time || queue.driver_looks {
                queue.driver_leads = true;
                return;
            }
        }
    }

    /// A deadline may have come nearer: the driver looks again.
    pub(super) fn wake_driver(&self) {
        self.queue.lock().driver_looks = true;
        self.driver.notify_one();
    }
}
