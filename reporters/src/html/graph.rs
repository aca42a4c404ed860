//! The services and who calls whom, as the shown traces tell; where the fault is, and how far it was felt.

use crate::{digest, plain::one_line, words};
use serde::Serialize;
use shakedown_model::{
    result::{Hop, ScenarioResult},
    time::UnixNanos,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const NODE_WIDTH: f64 = 148.0;
const NODE_HEIGHT: f64 = 46.0;
const COLUMN: f64 = NODE_WIDTH + 92.0;
const ROW: f64 = NODE_HEIGHT + 26.0;
const TOP: f64 = 22.0;
/// What is larger is no picture any more.
const MOST: usize = 24;

#[derive(Debug, Serialize)]
pub(super) struct GraphView {
    id: String,
    desc: String,
    width: f64,
    height: f64,
    nodes: Vec<NodeView>,
    edges: Vec<EdgeView>,
}

#[derive(Debug, Serialize)]
struct NodeView {
    name: String,
    note: String,
    x: f64,
    y: f64,
    fault: bool,
    culprit: bool,
    slower: bool,
}

#[derive(Debug, Serialize)]
struct EdgeView {
    path: String,
    label: Option<String>,
    label_x: f64,
    label_y: f64,
}

/// Services by name, and the calls between them.
#[derive(Default)]
struct Calls<'a> {
    services: BTreeSet<&'a str>,
    edges: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Calls<'a> {
    fn of(scenario: &'a ScenarioResult) -> Calls<'a> {
        let mut calls = Calls::default();
        for trace in &scenario.exhibits.traces {
            // The services above the current span, by depth.
            let mut above: Vec<&str> = Vec::new();
            for span in &trace.spans {
                above.truncate(span.depth as usize);
                calls.services.insert(&span.service);
                if let Some(caller) = above.last().copied().filter(|caller| *caller != span.service) {
                    calls.edges.insert((caller, &span.service));
                }
                above.push(&span.service);
            }
        }
        for fault in digest::faults(scenario) {
            match fault.target.split_once("->") {
                Some((from, to)) => {
                    let (from, to) = (from.trim(), to.split(':').next().unwrap_or(to).trim());
                    calls.services.extend([from, to]);
                    calls.edges.insert((from, to));
                }
                None => _ = calls.services.insert(fault.target.trim()),
            }
        }
        calls
    }

    /// Column of each service: how many calls it is away from where requests come in.
    fn columns(&self) -> BTreeMap<&'a str, usize> {
        let is_called = |service: &str| self.edges.iter().any(|(_, callee)| *callee == service);
        let mut columns: BTreeMap<&str, usize> = BTreeMap::new();
        let mut roots: VecDeque<&str> = self.services.iter().copied().filter(|service| !is_called(service)).collect();
        // Where all are called by one another, one of them has to be the first.
        roots.extend(self.services.first().filter(|_| roots.is_empty()));
        let mut open: VecDeque<(&str, usize)> = roots.into_iter().map(|root| (root, 0)).collect();
        while let Some((service, column)) = open.pop_front() {
            if columns.contains_key(service) {
                continue;
            }
            columns.insert(service, column);
            open.extend(self.edges.iter().filter(|(caller, _)| *caller == service).map(|(_, callee)| (*callee, column + 1)));
        }
        // A circle that nothing leads into.
        for service in &self.services {
            columns.entry(service).or_insert(0);
        }
        columns
    }
}

impl GraphView {
    /// `None` where there are not two services that call one another, or too many.
    pub(super) fn of(scenario: &ScenarioResult, origin: UnixNanos, id: &str) -> Option<GraphView> {
        let calls = Calls::of(scenario);
        if calls.edges.is_empty() || calls.services.len() > MOST {
            return None;
        }
        let mut rows: Vec<usize> = Vec::new();
        let mut places: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (service, column) in calls.columns() {
            rows.resize(rows.len().max(column + 1), 0);
            places.insert(service, (2.0 + column as f64 * COLUMN, TOP + rows[column] as f64 * ROW));
            rows[column] += 1;
        }
        let hops: BTreeMap<&str, &Hop> = scenario
            .blame
            .iter()
            .flat_map(|blame| blame.path.iter().chain(&blame.off_path))
            .map(|hop| (hop.service.as_str(), hop))
            .collect();
        let culprit = scenario.culprits.first().map(|culprit| culprit.service.as_str());
        Some(GraphView {
            id: format!("{id}-graph"),
            desc: description(scenario, &hops, culprit),
            width: rows.len() as f64 * COLUMN - (COLUMN - NODE_WIDTH) + 4.0,
            height: TOP + rows.iter().copied().max().unwrap_or(1) as f64 * ROW,
            nodes: places
                .iter()
                .map(|(service, place)| node(scenario, service, *place, hops.get(service).copied(), culprit, origin))
                .collect(),
            edges: calls.edges.iter().filter_map(|edge| edge_view(scenario, edge, &places)).collect(),
        })
    }
}

