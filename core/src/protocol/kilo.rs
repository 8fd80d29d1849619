//! The vocabulary of the `kilo` agent (and of opencode's feed, which shares it): what either side
//! must recognise in its events. Nothing else in the core knows these words.

use serde_json::Value;

use super::raw;

/// What a `kilocode` event says of the agent's own session (R30).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionCreated {
    /// The agent made a session with this UUID.
    Id(String),
    /// It named something that is no UUID: ignored with a warning.
    Unfit,
}

/// Reads `kilocode {event: "session_created", sessionId}`; `None` for any other event.
pub fn session_created(event_type: &str, data: &str) -> Option<SessionCreated> {
    if event_type != "kilocode" || !data.contains("session_created") {
        return None;
    }
    let [event, id] = raw::fields(data, ["event", "sessionId"])?;
    if raw::text(event?)?.0 != "session_created" {
        return None;
    }
    match id.and_then(raw::text) {
        Some((id, _)) if is_uuid(&id) => Some(SessionCreated::Id(id.into_owned())),
        _ => Some(SessionCreated::Unfit),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The text of a terminal agent error (R54): of type `payment_required` or `insufficient_funds`,
/// or a `session.error` that names payment, credit, balance or quota. `None` for anything else.
pub fn terminal_error(event_type: &str, properties: &Value) -> Option<String> {
    let text = error_text(properties);
    match event_type {
        "payment_required" | "insufficient_funds" => {
            Some(text.unwrap_or_else(|| event_type.to_owned()))
        }
        "session.error" => {
            let text = text?;
            let lower = text.to_lowercase();
            ["payment", "credit", "balance", "quota"]
                .iter()
                .any(|word| lower.contains(word))
                .then_some(text)
        }
        _ => None,
    }
}

/// The agent's own words: `error` as a string, or the message inside it.
fn error_text(properties: &Value) -> Option<String> {
    let error = properties.get("error").unwrap_or(properties);
    [
        Some(error),
        error.get("message"),
        error.get("data").and_then(|data| data.get("message")),
        properties.get("message"),
        error.get("name"),
    ]
    .into_iter()
    .flatten()
    .find_map(|value| value.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_uuid_is_an_agent_session() {
        let id = "0b9c8a52-6f7e-4f0e-9f43-4d2f1f3f5a10";
        let data = json!({"event": "session_created", "sessionId": id}).to_string();
        assert_eq!(session_created("kilocode", &data), Some(SessionCreated::Id(id.into())));
        let data = json!({"event": "session_created", "sessionId": "x"}).to_string();
        assert_eq!(session_created("kilocode", &data), Some(SessionCreated::Unfit));
        let data =
            format!(r#"{{"event":"session_created","x":[1e999,"\ud800"],"sessionId":"{id}"}}"#);
        assert_eq!(session_created("kilocode", &data), Some(SessionCreated::Id(id.into())));
        assert_eq!(session_created("output", &data), None);
        assert_eq!(session_created("kilocode", r#"{"event":"other"}"#), None);
    }

    #[test]
    fn terminal_errors_keep_the_agents_words() {
        let error = json!({"error": {"message": "Insufficient credit balance"}});
        assert_eq!(
            terminal_error("session.error", &error).as_deref(),
            Some("Insufficient credit balance")
        );
        assert_eq!(terminal_error("session.error", &json!({"error": "timeout"})), None);
        assert_eq!(
            terminal_error("payment_required", &json!({})).as_deref(),
            Some("payment_required")
        );
    }
}
