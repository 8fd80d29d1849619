//! Of two upgrades for one execution the one that came later wins (R25).
//!
//! A wrapper that gave an attempt up and made another must not lose the new link to the old one,
//! whose answer was still being looked for: the earlier one would attach last, and replace it. So
//! each upgrade draws a number when it comes, and those of one execution attach one after the
//! other; one that finds a later one attached is told to try again.
//!
//! An attach that has begun goes on when its peer has gone. So whoever carries it out has the turn
//! with it, and the next one waits for the attach and not for the peer.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::lock::Mutex;

type Name = (Arc<str>, Arc<str>);

/// The upgrades that are under way.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lanes: Mutex<HashMap<Name, Lane>>,
}

#[derive(Debug, Default)]
struct Lane {
    /// How many have come.
    drawn: u64,
    /// How many of them are under way; the lane goes with the last.
    under_way: usize,
    /// The number of the latest one that has attached.
    attached: Arc<AsyncMutex<u64>>,
}

/// One upgrade's place, from its coming to its end.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Weak<Turns>,
    name: Name,
    number: u64,
    attached: Arc<AsyncMutex<u64>>,
}

/// The right to attach: nobody else of this execution does meanwhile.
pub(super) struct Attaching {
    // First: the next one goes on before the lane does.
    attached: OwnedMutexGuard<u64>,
    turn: Turn,
}

impl Turns {
    /// An upgrade has come.
    pub(super) fn draw(self: &Arc<Turns>, session_id: &Arc<str>, execution_id: &Arc<str>) -> Turn {
        let name = (Arc::clone(session_id), Arc::clone(execution_id));
        let mut lanes = self.lanes.lock();
        let lane = lanes.entry(name.clone()).or_default();
        lane.drawn += 1;
        lane.under_way += 1;
        let (number, attached) = (lane.drawn, Arc::clone(&lane.attached));
        Turn { turns: Arc::downgrade(self), name, number, attached }
    }
}

impl Turn {
    /// Waits for those of the same execution that attach now. `None`: a later one has attached.
    pub(super) async fn take(self) -> Option<Attaching> {
        let attached = Arc::clone(&self.attached).lock_owned().await;
        (*attached < self.number).then(|| Attaching { attached, turn: self })
    }
}

impl Attaching {
    /// It has attached.
    pub(super) fn done(mut self) {
        *self.attached = self.turn.number;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.turns.upgrade() else { return };
        let mut lanes = turns.lanes.lock();
        if let Some(lane) = lanes.get_mut(&self.name) {
            lane.under_way -= 1;
            if lane.under_way == 0 {
                lanes.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn attach(turn: Turn) -> bool {
        let taken = turn.take().now_or_never().expect("nobody attaches now");
        taken.map(Attaching::done).is_some()
    }

    #[test]
    fn an_earlier_one_does_not_attach_after_a_later_one() {
        let turns = Arc::new(Turns::default());
        let draw = |execution: &str| turns.draw(&"s".into(), &execution.into());
        let (first, refused, second, other) = (draw("e"), draw("e"), draw("e"), draw("f"));
        // One that is refused changes nothing for the others.
        drop(refused.take().now_or_never());
        let third = draw("e");
        assert!(attach(third));
        assert!(!attach(first) && !attach(second) && attach(other));
        assert!(attach(draw("e")));
    }

    #[test]
    fn in_their_order_all_attach_and_one_after_the_other() {
        let turns = Arc::new(Turns::default());
        let draw = || turns.draw(&"s".into(), &"e".into());
        let (first, second) = (draw(), draw());
        let attaching = first.take().now_or_never().flatten().unwrap();
        let mut waiting = Box::pin(second.take());
        assert!((&mut waiting).now_or_never().is_none(), "it has to wait");
        attaching.done();
        waiting.now_or_never().flatten().unwrap().done();
    }

    #[test]
    fn a_later_one_waits_for_an_attach_whose_peer_has_gone() {
        let turns = Arc::new(Turns::default());
        let draw = || turns.draw(&"s".into(), &"e".into());
        let attaching = draw().take().now_or_never().flatten().unwrap();
        // Nothing is left of the first but its attach.
        let mut waiting = Box::pin(draw().take());
        assert!((&mut waiting).now_or_never().is_none(), "it would be replaced by the first");
        attaching.done();
        assert!(waiting.now_or_never().flatten().is_some());
    }

    #[test]
    fn nothing_is_kept_of_those_that_are_over() {
        let turns = Arc::new(Turns::default());
        let first = turns.draw(&"s".into(), &"e".into());
        assert!(attach(turns.draw(&"s".into(), &"e".into())));
        assert_eq!(turns.lanes.lock().len(), 1);
        drop(first);
        assert!(turns.lanes.lock().is_empty());
    }
}
