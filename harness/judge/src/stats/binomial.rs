//! How surprising a number of bad requests is, if each is bad with the same small probability.

use super::normal;

/// `P(X >= hits)` for `X ~ Binomial(trials, probability)`: exact, or by the normal distribution where more than 300 hits are expected.
pub fn at_least(hits: u64, trials: u64, probability: f64) -> f64 {
    if hits == 0 {
        return 1.0;
    }
    if hits > trials || probability <= 0.0 {
        return 0.0;
    }
    if probability >= 1.0 {
        return 1.0;
    }
    if probability > 0.5 {
        // The first term of the sum below would be too small for a number.
        return 1.0 - at_least(trials - hits + 1, trials, 1.0 - probability);
    }
    let (n, mean) = (trials as f64, trials as f64 * probability);
    if mean > 300.0 {
        let spread = (mean * (1.0 - probability)).sqrt();
        return 1.0 - normal::cumulative((hits as f64 - 0.5 - mean) / spread);
    }
    let odds = probability / (1.0 - probability);
    let mut term = (n * (-probability).ln_1p()).exp();
    let mut below = 0.0;
    for k in 0..hits {
        below += term;
        term *= odds * (n - k as f64) / (k as f64 + 1.0);
    }
    (1.0 - below).clamp(0.0, 1.0)
}

/// Whether `hits` bad ones of `trials` are more than chance gives (`chance`, such as 0.01) where the share `allowed` is allowed.
pub fn exceeds(hits: u64, trials: u64, allowed: f64, chance: f64) -> bool {
    at_least(hits, trials, allowed) <= chance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_agree_with_sums_by_hand() {
        assert!((at_least(1, 3, 0.5) - 0.875).abs() < 1e-12);
        assert!((at_least(3, 3, 0.5) - 0.125).abs() < 1e-12);
        assert!((at_least(249, 250, 0.99) - 0.285_7).abs() < 1e-3 && at_least(200, 250, 0.99) > 0.999_999);
        assert!((at_least(4, 50, 0.01) - 0.001_6).abs() < 1e-4);
        assert!((at_least(1_050, 100_000, 0.01) - 0.057_9).abs() < 3e-3);
    }

    #[test]
    fn the_edges_are_certain_or_impossible() {
        assert!(at_least(0, 0, 0.5) >= 1.0);
        assert!(at_least(1, 0, 0.5) <= 0.0);
        assert!(at_least(1, 20, 0.0) <= 0.0);
        assert!(at_least(20, 20, 1.0) >= 1.0);
    }
}
