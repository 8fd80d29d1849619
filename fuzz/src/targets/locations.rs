//! Where a store is said to be. It is opened in a folder of its own, so what leads out of that is
//! not tried. A location is refused with an error that keeps its password, or it is that file: what
//! is written is found there again.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::Corpus;
use stayline::Error;
use stayline::coordinator::{Coordinator, Options, StartOptions};
use stayline::settings::{Settings, Synchronous};
use tempfile::TempDir;

/// Longer than any file's name.
const LONGEST: usize = 400;

pub fn run(bytes: &[u8]) -> Corpus {
    let Ok(location) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    let leads_out = |path: &str| path.starts_with('/') || path.contains("..");
    if location.len() > LONGEST || location.strip_prefix("sqlite:").is_some_and(leads_out) {
        return Corpus::Reject;
    }
    let folder = enter_folder();
    let settings = Settings { synchronous: Synchronous::Off, ..Settings::default() };
    let options = Options { settings: settings.clone(), ..Options::default() };
    match Coordinator::open(location, options.clone()) {
        Ok(coordinator) => {
            let session = coordinator.session("s").expect("a good id");
            session.start(StartOptions::default()).expect("it is stored");
            if let Some(path) = location.strip_prefix("sqlite:") {
                assert!(Path::new(path).is_file(), "{path:?} is not where it was written");
                let again = Coordinator::open(location, options).err();
                assert!(matches!(again, Some(Error::StoreInUse { .. })), "{again:?}");
                let reader = Coordinator::open_read_only(location, settings).expect("it is read");
                let found = reader.session("s").expect("a good id").active().expect("it is read");
                assert!(found.is_some(), "what was written is not found");
            } else {
                assert_eq!(location, "memory:");
            }
            coordinator.close();
        }
        Err(error) => {
            check_refusal(location, &error);
            check_refusal(
                location,
                &Coordinator::open_read_only(location, settings)
                    .err()
                    .expect("what cannot be opened cannot be read"),
            );
        }
    }
    empty(folder);
    Corpus::Keep
}

fn check_refusal(location: &str, error: &Error) {
    let name = error.name();
    assert!(
        ["InvalidArgument", "StoreError", "StoreFormat", "NotFound"].contains(&name),
        "{error}"
    );
    let is_file = location.starts_with("sqlite:");
    let Some((before, _)) = location.rsplit_once('@').filter(|_| !is_file) else { return };
    // Whatever stands behind the last colon before an `@` may be a password.
    let secret = before.rsplit_once(':').map_or(before, |(_, secret)| secret);
    let is_plain = secret.len() > 3 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let text = error.to_string();
    let is_told_anyway = ["postgresql", "postgres", "memory", "sqlite", "supported", "location"]
        .iter()
        .any(|word| word.contains(secret))
        || location.matches(secret).count() > 1;
    assert!(!is_plain || is_told_anyway || !text.contains(secret), "{text}");
}

/// The folder, where this process is from now on.
fn enter_folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = crate::site::folder();
        std::env::set_current_dir(folder.path()).expect("it can be entered");
        folder
    });
    folder.path()
}

fn empty(folder: &Path) {
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.expect("it is ours");
    }
}
