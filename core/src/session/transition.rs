//! What one command did: what must be written, what may happen then, what the caller is told.

use std::sync::Arc;

use super::LinkId;
use super::count::Count;
use super::records::{EventRecord, ExecutionRecord, Lease, NotificationKind, Status};

/// What a command answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Nothing to say.
    Done,
    /// `fail`: whether this call did the transition.
    Failed(bool),
    /// `interrupt`.
    Verdict(Verdict),
    /// `lease`.
    Lease(Lease),
}

/// What one command did: what must be written, and what may happen once that is durable.
#[derive(Debug, Default)]
pub struct Transition {
    /// To be written, all or nothing.
    pub changes: Changes,
    /// In this order, afterwards.
    pub effects: Vec<Effect>,
    /// To the caller, afterwards; `None` reads as [`Reply::Done`].
    pub reply: Option<Reply>,
}

/// What must be written.
#[derive(Debug, Default)]
pub struct Changes {
    /// The session's row.
    pub session: bool,
    /// The active execution's row.
    pub active: bool,
    /// Rows of executions that are not active (any more).
    pub executions: Vec<ExecutionRecord>,
    /// Appended to the log.
    pub events: Vec<EventRecord>,
    /// Enqueued.
    pub notifications: Vec<NewNotification>,
    /// The session goes wholly.
    pub deleted: bool,
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        !self.session
            && !self.active
            && !self.deleted
            && self.executions.is_empty()
            && self.events.is_empty()
            && self.notifications.is_empty()
    }
}

/// A notification to enqueue (R39); the coordinator adds id and delivery state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // as in `NotificationRecord`
pub struct NewNotification {
    pub kind: NotificationKind,
    pub execution_id: Option<Arc<str>>,
    pub status: Option<Status>,
    pub error: Option<Arc<str>>,
    pub branch: Option<Arc<str>>,
    pub agent_session_id: Option<Arc<str>>,
}

/// What may happen once the changes are durable (R27).
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Text for a link.
    Send(LinkId, Arc<str>),
    /// Everything up to the number is committed. Of several in one commit the last is enough.
    Acknowledge(LinkId, u64),
    /// Closes a link; nothing follows on it.
    Close(LinkId, u16, Arc<str>),
    /// A volatile event for live subscribers (R32); its `id` is 0.
    Broadcast(EventRecord),
    /// Subscribers end with a `deleted` record (R19a).
    Deleted,
    /// For whoever keeps count.
    Count(Count),
    /// For the log.
    Warn(String),
}

/// The verdict on an interrupt (R11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A link is attached: the kill goes out on it.
    Sent,
    /// It will go out at attach.
    Latched,
    /// There is nothing to stop any more.
    AlreadyTerminal,
}

impl Verdict {
    /// The name in every language.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Sent => "sent",
            Verdict::Latched => "latched",
            Verdict::AlreadyTerminal => "already_terminal",
        }
    }
}
