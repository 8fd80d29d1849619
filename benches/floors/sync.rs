//! The floor of a durable answer: one page appended to a file, and `fdatasync`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use crate::samples::{Samples, microseconds};

/// A page of SQLite's.
const PAGE: [u8; 4096] = [0x5A; 4096];

/// Does it `count` times; µs of each.
pub fn fdatasync(path: &Path, count: usize) -> io::Result<Samples> {
    let mut file = File::create(path)?;
    let mut once = || {
        let started = Instant::now();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        Ok(microseconds(started.elapsed()))
    };
    (0..count).map(|_| once()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn every_sync_is_timed() {
        let scratch = Scratch::new().unwrap();
        let samples = fdatasync(&scratch.file("synced"), 5).unwrap();
        assert!(samples.min() > 0.0 && samples.max() >= samples.median());
    }
}
