//! Workflow commands that put a finding beside the line of the config that asked for it. GitHub shows at most ten errors and ten warnings
//! of a step and drops the rest without a word, so the rest is counted in a last notice.

use crate::{
    digest,
    plain::{cut, plain},
    words,
};
use shakedown_model::{
    result::{Finding, RunResult, ScenarioResult},
    verdict::Verdict,
};

/// GitHub's limit for each level and step.
const LIMIT: usize = 10;
/// Characters of a title; GitHub takes 255.
const TITLE: usize = 200;
/// Characters of a message: nobody reads more beside a line of code.
const MESSAGE: usize = 2_000;

/// One `::error …` or `::warning …` line for each finding that did not pass and has a line in the config. `folder` is where the experiment lies
/// in the repository; empty: at its top.
pub fn annotations(result: &RunResult, folder: &str) -> Vec<String> {
    let mut shown: [Vec<String>; 2] = [Vec::new(), Vec::new()];
    let mut left_out = 0;
    for (scenario, finding) in digest::not_passed(result) {
        if finding.source.line == 0 || finding.source.file.is_empty() {
            continue;
        }
        let is_error = finding.verdict == Verdict::Fail || result.inconclusive_blocks;
        let level = &mut shown[usize::from(!is_error)];
        if level.len() < LIMIT {
            level.push(line(if is_error { "error" } else { "warning" }, folder, scenario, finding));
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

fn line(level: &str, folder: &str, scenario: &ScenarioResult, finding: &Finding) -> String {
    let title = cut(&format!("{}: {}", scenario.name, words::topic(finding)), TITLE);
    let file = match folder.trim_end_matches('/') {
        "" => finding.source.file.clone(),
        folder => format!("{folder}/{}", finding.source.file),
    };
    format!(
        "::{level} file={},line={},title={}::{}",
        property(&file),
        finding.source.line,
        property(&title),
        message(&cut(&finding.reason, MESSAGE))
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
