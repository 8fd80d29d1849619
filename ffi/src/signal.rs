//! What a wrapper tells its host.

use std::sync::OnceLock;

use serde_json::Value;
use stayline::Error;
use stayline::protocol::outgoing::Signal;
use stayline::wrapper::Told;

use crate::boundary;
use crate::error::{OutError, stayline_status};
use crate::execution;
use crate::structs::{self, Versioned, versioned};
use crate::text::stayline_view;

/// What a signal tells.
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum stayline_signal_kind {
    /// The wait before attempt `attempt` begins (R41).
    Reconnecting = 1,
    /// The link is up again.
    Reconnected = 2,
    /// The wrapper has given up; `text` says why.
    Disconnected = 3,
    /// The execution has ended (R46): `status`, `text` (its error), `unacknowledged`.
    ExecutionDone = 4,
    /// Another wrapper has taken over (R46): stop.
    Replaced = 5,
    /// A frame from the coordinator that the wrapper has no use for (R52): `text` is its JSON.
    Command = 6,
    /// The agent's own event feed is silent: restart it (R53).
    RestartFeed = 7,
    /// Run the post-completion task named `text`, and answer with `…_task_done` (R51).
    Task = 8,
    /// Stop the agent by `kill_signal`, and answer with `…_aborted` (R46, R52).
    Abort = 9,
    /// Everything is sent and the link is closed (R51).
    Drained = 10,
}

/// How hard an agent is to be stopped. The numbers are POSIX's.
#[repr(i32)]
pub enum stayline_kill_signal {
    /// Insists.
    Kill = 9,
    /// Asks.
    Term = 15,
}

/// The number of a signal.
pub(crate) fn number_of(signal: Signal) -> i32 {
    (match signal {
        Signal::Term => stayline_kill_signal::Term,
        Signal::Kill => stayline_kill_signal::Kill,
    }) as i32
}

/// The name of a kill signal, as frames have it: `SIGTERM`.
///
/// Returns a view that lives as long as the library; none for another number. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_kill_signal_name(kill_signal: i32) -> stayline_view {
    let found = [Signal::Kill, Signal::Term].into_iter().find(|one| number_of(*one) == kill_signal);
    stayline_view::maybe(found.map(Signal::as_str))
}

/// One thing that a wrapper tells its host. It does not change; any thread may use it.
pub struct stayline_signal {
    told: Told,
    text: OnceLock<String>,
}

impl stayline_signal {
    /// One that was told.
    pub(crate) fn of(told: Told) -> stayline_signal {
        stayline_signal { told, text: OnceLock::new() }
    }

    fn command(&self, frame: &Value) -> stayline_view {
        stayline_view::of(self.text.get_or_init(|| frame.to_string()))
    }
}

/// What a signal says. Set `struct_size`, and call `stayline_signal_get`. The text lives as long
/// as the signal.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_signal_info {
    /// `sizeof(stayline_signal_info)`.
    pub struct_size: usize,
    /// A `stayline_signal_kind`.
    pub kind: i32,
    /// `EXECUTION_DONE`: a `stayline_execution_status`; 0 where it is not known.
    pub status: i32,
    /// `ABORT`: a `stayline_kill_signal`.
    pub kill_signal: i32,
    /// `RECONNECTING`: the attempt that is waited for, from 1.
    pub attempt: u32,
    /// `EXECUTION_DONE`: events that were not acknowledged and are discarded.
    pub unacknowledged: u64,
    /// The reason, the error, the task's name, or the command as JSON.
    pub text: stayline_view,
}
versioned!(stayline_signal_info {
    kind: 0,
    status: 0,
    kill_signal: 0,
    attempt: 0,
    unacknowledged: 0,
    text: stayline_view::NONE,
});

/// Reads what a signal says.
///
/// - `out_info`: with its `struct_size` set.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_signal_get(
    signal: Option<&stayline_signal>,
    out_info: *mut stayline_signal_info,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::run(out_error, || {
        let signal = signal.ok_or_else(|| Error::invalid("the signal is NULL"))?;
        let mut info = stayline_signal_info::DEFAULT;
        info.kind = kind_of(&signal.told) as i32;
        match &signal.told {
            Told::Reconnecting(attempt) => info.attempt = *attempt,
            Told::Disconnected { reason } => info.text = stayline_view::of(reason),
            Told::ExecutionDone { status, error, unacknowledged } => {
                info.status = execution::number_of(*status);
                info.text = stayline_view::maybe(error.as_deref());
                info.unacknowledged = *unacknowledged;
            }
            Told::Command(frame) => info.text = signal.command(frame),
            Told::Task { name } => info.text = stayline_view::of(name),
            Told::Abort { signal } => info.kill_signal = number_of(*signal),
            Told::Reconnected | Told::Replaced | Told::RestartFeed | Told::Drained => {}
        }
        Ok(structs::write(out_info, &info)?)
    })
}

/// The name of a kind, as in every language: `execution_done`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_signal_kind_name(kind: i32) -> stayline_view {
    const NAMES: [&str; 10] = [
        "reconnecting",
        "reconnected",
        "disconnected",
        "execution_done",
        "replaced",
        "command",
        "restart_feed",
        "task",
        "abort",
        "drained",
    ];
    stayline_view::numbered(&NAMES, kind)
}

/// Frees a signal; NULL is fine.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_signal_free(signal: Option<Box<stayline_signal>>) {
    drop(signal);
}

fn kind_of(told: &Told) -> stayline_signal_kind {
    match told {
        Told::Reconnecting(_) => stayline_signal_kind::Reconnecting,
        Told::Reconnected => stayline_signal_kind::Reconnected,
        Told::Disconnected { .. } => stayline_signal_kind::Disconnected,
        Told::ExecutionDone { .. } => stayline_signal_kind::ExecutionDone,
        Told::Replaced => stayline_signal_kind::Replaced,
        Told::Command(_) => stayline_signal_kind::Command,
        Told::RestartFeed => stayline_signal_kind::RestartFeed,
        Told::Task { .. } => stayline_signal_kind::Task,
        Told::Abort { .. } => stayline_signal_kind::Abort,
        Told::Drained => stayline_signal_kind::Drained,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_names_of_the_core() {
        let all = [
            Told::Reconnecting(1),
            Told::Reconnected,
            Told::Disconnected { reason: "x".into() },
            Told::ExecutionDone { status: None, error: None, unacknowledged: 0 },
            Told::Replaced,
            Told::Command(Value::Null),
            Told::RestartFeed,
            Told::Task { name: "x".into() },
            Told::Abort { signal: Signal::Kill },
            Told::Drained,
        ];
        for told in all {
            let name = stayline_signal_kind_name(kind_of(&told) as i32);
            assert_eq!(name.text("name").unwrap(), told.name());
        }
    }
}
