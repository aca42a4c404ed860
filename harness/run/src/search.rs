//! A searched dose: the scenario is played again and again on the instances of the first round, each time with the dose that the answers so far
//! ask for. Whether the expectations held in a play is asked of whoever knows statistics.

use crate::{
    conductor::{Orders, Stop},
    live::Live,
    margin::{Margin, next_of},
    round::play_once,
    sides::Side,
};
use shakedown_model::{
    event::{Event, GeneratorReport, SearchAnswer},
    evidence::Request,
    experiment::Scenario,
    fault::{FaultRecord, Search},
    run::{MarginPlay, MarginRun, MarginVariant, Play, RunMeta, ScenarioRun},
    stack::Variant,
};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A dose that says nothing so often is given up.
const MOST_UNANSWERED: usize = 2;

/// What one variant showed in one play.
#[derive(Debug, Clone, Default)]
pub struct SeenSide {
    /// In order of their answers.
    pub requests: Vec<Request>,
    /// As carried out.
    pub faults: Vec<FaultRecord>,
    /// Why it was not in its steady state before the fault; `None`: it was.
    pub unsteady: Option<String>,
}

/// One play of a search, with everything that its expectations are asked of.
#[derive(Debug, Clone)]
pub struct SeenPlay {
    /// With the dose of this play.
    pub scenario: Scenario,
    /// As it ran.
    pub run: ScenarioRun,
    /// How the load generator did.
    pub report: Option<GeneratorReport>,
    /// By variant.
    pub sides: BTreeMap<Variant, SeenSide>,
}

/// The answers for all variants of a play, under way; an error says why nothing can be answered.
pub type Answering = Pin<Box<dyn Future<Output = Result<Vec<SearchAnswer>, String>> + Send>>;

/// Says whether the scenario's expectations held in a play.
pub type Examiner = Box<dyn Fn(&RunMeta, SeenPlay) -> Answering + Send + Sync>;

#[derive(Default)]
struct Seen {
    report: Option<GeneratorReport>,
    sides: BTreeMap<Variant, SeenSide>,
}

/// Keeps what a play shows, in memory. By default it keeps nothing. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Witness(Option<Arc<Mutex<Seen>>>);

impl Witness {
    fn attentive() -> Witness {
        Witness(Some(Arc::default()))
    }

    fn seen(&self) -> Option<MutexGuard<'_, Seen>> {
        // A panic while the lock is held leaves whole records behind.
        self.0.as_ref().map(|seen| seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn request(&self, variant: Variant, request: &Request) {
        if let Some(mut seen) = self.seen() {
            seen.sides.entry(variant).or_default().requests.push(request.clone());
        }
    }

    pub(crate) fn event(&self, event: &Event) {
        let Some(mut seen) = self.seen() else { return };
        match event {
            Event::FaultReverted { variant, fault } => seen.sides.entry(*variant).or_default().faults.push(fault.clone()),
            Event::Generator { report, .. } => seen.report = Some(report.clone()),
            // The last answer counts: steady state may be waited for.
            Event::SteadyState { variant, holds, detail, .. } => {
                seen.sides.entry(*variant).or_default().unsteady = (!holds).then(|| detail.clone());
            }
            _ => {}
        }
    }

    fn play(&self, scenario: Scenario, run: ScenarioRun) -> Option<SeenPlay> {
        let mut seen = self.seen()?;
        let Seen { report, sides } = std::mem::take(&mut *seen);
        Some(SeenPlay { scenario, run, report, sides })
    }
}

/// Plays a searched scenario in the first round; later rounds have nothing to add, since the search repeats what is close to its boundary itself.
pub(crate) async fn play(
    orders: &Orders,
    meta: &mut RunMeta,
    sides: &mut [Side],
    live: &Arc<Live>,
    scenario: &Scenario,
    round: u32,
) -> Result<(), Stop> {
    let Some((_, search)) = scenario.searched().filter(|_| round == 1) else { return Ok(()) };
    let mut bisection = Bisection::new(search, sides.iter().map(|side| side.variant));
    for episode in 1..=search.most_plays(sides.len() as u32) {
        let Some(dose) = bisection.next() else { break };
        let play = Play { round, episode };
        let dosed = scenario.with_dose(dose).map_err(Stop::Environment)?;
        let witness = Witness::attentive();
        play_once(orders, meta, sides, live, &dosed, play, witness.clone()).await?;
        let seen = meta.scenarios.last().and_then(|run| witness.play(dosed, run.clone()));
        let answered = match seen {
            Some(seen) => (orders.examiner)(meta, seen).await,
            None => Err("nothing was kept of this play".to_owned()),
        };
        let answers = answered.unwrap_or_else(|why| bisection.unanswered(&why));
        bisection.add(play, dose, &answers);
        orders.announcer.say(Event::Searched { scenario: scenario.name.clone(), play, dose, unit: search.unit, answers });
        meta.margins.retain(|margin| margin.scenario != scenario.name);
        meta.margins.extend(bisection.record(scenario));
    }
    orders.directory.write_run(meta).map_err(|error| Stop::Environment(format!("run.json: {error}")))
}

/// The search for one variant.
struct Strand {
    variant: Variant,
    margin: Margin,
    /// Why it was given up.
    open: Option<String>,
    plays: Vec<MarginPlay>,
}

/// The searches of all variants, which share their plays. Pure.
struct Bisection<'a> {
    search: &'a Search,
    strands: Vec<Strand>,
}

