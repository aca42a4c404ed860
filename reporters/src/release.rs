//! Release readiness as text, Markdown and a page. The advice comes first; what is not known is said before what is.

mod html;

use crate::{
    console::{pad, wrap},
    plain::{cut, one_line},
    words,
};
use shakedown_model::{
    release::{Coverage, LastRun, Release, ScenarioReadiness, Trend},
    verdict::Verdict,
};

pub use html::release_html;

const WIDTH: usize = 80;
/// Lines of a list on a terminal and in Markdown; the page has them all.
const SHOWN: usize = 30;

/// For a terminal or a log, in 80 columns.
pub fn release_text(release: &Release) -> String {
    let mark = format!("{} {}", words::symbol(release.verdict), words::shout(release.verdict));
    let mut lines = Vec::new();
    for (index, line) in wrap(&one_line(&release.advice, 400), WIDTH - 16).into_iter().enumerate() {
        lines.push(format!("{:<16}{line}", if index == 0 { &mark } else { "" }));
    }
    lines.extend([String::new(), facts(release), String::new()]);
    list(&mut lines, "Not known", &release.open, |open| wrap(&one_line(open, 300), WIDTH - 4));
    list(&mut lines, "Scenarios", &release.scenarios, |scenario| {
        vec![format!("{} {}  {}", sign(scenario), pad(&one_line(&scenario.name, 28), 28), last(scenario.last.as_ref()))]
    });
    let waived: Vec<_> = release.scenarios.iter().flat_map(|scenario| &scenario.waived).collect();
    list(&mut lines, "Waived", &waived, |failure| {
        wrap(&format!("{}: {}", one_line(&failure.finding, 200), words::waived(&failure.by)), WIDTH - 4)
    });
    list(&mut lines, "Exercised", &release.coverage, |covered| {
        let target = pad(&words::target(&one_line(&covered.target, 30)), 30);
        vec![format!("{target} {} {}", pad(&covered.kind, 14), times(covered))]
    });
    if !release.untouched.is_empty() {
        let names: Vec<String> = release.untouched.iter().map(|name| one_line(name, 60)).collect();
        list(&mut lines, "No fault came near", &[names.join(", ")], |names| wrap(names, WIDTH - 4));
    }
    list(&mut lines, "Trends", &release.trends, |trend| vec![cut(&trend_line(trend), WIDTH - 4)]);
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    format!("{}\n", lines.join("\n").trim_end())
}

fn list<T>(lines: &mut Vec<String>, title: &str, items: &[T], show: impl Fn(&T) -> Vec<String>) {
    if items.is_empty() {
        return;
    }
    lines.push(format!("  {title}"));
    for item in items.iter().take(SHOWN) {
        lines.extend(show(item).into_iter().map(|line| format!("    {line}")));
    }
    if items.len() > SHOWN {
        lines.push(format!("    and {} more", items.len() - SHOWN));
    }
    lines.push(String::new());
}

/// For a pull request, a release's notes or a job's page.
pub fn release_markdown(release: &Release) -> String {
    let mut lines = vec![
        format!("## {} {}: {}", words::symbol(release.verdict), words::shout(release.verdict), cell(&release.advice)),
        String::new(),
        facts(release),
        String::new(),
    ];
    table(&mut lines, ["Scenario", "Last answer", "Runs: passed, can't tell, failed"], &release.scenarios, |scenario| {
        let [passed, open, failed] = scenario.runs;
        [format!("{} {}", sign(scenario), cell(&scenario.name)), last(scenario.last.as_ref()), format!("{passed}, {open}, {failed}")]
    });
    for open in &release.open {
        lines.push(format!("- {}", cell(open)));
    }
    if !release.open.is_empty() {
        lines.push(String::new());
    }
    let waived: Vec<_> = release.scenarios.iter().flat_map(|scenario| &scenario.waived).collect();
    table(&mut lines, ["Waived", "Owner", "Counts again"], &waived, |failure| {
        let why = failure.by.why.as_deref().map(|why| format!(": {}", cell(why))).unwrap_or_default();
        [format!("{}{why}", cell(&failure.finding)), cell(&failure.by.owner), failure.by.expires.to_string()]
    });
    table(&mut lines, ["Target", "Fault", "Exercised"], &release.coverage, |covered| {
        [cell(&words::target(&covered.target)), cell(&covered.kind), times(covered)]
    });
    if !release.untouched.is_empty() {
        let names: Vec<String> = release.untouched.iter().map(|name| cell(name)).collect();
        lines.extend([format!("No fault came near: {}.", names.join(", ")), String::new()]);
    }
    table(&mut lines, ["Figure", "First to last", "Lasting changes"], &release.trends, |trend| {
        [cell(&figure(trend)), span(trend), trend.shifts.iter().map(|change| cell(&shift(trend, change))).collect::<Vec<_>>().join("; ")]
    });
    format!("{}\n", lines.join("\n").trim_end())
}

