//! What changed since the baseline: expectations that it kept and the candidate breaks, the other way round, and those that both break.

use crate::{digest, plain::one_line, words};
use serde::Serialize;
use shakedown_model::{
    result::{Finding, RunResult},
    verdict::Verdict,
};

/// More lines than this are a list, not an overview.
const LINES: usize = 12;

/// What became of an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    New,
    Fixed,
    Still,
}

/// One kind of step, and what took it.
#[derive(Debug, Serialize)]
pub(super) struct SinceView {
    name: &'static str,
    verdict: &'static str,
    count: usize,
    lines: Vec<LineView>,
    more: usize,
}

#[derive(Debug, Serialize)]
struct LineView {
    scenario: String,
    topic: String,
    figures: String,
    href: String,
}

/// New, fixed and still failing; `None`: there is no baseline to compare with. `anchors` are those of the scenarios in the order of the page.
pub(super) fn since(result: &RunResult, anchors: &[String]) -> Option<Vec<SinceView>> {
    result.commit.baseline.as_ref()?;
    let kinds = [(Step::New, "new", "fail"), (Step::Still, "still failing", "inconclusive"), (Step::Fixed, "fixed", "pass")];
    let views = kinds.map(|(wanted, name, verdict)| {
        let mut lines: Vec<LineView> = digest::scenarios(result)
            .into_iter()
            .zip(anchors)
            .flat_map(|(scenario, anchor)| {
                let findings = digest::findings(scenario).into_iter().enumerate();
                findings.filter(|(_, finding)| step(finding) == Some(wanted)).map(move |(index, finding)| LineView {
                    scenario: one_line(&scenario.name, 80),
                    topic: words::topic(finding).replace("->", "→"),
                    figures: figures(finding),
                    href: format!("{anchor}-f{}", index + 1),
                })
            })
            .collect();
        let count = lines.len();
        lines.truncate(LINES);
        SinceView { name, verdict, count, more: count - lines.len(), lines }
    });
    Some(views.into())
}

fn figures(finding: &Finding) -> String {
    let of = |value| words::optional(value, &finding.unit);
    format!("{} → {}", of(finding.baseline), of(finding.observed))
}

/// `None` where it held before and holds, or where one side is not known.
fn step(finding: &Finding) -> Option<Step> {
    // A dose is the fault's, not the candidate's.
    if finding.advisory || finding.check == "dose" {
        return None;
    }
    // A comparison fails because the candidate is worse than the baseline.
    if finding.check.ends_with("-vs-baseline") {
        return (finding.verdict == Verdict::Fail).then_some(Step::New);
    }
    let (limit, baseline) = (finding.limit?, finding.baseline?);
    let baseline_holds = match words::limit(finding).chars().next()? {
        '≥' => baseline >= limit,
        '≤' => baseline <= limit,
        _ => return None,
    };
    match (baseline_holds, finding.verdict) {
        (true, Verdict::Fail) => Some(Step::New),
        (false, Verdict::Fail) => Some(Step::Still),
        (false, Verdict::Pass) => Some(Step::Fixed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(check: &str, verdict: Verdict, limit: f64, baseline: Option<f64>) -> Finding {
        let sample: RunResult = serde_json::from_str(include_str!("../../tests/data/sample-result.json")).unwrap();
        let any = sample.scenarios[0].findings[0].clone();
        Finding { check: check.to_owned(), verdict, limit: Some(limit), baseline, advisory: false, ..any }
    }

    #[test]
    fn what_the_baseline_kept_is_new_and_what_it_broke_is_still_failing_or_fixed() {
        let cases = [
            ("success", Verdict::Fail, 0.99, Some(1.0), Some(Step::New)),
            ("success", Verdict::Fail, 0.99, Some(0.9), Some(Step::Still)),
            ("p99", Verdict::Pass, 0.25, Some(0.9), Some(Step::Fixed)),
            ("p99", Verdict::Pass, 0.25, Some(0.2), None),
            ("p99", Verdict::Inconclusive, 0.25, Some(0.9), None),
            ("p99", Verdict::Fail, 0.25, None, None),
            ("p99-vs-baseline", Verdict::Fail, 0.25, Some(0.2), Some(Step::New)),
            ("p99-vs-baseline", Verdict::Pass, 0.25, Some(0.9), None),
        ];
        for (check, verdict, limit, baseline, expected) in cases {
            assert_eq!(step(&finding(check, verdict, limit, baseline)), expected, "{check} {verdict:?} {baseline:?}");
        }
    }
}
