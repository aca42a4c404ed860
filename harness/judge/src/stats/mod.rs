//! The arithmetic of the gate. Plain numbers in, plain numbers out: knows no requests, phases or verdicts.

pub mod binomial;
pub mod change_points;
pub mod holm;
pub mod likelihood;
pub mod normal;
pub mod quantile;
pub mod rank_sum;
pub mod signed_rank;
pub mod spending;
pub mod tail;

/// The middle of a sorted set (of two middles, halfway); `None` for an empty set.
pub(crate) fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}
