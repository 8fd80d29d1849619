//! `/stream` and `/events` (R32, R34, R34a, R35, R19a; `wire.md`).

use std::io::{BufRead, BufReader};
use std::net::TcpStream;

use serde_json::{Value, json};
use stayline::coordinator::FailOptions;

use crate::support::{Host, Peer, host, http, request};

fn feed(link: &mut Peer, numbers: std::ops::RangeInclusive<u64>) {
    let frames: Vec<Value> = numbers
        .map(|n| json!({"streamEventType": "output", "timestamp": n, "data": {"n": n}}))
        .collect();
    link.send_all(&frames);
}

/// A host with `count` events stored and a link to add more.
fn fed(count: u64) -> (Host, Peer) {
    let host = host();
    host.start("e");
    let mut link = host.basic("e");
    feed(&mut link, 1..=count);
    crate::support::wait_for(|| (host.events().len() as u64 == count).then_some(()));
    (host, link)
}

fn kind(record: &Value) -> &str {
    record["streamEventType"].as_str().unwrap()
}

#[test]
fn the_past_then_connected_then_what_is_live() {
    let (host, mut link) = fed(3);
    let mut stream = host.stream("");
    for id in 1..=3 {
        let record = stream.next();
        assert_eq!((kind(&record), &record["eventId"]), ("output", &json!(id)));
        assert_eq!(record["executionId"], "e");
        assert_eq!(record["sessionId"], "s");
        assert_eq!(record["data"], json!({"n": id}));
        assert_eq!(record["timestamp"], format!("1970-01-01T00:00:00.00{id}Z"));
    }
    let connected = stream.next();
    assert_eq!((kind(&connected), &connected["eventId"]), ("connected", &json!(0)));
    assert_eq!(connected["data"]["lastEventId"], 3);
    assert_eq!(connected["data"]["activeExecutionId"], "e");
    feed(&mut link, 4..=5);
    assert_eq!(stream.next()["eventId"], 4);
    assert_eq!(stream.next()["eventId"], 5);
    link.send(&json!({"streamEventType": "heartbeat", "data": {"executionId": "e"}}));
    let volatile = stream.next();
    assert_eq!((kind(&volatile), &volatile["eventId"]), ("heartbeat", &json!(0)));
}

/// Every event exactly once, in order, while replay and live traffic overlap (R35).
#[test]
fn the_seam_between_replay_and_live_loses_and_repeats_nothing() {
    const EVENTS: u64 = 20_000;
    let host = host();
    host.start("e");
    let mut link = host.basic("e");
    let writer = std::thread::spawn(move || {
        for begin in (1..=EVENTS).step_by(100) {
            feed(&mut link, begin..=begin + 99);
        }
        link
    });
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            let mut stream = host.stream("");
            std::thread::spawn(move || {
                let (mut next, mut connected) = (1, false);
                while next <= EVENTS {
                    let record = stream.next();
                    if record["eventId"] == 0 {
                        assert!(!connected, "reader {reader}");
                        connected = true;
                    } else {
                        assert_eq!(record["eventId"], next, "reader {reader}");
                        next += 1;
                    }
                }
            })
        })
        .collect();
    let _link = writer.join().unwrap();
    for reader in readers {
        reader.join().unwrap();
    }
}

#[test]
fn filters_and_positions_of_the_query() {
    let (host, mut link) = fed(5);
    link.send(&json!({"streamEventType": "status", "data": {"message": "m"}}));
    crate::support::wait_for(|| (host.events().len() == 6).then_some(()));
    let ids = |query: &str| {
        let mut stream = host.stream(query);
        let mut ids = Vec::new();
        loop {
            let record = stream.next();
            match kind(&record) {
                "connected" => return ids,
                _ => ids.push(record["eventId"].as_u64().unwrap()),
            }
        }
    };
    assert_eq!(ids("fromId=3"), [4, 5, 6]);
    assert_eq!(ids("eventTypes=status"), [6]);
    assert_eq!(ids("eventTypes=status,output&startTime=2&endTime=4"), [2, 3, 4]);
    assert_eq!(ids("startTime=1970-01-01T00:00:00.004Z&eventTypes=output"), [4, 5]);
    assert_eq!(ids("executionIds=e&startTime=nonsense&fromId=5"), [6]);
    assert!(ids("executionIds=other").is_empty());
    assert!(ids("replay=false").is_empty());
}

#[test]
fn the_session_may_be_named_in_the_query() {
    let (host, _link) = fed(1);
    let path = "/stream?cloudAgentSessionId=s";
    let (mut stream, _) = Peer::connect(host.address(), path, &[]).unwrap();
    assert_eq!(stream.next()["eventId"], 1);
    let nameless = Peer::connect(host.address(), "/stream?fromId=1", &[]).err().unwrap();
    assert_eq!(nameless.status, 400);
}

#[test]
fn a_lost_place_is_told_by_a_gap() {
    let (host, _link) = fed(2);
    let epoch = host.session().view().unwrap().record.epoch;
    for query in ["fromId=1&epoch=other".to_owned(), "fromId=99".to_owned()] {
        let mut stream = host.stream(&query);
        let gap = stream.next();
        assert_eq!((kind(&gap), &gap["eventId"]), ("gap", &json!(0)), "{query}");
        assert_eq!(gap["data"]["earliest"], 1);
        assert_eq!(gap["data"]["epoch"], *epoch);
        assert_eq!(stream.next()["eventId"], 1);
    }
    let mut known = host.stream(&format!("fromId=1&epoch={epoch}"));
    assert_eq!(known.next()["eventId"], 2);
}

