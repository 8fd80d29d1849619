//! Notifications: what a host is told (R39).

use std::ptr;
use std::sync::Arc;

use stayline::session::records::{NotificationKind, NotificationRecord};

use crate::boundary::{self, Guard, Object, object};
use crate::error::{OutError, stayline_status};
use crate::execution;
use crate::home::Home;
use crate::structs::{self, versioned};
use crate::text::stayline_view;

/// What a notification tells (R39).
#[repr(i32)]
pub enum stayline_notification_kind {
    /// An execution became terminal.
    ExecutionEnded = 1,
    /// A session has been idle for `idle_after_ms` (R19).
    SessionIdle = 2,
    /// The wrapper's own ending came after the coordinator's (R10a).
    LateResult = 3,
}

/// One notification as it was when it was taken or listed: it does not change. Any thread may use
/// it.
pub struct stayline_notification(boundary::Handle<Told>);
object!(stayline_notification, "notification", Told);

/// What stands behind a notification.
pub(crate) struct Told {
    home: Arc<Home>,
    record: NotificationRecord,
}

impl stayline_notification {
    /// One of a coordinator.
    pub(crate) fn of(
        guard: &Arc<Guard>,
        home: &Arc<Home>,
        record: NotificationRecord,
    ) -> Box<stayline_notification> {
        stayline_notification::boxed(guard, Told { home: Arc::clone(home), record })
    }
}

/// What a notification says. Set `struct_size`, and call `stayline_notification_get`. Texts live
/// as long as the notification object.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_notification_info {
    /// `sizeof(stayline_notification_info)`.
    pub struct_size: usize,
    /// Its own id; the same at each delivery.
    pub id: stayline_view,
    /// A `stayline_notification_kind`.
    pub kind: i32,
    /// How it ended, a `stayline_execution_status`; for a late result, how the wrapper says it
    /// ended. 0: none.
    pub status: i32,
    /// The session it is about.
    pub session_id: stayline_view,
    /// The execution it is about; none for `SESSION_IDLE`.
    pub execution_id: stayline_view,
    /// Why it failed or was interrupted.
    pub error: stayline_view,
    /// The branch that the run named when it completed (R29).
    pub branch: stayline_view,
    /// The agent's own session id, where it is known (R30).
    pub agent_session_id: stayline_view,
    /// Which delivery this is, from 1.
    pub attempt: u32,
    /// All its deliveries are used up: it comes no more unless it is requeued.
    pub parked: bool,
    /// When it was enqueued, ms since the Unix epoch.
    pub created_at_ms: i64,
}
versioned!(stayline_notification_info {
    id: stayline_view::NONE,
    kind: 0,
    status: 0,
    session_id: stayline_view::NONE,
    execution_id: stayline_view::NONE,
    error: stayline_view::NONE,
    branch: stayline_view::NONE,
    agent_session_id: stayline_view::NONE,
    attempt: 0,
    parked: false,
    created_at_ms: 0,
});

/// Reads what a notification says.
///
/// - `out_info`: with its `struct_size` set.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_notification_get(
    notification: Option<&stayline_notification>,
    out_info: *mut stayline_notification_info,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(notification, out_error, |told| {
        let record = &told.record;
        let kind = match record.kind {
            NotificationKind::ExecutionEnded => stayline_notification_kind::ExecutionEnded,
            NotificationKind::SessionIdle => stayline_notification_kind::SessionIdle,
            NotificationKind::LateResult => stayline_notification_kind::LateResult,
        };
        let info = stayline_notification_info {
            id: stayline_view::of(&record.id),
            kind: kind as i32,
            status: execution::number_of(record.status),
            session_id: stayline_view::of(&record.session_id),
            execution_id: stayline_view::maybe(record.execution_id.as_deref()),
            error: stayline_view::maybe(record.error.as_deref()),
            branch: stayline_view::maybe(record.branch.as_deref()),
            agent_session_id: stayline_view::maybe(record.agent_session_id.as_deref()),
            attempt: record.attempt,
            parked: record.parked,
            created_at_ms: record.created_at,
            ..structs::Versioned::DEFAULT
        };
        Ok(structs::write(out_info, &info)?)
    })
}

