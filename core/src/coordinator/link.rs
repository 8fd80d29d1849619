//! One ingest link as the host holds it: frames go in, outputs come out.
//!
//! Handing a frame over does not wait for its commit; when more is under way than a bound, the
//! sender waits (or, if it cannot wait, is told that the link is congested). Outputs are put out
//! only after the commit that they tell of (R27). A `Close` is the last output.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::lock::{Condvar, Mutex};

use super::lead::Leader;
use super::request::{Request, Work};
use super::shared::Shared;
use crate::Error;
use crate::protocol::{BadFrame, FrameLimits, RejectCode, close, parse_frame};
use crate::session::{Command, LinkId};
use crate::wake::Wake;

/// A link is congested while this many bytes that it handed over are not committed.
const CONGESTED_BYTES: usize = 512 * 1024;
/// What a frame costs in the books beyond its text.
const FRAME_OVERHEAD: usize = 128;
/// A link is congested, too, while this many bytes of outputs wait to be taken: whoever makes the
/// coordinator answer takes the answers.
const OUTPUT_BYTES: usize = 1024 * 1024;
/// What an output costs in the books beyond its text.
const OUTPUT_OVERHEAD: usize = 64;
/// How long outputs at that bound may lie untaken before [`Link::receive`] closes the link, 1008.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(30);

/// What the coordinator wants done with the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this text frame.
    Send(Arc<str>),
    /// Close with this code and reason; nothing follows.
    Close {
        /// `wire.md`, close codes.
        code: u16,
        /// For people.
        reason: String,
    },
}

/// One ingest link. Dropping it without [`Link::closed`] counts as closed with 1006.
pub struct Link {
    shared: Arc<Shared>,
    session_id: Arc<str>,
    execution_id: Arc<str>,
    acknowledged: bool,
    /// Its frames never make the thread that hands them over commit.
    is_led_elsewhere: bool,
    state: Arc<LinkState>,
}

/// What the commit loop and the host share of a link.
pub(super) struct LinkState {
    pub(super) id: LinkId,
    pub(super) acknowledged: bool,
    /// A step with a frame of this link failed: what is behind it is ignored (R45d).
    broken: AtomicBool,
    under_way: AtomicUsize,
    /// Bytes of outputs that were not taken.
    output_bytes: AtomicUsize,
    outputs: Mutex<Outputs>,
    changed: Condvar,
}

#[derive(Default)]
struct Outputs {
    queue: VecDeque<Output>,
    /// How many were taken.
    taken: u64,
    /// The close that was put out or that the host told.
    close: Option<(u16, String)>,
    /// The final `Close` has been taken, or the host has closed.
    finished: bool,
    waker: Option<Arc<dyn Wake>>,
}

impl LinkState {
    pub(super) fn new(id: LinkId, acknowledged: bool) -> Arc<LinkState> {
        Arc::new(LinkState {
            id,
            acknowledged,
            broken: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            outputs: Mutex::new(Outputs::default()),
            changed: Condvar::new(),
        })
    }

    pub(super) fn put(&self, output: Output) {
        let mut outputs = self.outputs.lock();
        if outputs.close.is_some() {
            return;
        }
        if let Output::Close { code, reason } = &output {
            outputs.close = Some((*code, reason.clone()));
        }
        self.output_bytes.fetch_add(cost(&output), Ordering::AcqRel);
        outputs.queue.push_back(output);
        self.notify(&outputs);
    }

    /// Frames that were handed over are dealt with.
    pub(super) fn settle(&self, bytes: usize) {
        let before = self.under_way.fetch_sub(bytes, Ordering::AcqRel);
        if before >= CONGESTED_BYTES && before - bytes < CONGESTED_BYTES {
            self.notify(&self.outputs.lock());
        }
    }

    /// It may have stopped being congested, through no doing of its own.
    pub(super) fn tell_room(&self) {
        self.notify(&self.outputs.lock());
    }

