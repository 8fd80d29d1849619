//! A subscription: a cursor over the log, and a wake-up (R34a, R35, R36).
//!
//! It reads the newest records from the ring that all readers of the session share, and falls
//! back to the store, one bounded round at a time, while it is behind the ring. There is no queue
//! a subscriber, so a slow one costs nobody anything. First comes a gap record where one is due,
//! then the past up to the end as it was when the subscription was made, then `connected`, then
//! what is live.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde_json::json;

use super::entry::Entry;
use super::readers::Purpose;
use super::record::Record;
use super::shared::Shared;
use super::signal::Signal;
use crate::Error;
use crate::protocol::Filter;
use crate::store::LogBounds;
use crate::wake::Wake;

/// One round of replay reads at most this much payload (R36).
pub(super) const ROUND_BYTES: usize = 1024 * 1024;

/// What a record takes beside its payload, about.
const RECORD_BYTES: usize = 256;

/// What to subscribe to.
#[derive(Clone, Debug, Default)]
pub struct SubscribeOptions {
    /// Which records; `after` is where to begin (exclusive), the limit is not used.
    pub filter: Filter,
    /// The epoch the reader knows; another one than the log's is told by a gap record (R34a).
    pub epoch: Option<String>,
    /// Begin at the end of the log instead of replaying the past.
    pub live_only: bool,
    /// End once this execution is terminal and everything stored was given.
    pub until: Option<String>,
}

/// What a subscription has next.
#[derive(Clone, Debug)]
pub enum Next {
    /// A record.
    Record(Arc<Record>),
    /// Nothing now.
    Empty,
    /// The stream is over: deleted, `until` reached, or the coordinator closed.
    Ended,
}

/// One reader of one session.
pub struct Subscription {
    shared: Arc<Shared>,
    session_id: Arc<str>,
    entry: Arc<Entry>,
    filter: Filter,
    until: Option<Arc<str>>,
    /// Everything up to this id was looked at.
    cursor: u64,
    /// The same for whoever measures how far it is behind; `None`: it is not read any more.
    shown_cursor: Option<Arc<AtomicU64>>,
    /// Up to this id it is the past; `connected` follows. `None`: it was given.
    replay_to: Option<u64>,
    /// The next position in the ring.
    position: u64,
    /// Records of the ring from this position on came after the subscription was made.
    live_from: u64,
    pending: VecDeque<Arc<Record>>,
    /// One round takes at most so much payload, or one event.
    round_bytes: usize,
    ended: bool,
    signal: Arc<Signal>,
}

impl Subscription {
    pub(super) fn open(
        shared: Arc<Shared>,
        session_id: Arc<str>,
        options: SubscribeOptions,
    ) -> Result<Subscription, Error> {
        let signal = Arc::new(Signal::default());
        let until: Option<Arc<str>> = options.until.as_deref().map(Arc::from);
        let (entry, session, live_from) = {
            // Under the engine's lock no commit falls between the look at the log and the ring.
            let mut engine = shared.open_engine()?;
            let entry = engine
                .ensure_entry(&shared, &session_id)?
                .ok_or_else(|| super::shared::unknown_session(&session_id))?;
            if let Some(until) = &until
                && let Err(error) = engine.require_execution(&entry, &session_id, until)
            {
                engine.release_entry(&shared, &session_id);
                return Err(error);
            }
            entry.add_reader();
            let weak: Weak<Signal> = Arc::downgrade(&signal);
            entry.add_waker(weak);
            let live_from = entry.with_ring(|ring, _| ring.end_position());
            let session = entry.committed();
            (entry, session, live_from)
        };
        let last = session.record().last_event_id;
        let shown_cursor = Some(entry.add_cursor(options.filter.after));
        let mut subscription = Subscription {
            shared,
            session_id,
            entry,
            cursor: options.filter.after,
            shown_cursor,
            filter: options.filter,
            until,
            replay_to: Some(last),
            position: 0,
            live_from,
            pending: VecDeque::new(),
            round_bytes: ROUND_BYTES,
            ended: false,
            signal,
        };
        if options.live_only {
            subscription.cursor = last;
        } else if subscription.cursor > 0 {
            let read = subscription
                .shared
                .read(Purpose::Read, |reader| reader.log_bounds(&subscription.session_id));
            let bounds = read?.unwrap_or(LogBounds { earliest: last + 1, last });
            subscription.look_for_gap(options.epoch.as_deref(), &session.record().epoch, bounds);
        }
        subscription.show_cursor();
        Ok(subscription)
    }

