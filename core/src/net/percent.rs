//! Percent-encoding: session ids in paths, values in queries.

use std::fmt::Write as _;

/// Encodes everything but the unreserved characters of RFC 3986, so that the result fits a path
/// segment and a query value alike.
#[cfg_attr(not(feature = "client"), allow(dead_code))]
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Decodes; a `%` without two hexadecimal digits stands for itself. `None` if it is no UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.and_then(hexadecimal) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    let (high, low) = (value(digits[0])?, value(digits[1])?);
    u8::try_from(high * 16 + low).ok()
}

/// The parameters of a query, decoded, in their order. `+` is a space, as forms and browsers
/// write it. `Err`: the name and the value, as they were sent, of one that is no UTF-8.
pub(crate) fn query_pairs(query: &str) -> Result<Vec<(String, String)>, (&str, &str)> {
    let plain = |text: &str| decode(&text.replace('+', " "));
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            plain(name).zip(plain(value)).ok_or((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_again() {
        for text in ["user_1:agent/2", "ä ö%&=?#", "", "%41", "a+b"] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text));
        }
        assert_eq!(encode("a/b:c"), "a%2Fb%3Ac");
        assert_eq!(decode("100%").as_deref(), Some("100%"));
        assert_eq!(decode("%zz%4").as_deref(), Some("%zz%4"));
        assert_eq!(decode("%ff"), None);
    }

    #[test]
    fn queries_are_taken_apart() {
        let pairs = query_pairs("a=1&b=x%2Cy&&flag&c=p+q%2B");
        let expected = [("a", "1"), ("b", "x,y"), ("flag", ""), ("c", "p q+")];
        assert_eq!(pairs, Ok(expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into()));
        assert_eq!(query_pairs("a=1&bad=x%ff&b=2"), Err(("bad", "x%ff")));
        assert_eq!(query_pairs("%C3=1"), Err(("%C3", "1")));
    }
}
