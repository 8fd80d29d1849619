//! Letting out what may happen once a commit is kept (R27).

use super::link::Output;
use super::shared::Shared;
use crate::protocol::outgoing;
use crate::session::Effect;

/// Lets effects out. Of several acknowledgements of one commit a link gets the last.
pub(super) fn release(shared: &Shared, effects: Vec<Effect>) {
    // Those in a row are one by now, and a session has few links.
    let mut last_acks: Vec<(u64, usize)> = Vec::new();
    for (at, effect) in effects.iter().enumerate() {
        if let Effect::Acknowledge(link, _) = effect {
            last_acks.retain(|(earlier, _)| earlier != link);
            last_acks.push((*link, at));
        }
    }
    for (at, effect) in effects.into_iter().enumerate() {
        match effect {
            Effect::Send(link, text) => put(shared, link, Output::Send(text)),
            Effect::Acknowledge(link, seq) => {
                if last_acks.contains(&(link, at)) {
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
