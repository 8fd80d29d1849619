//! What every call goes through on its way in, and every handle is made of.
//!
//! No panic crosses: it becomes `STAYLINE_STATUS_PANIC`, and the handle it happened behind, with
//! all that share its [`Guard`], answers the same from then on. In a forked child a handle is
//! inert: calls answer `STAYLINE_STATUS_FORK_ERROR`, and freeing it lets go of its memory only.

use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stayline::Error;

use crate::error::{Failure, OutError, report, stayline_status};
use crate::{log, process};

/// What a body returns.
pub(crate) type Done = Result<(), Failure>;

/// What handles that belong together share: their process, and whether one of them panicked.
#[derive(Debug)]
pub(crate) struct Guard {
    process: u32,
    poisoned: AtomicBool,
}

impl Guard {
    /// For something new of this process.
    pub(crate) fn new() -> Arc<Guard> {
        Arc::new(Guard { process: process::current(), poisoned: AtomicBool::new(false) })
    }

    fn check(&self) -> Result<(), Error> {
        if self.process != process::current() {
            return Err(Error::ForkError { pid: self.process });
        }
        if self.poisoned.load(Ordering::Acquire) {
            return Err(Error::Panic { detail: "an earlier call on this object failed".into() });
        }
        if log::is_telling() {
            return Err(Error::invalid("a log callback must not use objects of this library"));
        }
        Ok(())
    }

    fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }
}

/// What an opaque pointer points to.
pub(crate) struct Handle<T> {
    guard: Arc<Guard>,
    value: ManuallyDrop<T>,
}

impl<T> Handle<T> {
    /// Something that shares the fate of what `guard` guards.
    pub(crate) fn new(guard: &Arc<Guard>, value: T) -> Handle<T> {
        Handle { guard: Arc::clone(guard), value: ManuallyDrop::new(value) }
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        if self.guard.process != process::current() {
            // The parent's: its threads are not here, and its locks may be held for ever.
            return;
        }
        let value = &mut self.value;
        let freed = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: this is the only place that drops it, once, and nobody sees it afterwards.
            unsafe { ManuallyDrop::drop(value) }
        }));
        if freed.is_err() {
            tracing::error!("freeing an object panicked; a part of it is left in memory");
        }
    }
}

/// An opaque type of the header.
pub(crate) trait Object {
    /// What stands behind it.
    type Value;
    /// Its noun, for error texts.
    const NOUN: &'static str;
    /// Its handle.
    fn handle(&self) -> &Handle<Self::Value>;
    /// The same as a new object for the caller.
    fn boxed(guard: &Arc<Guard>, value: Self::Value) -> Box<Self>;
}

/// A pointer to an object as it comes in. Objects are shared among threads whatever is done to
/// them; `T *` says that the call changes something, `const T *` that it does not.
pub(crate) trait Pointer<'a, O> {
    /// The object; `None` for NULL.
    fn object(self) -> Option<&'a O>;
}

impl<'a, O> Pointer<'a, O> for Option<&'a O> {
    fn object(self) -> Option<&'a O> {
        self
    }
}

impl<'a, O> Pointer<'a, O> for *mut O {
    fn object(self) -> Option<&'a O> {
        // SAFETY: the caller promises NULL, or an object that was not freed and is not being freed
        // during the call; whatever is changed behind it is behind a lock.
        unsafe { self.cast_const().as_ref() }
    }
}

/// Makes a type of the header an [`Object`].
macro_rules! object {
    ($name:ident, $noun:literal, $value:ty) => {
        impl $crate::boundary::Object for $name {
            type Value = $value;
            const NOUN: &'static str = $noun;
            fn handle(&self) -> &$crate::boundary::Handle<$value> {
                &self.0
            }
            fn boxed(guard: &std::sync::Arc<$crate::boundary::Guard>, value: $value) -> Box<Self> {
                Box::new($name($crate::boundary::Handle::new(guard, value)))
            }
        }
    };
}
pub(crate) use object;

/// Runs a function's body that needs no handle.
pub(crate) fn run(mut out_error: OutError<'_>, body: impl FnOnce() -> Done) -> stayline_status {
    if let Some(out_error) = &mut out_error {
        out_error.write(None);
    }
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => stayline_status::Ok,
        Ok(Err(failure)) => report(out_error, failure),
        Err(panic) => report(out_error, panicked(&*panic).into()),
    }
}

