//! An execution as it was when it was read, and waiting for its end.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::{Arc, OnceLock};

use stayline::Error;
use stayline::coordinator::{ExecutionView, Health, Session, Watch};
use stayline::session::records::Status;

use crate::bell::Bell;
use crate::boundary::{self, Guard, Object, object, required};
use crate::clock::STAYLINE_NONE;
use crate::error::{Failure, OutError, stayline_status};
use crate::home::Home;
use crate::session::Held;
use crate::structs::{self, versioned};
use crate::text::stayline_view;

/// The status of an execution (R1). 0 stands for none.
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum stayline_execution_status {
    /// No wrapper has attached yet.
    Pending = 1,
    /// A wrapper has attached.
    Running = 2,
    /// Ended by itself.
    Completed = 3,
    /// Failed.
    Failed = 4,
    /// Stopped on request.
    Interrupted = 5,
}

/// The number of a status; 0 for none.
pub(crate) fn number_of(status: Option<Status>) -> i32 {
    let Some(status) = status else { return 0 };
    (match status {
        Status::Pending => stayline_execution_status::Pending,
        Status::Running => stayline_execution_status::Running,
        Status::Completed => stayline_execution_status::Completed,
        Status::Failed => stayline_execution_status::Failed,
        Status::Interrupted => stayline_execution_status::Interrupted,
    }) as i32
}

/// The status of a number; `None` for 0.
pub(crate) fn read_status(number: i32) -> Result<Option<Status>, Error> {
    if number == 0 {
        return Ok(None);
    }
    let found = Status::ALL.into_iter().find(|status| number_of(Some(*status)) == number);
    found.map(Some).ok_or_else(|| Error::invalid(format!("there is no execution status {number}")))
}

/// The name of a status, as in every language: `running`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_execution_status_name(status: i32) -> stayline_view {
    stayline_view::maybe(read_status(status).ok().flatten().map(Status::as_str))
}

/// The health of a running execution, from its last sign of life (R6).
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum stayline_health {
    /// It is not running.
    None = 0,
    /// A sign of life within `healthy_within_ms`.
    Healthy = 1,
    /// None for a while.
    Unknown = 2,
    /// None for longer than `stale_after_ms`: it is about to be failed.
    Stale = 3,
}

impl stayline_health {
    /// As it crosses.
    pub(crate) fn of(health: Option<Health>) -> stayline_health {
        match health {
            None => stayline_health::None,
            Some(Health::Healthy) => stayline_health::Healthy,
            Some(Health::Unknown) => stayline_health::Unknown,
            Some(Health::Stale) => stayline_health::Stale,
        }
    }
}

/// The name of a health, as in every language: `healthy`.
///
/// Returns a view that lives as long as the library; none for `NONE` and unknown ones. Threads:
/// any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_health_name(health: i32) -> stayline_view {
    let all = [Health::Healthy, Health::Unknown, Health::Stale];
    let found = all.into_iter().find(|one| stayline_health::of(Some(*one)) as i32 == health);
    stayline_view::maybe(found.map(Health::as_str))
}

/// One agent run, as it was when it was read: it does not change. Any thread may use it.
pub struct stayline_execution(boundary::Handle<Snapshot>);
object!(stayline_execution, "execution", Snapshot);

/// What stands behind an execution.
pub(crate) struct Snapshot {
    view: ExecutionView,
    token: Option<Arc<str>>,
    session: Session,
    home: Arc<Home>,
    watching: OnceLock<Watching>,
}

/// The watch on its end, set up when somebody first wants to wait for it.
struct Watching {
    watch: Watch,
    bell: Arc<Bell>,
}

impl stayline_execution {
    /// One that was read, or has just been started.
    pub(crate) fn of(
        guard: &Arc<Guard>,
        held: &Held,
        view: ExecutionView,
        token: Option<Arc<str>>,
    ) -> Box<stayline_execution> {
        let snapshot = Snapshot {
            view,
            token,
            session: held.core.clone(),
            home: Arc::clone(&held.home),
            watching: OnceLock::new(),
        };
        stayline_execution::boxed(guard, snapshot)
    }
}

impl Snapshot {
    fn id(&self) -> &Arc<str> {
        &self.view.record.id
    }

    fn watching(&self) -> Result<&Watching, Failure> {
        if self.watching.get().is_none() {
            let watch = self.session.watch(self.id())?;
            let bell = Bell::new();
            watch.set_waker(Some(bell.waker()));
            // Another thread may have been faster; then its watch stays.
            let _ = self.watching.set(Watching { watch, bell });
        }
        Ok(self.watching.get().ok_or_else(|| Error::closed("it is not watched"))?)
    }

