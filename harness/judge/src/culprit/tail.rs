//! The slowest requests of one entry operation: what each of them spent where on its critical path.

use super::{
    cohort::{Cohort, Traced},
    keys::{KeyId, Keys, WayId},
};
use crate::{critical_path, slices::SLICES};
use shakedown_model::ids::TraceId;
use std::{collections::HashMap, ops::Range};

/// Share of the traced requests that counts as the slow ones, …
pub(super) const TAIL: f64 = 0.05;
/// … and how many they are at least.
const TAIL_AT_LEAST: f64 = 20.0;

/// What one request spent on one way.
#[derive(Debug, Clone, Copy)]
struct Cell {
    way: WayId,
    /// Exclusive, on the critical path.
    seconds: f64,
    /// Spans on the critical path.
    calls: f64,
}

/// Means over requests, by way.
#[derive(Debug, Clone, Default)]
pub(super) struct Means {
    pub(super) seconds: Vec<f64>,
    pub(super) calls: Vec<f64>,
}

/// The slow requests of one entry in one cohort.
#[derive(Default)]
pub(super) struct Tail {
    /// Where the cells of a request lie.
    rows: Vec<Range<usize>>,
    cells: Vec<Cell>,
    /// The trace in which an operation took longest.
    pub(super) longest: HashMap<KeyId, (f64, TraceId)>,
    /// Tail of each slice, as requests are charged, seconds.
    pub(super) over_time: Vec<f64>,
}

impl Tail {
    /// Of the requests of one entry; these shares of them are its tail.
    pub(super) fn of<'a>(cohort: &Cohort<'a>, of_entry: &[&Traced<'a>], shares: Shares, keys: &mut Keys<'a>) -> Tail {
        let mut tail = Tail { over_time: over_time(of_entry, shares.of_slice), ..Tail::default() };
        for traced in slowest(of_entry, shares.of_all) {
            tail.add(cohort, traced, keys);
        }
        tail
    }

    fn add<'a>(&mut self, cohort: &Cohort<'a>, traced: &Traced<'a>, keys: &mut Keys<'a>) {
        let tree = cohort.tree(traced);
        let Some(root) = tree.main_root() else { return };
        let mut ids = Vec::new();
        keys.of_trace(&tree, &mut ids);
        let mut ways: Vec<Option<WayId>> = vec![None; tree.len()];
        let mut row: Vec<Cell> = Vec::new();
        let mut own: HashMap<KeyId, f64> = HashMap::new();
        for (index, seconds) in critical_path::exclusive(&tree, root) {
            let above = tree.parent(index).and_then(|parent| ways[parent]);
            let way = keys.way(above, ids[index]);
            // A call that was made again is there twice, with what was waited for it.
            let calls = if ways[index].is_none() { 1.0 } else { 0.0 };
            ways[index] = Some(way);
            row.push(Cell { way, seconds, calls });
            *own.entry(ids[index]).or_default() += seconds;
        }
        let length = tree.span(root).end.since(tree.span(root).start).as_secs_f64();
        let outside = keys.outside(ids[root]);
        let seconds = (traced.request.latency() - length).max(0.0);
        row.push(Cell { way: keys.way(None, outside), seconds, calls: 1.0 });
        *own.entry(outside).or_default() += seconds;
        for (key, seconds) in own {
            let longest = self.longest.entry(key).or_insert((seconds, traced.request.trace_id));
            if seconds > longest.0 {
                *longest = (seconds, traced.request.trace_id);
            }
        }
        row.sort_unstable_by_key(|cell| cell.way);
        let first = self.cells.len();
        for cell in row {
            match self.cells[first..].last_mut().filter(|last| last.way == cell.way) {
                Some(last) => {
                    last.seconds += cell.seconds;
                    last.calls += cell.calls;
                }
                None => self.cells.push(cell),
            }
        }
        self.rows.push(first..self.cells.len());
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How much there is to add up.
    pub(super) fn work(&self) -> usize {
        self.cells.len()
    }

    /// Means over all requests.
    pub(super) fn means(&self, ways: usize) -> Means {
        let mut means = Means::default();
        self.means_of(0..self.rows.len(), ways, &mut means);
        means
    }

    /// Means over the requests of these numbers, some perhaps several times.
    pub(super) fn means_of(&self, chosen: impl ExactSizeIterator<Item = usize>, ways: usize, means: &mut Means) {
        for values in [&mut means.seconds, &mut means.calls] {
            values.clear();
            values.resize(ways, 0.0);
        }
        let weight = 1.0 / chosen.len().max(1) as f64;
        for row in chosen {
            for cell in &self.cells[self.rows[row].clone()] {
                means.seconds[cell.way] += weight * cell.seconds;
                means.calls[cell.way] += weight * cell.calls;
            }
        }
    }
}

impl Means {
    /// Seconds of a request.
    pub(super) fn total(&self) -> f64 {
        self.seconds.iter().sum()
    }
}

/// Which share of requests is the tail. It is the same on both sides, since the slowest 20 of 100 are not as slow as the slowest 20 of 1,000.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    of_all: f64,
    of_slice: f64,
}

impl Shares {
    pub(super) fn of(ours: &[&Traced<'_>], theirs: &[&Traced<'_>]) -> Shares {
        let share = |fewest: f64, of: usize| TAIL.max(fewest / of.max(1) as f64).min(1.0);
        let slice = [ours, theirs].iter().flat_map(|side| charges(side)).map(|charges| charges.len()).min().unwrap_or(0);
        Shares { of_all: share(TAIL_AT_LEAST, ours.len().min(theirs.len())), of_slice: share(1.0, slice) }
    }
}

/// The slowest, slowest first.
pub(super) fn slowest<'t, 'a>(of_entry: &[&'t Traced<'a>], share: f64) -> Vec<&'t Traced<'a>> {
    let mut sorted = of_entry.to_vec();
    sorted.sort_by(|a, b| b.charge.total_cmp(&a.charge).then(a.request.due.cmp(&b.request.due)));
    sorted.truncate((share * sorted.len() as f64).ceil() as usize);
    sorted
}

/// What requests of each slice are charged, of those that have any.
fn charges(of_entry: &[&Traced<'_>]) -> Vec<Vec<f64>> {
    let mut slices: Vec<Vec<f64>> = vec![Vec::new(); SLICES];
    for traced in of_entry {
        slices[traced.slice].push(traced.charge);
    }
    slices.retain(|charges| !charges.is_empty());
    slices
}

/// Mean charge of the slowest requests of each slice; the last of them counts in part.
fn over_time(of_entry: &[&Traced<'_>], share: f64) -> Vec<f64> {
    let tail = |mut charges: Vec<f64>| {
        charges.sort_by(|a, b| b.total_cmp(a));
        let wanted = share * charges.len() as f64;
        let weighted = charges.iter().zip(0_u32..).map(|(charge, place)| charge * (wanted - f64::from(place)).clamp(0.0, 1.0));
        weighted.sum::<f64>() / wanted
    };
    charges(of_entry).into_iter().map(tail).collect()
}
