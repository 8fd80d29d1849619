//! A store's file with changed bytes: three bytes say where, one by what. It is read, owned, and
//! written to: whatever is wrong is an error, and what one session is told is never another's.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::Corpus;
use stayline::coordinator::{
    AttachOptions, Coordinator, Credential, FailOptions, InterruptGrace, Link, ManualClock, Next,
    Options, Session, StartOptions, SubscribeOptions,
};
use stayline::protocol::Filter;
use stayline::settings::{Settings, Synchronous};
use tempfile::TempDir;

use crate::reader::Reader;

/// Names so different that a few changed bytes do not make one of another.
const SESSIONS: [&str; 3] = ["aaaaaaaaaaaa", "mmmmmmmmmmmm", "zzzzzzzzzzzz"];
const RUNS: u64 = 2;
const EVENTS: u64 = 30;
const NOW: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;
const MOST_CHANGES: usize = 24;

pub fn run(bytes: &[u8]) -> Corpus {
    let place = Place::get();
    let mut file = place.pristine.clone();
    let mut reader = Reader::new(bytes);
    for _ in 0..MOST_CHANGES {
        if reader.is_at_end() {
            break;
        }
        let at = usize::from(reader.byte()) << 16 | usize::from(reader.number());
        let at = at % file.len();
        file[at] ^= reader.byte();
    }
    place.put(&file);
    if let Ok(coordinator) = Coordinator::open_read_only(&place.location(), settings()) {
        look_at_all(&coordinator);
    }
    place.put(&file);
    let clock = ManualClock::new(NOW + 60_000);
    let options = Options {
        settings: settings(),
        clock: stayline::coordinator::Clock::Manual(clock.clone()),
        ..Options::default()
    };
    if let Ok(coordinator) = Coordinator::open(&place.location(), options) {
        look_at_all(&coordinator);
        for id in SESSIONS {
            // What cannot be done is an error.
            let _ = live(&coordinator, id);
        }
        clock.suspend(20_000);
        clock.advance(10 * 60_000);
        look_at_all(&coordinator);
        while let Ok(Some(taken)) = coordinator.take_notification(Some(Duration::ZERO)) {
            let _ = coordinator.acknowledge_notification(&taken.id);
        }
        // Beyond what retention keeps.
        clock.advance(3 * HOUR_MS);
        coordinator.close();
    }
    Corpus::Keep
}

fn look_at_all(coordinator: &Coordinator) {
    if let Ok(summaries) = coordinator.sessions(100) {
        for summary in summaries {
            if let (true, Some(latest)) = (SESSIONS.contains(&&*summary.record.id), &summary.latest)
            {
                check(&summary.record.id, &latest.id);
            }
        }
    }
    if let Ok(notifications) = coordinator.notifications(false) {
        for one in notifications {
            // One whose own name was changed is nobody's.
            if let (true, Some(execution)) =
                (SESSIONS.contains(&&*one.session_id), &one.execution_id)
            {
                check(&one.session_id, execution);
            }
        }
    }
    for id in SESSIONS {
        look(id, &coordinator.session(id).expect("a good id"));
    }
}

fn follow(id: &str, session: &Session) {
    let filter = Filter { after: 3, ..Filter::default() };
    let options = SubscribeOptions { filter, ..SubscribeOptions::default() };
    let Ok(mut reader) = session.subscribe(options) else { return };
    while let Ok(Next::Record(record)) = reader.try_next() {
        check(id, &record.data);
    }
}

fn look(id: &str, session: &Session) {
    follow(id, session);
    if let Ok(view) = session.view() {
        assert_eq!(&*view.record.id, id, "another session");
    }
    if let Ok(Some(active)) = session.active() {
        check(id, &active);
    }
    for record in session.executions(None, 100).into_iter().flatten() {
        check(id, &record.record.id);
    }
    for run in 0..RUNS {
        if let Ok(view) = session.execution(&execution(id, run)) {
            check(id, &view.record.id);
        }
    }
    let _ = session.count_events(&Filter::default());
    let mut filter = Filter::default();
    while let Ok(page) = session.events(&filter) {
        let Some(last) = page.events.last().map(|event| event.id) else { break };
        for event in &page.events {
            check(id, &event.execution_id);
            check(id, &event.data);
        }
        if last <= filter.after {
            panic!("it goes round in circles");
        }
        filter.after = last;
    }
}

