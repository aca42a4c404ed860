//! `waivers`: failures that somebody answers for until a day.

use super::{
    fields::{Field, each},
    glob::Glob,
    problems::{Problems, meant},
};
use crate::experiment::{Scenario, Waiver};

pub(super) const KEYS: &[&str] = &["finding", "owner", "expires", "why"];

/// A list of waivers. `scenarios`: those of the config, where they could be read.
pub(super) fn read_all(field: Field<'_>, scenarios: Option<&[Scenario]>, problems: &mut Problems) -> Option<Vec<Waiver>> {
    each(field.list(problems)?, |item| read(item, scenarios, problems))
}

fn read(field: Field<'_>, scenarios: Option<&[Scenario]>, problems: &mut Problems) -> Option<Waiver> {
    let fields = field.fields("a waiver", KEYS, problems)?;
    let finding = fields.need("finding", "finding: slow-payment/fault/checkout/p99", problems);
    let owner = fields.need("owner", "owner: team-payments", problems);
    let expires = fields.need("expires", "expires: 2026-12-31", problems);
    let why = fields.or("why", None, |field| field.full_text(problems).map(|why| Some(why.to_owned())));
    let finding = finding.and_then(|field| read_finding(field, scenarios, problems));
    let owner = owner.and_then(|field| field.full_text(problems));
    let expires = expires.and_then(|field| field.parse(problems));
    Some(Waiver { finding: finding?, owner: owner?.to_owned(), expires: expires?, why: why?, source: field.key.source() })
}

fn read_finding(field: Field<'_>, scenarios: Option<&[Scenario]>, problems: &mut Problems) -> Option<String> {
    let text = field.full_text(problems)?;
    if let Err(error) = Glob::new(text) {
        problems.error(field.spot(), format!("`finding`: {error}"));
        return None;
    }
    let (scenario, rest) = text.split_once('/').unwrap_or((text, ""));
    if rest.is_empty() && scenario != "**" {
        return field
            .wrong("the id of a finding, or a pattern of ids, such as `slow-payment/fault/checkout/p99` or `slow-payment/**`", problems);
    }
    let names = || scenarios.unwrap_or_default().iter().map(|scenario| scenario.name.as_str());
    let glob = Glob::new(scenario).ok();
    if scenarios.is_some() && !names().any(|name| glob.as_ref().is_some_and(|glob| glob.matches(name))) {
        let hint = meant(scenario, "scenarios", names().collect::<Vec<_>>());
        problems.warn(field.spot(), format!("no scenario is named `{scenario}`, so this waiver waives nothing")).hint(hint);
    }
    Some(text.to_owned())
}
