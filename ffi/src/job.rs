//! The agent's run, for hosts that give a wrapper jobs and turns (R49–R54).

use std::mem::MaybeUninit;

use stayline::Error;
use stayline::wrapper::Job;

use crate::boundary;
use crate::error::{OutError, stayline_status};
use crate::structs::{self, versioned};
use crate::text::{stayline_buffer, stayline_view};
use crate::wrapper::stayline_wrapper;

/// A job of the agent. Begin with `stayline_job_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_job {
    /// `sizeof(stayline_job)`.
    pub struct_size: usize,
    /// The execution it belongs to; a driven wrapper takes its own where there is none here.
    pub execution_id: stayline_view,
    /// The agent's root session, where it is known: only its idle ends the run (R51).
    pub agent_session: stayline_view,
    /// The post-completion tasks, run one after the other when the run is idle (R51).
    pub tasks: *const stayline_view,
    /// How many.
    pub tasks_count: usize,
    /// The branch that `complete` names; may be none.
    pub branch: stayline_view,
}
versioned!(stayline_job {
    execution_id: stayline_view::NONE,
    agent_session: stayline_view::NONE,
    tasks: std::ptr::null(),
    tasks_count: 0,
    branch: stayline_view::NONE,
});

/// Writes a job without anything: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_job_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_job_init(options: *mut stayline_job, struct_size: usize) {
    structs::init(options, struct_size);
}

/// Reads a job; NULL for one without anything.
pub(crate) fn job(job: *const stayline_job, own: Option<&str>) -> Result<Job, Error> {
    let job = structs::read(job)?;
    let given = job.execution_id.optional("execution_id")?;
    let execution_id = given.or(own).ok_or_else(|| Error::invalid("execution_id is NULL"))?;
    let tasks = structs::texts(job.tasks, job.tasks_count, "tasks")?;
    Ok(Job {
        execution_id: execution_id.to_owned(),
        agent_session: job.agent_session.optional("agent_session")?.map(str::to_owned),
        tasks: tasks.into_iter().map(str::to_owned).collect(),
        branch: job.branch.optional("branch")?.map(str::to_owned),
    })
}

/// A job begins (R49); for wrappers that were opened without `active`.
///
/// - `job`: NULL for one without anything.
///
/// Returns `OK`, `INVALID_ARGUMENT`, or `JOB_CONFLICT` while another is active. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_start_job(
    wrapper: *mut stayline_wrapper,
    job: *const stayline_job,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        Ok(hub.core.start_job(self::job(job, Some(&hub.execution_id))?)?)
    })
}

/// A prompt goes to the agent: the run is active until it is idle (R49).
///
/// - `out_message_id`: may be NULL. R50; yours, free it with `stayline_buffer_free`.
///
/// Returns `OK`, `INVALID_ARGUMENT` without a job and while the run is stopping, or `CLOSED` after
/// the end. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_begin_turn(
    wrapper: *mut stayline_wrapper,
    mut out_message_id: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_message_id);
    boundary::on(wrapper, out_error, |hub| {
        let message_id = hub.core.begin_turn()?;
        if let Some(out_message_id) = out_message_id {
            out_message_id.write(stayline_buffer::of(&message_id)?);
        }
        Ok(())
    })
}

/// An event of the agent itself, for the `kilo` dialect (R51, R53, R54).
///
/// - `event_type`: the agent's word.
/// - `properties`: JSON; none: `{}`.
///
/// Returns `OK`, also after the end, when it means nothing any more; `INVALID_ARGUMENT` for
/// properties that are no JSON; `INVALID_EVENT`; or `FULL`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_agent_event(
    wrapper: *mut stayline_wrapper,
    event_type: stayline_view,
    properties: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        let properties = properties.optional("properties")?.unwrap_or("{}");
        Ok(hub.core.agent_event(event_type.text("event_type")?, properties)?)
    })
}

/// The run is idle (R51): tasks run, `complete` goes out, it drains and closes. For hosts without
/// a dialect.
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_idle(
    wrapper: *mut stayline_wrapper,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        hub.core.idle();
        Ok(())
    })
}

/// A post-completion task has ended (R51).
///
/// - `name`: as the signal `TASK` gave it.
/// - `ok`: `false`: it failed, which becomes a non-fatal `error` event.
///
/// Returns `OK`, or `INVALID_ARGUMENT`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_task_done(
    wrapper: *mut stayline_wrapper,
    name: stayline_view,
    ok: bool,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        hub.core.task_done(name.text("name")?, ok);
        Ok(())
    })
}

/// What the signal `ABORT` asked for is done: the agent has stopped (R52).
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_aborted(
    wrapper: *mut stayline_wrapper,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        hub.core.aborted();
        Ok(())
    })
}
