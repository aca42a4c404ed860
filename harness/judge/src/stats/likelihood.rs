//! Whether two proportions differ: the likelihood-ratio statistic G² (Wilks 1938; for counts in text Dunning 1993).

/// 99.9 % of chi-squared with one degree of freedom.
const CERTAIN: f64 = 10.83;

/// G² of `a` of `n` against `b` of `m`: twice the log of how much likelier two rates are than one. Zero where there is nothing to compare.
pub fn g2((a, n): (u64, u64), (b, m): (u64, u64)) -> f64 {
    if n == 0 || m == 0 {
        return 0.0;
    }
    let pooled = (a + b) as f64 / (n + m) as f64;
    let own = |hits: u64, of: u64| log_likelihood(hits, of, hits as f64 / of as f64);
    let statistic = 2.0 * (own(a, n) + own(b, m) - log_likelihood(a, n, pooled) - log_likelihood(b, m, pooled));
    statistic.max(0.0)
}

/// The same for events that came in so much time, or of so many requests: how much likelier two rates are than one (Poisson). An event may come several
/// times a request.
pub fn g2_of_rates((a, size): (u64, f64), (b, other): (u64, f64)) -> f64 {
    let all = size + other;
    if size <= 0.0 || other <= 0.0 || !all.is_finite() {
        return 0.0;
    }
    let term = |count: u64, size: f64| if count == 0 { 0.0 } else { count as f64 * (count as f64 / ((a + b) as f64 * size / all)).ln() };
    (2.0 * (term(a, size) + term(b, other))).max(0.0)
}

fn log_likelihood(hits: u64, of: u64, rate: f64) -> f64 {
    let term = |count: u64, rate: f64| if count == 0 { 0.0 } else { count as f64 * rate.max(f64::MIN_POSITIVE).ln() };
    term(hits, rate) + term(of.saturating_sub(hits), 1.0 - rate)
}

/// The least G² that is evidence where so many were looked at: chance makes one of them so large once in a thousand times (Bonferroni; the tail of
/// chi-squared falls at least as fast as `exp(-x / 2)`).
pub fn least(looked_at: usize) -> f64 {
    CERTAIN + 2.0 * (looked_at.max(1) as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_textbooks_come_out() {
        // 2 x 2 table 20/80 and 40/60: G² = 9.663 (by hand: 2 Σ O ln(O / E)).
        assert!((g2((20, 100), (40, 100)) - 9.663).abs() < 0.001, "{}", g2((20, 100), (40, 100)));
        assert!(g2((30, 100), (30, 100)).abs() < 1e-9);
    }

    #[test]
    fn rates_differ_by_what_was_asked_of_each_side() {
        // 2 (30 ln 2 + 0) = 41.589: thirty of nothing against nothing of as much.
        assert!((g2_of_rates((30, 100.0), (0, 100.0)) - 41.589).abs() < 0.001, "{}", g2_of_rates((30, 100.0), (0, 100.0)));
        assert!(g2_of_rates((300, 100.0), (600, 200.0)).abs() < 1e-9);
        for nothing in [g2_of_rates((0, 1.0), (0, 1.0)), g2_of_rates((5, 0.0), (1, 1.0)), g2_of_rates((5, 1.0), (1, f64::INFINITY))] {
            assert!(nothing.abs() < 1e-12);
        }
    }

    #[test]
    fn nothing_and_all_or_none_give_numbers() {
        assert!(g2((0, 0), (5, 10)).abs() < 1e-12);
        assert!(g2((0, 50), (50, 50)) > 100.0);
        assert!(g2((0, 50), (0, 50)).abs() < 1e-12);
        assert!(least(0) < least(1_000));
    }
}
