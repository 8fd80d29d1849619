//! Which library this is.

use crate::text::stayline_view;

/// The version of the interface: raised when something that was there changes or goes. A host
/// compares it with `STAYLINE_ABI_VERSION` of the header it was built with.
pub const STAYLINE_ABI_VERSION: u32 = 1;

/// The version of the library's interface; see `STAYLINE_ABI_VERSION`.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_abi_version() -> u32 {
    STAYLINE_ABI_VERSION
}

/// The library's version, as `STAYLINE_VERSION` of the header: `0.1.0`.
///
/// Returns a view that lives as long as the library. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_version() -> stayline_view {
    stayline_view::of(env!("CARGO_PKG_VERSION"))
}
