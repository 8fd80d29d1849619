//! Where a stream goes on: the query in the first line, `Last-Event-ID` in the second. What comes
//! is in order, behind what was asked for where that can be read, and nothing is left out (R33, R34).

use libfuzzer_sys::Corpus;

use crate::reader::lines;
use crate::site::{Answer, EVENTS, SESSION, Site, with_site};

pub fn run(bytes: &[u8]) -> Corpus {
    let Some(mut lines) = lines(bytes) else { return Corpus::Reject };
    let query = lines.next().unwrap_or_default();
    let resume = lines.next().unwrap_or_default();
    let fits = |text: &str| text.bytes().all(|byte| (0x21..0x7F).contains(&byte) && byte != b'#');
    let is_field =
        |text: &str| text.bytes().all(|byte| byte == b'\t' || byte >= 0x20 && byte != 0x7F);
    if !fits(query) || !is_field(resume) {
        return Corpus::Reject;
    }
    with_site(|site| follow(site, query, resume));
    Corpus::Keep
}

fn follow(site: &Site, query: &str, resume: &str) {
    let epoch = site.coordinator.session(SESSION).and_then(|session| session.view());
    let epoch = epoch.expect("it is there").record.epoch;
    // The seeds cannot know it.
    let (query, resume) = (query.replace("EPOCH", &epoch), resume.replace("EPOCH", &epoch));
    let request = format!(
        "GET /sessions/{SESSION}/events?{query} HTTP/1.1\r\nhost: localhost\r\n\
         last-event-id: {resume}\r\n\r\n"
    );
    let enough = |answer: &[u8]| {
        Answer::read(answer).is_some_and(|answer| match answer.is_stream() {
            true => has(answer.body, b"\"connected\""),
            false => answer.is_whole(),
        })
    };
    let answer = site.exchange(request.as_bytes(), enough);
    let Some(answer) = Answer::read(&answer) else { return };
    assert!(answer.status < 500, "{query} {resume}");
    if !answer.is_stream() {
        return;
    }
    let ids = ids(answer.body, &epoch);
    assert!(ids.windows(2).all(|two| two[0] < two[1]), "{ids:?}");
    assert!(ids.iter().all(|id| (1..=EVENTS).contains(id)), "{ids:?}");
    let after = resume.trim().strip_prefix(&*epoch).and_then(|rest| rest.strip_prefix('.'));
    let after = after.and_then(|id| id.parse::<u64>().ok());
    if let (Some(after), "") = (after, &*query) {
        let expected: Vec<u64> = (1..=EVENTS).filter(|id| *id > after).collect();
        // One beyond the end is of another life of the log: everything comes.
        assert!(ids == expected || after > EVENTS, "{ids:?} after {after}");
    }
}

fn has(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|part| part == wanted)
}

fn ids(body: &[u8], epoch: &str) -> Vec<u64> {
    let text = std::str::from_utf8(body).expect("a stream is text");
    let fields = text.lines().filter_map(|line| line.strip_prefix("id: "));
    fields
        .map(|id| {
            let number = id.strip_prefix(epoch).and_then(|rest| rest.strip_prefix('.'));
            number.and_then(|number| number.parse().ok()).expect("an id of this epoch")
        })
        .collect()
}