/// A text of one session names no other.
fn check(session: &str, text: &str) {
    let others = SESSIONS.iter().filter(|other| **other != session);
    for other in others {
        assert!(!text.contains(other), "{session} is told {text}");
    }
}

fn live(coordinator: &Coordinator, id: &str) -> Result<(), stayline::Error> {
    let session = coordinator.session(id)?;
    let started = session.start(StartOptions {
        execution_id: Some(execution(id, RUNS)),
        ..StartOptions::default()
    })?;
    let link = session.attach(AttachOptions {
        execution_id: started.execution_id.to_string(),
        credential: Credential::Trusted,
        acknowledged: true,
        producer: Some("p".into()),
        attempt: Some(1),
    })?;
    for seq in 1..5 {
        link.receive(&event(id, seq))?;
    }
    let over = FailOptions { message: format!("{id} is over"), ..FailOptions::default() };
    session.fail(&started.execution_id, over).map(drop)
}

fn execution(session: &str, run: u64) -> String {
    format!("{session}.{run}")
}

fn event(session: &str, seq: u64) -> String {
    format!(r#"{{"streamEventType":"output","data":{{"of":"{session}","n":{seq}}},"seq":{seq}}}"#)
}

fn settings() -> Settings {
    Settings {
        synchronous: Synchronous::Off,
        event_retention_ms: HOUR_MS,
        session_ttl_ms: HOUR_MS,
        ..Settings::default()
    }
}

struct Place {
    folder: TempDir,
    pristine: Vec<u8>,
}

impl Place {
    fn get() -> &'static Place {
        static PLACE: OnceLock<Place> = OnceLock::new();
        PLACE.get_or_init(Place::new)
    }

    fn new() -> Place {
        let folder = crate::site::folder();
        let mut place = Place { folder, pristine: Vec::new() };
        let clock = ManualClock::new(NOW);
        let options = Options {
            settings: settings(),
            clock: stayline::coordinator::Clock::Manual(clock),
            ..Options::default()
        };
        let coordinator = Coordinator::open(&place.location(), options).expect("it is made");
        for id in SESSIONS {
            for run in 0..RUNS {
                fill(&coordinator, id, run);
            }
        }
        // One that is active when it is opened again.
        let session = coordinator.session(SESSIONS[2]).expect("a good id");
        let pending =
            StartOptions { execution_id: Some(execution(SESSIONS[2], 9)), ..Default::default() };
        session.start(pending).expect("it is stored");
        // One that has all that a run may have: a link that went, an interrupt, a lease.
        let session = coordinator.session(SESSIONS[0]).expect("a good id");
        let name = execution(SESSIONS[0], 8);
        let running = StartOptions { execution_id: Some(name.clone()), ..StartOptions::default() };
        session.start(running).expect("it is stored");
        session.acquire_lease(&name, "lease", Some("message")).expect("it is stored");
        attach(&session, &name).closed(1006, "gone").expect("it is stored");
        session.interrupt(None, false, InterruptGrace::After(3_600_000)).expect("it is stored");
        coordinator.close();
        drop(coordinator);
        place.pristine = fs::read(place.file()).expect("it is there");
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("runs.db")
    }

    fn location(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    /// Nothing but this file.
    fn put(&self, file: &[u8]) {
        for entry in fs::read_dir(self.folder.path()).expect("it is there") {
            fs::remove_file(entry.expect("it can be read").path()).expect("it is ours");
        }
        fs::write(self.file(), file).expect("there is room");
    }
}

fn fill(coordinator: &Coordinator, id: &str, run: u64) {
    let session = coordinator.session(id).expect("a good id");
    let name = execution(id, run);
    let options = StartOptions { execution_id: Some(name.clone()), ..StartOptions::default() };
    session.start(options).expect("it is stored");
    let link = attach(&session, &name);
    for seq in 1..=EVENTS {
        link.receive(&event(id, seq)).expect("it is stored");
    }
    let over = FailOptions { message: format!("{id} is over"), ..FailOptions::default() };
    session.fail(&name, over).expect("it is stored");
}

fn attach(session: &Session, execution_id: &str) -> Link {
    let options = AttachOptions {
        execution_id: execution_id.to_owned(),
        credential: Credential::Trusted,
        acknowledged: true,
        producer: Some("p".into()),
        attempt: Some(1),
    };
    session.attach(options).expect("it is let in")
}
