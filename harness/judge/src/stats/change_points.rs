//! Change points of a series of one number per commit: where its level changed for good, and how sure that is after looking everywhere.
//!
//! Divisive, as E-divisive is, on ranks: intervals of many lengths (seeded binary segmentation, Kovács and others 2023) are each split where the rank sums
//! of the two sides differ most. What that difference means is stated after selection: the p-value of the split times all splits of all intervals that
//! could have been chosen (union bound; lengths share the error equally). Ranks make outliers harmless. Noise that has a memory counts for less, by its
//! correlation as differences of neighbours tell it; a slope is no change point, and neither is a shift that the eye would take for noise. Only the level
//! counts: a series that becomes noisier has not changed. No chance is involved.

use super::{median_of_sorted, normal};

/// Points that each side of a split needs. Fewer could be a row of outliers.
const SHORTEST: usize = 5;
/// Each length of interval is so much shorter than the one before.
const SHRINK: f64 = std::f64::consts::SQRT_2;
/// Largest product of the sizes of two sides without ties whose rank sum is worked out exactly.
const EXACT_UP_TO: usize = 400;
/// Correlation of neighbours above which nothing is known of a level any more.
const LARGEST_MEMORY: f64 = 0.95;

/// What counts as a change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensitivity {
    /// Error of the whole series: at most this share of the series that never changed has a change point.
    pub error: f64,
    /// At least so often must a value of one side exceed one of the other: 0.8 is a shift of 1.2 standard deviations of the noise.
    pub separation: f64,
}

impl Default for Sensitivity {
    fn default() -> Sensitivity {
        Sensitivity { error: 0.01, separation: 0.8 }
    }
}

impl Sensitivity {
    fn is_met(&self, split: &Split, significance: f64) -> bool {
        significance <= self.error && split.separation >= self.separation && split.beats_a_slope
    }
}

/// A change of the level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangePoint {
    /// Place of the first value of the new level.
    pub index: usize,
    /// Median from the change point before (or the start) to here.
    pub before: f64,
    /// Median from here to the change point after (or the end).
    pub after: f64,
    /// Chance of any change point as clear as this in a series that never changed.
    pub significance: f64,
}

impl ChangePoint {
    /// Difference of the two levels.
    pub fn size(&self) -> f64 {
        self.after - self.before
    }

    /// The difference as a share of the level before; `None` where that is zero.
    pub fn relative(&self) -> Option<f64> {
        (self.before != 0.0).then(|| self.size() / self.before.abs())
    }
}

/// The change points of a series, in its order. Values that are no finite numbers are left out.
pub fn change_points(series: &[f64], sensitivity: Sensitivity) -> Vec<ChangePoint> {
    let places: Vec<usize> = (0..series.len()).filter(|place| series[*place].is_finite()).collect();
    let values: Vec<f64> = places.iter().map(|place| series[*place]).collect();
    let weight = weight(&values);
    let mut found = search(&values, weight, sensitivity);
    while complete(&values, weight, sensitivity, &mut found) {}
    settle(&values, weight, sensitivity, &mut found);
    let ends = ends(&found, values.len());
    let levels = found.iter().zip(ends.windows(3)).map(|((split, significance), ends)| ChangePoint {
        index: places[*split],
        before: median(&values[ends[0]..*split]),
        after: median(&values[*split..ends[2]]),
        significance: *significance,
    });
    levels.collect()
}

/// A split and its significance.
type Found = (usize, f64);

/// The clearest split first, then those that do not lie across it.
fn search(values: &[f64], weight: f64, sensitivity: Sensitivity) -> Vec<Found> {
    let layers = layers(values.len());
    let mut candidates: Vec<(f64, (usize, usize), usize)> = Vec::new();
    for layer in &layers {
        let choices = layers.len() * layer.iter().map(|(from, to)| to - from + 1 - 2 * SHORTEST).sum::<usize>();
        for (from, to) in layer {
            let Some(split) = best_split(&values[*from..*to]) else { continue };
            let significance = split.p(weight) * choices as f64;
            if sensitivity.is_met(&split, significance) {
                candidates.push((significance, (*from, *to), from + split.place));
            }
        }
    }
    candidates.sort_by(|a, b| a.0.total_cmp(&b.0).then((b.1.1 - b.1.0).cmp(&(a.1.1 - a.1.0))).then(a.1.cmp(&b.1)));
    let mut found: Vec<Found> = Vec::new();
    for (significance, (from, to), place) in candidates {
        if found.iter().all(|(other, _)| *other <= from || *other >= to) {
            found.push((place, significance));
        }
    }
    found.sort_by_key(|(place, _)| *place);
    found
}

