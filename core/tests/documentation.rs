//! `docs/settings.md` and `docs/errors.md` say what the tables say. A test that finds a file out
//! of date writes it anew and fails; so does `make docs`, which is this test.

use std::fmt::Write;
use std::path::Path;

use stayline::Settings;
use stayline::error::ERRORS;

/// What the caller of a failed call does, in a few words.
const ADVICE: &[(&str, &str)] = &[
    ("InvalidArgument", "fix the call; also a `ValueError`"),
    ("InvalidSettings", "change one of the two settings"),
    ("InvalidEvent", "the event was not accepted; send something else"),
    ("NotFound", "nothing of that name is known"),
    ("AlreadyExists", "choose another id"),
    ("ExecutionInProgress", "wait for the active execution, or interrupt it"),
    ("ExecutionNotActive", "it has ended"),
    ("InvalidTransition", "it had ended, or not begun"),
    ("NoActiveExecution", "there is nothing to stop"),
    ("JobConflict", "wait until the active job is idle"),
    ("Superseded", "another wrapper has taken over: stop"),
    ("AlreadyHeld", "wait until it expires, or give up"),
    ("WrongHolder", "wait, or give up"),
    ("Unauthorized", "check the token, ticket or key"),
    ("Full", "slow down, or choose an overflow policy"),
    ("LimitExceeded", "stay within the limit"),
    ("Timeout", "also a `TimeoutError`; what was stored stays stored"),
    ("Closed", "it was closed, or has ended: the text says what, and how a run ended"),
    ("Disconnected", "the wrapper gave up"),
    (
        "StoreInUse",
        "another coordinator owns the file: stop it, use that one or another file, or open read-only",
    ),
    ("StoreError", "nothing of this step was kept; try again"),
    ("StoreUnknown", "it is not known whether the step was kept: read before trying again"),
    ("StoreFormat", "the file has a newer schema, or is none of ours"),
    ("ForkError", "make new objects in the child process"),
    ("Panic", "a bug of ours; the object is unusable, please report it"),
];

const SETTINGS_HEAD: &str = "\
# Settings

One frozen object, `Settings`, for coordinators and wrappers, the same names in every language. Durations are
milliseconds. In Python: `stayline.Settings(disconnect_grace_ms=30_000)`, where a `timedelta` will do as well; on the
command line: `--set disconnect_grace_ms=30000`. Settings that contradict each other are refused when they are made
(`InvalidSettings`, naming both; R24):

- the delays before a wrapper's first three reconnect attempts add up to no more than `disconnect_grace_ms`;
- `link_timeout_ms` and those delays stay below `stale_after_ms`;
- `heartbeat_interval_ms` is below half of `stale_after_ms`;
- `recovery_grace_ms` is at least `reconnect_cap_ms` and `dial_timeout_ms` together;
- `basic_link_timeout_ms` is below `stale_after_ms`;
- `authorize_timeout_ms` is below `upgrade_timeout_ms`;
- `max_text_bytes` is at least 64.

A coordinator and its wrappers have settings of their own; give both the same where a relation spans them.

| name | default | what it does |
| --- | --- | --- |
";

const ERRORS_HEAD: &str = "\
# Errors

One list for every language. In Python each is a class `stayline.<name>`, a subclass of `stayline.Error`, with its
fields as attributes (`from` is `from_`). The number is the status of the C interface; HTTP is what the built-in server
answers, with the body `{\"error\": name, \"message\": text, …fields}`. Names, numbers and fields do not change; texts may.

| name | number | HTTP | fields | what to do |
| --- | --- | --- | --- | --- |
";

#[test]
fn settings_are_documented() {
    let mut text = SETTINGS_HEAD.to_owned();
    for row in Settings::table() {
        let (name, about) = (row.name, row.about);
        writeln!(text, "| `{name}` | `{}` | {about} |", row.default).unwrap();
    }
    up_to_date("settings.md", &text);
}

#[test]
fn errors_are_documented() {
    let mut text = ERRORS_HEAD.to_owned();
    assert_eq!(ADVICE.len(), ERRORS.len());
    for (row, (name, advice)) in ERRORS.iter().zip(ADVICE) {
        assert_eq!(row.name, *name, "the advice is in the order of the table");
        let http = row.http.map_or_else(|| "–".to_owned(), |status| status.to_string());
        let fields = row.fields.join(", ");
        writeln!(text, "| `{name}` | {} | {http} | {fields} | {advice} |", row.number).unwrap();
    }
    up_to_date("errors.md", &text);
}

fn up_to_date(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if found != expected {
        std::fs::write(&path, expected).unwrap();
        panic!("docs/{name} was out of date and has been written anew");
    }
}
