//! What time, errors and patterns are counted by: operations of services and the calls between them, and the ways that lead to them.
//!
//! Names come from telemetry and are hostile: they are cleaned, and how many are told apart is bounded; what is beyond shares one name.

use crate::{peer, text, trace::Tree};
use indexmap::{IndexMap, IndexSet};
use shakedown_model::{evidence::SpanKind, operation::normalised};
use std::collections::HashMap;

/// Operations that are told apart, …
const MOST_KEYS: usize = 4_096;
/// … ways to them, …
const MOST_WAYS: usize = 20_000;
/// … and how long a way is at most; spans below hang on its end.
const LONGEST_WAY: usize = 64;
/// What the time before and after all spans of a trace is called.
const OUTSIDE: &str = "(outside any span)";
const OTHERS: &str = "(others)";

/// What a span of an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// Work of the service itself, or of what it calls and that sends no spans.
    Own,
    /// A call that another service answered, so that its own time is the way there and back.
    Call,
    /// Time that no span covers.
    Outside,
}

/// An operation of a service; a call also by whom it went to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) service: String,
    pub(super) operation: String,
    pub(super) role: Role,
    /// The service that answered a call, or whom an unanswered one names.
    pub(super) peer: Option<String>,
}

pub(super) type KeyId = usize;
pub(super) type WayId = usize;

/// An operation and the one that it was called by, and so on up to the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Way {
    pub(super) above: Option<WayId>,
    pub(super) key: KeyId,
}

/// Names seen so far, as evidence wrote them: service, span name, whether it is a call, and its peer.
type Seen<'a> = HashMap<(&'a str, &'a str, bool, Option<&'a str>), KeyId>;

/// All operations and ways of one scenario, shared by everything that is compared.
#[derive(Default)]
pub(super) struct Keys<'a> {
    keys: IndexSet<Key>,
    /// By name as it was seen.
    seen: Seen<'a>,
    /// With the number of their steps.
    ways: IndexMap<Way, usize>,
    /// For each operation the same one without role and peer.
    plain: Vec<KeyId>,
    /// For a call: the operation that answered it last.
    answers: HashMap<KeyId, KeyId>,
}

