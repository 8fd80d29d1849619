//! The end of the process: the threads for sockets, which live as long as the process does, end
//! before its memory is looked at by a leak checker, and before anything they use is gone.

/// Run by the loader after `main` or `exit`, behind the host's own `atexit` functions and
/// destructors, so that those may still use what they have. It does not run where a process ends
/// by `_exit` or a signal; nor at `dlclose`, which leaves the library where it is.
extern "C" fn at_exit() {
    // Nobody is left to be told of a panic, and it may not cross into C.
    let _ = std::panic::catch_unwind(stayline::net::shut_down);
}

#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".fini_array"))]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_term_func"))]
static AT_EXIT: extern "C" fn() = at_exit;

/// Called by what starts such threads: an archive gives a program only what something in it names.
pub(crate) fn arrange() {
    std::hint::black_box(&AT_EXIT);
}
