//! Scenarios: inline or in files of their own.

use super::{
    expectation, faults,
    fields::{Field, Fields, each},
    gate,
    glob::Glob,
    names::{Names, check_form},
    problems::Problems,
    random, search,
    tree::{self, Node, shorten},
    units,
};
use crate::experiment::{Expectation, PhaseLengths, Scenario, Source, StopCondition, When};
use crate::{
    config::files::{Files, normalize},
    fault::Fault,
    units::Span,
};
use regex::Regex;
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

pub(super) const KEYS: &[&str] = &["scenario", "why", "when", "faults", "random", "expect", "stop_when", "phases", "episodes"];
pub(super) const WHEN_KEYS: &[&str] = &["paths", "always"];
pub(super) const EXPECT_KEYS: &[&str] = &["fault", "recovery", "logs"];
pub(super) const RECOVERY_KEYS: &[&str] = &["within"];
pub(super) const LOGS_KEYS: &[&str] = &["forbid"];
pub(super) const STOP_KEYS: &[&str] = &["load", "success", "for"];

/// More than anybody waits for.
const MOST_EPISODES: std::ops::RangeInclusive<u32> = 1..=100;

/// What a scenario is read against.
pub(super) struct Around<'a> {
    pub(super) root: &'a Path,
    pub(super) files: &'a dyn Files,
    pub(super) names: &'a Names,
    pub(super) phases: PhaseLengths,
    /// Whether a baseline is compared with.
    pub(super) compares: bool,
}

/// `scenarios`.
pub(super) fn read_all(root: &Fields<'_>, around: &Around<'_>, problems: &mut Problems) -> Option<Vec<Scenario>> {
    let field = root.need("scenarios", "scenarios: [chaos/*.yaml]", problems)?;
    let nodes = gather(field, around, problems);
    if nodes.is_empty() && field.list(problems)?.is_empty() {
        problems
            .error(field.key, "there is no scenario: a run in which nothing is exercised never passes")
            .hint("add `chaos/*.yaml`, or a scenario; `shakedown init` writes some");
    }
    let mut names_seen: BTreeMap<&str, &Node> = BTreeMap::new();
    for (name, node) in nodes.iter().filter_map(|node| node.get("scenario").and_then(|name| Some((name.scalar()?, name)))) {
        if let Some(first) = names_seen.insert(name, node) {
            let message = format!("two scenarios are named `{}`", shorten(name));
            problems.error(&node.spot, message).also(&first.spot, "the first").hint("give one of them another name");
        }
    }
    each(nodes.iter().map(|node| Field::root("scenarios", node)).collect(), |scenario| read(scenario, around, problems))
}

/// The trees of all scenarios, inline ones and those of the files that the patterns name, in order, each file once.
fn gather(field: Field<'_>, around: &Around<'_>, problems: &mut Problems) -> Vec<Node> {
    let mut seen = HashSet::new();
    let mut nodes = Vec::new();
    for item in field.list(problems).unwrap_or_default() {
        let Some(pattern) = item.node.scalar() else {
            nodes.push(item.node.clone());
            continue;
        };
        for path in matches(item, pattern, around, problems) {
            if seen.insert(path.clone())
                && let Some(text) = problems.open(&path, around.files, Some(item.spot()))
                && let Some(node) = tree::parse(&text, problems)
            {
                nodes.push(node);
            }
        }
    }
    nodes
}

fn matches(item: Field<'_>, pattern: &str, around: &Around<'_>, problems: &mut Problems) -> Vec<std::path::PathBuf> {
    if Path::new(pattern).is_absolute() || Path::new(pattern).components().any(|part| part.as_os_str() == "..") {
        problems
            .error(item.spot(), format!("{pattern:?} leaves the directory of the config"))
            .hint("paths are meant from there, for example `chaos/*.yaml`");
        return Vec::new();
    }
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    if let Err(error) = Glob::new(pattern) {
        problems.error(item.spot(), error.to_string());
        return Vec::new();
    }
    if !pattern.contains(['*', '?', '[', '{']) {
        return vec![normalize(&around.root.join(pattern))];
    }
    let paths = around.files.glob(around.root, pattern);
    if paths.is_empty() {
        problems.error(item.spot(), format!("no file matches {pattern:?}")).hint("`shakedown init` writes scenarios into `chaos/`");
    }
    paths
}

