//! Every bound and every delay has a name here, with its unit last, and the relations between
//! them are checked in one place (R24).
//!
//! The table in `settings!` is the source for all languages: [`Settings::set`] and
//! [`Settings::get`] take the names that Python, C and the documentation use.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::Error;

/// Milliseconds: a duration, or a moment since the Unix epoch.
pub type Millis = i64;

/// No duration may be longer than this (100 years), so that adding two never overflows.
pub const MAX_DURATION_MS: Millis = 100 * 365 * 86_400_000;

/// No moment that a host tells may be further from the epoch than this, so that there is room for
/// whatever is counted from it.
pub const MAX_MOMENT_MS: Millis = Millis::MAX / 4;

/// A moment that a host tells, ms since the Unix epoch; [`Error::InvalidArgument`] for one beyond
/// all calendars ([`MAX_MOMENT_MS`]). `what` names it in the error.
pub fn moment(at: Millis, what: &str) -> Result<Millis, Error> {
    match (-MAX_MOMENT_MS..=MAX_MOMENT_MS).contains(&at) {
        true => Ok(at),
        false => Err(Error::invalid(format!("{what} cannot be {at}"))),
    }
}

const DAY_MS: Millis = 86_400_000;

/// No text is cut shorter than this (R5), so that there is room for what says that it was cut.
const LEAST_TEXT_BYTES: u32 = 64;

/// How many times a wrapper tries to reconnect (R41).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// Unlimited in acknowledged mode, 3 in basic mode.
    Auto,
    /// Until `give_up_after_ms`, or for ever.
    Unlimited,
    /// This many.
    Times(u32),
}

/// What happens to an event that finds the wrapper's buffer full (R44).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// `Block` in acknowledged mode, `DropNewest` in basic mode.
    Auto,
    /// The caller waits up to `send_timeout_ms`, then gets `Full`.
    Block,
    /// The incoming event is dropped and counted.
    DropNewest,
    /// The oldest event that may be dropped gives way, and is counted.
    DropOldest,
}

/// How hard SQLite tries to keep a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// Every commit is on disk before it is seen.
    Full,
    /// The last commits may be lost at a power cut, not at a crash of the process.
    Normal,
    /// No fsync at all. For tests of what is lost; never for real runs.
    Off,
}

/// Where a wrapper keeps what is not acknowledged yet (R45e).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outbox {
    /// In memory: it ends with the process.
    Memory,
    /// In a file.
    Path(Arc<str>),
}

/// One kind of value a setting can have: how it is read from and shown as JSON.
trait SettingValue: Sized {
    /// What a value looks like, for error texts and documentation.
    const SHAPE: &'static str;
    /// A value of this shape; whether it is one that makes sense says `fits`.
    fn read(value: &Value) -> Option<Self>;
    fn show(&self) -> Value;
    /// Whether it is in its range. A struct literal can hold anything that the type can.
    fn fits(&self) -> bool {
        true
    }
}

impl SettingValue for Millis {
    const SHAPE: &'static str = "an integer from 0 to 3153600000000";
    fn read(value: &Value) -> Option<Self> {
        value.as_i64()
    }
    fn show(&self) -> Value {
        json!(self)
    }
    fn fits(&self) -> bool {
        (0..=MAX_DURATION_MS).contains(self)
    }
}

impl SettingValue for Option<Millis> {
    const SHAPE: &'static str = "an integer from 0 to 3153600000000, or null for never";
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            other => Millis::read(other).map(Some),
        }
    }
    fn show(&self) -> Value {
        json!(self)
    }
    fn fits(&self) -> bool {
        self.is_none_or(|ms| ms.fits())
    }
}

impl SettingValue for u32 {
    const SHAPE: &'static str = "an integer from 1 to 2147483647";
    fn read(value: &Value) -> Option<Self> {
        value.as_u64().and_then(|number| u32::try_from(number).ok())
    }
    fn show(&self) -> Value {
        json!(self)
    }
    fn fits(&self) -> bool {
        (1..=0x7fff_ffff).contains(self)
    }
}

impl SettingValue for f64 {
    const SHAPE: &'static str = "a finite number, not negative";
    fn read(value: &Value) -> Option<Self> {
        value.as_f64()
    }
    fn show(&self) -> Value {
        json!(self)
    }
    fn fits(&self) -> bool {
        self.is_finite() && *self >= 0.0
    }
}

impl SettingValue for bool {
    const SHAPE: &'static str = "true or false";
    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
    fn show(&self) -> Value {
        json!(self)
    }
}

