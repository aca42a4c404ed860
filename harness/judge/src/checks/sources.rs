//! Which sources of evidence failed: a check that needed one cannot pass.

use crate::{text, view::View};
use shakedown_model::{event::Event, stack::Variant};

/// Words that name the sources of one kind of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Spans,
    Logs,
    Probes,
}

impl Kind {
    fn words(self) -> &'static [&'static str] {
        match self {
            Kind::Spans => &["otlp", "trace", "span"],
            Kind::Logs => &["log"],
            Kind::Probes => &["probe"],
        }
    }
}

/// The first failure of such a source of the candidate up to the end of the scenario, in words.
pub(crate) fn failed(view: &View<'_>, kind: Kind) -> Option<String> {
    let end = view.candidate.whole()?.end;
    view.evidence.events.iter().filter(|timed| timed.at < end).find_map(|timed| match &timed.event {
        Event::SourceFailed { variant: Variant::Candidate, source, error } => {
            let name = source.to_lowercase();
            let meant = kind.words().iter().any(|word| name.contains(word));
            meant.then(|| format!("the source {} failed: {}", text::clean(source, 100), text::clean(error, 200)))
        }
        _ => None,
    })
}
