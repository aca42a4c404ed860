//! Text of unknown origin made plain: no terminal escapes, no control characters, nothing that XML 1.0 forbids, nothing that turns the
//! direction of reading. It must not know which format the text goes into: quoting is each format's own business.

use std::iter::Peekable;
use std::str::Chars;

/// Removes ANSI escape sequences; whatever else is not printable becomes U+FFFD. Tabs and line ends stay.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => plain.push('\n'),
            _ if is_printable(c) => plain.push(c),
            _ => plain.push('\u{fffd}'),
        }
    }
    plain
}

/// [`plain`], on one line, cut to `limit` characters with an ellipsis.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let words = plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&words, limit)
}

/// The first `limit` characters, the last of them an ellipsis where something was left out.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut head: String = text.chars().take(limit.saturating_sub(1)).collect();
    head.push('…');
    head
}

fn is_printable(c: char) -> bool {
    match c {
        '\t' | '\n' => true,
        // Marks and overrides of direction: they make a line read as what it is not (CVE-2021-42574).
        // XML 1.0 forbids the last two, although they are no control characters.
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => false,
        _ => !c.is_control(),
    }
}

/// After ESC: a control sequence (`[`), a string (`]`, `P`, `X`, `^`, `_`), or one more character (with its intermediates).
fn skip_escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_control_sequence(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        Some(' '..='/') => {
            while chars.next_if(|c| (' '..='/').contains(c)).is_some() {}
            chars.next_if(|c| ('0'..='~').contains(c));
        }
        Some('0'..='~') => {
            chars.next();
        }
        _ => {}
    }
}

/// Parameters and intermediates, then one final character (ECMA-48, 5.4). Stops before anything that cannot belong to it.
fn skip_control_sequence(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

/// Up to BEL or ST. An unfinished string ends with its line: a service must not swallow the rest of a report.
fn skip_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_vanish_and_the_text_between_them_stays() {
        let cases = [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{9b}1mbold", "bold"),
            ("\u{1b}(Bcharset", "charset"),
            ("\u{1b}cafter reset", "after reset"),
            ("cut short \u{1b}[", "cut short "),
            ("cut short \u{1b}", "cut short "),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_printed_becomes_the_replacement_character() {
        assert_eq!(plain("a\0b\u{8}c\u{fffe}d\u{202e}e\u{7f}"), "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}");
        assert_eq!(plain("tab\tand\r\nline\rend"), "tab\tand\nline\nend");
    }

    #[test]
    fn an_unfinished_string_does_not_swallow_the_next_line() {
        assert_eq!(plain("\u{1b}]0;never closed\nnext"), "\nnext");
    }

    #[test]
    fn one_line_is_cut_by_characters_and_says_so() {
        assert_eq!(one_line("ä\n b\tc", 10), "ä b c");
        assert_eq!(one_line("äöüäöü", 4), "äöü…");
    }
}
