//! Records with every field set, and batches that are easy to read.

use std::sync::Arc;

use stayline::protocol::Filter;
use stayline::protocol::outgoing::Signal;
use stayline::session::records::*;
use stayline::store::memory::MemoryStore;
use stayline::store::{Batch, NotificationChange, Placed, SessionChanges, SessionFault, Store};

/// When the tests take place.
pub const NOW: i64 = 1_700_000_000_000;

pub fn with_memory(test: impl FnOnce(&mut dyn Store)) {
    test(&mut MemoryStore::new());
}

#[cfg(feature = "sqlite")]
pub fn with_sqlite(test: impl FnOnce(&mut dyn Store)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let settings = stayline::Settings::default();
    test(&mut stayline::store::sqlite::SqliteStore::open(path, &settings, NOW).unwrap());
}

pub fn session(id: &str) -> SessionRecord {
    SessionRecord {
        id: id.into(),
        epoch: format!("epoch of {id}").into(),
        version: 1,
        created_at: NOW,
        last_event_id: 0,
        last_activity_at: NOW,
        idle_told: false,
        branch: None,
        agent_session_id: None,
        wake_at: None,
    }
}

pub fn execution(id: &str, status: Status) -> ExecutionRecord {
    ExecutionRecord {
        id: id.into(),
        mode: None,
        token_hash: None,
        status,
        created_at: NOW,
        started_at: None,
        completed_at: None,
        error: None,
        last_heartbeat_at: None,
        last_event_at: None,
        first_event_id: None,
        agent_session_id: None,
        interrupt: None,
        grace: None,
        producer: None,
        former_producers: Vec::new(),
        own_ending: false,
        reconnects: 0,
        exit_code: None,
        lease: None,
    }
}

/// An execution that has something in every field.
pub fn full_execution(id: &str) -> ExecutionRecord {
    ExecutionRecord {
        mode: Some("code".into()),
        token_hash: Some("c0ffee".into()),
        started_at: Some(NOW + 1),
        completed_at: Some(NOW + 2),
        error: Some("it \"broke\"\u{0}\n\u{1F980}".into()),
        last_heartbeat_at: Some(NOW + 3),
        last_event_at: Some(NOW + 4),
        first_event_id: Some(7),
        agent_session_id: Some("5f0c".into()),
        interrupt: Some(Interrupt {
            requested_at: NOW + 5,
            signal: Signal::Kill,
            grace_ms: Some(30_000),
            kill_at: None,
            fail_at: Some(NOW + 6),
        }),
        grace: Some(Grace {
            started_at: NOW + 7,
            deadline: NOW + 8,
            code: 1006,
            reason: "gone".into(),
        }),
        // A number of the wire may be beyond what a signed column holds.
        producer: Some(Producer { id: "prd_3".into(), last_seq: u64::MAX - 1 }),
        former_producers: vec!["prd_1".into(), "prd_2".into()],
        own_ending: true,
        reconnects: 3,
        exit_code: Some(-9),
        lease: Some(Lease {
            lease_id: "lse".into(),
            message_id: Some("msg".into()),
            expires_at: NOW + 9,
        }),
        ..execution(id, Status::Failed)
    }
}

pub fn event(id: u64, execution_id: &str, event_type: &str) -> EventRecord {
    EventRecord {
        id,
        execution_id: execution_id.into(),
        event_type: event_type.into(),
        timestamp: NOW + id as i64,
        stored_at: NOW + id as i64,
        late: false,
        data: format!("{{\"n\":{id}}}").into(),
    }
}

pub fn notification(id: &str, session_id: &str) -> NotificationRecord {
    NotificationRecord {
        id: id.into(),
        kind: NotificationKind::ExecutionEnded,
        session_id: session_id.into(),
        execution_id: Some("e".into()),
        status: Some(Status::Failed),
        error: Some("boom".into()),
        branch: Some("main".into()),
        agent_session_id: Some("5f0c".into()),
        created_at: NOW,
        attempt: 0,
        available_at: NOW,
        parked: false,
    }
}

