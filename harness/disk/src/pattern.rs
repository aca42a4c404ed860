//! Which files a fault is for: a glob over paths below the mounted directory.
//!
//! `*` and `?` do not cross a slash, `**` does. A pattern without a slash is about the last part of a path, as in .gitignore. Written
//! here because a regular expression engine is much to audit for three wildcards.

/// A glob that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    glob: Vec<u8>,
    whole_path: bool,
}

impl Pattern {
    pub(crate) fn new(glob: &str) -> Self {
        let bare = glob.strip_prefix('/').unwrap_or(glob);
        Self { glob: bare.as_bytes().to_vec(), whole_path: glob.contains('/') }
    }

    /// `path` is relative to the mounted directory, without a leading slash.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        glob_matches(&self.glob, if self.whole_path { path } else { last })
    }
}

fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    match glob {
        [] => text.is_empty(),
        [b'*', b'*', b'/', rest @ ..] => {
            glob_matches(rest, text) || text.iter().enumerate().any(|(at, byte)| *byte == b'/' && glob_matches(rest, &text[at + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|at| glob_matches(rest, &text[at..])),
        [b'*', rest @ ..] => {
            let segment = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
            (0..=segment).any(|at| glob_matches(rest, &text[at..]))
        }
        [b'?', rest @ ..] => matches!(text, [first, others @ ..] if *first != b'/' && glob_matches(rest, others)),
        [byte, rest @ ..] => matches!(text, [first, others @ ..] if first == byte && glob_matches(rest, others)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_paths() {
        let cases = [
            ("*.wal", "a.wal", true),
            ("*.wal", "deep/er/a.wal", true),
            ("*.wal", "a.wal.old", false),
            ("pg_wal/*", "pg_wal/0001", true),
            ("pg_wal/*", "pg_wal/archive/0001", false),
            ("pg_wal/*", "x/pg_wal/0001", false),
            ("/pg_wal/**", "pg_wal/archive/0001", true),
            ("**/0001", "0001", true),
            ("**/0001", "a/b/0001", true),
            ("base/?/*", "base/5/1259", true),
            ("base/?/*", "base/15/1259", false),
            ("[a]", "a", false),
            ("[a]", "[a]", true),
        ];
        for (glob, path, expected) in cases {
            assert_eq!(Pattern::new(glob).matches(path.as_bytes()), expected, "{glob} on {path}");
        }
    }
}
