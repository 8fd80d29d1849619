//! The wrapper's timers: an enum, and a table with at most one deadline for each.
//!
//! Which timer a wake-up belongs to is also its reason, so "why did it wake?" has an answer.

use crate::settings::Millis;

/// Everything a wrapper may wait for. The order is that in which timers due at one and the same
/// moment are handled: what ends a link comes before what would still use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The attempt in flight has not been answered (R48).
    Attempt,
    /// The link was opened and no `welcome` came (R45c).
    Welcome,
    /// Something is unacknowledged and no acknowledgement came (R47a).
    Acknowledgement,
    /// It has been disconnected for too long (R41).
    GiveUp,
    /// The wait before the next attempt is over (R41).
    Retry,
    /// A post-completion task takes too long (R51).
    Task,
    /// The host's abort takes too long (R52).
    Abort,
    /// The agent's own feed is silent (R53).
    Feed,
    /// The drain is over (R51).
    Drain,
    /// Nothing was sent for a while (R47).
    Heartbeat,
}

impl Timer {
    const ALL: [Timer; 10] = [
        Timer::Attempt,
        Timer::Welcome,
        Timer::Acknowledgement,
        Timer::GiveUp,
        Timer::Retry,
        Timer::Task,
        Timer::Abort,
        Timer::Feed,
        Timer::Drain,
        Timer::Heartbeat,
    ];
}

/// The table.
#[derive(Debug, Clone, Default)]
pub(super) struct Timers {
    deadlines: [Option<Millis>; Timer::ALL.len()],
}

impl Timers {
    /// Sets a timer, or moves it.
    pub(super) fn set(&mut self, timer: Timer, deadline: Millis) {
        self.deadlines[timer as usize] = Some(deadline);
    }

    /// Sets a timer that is not set yet.
    pub(super) fn set_once(&mut self, timer: Timer, deadline: Millis) {
        self.deadlines[timer as usize].get_or_insert(deadline);
    }

    /// Stops a timer, set or not.
    pub(super) fn stop(&mut self, timer: Timer) {
        self.deadlines[timer as usize] = None;
    }

    /// Stops all of them but those named.
    pub(super) fn stop_all_but(&mut self, kept: &[Timer]) {
        for timer in Timer::ALL {
            if !kept.contains(&timer) {
                self.stop(timer);
            }
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Millis> {
        self.deadlines.iter().flatten().min().copied()
    }

    /// The timers due at `now`, each stopped as it is handed out. A timer that handling sets again
    /// for a moment not after `now` waits for the next call, so that a delay of zero cannot spin.
    pub(super) fn expired(&mut self, now: Millis, handled: &mut Vec<Timer>) -> Option<Timer> {
        let timer = Timer::ALL
            .into_iter()
            .filter(|timer| !handled.contains(timer))
            .filter_map(|timer| self.deadlines[timer as usize].map(|deadline| (deadline, timer)))
            .filter(|(deadline, _)| *deadline <= now)
            .min()?
            .1;
        self.stop(timer);
        handled.push(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_timers_come_in_order_and_once() {
        let mut timers = Timers::default();
        timers.set(Timer::Heartbeat, 5);
        timers.set(Timer::Drain, 5);
        timers.set(Timer::Feed, 3);
        timers.set(Timer::Abort, 9);
        timers.set_once(Timer::Abort, 1);
        assert_eq!(timers.next(), Some(3));
        let mut handled = Vec::new();
        assert_eq!(timers.expired(5, &mut handled), Some(Timer::Feed));
        timers.set(Timer::Feed, 5);
        assert_eq!(timers.expired(5, &mut handled), Some(Timer::Drain));
        assert_eq!(timers.expired(5, &mut handled), Some(Timer::Heartbeat));
        assert_eq!(timers.expired(5, &mut handled), None);
        assert_eq!(timers.next(), Some(5));
        timers.stop_all_but(&[Timer::Abort]);
        assert_eq!(timers.next(), Some(9));
    }

    #[test]
    fn every_timer_has_its_own_place() {
        for (place, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, place);
        }
    }
}
