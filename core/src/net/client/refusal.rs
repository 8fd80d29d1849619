//! What was answered in the place of an upgrade, and what that says to people (R46).
//!
//! A server of ours says why it refuses, under a header of its own. Whatever else answers is told
//! with the address that was asked: a wrong base path, a redirect and a page for people are what
//! somebody has to mend who gave the address, however often it is tried again.

use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::{HeaderMap, Response, header};

use crate::credentials::without_credentials;
use crate::protocol::{REFUSAL_HEADER, Refusal, STATUS_HEADER};
use crate::session::records::Status;
use crate::settings::Millis;
use crate::wrapper::Refused;

/// Characters of what the other side says that are shown, each time.
const LONGEST_DETAIL: usize = 500;
const LONGEST_TITLE: usize = 100;

/// What to do about an answer that no server of ours gives.
const LOOK_AT_IT: &str = "check the address and its base path";

/// Reads what came instead of an upgrade of `asked`.
pub(super) fn read(error: SocketError, asked: &str) -> Refused {
    match error {
        SocketError::Http(response) => answered(&response, asked),
        // A refusal would have been read (`counted`).
        SocketError::Protocol(ProtocolError::WrongHttpVersion) => Refused {
            detail: format!(
                "{asked} upgrades in HTTP/1.0, as no Stayline server does; {LOOK_AT_IT}"
            ),
            ..Refused::default()
        },
        other => Refused { detail: other.to_string(), ..Refused::default() },
    }
}

fn answered(response: &Response<Option<Vec<u8>>>, asked: &str) -> Refused {
    let headers = response.headers();
    // Its other form, a date, would need the other side's clock.
    let retry_after = text(headers, header::RETRY_AFTER.as_str());
    let retry_after = retry_after.and_then(|seconds| seconds.parse::<u32>().ok());
    let refusal = text(headers, REFUSAL_HEADER).and_then(|name| Refusal::parse(&name));
    let status = response.status().as_u16();
    let mut refused = Refused {
        status: Some(status),
        refusal,
        execution_status: text(headers, STATUS_HEADER).and_then(|name| Status::parse(&name)),
        retry_after_ms: retry_after.map(|seconds| Millis::from(seconds) * 1_000),
        detail: said(response),
    };
    if refused.refusal.is_none() {
        let advice = match (response.status().is_redirection(), refused.is_misplaced()) {
            (true, _) => "; give the address that it leads to".to_owned(),
            (false, true) => format!("; {LOOK_AT_IT}"),
            (false, false) => String::new(),
        };
        refused.detail = format!("{asked} answered {status}{}{advice}", manner(response));
    }
    refused
}

/// How it answered, behind the status.
fn manner(response: &Response<Option<Vec<u8>>>) -> String {
    if response.status().is_redirection() {
        let location = text(response.headers(), header::LOCATION.as_str());
        let location = location.map(|to| shown(&without_credentials(&to), LONGEST_DETAIL));
        return location.map_or_else(
            || ", a redirect to nowhere".to_owned(),
            |to| format!(", a redirect to {to}"),
        );
    }
    let body = body(response);
    if is_page(response.headers(), &body) {
        let title = title(&body).map(|title| format!(" {:?}", shown(title, LONGEST_TITLE)));
        return format!(" with a web page{}", title.unwrap_or_default());
    }
    match said(response) {
        line if line.is_empty() => String::new(),
        line => format!(" ({line})"),
    }
}

/// The first line of what it says.
fn said(response: &Response<Option<Vec<u8>>>) -> String {
    let body = body(response);
    let message = message_of(&body);
    let line = message.as_deref().unwrap_or(&body).lines().next();
    shown(line.unwrap_or_default().trim(), LONGEST_DETAIL)
}

fn body(response: &Response<Option<Vec<u8>>>) -> String {
    let body = response.body().as_deref().map(String::from_utf8_lossy);
    body.unwrap_or_default().into_owned()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
}

fn is_page(headers: &HeaderMap, body: &str) -> bool {
    let kind = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    kind.to_ascii_lowercase().starts_with("text/html") || body.trim_start().starts_with('<')
}

/// What a page calls itself, where that came with its head.
fn title(page: &str) -> Option<&str> {
    let lower = page.to_ascii_lowercase();
    let begin = lower.find("<title>")? + "<title>".len();
    let end = begin + lower[begin..].find("</title>")?;
    Some(page[begin..end].trim()).filter(|title| !title.is_empty())
}

/// What an error says that comes as JSON, as most of a server's do.
fn message_of(body: &str) -> Option<String> {
    match serde_json::from_str(body).ok()? {
        serde_json::Value::Object(mut error) => match error.remove("message")? {
            serde_json::Value::String(message) => Some(message),
            _ => None,
        },
        _ => None,
    }
}

