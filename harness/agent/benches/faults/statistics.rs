//! Numbers from numbers.

/// What lies at this share of the sorted values.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

pub(crate) fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    (mean, variance.sqrt())
}

/// The shares between which the true one lies with a confidence of 99 %, where `hits` of `tries` were hit: Clopper and Pearson (1934), exact.
pub(crate) fn clopper_pearson(hits: u64, tries: u64) -> (f64, f64) {
    const TAIL: f64 = 0.005;
    let low = if hits == 0 { 0.0 } else { bisect(|share| 1.0 - at_most(hits - 1, tries, share) < TAIL) };
    let high = if hits == tries { 1.0 } else { bisect(|share| at_most(hits, tries, share) > TAIL) };
    (low, high)
}

/// The share up to which it holds.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        *(if holds(middle) { &mut low } else { &mut high }) = middle;
    }
    low
}

/// The probability of at most `hits` of `tries`, each with this share.
fn at_most(hits: u64, tries: u64, share: f64) -> f64 {
    let (n, odds) = (tries as f64, (share / (1.0 - share)).ln());
    let mut term = n * (1.0 - share).ln();
    let mut sum = term.exp();
    for k in 1..=hits {
        term += ((n - k as f64 + 1.0) / k as f64).ln() + odds;
        sum += term.exp();
    }
    sum.min(1.0)
}

/// Says whether an aim was met.
pub(crate) fn word(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}
