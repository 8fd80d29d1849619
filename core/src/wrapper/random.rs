//! Seeded randomness: the jitter of the back-off (R41) and the ids of producers (R45a).
//!
//! The generator is xoshiro256++, its state filled by SplitMix64, both by Blackman and Vigna. It
//! is no source of secrets: a producer id only has to differ from every other one, and a wrapper
//! is replayed exactly from its seed.

use std::sync::Arc;

/// The generator of one wrapper.
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: [u64; 4],
}

impl Random {
    /// From 128 bits of seed; equal seeds give equal sequences.
    pub(super) fn new(seed: u128) -> Random {
        let mut low = seed as u64;
        let mut high = (seed >> 64) as u64;
        Random {
            state: [
                split_mix(&mut low),
                split_mix(&mut high),
                split_mix(&mut low),
                split_mix(&mut high),
            ],
        }
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number from 0 up to, but not including, 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A producer id: `prd_` and 32 hexadecimal digits.
    pub(super) fn producer_id(&mut self) -> Arc<str> {
        format!("prd_{:016x}{:016x}", self.next(), self.next()).into()
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_replay_and_different_ones_differ() {
        let ids = |seed| {
            let mut random = Random::new(seed);
            [random.producer_id(), random.producer_id()]
        };
        assert_eq!(ids(7), ids(7));
        let mut seen: Vec<_> = [0, 1, 1 << 64, u128::MAX].into_iter().flat_map(ids).collect();
        assert!(seen.iter().all(|id| id.len() == 36 && id.starts_with("prd_")), "{seen:?}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 8);
    }

    #[test]
    fn fractions_fill_their_range() {
        let mut random = Random::new(1);
        let drawn: Vec<f64> = (0..1_000).map(|_| random.fraction()).collect();
        assert!(drawn.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        let mean = drawn.iter().sum::<f64>() / 1_000.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
    }
}
