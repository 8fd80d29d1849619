//! The connection's states: which attempt is current, and what may follow what (R41, R42, R48).
//!
//! | state | open | basic | granted | welcomed | lost | spent | due | stop |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | idle | connecting | | | | | | | closed |
//! | connecting | | connected | greeting | | waiting | closed | | closed |
//! | greeting | | – | – | connected | waiting | closed | | closed |
//! | connected | | – | – | – | waiting | closed | | closed |
//! | waiting | | | | | | closed | reconnecting | closed |
//! | reconnecting | | connected | regreeting | | waiting | closed | | closed |
//! | regreeting | | – | – | connected | waiting | closed | | closed |
//! | closed | connecting | | | | | | | – |
//!
//! `–` is a late or double input, which changes nothing; an empty cell is not declared, and
//! arriving there is an error. Inputs that carry an attempt's number are compared with the
//! current attempt before they come here (R42): in `waiting` and `closed` no attempt is current.

use crate::settings::{Attempts, Millis, Settings};

use super::action::State;
use super::random::Random;

/// How long a link must hold for the count of attempts to start again without an
/// acknowledgement (R41).
const STEADY_MS: Millis = 10_000;
/// Attempts in basic mode, where the host has not said (R41).
const BASIC_ATTEMPTS: u32 = 3;

/// The connection's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// Never opened.
    Idle,
    /// The first attempt is in flight.
    Connecting { attempt: u64 },
    /// The first link is open and has not had its `welcome`.
    Greeting { attempt: u64 },
    /// Events go out.
    Connected { attempt: u64, since: Millis },
    /// Before the next attempt.
    Waiting,
    /// A later attempt is in flight.
    Reconnecting { attempt: u64 },
    /// A later link is open and has not had its `welcome`.
    Regreeting { attempt: u64 },
    /// Over.
    Closed,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// The host opens it: the first attempt.
    Open { attempt: u64 },
    /// The attempt succeeded, in basic mode.
    Basic { now: Millis },
    /// The attempt succeeded, acknowledged mode was granted.
    Granted,
    /// The `welcome` came.
    Welcomed { now: Millis },
    /// The attempt failed or the link broke, and there will be another.
    Lost,
    /// The same, and there will be no other.
    Spent,
    /// The wait is over: the next attempt.
    Due { attempt: u64 },
    /// It is over: the execution has ended, another wrapper took over, or the host closed.
    Stop,
}

/// An input in a state for which it is not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undeclared;

impl Connection {
    /// The next state; `None` when the input is a late or double one and changes nothing.
    pub(super) fn step(self, input: Input) -> Result<Option<Connection>, Undeclared> {
        use Connection::*;
        Ok(Some(match (self, input) {
            (Idle | Closed, Input::Open { attempt }) => Connecting { attempt },

            (Connecting { attempt } | Reconnecting { attempt }, Input::Basic { now }) => {
                Connected { attempt, since: now }
            }
            (Connecting { attempt }, Input::Granted) => Greeting { attempt },
            (Reconnecting { attempt }, Input::Granted) => Regreeting { attempt },
            (Greeting { attempt } | Regreeting { attempt }, Input::Welcomed { now }) => {
                Connected { attempt, since: now }
            }
            // The driver said twice that the attempt succeeded.
            (
                Greeting { .. } | Regreeting { .. } | Connected { .. },
                Input::Basic { .. } | Input::Granted,
            ) => return Ok(None),
            // A second welcome on a link that has had its own.
            (Connected { .. }, Input::Welcomed { .. }) => return Ok(None),

            (
                Connecting { .. }
                | Greeting { .. }
                | Connected { .. }
                | Reconnecting { .. }
                | Regreeting { .. },
                Input::Lost,
            ) => Waiting,
            (
                Connecting { .. }
                | Greeting { .. }
                | Connected { .. }
                | Waiting
                | Reconnecting { .. }
                | Regreeting { .. },
                Input::Spent,
            ) => Closed,
            (Waiting, Input::Due { attempt }) => Reconnecting { attempt },

            // Closing twice is fine.
            (Closed, Input::Stop) => return Ok(None),
            (_, Input::Stop) => Closed,

            (Idle | Closed, _) | (Waiting, _) => return Err(Undeclared),
            (_, Input::Open { .. } | Input::Due { .. }) => return Err(Undeclared),
            (Connecting { .. } | Reconnecting { .. }, Input::Welcomed { .. }) => {
                return Err(Undeclared);
            }
        }))
    }

    /// The attempt that is current: the only one whose inputs count (R42).
    pub(super) fn attempt(self) -> Option<u64> {
        match self {
            Connection::Connecting { attempt }
            | Connection::Greeting { attempt }
            | Connection::Connected { attempt, .. }
            | Connection::Reconnecting { attempt }
            | Connection::Regreeting { attempt } => Some(attempt),
            Connection::Idle | Connection::Waiting | Connection::Closed => None,
        }
    }

    /// Since when events go out; `None` while they do not.
    pub(super) fn connected_since(self) -> Option<Millis> {
        match self {
            Connection::Connected { since, .. } => Some(since),
            _ => None,
        }
    }

    /// Whether events go out.
    pub(super) fn is_connected(self) -> bool {
        self.connected_since().is_some()
    }

    /// Whether the first link of an execution is being made.
    pub(super) fn is_first(self) -> bool {
        matches!(self, Connection::Connecting { .. } | Connection::Greeting { .. })
    }

    /// Whether an attempt is in flight.
    pub(super) fn is_dialling(self) -> bool {
        matches!(self, Connection::Connecting { .. } | Connection::Reconnecting { .. })
    }

    /// Whether a link is open that has not had its `welcome`.
    pub(super) fn awaits_welcome(self) -> bool {
        matches!(self, Connection::Greeting { .. } | Connection::Regreeting { .. })
    }

    /// The state as hosts see it.
    pub(super) fn state(self) -> State {
        match self {
            Connection::Idle => State::Idle,
            Connection::Connecting { .. } | Connection::Greeting { .. } => State::Connecting,
            Connection::Connected { .. } => State::Connected,
            Connection::Waiting
            | Connection::Reconnecting { .. }
            | Connection::Regreeting { .. } => State::Reconnecting,
            Connection::Closed => State::Closed,
        }
    }
}

/// The count of attempts since the link last proved itself, and the delays between them (R41).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backoff {
    tried: u32,
}

impl Backoff {
    /// The link has proved itself: the count starts again.
    pub(super) fn reset(&mut self) {
        self.tried = 0;
    }

    /// A link that held for a while has proved itself, too.
    pub(super) fn link_broke(&mut self, since: Millis, now: Millis) {
        if now - since >= STEADY_MS {
            self.reset();
        }
    }

    /// The number of the next attempt, and the wait before it in ms; `None` when all are used up.
    pub(super) fn next(
        &mut self,
        settings: &Settings,
        basic: bool,
        random: &mut Random,
    ) -> Option<(u32, Millis)> {
        let used_up = match settings.reconnect_attempts {
            Attempts::Auto => basic && self.tried >= BASIC_ATTEMPTS,
            Attempts::Unlimited => false,
            Attempts::Times(times) => self.tried >= times,
        };
        if used_up {
            return None;
        }
        self.tried = self.tried.saturating_add(1);
        let delay = settings.reconnect_delay_ms(self.tried);
        let taken_off = (delay as f64 * settings.jitter * random.fraction()) as Millis;
        Some((self.tried, delay - taken_off))
    }
}