fn node(
    scenario: &ScenarioResult,
    service: &str,
    (x, y): (f64, f64),
    hop: Option<&Hop>,
    culprit: Option<&str>,
    origin: UnixNanos,
) -> NodeView {
    let fault = digest::faults(scenario).into_iter().find(|fault| fault.target.trim() == service);
    let culprit = culprit == Some(service);
    let slower = hop.filter(|hop| hop.since.is_some());
    let notes = [
        fault.map(|fault| format!("fault: {}", one_line(&fault.kind, 16))),
        culprit.then(|| "culprit".to_owned()),
        slower.map(|hop| {
            let added = if hop.added >= 0.000_5 { format!("+{}", words::seconds(hop.added)) } else { "errors".to_owned() };
            let since = hop.since.map(|since| format!(", {}", words::offset(since, origin))).unwrap_or_default();
            if culprit { added } else { format!("{added}{since}") }
        }),
    ];
    NodeView {
        name: one_line(service, 18),
        note: notes.into_iter().flatten().collect::<Vec<_>>().join(" · "),
        x,
        y,
        fault: fault.is_some(),
        culprit,
        slower: slower.is_some(),
    }
}

fn edge_view(scenario: &ScenarioResult, (from, to): &(&str, &str), places: &BTreeMap<&str, (f64, f64)>) -> Option<EdgeView> {
    let (from_place, to_place) = (places.get(from)?, places.get(to)?);
    let fault = digest::faults(scenario).into_iter().find(|fault| {
        fault.target.split_once("->").is_some_and(|(a, b)| a.trim() == *from && b.split(':').next().unwrap_or(b).trim() == *to)
    });
    let goes_right = to_place.0 > from_place.0;
    let (x1, y1) = (if goes_right { from_place.0 + NODE_WIDTH } else { from_place.0 }, from_place.1 + NODE_HEIGHT / 2.0);
    let (x2, y2) = (if goes_right { to_place.0 } else { to_place.0 + NODE_WIDTH }, to_place.1 + NODE_HEIGHT / 2.0);
    let bend = if goes_right { 40.0 } else { -40.0 };
    let tip = if goes_right { -8.0 } else { 8.0 };
    Some(EdgeView {
        path: format!(
            "M{x1:.0} {y1:.0}C{:.0} {y1:.0} {:.0} {y2:.0} {:.0} {y2:.0}m{tip:.0} -5l{:.0} 5l{tip:.0} 5",
            x1 + bend,
            x2 - bend,
            x2,
            -tip
        ),
        label: fault.map(|fault| one_line(&fault.kind, 14)),
        label_x: f64::midpoint(x1, x2),
        label_y: f64::midpoint(y1, y2) - 8.0,
    })
}

/// What a reader who does not see the picture must know.
fn description(scenario: &ScenarioResult, hops: &BTreeMap<&str, &Hop>, culprit: Option<&str>) -> String {
    let faults: Vec<String> = digest::faults(scenario)
        .into_iter()
        .map(|fault| format!("{} on {}", one_line(&fault.kind, 20), words::target(&fault.target)))
        .collect();
    let slower: Vec<String> = hops.iter().filter(|(_, hop)| hop.since.is_some()).map(|(service, _)| one_line(service, 40)).collect();
    let mut sentences = Vec::new();
    if !faults.is_empty() {
        sentences.push(format!("The fault: {}.", faults.join(", ")));
    }
    if !slower.is_empty() {
        sentences.push(format!("It was felt at {}.", slower.join(", ")));
    }
    if let Some(culprit) = culprit {
        sentences.push(format!("Culprit: {}.", one_line(culprit, 40)));
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls<'a>(services: &[&'a str], edges: &[(&'a str, &'a str)]) -> Calls<'a> {
        Calls { services: services.iter().copied().collect(), edges: edges.iter().copied().collect() }
    }

    #[test]
    fn services_stand_in_the_column_of_their_distance_from_the_entrance() {
        let columns = calls(&["a", "b", "c", "d"], &[("a", "b"), ("b", "c"), ("a", "c")]).columns();
        assert_eq!(columns.into_iter().collect::<Vec<_>>(), [("a", 0), ("b", 1), ("c", 1), ("d", 0)]);
    }

    #[test]
    fn circles_have_columns_too() {
        assert_eq!(calls(&["a", "b"], &[("a", "b"), ("b", "a")]).columns().into_iter().collect::<Vec<_>>(), [("a", 0), ("b", 1)]);
        assert_eq!(calls(&["r", "x", "y"], &[("x", "y"), ("y", "x")]).columns().len(), 3);
    }
}