/// Runs a function's body behind a handle.
pub(crate) fn on<'a, O: Object + 'a>(
    object: impl Pointer<'a, O>,
    out_error: OutError<'_>,
    body: impl FnOnce(&O::Value) -> Done,
) -> stayline_status {
    on_guarded(object, out_error, |_, value| body(value))
}

/// The same, for a body that makes objects which share the guard.
pub(crate) fn on_guarded<'a, O: Object + 'a>(
    object: impl Pointer<'a, O>,
    out_error: OutError<'_>,
    body: impl FnOnce(&Arc<Guard>, &O::Value) -> Done,
) -> stayline_status {
    run(out_error, || {
        let Some(object) = object.object() else {
            return Err(Error::invalid(format!("the {} is NULL", O::NOUN)).into());
        };
        let Handle { guard, value } = object.handle();
        guard.check()?;
        match catch_unwind(AssertUnwindSafe(|| body(guard, value))) {
            Ok(done) => {
                // The core keeps its own panics in, and says so.
                if done.as_ref().is_err_and(Failure::is_panic) {
                    guard.poison();
                }
                done
            }
            Err(panic) => {
                guard.poison();
                Err(panicked(&*panic).into())
            }
        }
    })
}

/// A look that cannot fail: `otherwise` for NULL, in a forked child, and after a panic. What it
/// lends lives as long as the object.
pub(crate) fn look<'a, O: Object, T>(
    object: Option<&'a O>,
    otherwise: T,
    body: impl FnOnce(&'a O::Value) -> T,
) -> T
where
    O::Value: 'a,
{
    let Some(object) = object else { return otherwise };
    let Handle { guard, value } = object.handle();
    if guard.check().is_err() {
        return otherwise;
    }
    match catch_unwind(AssertUnwindSafe(|| body(value))) {
        Ok(found) => found,
        Err(_) => {
            guard.poison();
            otherwise
        }
    }
}

/// Frees an object behind `body`, during which others may still use it. In a forked child there
/// are no others.
pub(crate) fn free_after<O: Object>(object: *mut O, body: impl FnOnce(&O::Value)) {
    let Some(shared) = object.object() else { return };
    let Handle { guard, value } = shared.handle();
    // Also after a panic: others use it all the same.
    if guard.process == process::current() {
        plain((), || body(value));
    }
    // SAFETY: it was a box when the host got it, and it is the host's to free: nobody else uses it
    // from here on.
    drop(unsafe { Box::from_raw(object) });
}

/// What stands behind an object that is only read from to make another one, and may be left out;
/// a copy of it.
pub(crate) fn copied<O: Object, T>(
    object: Option<&O>,
    copy: impl FnOnce(&O::Value) -> T,
) -> Result<Option<T>, Error> {
    let Some(object) = object else { return Ok(None) };
    let Handle { guard, value } = object.handle();
    guard.check()?;
    Ok(Some(copy(value)))
}

/// Something that touches no handle's inside: only keeps panics in.
pub(crate) fn plain<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Where an output goes. Outputs are zeroed before a body runs, so that they are defined whatever
/// happens.
pub(crate) struct Out<'a, T>(&'a mut MaybeUninit<T>);

/// The place of an output that must be given, zeroed.
///
/// Every type of output is valid as zeroes: integers, booleans, views, buffers and nullable
/// pointers.
pub(crate) fn required<'a, T>(
    out: Option<&'a mut MaybeUninit<T>>,
    what: &str,
) -> Result<Out<'a, T>, Error> {
    let out = out.ok_or_else(|| Error::invalid(format!("{what} is NULL")))?;
    *out = MaybeUninit::zeroed();
    Ok(Out(out))
}

impl<T> Out<'_, T> {
    /// The output.
    pub(crate) fn set(self, value: T) {
        self.0.write(value);
    }
}

/// Zeroes an output that may be left out, and writes it later.
pub(crate) fn optional<T>(out: &mut Option<&mut MaybeUninit<T>>) {
    if let Some(out) = out {
        **out = MaybeUninit::zeroed();
    }
}

/// What was panicked with, as an error.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Error::Panic { detail: text.unwrap_or_else(|| "it panicked".to_owned()) }
}
