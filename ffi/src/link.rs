//! A link: one connection from a wrapper, on a socket of the host's.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::Arc;

use stayline::Error;
use stayline::coordinator::{Link, Output};

use crate::bell::Bell;
use crate::boundary::{self, Guard, Object, object, required};
use crate::error::{Failure, OutError, stayline_status};
use crate::home::Home;
use crate::session::Held;
use crate::structs::{self, versioned};
use crate::text::{stayline_buffer, stayline_view};

/// One connection from a wrapper. Give it what the socket receives, write what it puts out, and
/// say when the socket is gone. Freed without that, it counts as closed with 1006. Any thread may
/// use it.
pub struct stayline_link(boundary::Handle<Attached>);
object!(stayline_link, "link", Attached);

/// What stands behind a link.
pub(crate) struct Attached {
    // Before the coordinator: a link that is dropped tells it.
    link: Link,
    bell: Arc<Bell>,
    _home: Arc<Home>,
}

impl stayline_link {
    /// One that was accepted.
    pub(crate) fn of(guard: &Arc<Guard>, held: &Held, link: Link) -> Box<stayline_link> {
        let bell = Bell::new();
        link.set_waker(Some(bell.waker()));
        stayline_link::boxed(guard, Attached { link, bell, _home: Arc::clone(&held.home) })
    }
}

/// The execution it belongs to; it lives as long as the link. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_execution_id(link: Option<&stayline_link>) -> stayline_view {
    boundary::look(link, stayline_view::NONE, |held| stayline_view::of(held.link.execution_id()))
}

/// The session it belongs to; it lives as long as the link. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_session_id(link: Option<&stayline_link>) -> stayline_view {
    boundary::look(link, stayline_view::NONE, |held| stayline_view::of(held.link.session_id()))
}

/// Whether it is in acknowledged mode (R45): then answer the handshake with the header
/// `Stayline-Protocol: 2`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_is_acknowledged(link: Option<&stayline_link>) -> bool {
    boundary::look(link, false, |held| held.link.is_acknowledged())
}

/// Hands one text frame over. It does not wait for its commit, only while the link is congested.
/// A frame that is refused is answered on the link and is no error here (R28).
///
/// - `text`: one frame, read during the call.
///
/// Returns:
/// - `OK`
/// - `INVALID_ARGUMENT`: NULLs, or no UTF-8: close the socket, a text frame cannot be so.
/// - `CLOSED`: the coordinator was closed, also while this call waited.
///
/// Threads: any; frames keep the order of calls that follow one another.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_receive(
    link: *mut stayline_link,
    text: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(link, out_error, |held| Ok(held.link.receive(text.text("text")?)?))
}

/// Hands several text frames over, as one batch.
///
/// - `texts`, `count`: in order, read during the call.
///
/// Returns as `stayline_link_receive`; when a text is refused, none was handed over. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_receive_many(
    link: *mut stayline_link,
    texts: *const stayline_view,
    count: usize,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(link, out_error, |held| {
        Ok(held.link.receive_many(&structs::texts(texts, count, "texts")?)?)
    })
}

/// Hands several text frames over unless the link is congested; never waits. For event loops:
/// where it took nothing, read no more from the socket until `stayline_link_is_congested` is false;
/// `stayline_link_fd` becomes readable then. Look at it after the take that found no output, not
/// before: that take makes the descriptor unreadable.
///
/// - `out_taken`: all or nothing.
///
/// Returns `OK`, `INVALID_ARGUMENT`, or `CLOSED`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_try_receive(
    link: *mut stayline_link,
    texts: *const stayline_view,
    count: usize,
    out_taken: Option<&mut MaybeUninit<bool>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_taken = required(out_taken, "out_taken");
    boundary::on(link, out_error, |held| {
        let out_taken = out_taken?;
        let texts = structs::texts(texts, count, "texts")?;
        let free = !held.link.is_congested();
        if free {
            held.link.submit(&texts)?;
        }
        out_taken.set(free);
        Ok(())
    })
}

/// Says that a binary frame came, which is refused and answered on the link (R28).
///
/// - `bytes`: its size.
///
/// Returns `OK`, or `CLOSED`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_receive_binary(
    link: *mut stayline_link,
    bytes: usize,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(link, out_error, |held| Ok(held.link.receive_binary(bytes)?))
}

/// Whether the next `stayline_link_receive` would wait. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_is_congested(link: Option<&stayline_link>) -> bool {
    boundary::look(link, false, |held| held.link.is_congested())
}

/// Says that the socket is gone, by whomever; starts the grace of the execution when this was its
/// last link (R20). Whoever waits for outputs is let go. Saying it again does nothing.
///
/// - `code`: the close code; 1006 where there was none.
/// - `reason`: may be none.
///
/// Returns `OK`, also after the coordinator's end, or `INVALID_ARGUMENT`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_closed(
    link: *mut stayline_link,
    code: u16,
    reason: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(link, out_error, |held| {
        match held.link.closed(code, &reason.optional_said("reason")?.unwrap_or_default()) {
            // The coordinator has closed it before.
            Err(Error::Closed { .. }) => Ok(()),
            told => Ok(told?),
        }
    })
}

