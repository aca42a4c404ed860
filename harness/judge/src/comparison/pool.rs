//! One load in one phase, of both variants: what all plays of a scenario have to say of it. A play that says nothing is left out by name.

use super::{
    Comparison, Measure, Sample,
    blocks::{Block, Blocks},
    sample::differences,
};
use crate::{
    checks::baseline_dose,
    finding::Place,
    plays::Plays,
    stats::{quantile, tail::MIN_PER_BLOCK},
    text,
    view::{Arm, View, charged},
};
use shakedown_model::{
    event::Phase,
    evidence::Request,
    experiment::Load,
    time::{UnixNanos, Window},
};

/// Answers of a server that does not know what it is asked for.
const NO_ENDPOINT: [u16; 3] = [404, 405, 501];
/// What to do about a recorded baseline with other names.
const RENAMED: &str =
    "where it was renamed, record the baseline again with `shakedown baseline save` or measure both with --baseline-mode paired";
/// Where between these shares of all requests failed, a median of all is a timeout in one block and an answer in the next.
const MIXED: std::ops::Range<f64> = 0.2..0.8;

/// One load in one phase, of both variants, over all plays that can be compared.
pub(super) struct Pool<'a> {
    plays: &'a Plays<'a>,
    phase: Phase,
    load: &'a str,
    /// The blocks, or why there are none that could be compared.
    blocks: Result<Blocks, String>,
    candidate: Vec<&'a Request>,
    baseline: Vec<&'a Request>,
    /// Plays that were left out, each with the reason.
    left_out: Vec<String>,
}

