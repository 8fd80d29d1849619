//! The coordinator: the side that owns sessions.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

use stayline::Error;
use stayline::coordinator::{Clock, Coordinator, Options};
use stayline::lock::Mutex;
use stayline::pool::Pool;
use stayline::store::faults::{Faults, Outcome};
use stayline::wake::Wake;

use crate::bell::Bell;
use crate::boundary::{self, Guard, Object, object, required};
use crate::clock::{self, STAYLINE_NONE, stayline_clock};
use crate::error::{OutError, stayline_status};
use crate::home::{ATTACHES, Home};
use crate::notification::{stayline_notification, stayline_notifications};
use crate::server::{self, stayline_server, stayline_server_options};
use crate::session::{Held, stayline_session};
use crate::session_snapshot::stayline_session_snapshots;
use crate::settings::{self, stayline_settings};
use crate::structs;
use crate::text::{stayline_buffer, stayline_view};

/// The side that owns sessions: status, event log, deadlines, subscribers, notifications.
///
/// It is closed by `stayline_coordinator_close`, or when the last object that was got from it is
/// freed. Any thread may use it.
pub struct stayline_coordinator(boundary::Handle<Arc<Home>>);
object!(stayline_coordinator, "coordinator", Arc<Home>);

/// How to open a coordinator. Begin with `stayline_coordinator_options_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_coordinator_options<'a> {
    /// `sizeof(stayline_coordinator_options)`.
    pub struct_size: usize,
    /// Every bound and delay, copied; NULL: the defaults.
    pub settings: Option<&'a stayline_settings>,
    /// Where time comes from, for tests; NULL: the system's clock.
    pub clock: Option<&'a stayline_clock>,
    /// Beside the store's owner, or without one: what would write is `INVALID_ARGUMENT`, nothing
    /// is recovered and no deadline is acted on. Takes no clock.
    pub read_only: bool,
}

// SAFETY: as the macro `versioned` says; a lifetime keeps it from being used here.
unsafe impl structs::Versioned for stayline_coordinator_options<'_> {
    const NAME: &'static str = "stayline_coordinator_options";
    const DEFAULT: Self = stayline_coordinator_options {
        struct_size: size_of::<stayline_coordinator_options<'_>>(),
        settings: None,
        clock: None,
        read_only: false,
    };
}

/// How a commit fails that is made to; for tests.
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum stayline_commit_outcome {
    /// Nothing is kept, and that is told.
    Lost = 1,
    /// It is kept, but the outcome is reported as unknown.
    UnknownKept = 2,
    /// It is not kept, and the outcome is reported as unknown.
    UnknownLost = 3,
    /// The commit panics, as if by a bug of ours: every call answers `PANIC` from then on.
    Panic = 4,
}

/// The name of a commit's outcome: `unknown_kept`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_commit_outcome_name(outcome: i32) -> stayline_view {
    stayline_view::numbered(&["lost", "unknown_kept", "unknown_lost", "panic"], outcome)
}

/// Writes the defaults of `stayline_coordinator_open`: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_coordinator_options_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_options_init(
    options: *mut stayline_coordinator_options<'_>,
    struct_size: usize,
) {
    structs::init(options, struct_size);
}

/// Opens a store and recovers what was active (R23) before it returns.
///
/// - `location`: `memory:`, or `sqlite:PATH`.
/// - `options`: NULL for the defaults.
/// - `out_coordinator`: yours; free it with `stayline_coordinator_free`.
///
/// Returns:
/// - `OK`
/// - `INVALID_ARGUMENT`: another location; a clock together with `read_only`.
/// - `INVALID_SETTINGS`: settings that contradict each other (R24).
/// - `STORE_IN_USE`: another coordinator owns the file; its fields say which.
/// - `STORE_FORMAT`, `STORE_ERROR`
/// - `FORK_ERROR`: settings or a clock of the process that this one was forked from.
/// - `LIMIT_EXCEEDED`: no thread can be made.
///
/// Threads: any. It may wait for a disk.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_open(
    location: stayline_view,
    options: *const stayline_coordinator_options<'_>,
    out_coordinator: Option<&mut MaybeUninit<Option<Box<stayline_coordinator>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_coordinator = required(out_coordinator, "out_coordinator");
    boundary::run(out_error, || {
        let out_coordinator = out_coordinator?;
        let location = location.text("location")?;
        let options = structs::read(options)?;
        let settings = settings::copied(options.settings)?;
        let (coordinator, faults) = if options.read_only {
            if options.clock.is_some() {
                return Err(Error::invalid("read_only takes no clock").into());
            }
            (Coordinator::open_read_only(location, settings)?, None)
        } else {
            let clock = clock::of(options.clock)?.map_or(Clock::System, Clock::Manual);
            let faults = Faults::new();
            let options = Options { settings, clock, faults: Some(faults.clone()) };
            (Coordinator::open(location, options)?, Some(faults))
        };
        let notified = Bell::new();
        coordinator.add_notification_waker(Arc::downgrade(&notified.waker()));
        let home = Home {
            coordinator,
            location: location.to_owned(),
            faults,
            notified,
            attaches: Pool::new("attaching a link", ATTACHES),
            servers: Mutex::new(Some(Vec::new())),
        };
        let coordinator = stayline_coordinator::boxed(&Guard::new(), Arc::new(home));
        out_coordinator.set(Some(coordinator));
        Ok(())
    })
}

