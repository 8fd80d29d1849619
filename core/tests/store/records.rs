//! Sessions and executions: what is written is read, versions, R17, R18, R19a, R37.

use crate::fixture::*;
use crate::on_every_store;
use stayline::session::records::*;
use stayline::store::{Batch, FaultKind, NotificationChange, Part, SessionChanges, SessionFault};

on_every_store! {
    fn every_field_comes_back_as_it_was_written(store) {
        let record = SessionRecord {
            branch: Some("main".into()),
            agent_session_id: Some("5f0c".into()),
            idle_told: true,
            wake_at: Some(NOW + 5),
            last_event_id: 41,
            last_activity_at: NOW + 4,
            ..session("user_1:agent/1 \u{1F980}")
        };
        let changes = SessionChanges {
            session_id: record.id.clone(),
            record: Some(record.clone()),
            executions: vec![full_execution("old"), execution("e", Status::Pending)],
            ..SessionChanges::default()
        };
        keep(store, vec![changes]);
        let stored = store.load(&record.id).unwrap().unwrap();
        assert_eq!(stored.record, record);
        assert_eq!(stored.active, Some(execution("e", Status::Pending)));
        let old = store.load_execution(&record.id, "old").unwrap().unwrap();
        assert_eq!(old, full_execution("old"));
        let mut reader = store.reader().unwrap();
        assert_eq!(reader.load(&record.id).unwrap(), Some(stored));
        assert_eq!(reader.execution(&record.id, "old").unwrap(), Some(old));
    }

    fn an_execution_is_replaced_field_by_field(store) {
        keep(store, vec![new_session("s", 0)]);
        for row in [
            ExecutionRecord { status: Status::Running, ..full_execution("e") },
            execution("e", Status::Running),
            ExecutionRecord { status: Status::Interrupted, ..full_execution("e") },
            execution("e", Status::Interrupted),
        ] {
            let mut changes = change(store, "s");
            changes.executions = vec![row.clone()];
            keep(store, vec![changes]);
            assert_eq!(store.load_execution("s", "e").unwrap(), Some(row.clone()));
            let active = store.load("s").unwrap().unwrap().active;
            assert_eq!(active, row.status.is_active().then_some(row));
        }
    }

    fn what_is_not_there_is_not_found(store) {
        keep(store, vec![new_session("s", 0)]);
        assert_eq!(store.load("S").unwrap(), None);
        assert_eq!(store.load_execution("s", "E").unwrap(), None);
        assert_eq!(store.load_execution("S", "e").unwrap(), None);
        assert_eq!(store.notification("ntf").unwrap(), None);
        let mut reader = store.reader().unwrap();
        assert_eq!(reader.load("S").unwrap(), None);
        assert_eq!(reader.execution("S", "e").unwrap(), None);
        assert_eq!(reader.executions("S", None, Part::first(9)).unwrap().entries, vec![]);
        assert_eq!(reader.log_bounds("S").unwrap(), None);
        assert_eq!(reader.count_events("S", &after(0)).unwrap(), 0);
        let page = reader.events("S", &after(3), 100).unwrap();
        assert!(page.events.is_empty() && page.end && page.next_after == 3);
    }

    fn another_version_is_a_conflict_and_fails_nobody_else(store) {
        keep(store, vec![new_session("a", 0), new_session("b", 0)]);
        let mut stale = change(store, "a");
        stale.base_version = 7;
        stale.executions = vec![execution("e", Status::Completed)];
        let exists = new_session("b", 0);
        let mut gone = change(store, "b");
        gone.session_id = "c".into();
        gone.record.as_mut().unwrap().id = "c".into();
        let conflict =
            |id: &str| SessionFault { session_id: id.into(), kind: FaultKind::Conflict };
        let given = vec![stale, exists, gone, new_session("d", 2)];
        assert_eq!(faults(store, given), [conflict("a"), conflict("b"), conflict("c")]);
        let a = store.load("a").unwrap().unwrap();
        assert_eq!((a.record.version, a.active.unwrap().status), (1, Status::Running));
        assert_eq!(store.load("c").unwrap(), None);
        assert_eq!(all_ids(store, "d", &after(0)), [1, 2]);
    }

    fn a_second_active_execution_is_refused(store) {
        keep(store, vec![new_session("s", 0), new_session("t", 0)]);
        let mut second = change(store, "s");
        second.executions = vec![execution("f", Status::Pending)];
        let mut fine = change(store, "t");
        fine.executions =
            vec![execution("e", Status::Completed), execution("f", Status::Pending)];
        let faults = faults(store, vec![second, fine]);
        assert!(
            matches!(&faults[..], [SessionFault { session_id, kind: FaultKind::Poison(_) }]
                if **session_id == *"s"),
            "{faults:?}"
        );
        assert_eq!(&*store.load("s").unwrap().unwrap().active.unwrap().id, "e");
        assert_eq!(store.load_execution("s", "f").unwrap(), None);
        assert_eq!(&*store.load("t").unwrap().unwrap().active.unwrap().id, "f");
    }

    fn sessions_with_an_active_execution_are_found_for_recovery(store) {
        keep(store, vec![new_session("b", 0), new_session("a", 0), new_session("c", 0)]);
        let mut ended = change(store, "a");
        ended.executions = vec![execution("e", Status::Failed)];
        keep(store, vec![ended]);
        keep(store, vec![new_session("d", 0)]);
        assert_eq!(pages(1, |after, limit| store.active_sessions(after, limit)), ["b", "c", "d"]);
        assert_eq!(pages(2, |after, limit| store.active_sessions(after, limit)), ["b", "c", "d"]);
        assert_eq!(pages(9, |after, limit| store.active_sessions(after, limit)), ["b", "c", "d"]);
    }

    fn sessions_with_a_wake_up_are_found_page_by_page(store) {
        for (id, wake_at) in [("b", Some(9)), ("a", None), ("c", Some(3)), ("d", Some(7))] {
            let mut changes = new_session(id, 0);
            changes.record.as_mut().unwrap().wake_at = wake_at;
            keep(store, vec![changes]);
        }
        assert_eq!(pages(1, |after, limit| store.waking_sessions(after, limit)), ["b", "c", "d"]);
        assert_eq!(pages(5, |after, limit| store.waking_sessions(after, limit)), ["b", "c", "d"]);
    }

    fn what_the_wake_ups_were_computed_with_is_remembered(store) {
        assert_eq!(store.wake_settings().unwrap(), None);
        store.set_wake_settings(Some("these")).unwrap();
        store.reopen().unwrap();
        assert_eq!(store.wake_settings().unwrap().as_deref(), Some("these"));
        store.set_wake_settings(None).unwrap();
        assert_eq!(store.wake_settings().unwrap(), None);
    }

    fn executions_are_listed_the_newest_first(store) {
        let mut changes = new_session("s", 0);
        changes.executions = (0..20)
            .map(|n| {
                let status = if n % 3 == 0 { Status::Failed } else { Status::Completed };
                // Ids are the caller's: their order says nothing.
                execution(&format!("x{}", 99 - n), status)
            })
            .chain([execution("e", Status::Running)])
            .collect();
        keep(store, vec![changes, new_session("other", 0)]);
        let mut reader = store.reader().unwrap();
        let mut ids = |status, limit| -> Vec<String> {
            let rows = reader.executions("s", status, Part::first(limit)).unwrap().entries;
            rows.iter().map(|row| row.id.to_string()).collect()
        };
        assert_eq!(ids(None, 3), ["e", "x80", "x81"]);
        assert_eq!(ids(Some(Status::Failed), 2), ["x81", "x84"]);
        assert_eq!(ids(Some(Status::Running), 9), ["e"]);
        assert_eq!(ids(Some(Status::Interrupted), 9), Vec::<String>::new());
        assert_eq!(ids(None, 99).len(), 21);
        assert_eq!(ids(None, 0).len(), 0);
    }

    fn sessions_are_listed_by_their_newest_activity(store) {
        for (id, activity) in [("a", 5), ("b", 9), ("c", 7), ("d", 7)] {
            let mut changes = new_session(id, 0);
            changes.record.as_mut().unwrap().last_activity_at = NOW + activity;
            if id == "c" {
                changes.executions =
                    vec![execution("first", Status::Failed), execution("last", Status::Failed)];
            }
            if id == "d" {
                changes.executions.clear();
            }
            if id == "b" {
                changes.executions.push(execution("later", Status::Failed));
            }
            keep(store, vec![changes]);
        }
        let listed = store.reader().unwrap().sessions(Part::first(3)).unwrap().entries;
        let seen: Vec<(&str, Option<&str>)> = listed
            .iter()
            .map(|row| (&*row.record.id, row.latest.as_ref().map(|latest| &*latest.id)))
            .collect();
        // The active one goes before one that was started later.
        assert_eq!(seen, [("b", Some("e")), ("d", None), ("c", Some("last"))]);
    }

    fn due_sessions_come_the_earliest_first(store) {
        assert_eq!(store.next_wake().unwrap(), None);
        for (id, wake) in [("a", Some(30)), ("b", Some(10)), ("c", None), ("d", Some(20))] {
            let mut changes = new_session(id, 0);
            changes.record.as_mut().unwrap().wake_at = wake;
            keep(store, vec![changes]);
        }
        assert_eq!(store.next_wake().unwrap(), Some(10));
        assert!(store.due_sessions(9, 9).unwrap().is_empty());
        let ids = |list: Vec<std::sync::Arc<str>>| list.join(" ");
        assert_eq!(ids(store.due_sessions(20, 9).unwrap()), "b d");
        assert_eq!(ids(store.due_sessions(99, 2).unwrap()), "b d");
        let mut later = change(store, "b");
        later.record.as_mut().unwrap().wake_at = Some(40);
        let mut never = change(store, "d");
        never.record.as_mut().unwrap().wake_at = None;
        keep(store, vec![later, never]);
        assert_eq!(ids(store.due_sessions(99, 9).unwrap()), "a b");
        let gone = deletion(store, "a");
        keep(store, vec![gone]);
        assert_eq!(store.next_wake().unwrap(), Some(40));
    }

    fn a_deleted_session_leaves_only_its_notifications(store) {
        let mut old = new_session("s", 3);
        old.executions.insert(0, execution("past", Status::Failed));
        let mut given = batch(vec![old, new_session("t", 2)]);
        given.notifications = vec![NotificationChange::Enqueue(notification("n1", "s"))];
        assert_eq!(store.commit(&given), Ok(vec![]));
        let gone = deletion(store, "s");
        keep(store, vec![gone]);
        assert_eq!(store.load("s").unwrap(), None);
        assert_eq!(store.load_execution("s", "past").unwrap(), None);
        assert_eq!(store.active_sessions(0, 9).unwrap().len(), 1);
        assert!(store.notification("n1").unwrap().is_some());
        let mut reader = store.reader().unwrap();
        assert_eq!(reader.log_bounds("s").unwrap(), None);
        assert_eq!(reader.executions("s", None, Part::first(9)).unwrap().entries, vec![]);
        assert_eq!(reader.sessions(Part::first(9)).unwrap().entries.len(), 1);
        assert_eq!(all_ids(store, "t", &after(0)), [1, 2]);
        // A later start makes a new one, with nothing of the old.
        keep(store, vec![new_session("s", 1)]);
        assert_eq!(all_ids(store, "s", &after(0)), [1]);
        assert_eq!(store.load_execution("s", "past").unwrap(), None);
    }

    fn a_deletion_and_a_new_session_fit_one_batch(store) {
        keep(store, vec![new_session("s", 3)]);
        let mut anew = new_session("s", 1);
        anew.base_version = 1;
        anew.delete = true;
        let record = anew.record.as_mut().unwrap();
        record.version = 2;
        record.epoch = "another".into();
        keep(store, vec![anew]);
        let stored = store.load("s").unwrap().unwrap();
        assert_eq!((&*stored.record.epoch, stored.record.version), ("another", 2));
        assert_eq!(all_ids(store, "s", &after(0)), [1]);
        assert_eq!(store.reader().unwrap().executions("s", None, Part::first(9)).unwrap().entries.len(), 1);
    }

    fn a_deletion_of_another_version_changes_nothing(store) {
        keep(store, vec![new_session("s", 3)]);
        let mut gone = deletion(store, "s");
        gone.base_version = 9;
        assert_eq!(faults(store, vec![gone])[0].kind, FaultKind::Conflict);
        assert_eq!(all_ids(store, "s", &after(0)), [1, 2, 3]);
    }

    fn the_newest_commit_and_time_are_known(store) {
        assert_eq!(store.newest_time().unwrap(), None);
        assert!(!store.was_committed(0).unwrap());
        let given = |commit_id, time| Batch { commit_id, time, ..Batch::default() };
        assert_eq!(store.commit(&given(u64::MAX, NOW + 5)), Ok(vec![]));
        assert_eq!(store.commit(&given(77, NOW)), Ok(vec![]));
        assert!(store.was_committed(77).unwrap());
        assert!(!store.was_committed(u64::MAX).unwrap());
        assert_eq!(store.newest_time().unwrap(), Some(NOW + 5));
        store.reopen().unwrap();
        assert!(store.was_committed(77).unwrap());
        assert_eq!(store.newest_time().unwrap(), Some(NOW + 5));
    }

    fn a_batch_that_contradicts_itself_is_refused(store) {
        keep(store, vec![new_session("s", 2)]);
        let mut not_rising = appended(store, "s", vec![event(4, "e", "x"), event(3, "e", "x")]);
        not_rising.record.as_mut().unwrap().last_event_id = 4;
        let beyond = {
            let mut changes = appended(store, "s", vec![event(5, "e", "x")]);
            changes.record.as_mut().unwrap().last_event_id = 4;
            changes
        };
        let old = {
            let mut changes = appended(store, "s", vec![event(2, "e", "x"), event(3, "e", "x")]);
            changes.record.as_mut().unwrap().last_event_id = 3;
            changes
        };
        let stranger = appended(store, "s", vec![event(3, "nobody", "x")]);
        let mut other_row = change(store, "s");
        other_row.record.as_mut().unwrap().id = "t".into();
        let mut no_row = change(store, "s");
        no_row.record = None;
        for changes in [not_rising, beyond, old, stranger, other_row, no_row] {
            let told = faults(store, vec![changes]);
            assert!(matches!(told[..], [SessionFault { kind: FaultKind::Poison(_), .. }]));
        }
        assert_eq!(all_ids(store, "s", &after(0)), [1, 2]);
        assert_eq!(store.load("s").unwrap().unwrap().record.version, 1);
    }
}
