//! A wrapper with its socket: where it connects to, how it stands, what it tells. What goes out is in
//! `sending`, the agent's run in `job`, what stands behind it in `hub`.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use stayline::Error;
use stayline::lock::Mutex;
use stayline::net::client::{Proxy, Wrapper, WrapperOptions};
use stayline::wake::Wake;
use stayline::wrapper::State;

use crate::bell::Bell;
use crate::boundary::{self, Guard, Object, object, required};
use crate::error::{Failure, OutError, stayline_status};
use crate::exit;
use crate::hub::Hub;
use crate::settings::{self, stayline_settings};
use crate::signal::stayline_signal;
use crate::structs::{self, Versioned};
use crate::text::stayline_view;

/// The side next to the agent, with its socket: it connects, reconnects, buffers and resends by
/// itself. Any thread may use it.
pub struct stayline_wrapper(boundary::Handle<Arc<Hub>>);
object!(stayline_wrapper, "wrapper", Arc<Hub>);

/// Where a wrapper connects to, as whom, and how it behaves. Begin with
/// `stayline_wrapper_options_default()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_wrapper_options<'a> {
    /// `sizeof(stayline_wrapper_options)`.
    pub struct_size: usize,
    /// The server's base address: `http://`, `https://`, `ws://` or `wss://`.
    pub url: stayline_view,
    /// The session.
    pub session_id: stayline_view,
    /// The execution.
    pub execution_id: stayline_view,
    /// The execution's token, or whatever the server's host asks for; may be none.
    pub token: stayline_view,
    /// Every bound and delay, copied; NULL: the defaults.
    pub settings: Option<&'a stayline_settings>,
    /// The first connection is retried like later ones (R48); default: it fails fast.
    pub retry_first: bool,
    /// The run is active from the beginning (default): a kill is told to the host, which stops the
    /// agent and answers with `stayline_wrapper_aborted` (R52). Hosts that give jobs and turns
    /// themselves switch it off.
    pub active: bool,
    /// Whether it goes through a proxy (`CONNECT`; TLS goes through it end to end): none or
    /// `environment` (default), as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say; `none`, never;
    /// or the address of one, `http://[USER:PASSWORD@]HOST[:PORT]`.
    pub proxy: stayline_view,
}

// SAFETY: as the macro `versioned` says; a lifetime keeps it from being used here.
unsafe impl Versioned for stayline_wrapper_options<'_> {
    const NAME: &'static str = "stayline_wrapper_options";
    const DEFAULT: Self = stayline_wrapper_options {
        struct_size: size_of::<stayline_wrapper_options<'_>>(),
        url: stayline_view::NONE,
        session_id: stayline_view::NONE,
        execution_id: stayline_view::NONE,
        token: stayline_view::NONE,
        settings: None,
        retry_first: false,
        active: true,
        proxy: stayline_view::NONE,
    };
}

/// Writes the defaults of `stayline_wrapper_open`: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_wrapper_options_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_options_init(
    options: *mut stayline_wrapper_options<'_>,
    struct_size: usize,
) {
    structs::init(options, struct_size);
}

/// Begins the first connection attempt and returns at once.
///
/// - `out_wrapper`: yours; free it with `stayline_wrapper_free`.
///
/// Returns:
/// - `OK`
/// - `INVALID_ARGUMENT`: an address or a proxy that is none; no session or execution id.
/// - `INVALID_SETTINGS`: settings that contradict each other (R24).
/// - `FORK_ERROR`: settings of the process that this one was forked from.
/// - `LIMIT_EXCEEDED`: no thread can be made.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_open(
    options: *const stayline_wrapper_options<'_>,
    out_wrapper: Option<&mut MaybeUninit<Option<Box<stayline_wrapper>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_wrapper = required(out_wrapper, "out_wrapper");
    boundary::run(out_error, || {
        let out_wrapper = out_wrapper?;
        let options = structs::read(options)?;
        let settings = settings::copied(options.settings)?;
        let url = options.url.text("url")?.to_owned();
        let session_id = options.session_id.text("session_id")?.to_owned();
        let execution_id = options.execution_id.text("execution_id")?.to_owned();
        exit::arrange();
        let core = Wrapper::open(WrapperOptions {
            url: url.clone(),
            session_id: session_id.clone(),
            execution_id: execution_id.clone(),
            token: options.token.optional("token")?.map(str::to_owned),
            proxy: Proxy::parse(options.proxy.optional("proxy")?.unwrap_or_default()),
            settings: settings.clone(),
            retry_first: options.retry_first,
            active: options.active,
        })?;
        let (bell, changes) = (Bell::new(), Bell::new());
        core.set_waker(Some(bell.waker()));
        core.set_change_waker(Some(changes.waker()));
        let (dismissed, callers) = (AtomicBool::new(false), Mutex::default());
        let hub = Hub {
            core,
            settings,
            url,
            session_id,
            execution_id,
            bell,
            changes,
            dismissed,
            callers,
        };
        out_wrapper.set(Some(stayline_wrapper::boxed(&Guard::new(), Arc::new(hub))));
        Ok(())
    })
}

