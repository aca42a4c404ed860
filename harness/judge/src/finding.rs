//! Making findings. A finding starts as inconclusive; only proof moves it.

use shakedown_model::{
    event::Phase,
    experiment::{Scenario, Source},
    result::Finding,
    verdict::Verdict,
};

/// Where a finding belongs: the parts of its id.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) scenario: String,
    pub(crate) phase: Option<Phase>,
    /// As people read it.
    pub(crate) subject: String,
    pub(crate) check: String,
    pub(crate) source: Source,
}

impl Place {
    pub(crate) fn new(scenario: &Scenario, phase: Option<Phase>, subject: &str, check: &str) -> Place {
        Place {
            scenario: scenario.name.clone(),
            phase,
            subject: subject.to_owned(),
            check: check.to_owned(),
            source: scenario.source.clone(),
        }
    }

    pub(crate) fn at(mut self, source: &Source) -> Place {
        self.source = source.clone();
        self
    }

    /// An inconclusive finding without numbers.
    pub(crate) fn inconclusive(&self, reason: impl Into<String>) -> Finding {
        self.finding(Verdict::Inconclusive, reason)
    }

    /// A finding without numbers.
    pub(crate) fn finding(&self, verdict: Verdict, reason: impl Into<String>) -> Finding {
        Finding {
            id: self.id(),
            check: self.check.clone(),
            subject: self.subject.clone(),
            phase: self.phase,
            verdict,
            observed: None,
            limit: None,
            baseline: None,
            change: None,
            ci: None,
            unit: String::new(),
            smallest_detectable: None,
            samples: 0,
            reason: reason.into(),
            penalty: None,
            advisory: false,
            waived: None,
            round: None,
            episode: None,
            source: self.source.clone(),
        }
    }

    fn id(&self) -> String {
        let phase = self.phase.map_or("all", Phase::word);
        let subject: String = self.subject.replace(" -> ", "->").replace(char::is_whitespace, "-");
        format!("{}/{phase}/{subject}/{}", self.scenario, self.check)
    }
}

/// Pass or fail by whether a limit holds.
pub(crate) fn held(holds: bool) -> Verdict {
    if holds { Verdict::Pass } else { Verdict::Fail }
}

/// Gives the second, third… finding of one id a number, so that ids are unique within a scenario.
pub(crate) fn number_duplicates(findings: &mut [Finding]) {
    for index in 0..findings.len() {
        let earlier = findings[..index].iter().filter(|finding| same_family(&finding.id, &findings[index].id)).count();
        if earlier > 0 {
            let id = format!("{}#{}", findings[index].id, earlier + 1);
            findings[index].id = id;
        }
    }
}

fn same_family(earlier: &str, id: &str) -> bool {
    earlier == id || earlier.strip_prefix(id).is_some_and(|rest| rest.starts_with('#'))
}
