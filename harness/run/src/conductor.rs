//! The order of a run: build, start, scenarios, stop, take everything back.

use crate::{
    announce::{Announcer, now},
    clean::{self, Before},
    environment::{Receiver, add_telemetry},
    faults::wraps,
    interrupt::{Interrupt, Signal},
    live::Live,
    posts::{lead_past, lead_through, take_posts},
    scenario::Stage,
    sides::{Helpers, Side},
    traces::{self, Host},
};
use futures_util::future::{join_all, try_join_all};
use indexmap::IndexMap;
use shakedown_evidence::{LogSource, Losses, OtlpReceiver, Recorder, RecorderDriver, RunDirectory, Scraper, Source};
use shakedown_link::Link;
use shakedown_model::{
    event::Event,
    experiment::{Check, Experiment, ProcessService},
    fault::{Edge, Target},
    plan::{Plan, RuntimeKind},
    run::{Abort, AbortKind, Machine, RUN_SCHEMA, Rounds, RunMeta},
    stack::{Project, StackSpec, Variant},
};
use shakedown_runtime::{Built, Launch, Notice, Prepared, Reverter, Runtime, Stack};
use shakedown_undo::{Journal, Unwound, unwind};
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Everything is taken back within this, or the run is not clean.
const UNWIND_DEADLINE: Duration = Duration::from_secs(60);

/// A commit's files, and what is started from them.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Directory of the config in this tree. Absolute.
    pub root: PathBuf,
    /// Containers.
    pub project: Project,
    /// Processes.
    pub processes: IndexMap<String, ProcessService>,
}

/// Everything a run is made of.
pub struct Orders {
    /// The experiment.
    pub experiment: Experiment,
    /// What of it runs.
    pub plan: Plan,
    /// The commit that is judged.
    pub candidate: Tree,
    /// The commit that is measured beside it.
    pub baseline: Option<Tree>,
    /// Where it is recorded.
    pub directory: RunDirectory,
    /// Id of the run.
    pub run: String,
    /// Version of shakedown.
    pub tool_version: String,
    /// Where services run.
    pub runtime: Arc<dyn Runtime>,
    /// The undo journal, open.
    pub journal: Arc<Journal>,
    /// What stands beside services.
    pub helpers: Helpers,
    /// What it runs on.
    pub machine: Machine,
    /// Where it is said.
    pub announcer: Announcer,
    /// Signals.
    pub interrupt: Interrupt,
    /// Cancelled once all evidence is on disk, while the machine is still being cleaned.
    pub recorded: CancellationToken,
}

impl Orders {
    pub(crate) fn interrupted(&self) -> Stop {
        Stop::Interrupted(self.interrupt.first().unwrap_or(Signal::Interrupt))
    }

    /// An error of the world; what a signal cut short counts as interrupted.
    fn stop(&self, error: &dyn std::fmt::Display) -> Stop {
        match self.interrupt.first() {
            Some(signal) => Stop::Interrupted(signal),
            None => Stop::Environment(error.to_string()),
        }
    }

    fn trees(&self) -> Vec<(Variant, &Tree)> {
        let baseline = self.baseline.as_ref().map(|tree| (Variant::Baseline, tree));
        std::iter::once((Variant::Candidate, &self.candidate)).chain(baseline).collect()
    }
}

/// Why a run ends before its plan does.
#[derive(Debug)]
pub(crate) enum Stop {
    Interrupted(Signal),
    Environment(String),
}

/// How a run ended.
pub struct Outcome {
    /// `run.json`.
    pub meta: RunMeta,
    /// What could not be taken back, with the reason.
    pub left: Vec<String>,
}

