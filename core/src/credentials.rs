//! Addresses in texts: a password in one must not come to light.

/// An address as it may be shown: without what stands before its last `@`, and without its query,
/// in which tokens travel.
pub fn without_credentials(address: &str) -> String {
    let (scheme, rest) = match (address.split_once("://"), address.split_once(':')) {
        (Some((scheme, rest)), _) if is_scheme(scheme) => (format!("{scheme}://"), rest),
        // `scheme:user:password@…`; with one colon alone it may be `user:password@…`.
        (_, Some((scheme, rest)))
            if rest.split_once('@').is_some_and(|(before, _)| before.contains(':')) =>
        {
            (format!("{scheme}:"), rest)
        }
        _ => (String::new(), address),
    };
    let (hidden, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("…@", rest),
        None => ("", rest),
    };
    // A password may have the sign in it, and so may a query: nothing behind the first is shown.
    match (rest.split_once('?'), address.contains('?')) {
        (Some((rest, _)), _) => format!("{scheme}{hidden}{rest}?…"),
        (None, true) => format!("{scheme}{hidden}…"),
        (None, false) => format!("{scheme}{hidden}{rest}"),
    }
}

/// Whether it has only what a scheme may have: anything else may be a password.
fn is_scheme(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown_wherever_it_stands() {
        for (address, shown) in [
            ("http://h:1/p", "http://h:1/p"),
            ("https://user:geheim@h:1/p", "https://…@h:1/p"),
            ("wss://user:ge@he/im@h", "wss://…@h"),
            ("user:geheim@h:1", "…@h:1"),
            ("http://user:geheim@", "http://…@"),
            ("http://h/?key=geheim", "http://h/?…"),
            ("http://h/?a=b@c&key=geheim", "http://…@…"),
            ("http://user:ge?he@im@h/p", "http://…@…"),
            ("postgresql:user:geheim@h/db", "postgresql:…@h/db"),
            ("postgres://user:geheim@h/db?password=geheim", "postgres://…@h/db?…"),
            ("htt:1234567@hp:///a", "…@hp:///a"),
            ("", ""),
        ] {
            let told = without_credentials(address);
            assert_eq!(told, shown);
        }
    }
}
