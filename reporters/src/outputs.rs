//! What scripts ask for, as `name=value` lines: GitHub's step outputs, GitLab's dotenv reports, the environment of a shell script.

use crate::{ReportError, Reporter, plain::one_line};
use shakedown_model::{
    result::{Finding, RunResult},
    verdict::Verdict,
};
use std::io;

/// Prints `outputs.env`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outputs;

impl Reporter for Outputs {
    fn file_name(&self) -> &'static str {
        "outputs.env"
    }

    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let count = |wanted: &dyn Fn(&Finding) -> bool| {
            result.scenarios.iter().flat_map(|scenario| &scenario.findings).filter(|finding| wanted(finding)).count()
        };
        let failed = |finding: &Finding| finding.weight() == Some(Verdict::Fail);
        writeln!(out, "verdict={}", result.verdict.word())?;
        writeln!(out, "exit_code={}", result.exit_code)?;
        writeln!(out, "failures={}", count(&failed))?;
        writeln!(out, "regressions={}", count(&|finding| failed(finding) && finding.check.ends_with("-vs-baseline")))?;
        writeln!(out, "waived={}", count(&|finding| finding.waived.is_some()))?;
        writeln!(out, "commit={}", word(result.commit.candidate.as_deref()))?;
        writeln!(out, "baseline={}", word(result.commit.baseline.as_deref()))?;
        writeln!(out, "headline={}", one_line(&result.headline, 600))?;
        Ok(())
    }
}

/// A commit's id, or nothing: no value begins another line or a command of a shell.
fn word(text: Option<&str>) -> String {
    text.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}