/// Runs the plan and takes everything back, whatever happens on the way.
pub async fn conduct(orders: Orders) -> std::io::Result<Outcome> {
    let mut meta = first_meta(&orders);
    let host = Host::look().await;
    orders.directory.write_run(&meta)?;
    orders.announcer.say(Event::RunStarted { run: orders.run.clone(), runtime: orders.plan.runtime.word().to_owned() });
    let performed = perform(&orders, &mut meta).await;
    meta.aborted = performed.err().map(|stop| match stop {
        Stop::Interrupted(signal) => {
            orders.announcer.say(Event::Interrupted { signal: signal.word().to_owned() });
            let kind = if signal == Signal::Interrupt { AbortKind::Interrupted } else { AbortKind::Terminated };
            Abort { kind, reason: format!("{} came", signal.word()) }
        }
        Stop::Environment(reason) => Abort { kind: AbortKind::Environment, reason },
    });
    orders.recorded.cancel();
    meta.left.extend(take_back(&orders, &host).await);
    let left = meta.left.clone();
    orders.announcer.say(Event::Unwound { clean: left.is_empty(), left: left.clone() });
    meta.clean = left.is_empty();
    meta.ended = Some(now());
    orders.directory.write_run(&meta)?;
    Ok(Outcome { meta, left })
}

fn first_meta(orders: &Orders) -> RunMeta {
    RunMeta {
        schema: RUN_SCHEMA.to_owned(),
        tool_version: orders.tool_version.clone(),
        run: orders.run.clone(),
        commit: orders.plan.commit.clone(),
        machine: orders.machine.clone(),
        runtime: orders.plan.runtime,
        seed: orders.plan.seed,
        started: now(),
        ended: None,
        slot_seconds: orders.plan.slot_seconds,
        rounds: Rounds::default(),
        scenarios: Vec::new(),
        clean: false,
        left: Vec::new(),
        aborted: None,
    }
}

/// The last act: outside every cancellation but the third signal. What the journal knows is taken back; then other eyes look for more.
async fn take_back(orders: &Orders, host: &Host) -> Vec<String> {
    let describe = |unwound: Unwound| {
        let left = unwound.left.into_iter().map(|(undo, why)| format!("{undo:?}: {why}"));
        left.chain(unwound.unsettled).collect()
    };
    let reverter = Reverter::default();
    let unwound = async {
        let trail = traces::trail(&orders.run, orders.plan.runtime).await;
        let mut left: Vec<String> = describe(unwind(&orders.journal, &reverter, UNWIND_DEADLINE).await);
        left.extend(traces::left(host, &trail).await);
        left
    };
    tokio::select! {
        left = unwound => left,
        () = orders.interrupt.desperate().cancelled() => {
            orders.journal.pending().into_iter().map(|(_, undo)| format!("{undo:?}: given up after the third signal")).collect()
        }
    }
}

async fn perform(orders: &Orders, meta: &mut RunMeta) -> Result<(), Stop> {
    let mut background = Background::default();
    let performed = with_stacks(orders, meta, &mut background).await;
    background.finish(orders).await;
    performed
}

async fn with_stacks(orders: &Orders, meta: &mut RunMeta, background: &mut Background) -> Result<(), Stop> {
    let mut specs = Vec::new();
    for (variant, tree) in orders.trees() {
        let spec = spec(orders, variant, tree);
        let built = build(orders, &spec, background).await?;
        specs.push((spec, built));
    }
    let mut prepared = Vec::new();
    for (spec, built) in specs {
        prepared.push(prepare(orders, spec, built, background).await?);
    }
    let started = join_all(prepared.into_iter().map(|ready| start(orders, ready))).await;
    let mut sides = Vec::new();
    for started in started {
        sides.push(started?.attach(orders, background).await?);
    }
    let live = Arc::new(Live::default());
    for planned in &orders.plan.scenarios {
        for side in &mut sides {
            take_posts(side, &planned.scenario, orders.plan.runtime, &orders.journal).await.map_err(|error| orders.stop(&error))?;
        }
        let before = try_join_all(sides.iter().map(|side| clean::look(side, &planned.scenario))).await.map_err(|why| orders.stop(&why))?;
        for side in &mut sides {
            lead_through(side, &planned.scenario, orders.plan.runtime).await;
        }
        let stage = Stage { orders, sides: &sides, live: Arc::clone(&live) };
        let (record, played) = stage.play(&planned.scenario).await;
        meta.scenarios.push(record);
        for side in &mut sides {
            side.note_losses();
            lead_past(side, &orders.announcer).await;
        }
        meta.left.extend(residues(orders, &mut sides, &before, &planned.scenario.name).await);
        orders.directory.write_run(meta).map_err(|error| Stop::Environment(format!("run.json: {error}")))?;
        played?;
    }
    Ok(())
}

