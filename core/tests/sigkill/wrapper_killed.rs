//! A wrapper killed with SIGKILL in mid-run: its run is failed once, after its grace, what had
//! arrived is kept, and the next run starts and completes (R2, R20, R22, R39).

use stayline::coordinator::{Coordinator, Options, Session, StartOptions};
use stayline::net::client::Wrapper;
use stayline::net::server::{ServerOptions, serve};
use stayline::protocol::Filter;
use stayline::session::records::Status;
use stayline::wrapper::SendOptions;
use stayline::{Error, Settings};

use crate::child::*;

const GRACE_MS: i64 = 700;

fn start(session: &Session, execution_id: &str) -> Result<(), Error> {
    session
        .start(StartOptions {
            execution_id: Some(execution_id.into()),
            token: Some(TOKEN.into()),
            ..StartOptions::default()
        })
        .map(drop)
}

#[test]
fn a_killed_wrapper_fails_its_run_once_after_its_grace_and_the_next_run_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.db");
    let settings = Settings {
        disconnect_grace_ms: GRACE_MS,
        reconnect_base_ms: 50,
        reconnect_cap_ms: 200,
        ..Settings::default()
    };
    let options = Options { settings, ..Options::default() };
    let coordinator = Coordinator::open(&format!("sqlite:{}", file.display()), options).unwrap();
    let server = serve(coordinator.clone(), "127.0.0.1:0", ServerOptions::default()).unwrap();
    let session = coordinator.session(SESSION).unwrap();
    start(&session, EXECUTION).unwrap();
    let mut wrapper = Process::start("wrapper", &file, server.url());
    wrapper.wait_ready();
    assert!(matches!(start(&session, "next"), Err(Error::ExecutionInProgress { .. })));
    wrapper.kill();

    let ended = session.wait(EXECUTION, Some(PATIENCE)).unwrap().record;
    assert_eq!(ended.status, Status::Failed);
    assert_eq!(ended.error.as_deref(), Some("Wrapper disconnected"));
    let events = session.events(&Filter::default()).unwrap().events;
    let (last, outputs) = events.split_last().unwrap();
    assert_eq!(&*last.event_type, "wrapper_disconnected");
    let data: serde_json::Value = serde_json::from_str(&last.data).unwrap();
    assert_eq!((&data["wsCloseCode"], &data["fatal"]), (&1006.into(), &true.into()));
    for (event, n) in outputs.iter().zip(1u64..) {
        let data: serde_json::Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!((&*event.event_type, data["n"].as_u64()), ("output", Some(n)));
    }
    // Its last event came before it was killed, and the grace began after that.
    let newest = outputs.last().unwrap().stored_at;
    assert!(ended.completed_at.unwrap() >= newest + GRACE_MS, "failed before its grace was over");

    start(&session, "next").unwrap();
    let options = wrapper_options(server.url());
    let next = Wrapper::open(stayline::net::client::WrapperOptions {
        execution_id: "next".into(),
        ..options
    })
    .unwrap();
    next.send("output", "{}", SendOptions::default()).unwrap();
    next.complete(0, None).unwrap();
    next.outcome(Some(PATIENCE)).unwrap();
    assert_eq!(session.execution("next").unwrap().record.status, Status::Completed);
    // The first one's end has stayed the only one.
    let all = session.events(&Filter { after: last.id, ..Filter::default() }).unwrap().events;
    assert!(all.iter().all(|event| &*event.execution_id == "next"));
    let told: Vec<_> = coordinator
        .notifications(false)
        .unwrap()
        .into_iter()
        .map(|record| (record.execution_id.unwrap().to_string(), record.status.unwrap()))
        .collect();
    let expected = [(EXECUTION, Status::Failed), ("next", Status::Completed)];
    assert_eq!(told, expected.map(|(id, status)| (id.to_owned(), status)));
}
