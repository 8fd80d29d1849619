//! Sessions that the store does not take, and a store that is gone (R27).

use std::path::Path;
use std::time::Duration;

use crate::fixture::*;
use rusqlite::Connection;
use stayline::coordinator::{
    Clock, Coordinator, FailOptions, ManualClock, Next, Options, SubscribeOptions,
};
use stayline::protocol::Filter;
use stayline::{Error, Settings};

fn open(path: &Path, clock: &ManualClock) -> Coordinator {
    let options = Options { clock: Clock::Manual(clock.clone()), ..Options::default() };
    Coordinator::open(&format!("sqlite:{}", path.display()), options).unwrap()
}

/// Three sessions, each with a running execution, or with one that has ended.
fn stored(path: &Path, clock: &ManualClock, is_running: bool) {
    let coordinator = open(path, clock);
    for id in ["a", "bad", "c"] {
        let session = coordinator.session(id).unwrap();
        start(&session, "e").unwrap();
        let link = attach(&session, "e", Some("p")).unwrap();
        link.receive(&numbered(1, "x")).unwrap();
        if !is_running {
            session.fail("e", FailOptions::default()).unwrap();
        }
    }
    coordinator.close();
}

fn damage(path: &Path, sql: &str) {
    let other = Connection::open(path).unwrap();
    other.execute_batch(sql).unwrap();
}

/// An index gets the entries that `rows` gives, as a damaged page would leave it.
fn mislead(path: &Path, index: &str, columns: &str, rows: &str) {
    damage(
        path,
        &format!(
            "CREATE TABLE other (place INTEGER PRIMARY KEY, {columns});
             INSERT INTO other (place, {columns}) {rows};
             CREATE INDEX misled ON other ({columns});
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET rootpage =
                 (SELECT rootpage FROM sqlite_schema WHERE name = 'misled') WHERE name = '{index}';
             DELETE FROM sqlite_schema WHERE name IN ('misled', 'other')"
        ),
    );
}

const OF_BAD: &str = "session_key = (SELECT key FROM sessions WHERE id = 'bad')";

