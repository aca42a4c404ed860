//! Result in, files out: the run directory's own and the copies that flags ask for.

use crate::{
    args::{Files, JunitFlavor, Layout},
    failure::{Failure, io},
    terminal::Terminal,
};
use shakedown_model::result::RunResult;
use shakedown_reporters::{Comment, Flavour, Html, HtmlLayout, Json, Junit, Markdown, Metrics, Outputs, Reporter, html_files};
use std::{fs::OpenOptions, io::Write as _, path::Path};

/// Renders one report.
fn render(reporter: &dyn Reporter, result: &RunResult) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    reporter.render(result, &mut bytes).map_err(|error| Failure::Bug(format!("{}: {error}", reporter.file_name())))?;
    Ok(bytes)
}

fn flavour(files: &Files) -> Flavour {
    match files.junit_flavor {
        JunitFlavor::Portable => Flavour::Portable,
        JunitFlavor::Rich => Flavour::Rich,
    }
}

/// Writes `result.json`, `report.html`, `junit.xml` and `summary.md` into `folder`, and the copies that flags ask for.
pub(crate) fn write_all(folder: &Path, result: &RunResult, files: &Files, terminal: &Terminal) -> Result<(), Failure> {
    let junit = Junit { flavour: flavour(files), folder: None };
    for reporter in [&Json as &dyn Reporter, &junit, &Markdown] {
        write(&folder.join(reporter.file_name()), &render(reporter, result)?)?;
    }
    write_html(&folder.join(Html.file_name()), result, files.html_layout, terminal)?;
    // A copy lies elsewhere: what it links to is named as the user named the run directory.
    let junit = Junit { folder: Some(from_here(folder)), ..junit };
    let comment = Comment { key: files.comment_key.clone() };
    let copies = [
        (&files.json, &Json as &dyn Reporter),
        (&files.junit, &junit),
        (&files.markdown, &Markdown),
        (&files.comment, &comment),
        (&files.metrics, &Metrics),
    ];
    for (path, reporter) in copies {
        if let Some(path) = path {
            write(path, &render(reporter, result)?)?;
        }
    }
    if let Some(path) = &files.html {
        write_html(path, result, files.html_layout, terminal)?;
    }
    match &files.outputs {
        Some(path) => append(path, &render(&Outputs, result)?),
        None => Ok(()),
    }
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

/// As CI names it: from the directory that the command was called in, which is its workspace.
fn from_here(folder: &Path) -> String {
    let here = std::env::current_dir().ok();
    let inside = here.as_deref().and_then(|here| folder.strip_prefix(here).ok());
    inside.unwrap_or(folder).display().to_string()
}

/// CI hands out one file for all outputs of a step.
fn append(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(io(path))?;
    file.write_all(bytes).map_err(io(path))
}

/// Writes a file, and the folder for it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(io(parent))?;
    }
    std::fs::write(path, bytes).map_err(io(path))
}