    /// Closes it with 1011 and ignores what is still on its way.
    pub(super) fn break_off(&self) {
        self.broken.store(true, Ordering::Release);
        let reason = close::STORAGE_REASON.to_owned();
        self.put(Output::Close { code: close::STORAGE_FAILED, reason });
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Nobody is told anything any more (a crash, as far as the peer can see).
    pub(super) fn abandon(&self) {
        let mut outputs = self.outputs.lock();
        outputs.queue.clear();
        self.output_bytes.store(0, Ordering::Release);
        outputs.close.get_or_insert((close::DROPPED, String::new()));
        outputs.finished = true;
        self.notify(&outputs);
    }

    fn notify(&self, outputs: &Outputs) {
        self.changed.notify_all();
        if let Some(waker) = &outputs.waker {
            waker.wake();
        }
    }

    fn is_congested(&self) -> bool {
        self.has_much_under_way() || self.has_full_outputs()
    }

    fn has_much_under_way(&self) -> bool {
        self.under_way.load(Ordering::Acquire) >= CONGESTED_BYTES
    }

    fn has_full_outputs(&self) -> bool {
        self.output_bytes.load(Ordering::Acquire) >= OUTPUT_BYTES
    }

    fn take(&self, outputs: &mut Outputs) -> Option<Output> {
        let output = outputs.queue.pop_front()?;
        self.output_bytes.fetch_sub(cost(&output), Ordering::AcqRel);
        outputs.taken += 1;
        outputs.finished |= matches!(output, Output::Close { .. });
        Some(output)
    }
}

/// What an output costs in the books.
fn cost(output: &Output) -> usize {
    OUTPUT_OVERHEAD
        + match output {
            Output::Send(text) => text.len(),
            Output::Close { reason, .. } => reason.len(),
        }
}

impl Link {
    pub(super) fn new(
        shared: Arc<Shared>,
        session_id: Arc<str>,
        execution_id: Arc<str>,
        state: Arc<LinkState>,
    ) -> Link {
        let acknowledged = state.acknowledged;
        let is_led_elsewhere = false;
        Link { shared, session_id, execution_id, acknowledged, is_led_elsewhere, state }
    }

    /// For threads that drive sockets: whatever is handed over is committed by another thread, where
    /// a commit costs no I/O, too.
    pub fn led_elsewhere(mut self) -> Link {
        self.is_led_elsewhere = true;
        self
    }

    /// The execution it belongs to.
    pub fn execution_id(&self) -> &Arc<str> {
        &self.execution_id
    }

    /// The session it belongs to.
    pub fn session_id(&self) -> &Arc<str> {
        &self.session_id
    }

    /// Whether the link is in acknowledged mode.
    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// Hands one text frame over. Waits only while the link is congested; one whose outputs are not
    /// taken for 30 s meanwhile is closed, 1008.
    pub fn receive(&self, text: &str) -> Result<(), Error> {
        self.wait_for_room()?;
        let bytes = text.len() + FRAME_OVERHEAD;
        self.submit_all([self.request(parse_frame(text, self.limits()), bytes)], bytes)
    }

    /// Hands several over, as one batch. Waits only while the link is congested.
    pub fn receive_many<T: AsRef<str>>(&self, texts: &[T]) -> Result<(), Error> {
        self.wait_for_room()?;
        self.submit(texts)
    }

    /// Hands over without waiting for room, for drivers that cannot: they look at
    /// [`Link::is_congested`] before they read on, and the waker is called when it clears. As
    /// everywhere, on `memory:` the caller may commit, which costs no I/O.
    pub fn submit<T: AsRef<str>>(&self, texts: &[T]) -> Result<(), Error> {
        let (limits, mut bytes) = (self.limits(), 0);
        let requests: Vec<Request> = texts
            .iter()
            .map(|text| {
                let text = text.as_ref();
                bytes += text.len() + FRAME_OVERHEAD;
                self.request(parse_frame(text, limits), text.len() + FRAME_OVERHEAD)
            })
            .collect();
        if requests.is_empty() { Ok(()) } else { self.submit_all(requests, bytes) }
    }

    /// A binary frame came, of this size (R28).
    pub fn receive_binary(&self, bytes: usize) -> Result<(), Error> {
        let bad = BadFrame { code: RejectCode::Binary, seq: None, bytes: bytes as u64 };
        self.submit_all([self.request(Err(bad), FRAME_OVERHEAD)], FRAME_OVERHEAD)
    }

    /// Bytes of outputs that wait to be taken, about.
    pub fn output_bytes(&self) -> usize {
        self.state.output_bytes.load(Ordering::Acquire)
    }

    /// Whether the sender should wait before it hands more over: too much is not committed yet, or
    /// 1 MiB of outputs were not taken.
    pub fn is_congested(&self) -> bool {
        self.state.is_congested() || self.shared.is_congested()
    }

    /// The socket is gone, by whomever. Starts the grace where it was the active execution's
    /// link (R20). Idempotent; does not wait for the commit.
    pub fn closed(&self, code: u16, reason: &str) -> Result<(), Error> {
        self.close(code, reason, Leader::Caller)
    }

