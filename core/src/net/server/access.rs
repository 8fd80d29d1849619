//! Who may come in: the key, tickets, and what browsers send on behalf of pages.
//!
//! A page on the internet can make its visitor's browser talk to a server on the visitor's own
//! machine, or, by pointing a name of its own at 127.0.0.1, pretend to be that server's own page.
//! Against the first stands the `Origin` header, against the second the `Host` header. A server
//! without a key relies on both; one with a key asks for something that no browser sends by
//! itself, and looks at origins all the same.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use sha2::{Digest, Sha256};

use super::Shared;

use super::reply::{self, Reply};
use crate::Error;
use crate::net::request::{self, Parameters};

/// What a page may send across origins once it is let in.
const ALLOWED_HEADERS: &str = "authorization, content-type, last-event-id";
const ALLOWED_METHODS: &str = "GET, POST, DELETE";

/// The server's rules.
#[derive(Debug)]
pub(super) struct Access {
    /// Kept hashed, so that comparing takes the same time whatever is sent.
    key: Option<[u8; 32]>,
    allowed_origins: Vec<String>,
}

impl Access {
    pub(super) fn new(key: Option<String>, allowed_origins: Vec<String>) -> Access {
        let key = key.map(|key| digest(&key));
        let plain = |origin: String| origin.trim_end_matches('/').to_ascii_lowercase();
        Access { key, allowed_origins: allowed_origins.into_iter().map(plain).collect() }
    }

    /// REST: the key, where there is one.
    pub(super) fn check_key(&self, headers: &HeaderMap) -> Result<(), Error> {
        match &self.key {
            None => Ok(()),
            Some(key) if bearer(headers).is_some_and(|sent| equal(key, &digest(sent))) => Ok(()),
            Some(_) => Err(Error::Unauthorized),
        }
    }

    /// Whether the request's `Host` may be served: any, or without a key this machine's names.
    fn host_is_ours(&self, host: Option<&str>) -> bool {
        self.key.is_some() || host.is_some_and(|host| is_loopback_name(host_name(host)))
    }

    /// Whether a page of this origin may connect: the server's own, or one that was allowed.
    fn origin_is_allowed(&self, origin: &str, host: Option<&str>) -> bool {
        let origin = origin.to_ascii_lowercase();
        let own = host.is_some_and(|host| {
            origin.split_once("://").is_some_and(|(scheme, authority)| {
                let host = host.to_ascii_lowercase();
                without_usual_port(scheme, authority) == without_usual_port(scheme, &host)
            })
        });
        own || self.allowed_origins.iter().any(|allowed| allowed == "*" || *allowed == origin)
    }
}

/// Streams: a ticket, which is answered and must be right even where none is needed, or the key.
pub(super) fn ticket_or_key(
    shared: &Shared,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Option<String>, Error> {
    match parameters.get("ticket") {
        Some(ticket) => Ok(Some(ticket.to_owned())),
        None => shared.access.check_key(headers).map(|()| None),
    }
}

/// What follows `Authorization: Bearer`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    request::bearer(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// Stands before every route: foreign hosts and origins do not get further.
pub(super) async fn guard(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Reply {
    let host = host_of(request.headers(), request.uri()).map(str::to_owned);
    if !shared.access.host_is_ours(host.as_deref()) {
        let text = "this server has no key and answers to localhost only";
        return reply::problem(StatusCode::MISDIRECTED_REQUEST, "InvalidArgument", text);
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let Some(origin) = origin else { return next.run(request).await };
    let allowed = origin
        .to_str()
        .is_ok_and(|origin| shared.access.origin_is_allowed(origin, host.as_deref()));
    if !allowed {
        let text = "pages of this origin may not connect; add it to the allowed origins";
        return reply::problem(StatusCode::FORBIDDEN, "InvalidArgument", text);
    }
    let mut answer = if request.method() == Method::OPTIONS {
        reply::line(StatusCode::NO_CONTENT, "")
    } else {
        next.run(request).await
    };
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let methods = HeaderValue::from_static(ALLOWED_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    let names = HeaderValue::from_static(ALLOWED_HEADERS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    answer
}

fn host_of<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    // A request may also name the host in its first line; then that is the one that counts.
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(header::HOST)?.to_str().ok(),
    }
}

/// `name` for `name:443` in `https`: both are written.
fn without_usual_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let usual = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return authority,
    };
    authority.strip_suffix(usual).unwrap_or(authority)
}

/// The name in `name:port`, `[::1]:port` or `name`.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_loopback_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn equal(first: &[u8; 32], second: &[u8; 32]) -> bool {
    first.iter().zip(second).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_key_is_asked_for_where_there_is_one() {
        let open = Access::new(None, Vec::new());
        assert!(open.check_key(&HeaderMap::new()).is_ok());
        let keyed = Access::new(Some("secret".into()), Vec::new());
        assert_eq!(keyed.check_key(&HeaderMap::new()), Err(Error::Unauthorized));
        for (value, right) in [
            ("Bearer secret", true),
            ("bearer  secret", true),
            ("Bearer secret2", false),
            ("Basic secret", false),
            ("secret", false),
        ] {
            let sent = headers(header::AUTHORIZATION, value);
            assert_eq!(keyed.check_key(&sent).is_ok(), right, "{value}");
        }
    }

    #[test]
    fn without_a_key_only_this_machines_names_are_served() {
        let open = Access::new(None, Vec::new());
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8787", "[::1]:1", "a.localhost:9"] {
            assert!(open.host_is_ours(Some(host)), "{host}");
        }
        for host in ["example.org", "example.org:80", "10.0.0.1", "localhost.evil.org", "[::2]"] {
            assert!(!open.host_is_ours(Some(host)), "{host}");
        }
        assert!(!open.host_is_ours(None));
        let keyed = Access::new(Some("k".into()), Vec::new());
        assert!(keyed.host_is_ours(Some("example.org")));
    }

    #[test]
    fn origins_are_the_servers_own_or_allowed() {
        let access = Access::new(None, vec!["https://Dash.example/".into()]);
        let host = Some("localhost:8787");
        assert!(access.origin_is_allowed("http://localhost:8787", host));
        assert!(access.origin_is_allowed("https://dash.example", host));
        assert!(!access.origin_is_allowed("https://evil.example", host));
        assert!(!access.origin_is_allowed("http://localhost:8788", host));
        assert!(!access.origin_is_allowed("null", host));
        let all = Access::new(None, vec!["*".into()]);
        assert!(all.origin_is_allowed("https://evil.example", host));
    }
}
