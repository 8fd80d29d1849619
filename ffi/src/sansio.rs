//! The wrapper's machine on its own, for hosts with a transport of theirs.

use std::mem::MaybeUninit;

use stayline::Error;
use stayline::lock::Mutex;
use stayline::protocol::Refusal;
use stayline::session::records::Status;
use stayline::settings::moment;
use stayline::wrapper::{Outcome, Refused, Wrapper};

use crate::action::stayline_action;
use crate::boundary::{self, Guard, Object, object, required};
use crate::clock::STAYLINE_NONE;
use crate::error::{OutError, stayline_status};
use crate::job::{self, stayline_job};
use crate::sending::{self, stayline_outcome};
use crate::settings::{self, stayline_settings};
use crate::structs::{self, versioned};
use crate::text::{stayline_buffer, stayline_view};
use crate::wrapper::{self, stayline_wrapper_state};

/// The machine of a wrapper: no socket, no clock, no randomness of its own. After every call that
/// takes `now_ms`, take its actions with `stayline_sansio_poll_action` until there is none and do
/// them in order; then call `stayline_sansio_handle_timeout` at `stayline_sansio_next_deadline`.
/// Time is ms since the Unix epoch and must not go back; one beyond all calendars is
/// `INVALID_ARGUMENT` to all of them. Any thread may use it, one at a time if
/// the order matters.
pub struct stayline_sansio(boundary::Handle<Mutex<Wrapper>>);
object!(stayline_sansio, "sans-IO wrapper", Mutex<Wrapper>);

/// Makes a machine that has not been opened.
///
/// - `settings`: copied; NULL for the defaults.
/// - `seed`: 16 random bytes; jitter and producer ids come from them, and only from them. NULL
///   takes the system's randomness.
/// - `out_sansio`: yours; free it with `stayline_sansio_free`.
///
/// Returns `OK`, `INVALID_SETTINGS` (R24), `INVALID_ARGUMENT`, or `FORK_ERROR` for settings of the
/// process that this one was forked from. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_new(
    settings: Option<&stayline_settings>,
    seed: *const u8,
    out_sansio: Option<&mut MaybeUninit<Option<Box<stayline_sansio>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_sansio = required(out_sansio, "out_sansio");
    boundary::run(out_error, || {
        let out_sansio = out_sansio?;
        let seed = match seed.is_null() {
            true => random()?,
            false => {
                let mut bytes = [0; SEED_BYTES];
                bytes.copy_from_slice(structs::items(seed, SEED_BYTES, "seed")?);
                bytes
            }
        };
        // Big-endian: the bytes in the order in which the number is written.
        let machine = Wrapper::new(settings::copied(settings)?, u128::from_be_bytes(seed))?;
        out_sansio.set(Some(stayline_sansio::boxed(&Guard::new(), Mutex::new(machine))));
        Ok(())
    })
}

/// Begins the first attempt for an execution (R48).
///
/// - `retry_first`: a first connection that fails is retried like a later one (R41).
///
/// Returns `OK`, or `INVALID_ARGUMENT` when it is open already, or the id is none. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_open(
    sansio: *mut stayline_sansio,
    execution_id: stayline_view,
    retry_first: bool,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        let execution_id = execution_id.text("execution_id")?;
        let mut machine = machine.lock();
        let open = if retry_first { Wrapper::open_retrying } else { Wrapper::open };
        Ok(open(&mut machine, execution_id, now_ms)?)
    })
}

/// An attempt was accepted.
///
/// - `protocol`: as the 101 answer granted it, 2; 0: none.
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_handle_opened(
    sansio: *mut stayline_sansio,
    attempt: u64,
    protocol: u8,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        machine.lock().handle_opened(attempt, (protocol > 0).then_some(protocol), now_ms);
        Ok(())
    })
}

/// A handshake that did not succeed. Begin with `stayline_refused_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_refused {
    /// `sizeof(stayline_refused)`.
    pub struct_size: usize,
    /// The HTTP status; 0: there was no answer.
    pub status: u16,
    /// The `Stayline-Refusal` header; only with it a refusal is final (R46). None: not there.
    pub refusal: stayline_view,
    /// The `Stayline-Status` header; none: not there.
    pub execution_status: stayline_view,
    /// What went wrong, for people; may be none.
    pub detail: stayline_view,
    /// The `Retry-After` header, in ms: the next attempt comes no sooner, as far as
    /// `reconnect_cap_ms` goes (R41); 0: not there.
    pub retry_after_ms: i64,
}
versioned!(stayline_refused {
    status: 0,
    refusal: stayline_view::NONE,
    execution_status: stayline_view::NONE,
    detail: stayline_view::NONE,
    retry_after_ms: 0,
});

