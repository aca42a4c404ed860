//! Texts that come again and again, kept once: services, names, labels, whole lists of attributes.

use shakedown_model::{
    evidence::{Attribute, Attributes},
    text::Text,
};
use std::{collections::HashSet, hash::Hash};

#[derive(Default)]
pub(super) struct Texts {
    texts: HashSet<Text>,
    pairs: HashSet<Attribute>,
    lists: HashSet<Attributes>,
}

impl Texts {
    pub(super) fn text(&mut self, text: &str) -> Text {
        match self.texts.get(text) {
            Some(known) => Text::clone(known),
            None => keep(&mut self.texts, Text::from(text)),
        }
    }

    /// A key that is there twice keeps its last value.
    pub(super) fn attributes(&mut self, pairs: impl Iterator<Item = (String, String)>) -> Attributes {
        let list = pairs.map(|(key, value)| {
            let pair = Attribute::new((self.text(&key), self.text(&value)));
            keep(&mut self.pairs, pair)
        });
        let list = list.collect();
        keep(&mut self.lists, list)
    }
}

/// The one that is kept already where there is one like `new`.
fn keep<T: Clone + Eq + Hash>(kept: &mut HashSet<T>, new: T) -> T {
    if let Some(known) = kept.get(&new) {
        return known.clone();
    }
    kept.insert(new.clone());
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn the_same_text_is_kept_once() {
        let mut texts = Texts::default();
        let (first, second) = (texts.text("orders"), texts.text("orders"));
        assert!(std::ptr::eq(&raw const *first, &raw const *second));
        assert_ne!(texts.text("payment"), first);
        let mut list = |value: &str| texts.attributes([("peer.service".to_owned(), value.to_owned())].into_iter());
        assert_eq!(list("payment"), list("payment"));
        assert_eq!(list("catalog").get("peer.service"), Some("catalog"));
    }
}
