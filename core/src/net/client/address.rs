//! From the server's base address to the request of one attempt.

use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, Uri, header};

use super::dial::Route;
use super::proxy::Proxy;
use crate::Error;
use crate::credentials::without_credentials;
use crate::net::percent;
use crate::protocol::PROTOCOL_HEADER;

/// Where a wrapper connects to, and as whom.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) route: Route,
    /// `host` or `host:port`, as given.
    authority: String,
    /// Path and query of the endpoint, up to what each attempt adds.
    endpoint: String,
    authorization: Option<HeaderValue>,
}

impl Address {
    /// `url` is the server's base: `http://`, `https://`, `ws://` or `wss://`, with a base path
    /// where there is one. [`Error::InvalidArgument`] for anything else, for a token that no
    /// header can carry, and for a proxy that is none.
    pub(super) fn new(
        url: &str,
        session_id: &str,
        execution_id: &str,
        token: Option<&str>,
        proxy: &Proxy,
    ) -> Result<Address, Error> {
        let (route, uri) = route(url, proxy)?;
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let authorization = token
            .map(|token| {
                if token.trim() != token {
                    let why =
                        "the token begins or ends with white space, which gets lost on the way";
                    return Err(Error::invalid(why));
                }
                let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                    .map_err(|_| Error::invalid("the token has characters no header can carry"))?;
                value.set_sensitive(true);
                Ok(value)
            })
            .transpose()?;
        Ok(Address {
            route,
            authority: authority.to_owned(),
            endpoint: format!(
                "{}/sessions/{}/ingest?executionId={}",
                uri.path().trim_end_matches('/'),
                percent::encode(session_id),
                percent::encode(execution_id),
            ),
            authorization,
        })
    }

    /// What is asked, for people.
    pub(super) fn shown(&self) -> String {
        let scheme = if self.route.secure { "https" } else { "http" };
        let (path, _) = self.endpoint.split_once('?').unwrap_or((&self.endpoint, ""));
        format!("{scheme}://{}{path}", self.authority)
    }

    /// The upgrade request of one attempt. With `protocol` it asks for acknowledged mode.
    pub(super) fn request(
        &self,
        attempt: u64,
        protocol: Option<u8>,
        producer: Option<&str>,
    ) -> Result<Request<()>, Error> {
        let scheme = if self.route.secure { "wss" } else { "ws" };
        let mut uri = format!("{scheme}://{}{}", self.authority, self.endpoint);
        if let Some(producer) = producer {
            uri += &format!("&producer={}&attempt={attempt}", percent::encode(producer));
        }
        let mut request = Request::builder()
            .uri(uri)
            .header(header::HOST, &self.authority)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, generate_key());
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(protocol) = protocol {
            request = request.header(PROTOCOL_HEADER, u16::from(protocol));
        }
        request.body(()).map_err(|error| Error::invalid(format!("no valid request: {error}")))
    }
}

/// The way to a server's base address, and that address.
pub(super) fn route(url: &str, proxy: &Proxy) -> Result<(Route, Uri), Error> {
    let shown = without_credentials(url);
    let wrong = |why: &str| Error::invalid(format!("server address {shown:?} {why}"));
    let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
    let secure = match uri.scheme_str() {
        Some("http" | "ws") => false,
        Some("https" | "wss") => true,
        _ => return Err(wrong("must begin with http://, https://, ws:// or wss://")),
    };
    if secure && !cfg!(feature = "tls") {
        return Err(wrong("needs TLS, which this build does not have"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("names no host"))?.as_str();
    if authority.contains('@') {
        return Err(wrong("carries a user name; give the token instead"));
    }
    if uri.query().is_some() {
        return Err(wrong("has a query; give the base address only"));
    }
    let host = uri.host().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| wrong("names no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    Ok((Route::new(host, port, secure, proxy)?, uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_built_and_ids_are_encoded() {
        let address = Address::new(
            "http://127.0.0.1:8787/base/",
            "user_1:a/b",
            "exc 1",
            Some("tok"),
            &Proxy::None,
        )
        .unwrap();
        assert_eq!(
            (&*address.route.host, address.route.port, address.route.secure),
            ("127.0.0.1", 8787, false)
        );
        let request = address.request(3, Some(2), Some("prd_1")).unwrap();
        assert_eq!(
            request.uri().to_string(),
            "ws://127.0.0.1:8787/base/sessions/user_1%3Aa%2Fb/ingest?executionId=exc%201\
             &producer=prd_1&attempt=3"
        );
        assert_eq!(address.shown(), "http://127.0.0.1:8787/base/sessions/user_1%3Aa%2Fb/ingest");
        assert_eq!(request.headers()[header::AUTHORIZATION], "Bearer tok");
        assert_eq!(request.headers()[PROTOCOL_HEADER], "2");
        assert_eq!(request.headers()[header::HOST], "127.0.0.1:8787");
        let basic = address.request(1, None, None).unwrap();
        assert!(!basic.headers().contains_key(PROTOCOL_HEADER));
        assert!(basic.uri().query().is_some_and(|query| !query.contains("producer")));
    }

    #[test]
    fn ports_come_from_the_scheme() {
        let port =
            |url| Address::new(url, "s", "e", None, &Proxy::None).map(|address| address.route.port);
        assert_eq!(port("ws://example.org"), Ok(80));
        assert_eq!(port("http://[::1]:7"), Ok(7));
        #[cfg(feature = "tls")]
        assert_eq!(port("wss://example.org/x"), Ok(443));
        let v6 = Address::new("http://[::1]:7", "s", "e", None, &Proxy::None).unwrap();
        assert_eq!(v6.route.host, "::1");
    }

    #[test]
    fn what_is_no_base_address_is_refused() {
        for url in ["", "127.0.0.1:80", "ftp://x", "http://u:p@x", "http://x/?a=1", "/sessions"] {
            let error = Address::new(url, "s", "e", None, &Proxy::None).unwrap_err();
            assert_eq!(error.name(), "InvalidArgument", "{url}");
            assert!(!error.to_string().contains("u:p"), "{error}");
        }
        assert!(Address::new("http://x", "s", "e", Some("a\nb"), &Proxy::None).is_err());
    }
}
