//! One session in memory: its committed snapshot, and those who read it live.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crate::lock::{Mutex, RwLock};

use super::follow::Ending;
use super::notified::{add_waker, wake_all};
use super::record::{Record, Ring};
use crate::session::Session;
use crate::session::records::ExecutionRecord;
use crate::wake::Wake;

/// A session in memory. The snapshot is swapped only after the commit that it shows (R27).
pub(super) struct Entry {
    committed: RwLock<Arc<Session>>,
    readers: AtomicUsize,
    /// Where its subscribers are.
    cursors: Mutex<Vec<Weak<AtomicU64>>>,
    ring: Mutex<Ring>,
    /// Who follows an execution of it to its end.
    followers: Mutex<Vec<Weak<Ending>>>,
    wakers: Mutex<Vec<Weak<dyn Wake>>>,
    deleted: Mutex<Option<Arc<Record>>>,
    closed: AtomicBool,
}

impl Entry {
    pub(super) fn new(session: Arc<Session>) -> Arc<Entry> {
        let last_id = session.record().last_event_id;
        Arc::new(Entry {
            committed: RwLock::new(session),
            readers: AtomicUsize::new(0),
            cursors: Mutex::default(),
            ring: Mutex::new(Ring::new(last_id)),
            followers: Mutex::default(),
            wakers: Mutex::default(),
            deleted: Mutex::new(None),
            closed: AtomicBool::new(false),
        })
    }

    pub(super) fn committed(&self) -> Arc<Session> {
        self.committed.read().clone()
    }

    /// A look at the snapshot without holding on to it. `look` must not call into the coordinator.
    pub(super) fn with_committed<T>(&self, look: impl FnOnce(&Session) -> T) -> T {
        look(&self.committed.read())
    }

    /// Shows a commit: first the records, then the snapshot, then the wake-ups. `executions`: rows
    /// that it wrote. `records` is called only if somebody reads.
    pub(super) fn show(
        &self,
        session: Arc<Session>,
        executions: &[ExecutionRecord],
        records: impl FnOnce(&mut Ring),
    ) {
        {
            let mut ring = self.ring.lock();
            self.tell_followers(executions);
            if self.has_readers() {
                records(&mut ring);
            } else {
                ring.clear(session.record().last_event_id);
            }
            // Under the ring's lock, so that a reader never sees the one without the other.
            *self.committed.write() = session;
        }
        self.wake();
    }

    /// Tells how the execution ends that is active now, once it has; `None` when it is not active.
    pub(super) fn follow(&self, execution_id: &str) -> Option<Arc<Ending>> {
        // No commit is shown meanwhile.
        let _ring = self.ring.lock();
        let active = self.with_committed(|session| session.active().map(|a| a.id.clone()));
        let ending = Arc::new(Ending::new(active.filter(|active| **active == *execution_id)?));
        let mut followers = self.followers.lock();
        if followers.len() == followers.capacity() {
            followers.retain(|follower| follower.strong_count() > 0);
        }
        followers.push(Arc::downgrade(&ending));
        Some(ending)
    }

    fn tell_followers(&self, executions: &[ExecutionRecord]) {
        let mut ended = executions.iter().filter(|record| record.status.is_terminal()).peekable();
        if ended.peek().is_none() {
            return;
        }
        let mut followers = self.followers.lock();
        for record in ended {
            followers.retain(|follower| {
                follower.upgrade().is_some_and(|ending| !ending.is_told_by(record))
            });
        }
    }

    /// Readers end with this record.
    pub(super) fn delete(&self, record: Arc<Record>) {
        *self.deleted.lock() = Some(record);
        self.wake();
    }

    pub(super) fn deleted(&self) -> Option<Arc<Record>> {
        self.deleted.lock().clone()
    }

    /// The coordinator is closed.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Counts a reader in. Under the engine's lock, so that no commit falls between.
    pub(super) fn add_reader(&self) {
        let ring = self.ring.lock();
        self.readers.fetch_add(1, Ordering::AcqRel);
        drop(ring);
    }

    /// Where a subscriber tells how far it has looked. Forgotten when it drops it.
    pub(super) fn add_cursor(&self, at: u64) -> Arc<AtomicU64> {
        let cursor = Arc::new(AtomicU64::new(at));
        let mut cursors = self.cursors.lock();
        if cursors.len() == cursors.capacity() {
            cursors.retain(|cursor| cursor.strong_count() > 0);
        }
        cursors.push(Arc::downgrade(&cursor));
        cursor
    }

    /// How far each subscriber has looked.
    pub(super) fn for_each_cursor(&self, mut look: impl FnMut(u64)) {
        for cursor in self.cursors.lock().iter().filter_map(Weak::upgrade) {
            look(cursor.load(Ordering::Relaxed));
        }
    }

    /// Whether nobody reads any more.
    pub(super) fn remove_reader(&self) -> bool {
        self.readers.fetch_sub(1, Ordering::AcqRel) == 1
    }

    pub(super) fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Acquire) > 0
    }

    pub(super) fn with_ring<T>(&self, read: impl FnOnce(&Ring, &Session) -> T) -> T {
        let ring = self.ring.lock();
        let session = self.committed();
        read(&ring, &session)
    }

    pub(super) fn add_waker(&self, waker: Weak<dyn Wake>) {
        add_waker(&self.wakers, waker);
    }

    fn wake(&self) {
        wake_all(&self.wakers);
    }
}
