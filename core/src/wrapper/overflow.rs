//! The outbox's bounds, and what happens at them (R40, R44).
//!
//! In basic mode the bound covers what is buffered; in acknowledged mode it covers the numbered
//! events as well. While a link is up a full window is back-pressure: the caller waits. While
//! there is none it is overflow: droppable events give way first, the oldest of them, and then the
//! policy decides. What ends the execution always has room and never gives way.

use crate::Error;
use crate::settings::Overflow;

use super::outbox::{Entry, Mode, Outbox};

impl Outbox {
    /// Takes an event in. `connected`: a link is up, so that it goes out next. An event that is
    /// dropped by the policy is counted; [`Error::Full`] when the policy is to wait.
    pub(super) fn push(&mut self, entry: Entry, connected: bool) -> Result<(), Error> {
        let goes_straight_out = connected && self.mode() == Mode::Basic;
        if entry.lifecycle.is_some() || goes_straight_out || self.fits(entry.bytes()) {
            self.push_always(entry);
            return Ok(());
        }
        if connected {
            return Err(self.full(&entry));
        }
        if self.displace(entry.bytes(), |kept| kept.droppable) {
            self.push_always(entry);
            return Ok(());
        }
        match self.policy() {
            Overflow::Block | Overflow::Auto => return Err(self.full(&entry)),
            // An incoming droppable displaces no other kind.
            Overflow::DropOldest
                if !entry.droppable
                    && self.displace(entry.bytes(), |kept| kept.lifecycle.is_none()) =>
            {
                self.push_always(entry);
            }
            Overflow::DropOldest | Overflow::DropNewest => self.lost += 1,
        }
        Ok(())
    }

    /// Takes an event in whatever is held already. For what ends the execution, and for the few
    /// events that the machine itself makes, of which there are only as many as a run has steps.
    pub(super) fn push_always(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.refused_bytes = 0;
        self.buffered.push_back(entry);
    }

    /// Whether an event of the size that was last refused (any small one, if none was) would now
    /// be taken in without an answer of [`Error::Full`].
    pub(super) fn has_room(&self, connected: bool) -> bool {
        let bytes = self.refused_bytes.max(1);
        if self.fits(bytes) {
            return true;
        }
        if connected {
            return self.mode() == Mode::Basic;
        }
        self.policy() != Overflow::Block || self.in_the_way(bytes, |kept| kept.droppable).is_some()
    }

    /// Whether an event of this size can ever be held in acknowledged mode, where all are.
    pub(super) fn can_hold(&self, bytes: u64) -> bool {
        self.mode() == Mode::Basic || bytes <= self.max_bytes
    }

    fn policy(&self) -> Overflow {
        match (self.overflow, self.mode()) {
            (Overflow::Auto, Mode::Basic) => Overflow::DropNewest,
            (Overflow::Auto, Mode::Undecided | Mode::Acknowledged) => Overflow::Block,
            (chosen, _) => chosen,
        }
    }

    fn full(&mut self, entry: &Entry) -> Error {
        self.refused_bytes = entry.bytes();
        Error::Full { events: self.held(), bytes: self.bytes }
    }

    fn fits(&self, bytes: u64) -> bool {
        self.held() < self.max_events && self.bytes + bytes <= self.max_bytes
    }

    /// How many of the oldest buffered events of a kind must go for `bytes` more to fit; `None`
    /// if not even all of them would be enough.
    fn in_the_way(&self, bytes: u64, kind: impl Fn(&Entry) -> bool) -> Option<usize> {
        let (mut held, mut held_bytes) = (self.held(), self.bytes);
        let mut going = self.buffered.iter().filter(|kept| kind(kept));
        let mut count = 0;
        while held >= self.max_events || held_bytes + bytes > self.max_bytes {
            held_bytes -= going.next()?.bytes();
            held -= 1;
            count += 1;
        }
        Some(count)
    }

    /// Drops the oldest buffered events of a kind until `bytes` more fit, and counts them; drops
    /// none if that would not be enough.
    fn displace(&mut self, bytes: u64, kind: impl Fn(&Entry) -> bool) -> bool {
        let Some(mut going) = self.in_the_way(bytes, &kind) else {
            return false;
        };
        let mut freed = 0;
        self.lost += going as u64;
        self.buffered.retain(|kept| {
            if going == 0 || !kind(kept) {
                return true;
            }
            going -= 1;
            freed += kept.bytes();
            false
        });
        self.bytes -= freed;
        true
    }
}
