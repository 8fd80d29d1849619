//! Metrics as Prometheus reads them: text format 0.0.4.
//!
//! Each name comes with what it means and its type; times are seconds, as is the custom there.

use std::fmt::{Display, Write as _};

use super::metrics::{BATCH_BOUNDS, HistogramView, LATENCY_BOUNDS_US, Metrics};
use crate::session::FailureCause;

/// What [`Metrics::exposition`] is, for the `Content-Type` header.
pub const EXPOSITION_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Metrics {
    /// The text that Prometheus reads. Names and labels are listed in `docs/rest.md` and do not
    /// change.
    pub fn exposition(&self) -> String {
        let mut page = Page(String::with_capacity(8 * 1024));
        page.events(self);
        page.commits(self);
        page.runs(self);
        page.links(self);
        page.subscribers(self);
        page.0
    }
}

/// A page under way. Writing to a string cannot fail.
struct Page(String);

impl Page {
    fn events(&mut self, metrics: &Metrics) {
        self.head("events_total", "counter", "Events that came in and were durable or passed on.");
        self.value("events_total", "{kind=\"stored\"}", metrics.events_stored);
        self.value("events_total", "{kind=\"volatile\"}", metrics.events_volatile);
    }

    fn commits(&mut self, metrics: &Metrics) {
        self.head("commits_total", "counter", "Commits to the store.");
        self.value("commits_total", "{outcome=\"kept\"}", metrics.commits);
        self.value("commits_total", "{outcome=\"failed\"}", metrics.commits_failed);
        self.head("commit_events", "histogram", "Events in a kept commit.");
        self.histogram("commit_events", &metrics.batch_events, &BATCH_BOUNDS, |value| value as f64);
        let seconds = |us: u64| us as f64 / 1_000_000.0;
        self.head("commit_seconds", "histogram", "Time a commit took, where it costs I/O.");
        self.histogram("commit_seconds", &metrics.commit_us, &LATENCY_BOUNDS_US, seconds);
    }

    fn runs(&mut self, metrics: &Metrics) {
        self.head("executions", "gauge", "Executions that have not ended.");
        self.value("executions", "{status=\"pending\"}", metrics.pending);
        self.value("executions", "{status=\"running\"}", metrics.running);
        self.head("executions_ended_total", "counter", "Executions that have ended.");
        let failed: u64 = metrics.failed.iter().sum();
        for (status, count) in [
            ("completed", metrics.completed),
            ("failed", failed),
            ("interrupted", metrics.interrupted),
        ] {
            self.value("executions_ended_total", &format!("{{status=\"{status}\"}}"), count);
        }
        self.head("failures_total", "counter", "Executions that have failed, by cause.");
        for (cause, count) in FailureCause::ALL.iter().zip(metrics.failed) {
            self.value("failures_total", &format!("{{cause=\"{}\"}}", cause.as_str()), count);
        }
    }

    fn links(&mut self, metrics: &Metrics) {
        self.head("links", "gauge", "Ingest links that are open.");
        self.value("links", "{mode=\"acknowledged\"}", metrics.acknowledged_links);
        self.value("links", "{mode=\"basic\"}", metrics.basic_links);
        self.head("link_bytes_under_way", "gauge", "Bytes received and not committed yet.");
        self.value("link_bytes_under_way", "", metrics.bytes_under_way);
        self.head("reconnects_total", "counter", "Wrappers that came back after a disconnect.");
        self.value("reconnects_total", "", metrics.reconnects);
    }

    fn subscribers(&mut self, metrics: &Metrics) {
        self.head("subscribers", "gauge", "Readers of sessions.");
        self.value("subscribers", "", metrics.subscribers);
        self.head("subscriber_lag_events", "gauge", "Stored events not looked at, all readers.");
        self.value("subscriber_lag_events", "", metrics.lag_sum);
        self.head("subscriber_lag_events_max", "gauge", "The same, of the one furthest behind.");
        self.value("subscriber_lag_events_max", "", metrics.lag_max);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP stayline_{name} {help}");
        let _ = writeln!(self.0, "# TYPE stayline_{name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "stayline_{name}{labels} {value}");
    }

    /// Buckets there hold all values up to their bound.
    fn histogram<const BOUNDS: usize>(
        &mut self,
        name: &str,
        view: &HistogramView<BOUNDS>,
        bounds: &[u64; BOUNDS],
        shown: impl Fn(u64) -> f64,
    ) {
        let mut up_to = 0;
        for (bound, count) in bounds.iter().zip(view.buckets) {
            up_to += count;
            let labels = format!("{{le=\"{}\"}}", shown(*bound));
            self.value(&format!("{name}_bucket"), &labels, up_to);
        }
        self.value(&format!("{name}_bucket"), "{le=\"+Inf\"}", view.count);
        self.value(&format!("{name}_sum"), "", shown(view.sum));
        self.value(&format!("{name}_count"), "", view.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_times_are_seconds() {
        let mut metrics = Metrics { events_stored: 7, ..Metrics::default() };
        metrics.failed[1] = 2;
        metrics.commit_us.buckets[0] = 3;
        metrics.commit_us.buckets[3] = 1;
        metrics.commit_us.count = 5;
        metrics.commit_us.sum = 1_500_000;
        let page = metrics.exposition();
        for line in [
            "# TYPE stayline_events_total counter",
            "stayline_events_total{kind=\"stored\"} 7",
            "stayline_executions_ended_total{status=\"failed\"} 2",
            "stayline_failures_total{cause=\"launch\"} 2",
            "stayline_commit_seconds_bucket{le=\"0.0001\"} 3",
            "stayline_commit_seconds_bucket{le=\"0.001\"} 4",
            "stayline_commit_seconds_bucket{le=\"5\"} 4",
            "stayline_commit_seconds_bucket{le=\"+Inf\"} 5",
            "stayline_commit_seconds_sum 1.5",
            "stayline_commit_seconds_count 5",
        ] {
            assert!(page.lines().any(|one| one == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn every_value_follows_its_name_and_type() {
        let page = Metrics::default().exposition();
        let mut typed = "";
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                typed = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(typed), "{line} stands under {typed}");
            }
        }
        assert!(page.ends_with('\n'));
    }
}
