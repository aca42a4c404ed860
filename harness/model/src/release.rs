//! Release readiness: what the recorded runs of a range of commits say of the last of them. Schema `shakedown.release/1`.

use crate::{event::Phase, history::WaivedFailure, time::UnixNanos, verdict::Verdict};
use serde::Serialize;

/// Version of the JSON form.
pub const RELEASE_SCHEMA: &str = "shakedown.release/1";

/// What is known of a release.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Release {
    /// [`RELEASE_SCHEMA`].
    pub schema: &'static str,
    /// As it was asked: `v1.4..HEAD`.
    pub range: String,
    /// Full id of the commit that is to be released.
    pub tip: String,
    /// Commits of the range.
    pub commits: usize,
    /// Of them those of which a run is known.
    pub exercised: usize,
    /// Runs that are known.
    pub runs: usize,
    /// `pass`: nothing speaks against it; `fail`: a scenario failed and has not passed since; `inconclusive`: something is not known.
    pub verdict: Verdict,
    /// The verdict and its reason in one sentence.
    pub advice: String,
    /// What is not known, each in one sentence.
    pub open: Vec<String>,
    /// Those of the config and those that ran, what needs a look first.
    pub scenarios: Vec<ScenarioReadiness>,
    /// What was broken on purpose, and when last.
    pub coverage: Vec<Coverage>,
    /// Services of the config at which, and from or to which, no fault was exercised.
    pub untouched: Vec<String>,
    /// Figures under fault over the range.
    pub trends: Vec<Trend>,
}

/// A scenario over the range.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScenarioReadiness {
    /// Name.
    pub name: String,
    /// Its last run; `None`: none in this range.
    pub last: Option<LastRun>,
    /// Runs by verdict: pass, inconclusive, fail.
    pub runs: [usize; 3],
    /// Share of the commits judged more than once whose verdicts differ; `None`: none was.
    pub flaky: Option<f64>,
    /// What failed in its last run and did not block, since somebody answers for it.
    pub waived: Vec<WaivedFailure>,
}

/// The last run of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LastRun {
    /// Id of the run.
    pub run: String,
    /// Full id of its commit.
    pub commit: String,
    /// First line of the commit's message.
    pub subject: Option<String>,
    /// When it began.
    pub time: UnixNanos,
    /// Its answer.
    pub verdict: Verdict,
    /// Commits of the range that came after.
    pub behind: usize,
}

/// One kind of fault on one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coverage {
    /// Service or edge, as the config writes it.
    pub target: String,
    /// Kind, as the config writes it.
    pub kind: String,
    /// Runs in which it met something.
    pub runs: usize,
    /// The commit of the last of them.
    pub commit: String,
    /// When that was.
    pub time: UnixNanos,
    /// How much it met then.
    pub touched: u64,
}

/// A figure over the range, on machines of one class, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trend {
    /// Scenario.
    pub scenario: String,
    /// Load, or whatever was searched.
    pub subject: String,
    /// Phase.
    pub phase: Phase,
    /// `p99`, `recovery`, `margin`, …
    pub measure: String,
    /// Unit, as in `result.json`.
    pub unit: &'static str,
    /// What the machines have in common.
    pub machine_class: String,
    /// One for each run.
    pub values: Vec<f64>,
    /// Lasting changes.
    pub shifts: Vec<TrendShift>,
}

/// A lasting change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrendShift {
    /// First value after it.
    pub index: usize,
    /// The commit that brought it, or the first after it that was measured.
    pub commit: String,
    /// First line of the commit's message.
    pub subject: Option<String>,
    /// Level before.
    pub before: f64,
    /// Level after.
    pub after: f64,
    /// Chance of as large a change where there is none.
    pub significance: f64,
}