/// The server's base address; it lives as long as the wrapper. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_url(wrapper: Option<&stayline_wrapper>) -> stayline_view {
    boundary::look(wrapper, stayline_view::NONE, |hub| stayline_view::of(&hub.url))
}

/// Its session; it lives as long as the wrapper. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_session_id(wrapper: Option<&stayline_wrapper>) -> stayline_view {
    boundary::look(wrapper, stayline_view::NONE, |hub| stayline_view::of(&hub.session_id))
}

/// Its execution; it lives as long as the wrapper. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_execution_id(
    wrapper: Option<&stayline_wrapper>,
) -> stayline_view {
    boundary::look(wrapper, stayline_view::NONE, |hub| stayline_view::of(&hub.execution_id))
}

/// A copy of its settings.
///
/// - `out_settings`: yours; free it with `stayline_settings_free`.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_settings(
    wrapper: Option<&stayline_wrapper>,
    out_settings: Option<&mut MaybeUninit<Option<Box<stayline_settings>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_settings = required(out_settings, "out_settings");
    boundary::on(wrapper, out_error, |hub| {
        let out_settings = out_settings?;
        out_settings.set(Some(settings::boxed(hub.settings.clone())));
        Ok(())
    })
}

/// Waits until it is connected.
///
/// - `timeout_ms`: 0: does not wait, below 0: for ever. The first connection fails fast by itself
///   unless `retry_first` is set (R48).
///
/// Returns:
/// - `OK`
/// - `TIMEOUT`: it is not, yet.
/// - `DISCONNECTED`: it gave up; the field `reason` says why.
/// - `SUPERSEDED`: another wrapper took over.
/// - `CLOSED`: it was closed, also while this call waited; or the execution has ended.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_wait_connected(
    wrapper: Option<&stayline_wrapper>,
    timeout_ms: i64,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(wrapper, out_error, |hub| {
        let look = || if_known(hub.core.wait_connected(Some(Duration::ZERO)));
        Ok(hub.wait_for_change(timeout_ms, look)?.ok_or(Error::Timeout)?)
    })
}

/// A file descriptor for event loops: readable when `stayline_wrapper_wait_connected`,
/// `stayline_wrapper_outcome` or `stayline_wrapper_try_send` may answer otherwise than before;
/// the former two with a timeout of 0 make it unreadable when they have nothing to say.
///
/// - `out_fd`: borrowed; it lives as long as the wrapper. Never read from it or close it.
///
/// Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_changes_fd(
    wrapper: Option<&stayline_wrapper>,
    out_fd: Option<&mut MaybeUninit<c_int>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_fd = required(out_fd, "out_fd");
    boundary::on(wrapper, out_error, |hub| {
        let out_fd = out_fd?;
        out_fd.set(hub.changes.descriptor()?);
        Ok(())
    })
}

/// Where a wrapper's connection stands.
#[repr(i32)]
pub enum stayline_wrapper_state {
    /// Never opened.
    Idle = 0,
    /// The first attempt is under way; in acknowledged mode until its `welcome`.
    Connecting = 1,
    /// Events go out.
    Connected = 2,
    /// The link broke; waiting for the next attempt, or making it.
    Reconnecting = 3,
    /// Over.
    Closed = 4,
}

/// The number of a state.
pub(crate) fn state_number(state: State) -> i32 {
    (match state {
        State::Idle => stayline_wrapper_state::Idle,
        State::Connecting => stayline_wrapper_state::Connecting,
        State::Connected => stayline_wrapper_state::Connected,
        State::Reconnecting => stayline_wrapper_state::Reconnecting,
        State::Closed => stayline_wrapper_state::Closed,
    }) as i32
}

