//! Alerts of a Prometheus rule file, over what was recorded: which fire, on which variant and when; which cannot be evaluated, and why. An alert that is
//! not understood is never silently one that did not fire.

mod evaluate;
mod parse;
mod series;
mod tokens;

use crate::{finding::Place, plays::Plays, text, view::Arm};
use evaluate::{Instant, Value};
use parse::Expr;
use series::{Labels, Store};
use shakedown_model::{
    event::Phase,
    evidence::MetricPoint,
    experiment::AlertRule,
    result::{AlertExhibit, AlertState, Finding},
    time::{UnixNanos, Window},
    verdict::Verdict,
};
use std::collections::BTreeMap;

/// An alert is evaluated so often, …
const STEP: f64 = 1.0;
/// … at most so many times in one play.
const STEPS_MAX: f64 = 3_600.0;
/// Alerts that are named in one sentence.
const NAMED: usize = 5;

/// What all alerts did in one scenario; empty: there are none.
pub(crate) fn evaluated(plays: &Plays<'_>) -> Vec<AlertExhibit> {
    let rules = &plays.evidence.experiment.telemetry.alerts;
    let parsed: Vec<(&AlertRule, Result<Expr, String>)> = rules.iter().map(|rule| (rule, parse::parse(&rule.expr))).collect();
    let mut names = Vec::new();
    for expr in parsed.iter().filter_map(|(_, expr)| expr.as_ref().ok()) {
        evaluate::names(expr, &mut names);
    }
    if names.is_empty() && parsed.iter().all(|(_, expr)| expr.is_ok()) {
        return Vec::new();
    }
    let store = |points: &[MetricPoint]| Store::of(points, &names);
    let ours = store(&plays.evidence.candidate.metrics);
    let theirs = plays
        .evidence
        .baseline
        .as_ref()
        .map(|baseline| &baseline.evidence.metrics)
        .filter(|metrics| !metrics.is_empty())
        .map(|metrics| store(metrics));
    parsed.iter().map(|(rule, expr)| exhibit(plays, rule, expr, &ours, theirs.as_ref())).collect()
}

fn exhibit(plays: &Plays<'_>, rule: &AlertRule, expr: &Result<Expr, String>, ours: &Store, theirs: Option<&Store>) -> AlertExhibit {
    let watched = |expr: &Expr| -> Result<(AlertState, Option<AlertState>), String> {
        let candidate = state(ours, plays.candidates(), rule, expr)?;
        // What the baseline does not measure is not known of it.
        Ok((candidate, theirs.and_then(|theirs| state(theirs, plays.baselines(), rule, expr).ok())))
    };
    let found = expr.as_ref().map_err(String::clone).and_then(watched);
    let (candidate, baseline, problem) = match found {
        Ok((candidate, baseline)) => (Some(candidate), baseline, None),
        Err(why) => (None, None, Some(text::clean(&why, 200))),
    };
    AlertExhibit {
        name: text::clean(&rule.name, 100),
        severity: rule.severity.as_ref().map(|severity| text::clean(severity, 50)),
        needs: rule.lasts.0.as_secs_f64(),
        candidate,
        baseline,
        problem,
    }
}

/// What a rule did over all plays of one variant.
fn state<'p, 'a: 'p>(store: &Store, arms: impl Iterator<Item = &'p Arm<'a>>, rule: &AlertRule, expr: &Expr) -> Result<AlertState, String> {
    let mut state = AlertState::default();
    for arm in arms {
        let (Some(whole), Some(fault)) = (arm.whole(), arm.judged(Phase::Fault)) else { continue };
        play(store, whole, fault, rule, expr, &mut state)?;
    }
    Ok(state)
}

fn play(store: &Store, whole: Window, fault: Window, rule: &AlertRule, expr: &Expr, state: &mut AlertState) -> Result<(), String> {
    let seconds = |at: UnixNanos| at.0 as f64 / 1e9;
    let (begin, end, needs) = (seconds(whole.start), seconds(whole.end), rule.lasts.0.as_secs_f64());
    let step = STEP.max((end - begin) / STEPS_MAX);
    let mut since: BTreeMap<Labels, f64> = BTreeMap::new();
    let mut now = begin + step;
    while now <= end {
        let Value::Vector(holds) = (Instant { store, begin, now }).value(expr)? else {
            return Err("it is a number and no condition".to_owned());
        };
        let before = std::mem::take(&mut since);
        since = holds
            .into_iter()
            .map(|(labels, _)| (before.get(&labels).copied().unwrap_or(now), labels))
            .map(|(since, labels)| (labels, since))
            .collect();
        let longest = since.values().map(|since| now - since).reduce(f64::max);
        let fires = longest.is_some_and(|longest| longest >= needs);
        if now >= seconds(fault.start) {
            state.held = state.held.max(longest.map_or(0.0, |longest| longest + step));
            state.fires |= fires;
            state.fired_for += if fires { step } else { 0.0 };
            if fires && state.after.is_none() {
                state.after = Some(now - seconds(fault.start));
            }
        } else {
            state.fired_before |= fires;
        }
        now += step;
    }
    Ok(())
}

