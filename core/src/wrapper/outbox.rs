//! The outbox: what has not been stored for certain yet, its numbers and its bounds (R40, R43–R45).
//!
//! Two queues, one after the other. `buffered` holds events that no link has carried; they have
//! no number and may still be dropped. At its first write an event gets the next number and moves
//! to `numbered`, where it stays until the coordinator has acknowledged it: a numbered event is
//! never dropped, so there are no legitimate gaps (R45b). In basic mode nothing is numbered, and
//! an event is forgotten once it is written.
//!
//! A link begins with [`Outbox::begin_link`] and then takes frames from [`Outbox::next_frame`]
//! until there is none: what was numbered before and is not acknowledged, the marker if something
//! was lost, then what was buffered.
//!
//! The boundary to a durable outbox (R45e) is this type: it would number at `push`, and
//! keep `numbered`, the producer and the numbers in its file; nothing outside would change.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;

use crate::protocol::{FrameLimits, format_timestamp};
use crate::session::records::Status;
use crate::settings::{Millis, Overflow, Settings};

use super::ending::{self, Room};

/// Breaks with the same first unacknowledged event, after which it is sent alone (R45d).
const BREAKS_BEFORE_ALONE: u32 = 3;

/// Which protocol the producer speaks; fixed by its first accepted link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// No accepted link yet; asks for acknowledged mode.
    Undecided,
    /// Has had a `welcome`.
    Acknowledged,
    /// Numbers nothing.
    Basic,
}

/// One event, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The frame without its closing brace, so that a number can be added.
    body: String,
    /// Where its data begins in that.
    data_at: usize,
    /// The size of its frame before it was cut, if it was (R40).
    whole: Option<u64>,
    /// It gives way first (R44).
    pub(super) droppable: bool,
    /// It ends the execution: there is always room for it, and it never gives way (R44).
    pub(super) lifecycle: Option<Status>,
    /// `heartbeat` and `pong` carry no number (R45b).
    takes_number: bool,
    /// How many events it says were lost, if it is a marker: they must not be lost with it.
    tells_lost: u64,
}

impl Entry {
    /// An event; `data` is JSON text, checked by the caller.
    pub(super) fn new(event_type: &str, timestamp: Millis, data: &str) -> Entry {
        let mut body = format!(
            "{{\"streamEventType\":{},\"timestamp\":\"{}\",\"data\":",
            json!(event_type),
            format_timestamp(timestamp),
        );
        let data_at = body.len();
        body += data;
        let takes_number = !matches!(event_type, "heartbeat" | "pong");
        Entry {
            body,
            data_at,
            whole: None,
            droppable: false,
            lifecycle: None,
            takes_number,
            tells_lost: 0,
        }
    }

    /// Marks it as giving way first.
    pub(super) fn droppable(mut self, droppable: bool) -> Entry {
        self.droppable = droppable;
        self
    }

    /// Marks it as ending the execution so.
    pub(super) fn ends_as(mut self, status: Status) -> Entry {
        self.lifecycle = Some(status);
        self
    }

    /// How it ends the execution, where it does.
    pub(super) fn ending(&self) -> Option<Status> {
        self.lifecycle
    }

    /// Cuts it, which ends the execution, to the limits of a link (R40); a number is not in them.
    pub(super) fn cut(&mut self, limits: FrameLimits) {
        let around = self.data_at + 1;
        let max_bytes = usize::try_from(limits.max_frame_bytes).unwrap_or(usize::MAX);
        let nesting = limits.max_nesting.saturating_sub(1);
        let room = Room { bytes: max_bytes.saturating_sub(around), nesting };
        let data = &self.body[self.data_at..];
        if !ending::fits(data, room) {
            let whole = *self.whole.get_or_insert(self.body.len() as u64 + 1);
            let cut = ending::cut(&self.body[self.data_at..], room, whole);
            self.replace_data(&cut);
        }
    }

    /// Leaves of what ends the execution only what makes it an ending; whether there was more.
    fn bare(&mut self) -> bool {
        let whole = self.whole.unwrap_or(self.bytes());
        let bare = self.lifecycle.and_then(|_| ending::bare(&self.body[self.data_at..], whole));
        if let Some(bare) = &bare {
            self.whole = Some(whole);
            self.replace_data(bare);
        }
        bare.is_some()
    }

    fn replace_data(&mut self, data: &str) {
        self.body.truncate(self.data_at);
        self.body += data;
        self.body.shrink_to_fit();
    }

    /// The frame, without a number.
    pub(super) fn frame(&self) -> String {
        format!("{}}}", self.body)
    }

    fn numbered_frame(&self, seq: u64) -> String {
        format!("{},\"seq\":{seq}}}", self.body)
    }

