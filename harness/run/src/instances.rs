//! The instances of both variants: their trees built once, and started afresh for each round.

use crate::{
    background::Background,
    conductor::{Orders, Stop, Tree},
    environment::{Receiver, add_telemetry},
    faults::wraps,
    sides::Side,
};
use futures_util::future::join_all;
use indexmap::IndexMap;
use shakedown_evidence::{LogSource, OtlpReceiver, Recorder, Scraper};
use shakedown_link::Link;
use shakedown_model::{
    event::Event,
    experiment::{Check, Experiment},
    fault::{Edge, Target},
    plan::RuntimeKind,
    stack::{Project, StackSpec, Variant},
};
use shakedown_runtime::{Built, Launch, Prepared, Stack};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// A variant's tree, built: every round starts instances from it.
pub(crate) struct Ground {
    spec: StackSpec,
    built: Built,
}

/// Builds all variants, once.
pub(crate) async fn build_all(orders: &Orders) -> Result<Vec<Ground>, Stop> {
    let mut background = Background::default();
    let mut grounds = Vec::new();
    let mut ended = Ok(());
    for (variant, tree) in orders.trees() {
        let spec = spec(orders, variant, tree);
        match build(orders, &spec, &mut background).await {
            Ok(built) => grounds.push(Ground { spec, built }),
            Err(stop) => {
                ended = Err(stop);
                break;
            }
        }
    }
    background.finish(orders).await;
    ended.map(|()| grounds)
}

/// Starts fresh instances of all variants for one round, with everything that listens to them.
pub(crate) async fn bring_up(orders: &Orders, round: u32, grounds: &[Ground], background: &mut Background) -> Result<Vec<Side>, Stop> {
    let mut prepared = Vec::new();
    for ground in grounds {
        let spec = StackSpec { round, ..ground.spec.clone() };
        prepared.push(prepare(orders, spec, ground.built.clone(), background).await?);
    }
    let started = join_all(prepared.into_iter().map(|ready| start(orders, ready))).await;
    let mut sides = Vec::new();
    for started in started {
        sides.push(started?.attach(orders, background).await?);
    }
    Ok(sides)
}

fn spec(orders: &Orders, variant: Variant, tree: &Tree) -> StackSpec {
    let docker = orders.plan.runtime == RuntimeKind::Docker;
    StackSpec {
        run: orders.run.clone(),
        variant,
        round: 1,
        root: tree.root.clone(),
        project: if docker { tree.project.clone() } else { Project::default() },
        processes: if docker { IndexMap::new() } else { tree.processes.clone() },
        environment: BTreeMap::new(),
    }
}

async fn build(orders: &Orders, spec: &StackSpec, background: &mut Background) -> Result<Built, Stop> {
    let command = &orders.experiment.services.build;
    let same_tree = spec.variant == Variant::Baseline && spec.root == orders.candidate.root;
    if !command.is_empty() && !same_tree {
        orders.announcer.say(Event::Building { variant: spec.variant, what: command.join(" ") });
        shakedown_runtime::run_build(&spec.run, &spec.root, command, orders.interrupt.polite())
            .await
            .map_err(|error| orders.stop(&error))?;
    }
    let notices = background.notices(orders, spec.variant);
    orders.runtime.build(spec, &notices, orders.interrupt.polite()).await.map_err(|error| orders.stop(&error))
}

/// A variant whose network is there, whose receiver listens and whose links are bound; nothing runs yet.
struct Ready {
    spec: StackSpec,
    built: Built,
    prepared: Prepared,
    notices: shakedown_runtime::Notices,
    recorder: Recorder,
    links: HashMap<Edge, Link>,
}

async fn prepare(orders: &Orders, mut spec: StackSpec, built: Built, background: &mut Background) -> Result<Ready, Stop> {
    let environment = |what: &str, error: &dyn std::fmt::Display| Stop::Environment(format!("{what}: {error}"));
    let prepared = orders.runtime.prepare(&spec, &orders.journal).await.map_err(|error| orders.stop(&error))?;
    let folder = orders.directory.variant(spec.variant);
    let (recorder, driver) = Recorder::open(&folder).map_err(|error| environment("evidence", &error))?;
    background.record(spec.variant, driver);
    if orders.experiment.telemetry.otlp {
        let receiver = OtlpReceiver::bind(prepared.harness_ip).await.map_err(|error| environment("OTLP receiver", &error))?;
        let at = |port: u16| format!("{}:{port}", prepared.harness_host);
        tell(orders, &mut spec, &Receiver { grpc: at(receiver.grpc().port()), http: at(receiver.http().port()) });
        background.source(spec.variant, Box::new(receiver), &recorder);
    }
    let mut links = HashMap::new();
    for edge in edges_to_link(orders, &spec) {
        let Some(upstream) = prepared.listen.get(&edge.to) else { continue };
        let (link, driver) = Link::bind(*upstream).await.map_err(|error| environment("link", &error))?;
        background.link(driver);
        links.insert(edge, link);
    }
    let notices = background.notices(orders, spec.variant);
    Ok(Ready { spec, built, prepared, notices, recorder, links })
}

