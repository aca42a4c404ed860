//! Workflow commands that put a finding beside the line of the config that asked for it. GitHub shows at most ten errors and ten warnings
//! of a step and drops the rest without a word, so the rest is counted in a last notice.

use crate::{digest, plain::plain, words};
use shakedown_model::{
    result::{Finding, RunResult, ScenarioResult},
    verdict::Verdict,
};

/// GitHub's limit for each level and step.
const LIMIT: usize = 10;

/// One `::error …` or `::warning …` line for each finding that did not pass and has a line in the config.
pub fn annotations(result: &RunResult) -> Vec<String> {
    let mut shown: [Vec<String>; 2] = [Vec::new(), Vec::new()];
    let mut left_out = 0;
    for (scenario, finding) in digest::not_passed(result) {
        if finding.source.line == 0 || finding.source.file.is_empty() {
            continue;
        }
        let is_error = finding.verdict == Verdict::Fail || result.inconclusive_blocks;
        let level = &mut shown[usize::from(!is_error)];
        if level.len() < LIMIT {
            level.push(line(if is_error { "error" } else { "warning" }, scenario, finding));
        } else {
            left_out += 1;
        }
    }
    let mut lines = shown.concat();
    if left_out > 0 {
        lines.push(format!("::notice title=shakedown::{left_out} more findings are in the report"));
    }
    lines
}

fn line(level: &str, scenario: &ScenarioResult, finding: &Finding) -> String {
    let title = format!("{}: {}", scenario.name, words::topic(finding));
    format!(
        "::{level} file={},line={},title={}::{}",
        property(&finding.source.file),
        finding.source.line,
        property(&title),
        message(&finding.reason)
    )
}

/// Escapes what ends a message (`@actions/core`, `escapeData`).
fn message(text: &str) -> String {
    plain(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes what ends a property (`@actions/core`, `escapeProperty`).
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
