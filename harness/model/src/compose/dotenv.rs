//! `.env` and `env_file`: `KEY=value` lines with comments, quotes and variables.

use super::interpolate::expand;
use crate::config::{problems::Problems, text::Text};
use std::sync::Arc;

/// The variables of a file in its order. `lookup` answers for what the file does not define.
pub(super) fn parse(text: &Arc<Text>, lookup: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let content = text.content.strip_prefix('\u{feff}').unwrap_or(&text.content);
    let offset = text.content.len() - content.len();
    let mut at = 0;
    while at < content.len() {
        let line_end = content[at..].find('\n').map_or(content.len(), |end| at + end);
        let line = content[at..line_end].trim();
        let spot = text.spot(offset + at..offset + line_end);
        if line.is_empty() || line.starts_with('#') {
            at = line_end + 1;
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some(equals) = content[at..line_end].find('=').map(|equals| at + equals) else {
            // A name alone hands on what the environment holds.
            let name = line.split('#').next().unwrap_or_default().trim();
            if !is_name(name) {
                problems.error(&spot, "expected a line such as `KEY=value`").hint("begin a comment with `#`");
            } else if let Some(value) = lookup(name) {
                found.push((name.to_owned(), value));
            }
            at = line_end + 1;
            continue;
        };
        let name = content[at..equals].trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        if !is_name(name) {
            problems.error(&spot, format!("{name:?} is not the name of a variable")).hint("expected a line such as `KEY=value`");
            at = line_end + 1;
            continue;
        }
        let Some((value, end)) = value_at(content, equals + 1) else {
            problems.error(&spot, format!("the quote around the value of {name} is not closed")).hint("close it");
            return found;
        };
        let inner = |name: &str| found.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone()).or_else(|| lookup(name));
        let value = match value {
            Raw::Plain(value) => value,
            // A lone dollar sign in a password is no mistake.
            Raw::Expand(value) => expand(&value, &inner).map_or(value.replace("$$", "$"), |expanded| expanded.text),
        };
        if !problems.spend(value.len(), &spot) {
            return found;
        }
        found.push((name.to_owned(), value));
        at = content[end..].find('\n').map_or(content.len(), |next| end + next + 1);
    }
    found
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|char: char| char.is_whitespace() || char == '\0' || char == '"' || char == '\'')
}

enum Raw {
    Plain(String),
    Expand(String),
}

/// The value that begins at `at`, and where it ends. `None`: a quote is not closed.
fn value_at(content: &str, at: usize) -> Option<(Raw, usize)> {
    let blank = content[at..].find(|char| char != ' ' && char != '\t').unwrap_or(content.len() - at);
    let start = at + blank;
    match content[start..].chars().next() {
        Some('\'') => {
            let length = content[start + 1..].find('\'')?;
            Some((Raw::Plain(content[start + 1..start + 1 + length].to_owned()), start + length + 2))
        }
        Some('"') => double_quoted(&content[start + 1..]).map(|(value, length)| (Raw::Expand(value), start + 1 + length)),
        _ => {
            let end = content[start..].find('\n').map_or(content.len(), |end| start + end);
            let line = &content[start..end];
            let comment = if line.starts_with('#') { 0 } else { line.find(" #").or_else(|| line.find("\t#")).unwrap_or(line.len()) };
            Some((Raw::Expand(line[..comment].trim().to_owned()), end))
        }
    }
}

/// Up to the closing quote; an escaped dollar sign comes out doubled, for [`expand`].
fn double_quoted(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, at + 1)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                '$' => value.push_str("$$"),
                other @ ('"' | '\\') => value.push(other),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(content: &str) -> (Vec<(String, String)>, Problems) {
        let text = Text::new(".env".to_owned(), Path::new("/.env"), content.to_owned());
        let mut problems = Problems::new(Path::new("/"));
        let found = parse(&text, &|name| (name == "HOST").then(|| "h".to_owned()), &mut problems);
        (found, problems)
    }

    fn check(content: &str, expected: &[(&str, &str)]) {
        let (found, problems) = read(content);
        let found: Vec<(&str, &str)> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{content:?}");
        assert_eq!(problems.errors(), 0, "{content:?}");
    }

    #[test]
    fn lines_are_read_as_compose_reads_them() {
        check(
            "A=1\n# no\n\nB = two words # note\nexport C='$A #'\r\nD=\"x\\n$A\"\n",
            &[("A", "1"), ("B", "two words"), ("C", "$A #"), ("D", "x\n1")],
        );
        check("A=${HOST:-x}:1\nHOST\nGONE\n", &[("A", "h:1"), ("HOST", "h")]);
        check("A=\"one\ntwo\"\nB=2", &[("A", "one\ntwo"), ("B", "2")]);
        check("A=a#b\nB=\nC=#c\nD=pa$1$$\nE=\"\\$A\"", &[("A", "a#b"), ("B", ""), ("C", ""), ("D", "pa$1$"), ("E", "$A")]);
    }

    #[test]
    fn what_is_no_line_is_told() {
        for wrong in ["a b c", "A=\"open", "= 1", "A B=1"] {
            assert_eq!(read(wrong).1.errors(), 1, "{wrong}");
        }
    }
}
