//! The tail statistic of one block of one variant: the mean logarithm of its slowest two per cent, two requests at least.
//!
//! The difference of two such means is the logarithm of a ratio, and changes its sign when the variants are swapped: all that the exact test needs.

/// Share of a block that counts as its tail.
pub const TAIL_SHARE: f64 = 0.02;

/// Requests that count as the tail of a thin block: the mean of the two slowest has little more than half of the variance of the slowest alone.
const MIN_IN_TAIL: usize = 2;

/// Requests that a block needs, per variant, before its tail says anything.
pub const MIN_PER_BLOCK: usize = 10;

/// Mean natural logarithm of the slowest [`TAIL_SHARE`] (at least two); `None` for fewer than [`MIN_PER_BLOCK`] latencies. In seconds.
/// What is not a number is not hidden: the mean is none either.
pub fn mean_log_tail(latencies: &[f64]) -> Option<f64> {
    if latencies.len() < MIN_PER_BLOCK {
        return None;
    }
    if latencies.iter().any(|latency| latency.is_nan()) {
        return Some(f64::NAN);
    }
    let count = ((TAIL_SHARE * latencies.len() as f64 - 1e-9).ceil() as usize).max(MIN_IN_TAIL);
    let mut slowest = latencies.to_vec();
    slowest.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    slowest.truncate(count);
    // In order, so that the sum does not depend on the order of arrival in its last digit.
    slowest.sort_by(|a, b| b.total_cmp(a));
    // A nanosecond is the resolution of the clock; it also keeps the logarithm finite.
    let sum: f64 = slowest.iter().map(|latency| if *latency < 1e-9 { 1e-9_f64.ln() } else { latency.ln() }).sum();
    Some(sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_two_per_cent_count_and_nothing_else() {
        let mut latencies = vec![0.01; 98];
        latencies.extend([1.0, 4.0]);
        assert!((mean_log_tail(&latencies).unwrap() - 2.0_f64.ln()).abs() < 1e-12);
        latencies.truncate(99);
        assert!(mean_log_tail(&latencies).unwrap() < 0.0);
    }

    #[test]
    fn of_a_thin_block_the_two_slowest_count() {
        let mut latencies = vec![0.01; 38];
        latencies.extend([1.0, 4.0]);
        assert!((mean_log_tail(&latencies).unwrap() - 2.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_thin_block_has_no_tail_and_zero_latency_no_infinity() {
        assert_eq!(mean_log_tail(&[0.1; 9]), None);
        assert!(mean_log_tail(&[0.0; 10]).unwrap().is_finite());
    }

    #[test]
    fn what_is_no_number_or_endless_is_not_hidden() {
        let with = |odd: f64| mean_log_tail(&[[0.1; 10].as_slice(), &[odd]].concat()).unwrap();
        assert!(with(f64::NAN).is_nan() && with(-f64::NAN).is_nan() && with(f64::INFINITY) == f64::INFINITY);
    }

    #[test]
    fn the_order_of_arrival_does_not_matter_to_the_last_digit() {
        let mut latencies: Vec<f64> = (1..=500).map(|i| 0.01 + f64::from(i * 37 % 501) / 997.0).collect();
        let forwards = mean_log_tail(&latencies);
        latencies.reverse();
        assert_eq!(mean_log_tail(&latencies), forwards);
    }
}
