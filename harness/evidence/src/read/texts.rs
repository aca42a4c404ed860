//! Texts that come again and again, kept once: services, names, labels, whole lists of attributes.

use shakedown_model::{
    evidence::{Attribute, Attributes},
    text::Text,
};
use std::collections::{HashMap, HashSet};

/// Equal texts are the same text here, so that pairs and lists of them are known by address.
#[derive(Default)]
pub(super) struct Texts {
    texts: HashSet<Text>,
    pairs: HashMap<[usize; 2], Attribute>,
    lists: HashMap<Box<[usize]>, Attributes>,
}

impl Texts {
    pub(super) fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return Text::clone(known);
        }
        let new = Text::from(text);
        self.texts.insert(Text::clone(&new));
        new
    }

    /// A key that is there twice keeps its last value.
    pub(super) fn attributes<'t>(&mut self, pairs: impl Iterator<Item = (&'t str, impl AsRef<str>)>) -> Attributes {
        let pairs: Vec<Attribute> = pairs.map(|(key, value)| self.pair(key, value.as_ref())).collect();
        let addresses: Vec<usize> = pairs.iter().map(|pair| Attribute::as_ptr(pair).addr()).collect();
        if let Some(known) = self.lists.get(&*addresses) {
            return known.clone();
        }
        let new: Attributes = pairs.into_iter().collect();
        self.lists.insert(addresses.into_boxed_slice(), new.clone());
        new
    }

    fn pair(&mut self, key: &str, value: &str) -> Attribute {
        let (key, value) = (self.text(key), self.text(value));
        let addresses = [key.as_ptr().addr(), value.as_ptr().addr()];
        let pair = self.pairs.entry(addresses).or_insert_with(|| Attribute::new((key, value)));
        Attribute::clone(pair)
    }
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
        let mut list = |value: &str| texts.attributes([("peer.service", value), ("empty", "")].into_iter());
        assert_eq!(list("payment"), list("payment"));
        assert_eq!(list("payment").get("empty"), Some(""));
        assert_eq!(list("catalog").get("peer.service"), Some("catalog"));
    }
}
