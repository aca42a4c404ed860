//! Variables in texts: `$NAME`, `${NAME:-default}` and their like, as compose reads them. Pure text; knows nothing of YAML beyond the walk over
//! a tree.

use crate::config::{
    problems::Problems,
    tree::{Entry, Node, Value, shorten},
};
use std::collections::BTreeMap;

/// A text, taken apart.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { name: String, operator: Option<(Operator, Vec<Part>)> },
}

/// What is done about a variable that is not set. `…OrEmpty`: nor where it is blank (the forms with a colon).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    DefaultIfUnset,
    DefaultIfUnsetOrEmpty,
    FailIfUnset,
    FailIfUnsetOrEmpty,
    InsteadIfSet,
    InsteadIfSetAndFull,
}

/// The two-letter signs first: `:-` begins with neither `-` nor `?`.
const OPERATORS: [(&str, Operator); 6] = [
    (":-", Operator::DefaultIfUnsetOrEmpty),
    (":?", Operator::FailIfUnsetOrEmpty),
    (":+", Operator::InsteadIfSetAndFull),
    ("-", Operator::DefaultIfUnset),
    ("?", Operator::FailIfUnset),
    ("+", Operator::InsteadIfSet),
];

/// Why a text could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    #[error("{0:?} is not a variable")]
    NotAVariable(String),
    #[error("`${{` is not closed by `}}`")]
    Unclosed,
    #[error("defaults are nested too deeply")]
    TooDeep,
    #[error("variables make it longer than {} KiB", LONGEST >> 10)]
    TooLong,
    #[error("variable {name} is required: {message}")]
    Required { name: String, message: String },
}

/// What came out of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// Variables that are not set and have no default: they became nothing.
    pub(super) unset: Vec<String>,
}

const DEEPEST: usize = 16;

/// Longer than this no text becomes.
const LONGEST: usize = 256 << 10;

/// Puts the values of variables into a text.
pub(super) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Expanded, ExpandError> {
    let (parts, _) = parse(text, None, 0)?;
    let mut expanded = Expanded::default();
    evaluate(&parts, lookup, &mut expanded)?;
    Ok(expanded)
}

