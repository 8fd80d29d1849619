//! Lists in parts, and counts that cost no walk (R37).

use crate::fixture::*;
use crate::on_every_store;
use stayline::protocol::Filter;
use stayline::session::records::*;
use stayline::store::{Cursor, Listed, Part, Store};

/// How many events there are by the count, after holding it against the log itself.
fn counted(store: &dyn Store, executions: Option<&[&str]>) -> u64 {
    let filter = Filter { executions: executions.and_then(names), ..Filter::default() };
    let mut reader = store.reader().unwrap();
    let counted = reader.count_events("s", &filter).unwrap();
    assert_eq!(counted, all_ids(store, "s", &filter).len() as u64, "{executions:?}");
    let limited = Filter { limit: Some(1), ..filter };
    assert_eq!(reader.count_events("s", &limited).unwrap(), counted.min(1));
    counted
}

fn ids(listed: &Listed<ExecutionRecord>) -> Vec<&str> {
    listed.entries.iter().map(|row| &*row.id).collect()
}

on_every_store! {
    fn a_runs_events_are_counted_as_they_come_and_go(store) {
        let mut changes = new_session("s", 3);
        changes.executions.push(execution("old", Status::Failed));
        keep(store, vec![changes]);
        assert_eq!((counted(store, Some(&["e"])), counted(store, Some(&["old"]))), (3, 0));
        // With the run's row, and without: late ones of a run that has ended.
        let mut more = appended(store, "s", vec![event(4, "e", "output"), event(5, "old", "late")]);
        more.executions = vec![execution("e", Status::Running)];
        keep(store, vec![more]);
        let late = appended(store, "s", vec![event(6, "old", "late"), event(7, "old", "late")]);
        keep(store, vec![late]);
        assert_eq!((counted(store, Some(&["e"])), counted(store, Some(&["old"]))), (4, 3));
        assert_eq!(counted(store, Some(&["e", "old", "e", "unknown"])), 7);
        assert_eq!(counted(store, None), 7);
        // Retention takes the oldest.
        assert_eq!(store.prune_events(i64::MAX, 5).unwrap(), 5);
        assert_eq!((counted(store, Some(&["e"])), counted(store, Some(&["old"]))), (0, 2));
        assert_eq!(counted(store, None), 2);
        // What is refused is not counted.
        let refused = appended(store, "s", vec![event(8, "e", "output"), event(8, "e", "output")]);
        assert_eq!(faults(store, vec![refused]).len(), 1);
        assert_eq!(counted(store, Some(&["e"])), 0);
        let gone = deletion(store, "s");
        keep(store, vec![gone]);
        assert_eq!(counted(store, None), 0);
        keep(store, vec![new_session("s", 2)]);
        assert_eq!((counted(store, Some(&["e"])), counted(store, Some(&["old"]))), (2, 0));
    }

    fn executions_come_in_parts_by_number_and_by_size(store) {
        let mut changes = new_session("s", 0);
        changes.executions = (0..6)
            .map(|n| ExecutionRecord {
                error: Some("x".repeat(if n == 3 { 100_000 } else { 100 }).into()),
                ..execution(&format!("e{n}"), if n % 2 == 0 { Status::Failed } else { Status::Completed })
            })
            .collect();
        keep(store, vec![changes]);
        let mut reader = store.reader().unwrap();
        let mut list = |status, after, limit, max_bytes| {
            reader.executions("s", status, Part { after, limit, max_bytes }).unwrap()
        };
        let first = list(None, None, 2, usize::MAX);
        assert_eq!(ids(&first), ["e5", "e4"]);
        let second = list(None, first.next, 4, usize::MAX);
        assert_eq!((ids(&second), second.next), (vec!["e3", "e2", "e1", "e0"], None));
        // A large one is alone, and never in the way of those behind it.
        let by_size: Vec<Vec<String>> = std::iter::successors(Some(list(None, None, 9, 50_000)), |part| {
            part.next.map(|next| list(None, Some(next), 9, 50_000))
        })
        .map(|part| ids(&part).into_iter().map(str::to_owned).collect())
        .collect();
        assert_eq!(by_size, [vec!["e5", "e4"], vec!["e3"], vec!["e2", "e1", "e0"]]);
        let failed = list(Some(Status::Failed), None, 1, usize::MAX);
        assert_eq!(ids(&failed), ["e4"]);
        assert_eq!(ids(&list(Some(Status::Failed), failed.next, 9, usize::MAX)), ["e2", "e0"]);
    }

    fn one_that_is_hidden_is_left_out_of_what_is_due_and_of_what_is_old(store) {
        for (id, at) in [("a", 1), ("b", 2)] {
            let mut changes = new_session(id, 2);
            changes.record.as_mut().unwrap().wake_at = Some(NOW + at);
            keep(store, vec![changes]);
        }
        let wakes = |store: &mut dyn Store| {
            let due = store.due_sessions(NOW + 9, 9).unwrap();
            let due: Vec<String> = due.iter().map(|id| id.to_string()).collect();
            (store.next_wake().unwrap(), due)
        };
        assert_eq!(wakes(store), (Some(NOW + 1), vec!["a".to_owned(), "b".to_owned()]));
        store.hide(&"a".into(), true);
        assert_eq!(wakes(store), (Some(NOW + 2), vec!["b".to_owned()]));
        assert_eq!(store.oldest_event().unwrap(), Some(NOW + 1));
        assert_eq!(store.prune_events(i64::MAX, 9).unwrap(), 2);
        assert_eq!(store.oldest_event().unwrap(), None);
        let left = |store: &dyn Store, id| all_ids(store, id, &Filter::default()).len();
        assert_eq!((left(store, "a"), left(store, "b")), (2, 0));
        store.hide(&"a".into(), false);
        assert_eq!(wakes(store).0, Some(NOW + 1));
        assert_eq!(store.prune_events(i64::MAX, 9).unwrap(), 2);
        assert_eq!(left(store, "a"), 0);
    }

    fn sessions_come_in_parts(store) {
        for (id, activity) in [("a", 5), ("b", 9), ("c", 7), ("d", 7)] {
            let mut changes = new_session(id, 0);
            changes.record.as_mut().unwrap().last_activity_at = NOW + activity;
            keep(store, vec![changes]);
        }
        let mut reader = store.reader().unwrap();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let part = reader.sessions(Part { after, limit: 3, max_bytes: 1 }).unwrap();
            assert_eq!(part.entries.len(), 1, "each is larger than there is room for");
            seen.extend(part.entries.iter().map(|row| row.record.id.to_string()));
            // As it goes over the wire.
            after = part.next.map(|next| Cursor::parse(&next.to_string()).unwrap());
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["b", "d", "c", "a"]);
        assert_eq!(reader.sessions(Part::first(4)).unwrap().next, None);
    }
}

/// What one opener leaves out is not left out by the next.
#[test]
fn who_opens_a_memory_store_again_hides_nobody() {
    let mut first = stayline::store::memory::MemoryStore::new();
    let mut changes = new_session("a", 1);
    changes.record.as_mut().unwrap().wake_at = Some(NOW);
    keep(&mut first, vec![changes]);
    let mut second = first.clone();
    first.hide(&"a".into(), true);
    assert_eq!((first.next_wake().unwrap(), second.next_wake().unwrap()), (None, Some(NOW)));
}

/// The count is not looked up in the log: it is the same when the log has been emptied by others.
#[cfg(feature = "sqlite")]
#[test]
fn counting_a_run_walks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut store =
        stayline::store::sqlite::SqliteStore::open(&path, &stayline::Settings::default(), NOW)
            .unwrap();
    keep(&mut store, vec![new_session("s", 9)]);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute("DELETE FROM events", []).unwrap();
    let filter = Filter { executions: names(&["e"]), ..Filter::default() };
    assert_eq!(store.reader().unwrap().count_events("s", &filter).unwrap(), 9);
}