/// Looks between the splits that were found, where no interval may have fitted: the other end of a rise that was taken back. Whether it found any.
fn complete(values: &[f64], weight: f64, sensitivity: Sensitivity, found: &mut Vec<Found>) -> bool {
    // As many choices as in the search, where each length of interval has about two for each point.
    let choices = (2 * values.len() * layers(values.len()).len()) as f64;
    let ends = ends(found, values.len());
    let segments = ends.windows(2).filter(|_| !found.is_empty());
    let more: Vec<Found> = segments
        .filter_map(|ends| {
            let split = best_split(&values[ends[0]..ends[1]])?;
            let significance = split.p(weight) * choices;
            sensitivity.is_met(&split, significance).then_some((ends[0] + split.place, significance))
        })
        .collect();
    found.extend(&more);
    found.sort_by_key(|(place, _)| *place);
    !more.is_empty()
}

/// Moves each split to the best place between its neighbours, and drops what is no longer clear there, the weakest first.
fn settle(values: &[f64], weight: f64, sensitivity: Sensitivity, found: &mut Vec<Found>) {
    loop {
        let mut weakest: Option<(f64, usize)> = None;
        for number in 0..found.len() {
            let ends = ends(found, values.len());
            let (from, to) = (ends[number], ends[number + 2]);
            let Some(split) = best_split(&values[from..to]) else { continue };
            found[number].0 = from + split.place;
            let p = split.p(weight) * (to - from) as f64;
            if !sensitivity.is_met(&split, p) && weakest.is_none_or(|(worst, _)| p > worst) {
                weakest = Some((p, number));
            }
        }
        match weakest {
            Some((_, number)) => found.remove(number),
            None => return,
        };
    }
}

/// Start, splits and end.
fn ends(found: &[Found], length: usize) -> Vec<usize> {
    std::iter::once(0).chain(found.iter().map(|(place, _)| *place)).chain([length]).collect()
}

/// Intervals by length, from the whole series to the shortest that has two sides; those of one length overlap by half.
fn layers(length: usize) -> Vec<Vec<(usize, usize)>> {
    let mut layers = Vec::new();
    let mut size = length as f64;
    while size.round() as usize >= 2 * SHORTEST {
        let whole = size.round() as usize;
        let count = (2.0 * length as f64 / size).ceil() as usize - 1;
        let step = if count > 1 { (length - whole) as f64 / (count - 1) as f64 } else { 0.0 };
        layers.push((0..count).map(|number| (number as f64 * step).round() as usize).map(|from| (from, from + whole)).collect());
        size /= SHRINK;
    }
    layers
}

/// The clearest split of an interval.
#[derive(Debug, Clone, Copy)]
struct Split {
    /// Length of the first side.
    place: usize,
    length: usize,
    /// How often a value of the second side exceeds one of the first, times all pairs; ties are half.
    wins: f64,
    /// Standard deviations from what chance gives.
    deviation: f64,
    /// The share of the pairs on the side of the change.
    separation: f64,
    beats_a_slope: bool,
    ties: bool,
}

impl Split {
    /// Two-sided p-value of this split alone; `weight` is what the memory of the noise leaves of a standard deviation.
    fn p(&self, weight: f64) -> f64 {
        let (first, second) = (self.place, self.length - self.place);
        let normal_p = 2.0 * normal::cumulative(-self.deviation.abs() * weight);
        if self.ties || first * second > EXACT_UP_TO || normal_p > 0.05 {
            return normal_p;
        }
        let pairs = (first * second) as f64;
        let exact = super::rank_sum::upper_tail(first, second)[self.wins.max(pairs - self.wins).round() as usize];
        if weight >= 1.0 { 2.0 * exact } else { 2.0 * normal::cumulative(normal::quantile(exact) * weight) }
    }
}

