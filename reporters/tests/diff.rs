//! Two runs side by side, as text and as a page.

mod common;

use common::{render, sample};
use shakedown_model::{result::RunResult, verdict::Verdict};
use shakedown_reporters::{Json, RunDiff, Step};

/// The sample with all that failed mended and one more scenario.
fn mended() -> RunResult {
    let mut result = sample();
    result.verdict = Verdict::Pass;
    result.headline = "PASS — 4 scenarios; nothing got worse by 30 % or more".to_owned();
    result.run.id = "20251122-090000-5a3d0e2".to_owned();
    for finding in result.scenarios.iter_mut().flat_map(|scenario| &mut scenario.findings) {
        if finding.verdict == Verdict::Fail {
            finding.verdict = Verdict::Pass;
            finding.observed = finding.baseline.or(finding.observed);
        }
    }
    for scenario in &mut result.scenarios {
        scenario.verdict = Verdict::merge(scenario.findings.iter().map(|finding| finding.verdict));
        scenario.culprits.clear();
    }
    let mut added = result.scenarios[0].clone();
    added.name = "slow-search".to_owned();
    result.scenarios.push(added);
    result
}

#[test]
fn two_runs_print_as_they_always_did() {
    insta::assert_snapshot!("diff", RunDiff::of(&sample(), &mended()).text());
}

#[test]
fn a_run_beside_itself_changed_nothing() {
    let diff = RunDiff::of(&sample(), &sample());
    let steps = diff.scenarios.iter().flat_map(|scenario| &scenario.rows).map(|row| row.step);
    assert!(steps.clone().all(|step| matches!(step, Step::Same | Step::StillFails)) && steps.count() > 10);
    assert!(diff.cautions.is_empty(), "{:?}", diff.cautions);
}

#[test]
fn what_breaks_stands_first_whichever_run_comes_first() {
    let broke = RunDiff::of(&mended(), &sample());
    assert_eq!(broke.scenarios[0].step(), Step::Broke);
    assert_eq!(broke.scenarios[0].rows[0].step, Step::Broke);
    assert!(broke.scenarios.iter().any(|scenario| scenario.name == "slow-search" && scenario.b.is_none()));
    let fixed = RunDiff::of(&sample(), &mended());
    assert!(fixed.scenarios.iter().any(|scenario| scenario.step() == Step::Fixed));
}

#[test]
fn other_machines_seeds_and_runtimes_are_cautioned_against() {
    let mut other = mended();
    other.run.machine.cores += 2;
    other.seed += 1;
    let cautions = RunDiff::of(&sample(), &other).cautions.join("\n");
    assert!(cautions.contains("machines of different kinds") && cautions.contains("seeds differ"), "{cautions}");
}

#[test]
fn lines_fit_a_terminal_and_hostile_names_stay_names() {
    let mut hostile = mended();
    hostile.scenarios[0].name = format!("<script>alert(1)</script>\u{1b}[31m{}", "x".repeat(300));
    hostile.commit.candidate_subject = Some("</style><img src=http://example.org/x>\u{202e}".to_owned());
    hostile.scenarios[0].findings[0].subject = "a\nb".to_owned();
    let diff = RunDiff::of(&sample(), &hostile);
    let text = diff.text();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\u{1b}'));
    let page = diff.html().unwrap();
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'), "{page}");
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = RunDiff::of(&sample(), &mended()).html().unwrap();
    assert!(page.contains("default-src 'none'") && page.contains("slow-search"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url("));
}

#[test]
fn a_result_that_was_read_back_differs_in_nothing() {
    let read: RunResult = serde_json::from_str(&render(&Json, &mended())).unwrap();
    assert_eq!(RunDiff::of(&mended(), &read).text(), RunDiff::of(&mended(), &mended()).text());
}
