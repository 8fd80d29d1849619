//! Who is here: sockets are counted from the moment they are accepted until the last is known of
//! them, those that have proved nothing yet apart from the others.
//!
//! A stranger may open sockets and say nothing. So there is room for few that were let in to
//! nothing yet, and when one more comes, the one that has been silent longest makes room, as soon
//! as it has had [`HEADSTART`]. Whoever is quick, as a thousand wrappers after a restart are, is
//! never in the way of anybody; whoever is silent costs others that time at most.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::budget::Held;
use super::limits::ServerLimits;
use crate::lock::Mutex;
use crate::net::alarm::Alarm;
use crate::wake::Wake;

/// So long nobody has to leave for somebody else.
const HEADSTART: Duration = Duration::from_secs(1);

/// The sockets of one server.
pub(super) struct Door {
    max_sockets: usize,
    max_waiting: usize,
    state: Mutex<State>,
    /// Somebody has stopped waiting.
    moved: Notify,
}

#[derive(Default)]
struct State {
    sockets: usize,
    next: u64,
    /// Those that were let in to nothing and ask for nothing now; the one that has waited longest
    /// is first.
    waiting: BTreeMap<u64, (Instant, Arc<Alarm>)>,
}

impl Door {
    pub(super) fn new(limits: &ServerLimits) -> Arc<Door> {
        Arc::new(Door {
            max_sockets: limits.max_sockets,
            max_waiting: limits.max_unauthenticated_sockets,
            state: Mutex::default(),
            moved: Notify::new(),
        })
    }

    /// A place for one more socket; `None`: there are too many.
    pub(super) fn enter(self: &Arc<Door>) -> Option<Arc<Peer>> {
        let mut state = self.state.lock();
        if state.sockets >= self.max_sockets {
            return None;
        }
        state.sockets += 1;
        let alarm = Alarm::new();
        let number = state.wait(&alarm);
        Some(Arc::new(Peer {
            door: Arc::clone(self),
            alarm,
            number: AtomicU64::new(number),
            is_let_in: AtomicBool::new(false),
            is_sent_away: AtomicBool::new(false),
            is_patient: AtomicBool::new(false),
            lingers: AtomicBool::new(false),
            written: AtomicU64::new(0),
            holds: AtomicBool::new(false),
            held: Mutex::default(),
        }))
    }

    /// Waits until there is room for one more that waits: somebody was let in, has gone, or has
    /// been silent for so long that it is sent away.
    pub(super) async fn make_room(&self) {
        loop {
            let moved = self.moved.notified();
            let until = {
                let mut state = self.state.lock();
                if state.waiting.len() < self.max_waiting {
                    return;
                }
                let Some(first) = state.waiting.first_entry() else { return };
                let until = first.get().0 + HEADSTART;
                if until <= Instant::now() {
                    // It sees that it does not wait any more, and why.
                    first.remove().1.wake();
                    continue;
                }
                until
            };
            tokio::select! {
                () = moved => {}
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
    }
}

impl State {
    fn wait(&mut self, alarm: &Arc<Alarm>) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, (Instant::now(), Arc::clone(alarm)));
        self.next
    }
}

/// What is known of one connection, beside its bytes. It has its place until it is dropped.
pub(super) struct Peer {
    door: Arc<Door>,
    /// Rings when it is sent away.
    alarm: Arc<Alarm>,
    /// Its place among those that wait.
    number: AtomicU64,
    is_let_in: AtomicBool,
    is_sent_away: AtomicBool,
    /// It may be slow with this answer: what limits that is elsewhere.
    is_patient: AtomicBool,
    /// What it still sends is read for a moment before the socket is closed.
    lingers: AtomicBool,
    /// Bytes that the socket has taken.
    written: AtomicU64,
    holds: AtomicBool,
    /// What is given back when the answer has been taken.
    held: Mutex<Option<Held>>,
}

impl Peer {
    /// It asks for something: it is not sent away meanwhile. `false`: it was already.
    pub(super) fn begins(&self) -> bool {
        // That was for the answer before.
        self.is_patient.store(false, Ordering::Release);
        if self.is_let_in.load(Ordering::Acquire) {
            return true;
        }
        let number = self.number.load(Ordering::Acquire);
        let was_waiting = self.door.state.lock().waiting.remove(&number).is_some();
        self.door.moved.notify_one();
        was_waiting
    }

