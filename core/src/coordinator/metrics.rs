//! What a coordinator has done since it was opened, and what it holds now: for dashboards and
//! alarms.
//!
//! Counting must cost next to nothing where hundreds of thousands of events a second go through.
//! Everything that grows is counted by whoever has the engine, one thread at a time, so a count is
//! a plain load and store of an atomic and never contended; what was not kept is not counted (R27).
//! What rises and falls (links, subscribers, their lag) is not counted at all: it is looked up
//! when somebody asks.
//!
//! The counts begin at zero with each coordinator; [`Metrics::exposition`] is the text that
//! Prometheus reads, and its names are listed in `docs/rest.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::entry::Entry;
use super::shared::Shared;
use crate::session::records::Status;
use crate::session::{Count, Effect, FailureCause};

/// Upper bounds of the batch sizes that are told apart, in events a commit.
pub const BATCH_BOUNDS: [u64; 9] = [0, 1, 4, 16, 64, 256, 1_024, 4_096, 16_384];

/// Upper bounds of the commit times that are told apart, in µs.
pub const LATENCY_BOUNDS_US: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 5_000_000,
];

/// A snapshot of everything that is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Events stored.
    pub events_stored: u64,
    /// Volatile events passed on, which are not stored (R32).
    pub events_volatile: u64,
    /// Commits that were kept.
    pub commits: u64,
    /// Commits that failed, or were not known to be kept.
    pub commits_failed: u64,
    /// Events a kept commit.
    pub batch_events: HistogramView<{ BATCH_BOUNDS.len() }>,
    /// How long commits took, kept or not, µs. Empty where a commit costs no I/O.
    pub commit_us: HistogramView<{ LATENCY_BOUNDS_US.len() }>,
    /// Wrappers that came back after a disconnect (R21).
    pub reconnects: u64,
    /// Executions that ended as completed.
    pub completed: u64,
    /// Executions that ended as interrupted.
    pub interrupted: u64,
    /// Executions that failed, by cause, in the order of [`FailureCause::ALL`].
    pub failed: [u64; FailureCause::ALL.len()],
    /// Executions that wait for their wrapper, now.
    pub pending: u64,
    /// Executions that run, now.
    pub running: u64,
    /// Links that are open, now: in basic mode.
    pub basic_links: u64,
    /// The same in acknowledged mode.
    pub acknowledged_links: u64,
    /// Bytes handed over on links and not committed yet.
    pub bytes_under_way: u64,
    /// Readers of sessions, now.
    pub subscribers: u64,
    /// Stored events that subscribers have not looked at yet, all of them together.
    pub lag_sum: u64,
    /// The same of the one that is furthest behind.
    pub lag_max: u64,
}

/// A histogram as it was at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistogramView<const BOUNDS: usize> {
    /// How many values were at most the bound, and above the one before.
    pub buckets: [u64; BOUNDS],
    /// How many there were in all, those above the last bound too.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
}

impl<const BOUNDS: usize> Default for HistogramView<BOUNDS> {
    fn default() -> Self {
        HistogramView { buckets: [0; BOUNDS], count: 0, sum: 0 }
    }
}

/// The counters of one coordinator. Only who has the engine's lock adds to them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    events_stored: Counter,
    events_volatile: Counter,
    commits: Counter,
    commits_failed: Counter,
    batch_events: Histogram<{ BATCH_BOUNDS.len() }>,
    commit_us: Histogram<{ LATENCY_BOUNDS_US.len() }>,
    reconnects: Counter,
    completed: Counter,
    interrupted: Counter,
    failed: [Counter; FailureCause::ALL.len()],
}

impl Counters {
    /// A commit was tried. `took`: how long, where that means anything.
    pub(super) fn commit(&self, kept: bool, events: usize, took: Option<Duration>) {
        if kept {
            self.commits.add(1);
            self.batch_events.add(&BATCH_BOUNDS, events as u64);
        } else {
            self.commits_failed.add(1);
        }
        if let Some(took) = took {
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.commit_us.add(&LATENCY_BOUNDS_US, us);
        }
    }

    /// A step is durable: what it stored and what it lets out.
    pub(super) fn step(&self, events: usize, effects: &[Effect]) {
        self.events_stored.add(events as u64);
        for effect in effects {
            match effect {
                Effect::Broadcast(_) => self.events_volatile.add(1),
                Effect::Count(Count::Reconnected) => self.reconnects.add(1),
                Effect::Count(Count::Ended(status, cause)) => self.ended(*status, *cause),
                _ => {}
            }
        }
    }

