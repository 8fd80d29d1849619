//! Time that moves only when told, for tests.

use std::mem::MaybeUninit;

use stayline::Error;
use stayline::coordinator::ManualClock;
use stayline::settings::{MAX_DURATION_MS, Millis, moment};

use crate::boundary::{self, Guard, Object, object, required};
use crate::error::{OutError, stayline_status};

/// Stands for "no time", "no limit" and the like where an integer of 64 bits may be missing.
pub const STAYLINE_NONE: i64 = i64::MIN;

/// A clock for coordinators in tests: it moves only when told, and handles everything that is due
/// on the way before the call returns. Give it to `stayline_coordinator_open`; one clock may serve
/// several.
pub struct stayline_clock(boundary::Handle<ManualClock>);
object!(stayline_clock, "clock", ManualClock);

/// The clock behind the handle.
pub(crate) fn of(clock: Option<&stayline_clock>) -> Result<Option<ManualClock>, Error> {
    boundary::copied(clock, ManualClock::clone)
}

/// Makes a clock.
///
/// - `now_ms`: what it shows, ms since the Unix epoch.
/// - `out_clock`: yours; free it with `stayline_clock_free`. Coordinators keep it alive.
///
/// Returns `OK`, or `INVALID_ARGUMENT` when `out_clock` is NULL or `now_ms` is beyond all calendars.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_clock_new(
    now_ms: i64,
    out_clock: Option<&mut MaybeUninit<Option<Box<stayline_clock>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_clock = required(out_clock, "out_clock");
    boundary::run(out_error, || {
        let out_clock = out_clock?;
        let clock = ManualClock::new(moment(now_ms, "now_ms")?);
        out_clock.set(Some(stayline_clock::boxed(&Guard::new(), clock)));
        Ok(())
    })
}

/// What it shows, ms since the Unix epoch; `STAYLINE_NONE` for NULL. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_clock_now(clock: Option<&stayline_clock>) -> i64 {
    boundary::look(clock, STAYLINE_NONE, ManualClock::now)
}

/// Moves on by `ms`, from one due moment to the next; what is due is handled on this thread, each
/// at its own moment (R18).
///
/// Returns `OK`, or `INVALID_ARGUMENT` for a negative `ms`, one beyond 100 years, or one that leads
/// beyond all calendars. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_clock_advance(
    clock: *mut stayline_clock,
    ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(clock, out_error, |clock| {
        clock.advance(duration(clock, ms)?);
        Ok(())
    })
}

/// Time jumps by `ms` without the coordinators noticing before it is over (R18b).
///
/// Returns `OK`, or `INVALID_ARGUMENT` for a negative `ms`, one beyond 100 years, or one that leads
/// beyond all calendars. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_clock_suspend(
    clock: *mut stayline_clock,
    ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(clock, out_error, |clock| {
        clock.suspend(duration(clock, ms)?);
        Ok(())
    })
}

/// Only moves time, to `now_ms` or not at all if that has passed; nothing that is due is handled
/// (see `stayline_coordinator_handle_due`).
///
/// Returns `OK`, or `INVALID_ARGUMENT` for a time beyond all calendars. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_clock_set(
    clock: *mut stayline_clock,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(clock, out_error, |clock| {
        clock.set(moment(now_ms, "now_ms")?);
        Ok(())
    })
}

/// The earliest deadline of all its coordinators, ms since the Unix epoch; `STAYLINE_NONE` when
/// there is none. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_clock_next_deadline(clock: Option<&stayline_clock>) -> i64 {
    boundary::look(clock, STAYLINE_NONE, |clock| clock.next_deadline().unwrap_or(STAYLINE_NONE))
}

/// Frees a clock; NULL is fine. Coordinators that were opened with it keep theirs.
///
/// Threads: any; nobody else may be using this handle.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_clock_free(clock: Option<Box<stayline_clock>>) {
    drop(clock);
}

fn duration(clock: &ManualClock, ms: Millis) -> Result<Millis, Error> {
    if !(0..=MAX_DURATION_MS).contains(&ms) {
        return Err(Error::invalid(format!("a clock cannot move by {ms} ms")));
    }
    moment(clock.now() + ms, "the clock")?;
    Ok(ms)
}
