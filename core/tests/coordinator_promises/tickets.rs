//! Tickets: they outlive a restart, open nothing but the session that they were issued for, and
//! what the store cannot say is no "no".

use std::path::Path;

use stayline::coordinator::{Clock, Coordinator, FailOptions, ManualClock, Options};
use stayline::{Error, Settings};

use crate::fixture::{START, host, start};

fn open(path: &Path, clock: &ManualClock) -> Coordinator {
    let options = Options { clock: Clock::Manual(clock.clone()), ..Options::default() };
    Coordinator::open(&format!("sqlite:{}", path.display()), options).unwrap()
}

#[test]
fn a_ticket_outlives_a_restart_and_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let clock = ManualClock::new(START);
    let first = open(&path, &clock);
    start(&first.session("s").unwrap(), "e").unwrap();
    let ticket = first.issue_ticket("s", 60_000).unwrap();
    first.abandon();
    drop(first);
    let second = open(&path, &clock);
    assert_eq!(second.verify_ticket("s", &ticket), Ok(()));
    assert_eq!(second.verify_ticket("t", &ticket), Err(Error::Unauthorized));
    // Beside the owner and without one, a reader knows it, too.
    let location = format!("sqlite:{}", path.display());
    let reader = Coordinator::open_read_only(&location, Settings::default()).unwrap();
    let long = second.issue_ticket("s", 86_400_000 * 365 * 20).unwrap();
    assert_eq!(reader.verify_ticket("s", &long), Ok(()));
    clock.set(START + 60_000);
    assert_eq!(second.verify_ticket("s", &ticket), Err(Error::Unauthorized));
    // Another store knows it not.
    let other = open(&folder.path().join("other.db"), &clock);
    start(&other.session("s").unwrap(), "e").unwrap();
    assert_eq!(other.verify_ticket("s", &long), Err(Error::Unauthorized));
}

#[test]
fn a_ticket_does_not_open_a_deleted_sessions_successor() {
    let host = host();
    start(&host.session, "e").unwrap();
    let ticket = host.coordinator.issue_ticket("s", 60_000).unwrap();
    assert_eq!(host.coordinator.verify_ticket("s", &ticket), Ok(()));
    host.session.delete().unwrap();
    assert_eq!(host.coordinator.verify_ticket("s", &ticket), Err(Error::Unauthorized));
    start(&host.session, "e").unwrap();
    assert_eq!(host.coordinator.verify_ticket("s", &ticket), Err(Error::Unauthorized));
    let anew = host.coordinator.issue_ticket("s", 60_000).unwrap();
    assert_eq!(host.coordinator.verify_ticket("s", &anew), Ok(()));
}

#[test]
fn there_is_no_ticket_for_a_session_that_is_not_there() {
    let host = host();
    let none = host.coordinator.issue_ticket("s", 60_000);
    assert_eq!(none.unwrap_err().name(), "NotFound");
}

#[test]
fn a_store_in_memory_has_a_secret_of_its_own() {
    let (one, other) = (host(), host());
    for host in [&one, &other] {
        start(&host.session, "e").unwrap();
    }
    let ticket = one.coordinator.issue_ticket("s", 60_000).unwrap();
    assert_eq!(other.coordinator.verify_ticket("s", &ticket), Err(Error::Unauthorized));
}

#[test]
fn what_the_store_cannot_say_is_no_no() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let clock = ManualClock::new(START);
    let first = open(&path, &clock);
    start(&first.session("s").unwrap(), "e").unwrap();
    let options = FailOptions { message: "over".into(), ..FailOptions::default() };
    first.session("s").unwrap().fail("e", options).unwrap();
    let ticket = first.issue_ticket("s", 60_000).unwrap();
    drop(first);
    // Nothing of it is in memory, so that the store has to be asked.
    let second = open(&path, &clock);
    let meddler = rusqlite::Connection::open(&path).unwrap();
    meddler.execute_batch("ALTER TABLE sessions RENAME TO hidden").unwrap();
    let told = second.verify_ticket("s", &ticket).unwrap_err();
    assert_eq!(told.name(), "StoreError");
    // What is forged is refused without asking.
    let forged = ticket.replace("tkt_1", "tkt_2");
    assert_eq!(second.verify_ticket("s", &forged), Err(Error::Unauthorized));
    meddler.execute_batch("ALTER TABLE hidden RENAME TO sessions").unwrap();
    assert_eq!(second.verify_ticket("s", &ticket), Ok(()));
}