    fn close(&self, code: u16, reason: &str, leader: Leader) -> Result<(), Error> {
        {
            let mut outputs = self.state.outputs.lock();
            outputs.close.get_or_insert((code, reason.to_owned()));
            outputs.finished = true;
            self.state.notify(&outputs);
        }
        if !self.shared.forget_link(self.state.id) {
            return Ok(());
        }
        let command = Command::LinkClosed {
            link: self.state.id,
            execution_id: self.execution_id.clone(),
            code,
            reason: reason.into(),
        };
        let request = Request::new(self.session_id.clone(), command);
        self.shared.submit([request], 0, self.leader(leader))
    }

    /// The next output if there is one.
    pub fn try_output(&self) -> Option<Output> {
        self.state.take(&mut self.state.outputs.lock())
    }

    /// The next output; waits for it. `Ok(None)`: the time is over (`None`: wait for ever).
    /// [`Error::Closed`] once the final `Close` has been taken or the link is closed.
    pub fn output(&self, timeout: Option<Duration>) -> Result<Option<Output>, Error> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Some(output) = self.try_output() {
                return Ok(Some(output));
            }
            let mut outputs = self.state.outputs.lock();
            if !outputs.queue.is_empty() {
                continue;
            }
            if outputs.finished {
                return Err(Error::closed("the link is closed; nothing more comes out of it"));
            }
            match until {
                None => self.state.changed.wait(&mut outputs),
                Some(until) => {
                    if self.state.changed.wait_until(&mut outputs, until).timed_out() {
                        return Ok(self.state.take(&mut outputs));
                    }
                }
            }
        }
    }

    /// Called at each output, at the close, and when the link stops being congested.
    pub fn set_waker(&self, waker: Option<Arc<dyn Wake>>) {
        let mut outputs = self.state.outputs.lock();
        outputs.waker = waker;
        if let Some(waker) = &outputs.waker
            && (!outputs.queue.is_empty() || outputs.finished)
        {
            waker.wake();
        }
    }

    /// The close that was put out, or that the host told; `None` while the link is open.
    pub fn close_state(&self) -> Option<(u16, String)> {
        self.state.outputs.lock().close.clone()
    }

    /// Whether nothing will come out any more.
    pub fn is_finished(&self) -> bool {
        let outputs = self.state.outputs.lock();
        outputs.finished && outputs.queue.is_empty()
    }

    fn wait_for_room(&self) -> Result<(), Error> {
        // Far longer than any commit takes; looked at again, since another link may clear it.
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        let mut stuck = None;
        while self.is_congested() {
            self.shared.check_open()?;
            let mut outputs = self.state.outputs.lock();
            let is_closed = outputs.close.is_some();
            if is_closed && !self.state.has_much_under_way() && !self.shared.is_congested() {
                // Nobody takes the outputs any more, and nothing is added to them.
                return Ok(());
            }
            match stuck {
                _ if is_closed || !self.state.has_full_outputs() => stuck = None,
                Some((taken, since)) if taken == outputs.taken => {
                    if Instant::now().saturating_duration_since(since) >= OUTPUT_TIMEOUT {
                        drop(outputs);
                        let reason = close::OUTPUTS_REASON.to_owned();
                        self.state.put(Output::Close { code: close::POLICY, reason });
                        return Ok(());
                    }
                }
                _ => stuck = Some((outputs.taken, Instant::now())),
            }
            if self.is_congested() {
                self.state.changed.wait_for(&mut outputs, LOOK_AGAIN);
            }
        }
        Ok(())
    }

    fn limits(&self) -> FrameLimits {
        let settings = self.shared.settings();
        FrameLimits {
            max_frame_bytes: u64::from(settings.max_frame_bytes),
            max_nesting: settings.max_nesting,
        }
    }

    /// `bytes`: what all of them cost in the books.
    fn submit_all(
        &self,
        requests: impl IntoIterator<Item = Request>,
        bytes: usize,
    ) -> Result<(), Error> {
        self.state.under_way.fetch_add(bytes, Ordering::AcqRel);
        self.shared.submit(requests, bytes, self.leader(Leader::Caller))
    }

    fn leader(&self, leader: Leader) -> Leader {
        if self.is_led_elsewhere { Leader::Another } else { leader }
    }

    fn request(&self, frame: Result<crate::protocol::Frame, BadFrame>, bytes: usize) -> Request {
        let command = Command::Receive {
            link: self.state.id,
            execution_id: self.execution_id.clone(),
            frame,
        };
        let mut request = Request::new(self.session_id.clone(), command);
        if let Work::Session { link, .. } = &mut request.work {
            *link = Some((self.state.clone(), bytes));
        }
        request
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The coordinator may be closed; then there is nobody to tell.
        let _ = self.close(close::DROPPED, "the link was dropped", Leader::CallerIfFree);
    }
}
