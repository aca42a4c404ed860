//! Numbers and hostile strings as people read them. Knows no findings.

use std::fmt::Write as _;

/// A length of time with three digits that matter: `340 µs`, `4.12 ms`, `412 ms`, `2.01 s`, `3 min 05 s`.
pub(crate) fn seconds(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude < 0.001 {
        format!("{:.0} µs", value * 1e6)
    } else if magnitude < 0.1 {
        format!("{} ms", three_digits(value * 1e3))
    } else if magnitude < 0.999_5 {
        format!("{:.0} ms", value * 1e3)
    } else if magnitude < 60.0 {
        format!("{} s", three_digits(value))
    } else {
        let whole = value.round();
        format!("{:.0} min {:02.0} s", (whole / 60.0).floor(), whole % 60.0)
    }
}

fn three_digits(value: f64) -> String {
    match value.abs() {
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A share in per cent: `97.4 %`, `99.95 %`. Never rounds a blemish away: 99.996 % does not become 100 %.
pub(crate) fn share(value: f64) -> String {
    let percent = value * 100.0;
    let digits = if percent > 99.0 && percent < 100.0 { 2 } else { 1 };
    let text = format!("{percent:.digits$}");
    let text = if text.starts_with("100") && percent < 100.0 { "99.99".to_owned() } else { text };
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// Answers a second: `99.3/s`.
pub(crate) fn rate(value: f64) -> String {
    format!("{}/s", three_digits(value))
}

/// A relative change with its sign: `+388 %`, `-2.1 %`; from elevenfold on as a multiple, `×266`.
pub(crate) fn change(value: f64) -> String {
    if value.is_finite() && value >= 10.0 {
        return format!("×{:.0}", 1.0 + value);
    }
    let percent = value * 100.0;
    if percent.abs() < 9.95 { format!("{percent:+.1} %") } else { format!("{percent:+.0} %") }
}

/// Percentage points with their sign.
pub(crate) fn points(value: f64) -> String {
    format!("{:+.1} percentage points", value * 100.0)
}

/// A confidence such as 0.99875: `99.88 %`. Never rounds up to certainty: 0.99998 is `99.998 %`.
pub(crate) fn confidence(value: f64) -> String {
    let mut texts = (2..12).map(|digits| format!("{:.digits$}", value * 100.0));
    let text = texts.find(|text| !text.starts_with("100")).unwrap_or_else(|| "100.0".to_owned());
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A count and its noun: `1 request`, `1200 requests`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Text of a foreign system made harmless: control and direction-changing characters escaped, cut at `limit` bytes.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for character in text.chars() {
        let start = out.len();
        if character.is_control() || is_direction(character) {
            let _ = write!(out, "{}", character.escape_default());
        } else {
            out.push(character);
        }
        if out.len() > limit {
            out.truncate(start);
            out.push('…');
            break;
        }
    }
    out
}

fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A word as a shell reads it back.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:@^~=+".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits() {
        let cases =
            [(0.00034, "340 µs"), (0.00412, "4.12 ms"), (0.046, "46.0 ms"), (0.412, "412 ms"), (2.0123, "2.01 s"), (185.0, "3 min 05 s")];
        for (value, expected) in cases {
            assert_eq!(seconds(value), expected);
        }
        assert_eq!(seconds(119.7), "2 min 00 s");
    }

    #[test]
    fn a_share_never_rounds_a_blemish_away() {
        assert_eq!(share(1.0), "100 %");
        assert_eq!(share(0.974), "97.4 %");
        assert_eq!(share(0.999_96), "99.99 %");
        assert_eq!(share(0.0), "0 %");
    }

    #[test]
    fn hostile_text_is_escaped_and_cut_at_a_character() {
        assert_eq!(clean("a\u{1b}[31m\u{202e}b\n", 100), "a\\u{1b}[31m\\u{202e}b\\n");
        assert_eq!(clean("ééééé", 5), "éé…");
    }

    #[test]
    fn words_come_back_from_the_shell_as_they_were() {
        assert_eq!(shell_word("HEAD^"), "HEAD^");
        assert_eq!(shell_word("it's $(here)"), r"'it'\''s $(here)'");
    }
}