impl<'a> Bisection<'a> {
    fn new(search: &'a Search, variants: impl Iterator<Item = Variant>) -> Bisection<'a> {
        let margin = Margin::between(search.severity(search.from), search.severity(search.to), search.step);
        let strands = variants.map(|variant| Strand { variant, margin: margin.clone(), open: None, plays: Vec::new() }).collect();
        Bisection { search, strands }
    }

    /// The dose to play next; `None`: all that can be known is.
    fn next(&self) -> Option<f64> {
        let open: Vec<Margin> = self.strands.iter().filter(|strand| strand.open.is_none()).map(|strand| strand.margin.clone()).collect();
        next_of(&open).map(|severity| self.search.dose(severity))
    }

    /// No answer for any variant.
    fn unanswered(&self, why: &str) -> Vec<SearchAnswer> {
        self.strands.iter().map(|strand| SearchAnswer { variant: strand.variant, held: None, reason: why.to_owned() }).collect()
    }

    fn add(&mut self, play: Play, dose: f64, answers: &[SearchAnswer]) {
        for strand in &mut self.strands {
            let answer = answers.iter().find(|answer| answer.variant == strand.variant);
            let (held, reason) = answer.map_or((None, "it was not answered"), |answer| (answer.held, answer.reason.as_str()));
            strand.plays.push(MarginPlay { play, dose, held, reason: reason.to_owned() });
            if let Some(held) = held {
                strand.margin.add(self.search.severity(dose), held);
                continue;
            }
            let same = |play: &&MarginPlay| play.held.is_none() && play.dose.total_cmp(&dose).is_eq();
            if strand.plays.iter().filter(same).count() >= MOST_UNANSWERED {
                strand.open.get_or_insert_with(|| format!("at {} nothing can be said: {reason}", self.search.unit.show(dose)));
            }
        }
    }

    fn record(&self, scenario: &Scenario) -> Option<MarginRun> {
        let (index, search) = scenario.searched()?;
        Some(MarginRun {
            scenario: scenario.name.clone(),
            fault: index,
            target: scenario.faults[index].on.to_string(),
            path: search.path.clone(),
            unit: search.unit,
            from: search.from,
            to: search.to,
            step: search.step,
            variants: self.strands.iter().map(|strand| self.variant(strand)).collect(),
        })
    }

    fn variant(&self, strand: &Strand) -> MarginVariant {
        let bracket = strand.margin.bracket();
        let dose = |severity: f64| self.search.dose(severity);
        let unfinished =
            || strand.margin.next().map(|_| format!("the search ended after {} plays before the boundary was known", strand.plays.len()));
        MarginVariant {
            variant: strand.variant,
            holds_up_to: bracket.holds_to.map(dose),
            breaks_at: bracket.breaks_at.map(dose),
            open: strand.open.clone().filter(|_| strand.margin.next().is_some()).or_else(unfinished),
            plays: strand.plays.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::fault::{DoseUnit, Worse};

    fn delay() -> Search {
        Search { path: "latency.delay".to_owned(), unit: DoseUnit::Seconds, worse: Worse::Larger, from: 0.05, to: 2.0, step: 0.05 }
    }

    fn line() -> Search {
        let (from, to) = (1024.0, 65_536.0);
        Search { path: "bandwidth.rate".to_owned(), unit: DoseUnit::BytesPerSecond, worse: Worse::Smaller, from, to, step: 1024.0 }
    }

    /// Plays until nothing is open; gives what is known of each variant, and the number of plays.
    fn search(search: &Search, holds: impl Fn(Variant, f64) -> Option<bool>) -> (Vec<MarginVariant>, u32) {
        let variants = [Variant::Candidate, Variant::Baseline];
        let mut bisection = Bisection::new(search, variants.into_iter());
        let mut plays = 0;
        while let Some(dose) = bisection.next() {
            plays += 1;
            assert!(plays <= search.most_plays(2), "it takes more plays than are made at most");
            let answers = variants.map(|variant| SearchAnswer { variant, held: holds(variant, dose), reason: "seen".to_owned() });
            bisection.add(Play { round: 1, episode: plays }, dose, &answers);
        }
        (bisection.strands.iter().map(|strand| bisection.variant(strand)).collect(), plays)
    }

    #[test]
    fn each_variant_has_its_bracket_within_the_plays_that_were_planned() {
        let boundary = |variant| if variant == Variant::Candidate { 0.43 } else { 0.61 };
        let (found, plays) = search(&delay(), |variant, dose| Some(dose <= boundary(variant)));
        assert!(plays <= delay().plays(2), "{plays}");
        for margin in found {
            let (low, high) = (margin.holds_up_to.unwrap(), margin.breaks_at.unwrap());
            let boundary = boundary(margin.variant);
            assert!(low <= boundary && boundary < high && high - low <= 0.05 + 1e-9 && margin.open.is_none(), "{margin:?}");
        }
    }

    #[test]
    fn where_less_is_worse_it_holds_above_the_boundary() {
        let (found, _) = search(&line(), |_, rate| Some(rate >= 20_000.0));
        let (low, high) = (found[0].breaks_at.unwrap(), found[0].holds_up_to.unwrap());
        assert!(low < 20_000.0 && 20_000.0 <= high && high - low <= 1024.0, "{:?}", found[0]);
    }

    #[test]
    fn a_dose_that_says_nothing_is_played_twice_and_then_given_up_for_that_variant_only() {
        let mute = |variant, dose| variant == Variant::Candidate && (0.3..0.6).contains(&dose);
        let (found, _) = search(&delay(), |variant, dose| (!mute(variant, dose)).then_some(dose <= 0.43));
        let why = found[0].open.as_deref().unwrap();
        assert!(why.contains("nothing can be said: seen"), "{why}");
        assert!(found[0].holds_up_to.is_none_or(|low| low < 0.3) && found[0].breaks_at.is_some_and(|high| high >= 0.6), "{:?}", found[0]);
        assert!(found[1].open.is_none() && found[1].holds_up_to.is_some_and(|low| low > 0.37), "{:?}", found[1]);
    }

    #[test]
    fn a_dose_that_says_nothing_for_one_variant_is_not_played_again_where_the_boundary_is_elsewhere() {
        let (found, plays) = search(&delay(), |variant, dose| (variant == Variant::Baseline || dose < 1.9).then_some(dose <= 0.43));
        assert!(found.iter().all(|margin| margin.open.is_none() && margin.holds_up_to.is_some_and(|low| low > 0.37)), "{found:?}");
        assert!(plays <= delay().plays(2), "{plays}");
    }

    #[test]
    fn a_witness_keeps_what_a_play_shows_and_by_default_nothing() {
        let (idle, attentive) = (Witness::default(), Witness::attentive());
        for witness in [&idle, &attentive] {
            witness.event(&Event::SteadyState {
                scenario: "s".to_owned(),
                variant: Variant::Baseline,
                holds: false,
                detail: "slow".to_owned(),
            });
            witness.event(&Event::Generator { scenario: "s".to_owned(), play: Play::default(), report: GeneratorReport::default() });
        }
        assert!(idle.seen().is_none());
        let seen = attentive.seen().unwrap();
        assert_eq!(seen.sides[&Variant::Baseline].unsteady.as_deref(), Some("slow"));
        assert!(seen.report.is_some());
    }
}
