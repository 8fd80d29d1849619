//! A disk that is full, and a sync that fails: what the store tells, and how it goes on.

use stayline::protocol::Filter;
use stayline::session::records::{NotificationKind, NotificationRecord};
use stayline::settings::Settings;
use stayline::store::sqlite::{SqliteOptions, SqliteStore};
use stayline::store::{Batch, CommitError, NotificationChange, Reader, Store};
use stayline_synced_only::{Random, Survivors, Vfs, register};

const FILE: &str = "/runs.db";

fn open(vfs: &Vfs) -> SqliteStore {
    let options =
        SqliteOptions { vfs: Some(vfs.name()), owner_lock: false, background_checkpoints: false };
    SqliteStore::open_with(FILE, &Settings::default(), 0, &options).unwrap()
}

/// A batch of one notification that fills several pages.
fn batch(commit_id: u64) -> Batch {
    let record = NotificationRecord {
        id: format!("n{commit_id}").into(),
        kind: NotificationKind::SessionIdle,
        session_id: "s".into(),
        execution_id: None,
        status: None,
        error: Some("x".repeat(20_000).into()),
        branch: None,
        agent_session_id: None,
        created_at: 0,
        attempt: 0,
        available_at: 0,
        parked: false,
    };
    Batch {
        commit_id,
        time: 1,
        notifications: vec![NotificationChange::Enqueue(record)],
        ..Batch::default()
    }
}

fn kept(reader: &mut dyn Reader) -> Vec<String> {
    let listed = reader.notifications(false).unwrap();
    listed.iter().map(|record| record.id.to_string()).collect()
}

#[test]
fn a_full_disk_loses_the_commit_and_nothing_else() {
    let vfs = register("trouble-full");
    let mut store = open(&vfs);
    assert_eq!(store.commit(&batch(1)), Ok(vec![]));
    vfs.with_disk(|disk| disk.set_full(true));
    for commit_id in 2..5 {
        match store.commit(&batch(commit_id)) {
            Err(CommitError::Lost(text)) => assert!(text.contains("free some space"), "{text}"),
            other => panic!("{other:?}"),
        }
        assert!(!store.was_committed(commit_id).unwrap());
        assert_eq!(kept(&mut *store.reader().unwrap()), ["n1"]);
    }
    vfs.with_disk(|disk| disk.set_full(false));
    assert_eq!(store.commit(&batch(5)), Ok(vec![]));
    assert_eq!(kept(&mut *store.reader().unwrap()), ["n1", "n5"]);
    drop(store);
    vfs.with_disk(|disk| disk.power_cycle(Survivors::SyncedOnly, &mut Random::new(1)));
    assert_eq!(kept(&mut *open(&vfs).reader().unwrap()), ["n1", "n5"]);
}

#[test]
fn a_new_store_on_a_full_disk_is_told() {
    let vfs = register("trouble-full-new");
    vfs.with_disk(|disk| disk.set_full(true));
    let options =
        SqliteOptions { vfs: Some(vfs.name()), owner_lock: false, background_checkpoints: false };
    let told = SqliteStore::open_with(FILE, &Settings::default(), 0, &options).err().unwrap();
    assert_eq!(told.name(), "StoreError");
    assert!(told.to_string().contains("free some space"), "{told}");
    vfs.with_disk(|disk| disk.set_full(false));
    assert_eq!(open(&vfs).commit(&batch(1)), Ok(vec![]));
}

/// After a sync that failed the outcome is unknown; what rereading finds is what a power cut
/// leaves, with a reader in the way and without one.
#[test]
fn after_a_failed_sync_rereading_tells_what_a_power_cut_leaves() {
    for (with_reader, goes_on) in [(false, false), (false, true), (true, false), (true, true)] {
        let vfs = register(&format!("trouble-sync-{with_reader}-{goes_on}"));
        let mut store = open(&vfs);
        assert_eq!(store.commit(&batch(1)), Ok(vec![]));
        let mut reader = with_reader.then(|| store.reader().unwrap());
        if let Some(reader) = &mut reader {
            assert_eq!(kept(&mut **reader), ["n1"]);
        }
        vfs.with_disk(|disk| disk.fail_sync_after(0));
        let told = store.commit(&batch(2));
        assert!(matches!(&told, Err(CommitError::Unknown(_))), "{told:?}");
        store.reopen().unwrap();
        let mut expected = vec!["n1".to_owned()];
        if store.was_committed(2).unwrap() {
            expected.push("n2".into());
        }
        assert_eq!(kept(&mut *store.reader().unwrap()), expected);
        if goes_on {
            assert_eq!(store.commit(&batch(3)), Ok(vec![]));
            expected.push("n3".into());
        }
        vfs.with_disk(|disk| disk.power_cycle(Survivors::SyncedOnly, &mut Random::new(1)));
        drop((store, reader));
        assert_eq!(kept(&mut *open(&vfs).reader().unwrap()), expected);
    }
}

#[test]
fn a_checkpoint_whose_sync_fails_costs_nothing() {
    let vfs = register("trouble-checkpoint");
    let mut store = open(&vfs);
    for commit_id in 1..4 {
        assert_eq!(store.commit(&batch(commit_id)), Ok(vec![]));
    }
    // The log's sync comes first, the database's second.
    for syncs_before in [0, 1] {
        vfs.with_disk(|disk| disk.fail_sync_after(syncs_before));
        let told = store.checkpoint().unwrap_err();
        assert!(told.to_string().contains("the disk reports an error"), "{told}");
    }
    assert_eq!(store.checkpoint(), Ok(true));
    assert_eq!(store.commit(&batch(4)), Ok(vec![]));
    vfs.with_disk(|disk| disk.power_cycle(Survivors::SyncedOnly, &mut Random::new(1)));
    drop(store);
    let mut store = open(&vfs);
    assert_eq!(kept(&mut *store.reader().unwrap()), ["n1", "n2", "n3", "n4"]);
    let page = store.reader().unwrap().events("s", &Filter::default(), 1).unwrap();
    assert!(page.end && page.events.is_empty());
    assert!(store.was_committed(4).unwrap());
}
