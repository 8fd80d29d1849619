//! Time since boot: what no wall clock moves.

use rustix::time::{ClockId, clock_gettime};

use crate::settings::Millis;

/// Time since boot, suspension included, in ms.
pub(crate) fn elapsed_ms() -> Millis {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}
