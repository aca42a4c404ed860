//! What is typed to commands that start nothing: they read what runs have recorded, here or elsewhere.

use super::Files;
use clap::{Args, ValueEnum};
use shakedown_evidence::import::Origin;
use shakedown_model::{fault::Target, time::UnixNanos};
use std::path::PathBuf;

/// Flags of `release`.
#[derive(Debug, Args)]
pub(crate) struct ReleaseOptions {
    /// From the last release (not included) to the commit that is to be released, such as v1.4..HEAD.
    #[arg(value_name = "FROM..TO", value_parser = range)]
    pub(crate) range: (String, String),
    /// Also write the page here.
    #[arg(long, env = "SHAKEDOWN_HTML", value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Also write the Markdown here.
    #[arg(long, env = "SHAKEDOWN_MARKDOWN", value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Also write the JSON document here.
    #[arg(long, env = "SHAKEDOWN_JSON", value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Flags of `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffOptions {
    /// The run directory of before.
    #[arg(value_name = "A")]
    pub(crate) before: PathBuf,
    /// The run directory of after.
    #[arg(value_name = "B")]
    pub(crate) after: PathBuf,
    /// Also write the page here.
    #[arg(long, env = "SHAKEDOWN_HTML", value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Also write the JSON document here.
    #[arg(long, env = "SHAKEDOWN_JSON", value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Flags of `merge`.
#[derive(Debug, Args)]
pub(crate) struct MergeOptions {
    /// The run directories of the shards, in any order.
    #[arg(required = true)]
    pub(crate) directories: Vec<PathBuf>,
    /// The directory of the whole; must not exist yet.
    #[arg(long, env = "SHAKEDOWN_OUT", value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// How the traces of an import were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// OTLP JSON or protobuf in files; the address of a Tempo.
    Otlp,
    /// Jaeger's JSON in files; the address of a Jaeger.
    Jaeger,
    /// Zipkin's JSON (version 2) in files; the address of a Zipkin.
    Zipkin,
}

/// Flags of `import`.
#[derive(Debug, Args)]
pub(crate) struct ImportOptions {
    /// How the traces were recorded.
    #[arg(value_name = "FORMAT")]
    pub(crate) recorded_as: ImportFormat,
    /// Files, directories of files, or http:// addresses of a query API; plain, gzip or zstd.
    #[arg(required = true, value_name = "SOURCE")]
    pub(crate) sources: Vec<Origin>,
    /// Logs: files or an address with an answer of Loki's query_range, or OTLP.
    #[arg(long, env = "SHAKEDOWN_LOGS", value_name = "SOURCE", num_args = 1..)]
    pub(crate) logs: Vec<Origin>,
    /// Metrics: files or an address with an answer of Prometheus's query_range, or OTLP.
    #[arg(long, env = "SHAKEDOWN_METRICS", value_name = "SOURCE", num_args = 1..)]
    pub(crate) metrics: Vec<Origin>,
    /// Telemetry of the baseline: traces, logs and metrics.
    #[arg(long, env = "SHAKEDOWN_BASELINE", value_name = "SOURCE", num_args = 1..)]
    pub(crate) baseline: Vec<Origin>,
    /// When the fault began: RFC 3339, or Unix time in seconds, milli-, micro- or nanoseconds.
    #[arg(long, env = "SHAKEDOWN_FAULT_FROM", value_name = "TIME", value_parser = moment, requires = "fault_to")]
    pub(crate) fault_from: Option<UnixNanos>,
    /// When it was gone.
    #[arg(long, env = "SHAKEDOWN_FAULT_TO", value_name = "TIME", value_parser = moment, requires = "fault_from")]
    pub(crate) fault_to: Option<UnixNanos>,
    /// When it began for the baseline, where that was recorded at another time.
    #[arg(long, env = "SHAKEDOWN_BASELINE_FAULT_FROM", value_name = "TIME", value_parser = moment, requires = "baseline_fault_to")]
    pub(crate) baseline_fault_from: Option<UnixNanos>,
    /// When it was gone for the baseline.
    #[arg(long, env = "SHAKEDOWN_BASELINE_FAULT_TO", value_name = "TIME", value_parser = moment, requires = "baseline_fault_from")]
    pub(crate) baseline_fault_to: Option<UnixNanos>,
    /// What was disturbed, where that is known: a service, or an edge such as 'orders->payment'.
    #[arg(long, env = "SHAKEDOWN_FAULT_ON", value_name = "SERVICE|A->B")]
    pub(crate) fault_on: Option<Target>,
    /// How it was disturbed, in a word, where that is known.
    #[arg(long, env = "SHAKEDOWN_FAULT_KIND", value_name = "WORD")]
    pub(crate) fault_kind: Option<String>,
    /// The run directory; must not exist yet.
    #[arg(long, env = "SHAKEDOWN_OUT", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// `v1.4..HEAD`, `v1.4..` and `v1.4`.
fn range(text: &str) -> Result<(String, String), String> {
    let (from, to) = text.split_once("..").unwrap_or((text, ""));
    if from.is_empty() || to.starts_with('.') {
        return Err("expected FROM..TO, such as v1.4..HEAD".to_owned());
    }
    Ok((from.to_owned(), if to.is_empty() { "HEAD".to_owned() } else { to.to_owned() }))
}

/// A point in time. A bare number is told by its size: seconds since 1970 had ten digits since 2001, milliseconds thirteen, and so on.
fn moment(text: &str) -> Result<UnixNanos, String> {
    let wrong = || "expected RFC 3339 such as 2026-11-21T10:40:00Z, or Unix time in s, ms, µs or ns".to_owned();
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return u64::try_from(timestamp.as_nanosecond()).map(UnixNanos).map_err(|_| wrong());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: u64 = whole.parse().map_err(|_| wrong())?;
    let scale: u64 = match number {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let rest: f64 = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().map_err(|_| wrong())? };
    Ok(UnixNanos(number * scale + (rest * scale as f64).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_at_head_where_nothing_else_is_said() {
        let parts = |text| range(text).unwrap();
        assert_eq!(parts("v1..v2"), ("v1".to_owned(), "v2".to_owned()));
        assert_eq!((parts("v1.."), parts("v1")), (("v1".to_owned(), "HEAD".to_owned()), ("v1".to_owned(), "HEAD".to_owned())));
        assert!(range("..v2").is_err() && range("v1...v2").is_err() && range("").is_err());
    }

    #[test]
    fn a_moment_is_rfc_3339_or_unix_time_of_any_unit() {
        let expected = Ok(UnixNanos(1_700_000_000_500_000_000));
        for text in ["2023-11-14T22:13:20.5Z", "2023-11-14T23:13:20.5+01:00", "1700000000.5", "1700000000500", "1700000000500000"] {
            assert_eq!(moment(text), expected, "{text}");
        }
        assert_eq!(moment("1700000000500000000"), expected);
        for wrong in ["", "now", "-1", "17x", "1700000000.x", "99999999999999999999"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
