//! New certificates without a restart: their files are looked at, and read when they have changed.
//!
//! Whatever renews certificates writes two files, one after the other; so what cannot be used, or
//! does not belong together, may be right a moment later. What was served before goes on until
//! then, and the log says so.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::lifetime::Phase;
use super::tls::ServerTls;
use crate::Error;
use crate::lock::Mutex;
use crate::settings::Millis;

/// How often the files are looked at.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// After so many looks an end that is near is told again: a day.
const LOOKS_A_DAY: u32 = 24 * 60;

/// An end that is nearer than this is told of.
const SOON_MS: Millis = 30 * DAY_MS;
const DAY_MS: Millis = 86_400_000;

/// Where a certificate and its key are, and how they were when they were last read.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    stamps: [Option<Stamp>; 2],
    /// Why they could not be used, as it was told. They are read again with the next look even
    /// where they are the same: the cause may be elsewhere.
    wrong: Option<String>,
}

/// A file that was written to, that may be read by others now, or that another one took the place
/// of, has another one.
type Stamp = (i64, i64, i64, i64, u64, u64);

impl Files {
    pub(super) fn new(certificate: &Path, key: &Path) -> Files {
        // A host may change its folder later.
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (certificate, key) = (whole(certificate), whole(key));
        let stamps = [stamp(&certificate), stamp(&key)];
        Files { certificate, key, seen: Mutex::new(Seen { stamps, wrong: None }) }
    }

    /// Whether they are worth reading: others than at the last look, or of no use then.
    fn are_worth_reading(&self) -> bool {
        let seen = self.seen.lock();
        seen.wrong.is_some() || seen.stamps != [stamp(&self.certificate), stamp(&self.key)]
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    // Through links: those are what tools of renewal turn.
    let found = std::fs::metadata(path).ok()?;
    let written = (found.mtime(), found.mtime_nsec());
    let changed = (found.ctime(), found.ctime_nsec());
    Some((written.0, written.1, changed.0, changed.1, found.ino(), found.len()))
}

/// Looks until the server closes.
pub(super) async fn keep_looking(tls: ServerTls, shared: Arc<Shared>, interval: Duration) {
    let mut watch = shared.lifetime.watch();
    for looks in 1_u32.. {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = watch.reached(Phase::Closing) => return,
        }
        let looking = tls.clone();
        let look = move || {
            if !looking.look() && looks % LOOKS_A_DAY == 0 {
                looking.tell_end();
            }
        };
        if let Err(error) = shared.pools.commands.run(look).await {
            tracing::debug!(%error, "the certificate could not be looked at");
        }
    }
}

impl ServerTls {
    /// Takes the files up if they have changed; whether another certificate is served now. What is
    /// wrong with new ones is told once.
    pub(super) fn look(&self) -> bool {
        let Some(files) = self.files().filter(|files| files.are_worth_reading()) else {
            return false;
        };
        let told = files.seen.lock().wrong.clone();
        match self.reload() {
            Ok(()) => {
                tracing::info!(certificate = %files.certificate.display(), "a new certificate is served");
                self.tell_end();
                true
            }
            Err(error) => {
                let error = error.to_string();
                if told.as_ref() != Some(&error) {
                    tracing::warn!("the certificate of before is served on: {error}");
                }
                false
            }
        }
    }

    /// Says when the certificate ends, if that is near or past.
    pub(super) fn tell_end(&self) {
        let Some(ends_at) = self.ends_at() else { return };
        if let Some(told) = told_of_end(ends_at, jiff::Timestamp::now().as_millisecond()) {
            tracing::warn!("{told}");
        }
    }

    /// Reads the certificate and the key from their files anew; new connections get them. What
    /// cannot be used is an [`Error::InvalidArgument`], and what was served before goes on. A
    /// server looks by itself every minute.
    pub fn reload(&self) -> Result<(), Error> {
        let Some(files) = self.files() else {
            return Err(Error::invalid("the certificate did not come from a file"));
        };
        // Before they are read: what is written meanwhile is a change.
        let stamps = [stamp(&files.certificate), stamp(&files.key)];
        let read = ServerTls::from_files(&files.certificate, &files.key);
        let wrong = read.as_ref().err().map(Error::to_string);
        *files.seen.lock() = Seen { stamps, wrong };
        self.take_over(read?);
        Ok(())
    }
}