fn read(field: Field<'_>, around: &Around<'_>, problems: &mut Problems) -> Option<Scenario> {
    let what =
        field.node.get("scenario").and_then(Node::scalar).map_or("a scenario".to_owned(), |name| format!("scenario `{}`", shorten(name)));
    let fields = field.fields(what, KEYS, problems)?;
    let name = fields.need("scenario", "scenario: slow-payment", problems);
    let name_text = name
        .and_then(|field| field.text(problems))
        .filter(|text| name.is_some_and(|field| check_form("scenario", text, field.spot(), problems)));
    let why = fields.or("why", None, |field| field.full_text(problems).map(Some));
    let when = fields.or("when", When::Always, |field| read_when(field, problems));
    let random = fields.or("random", None, |field| random::read(field, around.names, problems).map(Some));
    let faults = read_faults(&fields, around, problems);
    let phases = gate::read_phases(fields.get("phases"), around.phases, problems);
    let expect = read_expect(&fields, phases.unwrap_or(around.phases), around, problems);
    let stop_when = fields.or("stop_when", Vec::new(), |field| read_stops(field, around.names, problems));
    let episodes = fields.or("episodes", 1, |field| units::count(field, "a number of episodes such as 5", &MOST_EPISODES, problems));
    let expect = expect?;
    if let (Some(faults), Some(expected), Some(recovery), Some(episodes)) = (&faults, &expect.fault, &expect.recovery, episodes) {
        search::check(faults, expected, recovery.is_some(), episodes, fields.at, problems);
    }
    Some(Scenario {
        name: name_text?.to_owned(),
        why: why?.map(str::to_owned),
        when: when?,
        faults: faults?,
        random: random?,
        expect_fault: expect.fault?,
        recover_within: expect.recovery?,
        forbid_logs: expect.logs?,
        stop_when: stop_when?,
        phases: phases?,
        episodes: episodes?,
        source: name.map_or(field.key, |name| name.spot()).source(),
    })
}

/// They are listed or drawn.
fn read_faults(fields: &Fields<'_>, around: &Around<'_>, problems: &mut Problems) -> Option<Vec<Fault>> {
    match (fields.get("faults"), fields.get("random")) {
        (None, Some(_)) => Some(Vec::new()),
        (Some(faults), Some(random)) => {
            problems
                .error(random.key, "`faults` and `random` exclude each other")
                .also(faults.key, "the other")
                .hint("put one of them into a scenario of its own");
            None
        }
        (_, None) => fields
            .need("faults", "faults: [{for: 20s, on: payment, pause: {}}]", problems)
            .and_then(|field| faults::read_all(field, around.names, problems)),
    }
}

fn read_when(field: Field<'_>, problems: &mut Problems) -> Option<When> {
    let fields = field.fields("when", WHEN_KEYS, problems)?;
    match (fields.get("paths"), fields.get("always")) {
        (Some(paths), None) => read_paths(paths, problems),
        (None, Some(always)) => {
            if always.flag(problems)? {
                return Some(When::Always);
            }
            problems
                .error(always.spot(), "`always: false` says nothing")
                .hint("name the paths: `when: {paths: [\"services/payment/**\"]}`");
            None
        }
        (Some(paths), Some(always)) => {
            problems
                .error(always.key, "`paths` and `always` exclude each other")
                .also(paths.key, "the other")
                .hint("take one of them away");
            None
        }
        (None, None) => {
            problems
                .error(field.spot(), "`when` says nothing")
                .hint("write `when: {always: true}` or `when: {paths: [\"services/payment/**\"]}`");
            None
        }
    }
}

