//! SKELETON of the coordinator's public API: signatures are final, bodies come.
#![allow(missing_docs, unused_variables, dead_code)]
use crate::protocol::Filter;
use crate::session::records::*;
use crate::settings::Millis;
use crate::store::SessionSummary;
use crate::store::faults::Faults;
use crate::wake::Wake;
use crate::{Error, Settings};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Time only moves when told; `advance` handles everything due on the way, each at its own moment, on the calling thread, in every coordinator opened with a clone of this clock.
#[derive(Clone, Debug)]
pub struct ManualClock(());
impl ManualClock {
    pub fn new(now: Millis) -> ManualClock {
        todo!()
    }
    pub fn now(&self) -> Millis {
        todo!()
    }
    /// Moves on by `ms`, handling all that is due at its own moment.
    pub fn advance(&self, ms: Millis) {
        todo!()
    }
    /// Only moves time to `now` (>= current): commands are applied at it, nothing due is handled (see [`Coordinator::handle_due`]).
    pub fn set(&self, now: Millis) {
        todo!()
    }
    /// Time jumps for the coordinators, which notice at the end (R18b: `Resumed{lost_ms: ms}` when over 3 000), then handle what is due.
    pub fn suspend(&self, ms: Millis) {
        todo!()
    }
    /// The earliest deadline of all its coordinators.
    pub fn next_deadline(&self) -> Option<Millis> {
        todo!()
    }
}
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    Manual(ManualClock),
}
#[derive(Clone, Default)]
pub struct Options {
    pub settings: Settings,
    pub clock: Clock,
    pub faults: Option<Faults>,
}

