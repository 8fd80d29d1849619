//! What a reader wants to see (R34).

use std::sync::Arc;

/// Conditions on stored events, ANDed. The default lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only ids greater than this.
    pub after: u64,
    /// Only these executions; `None`: all.
    pub executions: Option<Vec<Arc<str>>>,
    /// Only these event types; `None`: all.
    pub types: Option<Vec<Arc<str>>>,
    /// Only timestamps from here on, in ms, inclusive.
    pub since: Option<i64>,
    /// Only timestamps up to here, in ms, inclusive.
    pub until: Option<i64>,
    /// At most this many.
    pub limit: Option<u64>,
}

impl Filter {
    /// Whether it asks for all of some runs, or of all runs: then how many there are is known.
    pub(crate) fn asks_for_whole_runs(&self) -> bool {
        let Filter { after: 0, executions: _, types: None, since: None, until: None, limit: _ } =
            self
        else {
            return false;
        };
        true
    }

    /// Whether an event passes, its id and the limit aside.
    pub fn admits(&self, execution: Option<&str>, event_type: &str, timestamp: i64) -> bool {
        let execution_fits = self.executions.as_ref().is_none_or(|wanted| {
            execution.is_some_and(|execution| wanted.iter().any(|id| **id == *execution))
        });
        execution_fits
            && self
                .types
                .as_ref()
                .is_none_or(|wanted| wanted.iter().any(|name| **name == *event_type))
            && self.since.is_none_or(|since| timestamp >= since)
            && self.until.is_none_or(|until| timestamp <= until)
    }
}
