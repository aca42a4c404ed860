//! What services wrote, by template: how many lines in which phase of which variant. Mined over both variants at once, so that what one wrote and the
//! other did not means something. Judges nothing. Lines are hostile: what is kept of them is bounded here and cleaned where it is shown.

use crate::{
    culprit::window,
    index::between,
    plays::Plays,
    slices::{self, SLICES},
    stats::likelihood,
    templates::{Miner, TemplateId},
    text,
    view::Arm,
};
use indexmap::IndexMap;
use serde::Deserialize;
use shakedown_model::{event::Phase, evidence::LogRecord, stack::Variant, time::Window};
use std::borrow::Cow;

/// Templates of services that are told apart.
const MOST_PATTERNS: usize = 20_000;
/// Bytes of a template, and of a line, that are shown.
const SHOWN: usize = 300;
const PHASES: [Phase; 2] = [Phase::Steady, Phase::Fault];
const SIDES: usize = 4;

/// How bad a line says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// Or it does not say.
    Other,
    Warning,
    Error,
}

impl Class {
    pub(crate) fn of(line: &LogRecord) -> Class {
        let Some(severity) = &line.severity else { return Class::Other };
        let is = |word: &str| severity.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if ["ERR", "FATAL", "CRIT", "ALERT", "EMERG", "PANIC", "SEVERE"].into_iter().any(is) {
            Class::Error
        } else if is("WARN") {
            Class::Warning
        } else {
            Class::Other
        }
    }
}

/// One variant in one phase, in all plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side(usize);

impl Side {
    pub(crate) fn of(variant: Variant, phase: Phase) -> Side {
        Side(2 * usize::from(variant == Variant::Baseline) + usize::from(phase == Phase::Fault))
    }
}

/// Lines of one template on one side.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count<'a> {
    pub(crate) lines: u64,
    /// By slices with as many requests each.
    slices: [u32; SLICES],
    pub(crate) first: Option<&'a LogRecord>,
    /// The first that knows its trace.
    traced: Option<&'a LogRecord>,
}

impl<'a> Count<'a> {
    fn add(&mut self, line: &'a LogRecord, slice: usize) {
        self.lines += 1;
        self.slices[slice] += 1;
        self.first.get_or_insert(line);
        if line.trace_id.is_some() {
            self.traced.get_or_insert(line);
        }
    }

    fn merge(&mut self, other: &Count<'a>) {
        self.lines += other.lines;
        for (slice, lines) in self.slices.iter_mut().zip(other.slices) {
            *slice += lines;
        }
        let earlier = |a: Option<&'a LogRecord>, b: Option<&'a LogRecord>| a.into_iter().chain(b).min_by_key(|line| line.at);
        self.first = earlier(self.first, other.first);
        self.traced = earlier(self.traced, other.traced);
    }

    /// A line to show, one with a trace if there is one.
    pub(crate) fn example(&self) -> Option<&'a LogRecord> {
        self.traced.or(self.first)
    }
}

/// Lines of one template, one service and one severity.
#[derive(Debug)]
pub(crate) struct Pattern<'a> {
    pub(crate) service: &'a str,
    pub(crate) class: Class,
    /// Cleaned.
    pub(crate) template: String,
    counts: [Count<'a>; SIDES],
}

impl<'a> Pattern<'a> {
    pub(crate) fn count(&self, side: Side) -> &Count<'a> {
        &self.counts[side.0]
    }

    /// In how many slices of `ours` there are more lines than in any of `theirs`, where so much was asked of each side.
    pub(crate) fn slices_above(&self, (ours, size): (Side, f64), (theirs, their_size): (Side, f64)) -> usize {
        let rate = |lines: u32, size: f64| f64::from(lines) / size.max(f64::MIN_POSITIVE);
        let most = self.count(theirs).slices.iter().map(|lines| rate(*lines, their_size)).fold(0.0, f64::max);
        self.count(ours).slices.iter().filter(|lines| rate(**lines, size) > most).count()
    }
}

/// What a line says: of a JSON object its message and its error, so that other fields, which differ from line to line and from service to service, do
/// not make the template.
fn said(body: &str) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow, alias = "msg")]
        message: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    struct Failure<'a> {
        #[serde(borrow, alias = "msg")]
        message: Cow<'a, str>,
        #[serde(borrow, alias = "err")]
        error: Cow<'a, str>,
    }
    if !body.trim_start().starts_with('{') {
        return Cow::Borrowed(body);
    }
    if let Ok(Failure { message, error }) = serde_json::from_str(body) {
        return Cow::Owned(format!("{message}: {error}"));
    }
    serde_json::from_str(body).map_or(Cow::Borrowed(body), |Message { message }| message)
}

/// A line as it is shown.
pub(crate) fn shown(line: &str) -> String {
    text::clean(line.trim_end(), SHOWN)
}

/// How much was asked of one side.
#[derive(Debug, Clone, Default)]
struct Extent {
    windows: Vec<Window>,
    requests: u64,
    lines: u64,
}

/// All templates of a scenario.
#[derive(Debug, Default)]
pub(crate) struct LogPatterns<'a> {
    pub(crate) patterns: Vec<Pattern<'a>>,
    extents: [Extent; SIDES],
    /// Lines for whose template there was no room.
    pub(crate) unsorted: u64,
}

