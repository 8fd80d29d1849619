//! What a process tells of itself on its standard output: one byte before each commit, one after it,
//! each written at once and by itself, so that a kill cannot hold any of them back.

/// A commit begins. No byte that a test harness prints.
pub const BEGUN: u8 = 1;
/// A commit has ended.
pub const ENDED: u8 = 2;
/// What the process was started for has begun.
pub const READY: u8 = 3;

/// Writes one mark.
pub fn mark(byte: u8) {
    // The parent may be gone; then this process is about to end too.
    let _ = rustix::io::write(std::io::stdout(), &[byte]);
}
