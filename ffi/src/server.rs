//! The built-in server of a coordinator.

use std::ffi::c_void;
use std::sync::Arc;

use stayline::Error;
use stayline::net::server::{self, Authorization, Server, ServerLimits, ServerOptions, ServerTls};

use crate::boundary::{self, object};
use crate::callback::Callback;
use crate::error::{OutError, stayline_status};
use crate::exit;
use crate::home::Home;
use crate::structs::{self, versioned};
use crate::text::stayline_view;

/// A running server; freeing it closes it. Any thread may use it.
pub struct stayline_server(boundary::Handle<Serving>);
object!(stayline_server, "server", Serving);

/// What stands behind a server.
pub(crate) struct Serving {
    running: Arc<Running>,
    address: String,
    // Keeps the coordinator alive.
    _home: Arc<Home>,
}

/// The server itself, which its coordinator closes too.
pub(crate) struct Running {
    core: Server,
}

impl Running {
    /// Stops it. Idempotent.
    pub(crate) fn close(&self) {
        self.core.close();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.running.close();
    }
}

/// `call` of a `stayline_authorize_callback`.
type Authorize = extern "C" fn(
    user_data: *mut c_void,
    session_id: stayline_view,
    execution_id: stayline_view,
    bearer: stayline_view,
) -> i32;

/// What a host says about a wrapper that wants to attach (R25).
#[repr(i32)]
#[derive(Clone, Copy)]
pub enum stayline_authorization {
    /// It may not, now or ever: it stops.
    Deny = 0,
    /// It may.
    Allow = 1,
    /// That is not known now: it tries again.
    Later = 2,
}

/// The name of an answer: `allow`.
///
/// Returns a view that lives as long as the library; none for an unknown one. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_authorization_name(authorization: i32) -> stayline_view {
    stayline_view::numbered(&["deny", "allow", "later"], authorization.saturating_add(1))
}

const ANSWERS: [(stayline_authorization, Authorization); 3] = [
    (stayline_authorization::Deny, Authorization::Deny),
    (stayline_authorization::Allow, Authorization::Allow),
    (stayline_authorization::Later, Authorization::Later),
];

/// Only what was decided is final: a number that is no answer means that nothing was.
fn authorization(answer: i32) -> Authorization {
    let known = ANSWERS.into_iter().find(|(number, _)| *number as i32 == answer);
    known.map_or(Authorization::Later, |(_, authorization)| authorization)
}

/// The host's own way to let wrappers in (R25).
///
/// `call` runs on threads of the server's, up to eight at a time, and may block; it may call into
/// this library, but must not close or free the server it answers for. It must not throw. One that
/// takes longer than `authorize_timeout_ms` has said `LATER`, and holds its thread until it
/// returns. `drop` runs once, after every `call` has returned, and no call begins after it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_authorize_callback {
    /// Whether the wrapper that brought `bearer` (none: nothing) may attach: a
    /// `stayline_authorization`; another number is `LATER`. `DENY` ends a run that has lost its
    /// link: what could not be found out is `LATER`. The texts live during the call. NULL: the
    /// execution's token decides.
    pub call: Option<
        extern "C" fn(
            user_data: *mut c_void,
            session_id: stayline_view,
            execution_id: stayline_view,
            bearer: stayline_view,
        ) -> i32,
    >,
    /// Frees `user_data`; NULL: nothing to free.
    pub drop: Option<extern "C" fn(user_data: *mut c_void)>,
    /// Passed to both.
    pub user_data: *mut c_void,
}

/// How a server is set up. Begin with `stayline_server_options_default()`, which serves this
/// machine only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_server_options {
    /// `sizeof(stayline_server_options)`.
    pub struct_size: usize,
    /// The key for REST and for tickets (`Authorization: Bearer`); needed on anything but
    /// loopback. None: none.
    pub key: stayline_view,
    /// Origins whose pages may connect, as browsers send them (`https://example.org`); `*`: all,
    /// which needs a key.
    pub allowed_origins: *const stayline_view,
    /// How many.
    pub allowed_origins_count: usize,
    /// Decides instead of the execution's token whether a wrapper is let in.
    pub authorize: stayline_authorize_callback,
    /// What stands before `/sessions` in every path: none, or `/something`, of letters, digits and
    /// `-._~`.
    pub base_path: stayline_view,
    /// With this it serves `https://` and `wss://`, and nothing without TLS: the path of a PEM
    /// file, the server's certificate followed by those that lead to its authority's. Where the
    /// files change, new connections get the new certificate within a minute. None: no TLS.
    pub tls_certificate: stayline_view,
    /// Its private key, the path of a PEM file without a passphrase.
    pub tls_key: stayline_view,
    /// Sockets at the same time, of all kinds; one more is answered with 503. 0: 10 000.
    pub max_sockets: usize,
    /// Sockets at the same time that were let in to nothing yet; when there is one more, the one
    /// that has been silent longest is answered with 503. 0: 256.
    pub max_unauthenticated_sockets: usize,
    /// Requests under way at the same time: so many that read, and so many that change something;
    /// one more is answered with 429. 0: 256.
    pub max_requests: usize,
    /// The body of a request, in bytes; a longer one is answered with 413. 0: 2 MiB.
    pub max_body_bytes: usize,
    /// Threads that drive sockets, at most 64. 0: 2.
    pub workers: usize,
}
versioned!(stayline_server_options {
    key: stayline_view::NONE,
    allowed_origins: std::ptr::null(),
    allowed_origins_count: 0,
    authorize: stayline_authorize_callback {
        call: None,
        drop: None,
        user_data: std::ptr::null_mut(),
    },
    base_path: stayline_view::NONE,
    tls_certificate: stayline_view::NONE,
    tls_key: stayline_view::NONE,
    max_sockets: 0,
    max_unauthenticated_sockets: 0,
    max_requests: 0,
    max_body_bytes: 0,
    workers: 0,
});

