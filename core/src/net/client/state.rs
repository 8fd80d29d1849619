//! What the callers and the driving task share: the machine, and what it asked for.
//!
//! Every call into the machine is followed by [`Shared::settle`], which sorts the machine's
//! actions: orders for the task that owns the socket, signals for the host. It wakes only whom it
//! concerns: the task for an order or an earlier deadline, callers that wait, the host's waker for
//! a signal.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lock::{Condvar, Mutex, MutexGuard};

use super::clock::Clock;
use super::connect::Attempt;
use crate::Error;
use crate::net::alarm::Alarm;
use crate::net::liveness::duration;
use crate::protocol::outgoing::Signal;
use crate::settings::{Millis, Settings};
use crate::wake::Wake;
use crate::wrapper::{Action, State as MachineState, Told, Wrapper as Machine};

/// Signals kept for a host that does not look. Beyond this, those that a later one makes
/// pointless go.
const SIGNALS_KEPT: usize = 1_024;

/// Bytes of commands kept for such a host. Beyond this, the oldest of them go.
const COMMANDS_KEPT_BYTES: usize = 4 * 1024 * 1024;

/// What the machine wants of the socket, in order.
#[derive(Debug)]
pub(super) enum Order {
    Connect(Attempt),
    Write { attempt: u64, text: String },
    Close { attempt: u64, code: u16, reason: &'static str },
}

pub(super) struct State {
    pub(super) machine: Machine,
    pub(super) clock: Clock,
    pub(super) orders: VecDeque<Order>,
    /// Of the writes among the orders.
    pub(super) unwritten_bytes: usize,
    /// With the bytes of a command's frame.
    signals: VecDeque<(Told, usize)>,
    command_bytes: usize,
    /// Those among the signals, for somebody who wants nothing else; `None` until they are wanted.
    kills: Option<VecDeque<Signal>>,
    /// No signal follows.
    pub(super) over: bool,
    /// The host closed it.
    pub(super) closed: bool,
    pub(super) reconnects: u64,
    /// Sockets that are still saying goodbye.
    pub(super) lingering: usize,
    /// When the task wakes by itself.
    pub(super) planned: Millis,
    pub(super) waker: Option<Arc<dyn Wake>>,
}

pub(super) struct Shared {
    state: Mutex<State>,
    /// Something happened that a waiting caller may wait for.
    changed: Condvar,
    /// The same for a host that cannot wait in here; see `Wrapper::set_change_waker`.
    pub(super) change_waker: Mutex<Option<Arc<dyn Wake>>>,
    pub(super) alarm: Arc<Alarm>,
    pub(super) settings: Settings,
}

impl Shared {
    pub(super) fn new(machine: Machine, settings: Settings, clock: Clock) -> Arc<Shared> {
        let state = State {
            machine,
            clock,
            orders: VecDeque::new(),
            unwritten_bytes: 0,
            signals: VecDeque::new(),
            command_bytes: 0,
            kills: None,
            over: false,
            closed: false,
            reconnects: 0,
            lingering: 0,
            planned: Millis::MAX,
            waker: None,
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let change_waker = Mutex::default();
        Arc::new(Shared { state, changed, change_waker, alarm: Alarm::new(), settings })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Calls into the machine, and sees to what it asks for.
    pub(super) fn with<R>(&self, call: impl FnOnce(&mut Machine, Millis) -> R) -> R {
        let mut state = self.lock();
        let now = state.clock.now();
        let result = call(&mut state.machine, now);
        self.settle(state);
        result
    }

    /// The host's `close`; how many events are given up (R42).
    pub(super) fn close(&self) -> u64 {
        let mut state = self.lock();
        let given_up = state.close();
        self.settle(state);
        given_up
    }

    /// To be called with the lock after anything that changed the machine.
    pub(super) fn settle(&self, mut state: MutexGuard<'_, State>) {
        let told = state.sort_actions();
        let due = state.machine.next_deadline().is_some_and(|at| at < state.planned);
        let wake_task = due || state.over || !state.orders.is_empty();
        let waker = if told { state.waker.clone() } else { None };
        drop(state);
        if wake_task {
            self.alarm.wake();
        }
        self.notify();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits until `look` finds something. `None` when the time was over first; `until`: `None`
    /// waits for ever.
    pub(super) fn wait<R>(
        &self,
        until: Option<Instant>,
        mut look: impl FnMut(&mut State) -> Option<R>,
    ) -> Option<R> {
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&mut state) {
                return Some(found);
            }
            match until {
                None => self.changed.wait(&mut state),
                Some(until) => {
                    if self.changed.wait_until(&mut state, until).timed_out() {
                        // What came at the last moment counts.
                        return look(&mut state);
                    }
                }
            }
        }
    }

    /// Those who wait look again.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
        let waker = self.change_waker.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A socket begins (1) or ends (-1) its goodbye.
    pub(super) fn count_lingering(&self, change: isize) {
        let mut state = self.lock();
        state.lingering = state.lingering.saturating_add_signed(change);
        drop(state);
        self.notify();
    }
}

impl State {
    /// Whether the socket keeps up; without acknowledgements nothing else holds a sender back.
    pub(super) fn socket_keeps_up(&self, settings: &Settings) -> bool {
        let events = usize::try_from(settings.buffer_events).unwrap_or(usize::MAX);
        let bytes = usize::try_from(settings.buffer_bytes).unwrap_or(usize::MAX);
        self.orders.len() < events && self.unwritten_bytes < bytes
    }

