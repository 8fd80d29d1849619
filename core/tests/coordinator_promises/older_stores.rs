//! Stores that earlier versions left (`tests/fixtures/stores`): they open, are migrated, and what
//! was going on in them goes on.

use std::fs;
use std::path::{Path, PathBuf};

use stayline::coordinator::{Clock, Coordinator, ManualClock, Options};
use stayline::protocol::Filter;
use stayline::session::records::Status;

use crate::fixture::{attach, attempt, log, outputs};

/// When the coordinator of the file died.
const DIED_AT: i64 = 1_700_000_916_000;

struct Opened {
    clock: ManualClock,
    coordinator: Coordinator,
    // Goes last.
    _folder: tempfile::TempDir,
}

fn copy_of_schema_2(folder: &Path) -> PathBuf {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/stores/schema-2.db");
    let path = folder.join("runs.db");
    fs::copy(fixture, &path).unwrap();
    path
}

/// The file, opened a second after its coordinator died.
fn open() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let path = copy_of_schema_2(folder.path());
    let clock = ManualClock::new(DIED_AT + 1_000);
    let options = Options { clock: Clock::Manual(clock.clone()), ..Options::default() };
    let coordinator = Coordinator::open(&format!("sqlite:{}", path.display()), options).unwrap();
    Opened { clock, coordinator, _folder: folder }
}

impl Opened {
    fn status(&self, session: &str, execution: &str) -> &'static str {
        let view = self.coordinator.session(session).unwrap().execution(execution).unwrap();
        view.record.status.as_str()
    }

    fn error(&self, session: &str, execution: &str) -> Option<String> {
        let view = self.coordinator.session(session).unwrap().execution(execution).unwrap();
        view.record.error.as_deref().map(str::to_owned)
    }
}

#[test]
fn every_run_of_an_older_store_is_as_it_was() {
    let opened = open();
    let expected = [
        ("user:ended/1", "exc_completed", "completed", None),
        ("user:ended/1", "exc_failed", "failed", Some("boom")),
        ("user:ended/1", "exc_interrupted", "interrupted", Some("User asked")),
        ("user:ended/1", "exc_disconnected", "failed", Some("Wrapper disconnected")),
        ("user:ended/1", "exc_refused", "failed", Some("launch failed")),
        ("idle", "exc_idle", "failed", Some("x")),
        ("running", "exc_running", "running", None),
        ("interrupted", "exc_stopping", "running", None),
        ("in grace", "exc_in_grace", "running", None),
        ("basic", "exc_basic", "running", None),
        ("pending", "exc_pending", "pending", None),
        ("latched", "exc_latched", "pending", None),
        ("long", "exc_long", "running", None),
    ];
    for (session, execution, status, error) in expected {
        assert_eq!(opened.status(session, execution), status, "{execution}");
        assert_eq!(opened.error(session, execution).as_deref(), error, "{execution}");
    }
    let session = opened.coordinator.session("user:ended/1").unwrap();
    let view = session.view().unwrap();
    assert_eq!(view.record.branch.as_deref(), Some("main"));
    assert_eq!(
        view.record.agent_session_id.as_deref(),
        Some("11111111-2222-4333-8444-555555555555")
    );
    let failed = session.executions(Some(Status::Failed), 10).unwrap();
    let ids: Vec<&str> = failed.iter().map(|view| &*view.record.id).collect();
    assert_eq!(ids, ["exc_refused", "exc_disconnected", "exc_failed"]);
}

#[test]
fn every_event_of_an_older_store_is_read_and_counted() {
    let opened = open();
    let events = log(&opened.coordinator.session("user:ended/1").unwrap());
    let told: Vec<(u64, &str, &str, bool)> = events
        .iter()
        .map(|event| (event.id, &*event.event_type, &*event.execution_id, event.late))
        .collect();
    assert_eq!(
        told,
        [
            (1, "output", "exc_completed", false),
            (2, "kilocode", "exc_completed", false),
            (3, "complete", "exc_completed", false),
            (4, "output", "exc_failed", false),
            (5, "error", "exc_failed", false),
            (6, "interrupted", "exc_interrupted", false),
            (7, "output", "exc_disconnected", false),
            (8, "wrapper_disconnected", "exc_disconnected", false),
            (9, "output", "exc_disconnected", true),
            (10, "launch_failed", "exc_refused", false),
        ]
    );
    let long = opened.coordinator.session("long").unwrap();
    assert_eq!(log(&long).len(), 120);
    let of_run = Filter { executions: Some(vec!["exc_long".into()]), ..Filter::default() };
    assert_eq!(long.count_events(&of_run).unwrap(), 120);
}

