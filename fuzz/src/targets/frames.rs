//! Frames from a wrapper: read, applied to a session that runs, and shown to subscribers (R28,
//! R29, R33).

use std::sync::Arc;

use libfuzzer_sys::Corpus;
use serde_json::Value;
use stayline::Settings;
use stayline::protocol::outgoing::stream_record;
use stayline::protocol::{Frame, FrameLimits, Lifecycle, parse_frame};
use stayline::session::{Command, LinkMode, Proof, Session};

use crate::reader::is_json;

const LIMITS: FrameLimits = FrameLimits { max_frame_bytes: 2_000, max_nesting: 16 };
const NOW: i64 = 1_700_000_000_000;
const LINK: u64 = 1;

pub fn run(bytes: &[u8]) -> Corpus {
    let Ok(text) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    let frame = parse_frame(text, LIMITS);
    match &frame {
        Ok(frame) => check(text, frame),
        Err(bad) => assert_eq!(bad.bytes, text.len() as u64),
    }
    let is_ending = frame.as_ref().is_ok_and(|frame| {
        let meaning = Lifecycle::of(&frame.event_type, &frame.data);
        meaning.is_some_and(|meaning| meaning.is_terminal())
    });
    for acknowledged in [false, true] {
        let mut session = running(acknowledged);
        let mut numbered = frame.clone();
        if acknowledged {
            // The next number, so that it is not refused for that.
            match &mut numbered {
                Ok(frame) => frame.seq = Some(1),
                Err(bad) => bad.seq = Some(1),
            }
        }
        receive(&mut session, numbered, is_ending);
    }
    Corpus::Keep
}

fn check(text: &str, frame: &Frame) {
    assert!(is_json(text) && text.trim_ascii_start().starts_with('{'));
    assert!(text.len() as u64 <= LIMITS.max_frame_bytes);
    assert!(!frame.event_type.is_empty());
    assert!(is_json(&frame.data), "{}", frame.data);
    let whole = serde_json::from_str::<Value>(text).ok();
    if let Some(whole) = &whole {
        assert_eq!(whole["streamEventType"], *frame.event_type);
        assert_eq!(whole["seq"].as_u64(), frame.seq);
        if whole.get("data").is_some_and(|data| !data.is_null()) {
            assert_eq!(serde_json::from_str::<Value>(&frame.data).ok().as_ref(), whole.get("data"));
        }
    }
    let time = frame.timestamp.unwrap_or(NOW);
    let record = stream_record(1, Some("e"), "s", &frame.event_type, time, false, &frame.data);
    assert!(is_json(&record), "{record}");
}

fn running(acknowledged: bool) -> Session {
    let settings = Settings { max_frame_bytes: 2_000, max_nesting: 16, ..Settings::default() };
    let mut session = Session::create("s".into(), "ep".into(), Arc::new(settings), NOW);
    let mode = match acknowledged {
        true => LinkMode::Acknowledged { producer: "p".into(), attempt: 1 },
        false => LinkMode::Basic,
    };
    let execution_id: Arc<str> = "e".into();
    for command in [
        Command::Start { execution_id: execution_id.clone(), mode: None, token_hash: None },
        Command::Attach { link: LINK, execution_id, proof: Proof::Trusted, mode },
    ] {
        session.apply(command, None, NOW).expect("a run begins");
    }
    session
}

fn receive(
    session: &mut Session,
    frame: Result<Frame, stayline::protocol::BadFrame>,
    is_ending: bool,
) {
    let before = session.record().last_event_id;
    let command = Command::Receive { link: LINK, execution_id: "e".into(), frame };
    let transition = session.apply(command, None, NOW).expect("receiving does not fail");
    for (number, event) in (before + 1..).zip(&transition.changes.events) {
        assert_eq!(event.id, number, "ids grow by one (R33)");
        assert!(is_json(&event.data), "{}", event.data);
        assert!(!event.event_type.is_empty());
    }
    if is_ending {
        assert!(session.active().is_none(), "an ending that ends nothing");
    } else {
        assert!(session.active().is_some(), "an end that nobody told");
    }
    while let Some((at, _)) = session.next_deadline() {
        session.apply(Command::Tick, None, at).expect("a tick does not fail");
        assert!(session.next_deadline().is_none_or(|(next, _)| next > at), "still due");
        if session.active().is_none() {
            break;
        }
    }
}
