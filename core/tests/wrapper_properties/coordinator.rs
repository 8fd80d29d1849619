//! A tiny coordinator for the property tests: it stores what it is sent by the rules of R45, and
//! may lose the end of its store.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What it keeps, and its one link.
#[derive(Default)]
pub(super) struct Coordinator {
    /// Every stored event: its type and its data.
    pub(super) stored: Vec<(String, Value)>,
    /// Each producer's last number, and for a rollback the length of the store at each number.
    producers: BTreeMap<String, Vec<usize>>,
    current: String,
    /// The link ends with the first frame that must not come.
    pub(super) violated: Option<String>,
}

impl Coordinator {
    /// A link is accepted: the welcome.
    pub(super) fn attach(&mut self, producer: &str) -> Value {
        self.current = producer.to_owned();
        self.producers.entry(producer.to_owned()).or_default();
        json!({"type": "welcome", "lastSeq": self.last_seq()})
    }

    fn last_seq(&self) -> u64 {
        self.producers.get(&self.current).map_or(0, |numbers| numbers.len() as u64)
    }

    /// A frame arrives: the acknowledgement that follows.
    pub(super) fn receive(&mut self, frame: &Value) -> Option<Value> {
        let event_type = frame["streamEventType"].as_str().unwrap().to_owned();
        if matches!(event_type.as_str(), "heartbeat" | "pong") {
            assert_eq!(frame.get("seq"), None);
            return None;
        }
        let Some(seq) = frame.get("seq").and_then(Value::as_u64) else {
            self.violated = Some(format!("no number: {frame}"));
            return None;
        };
        if seq > self.last_seq() + 1 {
            self.violated = Some(format!("a gap after {}: {frame}", self.last_seq()));
            return None;
        }
        if seq == self.last_seq() + 1 {
            self.stored.push((event_type, frame["data"].clone()));
            let length = self.stored.len();
            self.producers.entry(self.current.clone()).or_default().push(length);
        }
        Some(json!({"type": "ack", "seq": self.last_seq()}))
    }

    /// The store goes back: its last `count` events are gone, with their numbers.
    pub(super) fn go_back(&mut self, count: usize) {
        self.stored.truncate(self.stored.len().saturating_sub(count));
        let length = self.stored.len();
        for numbers in self.producers.values_mut() {
            numbers.retain(|stored| *stored <= length);
        }
    }
}
