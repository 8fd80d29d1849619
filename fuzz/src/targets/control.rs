//! Frames from the coordinator to a connected wrapper with events under way, one a line: only an
//! acknowledgement takes events away, and nothing that a stranger says brings the wrapper down.

use libfuzzer_sys::Corpus;
use stayline::protocol::{FrameLimits, parse_frame};
use stayline::wrapper::{Action, SendOptions, State, Wrapper};
use stayline::{Error, Settings};

use crate::reader::lines;

const NOW: i64 = 1_700_000_000_000;
const UNDER_WAY: u64 = 3;

pub fn run(bytes: &[u8]) -> Corpus {
    let Some(frames) = lines(bytes) else { return Corpus::Reject };
    let settings = Settings { jitter: 0.0, send_timeout_ms: 0, ..Settings::default() };
    let mut wrapper = Wrapper::new(settings, 1).expect("good settings");
    wrapper.open("e", NOW).expect("it opens");
    for number in 0..UNDER_WAY {
        let data = format!("{{\"n\":{number}}}");
        wrapper.send("output", &data, SendOptions::default(), NOW).expect("there is room");
    }
    let mut now = NOW;
    let mut attempt = settle(&mut wrapper).expect("it connects");
    let mut may_be_killed = false;
    wrapper.handle_opened(attempt, Some(2), now);
    for frame in frames {
        now += 10;
        may_be_killed |= says(frame, &["kill"]);
        let before = held(&wrapper);
        wrapper.handle_frame(attempt, frame, now);
        let after = held(&wrapper);
        if after < before && !may_take(frame) && wrapper.state() != State::Closed {
            panic!("{frame:?} took {} events", before - after);
        }
        assert!(after <= before + 1, "{frame:?} made events");
        attempt = settle(&mut wrapper).unwrap_or(attempt);
        if let Some(due) = wrapper.next_deadline().filter(|due| *due <= now) {
            wrapper.handle_timeout(due);
            attempt = settle(&mut wrapper).unwrap_or(attempt);
        }
    }
    // It can still be used, or says why not: it is over, it ended its run when it was told to (R52),
    // or the coordinator takes no event so long.
    match wrapper.send("output", "{}", SendOptions::default(), now) {
        Ok(()) | Err(Error::InvalidEvent { .. }) => {}
        Err(Error::Closed { .. }) if may_be_killed => {}
        Err(error) => assert!(
            wrapper.state() == State::Closed || wrapper.outcome().is_some(),
            "{error} in state {:?}",
            wrapper.state()
        ),
    }
    for _ in 0..1_000 {
        let Some(due) = wrapper.next_deadline() else { break };
        now = now.max(due);
        wrapper.handle_timeout(now);
        settle(&mut wrapper);
    }
    wrapper.close(now);
    assert_eq!((wrapper.next_deadline(), held(&wrapper)), (None, 0));
    Corpus::Keep
}

fn held(wrapper: &Wrapper) -> u64 {
    wrapper.buffered() + wrapper.unacknowledged()
}

/// Whether a frame is one that may settle events: an acknowledgement, a welcome, an end, or what
/// makes the wrapper give up.
fn may_take(frame: &str) -> bool {
    says(frame, &["ack", "welcome", "ended", "kill"])
}

/// Whether one of these words stands in a frame; with an escape in it, it may be written in any way.
fn says(frame: &str, words: &[&str]) -> bool {
    let has = |word: &str| frame.contains(word);
    crate::reader::is_json(frame) && (has("\\") || words.iter().any(|word| has(word)))
}

/// Takes what it wants; the newest attempt that it began.
fn settle(wrapper: &mut Wrapper) -> Option<u64> {
    let limits = FrameLimits { max_frame_bytes: 10_000_000, max_nesting: 128 };
    let mut begun = None;
    while let Some(action) = wrapper.poll_action() {
        match action {
            Action::Connect { attempt, .. } => begun = Some(attempt),
            Action::Write { text, .. } => {
                assert!(parse_frame(&text, limits).is_ok(), "{text}");
            }
            Action::Close { .. } | Action::Tell(_) => {}
        }
    }
    begun
}
