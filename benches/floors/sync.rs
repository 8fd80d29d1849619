//! The floor of a durable answer: one page appended to a file, and `fdatasync`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use crate::samples::microseconds;

/// A page of SQLite's.
const PAGE: [u8; 4096] = [0x5A; 4096];

/// A file that grows by a page at a time.
pub struct Synced {
    file: File,
}

impl Synced {
    /// A new file at `path`.
    pub fn create(path: &Path) -> io::Result<Synced> {
        Ok(Synced { file: File::create(path)? })
    }

    /// µs of one.
    pub fn append(&mut self) -> io::Result<f64> {
        let started = Instant::now();
        self.file.write_all(&PAGE)?;
        self.file.sync_data()?;
        Ok(microseconds(started.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn each_sync_adds_a_page_and_is_timed() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.file("synced");
        let mut synced = Synced::create(&path).unwrap();
        assert!(synced.append().unwrap() > 0.0 && synced.append().unwrap() > 0.0);
        assert_eq!(std::fs::metadata(path).unwrap().len(), 2 * PAGE.len() as u64);
    }
}
