//! The way to and from a service: what a call takes beyond its answer. Only lengths are compared, never clocks of two machines.
//!
//! Of a slow edge it cannot be told by itself which end is slow. It is the one whose edges are slow on average and hold most of what was added on any
//! edge; where that says nothing the callee, since its queue lies on that way.

use super::{Channel, Signal, note, strongest};
use crate::{
    culprit::{
        attribution::End,
        cohort::Cohort,
        keys::{Key, KeyId, Keys, Role},
    },
    slices::Sliced,
    text,
};
use indexmap::IndexMap;
use shakedown_model::fault::Target;

/// How rarely chance may call one edge of all slower.
const CHANCE: f64 = 0.001;
/// Growth that is worth a word: this share of a whole request, …
const SHARE: f64 = 0.02;
/// … and this many seconds.
const SECONDS: f64 = 0.000_5;

/// A caller and who answered it.
type Edge = (String, String);

/// What the ways between services take longer.
pub(crate) struct Network {
    /// Seconds a call, by edge; zero: nothing is proven.
    growth: IndexMap<Edge, f64>,
    by_service: IndexMap<String, Growth>,
    /// Edges that a fault was done to: it takes longer because it was asked to.
    injected: Vec<Edge>,
}

/// What was added on the edges of a service.
#[derive(Debug, Clone, Copy, Default)]
struct Growth {
    sum: f64,
    edges: u32,
    /// Of what was added on any edge, the share of its own.
    covered: f64,
}

impl Growth {
    /// Of many edges one slow one says little.
    fn mean(self) -> f64 {
        self.sum / f64::from(self.edges.max(1))
    }
}

impl Network {
    /// `usual` is what a request takes in the reference, seconds.
    pub(crate) fn of(subject: &Cohort<'_>, reference: &Cohort<'_>, keys: &Keys<'_>, injected: &[Target], usual: f64) -> Network {
        let (ours, theirs) = (gaps(subject, keys), gaps(reference, keys));
        let (least, edges) = (SECONDS.max(SHARE * usual), ours.len() as f64);
        let grown = |edge: &Edge, ours: &Sliced| {
            let theirs = theirs.get(edge)?;
            let growth = ours.mean() - theirs.mean();
            (growth >= least && ours.p_above(theirs) <= CHANCE / edges).then_some(growth)
        };
        let growth: IndexMap<Edge, f64> = ours.iter().map(|(edge, ours)| (edge.clone(), grown(edge, ours).unwrap_or(0.0))).collect();
        let by_service = by_service(&growth);
        let edges = injected.iter().filter_map(|target| match target {
            Target::Edge(edge) => Some((edge.from.clone(), edge.to.clone())),
            Target::Service(_) => None,
        });
        Network { growth, by_service, injected: edges.collect() }
    }

    /// Whose the way of a call is. On an edge that was disturbed it is the caller's: the callee cannot help it.
    pub(crate) fn end(&self, call: &Key) -> End {
        let Some(edge) = edge(call) else { return End::Caller };
        let of = |service: &String| self.by_service.get(service).map_or(0.0, |growth| growth.mean() * growth.covered);
        if self.injected.contains(&edge) || of(&edge.0) > of(&edge.1) { End::Caller } else { End::Callee }
    }

    /// Both ends of every edge that takes longer; the shared end of several stands out.
    pub(crate) fn signals(&self, keys: &Keys<'_>, usual: f64, name: &str) -> Vec<Signal> {
        let slower = self.growth.iter().filter(|(edge, growth)| **growth > 0.0 && !self.injected.contains(edge));
        let signals = slower.flat_map(|(edge, growth)| {
            [End::Caller, End::Callee].into_iter().filter_map(move |end| {
                let service = if end == End::Caller { &edge.0 } else { &edge.1 };
                let of_service = *self.by_service.get(service)?;
                let mean = of_service.mean();
                let call = call_of(keys, edge)?;
                let key = if end == End::Caller { call } else { keys.answer(call)? };
                let text = format!("the way {} -> {} takes {} longer a call than against {name}", edge.0, edge.1, text::seconds(*growth));
                Some(Signal::of(Channel::Network, keys.get(key), of_service.covered * mean / (mean + usual), vec![note("network", text)]))
            })
        });
        strongest(signals.collect())
    }
}

fn by_service(growth: &IndexMap<Edge, f64>) -> IndexMap<String, Growth> {
    let total: f64 = growth.values().sum();
    let mut services: IndexMap<String, Growth> = IndexMap::new();
    for ((from, to), growth) in growth {
        for service in [from, to] {
            let of_service = services.entry(service.clone()).or_default();
            of_service.sum += growth;
            of_service.edges += 1;
            of_service.covered = if total > 0.0 { of_service.sum / total } else { 0.0 };
        }
    }
    services
}

fn edge(call: &Key) -> Option<Edge> {
    Some((call.service.clone(), call.peer.clone().filter(|_| call.role == Role::Call)?))
}

/// A call over an edge.
fn call_of(keys: &Keys<'_>, wanted: &Edge) -> Option<KeyId> {
    (0..keys.len()).find(|key| edge(keys.get(*key)).is_some_and(|edge| edge == *wanted))
}

/// By edge, over all operations.
fn gaps(cohort: &Cohort<'_>, keys: &Keys<'_>) -> IndexMap<Edge, Sliced> {
    let mut gaps: IndexMap<Edge, Sliced> = IndexMap::new();
    for key in 0..keys.len() {
        let operation = cohort.operation(key);
        if let Some(edge) = edge(keys.get(key)).filter(|_| operation.gap.count() > 0) {
            gaps.entry(edge).or_default().merge(&operation.gap);
        }
    }
    gaps
}