/// What to say of an end at this moment.
fn told_of_end(ends_at: Millis, now: Millis) -> Option<String> {
    let day = jiff::Timestamp::from_millisecond(ends_at).ok()?.strftime("%Y-%m-%d %H:%M UTC");
    if ends_at <= now {
        return Some(format!("the server's certificate has expired, on {day}: clients refuse it"));
    }
    let days = (ends_at - now) / DAY_MS;
    (ends_at - now < SOON_MS)
        .then(|| format!("the server's certificate expires in {days} days, on {day}: renew it"))
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use tracing::Level;
    use tracing::level_filters::LevelFilter;

    use super::super::{ServerOptions, serve};
    use super::*;
    use crate::coordinator::{Coordinator, Options};
    use crate::log::{Collector, Sink};
    use crate::net::runtime;

    fn certificate(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/net/certificates").join(name)
    }

    #[test]
    fn an_end_that_is_near_or_past_is_told() {
        let end = 1_800_000_000_000;
        assert_eq!(told_of_end(end, end - SOON_MS), None);
        let soon = told_of_end(end, end - 3 * DAY_MS).unwrap();
        assert!(soon.contains("in 3 days, on 2027-01-15 08:00 UTC"), "{soon}");
        assert!(told_of_end(end, end).unwrap().contains("has expired"));
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let tls = ServerTls::from_files(certificate("server.pem"), certificate("server.key"));
        let years = (tls.unwrap().ends_at().unwrap() - 1_767_225_600_000) / (365 * DAY_MS);
        assert!((99..=101).contains(&years), "{years}");
    }

    /// A folder with a certificate and its key, which are changed as tools of renewal do it: a new
    /// file in the place of the old one.
    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Folder {
            let folder = Folder(tempfile::tempdir().unwrap());
            folder.put("server.pem", "c.pem");
            folder.put("server.key", "c.key");
            folder
        }

        fn put(&self, from: &str, to: &str) {
            std::fs::copy(certificate(from), self.path("new")).unwrap();
            std::fs::rename(self.path("new"), self.path(to)).unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn tls(&self) -> ServerTls {
            ServerTls::from_files(self.path("c.pem"), self.path("c.key")).unwrap()
        }
    }

    /// What was logged on this thread meanwhile.
    fn logged(work: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        tracing::subscriber::with_default(Collector(lines.clone()), work);
        std::mem::take(&mut *lines.0.lock())
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl Sink for Lines {
        fn level(&self) -> LevelFilter {
            LevelFilter::WARN
        }

        fn is_open(&self) -> bool {
            true
        }

        fn take(&self, _: Level, line: String) {
            self.0.lock().push(line);
        }
    }

    #[test]
    fn new_files_are_taken_up_and_broken_ones_are_not() {
        let folder = Folder::new();
        let tls = folder.tls();
        let served = tls.clone();
        let first = served.leaf();
        assert!(!tls.look());
        // Half of it: the key does not belong to the certificate.
        folder.put("other.pem", "c.pem");
        let told = logged(|| assert!(!tls.look()));
        assert_eq!(served.leaf(), first);
        assert!(told.len() == 1 && told[0].contains("does not belong to"), "{told:?}");
        let told = logged(|| assert!(!tls.look() && !tls.look()));
        assert!(told.is_empty(), "the same is told again: {told:?}");
        folder.put("other.key", "c.key");
        assert!(tls.look());
        assert_ne!(served.leaf(), first);
        assert!(!tls.look());
        // Gone is no new one.
        let second = served.leaf();
        std::fs::remove_file(folder.path("c.key")).unwrap();
        let told = logged(|| assert!(!tls.look() && !tls.look()));
        assert!(told.len() == 1 && told[0].contains("cannot read the key"), "{told:?}");
        assert_eq!(served.leaf(), second);
        assert!(tls.reload().is_err());
        let key = std::fs::read(certificate("server.key")).unwrap();
        let from_text =
            ServerTls::from_pem(&std::fs::read(certificate("server.pem")).unwrap(), &key).unwrap();
        assert!(from_text.reload().is_err() && !from_text.look());
    }

    #[test]
    fn files_whose_rights_came_later_are_taken_up() {
        let folder = Folder::new();
        let tls = folder.tls();
        let first = tls.leaf();
        folder.put("other.pem", "c.pem");
        folder.put("other.key", "c.key");
        // A link to nowhere stands for what may not be read yet: it is itself never touched.
        let key = folder.path("c.key");
        std::fs::rename(&key, folder.path("elsewhere")).unwrap();
        std::os::unix::fs::symlink(folder.path("later"), &key).unwrap();
        assert!(!tls.look());
        assert_eq!(tls.leaf(), first);
        std::fs::rename(folder.path("elsewhere"), folder.path("later")).unwrap();
        assert!(tls.look());
        assert_ne!(tls.leaf(), first);
    }

    #[test]
    fn files_that_failed_for_another_cause_are_read_again_though_they_are_the_same() {
        let folder = Folder::new();
        let tls = folder.tls();
        let first = tls.leaf();
        folder.put("other.pem", "c.pem");
        folder.put("other.key", "c.key");
        let files = tls.files().unwrap();
        let stamps = [stamp(&files.certificate), stamp(&files.key)];
        // As it is when there were no descriptors to read them with.
        *files.seen.lock() = Seen { stamps, wrong: Some("no descriptors".into()) };
        assert!(tls.look());
        assert_ne!(tls.leaf(), first);
    }

    #[test]
    fn a_stamp_tells_that_others_may_read_a_file_now() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        let key = folder.path("c.key");
        let before = stamp(&key).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(60);
        // The kernel's clock is coarse: the first of these may be in the same moment.
        while stamp(&key).unwrap() == before {
            assert!(std::time::Instant::now() < until, "it never shows");
            std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
        }
    }

    #[test]
    fn a_server_looks_by_itself() {
        let folder = Folder::new();
        let tls = folder.tls();
        let options = ServerOptions { tls: Some(tls.clone()), ..ServerOptions::default() };
        let coordinator = Coordinator::open("memory:", Options::default()).unwrap();
        let server = serve(coordinator, "127.0.0.1:0", options).unwrap();
        let looking = keep_looking(tls.clone(), server.shared.clone(), Duration::from_millis(5));
        let looking = runtime::handle().unwrap().spawn(looking);
        let first = tls.leaf();
        folder.put("other.pem", "c.pem");
        folder.put("other.key", "c.key");
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while tls.leaf() == first {
            assert!(std::time::Instant::now() < until, "it is never looked at");
            std::thread::yield_now();
        }
        server.close();
        while !looking.is_finished() {
            assert!(std::time::Instant::now() < until, "it looks for ever");
            std::thread::yield_now();
        }
    }
}
