//! Time for the coordinator (R18b, R18c).
//!
//! The system clock counts on a clock that runs on through suspension, from the wall clock at
//! opening or the newest time in the store, whichever is later; it never goes back, and follows
//! the wall clock forward only. The manual clock moves only when told, and then handles all that
//! is due on the way, each at its own moment, on the calling thread.

use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use super::shared::Shared;
use crate::elapsed::elapsed_ms;
use crate::lock::Mutex;
use crate::settings::{MAX_MOMENT_MS, Millis};

/// Two ticks further apart than this, or a jump of the wall clock of more than this, are time
/// that the coordinator lost (R18b).
pub(super) const LOST_AFTER_MS: Millis = 3_000;

/// Nothing is deleted for its age by more wall time than has passed since the opening, and this.
const AGE_MARGIN_MS: Millis = 24 * 3_600_000;

/// Where a coordinator's time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The host's.
    #[default]
    System,
    /// A test's.
    Manual(ManualClock),
}

/// Time that moves only when told: tests and scenarios run on it. Clones share one time. Moving
/// it handles everything due in every coordinator opened with it, before the call returns.
#[derive(Clone, Debug)]
pub struct ManualClock {
    inner: Arc<ManualInner>,
}

#[derive(Debug)]
struct ManualInner {
    now: Mutex<Millis>,
    coordinators: Mutex<Vec<Weak<Shared>>>,
}

impl ManualClock {
    /// A clock that shows `now`, in ms since the Unix epoch. No clock goes beyond
    /// [`crate::settings::MAX_MOMENT_MS`], so that there is room for every deadline.
    pub fn new(now: Millis) -> ManualClock {
        ManualClock {
            inner: Arc::new(ManualInner {
                now: Mutex::new(reachable(now)),
                coordinators: Mutex::new(Vec::new()),
            }),
        }
    }

    /// What it shows.
    pub fn now(&self) -> Millis {
        *self.inner.now.lock()
    }

    /// Moves on by `ms`; all that is due on the way is handled at its own moment.
    pub fn advance(&self, ms: Millis) {
        let target = reachable(self.now().saturating_add(ms.max(0)));
        while let Some(next) = self.next_deadline().filter(|next| *next <= target) {
            self.set(next);
            self.handle_due();
            if self.next_deadline().is_some_and(|again| again <= self.now()) {
                // What is due and cannot be handled (a failing store) waits for the next move.
                break;
            }
        }
        self.set(target);
        self.handle_due();
    }

    /// Only moves time, to `now` or not at all if that has passed: commands are applied at it,
    /// nothing that is due is handled (see [`super::Coordinator::handle_due`]).
    pub fn set(&self, now: Millis) {
        let mut current = self.inner.now.lock();
        *current = reachable(now).max(*current);
    }

    /// Time jumps by `ms` without the coordinators noticing before it is over (R18b): they are
    /// told at the end, and then handle what is due.
    pub fn suspend(&self, ms: Millis) {
        let before = self.now();
        self.set(before.saturating_add(ms.max(0)));
        let ms = self.now() - before;
        for coordinator in self.coordinators() {
            if ms > LOST_AFTER_MS {
                coordinator.resumed(ms);
            }
            coordinator.handle_due();
        }
    }

    /// The earliest deadline of all its coordinators.
    pub fn next_deadline(&self) -> Option<Millis> {
        let coordinators = self.coordinators();
        coordinators
            .iter()
            .filter_map(|coordinator| coordinator.next_deadline().ok().flatten())
            .min()
    }

    pub(super) fn register(&self, coordinator: &Arc<Shared>) {
        self.inner.coordinators.lock().push(Arc::downgrade(coordinator));
    }

    fn handle_due(&self) {
        for coordinator in self.coordinators() {
            coordinator.handle_due();
        }
    }

    fn coordinators(&self) -> Vec<Arc<Shared>> {
        let mut coordinators = self.inner.coordinators.lock();
        coordinators.retain(|coordinator| coordinator.strong_count() > 0);
        coordinators.iter().filter_map(Weak::upgrade).collect()
    }
}

/// The nearest moment that a clock can show.
fn reachable(now: Millis) -> Millis {
    now.clamp(-MAX_MOMENT_MS, MAX_MOMENT_MS)
}

/// A coordinator's time.
#[derive(Debug)]
pub(super) enum TimeSource {
    System(Mutex<SystemTimeline>),
    Manual(ManualClock),
}

impl TimeSource {
    /// `newest` is the newest time in the store (R18c).
    pub(super) fn new(clock: &Clock, newest: Option<Millis>) -> TimeSource {
        match clock {
            Clock::System => {
                TimeSource::System(Mutex::new(SystemTimeline::new(newest, wall_ms(), elapsed_ms())))
            }
            Clock::Manual(clock) => {
                clock.set(newest.unwrap_or(Millis::MIN));
                TimeSource::Manual(clock.clone())
            }
        }
    }

    pub(super) fn now(&self) -> Millis {
        match self {
            TimeSource::System(timeline) => timeline.lock().now(elapsed_ms()),
            TimeSource::Manual(clock) => clock.now(),
        }
    }

    /// By how much what is deleted for its age is taken for younger than [`TimeSource::now`] says, so
    /// that a wall clock that is wrong for a while deletes nothing (R19).
    pub(super) fn age_lag(&self) -> Millis {
        match self {
            TimeSource::System(timeline) => timeline.lock().age_lag(elapsed_ms()),
            TimeSource::Manual(_) => 0,
        }
    }

