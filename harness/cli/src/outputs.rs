//! Result in, files out: the run directory's own and the copies that flags ask for.

use crate::{
    args::Files,
    failure::{Failure, io},
};
use shakedown_model::result::RunResult;
use shakedown_reporters::{Html, Json, Junit, Markdown, Reporter};
use std::path::Path;

/// Renders one report.
fn render(reporter: &dyn Reporter, result: &RunResult) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    reporter.render(result, &mut bytes).map_err(|error| Failure::Bug(format!("{}: {error}", reporter.file_name())))?;
    Ok(bytes)
}

fn reporters() -> [Box<dyn Reporter>; 4] {
    [Box::new(Json), Box::new(Html), Box::new(Junit), Box::new(Markdown)]
}

/// Writes `result.json`, `report.html`, `junit.xml` and `summary.md` into `folder`.
pub(crate) fn write_all(folder: &Path, result: &RunResult) -> Result<(), Failure> {
    for reporter in reporters() {
        write(&folder.join(reporter.file_name()), &render(&*reporter, result)?)?;
    }
    Ok(())
}

/// Writes the copies that flags ask for.
pub(crate) fn write_copies(files: &Files, result: &RunResult) -> Result<(), Failure> {
    let [json, html, junit, markdown] = reporters();
    for (path, reporter) in [(&files.json, json), (&files.html, html), (&files.junit, junit), (&files.markdown, markdown)] {
        if let Some(path) = path {
            write(path, &render(&*reporter, result)?)?;
        }
    }
    Ok(())
}

/// Writes a file, and the folder for it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(io(parent))?;
    }
    std::fs::write(path, bytes).map_err(io(path))
}
