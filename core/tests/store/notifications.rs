//! Notifications: order, availability, parking (R39).

use crate::fixture::*;
use crate::on_every_store;
use stayline::session::records::*;
use stayline::store::NotificationChange::{Enqueue, Remove, Update};
use stayline::store::Store;

fn next(store: &mut dyn Store, now: i64) -> Option<String> {
    store.next_notification(now).unwrap().map(|record| record.id.to_string())
}

on_every_store! {
    fn every_field_of_a_notification_comes_back(store) {
        let full = notification("n1", "s");
        let bare = NotificationRecord {
            kind: NotificationKind::SessionIdle,
            execution_id: None,
            status: None,
            error: None,
            branch: None,
            agent_session_id: None,
            attempt: 5,
            parked: true,
            ..notification("n2", "t")
        };
        let late = NotificationRecord {
            kind: NotificationKind::LateResult,
            status: Some(Status::Completed),
            ..notification("n3", "s")
        };
        notify(store, [&full, &bare, &late].map(|record| Enqueue(record.clone())).into());
        for record in [&full, &bare, &late] {
            assert_eq!(store.notification(&record.id).unwrap().as_ref(), Some(record));
        }
        assert_eq!(store.next_notification(NOW).unwrap().as_ref(), Some(&full));
        let mut reader = store.reader().unwrap();
        assert_eq!(reader.notifications(false).unwrap(), [full, bare.clone(), late]);
        assert_eq!(reader.notifications(true).unwrap(), [bare]);
    }

    fn one_at_a_time_and_in_order_for_each_session(store) {
        notify(store, ["a1 a", "b1 b", "a2 a", "c1 c"].map(|pair| {
            let (id, session_id) = pair.split_once(' ').unwrap();
            Enqueue(notification(id, session_id))
        }).into());
        assert_eq!(next(store, NOW - 1), None);
        assert_eq!(store.next_notification_at(NOW - 1).unwrap(), Some(NOW));
        assert_eq!(store.next_notification_at(NOW).unwrap(), None);
        assert_eq!(next(store, NOW).as_deref(), Some("a1"));
        // Leased: its session waits, the others go on.
        let leased = |id: &str, session_id: &str, until| {
            let record = notification(id, session_id);
            Update(NotificationRecord { attempt: 1, available_at: NOW + until, ..record })
        };
        notify(store, vec![leased("a1", "a", 60)]);
        assert_eq!(next(store, NOW).as_deref(), Some("b1"));
        notify(store, vec![leased("b1", "b", 50)]);
        assert_eq!(next(store, NOW).as_deref(), Some("c1"));
        notify(store, vec![Remove("c1".into())]);
        assert_eq!(next(store, NOW), None);
        assert_eq!(store.next_notification_at(NOW).unwrap(), Some(NOW + 50));
        // Not acknowledged: it comes again, still before what is behind it.
        assert_eq!(next(store, NOW + 50).as_deref(), Some("b1"));
        assert_eq!(next(store, NOW + 60).as_deref(), Some("a1"));
        assert_eq!(store.next_notification_at(NOW + 50).unwrap(), Some(NOW + 60));
        notify(store, vec![Remove("a1".into())]);
        assert_eq!(next(store, NOW).as_deref(), Some("a2"));
        assert_eq!(store.next_notification_at(NOW).unwrap(), Some(NOW + 50));
        assert_eq!(store.next_notification_at(i64::MAX).unwrap(), None);
    }

    fn a_parked_one_lets_the_next_go_and_keeps_its_place(store) {
        notify(store, ["n1", "n2", "n3"].map(|id| Enqueue(notification(id, "s"))).into());
        let parked = |id: &str, parked| {
            Update(NotificationRecord { parked, attempt: 5, ..notification(id, "s") })
        };
        notify(store, vec![parked("n1", true), parked("n2", true)]);
        assert_eq!(next(store, NOW).as_deref(), Some("n3"));
        let listed = store.reader().unwrap().notifications(true).unwrap();
        assert_eq!(listed.iter().map(|record| &*record.id).collect::<Vec<_>>(), ["n1", "n2"]);
        // The host requeues one: it is the oldest again.
        notify(store, vec![parked("n2", false)]);
        assert_eq!(next(store, NOW).as_deref(), Some("n2"));
        notify(store, vec![Remove("n2".into()), Remove("n3".into())]);
        assert_eq!(next(store, NOW), None);
        assert_eq!(store.reader().unwrap().notifications(false).unwrap().len(), 1);
        notify(store, vec![Remove("n1".into())]);
        assert_eq!(store.reader().unwrap().notifications(false).unwrap().len(), 0);
    }

    fn one_that_is_gone_is_not_brought_back(store) {
        notify(store, vec![Enqueue(notification("n1", "s"))]);
        notify(store, vec![Remove("n1".into()), Remove("n1".into())]);
        notify(store, vec![Update(notification("n1", "s"))]);
        assert_eq!(next(store, NOW), None);
        assert_eq!(store.notification("n1").unwrap(), None);
    }

    fn an_enqueued_one_shares_the_fate_of_its_session(store) {
        keep(store, vec![new_session("s", 0), new_session("t", 0)]);
        notify(store, vec![Enqueue(notification("n0", "s"))]);
        let mut stale = change(store, "s");
        stale.base_version = 9;
        let mut given = batch(vec![stale, change(store, "t")]);
        given.notifications = vec![
            Enqueue(notification("n1", "s")),
            Update(NotificationRecord { attempt: 1, ..notification("n0", "s") }),
            Enqueue(notification("n2", "t")),
        ];
        assert_eq!(store.commit(&given).unwrap().len(), 1);
        assert_eq!(store.notification("n1").unwrap(), None);
        assert_eq!(store.notification("n0").unwrap().unwrap().attempt, 1);
        assert!(store.notification("n2").unwrap().is_some());
    }

    fn an_id_that_exists_is_refused_with_its_session(store) {
        keep(store, vec![new_session("s", 0), new_session("t", 0)]);
        notify(store, vec![Enqueue(notification("n1", "s"))]);
        let mut given = batch(vec![change(store, "s"), change(store, "t")]);
        given.notifications =
            vec![Enqueue(notification("n1", "s")), Enqueue(notification("n2", "t"))];
        let faults = store.commit(&given).unwrap();
        assert_eq!(faults.len(), 1);
        assert_eq!(&*faults[0].session_id, "s");
        assert_eq!(store.load("s").unwrap().unwrap().record.version, 1);
        assert_eq!(store.load("t").unwrap().unwrap().record.version, 2);
        assert!(store.notification("n2").unwrap().is_some());
        // The same for one that comes without its session's part.
        given.sessions.clear();
        given.notifications =
            vec![Enqueue(notification("n2", "t")), Enqueue(notification("n3", "s"))];
        let faults = store.commit(&given).unwrap();
        assert_eq!((faults.len(), &*faults[0].session_id), (1, "t"));
        assert!(store.notification("n3").unwrap().is_some());
    }

    fn a_long_queue_is_taken_in_order(store) {
        let queue = (0..500).map(|n| Enqueue(notification(&format!("n{n:03}"), &format!("s{}", n % 7))));
        notify(store, queue.collect());
        for n in 0..500 {
            let id = next(store, NOW).unwrap();
            assert_eq!(id, format!("n{n:03}"));
            notify(store, vec![Remove(id.as_str().into())]);
        }
        assert_eq!(next(store, NOW), None);
    }
}
