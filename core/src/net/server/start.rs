//! What is looked at before a server starts: a key that no client can send, a path that no request
//! can have, and an open door are told then, and not found out by those who knock.

use crate::Error;

/// The key, as it is: what stands in `Authorization: Bearer KEY`.
pub(super) fn check_key(key: Option<&str>) -> Result<(), Error> {
    let Some(key) = key else { return Ok(()) };
    let wrong = |what: &str| Err(Error::invalid(format!("the server's key {what}")));
    if key.is_empty() {
        return wrong("is empty; leave it out, or set one");
    }
    if key.trim() != key {
        return wrong(
            "begins or ends with white space, which no request can carry; take it off (a file's \
             last line break is often the one)",
        );
    }
    // HTTP has no other characters in this place that all clients and proxies agree on.
    match key.chars().find(|c| !c.is_ascii_graphic() && *c != ' ') {
        None => Ok(()),
        Some(c) if c.is_control() => {
            wrong("has a control character in it; make it of letters, digits and signs on one line")
        }
        Some(_) => wrong("has characters beyond ASCII; make it of letters, digits and signs"),
    }
}

/// Origins: whole ones, and all of them only behind a key.
pub(super) fn check_origins(origins: &[String], has_key: bool) -> Result<(), Error> {
    for origin in origins {
        if origin == "*" || origin == "null" {
            if !has_key {
                return Err(Error::invalid(format!(
                    "allowed origin {origin:?} without a key: any page that somebody on this \
                     machine opens could start, stop and read runs; set a key, or name the origins"
                )));
            }
            continue;
        }
        let authority = origin
            .split_once("://")
            .map(|(scheme, rest)| (scheme, rest.strip_suffix('/').unwrap_or(rest)));
        let is_whole = authority.is_some_and(|(scheme, authority)| {
            let is_odd = |c: char| c.is_whitespace() || c.is_control() || "/?#@*".contains(c);
            !scheme.is_empty()
                && !authority.is_empty()
                && !origin.contains(is_odd_scheme)
                && !authority.contains(is_odd)
        });
        if !is_whole {
            return Err(Error::invalid(format!(
                "allowed origin {origin:?} is none; write it as browsers send it, \
                 https://dash.example or http://localhost:3000, or * for all"
            )));
        }
    }
    Ok(())
}

fn is_odd_scheme(c: char) -> bool {
    c.is_whitespace() || c.is_control() || !c.is_ascii()
}

/// The base path, without the slash at its end: empty, or `/one/two`.
pub(super) fn base_path(given: &str) -> Result<String, Error> {
    let path = given.strip_suffix('/').unwrap_or(given);
    let wrong = |why: &str| Err(Error::invalid(format!("base path {given:?} {why}")));
    if path.is_empty() {
        return Ok(String::new());
    }
    let Some(segments) = path.strip_prefix('/') else { return wrong("must begin with '/'") };
    for segment in segments.split('/') {
        if segment.is_empty() {
            return wrong("has an empty part: one '/' between two parts");
        }
        if segment == "." || segment == ".." {
            return wrong("has a part that clients and proxies take for a way up or nowhere");
        }
        let odd = segment.chars().find(|c| !c.is_ascii_alphanumeric() && !"-._~".contains(*c));
        if let Some(odd) = odd {
            return wrong(&format!("has {odd:?} in it; it is made of letters, digits and - . _ ~"));
        }
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(result: Result<impl Sized, Error>) -> String {
        let error = result.err().expect("it should have been refused");
        assert_eq!(error.name(), "InvalidArgument");
        error.to_string()
    }

    #[test]
    fn keys_that_no_request_can_carry_are_refused_and_not_shown() {
        for (key, what) in [
            ("", "empty"),
            (" ", "white space"),
            ("geheim\n", "white space"),
            (" geheim", "white space"),
            ("\u{a0}geheim", "white space"),
            ("gehei\tm", "control character"),
            ("gehei\0m", "control character"),
            ("gehéim", "beyond ASCII"),
            ("gehei\u{200b}m", "beyond ASCII"),
        ] {
            let told = told(check_key(Some(key)));
            assert!(told.contains(what), "{key:?}: {told}");
            assert!(!told.contains("geh"), "{told}");
        }
        for key in ["the key", "a", "~!@#$%^&*()_+{}|:<>?-=[];',./`\"\\"] {
            check_key(Some(key)).unwrap();
        }
        check_key(None).unwrap();
    }

    #[test]
    fn all_origins_are_allowed_only_behind_a_key() {
        for all in ["*", "null"] {
            let list = ["https://dash.example".to_owned(), all.to_owned()];
            assert!(told(check_origins(&list, false)).contains("set a key"));
            check_origins(&list, true).unwrap();
        }
    }

    #[test]
    fn origins_that_no_browser_sends_are_told() {
        for wrong in [
            "",
            "dash.example",
            "https://",
            "://x",
            "https://dash.example/path",
            "https://*.example",
            "https://dash.example?x",
            "https://user@dash.example",
            "https://dash .example",
            "https://dash.example\n",
            "https://däsh.example",
            "**",
        ] {
            assert!(told(check_origins(&[wrong.to_owned()], true)).contains("origin"), "{wrong:?}");
        }
        for right in [
            "https://dash.example",
            "https://dash.example/",
            "http://localhost:3000",
            "http://[::1]:8080",
            "tauri://localhost",
            "chrome-extension://abcdef",
        ] {
            check_origins(&[right.to_owned()], false).expect(right);
        }
    }

    #[test]
    fn base_paths_are_made_of_plain_parts() {
        for (given, path) in [
            ("", ""),
            ("/", ""),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/Stay/line-1.0_~", "/Stay/line-1.0_~"),
        ] {
            assert_eq!(base_path(given).as_deref(), Ok(path));
        }
        for wrong in [
            "a", "a/b", "//", "/a//", "//a", "/a//b", "/.", "/..", "/a/../b", "/a/./b", "/{a}",
            "/{*a}", "/*", "/*a", "/:a", "/a b", "/a?b", "/a#b", "/a%20b", "/ä", "/a\0", "/a\n",
            "/a\\b", "/a+b", " /a", "/a ",
        ] {
            assert!(told(base_path(wrong)).contains("base path"), "{wrong:?}");
        }
    }
}