impl<'a> Keys<'a> {
    pub(super) fn get(&self, id: KeyId) -> &Key {
        &self.keys[id]
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The operation of each span of a trace; calls know who answered them.
    pub(super) fn of_trace(&mut self, tree: &Tree<'_, 'a>, ids: &mut Vec<KeyId>) {
        ids.clear();
        for index in 0..tree.len() {
            let id = self.of_span(tree, index);
            ids.push(id);
        }
        for index in 0..tree.len() {
            if let Some(parent) = tree.parent(index)
                && self.keys[ids[parent]].role == Role::Call
                && tree.span(index).service != tree.span(parent).service
            {
                self.answers.insert(ids[parent], ids[index]);
            }
        }
    }

    fn of_span(&mut self, tree: &Tree<'_, 'a>, index: usize) -> KeyId {
        let span = tree.span(index);
        let is_call = matches!(span.kind, SpanKind::Client | SpanKind::Producer);
        let foreign = |child: &&usize| tree.span(**child).service != span.service;
        let answered = if is_call { tree.children(index).iter().find(foreign).map(|child| &*tree.span(*child).service) } else { None };
        let peer = answered.or_else(|| if is_call { peer::names(span).next() } else { None });
        let name = (&*span.service, &*span.name, answered.is_some(), peer);
        if let Some(id) = self.seen.get(&name) {
            return *id;
        }
        let key = Key {
            service: text::clean(&span.service, 100),
            operation: operation(&span.name),
            role: if answered.is_some() { Role::Call } else { Role::Own },
            peer: peer.map(|peer| text::clean(peer, 100)),
        };
        let id = self.intern(key);
        self.seen.insert(name, id);
        id
    }

    /// The time that no span of a trace covers, at the service of its root.
    pub(super) fn outside(&mut self, root: KeyId) -> KeyId {
        let service = self.keys[root].service.clone();
        self.intern(Key { service, operation: OUTSIDE.to_owned(), role: Role::Outside, peer: None })
    }

    /// The operation whether or not it was answered, and by whom.
    pub(super) fn plain(&self, id: KeyId) -> KeyId {
        self.plain[id]
    }

    fn intern(&mut self, key: Key) -> KeyId {
        if let Some(id) = self.keys.get_index_of(&key) {
            return id;
        }
        let others = Key { service: OTHERS.to_owned(), operation: OTHERS.to_owned(), role: Role::Own, peer: None };
        let key = if self.keys.len() < MOST_KEYS { key } else { others };
        let plain = Key { role: Role::Own, peer: None, ..key.clone() };
        let (plain, _) = self.keys.insert_full(plain);
        self.plain.resize(self.keys.len(), plain);
        let (id, _) = self.keys.insert_full(key);
        self.plain.resize(self.keys.len(), plain);
        id
    }

    /// The way to `key` from `above`. One that would be too long ends where it is, and one too many begins anew.
    pub(super) fn way(&mut self, above: Option<WayId>, key: KeyId) -> WayId {
        let above = above.map(|way| if self.ways[way] < LONGEST_WAY { way } else { self.step(way).above.unwrap_or(way) });
        let way = Way { above, key };
        if let Some(id) = self.ways.get_index_of(&way) {
            return id;
        }
        let way = if self.ways.len() < MOST_WAYS { way } else { Way { above: None, key } };
        let depth = way.above.map_or(1, |above| self.ways[above] + 1);
        let entry = self.ways.entry(way);
        let id = entry.index();
        entry.or_insert(depth);
        id
    }

    pub(super) fn ways(&self) -> usize {
        self.ways.len()
    }

    pub(super) fn step(&self, way: WayId) -> Way {
        self.ways.get_index(way).map_or(Way { above: None, key: 0 }, |(way, _)| *way)
    }

    /// The operation that answered a call.
    pub(super) fn answer(&self, call: KeyId) -> Option<KeyId> {
        self.answers.get(&call).copied()
    }

    /// Every service that this one calls, and those that they call.
    pub(super) fn below(&self, service: &str) -> IndexSet<&str> {
        let calls: Vec<(&str, &str)> = self.keys.iter().filter_map(|key| Some((key.service.as_str(), key.peer.as_deref()?))).collect();
        let (mut below, mut looked_at) = (IndexSet::new(), 0);
        let add = |below: &mut IndexSet<_>, caller: &str| below.extend(calls.iter().filter(|(from, _)| *from == caller).map(|(_, to)| *to));
        add(&mut below, service);
        while let Some(caller) = below.get_index(looked_at).copied() {
            add(&mut below, caller);
            looked_at += 1;
        }
        below.shift_remove(service);
        below
    }

    /// Who makes the calls that lead to a way: the operation itself, where its own service makes them; else the one above it.
    pub(super) fn caller(&self, way: WayId) -> KeyId {
        let Way { above, key } = self.step(way);
        let above = above.map(|above| self.step(above).key);
        above.filter(|above| self.keys[*above].service != self.keys[key].service).unwrap_or(key)
    }
}

/// A span name without what differs from request to request.
pub(crate) fn operation(name: &str) -> String {
    text::clean(&normalised(name), 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{
        self,
        tests::{span, trace_id},
    };
    use SpanKind::{Client, Internal, Server};

    #[test]
    fn a_call_that_is_answered_knows_by_whom_and_one_that_is_not_is_own_time() {
        let spans = [span("a", "", Server, 0, 9), span("c", "a", Client, 1, 8), span("b", "c", Server, 2, 7), span("d", "a", Client, 3, 4)];
        let (traces, mut keys, mut ids) = (trace::index(&spans), Keys::default(), Vec::new());
        keys.of_trace(&Tree::of(traces.get(&trace_id()).unwrap()), &mut ids);
        let roles: Vec<Role> = ids.iter().map(|id| keys.get(*id).role).collect();
        assert_eq!(roles, [Role::Own, Role::Call, Role::Own, Role::Own]);
        assert_eq!(keys.get(ids[1]).peer.as_deref(), Some("b"));
        assert_eq!(keys.answer(ids[1]), Some(ids[2]));
    }

    #[test]
    fn what_a_service_calls_is_below_it_and_it_is_not_below_itself() {
        let mut keys = Keys::default();
        for (from, to) in [("a", "b"), ("b", "c"), ("c", "b"), ("c", "a"), ("x", "a")] {
            let peer = Some(to.to_owned());
            keys.intern(Key { service: from.to_owned(), operation: format!("call {to}"), role: Role::Call, peer });
        }
        assert_eq!(keys.below("a"), IndexSet::from(["b", "c"]));
        assert_eq!(keys.below("nobody"), IndexSet::new());
    }

    #[test]
    fn neither_names_nor_ways_grow_without_bound() {
        let mut keys = Keys::default();
        let key = |number: usize| Key { service: "s".to_owned(), operation: number.to_string(), role: Role::Own, peer: None };
        let ids: Vec<KeyId> = (0..2 * MOST_KEYS).map(|number| keys.intern(key(number))).collect();
        assert!(keys.len() <= MOST_KEYS + 2, "{}", keys.len());
        assert_eq!((ids[0], keys.intern(key(0))), (0, 0));
        let mut above = None;
        for step in 0..3 * MOST_WAYS {
            above = Some(keys.way(above, ids[step % MOST_KEYS]));
        }
        assert!(keys.ways() <= MOST_WAYS + MOST_KEYS + 1);
        let mut length = 0;
        while let Some(way) = above {
            above = keys.step(way).above;
            length += 1;
        }
        assert!(length <= LONGEST_WAY + 1, "{length}");
    }

    #[test]
    fn more_calls_are_the_callers_doing() {
        let spans = [span("a", "", Internal, 0, 9), span("i", "a", Internal, 1, 8), span("b", "a", Server, 2, 7)];
        let (traces, mut keys, mut ids) = (trace::index(&spans), Keys::default(), Vec::new());
        keys.of_trace(&Tree::of(traces.get(&trace_id()).unwrap()), &mut ids);
        let root = keys.way(None, ids[0]);
        let foreign = keys.way(Some(root), ids[2]);
        assert_eq!(keys.caller(foreign), ids[0]);
        assert_eq!(keys.caller(root), ids[0]);
    }
}