/// Closes in order: what was handed over is committed, servers and links close with 1012, streams
/// end, waiting calls answer `CLOSED`, the store is released. Later calls on everything that was
/// got from it answer `CLOSED`. Closing again does nothing.
///
/// Returns `OK`. Threads: any, also while others use it; it waits for a disk and for its threads.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_close(
    coordinator: *mut stayline_coordinator,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(coordinator, out_error, |home| {
        home.close();
        Ok(())
    })
}

/// Ends it as a crash would: nothing is flushed and nobody is told; only the store is released.
/// For tests.
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_abandon(
    coordinator: *mut stayline_coordinator,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(coordinator, out_error, |home| {
        home.coordinator.abandon();
        home.notified.wake();
        Ok(())
    })
}

/// What it was opened with; it lives as long as the coordinator. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_location(
    coordinator: Option<&stayline_coordinator>,
) -> stayline_view {
    boundary::look(coordinator, stayline_view::NONE, |home| stayline_view::of(&home.location))
}

/// Whether it was opened to read only. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_is_read_only(
    coordinator: Option<&stayline_coordinator>,
) -> bool {
    boundary::look(coordinator, false, |home| home.coordinator.is_read_only())
}

/// Its time, ms since the Unix epoch; it never goes back (R18c). Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_now(coordinator: Option<&stayline_coordinator>) -> i64 {
    boundary::look(coordinator, STAYLINE_NONE, |home| home.coordinator.now())
}

/// A copy of its settings.
///
/// - `out_settings`: yours; free it with `stayline_settings_free`.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_settings(
    coordinator: Option<&stayline_coordinator>,
    out_settings: Option<&mut MaybeUninit<Option<Box<stayline_settings>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_settings = required(out_settings, "out_settings");
    boundary::on(coordinator, out_error, |home| {
        let out_settings = out_settings?;
        out_settings.set(Some(settings::boxed(home.coordinator.settings().clone())));
        Ok(())
    })
}

/// The next wake-up: the minimum of all pending deadlines, the expiry of leases aside (R18).
///
/// - `out_deadline_ms`: ms since the Unix epoch; `STAYLINE_NONE` when nothing is due ever.
///
/// Returns `OK`, `CLOSED`, or `STORE_ERROR`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_next_deadline(
    coordinator: Option<&stayline_coordinator>,
    out_deadline_ms: Option<&mut MaybeUninit<i64>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_deadline_ms = required(out_deadline_ms, "out_deadline_ms");
    boundary::on(coordinator, out_error, |home| {
        let out_deadline_ms = out_deadline_ms?;
        out_deadline_ms.set(home.coordinator.next_deadline()?.unwrap_or(STAYLINE_NONE));
        Ok(())
    })
}

/// Handles what is due now (R18a). With the system's clock a thread of ours does it by itself.
///
/// Returns `OK`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_handle_due(
    coordinator: *mut stayline_coordinator,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(coordinator, out_error, |home| {
        home.coordinator.handle_due();
        Ok(())
    })
}

