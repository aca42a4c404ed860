//! `shakedown diff A B`: two recorded runs side by side. Says what differs and decides nothing: it exits with 0 whatever it finds.

use super::report;
use crate::{
    args::{DiffOptions, Format},
    failure::Failure,
    outputs,
    terminal::Terminal,
};
use shakedown_reporters::RunDiff;

pub(crate) fn run(options: &DiffOptions, terminal: &Terminal) -> Result<u8, Failure> {
    let diff = RunDiff::of(&report::read(&options.before)?, &report::read(&options.after)?);
    if let Some(path) = &options.html {
        let page = diff.html().map_err(|error| Failure::Bug(error.to_string()))?;
        outputs::write(path, page.as_bytes())?;
    }
    if let Some(path) = &options.json {
        let json = serde_json::to_vec_pretty(&diff).map_err(|error| Failure::Bug(error.to_string()))?;
        outputs::write(path, &json)?;
    }
    if terminal.format == Format::Json {
        terminal.json(&diff);
    } else {
        terminal.out(&diff.text());
    }
    Ok(0)
}