/// Parts up to `end` (or all), and how many bytes they took without it.
fn parse(text: &str, end: Option<char>, depth: usize) -> Result<(Vec<Part>, usize), ExpandError> {
    if depth > DEEPEST {
        return Err(ExpandError::TooDeep);
    }
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(char) = text[at..].chars().next() {
        if Some(char) == end {
            break;
        }
        if char != '$' {
            plain.push(char);
            at += char.len_utf8();
            continue;
        }
        let rest = &text[at + 1..];
        if rest.starts_with('$') {
            plain.push('$');
            at += 2;
            continue;
        }
        let (variable, taken) = parse_variable(rest, depth)?;
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(variable);
        at += 1 + taken;
    }
    if end.is_some() && at == text.len() {
        return Err(ExpandError::Unclosed);
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok((parts, at))
}

/// What follows a `$`.
fn parse_variable(rest: &str, depth: usize) -> Result<(Part, usize), ExpandError> {
    let wrong = |rest: &str| ExpandError::NotAVariable(format!("${}", rest.chars().take(12).collect::<String>()));
    let Some(inside) = rest.strip_prefix('{') else {
        let name = name_of(rest).ok_or_else(|| wrong(rest))?;
        return Ok((Part::Variable { name: name.to_owned(), operator: None }, name.len()));
    };
    let name = name_of(inside).ok_or_else(|| wrong(rest))?;
    let after = &inside[name.len()..];
    if after.starts_with('}') {
        return Ok((Part::Variable { name: name.to_owned(), operator: None }, name.len() + 2));
    }
    if after.is_empty() {
        return Err(ExpandError::Unclosed);
    }
    let (sign, operator) = OPERATORS.iter().find(|(sign, _)| after.starts_with(sign)).ok_or_else(|| wrong(rest))?;
    let (word, taken) = parse(&after[sign.len()..], Some('}'), depth + 1)?;
    let variable = Part::Variable { name: name.to_owned(), operator: Some((*operator, word)) };
    Ok((variable, 1 + name.len() + sign.len() + taken + 1))
}

fn name_of(text: &str) -> Option<&str> {
    let end = text.find(|char: char| !(char.is_ascii_alphanumeric() || char == '_')).unwrap_or(text.len());
    (end > 0 && !text.as_bytes()[0].is_ascii_digit()).then(|| &text[..end])
}

fn evaluate(parts: &[Part], lookup: &dyn Fn(&str) -> Option<String>, out: &mut Expanded) -> Result<(), ExpandError> {
    for part in parts {
        if out.text.len() > LONGEST {
            return Err(ExpandError::TooLong);
        }
        let (name, operator) = match part {
            Part::Text(text) => {
                out.text.push_str(text);
                continue;
            }
            Part::Variable { name, operator } => (name, operator.as_ref()),
        };
        let value = lookup(name);
        let full = value.as_ref().is_some_and(|value| !value.is_empty());
        match operator {
            None => match value {
                Some(value) => out.text.push_str(&value),
                None => out.unset.push(name.clone()),
            },
            Some((Operator::DefaultIfUnset, word)) if value.is_none() => {
                evaluate(word, lookup, out)?;
            }
            Some((Operator::DefaultIfUnsetOrEmpty, word)) if !full => evaluate(word, lookup, out)?,
            Some((Operator::InsteadIfSet, word)) if value.is_some() => evaluate(word, lookup, out)?,
            Some((Operator::InsteadIfSetAndFull, word)) if full => evaluate(word, lookup, out)?,
            Some((Operator::InsteadIfSet | Operator::InsteadIfSetAndFull, _)) => {}
            Some((kind @ (Operator::FailIfUnset | Operator::FailIfUnsetOrEmpty), word))
                if value.is_none() || (*kind == Operator::FailIfUnsetOrEmpty && !full) =>
            {
                let mut message = Expanded::default();
                evaluate(word, lookup, &mut message)?;
                let message = if message.text.is_empty() { "it is not set".to_owned() } else { message.text };
                return Err(ExpandError::Required { name: name.clone(), message });
            }
            Some(_) => out.text.push_str(&value.unwrap_or_default()),
        }
    }
    Ok(())
}

/// Puts the values of variables into every text of a tree.
pub(super) fn expand_tree(node: &mut Node, env: &BTreeMap<String, String>, problems: &mut Problems) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| expand_tree(item, env, problems)),
        Value::Map(entries) => {
            for Entry { key, node, .. } in entries {
                // What tools of other makers put there is not ours to read.
                if !key.starts_with("x-") {
                    expand_tree(node, env, problems);
                }
            }
        }
        Value::Scalar { text, plain } if text.contains('$') => {
            match expand(text, &|name| env.get(name).cloned()) {
                Ok(expanded) => {
                    for name in &expanded.unset {
                        let message = format!("variable {name} is not set: it becomes nothing");
                        problems.warn(&node.spot, message).hint(format!("set it, or write `${{{name}:-default}}`"));
                    }
                    // What became blank is a blank text, not a missing value.
                    *plain &= !expanded.text.is_empty();
                    *text = if problems.spend(expanded.text.len(), &node.spot) { expanded.text } else { String::new() };
                }
                Err(error) => {
                    let mistake = problems.error(&node.spot, shorten(&error.to_string()));
                    match error {
                        ExpandError::Required { name, .. } => {
                            mistake.hint(format!("set {name} in the environment or in `.env` beside the file"))
                        }
                        ExpandError::TooLong => mistake.hint("give the variable a shorter value"),
                        _ => mistake.hint("write `$$` for a dollar sign"),
                    };
                }
            }
        }
        Value::Null | Value::Scalar { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let env = BTreeMap::from([("SET", "value"), ("EMPTY", ""), ("A", "a")]);
        let lookup = |name: &str| env.get(name).map(|value| (*value).to_owned());
        let shown = match expand(text, &lookup) {
            Ok(expanded) => expanded.text,
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn variables_are_put_in_as_compose_does() {
        let cases = [
            ("$SET/x", "value/x"),
            ("${SET}x", "valuex"),
            ("${GONE:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${GONE-d}", "d"),
            ("${SET:+alt}", "alt"),
            ("${EMPTY:+alt}", ""),
            ("${EMPTY+alt}", "alt"),
            ("${GONE+alt}", ""),
            ("${SET:?no}", "value"),
            ("${EMPTY?no}", ""),
            ("${GONE:-${ALSO_GONE:-$A}}b", "ab"),
            ("$$SET", "$SET"),
            ("${GONE:-http://x:80/?a=b}", "http://x:80/?a=b"),
            ("${GONE}", ""),
            ("ü${A}ü", "üaü"),
        ];
        for (text, expected) in cases {
            check(text, expected);
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        check("${GONE:?set it}", "variable GONE is required: set it");
        check("${EMPTY:?}", "variable EMPTY is required: it is not set");
        check("${SET", "`${` is not closed by `}`");
        check("${SET:-x", "`${` is not closed by `}`");
        check("cost: 5$", "\"$\" is not a variable");
        check("$1", "\"$1\" is not a variable");
        check("${A!b}", "\"${A!b}\" is not a variable");
        check(&format!("{}x{}", "${A:+".repeat(40), "}".repeat(40)), "defaults are nested too deeply");
    }

    #[test]
    fn a_default_that_is_not_needed_cannot_fail() {
        check("${SET:-${GONE:?never}}", "value");
    }
}
