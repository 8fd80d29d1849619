//! Callbacks of the host: `{call, drop, user_data}`.

use std::ffi::c_void;

use stayline::Error;

/// A host's function with what belongs to it. It is called from threads of ours; `drop` is called
/// once, after every call has returned, and no call begins after it.
pub(crate) struct Callback<F: Copy> {
    call: F,
    drop: Option<extern "C" fn(user_data: *mut c_void)>,
    user_data: *mut c_void,
}

// SAFETY: the header says that callbacks are called from threads of ours, one or several at a
// time; the host answers for its function and its data.
unsafe impl<F: Copy> Send for Callback<F> {}
// SAFETY: as above.
unsafe impl<F: Copy> Sync for Callback<F> {}

impl<F: Copy> Callback<F> {
    /// Takes over what the host gave; from here on `drop` is called, whatever happens.
    pub(crate) fn new(
        call: Option<F>,
        drop: Option<extern "C" fn(user_data: *mut c_void)>,
        user_data: *mut c_void,
        what: &str,
    ) -> Result<Callback<F>, Error> {
        let Some(call) = call else {
            if let Some(drop) = drop {
                drop(user_data);
            }
            return Err(Error::invalid(format!("{what}.call is NULL")));
        };
        Ok(Callback { call, drop, user_data })
    }

    /// Calls it; `call` gets the function and its data.
    pub(crate) fn with<T>(&self, call: impl FnOnce(F, *mut c_void) -> T) -> T {
        call(self.call, self.user_data)
    }
}

impl<F: Copy> Drop for Callback<F> {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            drop(self.user_data);
        }
    }
}
