//! All comparisons of a gate decided together.
//!
//! *Fail*: proven worse than what is tolerated, by a one-sided exact test, Holm-corrected over every comparison of the gate.
//! *Pass*: proven not as bad as what is harmful, at 5 % each (all of them must pass, so no correction is due). The rest is inconclusive.
//! A recorded baseline carries an effect of its run that no test sees: there a fail must be proven beyond the harmful size.

use super::{Comparison, ERRORS_HARMFUL, Measure, REQUESTS_FOR_ERRORS, Sample};
use crate::{
    stats::{holm::holm, normal, signed_rank::pairs_needed},
    text,
};
use shakedown_model::{event::Phase, experiment::Gate, result::Finding, verdict::Verdict};

/// Error of a single pass.
const PASS_ALPHA: f64 = 0.05;
/// Standard normal quantile of the power (80 %) that the smallest detectable change is stated for.
const POWER: f64 = 0.84;
/// Loss of the rank test against the t-test under normal noise, in standard errors.
const RANK_LOSS: f64 = 1.05;

/// What a test says of one sample, on the sample's scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// Hodges–Lehmann estimate.
    pub estimate: f64,
    /// Exact lower bound at one-sided error `fail_alpha`; minus infinity: too few blocks for one.
    pub lower: f64,
    /// Exact upper bound at one-sided error 5 %.
    pub upper: f64,
    /// The error at which Holm's correction held this comparison.
    pub fail_alpha: f64,
    /// Smallest shift that it would have proven four times out of five; `None`: none, with so few blocks.
    pub smallest: Option<f64>,
}

/// Decides samples together: `(sample, tolerated, harmful)` on each sample's own scale, with the error `alpha` for all of them.
pub fn decide_all(samples: &[(&Sample, f64, f64)], alpha: f64) -> Vec<Decision> {
    let threshold = |sample: &Sample, tolerated: f64, harmful: f64| match sample {
        Sample::Paired(_) => tolerated,
        Sample::Unpaired(_) => harmful,
    };
    let p_values: Vec<f64> =
        samples.iter().map(|(sample, tolerated, harmful)| sample.p_above(threshold(sample, *tolerated, *harmful))).collect();
    let steps = holm(&p_values, alpha);
    let decided = samples.iter().zip(steps).map(|((sample, tolerated, harmful), step)| {
        let verdict = match (step.rejected, sample.p_below(*harmful) <= PASS_ALPHA) {
            (true, _) => Verdict::Fail,
            (false, true) => Verdict::Pass,
            (false, false) => Verdict::Inconclusive,
        };
        Decision {
            verdict,
            estimate: sample.estimate().unwrap_or(0.0),
            lower: sample.lower(step.level),
            upper: sample.upper(PASS_ALPHA),
            fail_alpha: step.level,
            smallest: smallest(sample, threshold(sample, *tolerated, *harmful), step.level),
        }
    });
    decided.collect()
}

fn smallest(sample: &Sample, threshold: f64, alpha: f64) -> Option<f64> {
    let Sample::Paired(test) = sample else { return None };
    let z = normal::quantile(1.0 - alpha) + POWER;
    (test.pairs() >= pairs_needed(alpha)).then(|| threshold + z * RANK_LOSS * test.spread() / (test.pairs() as f64).sqrt())
}

/// The findings of all comparisons, in their order.
pub(crate) fn findings(comparisons: &[Comparison], gate: &Gate) -> Vec<Finding> {
    let alpha = (1.0 - gate.confidence.0).clamp(1e-6, 0.5);
    let testable: Vec<(&Sample, f64, f64)> = comparisons
        .iter()
        .filter_map(|comparison| {
            let (tolerated, harmful) = comparison.measure.sizes(gate);
            comparison.sample.as_ref().ok().map(|sample| (sample, tolerated, harmful))
        })
        .collect();
    let mut decisions = decide_all(&testable, alpha).into_iter();
    comparisons
        .iter()
        .map(|comparison| match &comparison.sample {
            Ok(sample) => match decisions.next() {
                Some(decision) => decided(comparison, sample, decision, gate),
                None => figures(comparison, gate, comparison.place.inconclusive("was not decided, which is a bug in shakedown")),
            },
            Err(why) => figures(comparison, gate, comparison.place.inconclusive(format!("cannot be compared with the baseline: {why}"))),
        })
        .collect()
}

fn decided(comparison: &Comparison, sample: &Sample, decision: Decision, gate: &Gate) -> Finding {
    let scale = Scale::of(comparison);
    let few = comparison.measure == Measure::Errors && comparison.requests.0.min(comparison.requests.1) < REQUESTS_FOR_ERRORS;
    let verdict = if few && decision.verdict == Verdict::Pass { Verdict::Inconclusive } else { decision.verdict };
    let reason = Sentence { comparison, sample, decision, gate, scale, verdict, few }.write();
    let change = scale.relative(decision.estimate);
    let (low, high) = scale.ends(decision);
    Finding {
        change,
        ci: low.zip(high).map(|(low, high)| [low, high]),
        smallest_detectable: decision.smallest.and_then(|smallest| scale.relative(smallest)).map(f64::abs),
        samples: sample.blocks() as u64,
        ..figures(comparison, gate, comparison.place.finding(verdict, reason))
    }
}

/// The shown figures, whatever was decided.
fn figures(comparison: &Comparison, gate: &Gate, finding: Finding) -> Finding {
    let limit = comparison.baseline.map(|baseline| match comparison.measure {
        Measure::Tail => baseline * (1.0 + gate.tolerance.0),
        Measure::Errors => (baseline - super::ERRORS_TOLERATED).max(0.0),
    });
    let unit = match comparison.measure {
        Measure::Tail => "s",
        Measure::Errors => "fraction",
    };
    Finding { observed: comparison.observed, baseline: comparison.baseline, limit, unit: unit.to_owned(), ..finding }
}