/// Hands the endpoint to every service by environment.
fn tell(orders: &Orders, spec: &mut StackSpec, receiver: &Receiver) {
    let attributes = format!("shakedown.run={},shakedown.variant={}", spec.run, spec.variant.word());
    let containers = spec.project.services.iter_mut().map(|(name, service)| (name, &mut service.environment));
    let processes = spec.processes.iter_mut().map(|(name, service)| (name, &mut service.env));
    for (name, environment) in containers.chain(processes) {
        let replaced = add_telemetry(name, environment, receiver, &attributes);
        if !replaced.is_empty() && spec.variant == Variant::Candidate && spec.round == 1 {
            orders.announcer.warn(format!("{name}: {} now leads to shakedown's own receiver for this run", replaced.join(", ")));
        }
    }
}

/// Edges that some fault of the plan is for and that the caller takes from a template.
fn edges_to_link(orders: &Orders, spec: &StackSpec) -> Vec<Edge> {
    let mut edges: Vec<Edge> = orders
        .plan
        .scenarios
        .iter()
        .flat_map(|planned| &planned.scenario.faults)
        .filter_map(|fault| match &fault.on {
            Target::Edge(edge) if spec.processes.contains_key(&edge.from) => Some(edge.clone()),
            _ => None,
        })
        .collect();
    edges.sort();
    edges.dedup();
    edges
}

/// A variant whose services are ready.
struct Started {
    variant: Variant,
    stack: Box<dyn Stack>,
    recorder: Recorder,
    links: HashMap<Edge, Link>,
}

async fn start(orders: &Orders, ready: Ready) -> Result<Started, Stop> {
    let wiring = ready.links.iter().map(|(edge, link)| (edge.clone(), link.address())).collect();
    let variant = ready.spec.variant;
    let cancel = orders.interrupt.polite().clone();
    let wraps = wraps(orders.plan.scenarios.iter().map(|planned| &planned.scenario), orders.helpers.disk);
    let launch = Launch {
        spec: &ready.spec,
        built: &ready.built,
        prepared: ready.prepared,
        wiring: &wiring,
        patience: Launch::PATIENCE,
        wraps: &wraps,
    };
    let stack =
        orders.runtime.start(launch, Arc::clone(&orders.journal), ready.notices, cancel).await.map_err(|error| orders.stop(&error))?;
    Ok(Started { variant, stack, recorder: ready.recorder, links: ready.links })
}

impl Started {
    /// Follows logs, scrapes metrics, and finds out where services are reached.
    async fn attach(mut self, orders: &Orders, background: &mut Background) -> Result<Side, Stop> {
        if let Some(lines) = self.stack.take_logs() {
            background.source(self.variant, Box::new(LogSource::new(lines)), &self.recorder);
        }
        let ports = ports(&orders.experiment);
        let side = Side::new(self.variant, self.stack, self.recorder, self.links, orders.helpers, &ports)
            .await
            .map_err(|error| orders.stop(&error))?;
        for (service, endpoint) in &orders.experiment.telemetry.metrics {
            if let Some(address) = side.address(service, endpoint.port) {
                background.source(side.variant, Box::new(Scraper::new(service, address, &endpoint.path)), &side.recorder);
            }
        }
        Ok(side)
    }
}

/// Every `service:port` that the harness itself talks to.
fn ports(experiment: &Experiment) -> Vec<(String, u16)> {
    let loads = experiment.loads.values().map(|load| (load.service.clone(), load.port));
    let metrics = experiment.telemetry.metrics.iter().map(|(service, endpoint)| (service.clone(), endpoint.port));
    let expectations = experiment.scenarios.iter().flat_map(|scenario| &scenario.expect_fault).chain(&experiment.steady_state);
    let probes = expectations.filter_map(|expectation| match &expectation.check {
        Check::Http { service, port, .. } => Some((service.clone(), *port)),
        _ => None,
    });
    loads.chain(metrics).chain(probes).collect()
}
