//! One program for all targets, so that everything is built and linked once. `STAYLINE_FUZZ` names
//! the target; the rest of the command line is libFuzzer's. `run.py` knows how to call it.
//!
//! A target takes bytes and panics when something is not as it must be. What it makes of bytes that
//! mean nothing to it is `Corpus::Reject`, so that they are not kept.
#![no_main]

mod reader;
mod site;
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::{Corpus, fuzz_target};

type Target = fn(&[u8]) -> Corpus;

/// By name. `run.py` reads the names from here.
const TARGETS: [(&str, Target); 11] = [
    ("frames", targets::frames::run),
    ("control", targets::control::run),
    ("endings", targets::endings::run),
    ("lines", targets::lines::run),
    ("requests", targets::requests::run),
    ("resume", targets::resume::run),
    ("locations", targets::locations::run),
    ("addresses", targets::addresses::run),
    ("session", targets::session::run),
    ("wrapper", targets::wrapper::run),
    ("files", targets::files::run),
];

fn chosen() -> Target {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var("STAYLINE_FUZZ").unwrap_or_default();
        let found = TARGETS.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("STAYLINE_FUZZ={name:?} names no target")).1
    })
}

fuzz_target!(|bytes: &[u8]| -> Corpus { chosen()(bytes) });
