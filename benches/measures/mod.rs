//! What is measured, each with its floor in turns: floor, figure, floor, figure … so that whatever
//! else the machine is doing falls on both.

pub mod c;
pub mod crowd;
pub mod fanout;
pub mod history;
pub mod import;
pub mod ingest;
pub mod latency;
pub mod memory;
pub mod open;
pub mod receive;
pub mod replay;
pub mod resume;
pub mod status;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Only to see that everything works; the figures mean little.
    pub is_quick: bool,
}

impl Scale {
    /// How many runs of each: at least five, for a median.
    pub const RUNS: usize = 5;

    /// One of two amounts.
    pub fn pick(self, full: u64, quick: u64) -> u64 {
        if self.is_quick { quick } else { full }
    }
}