fn best_split(values: &[f64]) -> Option<Split> {
    let length = values.len();
    if length < 2 * SHORTEST {
        return None;
    }
    let (ranks, spread) = ranks(values);
    if spread <= 0.0 {
        return None;
    }
    let n = length as f64;
    let middle = f64::midpoint(n, 1.0);
    let mut below: f64 = ranks[..SHORTEST - 1].iter().map(|rank| middle - rank).sum();
    let mut best: Option<(f64, usize, f64)> = None;
    for place in SHORTEST..=length - SHORTEST {
        below += middle - ranks[place - 1];
        let (first, second) = (place as f64, n - place as f64);
        let deviation = below / (spread * first * second / (n - 1.0)).sqrt();
        if best.is_none_or(|(largest, ..)| deviation.abs() > f64::abs(largest)) {
            best = Some((deviation, place, below));
        }
    }
    let (deviation, place, below) = best?;
    let (first, second) = (place as f64, n - place as f64);
    let pairs = first * second;
    let separation = 0.5 + below.abs() / pairs;
    // The place of a step is chosen and that of a line is not, and it was looked for in many intervals: twice what Schwarz has for a parameter.
    let (all, step) = (n * spread, below * below * n / pairs);
    let beats_a_slope = n * ((all - explained_by_slope(&ranks, middle)) / (all - step).max(1e-9 * all)).max(1e-9).ln() > 2.0 * n.ln();
    let ties = spread < (n * n - 1.0) / 12.0 - 1e-9;
    Some(Split { place, length, wins: below + pairs / 2.0, deviation, separation, beats_a_slope, ties })
}

/// Sum of squares of ranks that a straight line takes away.
fn explained_by_slope(ranks: &[f64], middle: f64) -> f64 {
    let n = ranks.len() as f64;
    let product: f64 = ranks.iter().zip(1..).map(|(rank, place)| (rank - middle) * (f64::from(place) - middle)).sum();
    product * product / (n * (n * n - 1.0) / 12.0)
}

/// Ranks from 1, equal values sharing the middle of theirs, and the variance of the ranks.
fn ranks(values: &[f64]) -> (Vec<f64>, f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = order[start..].iter().take_while(|place| values[**place] <= values[order[start]]).count();
        let rank = start as f64 + f64::midpoint(equal as f64, 1.0);
        order[start..start + equal].iter().for_each(|place| ranks[*place] = rank);
        start += equal;
    }
    let middle = f64::midpoint(values.len() as f64, 1.0);
    let spread = ranks.iter().map(|rank| (rank - middle).powi(2)).sum::<f64>() / values.len().max(1) as f64;
    (ranks, spread)
}

/// What a standard deviation of a rank sum is worth where noise has a memory: `sqrt((1 − ρ) / (1 + ρ))` for the correlation ρ of neighbours.
fn weight(values: &[f64]) -> f64 {
    let memory = memory(values);
    ((1.0 - memory) / (1.0 + memory)).sqrt()
}

