//! Quantiles of a sample: the smallest value that at least the asked share of the sample does not exceed (nearest rank).

use shakedown_model::result::Figures;

/// The quantile of a sorted sample; `None` where it is empty.
pub fn of_sorted(sorted: &[f64], fraction: f64) -> Option<f64> {
    // The small allowance keeps 0.99 * 100 from becoming rank 100 by a rounding error.
    let rank = (fraction * sorted.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    sorted.get(rank.min(sorted.len()).checked_sub(1)?).copied()
}

/// Sorts a sample of finite numbers.
pub fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// How many observations a quantile needs before it says something: one beyond it, and never fewer than 20.
pub fn needed(fraction: f64) -> u64 {
    if fraction >= 1.0 { 20 } else { ((1.0 / (1.0 - fraction)).round() as u64).max(20) }
}

/// The figures of a set of requests, from latencies in seconds (in any order) and the number of successes.
pub fn figures(latencies: Vec<f64>, succeeded: u64) -> Figures {
    let requests = latencies.len() as u64;
    let sorted = sorted(latencies);
    let at = |fraction| of_sorted(&sorted, fraction).unwrap_or(0.0);
    Figures {
        requests,
        success: if requests == 0 { 0.0 } else { succeeded as f64 / requests as f64 },
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: at(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank_returns_values_that_were_seen() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        for (fraction, expected) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (0.999, 100.0), (1.0, 100.0)] {
            assert_eq!(of_sorted(&values, fraction), Some(expected), "{fraction}");
        }
        assert_eq!(of_sorted(&[], 0.5), None);
    }

    #[test]
    fn rarer_quantiles_need_more_requests() {
        assert_eq!([0.5, 0.95, 0.99, 0.999, 1.0].map(needed), [20, 20, 100, 1000, 20]);
    }

    #[test]
    fn no_requests_give_zeros_and_no_nan() {
        assert_eq!(figures(Vec::new(), 0), Figures::default());
    }
}