fn expect_aside(result: Result<impl std::fmt::Debug, Error>) {
    match result {
        Err(Error::StoreError { detail }) => {
            assert!(detail.contains("\"bad\"") && detail.contains("set aside"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_row_keeps_nobody_else_from_anything() {
    for damaged in [
        "UPDATE executions SET interrupt = '{broken' WHERE ",
        "UPDATE executions SET grace = '[1, 2]' WHERE ",
        "UPDATE executions SET lease = 'x' WHERE ",
        "UPDATE executions SET mode = CAST(x'ff' AS TEXT) WHERE ",
    ] {
        must_end("opening and going on", move || {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("runs.db");
            let clock = ManualClock::new(START);
            stored(&path, &clock, true);
            damage(&path, &format!("{damaged} {OF_BAD}"));
            let coordinator = open(&path, &clock);
            let session = |id: &str| coordinator.session(id).unwrap();
            for id in ["a", "c"] {
                assert_eq!(session(id).active().unwrap().as_deref(), Some("e"), "{damaged}");
                let link = attach(&session(id), "e", Some("p")).unwrap();
                link.receive(&numbered(2, "y")).unwrap();
                let outputs = log(&session(id));
                let outputs = outputs.iter().filter(|event| &*event.event_type == "output");
                assert_eq!(outputs.count(), 2);
            }
            expect_aside(session("bad").active());
            expect_aside(session("bad").fail("e", FailOptions::default()));
            expect_aside(start(&session("bad"), "f"));
            expect_aside(session("bad").delete());
            // The others meet their deadlines, for days.
            clock.advance(3 * 86_400_000);
            assert_eq!(session("a").active().unwrap(), None);
            assert_eq!(coordinator.notifications(false).unwrap().len(), 4, "{damaged}");
            coordinator.close();
            drop(coordinator);
            // It is where it was, and is back once it is mended.
            damage(
                &path,
                &format!(
                    "UPDATE executions SET interrupt = NULL, grace = NULL, lease = NULL, \
                     mode = NULL WHERE {OF_BAD}"
                ),
            );
            let coordinator = open(&path, &clock);
            assert_eq!(log(&coordinator.session("bad").unwrap()).len(), 1);
            coordinator.session("bad").unwrap().fail("e", FailOptions::default()).unwrap();
        });
    }
}

/// Numbers that are within what a column holds, and beyond what can be counted with.
#[test]
fn numbers_that_cannot_be_counted_with_stop_nobody() {
    for damaged in [
        format!(
            r#"UPDATE executions SET interrupt = '{{"requested_at":{START},"signal":"SIGTERM",
            "grace_ms":9223372036854775807,"kill_at":{START},"fail_at":null}}' WHERE {OF_BAD}"#
        ),
        format!(
            r#"UPDATE executions SET lease = '{{"lease_id":"l","message_id":null,
            "expires_at":9223372036854775807}}' WHERE {OF_BAD}"#
        ),
        format!("UPDATE executions SET reconnects = -1 WHERE {OF_BAD}"),
        format!("UPDATE executions SET producer_last_seq = -1 WHERE {OF_BAD}"),
        format!("UPDATE events SET stored_at = 9223372036854775807 WHERE {OF_BAD}"),
        format!("UPDATE events SET id = 0 WHERE {OF_BAD}"),
        "UPDATE store SET newest_time = 9223372036854775807".to_owned(),
    ] {
        must_end("opening and going on", move || {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("runs.db");
            let clock = ManualClock::new(START);
            stored(&path, &clock, true);
            damage(&path, &damaged);
            let coordinator = open(&path, &clock);
            assert_eq!(clock.now(), START, "{damaged}");
            let session = |id: &str| coordinator.session(id).unwrap();
            let link = attach(&session("a"), "e", Some("p")).unwrap();
            link.receive(&numbered(2, "y")).unwrap();
            // Whatever is possible with the damaged one.
            if let Ok(link) = attach(&session("bad"), "e", Some("p")) {
                link.receive("no JSON, and no number").unwrap();
                link.receive(&numbered(2, "y")).unwrap();
                outputs(&link);
            }
            let filter = Filter { after: 1, ..Filter::default() };
            let options = SubscribeOptions { filter, ..SubscribeOptions::default() };
            if let Ok(mut reader) = session("bad").subscribe(options) {
                while let Ok(Next::Record(_)) = reader.try_next() {}
            }
            clock.suspend(20_000);
            clock.advance(200_000);
            assert_eq!(session("c").active().unwrap(), None, "nobody came: {damaged}");
            assert!(coordinator.next_deadline().unwrap().unwrap() > clock.now(), "{damaged}");
            coordinator.check_open().unwrap();
        });
    }
}

/// One that cannot be read is missing from what is about many, and nothing else is.
#[test]
fn lists_and_deliveries_go_on_without_what_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let clock = ManualClock::new(START);
    stored(&path, &clock, false);
    damage(
        &path,
        "UPDATE sessions SET epoch = CAST(x'ff' AS TEXT) WHERE id = 'bad';
         UPDATE notifications SET kind = 'x' WHERE session_id = 'a'",
    );
    let coordinator = open(&path, &clock);
    let listed = coordinator.sessions(9).unwrap();
    let ids: Vec<&str> = listed.iter().map(|summary| &*summary.record.id).collect();
    assert_eq!(ids, ["c", "a"]);
    for wanted in ["bad", "c"] {
        let taken = coordinator.take_notification(Some(Duration::ZERO)).unwrap().unwrap();
        assert_eq!(&*taken.session_id, wanted);
        coordinator.acknowledge_notification(&taken.id).unwrap();
    }
    assert_eq!(coordinator.take_notification(Some(Duration::ZERO)).unwrap(), None);
    assert!(coordinator.notifications(false).unwrap().is_empty());
    clock.advance(Settings::default().idle_after_ms);
    assert!(coordinator.next_deadline().unwrap().unwrap() > clock.now());
}

#[test]
fn a_damaged_session_that_is_due_holds_up_nobody() {
    for damaged in [
        "UPDATE sessions SET epoch = CAST(x'ff' AS TEXT) WHERE id = 'bad'",
        "UPDATE sessions SET id = CAST(x'ff' AS TEXT) WHERE id = 'bad'",
    ] {
        must_end("handling what is due", move || {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("runs.db");
            let clock = ManualClock::new(START);
            stored(&path, &clock, false);
            damage(&path, damaged);
            let coordinator = open(&path, &clock);
            // Idleness is told at its own moment, not at the next second try of somebody else's.
            clock.advance(Settings::default().idle_after_ms);
            let told = coordinator.notifications(false).unwrap();
            let idle = told.iter().filter(|one| one.kind.as_str() == "session_idle").count();
            assert_eq!(idle, 2, "{damaged}");
            let next = coordinator.next_deadline().unwrap().unwrap();
            assert!(next > clock.now(), "nothing due stays due");
            clock.advance(2 * Settings::default().session_ttl_ms);
            let left = coordinator.session("a").unwrap().view();
            assert!(matches!(left, Err(Error::NotFound { .. })), "{left:?}");
        });
    }
}

