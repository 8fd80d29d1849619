//! What a wrapper sends, and how its run ends.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

use stayline::Error;
use stayline::session::records::Status;
use stayline::wrapper::{Outcome, SendOptions, State};

use crate::boundary;
use crate::clock::STAYLINE_NONE;
use crate::error::{OutError, stayline_status};
use crate::execution;
use crate::structs::{self, Versioned, versioned};
use crate::text::{stayline_buffer, stayline_view};
use crate::wrapper::{if_known, stayline_wrapper};

/// How an event is to be sent. Begin with `stayline_send_options_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_send_options {
    /// `sizeof(stayline_send_options)`.
    pub struct_size: usize,
    /// It may give way when the buffer is full, before any other kind does (R44).
    pub droppable: bool,
    /// When it happened, ms since the Unix epoch; `STAYLINE_NONE`: now.
    pub timestamp_ms: i64,
}
versioned!(stayline_send_options { droppable: false, timestamp_ms: STAYLINE_NONE });

/// Writes the defaults of `stayline_wrapper_send`: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_send_options_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_send_options_init(
    options: *mut stayline_send_options,
    struct_size: usize,
) {
    structs::init(options, struct_size);
}

/// Reads send options; NULL for the defaults.
pub(crate) fn send_options(options: *const stayline_send_options) -> Result<SendOptions, Error> {
    let options = structs::read(options)?;
    let timestamp = (options.timestamp_ms != STAYLINE_NONE).then_some(options.timestamp_ms);
    Ok(SendOptions { droppable: options.droppable, timestamp })
}

/// Sends an event. Where the overflow policy waits, it waits for room up to `send_timeout_ms`
/// (R44).
///
/// - `event_type`: not empty.
/// - `data`: JSON; none: `{}`.
/// - `options`: NULL for the defaults.
///
/// Returns:
/// - `OK`: it is written, or kept until it can be.
/// - `INVALID_EVENT`: the other side would refuse it (R40); nothing is sent.
/// - `FULL`: no room in time; nothing is sent.
/// - `CLOSED`: after the end.
/// - `DISCONNECTED`: the wrapper gave up.
/// - `SUPERSEDED`: another wrapper took over.
///
/// Threads: any; events keep the order of calls that follow one another.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_send(
    wrapper: *mut stayline_wrapper,
    event_type: stayline_view,
    data: stayline_view,
    options: *const stayline_send_options,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        let (event_type, data) = (event_type.text("event_type")?, data.optional("data")?);
        Ok(hub.core.send(event_type, data.unwrap_or("{}"), send_options(options)?)?)
    })
}

/// As `stayline_wrapper_send`, but never waits: `FULL` at once.
///
/// Returns as `stayline_wrapper_send`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_try_send(
    wrapper: *mut stayline_wrapper,
    event_type: stayline_view,
    data: stayline_view,
    options: *const stayline_send_options,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        let (event_type, data) = (event_type.text("event_type")?, data.optional("data")?);
        Ok(hub.core.try_send(event_type, data.unwrap_or("{}"), send_options(options)?)?)
    })
}

/// The run has ended: sends `complete`, drains and closes (R51). `stayline_wrapper_outcome` tells
/// when that is done.
///
/// - `branch`: may be none.
///
/// What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
/// or `SUPERSEDED`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_complete(
    wrapper: *mut stayline_wrapper,
    exit_code: i64,
    branch: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        Ok(hub.core.complete(exit_code, branch.optional("branch")?)?)
    })
}

/// The run has failed: sends a fatal `error`, drains and closes.
///
/// - `error`: what the execution's error becomes.
///
/// What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
/// or `SUPERSEDED`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_fail(
    wrapper: *mut stayline_wrapper,
    error: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| Ok(hub.core.fail(&error.said("error")?, None)?))
}

/// The run has failed, with an exit code: as `stayline_wrapper_fail`, and the code is kept on the
/// execution (R29).
///
/// - `error`: what the execution's error becomes.
/// - `exit_code`: `STAYLINE_NONE`: none.
///
/// Returns as `stayline_wrapper_fail`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_fail_with_exit_code(
    wrapper: *mut stayline_wrapper,
    error: stayline_view,
    exit_code: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        Ok(hub.core.fail(&error.said("error")?, given_code(exit_code))?)
    })
}

/// The run was stopped: sends `interrupted`, drains and closes.
///
/// - `reason`: may be none.
///
/// What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
/// or `SUPERSEDED`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_interrupted(
    wrapper: *mut stayline_wrapper,
    reason: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        Ok(hub.core.interrupted(reason.optional_said("reason")?.as_deref(), None)?)
    })
}

/// The run was stopped, with an exit code: as `stayline_wrapper_interrupted`, and the code is kept
/// on the execution (R29).
///
/// - `reason`: may be none.
/// - `exit_code`: `STAYLINE_NONE`: none.
///
/// Returns as `stayline_wrapper_interrupted`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_interrupted_with_exit_code(
    wrapper: *mut stayline_wrapper,
    reason: stayline_view,
    exit_code: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        Ok(hub
            .core
            .interrupted(reason.optional_said("reason")?.as_deref(), given_code(exit_code))?)
    })
}