/// What there is to say: alerts that the change sets off, damage of which none tells, and those of which nothing is known. `findings` are the others'.
pub(crate) fn findings(plays: &Plays<'_>, alerts: &[AlertExhibit], findings: &[Finding]) -> Vec<Finding> {
    let fires = |state: &Option<AlertState>| state.as_ref().is_some_and(|state| state.fires);
    let is_new = |alert: &&AlertExhibit| fires(&alert.candidate) && alert.baseline.as_ref().is_some_and(|state| !state.fires);
    let new = alerts.iter().filter(is_new).map(|alert| advice(plays, &alert.name, Verdict::Fail, sets_off(alert)));
    new.chain(unnoticed(plays, alerts, findings)).chain(not_evaluated(plays, alerts)).collect()
}

fn sets_off(alert: &AlertExhibit) -> String {
    let severity = alert.severity.as_ref().map_or_else(String::new, |severity| format!(" ({severity})"));
    let after = alert
        .candidate
        .as_ref()
        .and_then(|state| state.after)
        .map_or_else(String::new, |after| format!(", {} after it began", text::seconds(after)));
    format!("the alert {}{severity} fires under the fault on the candidate{after}, and does not on the baseline", alert.name)
}

/// Somebody was hurt, and nobody would have been told.
fn unnoticed(plays: &Plays<'_>, alerts: &[AlertExhibit], findings: &[Finding]) -> Option<Finding> {
    let loads = &plays.evidence.experiment.loads;
    let hurt = |finding: &&Finding| {
        finding.verdict == Verdict::Fail && !finding.advisory && finding.phase == Some(Phase::Fault) && loads.contains_key(&finding.subject)
    };
    let hurt = findings.iter().find(hurt)?;
    let known: Vec<(&AlertExhibit, &AlertState)> = alerts.iter().filter_map(|alert| Some((alert, alert.candidate.as_ref()?))).collect();
    if known.is_empty() || known.iter().any(|(_, state)| state.fires) {
        return None;
    }
    let nearest = known.iter().filter(|(_, state)| state.held > 0.0).max_by(|a, b| a.1.held.total_cmp(&b.1.held));
    let nearest = nearest.map_or_else(
        || "the condition of none held".to_owned(),
        |(alert, state)| {
            format!(
                "the condition of {} held for {} of the {} that it needs",
                alert.name,
                text::seconds(state.held),
                text::seconds(alert.needs)
            )
        },
    );
    let reason = format!(
        "{} of {} fails under the fault and none of {} fires: {nearest}",
        hurt.check,
        hurt.subject,
        text::count(known.len() as u64, "alert")
    );
    Some(advice(plays, "alerts", Verdict::Fail, reason))
}

fn not_evaluated(plays: &Plays<'_>, alerts: &[AlertExhibit]) -> Option<Finding> {
    let unknown: Vec<(&str, &str)> = alerts.iter().filter_map(|alert| Some((alert.name.as_str(), alert.problem.as_deref()?))).collect();
    let named: Vec<String> = unknown.iter().take(NAMED).map(|(name, why)| format!("{name} ({why})")).collect();
    let more = unknown.len().saturating_sub(named.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!named.is_empty()).then(|| {
        let reason =
            format!("{} of {} not evaluated: {}{more}", unknown.len(), text::count(alerts.len() as u64, "alert"), named.join("; "));
        advice(plays, "alerts not evaluated", Verdict::Inconclusive, reason)
    })
}

fn advice(plays: &Plays<'_>, subject: &str, verdict: Verdict, reason: String) -> Finding {
    Finding { advisory: true, ..Place::new(plays.scenario, Some(Phase::Fault), subject, "alert").finding(verdict, reason) }
}
