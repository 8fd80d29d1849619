//! The table, its ranges and its contradictions.

use std::time::Duration;

use super::*;
use crate::coordinator::{
    AttachOptions, Clock, Coordinator, Credential, FailOptions, InterruptGrace, ManualClock,
    Options, StartOptions,
};
use crate::wrapper::{SendOptions, Wrapper};

/// Values at and beyond the ends of a type.
pub(crate) trait Extremes: Sized {
    fn extremes() -> Vec<Self>;
}

impl Extremes for Millis {
    fn extremes() -> Vec<Millis> {
        let inside = [0, 1, MAX_DURATION_MS - 1, MAX_DURATION_MS];
        let outside = [Millis::MIN, -1, MAX_DURATION_MS + 1, Millis::MAX / 2, Millis::MAX];
        [&inside[..], &outside].concat()
    }
}

impl Extremes for Option<Millis> {
    fn extremes() -> Vec<Option<Millis>> {
        Millis::extremes().into_iter().map(Some).chain([None]).collect()
    }
}

impl Extremes for u32 {
    fn extremes() -> Vec<u32> {
        vec![0, 1, 2, 0x7fff_ffff, 0x8000_0000, u32::MAX]
    }
}

impl Extremes for f64 {
    fn extremes() -> Vec<f64> {
        let outside = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -f64::MIN_POSITIVE];
        [&[0.0, f64::MIN_POSITIVE, 1.0, 1.5, f64::MAX][..], &outside].concat()
    }
}

impl Extremes for bool {
    fn extremes() -> Vec<bool> {
        vec![false, true]
    }
}

impl Extremes for BTreeSet<Arc<str>> {
    fn extremes() -> Vec<BTreeSet<Arc<str>>> {
        [vec![], vec!["complete", "x"], vec![""]]
            .map(|list| list.into_iter().map(Arc::from).collect())
            .into()
    }
}

impl Extremes for Attempts {
    fn extremes() -> Vec<Attempts> {
        let times = u32::extremes().into_iter().map(Attempts::Times);
        times.chain([Attempts::Auto, Attempts::Unlimited]).collect()
    }
}

impl Extremes for Overflow {
    fn extremes() -> Vec<Overflow> {
        vec![Overflow::Auto, Overflow::Block, Overflow::DropNewest, Overflow::DropOldest]
    }
}

impl Extremes for Synchronous {
    fn extremes() -> Vec<Synchronous> {
        vec![Synchronous::Full, Synchronous::Normal, Synchronous::Off]
    }
}

impl Extremes for Outbox {
    fn extremes() -> Vec<Outbox> {
        vec![Outbox::Memory, Outbox::Path("".into()), Outbox::Path("a file".into())]
    }
}

#[test]
fn every_setting_beyond_its_range_is_refused_by_its_name_however_it_came_in() {
    for (name, settings, fits) in extremes() {
        let checked = settings.check();
        // It must never be a panic, whatever else it contradicts.
        let shown = settings.get(name).unwrap();
        let set = Settings::default().set(name, &shown);
        if fits {
            assert_eq!(set, Ok(()), "{name} = {shown}");
            let alone = |error: &Error| matches!(error, Error::InvalidArgument { .. });
            let has_bounds = ["jitter", "reconnect_factor"].contains(&name);
            assert!(!checked.as_ref().is_err_and(alone) || has_bounds, "{name}: {checked:?}");
        } else {
            for error in [checked.unwrap_err(), set.unwrap_err()] {
                let is_named = error
                    .to_string()
                    .starts_with(&format!("invalid argument: setting {name} cannot be "));
                assert!(is_named, "{name} = {shown}: {error}");
            }
        }
    }
}

#[test]
fn the_defaults_are_consistent_and_every_setting_reads_what_it_shows() {
    let mut settings = Settings::default();
    settings.check().unwrap();
    for row in Settings::table() {
        settings.set(row.name, &row.default).unwrap();
        assert_eq!(settings.get(row.name), Some(row.default), "{}", row.name);
        assert!(!row.about.is_empty());
    }
    assert_eq!(settings, Settings::default());
}

