//! One play of a scenario, cut out of the evidence for the checks: its requests, phases, faults and traces, by variant. Judges nothing.

use crate::{
    index::{Index, between, by_name},
    trace::TraceIndex,
};
use shakedown_model::{
    event::{GeneratorReport, Phase},
    evidence::{Evidence, LogRecord, Request, VariantEvidence},
    experiment::{Check, Load, Scenario},
    fault::{Action, Edge, FaultRecord, Target},
    run::{Play, ScenarioRun},
    time::{UnixNanos, Window},
};

/// What a check of one play is handed.
pub(crate) struct View<'a> {
    pub(crate) evidence: &'a Evidence,
    pub(crate) scenario: &'a Scenario,
    /// `None`: the scenario did not run.
    pub(crate) run: Option<&'a ScenarioRun>,
    /// From its start to that of the next play: what happened meanwhile belongs to it. Without end where there is no other play.
    pub(crate) extent: Window,
    pub(crate) candidate: Arm<'a>,
    pub(crate) baseline: Option<Arm<'a>>,
    /// How the load generator did.
    pub(crate) generator: Option<&'a GeneratorReport>,
}

/// One variant in one play.
pub(crate) struct Arm<'a> {
    /// All requests, in order of `due`.
    pub(crate) requests: &'a [&'a Request],
    pub(crate) faults: Vec<&'a FaultRecord>,
    pub(crate) traces: &'a TraceIndex<'a>,
    index: &'a Index<'a>,
    loads: Vec<(&'a str, Vec<&'a Request>)>,
    phases: Vec<(Phase, Window)>,
    scenario: &'a Scenario,
}

/// One play as it ran, and when.
#[derive(Clone, Copy)]
pub(crate) struct Played<'a> {
    pub(crate) run: Option<&'a ScenarioRun>,
    pub(crate) extent: Window,
    /// There is no other.
    pub(crate) alone: bool,
}

impl<'a> Arm<'a> {
    pub(crate) fn new(evidence: &'a VariantEvidence, index: &'a Index<'a>, scenario: &'a Scenario, played: Played<'a>) -> Arm<'a> {
        let requests = index.requests(&scenario.name, played.extent);
        let play = played.run.map_or_else(Play::default, |run| run.play);
        let meant = |fault: &&FaultRecord| fault.scenario == scenario.name && (played.alone || fault.play == play);
        let phases = played.run.map_or_else(Vec::new, |run| {
            run.phases.iter().map(|phase| (phase.name, Window { start: phase.start, end: phase.end })).collect()
        });
        Arm {
            requests,
            faults: evidence.faults.iter().filter(meant).collect(),
            traces: &index.traces,
            index,
            loads: by_name(requests.iter().copied(), |request| &request.load),
            phases,
            scenario,
        }
    }

    /// The window of a phase that began; `None`: it never did.
    pub(crate) fn phase(&self, phase: Phase) -> Option<Window> {
        self.phases.iter().find(|(name, _)| *name == phase).map(|(_, window)| *window)
    }

    /// The part of a phase that is judged: while faults were on, or all of it.
    pub(crate) fn judged(&self, phase: Phase) -> Option<Window> {
        if phase == Phase::Fault { self.disturbed() } else { self.phase(phase) }
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

    /// Names of the loads that sent anything.
    pub(crate) fn loads(&self) -> impl Iterator<Item = &'a str> {
        self.loads.iter().map(|(name, _)| *name)
    }

    /// Requests of a load, in order of `due`.
    pub(crate) fn of_load(&self, load: &str) -> &[&'a Request] {
        self.loads.iter().find(|(name, _)| *name == load).map_or(&[], |(_, requests)| requests)
    }

    /// Requests of a load that were due in `window`, in order of `due`.
    pub(crate) fn due_in(&self, load: &str, window: Window) -> &[&'a Request] {
        between(self.of_load(load), window, |request| request.due)
    }

    /// Log lines of `window`, in order of time.
    pub(crate) fn logs(&self, window: Window) -> &[&'a LogRecord] {
        self.index.logs(window)
    }
}

impl<'a> View<'a> {
    /// When its last phase ended.
    pub(crate) fn end(&self) -> Option<UnixNanos> {
        self.candidate.whole().map(|whole| whole.end)
    }

    /// The load's definition.
    pub(crate) fn load(&self, name: &str) -> Option<&'a Load> {
        self.evidence.experiment.loads.get(name)
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

/// The time of a request that a gate may count with: a failed one counts as at least the load's timeout, so that failing fast is not getting faster.
pub(crate) fn charged(request: &Request, load: Option<&Load>) -> f64 {
    let latency = request.latency();
    match load {
        Some(load) if !request.ok => latency.max(load.timeout.0.as_secs_f64()),
        _ => latency,
    }
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