/// What is to be done to the socket.
#[repr(i32)]
pub enum stayline_output_kind {
    /// Send `text` as one text frame.
    Send = 1,
    /// Close with `code` and `text` as the reason; it is the last output.
    Close = 2,
}

/// The name of a kind of output: `send`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_output_kind_name(kind: i32) -> stayline_view {
    stayline_view::numbered(&["send", "close"], kind)
}

/// One output of a link. It does not change; any thread may use it.
pub struct stayline_output(Output);

/// What an output says. Set `struct_size`, and call `stayline_output_get`. The text lives as long
/// as the output.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_output_info {
    /// `sizeof(stayline_output_info)`.
    pub struct_size: usize,
    /// A `stayline_output_kind`.
    pub kind: i32,
    /// The close code.
    pub code: u16,
    /// The frame, or the close reason.
    pub text: stayline_view,
}
versioned!(stayline_output_info { kind: 0, code: 0, text: stayline_view::NONE });

/// Reads what an output says.
///
/// - `out_info`: with its `struct_size` set.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_output_get(
    output: Option<&stayline_output>,
    out_info: *mut stayline_output_info,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::run(out_error, || {
        let output = output.ok_or_else(|| Error::invalid("the output is NULL"))?;
        let (kind, code, text) = match &output.0 {
            Output::Send(text) => (stayline_output_kind::Send, 0, &**text),
            Output::Close { code, reason } => (stayline_output_kind::Close, *code, reason.as_str()),
        };
        let info = stayline_output_info {
            kind: kind as i32,
            code,
            text: stayline_view::of(text),
            ..structs::Versioned::DEFAULT
        };
        Ok(structs::write(out_info, &info)?)
    })
}

/// Frees an output; NULL is fine.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_output_free(output: Option<Box<stayline_output>>) {
    drop(output);
}

/// The next thing to do to the socket.
///
/// - `timeout_ms`: how long to wait; 0: not at all, below 0: for ever.
/// - `out_output`: yours; free it with `stayline_output_free`. NULL: none in time, or there will
///   be no more, which `stayline_link_is_finished` says.
///
/// Returns `OK`. Threads: any; one at a time, if the order matters.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_next_output(
    link: *mut stayline_link,
    timeout_ms: i64,
    out_output: Option<&mut MaybeUninit<Option<Box<stayline_output>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_output = required(out_output, "out_output");
    boundary::on(link, out_error, |held| {
        let out_output = out_output?;
        let look = || -> Result<Option<Option<Output>>, Failure> {
            let output = held.link.try_output();
            let is_known = output.is_some() || held.link.is_finished();
            Ok(is_known.then_some(output))
        };
        let output = held.bell.wait(timeout_ms, look)?.flatten();
        out_output.set(output.map(|output| Box::new(stayline_output(output))));
        Ok(())
    })
}

/// A file descriptor for event loops: readable from an output, or the end of a congestion, until
/// a take with a timeout of 0 finds nothing; and for ever once the link is finished.
///
/// - `out_fd`: borrowed; it lives as long as the link. Never read from it or close it.
///
/// Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_fd(
    link: Option<&stayline_link>,
    out_fd: Option<&mut MaybeUninit<c_int>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_fd = required(out_fd, "out_fd");
    boundary::on(link, out_error, |held| {
        let out_fd = out_fd?;
        out_fd.set(held.bell.descriptor()?);
        Ok(())
    })
}

/// Whether nothing will come out any more: the `CLOSE` was taken; or `stayline_link_closed` was
/// called, and so was everything taken that had been put out before. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_is_finished(link: Option<&stayline_link>) -> bool {
    boundary::look(link, true, |held| held.link.is_finished())
}

/// How the link was closed, by the coordinator or by `stayline_link_closed`.
///
/// - `out_code`: 0 while it is open.
/// - `out_reason`: may be NULL. Yours; free it with `stayline_buffer_free`.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_close_state(
    link: Option<&stayline_link>,
    out_code: Option<&mut MaybeUninit<u16>>,
    mut out_reason: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_code = required(out_code, "out_code");
    boundary::optional(&mut out_reason);
    boundary::on(link, out_error, |held| {
        let out_code = out_code?;
        let Some((code, reason)) = held.link.close_state() else { return Ok(()) };
        if let Some(out_reason) = out_reason {
            out_reason.write(stayline_buffer::of(&reason)?);
        }
        out_code.set(code);
        Ok(())
    })
}

/// Frees it; NULL is fine. One that nobody closed counts as closed with 1006.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_link_free(link: Option<Box<stayline_link>>) {
    drop(link);
}
