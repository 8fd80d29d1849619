//! The time that the wrapper machine is given.
//!
//! It begins as wall-clock time and runs on with the boot-time clock, which goes through
//! suspension: a sandbox that was frozen for a minute knows that its link has been silent for a
//! minute. It never goes back, whatever happens to the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::elapsed::elapsed_ms;
use crate::settings::Millis;

/// One wrapper's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Wall-clock time less boot time, when the clock was made.
    offset_ms: Millis,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { offset_ms: wall_ms() - elapsed_ms() }
    }

    pub(super) fn now(&self) -> Millis {
        self.offset_ms + elapsed_ms()
    }
}

/// What the wall clock says, for the timestamps of events.
pub(super) fn wall_ms() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_wall_time_and_does_not_go_back() {
        let clock = Clock::new();
        let first = clock.now();
        assert!((first - wall_ms()).abs() < 60_000);
        assert!(clock.now() >= first);
    }
}
