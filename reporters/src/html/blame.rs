//! Who is blamed: the account of what each service adds, the way that the trouble took, the pairs of traces, and who is ruled out.

use super::waterfall::{self, TraceView};
use crate::{markdown::culprit_name, plain::one_line, words};
use serde::Serialize;
use shakedown_model::{
    result::{AttributeDifference, Blame, Culprit, Hop, ScenarioResult, Suspect, TracePair},
    time::UnixNanos,
};

/// Length of a full bar.
const BAR: f64 = 100.0;
/// More rows than this say nothing more.
const ROWS: usize = 8;

#[derive(Debug, Serialize)]
pub(super) struct BlameView {
    /// The one that could be it as well.
    ambiguous: Option<String>,
    against: String,
    culprits: Vec<CulpritView>,
    path: Vec<HopView>,
    off_path: Vec<HopView>,
    pairs: Vec<PairView>,
    differences: Vec<DifferenceView>,
    ruled_out: Vec<SuspectView>,
}

#[derive(Debug, Serialize)]
struct CulpritView {
    name: String,
    score: String,
    share: Option<BarView>,
    added: Option<String>,
    calm: Option<String>,
    first_in: Option<String>,
    channels: Vec<BarView>,
    evidence: Vec<NoteView>,
}

/// A share of a whole as a bar.
#[derive(Debug, Serialize)]
struct BarView {
    name: String,
    width: String,
    text: String,
    /// Ends of the interval and its words.
    interval: Option<(String, String, String)>,
}

#[derive(Debug, Serialize)]
struct NoteView {
    kind: String,
    text: String,
    reference: Option<String>,
    href: Option<String>,
}

#[derive(Debug, Serialize)]
struct HopView {
    service: String,
    operation: String,
    added: Option<String>,
    errors: Option<String>,
    since: Option<String>,
    injected: bool,
    is_culprit: bool,
}

#[derive(Debug, Serialize)]
struct PairView {
    candidate: TraceLink,
    reference: TraceLink,
    largest: Option<(String, String)>,
}

#[derive(Debug, Serialize)]
struct TraceLink {
    short_id: String,
    latency: String,
    href: Option<String>,
}

#[derive(Debug, Serialize)]
struct DifferenceView {
    what: String,
    slow: BarView,
    others: BarView,
}

#[derive(Debug, Serialize)]
struct SuspectView {
    name: String,
    score: String,
}

impl BlameView {
    /// `None` where nobody is blamed.
    pub(super) fn of(scenario: &ScenarioResult, traces: &[TraceView], origin: UnixNanos) -> Option<BlameView> {
        if scenario.culprits.is_empty() && scenario.blame.is_none() {
            return None;
        }
        let none = Blame::default();
        let blame = scenario.blame.as_ref().unwrap_or(&none);
        let first = scenario.culprits.first().map(|culprit| culprit.service.as_str());
        let hops = |hops: &[Hop]| hops.iter().take(ROWS).map(|hop| hop_view(hop, first, origin)).collect();
        Some(BlameView {
            ambiguous: blame.runner_up.as_ref().filter(|_| blame.ambiguous).map(suspect_name),
            against: one_line(&blame.against, 60),
            culprits: scenario.culprits.iter().map(|culprit| culprit_view(culprit, traces)).collect(),
            path: hops(&blame.path),
            off_path: hops(&blame.off_path),
            pairs: blame.pairs.iter().take(ROWS).map(|pair| pair_view(pair, traces)).collect(),
            differences: blame.differences.iter().take(ROWS).map(difference_view).collect(),
            ruled_out: blame
                .ruled_out
                .iter()
                .filter(|suspect| !scenario.culprits.iter().any(|culprit| culprit.service == suspect.service))
                .take(ROWS)
                .map(|suspect| SuspectView { name: suspect_name(suspect), score: format!("{:.2}", suspect.score) })
                .collect(),
        })
    }
}