/// Writes a handshake that got no answer: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_refused_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_refused_init(options: *mut stayline_refused, struct_size: usize) {
    structs::init(options, struct_size);
}

/// An attempt failed: refused, timed out, or never answered (R46).
///
/// - `refused`: NULL: no answer. Values that this version does not know count as not there.
///
/// Returns `OK`, or `INVALID_ARGUMENT`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_handle_refused(
    sansio: *mut stayline_sansio,
    attempt: u64,
    refused: *const stayline_refused,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        let refused = structs::read(refused)?;
        let refused = Refused {
            status: (refused.status > 0).then_some(refused.status),
            refusal: refused.refusal.optional("refusal")?.and_then(Refusal::parse),
            execution_status: refused
                .execution_status
                .optional("execution_status")?
                .and_then(Status::parse),
            retry_after_ms: (refused.retry_after_ms > 0).then_some(refused.retry_after_ms),
            detail: refused.detail.optional_said("detail")?.unwrap_or_default().into_owned(),
        };
        machine.lock().handle_refused(attempt, refused, now_ms);
        Ok(())
    })
}

/// A connection is gone.
///
/// - `code`: the close code; 1006 where there was none.
/// - `reason`: may be none.
///
/// Returns `OK`, or `INVALID_ARGUMENT`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_handle_closed(
    sansio: *mut stayline_sansio,
    attempt: u64,
    code: u16,
    reason: stayline_view,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        let reason = reason.optional_said("reason")?.unwrap_or_default();
        machine.lock().handle_closed(attempt, code, &reason, now_ms);
        Ok(())
    })
}

/// A text frame from the coordinator.
///
/// Returns `OK`, or `INVALID_ARGUMENT`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_handle_frame(
    sansio: *mut stayline_sansio,
    attempt: u64,
    text: stayline_view,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        machine.lock().handle_frame(attempt, text.text("text")?, now_ms);
        Ok(())
    })
}

/// Handles everything that is due.
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_handle_timeout(
    sansio: *mut stayline_sansio,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        machine.lock().handle_timeout(now_ms);
        Ok(())
    })
}

/// A job begins (R49).
///
/// - `job`: with its execution.
///
/// Returns `OK`, `INVALID_ARGUMENT`, or `JOB_CONFLICT` while another is active. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_start_job(
    sansio: *mut stayline_sansio,
    job: *const stayline_job,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        Ok(machine.lock().start_job(job::job(job, None)?, now_ms)?)
    })
}

/// A prompt goes to the agent: the run is active until it is idle (R49).
///
/// - `out_message_id`: may be NULL. R50; yours, free it with `stayline_buffer_free`.
///
/// Returns `OK`, `INVALID_ARGUMENT` without a job and while the run is stopping, or `CLOSED` after
/// the end. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_begin_turn(
    sansio: *mut stayline_sansio,
    now_ms: i64,
    mut out_message_id: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_message_id);
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        let message_id = machine.lock().begin_turn(now_ms)?;
        if let Some(out_message_id) = out_message_id {
            out_message_id.write(stayline_buffer::of(&message_id)?);
        }
        Ok(())
    })
}

/// An event of the agent itself, for the `kilo` dialect (R51, R53, R54).
///
/// - `properties`: JSON; none: `{}`.
///
/// Returns `OK`, also after the end, when it means nothing any more; `INVALID_ARGUMENT` for
/// properties that are no JSON; `INVALID_EVENT`; or `FULL`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_handle_agent_event(
    sansio: *mut stayline_sansio,
    event_type: stayline_view,
    properties: stayline_view,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        let event_type = event_type.text("event_type")?;
        let properties = properties.optional("properties")?.unwrap_or("{}");
        Ok(machine.lock().handle_agent_event(event_type, properties, now_ms)?)
    })
}

/// The run is idle (R51), for hosts without a dialect.
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_handle_idle(
    sansio: *mut stayline_sansio,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        machine.lock().handle_idle(now_ms);
        Ok(())
    })
}

/// A post-completion task has ended (R51).
///
/// Returns `OK`, or `INVALID_ARGUMENT`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_handle_task_done(
    sansio: *mut stayline_sansio,
    name: stayline_view,
    ok: bool,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        machine.lock().handle_task_done(name.text("name")?, ok, now_ms);
        Ok(())
    })
}