impl SettingValue for BTreeSet<Arc<str>> {
    const SHAPE: &'static str = "a list of event types";
    fn read(value: &Value) -> Option<Self> {
        let list = value.as_array()?;
        list.iter().map(|item| item.as_str().map(Arc::from)).collect()
    }
    fn show(&self) -> Value {
        json!(self.iter().map(|item| &**item).collect::<Vec<_>>())
    }
    fn fits(&self) -> bool {
        self.iter().all(|item| !item.is_empty())
    }
}

impl SettingValue for Attempts {
    const SHAPE: &'static str = "a positive integer, null for unlimited, or \"auto\"";
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Attempts::Unlimited),
            Value::String(text) if text == "auto" => Some(Attempts::Auto),
            other => u32::read(other).map(Attempts::Times),
        }
    }
    fn show(&self) -> Value {
        match self {
            Attempts::Auto => json!("auto"),
            Attempts::Unlimited => Value::Null,
            Attempts::Times(times) => json!(times),
        }
    }
    fn fits(&self) -> bool {
        !matches!(self, Attempts::Times(times) if !times.fits())
    }
}

macro_rules! setting_enum {
    ($type:ident, $shape:literal, $($text:literal => $variant:ident),*) => {
        impl SettingValue for $type {
            const SHAPE: &'static str = $shape;
            fn read(value: &Value) -> Option<Self> {
                match value.as_str()? {
                    $($text => Some($type::$variant),)*
                    _ => None,
                }
            }
            fn show(&self) -> Value {
                match self {
                    $($type::$variant => json!($text),)*
                }
            }
        }
    };
}
setting_enum!(Overflow, "\"auto\", \"block\", \"drop_newest\" or \"drop_oldest\"",
    "auto" => Auto, "block" => Block, "drop_newest" => DropNewest, "drop_oldest" => DropOldest);
setting_enum!(Synchronous, "\"full\", \"normal\" or \"off\"",
    "full" => Full, "normal" => Normal, "off" => Off);

impl SettingValue for Outbox {
    const SHAPE: &'static str = "\"memory\" or a path";
    fn read(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "memory" => Some(Outbox::Memory),
            path => Some(Outbox::Path(path.into())),
        }
    }
    fn show(&self) -> Value {
        match self {
            Outbox::Memory => json!("memory"),
            Outbox::Path(path) => json!(**path),
        }
    }
    fn fits(&self) -> bool {
        !matches!(self, Outbox::Path(path) if path.is_empty() || &**path == "memory")
    }
}

/// One row of the settings table.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingRow {
    /// The name, with its unit last.
    pub name: &'static str,
    /// What it does, and its rule.
    pub about: &'static str,
    /// What a value looks like.
    pub shape: &'static str,
    /// The default, as JSON.
    pub default: Value,
}