/// Writes the defaults of `stayline_coordinator_serve`: `struct_size` bytes, the caller's `sizeof`, and no more.
/// `stayline_server_options_default` calls it. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_server_options_init(
    options: *mut stayline_server_options,
    struct_size: usize,
) {
    structs::init(options, struct_size);
}

/// Reads options, and takes the callback over: it is dropped, whatever becomes of the rest.
pub(crate) fn options(options: *const stayline_server_options) -> Result<ServerOptions, Error> {
    let options = structs::read(options)?;
    let stayline_authorize_callback { call, drop, user_data } = options.authorize;
    let authorize = match (call, drop) {
        (None, None) => None,
        _ => Some(Callback::<Authorize>::new(call, drop, user_data, "authorize")?),
    };
    let origins =
        structs::texts(options.allowed_origins, options.allowed_origins_count, "allowed_origins")?;
    Ok(ServerOptions {
        key: options.key.optional("key")?.map(str::to_owned),
        allowed_origins: origins.into_iter().map(str::to_owned).collect(),
        authorize: authorize.map(|callback| {
            let ask = move |session: &str, execution: &str, bearer: Option<&str>| {
                callback.with(|call, user_data| {
                    let (session, execution) =
                        (stayline_view::of(session), stayline_view::of(execution));
                    authorization(call(user_data, session, execution, stayline_view::maybe(bearer)))
                })
            };
            Arc::new(ask) as server::Authorize
        }),
        base_path: options.base_path.optional("base_path")?.unwrap_or("").to_owned(),
        tls: tls(&options)?,
        limits: limits(&options),
        workers: given(options.workers).unwrap_or(ServerOptions::default().workers),
    })
}

/// The core checks their ranges.
fn limits(options: &stayline_server_options) -> ServerLimits {
    let limits = ServerLimits::default();
    ServerLimits {
        max_sockets: given(options.max_sockets).unwrap_or(limits.max_sockets),
        max_unauthenticated_sockets: given(options.max_unauthenticated_sockets)
            .unwrap_or(limits.max_unauthenticated_sockets),
        max_requests: given(options.max_requests).unwrap_or(limits.max_requests),
        max_body_bytes: given(options.max_body_bytes).unwrap_or(limits.max_body_bytes),
        ..limits
    }
}

/// 0 is the default.
fn given(number: usize) -> Option<usize> {
    Some(number).filter(|number| *number > 0)
}

fn tls(options: &stayline_server_options) -> Result<Option<ServerTls>, Error> {
    let certificate = options.tls_certificate.optional("tls_certificate")?;
    match (certificate, options.tls_key.optional("tls_key")?) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => ServerTls::from_files(certificate, key).map(Some),
        (Some(_), None) => Err(Error::invalid("tls_certificate needs tls_key")),
        (None, Some(_)) => Err(Error::invalid("tls_key needs tls_certificate")),
    }
}

/// Serves a coordinator.
pub(crate) fn serve(
    home: &Arc<Home>,
    address: &str,
    options: ServerOptions,
) -> Result<Serving, Error> {
    home.coordinator.check_open()?;
    exit::arrange();
    let core = server::serve(home.coordinator.clone(), address, options)?;
    let address = core.address().to_string();
    let running = Arc::new(Running { core });
    // Whoever closed the coordinator meanwhile did not see this one; dropped, it closes.
    match &mut *home.servers.lock() {
        Some(servers) => {
            servers.retain(|server| server.strong_count() > 0);
            servers.push(Arc::downgrade(&running));
        }
        None => return Err(Error::closed("the coordinator was closed")),
    }
    Ok(Serving { running, address, _home: Arc::clone(home) })
}

/// The base of all paths, for wrappers: `http://127.0.0.1:8787`. It lives as long as the server.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_server_url(server: Option<&stayline_server>) -> stayline_view {
    boundary::look(server, stayline_view::NONE, |serving| {
        stayline_view::of(serving.running.core.url())
    })
}

/// Where it listens, with the port that was taken: `127.0.0.1:8787`. It lives as long as the
/// server. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_server_address(server: Option<&stayline_server>) -> stayline_view {
    boundary::look(server, stayline_view::NONE, |serving| stayline_view::of(&serving.address))
}

/// Reads the certificate and its key anew from their files; new connections get them. A server
/// looks every minute by itself whether they have changed.
///
/// Returns `OK`; `INVALID_ARGUMENT` for what cannot be used, when what was served before goes on,
/// and for a server without TLS. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_server_reload_tls(
    server: *mut stayline_server,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(server, out_error, |serving| Ok(serving.running.core.reload_tls()?))
}

/// Stops accepting, closes links and streams with 1012 after taking what their peers had sent, and
/// waits for them at most a few seconds; what they had sent is stored when it returns, however long
/// the disk takes. The coordinator goes on. Closing again does nothing.
///
/// Returns `OK`. Threads: any but the callback's.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_server_close(
    server: *mut stayline_server,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(server, out_error, |serving| {
        serving.running.close();
        Ok(())
    })
}

/// Closes the server and frees it; NULL is fine.
///
/// Threads: any but the callback's; nobody else may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_server_free(server: Option<Box<stayline_server>>) {
    drop(server);
}