    /// The next record if there is one. May read one bounded round from the store.
    pub fn try_next(&mut self) -> Result<Next, Error> {
        loop {
            if let Some(next) = self.try_next_in_memory() {
                return Ok(next);
            }
            self.fill_from_store()?;
            self.show_cursor();
        }
    }

    /// [`Subscription::try_next`] for threads that must not wait for a disk: `None` where the next
    /// record would have to be read from the store.
    pub fn try_next_in_memory(&mut self) -> Option<Next> {
        loop {
            if let Some(record) = self.pending.pop_front() {
                return Some(Next::Record(record));
            }
            if self.ended {
                return Some(Next::Ended);
            }
            if let Some(record) = self.entry.deleted() {
                self.ended = true;
                return Some(Next::Record(record));
            }
            if self.entry.is_closed() {
                self.ended = true;
                return Some(Next::Ended);
            }
            let moved = self.fill_in_memory()?;
            self.show_cursor();
            if !moved {
                return Some(if self.ended { Next::Ended } else { Next::Empty });
            }
        }
    }

    /// What one round takes from the log: at most so many bytes of payload, or one event; 1 MiB
    /// unless set (R36). So much stays in memory of a reader that does not go on.
    pub fn set_round_bytes(&mut self, bytes: usize) {
        self.round_bytes = bytes.min(ROUND_BYTES);
    }

    /// Whether the next [`Subscription::try_next`] would read from the store. A host that must not
    /// wait for a disk where it takes records calls [`Subscription::read_ahead`] elsewhere before.
    pub fn is_behind(&self) -> bool {
        let has_replay = self.replay_to.is_none_or(|end| self.cursor < end);
        self.pending.is_empty()
            && !self.ended
            && self.entry.deleted().is_none()
            && !self.entry.is_closed()
            && has_replay
            && self.entry.with_ring(|ring, _| !ring.covers(self.cursor))
    }

    /// Reads one bounded round from the store where one is needed, and gives nothing out: what
    /// was read is there for [`Subscription::try_next`].
    pub fn read_ahead(&mut self) -> Result<(), Error> {
        if self.is_behind() {
            self.fill_from_store()?;
            self.show_cursor();
        }
        Ok(())
    }

