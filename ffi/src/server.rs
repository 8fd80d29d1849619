//! The built-in server of a coordinator.

use std::ffi::c_void;
use std::sync::Arc;

use stayline::Error;
use stayline::net::server::{self, Server, ServerOptions, ServerTls};

use crate::boundary::{self, object};
use crate::callback::Callback;
use crate::error::{OutError, stayline_status};
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
) -> bool;

/// The host's own way to let wrappers in (R25).
///
/// `call` runs on a thread of the server's, several at a time, and may block; it may call into
/// this library, but must not close or free the server it answers for. It must not throw. `drop`
/// runs once, after every `call` has returned, and no call begins after it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct stayline_authorize_callback {
    /// Whether the wrapper that brought `bearer` (none: nothing) may attach; the texts live during
    /// the call. NULL: the execution's token decides.
    pub call: Option<
        extern "C" fn(
            user_data: *mut c_void,
            session_id: stayline_view,
            execution_id: stayline_view,
            bearer: stayline_view,
        ) -> bool,
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
    /// Origins whose pages may connect, as browsers send them (`https://example.org`); `*`: all.
    pub allowed_origins: *const stayline_view,
    /// How many.
    pub allowed_origins_count: usize,
    /// Decides instead of the execution's token whether a wrapper is let in.
    pub authorize: stayline_authorize_callback,
    /// What stands before `/sessions` in every path: none, or `/something`.
    pub base_path: stayline_view,
    /// With this it serves `https://` and `wss://`, and nothing without TLS: the path of a PEM
    /// file, the server's certificate followed by those that lead to its authority's. It is read
    /// once, by `stayline_coordinator_serve`. None: no TLS.
    pub tls_certificate: stayline_view,
    /// Its private key, the path of a PEM file without a passphrase.
    pub tls_key: stayline_view,
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
});

/// The defaults of `stayline_coordinator_serve`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_server_options_default() -> stayline_server_options {
    structs::Versioned::DEFAULT
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
                    call(user_data, session, execution, stayline_view::maybe(bearer))
                })
            };
            Arc::new(ask) as server::Authorize
        }),
        base_path: options.base_path.optional("base_path")?.unwrap_or("").to_owned(),
        tls: tls(&options)?,
    })
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
    let core = server::serve(home.coordinator.clone(), address, options)?;
    let address = core.address().to_string();
    let running = Arc::new(Running { core });
    // Whoever closed the coordinator meanwhile did not see this one; dropped, it closes.
    match &mut *home.servers.lock() {
        Some(servers) => {
            servers.retain(|server| server.strong_count() > 0);
            servers.push(Arc::downgrade(&running));
        }
        None => return Err(Error::Closed),
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

/// Stops accepting, closes links and streams with 1012 after taking what their peers had sent, and
/// waits for that, at most a few seconds. The coordinator goes on. Closing again does nothing.
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
