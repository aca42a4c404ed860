//! `telemetry.alerts`: a file of Prometheus rules, of which the alerts are read. What their expressions mean is not looked at here.

use super::{
    fields::{Field, each},
    files::{Files, normalize},
    problems::Problems,
    tree,
};
use crate::{
    experiment::AlertRule,
    units::{Span, prometheus_duration},
};
use std::path::Path;

const GROUP_KEYS: &[&str] = &["name", "interval", "limit", "query_offset", "labels", "rules", "partial_response_strategy"];
const RULE_KEYS: &[&str] = &["alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"];
/// Alerts of one file.
const RULES_MAX: usize = 500;

pub(super) fn read(field: Field<'_>, (root, files): (&Path, &dyn Files), problems: &mut Problems) -> Option<Vec<AlertRule>> {
    let path = normalize(&root.join(field.text(problems)?));
    let text = problems.open(&path, files, Some(field.spot()))?;
    let tree = tree::parse(&text, problems)?;
    let fields = Field::root("the rule file", &tree).fields("the rule file", &["groups"], problems)?;
    let groups = fields.need("groups", "groups: [{name: shop, rules: [{alert: Slow, expr: …}]}]", problems)?.list(problems)?;
    let rules: Vec<AlertRule> = each(groups, |group| {
        let fields = group.fields("a group of rules", GROUP_KEYS, problems)?;
        let rules = fields.or("rules", Vec::new(), |rules| rules.list(problems))?;
        let rules = each(rules, |rule| read_rule(rule, problems))?;
        Some(rules.into_iter().flatten().collect::<Vec<AlertRule>>())
    })?
    .into_iter()
    .flatten()
    .collect();
    if rules.len() > RULES_MAX {
        problems
            .error(field.spot(), format!("the file has {} alerts, more than {RULES_MAX}", rules.len()))
            .hint("name a file with those that matter here");
        return None;
    }
    if rules.is_empty() {
        problems.warn(field.spot(), "the rule file holds no alert");
    }
    Some(rules)
}

/// Nothing of a recording rule, which alerts nobody.
fn read_rule(rule: Field<'_>, problems: &mut Problems) -> Option<Vec<AlertRule>> {
    let fields = rule.fields("a rule", RULE_KEYS, problems)?;
    if fields.get("record").is_some() && fields.get("alert").is_none() {
        return Some(Vec::new());
    }
    let name = fields.need("alert", "alert: Slow", problems)?;
    let expr = fields.need("expr", "expr: queue_length > 100", problems)?.full_text(problems)?.trim().to_owned();
    let lasts = fields.or("for", Span::default(), |field| {
        let duration = prometheus_duration(field.text(problems)?);
        duration.map(Span).or_else(|| field.wrong("a duration of Prometheus such as `30s` or `1m30s`", problems))
    })?;
    let severity = fields
        .get("labels")
        .and_then(|labels| labels.entries(problems))
        .unwrap_or_default()
        .into_iter()
        .find(|label| label.name == "severity");
    let severity = severity.and_then(|label| label.text(problems)).map(str::to_owned);
    Some(vec![AlertRule { name: name.text(problems)?.to_owned(), expr, lasts, severity, source: name.spot().source() }])
}
