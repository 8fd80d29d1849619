//! What stands behind a wrapper with its socket: the queues of those who want its signals, and the
//! thread that calls the host at a kill.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::Arc;
use std::thread::JoinHandle;

use stayline::Error;
use stayline::lock::Mutex;
use stayline::net::client::Wrapper;
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
    pub(crate) queues: Mutex<Queues>,
    /// The threads that call the host at a kill.
    pub(crate) callers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
pub(crate) struct Queues {
    pub(crate) signals: VecDeque<Told>,
    /// `None` until somebody wants them.
    kills: Option<VecDeque<i32>>,
    /// The core has told the last one.
    pub(crate) over: bool,
    /// The host frees the wrapper: nobody is called any more.
    dismissed: bool,
}

/// Signals kept for a host that takes none, since it only has a kill callback.
const SIGNALS_KEPT: usize = 1_024;

impl Queues {
    /// When there is no room, one that a later one makes pointless goes, as in the core.
    pub(crate) fn keep(&mut self, told: Told) {
        if self.signals.len() >= SIGNALS_KEPT {
            let pointless = |told: &Told| {
                matches!(told, Told::Reconnecting(_) | Told::Reconnected | Told::Command(_))
            };
            if let Some(at) = self.signals.iter().position(pointless) {
                self.signals.remove(at);
            }
        }
        self.signals.push_back(told);
    }
}

impl Hub {
    /// Moves what the core has told into the queues of those who want it.
    pub(crate) fn sort(&self) -> Result<(), Failure> {
        let mut sorted = false;
        loop {
            // Under the lock, so that two threads keep the order.
            let mut queues = self.queues.lock();
            match self.core.try_signal() {
                Ok(Some(told)) => {
                    if let (Told::Abort { signal }, Some(kills)) = (&told, &mut queues.kills) {
                        kills.push_back(signal::number_of(*signal));
                    }
                    queues.keep(told);
                    sorted = true;
                }
                Ok(None) => break,
                Err(Error::Closed { .. }) => {
                    sorted |= !std::mem::replace(&mut queues.over, true);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if sorted {
            self.bell.wake();
        }
        Ok(())
    }

    /// The next signal; `Some(None)`: there will be no more.
    pub(crate) fn signal(&self) -> Result<Option<Option<Told>>, Failure> {
        self.sort()?;
        let mut queues = self.queues.lock();
        let told = queues.signals.pop_front();
        Ok(if told.is_none() && !queues.over { None } else { Some(told) })
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

    /// The next kill; `Some(None)`: there will be no more.
    pub(crate) fn kill(&self) -> Result<Option<Option<i32>>, Failure> {
        self.sort()?;
        let mut queues = self.queues.lock();
        if queues.dismissed {
            return Ok(Some(None));
        }
        let kill = queues.kills.as_mut().and_then(VecDeque::pop_front);
        Ok(if kill.is_none() && !queues.over { None } else { Some(kill) })
    }

    /// Ahead of the wrapper's free: closes it without waiting, so that a callback that waits at it
    /// is let go, and returns once no callback runs any more.
    pub(crate) fn dismiss(&self) {
        self.core.close_without_waiting();
        self.queues.lock().dismissed = true;
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
        hub.queues.lock().kills.get_or_insert_default();
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
        callback.with(|call, user_data| call(user_data, kill));
    }
}