    /// It got its answer. `let_in`: it has shown that it may ask.
    pub(super) fn ends(&self, let_in: bool) {
        if self.is_let_in.load(Ordering::Acquire) {
            return;
        }
        if let_in {
            self.is_let_in.store(true, Ordering::Release);
        } else {
            let number = self.door.state.lock().wait(&self.alarm);
            self.number.store(number, Ordering::Release);
        }
    }

    /// Ready when it has to go, from then on.
    pub(super) fn poll_sent_away(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_sent_away.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let sent = self.alarm.poll(context);
        if sent.is_ready() {
            self.is_sent_away.store(true, Ordering::Release);
        }
        sent
    }

    /// It may take this answer as slowly as it likes.
    pub(super) fn set_patient(&self) {
        self.is_patient.store(true, Ordering::Release);
    }

    pub(super) fn is_patient(&self) -> bool {
        self.is_patient.load(Ordering::Acquire)
    }

    /// A socket that is closed with something unread takes back what was written last, so that
    /// the peer would not learn why.
    pub(super) fn set_lingering(&self) {
        self.lingers.store(true, Ordering::Release);
    }

    pub(super) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Acquire)
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Release);
    }

    /// How many bytes its socket has taken since it was accepted.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Keeps something until the answer has been taken.
    pub(super) fn hold(&self, held: Held) {
        *self.held.lock() = Some(held);
        self.holds.store(true, Ordering::Release);
    }

    /// The answer has been taken.
    pub(super) fn release(&self) {
        if self.holds.swap(false, Ordering::AcqRel) {
            *self.held.lock() = None;
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let mut state = self.door.state.lock();
        state.sockets -= 1;
        state.waiting.remove(&self.number.load(Ordering::Acquire));
        drop(state);
        self.door.moved.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::runtime;

    fn door(max_sockets: usize, max_waiting: usize) -> Arc<Door> {
        let max_unauthenticated_sockets = max_waiting;
        Door::new(&ServerLimits {
            max_sockets,
            max_unauthenticated_sockets,
            ..ServerLimits::default()
        })
    }

    fn is_sent_away(peer: &Peer) -> bool {
        peer.poll_sent_away(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    fn make_room(door: &Arc<Door>) {
        let (door, (done, waiting)) = (Arc::clone(door), std::sync::mpsc::channel());
        runtime::handle().unwrap().spawn(async move {
            door.make_room().await;
            done.send(())
        });
        waiting.recv_timeout(Duration::from_secs(30)).unwrap();
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let door = door(2, 2);
        let first = door.enter().unwrap();
        let _second = door.enter().unwrap();
        assert!(door.enter().is_none());
        drop(first);
        assert!(door.enter().is_some());
    }

    #[test]
    fn the_one_that_was_silent_longest_leaves_and_nobody_who_asks_or_was_let_in() {
        let door = door(10, 3);
        let [asking, let_in, silent, quiet, new] = std::array::from_fn(|_| door.enter().unwrap());
        assert!(asking.begins());
        assert!(let_in.begins());
        let_in.ends(true);
        make_room(&door);
        assert!(is_sent_away(&silent) && !silent.begins());
        for one in [&asking, &let_in, &quiet, &new] {
            assert!(!is_sent_away(one));
        }
        // Refused, it waits again, behind the others.
        asking.ends(false);
        make_room(&door);
        assert!(is_sent_away(&quiet) && !is_sent_away(&asking) && !is_sent_away(&new));
    }

    #[test]
    fn what_is_held_is_given_back_with_the_answer() {
        let semaphore = Arc::new(tokio::sync::Semaphore::new(1));
        let peer = door(1, 1).enter().unwrap();
        let permit = Arc::clone(&semaphore).try_acquire_owned().unwrap();
        peer.hold(Held::new([Some(permit), None]));
        assert_eq!(semaphore.available_permits(), 0);
        peer.release();
        assert_eq!(semaphore.available_permits(), 1);
    }
}
