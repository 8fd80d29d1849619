//! Noticing half-open links (R47a): when to ping, and when silence means that the peer is gone.
//! A basic link is given more time than an acknowledged one, since it loses what was on its way.
//!
//! Pure: the moment is an argument. One timer a link is enough, set anew only when it fires; a
//! frame that arrives merely notes its moment.
//!
//! The awkward case: the side that listens stands still itself, in a slow commit or on a frozen
//! machine. For that long nobody was asked anything, so it is taken off the silence: a look that
//! comes late counts as if it came when it was due.

use std::time::{Duration, Instant};

use crate::settings::Millis;

/// What the silence so far asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nothing yet; look again at that moment.
    Fine(Instant),
    /// Send a ping, then look again at that moment.
    Ping(Instant),
    /// The link counts as closed, 1006.
    Dead,
}

/// When a link last heard something, and when it last asked.
#[derive(Debug)]
pub(crate) struct Liveness {
    heard: Instant,
    pinged: Option<Instant>,
    /// When the next look is due.
    due: Instant,
    ping_after: Duration,
    /// `None`: silence alone never ends it.
    dead_after: Option<Duration>,
}

impl Liveness {
    /// Pings after `ping_interval_ms` of silence; dead after `timeout_ms` of it, where given.
    pub(crate) fn new(
        ping_interval_ms: Millis,
        timeout_ms: Option<Millis>,
        now: Instant,
    ) -> Liveness {
        Liveness {
            heard: now,
            pinged: None,
            due: now,
            // Never zero, or the timer would spin.
            ping_after: duration(ping_interval_ms.max(1)),
            dead_after: timeout_ms.map(|timeout| duration(timeout.max(1))),
        }
    }

    /// Something arrived, whatever it was.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    /// To be asked when the timer fires.
    pub(crate) fn check(&mut self, now: Instant) -> Silence {
        self.take_off(now.saturating_duration_since(self.due), now);
        let silence = self.judge(now);
        if let Silence::Fine(next) | Silence::Ping(next) = silence {
            self.due = next;
        }
        silence
    }

    /// What was heard within that time is no older than now.
    fn take_off(&mut self, late: Duration, now: Instant) {
        self.heard = now.min(self.heard + late);
        self.pinged = self.pinged.map(|pinged| now.min(pinged + late));
    }

    fn judge(&mut self, now: Instant) -> Silence {
        let dead_at = self.dead_after.map(|after| self.heard + after);
        if dead_at.is_some_and(|at| now >= at) {
            return Silence::Dead;
        }
        let ping_at = self.pinged.unwrap_or(self.heard) + self.ping_after;
        if now >= ping_at {
            self.pinged = Some(now);
            let next = now + self.ping_after;
            return Silence::Ping(dead_at.map_or(next, |at| at.min(next)));
        }
        Silence::Fine(dead_at.map_or(ping_at, |at| at.min(ping_at)))
    }
}

/// A duration from a setting.
pub(crate) fn duration(ms: Millis) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that pings after 10 ms of silence and is dead after 25, and its moments in ms.
    fn begun() -> (Liveness, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let at = move |ms| start + Duration::from_millis(ms);
        let mut liveness = Liveness::new(10, Some(25), start);
        assert_eq!(liveness.check(at(0)), Silence::Fine(at(10)));
        (liveness, at)
    }

    #[test]
    fn pings_go_out_in_silence_and_a_long_one_is_death() {
        let (mut liveness, at) = begun();
        assert_eq!(liveness.check(at(10)), Silence::Ping(at(20)));
        assert_eq!(liveness.check(at(15)), Silence::Fine(at(20)));
        assert_eq!(liveness.check(at(20)), Silence::Ping(at(25)));
        assert_eq!(liveness.check(at(25)), Silence::Dead);
        liveness.heard(at(26));
        assert_eq!(liveness.check(at(26)), Silence::Fine(at(36)));
    }

    #[test]
    fn without_a_timeout_silence_only_pings() {
        let start = Instant::now();
        let mut liveness = Liveness::new(10, None, start);
        let mut next = start + Duration::from_millis(10);
        assert_eq!(liveness.check(start), Silence::Fine(next));
        for _ in 0..1_000 {
            let after = next + Duration::from_millis(10);
            assert_eq!(liveness.check(next), Silence::Ping(after));
            next = after;
        }
    }

    #[test]
    fn time_in_which_nobody_looked_is_no_silence() {
        let (mut liveness, at) = begun();
        // Due at 10: ten of the silence count, and the peer gets its time to answer.
        assert_eq!(liveness.check(at(1_010)), Silence::Ping(at(1_020)));
        assert_eq!(liveness.check(at(1_020)), Silence::Ping(at(1_025)));
        assert_eq!(liveness.check(at(1_025)), Silence::Dead);
    }

    #[test]
    fn what_was_heard_after_standing_still_is_as_old_as_it_is() {
        let (mut liveness, at) = begun();
        liveness.heard(at(1_000));
        assert_eq!(liveness.check(at(1_001)), Silence::Fine(at(1_011)));
        assert_eq!(liveness.check(at(1_011)), Silence::Ping(at(1_021)));
        assert_eq!(liveness.check(at(1_021)), Silence::Ping(at(1_026)));
        assert_eq!(liveness.check(at(1_026)), Silence::Dead);
    }
}
