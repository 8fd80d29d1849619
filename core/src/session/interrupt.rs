//! Interrupts (R11–R13): check and flag in one step, latched until a link takes it, with two
//! deadlines that never move later.

use std::sync::Arc;

use super::records::{ExecutionRecord, Interrupt};
use super::{
    Effect, InterruptGrace, Reply, Session, Transition, Verdict, kill_frame, unknown_execution,
};
use crate::Error;
use crate::protocol::outgoing::Signal;
use crate::settings::Millis;

impl Session {
    pub(super) fn interrupt(
        &mut self,
        execution_id: Option<Arc<str>>,
        escalate: bool,
        grace: InterruptGrace,
        subject: Option<ExecutionRecord>,
        now: Millis,
        out: &mut Transition,
    ) -> Result<(), Error> {
        let asked = self.asked_for(escalate, grace, now);
        let Some(active) = self.target(execution_id, subject)? else {
            out.reply = Some(Reply::Verdict(Verdict::AlreadyTerminal));
            return Ok(());
        };
        let Some(active) = self.active_named(&active) else { return Ok(()) };
        let interrupt = match &active.record.interrupt {
            Some(earlier) => merge(earlier, &asked),
            None => asked,
        };
        let verdict = match &active.link {
            Some(link) => {
                out.effects.push(Effect::Send(link.id, kill_frame(&interrupt)));
                Verdict::Sent
            }
            None => Verdict::Latched,
        };
        active.record.interrupt = Some(interrupt);
        out.changes.active = true;
        out.reply = Some(Reply::Verdict(verdict));
        Ok(())
    }

    pub(super) fn clear_interrupt(
        &mut self,
        execution_id: Option<Arc<str>>,
        subject: Option<ExecutionRecord>,
        out: &mut Transition,
    ) -> Result<(), Error> {
        // A terminal execution has no flag any more.
        let Some(active) = self.target(execution_id, subject)? else { return Ok(()) };
        if let Some(active) = self.active_named(&active) {
            out.changes.active = active.record.interrupt.take().is_some();
        }
        Ok(())
    }

    /// The active execution's id if it is the one meant; `None` when the one meant has ended.
    fn target(
        &self,
        execution_id: Option<Arc<str>>,
        subject: Option<ExecutionRecord>,
    ) -> Result<Option<Arc<str>>, Error> {
        let active = self.active().map(|record| record.id.clone());
        match execution_id {
            None => active.ok_or(Error::NoActiveExecution).map(Some),
            Some(named) if active.as_ref() == Some(&named) => Ok(active),
            Some(named) => match subject {
                Some(_) => Ok(None),
                None => Err(unknown_execution(&named)),
            },
        }
    }

    /// The interrupt as if it were the first.
    fn asked_for(&self, escalate: bool, grace: InterruptGrace, now: Millis) -> Interrupt {
        let grace_ms = match grace {
            InterruptGrace::Default => self.settings.interrupt_grace_ms,
            InterruptGrace::Never => None,
            InterruptGrace::After(ms) => Some(ms),
        };
        // `Never` switches both deadlines off; an escalation starts the second one at once.
        let killed_at = match grace {
            InterruptGrace::Never => None,
            _ if escalate => Some(now),
            _ => grace_ms.map(|grace_ms| now + grace_ms),
        };
        let fail_at = killed_at.zip(self.settings.kill_grace_ms).map(|(at, grace)| at + grace);
        Interrupt {
            requested_at: now,
            signal: if escalate { Signal::Kill } else { Signal::Term },
            grace_ms,
            kill_at: if escalate { None } else { killed_at },
            fail_at,
        }
    }
}

/// A second interrupt: the stronger signal, and no deadline later than it was.
fn merge(earlier: &Interrupt, asked: &Interrupt) -> Interrupt {
    let signal = earlier.signal.max(asked.signal);
    Interrupt {
        requested_at: earlier.requested_at,
        signal,
        grace_ms: sooner(earlier.grace_ms, asked.grace_ms),
        kill_at: match signal {
            Signal::Kill => None,
            Signal::Term => sooner(earlier.kill_at, asked.kill_at),
        },
        fail_at: sooner(earlier.fail_at, asked.fail_at),
    }
}

/// `None` is never.
fn sooner(one: Option<Millis>, other: Option<Millis>) -> Option<Millis> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
