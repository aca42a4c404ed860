//! What a report draws: bounded extracts of the evidence. Judges nothing.

mod logs;
mod marks;
mod patterns;
mod series;
mod traces;

use crate::{
    log_patterns::LogPatterns,
    plays::Plays,
    view::{View, charged},
};
use shakedown_model::{
    event::Phase,
    result::{AlertExhibit, Blame, Exhibits, Finding},
    verdict::Verdict,
};

/// The exhibits of one scenario: tables of all plays, and the pictures of the one that says most.
pub(crate) fn exhibits(
    plays: &Plays<'_>,
    patterns: &LogPatterns<'_>,
    alerts: Vec<AlertExhibit>,
    findings: &[Finding],
    blame: Option<&Blame>,
) -> Exhibits {
    let shown = most_telling(plays, findings);
    let (round, episode) = plays.numbers(shown);
    let view = &plays.views[shown];
    let traces = traces::waterfalls(view, blame);
    let (logs, logs_left_out) = logs::lines(view, &traces);
    Exhibits {
        loads: series::loads(plays, view),
        logs,
        logs_left_out,
        log_diff: patterns::difference(patterns),
        alerts,
        marks: marks::marks(view),
        generator: view.generator.cloned(),
        traces,
        round,
        episode,
    }
}

/// The play that a finding names as the worst; where something failed in all of them together, the slowest; else the last.
fn most_telling(plays: &Plays<'_>, findings: &[Finding]) -> usize {
    let last = plays.views.len() - 1;
    let Some(worst) = findings.iter().map(|finding| finding.verdict).max().filter(|worst| *worst != Verdict::Pass) else { return last };
    let named = findings.iter().filter(|finding| finding.verdict == worst).find_map(|finding| {
        finding.round?;
        (0..plays.views.len()).find(|play| plays.numbers(*play) == (finding.round, finding.episode))
    });
    if named.is_some() || worst != Verdict::Fail {
        return named.unwrap_or(last);
    }
    (0..plays.views.len()).max_by(|a, b| slowness(&plays.views[*a]).total_cmp(&slowness(&plays.views[*b]))).unwrap_or(last)
}

/// Mean time of the candidate's requests under the fault.
fn slowness(view: &View<'_>) -> f64 {
    let Some(window) = view.candidate.judged(Phase::Fault) else { return 0.0 };
    let times = view
        .candidate
        .requests
        .iter()
        .filter(|request| window.contains(request.due))
        .map(|request| charged(request, view.load(&request.load)));
    let (count, sum) = times.fold((0_u64, 0.0), |(count, sum), time| (count + 1, sum + time));
    if count == 0 { 0.0 } else { sum / count as f64 }
}