/// What the signal `ABORT` asked for is done (R52).
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_handle_aborted(
    sansio: *mut stayline_sansio,
    now_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(sansio, out_error, |machine| {
        let now_ms = moment(now_ms, "now_ms")?;
        machine.lock().handle_aborted(now_ms);
        Ok(())
    })
}

/// The next thing to do.
///
/// - `out_action`: yours; free it with `stayline_action_free`. NULL: nothing until the next input.
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_poll_action(
    sansio: *mut stayline_sansio,
    out_action: Option<&mut MaybeUninit<Option<Box<stayline_action>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_action = required(out_action, "out_action");
    boundary::on(sansio, out_error, |machine| {
        let out_action = out_action?;
        out_action.set(machine.lock().poll_action().map(stayline_action::of));
        Ok(())
    })
}

/// When `stayline_sansio_handle_timeout` is to be called next, ms since the Unix epoch;
/// `STAYLINE_NONE`: not before another input. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_next_deadline(sansio: Option<&stayline_sansio>) -> i64 {
    boundary::look(sansio, STAYLINE_NONE, |machine| {
        machine.lock().next_deadline().unwrap_or(STAYLINE_NONE)
    })
}

/// Where the connection stands: a `stayline_wrapper_state`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_state(sansio: Option<&stayline_sansio>) -> i32 {
    boundary::look(sansio, stayline_wrapper_state::Closed as i32, |machine| {
        wrapper::state_number(machine.lock().state())
    })
}

/// Events that are held and have not been written. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_buffered(sansio: Option<&stayline_sansio>) -> u64 {
    boundary::look(sansio, 0, |machine| machine.lock().buffered())
}

/// Events that have been written and are not acknowledged; 0 in basic mode. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_unacknowledged(sansio: Option<&stayline_sansio>) -> u64 {
    boundary::look(sansio, 0, |machine| machine.lock().unacknowledged())
}

/// Connection attempts so far, over all executions. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_attempts(sansio: Option<&stayline_sansio>) -> u64 {
    boundary::look(sansio, 0, |machine| machine.lock().attempts())
}

/// The id of the present producer (R45a).
///
/// - `out_producer`: no text in basic mode and before the first open. Yours; free it with
///   `stayline_buffer_free`.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_producer(
    sansio: Option<&stayline_sansio>,
    out_producer: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_producer = required(out_producer, "out_producer");
    boundary::on(sansio, out_error, |machine| {
        let out_producer = out_producer?;
        out_producer.set(stayline_buffer::maybe(machine.lock().producer())?);
        Ok(())
    })
}

/// How it ended (R46).
///
/// - `out_outcome`: may be NULL; with its `struct_size` set.
/// - `out_error_text`: may be NULL. Why, for failed and interrupted executions; yours, free it
///   with `stayline_buffer_free`.
///
/// Returns as `stayline_wrapper_outcome`; `TIMEOUT`: it is not known yet. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_outcome(
    sansio: Option<&stayline_sansio>,
    out_outcome: *mut stayline_outcome,
    mut out_error_text: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_error_text);
    boundary::on(sansio, out_error, |machine| {
        structs::check_optional(out_outcome)?;
        let machine = machine.lock();
        let (status, error, unacknowledged) = match machine.outcome().ok_or(Error::Timeout)? {
            Outcome::Done { status, error, unacknowledged } => {
                (*status, error.clone(), *unacknowledged)
            }
            Outcome::Drained => (None, None, 0),
            gone @ (Outcome::Replaced | Outcome::Disconnected { .. } | Outcome::Closed { .. }) => {
                return Err(gone.as_error().into());
            }
        };
        sending::write_outcome(out_outcome, out_error_text, status, error, unacknowledged)
    })
}

/// Frees it; NULL is fine.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_sansio_free(sansio: Option<Box<stayline_sansio>>) {
    drop(sansio);
}

const SEED_BYTES: usize = 16;

fn random() -> Result<[u8; SEED_BYTES], Error> {
    let mut seed = [0; SEED_BYTES];
    // SAFETY: the buffer has the length that is told.
    let got = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0) };
    match usize::try_from(got) {
        Ok(SEED_BYTES) => Ok(seed),
        _ => Err(Error::LimitExceeded { limit: "the system's randomness", value: 1 }),
    }
}
