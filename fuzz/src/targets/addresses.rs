//! Where a wrapper is told to connect: URL, session, execution and token, a line each. What is
//! accepted becomes a request whose path and query carry the same ids back; what is refused keeps
//! the password.

use libfuzzer_sys::Corpus;
use stayline::net::client::fuzzing_request;

use crate::reader::lines;

pub fn run(bytes: &[u8]) -> Corpus {
    let Some(mut lines) = lines(bytes) else { return Corpus::Reject };
    let mut next = || lines.next().unwrap_or_default();
    let (url, session, execution, token) = (next(), next(), next(), next());
    match fuzzing_request(url, session, execution, Some(token).filter(|token| !token.is_empty())) {
        Ok(request) => {
            let (path, query) = request.split_once('?').expect("it has a query");
            let (rest, endpoint) = path.rsplit_once('/').expect("it has a path");
            assert_eq!(endpoint, "ingest", "{request}");
            let (base, id) = rest.rsplit_once('/').expect("it has a session");
            assert!(base.ends_with("/sessions"), "{request}");
            assert_eq!(decoded(id), session.as_bytes(), "{request}");
            let first = query.split('&').next().and_then(|pair| pair.strip_prefix("executionId="));
            assert_eq!(decoded(first.expect("it names the execution")), execution.as_bytes());
            assert!(request.starts_with("ws://"), "{request}");
        }
        Err(error) => {
            assert_eq!(error.name(), "InvalidArgument", "{error}");
            check_kept(url, &error.to_string());
        }
    }
    Corpus::Keep
}

fn check_kept(url: &str, text: &str) {
    let Some((before, _)) = url.rsplit_once('@') else { return };
    let Some((_, secret)) = before.rsplit_once(':') else { return };
    let is_plain = secret.len() > 3 && secret.bytes().all(|byte| byte.is_ascii_digit());
    // The rest of the address may hold the same digits, and an escape may put some in front of it.
    let is_elsewhere = url.escape_debug().to_string().matches(secret).count() > 1;
    assert!(!is_plain || is_elsewhere || !text.contains(secret), "{text}");
}

fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let digits = std::str::from_utf8(&rest[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    bytes
}
