//! What records show over time: a series for each figure, where it changed for good, and scenarios that do not know their own mind. Pure.

use serde::Serialize;
use shakedown_model::{
    event::Phase,
    history::{HistoryFigure, HistoryRecord, ScenarioHistory},
    time::UnixNanos,
    verdict::Verdict,
};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the answer.
const TRENDS_SCHEMA: &str = "shakedown.trends/1";

/// A lasting change of a series, as the statistics find it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// First point after the change.
    pub index: usize,
    /// Level before.
    pub before: f64,
    /// Level after.
    pub after: f64,
    /// Chance of as large a change where there is none.
    pub significance: f64,
}

/// What records show.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trends {
    /// [`TRENDS_SCHEMA`].
    pub schema: &'static str,
    /// One for each figure.
    pub series: Vec<Series>,
    /// Scenarios whose verdict differed for one commit.
    pub flaky: Vec<Flaky>,
}

/// A figure over time, on machines of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// The scenario.
    pub scenario: String,
    /// The load.
    pub load: String,
    /// The phase.
    pub phase: Phase,
    /// The measure.
    pub measure: String,
    /// What the machines have in common.
    pub machine_class: String,
    /// Oldest first.
    pub points: Vec<Point>,
    /// Lasting changes, oldest first; `None`: nobody looked for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<Change>>,
}

/// A figure of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The commit.
    pub commit: String,
    /// When it was measured.
    pub time: UnixNanos,
    /// In the unit of the measure.
    pub value: f64,
}

/// A lasting change and the commit that brought it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The first commit after the change.
    pub commit: String,
    /// Its subject line.
    pub subject: Option<String>,
    /// The last commit that was measured before it: the change may lie anywhere between the two.
    pub after_commit: Option<String>,
    /// Level before.
    pub before: f64,
    /// Level after.
    pub after: f64,
    /// Chance of as large a change where there is none.
    pub significance: f64,
}

/// A scenario that does not say the same of the same commit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flaky {
    /// The scenario.
    pub scenario: String,
    /// Commits that were judged more than once.
    pub repeated: usize,
    /// Of them those whose verdicts differ.
    pub differing: usize,
    /// The share.
    pub rate: f64,
    /// Those commits, the latest first; at most five.
    pub commits: Vec<String>,
}

/// Looks at records, oldest first.
pub fn trends(records: &[HistoryRecord]) -> Trends {
    Trends { schema: TRENDS_SCHEMA, series: series(records), flaky: flaky(records) }
}

impl Trends {
    /// Looks for lasting changes with `detect`, and names the commits that brought them out of the records that the series come from.
    pub fn find_changes(&mut self, records: &[HistoryRecord], detect: impl Fn(&[f64]) -> Vec<Shift>) {
        let subjects: BTreeMap<&str, &str> =
            records.iter().filter_map(|record| Some((record.commit.as_str(), record.subject.as_deref()?))).collect();
        for series in &mut self.series {
            let values: Vec<f64> = series.points.iter().map(|point| point.value).collect();
            let shifts = detect(&values).into_iter();
            series.changes = Some(shifts.filter_map(|shift| change(&series.points, shift, &subjects)).collect());
        }
    }
}

fn series(records: &[HistoryRecord]) -> Vec<Series> {
    type Key<'a> = (&'a str, &'a str, &'static str, &'a str, &'a str);
    let mut found: BTreeMap<Key<'_>, Series> = BTreeMap::new();
    for (record, scenario, figure) in figures(records) {
        let key = (&*scenario.name, &*figure.load, figure.phase.word(), &*figure.measure, &*record.machine_class);
        let series = found.entry(key).or_insert_with(|| Series {
            scenario: scenario.name.clone(),
            load: figure.load.clone(),
            phase: figure.phase,
            measure: figure.measure.clone(),
            machine_class: record.machine_class.clone(),
            points: Vec::new(),
            changes: None,
        });
        series.points.push(Point { commit: record.commit.clone(), time: record.time, value: figure.value });
    }
    found.into_values().collect()
}

fn figures(records: &[HistoryRecord]) -> impl Iterator<Item = (&HistoryRecord, &ScenarioHistory, &HistoryFigure)> {
    let scenarios = records.iter().flat_map(|record| record.scenarios.iter().map(move |scenario| (record, scenario)));
    scenarios.flat_map(|(record, scenario)| scenario.figures.iter().map(move |figure| (record, scenario, figure)))
}

fn change(points: &[Point], shift: Shift, subjects: &BTreeMap<&str, &str>) -> Option<Change> {
    let commit = points.get(shift.index)?.commit.clone();
    Some(Change {
        subject: subjects.get(commit.as_str()).map(|subject| (*subject).to_owned()),
        commit,
        after_commit: shift.index.checked_sub(1).map(|before| points[before].commit.clone()),
        before: shift.before,
        after: shift.after,
        significance: shift.significance,
    })
}

