//! Disconnects (R20–R22): when the last link of the active execution closes, a grace period
//! starts in the execution's own record; a new link ends it.

use std::sync::Arc;

use serde_json::json;

use super::records::Grace;
use super::{Count, Effect, Failure, FailureCause, LinkId, NewEvent, Session, Transition};
use crate::protocol::Payload;
use crate::settings::Millis;

impl Session {
    /// A link is gone, by whomever and with whatever code. One that was replaced is not known any
    /// more, and nothing happens.
    pub(super) fn link_closed(
        &mut self,
        link: LinkId,
        code: u16,
        reason: &Arc<str>,
        now: Millis,
        out: &mut Transition,
    ) {
        let grace_ms = self.settings.disconnect_grace_ms;
        let kept_reason = self.kept_text(reason.clone());
        let active = self.active.as_mut();
        let current = active.filter(|a| a.link.as_ref().is_some_and(|current| current.id == link));
        let Some(active) = current else {
            self.side_link_closed(link, out);
            return;
        };
        active.link = None;
        active.record.grace = Some(Grace {
            started_at: now,
            deadline: now + grace_ms,
            code,
            reason: kept_reason.to_string(),
        });
        out.changes.active = true;
        out.changes.session = true;
    }

    /// A new link ends the grace, and tells how long it was away (R21).
    pub(super) fn end_grace(&mut self, now: Millis, out: &mut Transition) {
        let Some(active) = &mut self.active else { return };
        let Some(grace) = active.record.grace.take() else { return };
        active.record.reconnects += 1;
        out.effects.push(Effect::Count(Count::Reconnected));
        let execution_id = active.record.id.clone();
        let data = json!({"disconnectedMs": (now - grace.started_at).max(0)});
        self.append(&execution_id, NewEvent::made("wrapper_reconnected", &data), now, out);
    }

    /// No link came back in time (R22). Old readers of `reason` and new readers of `error` are
    /// both served.
    pub(super) fn expire_grace(&mut self, now: Millis, out: &mut Transition) {
        const MESSAGE: &str = "Wrapper disconnected";
        let Some(grace) = self.active.as_ref().and_then(|active| active.record.grace.clone())
        else {
            return;
        };
        let mut payload = Payload::default();
        payload.set("reason", &json!(MESSAGE));
        payload.set("wsCloseCode", &json!(grace.code));
        payload.set("wsCloseReason", &json!(grace.reason));
        let failure = Failure {
            message: MESSAGE.into(),
            event_type: Some("wrapper_disconnected".into()),
            payload,
            cause: FailureCause::Disconnected,
            ..Failure::default()
        };
        self.end_failed(failure, None, now, out);
    }
}
