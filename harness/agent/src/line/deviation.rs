//! How far from its mean a delay lies, in jitters: a standard normal number in, the same quantile of a distribution out.
//! So whatever relates the normal numbers relates the delays, and no distribution loses its shape by it.
//!
//! *Pareto* and *paretonormal* are those of netem's tables (iproute2, `netem/pareto.c` and `netem/paretonormal.c`, after
//! NIST Net): Pareto's distribution with exponent 3, cut where netem's 16-bit table ends, at 4.5 times its least value;
//! and a quarter of the normal one's quantile plus three quarters of Pareto's. Ours come from the formulas and not from
//! the tables, and are scaled so that the mean is `delay` and the standard deviation `jitter`. The tables are not: the cut
//! takes 3 % of the jitter off their mean, and their standard deviations are 0.82 and 0.84 jitters.

use crate::wire::Distribution;

/// Where the tail ends, of a distribution that begins at 1.
const CUT: f64 = 4.5;
/// Mean and standard deviation of `min(X, CUT)`, P(X > x) = x^-3: its moments are 3/2 - 1/(2 CUT^2) and 3 - 2/CUT.
const PARETO_MEAN: f64 = 1.5 - 0.5 / (CUT * CUT);
const PARETO_WIDTH: f64 = 0.615_646;
/// Standard deviation of a normal number plus three times Pareto's, both of deviation 1 and cut: integrated numerically.
const PARETONORMAL_WIDTH: f64 = 3.870_689;
/// A normal number does not pass this there, as in netem's tables, so that the whole has an end on either side.
const NORMAL_CUT: f64 = 4.0;

/// The quantile of `distribution` at which `normal` lies in the normal one.
pub(super) fn deviation(distribution: Distribution, normal: f64) -> f64 {
    match distribution {
        Distribution::Uniform => 2.0 * share_below(normal) - 1.0,
        Distribution::Normal => normal,
        Distribution::Pareto => pareto(normal),
        Distribution::Paretonormal => (normal.clamp(-NORMAL_CUT, NORMAL_CUT) + 3.0 * pareto(normal)) / PARETONORMAL_WIDTH,
    }
}

/// How many numbers [`table`] has: as many as iproute2's.
const TABLE: u32 = 4_096;

/// A distribution as netem takes it: numbers of which each is as likely as any other, in `scale` parts of a jitter.
pub(crate) fn table(distribution: Distribution, scale: f64) -> Vec<i16> {
    let middles = (0..TABLE).map(|n| (f64::from(n) + 0.5) / f64::from(TABLE));
    middles.map(|share| (deviation(distribution, normal_with_below(share)) * scale).round() as i16).collect()
}

/// The number below which this share of the normal distribution lies, by halving.
fn normal_with_below(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if share_below(middle) < share { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// More jitters than lie between the least and the greatest deviation (for the normal distribution, which has neither:
/// between the usual ones).
pub(super) fn breadth(distribution: Distribution) -> u64 {
    match distribution {
        Distribution::Uniform | Distribution::Normal => 2,
        Distribution::Pareto => 6,
        Distribution::Paretonormal => 7,
    }
}

fn pareto(normal: f64) -> f64 {
    let share_above = share_below(-normal).max(CUT.powi(-3));
    (share_above.powf(-1.0 / 3.0) - PARETO_MEAN) / PARETO_WIDTH
}

/// The normal distribution function, to within 7.5e-8: Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.2.17.
fn share_below(normal: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * normal.abs());
    let polynomial = t * (0.319_381_530 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let density = (-normal * normal / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let beyond = density * polynomial;
    if normal < 0.0 { beyond } else { 1.0 - beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Distribution; 4] = [Distribution::Uniform, Distribution::Normal, Distribution::Pareto, Distribution::Paretonormal];

    /// Mean and standard deviation, by integrating over the normal distribution.
    fn moments(distribution: Distribution) -> (f64, f64) {
        const STEP: f64 = 0.001;
        let weighed = |n: i32| {
            let normal = f64::from(n) * STEP;
            (deviation(distribution, normal), (-normal * normal / 2.0).exp() / std::f64::consts::TAU.sqrt() * STEP)
        };
        let mean: f64 = (-8_000..8_000).map(weighed).map(|(x, weight)| x * weight).sum();
        let square: f64 = (-8_000..8_000).map(weighed).map(|(x, weight)| x * x * weight).sum();
        (mean, (square - mean * mean).sqrt())
    }

    #[test]
    fn each_has_mean_0_and_the_width_it_promises() {
        for distribution in ALL {
            let (mean, width) = moments(distribution);
            let asked = if distribution == Distribution::Uniform { 1.0 / 3_f64.sqrt() } else { 1.0 };
            assert!(mean.abs() < 1e-4 && (width / asked - 1.0).abs() < 1e-4, "{distribution:?}: {mean} {width}");
        }
    }

    #[test]
    fn the_tails_end_where_they_should() {
        let ends = |distribution| [-40.0, 40.0].map(|normal| (deviation(distribution, normal) * 100.0).round() as i64);
        assert_eq!(ends(Distribution::Uniform), [-100, 100]);
        assert_eq!(ends(Distribution::Pareto), [-77, 491]);
        assert_eq!(ends(Distribution::Paretonormal), [-163, 484]);
        for distribution in [Distribution::Uniform, Distribution::Pareto, Distribution::Paretonormal] {
            let [least, greatest] = ends(distribution);
            assert!(greatest - least <= 100 * breadth(distribution).cast_signed(), "{distribution:?}");
        }
    }

    #[test]
    fn a_greater_number_is_never_a_lesser_delay() {
        for distribution in ALL {
            let row: Vec<f64> = (-600..600).map(|n| deviation(distribution, f64::from(n) / 100.0)).collect();
            assert!(row.is_sorted_by(|one, next| *next >= one - 1e-6), "{distribution:?}");
        }
    }

    #[test]
    fn a_table_has_the_mean_and_the_width_and_fits_where_netem_keeps_it() {
        const SCALE: f64 = 4_096.0;
        for distribution in ALL {
            let row = table(distribution, SCALE);
            let mean = row.iter().map(|it| f64::from(*it)).sum::<f64>() / f64::from(TABLE) / SCALE;
            let square = row.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>() / f64::from(TABLE) / SCALE.powi(2);
            let asked = if distribution == Distribution::Uniform { 1.0 / 3_f64.sqrt() } else { 1.0 };
            assert!(mean.abs() < 2e-3 && (square.sqrt() / asked - 1.0).abs() < 5e-3, "{distribution:?}: {mean} {}", square.sqrt());
            assert!(row.is_sorted() && row.iter().all(|it| it.unsigned_abs() < 0x7fff), "{distribution:?}");
        }
    }

    #[test]
    fn known_quantiles_are_met() {
        for (normal, share) in [(0.0, 0.5), (1.0, 0.841_344_746), (-1.959_963_985, 0.025), (3.0, 0.998_650_102)] {
            assert!((share_below(normal) - share).abs() < 1e-7, "{normal}");
        }
        // Half of Pareto's values are below the cube root of 2.
        assert!((deviation(Distribution::Pareto, 0.0) - (2_f64.cbrt() - PARETO_MEAN) / PARETO_WIDTH).abs() < 1e-6);
    }
}
