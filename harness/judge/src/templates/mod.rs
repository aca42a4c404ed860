//! Templates of log lines, found as the lines come in: Drain (He, Zhu, Zheng and Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth
//! Tree", ICWS 2017), with two changes.
//!
//! The tree leads from the number of words over the first words that are no values to a handful of templates, of which the most similar one takes
//! the line. Drain takes the first words whatever they are, and so wants headers cut off and masks for each system; here hidden words are passed
//! over, a level is one step more, and there is one set of masks ([`words`]).
//!
//! Drain believes at once that a word is a value when two lines differ in it. Here templates are more alike before they are put together, and
//! where the same line has been seen with many words at one place ([`MANY`]), the place is a value: such templates become one, wherever in the
//! tree they are. Ids that were given before stand for it as well: see [`Miner::settled`].
//!
//! Pure, and bounded whatever comes: templates, children of a node, templates of a leaf, words and bytes of a line; what is beyond is counted. The
//! same lines in the same order give the same templates.

mod tree;
mod twins;
mod words;

use tree::Tree;
use twins::Twins;
use words::{BYTES_MAX, HIDDEN, Word, cut};

/// Templates that are kept; lines of further ones are [`TemplateId::OTHER`].
pub const TEMPLATES_MAX: usize = 4096;
/// As many words at one place of an otherwise equal line are a value.
const MANY: usize = 8;
/// Share of the words that are no values which must be equal for a line to be taken by a template.
const ALIKE: f64 = 0.75;
/// Bytes of a line that are kept to show a template by.
const SHOWN_MAX: usize = 1024;

/// A template, by the order in which they were first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(pub u32);

impl TemplateId {
    /// Lines for which there was no room.
    pub const OTHER: TemplateId = TemplateId(0);
}

/// What was too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overflow {
    /// Lines that are [`TemplateId::OTHER`].
    pub lines: u64,
    /// Lines of which only the beginning was read.
    pub cut: u64,
}

/// Finds the templates of lines, one line at a time.
#[derive(Debug)]
pub struct Miner {
    templates: Vec<Template>,
    tree: Tree,
    twins: Twins,
    /// Of the line that is looked at; kept for its memory.
    words: Vec<Word>,
    overflow: Overflow,
}

#[derive(Debug)]
struct Template {
    symbols: Box<[u64]>,
    /// The beginning of the line that was the first, and where its words are.
    first: Box<str>,
    places: Box<[(u32, u32)]>,
    /// The template that it became part of.
    part_of: Option<u32>,
}

impl Default for Miner {
    fn default() -> Miner {
        Miner::new()
    }
}

impl Miner {
    pub fn new() -> Miner {
        let other = Template { symbols: [HIDDEN].into(), first: "-".into(), places: [(0, 1)].into(), part_of: None };
        let (tree, twins) = (Tree::default(), Twins::default());
        Miner { templates: vec![other], tree, twins, words: Vec::with_capacity(words::WORDS_MAX), overflow: Overflow::default() }
    }

    /// The template of a line, which becomes one of its lines.
    pub fn add(&mut self, line: &str) -> TemplateId {
        if !cut(line, &mut self.words) {
            self.overflow.cut += 1;
        }
        let Some(leaf) = self.tree.leaf(line, &self.words) else { return self.other() };
        match self.most_alike(leaf).or_else(|| self.twins.known(&self.words)) {
            Some(known) => {
                let id = self.settled(TemplateId(known));
                self.templates[id.0 as usize].take(self.words.iter().map(|word| word.symbol));
                id
            }
            None => self.found(line, leaf),
        }
    }

    /// A template as text: its first line with `<*>` for what is no word of all its lines. Its length is bounded; it is as hostile as the line was.
    pub fn template(&self, id: TemplateId) -> String {
        self.templates.get(self.settled(id).0 as usize).map(Template::text).unwrap_or_default()
    }

