//! `shakedown judge DIR`: a pure function of the run directory, the same to the byte each time.

use super::merge;
use crate::{
    args::{Format, JudgeOptions},
    failure::Failure,
    outputs,
    terminal::Terminal,
};
use shakedown_evidence::ReadError;
use shakedown_model::{evidence::Evidence, result::RunResult};
use shakedown_reporters::{Console, Reporter as _};
use std::path::Path;

pub(crate) fn run(options: &JudgeOptions, terminal: &Terminal) -> Result<u8, Failure> {
    let result = judge(&options.directory, options.baseline.as_deref())?;
    outputs::write_all(&options.directory, &result, &options.files, terminal)?;
    print(&result, &options.directory, terminal)?;
    Ok(result.exit_code)
}

/// Reads a run directory and judges it; one of joined shards by judging each.
pub(crate) fn judge(directory: &Path, recorded: Option<&Path>) -> Result<RunResult, Failure> {
    if merge::is_joined(directory) {
        return merge::judge(directory, recorded);
    }
    judged(shakedown_evidence::read(directory, recorded))
}

/// Judges what was read.
pub(crate) fn judged(evidence: Result<Evidence, ReadError>) -> Result<RunResult, Failure> {
    let evidence =
        evidence.map_err(|error| Failure::usage(error, "name a directory that `shakedown run` wrote, such as .shakedown/runs/<id>"))?;
    Ok(shakedown_judge::judge(&evidence))
}

/// The result on stdout.
pub(crate) fn print(result: &RunResult, directory: &Path, terminal: &Terminal) -> Result<(), Failure> {
    if terminal.format == Format::Json {
        terminal.json(result);
        return Ok(());
    }
    let mut bytes = Vec::new();
    let console = Console { color: terminal.color, width: 80, report: Some(directory.join("report.html").display().to_string()) };
    console.render(result, &mut bytes).map_err(|error| Failure::Bug(error.to_string()))?;
    terminal.out(&String::from_utf8_lossy(&bytes));
    Ok(())
}
