//! All comparisons of a gate decided together.
//!
//! *Fail*: proven worse than what is tolerated, by a one-sided exact test, corrected over every comparison of the gate: by Holm at the last look that a
//! run can have, by Bonferroni before. *Pass*: proven not as bad as what is harmful, at 5 % each (all of them must pass, so no correction is due).
//! Both errors are those of the whole run, of which a look spends its part (`stats::spending`). The rest is inconclusive.
//! A recorded baseline carries an effect of its run that no test sees: there a fail must be proven beyond the harmful size.

use super::{
    Comparison, Measure, Sample,
    measure::{REQUESTS_FOR_ERRORS, Scale},
};
use crate::{
    stats::{
        holm::{bonferroni, holm},
        normal,
        signed_rank::pairs_needed,
        spending::{FIRST_PASS, Look},
    },
    text,
};
use shakedown_model::{event::Phase, experiment::Gate, result::Finding, run::Rounds, verdict::Verdict};

/// Error of a single pass, over all looks of a run.
const PASS_ALPHA: f64 = 0.05;
/// Error of a bound that is shown where it decides nothing.
const SHOWN_ALPHA: f64 = 0.05;
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
    /// Exact lower bound at one-sided error `lower_alpha`; minus infinity: too few blocks for one.
    pub lower: f64,
    /// The error of `lower`: that of a fail, or 5 % where nothing may fail yet.
    pub lower_alpha: f64,
    /// Exact upper bound at one-sided error `upper_alpha`; infinity: too few blocks for one.
    pub upper: f64,
    /// The error of `upper`: that of a pass, or 5 % where nothing may pass yet.
    pub upper_alpha: f64,
    /// The error at which the correction held this comparison; zero: it may not fail yet.
    pub fail_alpha: f64,
    /// The error at which it may pass; zero: it may not pass yet.
    pub pass_alpha: f64,
    /// Smallest shift that it would have proven four times out of five; `None`: none, with so few blocks or at this look.
    pub smallest: Option<f64>,
}

/// Decides samples together: `(sample, tolerated, harmful)` on each sample's own scale, with the errors of `look` for all of them.
pub fn decide_all(samples: &[(&Sample, f64, f64)], look: Look) -> Vec<Decision> {
    let p_values: Vec<f64> =
        samples.iter().map(|(sample, tolerated, harmful)| sample.p_above(threshold(sample, *tolerated, *harmful))).collect();
    let steps = if look.last { holm(&p_values, look.fail) } else { bonferroni(&p_values, look.fail) };
    let decided = samples.iter().zip(steps).map(|((sample, tolerated, harmful), step)| {
        let failed = look.fail > 0.0 && step.rejected;
        let passed = look.pass > 0.0 && sample.p_below(*harmful) <= look.pass;
        let verdict = match (failed, passed) {
            (true, _) => Verdict::Fail,
            (false, true) => Verdict::Pass,
            (false, false) => Verdict::Inconclusive,
        };
        let shown = |alpha: f64| if alpha > 0.0 { alpha } else { SHOWN_ALPHA };
        Decision {
            verdict,
            estimate: sample.estimate().unwrap_or(0.0),
            lower: sample.lower(shown(step.level)),
            lower_alpha: shown(step.level),
            upper: sample.upper(shown(look.pass)),
            upper_alpha: shown(look.pass),
            fail_alpha: step.level,
            pass_alpha: look.pass,
            smallest: smallest(sample, threshold(sample, *tolerated, *harmful), step.level),
        }
    });
    decided.collect()
}

/// What a fail must be proven beyond.
fn threshold(sample: &Sample, tolerated: f64, harmful: f64) -> f64 {
    match sample {
        Sample::Paired(_) => tolerated,
        Sample::Unpaired(_) => harmful,
    }
}

fn smallest(sample: &Sample, threshold: f64, alpha: f64) -> Option<f64> {
    let Sample::Paired(test) = sample else { return None };
    let z = normal::quantile(1.0 - alpha) + POWER;
    let smallest = threshold + z * RANK_LOSS * test.spread() / (test.pairs() as f64).sqrt();
    (alpha > 0.0 && test.pairs() >= pairs_needed(alpha) && smallest.is_finite()).then_some(smallest)
}

/// The findings of all comparisons, in their order, as of the look after `rounds.done` rounds.
pub(crate) fn findings(comparisons: &[Comparison], gate: &Gate, rounds: Rounds) -> Vec<Finding> {
    let look = Look::at(rounds, super::error(gate), PASS_ALPHA);
    let testable: Vec<(&Sample, f64, f64)> = comparisons
        .iter()
        .filter_map(|comparison| {
            let (tolerated, harmful) = comparison.measure.sizes(gate);
            comparison.sample.as_ref().ok().map(|sample| (sample, tolerated, harmful))
        })
        .collect();
    let mut decisions = decide_all(&testable, look).into_iter();
    comparisons
        .iter()
        .map(|comparison| match &comparison.sample {
            Ok(sample) => match decisions.next() {
                Some(decision) => decided(&Decided { comparison, sample, decision, gate, rounds }),
                None => figures(comparison, gate, comparison.place.inconclusive("was not decided, which is a bug in shakedown")),
            },
            Err(why) => figures(comparison, gate, comparison.place.inconclusive(format!("cannot be compared with the baseline: {why}"))),
        })
        .collect()
}

/// A comparison with all that is known of it.
struct Decided<'a> {
    comparison: &'a Comparison,
    sample: &'a Sample,
    decision: Decision,
    gate: &'a Gate,
    rounds: Rounds,
}

