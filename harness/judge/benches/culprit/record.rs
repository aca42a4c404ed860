//! Plays written down as evidence, the way a run or an import leaves it.

use crate::{
    chance::Chance,
    common::{self, Story, at},
    play::{Request as Running, Variant},
    trouble::Conditions,
    world::World,
};
use shakedown_model::{
    event::Phase,
    evidence::{Evidence, Request, VariantEvidence},
    fault::{Edge, Target},
    ids::TraceId,
};
use std::time::Duration;

/// Requests a second of each variant.
const RATE: f64 = 40.0;
/// Phases as `common` plays them; what is not judged is left out.
const PHASES: [(Phase, f64, f64); 2] = [(Phase::Steady, 2.0, 12.0), (Phase::Fault, 12.1, 25.9)];

/// What holds in the two phases.
pub(crate) struct Weather {
    pub(crate) steady: Conditions,
    pub(crate) fault: Conditions,
}

/// Candidate and baseline under the same fault.
pub(crate) fn paired(world: &World, candidate: &Weather, baseline: &Weather, chance: &mut Chance) -> Evidence {
    let mut evidence = frame(world, candidate.fault.fault.as_ref().map(|(from, to, _)| (*from, to[0])));
    let machine = machine(chance);
    evidence.candidate = VariantEvidence { faults: evidence.candidate.faults, ..variant(world, candidate, 1, &machine, chance) };
    if let Some(reference) = &mut evidence.baseline {
        let faults = std::mem::take(&mut reference.evidence.faults);
        reference.evidence = VariantEvidence { faults, ..variant(world, baseline, 2, &machine, chance) };
    }
    evidence
}

/// One variant before and during an incident of which nobody told.
pub(crate) fn watched(world: &World, weather: &Weather, chance: &mut Chance) -> Evidence {
    let mut evidence = frame(world, None);
    let machine = machine(chance);
    evidence.candidate = variant(world, weather, 1, &machine, chance);
    evidence.baseline = None;
    evidence
}

/// A run of one scenario without what was seen in it.
fn frame(world: &World, edge: Option<(usize, usize)>) -> Evidence {
    let mut story = Story::slow_payment("bench");
    let (from, to) = edge.unwrap_or((0, 0));
    story.fault.on = Target::Edge(Edge { from: world.services[from].clone(), to: world.services[to].clone() });
    let mut evidence = common::evidence_at(&[story], 1.0, 7);
    evidence.experiment.loads["checkout"].service = world.services[0].clone();
    evidence
}

/// What the machine does to everything, request by request: variants that run beside each other share it.
fn machine(chance: &mut Chance) -> Vec<f64> {
    let mut wandering = 0.0;
    let requests = PHASES.map(|(_, from, to)| ((to - from) * RATE) as usize).iter().sum();
    let step = |_| {
        wandering = 0.98 * wandering + 0.02 * chance.normal();
        wandering
    };
    (0..requests).map(step).collect()
}

fn variant(world: &World, weather: &Weather, number: u64, machine: &[f64], chance: &mut Chance) -> VariantEvidence {
    let variant = Variant::of(world, chance);
    let mut seen = VariantEvidence::default();
    let first = number << 40;
    let mut next = first;
    for (phase, from, to) in PHASES {
        let conditions = if phase == Phase::Fault { &weather.fault } else { &weather.steady };
        for place in 0..((to - from) * RATE) as u64 {
            let wandering = machine[(next - first) as usize];
            next += 1;
            let entry = world.entries[(chance.share() * world.entries.len() as f64) as usize];
            let due = at(0, from + place as f64 / RATE);
            let trace_id = TraceId::of(&u128::from(next).to_be_bytes()).expect("not zero");
            let mut running = Running {
                variant: &variant,
                conditions,
                chance,
                trace_id,
                begin: due + Duration::from_micros(300),
                weather: wandering,
                spans: Vec::new(),
                logs: Vec::new(),
                next: 0,
            };
            let (took, failed) = running.serve(entry, None, 0.0);
            seen.spans.append(&mut running.spans);
            seen.logs.append(&mut running.logs);
            seen.requests.push(Request {
                load: "checkout".to_owned(),
                scenario: "bench".to_owned(),
                phase,
                block: 0,
                due,
                sent: Some(due),
                done: due + Duration::from_secs_f64(took + 0.000_6),
                status: if failed { 503 } else { 200 },
                error: None,
                ok: !failed,
                bytes: 100,
                trace_id,
            });
        }
    }
    seen.logs.sort_by_key(|line| line.at);
    seen
}
