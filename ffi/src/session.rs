//! A session: what a host does with it and asks of it.

use std::mem::MaybeUninit;
use std::sync::Arc;

use stayline::Error;
use stayline::coordinator::{
    AttachOptions, Credential, FailOptions, Session, StartOptions, SubscribeOptions,
};
use stayline::protocol::Payload;

use crate::boundary::{self, Object, object, required};
use crate::clock::STAYLINE_NONE;
use crate::error::{OutError, stayline_status};
use crate::event::{self, stayline_event_filter, stayline_events};
use crate::execution::{self, stayline_execution, stayline_executions, stayline_health};
use crate::home::Home;
use crate::link::stayline_link;
use crate::session_snapshot::stayline_session_snapshot;
use crate::structs::{self, versioned};
use crate::subscription::{stayline_subscribe_options, stayline_subscription};
use crate::text::{stayline_buffer, stayline_view};

/// The unit of ownership: a conversation or workspace, named by an id. A handle on it; having one
/// creates nothing, and keeps the coordinator alive. Any thread may use it. What changes something
/// returns once that is durable (R27).
pub struct stayline_session(boundary::Handle<Held>);
object!(stayline_session, "session", Held);

/// What stands behind a session.
pub(crate) struct Held {
    /// The core's handle.
    pub(crate) core: Session,
    /// Its coordinator.
    pub(crate) home: Arc<Home>,
}

/// How to start an execution. Begin with `stayline_start_options_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_start_options {
    /// `sizeof(stayline_start_options)`.
    pub struct_size: usize,
    /// Its id, unique in the session; none: one is made (`exc_` + UUIDv7).
    pub execution_id: stayline_view,
    /// The host's word for the kind of run; none: none.
    pub mode: stayline_view,
    /// What the wrapper must bring; none: one is made.
    pub token: stayline_view,
}
versioned!(stayline_start_options {
    execution_id: stayline_view::NONE,
    mode: stayline_view::NONE,
    token: stayline_view::NONE,
});

/// Writes the defaults of `stayline_session_start`: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_start_options_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_start_options_init(
    options: *mut stayline_start_options,
    struct_size: usize,
) {
    structs::init(options, struct_size);
}

/// How to attach a link. Begin with `stayline_attach_options_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_attach_options {
    /// `sizeof(stayline_attach_options)`.
    pub struct_size: usize,
    /// The execution to attach to: the query's `executionId`.
    pub execution_id: stayline_view,
    /// What the wrapper brought, compared in constant time; none: nothing.
    pub token: stayline_view,
    /// The host has checked by itself: `token` is not looked at.
    pub trusted: bool,
    /// The wrapper asked for acknowledged mode (`Stayline-Protocol: 2`, R45).
    pub acknowledged: bool,
    /// In acknowledged mode: the query's `producer`.
    pub producer: stayline_view,
    /// In acknowledged mode: the query's `attempt`, from 1; 0: it had none.
    pub attempt: u64,
}
versioned!(stayline_attach_options {
    execution_id: stayline_view::NONE,
    token: stayline_view::NONE,
    trusted: false,
    acknowledged: false,
    producer: stayline_view::NONE,
    attempt: 0,
});

/// Writes the defaults of `stayline_session_attach`: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_attach_options_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_attach_options_init(
    options: *mut stayline_attach_options,
    struct_size: usize,
) {
    structs::init(options, struct_size);
}

/// How to fail an execution. Begin with `stayline_fail_options_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_fail_options {
    /// `sizeof(stayline_fail_options)`.
    pub struct_size: usize,
    /// The type of the event that tells it; none: `error` (R9).
    pub event_type: stayline_view,
    /// Further fields of that event, a JSON object; `error` and `fatal` cannot be overwritten.
    pub payload: stayline_view,
    /// No notification, since the caller handles it itself (R10).
    pub suppress_notification: bool,
    /// Only while no wrapper has attached: a launch that failed (R10). Otherwise nothing is done.
    pub only_pending: bool,
}
versioned!(stayline_fail_options {
    event_type: stayline_view::NONE,
    payload: stayline_view::NONE,
    suppress_notification: false,
    only_pending: false,
});

/// Writes the defaults of `stayline_session_fail`: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_fail_options_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_fail_options_init(
    options: *mut stayline_fail_options,
    struct_size: usize,
) {
    structs::init(options, struct_size);
}

/// Its id; it lives as long as the handle. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_id(session: Option<&stayline_session>) -> stayline_view {
    boundary::look(session, stayline_view::NONE, |held| stayline_view::of(held.core.id()))
}