/// An index that does not find it by its name, while another says that it is due.
#[test]
fn a_session_that_is_due_and_cannot_be_found_holds_up_nobody() {
    must_end("handling what is due", || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.db");
        let clock = ManualClock::new(START);
        stored(&path, &clock, false);
        let rows = "SELECT key, id FROM sessions WHERE id <> 'bad'";
        mislead(&path, "sqlite_autoindex_sessions_1", "id", rows);
        let coordinator = open(&path, &clock);
        assert!(coordinator.session("bad").unwrap().view().is_err());
        clock.advance(Settings::default().idle_after_ms);
        let told = coordinator.notifications(false).unwrap();
        let idle = told.iter().filter(|one| one.kind.as_str() == "session_idle").count();
        assert_eq!(idle, 2);
        assert!(coordinator.next_deadline().unwrap().unwrap() > clock.now());
        // Nor is anything late from now on.
        let session = coordinator.session("d").unwrap();
        start(&session, "e").unwrap();
        clock.advance(Settings::default().pending_timeout_ms + 1);
        assert_eq!(session.active().unwrap(), None);
    });
}

/// What is damaged is found only by what changes it: with everybody else's changes in one commit.
#[test]
fn a_session_whose_damage_shows_when_it_is_written_fails_alone() {
    must_end("handling what is due", || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.db");
        let clock = ManualClock::new(START);
        stored(&path, &clock, false);
        let rows = format!("SELECT key, session_key, status FROM executions WHERE NOT ({OF_BAD})");
        mislead(&path, "executions_by_status", "session_key, status", &rows);
        let coordinator = open(&path, &clock);
        clock.advance(Settings::default().session_ttl_ms);
        for id in ["a", "c"] {
            let gone = coordinator.session(id).unwrap().view();
            assert!(matches!(gone, Err(Error::NotFound { .. })), "{id} stays: {gone:?}");
        }
        let session = coordinator.session("d").unwrap();
        start(&session, "e").unwrap();
        clock.advance(Settings::default().pending_timeout_ms + 1);
        assert_eq!(session.active().unwrap(), None);
    });
}

/// The oldest events cannot be read: they are not deleted, and that is all.
#[test]
fn a_damaged_page_of_the_log_holds_up_nobody() {
    must_end("handling what is due", || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.db");
        let clock = ManualClock::new(START);
        let coordinator = open(&path, &clock);
        let session = coordinator.session("old").unwrap();
        start(&session, "e").unwrap();
        let link = attach(&session, "e", Some("p")).unwrap();
        let frames: Vec<String> = (1..=400).map(|seq| numbered(seq, &"x".repeat(200))).collect();
        link.receive_many(&frames).unwrap();
        drop(link);
        coordinator.close();
        drop(coordinator);
        ruin_first_page(&path, "events");
        let coordinator = open(&path, &clock);
        let session = coordinator.session("new").unwrap();
        start(&session, "e").unwrap();
        attach(&session, "e", Some("p")).unwrap().closed(1006, "gone").unwrap();
        clock.advance(Settings::default().disconnect_grace_ms);
        assert_eq!(session.active().unwrap(), None);
        // Nor is it in the way of anything else, for as long as it is there.
        clock.advance(Settings::default().idle_after_ms);
        let told = coordinator.notifications(false).unwrap();
        assert!(told.iter().any(|one| one.kind.as_str() == "session_idle"));
        clock.advance(Settings::default().event_retention_ms + 1_000);
        start(&session, "f").unwrap();
        clock.advance(Settings::default().pending_timeout_ms + 1);
        assert_eq!(session.active().unwrap(), None);
    });
}