#[test]
fn runs_of_an_older_store_go_on_with_their_wrappers() {
    let opened = open();
    let running = opened.coordinator.session("running").unwrap();
    assert!(attempt(&running, "exc_running", Some("producer-1"), 9).is_err(), "a former producer");
    let link = attempt(&running, "exc_running", Some("producer-2"), 2).unwrap();
    assert!(outputs(&link)[0].contains(r#""lastSeq":1"#));
    let frame = r#"{"streamEventType":"complete","data":{"exitCode":0},"seq":2}"#;
    link.receive(frame).unwrap();
    assert_eq!(opened.status("running", "exc_running"), "completed");
    let ids: Vec<u64> = log(&running).iter().map(|event| event.id).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());

    let stopping = opened.coordinator.session("interrupted").unwrap();
    let link = attempt(&stopping, "exc_stopping", Some("producer-1"), 2).unwrap();
    assert!(outputs(&link).iter().any(|frame| frame.contains(r#""type":"kill""#)));

    let latched = opened.coordinator.session("latched").unwrap();
    let link = attach(&latched, "exc_latched", None).unwrap();
    assert!(outputs(&link).iter().any(|frame| frame.contains(r#""type":"kill""#)));
}

#[test]
fn what_nobody_comes_back_for_in_an_older_store_is_failed() {
    let opened = open();
    opened.clock.advance(400_000);
    for (session, execution, error) in [
        ("running", "exc_running", "Wrapper disconnected"),
        ("in grace", "exc_in_grace", "Wrapper disconnected"),
        ("basic", "exc_basic", "Wrapper disconnected"),
        ("interrupted", "exc_stopping", "Interrupt not honoured"),
        ("pending", "exc_pending", "Execution timeout - wrapper never connected"),
        ("latched", "exc_latched", "Interrupt not honoured"),
    ] {
        assert_eq!(opened.status(session, execution), "failed", "{execution}");
        assert_eq!(opened.error(session, execution).as_deref(), Some(error), "{execution}");
    }
}

#[test]
fn leases_and_notifications_of_an_older_store_are_kept() {
    let opened = open();
    let running = opened.coordinator.session("running").unwrap();
    let held = running.acquire_lease("exc_running", "another", None).unwrap_err();
    assert!(held.to_string().contains("lease-1"), "{held}");
    running.extend_lease("exc_running", "lease-1").unwrap();

    let waiting = opened.coordinator.notifications(false).unwrap();
    let told: Vec<(&str, Option<&str>, u32)> = waiting
        .iter()
        .map(|record| (&*record.session_id, record.execution_id.as_deref(), record.attempt))
        .collect();
    assert_eq!(
        told,
        [
            ("user:ended/1", Some("exc_failed"), 1),
            ("user:ended/1", Some("exc_interrupted"), 0),
            ("user:ended/1", Some("exc_disconnected"), 0),
            ("user:ended/1", Some("exc_refused"), 0),
            ("user:ended/1", None, 0),
            ("idle", None, 0),
        ]
    );
}

#[test]
fn an_older_store_that_was_migrated_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("sqlite:{}", copy_of_schema_2(folder.path()).display());
    for opening in 0..2 {
        let clock = ManualClock::new(DIED_AT + 1_000 * opening);
        let options = Options { clock: Clock::Manual(clock), ..Options::default() };
        let coordinator = Coordinator::open(&location, options).unwrap();
        assert_eq!(log(&coordinator.session("long").unwrap()).len(), 120);
        coordinator.abandon();
    }
}