    pub(super) fn full(&self) -> Error {
        let events = u64::try_from(self.orders.len()).unwrap_or(u64::MAX);
        let bytes = u64::try_from(self.unwritten_bytes).unwrap_or(u64::MAX);
        Error::Full { events, bytes }
    }

    /// The host's `close`: what is unacknowledged is given up, and its count returned (R42).
    fn close(&mut self) -> u64 {
        if self.closed {
            return 0;
        }
        self.closed = true;
        let now = self.clock.now();
        self.machine.close(now)
    }

    /// Sorts the machine's actions; whether the host has something new to see.
    fn sort_actions(&mut self) -> bool {
        let mut told = false;
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Write { attempt, text } => {
                    self.unwritten_bytes += text.len();
                    self.orders.push_back(Order::Write { attempt, text });
                }
                Action::Close { attempt, code, reason } => {
                    self.orders.push_back(Order::Close { attempt, code, reason });
                }
                Action::Connect {
                    attempt,
                    protocol,
                    producer,
                    dial_timeout_ms,
                    upgrade_timeout_ms,
                    ..
                } => self.orders.push_back(Order::Connect(Attempt {
                    number: attempt,
                    protocol,
                    producer,
                    dial_timeout: duration(dial_timeout_ms),
                    upgrade_timeout: duration(upgrade_timeout_ms),
                })),
                Action::Tell(signal) => {
                    told = true;
                    self.tell(signal);
                }
            }
        }
        if !self.over && self.is_over() {
            self.over = true;
            told = true;
        }
        told
    }

    fn is_over(&self) -> bool {
        // A job that is being aborted still has its deadline, and the host something to hear.
        let stopped = self.machine.state() == MachineState::Closed;
        self.closed || (stopped && self.machine.next_deadline().is_none())
    }

    fn tell(&mut self, signal: Told) {
        if self.closed {
            return;
        }
        if signal == Told::Reconnected {
            self.reconnects += 1;
        }
        if self.signals.len() >= SIGNALS_KEPT {
            let pointless = |signal: &Told| {
                matches!(signal, Told::Reconnecting(_) | Told::Reconnected | Told::Command(_))
            };
            self.drop_first_signal(pointless);
        }
        let bytes = match &signal {
            Told::Command(frame) => frame.to_string().len(),
            _ => 0,
        };
        let is_command = |signal: &Told| matches!(signal, Told::Command(_));
        while bytes > 0
            && self.command_bytes + bytes > COMMANDS_KEPT_BYTES
            && self.drop_first_signal(is_command)
        {}
        self.command_bytes += bytes;
        if let (Told::Abort { signal }, Some(kills)) = (&signal, &mut self.kills) {
            // One who does not look for so long has been told to stop.
            if kills.len() < SIGNALS_KEPT {
                kills.push_back(*signal);
            }
        }
        self.signals.push_back((signal, bytes));
    }

    fn drop_first_signal(&mut self, of_kind: impl Fn(&Told) -> bool) -> bool {
        let at = self.signals.iter().position(|(signal, _)| of_kind(signal));
        let dropped = at.and_then(|at| self.signals.remove(at));
        self.command_bytes -= dropped.as_ref().map_or(0, |(_, bytes)| *bytes);
        dropped.is_some()
    }

    pub(super) fn want_kills(&mut self) {
        let untaken = self.signals.iter().filter_map(|(signal, _)| match signal {
            Told::Abort { signal } => Some(*signal),
            _ => None,
        });
        self.kills.get_or_insert_with(|| untaken.collect());
    }

    pub(super) fn next_kill(&mut self) -> Option<Signal> {
        self.kills.as_mut().and_then(VecDeque::pop_front)
    }

    pub(super) fn has_signal(&self) -> bool {
        !self.signals.is_empty()
    }

    /// Takes the next signal for the host.
    pub(super) fn next_signal(&mut self) -> Option<Told> {
        let (signal, bytes) = self.signals.pop_front()?;
        self.command_bytes -= bytes;
        Some(signal)
    }
}

/// When a wait that may last that long is over.
pub(super) fn until(timeout: Option<Duration>) -> Option<Instant> {
    // A time too far away to be written down is for ever.
    Instant::now().checked_add(timeout?)
}
