//! Random batches on a store, and a model of what it has promised to keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};
use stayline::protocol::Filter;
use stayline::session::records::{EventRecord, ExecutionRecord, SessionRecord, Status};
use stayline::settings::{Settings, Synchronous};
use stayline::store::sqlite::{SqliteOptions, SqliteStore};
use stayline::store::{Batch, CommitError, SessionChanges, Store};

use stayline_synced_only::Random;

const FILE: &str = "/runs.db";
const SESSIONS: u64 = 5;
/// More than any run gets to before its power goes.
const STEPS: u64 = 10_000;

/// What one session has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    version: u64,
    last_event_id: u64,
    active: String,
    /// Ids and data of its events.
    events: BTreeMap<u64, Arc<str>>,
}

type State = BTreeMap<String, Expected>;

pub struct Workload {
    vfs: String,
    settings: Settings,
    /// What may be found: the newest promise last. In between, what is not promised yet.
    possible: Vec<State>,
    commit_id: u64,
    time: i64,
}

impl Workload {
    pub fn new(vfs: String, synchronous: Synchronous) -> Workload {
        let settings = Settings { synchronous, ..Settings::default() };
        Workload { vfs, settings, possible: vec![State::new()], commit_id: 0, time: 0 }
    }

    fn open(&self) -> Result<SqliteStore, String> {
        let options = SqliteOptions {
            vfs: Some(self.vfs.clone()),
            owner_lock: false,
            background_checkpoints: false,
        };
        let opened = SqliteStore::open_with(FILE, &self.settings, 0, &options);
        opened.map_err(|error| error.to_string())
    }

    fn state(&self) -> State {
        self.possible.last().cloned().unwrap_or_default()
    }

    /// Keeps what is promised from now on: nothing else may be found any more. Only `normal` says
    /// beforehand that the last commits may be lost: then anything earlier may be found.
    fn promise(&mut self, state: State) {
        if self.settings.synchronous != Synchronous::Normal {
            self.possible.clear();
        }
        self.possible.push(state);
    }

