//! Release readiness: the records of a range of commits read as a whole. Pure; says what the records say and what they do not.

use crate::trends::{Series, Shift, Trends, trends};
use shakedown_model::{
    event::Phase,
    experiment::Experiment,
    fault::Target,
    history::HistoryRecord,
    release::{Coverage, LastRun, RELEASE_SCHEMA, Release, ScenarioReadiness, Trend, TrendShift},
    verdict::Verdict,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    /// As it was typed.
    pub text: &'a str,
    /// Full ids, newest first; the first is to be released.
    pub commits: &'a [String],
}

/// Reads `records` of any commits; only those of `range` count. `detect` finds lasting changes in a series.
pub fn readiness(range: Range<'_>, experiment: &Experiment, records: &[HistoryRecord], detect: impl Fn(&[f64]) -> Vec<Shift>) -> Release {
    let place: BTreeMap<&str, usize> = range.commits.iter().enumerate().map(|(index, commit)| (commit.as_str(), index)).collect();
    let mut known: Vec<HistoryRecord> = records.iter().filter(|record| place.contains_key(record.commit.as_str())).cloned().collect();
    known.sort_by(|a, b| (a.time, &a.run).cmp(&(b.time, &b.run)));
    let mut found = trends(&known);
    found.find_changes(&known, detect);
    let scenarios = scenarios(experiment, &known, &place, &found);
    let coverage = coverage(&known);
    let untouched = untouched(experiment, &coverage);
    let tip = range.commits.first().cloned().unwrap_or_default();
    let open = open(&scenarios, known.iter().any(|record| record.commit == tip), &tip);
    let (verdict, advice) = advice(&scenarios, &open, known.len());
    Release {
        schema: RELEASE_SCHEMA,
        range: range.text.to_owned(),
        commits: range.commits.len(),
        exercised: known.iter().map(|record| &record.commit).collect::<BTreeSet<_>>().len(),
        runs: known.len(),
        tip,
        verdict,
        advice,
        open,
        scenarios,
        coverage,
        untouched,
        trends: found.series.iter().filter(|series| is_shown(series)).map(trend).collect(),
    }
}

fn scenarios(experiment: &Experiment, records: &[HistoryRecord], place: &BTreeMap<&str, usize>, trends: &Trends) -> Vec<ScenarioReadiness> {
    let configured = experiment.scenarios.iter().map(|scenario| scenario.name.as_str());
    let ran = records.iter().flat_map(|record| &record.scenarios).map(|scenario| scenario.name.as_str());
    let names: BTreeSet<&str> = configured.chain(ran).collect();
    let mut all: Vec<ScenarioReadiness> = names.into_iter().map(|name| scenario(name, records, place, trends)).collect();
    // What needs a look first: failed, never exercised, undecided, passed.
    let rank = |scenario: &ScenarioReadiness| match scenario.last.as_ref().map(|last| last.verdict) {
        Some(Verdict::Fail) => 0,
        None => 1,
        Some(Verdict::Inconclusive) => 2,
        Some(Verdict::Pass) => 3,
    };
    all.sort_by_key(rank);
    all
}

fn scenario(name: &str, records: &[HistoryRecord], place: &BTreeMap<&str, usize>, trends: &Trends) -> ScenarioReadiness {
    let played: Vec<(&HistoryRecord, Verdict)> = records
        .iter()
        .filter_map(|record| Some((record, record.scenarios.iter().find(|scenario| scenario.name == name)?.verdict)))
        .collect();
    let count = |verdict| played.iter().filter(|(_, other)| *other == verdict).count();
    // The newest commit counts, and of its runs the latest; a run of an old commit that was made today says nothing of today's.
    let newest = played.iter().min_by_key(|(record, _)| (place[record.commit.as_str()], std::cmp::Reverse(record.time)));
    let last = newest.map(|(record, verdict)| LastRun {
        run: record.run.clone(),
        commit: record.commit.clone(),
        subject: record.subject.clone(),
        time: record.time,
        verdict: *verdict,
        behind: place[record.commit.as_str()],
    });
    let waived = newest.and_then(|(record, _)| record.scenarios.iter().find(|scenario| scenario.name == name));
    let flaky = trends.flaky.iter().find(|flaky| flaky.scenario == name).map(|flaky| flaky.rate);
    ScenarioReadiness {
        name: name.to_owned(),
        last,
        runs: [count(Verdict::Pass), count(Verdict::Inconclusive), count(Verdict::Fail)],
        flaky,
        waived: waived.map(|scenario| scenario.waived.clone()).unwrap_or_default(),
    }
}

