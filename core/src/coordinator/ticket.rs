//! Tickets: short-lived, signed, bound to one session, for browsers that cannot set headers.
//!
//! `tkt_<expires at, ms>_<epoch>_<HMAC-SHA256 over session, epoch and expiry>`. A ticket is for the
//! session that was there when it was issued: a session of the same name that is made after a
//! deletion has another epoch (R34a), and is not opened by it. No ticket is stored, only the secret
//! that signs them, with the store: so tickets outlive a restart.

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

    pub(super) fn issue(&self, session_id: &str, epoch: &str, expires_at: Millis) -> String {
        let signature = self.sign(session_id, epoch, expires_at).finalize().into_bytes();
        format!("tkt_{expires_at}_{epoch}_{}", hex(&signature))
    }

    /// The epoch that a ticket is for, once it is known to be ours, for this session, and in time.
    pub(super) fn verify<'a>(
        &self,
        session_id: &str,
        ticket: &'a str,
        now: Millis,
    ) -> Result<&'a str, Error> {
        let parts = ticket.strip_prefix("tkt_").and_then(|rest| {
            let (expires_at, rest) = rest.split_once('_')?;
            let (epoch, signature) = rest.rsplit_once('_')?;
            Some((expires_at, epoch, signature))
        });
        let (expires_at, epoch, signature) = parts.ok_or(Error::Unauthorized)?;
        let expires_at: Millis = expires_at.parse().map_err(|_| Error::Unauthorized)?;
        let signature = unhex(signature).ok_or(Error::Unauthorized)?;
        let expected = self.sign(session_id, epoch, expires_at);
        expected.verify_slice(&signature).map_err(|_| Error::Unauthorized)?;
        if now < expires_at { Ok(epoch) } else { Err(Error::Unauthorized) }
    }

    fn sign(&self, session_id: &str, epoch: &str, expires_at: Millis) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes a key of any length");
        // Neither has a line break: epochs are made here, and ids have no control characters.
        mac.update(format!("{expires_at}\n{epoch}\n{session_id}").as_bytes());
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
        let ticket = tickets.issue("s", "ep_1", 1_000);
        assert_eq!(tickets.verify("s", &ticket, 999), Ok("ep_1"));
        assert_eq!(tickets.verify("s", &ticket, 1_000), Err(Error::Unauthorized));
        assert_eq!(tickets.verify("other", &ticket, 0), Err(Error::Unauthorized));
        assert_eq!(Tickets::new([8; 32]).verify("s", &ticket, 0), Err(Error::Unauthorized));
        for (was, is) in [("1000", "9000"), ("ep_1", "ep_2"), ("ep_1_", ""), ("ep_1", "ep")] {
            let forged = ticket.replace(was, is);
            assert_eq!(tickets.verify("s", &forged, 0), Err(Error::Unauthorized), "{forged}");
        }
        for nonsense in ["nonsense", "", "tkt_", "tkt_1", "tkt_1_", "tkt_1_e_", "tkt_1_e_zz"] {
            assert_eq!(tickets.verify("s", nonsense, 0), Err(Error::Unauthorized), "{nonsense}");
        }
    }
}
