//! Pseudo random numbers that are the same on every machine and in every release.

/// SplitMix64: 2^64 numbers from any seed, in six lines. Steele, Lea and Flood, OOPSLA 2014.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..below`; 0 if there is no such number.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(below)) >> 64) as u64
    }

    /// True for so many of a million.
    pub(crate) fn strikes(&mut self, share_ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(share_ppm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_kept_and_the_same_seed_chooses_the_same() {
        let choose = |seed| {
            let mut random = Random::new(seed);
            (0..100_000).map(|_| random.strikes(100_000)).collect::<Vec<bool>>()
        };
        let struck = choose(7).iter().filter(|struck| **struck).count();
        assert!((9_500..10_500).contains(&struck), "{struck} of 100000 at 10 %");
        assert_eq!(choose(7), choose(7));
        assert_ne!(choose(7), choose(8));
    }
}
