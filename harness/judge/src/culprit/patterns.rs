//! What follows what inside a span: it begins, its calls begin one after the other, it ends. Counted by pairs, so that how often something is followed
//! by something else does not depend on how much load there is, nor on the mix of requests (Nezha, Yu et al., FSE 2023, counts whole patterns).

use super::keys::{KeyId, Keys};
use crate::trace::Tree;
use indexmap::IndexMap;

/// Pairs that are told apart.
const MOST_PAIRS: usize = 50_000;

/// Something that happens in a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Happening {
    Begin,
    /// A span below begins.
    Below(KeyId),
    End,
}

/// Where a pair begins: the operation of the span, and what happened in it.
pub(super) type Before = (KeyId, Happening);

/// How often things happened, and what happened next.
#[derive(Debug, Clone, Default)]
pub(super) struct Patterns {
    befores: IndexMap<Before, u64>,
    pairs: IndexMap<(Before, Happening), u64>,
}

impl Patterns {
    /// Everything that happens in the spans of one trace.
    pub(super) fn add(&mut self, tree: &Tree<'_, '_>, ids: &[KeyId], keys: &Keys<'_>) {
        for (index, id) in ids.iter().enumerate() {
            let scope = keys.plain(*id);
            let mut last = Happening::Begin;
            for child in tree.children(index) {
                let next = Happening::Below(keys.plain(ids[*child]));
                self.pair((scope, last), next);
                last = next;
            }
            self.pair((scope, last), Happening::End);
        }
    }

    fn pair(&mut self, before: Before, next: Happening) {
        if self.pairs.len() < MOST_PAIRS || self.pairs.contains_key(&(before, next)) {
            *self.befores.entry(before).or_insert(0) += 1;
            *self.pairs.entry((before, next)).or_insert(0) += 1;
        }
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (Before, Happening)> {
        self.pairs.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// How often `next` followed, of how many times.
    pub(super) fn followed(&self, before: Before, next: Happening) -> (u64, u64) {
        let count = |found: Option<&u64>| found.copied().unwrap_or(0);
        (count(self.pairs.get(&(before, next))), count(self.befores.get(&before)))
    }
}
