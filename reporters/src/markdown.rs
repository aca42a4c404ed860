//! `summary.md`: what a job summary or a comment shows. Every value is quoted for GitHub's Markdown, so that a service can neither break a
//! table nor call a person.

use crate::{
    ReportError, Reporter, digest,
    plain::{one_line, plain},
    words,
};
use shakedown_model::{
    result::{Culprit, RunResult, ScenarioResult},
    verdict::Verdict,
};
use std::io;

/// Comments end at 65,536 characters.
const LIMIT: usize = 60_000;

/// Prints `summary.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Markdown;

impl Reporter for Markdown {
    fn file_name(&self) -> &'static str {
        "summary.md"
    }

    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError> {
        out.write_all(text(result).as_bytes())?;
        Ok(())
    }
}

/// The whole summary.
pub(crate) fn text(result: &RunResult) -> String {
    let mut lines = head(result);
    let foot = foot(result);
    lines.extend(overview(result));
    lines.extend(findings(result));
    lines.extend(culprits(result));
    fit(&lines, &foot)
}

fn head(result: &RunResult) -> Vec<String> {
    let verdict = result.verdict;
    let headline = words::sentence(&result.headline, verdict);
    let mut lines = vec![format!("## {} {} — {}", words::symbol(verdict), words::shout(verdict), escape(&headline)), String::new()];
    lines.push(commits(result));
    lines.push(String::new());
    for (_, trouble) in digest::troubles(result) {
        lines.push(format!("> **{}**", escape(&one_line(&trouble, 600))));
        lines.push(String::new());
    }
    for note in &result.health {
        let effect = if note.forces_inconclusive { " (makes verdicts inconclusive)" } else { "" };
        lines.push(format!("> {}: {}{effect}", escape(&one_line(&note.name, 80)), escape(&one_line(&note.text, 600))));
        lines.push(String::new());
    }
    lines
}

fn commits(result: &RunResult) -> String {
    let commit = &result.commit;
    let name = |id: &Option<String>, subject: &Option<String>| {
        let id = id.as_deref().map_or_else(|| "no commit".to_owned(), |id| code(&words::short(id)));
        let subject = subject.as_deref().map(|subject| format!(" {}", escape(&one_line(subject, 100)))).unwrap_or_default();
        format!("{id}{subject}")
    };
    let dirty = if commit.dirty { " with uncommitted changes" } else { "" };
    let candidate = format!("{}{dirty}", name(&commit.candidate, &commit.candidate_subject));
    let source = escape(&one_line(&commit.baseline_source, 200));
    let mode = escape(&one_line(&result.run.baseline_mode, 20));
    match commit.baseline {
        Some(_) => format!("{candidate} against {} ({source}, {mode})", name(&commit.baseline, &commit.baseline_subject)),
        None => format!("{candidate}, without a baseline ({source})"),
    }
}

fn overview(result: &RunResult) -> Vec<String> {
    if result.scenarios.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        "| | scenario | P99 against baseline | success before · during · after | recovery | dose |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(digest::scenarios(result).into_iter().map(row));
    lines.push(String::new());
    lines
}

fn row(scenario: &ScenarioResult) -> String {
    let comparison = digest::comparison(scenario).map_or_else(
        || words::NOTHING.to_owned(),
        |finding| {
            let interval = finding.ci.map(|ci| format!(" ({})", words::interval(ci))).unwrap_or_default();
            format!("{}{interval}", words::change(finding.change.unwrap_or(f64::NAN)))
        },
    );
    let success = digest::success(scenario)
        .map_or_else(|| words::NOTHING.to_owned(), |(_, shares)| shares.map(|share| words::optional(share, "fraction")).join(" · "));
    let recovery = digest::recovery(scenario).map_or_else(|| words::NOTHING.to_owned(), |finding| words::optional(finding.observed, "s"));
    let doses: Vec<String> = digest::faults(scenario)
        .into_iter()
        .map(|fault| {
            format!(
                "{} {}: {}, touched {}",
                one_line(&fault.kind, 40),
                words::target(&fault.target),
                words::dose(fault),
                words::count(fault.touched)
            )
        })
        .collect();
    format!(
        "| {} {} | {} | {} | {} | {} | {} |",
        words::symbol(scenario.verdict),
        scenario.verdict,
        escape(&one_line(&scenario.name, 120)),
        escape(&comparison),
        escape(&success),
        escape(&recovery),
        escape(&doses.join("; "))
    )
}

fn findings(result: &RunResult) -> Vec<String> {
    let mut lines = Vec::new();
    for (verdict, title) in [(Verdict::Fail, "Failed"), (Verdict::Inconclusive, "Inconclusive")] {
        let found: Vec<_> = digest::not_passed(result).into_iter().filter(|(_, finding)| finding.verdict == verdict).collect();
        if found.is_empty() {
            continue;
        }
        lines.push(format!("### {title}"));
        lines.push(String::new());
        for (scenario, finding) in found {
            let place = if finding.source.line == 0 {
                String::new()
            } else {
                format!(" ({}:{})", escape(&one_line(&finding.source.file, 200)), finding.source.line)
            };
            lines.push(format!(
                "- **{}** — {}: {}{place}",
                escape(&one_line(&scenario.name, 120)),
                escape(&words::topic(finding)),
                escape(&one_line(&finding.reason, 1_000))
            ));
        }
        lines.push(String::new());
    }
    lines
}

