//! A subscription: the past, then what is live.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use stayline::Error;
use stayline::coordinator::{Next, Record, Subscription};
use stayline::lock::Mutex;
use stayline::wake::Wake;

use crate::bell::Bell;
use crate::boundary::{self, Guard, Object, object, required};
use crate::error::{Failure, OutError, stayline_status};
use crate::event::{stayline_event, stayline_event_filter};
use crate::home::Home;
use crate::session::Held;
use crate::structs::{self, versioned};
use crate::text::{stayline_buffer, stayline_view};

/// What to subscribe to. Begin with `stayline_subscribe_options_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_subscribe_options {
    /// `sizeof(stayline_subscribe_options)`.
    pub struct_size: usize,
    /// Which events; its `after` is where to begin, its limit is not used. NULL: all.
    pub filter: *const stayline_event_filter,
    /// The log's epoch as the reader knows it, when it resumes: another one is told by a `gap`
    /// record (R34a); none: not known.
    pub epoch: stayline_view,
    /// Begin at the end of the log instead of replaying the past.
    pub live_only: bool,
    /// End once this execution is terminal and everything stored was given; none: never.
    pub until: stayline_view,
}
versioned!(stayline_subscribe_options {
    filter: std::ptr::null(),
    epoch: stayline_view::NONE,
    live_only: false,
    until: stayline_view::NONE,
});

/// Writes the defaults of `stayline_session_subscribe`: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_subscribe_options_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_subscribe_options_init(
    options: *mut stayline_subscribe_options,
    struct_size: usize,
) {
    structs::init(options, struct_size);
}

/// A cursor over a session's log: the past, a `connected` record, then what is live; each stored
/// event once and in order (R35). Any thread may use it; each event goes to one of those that
/// take.
pub struct stayline_subscription(boundary::Handle<Reading>);
object!(stayline_subscription, "subscription", Reading);

/// What stands behind a subscription.
pub(crate) struct Reading {
    core: Mutex<Subscription>,
    bell: Arc<Bell>,
    last_id: AtomicU64,
    ended: AtomicBool,
    closed: AtomicBool,
    // Keeps the coordinator alive.
    home: Arc<Home>,
}

/// What a look at the cursor found.
enum Found {
    Record(Arc<Record>),
    End,
}

impl stayline_subscription {
    /// One that was accepted.
    pub(crate) fn of(guard: &Arc<Guard>, held: &Held, core: Subscription) -> Box<Self> {
        let bell = Bell::new();
        core.set_waker(Some(bell.waker()));
        let reading = Reading {
            core: Mutex::new(core),
            bell,
            last_id: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            home: Arc::clone(&held.home),
        };
        stayline_subscription::boxed(guard, reading)
    }
}

impl Reading {
    fn look(&self) -> Result<Option<Found>, Failure> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed("the subscription was closed").into());
        }
        if self.ended.load(Ordering::Acquire) {
            return Ok(Some(Found::End));
        }
        Ok(match self.core.lock().try_next()? {
            Next::Record(record) => {
                self.last_id.fetch_max(record.id, Ordering::AcqRel);
                Some(Found::Record(record))
            }
            Next::Empty => None,
            Next::Ended => {
                // Streams end with their coordinator; that a bug of ours ended it is told.
                if let Err(panic @ Error::Panic { .. }) = self.home.coordinator.check_open() {
                    return Err(panic.into());
                }
                self.ended.store(true, Ordering::Release);
                // Who waits beside this caller shall see it too.
                self.bell.wake();
                Some(Found::End)
            }
        })
    }

    fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut core = self.core.lock();
        core.set_waker(None);
        core.retire();
        drop(core);
        self.bell.wake();
    }
}

/// The next event.
///
/// - `timeout_ms`: how long to wait; 0: not at all, below 0: for ever.
/// - `out_event`: yours; free it with `stayline_event_free`. NULL: none in time, or the stream is
///   over, which `stayline_subscription_is_ended` says.
///
/// Returns:
/// - `OK`
/// - `CLOSED`: the subscription was closed, also while this call waited. The end of its coordinator
///   is an end of the stream.
/// - `STORE_ERROR`
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_subscription_next(
    subscription: *mut stayline_subscription,
    timeout_ms: i64,
    out_event: Option<&mut MaybeUninit<Option<Box<stayline_event>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_event = required(out_event, "out_event");
    boundary::on(subscription, out_error, |reading| {
        let out_event = out_event?;
        out_event.set(match reading.bell.wait(timeout_ms, || reading.look())? {
            Some(Found::Record(record)) => Some(stayline_event::streamed(record)),
            Some(Found::End) | None => None,
        });
        Ok(())
    })
}

/// A file descriptor for event loops: readable from an event until a take with a timeout of 0
/// finds none, and for ever once the stream is over or closed.
///
/// - `out_fd`: borrowed; it lives as long as the subscription. Never read from it or close it.
///
/// Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_subscription_fd(
    subscription: Option<&stayline_subscription>,
    out_fd: Option<&mut MaybeUninit<c_int>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_fd = required(out_fd, "out_fd");
    boundary::on(subscription, out_error, |reading| {
        let out_fd = out_fd?;
        out_fd.set(reading.bell.descriptor()?);
        Ok(())
    })
}

/// Whether the stream is over: `until` was reached, the session was deleted, or the coordinator or
/// the subscription was closed; and everything before that was taken. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_subscription_is_ended(
    subscription: Option<&stayline_subscription>,
) -> bool {
    boundary::look(subscription, true, |reading| {
        reading.ended.load(Ordering::Acquire) || reading.closed.load(Ordering::Acquire)
    })
}

/// The id of the newest stored event that was taken: resume with `after` this. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_subscription_last_id(
    subscription: Option<&stayline_subscription>,
) -> u64 {
    boundary::look(subscription, 0, |reading| reading.last_id.load(Ordering::Acquire))
}

/// How many stored events it has not looked at yet. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_subscription_lag(subscription: Option<&stayline_subscription>) -> u64 {
    boundary::look(subscription, 0, |reading| reading.core.lock().lag())
}

/// The log's epoch, to be given when resuming (R34a).
///
/// - `out_epoch`: yours; free it with `stayline_buffer_free`.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_subscription_epoch(
    subscription: Option<&stayline_subscription>,
    out_epoch: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_epoch = required(out_epoch, "out_epoch");
    boundary::on(subscription, out_error, |reading| {
        let out_epoch = out_epoch?;
        let epoch = reading.core.lock().epoch();
        out_epoch.set(stayline_buffer::of(&epoch)?);
        Ok(())
    })
}

/// Ends it: whoever waits gets `CLOSED`, and so does every later take. Closing again does nothing.
///
/// Returns `OK`. Threads: any, also while others wait.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_subscription_close(
    subscription: *mut stayline_subscription,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(subscription, out_error, |reading| {
        reading.close();
        Ok(())
    })
}

/// Frees it; NULL is fine. Events that were taken stay.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_subscription_free(subscription: Option<Box<stayline_subscription>>) {
    drop(subscription);
}
