//! Attaching a link without waiting for it: for hosts whose threads drive sockets.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use stayline::Error;
use stayline::coordinator::{AttachRefusal, Link};
use stayline::lock::Mutex;
use stayline::wake::Wake;

use crate::bell::Bell;
use crate::boundary::{self, Guard, Object, object, required};
use crate::error::{Failure, OutError, stayline_status};
use crate::link::stayline_link;
use crate::request::{self, stayline_request};
use crate::session::{Held, stayline_session};

/// An attach that is being made by a thread of the coordinator's. Any thread may use it.
pub struct stayline_attaching(boundary::Handle<Attaching>);
object!(stayline_attaching, "attach", Attaching);

/// What stands behind it.
pub(crate) struct Attaching {
    guard: Arc<Guard>,
    held: Held,
    made: Arc<Made>,
}

/// What the thread and the host share.
#[derive(Default)]
struct Made {
    stage: Mutex<Stage>,
    bell: Bell,
}

#[derive(Default)]
enum Stage {
    #[default]
    UnderWay,
    Made(Result<Link, AttachRefusal>),
    /// The host has it, or does not want it any more.
    Over,
}

impl Made {
    fn set(&self, result: Result<Link, AttachRefusal>) {
        let mut stage = self.stage.lock();
        if matches!(*stage, Stage::UnderWay) {
            *stage = Stage::Made(result);
            drop(stage);
            self.bell.wake();
        }
        // Otherwise nobody wants it: the link closes with 1006.
    }

    fn look(&self) -> Result<Option<Link>, Failure> {
        let mut stage = self.stage.lock();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::UnderWay => {
                *stage = Stage::UnderWay;
                Ok(None)
            }
            Stage::Made(result) => Ok(Some(result?)),
            Stage::Over => Err(Error::closed("this attach has been answered").into()),
        }
    }
}

impl Drop for Attaching {
    fn drop(&mut self) {
        // A link that nobody has taken closes; the commit is made by another thread.
        let unwanted = std::mem::replace(&mut *self.made.stage.lock(), Stage::Over);
        drop(unwanted);
    }
}

/// Begins what `stayline_session_attach_request` does, and returns at once: a thread of the
/// coordinator's waits for the disk. Of those there are at most 8; what is more waits in a queue. What
/// the link is given later is committed by other threads, too (`stayline_link_try_receive`).
///
/// - `trusted`: the host has checked by itself: the request's token is not looked at.
/// - `out_attaching`: yours; free it with `stayline_attaching_free`.
///
/// Returns `OK`; `INVALID_ARGUMENT` as `stayline_session_attach_request`; or `LIMIT_EXCEEDED` when no
/// thread can be made. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_begin_attach(
    session: *mut stayline_session,
    request: Option<&stayline_request>,
    trusted: bool,
    out_attaching: Option<&mut MaybeUninit<Option<Box<stayline_attaching>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_attaching = required(out_attaching, "out_attaching");
    boundary::on_guarded(session, out_error, |guard, held| {
        let out_attaching = out_attaching?;
        let options = request::asked(request, trusted)?;
        let made = Arc::new(Made::default());
        let (own, session) = (Arc::clone(&made), held.core.clone());
        held.home.attaches.push(Box::new(move |finished: &dyn Fn()| {
            let attach = || session.attach_or_refuse(options).map(Link::led_elsewhere);
            let result = catch_unwind(AssertUnwindSafe(attach)).unwrap_or_else(|panic| {
                Err(AttachRefusal { error: boundary::panicked(&*panic), is_final: false })
            });
            finished();
            own.set(result);
        }))?;
        let held = Held { core: held.core.clone(), home: Arc::clone(&held.home) };
        let attaching = Attaching { guard: Arc::clone(guard), held, made };
        out_attaching.set(Some(stayline_attaching::boxed(guard, attaching)));
        Ok(())
    })
}

/// Takes the link, once.
///
/// - `timeout_ms`: 0: does not wait; below 0: for ever.
/// - `out_link`: yours; free it with `stayline_link_free`. NULL on `OK`: it is not there yet.
///
/// Returns as `stayline_session_attach`, and `CLOSED` after it has been answered. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_attaching_take(
    attaching: *mut stayline_attaching,
    timeout_ms: i64,
    out_link: Option<&mut MaybeUninit<Option<Box<stayline_link>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_link = required(out_link, "out_link");
    boundary::on(attaching, out_error, |attaching| {
        let out_link = out_link?;
        let link = attaching.made.bell.wait(timeout_ms, || attaching.made.look())?;
        out_link.set(link.map(|link| stayline_link::of(&attaching.guard, &attaching.held, link)));
        Ok(())
    })
}

/// A file descriptor for event loops: readable once `stayline_attaching_take` has an answer, and from
/// then on.
///
/// - `out_fd`: lent; it lives as long as the attach.
///
/// Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_attaching_fd(
    attaching: Option<&stayline_attaching>,
    out_fd: Option<&mut MaybeUninit<c_int>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_fd = required(out_fd, "out_fd");
    boundary::on(attaching, out_error, |attaching| {
        out_fd?.set(attaching.made.bell.descriptor()?);
        Ok(())
    })
}

/// Frees it; NULL is fine. A link that nobody has taken closes with 1006, then or when it is there.
/// It waits for nothing.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_attaching_free(attaching: Option<Box<stayline_attaching>>) {
    drop(attaching);
}
