//! What goes on failing is told in the log once a minute, with how often it was not told.

use std::sync::{Arc, Mutex};

use stayline::coordinator::{FailOptions, InterruptGrace};
use stayline::log::{Collector, Sink};
use stayline::store::faults::Outcome;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::fixture::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Sink for Lines {
    fn level(&self) -> LevelFilter {
        LevelFilter::WARN
    }

    fn is_open(&self) -> bool {
        true
    }

    fn take(&self, level: Level, line: String) {
        self.0.lock().unwrap().push(format!("{level} {line}"));
    }
}

/// What is told while this thread does something.
fn told(work: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    tracing::subscriber::with_default(Collector(lines.clone()), work);
    std::mem::take(&mut lines.0.lock().unwrap())
}

/// As on a full disk: nothing can be stored, and everybody tries again.
#[test]
fn a_store_that_takes_nothing_is_told_once_a_minute_and_its_recovery_too() {
    let host = host();
    start(&host.session, "e").unwrap();
    host.faults.fail_commits(true);
    let fail = |times: usize| {
        for _ in 0..times {
            host.session.fail("e", FailOptions::default()).unwrap_err();
        }
    };
    let lines = told(|| fail(2_000));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("ERROR") && !lines[0].contains("times more"), "{lines:?}");
    host.clock.set(START + 59_000);
    assert_eq!(told(|| fail(1_000)), [""; 0]);
    host.clock.set(START + 60_000);
    let lines = told(|| fail(500));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("2999 times more since this was told"), "{lines:?}");
    host.faults.fail_commits(false);
    let lines = told(|| {
        assert!(host.session.fail("e", FailOptions::default()).unwrap());
    });
    assert_eq!(lines, ["WARN commits are kept again; 3500 had failed"]);
}

#[test]
fn a_store_that_fails_again_and_again_is_not_told_to_be_well_each_time() {
    let host = host();
    start(&host.session, "e").unwrap();
    let lines = told(|| {
        for _ in 0..500 {
            host.faults.fail_next_commit(Outcome::UnknownLost);
            host.session.interrupt(None, false, InterruptGrace::Never).unwrap_err();
            host.session.interrupt(None, false, InterruptGrace::Never).unwrap();
            host.session.clear_interrupt(None).unwrap();
        }
    });
    // That its outcome is not known, that it failed, and that it goes on.
    assert_eq!(lines.len(), 3, "{lines:?}");
}

/// What a peer does wrong, it may do as fast as it can.
#[test]
fn what_a_peer_does_wrong_is_not_told_thousands_of_times() {
    let host = host();
    start(&host.session, "e").unwrap();
    let link = attach(&host.session, "e", None).unwrap();
    let odd = r#"{"streamEventType":"complete","data":{"exitCode":"none"}}"#;
    let lines = told(|| {
        for _ in 0..500 {
            link.receive(odd).unwrap();
        }
    });
    assert_eq!(lines.len(), 1, "{:?}", lines.first());
}
