//! How well found points agree with labels.

/// How far a point may lie from the label that it meets.
pub(crate) const MARGIN: usize = 5;

/// What a method did on many series.
#[derive(Debug, Clone, Default)]
pub(crate) struct Score {
    series: usize,
    f1: f64,
    met: usize,
    found: usize,
    labels: usize,
}

impl Score {
    pub(crate) fn add(&mut self, labels: &[usize], found: &[usize]) {
        let met = met(labels, found);
        let with_start = (met + 1) as f64;
        self.f1 += 2.0 * with_start / (labels.len() + 1 + found.len() + 1) as f64;
        self.series += 1;
        self.met += met;
        self.found += found.len();
        self.labels += labels.len();
    }

    /// `0.93 (0.97, 0.91)`: mean F1, and precision and recall over all points.
    pub(crate) fn text(&self) -> String {
        let share = |of: usize| if of == 0 { "–".to_owned() } else { format!("{:.2}", self.met as f64 / of as f64) };
        format!("{:.3} ({}, {})", self.f1 / self.series.max(1) as f64, share(self.found), share(self.labels))
    }
}

/// Labels that a point meets; no point meets two.
fn met(labels: &[usize], found: &[usize]) -> usize {
    let mut left = found.to_vec();
    let mut met = 0;
    for label in labels {
        let near = (0..left.len()).filter(|point| left[*point].abs_diff(*label) <= MARGIN);
        if let Some(nearest) = near.min_by_key(|point| left[*point].abs_diff(*label)) {
            left.swap_remove(nearest);
            met += 1;
        }
    }
    met
}