/// Makes the next commit that has something to write fail; for tests.
///
/// - `outcome`: a `stayline_commit_outcome`.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for another outcome, and on one that only reads. Threads:
/// any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_fail_next_commit(
    coordinator: *mut stayline_coordinator,
    outcome: i32,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(coordinator, out_error, |home| {
        let faults = home.faults.as_ref();
        let faults =
            faults.ok_or_else(|| Error::invalid("a read-only coordinator commits nothing"))?;
        use stayline_commit_outcome::{Lost, Panic, UnknownKept, UnknownLost};
        let known = [Lost, UnknownKept, UnknownLost, Panic];
        match known.into_iter().find(|known| *known as i32 == outcome) {
            Some(Lost) => faults.fail_next_commit(Outcome::Lost),
            Some(UnknownKept) => faults.fail_next_commit(Outcome::UnknownKept),
            Some(UnknownLost) => faults.fail_next_commit(Outcome::UnknownLost),
            Some(Panic) => faults.before_commit(|_| panic!("a commit that was asked to panic")),
            None => {
                return Err(Error::invalid(format!("there is no commit outcome {outcome}")).into());
            }
        }
        Ok(())
    })
}

/// A handle on a session; creates nothing (R19a).
///
/// - `session_id`: 1 to `max_id_bytes` bytes, no control characters.
/// - `out_session`: yours; free it with `stayline_session_free`. It keeps the coordinator alive.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for an id that is none. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_session(
    coordinator: Option<&stayline_coordinator>,
    session_id: stayline_view,
    out_session: Option<&mut MaybeUninit<Option<Box<stayline_session>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_session = required(out_session, "out_session");
    boundary::on_guarded(coordinator, out_error, |guard, home| {
        let out_session = out_session?;
        let core = home.coordinator.session(session_id.text("session_id")?)?;
        out_session
            .set(Some(stayline_session::boxed(guard, Held { core, home: Arc::clone(home) })));
        Ok(())
    })
}

/// Sessions, the one with the newest activity first.
///
/// - `limit`: at most so many.
/// - `out_sessions`: yours; free it with `stayline_session_snapshots_free`.
///
/// Returns `OK`, `CLOSED`, or `STORE_ERROR`. Threads: any. It may wait for a disk.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_sessions(
    coordinator: Option<&stayline_coordinator>,
    limit: usize,
    out_sessions: Option<&mut MaybeUninit<Option<Box<stayline_session_snapshots>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_sessions = required(out_sessions, "out_sessions");
    boundary::on_guarded(coordinator, out_error, |guard, home| {
        let out_sessions = out_sessions?;
        let found = home.coordinator.sessions(limit)?;
        out_sessions.set(Some(stayline_session_snapshots::of(guard, home, found)?));
        Ok(())
    })
}

/// Takes the next notification, which leases it (R39): acknowledge it, or it comes again.
///
/// - `timeout_ms`: how long to wait; 0: not at all, below 0: for ever.
/// - `out_notification`: yours; free it with `stayline_notification_free`. NULL: none in time.
///
/// Returns:
/// - `OK`
/// - `CLOSED`: the coordinator was closed, also while this call waited.
/// - `STORE_ERROR`, `STORE_UNKNOWN`
///
/// Threads: any; each notification goes to one of those that wait.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_take_notification(
    coordinator: *mut stayline_coordinator,
    timeout_ms: i64,
    out_notification: Option<&mut MaybeUninit<Option<Box<stayline_notification>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_notification = required(out_notification, "out_notification");
    boundary::on_guarded(coordinator, out_error, |guard, home| {
        let out_notification = out_notification?;
        let taken = home
            .notified
            .wait(timeout_ms, || Ok(home.coordinator.take_notification(Some(Duration::ZERO))?))?;
        out_notification.set(taken.map(|record| stayline_notification::of(guard, home, record)));
        Ok(())
    })
}

/// A file descriptor for event loops: readable from a notification until a take with a timeout of
/// 0 finds none, and for ever once the coordinator is closed.
///
/// - `out_fd`: borrowed; it lives as long as the coordinator. Never read from it or close it.
///
/// Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_notification_fd(
    coordinator: Option<&stayline_coordinator>,
    out_fd: Option<&mut MaybeUninit<c_int>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_fd = required(out_fd, "out_fd");
    boundary::on(coordinator, out_error, |home| {
        let out_fd = out_fd?;
        out_fd.set(home.notified.descriptor()?);
        Ok(())
    })
}