    fn ended(&self, status: Status, cause: Option<FailureCause>) {
        match status {
            Status::Completed => self.completed.add(1),
            Status::Interrupted => self.interrupted.add(1),
            Status::Failed => {
                let cause = cause.unwrap_or_default();
                let at = FailureCause::ALL.iter().position(|one| *one == cause);
                self.failed[at.unwrap_or(0)].add(1);
            }
            // Not endings.
            Status::Pending | Status::Running => {}
        }
    }
}

/// Counts and looks up everything. Holds no lock for longer than a look.
pub(super) fn snapshot(shared: &Shared) -> Metrics {
    let counters = &shared.counters;
    let mut metrics = Metrics {
        events_stored: counters.events_stored.get(),
        events_volatile: counters.events_volatile.get(),
        commits: counters.commits.get(),
        commits_failed: counters.commits_failed.get(),
        batch_events: counters.batch_events.view(),
        commit_us: counters.commit_us.view(),
        reconnects: counters.reconnects.get(),
        completed: counters.completed.get(),
        interrupted: counters.interrupted.get(),
        failed: std::array::from_fn(|at| counters.failed[at].get()),
        bytes_under_way: shared.bytes_under_way() as u64,
        ..Metrics::default()
    };
    (metrics.basic_links, metrics.acknowledged_links) = shared.count_links();
    let entries: Vec<Arc<Entry>> = shared.entries.read().values().cloned().collect();
    for entry in entries {
        let session = entry.committed();
        match session.active().map(|active| active.status) {
            Some(Status::Pending) => metrics.pending += 1,
            Some(Status::Running) => metrics.running += 1,
            _ => {}
        }
        let last = session.record().last_event_id;
        entry.for_each_cursor(|cursor| {
            let lag = last.saturating_sub(cursor);
            metrics.subscribers += 1;
            metrics.lag_sum += lag;
            metrics.lag_max = metrics.lag_max.max(lag);
        });
    }
    metrics
}

/// A count with one writer at a time and any number of readers.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn add(&self, more: u64) {
        // The engine's lock orders the writers, so this needs no locked instruction.
        self.0.store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Histogram<const BOUNDS: usize> {
    buckets: [Counter; BOUNDS],
    above: Counter,
    sum: Counter,
}

impl<const BOUNDS: usize> Default for Histogram<BOUNDS> {
    fn default() -> Self {
        Histogram {
            buckets: std::array::from_fn(|_| Counter::default()),
            above: Counter::default(),
            sum: Counter::default(),
        }
    }
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    fn add(&self, bounds: &[u64; BOUNDS], value: u64) {
        let at = bounds.partition_point(|bound| *bound < value);
        self.buckets.get(at).unwrap_or(&self.above).add(1);
        self.sum.add(value);
    }

    /// The count is that of the buckets, so that the two always fit each other.
    fn view(&self) -> HistogramView<BOUNDS> {
        let buckets: [u64; BOUNDS] = std::array::from_fn(|at| self.buckets[at].get());
        let count = buckets.iter().sum::<u64>() + self.above.get();
        HistogramView { buckets, count, sum: self.sum.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_the_bucket_whose_bound_they_do_not_exceed() {
        let counters = Counters::default();
        for events in [0, 1, 2, 4, 5, 20_000] {
            counters.commit(true, events, None);
        }
        counters.commit(false, 3, Some(Duration::from_micros(100)));
        counters.commit(true, 0, Some(Duration::from_secs(60)));
        let batch = counters.batch_events.view();
        assert_eq!(batch.buckets, [2, 1, 2, 1, 0, 0, 0, 0, 0]);
        assert_eq!((batch.count, batch.sum), (7, 20_012));
        let latency = counters.commit_us.view();
        assert_eq!((latency.buckets[0], latency.count, latency.sum), (1, 2, 60_000_100));
        assert_eq!((counters.commits.get(), counters.commits_failed.get()), (7, 1));
    }

    #[test]
    fn every_cause_has_its_own_count() {
        let counters = Counters::default();
        for cause in FailureCause::ALL {
            counters.step(1, &[Effect::Count(Count::Ended(Status::Failed, Some(cause)))]);
        }
        counters.step(0, &[Effect::Count(Count::Ended(Status::Completed, None))]);
        counters.step(0, &[Effect::Count(Count::Reconnected)]);
        assert!(counters.failed.iter().all(|count| count.get() == 1));
        assert_eq!(counters.events_stored.get(), FailureCause::ALL.len() as u64);
        assert_eq!((counters.completed.get(), counters.reconnects.get()), (1, 1));
    }
}