    fn with_view(&self, view: ExecutionView) -> Snapshot {
        Snapshot {
            view,
            token: self.token.clone(),
            session: self.session.clone(),
            home: Arc::clone(&self.home),
            watching: OnceLock::new(),
        }
    }
}

/// What an execution says. Set `struct_size`, and call `stayline_execution_get`. Texts live as
/// long as the execution object; times are ms since the Unix epoch, `STAYLINE_NONE` for none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_execution_info {
    /// `sizeof(stayline_execution_info)`.
    pub struct_size: usize,
    /// Its id, unique in its session.
    pub id: stayline_view,
    /// Its session.
    pub session_id: stayline_view,
    /// What its wrapper must bring; only the object that `stayline_session_start` made has it, and
    /// those that were got from that one.
    pub token: stayline_view,
    /// The host's word for the kind of run.
    pub mode: stayline_view,
    /// A `stayline_execution_status`.
    pub status: i32,
    /// A `stayline_health`.
    pub health: i32,
    /// Why it failed or was interrupted (R5).
    pub error: stayline_view,
    /// The agent's own session id, where it is known (R30).
    pub agent_session_id: stayline_view,
    /// It was asked to stop, and has not ended (R11).
    pub interrupt_requested: bool,
    /// It runs without a link, in its disconnect grace (R20).
    pub grace: bool,
    /// Times its wrapper came back after a disconnect (R21).
    pub reconnects: u64,
    /// When it was started.
    pub created_at_ms: i64,
    /// When its first link was accepted.
    pub started_at_ms: i64,
    /// When it became terminal (R5).
    pub completed_at_ms: i64,
    /// The stored sign of life (R14).
    pub last_heartbeat_at_ms: i64,
    /// When its newest frame other than a heartbeat came: to the moment where this coordinator
    /// runs it, and once it has ended; else as far as it is stored (R14).
    pub last_event_at_ms: i64,
    /// When its wrapper was last heard of: to the moment where this coordinator runs it, else as
    /// far as it is stored, which is refreshed now and then (R14).
    pub last_seen_at_ms: i64,
    /// The integer `exitCode` of its wrapper's terminal event (R29); `STAYLINE_NONE` for none.
    pub exit_code: i64,
}
versioned!(stayline_execution_info {
    id: stayline_view::NONE,
    session_id: stayline_view::NONE,
    token: stayline_view::NONE,
    mode: stayline_view::NONE,
    status: 0,
    health: 0,
    error: stayline_view::NONE,
    agent_session_id: stayline_view::NONE,
    interrupt_requested: false,
    grace: false,
    reconnects: 0,
    created_at_ms: STAYLINE_NONE,
    started_at_ms: STAYLINE_NONE,
    completed_at_ms: STAYLINE_NONE,
    last_heartbeat_at_ms: STAYLINE_NONE,
    last_event_at_ms: STAYLINE_NONE,
    last_seen_at_ms: STAYLINE_NONE,
    exit_code: STAYLINE_NONE,
});

/// Reads what it says.
///
/// - `out_info`: with its `struct_size` set.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_execution_get(
    execution: Option<&stayline_execution>,
    out_info: *mut stayline_execution_info,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(execution, out_error, |snapshot| {
        let record = &snapshot.view.record;
        let time = |at: Option<i64>| at.unwrap_or(STAYLINE_NONE);
        let info = stayline_execution_info {
            id: stayline_view::of(&record.id),
            session_id: stayline_view::of(&snapshot.view.session_id),
            token: stayline_view::maybe(snapshot.token.as_deref()),
            mode: stayline_view::maybe(record.mode.as_deref()),
            status: number_of(Some(record.status)),
            health: stayline_health::of(snapshot.view.health) as i32,
            error: stayline_view::maybe(record.error.as_deref()),
            agent_session_id: stayline_view::maybe(record.agent_session_id.as_deref()),
            interrupt_requested: record.interrupt.is_some(),
            grace: record.grace.is_some(),
            reconnects: record.reconnects,
            created_at_ms: record.created_at,
            started_at_ms: time(record.started_at),
            completed_at_ms: time(record.completed_at),
            last_heartbeat_at_ms: time(record.last_heartbeat_at),
            last_event_at_ms: time(record.last_event_at),
            last_seen_at_ms: time(snapshot.view.last_seen_at),
            exit_code: record.exit_code.unwrap_or(STAYLINE_NONE),
            ..structs::Versioned::DEFAULT
        };
        Ok(structs::write(out_info, &info)?)
    })
}