    /// The size of its frame, without a number.
    pub(super) fn bytes(&self) -> u64 {
        self.body.len() as u64 + 1
    }
}

/// What `welcome.lastSeq` says about the numbers (R45c).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Welcomed {
    /// It fits; with whether it acknowledged something new.
    Fits { progress: bool },
    /// The store or the outbox went back: a new producer is needed.
    WentBack { lost: u64 },
}

/// The outbox of one producer.
#[derive(Debug)]
pub(super) struct Outbox {
    producer: Arc<str>,
    mode: Mode,
    pub(super) overflow: Overflow,
    pub(super) max_events: u64,
    pub(super) max_bytes: u64,
    numbered: VecDeque<Entry>,
    pub(super) buffered: VecDeque<Entry>,
    pub(super) bytes: u64,
    /// The highest acknowledged number: `numbered` begins with the one after it.
    acknowledged: u64,
    /// How many of `numbered` the present link has carried.
    carried: usize,
    /// Events dropped since the last marker.
    pub(super) lost: u64,
    /// The marker is owed to a basic link, even when nothing was lost (R43).
    marker_owed: bool,
    /// The first unacknowledged number at the last break, and how many breaks it has seen.
    breaks: (u64, u32),
    /// The present link carries the first unacknowledged event alone (R45d).
    alone: bool,
    /// The number of the event that broke the link on which it was sent alone.
    undeliverable: Option<u64>,
    /// The size of the event that was last refused with `Full`.
    pub(super) refused_bytes: u64,
}

impl Outbox {
    /// An empty one.
    pub(super) fn new(settings: &Settings, producer: Arc<str>) -> Outbox {
        Outbox {
            producer,
            mode: if settings.acknowledged { Mode::Undecided } else { Mode::Basic },
            overflow: settings.overflow,
            max_events: settings.buffer_events.into(),
            max_bytes: settings.buffer_bytes.into(),
            numbered: VecDeque::new(),
            buffered: VecDeque::new(),
            bytes: 0,
            acknowledged: 0,
            carried: 0,
            lost: 0,
            marker_owed: false,
            breaks: (0, 0),
            alone: false,
            undeliverable: None,
            refused_bytes: 0,
        }
    }

    /// The identity of this outbox (R45a).
    pub(super) fn producer(&self) -> &Arc<str> {
        &self.producer
    }

    /// The producer's mode.
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Events not yet written.
    pub(super) fn buffered(&self) -> u64 {
        self.buffered.len() as u64
    }

    /// Events written and not acknowledged.
    pub(super) fn unacknowledged(&self) -> u64 {
        self.numbered.len() as u64
    }

    /// Events held in all: what would be given up.
    pub(super) fn held(&self) -> u64 {
        self.buffered() + self.unacknowledged()
    }

    /// Whether everything has been written and, in acknowledged mode, acknowledged.
    pub(super) fn is_empty(&self) -> bool {
        self.held() == 0
    }

    /// Forgets what it holds.
    pub(super) fn clear(&mut self) {
        self.numbered.clear();
        self.buffered.clear();
        (self.bytes, self.lost, self.carried, self.refused_bytes) = (0, 0, 0, 0);
    }

    /// The producer's first link was accepted without acknowledged mode (R45a).
    pub(super) fn become_basic(&mut self) {
        self.mode = Mode::Basic;
        let mut all = std::mem::take(&mut self.numbered);
        all.append(&mut self.buffered);
        self.buffered = all;
    }

    /// Reads `welcome.lastSeq`; when it fits, the producer is in acknowledged mode (R45c).
    pub(super) fn welcome(&mut self, last_seq: u64) -> Welcomed {
        let given = self.acknowledged + self.unacknowledged();
        if last_seq < self.acknowledged {
            return Welcomed::WentBack { lost: self.acknowledged - last_seq };
        }
        if last_seq > given {
            return Welcomed::WentBack { lost: 0 };
        }
        self.mode = Mode::Acknowledged;
        Welcomed::Fits { progress: self.acknowledge(last_seq) }
    }

    /// Everything up to `seq` is stored. Returns whether that was news; a number that was never
    /// given says nothing.
    pub(super) fn acknowledge(&mut self, seq: u64) -> bool {
        let given = self.acknowledged + self.unacknowledged();
        if seq <= self.acknowledged || seq > given {
            return false;
        }
        while self.acknowledged < seq {
            if let Some(entry) = self.numbered.pop_front() {
                self.bytes -= entry.bytes();
            }
            self.acknowledged += 1;
            self.carried = self.carried.saturating_sub(1);
        }
        self.alone = false;
        true
    }