/// By target and kind; what met nothing covers nothing.
fn coverage(records: &[HistoryRecord]) -> Vec<Coverage> {
    let mut found: BTreeMap<(String, String), Coverage> = BTreeMap::new();
    for record in records {
        let doses = record.scenarios.iter().flat_map(|scenario| &scenario.doses).filter(|dose| dose.touched > 0);
        let mut of_run: BTreeMap<(String, String), u64> = BTreeMap::new();
        for dose in doses {
            *of_run.entry((dose.target.clone(), dose.kind.clone())).or_default() += dose.touched;
        }
        for ((target, kind), touched) in of_run {
            let runs = found.get(&(target.clone(), kind.clone())).map_or(0, |known| known.runs) + 1;
            let latest = Coverage { target, kind, runs, commit: record.commit.clone(), time: record.time, touched };
            found.insert((latest.target.clone(), latest.kind.clone()), latest);
        }
    }
    found.into_values().collect()
}

/// Services of the scenarios' world that no fault came near.
fn untouched(experiment: &Experiment, coverage: &[Coverage]) -> Vec<String> {
    let near = |name: &str| coverage.iter().any(|covered| covered.target.split("->").any(|end| end.trim() == name));
    let aimed = experiment.scenarios.iter().flat_map(|scenario| &scenario.faults).flat_map(|fault| match &fault.on {
        Target::Service(service) => vec![service.clone()],
        Target::Edge(edge) => vec![edge.from.clone(), edge.to.clone()],
    });
    let known: BTreeSet<String> = experiment.services.process.keys().cloned().chain(aimed).collect();
    known.into_iter().filter(|name| !near(name)).collect()
}

fn open(scenarios: &[ScenarioReadiness], tip_ran: bool, tip: &str) -> Vec<String> {
    let short = |commit: &str| commit.get(..10).unwrap_or(commit).to_owned();
    let mut open = Vec::new();
    if !tip_ran {
        open.push(format!("no run of {} itself is known: run `shakedown run --all` on it", short(tip)));
    }
    for scenario in scenarios {
        match &scenario.last {
            None => open.push(format!("{} was not exercised in this range", scenario.name)),
            Some(last) if last.verdict == Verdict::Inconclusive => {
                open.push(format!("{} could not be told at {}", scenario.name, short(&last.commit)));
            }
            Some(_) => {}
        }
        if let Some(rate) = scenario.flaky {
            open.push(format!(
                "{} is flaky: {:.0} % of the commits judged more than once have different verdicts",
                scenario.name,
                rate * 100.0
            ));
        }
    }
    open
}

fn advice(scenarios: &[ScenarioReadiness], open: &[String], runs: usize) -> (Verdict, String) {
    let failed: Vec<&ScenarioReadiness> =
        scenarios.iter().filter(|scenario| scenario.last.as_ref().is_some_and(|last| last.verdict == Verdict::Fail)).collect();
    if let [first, rest @ ..] = &failed[..] {
        let commit = first.last.as_ref().map(|last| last.commit.get(..10).unwrap_or(&last.commit).to_owned()).unwrap_or_default();
        let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
        return (Verdict::Fail, format!("not ready: {} failed at {commit} and has not passed since{more}", first.name));
    }
    match open {
        [] if runs > 0 => {
            let behind = scenarios.iter().filter_map(|scenario| Some(scenario.last.as_ref()?.behind)).max().unwrap_or(0);
            let age = if behind == 0 { String::new() } else { format!("; the oldest answer is {behind} commits old") };
            (Verdict::Pass, format!("nothing speaks against it: all {} scenarios passed{age}{}", scenarios.len(), waived(scenarios)))
        }
        [] => (Verdict::Inconclusive, "nothing is known: no run of these commits".to_owned()),
        [only] => (Verdict::Inconclusive, format!("cannot be told: {only}")),
        [first, rest @ ..] => (Verdict::Inconclusive, format!("cannot be told: {first} (and {} more)", rest.len())),
    }
}