impl<'a> LogPatterns<'a> {
    /// Of the calm and of the disturbed part of all plays.
    pub(crate) fn of(plays: &Plays<'a>) -> LogPatterns<'a> {
        let mut mining = Mining::default();
        for phase in PHASES {
            // The baseline first: where there is no room for more templates, nothing is called new that may not be.
            mining.add(plays.baselines(), Side::of(Variant::Baseline, phase), phase);
            mining.add(plays.candidates(), Side::of(Variant::Candidate, phase), phase);
        }
        mining.settled()
    }

    /// Whether this side wrote anything.
    pub(crate) fn has_lines(&self, side: Side) -> bool {
        self.extents[side.0].lines > 0
    }

    pub(crate) fn requests(&self, side: Side) -> u64 {
        self.extents[side.0].requests
    }

    /// How much was asked of two sides: requests, or seconds where requests are not known of both.
    pub(crate) fn sizes(&self, ours: Side, theirs: Side) -> (f64, f64) {
        let seconds = |side: Side| self.extents[side.0].windows.iter().map(|window| window.end.since(window.start).as_secs_f64()).sum();
        match (self.requests(ours), self.requests(theirs)) {
            (0, _) | (_, 0) => (seconds(ours), seconds(theirs)),
            (ours, theirs) => (ours as f64, theirs as f64),
        }
    }

    /// Seconds from the beginning of its part of the phase.
    pub(crate) fn offset(&self, side: Side, line: &LogRecord) -> Option<f64> {
        let window = self.extents[side.0].windows.iter().find(|window| window.contains(line.at))?;
        Some(line.at.since(window.start).as_secs_f64())
    }

    /// The least G² that is evidence among so many templates.
    pub(crate) fn least(&self) -> f64 {
        likelihood::least(self.patterns.len())
    }
}

#[derive(Default)]
struct Mining<'a> {
    miner: Miner,
    counts: IndexMap<(&'a str, Class, TemplateId), [Count<'a>; SIDES]>,
    extents: [Extent; SIDES],
    unsorted: u64,
}

impl<'a> Mining<'a> {
    fn add<'p>(&mut self, arms: impl Iterator<Item = &'p Arm<'a>>, side: Side, phase: Phase)
    where
        'a: 'p,
    {
        let arms: Vec<(&Arm<'a>, Window)> = arms.filter_map(|arm| Some((arm, window(arm, phase)?))).collect();
        let due = |(arm, window): &(&'p Arm<'a>, Window)| between(arm.requests, *window, |request| request.due);
        let requests: usize = arms.iter().map(|arm| due(arm).len()).sum();
        let mut before = 0;
        for arm in &arms {
            let due = due(arm);
            let lines = arm.0.logs(arm.1);
            for (place, line) in lines.iter().enumerate() {
                let sent = due.partition_point(|request| request.due <= line.at);
                let slice = if requests == 0 {
                    slices::slice(place, lines.len())
                } else {
                    slices::slice(before + sent.saturating_sub(1), requests)
                };
                self.line(line, side, slice);
            }
            before += due.len();
            self.extents[side.0].lines += lines.len() as u64;
        }
        self.extents[side.0].requests = requests as u64;
        self.extents[side.0].windows = arms.iter().map(|(_, window)| *window).collect();
    }

    fn line(&mut self, line: &'a LogRecord, side: Side, slice: usize) {
        let key = (&*line.service, Class::of(line), self.miner.add(&said(&line.body)));
        if key.2 == TemplateId::OTHER || (self.counts.len() >= MOST_PATTERNS && !self.counts.contains_key(&key)) {
            self.unsorted += 1;
        } else {
            self.counts.entry(key).or_default()[side.0].add(line, slice);
        }
    }

    /// With templates that turned out to be one put together.
    fn settled(self) -> LogPatterns<'a> {
        let mut settled: IndexMap<(&str, Class, TemplateId), [Count<'a>; SIDES]> = IndexMap::new();
        for ((service, class, template), counts) in &self.counts {
            let into = settled.entry((service, *class, self.miner.settled(*template))).or_default();
            for (into, count) in into.iter_mut().zip(counts) {
                into.merge(count);
            }
        }
        let pattern =
            |((service, class, template), counts)| Pattern { service, class, template: shown(&self.miner.template(template)), counts };
        LogPatterns { patterns: settled.into_iter().map(pattern).collect(), extents: self.extents, unsorted: self.unsorted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_json_line_the_message_and_the_error_are_what_it_says() {
        for (body, expected) in [
            ("plain {\"msg\":\"x\"}", "plain {\"msg\":\"x\"}"),
            (r#"{"ts":"12:00","level":"warn","msg":"gave up","order":"a1"}"#, "gave up"),
            (r#" {"message":"gave \"up\"","error":"timeout after 3 s"}"#, "gave \"up\": timeout after 3 s"),
            (r#"{"message":"gave up","error":{"kind":"timeout"}}"#, "gave up"),
            (r#"{"text":"no message"}"#, r#"{"text":"no message"}"#),
            (r#"{"message":7}"#, r#"{"message":7}"#),
            (r#"{"message":"cut off"#, r#"{"message":"cut off"#),
        ] {
            assert_eq!(said(body), expected, "{body}");
        }
        let deep = "{\"a\":".repeat(5_000);
        assert_eq!(said(&deep), deep);
    }

    #[test]
    fn severities_of_all_loggers_fall_into_three_classes() {
        let class = |severity: Option<&str>| {
            let severity = severity.map(shakedown_model::text::Text::from);
            let (at, body) = (shakedown_model::time::UnixNanos(0), String::new());
            Class::of(&LogRecord { at, service: "s".into(), severity, body, trace_id: None })
        };
        for (word, expected) in
            [("ERROR", Class::Error), ("Fatal", Class::Error), ("warning", Class::Warning), ("INFO", Class::Other), ("é", Class::Other)]
        {
            assert_eq!(class(Some(word)), expected, "{word}");
        }
        assert_eq!(class(None), Class::Other);
    }
}
