//! Tickets: short-lived, signed, bound to one session, for browsers that cannot set headers.
//!
//! `tkt_<expires at, ms>_<HMAC-SHA256 over session and expiry>`. Nothing is stored; a ticket ends
//! with its time or with the coordinator that made it.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::ids::hex;
use crate::Error;
use crate::settings::Millis;

pub(super) struct Tickets {
    secret: [u8; 32],
}

impl Tickets {
    pub(super) fn new(secret: [u8; 32]) -> Tickets {
        Tickets { secret }
    }

    pub(super) fn issue(&self, session_id: &str, expires_at: Millis) -> String {
        let signature = self.sign(session_id, expires_at).finalize().into_bytes();
        format!("tkt_{expires_at}_{}", hex(&signature))
    }

    pub(super) fn verify(&self, session_id: &str, ticket: &str, now: Millis) -> Result<(), Error> {
        let parts = ticket.strip_prefix("tkt_").and_then(|rest| rest.split_once('_'));
        let (expires_at, signature) = parts.ok_or(Error::Unauthorized)?;
        let expires_at: Millis = expires_at.parse().map_err(|_| Error::Unauthorized)?;
        let signature = unhex(signature).ok_or(Error::Unauthorized)?;
        let expected = self.sign(session_id, expires_at);
        expected.verify_slice(&signature).map_err(|_| Error::Unauthorized)?;
        if now < expires_at { Ok(()) } else { Err(Error::Unauthorized) }
    }

    fn sign(&self, session_id: &str, expires_at: Millis) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes a key of any length");
        mac.update(format!("{expires_at}\n{session_id}").as_bytes());
        mac
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_its_session_until_it_expires() {
        let tickets = Tickets::new([7; 32]);
        let ticket = tickets.issue("s", 1_000);
        assert_eq!(tickets.verify("s", &ticket, 999), Ok(()));
        assert_eq!(tickets.verify("s", &ticket, 1_000), Err(Error::Unauthorized));
        assert_eq!(tickets.verify("other", &ticket, 0), Err(Error::Unauthorized));
        assert_eq!(Tickets::new([8; 32]).verify("s", &ticket, 0), Err(Error::Unauthorized));
        let later = ticket.replace("1000", "9000");
        assert_eq!(tickets.verify("s", &later, 0), Err(Error::Unauthorized));
        assert_eq!(tickets.verify("s", "nonsense", 0), Err(Error::Unauthorized));
    }
}
