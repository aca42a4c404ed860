//! `shakedown import`: a run directory from telemetry that others recorded.

use super::run::{keep_out_of_git, place, run_id};
use crate::{
    args::{Format as Output, ImportFormat, ImportOptions},
    context,
    failure::Failure,
    terminal::Terminal,
};
use serde_json::json;
use shakedown_evidence::import::{Asked, Format, ImportError, Taken, import};
use shakedown_model::time::{UnixNanos, Window};

pub(crate) async fn run(options: &ImportOptions, terminal: &Terminal) -> Result<u8, Failure> {
    let asked = Asked {
        format: match options.recorded_as {
            ImportFormat::Otlp => Format::Otlp,
            ImportFormat::Jaeger => Format::Jaeger,
            ImportFormat::Zipkin => Format::Zipkin,
        },
        sources: options.sources.clone(),
        logs: options.logs.clone(),
        metrics: options.metrics.clone(),
        baseline: options.baseline.clone(),
        fault: window(options.fault_from, options.fault_to)?,
        baseline_fault: window(options.baseline_fault_from, options.baseline_fault_to)?,
        fault_on: options.fault_on.as_ref().map(ToString::to_string),
        fault_kind: options.fault_kind.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let here = std::env::current_dir().map_err(|error| Failure::environment(format!("the working directory: {error}")))?;
    let home = context::home(&here);
    let (parent, id) = place(options.out.as_deref(), &home, &run_id())?;
    let (directory, taken, baseline) = import(&parent, &id, &asked).await.map_err(failure)?;
    keep_out_of_git(&home);
    let path = directory.path().display().to_string();
    tell("", &taken, terminal);
    if let Some(baseline) = &baseline {
        tell("baseline: ", baseline, terminal);
    }
    match terminal.format {
        Output::Human => terminal.out(&format!("{path}\n")),
        Output::Json => {
            terminal.json(&json!({ "directory": path, "candidate": figures(&taken), "baseline": baseline.as_ref().map(figures) }));
        }
    }
    terminal.note(&format!("next: shakedown judge {path}"));
    Ok(0)
}

fn window(from: Option<UnixNanos>, to: Option<UnixNanos>) -> Result<Option<Window>, Failure> {
    match (from, to) {
        (Some(start), Some(end)) if start < end => Ok(Some(Window { start, end })),
        (Some(_), Some(_)) => Err(Failure::usage("the fault ends before it begins", "see --fault-from and --fault-to")),
        _ => Ok(None),
    }
}

fn failure(error: ImportError) -> Failure {
    match error {
        ImportError::Nothing { .. } => Failure::usage(
            error,
            "name files of OTLP, Jaeger or Zipkin, plain or packed, or the address of a query API; see docs/evidence.md",
        ),
        ImportError::Phases(_) => Failure::usage(error, "see `shakedown import --help`"),
        ImportError::Directory(error) => Failure::environment(error),
        ImportError::Record(_) | ImportError::Read(_) => Failure::environment(error),
    }
}

fn tell(of: &str, taken: &Taken, terminal: &Terminal) {
    let counts = taken.counts;
    terminal.note(&format!(
        "{of}{} spans of {} services, {} requests, {} log records, {} data points",
        counts.spans, taken.services, counts.requests, counts.logs, counts.points
    ));
    for note in &taken.notes {
        terminal.note(&format!("  ! {}", printable(note)));
    }
    for (what, count) in &taken.losses {
        terminal.note(&format!("  ! {of}{count} {}", printable(what)));
    }
}

fn figures(taken: &Taken) -> serde_json::Value {
    let counts = taken.counts;
    json!({
        "spans": counts.spans, "services": taken.services, "requests": counts.requests, "log_records": counts.logs,
        "data_points": counts.points, "losses": taken.losses, "notes": taken.notes,
    })
}

/// Names of files and what they hold are hostile.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