/// Verdicts of one commit on machines of one class.
type Verdicts<'a> = BTreeMap<(&'a str, &'a str), Vec<(UnixNanos, Verdict)>>;

fn flaky(records: &[HistoryRecord]) -> Vec<Flaky> {
    let mut judged: BTreeMap<&str, Verdicts<'_>> = BTreeMap::new();
    for record in records {
        for scenario in &record.scenarios {
            let of_commit = judged.entry(&scenario.name).or_default().entry((&record.commit, &record.machine_class)).or_default();
            of_commit.push((record.time, scenario.verdict));
        }
    }
    let of_scenario = |(scenario, verdicts): (&str, Verdicts<'_>)| {
        let repeated: Vec<_> = verdicts.into_iter().filter(|(_, verdicts)| verdicts.len() > 1).collect();
        let mut differing: Vec<(UnixNanos, &str)> = repeated
            .iter()
            .filter(|(_, verdicts)| verdicts.iter().map(|(_, verdict)| verdict).collect::<BTreeSet<_>>().len() > 1)
            .filter_map(|((commit, _), verdicts)| Some((verdicts.iter().map(|(time, _)| *time).max()?, *commit)))
            .collect();
        differing.sort_by(|a, b| b.cmp(a));
        Flaky {
            scenario: scenario.to_owned(),
            repeated: repeated.len(),
            differing: differing.len(),
            rate: differing.len() as f64 / repeated.len().max(1) as f64,
            commits: differing.into_iter().take(5).map(|(_, commit)| commit.to_owned()).collect(),
        }
    };
    judged.into_iter().map(of_scenario).filter(|flaky| flaky.differing > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::history::HISTORY_SCHEMA;

    fn record(commit: &str, time: u64, class: &str, p99: f64, verdict: Verdict) -> HistoryRecord {
        let figure = HistoryFigure { load: "checkout".to_owned(), phase: Phase::Fault, measure: "p99".to_owned(), value: p99 };
        HistoryRecord {
            schema: HISTORY_SCHEMA.to_owned(),
            run: format!("r{time}"),
            commit: commit.to_owned(),
            subject: Some(format!("subject of {commit}")),
            time: UnixNanos(time),
            machine_class: class.to_owned(),
            verdict,
            scenarios: vec![ScenarioHistory {
                name: "slow".to_owned(),
                verdict,
                seconds: 20.0,
                figures: vec![figure],
                doses: Vec::new(),
                waived: Vec::new(),
            }],
        }
    }

    #[test]
    fn a_series_holds_one_machine_class_and_a_change_names_its_commit() {
        let records = [
            record("a", 1, "x", 0.1, Verdict::Pass),
            record("b", 2, "y", 9.0, Verdict::Pass),
            record("c", 3, "x", 0.1, Verdict::Pass),
            record("d", 4, "x", 0.2, Verdict::Pass),
        ];
        let doubled = |values: &[f64]| {
            let jump = values.windows(2).position(|pair| pair[1] > pair[0] * 1.5);
            jump.map(|at| Shift { index: at + 1, before: values[at], after: values[at + 1], significance: 0.01 }).into_iter().collect()
        };
        let mut trends = trends(&records);
        assert!(trends.series.iter().all(|series| series.changes.is_none()), "not looked for is not the same as none");
        trends.find_changes(&records, doubled);
        assert_eq!(trends.series.len(), 2);
        let [change] = trends.series[0].changes.as_deref().unwrap() else { panic!("{:?}", trends.series) };
        assert_eq!((&*change.commit, change.after_commit.as_deref()), ("d", Some("c")));
        assert_eq!(change.subject.as_deref(), Some("subject of d"));
        assert!(trends.series[1].changes == Some(Vec::new()) && trends.flaky.is_empty());
    }

    #[test]
    fn a_scenario_is_flaky_where_one_commit_has_two_verdicts_on_like_machines() {
        let records = [
            record("a", 1, "x", 0.1, Verdict::Pass),
            record("a", 2, "x", 0.1, Verdict::Fail),
            record("b", 3, "x", 0.1, Verdict::Pass),
            record("b", 4, "x", 0.1, Verdict::Pass),
            record("c", 5, "x", 0.1, Verdict::Pass),
            record("c", 6, "y", 0.1, Verdict::Fail),
        ];
        let trends = trends(&records);
        let [flaky] = &trends.flaky[..] else { panic!("{:?}", trends.flaky) };
        assert_eq!((flaky.repeated, flaky.differing, &flaky.commits[..]), (2, 1, &["a".to_owned()][..]));
        assert!((flaky.rate - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_shift_beyond_the_series_is_no_change() {
        let records = [record("a", 1, "x", 0.1, Verdict::Pass)];
        let mut trends = trends(&records);
        trends.find_changes(&records, |_| vec![Shift { index: 7, before: 1.0, after: 2.0, significance: 0.0 }]);
        assert_eq!(trends.series[0].changes, Some(Vec::new()));
    }
}