    /// One tick of the driver: how much time was lost since the last one, if that is worth
    /// reporting.
    pub(super) fn tick(&self) -> Option<Millis> {
        match self {
            TimeSource::System(timeline) => timeline.lock().tick(wall_ms(), elapsed_ms()),
            TimeSource::Manual(_) => None,
        }
    }
}

/// The arithmetic of the system clock, apart from the clocks it reads.
#[derive(Debug)]
pub(super) struct SystemTimeline {
    /// Coordinator time minus elapsed time.
    offset: Millis,
    /// Wall time minus elapsed time at the last tick.
    wall_offset: Millis,
    last_tick: Millis,
    /// Wall time minus elapsed time at the opening.
    opened_offset: Millis,
}

impl SystemTimeline {
    fn new(newest: Option<Millis>, wall: Millis, elapsed: Millis) -> SystemTimeline {
        let start = newest.unwrap_or(wall).max(wall);
        SystemTimeline {
            offset: start - elapsed,
            wall_offset: wall - elapsed,
            last_tick: elapsed,
            opened_offset: wall - elapsed,
        }
    }

    fn now(&self, elapsed: Millis) -> Millis {
        self.offset + elapsed
    }

    /// How far its time is ahead of the wall time at the opening plus the time that has passed since,
    /// beyond the margin.
    fn age_lag(&self, elapsed: Millis) -> Millis {
        let at_most = self.opened_offset + elapsed + AGE_MARGIN_MS;
        (self.now(elapsed) - at_most).max(0)
    }

    fn tick(&mut self, wall: Millis, elapsed: Millis) -> Option<Millis> {
        let gap = elapsed - self.last_tick;
        self.last_tick = elapsed;
        let wall_offset = wall - elapsed;
        let jump = (wall_offset - self.wall_offset).abs();
        // A clock that was set back is no lost time for anybody; the new reading is the base.
        let forward = wall_offset > self.wall_offset;
        self.wall_offset = wall_offset;
        // Forward only (R18c).
        self.offset = self.offset.max(wall_offset);
        let lost_ticks = if gap > LOST_AFTER_MS { gap } else { 0 };
        let lost_jump = if jump > LOST_AFTER_MS && forward { jump } else { 0 };
        let lost = lost_ticks + lost_jump;
        (lost > 0).then_some(lost)
    }
}

pub(super) fn wall_ms() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back_and_follows_the_wall_clock_forward_only() {
        let mut timeline = SystemTimeline::new(Some(5_000_000), 1_000_000, 100);
        assert_eq!(timeline.now(100), 5_000_000);
        assert_eq!(timeline.tick(1_001_000, 1_100), None);
        assert_eq!(timeline.now(1_100), 5_001_000);
        // The wall clock is set back by an hour: nothing is lost, time goes on (R18c).
        assert_eq!(timeline.tick(1_002_000 - 3_600_000, 2_100), None);
        assert_eq!(timeline.now(2_100), 5_002_000);
        // It is set far ahead: followed, and reported.
        assert_eq!(timeline.tick(9_000_000, 3_100), Some(9_000_000 - 1_003_000 + 3_600_000));
        assert_eq!(timeline.now(3_100), 9_000_000);
    }

    #[test]
    fn a_manual_clock_stays_within_its_bounds() {
        for far in [Millis::MAX, MAX_MOMENT_MS + 1] {
            let clock = ManualClock::new(0);
            clock.advance(far);
            assert_eq!(clock.now(), MAX_MOMENT_MS);
            clock.suspend(far);
            clock.set(far);
            assert_eq!(clock.now(), MAX_MOMENT_MS);
            assert_eq!(ManualClock::new(-far).now(), -MAX_MOMENT_MS);
        }
    }

    #[test]
    fn a_wall_clock_that_is_wrong_for_a_while_makes_nothing_older_than_it_is() {
        const DAY: Millis = 24 * 3_600_000;
        let mut timeline = SystemTimeline::new(None, 1_000_000, 100);
        assert_eq!(timeline.age_lag(100), 0);
        // Its own time, however much of it, is age.
        assert_eq!(timeline.age_lag(400 * DAY), 0);
        // Three seconds of a wall clock that is 91 days ahead, then it is right again.
        timeline.tick(1_000_900 + 91 * DAY, 1_000);
        assert_eq!(timeline.now(1_000) - timeline.age_lag(1_000), 1_000_900 + DAY);
        timeline.tick(1_003_900, 4_000);
        assert_eq!(timeline.age_lag(4_000), 90 * DAY);
        // So it is after a restart: the store has kept the wrong time, the wall clock has not.
        let newest = timeline.now(4_000);
        let restarted = SystemTimeline::new(Some(newest), 1_003_900, 4_000);
        assert_eq!(restarted.age_lag(4_000), 90 * DAY);
        // A correction of less than a day is followed at once, for ages too.
        let mut timeline = SystemTimeline::new(None, 1_000_000, 100);
        timeline.tick(1_000_900 + DAY, 1_000);
        assert_eq!(timeline.age_lag(1_000), 0);
    }

    #[test]
    fn ticks_far_apart_are_lost_time() {
        let mut timeline = SystemTimeline::new(None, 1_000_000, 0);
        assert_eq!(timeline.tick(1_001_000, 1_000), None);
        assert_eq!(timeline.tick(1_004_000, 4_000), None);
        assert_eq!(timeline.tick(1_008_000, 8_000), Some(4_000));
        // A machine that was paused while its elapsed time stood still.
        assert_eq!(timeline.tick(1_069_000, 9_000), Some(60_000));
    }
}
