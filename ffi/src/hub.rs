//! What stands behind a wrapper with its socket, and the threads that call the host at a kill.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use stayline::Error;
use stayline::lock::Mutex;
use stayline::net::client::Wrapper;
use stayline::protocol::outgoing::Signal;
use stayline::threads;
use stayline::wake::Wake;
use stayline::wrapper::Told;

use crate::bell::Bell;
use crate::boundary;
use crate::callback::Callback;
use crate::error::{Failure, OutError, stayline_status};
use crate::signal;
use crate::wrapper::stayline_wrapper;

/// What stands behind a wrapper.
pub(crate) struct Hub {
    pub(crate) core: Wrapper,
    pub(crate) settings: stayline::Settings,
    pub(crate) url: String,
    pub(crate) session_id: String,
    pub(crate) execution_id: String,
    /// Rung when there may be a signal.
    pub(crate) bell: Arc<Bell>,
    /// Rung when it may be connected, have room, have sent all, or have ended.
    pub(crate) changes: Arc<Bell>,
    /// The host frees the wrapper: nobody is called at a kill any more.
    pub(crate) dismissed: AtomicBool,
    /// The threads that call the host at a kill.
    pub(crate) callers: Mutex<Vec<JoinHandle<()>>>,
}

impl Hub {
    /// The next signal; `Some(None)`: there will be no more.
    pub(crate) fn signal(&self) -> Result<Option<Option<Told>>, Failure> {
        until_closed(self.core.try_signal())
    }

    /// The next kill; `Some(None)`: there will be no more.
    fn kill(&self) -> Result<Option<Option<Signal>>, Failure> {
        if self.dismissed.load(Ordering::Acquire) {
            return Ok(Some(None));
        }
        until_closed(self.core.try_kill())
    }

    /// Waits for a change. Only who does not wait is an event loop, which looks at everything when
    /// the descriptor is readable; others must not make it unreadable for it.
    pub(crate) fn wait_for_change<T>(
        &self,
        timeout_ms: i64,
        look: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        match timeout_ms {
            0 => self.changes.wait(timeout_ms, look),
            _ => self.changes.wait_aside(timeout_ms, look),
        }
    }

    /// Ahead of the wrapper's free: closes it without waiting, so that a callback that waits at it
    /// is let go, and returns once no callback runs any more.
    pub(crate) fn dismiss(&self) {
        self.core.close_without_waiting();
        self.dismissed.store(true, Ordering::Release);
        self.bell.wake();
        self.changes.wake();
        let callers = std::mem::take(&mut *self.callers.lock());
        for caller in callers {
            // A callback that frees its wrapper, which it must not, cannot be waited for.
            if !threads::is_own(&caller) {
                // A panic in it has been told.
                let _ = caller.join();
            }
        }
    }
}

/// What was taken; `Some(None)`: there will be no more.
fn until_closed<T>(taken: Result<Option<T>, Error>) -> Result<Option<Option<T>>, Failure> {
    match taken {
        Ok(taken) => Ok(taken.map(Some)),
        Err(Error::Closed { .. }) => Ok(Some(None)),
        Err(error) => Err(error.into()),
    }
}

/// What is called when the agent is to be stopped.
///
/// `call` runs on a thread of ours, one call at a time, and may block; it may call into this
/// library, also `stayline_wrapper_aborted` and `stayline_wrapper_close`, but must not free the
/// wrapper. It must not throw. `drop` runs once, on that thread, after the last `call`.
/// `stayline_wrapper_free` waits for both: behind it nothing of this is used any more.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_kill_callback {
    /// Stop the agent by this `stayline_kill_signal`, and answer with `stayline_wrapper_aborted`.
    pub call: Option<extern "C" fn(user_data: *mut c_void, kill_signal: i32)>,
    /// Frees `user_data`; NULL: nothing to free.
    pub drop: Option<extern "C" fn(user_data: *mut c_void)>,
    /// Passed to both.
    pub user_data: *mut c_void,
}

/// Calls back at every kill from now on (R52), beside the signal `ABORT`, which is told all the
/// same. A second callback shares the kills with the first.
///
/// - `callback`: taken over in any case.
///
/// Returns `OK`, `INVALID_ARGUMENT`, or `LIMIT_EXCEEDED` when no thread can be made. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_on_kill(
    wrapper: *mut stayline_wrapper,
    callback: stayline_kill_callback,
    out_error: OutError<'_>,
) -> stayline_status {
    let stayline_kill_callback { call, drop, user_data } = callback;
    let callback = Callback::new(call, drop, user_data, "callback");
    boundary::on(wrapper, out_error, |hub| {
        let callback = callback?;
        hub.core.want_kills();
        let own = Arc::clone(hub);
        let caller = threads::spawn("stayline-kill", move || call_back(&own, &callback))
            .map_err(|_| Error::LimitExceeded { limit: "threads", value: 1 })?;
        hub.callers.lock().push(caller);
        Ok(())
    })
}

/// Calls until there will be no more kills.
fn call_back(
    hub: &Hub,
    callback: &Callback<extern "C" fn(user_data: *mut c_void, kill_signal: i32)>,
) {
    while let Ok(Some(Some(kill))) = hub.bell.wait_aside(-1, || hub.kill()) {
        callback.with(|call, user_data| call(user_data, signal::number_of(kill)));
    }
}
