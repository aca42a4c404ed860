//! What all channels say, service by service: who comes first, who next, and whether that is enough to tell them apart.

use super::{
    account::{Account, Part},
    channels::{Channel, Signal},
    keys::Keys,
};
use indexmap::IndexMap;
use shakedown_model::result::{Culprit, Suspect};

/// The first of the blamed must score this, …
pub(super) const CLEAR: f64 = 0.2;
/// … the others this.
const WORTH_NAMING: f64 = 0.05;
const NAMED_AT_MOST: usize = 5;
const RULED_OUT_AT_MOST: usize = 100;
/// Scores closer than this are equal: the service that is called by the others comes first, then the one with more kinds of evidence.
const TIE: f64 = 0.05;
/// Below this margin it is ambiguous.
const MARGIN: f64 = 0.1;
/// Pieces of evidence that are kept of one culprit.
const NOTES: usize = 12;

/// One service with everything that speaks against it, strongest first.
struct Case {
    service: String,
    signals: Vec<Signal>,
    depth: usize,
}

impl Case {
    fn score(&self) -> f64 {
        self.signals.first().map_or(0.0, |signal| signal.score)
    }

    /// Kinds of evidence that would each do. Lines have no vote: who is hit by another's failure writes most of them.
    fn agreeing(&self) -> usize {
        self.signals.iter().filter(|signal| signal.channel != Channel::Logs && signal.score >= CLEAR).count()
    }
}

/// Who is blamed, and how sure that is.
pub(super) struct Ranking {
    pub(super) culprits: Vec<Culprit>,
    pub(super) runner_up: Option<Suspect>,
    pub(super) margin: f64,
    pub(super) ambiguous: bool,
    pub(super) ruled_out: Vec<Suspect>,
}

/// `depths` has every service, with its distance from where requests come in. `None`: nobody is blamed.
pub(super) fn rank(signals: Vec<Signal>, account: Option<&Account>, depths: &IndexMap<String, usize>, keys: &Keys<'_>) -> Option<Ranking> {
    let cases = in_order(cases(signals, depths));
    if cases.first().is_none_or(|first| first.score() < CLEAR) {
        return None;
    }
    let suspect = |case: &Case| Suspect { service: case.service.clone(), operation: operation(case), score: case.score() };
    let margin = cases[0].score() - cases.get(1).map_or(0.0, Case::score);
    let runner_up = cases.get(1).map(suspect);
    let ambiguous = cases.get(1).is_some_and(|next| margin.abs() < MARGIN || overlap(account, &cases[0].service, &next.service));
    let named = cases.iter().take(NAMED_AT_MOST).take_while(|case| case.score() >= WORTH_NAMING).count();
    let unnamed = depths.keys().filter(|service| !cases.iter().any(|case| case.service == **service));
    let unsuspected = unnamed.map(|service| Suspect { service: service.clone(), operation: String::new(), score: 0.0 });
    let ruled_out = cases[named..].iter().map(suspect).chain(unsuspected).take(RULED_OUT_AT_MOST).collect();
    let culprits = cases.into_iter().take(named).map(|case| culprit(case, account, keys)).collect();
    Some(Ranking { culprits, runner_up, margin: margin.max(0.0), ambiguous, ruled_out })
}

fn cases(signals: Vec<Signal>, depths: &IndexMap<String, usize>) -> Vec<Case> {
    let mut cases: IndexMap<String, Vec<Signal>> = IndexMap::new();
    for signal in signals {
        cases.entry(signal.service.clone()).or_default().push(signal);
    }
    let case = |(service, mut signals): (String, Vec<Signal>)| {
        signals.sort_by(|a, b| b.score.total_cmp(&a.score));
        Case { depth: depths.get(&service).copied().unwrap_or(0), service, signals }
    };
    cases.into_iter().map(case).collect()
}

/// Strongest first; of those that are as good as equal the deepest.
fn in_order(mut cases: Vec<Case>) -> Vec<Case> {
    let mut ordered = Vec::with_capacity(cases.len());
    while let Some(best) = cases.iter().map(Case::score).reduce(f64::max) {
        let equal = |case: &Case| case.score() >= best - TIE && (best >= CLEAR || case.score() >= best);
        let preferred = |case: &Case| (case.depth, case.agreeing());
        let chosen = (0..cases.len())
            .filter(|place| equal(&cases[*place]))
            .max_by(|a, b| {
                let (a, b) = (&cases[*a], &cases[*b]);
                preferred(a).cmp(&preferred(b)).then(a.score().total_cmp(&b.score())).then_with(|| b.service.cmp(&a.service))
            })
            .unwrap_or(0);
        ordered.push(cases.remove(chosen));
    }
    ordered
}

