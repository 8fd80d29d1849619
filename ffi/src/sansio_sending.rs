//! What the machine on its own sends, and how its run ends.

use std::mem::MaybeUninit;

use stayline::settings::moment;

use crate::boundary;
use crate::error::{OutError, stayline_status};
use crate::sansio::stayline_sansio;
use crate::sending::{self, given_code, stayline_send_options};
use crate::text::stayline_view;

/// Sends an event; never waits (R40, R44).
///
/// - `data`: JSON; none: `{}`.
/// - `options`: NULL for the defaults; its timestamp, where there is none, is `now_ms`.
///
/// Returns `OK`, `INVALID_EVENT`, `FULL`, `CLOSED` after the end, `DISCONNECTED` when the wrapper gave
/// up, or `SUPERSEDED` when another one took over. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_send(
    sansio: *mut stayline_sansio,
    event_type: stayline_view,
    data: stayline_view,
    options: *const stayline_send_options,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        let (event_type, data) = (event_type.text("event_type")?, data.optional("data")?);
        let options = sending::send_options(options)?;
        Ok(machine.lock().send(event_type, data.unwrap_or("{}"), options, now_ms)?)
    })
}

/// Whether a send may succeed where the last one said `FULL`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_has_room(sansio: Option<&stayline_sansio>) -> bool {
    boundary::look(sansio, false, |machine| machine.lock().has_room())
}

/// The run has ended: `complete` goes out, then it drains and closes (R51).
///
/// - `branch`: may be none.
///
/// What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
/// or `SUPERSEDED`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_complete(
    sansio: *mut stayline_sansio,
    exit_code: i64,
    branch: stayline_view,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        Ok(machine.lock().complete(exit_code, branch.optional("branch")?, now_ms)?)
    })
}

/// The run has failed: a fatal `error` goes out, then it drains and closes.
///
/// What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
/// or `SUPERSEDED`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_fail(
    sansio: *mut stayline_sansio,
    error: stayline_view,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        Ok(machine.lock().fail(&error.said("error")?, None, now_ms)?)
    })
}

/// The run has failed, with an exit code: as `stayline_sansio_fail`, and the code is kept on the
/// execution (R29).
///
/// - `exit_code`: `STAYLINE_NONE`: none.
///
/// Returns as `stayline_sansio_fail`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_fail_with_exit_code(
    sansio: *mut stayline_sansio,
    error: stayline_view,
    exit_code: i64,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        Ok(machine.lock().fail(&error.said("error")?, given_code(exit_code), now_ms)?)
    })
}

/// The run was stopped: `interrupted` goes out, then it drains and closes.
///
/// - `reason`: may be none.
///
/// What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
/// or `SUPERSEDED`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_interrupted(
    sansio: *mut stayline_sansio,
    reason: stayline_view,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        Ok(machine.lock().interrupted(reason.optional_said("reason")?.as_deref(), None, now_ms)?)
    })
}

/// The run was stopped, with an exit code: as `stayline_sansio_interrupted`, and the code is kept
/// on the execution (R29).
///
/// - `reason`: may be none.
/// - `exit_code`: `STAYLINE_NONE`: none.
///
/// Returns as `stayline_sansio_interrupted`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_interrupted_with_exit_code(
    sansio: *mut stayline_sansio,
    reason: stayline_view,
    exit_code: i64,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        let reason = reason.optional_said("reason")?;
        Ok(machine.lock().interrupted(reason.as_deref(), given_code(exit_code), now_ms)?)
    })
}

/// The host closes: nothing is sent, retried or told any more (R42).
///
/// - `out_unacknowledged`: may be NULL. How many events were given up.
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_close(
    sansio: *mut stayline_sansio,
    now_ms: i64,
    mut out_unacknowledged: Option<&mut MaybeUninit<u64>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_unacknowledged);
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        let given_up = machine.lock().close(now_ms);
        if let Some(out_unacknowledged) = out_unacknowledged {
            out_unacknowledged.write(given_up);
        }
        Ok(())
    })
}
