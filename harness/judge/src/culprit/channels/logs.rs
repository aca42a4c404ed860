//! What is written that was not: templates of log lines that are new, or more frequent, under this commit and this fault. A line says that something
//! is wrong and seldom where, so that it counts for less than time and errors, and what is no error or warning blames nobody by itself.
//!
//! What is no longer written is no damage here. What the change writes in the calm as well is how it speaks now; and where one sentence replaces
//! another of the same severity the service does not complain more.

use super::{Channel, Signal};
use crate::{
    culprit::{cohort::Cohort, keys::Keys, rank::CLEAR},
    log_patterns::{Class, LogPatterns, Pattern, Side, shown},
    stats::likelihood,
    text,
};
use indexmap::IndexMap;
use shakedown_model::result::EvidenceNote;

/// Fewer lines than this are an accident, …
const FEWEST: u64 = 5;
/// … and so is what stands out in fewer slices of the phase, of twelve: chance puts the five largest of 24 on one side in one of fifty cases.
const FEWEST_SLICES: usize = 5;
/// More lines for each time that the service is called: what is worth a word, …
const ADDED: f64 = 0.01;
/// … and what is as bad as two thirds of the worst.
const GRAVE: f64 = 0.1;
/// How fast certainty comes with G².
const CERTAINTY: f64 = 20.0;
/// Templates that are told of one service.
const TOLD: usize = 3;

/// The most that a line of this severity says.
fn weight(class: Class) -> f64 {
    match class {
        Class::Error => 0.5,
        Class::Warning => 0.25,
        Class::Other => 0.1,
    }
}

/// One side, and how often each service was called there, as far as there are traces.
#[derive(Clone, Copy)]
pub(crate) struct Written<'c, 'a> {
    pub(crate) side: Side,
    pub(crate) cohort: Option<&'c Cohort<'a>>,
}

/// Subject and reference.
pub(crate) type Both<'c, 'a> = (Written<'c, 'a>, Written<'c, 'a>);

