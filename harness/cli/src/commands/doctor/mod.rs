//! `shakedown doctor`: what this machine can do, each line with its fix.

mod faults;

use crate::{
    args::{Format, Global},
    failure::Failure,
    terminal::Terminal,
};
use serde::Serialize;
use shakedown_commits::Repository;
use std::path::Path;

/// How a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Warn,
    Fail,
}

/// One line.
#[derive(Debug, Clone, Serialize)]
struct Line {
    name: String,
    status: Status,
    detail: String,
    fix: Option<String>,
}

impl Line {
    fn new(name: &str, status: Status, detail: impl Into<String>, fix: Option<&str>) -> Line {
        Line { name: name.to_owned(), status, detail: detail.into(), fix: fix.map(str::to_owned) }
    }
}

pub(crate) async fn run(global: &Global, terminal: &Terminal) -> Result<u8, Failure> {
    let mut lines: Vec<Line> = shakedown_runtime::doctor().await.into_iter().map(line).collect();
    lines.extend(faults::lines());
    lines.push(git());
    lines.push(config(&global.config));
    match terminal.format {
        Format::Json => terminal.json(&lines),
        Format::Human => terminal.out(&text(&lines, terminal.color)),
    }
    Ok(if lines.iter().any(|line| line.status == Status::Fail) { 4 } else { 0 })
}

fn line(check: shakedown_runtime::Finding) -> Line {
    let status = match check.status {
        shakedown_runtime::Status::Ok => Status::Ok,
        shakedown_runtime::Status::Warn => Status::Warn,
        shakedown_runtime::Status::Fail => Status::Fail,
    };
    Line { name: check.name.to_owned(), status, detail: check.detail, fix: Some(check.fix).filter(|fix| !fix.is_empty()) }
}

fn git() -> Line {
    let folder = std::env::current_dir().unwrap_or_default();
    match Repository::discover(&folder) {
        Ok(Some(repository)) if repository.is_shallow() => {
            let fix = "git fetch --unshallow (in GitHub Actions: actions/checkout with `fetch-depth: 0`)";
            Line::new("git", Status::Warn, "the clone is shallow, so a merge-base may be missing", Some(fix))
        }
        Ok(Some(_)) => Line::new("git", Status::Ok, "a repository with its history", None),
        Ok(None) => {
            Line::new("git", Status::Warn, "not a repository, so there is no baseline", Some("git init, or run inside the repository"))
        }
        Err(error) => Line::new("git", Status::Warn, error.to_string(), Some("see `git status`")),
    }
}

fn config(path: &Path) -> Line {
    if path.is_file() {
        Line::new("config", Status::Ok, path.display().to_string(), None)
    } else {
        Line::new("config", Status::Warn, format!("{} is not there", path.display()), Some("shakedown init"))
    }
}

fn text(lines: &[Line], color: bool) -> String {
    let width = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or_default();
    lines.iter().fold(String::new(), |mut text, line| {
        let (word, code) = match line.status {
            Status::Ok => ("ok  ", "32"),
            Status::Warn => ("warn", "33"),
            Status::Fail => ("FAIL", "1;31"),
        };
        let word = if color { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() };
        text.push_str(&format!("{word}  {:width$}  {}\n", line.name, line.detail));
        if let Some(fix) = &line.fix {
            text.push_str(&format!("      {:width$}  fix: {fix}\n", ""));
        }
        text
    })
}
