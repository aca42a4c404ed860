//! What goes wrong: a defect that a change brings in, seen under the same fault as the baseline; or an incident in a system that others watched.

use crate::{
    chance::Chance,
    world::{Operation, Step, World},
};

/// What is done to one edge, to both variants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// Seconds more a call.
    Slow(f64),
    /// Nothing comes back.
    Silent,
    /// This share of the calls is refused at once.
    Refused(f64),
}

/// A mistake in one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    RetryStorm,
    NoTimeout,
    NoFallback,
    Serial,
    NPlusOne,
    SlowFallback,
    Pool,
    Lock,
}

/// Something that happens to one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Incident {
    Cpu,
    Network,
    Exceptions,
    ReturnsEarly,
    SlowStore,
    Dead,
}

pub(crate) const DEFECTS: [(&str, Defect); 8] = [
    ("retry storm", Defect::RetryStorm),
    ("no timeout", Defect::NoTimeout),
    ("no fallback", Defect::NoFallback),
    ("serial calls", Defect::Serial),
    ("n + 1 statements", Defect::NPlusOne),
    ("slow fallback", Defect::SlowFallback),
    ("small pool", Defect::Pool),
    ("lock held", Defect::Lock),
];
pub(crate) const INCIDENTS: [(&str, Incident); 6] = [
    ("busy processor", Incident::Cpu),
    ("slow network", Incident::Network),
    ("exceptions", Incident::Exceptions),
    ("returns early", Incident::ReturnsEarly),
    ("slow store", Incident::SlowStore),
    ("dead", Incident::Dead),
];

/// A fault from a service to some of those that it calls.
pub(crate) type Disturbance = (usize, Vec<usize>, Fault);

/// What holds for one variant at one time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    pub(crate) fault: Option<Disturbance>,
    /// In this operation.
    pub(crate) defect: Option<(usize, Defect)>,
    /// At this service.
    pub(crate) incident: Option<(usize, Incident)>,
    /// Whether a failed call over the disturbed edge is borne.
    pub(crate) tolerant: bool,
}

/// Who is to blame: the service, and any of these operations (none: it has no single one).
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    pub(crate) service: String,
    pub(crate) operations: Vec<String>,
}

/// Where a defect is made, the fault that reveals it, and what should be said of it. `None`: this world has no room for it.
pub(crate) fn defect(world: &World, defect: Defect, chance: &mut Chance) -> Option<(usize, Disturbance, Truth)> {
    let fits = |index: &usize| {
        let operation = &world.operations[*index];
        let foreign = operation.callees().any(|callee| world.operations[callee].service != operation.service);
        foreign
            && match defect {
                Defect::Serial => operation.steps.iter().any(|step| matches!(step, Step::Calls(calls) if calls.len() > 1)),
                _ => true,
            }
    };
    let stores = |index: &usize| world.operations[*index].steps.iter().any(|step| matches!(step, Step::Store(..)));
    let reached = world.reached();
    let of_stores = matches!(defect, Defect::NPlusOne | Defect::Pool | Defect::Lock);
    let spots: Vec<usize> = reached.iter().copied().filter(|index| if of_stores { stores(index) } else { fits(index) }).collect();
    let spot = *pick(&spots, chance)?;
    let operation = &world.operations[spot];
    // A fault on a call of the operation, on all that it makes at once, or on one that leads to it where it only asks stores.
    let calls = operation.steps.iter().filter_map(|step| match step {
        Step::Calls(calls) => Some(calls),
        Step::Store(..) => None,
    });
    let calls = calls.max_by_key(|calls| if defect == Defect::Serial { calls.len() } else { 0 });
    let caller_of = || reached.iter().copied().find(|index| world.operations[*index].callees().any(|callee| callee == spot));
    let service_of = |index: &usize| world.operations[*index].service;
    let edge = match calls {
        Some(calls) if defect == Defect::Serial => (operation.service, calls.iter().map(service_of).collect()),
        Some(calls) => (operation.service, calls[..1].iter().map(service_of).collect()),
        None => (world.operations[caller_of()?].service, vec![operation.service]),
    };
    let fault = match defect {
        Defect::RetryStorm => Fault::Refused(0.8),
        Defect::NoTimeout => Fault::Silent,
        Defect::NoFallback | Defect::SlowFallback => Fault::Refused(0.4),
        Defect::Serial | Defect::NPlusOne | Defect::Pool | Defect::Lock => Fault::Slow(0.02),
    };
    let truth = Truth { service: world.services[operation.service].clone(), operations: named(world, operation, defect, &edge.1) };
    Some((spot, (edge.0, edge.1, fault), truth))
}

fn named(world: &World, operation: &Operation, defect: Defect, disturbed: &[usize]) -> Vec<String> {
    let call = |callee: usize| call_name(world, callee);
    let over_edge = || operation.callees().filter(|callee| disturbed.contains(&world.operations[*callee].service)).map(call);
    let stores = operation.steps.iter().filter_map(|step| match step {
        Step::Store(name, _) => Some(name.clone()),
        Step::Calls(_) => None,
    });
    match defect {
        Defect::RetryStorm | Defect::NoTimeout => over_edge().collect(),
        Defect::NoFallback => over_edge().chain([operation.name.clone()]).collect(),
        Defect::Serial => operation.callees().map(call).chain([operation.name.clone()]).collect(),
        Defect::NPlusOne | Defect::Lock => stores.collect(),
        Defect::SlowFallback | Defect::Pool => vec![operation.name.clone()],
    }
}

/// What a client span of a call is called.
pub(crate) fn call_name(world: &World, callee: usize) -> String {
    let operation = &world.operations[callee];
    format!("call {}/{}", world.services[operation.service], operation.name)
}

/// A service that requests reach and that an incident can happen to.
pub(crate) fn incident(world: &World, incident: Incident, chance: &mut Chance) -> Option<(usize, Truth)> {
    let reached = world.reached();
    let fits = |service: &usize| {
        let mut own = reached.iter().map(|index| &world.operations[*index]).filter(|operation| operation.service == *service);
        match incident {
            Incident::ReturnsEarly => own.any(|operation| !operation.steps.is_empty()),
            Incident::SlowStore => own.any(|operation| operation.steps.iter().any(|step| matches!(step, Step::Store(..)))),
            Incident::Dead | Incident::Network => *service != 0 && own.next().is_some(),
            Incident::Cpu | Incident::Exceptions => own.next().is_some(),
        }
    };
    let services: Vec<usize> = (0..world.services.len()).filter(fits).collect();
    let service = *pick(&services, chance)?;
    Some((service, Truth { service: world.services[service].clone(), operations: Vec::new() }))
}

fn pick<'t, T>(from: &'t [T], chance: &mut Chance) -> Option<&'t T> {
    from.get((chance.share() * from.len() as f64) as usize)
}