    /// Works until the power is off.
    pub fn run_until_dark(
        &mut self,
        random: &mut Random,
        is_dark: impl Fn() -> bool,
    ) -> Result<(), String> {
        let mut store = match self.open() {
            Ok(store) => store,
            Err(_) if is_dark() => return Ok(()),
            Err(error) => return Err(format!("cannot be opened: {error}")),
        };
        for _ in 0..STEPS {
            let goes_on = match random.below(12) {
                0 => store.checkpoint().map(drop).map_err(|error| error.to_string()),
                1 => self.prune(&mut store, random),
                _ => self.commit(&mut store, random),
            };
            match goes_on {
                Ok(()) => {}
                Err(_) if is_dark() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Err("the power never went".into())
    }

    fn commit(&mut self, store: &mut SqliteStore, random: &mut Random) -> Result<(), String> {
        self.commit_id += 1;
        self.time += 1;
        let mut next = self.state();
        let mut batch = Batch { commit_id: self.commit_id, time: self.time, ..Batch::default() };
        for n in 0..SESSIONS {
            if random.one_in(2) {
                batch.sessions.push(self.change(&format!("s{n}"), &mut next, random));
            }
        }
        match store.commit(&batch) {
            Ok(faults) if faults.is_empty() => self.promise(next),
            Ok(faults) => return Err(format!("refused: {faults:?}")),
            Err(CommitError::Lost(text)) => return Err(text),
            Err(CommitError::Gone(gone)) => return Err(gone.detail),
            Err(CommitError::Unknown(text)) => {
                // Either is possible now, and neither is promised.
                self.possible.push(next);
                return Err(text);
            }
        }
        Ok(())
    }

    /// A random change of one session, also made to `state`.
    fn change(&self, id: &str, state: &mut State, random: &mut Random) -> SessionChanges {
        let before = state.get(id);
        let base_version = before.map_or(0, |session| session.version);
        if before.is_some() && random.one_in(15) {
            state.remove(id);
            return SessionChanges {
                session_id: id.into(),
                base_version,
                delete: true,
                ..SessionChanges::default()
            };
        }
        let mut session = before.cloned().unwrap_or(Expected {
            version: 0,
            last_event_id: 0,
            active: "e0".into(),
            events: BTreeMap::new(),
        });
        session.version += 1;
        let mut executions = vec![execution(&session.active, Status::Running)];
        if random.one_in(4) {
            executions[0].status = Status::Completed;
            session.active = format!("e{}", self.commit_id);
            executions.push(execution(&session.active, Status::Pending));
        }
        let mut events = Vec::new();
        for _ in 0..random.below(4) {
            session.last_event_id += 1;
            // Some reach over several pages.
            let length = if random.one_in(6) { 9_000 } else { 40 };
            let data: Arc<str> = format!("{:x}", random.number()).repeat(length / 16 + 1).into();
            session.events.insert(session.last_event_id, data.clone());
            events.push(self.event(session.last_event_id, &session.active, data));
        }
        let record = SessionRecord {
            id: id.into(),
            epoch: "epoch".into(),
            version: session.version,
            created_at: 0,
            last_event_id: session.last_event_id,
            last_activity_at: self.time,
            idle_told: false,
            branch: None,
            agent_session_id: None,
            wake_at: None,
        };
        state.insert(id.into(), session);
        SessionChanges {
            session_id: id.into(),
            base_version,
            record: Some(record),
            executions,
            events,
            delete: false,
        }
    }

    fn event(&self, id: u64, execution_id: &str, data: Arc<str>) -> EventRecord {
        EventRecord {
            id,
            execution_id: execution_id.into(),
            event_type: "output".into(),
            timestamp: self.time,
            stored_at: self.time,
            late: false,
            data,
        }
    }

    fn prune(&mut self, store: &mut SqliteStore, random: &mut Random) -> Result<(), String> {
        // Which events go depends on the order of all; so what is left is read, not computed.
        let limit = 1 + random.below(5) as usize;
        let mut all: Vec<(i64, String, u64)> = Vec::new();
        for (id, session) in &self.state() {
            let page = events(store, id, session.events.len())?;
            all.extend(page.iter().map(|event| (event.stored_at, id.clone(), event.id)));
        }
        // Within one commit the order is that of the batch, which is that of the names.
        all.sort();
        let mut next = self.state();
        for (_, session_id, event_id) in all.into_iter().take(limit) {
            if let Some(session) = next.get_mut(&session_id) {
                session.events.remove(&event_id);
            }
        }
        match store.prune_events(i64::MAX, limit) {
            Ok(_) => self.promise(next),
            Err(error) => {
                self.possible.push(next);
                return Err(error.to_string());
            }
        }
        Ok(())
    }

    /// Opens what is left and compares. What is found is the promise from then on.
    pub fn check_what_is_left(&mut self) -> Result<(), String> {
        let mut store = self.open()?;
        let mut found = State::new();
        for n in 0..SESSIONS {
            let id = format!("s{n}");
            let stored = store.load(&id).map_err(|error| error.to_string())?;
            let Some(stored) = stored else { continue };
            let events = events(&mut store, &id, usize::MAX)?;
            let session = Expected {
                version: stored.record.version,
                last_event_id: stored.record.last_event_id,
                active: stored.active.map_or(String::new(), |active| active.id.to_string()),
                events: events.iter().map(|event| (event.id, event.data.clone())).collect(),
            };
            found.insert(id, session);
        }
        drop(store);
        self.check_integrity()?;
        if !self.possible.contains(&found) {
            let shown = |state: &State| {
                let one = |(id, s): (&String, &Expected)| {
                    format!("{id}: v{} last {} of {}", s.version, s.last_event_id, s.events.len())
                };
                state.iter().map(one).collect::<Vec<_>>().join(", ")
            };
            return Err(format!("found {}, but promised {}", shown(&found), shown(&self.state())));
        }
        self.possible = vec![found];
        Ok(())
    }

    fn check_integrity(&self) -> Result<(), String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let verdict = Connection::open_with_flags_and_vfs(FILE, flags, self.vfs.as_str())
            .and_then(|connection| {
                connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
            })
            .map_err(|error| error.to_string())?;
        if verdict == "ok" { Ok(()) } else { Err(verdict) }
    }
}

fn events(
    store: &mut SqliteStore,
    session_id: &str,
    at_most: usize,
) -> Result<Vec<Arc<EventRecord>>, String> {
    let filter = Filter { limit: Some(at_most as u64), ..Filter::default() };
    let page = store
        .reader()
        .and_then(|mut reader| reader.events(session_id, &filter, usize::MAX))
        .map_err(|error| error.to_string())?;
    Ok(page.events)
}

fn execution(id: &str, status: Status) -> ExecutionRecord {
    ExecutionRecord {
        id: id.into(),
        mode: None,
        token_hash: None,
        status,
        created_at: 0,
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
