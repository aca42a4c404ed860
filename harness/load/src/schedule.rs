//! When requests are due: a pure function of rate, arrivals and seed. It must not know what became of any request.

use crate::seed;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use shakedown_model::experiment::{Arrivals, Load};
use std::time::Duration;

/// One due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Counter of the load, from 1.
    pub(crate) seq: u64,
    /// From the start of the load.
    pub(crate) offset: Duration,
}

/// The endless sequence of due times of one load.
pub(crate) struct Schedule {
    arrivals: Arrivals,
    gap: f64,
    random: ChaCha8Rng,
    seq: u64,
    /// Constant: of the first request; Poisson: of the latest one. Seconds.
    at: f64,
}

impl Schedule {
    pub(crate) fn new(load: &Load, seed: u64) -> Schedule {
        let mut random = seed::stream(seed, &["arrivals", &load.name]);
        let gap = 1.0 / load.rate.0;
        let at = match load.arrivals {
            // Somewhere in the first gap: several constant loads must not all fire at the same instants.
            Arrivals::Constant => random.random::<f64>() * gap,
            Arrivals::Poisson => 0.0,
        };
        Schedule { arrivals: load.arrivals, gap, random, seq: 0, at }
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let seconds = match self.arrivals {
            // Multiplied, not added up: no rounding error grows over a long run.
            Arrivals::Constant => self.at + self.seq as f64 * self.gap,
            Arrivals::Poisson => {
                self.at += self.gap * -(1.0 - self.random.random::<f64>()).ln();
                self.at
            }
        };
        self.seq += 1;
        let offset = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Some(Arrival { seq: self.seq, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::sample;

    fn offsets(arrivals: Arrivals, rate: f64, seed: u64, count: usize) -> Vec<f64> {
        let load = Load { arrivals, rate: shakedown_model::units::Rate(rate), ..sample("checkout") };
        Schedule::new(&load, seed).take(count).map(|arrival| arrival.offset.as_secs_f64()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_due_times_and_another_seed_others() {
        for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
            assert_eq!(offsets(arrivals, 200.0, 7, 1_000), offsets(arrivals, 200.0, 7, 1_000));
            assert_ne!(offsets(arrivals, 200.0, 7, 1_000), offsets(arrivals, 200.0, 8, 1_000));
        }
    }

    #[test]
    fn loads_of_one_seed_do_not_share_their_due_times() {
        let other = Schedule::new(&sample("browse"), 7).next();
        assert_ne!(Schedule::new(&sample("checkout"), 7).next(), other);
    }

    #[test]
    fn constant_arrivals_have_equal_gaps_and_start_within_the_first() {
        let offsets = offsets(Arrivals::Constant, 100.0, 3, 10_000);
        assert!((0.0..0.01).contains(&offsets[0]));
        assert!(offsets.windows(2).all(|pair| (pair[1] - pair[0] - 0.01).abs() < 1e-6));
        assert!((offsets[9_999] - offsets[0] - 99.99).abs() < 1e-6);
    }

    #[test]
    fn poisson_arrivals_have_exponential_gaps_of_the_asked_mean() {
        let offsets = offsets(Arrivals::Poisson, 1_000.0, 3, 100_000);
        let gaps: Vec<f64> = offsets.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean - 0.001).abs() < 2e-5, "mean {mean}");
        // Of an exponential distribution the standard deviation is the mean, and 1/e of the gaps are longer than it.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "spread {}", variance.sqrt() / mean);
        let longer = gaps.iter().filter(|gap| **gap > mean).count() as f64 / gaps.len() as f64;
        assert!((longer - (-1.0_f64).exp()).abs() < 0.01, "{longer}");
    }

    #[test]
    fn requests_are_counted_from_one() {
        let seqs: Vec<u64> = Schedule::new(&sample("checkout"), 1).take(3).map(|arrival| arrival.seq).collect();
        assert_eq!(seqs, [1, 2, 3]);
    }
}
