//! `summary.md`: what a job summary or a comment shows. Every value is quoted for GitHub's Markdown, so that a service can neither break a
//! table nor call a person.

use crate::{
    ReportError, Reporter, digest,
    plain::{one_line, plain},
    words,
};
use shakedown_model::{
    result::{Culprit, Finding, RunResult, ScenarioResult, Waived},
    verdict::Verdict,
};
use std::io;

/// A step's summary ends at 1 MiB; what is longer is not shown at all. Bytes, with room for what others write into the same step.
const SUMMARY_LIMIT: usize = (1 << 20) - 16_384;
/// Comments end at 65,536 characters; bytes are never fewer.
const COMMENT_LIMIT: usize = 65_000;

/// Prints `summary.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Markdown;

impl Reporter for Markdown {
    fn file_name(&self) -> &'static str {
        "summary.md"
    }

    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError> {
        out.write_all(fit(&sections(result), SUMMARY_LIMIT).as_bytes())?;
        Ok(())
    }
}

/// The summary as somebody pastes it into a comment.
pub(crate) fn text(result: &RunResult) -> String {
    fit(&sections(result), COMMENT_LIMIT)
}

/// Prints the text of a comment that is written once and brought up to date from then on: a mark that nobody sees tells which one it is.
#[derive(Debug, Clone)]
pub struct Comment {
    /// Tells this gate's comment from that of another one.
    pub key: String,
}

impl Reporter for Comment {
    fn file_name(&self) -> &'static str {
        "comment.md"
    }

    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let mark = self.mark();
        let text = fit(&sections(result), COMMENT_LIMIT - mark.len() - 1);
        writeln!(out, "{mark}\n{}", text.trim_end())?;
        Ok(())
    }
}

impl Comment {
    /// `<!-- shakedown: KEY -->`; nothing in a key ends it.
    fn mark(&self) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "._/ ".contains(c) { c } else { '_' };
        let key: String = self.key.chars().take(100).map(safe).collect();
        format!("<!-- shakedown: {} -->", key.trim())
    }
}

/// A part of the text, and how soon it is given up where there is no room for all: the highest rank first.
struct Section {
    rank: u8,
    lines: Vec<String>,
}

impl Section {
    fn new(rank: u8, lines: Vec<String>) -> Section {
        Section { rank, lines }
    }
}

/// In the order in which they are read.
fn sections(result: &RunResult) -> Vec<Section> {
    vec![
        Section::new(0, head(result)),
        Section::new(3, health(result)),
        Section::new(2, overview(result)),
        Section::new(1, findings(result, Verdict::Fail, "Failed")),
        Section::new(1, culprits(result)),
        Section::new(4, findings(result, Verdict::Inconclusive, "Inconclusive")),
        Section::new(2, waived(result)),
        Section::new(0, foot(result)),
    ]
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
    lines
}

fn health(result: &RunResult) -> Vec<String> {
    let mut lines = Vec::new();
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

fn findings(result: &RunResult, verdict: Verdict, title: &str) -> Vec<String> {
    let found: Vec<_> = digest::not_passed(result).into_iter().filter(|(_, finding)| finding.verdict == verdict).collect();
    if found.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!("### {title}"), String::new()];
    lines.extend(found.into_iter().map(|(scenario, finding)| item(scenario, finding, None)));
    lines.push(String::new());
    lines
}

fn waived(result: &RunResult) -> Vec<String> {
    let found = digest::waived(result);
    if found.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["### Waived".to_owned(), String::new()];
    lines.extend(found.into_iter().map(|(scenario, finding, by)| item(scenario, finding, Some(by))));
    lines.push(String::new());
    lines
}

fn item(scenario: &ScenarioResult, finding: &Finding, by: Option<&Waived>) -> String {
    let place = match finding.source.line {
        0 => String::new(),
        line => format!(" ({}:{line})", escape(&one_line(&finding.source.file, 200))),
    };
    let by = by.map(|by| format!("{}; ", escape(&words::waived(by)))).unwrap_or_default();
    format!(
        "- **{}** — {}: {by}{}{place}",
        escape(&one_line(&scenario.name, 120)),
        escape(&words::topic(finding)),
        escape(&one_line(&finding.reason, 1_000))
    )
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

/// All sections in at most `limit` bytes: of those that are given up first whole lines are left out, and counted where they were.
fn fit(sections: &[Section], limit: usize) -> String {
    let note = |left_out: usize| format!("*{left_out} more lines were left out to fit; the HTML report has them all.*");
    let mut kept: Vec<usize> = vec![0; sections.len()];
    let mut order: Vec<usize> = (0..sections.len()).collect();
    order.sort_by_key(|index| sections[*index].rank);
    // Each section may need its note.
    let mut room = limit.saturating_sub(sections.len() * (note(usize::MAX).len() + 2));
    for index in order {
        for line in &sections[index].lines {
            let Some(rest) = room.checked_sub(line.len() + 1) else { break };
            room = rest;
            kept[index] += 1;
        }
    }
    let mut text = String::new();
    for (section, kept) in sections.iter().zip(kept) {
        for line in &section.lines[..kept] {
            text.push_str(line);
            text.push('\n');
        }
        if kept < section.lines.len() {
            text.push_str(&format!("\n{}\n", note(section.lines.len() - kept)));
        }
    }
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
    fn what_is_too_long_loses_its_least_first_by_whole_lines_and_says_how_many() {
        let lines = |word: &str, count: usize| (0..count).map(|line| format!("{word} {line} of a very long summary")).collect::<Vec<_>>();
        let section = |rank, word, count| Section::new(rank, lines(word, count));
        let all = [section(0, "head", 2), section(4, "least", 5_000), section(1, "best", 900), section(0, "foot", 2)];
        for limit in [40_000, COMMENT_LIMIT, SUMMARY_LIMIT] {
            let text = fit(&all, limit);
            assert!(text.len() <= limit, "{} of {limit}", text.len());
            assert!(text.starts_with("head 0 ") && text.ends_with("foot 1 of a very long summary\n"));
            assert_eq!(text.matches("best ").count(), 900, "{limit}");
            let least = text.matches("least ").count();
            assert_eq!(text.contains(&format!("*{} more lines", 5_000 - least)), least < 5_000);
        }
        assert!(fit(&all, 1_000).len() <= 1_000);
    }

    #[test]
    fn no_key_ends_the_mark_that_hides_it() {
        let mark = |key: &str| Comment { key: key.to_owned() }.mark();
        assert_eq!(mark("gate/shop 1.2"), "<!-- shakedown: gate/shop 1.2 -->");
        assert_eq!(mark("a--><script>\nb"), "<!-- shakedown: a____script__b -->");
    }
}
