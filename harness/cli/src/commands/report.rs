//! `shakedown report DIR…`: prints recorded runs again, from `result.json` where it is there, else judged anew.

use super::judge;
use crate::{
    args::ReportOptions,
    failure::{Failure, io},
    outputs,
    terminal::Terminal,
};
use shakedown_model::result::{RESULT_SCHEMA, RunResult};
use std::path::Path;

pub(crate) fn run(options: &ReportOptions, terminal: &Terminal) -> Result<u8, Failure> {
    let files = &options.files;
    let copies = [&files.html, &files.junit, &files.markdown, &files.json, &files.comment, &files.metrics, &files.outputs];
    if options.directories.len() > 1 && copies.iter().any(|copy| copy.is_some()) {
        return Err(Failure::usage("one file cannot hold several runs", "call `shakedown report` once for each run directory"));
    }
    for directory in &options.directories {
        let result = read(directory)?;
        outputs::write_all(directory, &result, files, terminal)?;
        judge::print(&result, directory, terminal)?;
    }
    Ok(0)
}

/// `result.json`, or what the evidence says where there is none.
pub(crate) fn read(directory: &Path) -> Result<RunResult, Failure> {
    let path = directory.join("result.json");
    if !path.exists() {
        return judge::judge(directory, None);
    }
    let text = std::fs::read_to_string(&path).map_err(io(&path))?;
    let wrong = |why: String| Failure::usage(format!("{}: {why}", path.display()), "`shakedown judge` makes it anew from the evidence");
    let result: RunResult = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if result.schema != RESULT_SCHEMA {
        return Err(wrong(format!("schema {} is not {RESULT_SCHEMA}", result.schema)));
    }
    Ok(result)
}
