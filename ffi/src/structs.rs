//! What C measures itself: structs that begin with `struct_size`, and arrays.

use std::ptr;
use std::sync::Arc;

use stayline::Error;

use crate::text::stayline_view;

/// A struct of the header that begins with `size_t struct_size`. New fields go at its end, so
/// that a caller built against an older header passes a shorter one.
///
/// # Safety
///
/// `repr(C)`, its first field is the `usize` size, and every other field is valid for whatever C
/// may have put there: integers, floats, `bool`, pointers, views, nullable functions.
pub(crate) unsafe trait Versioned: Copy {
    /// Its name in the header.
    const NAME: &'static str;
    /// What holds where the caller says nothing; its size is that of this version.
    const DEFAULT: Self;
}

/// Makes a struct [`Versioned`].
macro_rules! versioned {
    ($name:ident { $($field:ident: $default:expr),* $(,)? }) => {
        // SAFETY: stands next to the `repr(C)` struct, whose first field is its size; its other
        // fields are of the kinds that the trait lists.
        unsafe impl $crate::structs::Versioned for $name {
            const NAME: &'static str = stringify!($name);
            const DEFAULT: $name =
                $name { struct_size: std::mem::size_of::<$name>(), $($field: $default),* };
        }
    };
}
pub(crate) use versioned;

fn checked_size<T: Versioned>(size: usize) -> Result<usize, Error> {
    // At least the size and one field behind it.
    if size <= size_of::<usize>() {
        return Err(Error::invalid(format!(
            "{}.struct_size is {size}; set it to sizeof({})",
            T::NAME,
            T::NAME
        )));
    }
    if size > size_of::<T>() {
        return Err(Error::invalid(format!(
            "{}.struct_size is {size}, and this library knows {} bytes; the header is newer than \
             the library",
            T::NAME,
            size_of::<T>()
        )));
    }
    Ok(size)
}

/// Reads options; NULL stands for the default.
pub(crate) fn read<T: Versioned>(options: *const T) -> Result<T, Error> {
    if options.is_null() {
        return Ok(T::DEFAULT);
    }
    // SAFETY: the caller promises a struct that begins with its size.
    let size = unsafe { options.cast::<usize>().read() };
    let size = checked_size::<T>(size)?;
    let mut value = T::DEFAULT;
    // SAFETY: the caller promises `size` readable bytes, and `value` has at least as many; what
    // is copied is valid, by the trait's promise.
    unsafe {
        ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut value).cast::<u8>(), size);
    }
    Ok(value)
}

/// Writes the defaults, no further than the caller's version of the struct goes. A newer one than
/// this library's keeps its own size, and what is not known here is zero: whoever reads it says so.
pub(crate) fn init<T: Versioned>(out: *mut T, struct_size: usize) {
    if out.is_null() || struct_size < size_of::<usize>() {
        return;
    }
    let value = T::DEFAULT;
    let known = struct_size.min(size_of::<T>());
    // SAFETY: the caller promises `struct_size` writable bytes, `value` has at least `known`, and
    // the first field of both is the size.
    unsafe {
        ptr::write_bytes(out.cast::<u8>(), 0, struct_size);
        ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), out.cast::<u8>(), known);
        out.cast::<usize>().write(struct_size);
    }
}

/// Checks what will be written to, before something is waited for or done; NULL is fine.
pub(crate) fn check_optional<T: Versioned>(out: *const T) -> Result<(), Error> {
    if out.is_null() {
        return Ok(());
    }
    // SAFETY: the caller promises a struct that begins with its size.
    checked_size::<T>(unsafe { out.cast::<usize>().read() }).map(|_| ())
}

/// Writes what the caller's version of the struct has room for.
pub(crate) fn write<T: Versioned>(out: *mut T, value: &T) -> Result<(), Error> {
    if out.is_null() {
        return Err(Error::invalid(format!("the {} to write to is NULL", T::NAME)));
    }
    // SAFETY: the caller promises a struct that begins with its size.
    let size = unsafe { out.cast::<usize>().read() };
    let size = checked_size::<T>(size)?;
    let skip = size_of::<usize>();
    // SAFETY: the caller promises `size` writable bytes, and `value` has at least as many; the
    // size in front stays the caller's.
    unsafe {
        let from = (&raw const *value).cast::<u8>().add(skip);
        ptr::copy_nonoverlapping(from, out.cast::<u8>().add(skip), size - skip);
    }
    Ok(())
}

/// The items of an array; empty for a count of 0.
pub(crate) fn items<'a, T>(first: *const T, count: usize, what: &str) -> Result<&'a [T], Error> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() {
        return Err(Error::invalid(format!("{what} is NULL with a count of {count}")));
    }
    if count > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Error::invalid(format!("{what} has a count of {count}")));
    }
    // SAFETY: the caller promises `count` readable items for the length of the call, and the
    // result is not kept longer.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// The texts of an array.
pub(crate) fn texts<'a>(
    first: *const stayline_view,
    count: usize,
    what: &str,
) -> Result<Vec<&'a str>, Error> {
    items(first, count, what)?.iter().map(|text| text.text(what)).collect()
}

/// A list of names, where NULL stands for "all" and an empty one for "none".
pub(crate) fn names(
    first: *const stayline_view,
    count: usize,
    what: &str,
) -> Result<Option<Vec<Arc<str>>>, Error> {
    if first.is_null() && count == 0 {
        return Ok(None);
    }
    Ok(Some(texts(first, count, what)?.into_iter().map(Arc::from).collect()))
}
