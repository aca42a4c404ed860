//! What speaks against a service besides the time that it added. One file for each kind of evidence; each gives at most 1 and is shown by itself.

pub(super) mod errors;
pub(super) mod logs;
pub(super) mod network;
pub(super) mod patterns;
pub(super) mod resources;
pub(super) mod series;

use super::keys::Key;
use shakedown_model::result::EvidenceNote;

/// A kind of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// Share of the time that the slow requests take longer.
    Time,
    /// Where errors begin that were not there before.
    Errors,
    /// The way to and from a service takes longer.
    Network,
    /// What used to follow does not follow any more.
    Patterns,
    /// Log lines that were not written before.
    Logs,
    /// More of a limit is used.
    Resources,
    /// Anything that is measured left its usual range; asked only where there are no traces.
    Metrics,
}

impl Channel {
    /// As results write it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Channel::Time => "time",
            Channel::Errors => "errors",
            Channel::Network => "network",
            Channel::Patterns => "patterns",
            Channel::Logs => "logs",
            Channel::Resources => "resources",
            Channel::Metrics => "metrics",
        }
    }
}

/// What one channel has against one service.
#[derive(Debug, Clone)]
pub(super) struct Signal {
    pub(super) channel: Channel,
    pub(super) service: String,
    /// Empty: the service as a whole.
    pub(super) operation: String,
    /// In [0, 1].
    pub(super) score: f64,
    pub(super) notes: Vec<EvidenceNote>,
}

impl Signal {
    pub(super) fn of(channel: Channel, key: &Key, score: f64, notes: Vec<EvidenceNote>) -> Signal {
        Signal { channel, service: key.service.clone(), operation: key.operation.clone(), score: score.clamp(0.0, 1.0), notes }
    }
}

/// A piece of evidence without a reference.
pub(super) fn note(kind: &str, text: String) -> EvidenceNote {
    EvidenceNote { kind: kind.to_owned(), text, reference: None }
}

/// Keeps the strongest signal of each service, strongest first; of equals the one that was found first.
pub(super) fn strongest(mut signals: Vec<Signal>) -> Vec<Signal> {
    signals.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Signal> = Vec::new();
    for signal in signals {
        if !kept.iter().any(|known| known.service == signal.service) {
            kept.push(signal);
        }
    }
    kept
}
