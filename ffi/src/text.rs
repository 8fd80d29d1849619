//! The two kinds of text that cross: borrowed views and owned buffers.

use std::borrow::Cow;
use std::ffi::{c_char, c_void};

use stayline::Error;
use stayline::credentials::without_credentials;

use crate::boundary;

/// A borrowed piece of text: UTF-8, not NUL-terminated. `data` NULL: no text; `len` 0 with `data`
/// set: an empty one.
///
/// Given to a function it is read during the call only. Got from one it lives as long as what it
/// was got from, which the function's comment names.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_view {
    /// The first byte; NULL for no text.
    pub data: *const c_char,
    /// How many bytes.
    pub len: usize,
}

// SAFETY: a view is an address and a length; reading it is what needs care (`View::bytes`).
unsafe impl Send for stayline_view {}
// SAFETY: as above.
unsafe impl Sync for stayline_view {}

impl stayline_view {
    /// No text.
    pub(crate) const NONE: stayline_view = stayline_view { data: std::ptr::null(), len: 0 };

    /// A view of `text`, which must outlive it.
    pub(crate) fn of(text: &str) -> stayline_view {
        stayline_view { data: text.as_ptr().cast(), len: text.len() }
    }

    /// The same, or none.
    pub(crate) fn maybe(text: Option<&str>) -> stayline_view {
        text.map_or(stayline_view::NONE, stayline_view::of)
    }

    /// Of names that are numbered from 1 the one with this number, or none.
    pub(crate) fn numbered(names: &'static [&'static str], number: i32) -> stayline_view {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        stayline_view::maybe(index.and_then(|index| names.get(index)).copied())
    }

    /// The text, if there is one. `what` names the argument in the error, which shows the text too,
    /// unless it is a secret.
    pub(crate) fn optional(&self, what: &str) -> Result<Option<&str>, Error> {
        let Some(bytes) = self.bytes(what)? else { return Ok(None) };
        str::from_utf8(bytes).map(Some).map_err(|error| {
            let shown = match what {
                "key" | "proxy" | "ticket" | "token" => String::new(),
                "address" | "location" | "url" => {
                    format!(" \"{}\"", without_credentials(&written_out(bytes)))
                }
                _ => format!(" \"{}\"", written_out(bytes)),
            };
            Error::invalid(format!("{what}{shown} is not UTF-8 (at byte {})", error.valid_up_to()))
        })
    }

    /// A text for people, if there is one: what is not UTF-8 in it is written out, `\xff`. Whatever it
    /// says, what it tells of is told.
    pub(crate) fn optional_said(&self, what: &str) -> Result<Option<Cow<'_, str>>, Error> {
        let bytes = self.bytes(what)?;
        Ok(bytes.map(|bytes| match str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(written_out(bytes)),
        }))
    }

    /// A text for people; an error when there is none.
    pub(crate) fn said(&self, what: &str) -> Result<Cow<'_, str>, Error> {
        self.optional_said(what)?.ok_or_else(|| Error::invalid(format!("{what} is NULL")))
    }

    fn bytes(&self, what: &str) -> Result<Option<&[u8]>, Error> {
        if self.data.is_null() {
            return match self.len {
                0 => Ok(None),
                len => Err(Error::invalid(format!("{what} is NULL with a length of {len}"))),
            };
        }
        if self.len > isize::MAX as usize {
            return Err(Error::invalid(format!("{what} has a length of {}", self.len)));
        }
        // SAFETY: the caller promises `len` readable bytes at `data` for the length of the call
        // (header, "Text"), and nobody writes to them meanwhile.
        Ok(Some(unsafe { std::slice::from_raw_parts(self.data.cast::<u8>(), self.len) }))
    }

    /// The text; an error when there is none.
    pub(crate) fn text(&self, what: &str) -> Result<&str, Error> {
        self.optional(what)?.ok_or_else(|| Error::invalid(format!("{what} is NULL")))
    }
}

/// Bytes as text, those that are none as `\xff`.
fn written_out(bytes: &[u8]) -> String {
    let mut written = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        written.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| written.push_str(&format!("\\x{byte:02x}")));
    }
    written
}

/// Text that the caller owns and frees with `stayline_buffer_free`. UTF-8; a NUL follows it,
/// which `len` does not count. `data` NULL: no text.
#[repr(C)]
pub struct stayline_buffer {
    /// The first byte; NULL for no text.
    pub data: *mut c_char,
    /// How many bytes, without the NUL.
    pub len: usize,
}

impl stayline_buffer {
    /// No text.
    pub(crate) const NONE: stayline_buffer = stayline_buffer { data: std::ptr::null_mut(), len: 0 };

    /// A copy of `text`.
    pub(crate) fn of(text: &str) -> Result<stayline_buffer, Error> {
        // SAFETY: `malloc` may be called with any size; the result is looked at.
        let data = unsafe { libc::malloc(text.len() + 1) }.cast::<u8>();
        if data.is_null() {
            return Err(Error::LimitExceeded { limit: "memory", value: text.len() as u64 + 1 });
        }
        // SAFETY: `data` has room for the text and a NUL, and is new, so nothing overlaps.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), data, text.len());
            *data.add(text.len()) = 0;
        }
        Ok(stayline_buffer { data: data.cast(), len: text.len() })
    }

    /// The same, or none.
    pub(crate) fn maybe(text: Option<&str>) -> Result<stayline_buffer, Error> {
        text.map_or(Ok(stayline_buffer::NONE), stayline_buffer::of)
    }
}

/// Frees what a buffer holds and empties it, so that freeing it again does nothing.
///
/// - `buffer`: may be NULL, or empty.
///
/// Threads: any; one at a time for one buffer.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_buffer_free(buffer: Option<&mut stayline_buffer>) {
    let Some(buffer) = buffer else { return };
    let data = std::mem::replace(buffer, stayline_buffer::NONE).data;
    // SAFETY: it is NULL, or came from `malloc` in `stayline_buffer::of` and was not freed, since
    // freeing empties the buffer.
    unsafe { libc::free(data.cast::<c_void>()) };
}

/// A view of a NUL-terminated C string; no text for NULL.
///
/// - `text`: borrowed; the view lives as long as it.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_view_of(text: *const c_char) -> stayline_view {
    boundary::plain(stayline_view::NONE, || {
        if text.is_null() {
            return stayline_view::NONE;
        }
        // SAFETY: the caller promises a NUL-terminated string.
        let len = unsafe { std::ffi::CStr::from_ptr(text) }.count_bytes();
        stayline_view { data: text, len }
    })
}