/// `; waived: slow/fault/checkout/p99 (team-payments, until 2026-12-31)`.
fn waived(scenarios: &[ScenarioReadiness]) -> String {
    let all: Vec<_> = scenarios.iter().flat_map(|scenario| &scenario.waived).collect();
    let Some(first) = all.first() else { return String::new() };
    let more = if all.len() == 1 { String::new() } else { format!(" and {} more", all.len() - 1) };
    format!("; waived: {} ({}, until {}){more}", first.finding, first.by.owner, first.by.expires)
}

/// What the fault does, how long it hurts, and what is borne.
fn is_shown(series: &Series) -> bool {
    let margin = series.measure.starts_with("margin");
    margin || series.measure == "recovery" || (series.phase == Phase::Fault && matches!(series.measure.as_str(), "p99" | "success"))
}

fn trend(series: &Series) -> Trend {
    let index = |commit: &str| series.points.iter().position(|point| point.commit == commit).unwrap_or(0);
    let shifts = series.changes.iter().flatten().map(|change| TrendShift {
        index: index(&change.commit),
        commit: change.commit.clone(),
        subject: change.subject.clone(),
        before: change.before,
        after: change.after,
        significance: change.significance,
    });
    Trend {
        scenario: series.scenario.clone(),
        subject: series.load.clone(),
        phase: series.phase,
        measure: series.measure.clone(),
        unit: match series.measure.as_str() {
            "p99" | "recovery" | "margin" => "s",
            "success" | "margin_share" => "fraction",
            _ => "",
        },
        machine_class: series.machine_class.clone(),
        values: series.points.iter().map(|point| point.value).collect(),
        shifts: shifts.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indexmap::IndexMap;
    use shakedown_model::{
        config::load,
        history::{HISTORY_SCHEMA, HistoryDose, HistoryFigure, ScenarioHistory, WaivedFailure},
        result::Waived,
        time::UnixNanos,
    };
    use std::path::{Path, PathBuf};

    /// Newest first, as git lists them.
    fn commits() -> Vec<String> {
        ["c4", "c3", "c2", "c1"].map(str::to_owned).to_vec()
    }

    fn record(commit: &str, time: u64, scenarios: &[(&str, Verdict)]) -> HistoryRecord {
        let scenario = |(name, verdict): &(&str, Verdict)| ScenarioHistory {
            name: (*name).to_owned(),
            verdict: *verdict,
            seconds: 20.0,
            figures: vec![HistoryFigure {
                load: "checkout".to_owned(),
                phase: Phase::Fault,
                measure: "p99".to_owned(),
                value: time as f64,
            }],
            doses: vec![HistoryDose {
                kind: "latency".to_owned(),
                target: "orders -> payment".to_owned(),
                touched: 7,
                achieved: IndexMap::default(),
            }],
            waived: Vec::new(),
        };
        HistoryRecord {
            schema: HISTORY_SCHEMA.to_owned(),
            run: format!("r{time}"),
            commit: commit.to_owned(),
            subject: None,
            time: UnixNanos(time),
            machine_class: "x".to_owned(),
            verdict: scenarios.iter().map(|(_, verdict)| *verdict).max().unwrap_or(Verdict::Inconclusive),
            scenarios: scenarios.iter().map(scenario).collect(),
        }
    }

    fn experiment() -> Experiment {
        let config = r#"
services: { process: { orders: { run: [./a] }, payment: { run: [./b] } } }
load: { checkout: { to: "orders:8080", request: GET /, rate: 50/s } }
scenarios: [{ scenario: slow, faults: [{ for: 2s, on: "orders -> payment", latency: { delay: 10ms } }] }]
"#;
        let files = BTreeMap::from([(PathBuf::from("/p/shakedown.yaml"), config.to_owned())]);
        load(Path::new("/p/shakedown.yaml"), &files, &BTreeMap::new()).map_err(|mistakes| mistakes.render(false)).unwrap().experiment
    }

    fn ask(records: &[HistoryRecord]) -> Release {
        readiness(Range { text: "v1..HEAD", commits: &commits() }, &experiment(), records, |_| Vec::new())
    }

    #[test]
    fn a_tip_whose_scenarios_all_passed_is_ready() {
        let release = ask(&[record("c4", 9, &[("slow", Verdict::Pass)])]);
        assert_eq!((release.verdict, release.advice.as_str()), (Verdict::Pass, "nothing speaks against it: all 1 scenarios passed"));
        assert_eq!((release.exercised, release.commits, release.coverage[0].touched), (1, 4, 7));
        assert!(release.open.is_empty() && release.untouched.is_empty(), "{release:?}");
    }

    #[test]
    fn without_a_run_of_the_tip_nothing_is_ready() {
        let release = ask(&[record("c3", 9, &[("slow", Verdict::Pass)])]);
        assert_eq!(release.verdict, Verdict::Inconclusive);
        assert!(release.advice.contains("no run of c4 itself"), "{}", release.advice);
        let nothing = ask(&[]);
        assert_eq!(nothing.verdict, Verdict::Inconclusive);
        assert!(nothing.open.iter().any(|open| open.contains("slow was not exercised")), "{:?}", nothing.open);
        assert_eq!(nothing.untouched, ["orders", "payment"]);
    }

    #[test]
    fn a_failure_stands_until_a_later_commit_passes_whenever_it_was_measured() {
        let failed = record("c4", 8, &[("slow", Verdict::Fail)]);
        let old = record("c2", 9, &[("slow", Verdict::Pass)]);
        let release = ask(&[old.clone(), failed.clone()]);
        assert_eq!((release.verdict, release.scenarios[0].runs), (Verdict::Fail, [1, 0, 1]));
        assert_eq!(release.advice, "not ready: slow failed at c4 and has not passed since");
        let again = record("c4", 10, &[("slow", Verdict::Pass)]);
        let release = ask(&[old, failed, again]);
        assert_eq!(release.verdict, Verdict::Inconclusive, "one commit with two answers is flaky: {}", release.advice);
        assert!(release.open.iter().any(|open| open.contains("flaky")), "{:?}", release.open);
    }

    #[test]
    fn runs_of_other_commits_do_not_count_and_those_of_the_range_make_the_trends() {
        let release = ask(&[
            record("elsewhere", 1, &[("slow", Verdict::Fail)]),
            record("c1", 2, &[("slow", Verdict::Pass)]),
            record("c4", 3, &[("slow", Verdict::Pass)]),
        ]);
        assert_eq!((release.verdict, release.runs, &release.trends[0].values[..]), (Verdict::Pass, 2, &[2.0, 3.0][..]));
    }

    #[test]
    fn what_was_waived_in_the_last_run_is_named_and_speaks_not_against_it() {
        let mut records = vec![record("c3", 1, &[("slow", Verdict::Pass)]), record("c4", 2, &[("slow", Verdict::Pass)])];
        let by = Waived { owner: "team-payments".to_owned(), expires: "2026-12-31".parse().unwrap(), why: None };
        let failure = WaivedFailure { finding: "slow/fault/checkout/p99".to_owned(), by };
        records[0].scenarios[0].waived = vec![WaivedFailure { finding: "slow/fault/old".to_owned(), ..failure.clone() }];
        records[1].scenarios[0].waived = vec![failure.clone()];
        let commits = commits();
        let release = readiness(Range { text: "c1..c4", commits: &commits }, &experiment(), &records, |_| Vec::new());
        assert_eq!(release.verdict, Verdict::Pass, "{}", release.advice);
        assert_eq!(release.scenarios[0].waived, [failure]);
        assert!(release.advice.ends_with("; waived: slow/fault/checkout/p99 (team-payments, until 2026-12-31)"), "{}", release.advice);
    }
}
