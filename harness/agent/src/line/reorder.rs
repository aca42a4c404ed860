//! Reordering: some packets are held while those behind them go on.
//!
//! Those that are held wait equally long, so that they keep their order among themselves.

use super::random::Random;
use super::{Arrival, Decide, Fate, Ways};
use crate::wire::Reorder;

/// Holds some packets.
pub(crate) struct Stragglers {
    share_ppm: u32,
    delay: u64,
    random: Ways<Random>,
}

impl Stragglers {
    pub(crate) fn new(reorder: &Reorder) -> Self {
        Self { share_ppm: reorder.share_ppm, delay: reorder.delay_us * 1_000, random: Ways::seeded(reorder.seed) }
    }
}

impl Decide for Stragglers {
    fn decide(&mut self, arrival: &Arrival<'_>) -> Fate {
        let held = self.random.of(arrival.packet.hook).strikes(self.share_ppm);
        if held { Fate::Hold { until: arrival.now + self.delay } } else { Fate::Pass }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::super::samples::{MILLIS, fates, release_all};
    use super::*;

    fn line(share_ppm: u32, seed: u64) -> Line {
        Line::new(Stragglers::new(&Reorder { share_ppm, delay_us: 5_000, seed }))
    }

    #[test]
    fn the_asked_share_is_held_for_the_asked_time_and_overtaken() {
        let mut line = line(100_000, 7);
        let fates = fates(&mut line, 100_000, MILLIS);
        let held = release_all(&mut line);
        assert!((held.len() as f64 / 100_000.0 - 0.1).abs() < 0.004, "{}", held.len());
        assert!(held.iter().all(|held| held.due - held.arrived == 5 * MILLIS));
        assert_eq!(fates.iter().filter(|fate| **fate == Fate::Pass).count() + held.len(), 100_000);
        assert!(held.is_sorted_by_key(|held| held.id), "the held keep their order");
    }

    #[test]
    fn the_same_seed_holds_the_same_packets() {
        let once = |seed| fates(&mut line(300_000, seed), 500, MILLIS);
        assert_eq!(once(1), once(1));
        assert_ne!(once(1), once(2));
    }
}
