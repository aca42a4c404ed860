//! What is typed. Plain data; every flag has an environment variable.

mod recorded;

pub(crate) use recorded::{DiffOptions, ImportFormat, ImportOptions, MergeOptions, ReleaseOptions};

use clap::{Args, Parser, Subcommand, ValueEnum};
use shakedown_model::{experiment::BaselineMode, units::Span, verdict::GateMode};
use std::{path::PathBuf, time::Duration};

/// Puts every commit through a shakedown: starts the services, drives load, breaks things on purpose, compares with the baseline
/// commit, and answers merge / don't merge / can't tell.
#[derive(Debug, Parser)]
#[command(name = "shakedown", version, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0    pass (or --mode warn)
  1    fail: an expectation broke or the change made it worse
  2    usage or config error
  3    inconclusive, where the config says that blocks
  4    environment: no engine, a service never ready, steady state broken before any fault
  5    not clean: an undo failed, or something is not as it was; run `shakedown recover`
  70   a bug in shakedown
  130, 143  interrupted, and clean";

/// Flags that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The experiment.
    #[arg(long, short, global = true, env = "SHAKEDOWN_CONFIG", default_value = "shakedown.yaml", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Where services run.
    #[arg(long, global = true, env = "SHAKEDOWN_RUNTIME", default_value = "auto")]
    pub(crate) runtime: RuntimeChoice,
    /// Colours.
    #[arg(long, global = true, env = "SHAKEDOWN_COLOR", default_value = "auto")]
    pub(crate) color: Color,
    /// Less progress; the result is still printed.
    #[arg(long, short, global = true, env = "SHAKEDOWN_QUIET")]
    pub(crate) quiet: bool,
    /// More detail.
    #[arg(long, short, global = true, env = "SHAKEDOWN_VERBOSE", action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Form of what goes to stdout.
    #[arg(long, global = true, env = "SHAKEDOWN_FORMAT", default_value = "human")]
    pub(crate) format: Format,
}

/// Where services run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeChoice {
    /// The container engine if one answers, else processes.
    Auto,
    /// A container engine.
    Docker,
    /// Child processes.
    Process,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Form of what goes to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// One JSON document.
    Json,
}

/// How much JUnit files say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum JunitFlavor {
    /// Valid against the strictest schema in use, that of Jenkins.
    #[default]
    Portable,
    /// Cases also carry file and line of their expectation, a timestamp and properties.
    Rich,
}

/// What is asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Reads compose.yaml and writes a first shakedown.yaml, scenarios for the edges it finds, and a CI workflow.
    Init(InitOptions),
    /// Says what this machine can do, each line with its fix.
    Doctor,
    /// Shows all mistakes of the config at once; starts nothing.
    Validate,
    /// Shows which scenarios this commit runs and why; starts nothing.
    Plan(Selection),
    /// Plans, runs, judges and reports: the gate.
    Run(RunOptions),
    /// Runs the same commit against itself, several times: this machine's false-alarm rate, and the smallest change that it can see.
    Calibrate(CalibrateOptions),
    /// Judges a recorded run again; the same to the byte each time.
    Judge(JudgeOptions),
    /// Prints a recorded run again.
    Report(ReportOptions),
    /// Release readiness, from the recorded runs of a range of commits.
    Release(ReleaseOptions),
    /// Puts two recorded runs side by side.
    Diff(DiffOptions),
    /// Joins the shards of one run: one verdict, one report.
    Merge(MergeOptions),
    /// Makes a run directory out of telemetry that others recorded, so that it can be judged.
    Import(Box<ImportOptions>),
    /// Takes back whatever a dead run left behind.
    Recover(RecoverOptions),
    /// The store of baselines.
    #[command(subcommand)]
    Baseline(BaselineAction),
    /// Results of main over time; advises, never gates.
    #[command(subcommand)]
    History(HistoryAction),
    /// Prints the JSON Schema of the config.
    Schema,
    /// Prints completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page.
    Man,
}

/// Flags of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitOptions {
    /// The compose file; the usual names are tried where none is given.
    #[arg(long, env = "SHAKEDOWN_COMPOSE", value_name = "FILE")]
    pub(crate) compose: Option<PathBuf>,
    /// Replace files that are there.
    #[arg(long, env = "SHAKEDOWN_FORCE")]
    pub(crate) force: bool,
}

