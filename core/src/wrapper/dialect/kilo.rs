//! The `kilo` dialect: what the agent's own events mean for the run (R51, R53, R54).
//!
//! Each event is passed through as a `kilocode` event. Beyond that, three things matter: the root
//! session's idle ends the run, a terminal error fails it, and any event at all shows that the
//! feed is alive. Sessions that the agent opens for sub-tasks report idle as well; theirs must not
//! end the run. Where the host did not name the root session, it is the first that was created
//! without a parent.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::protocol::kilo::terminal_error;
use crate::protocol::raw;

/// Children remembered while the root session is not known. An agent that opens more of them
/// without ever naming a root is not one that this dialect knows.
const MAX_CHILDREN: usize = 1_000;

/// What an event means for the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::wrapper) enum Meaning {
    /// Nothing beyond itself.
    Nothing,
    /// The root session is idle (R51).
    Idle,
    /// The run cannot go on; with the agent's own text (R54).
    TerminalError(String),
}

/// What is known of the agent's sessions and feed.
#[derive(Debug)]
pub(in crate::wrapper) struct Kilo {
    root: Option<String>,
    children: BTreeSet<String>,
    /// An event came: the feed is in use, and its silence means something (R53).
    pub(in crate::wrapper) feed_in_use: bool,
}

impl Kilo {
    /// `root`: the agent's root session, where the host knows it.
    pub(in crate::wrapper) fn new(root: Option<String>) -> Kilo {
        Kilo { root, children: BTreeSet::new(), feed_in_use: false }
    }

    /// Reads one event. Reading the same one twice changes nothing more.
    pub(in crate::wrapper) fn read(&mut self, event_type: &str, properties: &Value) -> Meaning {
        self.feed_in_use = true;
        if let Some(text) = terminal_error(event_type, properties) {
            return Meaning::TerminalError(text);
        }
        match event_type {
            "session.created" => self.session_created(properties.get("info")),
            "session.idle" if self.is_root(properties.get("sessionID")) => return Meaning::Idle,
            _ => {}
        }
        Meaning::Nothing
    }

    fn session_created(&mut self, info: Option<&Value>) {
        let Some(id) = info.and_then(|info| info.get("id")).and_then(Value::as_str) else {
            return;
        };
        if self.root.is_some() {
            return;
        }
        let has_parent =
            info.and_then(|info| info.get("parentID")).is_some_and(|parent| !parent.is_null());
        if !has_parent {
            self.root = Some(id.to_owned());
            self.children.clear();
        } else if self.children.len() < MAX_CHILDREN {
            self.children.insert(id.to_owned());
        }
    }

    fn is_root(&self, session: Option<&Value>) -> bool {
        let Some(session) = session.and_then(Value::as_str) else {
            return false;
        };
        match &self.root {
            Some(root) => root == session,
            None => !self.children.contains(session),
        }
    }
}

/// The `kilocode` event's data: the agent's event as it is. A `sessionId` among its properties is
/// lifted, since that is where the coordinator looks for it (R30).
pub(in crate::wrapper) fn event_data(event_type: &str, properties: &str) -> String {
    let event_type = Value::from(event_type);
    let mut data = format!(r#"{{"event":{event_type},"properties":{properties}"#);
    if let Some([Some(id)]) = raw::fields(properties, ["sessionId"])
        && raw::text(id).is_some()
    {
        data.push_str(r#","sessionId":"#);
        data.push_str(id);
    }
    data.push_str(&format!(r#","type":{event_type}}}"#));
    data
}

/// Whether an event may give way when the buffer is full (R44): it only carries a text delta,
/// and the whole text comes again at the end of the part.
pub(in crate::wrapper) fn is_droppable(event_type: &str, properties: &Value) -> bool {
    match event_type {
        "message.part.delta" => true,
        "message.part.updated" => properties.get("delta").is_some_and(|delta| !delta.is_null()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn idle(session: &str) -> Value {
        json!({"sessionID": session})
    }

    #[test]
    fn only_the_root_sessions_idle_counts() {
        let mut kilo = Kilo::new(Some("root".into()));
        assert_eq!(kilo.read("session.idle", &idle("child")), Meaning::Nothing);
        assert_eq!(kilo.read("session.idle", &json!({})), Meaning::Nothing);
        assert_eq!(kilo.read("session.idle", &idle("root")), Meaning::Idle);
    }

    #[test]
    fn the_root_session_is_learned_where_the_host_does_not_know_it() {
        let mut kilo = Kilo::new(None);
        assert!(!kilo.feed_in_use);
        kilo.read("session.created", &json!({"info": {"id": "early", "parentID": "root"}}));
        assert!(kilo.feed_in_use);
        assert_eq!(kilo.read("session.idle", &idle("early")), Meaning::Nothing);
        assert_eq!(kilo.read("session.idle", &idle("perhaps")), Meaning::Idle);
        kilo.read("session.created", &json!({"info": {"id": "root"}}));
        kilo.read("session.created", &json!({"info": {"id": "another"}}));
        assert_eq!(kilo.read("session.idle", &idle("perhaps")), Meaning::Nothing);
        assert_eq!(kilo.read("session.idle", &idle("another")), Meaning::Nothing);
        assert_eq!(kilo.read("session.idle", &idle("root")), Meaning::Idle);
    }

    #[test]
    fn terminal_errors_are_recognised() {
        let mut kilo = Kilo::new(None);
        let error = json!({"error": {"message": "Quota exceeded"}});
        assert_eq!(
            kilo.read("session.error", &error),
            Meaning::TerminalError("Quota exceeded".into())
        );
        let other = json!({"error": {"message": "tool failed"}});
        assert_eq!(kilo.read("session.error", &other), Meaning::Nothing);
    }

    #[test]
    fn events_pass_through_whole_and_lift_the_session_id() {
        let data: Value =
            serde_json::from_str(&event_data("session_created", r#"{"sessionId":"u"}"#)).unwrap();
        assert_eq!(
            data,
            json!({
                "event": "session_created",
                "type": "session_created",
                "properties": {"sessionId": "u"},
                "sessionId": "u",
            })
        );
        assert!(is_droppable("message.part.delta", &json!({})));
        assert!(is_droppable("message.part.updated", &json!({"delta": "x"})));
        assert!(!is_droppable("message.part.updated", &json!({"part": {}})));
    }
}