/// Adds a pending execution, which is thereby the active one (R2).
///
/// - `options`: NULL for the defaults.
/// - `out_execution`: what was started, with the token that its wrapper must bring, told this one
///   time. Yours; free it with `stayline_execution_free`.
///
/// Returns:
/// - `OK`
/// - `EXECUTION_IN_PROGRESS`: another one is active; the field `active` names it.
/// - `ALREADY_EXISTS`: the id is taken.
/// - `INVALID_ARGUMENT`, `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_start(
    session: *mut stayline_session,
    options: *const stayline_start_options,
    out_execution: Option<&mut MaybeUninit<Option<Box<stayline_execution>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_execution = required(out_execution, "out_execution");
    boundary::on_guarded(session, out_error, |guard, held| {
        let out_execution = out_execution?;
        let options = structs::read(options)?;
        let owned = |view: &stayline_view, what: &str| {
            view.optional(what).map(|text| text.map(str::to_owned))
        };
        let started = held.core.start(StartOptions {
            execution_id: owned(&options.execution_id, "execution_id")?,
            mode: owned(&options.mode, "mode")?,
            token: owned(&options.token, "token")?,
        })?;
        let view = held.core.execution(&started.execution_id)?;
        out_execution.set(Some(stayline_execution::of(guard, held, view, Some(started.token))));
        Ok(())
    })
}

/// Attaches a link for a wrapper that connected to a socket of the host's (R3, R25, R26). A
/// refused attach changes nothing; `stayline_error_http_status` and `stayline_error_refusal` say
/// how to answer the handshake.
///
/// - `out_link`: yours; free it with `stayline_link_free`.
///
/// Returns, in the order of the checks:
/// - `OK`
/// - `INVALID_ARGUMENT`: no execution id; acknowledged without `producer` or `attempt`.
/// - `NOT_FOUND`: session or execution unknown.
/// - `UNAUTHORIZED`
/// - `EXECUTION_NOT_ACTIVE`: it has ended; the field `status` says how.
/// - `SUPERSEDED`: another wrapper has taken over, or a newer attempt of the same.
/// - `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_attach(
    session: *mut stayline_session,
    options: *const stayline_attach_options,
    out_link: Option<&mut MaybeUninit<Option<Box<stayline_link>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_link = required(out_link, "out_link");
    boundary::on_guarded(session, out_error, |guard, held| {
        let out_link = out_link?;
        let options = structs::read(options)?;
        let token = options.token.optional("token")?.map(str::to_owned);
        let link = held.core.attach_or_refuse(AttachOptions {
            execution_id: options.execution_id.text("execution_id")?.to_owned(),
            credential: match options.trusted {
                true => Credential::Trusted,
                false => Credential::Token(token),
            },
            acknowledged: options.acknowledged,
            producer: options.producer.optional("producer")?.map(str::to_owned),
            attempt: (options.attempt > 0).then_some(options.attempt),
        })?;
        out_link.set(Some(stayline_link::of(guard, held, link)));
        Ok(())
    })
}

/// Fails an execution through the one failure path (R7).
///
/// - `message`: becomes the execution's error.
/// - `options`: NULL for the defaults.
/// - `out_did`: may be NULL. Whether this call did it; `false`: it had ended already, and nothing
///   was changed.
///
/// Returns:
/// - `OK`
/// - `NOT_FOUND`
/// - `INVALID_ARGUMENT`: a payload that is no JSON object; an empty event type.
/// - `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_fail(
    session: *mut stayline_session,
    execution_id: stayline_view,
    message: stayline_view,
    options: *const stayline_fail_options,
    mut out_did: Option<&mut MaybeUninit<bool>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_did);
    boundary::on(session, out_error, |held| {
        let options = structs::read(options)?;
        let did = held.core.fail(
            execution_id.text("execution_id")?,
            FailOptions {
                message: message.said("message")?.into_owned(),
                event_type: options.event_type.optional("event_type")?.map(str::to_owned),
                payload: options.payload.optional("payload")?.map(Payload::parse).transpose()?,
                suppress_notification: options.suppress_notification,
                only_pending: options.only_pending,
            },
        )?;
        if let Some(out_did) = out_did {
            out_did.write(did);
        }
        Ok(())
    })
}

