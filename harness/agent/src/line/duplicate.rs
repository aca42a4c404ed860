//! Duplication: some packets go on twice, each by a choice of its own.

use super::random::Random;
use super::{Arrival, Decide, Fate, Ways};
use crate::wire::Duplicate;

/// Copies some packets.
pub(crate) struct Copies {
    share_ppm: u32,
    random: Ways<Random>,
}

impl Copies {
    pub(crate) fn new(duplicate: &Duplicate) -> Self {
        Self { share_ppm: duplicate.share_ppm, random: Ways::seeded(duplicate.seed) }
    }
}

impl Decide for Copies {
    fn decide(&mut self, arrival: &Arrival<'_>) -> Fate {
        let copied = self.random.of(arrival.packet.hook).strikes(self.share_ppm);
        if copied { Fate::Duplicate } else { Fate::Pass }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::super::samples::fates;
    use super::*;

    fn line(share_ppm: u32, seed: u64) -> Line {
        Line::new(Copies::new(&Duplicate { share_ppm, seed }))
    }

    #[test]
    fn the_asked_share_is_copied_and_the_rest_passes() {
        let mut line = line(100_000, 7);
        let fates = fates(&mut line, 100_000, 1);
        assert!((line.tally().duplicated as f64 / 100_000.0 - 0.1).abs() < 0.004, "{:?}", line.tally());
        assert_eq!(fates.iter().filter(|fate| **fate == Fate::Pass).count() as u64, 100_000 - line.tally().duplicated);
        assert_eq!(line.len(), 0, "nothing is held");
    }

    #[test]
    fn the_same_seed_copies_the_same_packets() {
        let once = |seed| fates(&mut line(300_000, seed), 500, 1);
        assert_eq!(once(1), once(1));
        assert_ne!(once(1), once(2));
    }
}
