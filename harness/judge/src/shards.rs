//! The shards of one gate joined: their scenarios under one verdict.
//!
//! Nothing is decided anew: each shard was judged with its part of the gate's error (`of_shard`), so that all together err as often as one gate. A shard
//! that is missing, or given twice, leaves the gate without an answer.

use crate::{headline::word, text, waivers};
use shakedown_model::{
    result::{HealthNote, RunResult},
    verdict::Verdict,
};
use std::collections::BTreeMap;

/// One shard as it was judged.
#[derive(Debug, Clone)]
pub struct Shard {
    /// Which one, from 1.
    pub index: u32,
    /// Of how many.
    pub count: u32,
    /// What came out.
    pub result: RunResult,
}

/// Exit codes from the one that says most to the one that says least: not clean, proven failure, ended early, environment, no answer.
const WEIGHT: [u8; 7] = [5, 1, 130, 143, 4, 3, 0];

/// The result of the whole gate. An error in one sentence where these are not shards of one run.
pub fn merge(shards: Vec<Shard>) -> Result<RunResult, String> {
    let count = same("the number of shards", &shards, |shard| shard.count)?;
    same("the candidate commit", &shards, |shard| shard.result.commit.candidate.clone())?;
    same("the baseline commit", &shards, |shard| shard.result.commit.baseline.clone())?;
    same("the seed", &shards, |shard| shard.result.seed)?;
    same("the baseline's mode", &shards, |shard| shard.result.run.baseline_mode.clone())?;
    let mut by_index: BTreeMap<u32, RunResult> = BTreeMap::new();
    for shard in shards {
        if by_index.insert(shard.index, shard.result).is_some() {
            return Err(format!("shard {} of {count} is given twice", shard.index));
        }
    }
    if let Some(name) = twice(&by_index) {
        return Err(format!("scenario {name} was played in two of the shards, so they are not of one plan"));
    }
    let missing: Vec<u32> = (1..=count).filter(|index| !by_index.contains_key(index)).collect();
    Ok(join(by_index, count, &missing))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, shards: &[Shard], of: impl Fn(&Shard) -> T) -> Result<T, String> {
    let mut all = shards.iter().map(|shard| (shard.index, of(shard)));
    let (index, first) = all.next().ok_or("there is no shard to join")?;
    match all.find(|(_, other)| *other != first) {
        Some((other_index, other)) => Err(format!(
            "{what} differs: shard {index} says {first:?}, shard {other_index} says {other:?}; these are not shards of one run"
        )),
        None => Ok(first),
    }
}

fn twice(shards: &BTreeMap<u32, RunResult>) -> Option<String> {
    let mut names: Vec<&str> = shards.values().flat_map(|result| &result.scenarios).map(|scenario| scenario.name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned())
}

fn join(shards: BTreeMap<u32, RunResult>, count: u32, missing: &[u32]) -> RunResult {
    let health = health(&shards, count, missing);
    let of_missing = (!missing.is_empty()).then_some(Verdict::Inconclusive);
    // A shard to which no scenario was dealt has nothing to say; that all of them are such does.
    let verdicts = shards.values().filter(|result| !is_idle(result)).map(|result| result.verdict);
    let verdict = Verdict::merge(verdicts.chain(of_missing));
    let exit_code = exit_code(&shards, missing);
    let headline = headline(&shards, count, missing, verdict);
    let mut others: Vec<RunResult> = shards.into_values().collect();
    let mut joined = others.remove(0); // `same` has refused no shards at all
    joined.clean &= others.iter().all(|other| other.clean);
    joined.inconclusive_blocks |= others.iter().any(|other| other.inconclusive_blocks);
    let run = &mut joined.run;
    run.started = others.iter().map(|other| other.run.started).fold(run.started, Ord::min);
    run.ended = others.iter().map(|other| other.run.ended).fold(run.ended, |one, other| Some(one?.max(other?)));
    run.aborted = run.aborted.take().or_else(|| others.iter().find_map(|other| other.run.aborted.clone()));
    run.ended_by = run.ended_by.take().or_else(|| others.iter().find_map(|other| other.run.ended_by.clone()));
    for other in others {
        joined.left.extend(other.left);
        joined.run.id = format!("{} {}", joined.run.id, other.run.id);
        joined.run.rerun = format!("{} && {}", joined.run.rerun, other.run.rerun);
        joined.scenarios.extend(other.scenarios);
    }
    RunResult { verdict, exit_code, headline, health, ..joined }
}

/// Fewer scenarios than shards were chosen.
fn is_idle(result: &RunResult) -> bool {
    result.scenarios.is_empty() && result.run.aborted.is_none() && result.health.iter().all(|note| !note.forces_inconclusive)
}

/// Each shard's notes with its number, those that all of them have once.
fn health(shards: &BTreeMap<u32, RunResult>, count: u32, missing: &[u32]) -> Vec<HealthNote> {
    let mut notes: Vec<HealthNote> = missing
        .iter()
        .map(|index| HealthNote {
            name: "shard-missing".to_owned(),
            text: format!("shard {index} of {count} is missing: what it should have played is not known to hold"),
            forces_inconclusive: true,
        })
        .collect();
    let everywhere = |note: &HealthNote| shards.values().all(|result| result.health.contains(note));
    for (index, result) in shards {
        for note in &result.health {
            let note = if everywhere(note) {
                note.clone()
            } else {
                HealthNote { text: format!("shard {index} of {count}: {}", note.text), ..note.clone() }
            };
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

fn exit_code(shards: &BTreeMap<u32, RunResult>, missing: &[u32]) -> u8 {
    let blocks = shards.values().any(|result| result.inconclusive_blocks);
    let all_idle = shards.values().all(is_idle);
    let of_shards = shards.values().filter(|result| all_idle || !is_idle(result)).map(|result| result.exit_code);
    let of_missing = (!missing.is_empty() && blocks).then_some(3);
    let weight = |code: &u8| WEIGHT.iter().position(|known| known == code).unwrap_or(0);
    of_shards.chain(of_missing).min_by_key(weight).unwrap_or(3)
}

/// That of the first shard that decided.
fn headline(shards: &BTreeMap<u32, RunResult>, count: u32, missing: &[u32], verdict: Verdict) -> String {
    let decisive = shards.values().find(|result| result.verdict == verdict && !is_idle(result));
    match (verdict, decisive, missing) {
        (Verdict::Pass, _, _) => {
            let scenarios: usize = shards.values().map(|result| result.scenarios.len()).sum();
            let findings = shards.values().flat_map(|result| &result.scenarios).flat_map(|scenario| &scenario.findings);
            let said = text::count(scenarios as u64, "scenario");
            format!("{} — {said} in {count} shards; every shard passed{}", word(verdict), waivers::said(findings))
        }
        (Verdict::Inconclusive, None, [first, ..]) => format!("{} — shard {first} of {count} is missing", word(verdict)),
        (_, Some(result), _) => result.headline.clone(),
        (_, None, _) => format!("{} — nothing was exercised in any shard", word(verdict)),
    }
}
