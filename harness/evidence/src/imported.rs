//! What an imported run does not say itself: its faults are its fault phases, its loads the operations that requests came in by.
//!
//! Used where a run is imported and where one is read whose directory somebody made by hand and left these files out.

use indexmap::IndexMap;
use shakedown_model::{
    event::Phase,
    evidence::Request,
    experiment::{
        Arrivals, BaselineCommit, BaselineMode, BaselineSpec, Experiment, Gate, Load, PhaseLengths, Scenario, Services, Source, Telemetry,
        When,
    },
    fault::{Dose, FaultRecord},
    run::RunMeta,
    units::{Percent, Rate, Span},
    verdict::GateMode,
};
use std::time::Duration;

/// The scenario of a run that `shakedown import` made.
pub(crate) const SCENARIO: &str = "imported";
/// Loads that are compared: the most frequent ones. More would bury what is found.
const LOADS: usize = 20;

/// One for each fault phase: what was done is known by word only, so that no dose is claimed.
pub(crate) fn faults(run: &RunMeta) -> Vec<FaultRecord> {
    let Some(imported) = &run.imported else { return Vec::new() };
    let unknown = || "unknown".to_owned();
    let phases = run.scenarios.iter().flat_map(|scenario| scenario.phases.iter().map(move |phase| (scenario, phase)));
    let faults = phases.filter(|(_, phase)| phase.name == Phase::Fault).map(|(scenario, phase)| FaultRecord {
        scenario: scenario.name.clone(),
        play: scenario.play,
        index: 0,
        kind: imported.fault_kind.clone().unwrap_or_else(unknown),
        target: imported.fault_on.clone().unwrap_or_else(unknown),
        mechanism: "recorded elsewhere".to_owned(),
        asked: IndexMap::new(),
        dose: Dose::default(),
        applied_at: Some(phase.start),
        reverted_at: Some(phase.end),
        error: None,
    });
    faults.collect()
}

/// The experiment that such a run would have been of: its loads, nothing expected, a verdict that blocks nothing.
pub(crate) fn experiment<'r>(run: &RunMeta, requests: impl Iterator<Item = &'r Request>, baseline: bool) -> Experiment {
    let nothing = Span(Duration::ZERO);
    let mut names: Vec<&String> = run.scenarios.iter().map(|scenario| &scenario.name).collect();
    names.dedup();
    let scenario = |name: &String| Scenario {
        name: name.clone(),
        why: None,
        when: When::Always,
        faults: Vec::new(),
        random: None,
        expect_fault: Vec::new(),
        recover_within: None,
        forbid_logs: Vec::new(),
        stop_when: Vec::new(),
        phases: PhaseLengths { warmup: nothing, steady: nothing, recovery: nothing },
        episodes: 1,
        source: Source::default(),
    };
    Experiment {
        config: "shakedown.yaml".into(),
        root: "/".into(),
        services: Services::default(),
        telemetry: Telemetry { otlp: true, metrics: IndexMap::new(), alerts: Vec::new() },
        loads: loads(run, requests),
        steady_state: Vec::new(),
        baseline: BaselineSpec {
            commit: BaselineCommit::MergeBase,
            mode: if baseline { BaselineMode::Recorded } else { BaselineMode::None },
            rounds: 1,
            slot: None,
        },
        gate: Gate {
            tolerance: Percent(0.05),
            harmful: Percent(0.3),
            confidence: Percent(0.99),
            inconclusive: GateMode::Warn,
            mode: GateMode::Block,
        },
        waivers: Vec::new(),
        history: None,
        phases: PhaseLengths { warmup: nothing, steady: nothing, recovery: nothing },
        scenarios: names.into_iter().map(scenario).collect(),
    }
}

/// The most frequent loads of a run, by name.
fn loads<'r>(run: &RunMeta, requests: impl Iterator<Item = &'r Request>) -> IndexMap<String, Load> {
    let mut counts: IndexMap<&str, u64> = IndexMap::new();
    for request in requests {
        *counts.entry(&request.load).or_default() += 1;
    }
    counts.sort_by(|a, m, b, n| n.cmp(m).then(a.cmp(b)));
    let phases = run.scenarios.iter().flat_map(|scenario| &scenario.phases);
    let seconds: f64 = phases.map(|phase| phase.end.since(phase.start).as_secs_f64()).sum();
    let load = |name: &str, count: u64| {
        let (service, operation) = name.split_once(' ').unwrap_or((name, ""));
        Load {
            name: name.to_owned(),
            service: service.to_owned(),
            port: 0,
            method: String::new(),
            path: operation.to_owned(),
            headers: IndexMap::new(),
            body: None,
            rate: Rate(count as f64 / seconds.max(1e-9)),
            arrivals: Arrivals::Poisson,
            // How long a caller would have waited is not known.
            timeout: Span(Duration::ZERO),
            success_status: Vec::new(),
            source: Source::default(),
        }
    };
    counts.into_iter().take(LOADS).map(|(name, count)| (name.to_owned(), load(name, count))).collect()
}
