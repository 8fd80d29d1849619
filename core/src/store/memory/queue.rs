//! Notifications in memory: one queue for each session, and the heads of all queues (R39).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::session::records::NotificationRecord;
use crate::settings::Millis;
use crate::store::NotificationChange;

/// All notifications that are not acknowledged.
#[derive(Default)]
pub(super) struct NotificationQueue {
    next_place: u64,
    by_place: BTreeMap<u64, NotificationRecord>,
    places: HashMap<Arc<str>, u64>,
    /// The places of each session's notifications that are not parked.
    waiting: HashMap<Arc<str>, BTreeSet<u64>>,
    /// The first place of each session in `waiting`.
    heads: BTreeSet<u64>,
    /// The same by the moment from which they may be delivered.
    heads_by_time: BTreeSet<(Millis, u64)>,
}

impl NotificationQueue {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    pub(super) fn get(&self, id: &str) -> Option<&NotificationRecord> {
        self.by_place.get(self.places.get(id)?)
    }

    /// In the order in which they were enqueued.
    pub(super) fn iter(&self) -> impl Iterator<Item = &NotificationRecord> {
        self.by_place.values()
    }

    pub(super) fn apply(&mut self, change: &NotificationChange) {
        match change {
            NotificationChange::Enqueue(record) => {
                let place = self.next_place;
                self.next_place += 1;
                self.places.insert(record.id.clone(), place);
                self.put(place, record.clone());
            }
            NotificationChange::Update(record) => {
                // One that was acknowledged meanwhile stays gone.
                if let Some(&place) = self.places.get(&record.id) {
                    self.take(place);
                    self.put(place, record.clone());
                }
            }
            NotificationChange::Remove(id) => {
                if let Some(place) = self.places.remove(id) {
                    self.take(place);
                }
            }
        }
    }

    /// The oldest head that is available at `now`.
    pub(super) fn next(&self, now: Millis) -> Option<&NotificationRecord> {
        self.heads
            .iter()
            .filter_map(|place| self.by_place.get(place))
            .find(|record| record.available_at <= now)
    }

    /// When the next head becomes available, after `now`.
    pub(super) fn next_at(&self, now: Millis) -> Option<Millis> {
        let after_now = (now.checked_add(1)?, 0);
        self.heads_by_time.range(after_now..).next().map(|(at, _)| *at)
    }

    fn put(&mut self, place: u64, record: NotificationRecord) {
        if !record.parked {
            let session_id = record.session_id.clone();
            self.drop_head(&session_id);
            self.waiting.entry(session_id.clone()).or_default().insert(place);
            self.by_place.insert(place, record);
            self.raise_head(&session_id);
        } else {
            self.by_place.insert(place, record);
        }
    }

    fn take(&mut self, place: u64) {
        let Some(session_id) = self.by_place.get(&place).map(|record| record.session_id.clone())
        else {
            return;
        };
        self.drop_head(&session_id);
        if let Some(waiting) = self.waiting.get_mut(&session_id) {
            waiting.remove(&place);
            if waiting.is_empty() {
                self.waiting.remove(&session_id);
            }
        }
        self.by_place.remove(&place);
        self.raise_head(&session_id);
    }

    fn head_of(&self, session_id: &str) -> Option<(Millis, u64)> {
        let place = *self.waiting.get(session_id)?.first()?;
        Some((self.by_place.get(&place)?.available_at, place))
    }

    fn drop_head(&mut self, session_id: &str) {
        if let Some(head) = self.head_of(session_id) {
            self.heads.remove(&head.1);
            self.heads_by_time.remove(&head);
        }
    }

    fn raise_head(&mut self, session_id: &str) {
        if let Some(head) = self.head_of(session_id) {
            self.heads.insert(head.1);
            self.heads_by_time.insert(head);
        }
    }
}
