//! The tree that leads from a line to the few templates it can be of.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::TEMPLATES_MAX;
use super::words::{HIDDEN, Word, mix, symbol};

/// Words that are steps, beside the number of words and the level.
const STEPS: usize = 3;
/// Children of a node; further words share one.
const CHILDREN_MAX: u32 = 100;
/// Templates of a leaf.
const LEAF_MAX: usize = 64;
/// Nodes of the tree.
const NODES_MAX: usize = 4 * TEMPLATES_MAX;
/// The first words are looked at for a level.
const LEVEL_WITHIN: usize = 8;

/// Keys that are hashes already.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = symbol(bytes);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// By hashes. Never gone through, so that its order is nobody's business.
pub(super) type ByHash<V> = HashMap<u64, V, BuildHasherDefault<Hashed>>;

#[derive(Debug)]
pub(super) struct Tree {
    /// From a node and a step to a node.
    steps: ByHash<u32>,
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    children: u32,
    templates: Vec<u32>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { steps: ByHash::default(), nodes: vec![Node::default()] }
    }
}

impl Tree {
    /// The leaf of a line, if there is room for one.
    pub(super) fn leaf(&mut self, line: &str, words: &[Word]) -> Option<usize> {
        let mut node = self.child(0, words.len() as u64 + 1)?;
        let mut steps = 0;
        for (index, word) in words.iter().enumerate().filter(|(_, word)| word.symbol != HIDDEN) {
            node = self.child(node, word.symbol)?;
            let is_level = index < LEVEL_WITHIN && line.get(word.start as usize..word.end as usize).is_some_and(is_level);
            steps += usize::from(!is_level);
            if steps == STEPS {
                break;
            }
        }
        Some(node as usize)
    }

    pub(super) fn templates(&self, leaf: usize) -> &[u32] {
        &self.nodes[leaf].templates
    }

    /// Whether there was room for one more.
    pub(super) fn enter(&mut self, leaf: usize, template: u32) -> bool {
        let templates = &mut self.nodes[leaf].templates;
        let has_room = templates.len() < LEAF_MAX;
        if has_room {
            templates.push(template);
        }
        has_room
    }

    fn child(&mut self, node: u32, step: u64) -> Option<u32> {
        let key = |step| mix(u64::from(node) + 1, step);
        if let Some(&child) = self.steps.get(&key(step)) {
            return Some(child);
        }
        let is_full = self.nodes[node as usize].children == CHILDREN_MAX;
        if is_full && let Some(&child) = self.steps.get(&key(HIDDEN)) {
            return Some(child);
        }
        if self.nodes.len() == NODES_MAX {
            return None;
        }
        let child = self.nodes.len() as u32;
        self.nodes.push(Node::default());
        self.nodes[node as usize].children += u32::from(!is_full);
        self.steps.insert(key(if is_full { HIDDEN } else { step }), child);
        Some(child)
    }
}

fn is_level(word: &str) -> bool {
    const LEVELS: [&str; 14] =
        ["trace", "debug", "info", "notice", "warn", "warning", "error", "err", "fatal", "critical", "severe", "panic", "alert", "emerg"];
    (3..=8).contains(&word.len()) && LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}
