//! Texts of queries, made alike for comparison. It must not know the protocol.

/// In small letters, with one blank for a run of white space, and without comments before it and semicolons behind it.
pub(super) fn normalised(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut rest = text.trim_start();
    while let Some(behind) = behind_comment(rest) {
        rest = behind.trim_start();
    }
    let rest = rest.trim_end_matches(|letter: char| letter.is_whitespace() || letter == ';');
    let mut normalised = String::with_capacity(rest.len());
    for word in rest.split_whitespace() {
        if !normalised.is_empty() {
            normalised.push(' ');
        }
        normalised.extend(word.chars().map(|letter| letter.to_ascii_lowercase()));
    }
    normalised
}

/// What is behind the comment that a text begins with, if it does. A comment that does not end is none.
fn behind_comment(text: &str) -> Option<&str> {
    if let Some(line) = text.strip_prefix("--") {
        return line.split_once('\n').map(|(_, behind)| behind);
    }
    text.strip_prefix("/*")?.split_once("*/").map(|(_, behind)| behind)
}

/// What a statement does to a transaction, as far as an error in its place must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// It ends the transaction even where it fails.
    Commit,
    /// It never fails.
    Rollback,
    Other,
}

pub(super) fn verb(normalised: &str) -> Verb {
    // Several statements at once are one transaction unless they say otherwise: an error in any of them is an error like others.
    if normalised.contains(';') {
        return Verb::Other;
    }
    let mut words = normalised.split(' ');
    match (words.next(), words.next()) {
        (Some("commit"), Some("prepared")) => Verb::Other,
        (Some("commit" | "end"), _) | (Some("prepare"), Some("transaction")) => Verb::Commit,
        (Some("rollback" | "abort"), _) => Verb::Rollback,
        _ => Verb::Other,
    }
}

/// Whether a statement may end a transaction; one that is not known may.
pub(super) fn may_end(normalised: Option<&str>) -> bool {
    normalised.is_none_or(|text| text.contains(';') || verb(text) != Verb::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_before_and_semicolons_behind_are_not_there() {
        assert_eq!(normalised(b" -- who\n/* why */ SELECT\t'A  b' ,\r\n 1 ; ;"), "select 'a b' , 1");
        assert_eq!(normalised(b"/* endless"), "/* endless");
        assert_eq!(normalised(b" ;"), "");
    }

    #[test]
    fn the_ends_of_transactions_are_known() {
        let of = |text: &str| verb(&normalised(text.as_bytes()));
        for text in ["COMMIT", "end work", "Commit and chain;", "PREPARE TRANSACTION 'a'", "/* x */ commit"] {
            assert_eq!(of(text), Verb::Commit, "{text}");
        }
        for text in ["ROLLBACK", "abort", "rollback to savepoint a"] {
            assert_eq!(of(text), Verb::Rollback, "{text}");
        }
        for text in ["", "select 1", "COMMIT PREPARED 'a'", "prepare a as select 1", "rollback; select 1", "committed"] {
            assert_eq!(of(text), Verb::Other, "{text}");
        }
        assert!(may_end(None) && may_end(Some("select 1; rollback")) && may_end(Some("commit")) && !may_end(Some("select 1")));
    }
}
