//! The task that owns a wrapper's socket.
//!
//! It carries out the machine's orders, and tells the machine what happened: an attempt opened or
//! was refused, frames arrived, the link closed, a deadline passed. It decides nothing (the
//! machine does), but for two things that only the owner of a socket can: it pings, and takes
//! silence for a close (R47a); and it gives a closed socket a moment to get its last words out.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::address::Address;
use super::connect::{Attempt, Socket, connect};
use super::socket::{LinkSocket, Noticed};
use super::state::{Order, Shared};
use crate::elapsed::elapsed_ms;
use crate::protocol::PROTOCOL_ACKNOWLEDGED;
use crate::seldom::Seldom;
use crate::wrapper::{Refused, State};

/// The machine's deadlines are in boot time, the task's timer is not: it stands still while the
/// machine sleeps. So with a deadline ahead it looks at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Orders carried out between two looks at the socket, and their bytes: one write more at most.
const WRITES_AHEAD: usize = 256;
const BYTES_AHEAD: usize = 1024 * 1024;

/// Frames beyond `buffer_events` that may wait for the socket before nothing more is read from it:
/// only answers to the coordinator's own `ping` can be so many.
const ANSWERS_AHEAD: usize = 1_024;

type Opened = Result<(Socket, Option<u8>), Refused>;
type Dialing = Pin<Box<dyn Future<Output = Opened> + Send>>;

/// Runs until the wrapper is over.
pub(super) async fn drive(shared: Arc<Shared>, address: Address) {
    let timer = Box::pin(tokio::time::sleep(LOOK_EVERY));
    let told = Seldom::default();
    let mut driver =
        Driver { shared, address, dialing: None, link: None, timer, orders_left: 0, told };
    while driver.carry_out_orders() {
        let event = poll_fn(|context| driver.poll(context)).await;
        driver.handle(event);
    }
}

struct Driver {
    shared: Arc<Shared>,
    address: Address,
    dialing: Option<(u64, Dialing)>,
    link: Option<LinkSocket>,
    timer: Pin<Box<Sleep>>,
    /// Orders that the socket was not fast enough for.
    orders_left: usize,
    told: Seldom,
}

enum Event {
    /// Orders, a deadline, or room for more writes.
    Look,
    Dialed {
        attempt: u64,
        opened: Box<Opened>,
    },
    Link(Noticed),
}

