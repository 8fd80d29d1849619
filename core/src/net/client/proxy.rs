//! Which proxy stands before a coordinator, if any.
//!
//! The environment says, as for curl and others: `https_proxy` or `HTTPS_PROXY` for a coordinator
//! with TLS, `http_proxy` or `HTTP_PROXY` for one without, and `no_proxy` or `NO_PROXY` for hosts
//! that are reached directly. `HTTP_PROXY` in capitals is not looked at where `REQUEST_METHOD` is
//! set: in a CGI program a stranger's header would be its value. This machine is always reached
//! directly, unless a proxy is named in the options.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio_tungstenite::tungstenite::http::Uri;

use super::tunnel::Tunnel;
use crate::Error;

/// Whether a wrapper goes through a proxy (`CONNECT`; TLS goes through it end to end).
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    /// What `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say, when it is opened.
    #[default]
    Environment,
    /// Never.
    None,
    /// Always this one: `http://[USER:PASSWORD@]HOST[:PORT]`.
    Url(String),
}

impl Proxy {
    /// `environment` (or nothing), `none`, or a proxy's address: what other languages say.
    pub fn parse(text: &str) -> Proxy {
        match text {
            "" | "environment" => Proxy::Environment,
            "none" => Proxy::None,
            url => Proxy::Url(url.to_owned()),
        }
    }

    /// The proxy before a host. [`Error::InvalidArgument`] when it is none that is spoken to; the
    /// text has no password in it.
    pub(super) fn before(&self, host: &str, secure: bool) -> Result<Option<Tunnel>, Error> {
        match self {
            Proxy::None => Ok(None),
            Proxy::Url(url) => tunnel("the proxy", url).map(Some),
            Proxy::Environment => {
                from_environment(host, secure, &|name| match std::env::var_os(name) {
                    // Text that is none is no address either, and told as that.
                    Some(value) => value.to_string_lossy().into_owned(),
                    None => String::new(),
                })
            }
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Proxy::Environment => "Environment",
            Proxy::None => "None",
            // It may have a password.
            Proxy::Url(_) => "Url(…)",
        })
    }
}

fn from_environment(
    host: &str,
    secure: bool,
    environment: &dyn Fn(&str) -> String,
) -> Result<Option<Tunnel>, Error> {
    let first = |names: &[&'static str]| {
        names.iter().map(|name| (*name, environment(name))).find(|(_, value)| !value.is_empty())
    };
    let is_cgi = !environment("REQUEST_METHOD").is_empty();
    let names: &[&str] = match (secure, is_cgi) {
        (true, _) => &["https_proxy", "HTTPS_PROXY"],
        (false, false) => &["http_proxy", "HTTP_PROXY"],
        (false, true) => &["http_proxy"],
    };
    let Some((name, url)) = first(names) else { return Ok(None) };
    let excepted = first(&["no_proxy", "NO_PROXY"]).map(|(_, value)| value).unwrap_or_default();
    if is_this_machine(host) || is_excepted(host, &excepted) {
        return Ok(None);
    }
    tunnel(name, &url).map(Some)
}

fn is_this_machine(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let is_loopback =
        IpAddr::from_str(host).is_ok_and(|address| address.to_canonical().is_loopback());
    is_loopback || name == "localhost" || name.ends_with(".localhost")
}

/// Whether `no_proxy` names the host.
fn is_excepted(host: &str, excepted: &str) -> bool {
    // Some write spaces, some commas.
    let list =
        excepted.split([' ', ',']).filter(|one| !one.is_empty()).collect::<Vec<_>>().join(",");
    let authority = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let Ok(uri) = Uri::from_str(&format!("http://{authority}/")) else { return false };
    Matcher::builder().all("http://proxy").no(list).build().intercept(&uri).is_none()
}

