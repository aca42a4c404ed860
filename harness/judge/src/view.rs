//! One scenario of the evidence, cut to size for the checks: its requests, phases, faults and traces, by variant. Judges nothing.

use crate::trace::TraceIndex;
use shakedown_model::{
    event::Phase,
    evidence::{Evidence, Request, VariantEvidence},
    experiment::{Check, Load, Scenario},
    fault::{Action, Edge, FaultRecord, Target},
    run::{RunMeta, ScenarioRun},
    time::{UnixNanos, Window},
};

/// What every check is handed.
pub(crate) struct View<'a> {
    pub(crate) evidence: &'a Evidence,
    pub(crate) scenario: &'a Scenario,
    /// `None`: the scenario did not run.
    pub(crate) run: Option<&'a ScenarioRun>,
    pub(crate) candidate: Arm<'a>,
    pub(crate) baseline: Option<Arm<'a>>,
    /// Why nothing that rests on the load can be trusted.
    pub(crate) load_distrust: Option<String>,
}

/// One variant in one scenario.
pub(crate) struct Arm<'a> {
    pub(crate) evidence: &'a VariantEvidence,
    /// In order of `due`.
    pub(crate) requests: Vec<&'a Request>,
    pub(crate) faults: Vec<&'a FaultRecord>,
    pub(crate) traces: &'a TraceIndex<'a>,
    phases: Vec<(Phase, Window)>,
    scenario: &'a Scenario,
}

impl<'a> Arm<'a> {
    pub(crate) fn new(evidence: &'a VariantEvidence, run: &'a RunMeta, scenario: &'a Scenario, traces: &'a TraceIndex<'a>) -> Arm<'a> {
        let mut requests: Vec<&Request> = evidence.requests.iter().filter(|request| request.scenario == scenario.name).collect();
        requests.sort_by_key(|request| request.due);
        let faults = evidence.faults.iter().filter(|fault| fault.scenario == scenario.name).collect();
        let phases = scenario_run(run, scenario).map_or_else(Vec::new, |scenario_run| {
            scenario_run.phases.iter().map(|phase| (phase.name, Window { start: phase.start, end: phase.end })).collect()
        });
        Arm { evidence, requests, faults, traces, phases, scenario }
    }

    /// The window of a phase that began; `None`: it never did.
    pub(crate) fn phase(&self, phase: Phase) -> Option<Window> {
        self.phases.iter().find(|(name, _)| *name == phase).map(|(_, window)| *window)
    }

    /// All phases together.
    pub(crate) fn whole(&self) -> Option<Window> {
        let start = self.phases.iter().map(|(_, window)| window.start).min()?;
        let end = self.phases.iter().map(|(_, window)| window.end).max()?;
        Some(Window { start, end })
    }

    /// The record of the scenario's fault number `index`.
    pub(crate) fn fault(&self, index: usize) -> Option<&'a FaultRecord> {
        self.faults.iter().find(|fault| fault.index == index).copied()
    }

    /// From the first fault that took hold to the last that went, inside the fault phase. Gaps between two faults belong to the disturbance,
    /// and so does the time that a restart was given; the time before the first fault does not.
    pub(crate) fn disturbed(&self) -> Option<Window> {
        let phase = self.phase(Phase::Fault)?;
        let start = self.faults.iter().filter_map(|fault| fault.applied_at).min()?.max(phase.start);
        let end = self.faults.iter().filter_map(|fault| self.end_of(fault, phase.end)).max()?.min(phase.end);
        (start < end).then_some(Window { start, end })
    }

    fn end_of(&self, fault: &FaultRecord, phase_end: UnixNanos) -> Option<UnixNanos> {
        let applied = fault.applied_at?;
        let reverted = fault.reverted_at.unwrap_or(phase_end);
        match self.scenario.faults.get(fault.index) {
            Some(spec) if spec.action == Action::Restart => Some(reverted.max(applied + spec.lasts.0)),
            _ => Some(reverted),
        }
    }

    /// When the last fault was gone; `None` while one is not, or where there was none.
    pub(crate) fn calm_from(&self) -> Option<UnixNanos> {
        let applied: Vec<_> = self.faults.iter().filter(|fault| fault.applied_at.is_some()).collect();
        if applied.iter().any(|fault| fault.reverted_at.is_none()) {
            return None;
        }
        applied.iter().filter_map(|fault| fault.reverted_at).max()
    }

    /// Requests of a load that were due in `window`.
    pub(crate) fn due_in(&self, load: &str, window: Window) -> Vec<&'a Request> {
        self.requests.iter().filter(|request| request.load == load && window.contains(request.due)).copied().collect()
    }
}

impl<'a> View<'a> {
    /// The load's definition.
    pub(crate) fn load(&self, name: &str) -> Option<&'a Load> {
        self.evidence.experiment.loads.get(name)
    }

    /// The time of a request that a gate may count with: a failed one counts as at least the load's timeout, so that failing fast is not getting faster.
    pub(crate) fn charged(&self, request: &Request) -> f64 {
        charged(request, self.load(&request.load))
    }

    /// Whether the load is named by an expectation of this experiment; used to find what its steady state is.
    pub(crate) fn steady_loads(&self) -> Vec<&'a Check> {
        self.evidence
            .experiment
            .steady_state
            .iter()
            .map(|expectation| &expectation.check)
            .filter(|check| matches!(check, Check::Load { .. }))
            .collect()
    }
}

/// See [`View::charged`].
pub(crate) fn charged(request: &Request, load: Option<&Load>) -> f64 {
    let latency = request.latency();
    match load {
        Some(load) if !request.ok => latency.max(load.timeout.0.as_secs_f64()),
        _ => latency,
    }
}

/// The run of a scenario.
pub(crate) fn scenario_run<'a>(run: &'a RunMeta, scenario: &Scenario) -> Option<&'a ScenarioRun> {
    run.scenarios.iter().find(|scenario_run| scenario_run.name == scenario.name)
}

/// An edge as ids write it, without blanks.
pub(crate) fn edge_id(edge: &Edge) -> String {
    format!("{}->{}", edge.from, edge.to)
}

/// A target as ids write it, without blanks.
pub(crate) fn target_id(target: &Target) -> String {
    match target {
        Target::Service(service) => service.clone(),
        Target::Edge(edge) => edge_id(edge),
    }
}
