//! Numbers that follow from a seed.

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// The seed comes from `STAYLINE_SEED`, or is this one; it is printed either way.
    pub fn seeded(default: u64) -> Random {
        let given = std::env::var("STAYLINE_SEED").ok();
        let seed = given.map_or(default, |text| text.parse().expect("STAYLINE_SEED is a number"));
        println!("STAYLINE_SEED={seed}");
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0, below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
