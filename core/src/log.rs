//! The core's log records, as bindings hand them on to their hosts.
//!
//! The core tells what it does through `tracing`, from any of its threads and from within calls,
//! also in the middle of a commit. A binding gives its [`Sink`] to a [`Collector`], and that to
//! `tracing`, once a process.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::error::without_control;

/// Where records go.
pub trait Sink: Send + Sync + 'static {
    /// The least important level that is wanted now. When it changes,
    /// `tracing::callsite::rebuild_interest_cache` has to be called.
    fn level(&self) -> LevelFilter;

    /// Whether a record would be taken; it is not made for nobody.
    fn is_open(&self) -> bool;

    /// Takes one record: the message, then ` name=value` for each field. On whatever thread has
    /// something to say, several at a time; locks of the core may be held.
    fn take(&self, level: Level, line: String);
}

/// Collects the records of this crate and its bindings, and nobody else's.
pub struct Collector<S>(pub S);

impl<S: Sink> Subscriber for Collector<S> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with("stayline")
            && *metadata.level() <= self.0.level()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level())
    }

    fn event(&self, event: &Event<'_>) {
        if self.0.is_open() {
            let mut line = Line::default();
            event.record(&mut line);
            // What a peer said may be in it: it stays one line, and steers no terminal.
            let line = without_control(&(line.message + &line.fields)).into_owned();
            self.0.take(*event.metadata().level(), line);
        }
    }

    // Spans are not used; what is asked of a subscriber about them is answered all the same.
    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Id::from_u64(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing into a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

    impl Sink for Lines {
        fn level(&self) -> LevelFilter {
            LevelFilter::INFO
        }

        fn is_open(&self) -> bool {
            self.0.lock().unwrap().len() < 3
        }

        fn take(&self, level: Level, line: String) {
            self.0.lock().unwrap().push((level, line));
        }
    }

    #[test]
    fn a_record_is_one_line_and_only_what_is_wanted_is_told() {
        let lines = Lines::default();
        tracing::subscriber::with_default(Collector(lines.clone()), || {
            tracing::warn!(session = %"s", lost_ms = 7, "the coordinator was {}", "away");
            tracing::debug!("too fine");
            tracing::error!(target: "somebody_else", "not ours");
            tracing::info!("plain");
            tracing::info!(said = %"\u{1b}[31m\n\u{9b}", "from outside");
            tracing::error!("it is closed by now");
        });
        let told = lines.0.lock().unwrap().clone();
        let expected = [
            (Level::WARN, "the coordinator was away session=s lost_ms=7".to_owned()),
            (Level::INFO, "plain".to_owned()),
            (Level::INFO, r"from outside said=\u{1b}[31m\n\u{9b}".to_owned()),
        ];
        assert_eq!(told, expected);
    }
}