impl<'a> Pool<'a> {
    pub(super) fn of(plays: &'a Plays<'a>, phase: Phase, load: &'a str, paired: bool) -> Pool<'a> {
        if paired { Pool::paired(plays, phase, load) } else { Pool::unpaired(plays, phase, load) }
    }

    /// Pair-blocks of all plays in which both variants met the same.
    fn paired(plays: &'a Plays<'a>, phase: Phase, load: &'a str) -> Pool<'a> {
        let mut pool = Pool::empty(plays, phase, load);
        let mut blocks = Blocks::Paired(Vec::new());
        let (mut used, mut found, mut expected) = (0, 0, 0);
        let mut reasons = Vec::new();
        for (play, view) in plays.views.iter().enumerate() {
            let Some(baseline) = &view.baseline else { continue };
            let windows = shared(view, baseline, phase);
            match (unlike(view, baseline, phase), windows) {
                (None, Some(window)) => {
                    found += blocks.add_pairs(&view.candidate, baseline, pool.named(), window);
                    expected += pool.expected_blocks(window);
                    used += 1;
                }
                (Some(why), _) => reasons.push((play, why)),
                (None, None) => reasons.push((play, format!("the {} phases of candidate and baseline do not overlap", phase.word()))),
            }
            // Figures are shown of whatever was seen.
            if let Some(window) = windows {
                pool.candidate.extend(view.candidate.due_in(load, window));
                pool.baseline.extend(baseline.due_in(load, window));
            }
        }
        pool.blocks = match reasons.first() {
            Some((play, why)) if used < reasons.len() => Err(format!("{}{why}", plays.prefix(*play))),
            _ => Ok(blocks),
        };
        if pool.blocks.is_ok() {
            pool.blocks = match pool.nothing_to_compare().or_else(|| lost(found, expected)) {
                Some(why) => Err(why),
                None => pool.blocks,
            };
            pool.left_out = reasons.into_iter().map(|(play, why)| format!("{} is left out: {why}", plays.name(play))).collect();
        }
        pool
    }

    /// Blocks of two runs, each of all its plays.
    fn unpaired(plays: &'a Plays<'a>, phase: Phase, load: &'a str) -> Pool<'a> {
        let mut pool = Pool::empty(plays, phase, load);
        let seconds = plays.evidence.run.slot_seconds.map_or(1.0, |slot| 2.0 * slot);
        let unlike = plays.views.iter().find_map(|view| unlike(view, view.baseline.as_ref()?, phase));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (mut reached, mut reached_there) = (false, false);
        for arm in plays.candidates() {
            let Some(window) = arm.judged(phase) else { continue };
            reached = true;
            pool.candidate.extend(arm.due_in(load, window));
            ours.extend(Blocks::of_run(arm, pool.named(), window, seconds));
        }
        for arm in plays.baselines() {
            let Some(window) = arm.judged(phase) else { continue };
            reached_there = true;
            pool.baseline.extend(arm.due_in(load, window));
            theirs.extend(Blocks::of_run(arm, pool.named(), window, seconds));
        }
        pool.blocks = match unlike.or_else(|| pool.renamed()).or_else(|| pool.nothing_to_compare()) {
            Some(why) => Err(why),
            None if !reached || !reached_there => Err(format!("the {} phases of candidate and baseline do not overlap", phase.word())),
            None => Ok(Blocks::Unpaired(ours, theirs)),
        };
        pool
    }

    /// Pair-blocks that lie whole inside a window, where the load fills them.
    fn expected_blocks(&self, window: Window) -> usize {
        let (Some(slot), Some(load)) = (self.plays.evidence.run.slot_seconds, self.plays.load(self.load)) else { return 0 };
        let is_filled = load.rate.0 * slot >= MIN_PER_BLOCK as f64;
        if is_filled { ((window.length().as_secs_f64() / (2.0 * slot)).floor() as usize).saturating_sub(1) } else { 0 }
    }

    /// Why there is nothing to compare although the phases were played.
    fn nothing_to_compare(&self) -> Option<String> {
        let (ours, theirs) = (&self.candidate, &self.baseline);
        let name = self.load;
        match (ours.is_empty(), theirs.is_empty()) {
            (true, true) => return Some(format!("no request of {name} was due in the {} phase", self.phase.word())),
            (true, false) => return Some(format!("no request of {name} reached the candidate in the {} phase", self.phase.word())),
            (false, true) => return Some(format!("no request of {name} reached the baseline in the {} phase", self.phase.word())),
            (false, false) => {}
        }
        let all = || ours.iter().chain(theirs);
        if theirs.iter().all(|request| NO_ENDPOINT.contains(&request.status)) {
            let asked = self.plays.load(name).map_or_else(String::new, |load| format!(" ({} {})", load.method, load.path));
            let status = theirs.first().map_or(0, |request| request.status);
            return Some(format!(
                "the baseline does not have this endpoint: it answered each of {} of {name}{asked} with {status}",
                text::count(theirs.len() as u64, "request")
            ));
        }
        if self.phase == Phase::Steady && all().all(|request| !request.ok) {
            return Some(format!("no request of {name} succeeded on either side, even without a fault"));
        }
        let first = ours.first().map(|request| request.latency())?;
        let still = all().count() >= MIN_PER_BLOCK && all().all(|request| request.latency().to_bits() == first.to_bits());
        still.then(|| format!("every request of {name} took exactly {}: a clock that stands still measures nothing", text::seconds(first)))
    }

    /// Why a recorded baseline knows nothing of this scenario or load: it may have had another name then.
    fn renamed(&self) -> Option<String> {
        let evidence = self.plays.evidence;
        let recorded = evidence.baseline.as_ref()?;
        let scenarios: Vec<&str> = recorded.run.as_ref()?.scenarios.iter().map(|run| run.name.as_str()).collect();
        let scenario = self.plays.scenario.name.as_str();
        if !scenarios.contains(&scenario) {
            return Some(format!("the recorded baseline has no scenario {scenario} ({}); {RENAMED}", known(&scenarios)));
        }
        let loads: Vec<&str> = self.plays.baselines().flat_map(Arm::loads).collect();
        (!loads.is_empty() && !loads.contains(&self.load))
            .then(|| format!("the recorded baseline has no load {} ({}); {RENAMED}", self.load, known(&loads)))
    }

    fn empty(plays: &'a Plays<'a>, phase: Phase, load: &'a str) -> Pool<'a> {
        let blocks = Err("nothing was compared".to_owned());
        Pool { plays, phase, load, blocks, candidate: Vec::new(), baseline: Vec::new(), left_out: Vec::new() }
    }

    fn named(&self) -> (&'a str, Option<&'a Load>) {
        (self.load, self.plays.load(self.load))
    }

    /// The comparison of one measure; `blocked`: why none means anything.
    pub(super) fn compare(&self, measure: Measure, blocked: Option<&String>) -> Comparison {
        let is_mixed = self.is_mixed();
        let statistic = |block: &Block| statistic(measure, is_mixed, block);
        let (sample, differences) = match (blocked, &self.blocks) {
            (Some(why), _) | (None, Err(why)) => (Err(why.clone()), Vec::new()),
            (None, Ok(blocks)) => {
                let differences = if let Blocks::Paired(pairs) = blocks { differences(pairs, statistic) } else { Vec::new() };
                (Sample::of(blocks, statistic).map_err(|none| none.to_string()), differences)
            }
        };
        let mut notes = self.left_out.clone();
        if measure == Measure::Median && is_mixed {
            notes.push("the median is that of the requests that succeeded, as many failed".to_owned());
        }
        Comparison {
            place: Place::new(self.plays.scenario, Some(self.phase), self.load, measure.check()),
            measure,
            sample,
            observed: self.shown(measure, &self.candidate),
            baseline: self.shown(measure, &self.baseline),
            requests: (self.candidate.len() as u64, self.baseline.len() as u64),
            differences,
            is_asked: true,
            notes,
        }
    }

    /// Whether the median of all might be a timeout in one block and an answer in the next. It looks at both variants together, so that it
    /// prefers neither.
    fn is_mixed(&self) -> bool {
        let requests = self.candidate.len() + self.baseline.len();
        let failed = self.candidate.iter().chain(&self.baseline).filter(|request| !request.ok).count();
        MIXED.contains(&(failed as f64 / requests.max(1) as f64))
    }

    fn shown(&self, measure: Measure, requests: &[&Request]) -> Option<f64> {
        let load = self.plays.load(self.load);
        let quantile = |requests: &mut dyn Iterator<Item = &&Request>, fraction: f64| {
            let sorted = quantile::sorted(requests.map(|request| charged(request, load)).collect());
            quantile::of_sorted(&sorted, fraction)
        };
        let success = (!requests.is_empty()).then(|| requests.iter().filter(|request| request.ok).count() as f64 / requests.len() as f64);
        match measure {
            Measure::Tail => quantile(&mut requests.iter(), 0.99),
            Measure::Median if self.is_mixed() => quantile(&mut requests.iter().filter(|request| request.ok), 0.5),
            Measure::Median => quantile(&mut requests.iter(), 0.5),
            Measure::Errors => success,
            Measure::Throughput => Some((success? * load?.rate.0 * 10.0).round() / 10.0),
            Measure::Recovery => None,
        }
    }
}

/// The number of a block, larger where it is worse.
fn statistic(measure: Measure, is_mixed: bool, block: &Block) -> Option<f64> {
    match measure {
        Measure::Tail => block.tail,
        Measure::Median if is_mixed => block.median_of_good,
        Measure::Median => block.median,
        Measure::Errors => block.errors,
        Measure::Throughput => block.goodput.map(|goodput| -goodput),
        Measure::Recovery => None,
    }
}

/// Names that a recorded baseline has.
fn known(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(5).map(|name| text::clean(name, 60)).collect();
    if shown.is_empty() { "it has none".to_owned() } else { format!("it has {}", shown.join(", ")) }
}

/// Why too few blocks are left of those that were measured.
fn lost(found: usize, expected: usize) -> Option<String> {
    (2 * found <= expected && expected > 1).then(|| {
        format!("only {found} of {expected} pair-blocks hold requests of both, and what half of the measurement is missing cannot speak for the rest")
    })
}

/// The medians of the baseline's blocks before the fault, each with the time at which it was measured.
pub(crate) fn medians(plays: &Plays<'_>, load: &str) -> Vec<(UnixNanos, f64)> {
    let mut medians = Vec::new();
    for arm in plays.baselines() {
        let Some(window) = arm.phase(Phase::Steady) else { continue };
        for requests in arm.due_in(load, window).chunk_by(|a, b| a.block == b.block) {
            let median = Block::of(requests, plays.load(load)).median;
            medians.extend(requests.first().map(|request| request.due).zip(median));
        }
    }
    medians
}

/// Why a play cannot be compared: the two were not hurt alike.
fn unlike(view: &View<'_>, baseline: &Arm<'_>, phase: Phase) -> Option<String> {
    if phase == Phase::Fault { baseline_dose::unlike(view, baseline) } else { None }
}

/// The part of a phase that both variants of one play share.
fn shared(view: &View<'_>, baseline: &Arm<'_>, phase: Phase) -> Option<Window> {
    let (ours, theirs) = (view.candidate.judged(phase)?, baseline.judged(phase)?);
    let shared = Window { start: ours.start.max(theirs.start), end: ours.end.min(theirs.end) };
    (shared.start < shared.end).then_some(shared)
}
