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

/// Many sessions, each with one execution behind it or, the first few, in it.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// How many sessions.
    pub sessions: u64,
    /// How many of them have a running execution.
    pub active: u64,
}

/// Sessions of one commit.
const SESSIONS_AT_ONCE: u64 = 1_000;

/// The id of a session of a crowd.
pub fn crowd_session(number: u64) -> String {
    format!("user_{number}:agent")
}

/// Makes a store at `path` that holds `crowd`. They were last active a minute ago.
pub fn fill_crowd(path: &Path, crowd: Crowd) -> io::Result<()> {
    let now = wall_ms() - 60_000;
    let mut store = SqliteStore::open(path, &filling_settings(), now).map_err(failed)?;
    for first in (0..crowd.sessions).step_by(SESSIONS_AT_ONCE as usize) {
        let numbers = first..crowd.sessions.min(first + SESSIONS_AT_ONCE);
        let member = |number| member(number, number < crowd.active, now);
        keep(&mut store, first + 1, now, numbers.map(member).collect())?;
    }
    store.checkpoint().map_err(failed)?;
    drop(store);
    std::fs::File::open(path)?.sync_all()
}

fn member(number: u64, is_active: bool, now: Millis) -> SessionChanges {
    let id: Arc<str> = crowd_session(number).into();
    let mut execution = execution_record(&format!("exc_{number}").into(), 1, now);
    if is_active {
        execution.status = Status::Running;
        execution.completed_at = None;
        execution.own_ending = false;
    }
    let session = SessionRecord { version: 1, ..session_record(&id, now) };
    SessionChanges {
        session_id: id,
        record: Some(session),
        executions: vec![execution],
        ..SessionChanges::default()
    }
}

/// Makes a store at `path` that holds `log`, with `data` as the data of the events.
pub fn fill(path: &Path, log: &Log, data: impl Fn(u64) -> String) -> io::Result<()> {
    let now = wall_ms();
    let mut store = SqliteStore::open(path, &filling_settings(), now).map_err(failed)?;
    let mut session = session_record(&log.session_id, now);
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
    keep(store, session.version, now, vec![part])
}

fn keep(
    store: &mut SqliteStore,
    commit_id: u64,
    time: Millis,
    sessions: Vec<SessionChanges>,
) -> io::Result<()> {
    let batch = Batch { commit_id, time, sessions, notifications: Vec::new() };
    let faults = store.commit(&batch).map_err(|error| failed(format!("{error:?}")))?;
    match faults.first() {
        None => Ok(()),
        Some(fault) => Err(failed(format!("{fault:?}"))),
    }
}

fn changes(log: &Log, base_version: u64) -> SessionChanges {
    SessionChanges { session_id: log.session_id.clone(), base_version, ..SessionChanges::default() }
}

fn session_record(id: &Arc<str>, now: Millis) -> SessionRecord {
    SessionRecord {
        id: id.clone(),
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
        exit_code: None,
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

    #[test]
    fn a_coordinator_finds_the_crowd_and_who_is_active_in_it() {
        let scratch = Scratch::new().unwrap();
        fill_crowd(&scratch.file("runs.db"), Crowd { sessions: 1_200, active: 7 }).unwrap();
        let coordinator =
            Coordinator::open(&scratch.location("runs.db"), Options::default()).unwrap();
        assert_eq!(coordinator.sessions(5_000).unwrap().len(), 1_200);
        for (number, is_active) in [(6, true), (7, false), (1_199, false)] {
            let session = coordinator.session(&crowd_session(number)).unwrap();
            assert_eq!(session.active().unwrap().is_some(), is_active, "{number}");
            assert_eq!(session.executions(None, 10).unwrap().len(), 1);
        }
    }
}