/// `calm` are the same two without a fault, where they were measured.
pub(crate) fn signals(logs: &LogPatterns<'_>, both: Both<'_, '_>, calm: Option<Both<'_, '_>>, keys: &Keys<'_>, name: &str) -> Vec<Signal> {
    if !logs.has_lines(both.0.side) || !logs.has_lines(both.1.side) {
        return Vec::new();
    }
    let compared = Compared { logs, now: Sizes::of(logs, both, keys), calm: calm.map(|calm| Sizes::of(logs, calm, keys)) };
    let mut net: IndexMap<(&str, Class), f64> = IndexMap::new();
    for pattern in &logs.patterns {
        *net.entry((pattern.service, pattern.class)).or_default() += compared.gain(pattern);
    }
    let mut by_service: IndexMap<&str, Vec<(f64, &Pattern<'_>)>> = IndexMap::new();
    for pattern in &logs.patterns {
        if let Some(score) = compared.score(pattern, net[&(pattern.service, pattern.class)]) {
            by_service.entry(pattern.service).or_default().push((score, pattern));
        }
    }
    let signals = by_service.into_iter().map(|(service, mut patterns)| {
        patterns.sort_by(|a, b| b.0.total_cmp(&a.0));
        let notes = patterns.iter().take(TOLD).map(|(_, pattern)| compared.note(pattern, name)).collect();
        Signal { channel: Channel::Logs, service: text::clean(service, 100), operation: String::new(), score: patterns[0].0, notes }
    });
    signals.collect()
}

/// Who complains of another is not who hurts: lines of a service count at most half of what else speaks against one that it calls.
pub(crate) fn hush(signals: &mut [Signal], keys: &Keys<'_>) {
    let accused: Vec<(String, f64)> = signals
        .iter()
        .filter(|signal| signal.channel != Channel::Logs && signal.score >= CLEAR)
        .map(|signal| (signal.service.clone(), signal.score))
        .collect();
    for signal in signals.iter_mut().filter(|signal| signal.channel == Channel::Logs) {
        let below = keys.below(&signal.service);
        let most = accused.iter().filter(|(service, _)| below.contains(service.as_str())).map(|(_, score)| *score).reduce(f64::max);
        signal.score = signal.score.min(most.map_or(1.0, |most| most / 2.0));
    }
}

/// How much was asked of each service on two sides.
struct Sizes {
    ours: Side,
    theirs: Side,
    all: (f64, f64),
    /// Calls of a service for each request.
    calls: [IndexMap<String, f64>; 2],
}

impl Sizes {
    fn of(logs: &LogPatterns<'_>, (ours, theirs): Both<'_, '_>, keys: &Keys<'_>) -> Sizes {
        let calls = [ours, theirs].map(|written| written.cohort.map_or_else(IndexMap::new, |cohort| cohort.calls(keys)));
        Sizes { ours: ours.side, theirs: theirs.side, all: logs.sizes(ours.side, theirs.side), calls }
    }

    /// A service that is called four times as often may write four times as much.
    fn of_service(&self, service: &str) -> (f64, f64) {
        let service = text::clean(service, 100);
        match (self.calls[0].get(&service), self.calls[1].get(&service)) {
            (Some(ours), Some(theirs)) if *ours > 0.0 && *theirs > 0.0 => (self.all.0 * ours, self.all.1 * theirs),
            _ => self.all,
        }
    }

    /// Lines that are written more for each call.
    fn gain(&self, pattern: &Pattern<'_>) -> f64 {
        let (ours, theirs) = self.of_service(pattern.service);
        let rate = |side: Side, size: f64| if size > 0.0 { pattern.count(side).lines as f64 / size } else { 0.0 };
        rate(self.ours, ours) - rate(self.theirs, theirs)
    }
}

struct Compared<'l, 'a> {
    logs: &'l LogPatterns<'a>,
    now: Sizes,
    calm: Option<Sizes>,
}

impl Compared<'_, '_> {
    /// Beyond what is written more without the fault as well.
    fn gain(&self, pattern: &Pattern<'_>) -> f64 {
        self.now.gain(pattern) - self.calm.as_ref().map_or(0.0, |calm| calm.gain(pattern).max(0.0))
    }

    /// `None`: it says nothing. `net` is what its service gained in lines of this severity.
    fn score(&self, pattern: &Pattern<'_>, net: f64) -> Option<f64> {
        let (ours, theirs) = (pattern.count(self.now.ours).lines, pattern.count(self.now.theirs).lines);
        let gain = self.gain(pattern).min(net);
        if ours < FEWEST || gain < ADDED {
            return None;
        }
        let sizes = self.now.of_service(pattern.service);
        let g2 = likelihood::g2_of_rates((ours, sizes.0), (theirs, sizes.1));
        let slices = pattern.slices_above((self.now.ours, sizes.0), (self.now.theirs, sizes.1));
        (g2 >= self.logs.least() && slices >= FEWEST_SLICES)
            .then(|| weight(pattern.class) * (1.0 - (-gain / GRAVE).exp()) * (1.0 - (-g2 / CERTAINTY).exp()))
    }

    fn note(&self, pattern: &Pattern<'_>, name: &str) -> EvidenceNote {
        let (ours, theirs) = (pattern.count(self.now.ours), pattern.count(self.now.theirs).lines);
        let kind = if theirs == 0 { "new" } else { "more often" };
        let example = ours.example();
        let severity =
            example.and_then(|line| line.severity.as_deref()).map_or_else(String::new, |word| format!("{} ", text::clean(word, 20)));
        let first = ours.first.and_then(|line| self.logs.offset(self.now.ours, line));
        let first = first.map_or_else(String::new, |seconds| format!(", first after {}", text::seconds(seconds)));
        let times = text::count(ours.lines, "line");
        let line = example.map_or_else(String::new, |line| format!("; one of them: {}", shown(&line.body)));
        EvidenceNote {
            kind: "log".to_owned(),
            text: format!("writes {kind}: {severity}{} ({times}, {theirs} against {name}{first}){line}", pattern.template),
            reference: example.and_then(|line| line.trace_id).map(|id| id.to_string()),
        }
    }
}