/// Ends a running execution in the host's name (R4).
///
/// - `status`: `STAYLINE_EXECUTION_STATUS_COMPLETED`, `…_FAILED` or `…_INTERRUPTED`.
/// - `message`: its error, for the latter two; may be none.
/// - `completed_at_ms`: when it ended (R5); `STAYLINE_NONE`: now.
///
/// Returns:
/// - `OK`
/// - `INVALID_TRANSITION`: it has ended, or cannot end so (R1).
/// - `INVALID_ARGUMENT`, `NOT_FOUND`, `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_finish(
    session: *mut stayline_session,
    execution_id: stayline_view,
    status: i32,
    message: stayline_view,
    completed_at_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(session, out_error, |held| {
        let status = execution::read_status(status)?
            .ok_or_else(|| Error::invalid("the status is 0; name how the execution ended"))?;
        let at = (completed_at_ms != STAYLINE_NONE).then_some(completed_at_ms);
        let message = message.optional_said("message")?;
        Ok(held.core.finish(execution_id.text("execution_id")?, status, message.as_deref(), at)?)
    })
}

/// A sign of life that the host has of the run (R14).
///
/// Returns `OK`, `NOT_FOUND`, `EXECUTION_NOT_ACTIVE`, `CLOSED`, `STORE_ERROR`, or `STORE_UNKNOWN`.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_heartbeat(
    session: *mut stayline_session,
    execution_id: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(session, out_error, |held| {
        Ok(held.core.heartbeat(execution_id.text("execution_id")?)?)
    })
}

/// Removes the session wholly and at once: the active execution is failed, links close with 4000,
/// streams end with a `deleted` record, rows go (R19a).
///
/// Returns `OK`, `NOT_FOUND`, `CLOSED`, `STORE_ERROR`, or `STORE_UNKNOWN`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_delete(
    session: *mut stayline_session,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(session, out_error, |held| Ok(held.core.delete()?))
}

/// The id of the active execution.
///
/// - `out_execution_id`: no text when none is active. Yours; free it with `stayline_buffer_free`.
///
/// Returns `OK`, `NOT_FOUND` for an unknown session, `CLOSED`, or `STORE_ERROR`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_active(
    session: Option<&stayline_session>,
    out_execution_id: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_execution_id = required(out_execution_id, "out_execution_id");
    boundary::on(session, out_error, |held| {
        let out_execution_id = out_execution_id?;
        out_execution_id.set(stayline_buffer::maybe(held.core.active()?.as_deref())?);
        Ok(())
    })
}

/// The session as it is committed.
///
/// - `out_snapshot`: yours; free it with `stayline_session_snapshot_free`.
///
/// Returns `OK`, `NOT_FOUND` for an unknown session, `CLOSED`, or `STORE_ERROR`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_snapshot_get(
    session: Option<&stayline_session>,
    out_snapshot: Option<&mut MaybeUninit<Option<Box<stayline_session_snapshot>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_snapshot = required(out_snapshot, "out_snapshot");
    boundary::on_guarded(session, out_error, |guard, held| {
        let out_snapshot = out_snapshot?;
        let view = held.core.view()?;
        out_snapshot.set(Some(stayline_session_snapshot::of_view(guard, held, view)));
        Ok(())
    })
}

/// One execution as it is committed.
///
/// - `out_execution`: yours; free it with `stayline_execution_free`.
///
/// Returns `OK`, `NOT_FOUND`, `CLOSED`, or `STORE_ERROR`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_execution(
    session: Option<&stayline_session>,
    execution_id: stayline_view,
    out_execution: Option<&mut MaybeUninit<Option<Box<stayline_execution>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_execution = required(out_execution, "out_execution");
    boundary::on_guarded(session, out_error, |guard, held| {
        let out_execution = out_execution?;
        let view = held.core.execution(execution_id.text("execution_id")?)?;
        out_execution.set(Some(stayline_execution::of(guard, held, view, None)));
        Ok(())
    })
}

/// Executions of the session, the newest first.
///
/// - `status`: only those of this `stayline_execution_status`; 0: all.
/// - `limit`: at most so many.
/// - `out_executions`: yours; free it with `stayline_executions_free`.
///
/// Returns `OK`, `INVALID_ARGUMENT`, `NOT_FOUND`, `CLOSED`, or `STORE_ERROR`. Threads: any. It may
/// wait for a disk.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_executions(
    session: Option<&stayline_session>,
    status: i32,
    limit: usize,
    out_executions: Option<&mut MaybeUninit<Option<Box<stayline_executions>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_executions = required(out_executions, "out_executions");
    boundary::on_guarded(session, out_error, |guard, held| {
        let out_executions = out_executions?;
        let found = held.core.executions(execution::read_status(status)?, limit)?;
        out_executions.set(Some(stayline_executions::of(guard, held, found)));
        Ok(())
    })
}

