//! The end of a run on a terminal: verdict, scenarios, what did not pass and why, who is blamed, where the report is. At most 80 columns.
//! Knows nothing of progress: that is printed elsewhere, on stderr.

use crate::{
    ReportError, Reporter, digest,
    markdown::{culprit_name, or_else},
    plain::{cut, one_line},
    words,
};
use shakedown_model::{
    result::{Finding, RunResult, ScenarioResult},
    verdict::Verdict,
};
use std::io;

/// Findings of a scenario that could not tell: more of them say nothing new, and bury what failed.
const OPEN_SHOWN: usize = 3;

/// Prints the table that ends a run.
#[derive(Debug, Clone, Default)]
pub struct Console {
    /// Whether ANSI colours are wanted.
    pub color: bool,
    /// Columns of the terminal; between 40 and 80 are used.
    pub width: usize,
    /// Where the HTML report is, as the user would type it.
    pub report: Option<String>,
}

impl Reporter for Console {
    fn file_name(&self) -> &'static str {
        "console.txt"
    }

    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let mut page = Page { lines: Vec::new(), ink: Ink { color: self.color }, width: self.width.clamp(40, 80) };
        page.headline(result);
        page.table(result);
        for scenario in digest::scenarios(result) {
            page.reasons(scenario);
        }
        page.foot(result, self.report.as_deref());
        for line in page.lines {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

struct Page {
    lines: Vec<String>,
    ink: Ink,
    width: usize,
}

impl Page {
    fn headline(&mut self, result: &RunResult) {
        let mark = format!("{} {}", words::symbol(result.verdict), words::shout(result.verdict));
        let indent = columns(&mark) + 2;
        let sentence = words::sentence(&result.headline, result.verdict);
        for (index, line) in wrap(&sentence, self.width - indent).into_iter().enumerate() {
            let lead = if index == 0 { self.ink.verdict(result.verdict, &mark) } else { " ".repeat(indent - 2) };
            self.lines.push(format!("{lead}  {line}"));
        }
        self.lines.push(String::new());
        for (_, trouble) in digest::troubles(result) {
            self.note(Verdict::Fail, "!", &trouble);
        }
        for note in &result.health {
            let sign = if note.forces_inconclusive { Verdict::Inconclusive } else { Verdict::Pass };
            self.note(sign, "!", &format!("{}: {}", note.name, note.text));
        }
    }

    fn note(&mut self, level: Verdict, sign: &str, text: &str) {
        for (index, line) in wrap(&one_line(text, 600), self.width - 4).into_iter().enumerate() {
            let lead = if index == 0 && level != Verdict::Pass { self.ink.verdict(level, sign) } else { " ".to_owned() };
            let lead = if index == 0 && level == Verdict::Pass { self.ink.dim(sign) } else { lead };
            self.lines.push(format!("  {lead} {line}"));
        }
        self.lines.push(String::new());
    }

    /// Four columns; on a narrow terminal the first two.
    fn table(&mut self, result: &RunResult) {
        if result.scenarios.is_empty() {
            return;
        }
        let columns = if self.width >= 66 { [self.width - 48, 17, 14, 10] } else { [self.width - 23, 17, 0, 0] };
        let row = |cells: [&str; 4]| {
            let cells = cells.into_iter().zip(columns).filter(|(_, width)| *width > 0);
            cells.map(|(cell, width)| pad(cell, width)).collect::<Vec<_>>().join(" ")
        };
        let head = format!("    {}", row(["scenario", "P99 vs baseline", "success", "recovery"]));
        self.lines.push(self.ink.dim(head.trim_end()));
        for scenario in digest::scenarios(result) {
            let nothing = || words::NOTHING.to_owned();
            let comparison = digest::comparison(scenario).and_then(|finding| finding.change).map_or_else(nothing, words::change);
            let success = digest::success(scenario).and_then(|(_, shares)| shares[1]).map_or_else(nothing, words::share);
            let recovery = digest::recovery(scenario).map_or_else(nothing, |finding| words::optional(finding.observed, "s"));
            let mark = self.ink.verdict(scenario.verdict, words::symbol(scenario.verdict));
            let name = one_line(&scenario.name, columns[0]);
            self.lines.push(format!("  {mark} {}", row([&name, &comparison, &success, &recovery])));
        }
        self.lines.push(String::new());
    }

    fn reasons(&mut self, scenario: &ScenarioResult) {
        let found: Vec<_> = digest::findings(scenario).into_iter().filter(|finding| finding.verdict != Verdict::Pass).collect();
        if found.is_empty() && scenario.verdict == Verdict::Pass {
            return;
        }
        self.lines.push(format!("  {}", self.ink.bold(&one_line(&scenario.name, self.width - 4))));
        if found.is_empty() {
            let headline = words::sentence(&scenario.headline, scenario.verdict);
            self.paragraph(6, &headline);
        }
        let (open, failed): (Vec<&Finding>, Vec<&Finding>) =
            found.into_iter().partition(|finding| finding.verdict == Verdict::Inconclusive);
        // What is waived comes last of what failed.
        for finding in failed.iter().chain(open.iter().take(OPEN_SHOWN)) {
            self.finding(finding);
        }
        if open.len() > OPEN_SHOWN {
            let mark = self.ink.verdict(Verdict::Inconclusive, words::symbol(Verdict::Inconclusive));
            self.lines.push(format!("    {mark} {} more cannot tell: the report has them", open.len() - OPEN_SHOWN));
        }
        if let Some(culprit) = scenario.culprits.first() {
            let share = culprit.share.map(|share| format!(" ({} of the regression)", words::share(share))).unwrap_or_default();
            let name = format!("culprit: {}{share}{}", culprit_name(culprit), or_else(scenario));
            for (index, line) in wrap(&name, self.width - 6).into_iter().enumerate() {
                let lead = if index == 0 { "→" } else { " " };
                self.lines.push(format!("    {lead} {}", self.ink.bold(&line)));
            }
            for note in culprit.evidence.iter().take(3) {
                self.paragraph(6, &one_line(&note.text, 400));
            }
        }
        self.lines.push(String::new());
    }

    fn finding(&mut self, finding: &Finding) {
        let mark = self.ink.verdict(finding.verdict, words::symbol(finding.verdict));
        let mark = if finding.waived.is_some() { self.ink.dim("~") } else { mark };
        self.lines.push(format!("    {mark} {}", cut(&words::topic(finding), self.width - 6)));
        if let Some(waived) = &finding.waived {
            self.paragraph(6, &words::waived(waived));
        }
        self.paragraph(6, &one_line(&finding.reason, 600));
    }

    fn paragraph(&mut self, indent: usize, text: &str) {
        let lines = wrap(text, self.width - indent);
        self.lines.extend(lines.into_iter().map(|line| format!("{}{line}", " ".repeat(indent))));
    }

    /// Path and command are never wrapped: they are there to be copied.
    fn foot(&mut self, result: &RunResult, report: Option<&str>) {
        if let Some(report) = report {
            self.lines.push(format!("  {} {}", self.ink.dim("report"), one_line(report, 4_000)));
        }
        self.lines.push(format!("  {}  {}", self.ink.dim("again"), one_line(&result.run.rerun, 4_000)));
    }
}

/// ANSI colours, or none.
#[derive(Clone, Copy)]
struct Ink {
    color: bool,
}

impl Ink {
    fn verdict(self, verdict: Verdict, text: &str) -> String {
        self.paint(
            match verdict {
                Verdict::Pass => "1;32",
                Verdict::Inconclusive => "1;33",
                Verdict::Fail => "1;31",
            },
            text,
        )
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Columns that `text` takes, wide characters counted twice.
fn columns(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

fn width_of(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// `text` in exactly `width` columns.
pub(crate) fn pad(text: &str, width: usize) -> String {
    let mut cell = String::new();
    let mut used = 0;
    for c in text.chars() {
        if used + width_of(c) > width {
            break;
        }
        used += width_of(c);
        cell.push(c);
    }
    cell.push_str(&" ".repeat(width - used));
    cell
}

/// Breaks at spaces; a word that is wider than a line is broken inside.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let space = usize::from(used > 0);
        if used + space + columns(word) <= width {
            if let Some(line) = lines.last_mut() {
                line.push_str(&" ".repeat(space));
                line.push_str(word);
            }
            used += space + columns(word);
            continue;
        }
        if used > 0 {
            lines.push(String::new());
            used = 0;
        }
        for c in word.chars() {
            if used + width_of(c) > width {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
            used += width_of(c);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_only_giants_inside_a_word() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("漢字漢字", 5), ["漢字", "漢字"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn cells_have_exactly_their_width_also_with_wide_characters() {
        assert_eq!(pad("漢字", 3), "漢 ");
        assert_eq!(pad("ab", 4), "ab  ");
    }
}