fn table<T>(lines: &mut Vec<String>, head: [&str; 3], items: &[T], row: impl Fn(&T) -> [String; 3]) {
    if items.is_empty() {
        return;
    }
    lines.extend([format!("| {} |", head.join(" | ")), "|---|---|---|".to_owned()]);
    lines.extend(items.iter().take(SHOWN).map(|item| format!("| {} |", row(item).join(" | "))));
    if items.len() > SHOWN {
        lines.push(format!("| and {} more | | |", items.len() - SHOWN));
    }
    lines.push(String::new());
}

/// Text of others inside a table of Markdown.
fn cell(text: &str) -> String {
    let mut escaped = String::new();
    for c in one_line(text, 300).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '#' | '!' => escaped.extend(['\\', c]),
            // A mention or a reference would call somebody.
            '@' => escaped.push_str("@\u{2060}"),
            _ => escaped.push(c),
        }
    }
    escaped
}

fn facts(release: &Release) -> String {
    format!(
        "{} to {}: {} of {} commits exercised, in {} runs",
        cut(&one_line(&release.range, 60), 40),
        words::short(&release.tip),
        release.exercised,
        release.commits,
        release.runs
    )
}

fn sign(scenario: &ScenarioReadiness) -> &'static str {
    words::symbol(scenario.last.as_ref().map_or(Verdict::Inconclusive, |last| last.verdict))
}

fn last(last: Option<&LastRun>) -> String {
    let Some(last) = last else { return "not exercised".to_owned() };
    format!("{} {}", last.verdict, place(last))
}

/// Of which commit that is, and how old.
fn place(last: &LastRun) -> String {
    let age = match last.behind {
        0 => String::new(),
        1 => ", 1 commit behind".to_owned(),
        behind => format!(", {behind} commits behind"),
    };
    format!("at {}{age}", words::short(&last.commit))
}

fn times(covered: &Coverage) -> String {
    let times = if covered.runs == 1 { "once".to_owned() } else { format!("{} times", covered.runs) };
    format!("{times}, last at {}", words::short(&covered.commit))
}

/// `slow-payment checkout p99, fault`.
fn figure(trend: &Trend) -> String {
    let measure = match trend.measure.as_str() {
        "margin" | "margin_share" | "margin_value" => "tolerance margin",
        other => other,
    };
    format!("{} {} {measure}", one_line(&trend.scenario, 60), one_line(&trend.subject, 60))
}

fn span(trend: &Trend) -> String {
    match &trend.values[..] {
        [] => words::NOTHING.to_owned(),
        [only] => words::value(*only, trend.unit),
        [first, .., last] => format!("{} → {}", words::value(*first, trend.unit), words::value(*last, trend.unit)),
    }
}

fn shift(trend: &Trend, change: &shakedown_model::release::TrendShift) -> String {
    let subject = change.subject.as_deref().map(|subject| format!(" {}", one_line(subject, 60))).unwrap_or_default();
    let (before, after) = (words::value(change.before, trend.unit), words::value(change.after, trend.unit));
    format!("{before} → {after} with {}{subject}", words::short(&change.commit))
}

fn trend_line(trend: &Trend) -> String {
    let shifts: Vec<String> = trend.shifts.iter().map(|change| shift(trend, change)).collect();
    let shifts = if shifts.is_empty() { String::new() } else { format!("; {}", shifts.join("; ")) };
    format!("{}: {} ({} runs){shifts}", figure(trend), span(trend), trend.values.len())
}
