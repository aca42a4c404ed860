//! Result in, files out: the run directory's own and the copies that flags ask for.

use crate::{
    args::{Files, Layout},
    failure::{Failure, io},
    terminal::Terminal,
};
use shakedown_model::result::RunResult;
use shakedown_reporters::{Html, HtmlLayout, Json, Junit, Markdown, Reporter, html_files};
use std::path::Path;

/// Renders one report.
fn render(reporter: &dyn Reporter, result: &RunResult) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    reporter.render(result, &mut bytes).map_err(|error| Failure::Bug(format!("{}: {error}", reporter.file_name())))?;
    Ok(bytes)
}

/// Writes `result.json`, `report.html`, `junit.xml` and `summary.md` into `folder`.
pub(crate) fn write_all(folder: &Path, result: &RunResult, files: &Files, terminal: &Terminal) -> Result<(), Failure> {
    for reporter in [&Json as &dyn Reporter, &Junit, &Markdown] {
        write(&folder.join(reporter.file_name()), &render(reporter, result)?)?;
    }
    write_html(&folder.join(Html.file_name()), result, files.html_layout, terminal)
}

/// Writes the copies that flags ask for.
pub(crate) fn write_copies(files: &Files, result: &RunResult, terminal: &Terminal) -> Result<(), Failure> {
    let copies = [(&files.json, &Json as &dyn Reporter), (&files.junit, &Junit), (&files.markdown, &Markdown)];
    for (path, reporter) in copies {
        if let Some(path) = path {
            write(path, &render(reporter, result)?)?;
        }
    }
    files.html.as_ref().map_or(Ok(()), |path| write_html(path, result, files.html_layout, terminal))
}

/// Writes the report and what lies beside it; says so where it was too large for one page.
fn write_html(path: &Path, result: &RunResult, layout: Layout, terminal: &Terminal) -> Result<(), Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let layout = match layout {
        Layout::File => HtmlLayout::File,
        Layout::Dir => HtmlLayout::Dir,
    };
    let html = html_files(result, layout, &name).map_err(|error| Failure::Bug(format!("{name}: {error}")))?;
    write(path, html.page.as_bytes())?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for (name, content) in &html.beside {
        write(&folder.join(name), content.as_bytes())?;
    }
    if let Some(size) = html.moved_from {
        let size = size as f64 / 1e6;
        terminal.note(&format!("warning: {} would have {size:.1} MB: each scenario has a page of its own beside it", path.display()));
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