/// Notifications that are not acknowledged, in order. Taking none of them.
///
/// - `parked_only`: only those whose deliveries are used up.
/// - `out_notifications`: yours; free it with `stayline_notifications_free`.
///
/// Returns `OK`, `CLOSED`, or `STORE_ERROR`. Threads: any. It may wait for a disk.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_notifications(
    coordinator: Option<&stayline_coordinator>,
    parked_only: bool,
    out_notifications: Option<&mut MaybeUninit<Option<Box<stayline_notifications>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_notifications = required(out_notifications, "out_notifications");
    boundary::on_guarded(coordinator, out_error, |guard, home| {
        let out_notifications = out_notifications?;
        let found = home.coordinator.notifications(parked_only)?;
        out_notifications.set(Some(stayline_notifications::of(guard, home, found)));
        Ok(())
    })
}

/// Serves wrappers, readers and REST at an address; see `docs/rest.md`.
///
/// - `address`: `127.0.0.1:8787`; port 0 takes a free one.
/// - `options`: NULL for the defaults. Its callback is taken over, and dropped, in any case.
/// - `out_server`: yours; freeing it closes it.
///
/// Returns:
/// - `OK`
/// - `INVALID_ARGUMENT`: an address that cannot be bound; anything but loopback without a key; a
///   base path that does not begin with `/`; a certificate or key that cannot be used.
/// - `CLOSED`
/// - `LIMIT_EXCEEDED`: no thread can be made.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_serve(
    coordinator: *mut stayline_coordinator,
    address: stayline_view,
    options: *const stayline_server_options,
    out_server: Option<&mut MaybeUninit<Option<Box<stayline_server>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    // Read first, so that the callback is dropped whatever is wrong with the rest.
    let options = server::options(options);
    let out_server = required(out_server, "out_server");
    boundary::on_guarded(coordinator, out_error, |guard, home| {
        let out_server = out_server?;
        let server = server::serve(home, address.text("address")?, options?)?;
        out_server.set(Some(stayline_server::boxed(guard, server)));
        Ok(())
    })
}

/// Makes a signed ticket that opens one session's stream: of the session that is there now, and no
/// later one of its name. It outlives a restart where the store is a file. May read the store.
///
/// - `ttl_ms`: for how long.
/// - `out_ticket`: yours; free it with `stayline_buffer_free`.
///
/// Returns `OK`, `NOT_FOUND` for an unknown session, `CLOSED`, `STORE_ERROR`, or `INVALID_ARGUMENT`
/// for a bad id or time. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_issue_ticket(
    coordinator: Option<&stayline_coordinator>,
    session_id: stayline_view,
    ttl_ms: i64,
    out_ticket: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_ticket = required(out_ticket, "out_ticket");
    boundary::on(coordinator, out_error, |home| {
        let out_ticket = out_ticket?;
        let ticket = home.coordinator.issue_ticket(session_id.text("session_id")?, ttl_ms)?;
        out_ticket.set(stayline_buffer::of(&ticket)?);
        Ok(())
    })
}

/// Checks a ticket. May read the store.
///
/// Returns `OK`, `UNAUTHORIZED` for one that is wrong, expired, or of another session or store, or
/// `STORE_ERROR` where that cannot be told now. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_verify_ticket(
    coordinator: Option<&stayline_coordinator>,
    session_id: stayline_view,
    ticket: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(coordinator, out_error, |home| {
        let (session_id, ticket) = (session_id.text("session_id")?, ticket.text("ticket")?);
        Ok(home.coordinator.verify_ticket(session_id, ticket)?)
    })
}

/// What it has done since it was opened and what it holds now, as the text that Prometheus reads.
///
/// - `out_text`: yours; free it with `stayline_buffer_free`.
///
/// Returns `OK`, or `CLOSED`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_metrics(
    coordinator: Option<&stayline_coordinator>,
    out_text: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_text = required(out_text, "out_text");
    boundary::on(coordinator, out_error, |home| {
        let out_text = out_text?;
        out_text.set(stayline_buffer::of(&home.coordinator.metrics()?.exposition())?);
        Ok(())
    })
}

/// Frees the handle; NULL is fine. The coordinator itself goes on until it is closed, or until the
/// last object that was got from it is freed, which closes it.
///
/// Threads: any; nobody else may be using this handle.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_coordinator_free(coordinator: Option<Box<stayline_coordinator>>) {
    drop(coordinator);
}
