//! Loss: some packets vanish, each by itself or in bursts.
//!
//! A packet's fate depends on that of the packet before it in its direction and on nothing else: Gilbert's model
//! ("Capacity of a burst-noise channel", 1960) with a bad state that loses everything. If a loss is followed by another
//! with probability 1 - 1/b, bursts are b long on average; and if a loss follows a passing packet with probability
//! s / (1 - s) / b, a share s is lost in the long run. Without bursts both are s. The first packet is lost with
//! probability s too, so that short experiments have the same mean.

use super::random::Random;
use super::{Arrival, Decide, Fate, Ways};
use crate::wire::Loss;

/// Loses some packets.
pub(crate) struct Losses {
    share_ppm: u32,
    /// Probability of a loss after a loss, and after a packet that passed.
    after_loss: f64,
    after_pass: f64,
    random: Ways<Random>,
    last_lost: Ways<Option<bool>>,
}

impl Losses {
    pub(crate) fn new(loss: &Loss) -> Self {
        let share = f64::from(loss.share_ppm) / 1e6;
        let burst = f64::from(loss.burst_packets);
        let (after_loss, after_pass) = match loss.burst_packets {
            0 | 1 => (share, share),
            _ => (1.0 - 1.0 / burst, share / (1.0 - share) / burst),
        };
        let (random, last_lost) = (Ways::seeded(loss.seed), Ways::default());
        Self { share_ppm: loss.share_ppm, after_loss, after_pass, random, last_lost }
    }
}

impl Decide for Losses {
    fn decide(&mut self, arrival: &Arrival<'_>) -> Fate {
        let hook = arrival.packet.hook;
        let (random, last_lost) = (self.random.of(hook), self.last_lost.of(hook));
        let lost = match last_lost {
            None => random.strikes(self.share_ppm),
            Some(true) => random.unit() < self.after_loss,
            Some(false) => random.unit() < self.after_pass,
        };
        *last_lost = Some(lost);
        if lost { Fate::Lose } else { Fate::Pass }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::super::samples::{fates, packet, tcp};
    use super::*;
    use crate::kernel::Hook;

    const MANY: u32 = 400_000;

    fn losses(share_ppm: u32, burst_packets: u32, seed: u64) -> Losses {
        Losses::new(&Loss { share_ppm, burst_packets, seed })
    }

    /// The share of a great many packets that is lost, and the mean length of a burst.
    fn share_and_burst(share_ppm: u32, burst_packets: u32) -> (f64, f64) {
        let mut line = Line::new(losses(share_ppm, burst_packets, 7));
        let fates = fates(&mut line, MANY, 1);
        let bursts = fates.chunk_by(|one, next| one == next).filter(|run| run[0] == Fate::Lose).count();
        let lost = line.tally().lost as f64;
        (lost / f64::from(MANY), lost / bursts as f64)
    }

    #[test]
    fn the_asked_share_is_lost_with_bursts_and_without() {
        for share_ppm in [1_000, 50_000, 300_000] {
            for burst in [0, 1, 2, 5] {
                let (found, asked) = (share_and_burst(share_ppm, burst).0, f64::from(share_ppm) / 1e6);
                // Losses that come in bursts of b count as fewer: the deviation grows by about sqrt(2 b).
                let deviation = (asked / f64::from(MANY) * f64::from(2 * burst.max(1))).sqrt();
                assert!((found - asked).abs() < 4.0 * deviation, "{found} for {asked} in bursts of {burst}");
            }
        }
    }

    #[test]
    fn bursts_have_the_asked_mean_length() {
        for (burst, expected) in [(2, 2.0), (5, 5.0), (20, 20.0)] {
            let found = share_and_burst(100_000, burst).1;
            assert!((found / expected - 1.0).abs() < 0.1, "{found} for {expected}");
        }
        // By chance alone a loss of 10 % is followed by another one time in ten.
        assert!((share_and_burst(100_000, 1).1 - 1.0 / 0.9).abs() < 0.02);
    }

    #[test]
    fn a_million_of_a_million_is_everything() {
        let mut line = Line::new(losses(1_000_000, 0, 3));
        assert!(fates(&mut line, 1_000, 1).iter().all(|fate| *fate == Fate::Lose));
    }

    #[test]
    fn the_same_seed_loses_the_same_packets_and_another_seed_others() {
        let once = |seed| fates(&mut Line::new(losses(200_000, 3, seed)), 1_000, 1);
        assert_eq!(once(5), once(5));
        assert_ne!(once(5), once(6));
    }

    #[test]
    fn one_direction_does_not_change_the_fate_of_the_other() {
        let alone = fates(&mut Line::new(losses(200_000, 3, 5)), 1_000, 1);
        let mut line = Line::new(losses(200_000, 3, 5));
        let mixed: Vec<Fate> = (0..1_000)
            .map(|n| {
                line.take(packet(n, Hook::Input, &tcp(1)), u64::from(n));
                line.take(packet(n, Hook::Output, &tcp(1)), u64::from(n))
            })
            .collect();
        assert_eq!(alone, mixed);
    }
}
