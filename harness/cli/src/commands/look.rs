//! The look between two rounds: the evidence so far is read and judged as `shakedown judge` would, and tells whether another round is of use.

use shakedown_model::{
    result::{Finding, RunResult},
    run::{Rounds, RunMeta},
    verdict::Verdict,
};
use shakedown_run::{Look, Looker};
use std::path::{Path, PathBuf};

/// With fewer rounds nothing passes early: one pair of instances may both have been lucky.
const ROUNDS_TO_PASS: u32 = 2;

/// Looks at the run in `directory`.
pub(crate) fn looker(directory: PathBuf) -> Looker {
    Box::new(move |meta| {
        let (directory, meta) = (directory.clone(), meta.clone());
        Box::pin(async move {
            let looking = tokio::task::spawn_blocking(move || look(&directory, meta));
            looking.await.unwrap_or_else(|panic| Err(format!("the judge crashed, which is a bug in shakedown: {panic}")))
        })
    })
}

fn look(directory: &Path, meta: RunMeta) -> Result<Look, String> {
    let mut evidence = shakedown_evidence::read(directory, None).map_err(|error| error.to_string())?;
    let rounds = meta.rounds;
    // A run that is still on is not unclean.
    evidence.run = RunMeta { clean: meta.left.is_empty(), ..meta };
    Ok(decide(&shakedown_judge::judge(&evidence), rounds))
}

fn decide(result: &RunResult, rounds: Rounds) -> Look {
    let findings: Vec<&Finding> = result
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.findings)
        .filter(|finding| !finding.advisory && finding.waived.is_none())
        .collect();
    answer(result.verdict, &findings, rounds)
}

/// A limit that is broken cannot become whole again. A comparison fails only after the planned rounds: before them the luck of an instance is not
/// averaged out.
fn answer(verdict: Verdict, findings: &[&Finding], Rounds { planned, most, done }: Rounds) -> Look {
    let failed = |finding: &&&Finding| finding.verdict == Verdict::Fail;
    if let Some(broken) = findings.iter().find(|finding| failed(finding) && !is_comparison(finding)) {
        return Look::Enough(format!("{} is broken, which no further round makes whole", broken.id));
    }
    if done >= planned
        && let Some(worse) = findings.iter().find(failed)
    {
        return Look::Enough(format!("{} is proven worse", worse.id));
    }
    let to_pass = ROUNDS_TO_PASS.min(most);
    if done >= to_pass && verdict == Verdict::Pass {
        return Look::Enough("everything has passed".to_owned());
    }
    let needed = planned.max(to_pass);
    if done < needed {
        return Look::GoOn(format!("{done} of {needed} rounds are played"));
    }
    let open: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Inconclusive && needs_more(finding))
        .map(|finding| finding.id.as_str())
        .collect();
    match open.first() {
        Some(first) => Look::GoOn(format!("{} of the findings need more evidence, first {first}", open.len())),
        None => Look::Enough("what is inconclusive stays so with more rounds".to_owned()),
    }
}

/// Margins are compared, too, but all that is ever known of them is known after the first round.
fn is_comparison(finding: &Finding) -> bool {
    finding.check.ends_with("-vs-baseline") && finding.check != "margin-vs-baseline"
}

/// More requests may settle it. What is judged play by play keeps its worst answer.
fn needs_more(finding: &Finding) -> bool {
    let on_load = ["success", "p50", "p90", "p95", "p99", "p999", "max"];
    is_comparison(finding) || on_load.contains(&finding.check.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::experiment::Source;

    fn finding(check: &str, verdict: Verdict) -> Finding {
        Finding {
            id: format!("s/fault/checkout/{check}"),
            check: check.to_owned(),
            subject: "checkout".to_owned(),
            phase: None,
            verdict,
            observed: None,
            limit: None,
            baseline: None,
            change: None,
            ci: None,
            unit: String::new(),
            smallest_detectable: None,
            samples: 0,
            penalty: None,
            advisory: false,
            waived: None,
            round: None,
            episode: None,
            reason: String::new(),
            source: Source::default(),
        }
    }

    fn answer_to(check: &str, verdict: Verdict, planned: u32, most: u32, done: u32) -> Result<String, String> {
        let (finding, passed) = (finding(check, verdict), finding("recovery", Verdict::Pass));
        match answer(verdict, &[&passed, &finding], Rounds { planned, most, done }) {
            Look::Enough(reason) => Ok(reason),
            Look::GoOn(reason) => Err(reason),
        }
    }

    #[test]
    fn a_broken_limit_ends_the_run_after_any_round() {
        assert!(answer_to("p99", Verdict::Fail, 4, 4, 1).unwrap().contains("s/fault/checkout/p99"));
        assert!(answer_to("crash", Verdict::Fail, 4, 8, 5).is_ok());
        assert!(answer_to("margin-vs-baseline", Verdict::Fail, 4, 8, 1).is_ok(), "a search is over after the first round");
        assert!(answer_to("margin-vs-baseline", Verdict::Inconclusive, 4, 8, 4).unwrap().contains("stays so"));
    }

    #[test]
    fn a_comparison_fails_after_the_planned_rounds_and_not_before() {
        assert_eq!(answer_to("p99-vs-baseline", Verdict::Fail, 4, 8, 3).unwrap_err(), "3 of 4 rounds are played");
        assert!(answer_to("p99-vs-baseline", Verdict::Fail, 4, 8, 4).unwrap().contains("proven worse"));
    }

    #[test]
    fn a_pass_comes_from_the_second_round_on_and_with_the_first_only_where_there_is_one() {
        assert!(answer_to("p99", Verdict::Pass, 4, 4, 1).is_err());
        assert!(answer_to("p99", Verdict::Pass, 4, 4, 2).unwrap().contains("everything"));
        assert!(answer_to("p99", Verdict::Pass, 1, 2, 1).is_err());
    }

    #[test]
    fn beyond_the_planned_rounds_the_run_goes_on_for_what_more_requests_can_settle() {
        assert!(answer_to("success-vs-baseline", Verdict::Inconclusive, 4, 8, 4).unwrap_err().contains("need more evidence"));
        assert!(answer_to("p999", Verdict::Inconclusive, 4, 8, 5).is_err());
        assert!(answer_to("dose", Verdict::Inconclusive, 4, 8, 4).unwrap().contains("stays so"));
        assert!(answer_to("dose", Verdict::Inconclusive, 4, 8, 3).is_err(), "what is planned is played");
    }
}