/// The correlation of neighbours, from differences: `E(x[t] − x[t−2])² / E(x[t] − x[t−1])² = 1 + ρ` for noise that forgets step by step. The largest
/// quarter of the squares is left out, so that steps and outliers do not count, and the error of the estimate is taken off, so that short
/// series are not said to remember what they only seem to.
fn memory(values: &[f64]) -> f64 {
    let square = |lag: usize| {
        let mut squares: Vec<f64> = values.iter().zip(values.iter().skip(lag)).map(|(a, b)| (b - a).powi(2)).collect();
        squares.sort_by(f64::total_cmp);
        let kept = (0.75 * squares.len() as f64).ceil() as usize;
        squares[..kept].iter().sum::<f64>() / kept.max(1) as f64
    };
    let (near, far) = (square(1), square(2));
    if near <= 0.0 || !near.is_finite() || !far.is_finite() {
        return 0.0;
    }
    let correlation = far / near - 1.0;
    (correlation - 1.0 / (values.len() as f64).sqrt()).clamp(0.0, LARGEST_MEMORY)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    median_of_sorted(&sorted).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::Chance;

    fn noise(chance: &mut Chance, length: usize) -> Vec<f64> {
        (0..length).map(|_| 100.0 + 2.0 * chance.normal()).collect()
    }

    fn indices(series: &[f64]) -> Vec<usize> {
        change_points(series, Sensitivity::default()).iter().map(|point| point.index).collect()
    }

    fn raise(series: &mut [f64], by: f64) {
        for value in series {
            *value += by;
        }
    }

    #[test]
    fn a_step_is_found_where_it_is_with_its_size() {
        let mut series = noise(&mut Chance(1), 100);
        raise(&mut series[60..], 12.0);
        let points = change_points(&series, Sensitivity::default());
        assert_eq!(points.len(), 1, "{points:?}");
        let point = points[0];
        assert!(point.index.abs_diff(60) <= 1 && (point.size() - 12.0).abs() < 1.5 && point.significance < 1e-6, "{point:?}");
        assert!((point.relative().unwrap() - 0.12).abs() < 0.02);
    }

    #[test]
    fn a_rise_that_is_taken_back_is_two_changes() {
        let mut series = noise(&mut Chance(2), 300);
        raise(&mut series[140..165], 15.0);
        let found = indices(&series);
        assert!(found.len() == 2 && found[0].abs_diff(140) <= 1 && found[1].abs_diff(165) <= 1, "{found:?}");
    }

    #[test]
    fn series_that_never_change_have_no_change_points() {
        let mut chance = Chance(3);
        let alarms = (0..300).filter(|number| !indices(&noise(&mut chance, 10 + number % 190)).is_empty()).count();
        assert!(alarms <= 3, "{alarms} of 300");
    }

    #[test]
    fn outliers_slopes_and_more_noise_are_no_change_of_the_level() {
        let mut chance = Chance(4);
        let mut outliers = noise(&mut chance, 120);
        for place in [7, 30, 31, 77, 119] {
            outliers[place] += 400.0;
        }
        let slope: Vec<f64> = noise(&mut chance, 120).iter().enumerate().map(|(place, value)| value + 0.15 * place as f64).collect();
        let louder: Vec<f64> = noise(&mut chance, 120)
            .iter()
            .enumerate()
            .map(|(place, value)| if place < 60 { *value } else { 100.0 + 6.0 * (value - 100.0) })
            .collect();
        for series in [outliers, slope, louder] {
            assert!(indices(&series).is_empty(), "{series:?}");
        }
    }

    #[test]
    fn a_step_between_outliers_is_still_found() {
        let mut series = noise(&mut Chance(5), 80);
        raise(&mut series[40..], 14.0);
        for place in [3, 20, 55, 70] {
            series[place] *= 30.0;
        }
        let found = indices(&series);
        assert!(found.len() == 1 && found[0].abs_diff(40) <= 2, "{found:?}");
    }

    #[test]
    fn a_walk_at_random_is_not_cut_into_pieces() {
        let mut chance = Chance(6);
        let points: usize = (0..40)
            .map(|_| {
                let mut level = 0.0;
                let walk: Vec<f64> = (0..150)
                    .map(|_| {
                        level += chance.normal();
                        level
                    })
                    .collect();
                indices(&walk).len()
            })
            .sum();
        assert!(points <= 20, "{points} in 40 walks");
    }

    #[test]
    fn short_flat_empty_and_broken_series_are_survived() {
        for series in [vec![], vec![1.0], vec![5.0; 200], vec![f64::NAN; 50], [1.0, 2.0].repeat(4)] {
            assert!(indices(&series).is_empty());
        }
        let mut flat = vec![5.0; 40];
        raise(&mut flat[20..], 1.0);
        assert_eq!(indices(&flat), [20], "a step without any noise");
        let mut holes = noise(&mut Chance(7), 60);
        raise(&mut holes[30..], 20.0);
        for place in [2, 29, 45] {
            holes[place] = f64::NAN;
        }
        assert_eq!(indices(&holes), [30], "places are those of the series that was given");
    }

    #[test]
    fn turning_a_series_upside_down_or_scaling_it_moves_no_change_point() {
        let mut series = noise(&mut Chance(8), 150);
        raise(&mut series[50..], 9.0);
        raise(&mut series[110..], -20.0);
        let found = indices(&series);
        assert_eq!(found.len(), 2);
        assert_eq!(indices(&series.iter().map(|value| -value).collect::<Vec<_>>()), found);
        assert_eq!(indices(&series.iter().map(|value| 1e6 * value + 3.0).collect::<Vec<_>>()), found);
    }

    #[test]
    fn a_small_error_asks_for_more() {
        let mut series = noise(&mut Chance(9), 24);
        raise(&mut series[12..], 7.0);
        assert_eq!(indices(&series).len(), 1);
        assert!(change_points(&series, Sensitivity { error: 1e-7, ..Sensitivity::default() }).is_empty());
    }
}
