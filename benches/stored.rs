//! Filling a store with a past, before anything is measured.
//!
//! It goes through the store's own contract, so that the file is one that a coordinator could
//! have left behind, whatever the store makes of it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use stayline::session::records::{EventRecord, ExecutionRecord, SessionRecord, Status};
use stayline::settings::Millis;
use stayline::store::sqlite::SqliteStore;
use stayline::store::{Batch, SessionChanges, Store};

use crate::site::{failed, filling_settings};

/// Events of one commit.
const EVENTS_AT_ONCE: u64 = 10_000;

/// What one session has behind it: executions that have completed, each with so many events.
pub struct Log {
    /// The session.
    pub session_id: Arc<str>,
    /// How many there were.
    pub executions: u64,
    /// Events of each.
    pub events_each: u64,
}

/// Makes a store at `path` that holds `log`, with `data` as the data of the events.
pub fn fill(path: &Path, log: &Log, data: impl Fn(u64) -> String) -> io::Result<()> {
    let now = wall_ms();
    let mut store = SqliteStore::open(path, &filling_settings(), now).map_err(failed)?;
    let mut session = session_record(log, now);
    let texts: Vec<Arc<str>> = (0..256).map(|number| data(number).into()).collect();
    let mut changes = changes(log, 0);
    for number in 0..log.executions {
        let id: Arc<str> = format!("exc_past_{number}").into();
        let first = session.last_event_id + 1;
        let last = session.last_event_id + log.events_each;
        changes.executions.push(execution_record(&id, first, now));
        for event_id in first..=last {
            changes.events.push(event_record(event_id, &id, &texts, now));
            session.last_event_id = event_id;
            if changes.events.len() as u64 == EVENTS_AT_ONCE {
                commit(&mut store, &mut changes, &mut session, log, now)?;
            }
        }
    }
    commit(&mut store, &mut changes, &mut session, log, now)?;
    // What was put off is on disk before anything is measured, and not written back meanwhile.
    store.checkpoint().map_err(failed)?;
    drop(store);
    std::fs::File::open(path)?.sync_all()
}

fn commit(
    store: &mut SqliteStore,
    part: &mut SessionChanges,
    session: &mut SessionRecord,
    log: &Log,
    now: Millis,
) -> io::Result<()> {
    session.version += 1;
    part.record = Some(session.clone());
    let part = std::mem::replace(part, changes(log, session.version));
    let batch = Batch {
        commit_id: session.version,
        time: now,
        sessions: vec![part],
        notifications: Vec::new(),
    };
    let faults = store.commit(&batch).map_err(|error| failed(format!("{error:?}")))?;
    match faults.first() {
        None => Ok(()),
        Some(fault) => Err(failed(format!("{fault:?}"))),
    }
}

fn changes(log: &Log, base_version: u64) -> SessionChanges {
    SessionChanges { session_id: log.session_id.clone(), base_version, ..SessionChanges::default() }
}

fn session_record(log: &Log, now: Millis) -> SessionRecord {
    SessionRecord {
        id: log.session_id.clone(),
        epoch: "ep_bench".into(),
        version: 0,
        created_at: now,
        last_event_id: 0,
        last_activity_at: now,
        idle_told: false,
        branch: None,
        agent_session_id: None,
        wake_at: None,
    }
}

fn execution_record(id: &Arc<str>, first_event_id: u64, now: Millis) -> ExecutionRecord {
    ExecutionRecord {
        id: id.clone(),
        mode: None,
        token_hash: None,
        status: Status::Completed,
        created_at: now,
        started_at: Some(now),
        completed_at: Some(now),
        error: None,
        last_heartbeat_at: Some(now),
        last_event_at: Some(now),
        first_event_id: Some(first_event_id),
        agent_session_id: None,
        interrupt: None,
        grace: None,
        producer: None,
        former_producers: Vec::new(),
        own_ending: true,
        reconnects: 0,
        lease: None,
    }
}

fn event_record(id: u64, execution_id: &Arc<str>, texts: &[Arc<str>], now: Millis) -> EventRecord {
    EventRecord {
        id,
        execution_id: execution_id.clone(),
        event_type: "output".into(),
        timestamp: now,
        stored_at: now,
        late: false,
        data: texts[id as usize % texts.len()].clone(),
    }
}

/// The wall clock: what is stored must not be older than retention keeps.
pub fn wall_ms() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as Millis)
}

#[cfg(test)]
mod tests {
    use stayline::coordinator::{Coordinator, Options};

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_coordinator_finds_the_past_that_was_filled_in() {
        let scratch = Scratch::new().unwrap();
        let log = Log { session_id: "s".into(), executions: 30, events_each: 700 };
        fill(&scratch.file("runs.db"), &log, crate::events::data).unwrap();
        let coordinator =
            Coordinator::open(&scratch.location("runs.db"), Options::default()).unwrap();
        let session = coordinator.session("s").unwrap();
        assert_eq!(session.count_events(&Default::default()).unwrap(), 21_000);
        assert_eq!(session.executions(Some(Status::Completed), 100).unwrap().len(), 30);
    }
}