impl Driver {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if self.shared.alarm.poll(context).is_ready() {
            return Poll::Ready(Event::Look);
        }
        if let Some((attempt, dialing)) = &mut self.dialing
            && let Poll::Ready(opened) = dialing.as_mut().poll(context)
        {
            let opened = Box::new(opened);
            return Poll::Ready(Event::Dialed { attempt: *attempt, opened });
        }
        let ahead = usize::try_from(self.shared.settings.buffer_events).unwrap_or(usize::MAX);
        let may_read = self.orders_left <= ahead.saturating_add(ANSWERS_AHEAD);
        if let Some(link) = &mut self.link
            && let Poll::Ready(noticed) = link.poll(context, self.orders_left > 0, may_read)
        {
            return Poll::Ready(Event::Link(noticed));
        }
        self.timer.as_mut().poll(context).map(|()| Event::Look)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Look | Event::Link(Noticed::Room) => {}
            Event::Dialed { attempt, opened } => {
                self.dialing = None;
                self.handle_dialed(attempt, *opened);
            }
            Event::Link(Noticed::Frames(frames)) => {
                let Some(attempt) = self.link.as_ref().map(|link| link.attempt) else { return };
                self.shared.with(|machine, now| {
                    for frame in &frames {
                        machine.handle_frame(attempt, frame.as_str(), now);
                    }
                });
            }
            Event::Link(Noticed::Closed { code, reason }) => {
                let Some(link) = self.link.take() else { return };
                let attempt = link.attempt;
                self.let_linger(link);
                self.shared.with(|machine, now| {
                    machine.handle_closed(attempt, code, &reason, now);
                });
            }
        }
    }

    fn handle_dialed(&mut self, attempt: u64, opened: Opened) {
        match opened {
            Ok((socket, protocol)) => {
                let settings = &self.shared.settings;
                let acknowledged = protocol == Some(PROTOCOL_ACKNOWLEDGED);
                self.link = Some(LinkSocket::new(attempt, socket, acknowledged, settings));
                tracing::debug!(attempt, ?protocol, "connected");
                self.shared.with(|machine, now| machine.handle_opened(attempt, protocol, now));
            }
            Err(refused) => {
                tracing::debug!(attempt, detail = %refused.detail, "could not connect");
                let misplaced = refused.is_misplaced().then(|| refused.detail.clone());
                let goes_on = self.shared.with(|machine, now| {
                    machine.handle_refused(attempt, refused, now);
                    machine.state() == State::Reconnecting
                });
                // Who waits for this to end by itself may wait for ever.
                if let Some(detail) = misplaced.filter(|_| goes_on)
                    && let Some(more) = self.told.admits("misplaced", elapsed_ms())
                {
                    tracing::warn!("{detail}; it is tried again{more}");
                }
            }
        }
    }

    /// Handles what is due and carries out what was asked for; `false` when all is over.
    fn carry_out_orders(&mut self) -> bool {
        let mut orders = Vec::new();
        let (over, wait) = self.take_orders(&mut orders);
        for order in orders {
            self.carry_out(order);
        }
        if over && self.orders_left == 0 {
            return false;
        }
        self.timer.as_mut().reset((Instant::now() + wait).into());
        true
    }

    /// Takes as many orders as the socket can do with. Whether it is over, and how long nothing
    /// will be due.
    fn take_orders(&mut self, orders: &mut Vec<Order>) -> (bool, Duration) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let now = state.clock.now();
        if state.machine.next_deadline().is_some_and(|at| at <= now) {
            state.machine.handle_timeout(now);
            // Sorts the actions into orders and signals, and gives the lock back.
            shared.settle(state);
            state = shared.lock();
        }
        let (writes, bytes) = self.link.as_ref().map_or((0, 0), LinkSocket::unwritten);
        let mut room = WRITES_AHEAD.saturating_sub(writes);
        let mut room_bytes = BYTES_AHEAD.saturating_sub(bytes);
        let open = self.link.as_ref().map(|link| link.attempt);
        while let Some(order) = state.orders.front() {
            if let Order::Write { attempt, text } = order {
                let length = text.len();
                // What was for a link that is gone is dropped: the next connection does not wait
                // for it.
                if open == Some(*attempt) {
                    if room == 0 || room_bytes == 0 {
                        break;
                    }
                    room -= 1;
                    room_bytes = room_bytes.saturating_sub(length);
                }
                state.unwritten_bytes -= length;
            }
            orders.extend(state.orders.pop_front());
        }
        self.orders_left = state.orders.len();
        let deadline = state.machine.next_deadline();
        state.planned = deadline.unwrap_or(crate::settings::Millis::MAX);
        let wait = deadline.map_or(Duration::from_secs(3600), |at| {
            crate::net::liveness::duration((at - now).max(0)).min(LOOK_EVERY)
        });
        let over = state.over;
        drop(state);
        // Room was made for those who wait to send.
        shared.notify();
        (over, wait)
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Connect(attempt) => {
                // An older attempt's socket is of no use any more (R42).
                self.link = None;
                self.dial(attempt);
            }
            Order::Write { attempt, text } => {
                // For an older attempt it is too late; the machine keeps what must not be lost.
                if let Some(link) = self.link.as_mut().filter(|link| link.attempt == attempt) {
                    link.write(text);
                }
            }
            Order::Close { attempt, code, reason } => {
                self.dialing.take_if(|(dialing, _)| *dialing == attempt);
                if let Some(mut link) = self.link.take_if(|link| link.attempt == attempt) {
                    link.close(code, reason);
                    self.let_linger(link);
                }
            }
        }
    }

    fn dial(&mut self, attempt: Attempt) {
        let number = attempt.number;
        self.dialing = Some((number, Box::pin(connect(self.address.clone(), attempt))));
    }

    /// A socket that has said its last word, or heard the other's, gets a moment to finish.
    fn let_linger(&self, link: LinkSocket) {
        let shared = Arc::clone(&self.shared);
        shared.count_lingering(1);
        tokio::spawn(async move {
            link.finish().await;
            shared.count_lingering(-1);
        });
    }
}
