//! Letting out what may happen once a commit is kept (R27).

use super::link::{LinkState, Output};
use super::shared::Shared;
use crate::protocol::outgoing;
use crate::session::Effect;

/// Lets effects out. Of several acknowledgements of one commit a link gets the last. `sender`: the
/// link that the step's frames came on, mostly the one that is answered.
pub(super) fn release(shared: &Shared, effects: Vec<Effect>, sender: Option<&LinkState>) {
    // Those in a row are one by now, and a step has few others.
    let is_last = |effects: &[Effect], link: u64| {
        !effects
            .iter()
            .any(|later| matches!(later, Effect::Acknowledge(other, _) if *other == link))
    };
    let put = |link: u64, output: Output| match sender.filter(|sender| sender.id == link) {
        Some(sender) => sender.put(output),
        None => {
            if let Some(link) = shared.link(link) {
                link.put(output);
            }
        }
    };
    let mut effects = effects.into_iter();
    while let Some(effect) = effects.next() {
        match effect {
            Effect::Send(link, text) => put(link, Output::Send(text)),
            Effect::Acknowledge(link, seq) => {
                if is_last(effects.as_slice(), link) {
                    put(link, Output::Send(outgoing::ack(seq).into()));
                }
            }
            Effect::Close(link, code, reason) => {
                put(link, Output::Close { code, reason: reason.to_string() });
            }
            Effect::Warn(text) => {
                if let Some(more) = shared.told.admits(&text, shared.time.now()) {
                    tracing::warn!("{text}{more}");
                }
            }
            // Shown with the snapshot.
            Effect::Broadcast(_) | Effect::Deleted => {}
            // Added up with the step.
            Effect::Count(_) => {}
        }
    }
}
