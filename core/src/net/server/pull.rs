//! Taking records from a subscription in bounded batches, without holding up the sockets' threads.
//!
//! The present comes from memory, and the socket's own thread takes it. What has to be read from
//! the store, the past above all, is read on a thread for that.

use std::sync::Arc;

use super::Shared;
use crate::Error;
use crate::coordinator::{Next, Record, Subscription};
use crate::net::alarm::Alarm;

/// The most records of a batch.
const BATCH_RECORDS: usize = 512;

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
    shared: Arc<Shared>,
    /// Away while a batch is read on another thread.
    subscription: Option<Subscription>,
    alarm: Arc<Alarm>,
    /// The largest batch, in bytes, or one record.
    batch_bytes: usize,
}

impl Puller {
    pub(super) fn new(shared: &Arc<Shared>, mut subscription: Subscription) -> Puller {
        let alarm = Alarm::new();
        subscription.set_waker(Some(alarm.clone()));
        // Half of the bound is on its way to the socket, half was read ahead.
        subscription.set_round_bytes(shared.limits.max_stream_bytes / 2);
        let batch_bytes = shared.limits.max_stream_bytes / 2;
        let shared = Arc::clone(shared);
        Puller { shared, subscription: Some(subscription), alarm, batch_bytes }
    }

    /// Rings when there may be more.
    pub(super) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// The next batch; it may be empty.
    pub(super) async fn pull(&mut self) -> Result<Batch, Error> {
        let most = self.batch_bytes;
        let Some(subscription) = &mut self.subscription else {
            return Ok(Batch { records: Vec::new(), after: After::Ended });
        };
        let batch = match take_in_memory(subscription, most) {
            Some(batch) => batch,
            None => self.read(most).await.inspect_err(|error| self.tell(error))?,
        };
        if batch.after == After::Ended {
            self.subscription = None;
        }
        Ok(batch)
    }

    fn tell(&self, error: &Error) {
        if let Some(more) = self.shared.admits("stream") {
            tracing::warn!("a stream could not be read on: {error}{more}");
        }
    }

    async fn read(&mut self, most: usize) -> Result<Batch, Error> {
        let Some(mut subscription) = self.subscription.take() else {
            return Err(Error::closed("the stream is over"));
        };
        let read = move || {
            let batch = take(&mut subscription, most);
            (subscription, batch)
        };
        let (subscription, batch) = self.shared.pools.streams.run(read).await?;
        self.subscription = Some(subscription);
        batch
    }
}

/// Whether it is that record of ours, not an event of that name.
pub(super) fn is_control(record: &Record, event_type: &str) -> bool {
    record.control && &*record.event_type == event_type
}

/// What is in memory; `None` when that is nothing, and the store has to be read.
fn take_in_memory(subscription: &mut Subscription, most: usize) -> Option<Batch> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    while records.len() < BATCH_RECORDS && bytes < most {
        match subscription.try_next_in_memory() {
            Some(Next::Record(record)) => {
                bytes += record.frame().len();
                records.push(record);
            }
            Some(Next::Empty) => return Some(Batch { records, after: After::CaughtUp }),
            Some(Next::Ended) => return Some(Batch { records, after: After::Ended }),
            None if records.is_empty() => return None,
            None => break,
        }
    }
    Some(Batch { records, after: After::More })
}

/// The next records, from the store where they have to be.
fn take(subscription: &mut Subscription, most: usize) -> Result<Batch, Error> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    while records.len() < BATCH_RECORDS && bytes < most {
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