fn culprit_view(culprit: &Culprit, traces: &[TraceView]) -> CulpritView {
    let seconds = |seconds: f64| words::seconds(seconds).replace('-', "−");
    CulpritView {
        name: culprit_name(culprit),
        score: format!("{:.2}", culprit.score),
        share: culprit.share.map(|share| bar("of what slow requests take longer", share, culprit.share_ci)),
        added: culprit.added.map(seconds),
        calm: culprit.added_without_fault.map(seconds),
        first_in: culprit.first_in.map(words::share),
        channels: culprit.channels.iter().take(ROWS).map(|(name, score)| bar(name, *score, None)).collect(),
        evidence: culprit
            .evidence
            .iter()
            .map(|note| {
                let reference = note.reference.as_deref().map(|reference| one_line(reference, 300));
                NoteView {
                    kind: one_line(&note.kind, 30),
                    text: one_line(&note.text, 600).replace(" -> ", " → "),
                    href: reference.as_deref().and_then(|reference| href(reference, traces)),
                    reference: reference
                        .map(|reference| if is_trace_id(&reference) { format!("trace {}", &reference[..8]) } else { reference }),
                }
            })
            .collect(),
    }
}

fn bar(name: &str, share: f64, ci: Option<[f64; 2]>) -> BarView {
    let place = |share: f64| format!("{:.1}", if share.is_finite() { share.clamp(0.0, 1.0) * BAR } else { 0.0 });
    BarView {
        name: one_line(name, 40),
        width: place(share),
        text: words::share(share),
        interval: ci.map(|[low, high]| (place(low), place(high), format!("{} … {}", words::share(low), words::share(high)))),
    }
}

fn hop_view(hop: &Hop, culprit: Option<&str>, origin: UnixNanos) -> HopView {
    let signed = |text: String| if text.starts_with('−') || text.starts_with('-') { text } else { format!("+{text}") };
    HopView {
        service: one_line(&hop.service, 60),
        operation: one_line(&hop.operation, 80),
        // Less than half a millisecond is no step of a way.
        added: (hop.added.is_finite() && hop.added.abs() >= 0.000_5).then(|| signed(words::seconds(hop.added))),
        errors: (hop.added_errors >= 0.001).then(|| format!("+{} errors", words::share(hop.added_errors))),
        since: hop.since.map(|since| words::offset(since, origin)),
        injected: hop.injected,
        is_culprit: culprit == Some(hop.service.as_str()),
    }
}

fn pair_view(pair: &TracePair, traces: &[TraceView]) -> PairView {
    let link = |id: &str, seconds: f64| TraceLink {
        short_id: one_line(id, 64).chars().take(8).collect(),
        latency: words::seconds(seconds),
        href: waterfall::link(traces, id),
    };
    PairView {
        candidate: link(&pair.candidate, pair.candidate_seconds),
        reference: link(&pair.reference, pair.reference_seconds),
        largest: pair.largest.as_ref().map(|(what, seconds)| (one_line(what, 120), words::seconds(*seconds))),
    }
}

fn difference_view(difference: &AttributeDifference) -> DifferenceView {
    let of = |name: &str, some: u64, all: u64| {
        let mut bar = bar(name, some as f64 / all.max(1) as f64, None);
        bar.text = format!("{} of {}", words::count(some), words::count(all));
        bar
    };
    DifferenceView {
        what: one_line(&format!("{} {} = {}", difference.service, difference.key, difference.value), 160),
        slow: of("slow requests", difference.slow, difference.slow_of),
        others: of("others", difference.others, difference.others_of),
    }
}

fn suspect_name(suspect: &Suspect) -> String {
    let service = one_line(&suspect.service, 60);
    if suspect.operation.is_empty() { service } else { format!("{service} / {}", one_line(&suspect.operation, 100)) }
}

fn is_trace_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Where a reference leads: to a waterfall of this page, or to a page of the web. Everything else (`javascript:` above all) leads nowhere.
fn href(reference: &str, traces: &[TraceView]) -> Option<String> {
    if let Some(id) = waterfall::link(traces, reference) {
        return Some(format!("#{id}"));
    }
    let lower = reference.to_ascii_lowercase();
    (lower.starts_with("https://") || lower.starts_with("http://")).then(|| reference.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_and_own_waterfalls_are_linked() {
        assert_eq!(href("https://ci.example/1", &[]).as_deref(), Some("https://ci.example/1"));
        for hostile in ["javascript:alert(1)", "data:text/html,x", " https://x", "file:///etc/passwd", "//evil", "src/pay.rs:88"] {
            assert_eq!(href(hostile, &[]), None, "{hostile}");
        }
    }

    #[test]
    fn bars_of_figures_that_are_no_numbers_have_no_length() {
        for (share, width) in [(f64::NAN, "0.0"), (f64::INFINITY, "0.0"), (-1.0, "0.0"), (7.0, "100.0"), (0.5, "50.0")] {
            assert_eq!(bar("x", share, None).width, width, "{share}");
        }
    }
}