/// The status of an execution: what `stayline_session_execution` says, without an object.
///
/// - `execution_id`: none: the active one.
/// - `out_status`: a `stayline_execution_status`; 0: none is active.
///
/// Returns `OK`, `NOT_FOUND`, `CLOSED`, or `STORE_ERROR`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_status(
    session: Option<&stayline_session>,
    execution_id: stayline_view,
    out_status: Option<&mut MaybeUninit<i32>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_status = required(out_status, "out_status");
    boundary::on(session, out_error, |held| {
        let out_status = out_status?;
        out_status.set(match execution_id.optional("execution_id")? {
            None => execution::number_of(held.core.active_status()?),
            Some(id) => execution::number_of(Some(held.core.execution(id)?.record.status)),
        });
        Ok(())
    })
}

/// The health of an execution (R6).
///
/// - `out_health`: a `stayline_health`; `NONE` unless it is running.
///
/// Returns `OK`, `NOT_FOUND`, `CLOSED`, or `STORE_ERROR`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_health(
    session: Option<&stayline_session>,
    execution_id: stayline_view,
    out_health: Option<&mut MaybeUninit<i32>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_health = required(out_health, "out_health");
    boundary::on(session, out_error, |held| {
        let out_health = out_health?;
        let health = held.core.health(execution_id.text("execution_id")?)?;
        out_health.set(stayline_health::of(health) as i32);
        Ok(())
    })
}

/// Stored events: the past, read in bounded rounds as it is taken (R36).
///
/// - `filter`: NULL for all.
/// - `out_events`: yours; free it with `stayline_events_free`.
///
/// Returns `OK`, `INVALID_ARGUMENT`, `NOT_FOUND` for an unknown session, `CLOSED`, or
/// `STORE_ERROR`. Threads: any. It may wait for a disk.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_events(
    session: Option<&stayline_session>,
    filter: *const stayline_event_filter,
    out_events: Option<&mut MaybeUninit<Option<Box<stayline_events>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_events = required(out_events, "out_events");
    boundary::on_guarded(session, out_error, |guard, held| {
        let out_events = out_events?;
        let events = event::Reading::begin(held, event::filter(filter)?)?;
        out_events.set(Some(stayline_events::boxed(guard, events)));
        Ok(())
    })
}

/// How many stored events pass a filter.
///
/// - `filter`: NULL for all.
/// - `out_count`: its limit included.
///
/// Returns `OK`, `INVALID_ARGUMENT`, `NOT_FOUND` for an unknown session, `CLOSED`, or
/// `STORE_ERROR`. Threads: any. It may wait for a disk.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_count_events(
    session: Option<&stayline_session>,
    filter: *const stayline_event_filter,
    out_count: Option<&mut MaybeUninit<u64>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_count = required(out_count, "out_count");
    boundary::on(session, out_error, |held| {
        let out_count = out_count?;
        out_count.set(held.core.count_events(&event::filter(filter)?)?);
        Ok(())
    })
}

/// The past, and then what is live, each event once and in order (R35).
///
/// - `options`: NULL for everything from the beginning.
/// - `out_subscription`: yours; free it with `stayline_subscription_free`.
///
/// Returns `OK`; `INVALID_ARGUMENT`, also on a coordinator that only reads; `NOT_FOUND` for an
/// unknown session or `until`; `CLOSED`; or `STORE_ERROR`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_subscribe(
    session: Option<&stayline_session>,
    options: *const stayline_subscribe_options,
    out_subscription: Option<&mut MaybeUninit<Option<Box<stayline_subscription>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_subscription = required(out_subscription, "out_subscription");
    boundary::on_guarded(session, out_error, |guard, held| {
        let out_subscription = out_subscription?;
        let options = structs::read(options)?;
        let subscription = held.core.subscribe(SubscribeOptions {
            filter: event::filter(options.filter)?,
            epoch: options.epoch.optional("epoch")?.map(str::to_owned),
            live_only: options.live_only,
            until: options.until.optional("until")?.map(str::to_owned),
        })?;
        out_subscription.set(Some(stayline_subscription::of(guard, held, subscription)));
        Ok(())
    })
}

/// Frees the handle; NULL is fine. The session itself stays as it is.
///
/// Threads: any; nobody else may be using this handle.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_free(session: Option<Box<stayline_session>>) {
    drop(session);
}