/// Which scenarios, of which commits.
#[derive(Debug, Args, Default)]
pub(crate) struct Selection {
    /// Run these scenarios only.
    #[arg(long, env = "SHAKEDOWN_SCENARIO", value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) scenario: Vec<String>,
    /// Run every scenario, whatever the change touches.
    #[arg(long, env = "SHAKEDOWN_ALL")]
    pub(crate) all: bool,
    /// Labels of the change, besides those that the CI says: shakedown:all, shakedown:skip, shakedown:NAME.
    #[arg(long, env = "SHAKEDOWN_LABEL", value_name = "LABEL", num_args = 1.., value_delimiter = ',')]
    pub(crate) label: Vec<String>,
    /// Compare with this revision.
    #[arg(long, env = "SHAKEDOWN_BASE", value_name = "REV")]
    pub(crate) base: Option<String>,
    /// Judge this revision instead of the working tree.
    #[arg(long, env = "SHAKEDOWN_HEAD", value_name = "REV")]
    pub(crate) head: Option<String>,
    /// When the baseline is measured.
    #[arg(long, env = "SHAKEDOWN_BASELINE_MODE", value_name = "paired|recorded|none", value_parser = baseline_mode)]
    pub(crate) baseline_mode: Option<BaselineMode>,
    /// Run the i-th of n parts.
    #[arg(long, env = "SHAKEDOWN_SHARD", value_name = "i/n", value_parser = shard)]
    pub(crate) shard: Option<(u32, u32)>,
    /// Of everything random; otherwise a function of the commit.
    #[arg(long, env = "SHAKEDOWN_SEED", value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Leave out scenarios that do not fit into this much time.
    #[arg(long, env = "SHAKEDOWN_BUDGET", value_name = "DURATION")]
    pub(crate) budget: Option<Span>,
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// The run directory; must not exist yet.
    #[arg(long, env = "SHAKEDOWN_OUT", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// What a verdict that is not a pass does; goes before the config.
    #[arg(long, env = "SHAKEDOWN_MODE", value_name = "block|warn", value_parser = gate_mode)]
    pub(crate) mode: Option<GateMode>,
    /// Send the run itself as a trace there, by OTLP over HTTP, such as http://localhost:4318; otherwise OTEL_EXPORTER_OTLP_ENDPOINT says where.
    #[arg(long, env = "SHAKEDOWN_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub(crate) otlp_endpoint: Option<String>,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Flags of `calibrate`.
#[derive(Debug, Args)]
pub(crate) struct CalibrateOptions {
    /// How many times.
    #[arg(long, env = "SHAKEDOWN_RUNS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) runs: u32,
    /// With these scenarios only; otherwise with all.
    #[arg(long, env = "SHAKEDOWN_SCENARIO", value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) scenario: Vec<String>,
    /// Seed of the first run; each later one takes the next number.
    #[arg(long, env = "SHAKEDOWN_SEED", value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// How the HTML report is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Layout {
    /// One file that holds everything.
    #[default]
    File,
    /// Style and script as files beside it, for where a Content-Security-Policy forbids inline ones (Jenkins).
    Dir,
}

/// Copies of the reports.
#[derive(Debug, Args, Default)]
pub(crate) struct Files {
    /// Also write the HTML report here.
    #[arg(long, env = "SHAKEDOWN_HTML", value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// How the HTML report is laid out, here and in the run directory.
    #[arg(long, env = "SHAKEDOWN_HTML_LAYOUT", default_value = "file")]
    pub(crate) html_layout: Layout,
    /// Also write the JUnit file here.
    #[arg(long, env = "SHAKEDOWN_JUNIT", value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// How much JUnit files say.
    #[arg(long, env = "SHAKEDOWN_JUNIT_FLAVOR", default_value = "portable", visible_alias = "junit-flavour")]
    pub(crate) junit_flavor: JunitFlavor,
    /// Also write the Markdown summary here.
    #[arg(long, env = "SHAKEDOWN_MARKDOWN", value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Also write result.json here.
    #[arg(long, env = "SHAKEDOWN_JSON", value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Also write the text of a comment here, at most 65,000 characters, with a hidden mark by which it is found again.
    #[arg(long, env = "SHAKEDOWN_COMMENT", value_name = "FILE")]
    pub(crate) comment: Option<PathBuf>,
    /// Tells this gate's comment from another one's.
    #[arg(long, env = "SHAKEDOWN_COMMENT_KEY", value_name = "KEY", default_value = "gate")]
    pub(crate) comment_key: String,
    /// Also write the figures here, as OpenMetrics text.
    #[arg(long, env = "SHAKEDOWN_METRICS", value_name = "FILE")]
    pub(crate) metrics: Option<PathBuf>,
    /// Also append verdict, exit code, counts and commits here, as name=value lines.
    #[arg(long, env = "SHAKEDOWN_OUTPUTS", value_name = "FILE")]
    pub(crate) outputs: Option<PathBuf>,
}

/// Flags of `judge`.
#[derive(Debug, Args)]
pub(crate) struct JudgeOptions {
    /// The run directory.
    pub(crate) directory: PathBuf,
    /// A run directory to compare with, in place of the run's own baseline.
    #[arg(long, env = "SHAKEDOWN_BASELINE", value_name = "DIR")]
    pub(crate) baseline: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Flags of `report`.
#[derive(Debug, Args)]
pub(crate) struct ReportOptions {
    /// Run directories.
    #[arg(required = true)]
    pub(crate) directories: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Flags of `recover`.
#[derive(Debug, Args)]
pub(crate) struct RecoverOptions {
    /// The kill switch: also runs that are alive, of anybody on this machine. Their harnesses are asked to end, killed where they do not, and
    /// everything that carries a run's marks is removed. Asks first.
    #[arg(long, env = "SHAKEDOWN_RECOVER_ALL")]
    pub(crate) all: bool,
    /// Do not ask; without a terminal there is nobody to ask.
    #[arg(long, env = "SHAKEDOWN_YES", requires = "all")]
    pub(crate) yes: bool,
}

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub(crate) enum BaselineAction {
    /// Lists what is stored, newest first.
    List,
    /// Shows what is stored for a commit.
    Show {
        /// Commit, or the beginning of its id.
        commit: String,
    },
    /// Stores a recorded run as the baseline of its commit.
    Save {
        /// The run directory; the newest one where none is given.
        directory: Option<PathBuf>,
    },
    /// Removes all but the newest of each machine class.
    Prune {
        /// How many of each machine class stay.
        #[arg(long, env = "SHAKEDOWN_KEEP", default_value_t = 20)]
        keep: usize,
        /// Also removes what was measured longer ago, such as 90d.
        #[arg(long, env = "SHAKEDOWN_OLDER_THAN", value_name = "DURATION", value_parser = days)]
        older_than: Option<Duration>,
        /// Also removes what belongs to commits that no branch or tag leads to any more.
        #[arg(long, env = "SHAKEDOWN_UNREACHABLE")]
        unreachable: bool,
        /// Only says what would go.
        #[arg(long, env = "SHAKEDOWN_DRY_RUN")]
        dry_run: bool,
    },
}

/// What to do with history.
#[derive(Debug, Subcommand)]
pub(crate) enum HistoryAction {
    /// Keeps the results of a recorded run.
    Record {
        /// The run directory.
        directory: PathBuf,
    },
    /// Lists what is kept, newest first.
    List,
    /// Shows lasting changes with the commits that brought them, and flaky scenarios.
    Trends {
        /// All series with all points, as one JSON document; as --format json.
        #[arg(long, env = "SHAKEDOWN_TRENDS_JSON")]
        json: bool,
    },
    /// Joins fetched git notes (refs/notes/shakedown-origin) into ours, so that they can be pushed.
    Merge,
}

/// `90d`, or what a span of the config may be.
fn days(text: &str) -> Result<Duration, String> {
    match text.trim().strip_suffix('d').map(|number| number.trim().parse::<u32>()) {
        Some(Ok(days)) => Ok(Duration::from_secs(u64::from(days) * 86_400)),
        _ => text.parse::<Span>().map(|span| span.0).map_err(|_| "expected a duration such as 90d or 12h".to_owned()),
    }
}

fn shard(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    match parsed {
        Some((index, count)) if index >= 1 && index <= count => Ok((index, count)),
        _ => Err("expected i/n with i from 1 to n, such as 2/4".to_owned()),
    }
}

fn baseline_mode(text: &str) -> Result<BaselineMode, String> {
    match text {
        "paired" => Ok(BaselineMode::Paired),
        "recorded" => Ok(BaselineMode::Recorded),
        "none" => Ok(BaselineMode::None),
        _ => Err("expected paired, recorded or none".to_owned()),
    }
}

fn gate_mode(text: &str) -> Result<GateMode, String> {
    match text {
        "block" => Ok(GateMode::Block),
        "warn" => Ok(GateMode::Warn),
        _ => Err("expected block or warn".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound_and_every_flag_has_an_environment_variable() {
        let command = Arguments::command();
        command.clone().debug_assert();
        let flags =
            |command: &clap::Command| command.get_arguments().filter(|argument| argument.get_long().is_some()).cloned().collect::<Vec<_>>();
        let all = flags(&command).into_iter().chain(command.get_subcommands().flat_map(flags));
        for flag in all.filter(|flag| !["help", "version"].contains(&flag.get_id().as_str())) {
            assert!(flag.get_env().is_some(), "--{}", flag.get_id());
        }
    }

    #[test]
    fn ages_may_be_days() {
        assert_eq!(days("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(days("12h"), Ok(Duration::from_secs(43_200)));
        for wrong in ["", "d", "-1d", "90", "many d"] {
            assert!(days(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shards_outside_their_range_are_refused() {
        assert_eq!(shard("2/4"), Ok((2, 4)));
        for wrong in ["0/4", "5/4", "4", "a/b"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }
}
