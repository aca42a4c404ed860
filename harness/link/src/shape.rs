//! The delays of one connection: a function of behaviour, seed and the connection's number.

use crate::behaviour::Distribution;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{f64::consts::TAU, time::Duration};

/// Draws one delay after the other.
pub(crate) struct Shape {
    delay: Duration,
    jitter: Duration,
    distribution: Distribution,
    random: ChaCha8Rng,
}

impl Shape {
    pub(crate) fn new(delay: Duration, jitter: Duration, distribution: Distribution, seed: u64, connection: u64) -> Shape {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(connection);
        Shape { delay, jitter, distribution, random }
    }

    pub(crate) fn draw(&mut self) -> Duration {
        if self.jitter.is_zero() {
            return self.delay;
        }
        let factor = match self.distribution {
            Distribution::Uniform => 2.0 * self.random.random::<f64>() - 1.0,
            Distribution::Normal => self.standard_normal(),
            Distribution::Pareto => pareto(self.standard_normal()),
            // A quarter of the normal quantile and three quarters of Pareto's, over the deviation of that sum.
            Distribution::ParetoNormal => {
                let normal = self.standard_normal();
                (normal.clamp(-4.0, 4.0) + 3.0 * pareto(normal)) / 3.870_689
            }
        };
        let seconds = self.delay.as_secs_f64() + self.jitter.as_secs_f64() * factor;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
    }

    /// Box and Muller (1958).
    fn standard_normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.random.random::<f64>()).ln()).sqrt();
        radius * (TAU * self.random.random::<f64>()).cos()
    }
}

/// The quantile of Pareto's distribution at which `normal` lies in the normal one: exponent 3, cut at 4.5 times its least value as in netem
/// (iproute2, `netem/pareto.c`), of mean 0 and deviation 1.
fn pareto(normal: f64) -> f64 {
    const CUT: f64 = 4.5;
    const MEAN: f64 = 1.5 - 0.5 / (CUT * CUT);
    const DEVIATION: f64 = 0.615_646;
    (share_above(normal).max(CUT.powi(-3)).powf(-1.0 / 3.0) - MEAN) / DEVIATION
}

/// Of the normal distribution (Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.2.17).
fn share_above(normal: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * normal.abs());
    let polynomial = [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_530].iter().fold(0.0, |sum, c| (sum + c) * t);
    let beyond = (-normal * normal / 2.0).exp() / TAU.sqrt() * polynomial;
    if normal > 0.0 { beyond } else { 1.0 - beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(jitter_ms: u64, distribution: Distribution, connection: u64) -> Vec<f64> {
        let (delay, jitter) = (Duration::from_millis(100), Duration::from_millis(jitter_ms));
        let mut shape = Shape::new(delay, jitter, distribution, 5, connection);
        (0..20_000).map(|_| shape.draw().as_secs_f64() * 1e3).collect()
    }

    fn moments(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn without_jitter_every_delay_is_the_asked_one() {
        assert!(drawn(0, Distribution::Normal, 1).iter().all(|delay| (delay - 100.0).abs() < 1e-9));
    }

    #[test]
    fn uniform_jitter_stays_within_its_half_width() {
        let delays = drawn(20, Distribution::Uniform, 1);
        assert!(delays.iter().all(|delay| (80.0..=120.0).contains(delay)));
        let (mean, spread) = moments(&delays);
        assert!((mean - 100.0).abs() < 0.5 && (spread - 40.0 / 12_f64.sqrt()).abs() < 0.5, "{mean} {spread}");
    }

    #[test]
    fn long_tails_have_the_asked_mean_and_deviation_and_an_end() {
        for (distribution, least, greatest) in [(Distribution::Pareto, 84.0, 199.0), (Distribution::ParetoNormal, 67.0, 197.0)] {
            let delays = drawn(20, distribution, 1);
            let (mean, spread) = moments(&delays);
            assert!((mean - 100.0).abs() < 1.0 && (spread - 20.0).abs() < 1.0, "{distribution:?}: {mean} {spread}");
            assert!(delays.iter().all(|delay| (least..greatest).contains(delay)), "{distribution:?}");
        }
    }

    #[test]
    fn normal_jitter_has_the_asked_mean_and_deviation_and_is_never_negative() {
        let (mean, spread) = moments(&drawn(20, Distribution::Normal, 1));
        assert!((mean - 100.0).abs() < 1.0 && (spread - 20.0).abs() < 1.0, "{mean} {spread}");
        assert!(drawn(200, Distribution::Normal, 1).iter().all(|delay| *delay >= 0.0));
    }

    #[test]
    fn delays_repeat_with_the_seed_and_differ_between_connections() {
        assert_eq!(drawn(20, Distribution::Normal, 1), drawn(20, Distribution::Normal, 1));
        assert_ne!(drawn(20, Distribution::Normal, 1), drawn(20, Distribution::Normal, 2));
    }
}
