//! What goes on failing is told once a minute, with how often it was not told in between.
//!
//! A full disk fails every commit, and a log of each would fill what is left of it; where there are
//! no descriptors, connections fail as fast as they come; and what a peer does wrong it may do
//! thousands of times.

use std::collections::BTreeMap;
use std::fmt;

use crate::lock::Mutex;
use crate::settings::Millis;

/// How often one kind of thing is told.
const INTERVAL_MS: Millis = 60_000;
/// So many kinds are told within that time; what is beyond is only counted.
const KINDS: usize = 64;

/// Says when something that happens again and again is to be told: the first time at once, then
/// once a minute. Any thread may use it.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    kinds: BTreeMap<String, Told>,
    /// Not told for want of room, and not told when their kind made room.
    others: u64,
}

#[derive(Debug)]
struct Told {
    at: Millis,
    left_out: u64,
}

impl Told {
    fn is_recent(&self, now: Millis) -> bool {
        now.saturating_sub(self.at) < INTERVAL_MS
    }
}

impl Seldom {
    /// Something of this kind happened. `Some`: tell it now, with this behind the message.
    pub(crate) fn admits(&self, kind: &str, now: Millis) -> Option<LeftOut> {
        let mut state = self.0.lock();
        if let Some(told) = state.kinds.get_mut(kind) {
            if told.is_recent(now) {
                told.left_out += 1;
                return None;
            }
            told.at = now;
            let same = std::mem::take(&mut told.left_out);
            return Some(LeftOut { same, others: std::mem::take(&mut state.others) });
        }
        if state.kinds.len() >= KINDS {
            state.make_room(now);
        }
        if state.kinds.len() >= KINDS {
            state.others += 1;
            return None;
        }
        state.kinds.insert(kind.to_owned(), Told { at: now, left_out: 0 });
        Some(LeftOut { same: 0, others: std::mem::take(&mut state.others) })
    }
}

impl State {
    fn make_room(&mut self, now: Millis) {
        let mut left_out = 0;
        self.kinds.retain(|_, told| {
            let stays = told.is_recent(now);
            left_out += if stays { 0 } else { told.left_out };
            stays
        });
        self.others += left_out;
    }
}

/// How much was not told since the last time; nothing where all was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeftOut {
    same: u64,
    others: u64,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.same > 0 {
            write!(formatter, "; {} times more since this was told", self.same)?;
        }
        if self.others > 0 {
            write!(formatter, "; {} other failures were not told", self.others)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seldom: &Seldom, kind: &str, now: Millis) -> Option<String> {
        seldom.admits(kind, now).map(|left_out| left_out.to_string())
    }

    #[test]
    fn the_same_is_told_once_a_minute_with_what_was_left_out() {
        let seldom = Seldom::default();
        assert_eq!(told(&seldom, "full", 0).as_deref(), Some(""));
        assert_eq!(told(&seldom, "damaged", 10).as_deref(), Some(""));
        for ms in 1..=5_000 {
            assert_eq!(told(&seldom, "full", ms), None);
        }
        let later = told(&seldom, "full", 60_000);
        assert_eq!(later.as_deref(), Some("; 5000 times more since this was told"));
        assert_eq!(told(&seldom, "full", 119_999), None);
        assert_eq!(told(&seldom, "damaged", 60_010).as_deref(), Some(""));
        // After a long silence it is news again.
        let news = told(&seldom, "full", 600_000);
        assert_eq!(news.as_deref(), Some("; 1 times more since this was told"));
    }

    #[test]
    fn different_things_are_bounded_and_counted_too() {
        let seldom = Seldom::default();
        let told_now = (0..1_000).filter(|n| told(&seldom, &n.to_string(), 0).is_some()).count();
        assert_eq!(told_now, KINDS);
        assert_eq!(told(&seldom, "0", 1), None);
        let later = told(&seldom, "later", INTERVAL_MS).unwrap();
        assert_eq!(later, format!("; {} other failures were not told", 1_000 - KINDS + 1));
        assert_eq!(told(&seldom, "more", INTERVAL_MS).as_deref(), Some(""));
    }

    #[test]
    fn a_clock_that_goes_back_tells_nothing_twice() {
        let seldom = Seldom::default();
        assert!(told(&seldom, "full", 1_000_000).is_some());
        assert_eq!(told(&seldom, "full", 0), None);
    }
}