fn part<'c>(account: Option<&'c Account>, service: &str) -> Option<&'c Part> {
    account?.parts.iter().find(|part| part.service == service)
}

/// Whether the shares of two services may be the same, as far as the traces tell.
fn overlap(account: Option<&Account>, first: &str, next: &str) -> bool {
    let (Some(first), Some(next)) = (part(account, first), part(account, next)) else { return false };
    next.share > 0.0 && first.share > 0.0 && first.interval[0] < next.interval[1] && next.interval[0] < first.interval[1]
}

/// Of the account's operation and the strongest channel's, the account's where it says as much.
fn operation(case: &Case) -> String {
    let best = case.score();
    let account = case.signals.iter().find(|signal| signal.channel == Channel::Time && signal.score >= best - MARGIN);
    let named = account.into_iter().chain(&case.signals).find(|signal| !signal.operation.is_empty());
    named.map_or_else(String::new, |signal| signal.operation.clone())
}

fn culprit(case: Case, account: Option<&Account>, keys: &Keys<'_>) -> Culprit {
    let operation = operation(&case);
    // The share belongs to an operation: of another one than the account's it is not known.
    let part = part(account, &case.service).filter(|part| keys.get(part.operation).operation == operation && part.share_of_operation > 0.0);
    let score = case.score();
    let channels = case.signals.iter().map(|signal| (signal.channel.word().to_owned(), signal.score)).collect();
    let mut evidence: Vec<_> = case.signals.into_iter().flat_map(|signal| signal.notes).collect();
    evidence.truncate(NOTES);
    Culprit {
        service: case.service,
        operation,
        score,
        share: part.map(|part| part.share_of_operation),
        share_ci: part.map(|part| part.interval_of_operation),
        first_in: part.map(|part| part.first.min(1.0)),
        added: part.map(|part| part.of_operation),
        added_without_fault: part.and_then(|part| part.without_fault),
        channels,
        evidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(service: &str, channel: Channel, score: f64) -> Signal {
        Signal { channel, service: service.to_owned(), operation: format!("of {service}"), score, notes: Vec::new() }
    }

    fn ranked(signals: Vec<Signal>) -> Option<Ranking> {
        let depths = IndexMap::from([("front".to_owned(), 0), ("middle".to_owned(), 1), ("back".to_owned(), 2), ("idle".to_owned(), 2)]);
        rank(signals, None, &depths, &Keys::default())
    }

    #[test]
    fn the_strongest_evidence_decides_and_the_others_are_ruled_out_with_theirs() {
        let ranking = ranked(vec![
            signal("front", Channel::Patterns, 0.3),
            signal("middle", Channel::Time, 0.9),
            signal("back", Channel::Time, 0.01),
        ])
        .unwrap();
        let named: Vec<&str> = ranking.culprits.iter().map(|culprit| culprit.service.as_str()).collect();
        assert_eq!(named, ["middle", "front"]);
        assert!((ranking.margin - 0.6).abs() < 1e-9 && !ranking.ambiguous);
        assert_eq!(ranking.runner_up.unwrap().service, "front");
        let ruled_out: Vec<&str> = ranking.ruled_out.iter().map(|suspect| suspect.service.as_str()).collect();
        assert_eq!(ruled_out, ["back", "idle"]);
    }

    #[test]
    fn of_equals_the_deepest_comes_first_and_it_is_ambiguous() {
        let ranking = ranked(vec![signal("front", Channel::Time, 0.93), signal("back", Channel::Errors, 0.9)]).unwrap();
        assert_eq!(ranking.culprits[0].service, "back");
        assert!(ranking.ambiguous && ranking.margin.abs() < 1e-9);
    }

    #[test]
    fn lines_break_no_tie() {
        let signals = |line| {
            let both = vec![signal("a", Channel::Patterns, 1.0), signal("b", Channel::Patterns, 1.0)];
            both.into_iter().chain([signal(line, Channel::Logs, 0.5)]).collect()
        };
        assert_eq!(ranked(signals("a")).unwrap().culprits[0].service, ranked(signals("b")).unwrap().culprits[0].service);
    }

    #[test]
    fn weak_evidence_blames_nobody() {
        assert!(ranked(vec![signal("front", Channel::Time, 0.19)]).is_none());
        assert!(ranked(Vec::new()).is_none());
    }
}
