//! What the driver of a sans-IO wrapper has to do.

use stayline::Error;
use stayline::wrapper::Action;

use crate::boundary;
use crate::error::{OutError, stayline_status};
use crate::signal::stayline_signal;
use crate::structs::{self, Versioned, versioned};
use crate::text::stayline_view;

/// What an action asks for.
#[repr(i32)]
pub enum stayline_action_kind {
    /// Begin connection attempt `attempt`, and answer with `stayline_sansio_handle_opened` or
    /// `…_handle_refused`: `execution_id`, `protocol`, `producer`, both timeouts.
    Connect = 1,
    /// Send `text` as one text frame on connection `attempt`.
    Write = 2,
    /// Close connection `attempt` with `code` and `text`, or give up the attempt in flight; it may
    /// name one that is gone already. Code 1006: drop the socket, without a close handshake.
    Close = 3,
    /// Tell the host what `stayline_action_signal` says.
    Tell = 4,
}

/// The name of a kind of action: `connect`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_action_kind_name(kind: i32) -> stayline_view {
    stayline_view::numbered(&["connect", "write", "close", "tell"], kind)
}

/// One thing to do. It does not change; any thread may use it.
pub struct stayline_action {
    action: Action,
    signal: Option<stayline_signal>,
}

impl stayline_action {
    /// One that was polled.
    pub(crate) fn of(action: Action) -> Box<stayline_action> {
        let signal = match &action {
            Action::Tell(told) => Some(stayline_signal::of(told.clone())),
            _ => None,
        };
        Box::new(stayline_action { action, signal })
    }
}

/// What an action says. Set `struct_size`, and call `stayline_action_get`. Texts live as long as
/// the action.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_action_info {
    /// `sizeof(stayline_action_info)`.
    pub struct_size: usize,
    /// A `stayline_action_kind`.
    pub kind: i32,
    /// `CONNECT`: the protocol to ask for, 2; 0: basic mode, ask for none.
    pub protocol: u8,
    /// `CLOSE`: the close code.
    pub code: u16,
    /// Which connection; all that is said about it carries this number (R42).
    pub attempt: u64,
    /// `CONNECT`: the execution to attach to.
    pub execution_id: stayline_view,
    /// `CONNECT`: the producer to name; none in basic mode.
    pub producer: stayline_view,
    /// `CONNECT`: for TCP and TLS, ms (R48).
    pub dial_timeout_ms: i64,
    /// `CONNECT`: for the answer to the upgrade request, ms (R48).
    pub upgrade_timeout_ms: i64,
    /// `WRITE`: the frame. `CLOSE`: the reason.
    pub text: stayline_view,
}
versioned!(stayline_action_info {
    kind: 0,
    protocol: 0,
    code: 0,
    attempt: 0,
    execution_id: stayline_view::NONE,
    producer: stayline_view::NONE,
    dial_timeout_ms: 0,
    upgrade_timeout_ms: 0,
    text: stayline_view::NONE,
});

/// Reads what an action says.
///
/// - `out_info`: with its `struct_size` set.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_action_get(
    action: Option<&stayline_action>,
    out_info: *mut stayline_action_info,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::run(out_error, || {
        let action = action.ok_or_else(|| Error::invalid("the action is NULL"))?;
        let mut info = stayline_action_info::DEFAULT;
        match &action.action {
            Action::Connect {
                attempt,
                execution_id,
                protocol,
                producer,
                dial_timeout_ms,
                upgrade_timeout_ms,
            } => {
                info.kind = stayline_action_kind::Connect as i32;
                info.attempt = *attempt;
                info.execution_id = stayline_view::of(execution_id);
                info.protocol = protocol.unwrap_or(0);
                info.producer = stayline_view::maybe(producer.as_deref());
                info.dial_timeout_ms = *dial_timeout_ms;
                info.upgrade_timeout_ms = *upgrade_timeout_ms;
            }
            Action::Write { attempt, text } => {
                info.kind = stayline_action_kind::Write as i32;
                info.attempt = *attempt;
                info.text = stayline_view::of(text);
            }
            Action::Close { attempt, code, reason } => {
                info.kind = stayline_action_kind::Close as i32;
                info.attempt = *attempt;
                info.code = *code;
                info.text = stayline_view::of(reason);
            }
            Action::Tell(_) => info.kind = stayline_action_kind::Tell as i32,
        }
        Ok(structs::write(out_info, &info)?)
    })
}

/// What the host is to be told; NULL unless the kind is `TELL`. It belongs to the action, and
/// lives as long as it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_action_signal(
    action: Option<&stayline_action>,
) -> Option<&stayline_signal> {
    action.and_then(|action| action.signal.as_ref())
}

/// Frees an action; NULL is fine.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_action_free(action: Option<Box<stayline_action>>) {
    drop(action);
}
