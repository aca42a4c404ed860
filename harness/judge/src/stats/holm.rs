//! Corrections for many comparisons: the error of all comparisons of a gate together stays below `alpha`. Holm's hands on what is left, Bonferroni's does not.

/// What the correction says of one comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Whether the comparison is rejected with the error of all of them held.
    pub rejected: bool,
    /// The level it was held against: `alpha` divided by the number of comparisons that still stood.
    pub level: f64,
}

/// One step per p-value by Holm's step-down correction, in the order given.
pub fn holm(p_values: &[f64], alpha: f64) -> Vec<Step> {
    let count = p_values.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]).then(a.cmp(b)));
    let mut steps = vec![Step { rejected: false, level: alpha / count.max(1) as f64 }; count];
    let mut standing = count;
    let mut open = true;
    for index in order {
        let level = alpha / standing as f64;
        open = open && p_values[index] <= level;
        steps[index] = Step { rejected: open, level };
        if open {
            standing = (standing - 1).max(1);
        }
    }
    steps
}

/// One step per p-value by the plain bound of Bonferroni, in the order given: what is left of `alpha` is not handed on.
pub fn bonferroni(p_values: &[f64], alpha: f64) -> Vec<Step> {
    let level = alpha / p_values.len().max(1) as f64;
    p_values.iter().map(|p| Step { rejected: *p <= level, level }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejection_stops_at_the_first_that_stands() {
        let steps = holm(&[0.004, 0.5, 0.001, 0.02], 0.01);
        let rejected: Vec<bool> = steps.iter().map(|step| step.rejected).collect();
        assert_eq!(rejected, [false, false, true, false]);
        let steps = holm(&[0.003, 0.5, 0.001, 0.006], 0.01);
        let rejected: Vec<bool> = steps.iter().map(|step| step.rejected).collect();
        assert_eq!(rejected, [true, false, true, false]);
        assert!((steps[0].level - 0.01 / 3.0).abs() < 1e-15 && (steps[1].level - 0.005).abs() < 1e-15);
    }

    #[test]
    fn nothing_compared_is_nothing_rejected() {
        assert!(holm(&[], 0.01).is_empty() && bonferroni(&[], 0.01).is_empty());
    }
    #[test]
    fn bonferroni_holds_each_against_the_same_level() {
        let steps = bonferroni(&[0.003, 0.001, f64::NAN], 0.006);
        assert_eq!(steps.iter().map(|step| step.rejected).collect::<Vec<_>>(), [false, true, false]);
        assert!(steps.iter().all(|step| (step.level - 0.002).abs() < 1e-15));
    }
}
