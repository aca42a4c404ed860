//! All plays of one scenario: which there are, what they are called, and how what each of them showed becomes one finding. Judges nothing itself.

use crate::{
    checks, clock,
    index::Index,
    view::{Arm, Played, View},
};
use indexmap::IndexMap;
use shakedown_model::{
    event::{Event, GeneratorReport},
    evidence::Evidence,
    experiment::{Load, Scenario},
    result::Finding,
    run::{RunMeta, ScenarioRun},
    time::{UnixNanos, Window},
};

/// What every check is handed.
pub(crate) struct Plays<'a> {
    pub(crate) evidence: &'a Evidence,
    pub(crate) scenario: &'a Scenario,
    /// In the order in which they were played; a scenario that did not run has one, without a run.
    pub(crate) views: Vec<View<'a>>,
    /// Plays of a recorded baseline for which the candidate has none.
    spare: Vec<Arm<'a>>,
    /// What is wrong with the time of a play: nothing that is told by phases can be trusted.
    pub(crate) clock: Option<String>,
    /// Why nothing that rests on the load can be trusted, be it the generator or the clock.
    pub(crate) load_distrust: Option<String>,
}

/// Which figure of several plays with one verdict says most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    Largest,
    Smallest,
}

impl<'a> Plays<'a> {
    pub(crate) fn of(evidence: &'a Evidence, scenario: &'a Scenario, ours: &'a Index<'a>, theirs: &'a Index<'a>) -> Plays<'a> {
        let played = plays(&evidence.run, scenario);
        let mut baselines = baselines(evidence, scenario, theirs).into_iter();
        let views: Vec<View<'a>> = played
            .iter()
            .map(|played| View {
                evidence,
                scenario,
                run: played.run,
                extent: played.extent,
                candidate: Arm::new(&evidence.candidate, ours, scenario, *played),
                baseline: baselines.next(),
                generator: generator(evidence, scenario, *played),
            })
            .collect();
        let mut plays = Plays { evidence, scenario, views, spare: baselines.collect(), clock: None, load_distrust: None };
        plays.clock = plays.first(clock::complaint);
        // In a search each play was trusted or not by itself.
        let distrust = scenario.searched().is_none().then(|| checks::distrust(&plays)).flatten();
        plays.load_distrust = distrust.or_else(|| plays.clock.clone());
        plays
    }

    /// Whether any was played.
    pub(crate) fn ran(&self) -> bool {
        self.views.iter().any(|view| view.run.is_some())
    }

    /// The candidate's side of every play.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &Arm<'a>> {
        self.views.iter().map(|view| &view.candidate)
    }

    /// The baseline's side of every play, also of those that only a recorded baseline has.
    pub(crate) fn baselines(&self) -> impl Iterator<Item = &Arm<'a>> {
        self.views.iter().filter_map(|view| view.baseline.as_ref()).chain(&self.spare)
    }

    /// The load's definition.
    pub(crate) fn load(&self, name: &str) -> Option<&'a Load> {
        self.evidence.experiment.loads.get(name)
    }

    /// The last instant of the last play.
    pub(crate) fn end(&self) -> Option<UnixNanos> {
        self.candidates().filter_map(Arm::whole).map(|whole| whole.end).max()
    }

    /// `round 3 of 4`, `episode 2 of 5`, `round 3 of 4, episode 2 of 5`; empty where there is one play only.
    pub(crate) fn name(&self, play: usize) -> String {
        let most = |of: fn(&ScenarioRun) -> u32| self.views.iter().filter_map(|view| view.run.map(of)).max().unwrap_or(1);
        let (rounds, episodes) = (most(|run| run.play.round), most(|run| run.play.episode));
        let Some(run) = self.views.get(play).and_then(|view| view.run).filter(|_| self.views.len() > 1) else { return String::new() };
        let round = (rounds > 1).then(|| format!("round {} of {rounds}", run.play.round));
        let episode = (episodes > 1).then(|| format!("episode {} of {episodes}", run.play.episode));
        round.into_iter().chain(episode).collect::<Vec<String>>().join(", ")
    }

    /// Round and episode of a play as results write them: nothing where one of one is all there is.
    pub(crate) fn numbers(&self, play: usize) -> (Option<u32>, Option<u32>) {
        let has_episodes = self.views.iter().any(|view| view.run.is_some_and(|run| run.play.episode > 1));
        let run = self.views.get(play).and_then(|view| view.run).filter(|_| self.views.len() > 1);
        (run.map(|run| run.play.round), run.filter(|_| has_episodes).map(|run| run.play.episode))
    }

    /// The first complaint about a play, with the name of the play.
    pub(crate) fn first(&self, complaint: impl Fn(&View<'a>) -> Option<String>) -> Option<String> {
        let mut complaints = self.views.iter().enumerate().filter_map(|(play, view)| Some((play, complaint(view)?)));
        complaints.next().map(|(play, why)| format!("{}{why}", self.prefix(play)))
    }

    /// `in round 3 of 4: ` before a sentence about one play; empty where there is one play only.
    pub(crate) fn prefix(&self, play: usize) -> String {
        if self.views.len() > 1 { format!("in {}: ", self.name(play)) } else { String::new() }
    }

    /// `4 rounds`, `5 episodes`, `20 plays`.
    pub(crate) fn count(&self, number: usize) -> String {
        let (mut rounds, mut episodes) = (false, false);
        for run in self.views.iter().filter_map(|view| view.run) {
            rounds |= run.play.round > 1;
            episodes |= run.play.episode > 1;
        }
        let noun = match (rounds, episodes) {
            (true, false) => "round",
            (false, true) => "episode",
            _ => "play",
        };
        crate::text::count(number as u64, noun)
    }

    /// What `judge` finds in each play made into one finding per expectation: the worst, in words that say where plays differ.
    pub(crate) fn merged(&self, telling: Telling, judge: impl Fn(&View<'a>) -> Vec<Finding>) -> Vec<Finding> {
        if let [only] = self.views.as_slice() {
            return judge(only);
        }
        // By id and, as several may share one, by its number in the play.
        let mut families: IndexMap<(String, usize), Vec<(usize, Finding)>> = IndexMap::new();
        for (play, view) in self.views.iter().enumerate() {
            let mut seen: IndexMap<String, usize> = IndexMap::new();
            for finding in judge(view) {
                let number = seen.entry(finding.id.clone()).or_default();
                families.entry((finding.id.clone(), *number)).or_default().push((play, finding));
                *number += 1;
            }
        }
        families.into_values().filter_map(|family| self.merge(telling, family)).collect()
    }

    /// `None`: there is nothing to merge.
    fn merge(&self, telling: Telling, mut family: Vec<(usize, Finding)>) -> Option<Finding> {
        let worst = family.iter().map(|(_, finding)| finding.verdict).max()?;
        let samples = family.iter().map(|(_, finding)| finding.samples).sum();
        let alike = family.iter().all(|(_, finding)| finding.reason == family[0].1.reason);
        family.retain(|(_, finding)| finding.verdict == worst);
        let everywhere = family.len() == self.views.len();
        let some = family.len();
        let most = family.iter().map(|(_, finding)| weight(telling, finding)).reduce(f64::max)?;
        let (play, finding) = family.into_iter().find(|(_, finding)| weight(telling, finding) >= most)?;
        let place = match (everywhere, alike) {
            (true, true) => format!("in all {}", self.count(some)),
            (true, false) => format!("in all {} (here {})", self.count(some), self.name(play)),
            (false, _) if some == 1 => format!("in {}", self.name(play)),
            (false, _) => format!("in {some} of {} (here {})", self.count(self.views.len()), self.name(play)),
        };
        let (round, episode) = if everywhere { (None, None) } else { self.numbers(play) };
        Some(Finding { reason: format!("{place}: {}", finding.reason), samples, round, episode, ..finding })
    }
}

/// How much a finding says among those of its verdict; one that saw nothing says most.
fn weight(telling: Telling, finding: &Finding) -> f64 {
    match (finding.observed.filter(|observed| !observed.is_nan()), telling) {
        (None, _) => f64::INFINITY,
        (Some(observed), Telling::Largest) => observed,
        (Some(observed), Telling::Smallest) => -observed,
    }
}

/// The plays of a scenario in a run; one without a run where there is none.
fn plays<'a>(run: &'a RunMeta, scenario: &Scenario) -> Vec<Played<'a>> {
    let runs: Vec<&ScenarioRun> = run.scenarios.iter().filter(|run| run.name == scenario.name).collect();
    if runs.len() < 2 {
        return vec![Played { run: runs.first().copied(), extent: Window { start: UnixNanos(0), end: UnixNanos(u64::MAX) }, alone: true }];
    }
    // A play that never began holds nothing.
    let starts: Vec<Option<UnixNanos>> = runs.iter().map(|run| run.phases.iter().map(|phase| phase.start).min()).collect();
    let first = starts.iter().flatten().min().copied();
    let extent = |start: Option<UnixNanos>| {
        let never = Window { start: UnixNanos(u64::MAX), end: UnixNanos(u64::MAX) };
        start.map_or(never, |start| {
            let end = starts.iter().flatten().filter(|other| **other > start).min().copied().unwrap_or(UnixNanos(u64::MAX));
            Window { start: if Some(start) == first { UnixNanos(0) } else { start }, end }
        })
    };
    runs.iter().zip(&starts).map(|(run, start)| Played { run: Some(run), extent: extent(*start), alone: false }).collect()
}

/// The baseline's side of each play: of the same plays where it ran interleaved, else of its own.
fn baselines<'a>(evidence: &'a Evidence, scenario: &'a Scenario, index: &'a Index<'a>) -> Vec<Arm<'a>> {
    let Some(baseline) = &evidence.baseline else { return Vec::new() };
    let run = baseline.run.as_ref().filter(|_| !baseline.paired).unwrap_or(&evidence.run);
    plays(run, scenario).into_iter().map(|played| Arm::new(&baseline.evidence, index, scenario, played)).collect()
}

/// The generator's report at the end of a play.
fn generator<'a>(evidence: &'a Evidence, scenario: &Scenario, played: Played<'a>) -> Option<&'a GeneratorReport> {
    if played.alone {
        return evidence.generator.get(&scenario.name);
    }
    let inside = evidence.events.iter().filter(|timed| played.extent.contains(timed.at));
    let mut reports = inside.filter_map(|timed| match &timed.event {
        Event::Generator { scenario: of, report, .. } if *of == scenario.name => Some(report),
        _ => None,
    });
    reports.next_back()
}