    /// The next record; waits for it. [`Next::Empty`]: the time is over (`None`: wait for ever).
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Next, Error> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            self.signal.clear();
            match self.try_next()? {
                Next::Empty => {}
                next => return Ok(next),
            }
            if !self.signal.wait(until) {
                return Ok(Next::Empty);
            }
        }
    }

    /// Called whenever there may be something new. It is not cleared by taking: look until
    /// [`Next::Empty`].
    pub fn set_waker(&self, waker: Option<Arc<dyn Wake>>) {
        self.signal.set_waker(waker);
    }

    /// Nobody will read on, although it is not dropped yet: it does not count as a subscriber
    /// any more, nor as one that is behind.
    pub fn retire(&mut self) {
        self.shown_cursor = None;
    }

    /// The log's epoch (R34a).
    pub fn epoch(&self) -> Arc<str> {
        self.entry.committed().record().epoch.clone()
    }

    /// How many stored events it has not looked at yet.
    pub fn lag(&self) -> u64 {
        self.entry.committed().record().last_event_id.saturating_sub(self.cursor)
    }

    fn show_cursor(&self) {
        if let Some(shown) = &self.shown_cursor {
            shown.store(self.cursor, Ordering::Relaxed);
        }
    }

    /// Takes one round without the store; whether anything has moved. `None`: the ring does not
    /// reach back far enough.
    fn fill_in_memory(&mut self) -> Option<bool> {
        if let Some(end) = self.replay_to
            && self.cursor >= end
        {
            self.replay_to = None;
            self.connected();
            return Some(true);
        }
        self.fill_from_ring()
    }

    /// `None`: the ring does not reach back far enough.
    fn fill_from_ring(&mut self) -> Option<bool> {
        let entry = self.entry.clone();
        entry.with_ring(|ring, session| {
            if !ring.covers(self.cursor) {
                return None;
            }
            let (mut bytes, mut moved) = (0, false);
            for (position, record) in ring.starting_at(self.position) {
                let is_live = position >= self.live_from;
                if bytes > self.round_bytes || (is_live && self.replay_to.is_some()) {
                    break;
                }
                self.position = position + 1;
                moved = true;
                match record.id {
                    // A volatile one, gone before this subscription was made.
                    0 if !is_live => continue,
                    0 => {}
                    id if id <= self.cursor => continue,
                    id => self.cursor = id,
                }
                if self.admits(record) {
                    bytes += record.data.len();
                    self.pending.push_back(record.clone());
                }
            }
            if moved {
                return Some(true);
            }
            let last = session.record().last_event_id;
            match self.replay_to {
                // Everything up to there is behind the ring's beginning, and was looked at.
                Some(end) if self.cursor < end => {
                    self.cursor = end;
                    Some(true)
                }
                _ => {
                    self.ended = self.cursor >= last
                        && self.until.as_deref().is_some_and(|until| {
                            session.active().is_none_or(|active| *active.id != *until)
                        });
                    Some(false)
                }
            }
        })
    }

    fn fill_from_store(&mut self) -> Result<(), Error> {
        let mut filter = self.filter.clone();
        filter.after = self.cursor;
        // Small events are kept with more than their payload, too.
        filter.limit = Some((self.round_bytes / RECORD_BYTES).max(1) as u64);
        let page = self.shared.read(Purpose::Read, |reader| {
            reader.events(&self.session_id, &filter, self.round_bytes)
        })?;
        let end = self.replay_to.unwrap_or(u64::MAX);
        for event in page.events {
            if event.id > end {
                // What came after the subscription was made follows `connected`.
                self.cursor = end;
                return Ok(());
            }
            let event = Arc::unwrap_or_clone(event);
            self.pending.push_back(Record::event(&self.session_id, event));
        }
        let moved = page.next_after > self.cursor;
        self.cursor = page.next_after.clamp(self.cursor, end.max(self.cursor));
        if !moved && page.end {
            // Nothing is left to read up to here: what the ring does not hold is gone (deleted
            // by retention), and reading goes on at its beginning.
            let last = self.entry.committed().record().last_event_id;
            self.cursor = self.cursor.max(last.min(end));
        }
        Ok(())
    }

    fn admits(&self, record: &Record) -> bool {
        self.filter.admits(record.execution_id.as_deref(), &record.event_type, record.timestamp)
    }

    fn connected(&mut self) {
        let session = self.entry.committed();
        let data = json!({
            "lastEventId": self.cursor,
            "epoch": *session.record().epoch,
            "activeExecutionId": session.active().map(|active| &*active.id),
        });
        self.control("connected", &data);
    }

    /// R34a: a reader whose place in the log is not there any more is told, and begins at the
    /// earliest.
    fn look_for_gap(&mut self, known: Option<&str>, epoch: &str, bounds: LogBounds) {
        let requested = self.cursor;
        let is_foreign = known.is_some_and(|known| known != epoch);
        let is_lost = requested.saturating_add(1) < bounds.earliest;
        let is_ahead = requested > bounds.last;
        if !(is_foreign || is_lost || is_ahead) {
            return;
        }
        self.cursor = bounds.earliest - 1;
        let data = json!({"requested": requested, "earliest": bounds.earliest, "epoch": epoch});
        self.control("gap", &data);
    }

    fn control(&mut self, name: &str, data: &serde_json::Value) {
        let now = self.shared.time.now();
        self.pending.push_back(Record::control(&self.session_id, name, data.to_string(), now));
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.entry.remove_reader() {
            self.shared.release_entry(&self.session_id);
        }
    }
}
