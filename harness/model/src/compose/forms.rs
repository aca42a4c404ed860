//! The many ways of writing one thing: lists or mappings of pairs, a text or a list, shell words, durations and sizes as the engine writes them.

use crate::config::{
    fields::Field,
    problems::Problems,
    text::Spot,
    tree::{Node, Value},
};
use std::time::Duration;

/// `KEY=value`, `KEY: value`, or a key alone.
pub(super) struct Pair<'n> {
    pub(super) key: &'n str,
    pub(super) value: Option<&'n str>,
    pub(super) spot: &'n Spot,
}

/// Pairs in list or map form. In a list, the first of `separators` that is there parts them.
pub(super) fn pairs<'n>(field: Field<'n>, separators: &[char], problems: &mut Problems) -> Vec<Pair<'n>> {
    let mut pairs = Vec::new();
    match &field.node.value {
        Value::Map(entries) => {
            for entry in entries {
                match &entry.node.value {
                    Value::Null => pairs.push(Pair { key: &entry.key, value: None, spot: &entry.spot }),
                    Value::Scalar { text, .. } => pairs.push(Pair { key: &entry.key, value: Some(text), spot: &entry.node.spot }),
                    _ => {
                        Field::of(entry).wrong::<()>("a text", problems);
                    }
                }
            }
        }
        Value::List(items) => {
            for item in field.items(items) {
                let Some(text) = item.text(problems) else {
                    continue;
                };
                let (key, value) = match text.split_once(separators) {
                    Some((key, value)) => (key, Some(value)),
                    None => (text, None),
                };
                pairs.push(Pair { key, value, spot: &item.node.spot });
            }
        }
        _ => {
            field.wrong::<()>("a list or a mapping", problems);
        }
    }
    pairs
}

/// The nodes of a list, or the one that stands in place of a list.
pub(super) fn one_or_many(field: Field<'_>) -> Vec<Field<'_>> {
    match &field.node.value {
        Value::List(items) => field.items(items),
        _ => vec![field],
    }
}

/// A text or a list of texts.
pub(super) fn texts(field: Field<'_>, problems: &mut Problems) -> Vec<String> {
    one_or_many(field).into_iter().filter_map(|item| item.text(problems)).map(str::to_owned).collect()
}

/// A command: a list as it is, a text split as a shell would.
pub(super) fn command(field: Field<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let Some(text) = field.node.scalar() else {
        return field.texts(problems);
    };
    let words = shlex::split(text);
    if words.is_none() {
        problems
            .error(field.spot(), format!("`{}`: a quote is not closed in {}", field.name, field.node.describe()))
            .hint("close it, or write a list");
    }
    words
}

/// A boolean, also as text (a variable may have put it there).
pub(super) fn flag(field: Field<'_>, problems: &mut Problems) -> Option<bool> {
    match field.node.scalar().map(str::to_ascii_lowercase).as_deref() {
        Some("true" | "yes" | "on" | "1") => Some(true),
        Some("false" | "no" | "off" | "0") => Some(false),
        _ => field.wrong("`true` or `false`", problems),
    }
}

/// `1m30s`, `500ms`, `10s`.
pub(super) fn duration(field: Field<'_>, problems: &mut Problems) -> Option<Duration> {
    match field.node.scalar().and_then(parse_duration) {
        Some(duration) => Some(duration),
        None => field.wrong("a duration such as `10s` or `1m30s`", problems),
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !(char.is_ascii_digit() || char == '.'))?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|char: char| char.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        seconds += number
            * match &rest[digits..unit_end] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// `64m`, `1gb`, `512MiB`, `1024`: powers of 1024, as the engine has it.
pub(super) fn size(field: Field<'_>, problems: &mut Problems) -> Option<u64> {
    match field.node.scalar().and_then(parse_size) {
        Some(size) => Some(size),
        None => field.wrong("a size such as `64m` or `1gb`", problems),
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|char: char| !(char.is_ascii_digit() || char == '.')).unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let factor: u64 = match text[digits..].trim() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    let bytes = number * factor as f64;
    (bytes < 2_f64.powi(63)).then_some(bytes as u64)
}

/// A path from the directory of the file that it stands in; `~` is the home directory.
pub(super) fn path(text: &str, node: &Node, home: Option<&str>) -> std::path::PathBuf {
    let path = match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{home}{rest}")
        }
        _ => text.to_owned(),
    };
    crate::config::files::normalize(&node.spot.text.dir.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_as_the_engine_reads_them() {
        assert_eq!(parse_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_duration("0"), Some(Duration::ZERO));
        for wrong in ["", "10", "s", "-1s", "1x", "1s1"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
        assert_eq!(parse_size("1.5g"), Some(3 << 29));
        assert_eq!(parse_size("64MB"), Some(64 << 20));
        assert_eq!(parse_size("1024"), Some(1024));
        for wrong in ["", "m", "64 parsecs", "99999999999999t", "-1"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }
}
