//! The store that fails on request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fixture::*;
use stayline::session::records::EventRecord;
use stayline::store::faults::{Faults, FaultyStore, Outcome};
use stayline::store::memory::MemoryStore;
use stayline::store::{Batch, CommitError, FaultKind, NotificationChange, Store};

fn faulty() -> (FaultyStore, Faults) {
    let faults = Faults::new();
    (FaultyStore::new(Box::new(MemoryStore::new()), faults.clone()), faults)
}

#[test]
fn the_next_commit_with_something_to_write_fails_and_only_that_one() {
    for (outcome, is_kept) in
        [(Outcome::Lost, false), (Outcome::UnknownKept, true), (Outcome::UnknownLost, false)]
    {
        let (mut store, faults) = faulty();
        faults.fail_next_commit(outcome);
        assert_eq!(store.commit(&Batch::default()), Ok(vec![]));
        let given = Batch { commit_id: 8, ..batch(vec![new_session("s", 1)]) };
        let told = store.commit(&given);
        match outcome {
            Outcome::Lost => assert!(matches!(told, Err(CommitError::Lost(_)))),
            _ => assert!(matches!(told, Err(CommitError::Unknown(_)))),
        }
        store.reopen().unwrap();
        assert_eq!(store.was_committed(8).unwrap(), is_kept);
        assert_eq!(store.load("s").unwrap().is_some(), is_kept);
        keep(&mut store, vec![new_session("t", 1)]);
        assert_eq!(faults.commits(), 2);
    }
}

#[test]
fn all_commits_fail_until_switched_off() {
    let (mut store, faults) = faulty();
    faults.fail_commits(true);
    for _ in 0..3 {
        let told = store.commit(&batch(vec![new_session("s", 1)]));
        assert!(matches!(told, Err(CommitError::Lost(_))));
    }
    faults.fail_commits(false);
    keep(&mut store, vec![new_session("s", 1)]);
}

#[test]
fn a_poisoned_session_fails_alone_with_its_notifications() {
    let (mut store, faults) = faulty();
    faults.poison_session("bad");
    let mut given = batch(vec![new_session("good", 1), new_session("bad", 1)]);
    given.notifications = vec![
        NotificationChange::Enqueue(notification("n1", "bad")),
        NotificationChange::Enqueue(notification("n2", "good")),
    ];
    let told = store.commit(&given).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(&*told[0].session_id, "bad");
    assert!(matches!(told[0].kind, FaultKind::Poison(_)));
    assert_eq!(store.load("bad").unwrap(), None);
    assert_eq!(store.notification("n1").unwrap(), None);
    assert!(store.notification("n2").unwrap().is_some());
    faults.heal();
    keep(&mut store, vec![new_session("bad", 1)]);
}

#[test]
fn poisoned_data_fails_the_sessions_that_bring_it() {
    let (mut store, faults) = faulty();
    keep(&mut store, vec![new_session("s", 0)]);
    faults.poison_data("venom");
    let bitten = EventRecord { data: r#"{"a":"venom"}"#.into(), ..event(1, "e", "output") };
    let changes = appended(&mut store, "s", vec![bitten]);
    assert_eq!(store.commit(&batch(vec![changes])).unwrap().len(), 1);
    let changes = appended(&mut store, "s", vec![event(1, "e", "output")]);
    keep(&mut store, vec![changes]);
}

#[test]
fn the_hook_sees_each_batch_first_and_may_use_the_handle() {
    let (mut store, faults) = faulty();
    let seen = Arc::new(AtomicU64::new(0));
    let (counter, handle) = (seen.clone(), faults.clone());
    faults.before_commit(move |batch| {
        counter.fetch_add(batch.commit_id, Ordering::Relaxed);
        if batch.commit_id == 3 {
            handle.fail_next_commit(Outcome::Lost);
        }
    });
    for commit_id in 1..=4 {
        let id = format!("s{commit_id}");
        let given = Batch { commit_id, ..batch(vec![new_session(&id, 0)]) };
        assert_eq!(store.commit(&given).is_ok(), commit_id != 3);
    }
    assert_eq!(seen.load(Ordering::Relaxed), 10);
}
