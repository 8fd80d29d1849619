//! The event log: ids, filters, rounds, retention (R19, R33–R37).

use std::sync::Arc;

use crate::fixture::*;
use crate::on_every_store;
use stayline::protocol::Filter;
use stayline::session::records::*;
use stayline::store::LogBounds;

on_every_store! {
    fn an_event_comes_back_as_it_was_written(store) {
        keep(store, vec![new_session("s", 0)]);
        let given = EventRecord {
            late: true,
            timestamp: -5,
            stored_at: NOW,
            data: "{\"text\":\"\\u0000 \u{1F980}\"}".into(),
            ..event(1, "e", "any.type \u{e9}")
        };
        let changes = appended(store, "s", vec![given.clone()]);
        keep(store, vec![changes]);
        let page = store.reader().unwrap().events("s", &after(0), 1).unwrap();
        assert_eq!(page.events, [Arc::new(given)]);
    }

    fn ids_are_kept_per_session(store) {
        keep(store, vec![new_session("a", 3), new_session("b", 1)]);
        let more_of_a = appended(store, "a", vec![event(4, "e", "output")]);
        let more_of_b = appended(store, "b", vec![event(2, "e", "output")]);
        keep(store, vec![more_of_b, more_of_a]);
        assert_eq!(all_ids(store, "a", &after(0)), [1, 2, 3, 4]);
        assert_eq!(all_ids(store, "b", &after(0)), [1, 2]);
        let bounds = store.reader().unwrap().log_bounds("a").unwrap();
        assert_eq!(bounds, Some(LogBounds { earliest: 1, last: 4 }));
    }

    fn filters_are_anded(store) {
        let mut changes = new_session("s", 0);
        changes.executions = vec![
            ExecutionRecord { first_event_id: Some(1), ..execution("a", Status::Failed) },
            ExecutionRecord { first_event_id: Some(4), ..execution("b", Status::Completed) },
            ExecutionRecord { first_event_id: None, ..execution("c", Status::Pending) },
        ];
        changes.events = (1..=9)
            .map(|id| {
                let owner = if matches!(id, 1..=3 | 7) { "a" } else { "b" };
                event(id, owner, if id % 2 == 0 { "even" } else { "odd" })
            })
            .collect();
        changes.record.as_mut().unwrap().last_event_id = 9;
        keep(store, vec![changes]);
        let filter = Filter::default;
        let cases: &[(Filter, &[u64])] = &[
            (filter(), &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (Filter { after: 7, ..filter() }, &[8, 9]),
            (Filter { executions: names(&["a"]), ..filter() }, &[1, 2, 3, 7]),
            (Filter { executions: names(&["b"]), ..filter() }, &[4, 5, 6, 8, 9]),
            (Filter { executions: names(&["b", "a"]), types: names(&["odd"]), ..filter() },
                &[1, 3, 5, 7, 9]),
            (Filter { executions: names(&["c"]), ..filter() }, &[]),
            (Filter { executions: names(&["nobody"]), ..filter() }, &[]),
            (Filter { executions: names(&[]), ..filter() }, &[]),
            (Filter { types: names(&["even", "none"]), ..filter() }, &[2, 4, 6, 8]),
            (Filter { since: Some(NOW + 3), until: Some(NOW + 6), ..filter() }, &[3, 4, 5, 6]),
            (Filter { executions: names(&["b"]), types: names(&["even"]), after: 4,
                since: Some(NOW + 5), until: Some(NOW + 9), limit: Some(1) }, &[6]),
            (Filter { limit: Some(2), ..filter() }, &[1, 2]),
            (Filter { limit: Some(0), ..filter() }, &[]),
            (Filter { limit: Some(u64::MAX), after: 8, ..filter() }, &[9]),
            (Filter { after: 9, ..filter() }, &[]),
            (Filter { after: 12, ..filter() }, &[]),
            (Filter { after: u64::MAX, ..filter() }, &[]),
        ];
        for (filter, expected) in cases {
            assert_eq!(all_ids(store, "s", filter), *expected, "{filter:?}");
            let count = store.reader().unwrap().count_events("s", filter).unwrap();
            assert_eq!(count, expected.len() as u64, "{filter:?}");
        }
    }

    fn the_end_says_from_where_to_go_on_live(store) {
        keep(store, vec![new_session("s", 5)]);
        let mut reader = store.reader().unwrap();
        let mut end = |filter: Filter| {
            let page = reader.events("s", &filter, 1 << 20).unwrap();
            assert!(page.end, "{filter:?}");
            page.next_after
        };
        assert_eq!(end(after(0)), 5);
        assert_eq!(end(after(5)), 5);
        // Beyond the newest: a gap, which is the coordinator's to tell (R34a).
        assert_eq!(end(after(8)), 8);
        assert_eq!(end(Filter { types: names(&["none"]), ..after(0) }), 5);
        assert_eq!(end(Filter { executions: names(&["nobody"]), ..after(2) }), 5);
        // Ended by the limit: what comes next has not been looked at.
        assert_eq!(end(Filter { limit: Some(2), ..after(1) }), 3);
        assert_eq!(end(Filter { limit: Some(0), ..after(1) }), 1);
    }

    fn a_round_is_bounded_in_bytes_but_never_empty(store) {
        keep(store, vec![new_session("s", 0)]);
        let events = (1..=6)
            .map(|id| EventRecord { data: "x".repeat(100).into(), ..event(id, "e", "output") })
            .collect();
        let changes = appended(store, "s", events);
        keep(store, vec![changes]);
        let mut reader = store.reader().unwrap();
        let mut round = |after_id, max_bytes| {
            let page = reader.events("s", &after(after_id), max_bytes).unwrap();
            (page.events.len(), page.next_after, page.end)
        };
        assert_eq!(round(0, 250), (2, 2, false));
        assert_eq!(round(2, 200), (2, 4, false));
        assert_eq!(round(4, 0), (1, 5, false));
        assert_eq!(round(5, 0), (1, 6, true));
        assert_eq!(round(0, 600), (6, 6, true));
    }

    fn a_round_looks_at_a_bounded_number_of_rows_in_vain(store) {
        keep(store, vec![new_session("s", 0)]);
        let events = (1..=25_000)
            .map(|id| event(id, "e", if id == 24_000 { "rare" } else { "output" }))
            .collect();
        let changes = appended(store, "s", events);
        keep(store, vec![changes]);
        let mut reader = store.reader().unwrap();
        let mut filter = Filter { types: names(&["rare"]), ..after(0) };
        let page = reader.events("s", &filter, 1 << 20).unwrap();
        assert!(page.events.is_empty() && !page.end);
        assert!((1..24_000).contains(&page.next_after), "{}", page.next_after);
        assert_eq!(all_ids(store, "s", &filter), [24_000]);
        filter.after = 24_000;
        assert_eq!(all_ids(store, "s", &filter), Vec::<u64>::new());
    }

    fn a_filter_by_execution_looks_only_where_its_events_are(store) {
        // Twice the rows that one round may look at in vain lie before and behind them.
        keep(store, vec![new_session("s", 0)]);
        let filled = |from: u64| (from..from + 20_000).map(|id| event(id, "e", "output")).collect();
        let changes = appended(store, "s", filled(1));
        keep(store, vec![changes]);
        let mut changes = appended(store, "s", vec![event(20_001, "f", "output")]);
        changes.executions = vec![
            execution("e", Status::Completed),
            ExecutionRecord { first_event_id: Some(20_001), ..execution("f", Status::Running) },
        ];
        keep(store, vec![changes]);
        let mut changes = appended(store, "s", filled(20_002));
        changes.executions = vec![
            ExecutionRecord { first_event_id: Some(20_001), ..execution("f", Status::Failed) },
            execution("e", Status::Running),
        ];
        keep(store, vec![changes]);
        let filter = Filter { executions: names(&["f"]), ..after(0) };
        let page = store.reader().unwrap().events("s", &filter, 1 << 20).unwrap();
        assert_eq!((page.events.len(), page.next_after, page.end), (1, 40_001, true));
        // A late event of it is found too (R10a).
        let late = EventRecord { late: true, ..event(40_002, "f", "output") };
        let changes = appended(store, "s", vec![late]);
        keep(store, vec![changes]);
        assert_eq!(all_ids(store, "s", &filter), [20_001, 40_002]);
    }

    fn retention_takes_the_oldest_and_no_id_comes_again(store) {
        assert_eq!(store.oldest_event().unwrap(), None);
        assert_eq!(store.prune_events(i64::MAX, 10).unwrap(), 0);
        keep(store, vec![new_session("a", 0), new_session("b", 0)]);
        for id in 1..=6u64 {
            let session_id = if id % 2 == 0 { "a" } else { "b" };
            let own_id = id.div_ceil(2);
            let stored = EventRecord {
                stored_at: NOW + 10 * id as i64,
                // The event's own time may lie; retention does not look at it.
                timestamp: NOW + 1_000_000,
                ..event(own_id, "e", "output")
            };
            let changes = appended(store, session_id, vec![stored]);
            keep(store, vec![changes]);
        }
        assert_eq!(store.oldest_event().unwrap(), Some(NOW + 10));
        assert_eq!(store.prune_events(NOW + 10, 9).unwrap(), 0);
        assert_eq!(store.prune_events(NOW + 50, 3).unwrap(), 3);
        assert_eq!(store.oldest_event().unwrap(), Some(NOW + 40));
        assert_eq!(store.prune_events(NOW + 50, 3).unwrap(), 1);
        assert_eq!(all_ids(store, "a", &after(0)), [3]);
        assert_eq!(all_ids(store, "b", &after(0)), [3]);
        let bounds = store.reader().unwrap().log_bounds("a").unwrap();
        assert_eq!(bounds, Some(LogBounds { earliest: 3, last: 3 }));
        assert_eq!(store.prune_events(i64::MAX, 9).unwrap(), 2);
        assert_eq!(store.oldest_event().unwrap(), None);
        let bounds = store.reader().unwrap().log_bounds("a").unwrap();
        assert_eq!(bounds, Some(LogBounds { earliest: 4, last: 3 }));
        let reused = {
            let mut changes = appended(store, "a", vec![event(3, "e", "output")]);
            changes.record.as_mut().unwrap().last_event_id = 4;
            changes
        };
        assert_eq!(faults(store, vec![reused]).len(), 1);
        let changes = appended(store, "a", vec![event(4, "e", "output")]);
        keep(store, vec![changes]);
        assert_eq!(all_ids(store, "a", &after(0)), [4]);
    }

    fn retention_passes_over_deleted_sessions(store) {
        keep(store, vec![new_session("a", 4), new_session("b", 4)]);
        let gone = deletion(store, "a");
        keep(store, vec![gone]);
        keep(store, vec![new_session("a", 1)]);
        assert_eq!(store.oldest_event().unwrap(), Some(NOW + 1));
        assert_eq!(store.prune_events(i64::MAX, 3).unwrap(), 3);
        assert_eq!(all_ids(store, "b", &after(0)), [4]);
        assert_eq!(all_ids(store, "a", &after(0)), [1]);
        assert_eq!(store.prune_events(i64::MAX, 9).unwrap(), 2);
    }

    fn a_reader_sees_what_was_committed_meanwhile(store) {
        keep(store, vec![new_session("s", 2)]);
        let mut reader = store.reader().unwrap();
        let page = reader.events("s", &after(0), 1 << 20).unwrap();
        assert_eq!(page.next_after, 2);
        let changes = appended(store, "s", vec![event(3, "e", "output")]);
        keep(store, vec![changes]);
        let page = reader.events("s", &after(page.next_after), 1 << 20).unwrap();
        assert_eq!(page.events.iter().map(|event| event.id).collect::<Vec<_>>(), [3]);
    }
}
