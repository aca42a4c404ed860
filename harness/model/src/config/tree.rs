//! YAML as a tree in which every key and value knows where it stands. Knows the syntax of YAML, not what a file means.
//!
//! It stands on the event parser beneath `serde-saphyr`: serde stops at the first mistake of a document and cannot name the place of a key
//! that came in through `<<`. Hostile input is bounded: size, depth, and what aliases expand to.

use super::{
    problems::Problems,
    text::{Spot, Text},
};
use granit_parser::{Event, Parser, ScalarStyle, Tag};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where.
    pub(crate) spot: Spot,
    /// What.
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text, number or boolean: the reader decides.
    Scalar {
        /// After escapes.
        text: String,
        /// Without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file, without duplicates, `<<` merged in.
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) spot: Spot,
    /// The value.
    pub(crate) node: Node,
}

impl Node {
    /// For messages: what stands here.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Scalar { text, .. } => format!("{:?}", shorten(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The value of a key, where this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            _ => None,
        }
    }

    /// The text, where this is a scalar.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The items of a list, the values of a mapping.
    pub(crate) fn children(&self) -> Vec<&Node> {
        match &self.value {
            Value::List(items) => items.iter().collect(),
            Value::Map(entries) => entries.iter().map(|entry| &entry.node).collect(),
            Value::Null | Value::Scalar { .. } => Vec::new(),
        }
    }

    /// Whether this is a mapping without keys.
    pub(crate) fn is_empty_map(&self) -> bool {
        matches!(&self.value, Value::Map(entries) if entries.is_empty())
    }

    /// How much a copy of it costs; a long text counts as many values.
    pub(crate) fn size(&self) -> usize {
        let text = |text: &str| 1 + text.len() / 64;
        match &self.value {
            Value::Null => 1,
            Value::Scalar { text: scalar, .. } => text(scalar),
            Value::List(items) => items.iter().map(Node::size).sum::<usize>() + 1,
            Value::Map(entries) => entries.iter().map(|entry| text(&entry.key) + entry.node.size()).sum::<usize>() + 1,
        }
    }
}

/// Cuts a text for a message.
pub(crate) fn shorten(text: &str) -> String {
    if text.chars().count() <= 80 { text.to_owned() } else { text.chars().take(79).chain(['…']).collect() }
}

/// Deeper nesting is a mistake.
const DEEPEST: usize = 64;

/// More nodes, aliases expanded, is a mistake.
const MOST_NODES: usize = 100_000;

/// Reads the one document of a file. `None`: what is wrong was told.
pub(crate) fn parse(text: &Arc<Text>, problems: &mut Problems) -> Option<Node> {
    let options = granit_parser::options! { emit_unresolved_aliases: true };
    let parser = Parser::new_from_str_with_options(&text.content, options);
    let mut builder = Builder { text, parser, problems, anchors: HashMap::new(), nodes: 0, meaningless: false };
    builder.document().ok()
}

/// The reading cannot go on; why was told.
struct Stopped;

struct Builder<'t, 'p, I> {
    text: &'t Arc<Text>,
    parser: I,
    problems: &'p mut Problems,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    /// A value has no meaning (told): what would be said of it by readers is noise.
    meaningless: bool,
}

type Token<'t> = (Event<'t>, granit_parser::Span);

