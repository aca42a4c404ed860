//! `result.json`: the whole result, pretty, its keys in the order of the type, so that two files can be compared line by line.

use crate::{ReportError, Reporter};
use shakedown_model::result::RunResult;
use std::io;

/// Prints `result.json`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl Reporter for Json {
    fn file_name(&self) -> &'static str {
        "result.json"
    }

    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError> {
        serde_json::to_writer_pretty(&mut *out, result)?;
        out.write_all(b"\n")?;
        Ok(())
    }
}
