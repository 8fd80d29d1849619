//! The transition table (R1), walked whole.

use std::collections::BTreeSet;

use stayline::Settings;
use stayline::session::records::Status;

use super::Host;

#[test]
fn the_transition_table_is_walked_whole() {
    let mut taken = BTreeSet::new();
    for from in Status::ALL {
        for to in Status::ALL {
            let declared = stayline::session::TRANSITIONS.contains(&(from, to));
            assert_eq!(stayline::session::may_become(from, to).is_ok(), declared);
            if reach(from, to) {
                taken.insert((from.as_str(), to.as_str()));
            }
        }
    }
    let declared: BTreeSet<_> = stayline::session::TRANSITIONS
        .iter()
        .map(|(from, to)| (from.as_str(), to.as_str()))
        .collect();
    assert_eq!(taken, declared, "every declared transition is taken, and no other");
}

/// Whether anything that can happen leads an execution from one status directly to another.
fn reach(from: Status, to: Status) -> bool {
    let ways: Vec<fn(&mut Host)> = vec![
        |host| host.attach(0, None),
        |host| host.fail(0),
        |host| host.finish(0, 2),
        |host| host.finish(0, 3),
        |host| host.finish(0, 4),
        |host| host.event(0, 4),
        |host| host.event(0, 5),
        |host| host.event(0, 6),
        |host| host.wait(400_000),
    ];
    ways.iter().any(|way| {
        let mut host = Host::with(Settings::default());
        host.start(0);
        match from {
            Status::Pending => {}
            Status::Running => host.attach(0, None),
            Status::Completed => {
                host.attach(0, None);
                host.event(0, 4);
            }
            Status::Failed => host.fail(0),
            Status::Interrupted => {
                host.attach(0, None);
                host.event(0, 5);
            }
        }
        way(&mut host);
        from != to && host.status_of("e0") == Some(to)
    })
}
