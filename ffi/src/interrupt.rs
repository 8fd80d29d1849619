//! Asking a run to stop (R11–R13).

use std::mem::MaybeUninit;

use stayline::coordinator::{InterruptGrace, Verdict};

use crate::boundary;
use crate::error::{OutError, stayline_status};
use crate::session::stayline_session;
use crate::structs::{self, versioned};
use crate::text::stayline_view;

/// As the setting `interrupt_grace_ms` says.
pub const STAYLINE_GRACE_DEFAULT: i64 = i64::MIN;
/// Never: neither SIGKILL nor a failure follows.
pub const STAYLINE_GRACE_NEVER: i64 = i64::MIN + 1;

/// How to interrupt. Begin with `stayline_interrupt_options_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_interrupt_options {
    /// `sizeof(stayline_interrupt_options)`.
    pub struct_size: usize,
    /// Which execution; none: the active one.
    pub execution_id: stayline_view,
    /// SIGKILL at once (R13).
    pub escalate: bool,
    /// From now to SIGKILL, ms; or `STAYLINE_GRACE_DEFAULT`, `STAYLINE_GRACE_NEVER`.
    pub grace_ms: i64,
}
versioned!(stayline_interrupt_options {
    execution_id: stayline_view::NONE,
    escalate: false,
    grace_ms: STAYLINE_GRACE_DEFAULT,
});

/// Writes the defaults of `stayline_session_interrupt`: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_interrupt_options_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_interrupt_options_init(
    options: *mut stayline_interrupt_options,
    struct_size: usize,
) {
    structs::init(options, struct_size);
}

/// The verdict on an interrupt (R11).
#[repr(i32)]
pub enum stayline_verdict {
    /// A link is attached: the kill goes out on it.
    Sent = 1,
    /// It goes out at attach.
    Latched = 2,
    /// There is nothing to stop any more.
    AlreadyTerminal = 3,
}

/// The number of a verdict.
fn verdict_number(verdict: Verdict) -> i32 {
    (match verdict {
        Verdict::Sent => stayline_verdict::Sent,
        Verdict::Latched => stayline_verdict::Latched,
        Verdict::AlreadyTerminal => stayline_verdict::AlreadyTerminal,
    }) as i32
}

/// The name of a verdict, as in every language: `already_terminal`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_verdict_name(verdict: i32) -> stayline_view {
    let all = [Verdict::Sent, Verdict::Latched, Verdict::AlreadyTerminal];
    let found = all.into_iter().find(|one| verdict_number(*one) == verdict);
    stayline_view::maybe(found.map(Verdict::as_str))
}

/// Asks the active execution, or the one named, to stop (R11, R13).
///
/// - `options`: NULL for the defaults.
/// - `out_verdict`: may be NULL. A `stayline_verdict`.
///
/// Returns:
/// - `OK`
/// - `NO_ACTIVE_EXECUTION`
/// - `NOT_FOUND`: an execution or session that is not known.
/// - `INVALID_ARGUMENT`, `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_interrupt(
    session: *mut stayline_session,
    options: *const stayline_interrupt_options,
    mut out_verdict: Option<&mut MaybeUninit<i32>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_verdict);
    boundary::on(session, out_error, |held| {
        let options = structs::read(options)?;
        let grace = match options.grace_ms {
            STAYLINE_GRACE_DEFAULT => InterruptGrace::Default,
            STAYLINE_GRACE_NEVER => InterruptGrace::Never,
            ms => InterruptGrace::After(ms),
        };
        let execution_id = options.execution_id.optional("execution_id")?;
        let verdict = held.core.interrupt(execution_id, options.escalate, grace)?;
        if let Some(out_verdict) = out_verdict {
            out_verdict.write(verdict_number(verdict));
        }
        Ok(())
    })
}

/// Takes an interrupt back (R13).
///
/// - `execution_id`: none: the active one.
///
/// Returns `OK`, `NO_ACTIVE_EXECUTION`, `NOT_FOUND`, `CLOSED`, `STORE_ERROR`, or `STORE_UNKNOWN`.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_clear_interrupt(
    session: *mut stayline_session,
    execution_id: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(session, out_error, |held| {
        Ok(held.core.clear_interrupt(execution_id.optional("execution_id")?)?)
    })
}
