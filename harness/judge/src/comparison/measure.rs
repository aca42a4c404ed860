//! What is compared: each measure with its scale, its sizes and its words. Knows no requests and no test.

use crate::text;
use shakedown_model::experiment::Gate;

/// Errors that a change may add, as a share of all requests: what random resets add on their own.
const ERRORS_TOLERATED: f64 = 0.01;
/// A pass proves that a change adds fewer errors than this share of all requests.
const ERRORS_HARMFUL: f64 = 0.05;
/// With this few requests even no error at all leaves room for a harmful share of them (rule of three: 3/n at 95 %).
pub(super) const REQUESTS_FOR_ERRORS: u64 = 60;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Mean log latency of the slowest two per cent; the finding shows P99.
    Tail,
    /// Median of log latency.
    Median,
    /// Share of requests that failed; the finding shows the share that succeeded.
    Errors,
    /// Successful answers a second at the rate that was asked, as a logarithm: sees a loss where little succeeds, which points of success do not.
    Throughput,
    /// Time to meet steady state again, as a logarithm, by play.
    Recovery,
}

/// The measures of blocks, in the order of the report.
pub(super) const OF_BLOCKS: [Measure; 4] = [Measure::Tail, Measure::Median, Measure::Errors, Measure::Throughput];

/// How a sample's numbers become the relative change of the shown figure.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scale {
    /// Logarithm of a ratio of times.
    LogRatio,
    /// The same of a figure that should be large.
    LogLoss,
    /// Added share of errors, against this share of successes of the baseline.
    Share { success: f64 },
}

impl Measure {
    pub(super) fn check(self) -> &'static str {
        match self {
            Measure::Tail => "p99-vs-baseline",
            Measure::Median => "p50-vs-baseline",
            Measure::Errors => "success-vs-baseline",
            Measure::Throughput => "throughput-vs-baseline",
            Measure::Recovery => "recovery-vs-baseline",
        }
    }

    /// What is tolerated and what is harmful, on the scale of the sample.
    pub(crate) fn sizes(self, gate: &Gate) -> (f64, f64) {
        match self {
            Measure::Errors => (ERRORS_TOLERATED, ERRORS_HARMFUL),
            _ => (gate.tolerance.0.ln_1p(), gate.harmful.0.ln_1p()),
        }
    }

    /// The unit of the shown figures.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Measure::Tail | Measure::Median | Measure::Recovery => "s",
            Measure::Errors => "fraction",
            Measure::Throughput => "/s",
        }
    }

    /// What the shown figure may be, where the baseline's is `baseline`.
    pub(super) fn limit(self, baseline: f64, gate: &Gate) -> f64 {
        match self {
            Measure::Tail | Measure::Median | Measure::Recovery => baseline * (1.0 + gate.tolerance.0),
            Measure::Errors => (baseline - ERRORS_TOLERATED).max(0.0),
            Measure::Throughput => baseline / (1.0 + gate.tolerance.0),
        }
    }

    pub(super) fn scale(self, baseline: Option<f64>) -> Scale {
        match self {
            Measure::Tail | Measure::Median | Measure::Recovery => Scale::LogRatio,
            Measure::Throughput => Scale::LogLoss,
            Measure::Errors => Scale::Share { success: baseline.unwrap_or(0.0) },
        }
    }

    /// Of what each number is.
    pub(super) fn noun(self) -> &'static str {
        if self == Measure::Recovery { "play" } else { "pair-block" }
    }

    /// What gives more of them.
    pub(super) fn remedy(self) -> &'static str {
        if self == Measure::Recovery { "more rounds or episodes" } else { "make the phase longer" }
    }

    /// That nothing changed: the start of the sentence.
    pub(super) fn sameness(self, subject: &str, figures: Option<(f64, f64)>) -> String {
        let both = |name: &str, show: fn(f64) -> String| {
            figures.map_or_else(String::new, |(ours, _)| format!(" ({name}{} on both sides)", show(ours)))
        };
        match self {
            Measure::Tail => format!("the slowest requests of {subject} took as long as before{}", both("P99 ", text::seconds)),
            Measure::Median => format!("the median request of {subject} took as long as before{}", both("P50 ", text::seconds)),
            Measure::Errors if figures.is_some_and(|(ours, theirs)| ours.min(theirs) >= 1.0) => {
                format!("no request of {subject} failed on either side")
            }
            Measure::Errors => format!("as many requests of {subject} failed on both sides{}", both("success ", text::share)),
            Measure::Throughput => {
                format!(
                    "as many requests of {subject} succeeded a second on both sides{}",
                    figures.map_or_else(String::new, |(ours, _)| format!(", {}", text::rate(ours)))
                )
            }
            Measure::Recovery => format!("{subject} met its steady state again as soon as before{}", both("median ", text::seconds)),
        }
    }

    /// What changed by how much, from what to what: the start of the sentence.
    pub(super) fn change(self, subject: &str, change: &str, figures: Option<(f64, f64)>) -> String {
        let beside = |name: &str, show: fn(f64) -> String| {
            figures.map_or_else(String::new, |(ours, theirs)| format!(" ({name}{} vs {})", show(ours), show(theirs)))
        };
        match self {
            Measure::Tail => format!("the slowest requests of {subject} changed by {change}{}", beside("P99 ", text::seconds)),
            Measure::Median => format!("the median request of {subject} changed by {change}{}", beside("P50 ", text::seconds)),
            Measure::Errors => format!("failed requests of {subject} changed by {change}{}", beside("success ", text::share)),
            Measure::Throughput => format!("successful answers of {subject} a second changed by {change}{}", beside("", text::rate)),
            Measure::Recovery => format!(
                "the time that {subject} took to meet its steady state again, with a second added to each, changed by {change}{}",
                beside("median ", text::seconds)
            ),
        }
    }
}

impl Scale {
    pub(super) fn relative(self, shift: f64) -> Option<f64> {
        let value = match self {
            Scale::LogRatio => shift.exp_m1(),
            Scale::LogLoss => (-shift).exp_m1(),
            Scale::Share { success } if success > 0.0 => -shift / success,
            Scale::Share { .. } => return None,
        };
        // A sum of zeros may come out as -0, which reads as a loss.
        value.is_finite().then_some(value + 0.0)
    }

    /// The ends of an interval as relative changes, the lower one first. An end that the blocks are too few for is the end of the scale where
    /// there is one.
    pub(super) fn ends(self, lower: f64, upper: f64) -> (Option<f64>, Option<f64>) {
        match self {
            Scale::LogRatio => (self.relative(lower), self.relative(upper)),
            Scale::LogLoss => (self.relative(upper), self.relative(lower)),
            Scale::Share { .. } => (self.relative(upper.min(1.0)), self.relative(lower.max(-1.0))),
        }
    }

    /// A shift in words: `+5.0 %`, `-4.8 %`, `+1.0 percentage points`.
    pub(super) fn show(self, shift: f64) -> String {
        match self {
            // Zero has no sign, whatever a sum says.
            Scale::LogRatio => text::change(shift.exp_m1() + 0.0),
            Scale::LogLoss => text::change((-shift).exp_m1() + 0.0),
            Scale::Share { .. } => text::points(shift + 0.0),
        }
    }
}