/// A line as a reason may show it: a proxy may say anything, at any length.
fn shown(line: &str, longest: usize) -> String {
    let readable = |one: char| if one.is_control() { char::REPLACEMENT_CHARACTER } else { one };
    let mut shown: String = line.chars().take(longest).map(readable).collect();
    if line.chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "http://host/base/sessions/s/ingest";

    fn refused(error: SocketError) -> Refused {
        read(error, ASKED)
    }

    #[test]
    fn a_refusal_is_read_with_its_status_and_line() {
        let response = Response::builder()
            .status(409)
            .header(REFUSAL_HEADER, "not_active")
            .header(STATUS_HEADER, "failed")
            .body(Some(b"it is failed\nmore".to_vec()))
            .unwrap();
        let read = refused(SocketError::Http(Box::new(response)));
        assert_eq!((read.status, read.refusal), (Some(409), Some(Refusal::NotActive)));
        assert_eq!(read.execution_status, Some(Status::Failed));
        assert_eq!(read.detail, "it is failed");
    }

    #[test]
    fn of_an_error_in_json_its_message_is_shown() {
        let detail = |body: &str| {
            let response = Response::builder().status(400).header(REFUSAL_HEADER, "bad_request");
            let response = response.body(Some(body.into())).unwrap();
            refused(SocketError::Http(Box::new(response))).detail
        };
        let error = r#"{"error": "InvalidArgument", "message": "use https://\nnow"}"#;
        assert_eq!(detail(error), "use https://");
        for odd in [r#"{"message": 1}"#, r#"{"detail": "x"}"#, r#"["message"]"#, "{"] {
            assert_eq!(detail(odd), odd);
        }
    }

    #[test]
    fn what_a_proxy_says_is_cut_and_its_wait_is_read() {
        let answer = |after: &str, body: String| {
            let response = Response::builder().status(503).header("Retry-After", after);
            let response = response.body(Some(body.into_bytes())).unwrap();
            refused(SocketError::Http(Box::new(response)))
        };
        let read = answer(" 3 ", "a\u{1b}[2Jb".to_owned() + &"ä".repeat(60_000));
        assert_eq!((read.retry_after_ms, read.refusal), (Some(3_000), None));
        let begin = format!("{ASKED} answered 503 (a�[2Jb");
        assert!(read.detail.starts_with(&begin) && read.detail.ends_with("ä…)"), "{}", read.detail);
        assert!(read.detail.chars().count() < LONGEST_DETAIL + 100);
        for no_wait in ["soon", "-1", "99999999999", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(answer(no_wait, String::new()).retry_after_ms, None, "{no_wait}");
        }
    }

    #[test]
    fn without_our_header_it_is_only_a_failed_attempt() {
        let response = Response::builder().status(409).body(None).unwrap();
        let read = refused(SocketError::Http(Box::new(response)));
        assert_eq!((read.status, read.refusal), (Some(409), None));
        assert_eq!(read.detail, format!("{ASKED} answered 409"));
    }

    #[test]
    fn whoever_gave_a_wrong_address_is_told_what_answers_there() {
        let answer = |status: u16, name: &str, value: &str, body: &str| {
            let response = Response::builder().status(status).header(name, value);
            let response = response.body(Some(body.as_bytes().to_vec())).unwrap();
            let read = refused(SocketError::Http(Box::new(response)));
            assert_eq!(read.refusal, None);
            let detail = read.detail.strip_prefix(ASKED).unwrap().to_owned();
            (read.is_misplaced(), detail)
        };
        let look = "check the address and its base path";
        let page = "<!doctype html>\n<html><head><TITLE>\n Welcome \n</title></head></html>";
        for (status, name, value, body, misplaced, told) in [
            (404, "X", "y", "", true, format!(" answered 404; {look}")),
            (
                404,
                "X",
                "y",
                "no such page\n",
                true,
                format!(" answered 404 (no such page); {look}"),
            ),
            (
                404,
                "Content-Type",
                "application/json",
                r#"{"error":"NotFound","message":"not found: this address"}"#,
                true,
                format!(" answered 404 (not found: this address); {look}"),
            ),
            (
                200,
                "X",
                "y",
                page,
                true,
                format!(" answered 200 with a web page \"Welcome\"; {look}"),
            ),
            (
                405,
                "Content-Type",
                "Text/HTML; charset=utf-8",
                "no",
                true,
                format!(" answered 405 with a web page; {look}"),
            ),
            (
                308,
                "Location",
                "https://user:secret@elsewhere/base/sessions/s/ingest",
                "",
                true,
                " answered 308, a redirect to https://…@elsewhere/base/sessions/s/ingest; \
                 give the address that it leads to"
                    .to_owned(),
            ),
            (
                302,
                "X",
                "y",
                "",
                true,
                " answered 302, a redirect to nowhere; give the address that it leads to"
                    .to_owned(),
            ),
            // A server of ours that is away for a while, behind a proxy.
            (
                502,
                "X",
                "y",
                "<title>Bad\u{7}gateway</title>",
                false,
                " answered 502 with a web page \"Bad\u{fffd}gateway\"".to_owned(),
            ),
            (503, "X", "y", "starting", false, " answered 503 (starting)".to_owned()),
        ] {
            assert_eq!(answer(status, name, value, body), (misplaced, told));
        }
        let old = SocketError::Protocol(ProtocolError::WrongHttpVersion);
        let old = refused(old).detail;
        assert!(old.starts_with(ASKED) && old.contains("HTTP/1.0") && old.ends_with(look), "{old}");
    }
}