    /// The template that an id stands for by now. Ids that [`Miner::add`] gave are compared when all lines are in, and settled before.
    #[must_use]
    pub fn settled(&self, id: TemplateId) -> TemplateId {
        let mut id = id.0;
        while let Some(whole) = self.templates.get(id as usize).and_then(|template| template.part_of) {
            id = whole;
        }
        TemplateId(id)
    }

    /// How many ids were given, [`TemplateId::OTHER`] among them: an id is less.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Whether no line has come yet.
    pub fn is_empty(&self) -> bool {
        self.templates.len() == 1 && self.overflow == Overflow::default()
    }

    pub fn overflow(&self) -> Overflow {
        self.overflow
    }

    fn other(&mut self) -> TemplateId {
        self.overflow.lines += 1;
        TemplateId::OTHER
    }

    fn most_alike(&self, leaf: usize) -> Option<u32> {
        let mut best = None;
        let mut most = ALIKE;
        for &id in self.tree.templates(leaf) {
            let alike = self.templates[id as usize].alike(&self.words);
            if alike >= most && (best.is_none() || alike > most) {
                (best, most) = (Some(id), alike);
            }
            if alike >= 1.0 {
                break;
            }
        }
        best
    }

    fn found(&mut self, line: &str, leaf: usize) -> TemplateId {
        let id = self.templates.len() as u32;
        if self.templates.len() == TEMPLATES_MAX || !self.tree.enter(leaf, id) {
            return self.other();
        }
        self.templates.push(Template::new(line, &self.words));
        for (place, twins) in self.twins.enter(&self.words, id) {
            self.join(place, &twins);
        }
        self.settled(TemplateId(id))
    }

    /// These are one template, with a value at this place.
    fn join(&mut self, place: usize, twins: &[u32]) {
        let Some(whole) = twins.first().map(|first| self.settled(TemplateId(*first)).0) else { return };
        self.templates[whole as usize].symbols[place] = HIDDEN;
        for &twin in twins {
            let part = self.settled(TemplateId(twin)).0;
            if part != whole {
                let symbols = std::mem::take(&mut self.templates[part as usize].symbols);
                self.templates[whole as usize].take(symbols.iter().copied());
                self.templates[part as usize].symbols = symbols;
                self.templates[part as usize].part_of = Some(whole);
            }
        }
    }
}

impl Template {
    fn new(line: &str, words: &[Word]) -> Template {
        let first = &line[..line.floor_char_boundary(SHOWN_MAX.min(BYTES_MAX))];
        let places = words.iter().map(|word| (word.start, word.end)).collect();
        Template { symbols: words.iter().map(|word| word.symbol).collect(), first: first.into(), places, part_of: None }
    }

    /// The share of equal words among those that are not hidden in both. All of none is all.
    fn alike(&self, words: &[Word]) -> f64 {
        let (mut equal, mut all) = (0_u32, 0_u32);
        for (symbol, word) in self.symbols.iter().zip(words) {
            let is_shown = symbol | word.symbol != HIDDEN;
            all += u32::from(is_shown);
            equal += u32::from(is_shown && *symbol == word.symbol);
        }
        if all == 0 { 1.0 } else { f64::from(equal) / f64::from(all) }
    }

    /// What differs in this line is a value.
    fn take(&mut self, line: impl Iterator<Item = u64>) {
        for (symbol, other) in self.symbols.iter_mut().zip(line) {
            if *symbol != other {
                *symbol = HIDDEN;
            }
        }
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(self.first.len());
        let mut shown = 0;
        for (symbol, (start, end)) in self.symbols.iter().zip(&self.places) {
            let (start, end) = (*start as usize, *end as usize);
            if *symbol != HIDDEN {
                continue;
            }
            let Some(before) = self.first.get(shown..start) else { break };
            text.push_str(before);
            text.push_str("<*>");
            shown = end;
        }
        text.push_str(self.first.get(shown..).unwrap_or_default());
        text
    }
}

#[cfg(test)]
mod tests;