/// Makes the first leaf of a table with several of them unreadable.
fn ruin_first_page(path: &Path, table: &str) {
    let connection = Connection::open(path).unwrap();
    let (root, size): (usize, usize) = connection
        .query_row(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema \
             WHERE name = ?1",
            [table],
            |row| Ok((row.get::<_, i64>(0)? as usize, row.get::<_, i64>(1)? as usize)),
        )
        .unwrap();
    drop(connection);
    let mut file = std::fs::read(path).unwrap();
    let page = (root - 1) * size;
    assert_eq!(file[page], 5, "it is an inner page");
    let number = |at: usize, bytes: usize| {
        file[at..at + bytes].iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let first_cell = page + number(page + 12, 2);
    let leaf = (number(first_cell, 4) - 1) * size;
    assert_eq!(file[leaf], 13, "it is a leaf");
    file[leaf..leaf + 8].fill(0xff);
    std::fs::write(path, file).unwrap();
}

#[test]
fn a_session_whose_recovery_is_refused_is_set_aside_until_the_next_opening() {
    must_end("opening", || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.db");
        let clock = ManualClock::new(START);
        stored(&path, &clock, true);
        damage(
            &path,
            "CREATE TRIGGER venom BEFORE UPDATE ON sessions WHEN NEW.id = 'bad' \
             BEGIN SELECT RAISE(ABORT, 'venom'); END",
        );
        let coordinator = open(&path, &clock);
        let bad = coordinator.session("bad").unwrap();
        expect_aside(bad.active());
        assert_eq!(coordinator.session("a").unwrap().active().unwrap().as_deref(), Some("e"));
        damage(&path, "DROP TRIGGER venom");
        expect_aside(bad.fail("e", FailOptions::default()));
        expect_aside(attach(&bad, "e", Some("p")).map(drop));
        let before = coordinator.metrics().unwrap();
        clock.advance(60_000);
        drop((before, bad));
        coordinator.close();
        drop(coordinator);
        let coordinator = open(&path, &clock);
        let bad = coordinator.session("bad").unwrap();
        assert_eq!(bad.fail("e", FailOptions::default()), Ok(true));
    });
}

#[test]
fn a_session_that_the_store_refuses_costs_the_others_little() {
    let host = host();
    start(&host.session, "e").unwrap();
    let poisoned = attach(&host.session, "e", Some("p")).unwrap();
    let other = host.coordinator.session("other").unwrap();
    start(&other, "e").unwrap();
    let link = attach(&other, "e", Some("q")).unwrap();
    host.faults.poison_session("s");
    poisoned.closed(1006, "gone").unwrap();
    let before = host.faults.commits();
    for seq in 1..=200 {
        link.receive(&numbered(seq, "x")).unwrap();
    }
    let commits = host.faults.commits() - before;
    assert!((200..=203).contains(&commits), "{commits} commits for 200 frames");
    // Tried again more and more seldom, while the others keep their deadlines.
    let before = host.faults.commits();
    for _ in 0..60 {
        host.clock.advance(1_000);
        link.receive(r#"{"streamEventType":"heartbeat"}"#).unwrap();
    }
    let tries = host.faults.commits() - before;
    assert!(tries < 40, "{tries} commits in a minute");
    assert_eq!(log(&other).len(), 200);
    // Once the cause is gone it is told, and the grace runs out.
    host.faults.heal();
    for _ in 0..3 {
        host.clock.advance(60_000);
        link.receive(r#"{"streamEventType":"heartbeat"}"#).unwrap();
    }
    assert_eq!(host.status("e"), "failed");
    assert_eq!(other.active().unwrap().as_deref(), Some("e"));
}

#[test]
fn a_store_that_was_swept_away_ends_its_coordinator() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store/runs.db");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let clock = ManualClock::new(START);
    let coordinator = open(&path, &clock);
    let session = coordinator.session("s").unwrap();
    start(&session, "e").unwrap();
    let link = attach(&session, "e", Some("p")).unwrap();
    link.receive(&numbered(1, "x")).unwrap();
    outputs(&link);
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    // What ends an execution is never told in vain.
    link.receive(r#"{"streamEventType":"complete","data":{"exitCode":0},"seq":2}"#).unwrap();
    let told = outputs(&link);
    assert!(told.iter().all(|frame| !frame.contains("\"ack\"")), "{told:?}");
    assert!(told.iter().any(|frame| frame.starts_with("close 1011")), "{told:?}");
    for error in [
        session.view().map(drop).err(),
        start(&session, "f").err(),
        coordinator.check_open().err(),
        coordinator.metrics().map(drop).err(),
    ] {
        let Some(Error::StoreError { detail }) = error else { panic!("{error:?}") };
        assert!(detail.contains("removed or moved"), "{detail}");
    }
    coordinator.close();
    assert!(matches!(coordinator.check_open(), Err(Error::StoreError { .. })));
}

#[test]
fn an_idle_coordinator_finds_out_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store/runs.db");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let clock = ManualClock::new(START);
    let coordinator = open(&path, &clock);
    clock.advance(1_000);
    coordinator.check_open().unwrap();
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    clock.advance(1_000);
    assert!(matches!(coordinator.check_open(), Err(Error::StoreError { .. })));
}