/// What a scenario left in the services. After the third signal nobody looks.
async fn residues(orders: &Orders, sides: &mut [Side], before: &[Before], scenario: &str) -> Vec<String> {
    let looks = join_all(sides.iter_mut().zip(before).map(|(side, before)| clean::residues(side, before, &orders.journal)));
    let found: Vec<String> = tokio::select! {
        found = looks => found.concat(),
        () = orders.interrupt.desperate().cancelled() => Vec::new(),
    };
    found.into_iter().map(|what| format!("{what} (after {scenario})")).collect()
}

fn spec(orders: &Orders, variant: Variant, tree: &Tree) -> StackSpec {
    let docker = orders.plan.runtime == RuntimeKind::Docker;
    StackSpec {
        run: orders.run.clone(),
        variant,
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
        let stop = background.sources.clone();
        background.tasks.spawn(async move { driver.run(stop).await });
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
        if !replaced.is_empty() && spec.variant == Variant::Candidate {
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

/// Sources, recorders and everything else that runs beside the scenarios.
#[derive(Default)]
struct Background {
    sources: CancellationToken,
    recorders: CancellationToken,
    tasks: JoinSet<()>,
    reading: JoinSet<(Variant, String, Result<(), String>)>,
    writing: JoinSet<(Variant, Result<Losses, String>)>,
}

impl Background {
    /// A channel whose notices become events.
    fn notices(&mut self, orders: &Orders, variant: Variant) -> shakedown_runtime::Notices {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (announcer, stop) = (orders.announcer.clone(), self.sources.clone());
        self.tasks.spawn(async move {
            loop {
                let notice = tokio::select! {
                    notice = receiver.recv() => notice,
                    () = stop.cancelled() => return,
                };
                let Some(notice) = notice else { return };
                announcer.say(match notice {
                    Notice::Building { what } => Event::Building { variant, what },
                    Notice::Starting { service } => Event::ServiceStarting { variant, service },
                    Notice::Ready { service, after } => Event::ServiceReady { variant, service, after_ms: after.as_millis() as u64 },
                    Notice::Changed { service, what } => Event::ServiceChanged { variant, service, what },
                    Notice::Warning(message) => Event::Warning { message },
                });
            }
        });
        sender
    }

    fn source(&mut self, variant: Variant, source: Box<dyn Source>, recorder: &Recorder) {
        let (recorder, stop) = (recorder.clone(), self.sources.clone());
        self.reading.spawn(async move {
            let name = source.name().to_owned();
            let ended = source.run(recorder, stop).await.map_err(|error| error.to_string());
            (variant, name, ended)
        });
    }

    fn record(&mut self, variant: Variant, driver: RecorderDriver) {
        let stop = self.recorders.clone();
        self.writing.spawn(async move { (variant, driver.run(stop).await.map_err(|error| error.to_string())) });
    }

    /// Sources first, then the recorders, so that what is on its way is still written.
    async fn finish(mut self, orders: &Orders) {
        let announcer = &orders.announcer;
        self.sources.cancel();
        while let Some(joined) = self.reading.join_next().await {
            match joined {
                Ok((_, _, Ok(()))) => {}
                Ok((variant, source, Err(error))) => announcer.say(Event::SourceFailed { variant, source, error }),
                Err(error) => announcer.warn(format!("a source of evidence ended badly: {error}")),
            }
        }
        self.recorders.cancel();
        while let Some(joined) = self.writing.join_next().await {
            match joined {
                Ok((variant, Ok(losses))) => {
                    for (what, count) in losses {
                        announcer.say(Event::TelemetryDropped { variant, what, count });
                    }
                }
                Ok((variant, Err(error))) => announcer.say(Event::SourceFailed { variant, source: "recorder".to_owned(), error }),
                Err(error) => announcer.warn(format!("a recorder ended badly: {error}")),
            }
        }
        self.tasks.shutdown().await;
    }
}