impl<'t, I> Builder<'t, '_, I>
where
    I: Iterator<Item = Result<Token<'t>, granit_parser::ScanError>>,
{
    fn document(&mut self) -> Result<Node, Stopped> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_none() => {}
                Event::DocumentStart(..) => {
                    let spot = self.spot(&span);
                    return Err(self.stop(&spot, "a second document begins here").with("one file holds one document: take `---` away"));
                }
                other => root = Some(self.node(other, &span, 0)?),
            }
        }
        if self.meaningless {
            return Err(Stopped);
        }
        root.ok_or_else(|| {
            let spot = self.text.spot(0..0);
            self.stop(&spot, format!("`{}` is empty", self.text.shown)).0
        })
    }

    fn next(&mut self) -> Result<Token<'t>, Stopped> {
        loop {
            match self.parser.next() {
                Some(Ok((Event::Anchor(..), _))) => {}
                Some(Ok(token)) => return Ok(token),
                Some(Err(error)) => {
                    let at = error.marker().byte_offset().unwrap_or(0);
                    let spot = self.text.spot(at..at + 1);
                    return Err(self.stop(&spot, format!("not YAML: {}", error.info())).0);
                }
                None => {
                    let spot = self.text.spot(self.text.content.len()..self.text.content.len());
                    return Err(self.stop(&spot, "not YAML: the text ends too early").0);
                }
            }
        }
    }

    fn spot(&self, span: &granit_parser::Span) -> Spot {
        self.text.spot(span.byte_range().unwrap_or(0..0))
    }

    fn stop(&mut self, spot: &Spot, message: impl Into<String>) -> Stop<'_> {
        Stop(Stopped, self.problems.error(spot, message))
    }

    fn node(&mut self, event: Event<'t>, span: &granit_parser::Span, depth: usize) -> Result<Node, Stopped> {
        let mut spot = self.spot(span);
        self.nodes += 1;
        if depth > DEEPEST {
            return Err(self.stop(&spot, format!("nested deeper than {DEEPEST} levels")).0);
        }
        if self.nodes > MOST_NODES {
            return Err(self.stop(&spot, format!("more than {MOST_NODES} values")).0);
        }
        let (anchor, value) = match event {
            Event::Alias(id) => return self.alias(id, &spot),
            Event::UnresolvedAlias(name) => {
                self.problems.error(&spot, format!("alias `*{name}` has no anchor")).hint(format!("define it above with `&{name}`"));
                self.meaningless = true;
                (0, Value::Null)
            }
            Event::Scalar(text, style, anchor, tag) => (anchor, self.scalar(&text, style, tag.as_deref(), &spot)),
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), &spot);
                (anchor, Value::List(self.list(&mut spot, depth)?))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), &spot);
                (anchor, Value::Map(self.map(&mut spot, depth)?))
            }
            _ => return Err(self.stop(&spot, "not YAML: a value is missing here").0),
        };
        let node = Node { spot, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, spot: &Spot) -> Result<Node, Stopped> {
        let Some(node) = self.anchors.get(&id) else {
            return Err(self.stop(spot, format!("alias `{}` stands inside of what it stands for", spot.slice())).0);
        };
        self.nodes = self.nodes.saturating_add(node.size());
        if self.nodes > MOST_NODES {
            return Err(self.stop(spot, format!("aliases expand to more than {MOST_NODES} values")).0);
        }
        Ok(node.clone())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, spot: &Spot) -> Value {
        let is_text = self.check_tag(tag, spot);
        let plain = style == ScalarStyle::Plain && !is_text;
        match text {
            "~" | "null" | "Null" | "NULL" | "" if plain => Value::Null,
            _ => Value::Scalar { text: text.to_owned(), plain },
        }
    }

    /// Whether the tag says that this is text.
    fn check_tag(&mut self, tag: Option<&Tag>, spot: &Spot) -> bool {
        const CORE: &str = "tag:yaml.org,2002:";
        let Some(tag) = tag else { return false };
        let full = tag.to_string();
        match full.strip_prefix(CORE).or_else(|| full.strip_prefix("!!")) {
            Some("str") => return true,
            Some("int" | "float" | "bool" | "null" | "map" | "seq") => {}
            _ => {
                self.problems.error(spot, format!("tag `{}` is not supported", shorten(&full))).hint("write the value without a tag");
                self.meaningless = true;
            }
        }
        false
    }

    fn list(&mut self, spot: &mut Spot, depth: usize) -> Result<Vec<Node>, Stopped> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                self.stretch(spot, &span, items.first().map(|item: &Node| &item.spot));
                return Ok(items);
            }
            items.push(self.node(event, &span, depth + 1)?);
        }
    }

    fn map(&mut self, spot: &mut Spot, depth: usize) -> Result<Vec<Entry>, Stopped> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys: HashMap<String, usize> = HashMap::new();
        let mut merges = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                self.stretch(spot, &span, entries.first().map(|entry| &entry.spot));
                break;
            }
            let key = self.node(event, &span, depth + 1)?;
            let (event, span) = self.next()?;
            let node = self.node(event, &span, depth + 1)?;
            let key_spot = self.spot_of_key(&key);
            match key.value {
                Value::Scalar { text, plain: true } if text == "<<" => merges.push(node),
                Value::Scalar { text, .. } => {
                    if let Some(first) = keys.get(&text) {
                        let first = &entries[*first].spot;
                        self.problems
                            .error(&key_spot, format!("key `{}` is here twice", shorten(&text)))
                            .also(first, "first here")
                            .hint("take one of them away");
                        continue;
                    }
                    keys.insert(text.clone(), entries.len());
                    entries.push(Entry { key: text, spot: key_spot, node });
                }
                _ => {
                    self.problems
                        .error(&key_spot, format!("a key must be text, found {}", key.describe()))
                        .hint("quote a text that begins with `{`, `[` or `*`");
                }
            }
        }
        self.merge(&mut entries, merges);
        Ok(entries)
    }

    fn spot_of_key(&self, key: &Node) -> Spot {
        Spot { text: Arc::clone(self.text), range: key.spot.range.clone() }
    }

    /// `<<`: what is written here wins over what is merged in; of several, the first wins.
    fn merge(&mut self, entries: &mut Vec<Entry>, merges: Vec<Node>) {
        let mut keys: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        for node in merges {
            let sources = match node.value {
                Value::List(items) => items,
                _ => vec![node],
            };
            for source in sources {
                if let Value::Map(merged) = source.value {
                    entries.extend(merged.into_iter().filter(|entry| keys.insert(entry.key.clone())));
                } else {
                    let found = source.describe();
                    self.problems.error(&source.spot, format!("`<<` takes a mapping or a list of mappings, found {found}"));
                }
            }
        }
    }

    /// The place of a collection: its brackets in flow style; in block style its first item.
    fn stretch(&self, spot: &mut Spot, end: &granit_parser::Span, first: Option<&Spot>) {
        match (spot.range.is_empty(), first) {
            (true, Some(first)) => spot.range = first.range.clone(),
            (true, None) => {}
            (false, _) => {
                *spot = self.text.spot(spot.range.start..end.byte_range().map_or(spot.range.end, |range| range.end));
            }
        }
    }
}

/// The mistake that stopped the reading, for a hint.
struct Stop<'p>(Stopped, &'p mut super::mistake::Mistake);

impl Stop<'_> {
    fn with(self, hint: &str) -> Stopped {
        self.1.hint(hint);
        self.0
    }
}
