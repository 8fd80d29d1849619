//! Starting a program for `stayline run`: what Python's own ways cannot say, or only by running
//! Python code between fork and exec.

use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

/// No system has a signal of a higher number.
const HIGHEST_SIGNAL: libc::c_int = 128;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(_start_program, module)?)?;
    module.add_function(wrap_pyfunction!(_adopt_orphans, module)?)?;
    module.add_function(wrap_pyfunction!(_adopts_orphans, module)?)
}

/// Starts `program` (bytes) with `environment` and the descriptors as its stdin, stdout and
/// stderr; returns its process id. `group`: a process group of its own. `terminal`: it leads a
/// session whose terminal is its stdin. Where the system can, it is killed when the thread that
/// called this ends. Raises `OSError` when it cannot be started.
#[pyfunction]
#[pyo3(signature = (program, environment, descriptors, *, group, terminal))]
fn _start_program(
    program: Vec<Vec<u8>>,
    environment: Vec<(Vec<u8>, Vec<u8>)>,
    descriptors: [i32; 3],
    group: bool,
    terminal: bool,
) -> PyResult<u32> {
    let mut words = program.into_iter().map(OsString::from_vec);
    let name = words.next().ok_or_else(|| PyValueError::new_err("no program"))?;
    let mut command = Command::new(name);
    let named = |(name, value)| (OsString::from_vec(name), OsString::from_vec(value));
    command.args(words).env_clear().envs(environment.into_iter().map(named));
    let [stdin, stdout, stderr] = descriptors;
    command.stdin(duplicate(stdin)?).stdout(duplicate(stdout)?).stderr(duplicate(stderr)?);
    if group {
        command.process_group(0);
    }
    let parent = std::process::id();
    // SAFETY: between fork and exec it only makes system calls, and allocates nothing.
    unsafe {
        command.pre_exec(move || prepare(parent, terminal));
    }
    let child = command.spawn().map_err(as_os_error)?;
    Ok(child.id())
}

/// Runs in the child, before exec.
fn prepare(parent: u32, terminal: bool) -> io::Result<()> {
    // Python ignores it for itself, as it does SIGPIPE, which the standard library restores. What is
    // blocked here is blocked for the command line's own sake.
    // SAFETY: system calls on the process itself; no handler is installed.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
        forget_handlers();
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
    if terminal {
        // SAFETY: system calls on the process itself and on its stdin.
        let taken = unsafe { libc::setsid() != -1 && libc::ioctl(0, libc::TIOCSCTTY, 0) != -1 };
        if !taken {
            return Err(io::Error::last_os_error());
        }
    }
    end_with(parent);
    Ok(())
}

/// Until exec the handlers are Python's, which note a signal for an interpreter that does not run
/// here: one that comes for the program already would be lost. What is ignored stays ignored.
unsafe fn forget_handlers() {
    for number in 1..=HIGHEST_SIGNAL {
        // SAFETY: it asks the system, which refuses numbers that are no signals, and writes one
        // struct; nothing is allocated.
        unsafe {
            let mut action = std::mem::zeroed::<libc::sigaction>();
            let is_known = libc::sigaction(number, std::ptr::null(), &raw mut action) == 0;
            if is_known && ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction) {
                libc::signal(number, libc::SIG_DFL);
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn end_with(parent: u32) {
    // SAFETY: system calls on the process itself. Where they are not allowed, it goes on without.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // It may have ended before that.
        if libc::getppid().cast_unsigned() != parent {
            libc::_exit(128 + libc::SIGKILL);
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn end_with(_parent: u32) {}

/// Makes this process the parent of whatever its descendants leave behind, as the first process of
/// a container is; it must wait for them. False where the system has no such thing.
#[pyfunction]
fn _adopt_orphans() -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: a system call on the process itself.
    return unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 };
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return false;
}

/// Whether orphans come to this process already.
#[pyfunction]
fn _adopts_orphans() -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut is_set: libc::c_int = 0;
        // SAFETY: the kernel writes one integer.
        let asked = unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut is_set, 0, 0, 0) };
        std::process::id() == 1 || (asked == 0 && is_set == 1)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        std::process::id() == 1
    }
}

fn duplicate(descriptor: i32) -> PyResult<Stdio> {
    if descriptor < 0 {
        return Err(PyValueError::new_err(format!("no descriptor: {descriptor}")));
    }
    // SAFETY: it stays open during this call: the caller owns it.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    Ok(borrowed.try_clone_to_owned().map_err(as_os_error)?.into())
}

/// With its number, so that Python makes the right class of it.
fn as_os_error(error: io::Error) -> PyErr {
    let Some(number) = error.raw_os_error() else { return PyOSError::new_err(error.to_string()) };
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or(&text).to_owned();
    PyOSError::new_err((number, reason))
}
