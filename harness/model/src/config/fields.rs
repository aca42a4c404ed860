//! Typed reading of a tree: a mapping with known keys, a text, a number, a list. Each complaint names the field, what was expected and what
//! was found. Knows no particular key.

use super::{
    problems::{Problems, meant, nearest},
    text::Spot,
    tree::{Entry, Node, Value, shorten},
};
use std::{fmt::Display, str::FromStr};

/// A value with the name it goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'n> {
    /// The key, or the key of the list that it stands in.
    pub(crate) name: &'n str,
    /// Where the key stands (for an item of a list: the item).
    pub(crate) key: &'n Spot,
    /// The value.
    pub(crate) node: &'n Node,
}

impl<'n> Field<'n> {
    /// The root of a file.
    pub(crate) fn root(name: &'n str, node: &'n Node) -> Field<'n> {
        Field { name, key: &node.spot, node }
    }

    pub(crate) fn of(entry: &'n Entry) -> Field<'n> {
        Field { name: &entry.key, key: &entry.spot, node: &entry.node }
    }

    /// Where the value stands; where there is none, the key.
    pub(crate) fn spot(&self) -> &'n Spot {
        if self.is_null() { self.key } else { &self.node.spot }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    /// `None`, with the complaint told.
    pub(crate) fn wrong<T>(&self, expected: impl Display, problems: &mut Problems) -> Option<T> {
        problems.error(self.spot(), format!("`{}`: expected {expected}, found {}", shorten(self.name), self.node.describe()));
        None
    }

    /// Any scalar, as text.
    pub(crate) fn text(&self, problems: &mut Problems) -> Option<&'n str> {
        match self.node.scalar() {
            Some(text) => Some(text),
            None => self.wrong("a text", problems),
        }
    }

    /// A text that is not blank.
    pub(crate) fn full_text(&self, problems: &mut Problems) -> Option<&'n str> {
        match self.text(problems)? {
            text if text.trim().is_empty() => self.wrong("a text that is not blank", problems),
            text => Some(text),
        }
    }

    /// A scalar in a form that its type knows; the type's error says what was expected.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&self, problems: &mut Problems) -> Option<T> {
        match self.text(problems)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                problems.error(self.spot(), format!("`{}`: {}", shorten(self.name), shorten(&format!("{error}"))));
                None
            }
        }
    }

    /// A number in a form that Rust's own reading knows.
    pub(crate) fn number<T: FromStr>(&self, expected: &str, problems: &mut Problems) -> Option<T> {
        match self.node.scalar().and_then(|text| text.parse().ok()) {
            Some(value) => Some(value),
            None => self.wrong(expected, problems),
        }
    }

    /// `true` or `false`, without quotes.
    pub(crate) fn flag(&self, problems: &mut Problems) -> Option<bool> {
        match &self.node.value {
            Value::Scalar { text, plain: true } if text == "true" => Some(true),
            Value::Scalar { text, plain: true } if text == "false" => Some(false),
            _ => self.wrong("`true` or `false`", problems),
        }
    }

    /// One of several words.
    pub(crate) fn choice<T: Copy>(&self, words: &[(&str, T)], problems: &mut Problems) -> Option<T> {
        let found = self.node.scalar().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if let Some((_, value)) = found {
            return Some(*value);
        }
        let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let message = format!("`{}`: expected {}, found {}", self.name, all.join(" or "), self.node.describe());
        let near = self.node.scalar().and_then(|text| nearest(text, words.iter().map(|(word, _)| *word)));
        let mistake = problems.error(self.spot(), message);
        if let Some(word) = near {
            mistake.hint(format!("did you mean `{word}`?"));
        }
        None
    }

    /// The items of a list.
    pub(crate) fn list(&self, problems: &mut Problems) -> Option<Vec<Field<'n>>> {
        match &self.node.value {
            Value::List(items) => Some(self.items(items)),
            _ => self.wrong("a list", problems),
        }
    }

    /// The items as they are named in messages.
    pub(crate) fn items(&self, items: &'n [Node]) -> Vec<Field<'n>> {
        items.iter().map(|node| Field { name: self.name, key: &node.spot, node }).collect()
    }

    /// A list of texts. What is no text is told and left out.
    pub(crate) fn texts(&self, problems: &mut Problems) -> Option<Vec<String>> {
        let items = self.list(problems)?;
        Some(items.iter().filter_map(|item| item.text(problems)).map(str::to_owned).collect())
    }

    /// The entries of a mapping with free keys.
    pub(crate) fn entries(&self, problems: &mut Problems) -> Option<Vec<Field<'n>>> {
        match &self.node.value {
            Value::Map(entries) => Some(entries.iter().map(Field::of).collect()),
            _ => self.wrong("a mapping", problems),
        }
    }

    /// `None`, with the complaint told.
    pub(crate) fn not_a_mapping<T>(&self, what: &str, problems: &mut Problems) -> Option<T> {
        problems.error(self.spot(), format!("{what} must be a mapping, found {}", self.node.describe()));
        None
    }

    /// A mapping with known keys; `what` is it ("a load"). Unknown keys are told.
    pub(crate) fn fields(&self, what: impl Into<String>, known: &[&str], problems: &mut Problems) -> Option<Fields<'n>> {
        let what = what.into();
        let Value::Map(entries) = &self.node.value else {
            return self.not_a_mapping(&what, problems);
        };
        let unknown = entries.iter().filter(|entry| !known.contains(&entry.key.as_str())).collect();
        let fields = Fields { what, at: self.key, entries, unknown };
        fields.tell_unknown(known, problems);
        Some(fields)
    }
}

/// Reads every item, also after one that is wrong: all mistakes are told.
pub(crate) fn each<'n, T>(items: Vec<Field<'n>>, read: impl FnMut(Field<'n>) -> Option<T>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = items.into_iter().map(read).collect();
    read.into_iter().collect()
}

/// A mapping with known keys.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'n> {
    /// "load `checkout`"
    pub(crate) what: String,
    /// Where its name stands.
    pub(crate) at: &'n Spot,
    entries: &'n [Entry],
    unknown: Vec<&'n Entry>,
}

impl<'n> Fields<'n> {
    fn tell_unknown(&self, known: &[&str], problems: &mut Problems) {
        for entry in &self.unknown {
            let message = format!("unknown key `{}` in {}", shorten(&entry.key), self.what);
            let hint = if known.is_empty() { "take it away".to_owned() } else { meant(&entry.key, "known keys", known.iter().copied()) };
            problems.error(&entry.spot, message).hint(hint);
        }
    }

    /// Whether there is an unknown key: it was told, and what seems to be missing may be what was meant by it.
    pub(crate) fn has_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// A key, where it is there (its value may be nothing).
    pub(crate) fn get(&self, key: &str) -> Option<Field<'n>> {
        self.entries.iter().find(|entry| entry.key == key).map(Field::of)
    }

    /// A key that must be there; `example` shows how.
    pub(crate) fn need(&self, key: &str, example: &str, problems: &mut Problems) -> Option<Field<'n>> {
        let field = self.get(key);
        let misspelt = self.unknown.iter().any(|entry| nearest(&entry.key, [key]).is_some());
        if field.is_none() && !misspelt {
            problems.error(self.at, format!("`{key}` is missing in {}", self.what)).hint(format!("add `{example}`"));
        }
        field
    }

    /// A key that may be missing, read by `read`. The outer `None`: it is there and wrong, which was told.
    pub(crate) fn or<T>(&self, key: &str, default: T, read: impl FnOnce(Field<'n>) -> Option<T>) -> Option<T> {
        self.get(key).map_or(Some(default), read)
    }
}