fn culprits(result: &RunResult) -> Vec<String> {
    let mut lines = Vec::new();
    for scenario in digest::scenarios(result) {
        let Some(culprit) = scenario.culprits.first() else { continue };
        let name = format!("{}{}", culprit_name(culprit), or_else(scenario));
        lines.push(format!("### Culprit in {}: {}", escape(&one_line(&scenario.name, 120)), escape(&name)));
        lines.push(String::new());
        if let Some(share) = culprit.share {
            lines.push(format!("- explains {} of the regression", words::share(share)));
        }
        lines.extend(culprit.evidence.iter().map(|note| format!("- {}", escape(&one_line(&note.text, 600)))));
        lines.push(String::new());
    }
    lines
}

/// `orders, POST /payment`.
pub(crate) fn culprit_name(culprit: &Culprit) -> String {
    name_of(&culprit.service, &culprit.operation)
}

fn name_of(service: &str, operation: &str) -> String {
    let service = one_line(service, 80);
    let operation = one_line(operation, 120);
    if operation.is_empty() { service } else { format!("{service}, {operation}") }
}

/// ` — ambiguous: or gateway, POST /orders`; empty where it is clear.
pub(crate) fn or_else(scenario: &ScenarioResult) -> String {
    let next = scenario.blame.as_ref().filter(|blame| blame.ambiguous).and_then(|blame| blame.runner_up.as_ref());
    next.map_or_else(String::new, |next| format!(" — ambiguous: or {}", name_of(&next.service, &next.operation)))
}

fn foot(result: &RunResult) -> Vec<String> {
    let command = one_line(&result.run.rerun, 2_000);
    let fence = "`".repeat(longest_run(&command, '`').max(2) + 1);
    vec![
        "Run it again:".to_owned(),
        String::new(),
        format!("{fence}sh"),
        command,
        fence,
        String::new(),
        format!(
            "<sub>run {} · seed {} · shakedown {}</sub>",
            escape(&one_line(&result.run.id, 80)),
            result.seed,
            escape(&one_line(&result.run.tool_version, 40))
        ),
    ]
}

/// Joins `body` and `foot`; whole lines of the body are left out, and counted, where all would be too long.
fn fit(body: &[String], foot: &[String]) -> String {
    let length = |lines: &[String]| lines.iter().map(|line| line.chars().count() + 1).sum::<usize>();
    let room = LIMIT.saturating_sub(length(foot) + 120);
    let mut used = 0;
    let kept = body.iter().take_while(|line| {
        used += line.chars().count() + 1;
        used <= room
    });
    let mut lines: Vec<String> = kept.cloned().collect();
    if lines.len() < body.len() {
        let note = format!("*{} more lines were left out to fit; the HTML report has them all.*", body.len() - lines.len());
        lines.extend([String::new(), note, String::new()]);
    }
    lines.extend_from_slice(foot);
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// Quotes a value for running text and for a table's cell.
fn escape(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 8);
    let mut previous = ' ';
    for c in plain(text).chars() {
        match c {
            '\n' => quoted.push(' '),
            '&' => quoted.push_str("&amp;"),
            '<' => quoted.push_str("&lt;"),
            '>' => quoted.push_str("&gt;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' => quoted.extend(['\\', c]),
            // GitHub looks for people and issues in the rendered text, so quoting does not help: an invisible space does.
            '@' if !previous.is_alphanumeric() => quoted.extend([c, '\u{200b}']),
            '#' => quoted.extend([c, '\u{200b}']),
            c => quoted.push(c),
        }
        previous = c;
    }
    quoted
}

/// A short value as code: backticks cannot be quoted inside it, so they become apostrophes.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

fn longest_run(text: &str, wanted: char) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == wanted { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_break_its_table_nor_call_a_person() {
        let quoted = escape("a|b\n`c` <img src=x> @octocat #12 [x](javascript:1) **b**");
        assert_eq!(quoted, "a\\|b \\`c\\` &lt;img src=x&gt; @\u{200b}octocat #\u{200b}12 \\[x\\](javascript:1) \\*\\*b\\*\\*");
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_line_and_counted_and_the_foot_stays() {
        let body: Vec<String> = (0..5_000).map(|line| format!("line {line} of a very long summary")).collect();
        let text = fit(&body, &["foot".to_owned()]);
        assert!(text.chars().count() <= LIMIT, "{}", text.chars().count());
        assert!(text.contains("more lines were left out") && text.ends_with("\nfoot\n"), "{}", &text[text.len() - 200..]);
    }
}