/// A handle; clones share one coordinator. Thread-safe. Dropping the last clone closes it (as `close`).
#[derive(Clone)]
pub struct Coordinator(());
impl Coordinator {
    /// "memory:" or "sqlite:PATH". Recovers (R23) before it returns.
    pub fn open(location: &str, options: Options) -> Result<Coordinator, Error> {
        todo!()
    }
    /// Beside an owner: getters, `events` and `sessions` work; what would write is InvalidArgument.
    pub fn open_read_only(location: &str, settings: Settings) -> Result<Coordinator, Error> {
        todo!()
    }
    pub fn is_read_only(&self) -> bool {
        todo!()
    }
    /// Makes a handle; creates nothing (R19a). InvalidArgument for an id that is none.
    pub fn session(&self, id: &str) -> Result<Session, Error> {
        todo!()
    }
    pub fn sessions(&self, limit: usize) -> Result<Vec<SessionSummary>, Error> {
        todo!()
    }
    pub fn settings(&self) -> &Settings {
        todo!()
    }
    pub fn now(&self) -> Millis {
        todo!()
    }
    /// The next wake-up: the minimum of all pending deadlines, lease expiry aside.
    pub fn next_deadline(&self) -> Result<Option<Millis>, Error> {
        todo!()
    }
    /// Handles what is due now (manual clock; with the system clock a thread does it).
    pub fn handle_due(&self) {
        todo!()
    }
    /// Takes (leases) the next notification; waits up to `timeout` (None: for ever; ZERO: not at all). R39.
    pub fn take_notification(
        &self,
        timeout: Option<Duration>,
    ) -> Result<Option<NotificationRecord>, Error> {
        todo!()
    }
    pub fn acknowledge_notification(&self, id: &str) -> Result<(), Error> {
        todo!()
    }
    pub fn reject_notification(&self, id: &str, retry_in_ms: Millis) -> Result<(), Error> {
        todo!()
    }
    /// Those not acknowledged, parked ones included (or only those).
    pub fn notifications(&self, parked_only: bool) -> Result<Vec<NotificationRecord>, Error> {
        todo!()
    }
    pub fn requeue_notification(&self, id: &str) -> Result<(), Error> {
        todo!()
    }
    /// Called whenever a notification may have become available. Kept as a weak reference.
    pub fn add_notification_waker(&self, waker: std::sync::Weak<dyn Wake>) {
        todo!()
    }
    /// A short-lived signed ticket for one session's stream; `verify_ticket` is Unauthorized for a wrong or expired one. The key is the coordinator's own (random at open) unless set.
    pub fn issue_ticket(&self, session_id: &str, ttl_ms: Millis) -> Result<String, Error> {
        todo!()
    }
    pub fn verify_ticket(&self, session_id: &str, ticket: &str) -> Result<(), Error> {
        todo!()
    }
    /// The server tells where it serves (StoreInUse.url of a second opener).
    pub fn set_url(&self, url: Option<&str>) {
        todo!()
    }
    /// Orderly: everything handed over is committed, links get Close 1012, subscribers end, waiters get Closed, the store is released. Idempotent.
    pub fn close(&self) -> Result<(), Error> {
        todo!()
    }
    /// As a crash would: nothing is flushed, nobody is told; the store is released. For tests.
    pub fn abandon(&self) {
        todo!()
    }
}
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    pub execution_id: Option<String>,
    pub mode: Option<String>,
    pub token: Option<String>,
}
#[derive(Clone, Debug)]
pub struct Started {
    pub execution_id: Arc<str>,
    pub token: Arc<str>,
}
#[derive(Clone, Debug)]
pub enum Credential {
    /// compared with the execution's token in constant time
    Token(Option<String>),
    /// the host (its authorize hook) has checked already
    Trusted,
}
#[derive(Clone, Debug)]
pub struct AttachOptions {
    pub execution_id: String,
    pub credential: Credential,
    pub acknowledged: bool,
    pub producer: Option<String>,
    pub attempt: Option<u64>,
}
#[derive(Clone, Debug, Default)]
pub struct FailOptions {
    pub message: String,
    pub event_type: Option<String>,
    pub payload: Option<Map<String, Value>>,
    pub suppress_notification: bool,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Sent,
    Latched,
    AlreadyTerminal,
}
impl Verdict {
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum InterruptGrace {
    #[default]
    Default,
    Never,
    After(Millis),
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    Unknown,
    Stale,
}
impl Health {
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
#[derive(Clone, Debug)]
pub struct ExecutionView {
    pub session_id: Arc<str>,
    pub record: ExecutionRecord,
    pub health: Option<Health>,
}
#[derive(Clone, Debug)]
pub struct SessionView {
    pub record: SessionRecord,
    pub active: Option<ExecutionRecord>,
    pub link_attached: bool,
}
#[derive(Clone, Debug, Default)]
pub struct SubscribeOptions {
    pub filter: Filter,
    pub epoch: Option<String>,
    /// begin at the end instead of replaying
    pub live_only: bool,
    /// ends when this execution is terminal and all its events were given
    pub until: Option<String>,
}

/// A handle on one session; creates nothing.
#[derive(Clone)]
pub struct Session(());
impl Session {
    pub fn id(&self) -> &Arc<str> {
        todo!()
    }
    pub fn start(&self, options: StartOptions) -> Result<Started, Error> {
        todo!()
    }
    pub fn attach(&self, options: AttachOptions) -> Result<Link, Error> {
        todo!()
    }
    pub fn fail(&self, execution_id: &str, options: FailOptions) -> Result<bool, Error> {
        todo!()
    }
    pub fn finish(
        &self,
        execution_id: &str,
        status: Status,
        message: Option<&str>,
        completed_at: Option<Millis>,
    ) -> Result<(), Error> {
        todo!()
    }
    pub fn interrupt(
        &self,
        execution_id: Option<&str>,
        escalate: bool,
        grace: InterruptGrace,
    ) -> Result<Verdict, Error> {
        todo!()
    }
    pub fn clear_interrupt(&self, execution_id: Option<&str>) -> Result<(), Error> {
        todo!()
    }
    pub fn heartbeat(&self, execution_id: &str) -> Result<(), Error> {
        todo!()
    }
    pub fn acquire_lease(
        &self,
        execution_id: &str,
        lease_id: &str,
        message_id: Option<&str>,
    ) -> Result<Lease, Error> {
        todo!()
    }
    pub fn extend_lease(&self, execution_id: &str, lease_id: &str) -> Result<Lease, Error> {
        todo!()
    }
    pub fn release_lease(&self, execution_id: &str, lease_id: &str) -> Result<(), Error> {
        todo!()
    }
    pub fn delete(&self) -> Result<(), Error> {
        todo!()
    }
    pub fn view(&self) -> Result<SessionView, Error> {
        todo!()
    }
    pub fn active(&self) -> Result<Option<Arc<str>>, Error> {
        todo!()
    }
    pub fn execution(&self, id: &str) -> Result<ExecutionView, Error> {
        todo!()
    }
    pub fn executions(
        &self,
        status: Option<Status>,
        limit: usize,
    ) -> Result<Vec<ExecutionView>, Error> {
        todo!()
    }
    pub fn health(&self, execution_id: &str) -> Result<Option<Health>, Error> {
        todo!()
    }
    /// One bounded round of the past (R36); loop with `filter.after = page.next_after` until `page.end`.
    pub fn events(&self, filter: &Filter) -> Result<crate::store::EventPage, Error> {
        todo!()
    }
    pub fn count_events(&self, filter: &Filter) -> Result<u64, Error> {
        todo!()
    }
    pub fn subscribe(&self, options: SubscribeOptions) -> Result<Subscription, Error> {
        todo!()
    }
    /// Waits until the execution is terminal; Timeout.
    pub fn wait(
        &self,
        execution_id: &str,
        timeout: Option<Duration>,
    ) -> Result<ExecutionView, Error> {
        todo!()
    }
    /// Called after every commit that touches this session (and at close). Kept as a weak reference.
    pub fn add_waker(&self, waker: std::sync::Weak<dyn Wake>) {
        todo!()
    }
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Send(Arc<str>),
    Close { code: u16, reason: String },
}
/// One ingest link. Dropping it without `closed` counts as closed 1006.
pub struct Link(());
impl Link {
    pub fn execution_id(&self) -> &Arc<str> {
        todo!()
    }
    pub fn is_acknowledged(&self) -> bool {
        todo!()
    }
    /// Hands one text frame over; waits only for back-pressure.
    pub fn receive(&self, text: &str) -> Result<(), Error> {
        todo!()
    }
    pub fn receive_many(&self, texts: Vec<String>) -> Result<(), Error> {
        todo!()
    }
    pub fn receive_binary(&self, bytes: usize) -> Result<(), Error> {
        todo!()
    }
    /// Hands over without ever waiting (for async drivers): look at `is_congested` before reading on; the link's waker is called when it clears.
    pub fn submit(&self, texts: Vec<String>) -> Result<(), Error> {
        todo!()
    }
    pub fn is_congested(&self) -> bool {
        todo!()
    }
    /// The socket is gone (by whomever). Idempotent.
    pub fn closed(&self, code: u16, reason: &str) -> Result<(), Error> {
        todo!()
    }
    /// The next output if there is one; `Close` is the last.
    pub fn try_output(&self) -> Option<Output> {
        todo!()
    }
    /// Waits; None when the time is over. Closed after the final Close was taken.
    pub fn output(&self, timeout: Option<Duration>) -> Result<Option<Output>, Error> {
        todo!()
    }
    pub fn set_waker(&self, waker: Option<Arc<dyn Wake>>) {
        todo!()
    }
    /// Whether the link is still open (no Close was put out, `closed` not called), and otherwise the close.
    pub fn close_state(&self) -> Option<(u16, String)> {
        todo!()
    }
}
/// One record of a stream: a stored event, a volatile one (id 0), or a control record (id 0: `connected`, `gap`, `deleted`).
#[derive(Debug)]
pub struct Record {
    pub id: u64,
    pub execution_id: Option<Arc<str>>,
    pub session_id: Arc<str>,
    pub event_type: Arc<str>,
    pub timestamp: Millis,
    pub late: bool,
    pub control: bool,
    pub data: Arc<str>,
}
impl Record {
    /// the frame of the wire, serialized once for everybody
    pub fn frame(&self) -> Arc<str> {
        todo!()
    }
}
#[derive(Clone, Debug)]
pub enum Next {
    Record(Arc<Record>),
    /// nothing now
    Empty,
    /// the stream is over (deleted, `until` reached, coordinator closed)
    Ended,
}
pub struct Subscription(());
impl Subscription {
    pub fn try_next(&mut self) -> Result<Next, Error> {
        todo!()
    }
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Next, Error> {
        todo!()
    }
    pub fn set_waker(&self, waker: Option<Arc<dyn Wake>>) {
        todo!()
    }
    pub fn epoch(&self) -> &Arc<str> {
        todo!()
    }
}