#[test]
fn contradictions_name_both_settings() {
    let cases: &[(&str, i64, &str, &str)] = &[
        ("disconnect_grace_ms", 6_999, "reconnect_base_ms", "disconnect_grace_ms"),
        ("stale_after_ms", 32_000, "link_timeout_ms", "stale_after_ms"),
        ("heartbeat_interval_ms", 45_000, "heartbeat_interval_ms", "stale_after_ms"),
        ("recovery_grace_ms", 12_999, "recovery_grace_ms", "reconnect_cap_ms"),
        ("basic_link_timeout_ms", 90_000, "basic_link_timeout_ms", "stale_after_ms"),
        ("authorize_timeout_ms", 10_000, "authorize_timeout_ms", "upgrade_timeout_ms"),
        ("max_text_bytes", 63, "max_text_bytes", "max_text_bytes"),
    ];
    for (name, value, first, second) in cases {
        let mut settings = Settings::default();
        if *first == "link_timeout_ms" {
            settings.heartbeat_interval_ms = 10_000;
            settings.basic_link_timeout_ms = 10_000;
        }
        settings.set(name, &json!(value)).unwrap();
        assert_eq!(
            settings.check(),
            Err(Error::InvalidSettings { first: (*first).into(), second: (*second).into() })
        );
        // One step away from the bound is fine.
        let at_most = ["heartbeat_interval_ms", "basic_link_timeout_ms", "authorize_timeout_ms"];
        let nearer = if at_most.contains(name) { value - 1 } else { value + 1 };
        settings.set(name, &json!(nearer)).unwrap();
        settings.check().unwrap();
    }
}

#[test]
fn a_wrong_name_or_shape_is_told() {
    let mut settings = Settings::default();
    let unknown = settings.set("stale_after", &json!(1)).unwrap_err();
    assert!(unknown.to_string().contains("stale_after"));
    let shape = settings.set("stale_after_ms", &json!("x")).unwrap_err();
    assert!(shape.to_string().contains("an integer"), "{shape}");
    assert!(settings.set("stale_after_ms", &json!(-1)).is_err());
}

/// A run with its wrapper, its hitches and its end; nothing of it may panic or never end.
fn run_with(settings: &Settings) {
    let clock = ManualClock::new(1_700_000_000_000);
    let options = Options {
        settings: settings.clone(),
        clock: Clock::Manual(clock.clone()),
        ..Options::default()
    };
    let coordinator = Coordinator::open("memory:", options).unwrap();
    let Ok(session) = coordinator.session("s") else { return };
    let start = || StartOptions { execution_id: Some("e".into()), ..StartOptions::default() };
    if session.start(start()).is_err() {
        return;
    }
    let options = AttachOptions {
        execution_id: "e".into(),
        credential: Credential::Trusted,
        acknowledged: false,
        producer: None,
        attempt: None,
    };
    let link = session.attach(options).unwrap();
    link.receive(r#"{"streamEventType":"output"}"#).unwrap();
    let _ = session.acquire_lease("e", "l", None);
    let _ = session.interrupt(None, false, InterruptGrace::Default);
    link.closed(1006, "gone").unwrap();
    clock.advance(1_000);
    clock.suspend(10_000);
    let _ = session.fail("e", FailOptions { message: "x".repeat(100), ..FailOptions::default() });
    let _ = coordinator.take_notification(Some(Duration::ZERO));
    for ms in [1_000, 100_000, 86_400_000] {
        clock.advance(ms);
    }

    let mut now = clock.now();
    let Ok(mut wrapper) = Wrapper::new(settings.clone(), 7) else { return };
    if wrapper.open("e", now).is_err() {
        return;
    }
    wrapper.handle_opened(1, Some(2), now);
    let _ = wrapper.send("output", "{}", SendOptions::default(), now);
    wrapper.handle_closed(1, 1006, "gone", now);
    for _ in 0..50 {
        while wrapper.poll_action().is_some() {}
        let Some(next) = wrapper.next_deadline() else { return };
        now = now.max(next);
        wrapper.handle_timeout(now);
    }
}

#[test]
fn nothing_panics_or_hangs_at_the_ends_of_the_ranges() {
    for (name, settings, fits) in extremes() {
        if fits && settings.check().is_ok() && settings.outbox == Outbox::Memory {
            eprintln!("{name} = {:?}", settings.get(name));
            run_with(&settings);
        }
    }
}
