//! The delays of one connection: a function of behaviour, seed and the connection's number.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shakedown_model::fault::Distribution;
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
