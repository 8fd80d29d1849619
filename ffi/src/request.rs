//! An HTTP request, for hosts with sockets of their own: what a wrapper or a subscriber asks for.

use std::mem::MaybeUninit;

use stayline::Error;
use stayline::coordinator::{AttachOptions, Credential};
use stayline::net::request::{Endpoint, Request};

use crate::boundary::{self, Guard, Object, object, required};
use crate::error::{OutError, stayline_status};
use crate::link::stayline_link;
use crate::session::stayline_session;
use crate::structs::{self, versioned};
use crate::subscription::stayline_subscription;
use crate::text::stayline_view;

/// A request as it was read: what of it matters here. It does not change; any thread may use it.
pub struct stayline_request(boundary::Handle<Request>);
object!(stayline_request, "request", Request);

/// One header of a request. It does not grow.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_header {
    /// Its name, in any case.
    pub name: stayline_view,
    /// Its value. One that is no UTF-8 counts as none: none of ours is.
    pub value: stayline_view,
}

/// What the path of a request leads to.
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum stayline_endpoint {
    /// No wrapper's and no subscriber's.
    Other = 0,
    /// `…/sessions/{session}/ingest`: a wrapper.
    Ingest = 1,
    /// `…/sessions/{session}/stream`: a subscriber on a WebSocket.
    Stream = 2,
    /// `…/sessions/{session}/events`: a subscriber to server-sent events.
    Events = 3,
}

/// The name of an endpoint: `ingest`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_endpoint_name(endpoint: i32) -> stayline_view {
    let names = &["other", "ingest", "stream", "events"];
    stayline_view::numbered(names, endpoint.saturating_add(1))
}

/// What a request says. Set `struct_size`, and call `stayline_request_get`. Texts live as long as
/// the request object.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_request_info {
    /// `sizeof(stayline_request_info)`.
    pub struct_size: usize,
    /// What its path leads to: a `stayline_endpoint`.
    pub endpoint: i32,
    /// The session in the path, decoded; none for another path.
    pub session_id: stayline_view,
    /// What came to show who asks: the bearer of `Authorization`, or the query's `token`; may be
    /// none.
    pub token: stayline_view,
    /// The query's `ticket` (`stayline_coordinator_verify_ticket`); may be none.
    pub ticket: stayline_view,
}
versioned!(stayline_request_info {
    endpoint: 0,
    session_id: stayline_view::NONE,
    token: stayline_view::NONE,
    ticket: stayline_view::NONE,
});

/// Reads a request of a wrapper or a subscriber, as the built-in server does.
///
/// - `target`: what stands behind the method in its first line: the path and the query, such as
///   `/sessions/s/ingest?executionId=e`.
/// - `headers`: may be NULL with a count of 0. Of several with one name the first counts; those
///   that say nothing here are passed over.
/// - `out_request`: yours; free it with `stayline_request_free`. It keeps nothing of yours.
///
/// Returns `OK`, or `INVALID_ARGUMENT`, also for what is no UTF-8 when it is decoded: answer with
/// `stayline_error_http_status`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_request_read(
    target: stayline_view,
    headers: *const stayline_header,
    headers_count: usize,
    out_request: Option<&mut MaybeUninit<Option<Box<stayline_request>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_request = required(out_request, "out_request");
    boundary::run(out_error, || {
        let out_request = out_request?;
        let headers = structs::items(headers, headers_count, "headers")?;
        let readable = headers.iter().filter_map(|header| {
            let name = header.name.optional("name").ok().flatten()?;
            Some((name, header.value.optional("value").ok().flatten()?))
        });
        let request = Request::read(target.text("target")?, readable)?;
        out_request.set(Some(stayline_request::boxed(&Guard::new(), request)));
        Ok(())
    })
}

/// Reads what a request says.
///
/// - `out_info`: with its `struct_size` set.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_request_get(
    request: Option<&stayline_request>,
    out_info: *mut stayline_request_info,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(request, out_error, |request| {
        let endpoint = match request.endpoint() {
            Some(Endpoint::Ingest) => stayline_endpoint::Ingest,
            Some(Endpoint::Stream) => stayline_endpoint::Stream,
            Some(Endpoint::Events) => stayline_endpoint::Events,
            _ => stayline_endpoint::Other,
        };
        let info = stayline_request_info {
            endpoint: endpoint as i32,
            session_id: stayline_view::maybe(request.session_id()),
            token: stayline_view::maybe(request.token()),
            ticket: stayline_view::maybe(request.ticket()),
            ..structs::Versioned::DEFAULT
        };
        Ok(structs::write(out_info, &info)?)
    })
}

/// Frees it; NULL is fine.
///
/// Threads: any; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_request_free(request: Option<Box<stayline_request>>) {
    drop(request);
}

/// Attaches the wrapper whose request this is, as `stayline_session_attach` does with what stands
/// in it. Which session it is for is the host's word, not the path's.
///
/// - `trusted`: the host has checked by itself: the request's token is not looked at.
/// - `out_link`: yours; free it with `stayline_link_free`.
///
/// Returns as `stayline_session_attach`; `INVALID_ARGUMENT` for a query without `executionId`, or,
/// where acknowledged mode is asked for, without `producer` or `attempt`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_attach_request(
    session: *mut stayline_session,
    request: Option<&stayline_request>,
    trusted: bool,
    out_link: Option<&mut MaybeUninit<Option<Box<stayline_link>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_link = required(out_link, "out_link");
    boundary::on_guarded(session, out_error, |guard, held| {
        let out_link = out_link?;
        let link = held.core.attach_or_refuse(asked(request, trusted)?)?;
        out_link.set(Some(stayline_link::of(guard, held, link)));
        Ok(())
    })
}

/// The subscription that a request asks for: `fromId`, `epoch`, `Last-Event-ID`, the filters, `replay`
/// (R34). Its ticket is the host's to check. What cannot be read in it is passed over.
///
/// - `out_subscription`: yours; free it with `stayline_subscription_free`.
///
/// Returns as `stayline_session_subscribe`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_session_subscribe_request(
    session: Option<&stayline_session>,
    request: Option<&stayline_request>,
    out_subscription: Option<&mut MaybeUninit<Option<Box<stayline_subscription>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_subscription = required(out_subscription, "out_subscription");
    boundary::on_guarded(session, out_error, |guard, held| {
        let out_subscription = out_subscription?;
        let subscription = held.core.subscribe(read(request)?.subscribe())?;
        out_subscription.set(Some(stayline_subscription::of(guard, held, subscription)));
        Ok(())
    })
}

/// What a wrapper asks for; where the host has checked by itself, its token is not looked at.
pub(crate) fn asked(
    request: Option<&stayline_request>,
    trusted: bool,
) -> Result<AttachOptions, Error> {
    let mut asked = read(request)?.attach()?;
    if trusted {
        asked.credential = Credential::Trusted;
    }
    Ok(asked)
}

/// What was read before.
fn read(request: Option<&stayline_request>) -> Result<Request, Error> {
    boundary::copied(request, Request::clone)?.ok_or_else(|| Error::invalid("the request is NULL"))
}
