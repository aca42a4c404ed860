//! Which sources of evidence failed: a check that needed one cannot pass.

use crate::text;
use shakedown_model::{event::Event, evidence::Evidence, stack::Variant, time::UnixNanos};

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

/// The first failure of such a source of the candidate before `end`, in words.
pub(crate) fn failed(evidence: &Evidence, end: Option<UnixNanos>, kind: Kind) -> Option<String> {
    let end = end?;
    evidence.events.iter().filter(|timed| timed.at < end).find_map(|timed| match &timed.event {
        Event::SourceFailed { variant: Variant::Candidate, source, error } => {
            let name = source.to_lowercase();
            let meant = kind.words().iter().any(|word| name.contains(word));
            meant.then(|| format!("the source {} failed: {}", text::clean(source, 100), text::clean(error, 200)))
        }
        _ => None,
    })
}
