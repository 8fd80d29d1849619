//! Taking records from a subscription in bounded batches, without holding up the sockets' threads.
//!
//! The past is read from the store, which blocks; the present comes from memory. So batches are
//! taken on a thread of their own until the `connected` record says that the past is over, and
//! again whenever a batch turns out to be slow: then the subscriber has fallen behind and is
//! reading the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Error;
use crate::coordinator::{Next, Record, Subscription};
use crate::net::alarm::Alarm;

/// The largest batch.
const BATCH_RECORDS: usize = 512;
const BATCH_BYTES: usize = 256 * 1024;

/// A batch that takes longer than this has read the store.
const SLOW: Duration = Duration::from_millis(1);

/// What follows a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// There is more.
    More,
    /// Nothing now; the alarm rings.
    CaughtUp,
    /// The stream is over.
    Ended,
}

/// Some records, in order.
pub(super) struct Batch {
    pub(super) records: Vec<Arc<Record>>,
    pub(super) after: After,
}

/// Takes batches from one subscription.
pub(super) struct Puller {
    /// Away while a batch is taken on another thread.
    subscription: Option<Subscription>,
    alarm: Arc<Alarm>,
    aside: bool,
}

impl Puller {
    pub(super) fn new(subscription: Subscription) -> Puller {
        let alarm = Alarm::new();
        subscription.set_waker(Some(alarm.clone()));
        Puller { subscription: Some(subscription), alarm, aside: true }
    }

    /// Rings when there may be more.
    pub(super) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// The next batch; it may be empty.
    pub(super) async fn pull(&mut self) -> Result<Batch, Error> {
        let Some(mut subscription) = self.subscription.take() else {
            return Ok(Batch { records: Vec::new(), after: After::Ended });
        };
        let started = Instant::now();
        let (subscription, batch) = if self.aside {
            let taken = tokio::task::spawn_blocking(move || {
                let batch = take(&mut subscription);
                (subscription, batch)
            });
            taken.await.map_err(|_| Error::Panic { detail: "reading a stream failed".into() })?
        } else {
            let batch = take(&mut subscription);
            (subscription, batch)
        };
        let batch = batch?;
        let live = batch.records.iter().any(|record| is_control(record, "connected"));
        if live || batch.after == After::CaughtUp {
            self.aside = false;
        } else if started.elapsed() > SLOW {
            self.aside = true;
        }
        if batch.after != After::Ended {
            self.subscription = Some(subscription);
        }
        Ok(batch)
    }
}

/// Whether it is that record of ours, not an event of that name.
pub(super) fn is_control(record: &Record, event_type: &str) -> bool {
    record.control && &*record.event_type == event_type
}

fn take(subscription: &mut Subscription) -> Result<Batch, Error> {
    let mut records = Vec::new();
    let mut bytes = 0;
    while records.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
        match subscription.try_next()? {
            Next::Record(record) => {
                // Serialized here, once for everybody, rather than on the socket's thread.
                bytes += record.frame().len();
                records.push(record);
            }
            Next::Empty => return Ok(Batch { records, after: After::CaughtUp }),
            Next::Ended => return Ok(Batch { records, after: After::Ended }),
        }
    }
    Ok(Batch { records, after: After::More })
}