#[test]
fn deleting_the_session_ends_the_stream_with_4004() {
    let (host, _link) = fed(1);
    let mut stream = host.stream("replay=false");
    assert_eq!(kind(&stream.next()), "connected");
    host.session().delete().unwrap();
    let (frames, code, _) = stream.rest();
    assert_eq!(code, 4004);
    assert_eq!(kind(frames.last().unwrap()), "deleted");
    let gone = Peer::connect(host.address(), "/sessions/s/stream", &[]).err().unwrap();
    assert_eq!(gone.status, 404);
}

#[test]
fn an_unknown_session_and_a_plain_request_are_refused() {
    let (host, _link) = fed(1);
    let unknown = Peer::connect(host.address(), "/sessions/none/stream", &[]).err().unwrap();
    assert_eq!(unknown.status, 404);
    assert_eq!(http(host.address(), "GET", "/sessions/s/stream", &[], "").status, 426);
}

/// A subscriber that does not read for a while costs nobody anything and gets everything (R35).
#[test]
fn a_slow_subscriber_slows_nobody_and_misses_nothing() {
    const EVENTS: u64 = 3_000;
    let host = host();
    host.start("e");
    let mut link = host.basic("e");
    let mut slow = host.stream("");
    let mut quick = host.stream("");
    let text = "x".repeat(8_000);
    for n in 1..=EVENTS {
        link.send(&json!({"streamEventType": "output", "data": {"n": n, "text": text}}));
    }
    for stream in [&mut quick, &mut slow] {
        let mut next = 1;
        while next <= EVENTS {
            let record = stream.next();
            if record["eventId"] != 0 {
                assert_eq!(record["eventId"], next);
                next += 1;
            }
        }
    }
}

/// Reads server-sent events: their id and data.
struct EventSource(BufReader<TcpStream>);

impl EventSource {
    fn open(host: &Host, path: &str, headers: &[(&str, &str)]) -> EventSource {
        let mut reader = BufReader::new(request(host.address(), "GET", path, headers, ""));
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 "), "{line}");
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        EventSource(reader)
    }

    /// `None` at the end of the stream.
    fn next(&mut self) -> Option<(Option<String>, Value)> {
        let (mut id, mut data) = (None, String::new());
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if let Some(value) = line.strip_prefix("id: ") {
                id = Some(value.to_owned());
            } else if let Some(value) = line.strip_prefix("data: ") {
                data.push_str(value);
            } else if line.is_empty() && !data.is_empty() {
                return Some((id, serde_json::from_str(&data).unwrap()));
            }
            // Chunk sizes, comments and empty lines are of no interest.
        }
    }
}

#[test]
fn server_sent_events_carry_the_cursor_and_resume_from_it() {
    let (host, mut link) = fed(2);
    let epoch = host.session().view().unwrap().record.epoch;
    let mut events = EventSource::open(&host, "/sessions/s/events", &[]);
    for id in 1..=2 {
        let (cursor, record) = events.next().unwrap();
        assert_eq!(cursor, Some(format!("{epoch}.{id}")));
        assert_eq!(record["eventId"], id);
    }
    let (cursor, connected) = events.next().unwrap();
    assert_eq!((cursor, kind(&connected)), (None, "connected"));
    feed(&mut link, 3..=3);
    assert_eq!(events.next().unwrap().0, Some(format!("{epoch}.3")));

    let resume = format!("{epoch}.2");
    let resume = [("last-event-id", resume.as_str())];
    let mut again = EventSource::open(&host, "/sessions/s/events?fromId=0", &resume);
    assert_eq!(again.next().unwrap().1["eventId"], 3);

    let foreign = [("last-event-id", "other.2")];
    let mut foreign = EventSource::open(&host, "/sessions/s/events", &foreign);
    assert_eq!(kind(&foreign.next().unwrap().1), "gap");
}

#[test]
fn server_sent_events_end_with_the_session() {
    let (host, _link) = fed(1);
    let mut events = EventSource::open(&host, "/sessions/s/events?replay=false", &[]);
    assert_eq!(kind(&events.next().unwrap().1), "connected");
    host.session().delete().unwrap();
    let mut last = None;
    while let Some((_, record)) = events.next() {
        last = Some(record);
    }
    assert_eq!(kind(&last.unwrap()), "deleted");
    assert_eq!(http(host.address(), "GET", "/sessions/s/events", &[], "").status, 404);
}

#[test]
fn late_events_say_so() {
    let host = host();
    let session = host.start("e");
    session.fail("e", FailOptions { message: "m".into(), ..FailOptions::default() }).unwrap();
    let mut late = host.acknowledged("e", "p", 1);
    assert_eq!(late.next()["late"], true);
    late.send(&json!({"streamEventType": "output", "seq": 1}));
    let mut stream = host.stream("eventTypes=output");
    let record = loop {
        let record = stream.next();
        if kind(&record) == "output" {
            break record;
        }
    };
    assert_eq!(record["late"], true);
}
