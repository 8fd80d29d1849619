//! Letting out what may happen once a commit is kept (R27).

use super::link::Output;
use super::shared::Shared;
use crate::protocol::outgoing;
use crate::session::Effect;

/// Lets effects out. Of several acknowledgements of one commit a link gets the last.
pub(super) fn release(shared: &Shared, effects: Vec<Effect>) {
    // Those in a row are one by now, and a step has few others.
    let is_last = |effects: &[Effect], link: u64| {
        !effects
            .iter()
            .any(|later| matches!(later, Effect::Acknowledge(other, _) if *other == link))
    };
    let mut effects = effects.into_iter();
    while let Some(effect) = effects.next() {
        match effect {
            Effect::Send(link, text) => put(shared, link, Output::Send(text)),
            Effect::Acknowledge(link, seq) => {
                if is_last(effects.as_slice(), link) {
                    put(shared, link, Output::Send(outgoing::ack(seq).into()));
                }
            }
            Effect::Close(link, code, reason) => {
                put(shared, link, Output::Close { code, reason: reason.to_string() });
            }
            Effect::Warn(text) => tracing::warn!("{text}"),
            // Shown with the snapshot.
            Effect::Broadcast(_) | Effect::Deleted => {}
            // Added up with the step.
            Effect::Count(_) => {}
        }
    }
}

fn put(shared: &Shared, link: u64, output: Output) {
    if let Some(link) = shared.link(link) {
        link.put(output);
    }
}