macro_rules! settings {
    ($($(#[doc = $about:literal])+ $name:ident: $type:ty = $default:expr;)*) => {
        /// Every setting of the coordinator and of the wrapper. Made with [`Settings::default`]
        /// and [`Settings::set`], or as a struct literal; [`Settings::check`] is called by
        /// everything that takes one (R24).
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {
            $($(#[doc = $about])+ pub $name: $type,)*
        }

        impl Default for Settings {
            fn default() -> Settings {
                Settings { $($name: $default,)* }
            }
        }

        impl Settings {
            /// Sets one by name, from JSON. [`Error::InvalidArgument`] names an unknown one, and
            /// a value of the wrong shape together with the right shape.
            pub fn set(&mut self, name: &str, value: &Value) -> Result<(), Error> {
                match name {
                    $(stringify!($name) => {
                        self.$name = <$type as SettingValue>::read(value)
                            .filter(SettingValue::fits)
                            .ok_or_else(|| unfit(name, value, <$type as SettingValue>::SHAPE))?;
                    })*
                    _ => return Err(Error::invalid(format!("there is no setting {name:?}"))),
                }
                Ok(())
            }

            /// One by name, as JSON; `None` for an unknown name.
            pub fn get(&self, name: &str) -> Option<Value> {
                match name {
                    $(stringify!($name) => Some(SettingValue::show(&self.$name)),)*
                    _ => None,
                }
            }

            /// [`Error::InvalidArgument`] for the first that is out of its own range.
            fn check_ranges(&self) -> Result<(), Error> {
                $(if !SettingValue::fits(&self.$name) {
                    let shape = <$type as SettingValue>::SHAPE;
                    let value = format!("{:?}", self.$name);
                    return Err(unfit(stringify!($name), value, shape));
                })*
                Ok(())
            }

            /// The table: every name, what it does, its shape and its default.
            pub fn table() -> Vec<SettingRow> {
                let defaults = Settings::default();
                vec![$(SettingRow {
                    name: stringify!($name),
                    about: concat!($($about),+).trim_ascii(),
                    shape: <$type as SettingValue>::SHAPE,
                    default: SettingValue::show(&defaults.$name),
                }),*]
            }
        }

        /// For each setting values at and beyond its ends, the others at their defaults, and
        /// whether it is in its range.
        #[cfg(test)]
        pub(crate) fn extremes() -> Vec<(&'static str, Settings, bool)> {
            let mut all = Vec::new();
            $(for value in <$type as tests::Extremes>::extremes() {
                let fits = SettingValue::fits(&value);
                let settings = Settings { $name: value, ..Settings::default() };
                all.push((stringify!($name), settings, fits));
            })*
            all
        }
    };
}

fn unfit(name: &str, value: impl std::fmt::Display, shape: &str) -> Error {
    Error::invalid(format!("setting {name} cannot be {value}; it is {shape}"))
}

settings! {
    /// Below this age of the last sign of life a running execution is `healthy` (R6).
    healthy_within_ms: Millis = 60_000;
    /// Running without a sign of life for more than this fails the execution (R15).
    stale_after_ms: Millis = 90_000;
    /// Pending for more than this fails the execution (R16).
    pending_timeout_ms: Millis = 300_000;
    /// The stored heartbeat is refreshed at most this often (R14).
    heartbeat_debounce_ms: Millis = 30_000;
    /// How long a wrapper may be away after its last link closed (R20).
    disconnect_grace_ms: Millis = 10_000;
    /// The fresh grace after a restart or a freeze of the coordinator (R18b, R23).
    recovery_grace_ms: Millis = 60_000;
    /// From an interrupt to SIGKILL; null: never (R13).
    interrupt_grace_ms: Option<Millis> = Some(30_000);
    /// From SIGKILL to `Interrupt not honoured`; null: never (R13).
    kill_grace_ms: Option<Millis> = Some(10_000);
    /// How long after its end an execution's wrapper may still bring events (R10a).
    late_window_ms: Millis = DAY_MS;
    /// How long a lease lasts unless extended (R38).
    lease_ttl_ms: Millis = 90_000;
    /// Whether notifications are kept for the host (R39); false, where nobody takes them: those that are there stay.
    notifications: bool = true;
    /// How long a taken notification is leased; doubled at each further delivery (R39).
    notification_lease_ms: Millis = 60_000;
    /// Deliveries of one notification before it is parked (R39).
    notification_attempts: u32 = 5;
    /// Events stored longer ago than this go (R19).
    event_retention_ms: Millis = 90 * DAY_MS;
    /// A session without activity for this long, and nothing active, goes wholly (R19).
    session_ttl_ms: Millis = 90 * DAY_MS;
    /// A session idle for this long emits one `session_idle` (R19).
    idle_after_ms: Millis = 900_000;
    /// The largest frame, in bytes (R28, R40).
    max_frame_bytes: u32 = 1_048_576;
    /// The deepest nesting of a frame, its outer object included (R28, R40).
    max_nesting: u32 = 64;
    /// The longest id, in bytes of UTF-8.
    max_id_bytes: u32 = 256;
    /// How much of an error or a reason is kept on records and in notifications, in bytes; at least 64 (R5).
    max_text_bytes: u32 = 16_384;
    /// Event types that are delivered live and not stored (R32).
    volatile_types: BTreeSet<Arc<str>> = ["heartbeat", "pong"].map(Arc::from).into();
    /// A WebSocket ping goes out when nothing arrived for this long (R47a).
    ping_interval_ms: Millis = 10_000;
    /// A link on which nothing arrived for this long counts as closed, 1006 (R47a).
    link_timeout_ms: Millis = 25_000;
    /// The same for a basic link, which cannot resend what its socket swallowed (R47a).
    basic_link_timeout_ms: Millis = 80_000;
    /// How long a basic wrapper's link stays open after its own terminal event (R31).
    basic_linger_ms: Millis = 5_000;
    /// How long the host's `authorize` may take; then the wrapper is told to try later (R25).
    authorize_timeout_ms: Millis = 5_000;
    /// Readers of the store at the same time; who comes later waits in order.
    max_readers: u32 = 64;
    /// How hard SQLite tries to keep a commit: full, or normal (the last commits may go at a power cut).
    synchronous: Synchronous = Synchronous::Full;
    /// Wrapper: ask for acknowledged mode (R45).
    acknowledged: bool = true;
    /// Wrapper: the delay before the first reconnect attempt (R41).
    reconnect_base_ms: Millis = 1_000;
    /// Wrapper: each delay is this many times the one before (R41).
    reconnect_factor: f64 = 2.0;
    /// Wrapper: no delay is longer than this (R41).
    reconnect_cap_ms: Millis = 8_000;
    /// Wrapper: attempts before it gives up; auto: unlimited in acknowledged mode, else 3 (R41).
    reconnect_attempts: Attempts = Attempts::Auto;
    /// Wrapper: gives up when disconnected for this long; null: never (R41).
    give_up_after_ms: Option<Millis> = None;
    /// Wrapper: each delay is drawn from its upper part of this size; 0: no jitter (R41).
    jitter: f64 = 0.5;
    /// Wrapper: the buffer's size in events (R40).
    buffer_events: u32 = 1_000;
    /// Wrapper: the buffer's size in bytes (R40).
    buffer_bytes: u32 = 8 * 1_048_576;
    /// Wrapper: what happens when the buffer is full; auto: block in acknowledged mode, else drop_newest (R44).
    overflow: Overflow = Overflow::Auto;
    /// Wrapper: how long a send waits for room (R44).
    send_timeout_ms: Millis = 30_000;
    /// Wrapper: where unacknowledged events are kept (R45e).
    outbox: Outbox = Outbox::Memory;
    /// Wrapper: a heartbeat goes out when nothing else did for this long (R47).
    heartbeat_interval_ms: Millis = 20_000;
    /// Wrapper: how long an acknowledgement, or the welcome, may take (R47a, R45c).
    ack_timeout_ms: Millis = 15_000;
    /// Wrapper: the first connection, in all (R48).
    connect_timeout_ms: Millis = 10_000;
    /// Wrapper: TCP and TLS of later connections (R48).
    dial_timeout_ms: Millis = 5_000;
    /// Wrapper: the answer to the upgrade request (R48).
    upgrade_timeout_ms: Millis = 10_000;
    /// Wrapper: from the write of the last event to the close, in basic mode (R51).
    drain_delay_ms: Millis = 250;
    /// Wrapper: a post-completion task (R51).
    task_timeout_ms: Millis = 120_000;
    /// Wrapper: the host's abort (R52).
    abort_timeout_ms: Millis = 10_000;
    /// Wrapper: the agent's own event feed may be silent this long (R53).
    feed_timeout_ms: Millis = 15_000;
}

impl Settings {
    /// The un-jittered delay before reconnect attempt `n` (from 1), in ms (R41).
    pub fn reconnect_delay_ms(&self, attempt: u32) -> Millis {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let delay = self.reconnect_base_ms as f64 * self.reconnect_factor.powi(exponent);
        // A float beyond the cap, or not finite, ends at the cap.
        if delay.is_finite() && delay < self.reconnect_cap_ms as f64 {
            delay as Millis
        } else {
            self.reconnect_cap_ms
        }
    }

    /// Refuses settings that contradict each other, naming both (R24), and values that make no
    /// sense alone, whatever way they came in ([`Error::InvalidArgument`]).
    pub fn check(&self) -> Result<(), Error> {
        self.check_ranges()?;
        if self.jitter > 1.0 {
            return Err(Error::invalid(format!(
                "setting jitter cannot be {}; it is at most 1",
                self.jitter
            )));
        }
        if self.reconnect_factor < 1.0 {
            return Err(Error::invalid(format!(
                "setting reconnect_factor cannot be {}; it is at least 1",
                self.reconnect_factor
            )));
        }
        let contradict = |first: &str, second: &str| {
            Err(Error::InvalidSettings { first: first.into(), second: second.into() })
        };
        let delays: Millis = (1..=3).map(|attempt| self.reconnect_delay_ms(attempt)).sum();
        if delays > self.disconnect_grace_ms {
            return contradict("reconnect_base_ms", "disconnect_grace_ms");
        }
        if self.link_timeout_ms + delays >= self.stale_after_ms {
            return contradict("link_timeout_ms", "stale_after_ms");
        }
        if self.heartbeat_interval_ms * 2 >= self.stale_after_ms {
            return contradict("heartbeat_interval_ms", "stale_after_ms");
        }
        if self.recovery_grace_ms < self.reconnect_cap_ms + self.dial_timeout_ms {
            return contradict("recovery_grace_ms", "reconnect_cap_ms");
        }
        if self.basic_link_timeout_ms >= self.stale_after_ms {
            return contradict("basic_link_timeout_ms", "stale_after_ms");
        }
        if self.authorize_timeout_ms >= self.upgrade_timeout_ms {
            return contradict("authorize_timeout_ms", "upgrade_timeout_ms");
        }
        if self.max_text_bytes < LEAST_TEXT_BYTES {
            return contradict("max_text_bytes", "max_text_bytes");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