/// A new session with one running execution `e` and its first `events` events.
pub fn new_session(id: &str, events: u64) -> SessionChanges {
    let mut running = execution("e", Status::Running);
    running.first_event_id = (events > 0).then_some(1);
    SessionChanges {
        session_id: id.into(),
        base_version: 0,
        record: Some(SessionRecord { last_event_id: events, ..session(id) }),
        executions: vec![running],
        events: (1..=events).map(|id| event(id, "e", "output")).collect(),
        delete: false,
    }
}

/// Changes of a stored session: its row with a new version, to be edited further.
pub fn change(store: &mut dyn Store, session_id: &str) -> SessionChanges {
    let stored = store.load(session_id).unwrap().unwrap().record;
    SessionChanges {
        session_id: session_id.into(),
        base_version: stored.version,
        record: Some(SessionRecord { version: stored.version + 1, ..stored }),
        ..SessionChanges::default()
    }
}

/// Appends `events` to a stored session.
pub fn appended(
    store: &mut dyn Store,
    session_id: &str,
    events: Vec<EventRecord>,
) -> SessionChanges {
    let mut changes = change(store, session_id);
    let record = changes.record.as_mut().unwrap();
    record.last_event_id = events.last().map_or(record.last_event_id, |event| event.id);
    changes.events = events;
    changes
}

pub fn deletion(store: &mut dyn Store, session_id: &str) -> SessionChanges {
    SessionChanges { record: None, delete: true, ..change(store, session_id) }
}

pub fn batch(sessions: Vec<SessionChanges>) -> Batch {
    Batch { commit_id: 1, time: NOW, sessions, notifications: Vec::new() }
}

/// Commits and expects that every session's part is kept.
pub fn keep(store: &mut dyn Store, sessions: Vec<SessionChanges>) {
    assert_eq!(store.commit(&batch(sessions)), Ok(vec![]));
}

pub fn notify(store: &mut dyn Store, changes: Vec<NotificationChange>) {
    let batch = Batch { notifications: changes, ..batch(vec![]) };
    assert_eq!(store.commit(&batch), Ok(vec![]));
}

/// Commits and gives back what could not be written.
pub fn faults(store: &mut dyn Store, sessions: Vec<SessionChanges>) -> Vec<SessionFault> {
    store.commit(&batch(sessions)).unwrap()
}

pub fn after(after: u64) -> Filter {
    Filter { after, ..Filter::default() }
}

/// The ids of all events that pass, read in as many rounds as it takes.
pub fn all_ids(store: &dyn Store, session_id: &str, filter: &Filter) -> Vec<u64> {
    let mut reader = store.reader().unwrap();
    let mut filter = filter.clone();
    let mut ids = Vec::new();
    for _ in 0..100_000 {
        let page = reader.events(session_id, &filter, 1 << 20).unwrap();
        ids.extend(page.events.iter().map(|event| event.id));
        if page.end {
            return ids;
        }
        assert!(page.next_after > filter.after, "a round that makes no progress");
        filter.after = page.next_after;
        filter.limit = filter.limit.map(|limit| limit - page.events.len() as u64);
    }
    panic!("reading never comes to an end");
}

pub fn names(list: &[&str]) -> Option<Vec<Arc<str>>> {
    Some(list.iter().map(|name| Arc::from(*name)).collect())
}

/// The ids that `look` finds, asked for `limit` at a time.
pub fn pages(
    limit: usize,
    mut look: impl FnMut(u64, usize) -> Result<Vec<Placed>, stayline::Error>,
) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), 0);
    loop {
        let page = look(after, limit).unwrap();
        assert!(page.len() <= limit && page.is_sorted_by_key(|(place, _)| *place));
        let Some((last, _)) = page.last() else { return ids };
        after = *last;
        ids.extend(page.iter().map(|(_, id)| id.to_string()));
    }
}