fn decided(it: &Decided<'_>) -> Finding {
    let Decided { comparison, sample, decision, gate, rounds } = *it;
    let scale = comparison.measure.scale(comparison.baseline);
    let few = comparison.measure == Measure::Errors && comparison.requests.0.min(comparison.requests.1) < REQUESTS_FOR_ERRORS;
    // Of few requests more failures can be proven, never that there are none.
    let verdict = if few && decision.verdict == Verdict::Pass { Verdict::Inconclusive } else { decision.verdict };
    let reason = Sentence { comparison, sample, decision, gate, rounds, scale, verdict, few }.write();
    let change = scale.relative(decision.estimate);
    let (low, high) = scale.ends(decision.lower, decision.upper);
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
    let measure = comparison.measure;
    let limit = comparison.baseline.map(|baseline| measure.limit(baseline, gate));
    Finding { observed: comparison.observed, baseline: comparison.baseline, limit, unit: measure.unit().to_owned(), ..finding }
}

/// The reason of a finding in words.
struct Sentence<'a> {
    comparison: &'a Comparison,
    sample: &'a Sample,
    decision: Decision,
    gate: &'a Gate,
    rounds: Rounds,
    scale: Scale,
    verdict: Verdict,
    few: bool,
}

impl Sentence<'_> {
    fn write(&self) -> String {
        let phase = match self.comparison.place.phase {
            Some(Phase::Fault) => "under the fault",
            Some(Phase::Recovery) => "after the fault",
            _ => "before the fault",
        };
        format!("{phase}, {}{}; {}", self.what_changed(), self.interval(), self.conclusion())
    }

    fn what_changed(&self) -> String {
        let Comparison { place, measure, observed, baseline, .. } = self.comparison;
        let figures = observed.zip(*baseline);
        if self.same() {
            return measure.sameness(&place.subject, figures);
        }
        measure.change(&place.subject, &self.scale.show(self.decision.estimate), figures)
    }

    /// Every pair was the same on both sides: an interval of zeros says nothing more.
    fn same(&self) -> bool {
        let Decision { estimate, lower, upper, .. } = self.decision;
        [estimate, lower, upper].iter().all(|shift| !shift.is_finite() || shift.abs() < f64::EPSILON)
    }

    fn interval(&self) -> String {
        if self.same() {
            return String::new();
        }
        let Decision { lower, lower_alpha, upper, upper_alpha, .. } = self.decision;
        let show = |shift: f64| self.scale.show(shift);
        let low = lower.is_finite().then(|| format!("at least {} at {} confidence", show(lower), text::confidence(1.0 - lower_alpha)));
        let high = upper.is_finite().then(|| format!("at most {} at {}", show(upper), text::confidence(1.0 - upper_alpha)));
        let ends: Vec<String> = low.into_iter().chain(high).collect();
        if ends.is_empty() { String::new() } else { format!(", {}", ends.join(", ")) }
    }

    fn conclusion(&self) -> String {
        let (tolerated, harmful) = self.comparison.measure.sizes(self.gate);
        let (tolerated, harmful) = (self.scale.show(tolerated), self.scale.show(harmful));
        let Decision { fail_alpha, pass_alpha, .. } = self.decision;
        let paired = matches!(self.sample, Sample::Paired(_));
        let noun = if paired { self.comparison.measure.noun() } else { "block" };
        let blocks = text::count(self.sample.blocks() as u64, noun);
        match self.verdict {
            Verdict::Fail if paired => format!("that is proven worse than the tolerated {tolerated} ({blocks})"),
            Verdict::Fail => format!("that is proven worse than the harmful {harmful}, which a recorded baseline takes ({blocks})"),
            Verdict::Pass => format!("that is proven below the harmful {harmful} ({blocks})"),
            Verdict::Inconclusive if fail_alpha <= 0.0 && pass_alpha <= 0.0 => self.undecided(&blocks),
            Verdict::Inconclusive if self.few => {
                format!("too few requests to exclude {harmful}: it takes {REQUESTS_FOR_ERRORS} of each")
            }
            Verdict::Inconclusive if fail_alpha <= 0.0 => {
                let Rounds { planned, done, .. } = self.rounds;
                format!("not proven below {harmful}; a fail waits for round {planned}, and {done} are over ({blocks}{})", self.shortage())
            }
            Verdict::Inconclusive => format!(
                "neither worse than {} nor below {harmful} is proven ({blocks}{})",
                if paired { &tolerated } else { &harmful },
                self.shortage()
            ),
        }
    }

    /// No answer could have been given yet.
    fn undecided(&self, blocks: &str) -> String {
        let Rounds { planned, done, .. } = self.rounds;
        let over = if done == 1 { "is" } else { "are" };
        format!(
            "not decided: {done} of {planned} rounds {over} over, a comparison takes {FIRST_PASS} to pass and {planned} to fail ({blocks})"
        )
    }

    /// What more it would have taken.
    fn shortage(&self) -> String {
        let Decision { fail_alpha, pass_alpha, smallest, .. } = self.decision;
        let few = |alpha: f64| {
            let needed = pairs_needed(alpha);
            (alpha > 0.0 && matches!(self.sample, Sample::Paired(_)) && self.sample.blocks() < needed).then_some(needed)
        };
        let remedy = self.comparison.measure.remedy();
        match (few(fail_alpha), few(pass_alpha)) {
            (Some(fail), Some(pass)) => format!("; a fail needs {fail} and a pass {pass}: {remedy}"),
            (Some(fail), None) => format!("; a fail needs {fail}: {remedy}"),
            (None, Some(pass)) => format!("; at this look a pass needs {pass}: {remedy}"),
            (None, None) => smallest.map_or_else(String::new, |smallest| {
                format!("; the smallest change it could have proven is about {}", self.scale.show(smallest))
            }),
        }
    }
}
