//! Path patterns: `*` within a part, `**` over parts, `?`, `[a-z]`, `{one,two}`. One reading of them for the whole program.

use regex::Regex;

/// A path pattern.
#[derive(Debug, Clone)]
pub struct Glob {
    pattern: String,
    regex: Regex,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// A bracket or a brace is not closed.
    #[error("`{open}` is not closed in {pattern:?}")]
    Unclosed {
        /// `[` or `{`.
        open: char,
        /// The text.
        pattern: String,
    },
    /// Anything else that is no pattern.
    #[error("{pattern:?} is not a path pattern such as `services/payment/**`")]
    Wrong {
        /// The text.
        pattern: String,
    },
}

impl Glob {
    /// Reads a pattern.
    pub fn new(pattern: &str) -> Result<Glob, GlobError> {
        let source = to_regex(pattern)?;
        let regex = Regex::new(&source).map_err(|_| GlobError::Wrong { pattern: pattern.to_owned() })?;
        Ok(Glob { pattern: pattern.to_owned(), regex })
    }

    /// Whether a path with `/` between its parts matches as a whole.
    pub fn matches(&self, path: &str) -> bool {
        self.regex.is_match(path)
    }

    /// The directory that every match lies in: where a walk may start. Empty: the root.
    pub fn fixed_prefix(&self) -> &str {
        let plain = self.pattern.find(['*', '?', '[', '{']).map_or(self.pattern.as_str(), |at| &self.pattern[..at]);
        plain.rfind('/').map_or("", |slash| &plain[..slash])
    }
}

fn to_regex(pattern: &str) -> Result<String, GlobError> {
    let unclosed = |open| GlobError::Unclosed { open, pattern: pattern.to_owned() };
    let mut regex = String::from("^");
    let mut braces = 0_u32;
    let mut rest = pattern;
    while let Some(char) = rest.chars().next() {
        let mut taken = char.len_utf8();
        match char {
            '*' if rest.starts_with("**/") => {
                regex.push_str("(?:.*/)?");
                taken = 3;
            }
            '*' if rest.starts_with("**") => {
                regex.push_str(".*");
                taken = 2;
            }
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' => {
                let end = rest.find(']').ok_or_else(|| unclosed('['))?;
                regex.push_str(&class(&rest[1..end]));
                taken = end + 1;
            }
            '{' => {
                braces += 1;
                regex.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                regex.push(')');
            }
            ',' if braces > 0 => regex.push('|'),
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
        rest = &rest[taken..];
    }
    if braces > 0 {
        return Err(unclosed('{'));
    }
    regex.push('$');
    Ok(regex)
}

fn class(inside: &str) -> String {
    let (sign, members) = match inside.strip_prefix('!') {
        Some(members) => ("^", members),
        None => ("", inside),
    };
    format!("[{sign}{}]", members.replace('\\', r"\\").replace('[', r"\[").replace('^', r"\^").replace('&', r"\&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        let cases = [
            ("chaos/*.yaml", "chaos/a.yaml", true),
            ("chaos/*.yaml", "chaos/b/a.yaml", false),
            ("services/payment/**", "services/payment/src/main.rs", true),
            ("services/payment/**", "services/payments/main.rs", false),
            ("**/*.rs", "main.rs", true),
            ("**/*.rs", "a/b/main.rs", true),
            ("a?.{yml,yaml}", "ab.yml", true),
            ("a[!b].yml", "ab.yml", false),
            ("a+b.yml", "a+b.yml", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(Glob::new(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_not_closed_is_named() {
        assert_eq!(Glob::new("a[b").unwrap_err().to_string(), "`[` is not closed in \"a[b\"");
        assert_eq!(Glob::new("a{b").unwrap_err().to_string(), "`{` is not closed in \"a{b\"");
        assert!(Glob::new("a[]b").is_err());
    }

    #[test]
    fn a_walk_may_start_below_the_root() {
        assert_eq!(Glob::new("chaos/deep/*.yaml").unwrap().fixed_prefix(), "chaos/deep");
        assert_eq!(Glob::new("*.yaml").unwrap().fixed_prefix(), "");
    }
}
