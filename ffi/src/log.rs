//! The core's log records on their way to the host's callback. It is the one thing that is per
//! process.
//!
//! The callback runs right where something is told (`stayline::log`), so that nothing is lost when
//! the process ends; locks of ours may be held then, and objects refuse to be used
//! (`Guard::check`).

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};
use std::sync::{Arc, Once, PoisonError, RwLock};

use stayline::Error;
use stayline::log::{Collector, Sink};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::boundary;
use crate::callback::Callback;
use crate::error::{OutError, stayline_status};
use crate::text::stayline_view;

/// How important a log record is.
#[repr(i32)]
pub enum stayline_log_level {
    /// Something is broken.
    Error = 1,
    /// Something is odd, and was dealt with.
    Warn = 2,
    /// What a person who runs it wants to know.
    Info = 3,
    /// What a person who looks for a fault wants to know.
    Debug = 4,
}

/// The name of a log level: `warn`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_log_level_name(level: i32) -> stayline_view {
    stayline_view::numbered(&["error", "warn", "info", "debug"], level)
}

type Slot = RwLock<Option<Arc<Callback<Call>>>>;
type Call = extern "C" fn(user_data: *mut c_void, level: i32, message: stayline_view);

/// Where log records go.
///
/// `call` runs on whatever thread has something to say, several at a time, also on threads of the
/// host's in the middle of a call; it must return soon, must not wait for another thread that uses
/// this library, and must not throw. From inside, objects cannot be used (`INVALID_ARGUMENT`, and
/// looks answer nothing) and must not be freed; errors, buffers and names can. `drop` runs once,
/// after every `call` has returned, and no call begins after it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_log_callback {
    /// Gets a `stayline_log_level` and one line, which lives during the call. NULL: no records.
    pub call: Option<extern "C" fn(user_data: *mut c_void, level: i32, message: stayline_view)>,
    /// Frees `user_data`; NULL: nothing to free.
    pub drop: Option<extern "C" fn(user_data: *mut c_void)>,
    /// Passed to both.
    pub user_data: *mut c_void,
}

/// Where the callback is, and who is calling it; at first [`FIRST`]. A forked child gets one of its
/// own: in the parent's there are callers that do not exist in the child.
static SLOT: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());
static FIRST: Slot = Slot::new(None);
static LEVEL: AtomicI32 = AtomicI32::new(0);

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn slot() -> &'static Slot {
    // SAFETY: it is NULL, or was leaked in `after_fork`.
    unsafe { SLOT.load(Ordering::Acquire).as_ref() }.unwrap_or(&FIRST)
}

/// Whether this thread is inside of the callback.
pub(crate) fn is_telling() -> bool {
    // Without a callback nobody is inside, and most calls are spared the look at their thread.
    LEVEL.load(Ordering::Relaxed) != 0 && INSIDE.get()
}

/// Sets where the log records of this process go, instead of where they went before; the callback
/// there was is dropped before this returns, which waits for the calls of it that are under way.
///
/// - `callback`: taken over in any case. With a NULL `call` nothing is told any more.
/// - `level`: the least important `stayline_log_level` that is told.
///
/// Returns `OK`; `INVALID_ARGUMENT` for an unknown level, from inside a log callback, and when
/// another part of the process that uses the same copy of this library collects its records
/// already. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_log_set(
    callback: stayline_log_callback,
    level: i32,
    out_error: OutError<'_>,
) -> stayline_status {
    let stayline_log_callback { call, drop, user_data } = callback;
    let callback = match (call, drop) {
        (None, None) => None,
        (None, Some(drop)) => {
            drop(user_data);
            None
        }
        (call, drop) => Callback::new(call, drop, user_data, "callback").ok(),
    };
    boundary::run(out_error, || {
        if INSIDE.get() {
            return Err(Error::invalid("stayline_log_set was called from a log callback").into());
        }
        if callback.is_some() && !(1..=4).contains(&level) {
            return Err(Error::invalid(format!("there is no log level {level}")).into());
        }
        collect()?;
        // Waits for the calls that are under way: they read the slot while they call.
        let mut slot = slot().write().unwrap_or_else(PoisonError::into_inner);
        LEVEL.store(if callback.is_some() { level } else { 0 }, Ordering::Relaxed);
        let old = std::mem::replace(&mut *slot, callback.map(Arc::new));
        std::mem::drop(slot);
        tracing::callsite::rebuild_interest_cache();
        std::mem::drop(old);
        Ok(())
    })
}

/// Makes this the process's collector, once.
fn collect() -> Result<(), Error> {
    static BEGIN: Once = Once::new();
    static COLLECTS: AtomicI32 = AtomicI32::new(0);
    BEGIN.call_once(|| {
        let set = tracing::subscriber::set_global_default(Collector(Telling));
        COLLECTS.store(i32::from(set.is_ok()), Ordering::Relaxed);
    });
    match COLLECTS.load(Ordering::Relaxed) {
        1 => Ok(()),
        _ => Err(Error::invalid("somebody else collects the log records of this process")),
    }
}

/// In a forked child: the host's callback goes on there, like the rest of its code.
pub(crate) fn after_fork() {
    INSIDE.set(false);
    // Empty if somebody was about to change it.
    let callback = slot().try_read().ok().and_then(|callback| callback.clone());
    SLOT.store(Box::into_raw(Box::new(Slot::new(callback))), Ordering::Release);
}

/// Hands the core's records to the callback.
struct Telling;

impl Sink for Telling {
    fn level(&self) -> LevelFilter {
        match LEVEL.load(Ordering::Relaxed) {
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::OFF,
        }
    }

    /// What the callback itself gives rise to is not told.
    fn is_open(&self) -> bool {
        !INSIDE.get()
    }

    fn take(&self, level: Level, line: String) {
        let level = match level {
            Level::ERROR => stayline_log_level::Error,
            Level::WARN => stayline_log_level::Warn,
            Level::INFO => stayline_log_level::Info,
            Level::DEBUG | Level::TRACE => stayline_log_level::Debug,
        } as i32;
        INSIDE.set(true);
        // Held during the call, so that `stayline_log_set` returns after it.
        if let Some(callback) = &*slot().read().unwrap_or_else(PoisonError::into_inner) {
            callback.with(|call, user_data| call(user_data, level, stayline_view::of(&line)));
        }
        INSIDE.set(false);
    }
}