/// The name of a kind, as in every language: `execution_ended`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_notification_kind_name(kind: i32) -> stayline_view {
    let found = match kind {
        1 => NotificationKind::ExecutionEnded,
        2 => NotificationKind::SessionIdle,
        3 => NotificationKind::LateResult,
        _ => return stayline_view::NONE,
    };
    stayline_view::of(found.as_str())
}

/// It was dealt with and does not come again.
///
/// Returns `OK`, `NOT_FOUND` when it was acknowledged before, `CLOSED`, `STORE_ERROR`, or
/// `STORE_UNKNOWN`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_notification_ack(
    notification: *mut stayline_notification,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(notification, out_error, |told| {
        Ok(told.home.coordinator.acknowledge_notification(&told.record.id)?)
    })
}

/// It could not be dealt with: it comes again later, unless this was its last delivery.
///
/// - `retry_in_ms`: how much later; 0: at once.
///
/// Returns `OK`, `NOT_FOUND` when it was acknowledged before, `INVALID_ARGUMENT` for a negative
/// time, `CLOSED`, `STORE_ERROR`, or `STORE_UNKNOWN`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_notification_nack(
    notification: *mut stayline_notification,
    retry_in_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(notification, out_error, |told| {
        Ok(told.home.coordinator.reject_notification(&told.record.id, retry_in_ms)?)
    })
}

/// Undoes a take whose notification nobody got to see: it is available at once, and the delivery
/// does not count.
///
/// Returns `OK`, `NOT_FOUND` when it was acknowledged before, `CLOSED`, `STORE_ERROR`, or
/// `STORE_UNKNOWN`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_notification_give_back(
    notification: *mut stayline_notification,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(notification, out_error, |told| {
        Ok(told.home.coordinator.give_back_notification(&told.record.id)?)
    })
}

/// Puts a parked one back into the queue, with all its deliveries.
///
/// Returns `OK`, `NOT_FOUND` when it was acknowledged before, `CLOSED`, `STORE_ERROR`, or
/// `STORE_UNKNOWN`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_notification_requeue(
    notification: *mut stayline_notification,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(notification, out_error, |told| {
        Ok(told.home.coordinator.requeue_notification(&told.record.id)?)
    })
}

/// Frees the object; NULL is fine. The notification itself comes again unless it was acknowledged.
///
/// Threads: any; nobody else may be using this object.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_notification_free(notification: Option<Box<stayline_notification>>) {
    drop(notification);
}

/// Several notifications. It does not change; any thread may use it.
pub struct stayline_notifications(boundary::Handle<Vec<stayline_notification>>);
object!(stayline_notifications, "list of notifications", Vec<stayline_notification>);

impl stayline_notifications {
    /// Those that were found.
    pub(crate) fn of(
        guard: &Arc<Guard>,
        home: &Arc<Home>,
        found: Vec<NotificationRecord>,
    ) -> Box<stayline_notifications> {
        let all = found.into_iter().map(|record| *stayline_notification::of(guard, home, record));
        stayline_notifications::boxed(guard, all.collect())
    }
}

/// How many there are. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_notifications_count(
    notifications: Option<&stayline_notifications>,
) -> usize {
    boundary::look(notifications, 0, Vec::len)
}

/// One of them, from 0; NULL beyond the last. It belongs to the list, and lives as long as it; it
/// can be acknowledged or requeued, but not freed. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_notifications_at(
    notifications: Option<&stayline_notifications>,
    index: usize,
) -> *mut stayline_notification {
    boundary::look(notifications, ptr::null_mut(), |list| {
        list.get(index).map_or(ptr::null_mut(), |found| ptr::from_ref(found).cast_mut())
    })
}

/// Frees the list and what is in it; NULL is fine.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_notifications_free(notifications: Option<Box<stayline_notifications>>) {
    drop(notifications);
}
