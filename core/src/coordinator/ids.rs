//! Names and secrets, made from the system's randomness. This is the only place of the
//! coordinator that has any.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::Error;
use crate::settings::Millis;

/// `exc_` and a UUIDv7: ids of executions sort by their start.
pub(super) fn execution_id(now: Millis) -> Arc<str> {
    let mut bytes: [u8; 16] = random();
    let stamp = u64::try_from(now).unwrap_or(0).to_be_bytes();
    bytes[..6].copy_from_slice(&stamp[2..]);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let hex = hex(&bytes);
    format!("exc_{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
        .into()
}

/// A random name with a prefix that says what it names.
pub(super) fn random_id(prefix: &str) -> Arc<str> {
    format!("{prefix}_{}", hex(&random::<16>())).into()
}

/// The first of this coordinator's commit ids: unlike any that an earlier one wrote.
pub(super) fn first_commit_id() -> u64 {
    u64::from_be_bytes(random()) >> 2
}

/// A secret for signing.
pub(super) fn secret() -> [u8; 32] {
    random()
}

/// What is stored of a token.
pub(super) fn token_hash(token: &str) -> Arc<str> {
    hex(&Sha256::digest(token.as_bytes())).into()
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Ids are non-empty UTF-8 of at most `max_bytes`, without control characters.
pub(super) fn check_id(what: &str, id: &str, max_bytes: u32) -> Result<(), Error> {
    if id.is_empty() {
        return Err(Error::invalid(format!("the {what} id is empty")));
    }
    if id.len() > max_bytes as usize {
        return Err(Error::invalid(format!(
            "the {what} id is {} bytes long; at most {max_bytes} are allowed (max_id_bytes)",
            id.len()
        )));
    }
    if id.chars().any(char::is_control) {
        return Err(Error::invalid(format!("the {what} id {id:?} has a control character in it")));
    }
    Ok(())
}

fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    // Without randomness no id or token is safe: nothing can go on.
    getrandom::fill(&mut bytes).expect("the system has a source of randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_sort_by_time_and_pass_their_own_check() {
        let (early, late) = (execution_id(1_700_000_000_000), execution_id(1_700_000_000_001));
        assert!(early < late);
        assert_eq!(early.len(), 40);
        assert_eq!(&early[18..19], "7");
        check_id("execution", &early, 256).unwrap();
        assert_ne!(random_id("tok"), random_id("tok"));
    }

    #[test]
    fn bad_ids_are_named() {
        assert!(check_id("session", "", 256).is_err());
        assert!(check_id("session", "a\nb", 256).unwrap_err().to_string().contains("a\\nb"));
        let long = check_id("session", "abcd", 3).unwrap_err().to_string();
        assert!(long.contains("max_id_bytes"), "{long}");
        check_id("session", "user_1:agent/ä", 256).unwrap();
    }
}