/// The code that has the run in its hands ended by an error before it had ended the run (R51a).
/// The run fails, or is interrupted, as `stayline_wrapper_fail_with_exit_code` and
/// `stayline_wrapper_interrupted_with_exit_code` do it; then this waits until that is known, for
/// `ack_timeout_ms` at most, five seconds where the code was stopped.
///
/// - `what`: what is told of the error; it is cut to `max_text_bytes`.
/// - `stopped`: it was stopped from outside, so that the run is interrupted. So is one that a kill
///   has asked to stop, whatever this says.
/// - `exit_code`: `STAYLINE_NONE`: none.
///
/// Returns:
/// - `OK`: it has ended.
/// - `TIMEOUT`: its ending is under way.
/// - `CLOSED`, `DISCONNECTED`, `SUPERSEDED`: it has had its ending, and is left alone.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_raised(
    wrapper: *mut stayline_wrapper,
    what: stayline_view,
    stopped: bool,
    exit_code: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        let what = what.optional_said("what")?.unwrap_or_default();
        let patience = hub.core.raised(&what, stopped, given_code(exit_code))?;
        let patience = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        let look = || if_known(hub.core.outcome(Some(Duration::ZERO)));
        hub.changes.wait_aside(patience, look)?.ok_or(Error::Timeout)?;
        Ok(())
    })
}

/// An exit code that may be none.
pub(crate) fn given_code(exit_code: i64) -> Option<i64> {
    (exit_code != STAYLINE_NONE).then_some(exit_code)
}

/// How it ended. Set `struct_size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_outcome {
    /// `sizeof(stayline_outcome)`.
    pub struct_size: usize,
    /// A `stayline_execution_status`; 0: everything was sent, and nobody said how it ended.
    pub status: i32,
    /// Events that were not acknowledged and are discarded.
    pub unacknowledged: u64,
}
versioned!(stayline_outcome { status: 0, unacknowledged: 0 });

/// Waits until it is known how it ended (R46).
///
/// - `timeout_ms`: 0: does not wait, below 0: for ever.
/// - `out_outcome`: may be NULL; with its `struct_size` set.
/// - `out_error_text`: may be NULL. Why, for failed and interrupted executions; yours, free it
///   with `stayline_buffer_free`.
///
/// Returns:
/// - `OK`
/// - `TIMEOUT`: it is not known yet.
/// - `DISCONNECTED`: the wrapper gave up; the field `reason` says why.
/// - `SUPERSEDED`: another wrapper took over.
/// - `CLOSED`: it was closed, also while this call waited.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_outcome(
    wrapper: Option<&stayline_wrapper>,
    timeout_ms: i64,
    out_outcome: *mut stayline_outcome,
    mut out_error_text: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_error_text);
    boundary::on(wrapper, out_error, |hub| {
        structs::check_optional(out_outcome)?;
        let look = || if_known(hub.core.outcome(Some(Duration::ZERO)));
        let outcome = hub.wait_for_change(timeout_ms, look)?.ok_or(Error::Timeout)?;
        let (status, error, unacknowledged) = match outcome {
            Outcome::Done { status, error, unacknowledged } => (status, error, unacknowledged),
            // Everything was sent and nobody said how it ended; the other outcomes are errors.
            _ => (None, None, 0),
        };
        write_outcome(out_outcome, out_error_text, status, error, unacknowledged)
    })
}

/// Writes what is known of an end to where it is wanted.
pub(crate) fn write_outcome(
    out_outcome: *mut stayline_outcome,
    out_error_text: Option<&mut MaybeUninit<stayline_buffer>>,
    status: Option<Status>,
    error: Option<Arc<str>>,
    unacknowledged: u64,
) -> boundary::Done {
    if !out_outcome.is_null() {
        let status = execution::number_of(status);
        let outcome = stayline_outcome { status, unacknowledged, ..Versioned::DEFAULT };
        structs::write(out_outcome, &outcome)?;
    }
    if let Some(out_error_text) = out_error_text {
        out_error_text.write(stayline_buffer::maybe(error.as_deref())?);
    }
    Ok(())
}

/// Waits until everything that was sent has been written and, in acknowledged mode, acknowledged.
///
/// - `timeout_ms`: 0: does not wait, below 0: for ever.
///
/// Returns `OK`, `TIMEOUT`, or `CLOSED` when it was closed, also while this call waited, or is over
/// with something left; `DISCONNECTED` or `SUPERSEDED` when it is over for that. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_flush(
    wrapper: Option<&stayline_wrapper>,
    timeout_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        let flushed = hub.changes.wait_aside(timeout_ms, || {
            let left = hub.core.buffered() + hub.core.unacknowledged();
            if hub.core.state() != State::Closed {
                return Ok((left == 0).then_some(()));
            }
            // Closing gives up what is left, so that nothing is.
            match hub.core.outcome(Some(Duration::ZERO)) {
                Ok(Outcome::Done { unacknowledged: left @ 1.., .. }) => {
                    let why = format!("the run has ended, and {left} events were not acknowledged");
                    Err(Error::closed(why).into())
                }
                Ok(_) => Ok(Some(())),
                Err(closed @ Error::Closed { .. }) => Err(closed.into()),
                Err(_) if left == 0 => Ok(Some(())),
                Err(gone) => Err(gone.into()),
            }
        })?;
        Ok(flushed.ok_or(Error::Timeout)?)
    })
}