fn read_paths(field: Field<'_>, problems: &mut Problems) -> Option<When> {
    let items = field.list(problems)?;
    if items.is_empty() {
        problems.error(field.spot(), "`paths` names no path: the scenario would never run").hint("for example `[\"services/payment/**\"]`");
    }
    for item in &items {
        let Some(pattern) = item.full_text(problems) else {
            continue;
        };
        if let Err(error) = Glob::new(pattern) {
            problems.error(item.spot(), error.to_string());
        }
        if pattern.starts_with('/') || pattern.starts_with("./") || pattern.starts_with("../") {
            let message = format!("{pattern:?} matches nothing: paths are meant from the root of the repository");
            problems.error(item.spot(), message).hint(format!("write `{}`", pattern.trim_start_matches(['.', '/'])));
        }
    }
    Some(When::Paths(items.iter().filter_map(|item| item.node.scalar()).map(str::to_owned).collect()))
}

/// `None`: nothing is said of it.
type Recovery = Option<(Span, Source)>;

struct Expect {
    fault: Option<Vec<Expectation>>,
    recovery: Option<Recovery>,
    logs: Option<Vec<(String, Source)>>,
}

fn read_expect(scenario: &Fields<'_>, phases: PhaseLengths, around: &Around<'_>, problems: &mut Problems) -> Option<Expect> {
    let nothing = Expect { fault: Some(Vec::new()), recovery: Some(None), logs: Some(Vec::new()) };
    let Some(field) = scenario.get("expect") else {
        if !around.compares {
            let message = format!("nothing is expected in {}, and nothing is compared with a baseline", scenario.what);
            problems.error(scenario.at, message).hint("add `expect`, or set `baseline.mode` to `paired`");
        }
        return Some(nothing);
    };
    let fields = field.fields("expect", EXPECT_KEYS, problems)?;
    Some(Expect {
        fault: fields.or("fault", Vec::new(), |field| expectation::read_all(field, around.names, problems)),
        recovery: fields.or("recovery", None, |field| read_recovery(field, phases, problems).map(Some)),
        logs: fields.or("logs", Vec::new(), |field| read_logs(field, problems)),
    })
}

fn read_recovery(field: Field<'_>, phases: PhaseLengths, problems: &mut Problems) -> Option<(Span, Source)> {
    let fields = field.fields("recovery", RECOVERY_KEYS, problems)?;
    let within = fields.need("within", "within: 5s", problems)?;
    let span = units::long_span(within, problems)?;
    if span > phases.recovery {
        let message = format!("recovery within {span} cannot be seen: the recovery phase lasts {}", phases.recovery);
        problems.error(within.spot(), message).hint(format!("add `phases: {{recovery: {span}}}` or more"));
    }
    Some((span, within.key.source()))
}

fn read_logs(field: Field<'_>, problems: &mut Problems) -> Option<Vec<(String, Source)>> {
    let fields = field.fields("logs", LOGS_KEYS, problems)?;
    let forbid = fields.need("forbid", "forbid: [\"panicked at\"]", problems)?;
    let mut patterns = Vec::new();
    for item in forbid.list(problems)? {
        let Some(pattern) = item.full_text(problems) else {
            continue;
        };
        match Regex::new(pattern) {
            Ok(regex) if regex.is_match("") && regex.is_match("\u{1}") => {
                problems
                    .error(item.spot(), format!("{:?} matches every line", shorten(pattern)))
                    .hint("make it say what must not be logged");
            }
            Ok(_) => patterns.push((pattern.to_owned(), item.key.source())),
            Err(error) => {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                problems
                    .error(item.spot(), format!("{:?} is not a regular expression: {reason}", shorten(pattern)))
                    .hint("a special character is taken literally after `\\`");
            }
        }
    }
    Some(patterns)
}

fn read_stops(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<Vec<StopCondition>> {
    each(field.list(problems)?, |item| read_stop(item, names, problems))
}

fn read_stop(field: Field<'_>, names: &Names, problems: &mut Problems) -> Option<StopCondition> {
    let fields = field.fields("a stop condition", STOP_KEYS, problems)?;
    let load = fields.need("load", "load: checkout", problems).and_then(|field| {
        let load = field.text(problems)?;
        names.check_load(load, field.spot(), problems);
        Some(load.to_owned())
    });
    let success = fields.need("success", "success: \"< 50%\"", problems).and_then(|field| expectation::success_limit(field, problems));
    let lasts = fields.need("for", "for: 5s", problems).and_then(|field| units::long_span(field, problems));
    Some(StopCondition { load: load?, success: success?, lasts: lasts?, source: field.key.source() })
}