    /// Becomes another producer, which numbers what is held from 1; `lost` acknowledged events
    /// are missing on the other side (R45c).
    pub(super) fn renew(&mut self, producer: Arc<str>, lost: u64) {
        self.producer = producer;
        self.mode = Mode::Undecided;
        self.acknowledged = 0;
        self.carried = 0;
        self.lost += lost;
        self.breaks = (0, 0);
        self.undeliverable = None;
        self.alone = false;
    }

    /// A link is up: everything held goes out on it. `again` is false for the first one. An event
    /// that broke the link even when it was sent alone is replaced now, not before: only now it
    /// is certain that it was not stored after all (R45d).
    pub(super) fn begin_link(&mut self, again: bool, now: Millis) {
        self.carried = 0;
        self.marker_owed = self.mode == Mode::Basic && again && !self.buffered.is_empty();
        let first = self.acknowledged + 1;
        if self.undeliverable.take() == Some(first) {
            if self.bare_first() {
                // What is left of an ending is tried once more, alone.
                self.breaks = (first, BREAKS_BEFORE_ALONE);
            } else {
                self.replace_first(now);
            }
        }
        self.alone = self.breaks == (first, BREAKS_BEFORE_ALONE);
    }

    /// Cuts what ends the execution to the limits of a link, under its number (R40).
    pub(super) fn cut_endings(&mut self, limits: FrameLimits) {
        for entry in self.numbered.iter_mut().chain(&mut self.buffered) {
            if entry.lifecycle.is_some() {
                let before = entry.bytes();
                entry.cut(limits);
                self.bytes = self.bytes - before + entry.bytes();
            }
        }
    }

    fn bare_first(&mut self) -> bool {
        let Some(first) = self.numbered.front_mut() else {
            return false;
        };
        let before = first.bytes();
        let bared = first.bare();
        self.bytes = self.bytes - before + first.bytes();
        bared
    }

    fn replace_first(&mut self, now: Millis) {
        let Some(first) = self.numbered.front_mut() else {
            return;
        };
        let bytes = first.bytes();
        let data = json!({"code": "undeliverable", "bytes": bytes}).to_string();
        self.lost += first.tells_lost;
        *first = Entry::new("rejected", now, &data);
        self.bytes = self.bytes - bytes + first.bytes();
    }

    /// A link that was up broke (R45d).
    pub(super) fn link_broke(&mut self) {
        self.carried = 0;
        let first = self.acknowledged + 1;
        if self.numbered.is_empty() {
            self.breaks = (0, 0);
        } else if self.alone {
            self.breaks = (0, 0);
            self.undeliverable = Some(first);
        } else if self.breaks.0 == first {
            self.breaks.1 = (self.breaks.1 + 1).min(BREAKS_BEFORE_ALONE);
        } else {
            self.breaks = (first, 1);
        }
        self.alone = false;
    }

    /// The next frame for the present link; `None` when there is nothing to send, or when the
    /// event that is sent alone has not been acknowledged. `now` is the marker's timestamp.
    pub(super) fn next_frame(&mut self, now: Millis) -> Option<String> {
        if self.alone && self.carried > 0 {
            return None;
        }
        if let Some(entry) = self.numbered.get(self.carried) {
            self.carried += 1;
            return Some(entry.numbered_frame(self.acknowledged + self.carried as u64));
        }
        if self.lost > 0 || self.marker_owed {
            return Some(self.write(self.marker(now), Counted::NotYet));
        }
        let entry = self.buffered.pop_front()?;
        Some(self.write(entry, Counted::Already))
    }

    fn write(&mut self, entry: Entry, counted: Counted) -> String {
        if counted == Counted::NotYet {
            self.bytes += entry.bytes();
            (self.lost, self.marker_owed) = (0, false);
        }
        if self.mode == Mode::Basic || !entry.takes_number {
            self.bytes -= entry.bytes();
            return entry.frame();
        }
        self.numbered.push_back(entry);
        self.carried = self.numbered.len();
        let seq = self.acknowledged + self.unacknowledged();
        self.numbered.back().map(|entry| entry.numbered_frame(seq)).unwrap_or_default()
    }

    /// `wrapper_resumed` (R43, R45c).
    fn marker(&self, now: Millis) -> Entry {
        let mut data = json!({"bufferedEvents": self.buffered(), "eventsLost": self.lost > 0});
        if self.lost > 0 {
            data["lostEvents"] = json!(self.lost);
        }
        Entry { tells_lost: self.lost, ..Entry::new("wrapper_resumed", now, &data.to_string()) }
    }
}

/// Whether an entry's bytes are in the sum already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Already,
    NotYet,
}
