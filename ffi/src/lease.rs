//! A lease on an execution (R38).

use std::mem::MaybeUninit;
use std::sync::Arc;

use stayline::coordinator::Session;
use stayline::session::records::Lease;

use crate::boundary::{self, Guard, Object, object, required};
use crate::error::{OutError, stayline_status};
use crate::home::Home;
use crate::session::{Held, stayline_session};
use crate::structs::{self, versioned};
use crate::text::stayline_view;

/// A lease as it was when it was taken or extended: it does not change. Any thread may use it.
pub struct stayline_lease(boundary::Handle<Taken>);
object!(stayline_lease, "lease", Taken);

/// What stands behind a lease.
pub(crate) struct Taken {
    session: Session,
    home: Arc<Home>,
    execution_id: String,
    lease: Lease,
}

impl stayline_lease {
    /// One that was taken or extended.
    pub(crate) fn of(
        guard: &Arc<Guard>,
        held: &Held,
        execution_id: &str,
        lease: Lease,
    ) -> Box<stayline_lease> {
        let taken = Taken {
            session: held.core.clone(),
            home: Arc::clone(&held.home),
            execution_id: execution_id.to_owned(),
            lease,
        };
        stayline_lease::boxed(guard, taken)
    }
}

/// What a lease says. Set `struct_size`, and call `stayline_lease_get`. Texts live as long as the
/// lease object.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_lease_info {
    /// `sizeof(stayline_lease_info)`.
    pub struct_size: usize,
    /// The execution.
    pub execution_id: stayline_view,
    /// Who holds it.
    pub lease_id: stayline_view,
    /// What for, in the host's words; may be none.
    pub message_id: stayline_view,
    /// Until when, ms since the Unix epoch; at that moment anyone may take it.
    pub expires_at_ms: i64,
}
versioned!(stayline_lease_info {
    execution_id: stayline_view::NONE,
    lease_id: stayline_view::NONE,
    message_id: stayline_view::NONE,
    expires_at_ms: 0,
});

/// Reads what a lease says.
///
/// - `out_info`: with its `struct_size` set.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_lease_get(
    lease: Option<&stayline_lease>,
    out_info: *mut stayline_lease_info,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(lease, out_error, |taken| {
        let info = stayline_lease_info {
            execution_id: stayline_view::of(&taken.execution_id),
            lease_id: stayline_view::of(&taken.lease.lease_id),
            message_id: stayline_view::maybe(taken.lease.message_id.as_deref()),
            expires_at_ms: taken.lease.expires_at,
            ..structs::Versioned::DEFAULT
        };
        Ok(structs::write(out_info, &info)?)
    })
}

/// Extends it by its time to live.
///
/// - `out_lease`: may be NULL. As it is now, a new object; yours.
///
/// Returns `OK`, `NOT_FOUND` (it has expired, or was given back), `WRONG_HOLDER`, `CLOSED`,
/// `STORE_ERROR`, or `STORE_UNKNOWN`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_lease_extend(
    lease: *mut stayline_lease,
    mut out_lease: Option<&mut MaybeUninit<Option<Box<stayline_lease>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_lease);
    boundary::on_guarded(lease, out_error, |guard, taken| {
        let extended = taken.session.extend_lease(&taken.execution_id, &taken.lease.lease_id)?;
        if let Some(out_lease) = out_lease {
            let held = Held { core: taken.session.clone(), home: Arc::clone(&taken.home) };
            out_lease.write(Some(stayline_lease::of(guard, &held, &taken.execution_id, extended)));
        }
        Ok(())
    })
}

/// Gives it back.
///
/// Returns `OK`, `NOT_FOUND` (it has expired, or was given back), `WRONG_HOLDER`, `CLOSED`,
/// `STORE_ERROR`, or `STORE_UNKNOWN`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_lease_release(
    lease: *mut stayline_lease,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(lease, out_error, |taken| {
        Ok(taken.session.release_lease(&taken.execution_id, &taken.lease.lease_id)?)
    })
}

/// Frees the object; NULL is fine. The lease itself stays until it is given back or expires.
///
/// Threads: any; nobody else may be using this object.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_lease_free(lease: Option<Box<stayline_lease>>) {
    drop(lease);
}

/// Takes the lease on an execution, or renews one's own (R38).
///
/// - `lease_id`: who takes it.
/// - `message_id`: what for, in the host's words; may be none.
/// - `out_lease`: yours; freeing it gives no lease back, `stayline_lease_release` does.
///
/// Returns:
/// - `OK`
/// - `ALREADY_HELD`: the fields `holder` and `expires_at` say by whom and until when.
/// - `INVALID_ARGUMENT`, `NOT_FOUND`, `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_lease(
    session: *mut stayline_session,
    execution_id: stayline_view,
    lease_id: stayline_view,
    message_id: stayline_view,
    out_lease: Option<&mut MaybeUninit<Option<Box<stayline_lease>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_lease = required(out_lease, "out_lease");
    boundary::on_guarded(session, out_error, |guard, held| {
        let out_lease = out_lease?;
        let (execution_id, lease_id) =
            (execution_id.text("execution_id")?, lease_id.text("lease_id")?);
        let message_id = message_id.optional("message_id")?;
        let lease = held.core.acquire_lease(execution_id, lease_id, message_id)?;
        out_lease.set(Some(stayline_lease::of(guard, held, execution_id, lease)));
        Ok(())
    })
}

/// Extends a lease by its time to live (R38), for whoever has its id and no `stayline_lease`.
///
/// - `out_lease`: may be NULL. As it is now; yours.
///
/// Returns `OK`, `NOT_FOUND` (none, or expired), `WRONG_HOLDER`, `CLOSED`, `STORE_ERROR`, or
/// `STORE_UNKNOWN`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_extend_lease(
    session: *mut stayline_session,
    execution_id: stayline_view,
    lease_id: stayline_view,
    mut out_lease: Option<&mut MaybeUninit<Option<Box<stayline_lease>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_lease);
    boundary::on_guarded(session, out_error, |guard, held| {
        let execution_id = execution_id.text("execution_id")?;
        let lease = held.core.extend_lease(execution_id, lease_id.text("lease_id")?)?;
        if let Some(out_lease) = out_lease {
            out_lease.write(Some(stayline_lease::of(guard, held, execution_id, lease)));
        }
        Ok(())
    })
}

/// Gives a lease back (R38), for whoever has its id and no `stayline_lease`.
///
/// Returns `OK`, `NOT_FOUND` (none, or expired), `WRONG_HOLDER`, `CLOSED`, `STORE_ERROR`, or
/// `STORE_UNKNOWN`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_release_lease(
    session: *mut stayline_session,
    execution_id: stayline_view,
    lease_id: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(session, out_error, |held| {
        let (execution_id, lease_id) =
            (execution_id.text("execution_id")?, lease_id.text("lease_id")?);
        Ok(held.core.release_lease(execution_id, lease_id)?)
    })
}
