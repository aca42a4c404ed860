//! What an experiment showed, to assert on.

use shakedown_model::{
    result::{Culprit, Finding, RunResult, ScenarioResult},
    verdict::Verdict,
};
use std::fmt::Write as _;

/// A verdict with everything that it rests on.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// `result.json`.
    pub result: RunResult,
}

impl Outcome {
    /// Of the whole run.
    pub fn verdict(&self) -> Verdict {
        self.result.verdict
    }

    /// Panics, with what is wrong in sentences, unless everything was exercised and proven.
    #[track_caller]
    pub fn assert_pass(&self) {
        assert!(self.verdict() == Verdict::Pass, "{}", self.story());
    }

    /// Panics, with what is wrong in sentences, where an expectation broke or the change made it worse. What cannot tell is let through.
    #[track_caller]
    pub fn assert_no_fail(&self) {
        assert!(self.verdict() != Verdict::Fail, "{}", self.story());
    }

    /// A scenario by its name.
    pub fn scenario(&self, name: &str) -> Option<&ScenarioResult> {
        self.result.scenarios.iter().find(|scenario| scenario.name == name)
    }

    /// The first finding of a check (`p99`, `success`, `recovery`, `dose`, …) in a scenario, worst first.
    pub fn finding(&self, scenario: &str, check: &str) -> Option<&Finding> {
        let findings = self.scenario(scenario)?.findings.iter().filter(|finding| finding.check == check);
        findings.min_by_key(|finding| std::cmp::Reverse(finding.verdict))
    }

    /// Who is blamed in a scenario; `None`: nobody.
    pub fn culprit(&self, scenario: &str) -> Option<&Culprit> {
        self.scenario(scenario)?.culprits.first()
    }

    /// The verdict, what did not pass, who is blamed, and how to run it again.
    pub fn story(&self) -> String {
        let mut story = self.result.headline.clone();
        for scenario in self.result.scenarios.iter().filter(|scenario| scenario.verdict != Verdict::Pass) {
            let _ = write!(story, "\n{}: {}", scenario.name, scenario.headline);
            let open = scenario.findings.iter().filter(|finding| finding.verdict != Verdict::Pass && !finding.advisory);
            for finding in open {
                let _ = write!(story, "\n  {}: {}", finding.id, finding.reason);
            }
            if let Some(culprit) = scenario.culprits.first() {
                let _ = write!(story, "\n  culprit: {} / {}", culprit.service, culprit.operation);
            }
        }
        let _ = write!(story, "\nagain: {}", self.result.run.rerun);
        story
    }
}
