//! Classic E-divisive (Matteson and James 2014): the split with the largest energy statistic over all segments, tested by permutation within segments.

use crate::chance::Chance;

const PERMUTATIONS: usize = 99;
/// Points that a segment needs, as in ours.
const SHORTEST: usize = 5;

/// Change points found one after the other until one is not significant.
pub(crate) fn change_points(values: &[f64], significance: f64, chance: &mut Chance) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    while let Some((statistic, place)) = best(values, &found) {
        let mut shuffled = values.to_vec();
        let as_large = (0..PERMUTATIONS)
            .filter(|_| {
                for (from, to) in segments(&found, values.len()) {
                    shuffle(&mut shuffled[from..to], chance);
                }
                best(&shuffled, &found).is_some_and(|(other, _)| other >= statistic)
            })
            .count();
        if (as_large + 1) as f64 / (PERMUTATIONS + 1) as f64 > significance {
            break;
        }
        found.push(place);
        found.sort_unstable();
    }
    found
}

fn segments(found: &[usize], length: usize) -> Vec<(usize, usize)> {
    let starts = std::iter::once(0).chain(found.iter().copied());
    starts.zip(found.iter().copied().chain([length])).collect()
}

fn best(values: &[f64], found: &[usize]) -> Option<(f64, usize)> {
    let splits = segments(found, values.len()).into_iter().filter_map(|(from, to)| {
        let (statistic, place) = best_split(&values[from..to])?;
        Some((statistic, from + place))
    });
    splits.max_by(|a, b| a.0.total_cmp(&b.0))
}

/// `nm/(n+m) · (2 E|X−Y| − E|X−X'| − E|Y−Y'|)` at its largest, the sums carried along from split to split.
fn best_split(values: &[f64]) -> Option<(f64, usize)> {
    let length = values.len();
    let distance = |place: usize, to: &[f64]| to.iter().map(|other| (values[place] - other).abs()).sum::<f64>();
    let (mut within_first, mut between) = (0.0, 0.0);
    let mut within_second: f64 = (0..length).map(|place| distance(place, &values[place + 1..])).sum();
    let mut best: Option<(f64, usize)> = None;
    for place in 1..length {
        let moved = place - 1;
        let (to_first, to_second) = (distance(moved, &values[..moved]), distance(moved, &values[place..]));
        within_first += to_first;
        within_second -= to_second;
        between += to_second - to_first;
        if place < SHORTEST || length - place < SHORTEST {
            continue;
        }
        let (n, m) = (place as f64, (length - place) as f64);
        let pairs = |size: f64| size * (size - 1.0) / 2.0;
        let energy = 2.0 * between / (n * m) - within_first / pairs(n) - within_second / pairs(m);
        let statistic = n * m / (n + m) * energy;
        if best.is_none_or(|(largest, _)| statistic > largest) {
            best = Some((statistic, place));
        }
    }
    best
}

fn shuffle(values: &mut [f64], chance: &mut Chance) {
    for last in (1..values.len()).rev() {
        values.swap(last, (chance.share() * (last + 1) as f64) as usize);
    }
}