/// The same execution as it is now.
///
/// - `out_execution`: a new object; yours, free it with `stayline_execution_free`.
///
/// Returns `OK`, `NOT_FOUND` when its session was deleted, `CLOSED`, or `STORE_ERROR`. Threads:
/// any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_execution_refresh(
    execution: Option<&stayline_execution>,
    out_execution: Option<&mut MaybeUninit<Option<Box<stayline_execution>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_execution = required(out_execution, "out_execution");
    boundary::on_guarded(execution, out_error, |guard, snapshot| {
        let out_execution = out_execution?;
        let view = snapshot.session.execution(snapshot.id())?;
        out_execution.set(Some(stayline_execution::boxed(guard, snapshot.with_view(view))));
        Ok(())
    })
}

/// Waits until it is terminal.
///
/// - `timeout_ms`: 0: does not wait, below 0: for ever.
/// - `out_execution`: may be NULL. As it ended, a new object; yours.
///
/// Returns:
/// - `OK`: it is terminal.
/// - `TIMEOUT`: it is not, yet.
/// - `NOT_FOUND`: its session was deleted meanwhile.
/// - `INVALID_ARGUMENT`: not terminal, on a coordinator that only reads and so hears of no end.
/// - `CLOSED`: the coordinator was closed, also while this call waited.
/// - `STORE_ERROR`
///
/// Threads: any; several may wait.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_execution_wait(
    execution: Option<&stayline_execution>,
    timeout_ms: i64,
    mut out_execution: Option<&mut MaybeUninit<Option<Box<stayline_execution>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_execution);
    boundary::on_guarded(execution, out_error, |guard, snapshot| {
        let watching = snapshot.watching()?;
        let ended = watching.bell.wait(timeout_ms, || Ok(watching.watch.poll()?))?;
        let view = ended.ok_or(Error::Timeout)?;
        if let Some(out_execution) = out_execution {
            let ended = stayline_execution::boxed(guard, snapshot.with_view(view));
            out_execution.write(Some(ended));
        }
        Ok(())
    })
}

/// A file descriptor for event loops: readable when it may have become terminal; then call
/// `stayline_execution_wait` with a timeout of 0.
///
/// - `out_fd`: borrowed; it lives as long as this object. Never read from it or close it.
///
/// Returns `OK`, `NOT_FOUND`, `CLOSED`, `STORE_ERROR`, `INVALID_ARGUMENT` as
/// `stayline_execution_wait`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads:
/// any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_execution_fd(
    execution: Option<&stayline_execution>,
    out_fd: Option<&mut MaybeUninit<c_int>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_fd = required(out_fd, "out_fd");
    boundary::on(execution, out_error, |snapshot| {
        let out_fd = out_fd?;
        out_fd.set(snapshot.watching()?.bell.descriptor()?);
        Ok(())
    })
}

/// Frees the object; NULL is fine. The execution itself stays as it is. Texts and the descriptor
/// that were got from the object end with it.
///
/// Threads: any; nobody else may be using this object.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_execution_free(execution: Option<Box<stayline_execution>>) {
    drop(execution);
}

/// Several executions. It does not change; any thread may use it.
pub struct stayline_executions(boundary::Handle<Vec<stayline_execution>>);
object!(stayline_executions, "list of executions", Vec<stayline_execution>);

impl stayline_executions {
    /// Those that were found.
    pub(crate) fn of(guard: &Arc<Guard>, held: &Held, found: Vec<ExecutionView>) -> Box<Self> {
        let all = found.into_iter().map(|view| *stayline_execution::of(guard, held, view, None));
        stayline_executions::boxed(guard, all.collect())
    }
}

/// How many there are. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_executions_count(executions: Option<&stayline_executions>) -> usize {
    boundary::look(executions, 0, Vec::len)
}

/// One of them, from 0; NULL beyond the last. It belongs to the list, and lives as long as it.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_executions_at(
    executions: Option<&stayline_executions>,
    index: usize,
) -> Option<&stayline_execution> {
    boundary::look(executions, None, |list| list.get(index))
}

/// Frees the list and what is in it; NULL is fine.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_executions_free(executions: Option<Box<stayline_executions>>) {
    drop(executions);
}