/// How the sample's scale becomes the relative change of the shown figure.
#[derive(Debug, Clone, Copy)]
enum Scale {
    /// Logarithm of a ratio of latencies.
    LogRatio,
    /// Added share of errors, against this share of successes of the baseline.
    Share { success: f64 },
}

impl Scale {
    fn of(comparison: &Comparison) -> Scale {
        match comparison.measure {
            Measure::Tail => Scale::LogRatio,
            Measure::Errors => Scale::Share { success: comparison.baseline.unwrap_or(0.0) },
        }
    }

    fn relative(self, shift: f64) -> Option<f64> {
        let value = match self {
            Scale::LogRatio => shift.exp_m1(),
            Scale::Share { success } if success > 0.0 => -shift / success,
            Scale::Share { .. } => return None,
        };
        // A sum of zeros may come out as -0, which reads as a loss.
        value.is_finite().then_some(value + 0.0)
    }

    /// The interval of the relative change, lower end first. An end that the blocks are too few for is the end of the scale where there is one.
    fn ends(self, decision: Decision) -> (Option<f64>, Option<f64>) {
        match self {
            Scale::LogRatio => (self.relative(decision.lower), self.relative(decision.upper)),
            Scale::Share { .. } => (self.relative(decision.upper.min(1.0)), self.relative(decision.lower.max(-1.0))),
        }
    }
}

/// The reason of a finding in words.
struct Sentence<'a> {
    comparison: &'a Comparison,
    sample: &'a Sample,
    decision: Decision,
    gate: &'a Gate,
    scale: Scale,
    verdict: Verdict,
    few: bool,
}

impl Sentence<'_> {
    fn write(&self) -> String {
        let phase = match self.comparison.place.phase {
            Some(Phase::Fault) => "under the fault",
            _ => "before the fault",
        };
        format!("{phase}, {}{}; {}", self.what_changed(), self.interval(), self.conclusion())
    }

    fn what_changed(&self) -> String {
        let Decision { estimate, .. } = self.decision;
        match self.comparison.measure {
            Measure::Tail => {
                let figures = match (self.comparison.observed, self.comparison.baseline) {
                    (Some(ours), Some(theirs)) => format!(" (P99 {} vs {})", text::seconds(ours), text::seconds(theirs)),
                    _ => String::new(),
                };
                format!("the slowest requests of {} changed by {}{figures}", self.comparison.place.subject, text::change(estimate.exp_m1()))
            }
            Measure::Errors
                if self.comparison.observed.zip(self.comparison.baseline).is_some_and(|(ours, theirs)| ours.min(theirs) >= 1.0) =>
            {
                format!("no request of {} failed on either side", self.comparison.place.subject)
            }
            Measure::Errors => {
                let figures = match (self.comparison.observed, self.comparison.baseline) {
                    (Some(ours), Some(theirs)) => format!(" (success {} vs {})", text::share(ours), text::share(theirs)),
                    _ => String::new(),
                };
                format!("failed requests of {} changed by {}{figures}", self.comparison.place.subject, text::points(estimate))
            }
        }
    }

    fn interval(&self) -> String {
        let Decision { lower, upper, fail_alpha, .. } = self.decision;
        let show = |shift: f64| match self.scale {
            Scale::LogRatio => text::change(shift.exp_m1()),
            Scale::Share { .. } => text::points(shift),
        };
        let low = lower.is_finite().then(|| format!("at least {} at {} confidence", show(lower), text::confidence(1.0 - fail_alpha)));
        let high = upper.is_finite().then(|| format!("at most {} at 95 %", show(upper)));
        let ends: Vec<String> = low.into_iter().chain(high).collect();
        if ends.is_empty() { String::new() } else { format!(", {}", ends.join(", ")) }
    }

    fn conclusion(&self) -> String {
        let (tolerated, harmful) = match self.comparison.measure {
            Measure::Tail => (text::change(self.gate.tolerance.0), text::change(self.gate.harmful.0)),
            Measure::Errors => (text::points(super::ERRORS_TOLERATED), text::points(ERRORS_HARMFUL)),
        };
        let paired = matches!(self.sample, Sample::Paired(_));
        let blocks =
            if paired { text::count(self.sample.blocks() as u64, "pair-block") } else { text::count(self.sample.blocks() as u64, "block") };
        match self.verdict {
            Verdict::Fail if paired => format!("that is proven worse than the tolerated {tolerated} ({blocks})"),
            Verdict::Fail => format!("that is proven worse than the harmful {harmful}, which a recorded baseline takes ({blocks})"),
            Verdict::Pass => format!("that is proven below the harmful {harmful} ({blocks})"),
            Verdict::Inconclusive if self.few => format!("too few requests to exclude {harmful}: it takes {REQUESTS_FOR_ERRORS} of each"),
            Verdict::Inconclusive => format!(
                "neither worse than {} nor below {harmful} is proven ({blocks}{})",
                if paired { &tolerated } else { &harmful },
                self.shortage()
            ),
        }
    }

    fn shortage(&self) -> String {
        let needed = pairs_needed(self.decision.fail_alpha);
        if matches!(self.sample, Sample::Paired(_)) && self.sample.blocks() < needed {
            return format!("; a fail needs {needed}: make the phase longer");
        }
        let smallest = self.decision.smallest.map(|smallest| match self.scale {
            Scale::LogRatio => text::change(smallest.exp_m1()),
            Scale::Share { .. } => text::points(smallest),
        });
        smallest.map_or_else(String::new, |smallest| format!("; the smallest change it could have proven is about {smallest}"))
    }
}
