//! `.dockerignore`: which files of a directory belong to a build.

use regex::Regex;
use std::{fs, path::Path};

/// The rules of one build, in the order of the file: the last that matches wins.
#[derive(Debug, Default)]
pub(crate) struct Ignore {
    rules: Vec<(Regex, Fate)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    LeftOut,
    Kept,
}

impl Ignore {
    /// Reads `<dockerfile>.dockerignore`, else `.dockerignore`; no file is no rule.
    pub(crate) fn read(context: &Path, dockerfile: &str) -> Ignore {
        let files = [context.join(format!("{dockerfile}.dockerignore")), context.join(".dockerignore")];
        let text = files.iter().find_map(|path| fs::read_to_string(path).ok());
        Ignore::parse(&text.unwrap_or_default())
    }

    pub(crate) fn parse(text: &str) -> Ignore {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ignore { rules: lines.filter_map(rule).collect() }
    }

    /// Whether the path (relative, with `/`) is left out.
    pub(crate) fn leaves_out(&self, path: &str) -> bool {
        let last = self.rules.iter().rev().find(|(pattern, _)| pattern.is_match(path));
        last.is_some_and(|(_, fate)| *fate == Fate::LeftOut)
    }

    /// Whether nothing below a directory that is left out can be kept by a later rule.
    pub(crate) fn prunes(&self) -> bool {
        self.rules.iter().all(|(_, fate)| *fate == Fate::LeftOut)
    }
}

fn rule(line: &str) -> Option<(Regex, Fate)> {
    let (fate, pattern) = line.strip_prefix('!').map_or((Fate::LeftOut, line), |rest| (Fate::Kept, rest.trim_start()));
    let pattern = pattern.trim_start_matches("./").trim_matches('/');
    // A rule for a directory is one for everything below it.
    let regex = Regex::new(&format!("^{}(/.*)?$", translate(pattern))).ok()?;
    (!pattern.is_empty() && pattern != ".").then_some((regex, fate))
}

/// Go's `filepath.Match`, with `**` for any number of directories.
fn translate(pattern: &str) -> String {
    let mut regex = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**/") {
            regex.push_str("(.*/)?");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("**") {
            regex.push_str(".*");
            rest = after;
        } else if first == '[' && rest.contains(']') {
            let (class, after) = rest.split_at(rest.find(']').map_or(1, |end| end + 1));
            regex.push_str(class);
            rest = after;
        } else {
            match first {
                '*' => regex.push_str("[^/]*"),
                '?' => regex.push_str("[^/]"),
                '\\' => {}
                other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(rules: &str, path: &str) -> bool {
        Ignore::parse(rules).leaves_out(path)
    }

    #[test]
    fn rules_match_as_the_engine_matches_them() {
        let cases = [
            ("target", "target/debug/x", true),
            ("target", "src/target", false),
            ("**/target", "a/b/target/x", true),
            ("**/target", "target", true),
            ("*.log", "a.log", true),
            ("*.log", "a/b.log", false),
            ("**/*.log", "a/b.log", true),
            ("/docs/", "docs/a", true),
            ("a?c", "abc", true),
            ("a[0-9]", "a7", true),
            ("# comment\n\n", "comment", false),
            ("a.b", "aXb", false),
        ];
        for (rules, path, expected) in cases {
            assert_eq!(left_out(rules, path), expected, "{rules:?} on {path:?}");
        }
    }

    #[test]
    fn the_last_rule_that_matches_wins() {
        let rules = "*\n!src\nsrc/*.tmp";
        assert!(left_out(rules, "README.md") && !left_out(rules, "src/main.rs") && left_out(rules, "src/a.tmp"));
        assert!(!Ignore::parse(rules).prunes() && Ignore::parse("a\nb").prunes());
    }
}