/// `what` names where the address comes from.
fn tunnel(what: &str, url: &str) -> Result<Tunnel, Error> {
    let wrong = |why: &str| {
        Error::invalid(format!(
            "{what} {why}; write it like http://proxy.example:3128, or say none"
        ))
    };
    let anywhere = Uri::from_static("http://anywhere/");
    let intercept: Intercept = Matcher::builder()
        .all(url.trim())
        .build()
        .intercept(&anywhere)
        .ok_or_else(|| wrong("is no address of a proxy"))?;
    let uri = intercept.uri();
    if uri.scheme_str() != Some("http") {
        return Err(wrong(&format!(
            "is one for {}://, which is not spoken here",
            uri.scheme_str().unwrap_or_default()
        )));
    }
    let host = uri.host().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| wrong("names no host"))?;
    let credentials = intercept.basic_auth().cloned();
    Ok(Tunnel::new(host, uri.port_u16().unwrap_or(80), credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(host: &str, secure: bool, environment: &[(&str, &str)]) -> String {
        let value = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
        };
        match from_environment(host, secure, &value) {
            Ok(None) => "direct".into(),
            Ok(Some(tunnel)) => tunnel.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_scheme_has_its_variable_and_small_letters_come_first() {
        let both = [("HTTPS_PROXY", "http://s:1"), ("HTTP_PROXY", "http://p:2")];
        assert_eq!(chosen("a.example", true, &both), "http://s:1");
        assert_eq!(chosen("a.example", false, &both), "http://p:2");
        assert_eq!(chosen("a.example", true, &both[1..]), "direct");
        let small = [("HTTP_PROXY", "http://p:2"), ("http_proxy", "q")];
        assert_eq!(chosen("a.example", false, &small), "http://q:80");
        assert_eq!(
            chosen("a.example", false, &[("http_proxy", ""), ("HTTP_PROXY", "p")]),
            "http://p:80"
        );
    }

    #[test]
    fn a_request_header_is_no_proxy() {
        let cgi = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil"), ("HTTPS_PROXY", "s")];
        assert_eq!(chosen("a.example", false, &cgi), "direct");
        assert_eq!(chosen("a.example", true, &cgi), "http://s:80");
    }

    #[test]
    fn exceptions_and_this_machine_are_reached_directly() {
        let with = |no: &'static str| [("HTTP_PROXY", "p"), ("NO_PROXY", no)];
        for (host, no) in [
            ("a.example", "example"),
            ("a.example", "x, .example"),
            ("A.Example", "b a.example"),
            ("10.1.2.3", "10.0.0.0/8"),
            ("fd00::1", "fd00::/8"),
            ("a.example", "*"),
            ("127.0.0.1", ""),
            ("127.8.8.8", ""),
            ("::1", ""),
            ("::ffff:127.0.0.1", ""),
            ("LocalHost", ""),
            ("a.localhost.", ""),
        ] {
            assert_eq!(chosen(host, false, &with(no)), "direct", "{host} {no}");
        }
        for (host, no) in [
            ("a.example", ""),
            ("notexample", "example"),
            ("11.1.2.3", "10.0.0.0/8"),
            ("localhost.a", ""),
        ] {
            assert_eq!(chosen(host, false, &with(no)), "http://p:80", "{host} {no}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_told_without_its_password() {
        for wrong in
            ["socks5://u:geheim@p:1", "https://u:geheim@p", "http://u:geheim@", "u:geheim p"]
        {
            let told = chosen("a.example", false, &[("HTTP_PROXY", wrong)]);
            assert!(told.contains("HTTP_PROXY") && !told.contains("geheim"), "{told}");
            // Where it is not used it does no harm.
            let excepted = [("HTTP_PROXY", wrong), ("no_proxy", "a.example")];
            assert_eq!(chosen("a.example", false, &excepted), "direct");
        }
        assert_eq!(format!("{:?}", Proxy::Url("http://u:geheim@p".into())), "Url(…)");
    }

    #[test]
    fn what_other_languages_say_is_read() {
        assert_eq!(Proxy::parse(""), Proxy::Environment);
        assert_eq!(Proxy::parse("environment"), Proxy::Environment);
        assert_eq!(Proxy::parse("none"), Proxy::None);
        let named = Proxy::parse("http://u:%40@p:1");
        // Named, it is for this machine, too.
        let tunnel = named.before("127.0.0.1", false).unwrap().unwrap();
        assert_eq!(tunnel.to_string(), "http://p:1");
    }
}