/// The name of a state, as in every language: `reconnecting`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_state_name(state: i32) -> stayline_view {
    let all =
        [State::Idle, State::Connecting, State::Connected, State::Reconnecting, State::Closed];
    let found = all.into_iter().find(|one| state_number(*one) == state);
    stayline_view::maybe(found.map(State::as_str))
}

/// Where its connection stands: a `stayline_wrapper_state`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_state_get(wrapper: Option<&stayline_wrapper>) -> i32 {
    boundary::look(wrapper, stayline_wrapper_state::Closed as i32, |hub| {
        state_number(hub.core.state())
    })
}

/// Events not written yet. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_buffered(wrapper: Option<&stayline_wrapper>) -> u64 {
    boundary::look(wrapper, 0, |hub| hub.core.buffered())
}

/// Events written and not acknowledged yet; 0 in basic mode. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_unacknowledged(wrapper: Option<&stayline_wrapper>) -> u64 {
    boundary::look(wrapper, 0, |hub| hub.core.unacknowledged())
}

/// Connection attempts so far. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_attempts(wrapper: Option<&stayline_wrapper>) -> u64 {
    boundary::look(wrapper, 0, |hub| hub.core.attempts())
}

/// Times it came back. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_reconnects(wrapper: Option<&stayline_wrapper>) -> u64 {
    boundary::look(wrapper, 0, |hub| hub.core.reconnects())
}

/// The next thing that the wrapper tells.
///
/// - `timeout_ms`: how long to wait; 0: not at all, below 0: for ever.
/// - `out_signal`: yours; free it with `stayline_signal_free`. NULL: none in time, or there will
///   be no more, which `stayline_wrapper_is_finished` says.
///
/// Returns `OK`. Threads: any; each signal goes to one of those that take.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_next_signal(
    wrapper: *mut stayline_wrapper,
    timeout_ms: i64,
    out_signal: Option<&mut MaybeUninit<Option<Box<stayline_signal>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_signal = required(out_signal, "out_signal");
    boundary::on(wrapper, out_error, |hub| {
        let out_signal = out_signal?;
        let told = hub.bell.wait(timeout_ms, || hub.signal())?.flatten();
        out_signal.set(told.map(|told| Box::new(stayline_signal::of(told))));
        Ok(())
    })
}

/// A file descriptor for event loops: readable from a signal until a take with a timeout of 0
/// finds none, and for ever after the last.
///
/// - `out_fd`: borrowed; it lives as long as the wrapper. Never read from it or close it.
///
/// Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_fd(
    wrapper: Option<&stayline_wrapper>,
    out_fd: Option<&mut MaybeUninit<c_int>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_fd = required(out_fd, "out_fd");
    boundary::on(wrapper, out_error, |hub| {
        let out_fd = out_fd?;
        out_fd.set(hub.bell.descriptor()?);
        Ok(())
    })
}

/// Whether there will be no more signals, all being taken. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_is_finished(wrapper: Option<&stayline_wrapper>) -> bool {
    boundary::look(wrapper, true, |hub| hub.core.is_finished())
}

/// Closes, gives up what is unacknowledged, and returns once what was written before is out, at
/// most a few seconds later (R42). Waiting calls answer `CLOSED`. Closing again does nothing.
///
/// - `out_unacknowledged`: may be NULL. How many events were given up.
///
/// Returns `OK`. Threads: any, also while others wait.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_close(
    wrapper: *mut stayline_wrapper,
    mut out_unacknowledged: Option<&mut MaybeUninit<u64>>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::optional(&mut out_unacknowledged);
    boundary::on(wrapper, out_error, |hub| {
        let given_up = hub.core.close();
        hub.bell.wake();
        hub.changes.wake();
        if let Some(out_unacknowledged) = out_unacknowledged {
            out_unacknowledged.write(given_up);
        }
        Ok(())
    })
}

/// Frees it, which closes it without waiting for what is on its way; NULL is fine. Returns once its
/// kill callbacks have returned and are dropped; none begins any more.
///
/// Threads: any but one that runs a kill callback; nobody else may be using it, a kill callback
/// excepted.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_wrapper_free(wrapper: *mut stayline_wrapper) {
    boundary::free_after(wrapper, |hub| hub.dismiss());
}

/// `Timeout` of the core stands for "not known yet".
pub(crate) fn if_known<T>(looked: Result<T, Error>) -> Result<Option<T>, Failure> {
    match looked {
        Ok(known) => Ok(Some(known)),
        Err(Error::Timeout) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
