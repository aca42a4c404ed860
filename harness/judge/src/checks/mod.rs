//! One check, one file. A check reads the evidence of one scenario, all its plays, and says what it found; it never decides the run.
//!
//! A check that crashes is inconclusive: a bug of ours is no proof of anything.

pub(crate) mod baseline_dose;
mod crash;
mod dose;
mod environment;
mod generator;
mod load;
mod logs;
pub(crate) mod margin;
mod probes;
pub(crate) mod recovery;
mod retries;
mod sources;
mod steady;

pub(crate) use generator::distrust;
pub(crate) use logs::offending;

use crate::{finding::Place, plays::Plays};
use shakedown_model::{result::Finding, verdict::Verdict};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One kind of expectation.
pub(crate) trait Check {
    /// Short name, for the finding of a crash.
    fn name(&self) -> &'static str;
    /// Whether its findings rest on the load generator having kept its schedule.
    fn rests_on_load(&self) -> bool {
        false
    }
    /// What it found, in all plays together.
    fn judge(&self, plays: &Plays<'_>) -> Vec<Finding>;
}

/// The checks that come before the comparisons with the baseline, in the order of the report.
pub(crate) fn before_comparison() -> Vec<Box<dyn Check>> {
    vec![
        Box::new(environment::Environment),
        Box::new(generator::Generator),
        Box::new(steady::Steady),
        Box::new(dose::DoseCheck),
        Box::new(load::LoadCheck),
        Box::new(probes::Probes),
        Box::new(retries::Retries),
    ]
}

/// The checks that come after them.
pub(crate) fn after_comparison() -> Vec<Box<dyn Check>> {
    vec![Box::new(recovery::Recovery), Box::new(logs::Logs), Box::new(crash::Crash)]
}

/// The checks of a scenario whose dose is searched. What holds at one dose and not at another is what the search is for, so that limits, doses and
/// the generator are asked of each play while it searches.
pub(crate) fn of_search() -> Vec<Box<dyn Check>> {
    vec![Box::new(environment::Environment), Box::new(margin::Margin), Box::new(logs::Logs), Box::new(crash::Crash)]
}

/// Runs checks one by one; one that crashes becomes an inconclusive finding.
pub(crate) fn run_all(checks: &[Box<dyn Check>], plays: &Plays<'_>) -> Vec<Finding> {
    checks.iter().flat_map(|check| run(check.as_ref(), plays)).collect()
}

fn run(check: &dyn Check, plays: &Plays<'_>) -> Vec<Finding> {
    let judged = guarded(|| check.judge(plays));
    let mut findings = judged.unwrap_or_else(|crash| {
        let place = Place::new(plays.scenario, None, "shakedown", check.name());
        vec![place.inconclusive(format!("the check {} crashed ({crash}), which is a bug in shakedown: please report it", check.name()))]
    });
    if check.rests_on_load() {
        for finding in &mut findings {
            distrust_load(finding, plays);
        }
    }
    findings
}

/// A verdict that rests on a load that was not what it should have been is none.
pub(crate) fn distrust_load(finding: &mut Finding, plays: &Plays<'_>) {
    if let (Some(why), Verdict::Pass | Verdict::Fail) = (&plays.load_distrust, finding.verdict) {
        finding.reason = format!("cannot be trusted, because {why}; seen: {}", finding.reason);
        finding.verdict = Verdict::Inconclusive;
    }
}

/// Runs `work`; a panic becomes its message.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{common, index::Index};

    struct Crashing;

    impl Check for Crashing {
        fn name(&self) -> &'static str {
            "crashing"
        }

        fn judge(&self, plays: &Plays<'_>) -> Vec<Finding> {
            assert!(plays.views[0].candidate.requests.is_empty(), "requests were found");
            Vec::new()
        }
    }

    #[test]
    fn a_check_that_crashes_is_inconclusive_and_the_others_are_heard() {
        let evidence = common::evidence(&[common::Story::slow_payment("slow-payment")]);
        let (ours, theirs) = (Index::of(&evidence.candidate), Index::default());
        let plays = Plays::of(&evidence, &evidence.experiment.scenarios[0], &ours, &theirs);
        let checks: Vec<Box<dyn Check>> = vec![Box::new(Crashing), Box::new(dose::DoseCheck)];
        let findings = run_all(&checks, &plays);
        assert_eq!(findings.iter().map(|finding| finding.verdict).collect::<Vec<_>>(), [Verdict::Inconclusive, Verdict::Pass]);
        assert!(findings[0].reason.contains("requests were found"), "{}", findings[0].reason);
    }
}
