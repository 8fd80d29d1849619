//! Requests: `METHOD TARGET` in the first line, further header fields up to an empty line, then the
//! body. With a `!` in front the rest goes out as it is, which is how heads are tried that are none.
//! No request is an error of the server's own, and every answer is whole.

use libfuzzer_sys::Corpus;

use crate::site::{Answer, with_site};

pub fn run(bytes: &[u8]) -> Corpus {
    let request = match bytes.split_first() {
        Some((b'!', raw)) => raw.to_vec(),
        _ => match written(bytes) {
            Some(request) => request,
            None => return Corpus::Reject,
        },
    };
    // Half a request is waited for, as it should be; here nobody sends the other half.
    let is_half = bytes.first() == Some(&b'!') && !is_whole(&request);
    if is_half {
        return Corpus::Reject;
    }
    let enough = |answer: &[u8]| Answer::read(answer).is_some_and(|answer| answer.is_whole());
    let answer = with_site(|site| site.exchange(&request, enough));
    // A head that is none may be answered by the end of the connection.
    let Some(answer) = Answer::read(&answer) else { return Corpus::Keep };
    assert!(answer.status != 500, "an error of its own: {:?}", request.escape_ascii().to_string());
    if let Some(body) = answer.json()
        && answer.status >= 400
    {
        assert!(body["error"].is_string() && body["message"].is_string(), "{body}");
    }
    Corpus::Keep
}

/// Whether it has a head, and as much of a body as the head says, or none.
fn is_whole(request: &[u8]) -> bool {
    // Empty lines in front of a head are no head (RFC 9112, 2.2).
    let first = request.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let request = &request[first.unwrap_or(request.len())..];
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = request[..end].to_ascii_lowercase();
    let says = |field: &[u8]| head.windows(field.len()).any(|part| part == field);
    !says(b"content-length") && !says(b"transfer-encoding") && !says(b"expect")
}

fn written(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let line = parts.next()?;
    let rest = parts.next().unwrap_or_default();
    let (fields, body) = match rest.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&rest[..at], &rest[at + 2..]),
        None => (rest.strip_suffix(b"\n").unwrap_or(rest), &[][..]),
    };
    if !line.contains(&b' ') || fields.to_ascii_lowercase().windows(7).any(is_about_length) {
        return None;
    }
    let mut request = line.to_vec();
    request.extend_from_slice(b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for field in fields.split(|byte| *byte == b'\n').filter(|field| !field.is_empty()) {
        request.extend_from_slice(field);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    Some(request)
}

/// What the length of a body is said with, once only.
fn is_about_length(part: &[u8]) -> bool {
    part == b"content" || part == b"transfe" || part.starts_with(b"expect")
}
