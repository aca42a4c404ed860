//! One scenario: warmup, steady, fault, recovery, on all variants at once.

use crate::{
    announce::now,
    conductor::{Orders, Stop},
    faults::{self, Planned, Setting, sleep_until},
    live::Live,
    probes,
    search::Witness,
    sides::Side,
    steady,
};
use futures_util::future::join_all;
use shakedown_load::{Drive, Lane};
use shakedown_model::{
    event::{Event, GeneratorReport, Phase},
    evidence::Request,
    experiment::{Check, Scenario, StopCondition},
    fault::FaultRecord,
    plan::Slots,
    run::{PhaseRun, Play, ScenarioRun},
    stack::Variant,
    time::UnixNanos,
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// How often stop conditions are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often a probe under fault is asked.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// What a live figure is of: short enough to follow, long enough to hold a few slots of each variant.
const GLANCE: Duration = Duration::from_secs(2);
/// Answers that a stop condition needs before it counts.
const ENOUGH_TO_STOP: usize = 5;

/// Everything a scenario is played with.
pub(crate) struct Stage<'a> {
    pub(crate) orders: &'a Orders,
    pub(crate) sides: &'a [Side],
    pub(crate) live: Arc<Live>,
    pub(crate) play: Play,
    /// Keeps what this play showed, where somebody asks.
    pub(crate) witness: Witness,
}

/// How a hold ended.
enum Held {
    /// Its time was over.
    Out,
    /// A stop condition held: which.
    Stopped(String),
}

impl Stage<'_> {
    /// Plays it. What was reached stands in the record, also where it ends with a stop.
    pub(crate) async fn play(&self, scenario: &Scenario) -> (ScenarioRun, Result<(), Stop>) {
        let mut record =
            ScenarioRun { name: scenario.name.clone(), play: self.play, phases: Vec::new(), stopped: None, steady_broken: None };
        self.live.clear();
        let seconds = scenario.length().as_secs_f64();
        self.say(Event::ScenarioStarted { scenario: scenario.name.clone(), play: self.play, seconds });
        let (phase, phases) = watch::channel(Phase::Warmup);
        // Before the load: what is due before the first phase would belong to no play, or to the one before.
        let began = now();
        let mut load = match self.start_load(scenario, phases) {
            Ok(load) => load,
            Err(stop) => return (record, Err(stop)),
        };
        let played = self.phases(scenario, began, &phase, &mut record).await;
        let reported = load.finish(self).await;
        if let Some(report) = reported {
            self.say(Event::Generator { scenario: scenario.name.clone(), play: self.play, report });
        }
        self.say(Event::ScenarioEnded { scenario: scenario.name.clone(), play: self.play });
        (record, played)
    }

    async fn phases(
        &self,
        scenario: &Scenario,
        began: UnixNanos,
        phase: &watch::Sender<Phase>,
        record: &mut ScenarioRun,
    ) -> Result<(), Stop> {
        if self.phase(Phase::Warmup, began, scenario, phase, record).await? {
            return Ok(());
        }
        if self.phase(Phase::Steady, now(), scenario, phase, record).await? {
            return Ok(());
        }
        if let Err(detail) = self.steady_state(scenario, record).await? {
            record.steady_broken = Some(detail.clone());
            return Err(Stop::Environment(format!("{}: steady state is broken before any fault: {detail}", scenario.name)));
        }
        if self.phase(Phase::Fault, now(), scenario, phase, record).await? {
            return Ok(());
        }
        self.phase(Phase::Recovery, now(), scenario, phase, record).await?;
        Ok(())
    }

    /// One phase. `true`: a stop condition ended the scenario.
    async fn phase(
        &self,
        name: Phase,
        start: UnixNanos,
        scenario: &Scenario,
        phase: &watch::Sender<Phase>,
        record: &mut ScenarioRun,
    ) -> Result<bool, Stop> {
        let length = scenario.phase_length(name);
        phase.send_replace(name);
        self.say(Event::PhaseStarted { scenario: scenario.name.clone(), phase: name, seconds: length.as_secs_f64() });
        let held = match name {
            Phase::Fault => self.fault_phase(scenario).await,
            _ => self.hold(length, &scenario.stop_when).await,
        };
        record.phases.push(PhaseRun { name, start, end: now() });
        self.say(Event::PhaseEnded { scenario: scenario.name.clone(), phase: name });
        match held? {
            Held::Out => Ok(false),
            Held::Stopped(detail) => {
                self.say(Event::StopCondition { scenario: scenario.name.clone(), detail: detail.clone() });
                record.stopped = Some(detail);
                Ok(true)
            }
        }
    }

    /// Asks for steady state; where it does not hold of any side, waits once more as long and asks of that time alone: a cold cache is no broken system.
    /// The candidate decides; a baseline that is not in its steady state is told and left to the judge.
    async fn steady_state(&self, scenario: &Scenario, record: &mut ScenarioRun) -> Result<Result<(), String>, Stop> {
        let mut answers = self.ask_steady(scenario).await;
        if answers.iter().any(|(_, answer)| answer.is_err()) {
            self.live.clear();
            self.hold(scenario.phases.steady.0, &scenario.stop_when).await?;
            answers = self.ask_steady(scenario).await;
            if let Some(steady) = record.phases.last_mut() {
                steady.end = now();
            }
        }
        Ok(answers.into_iter().filter(|(variant, _)| *variant == Variant::Candidate).try_for_each(|(_, answer)| answer))
    }

    async fn ask_steady(&self, scenario: &Scenario) -> Vec<(Variant, Result<(), String>)> {
        let mut answers = Vec::new();
        for side in self.sides {
            let outcome = steady::check(&self.orders.experiment.steady_state, side, &self.live).await;
            let (holds, detail) = match &outcome {
                Ok(detail) => (true, detail.clone()),
                Err(detail) => (false, detail.clone()),
            };
            self.say(Event::SteadyState { scenario: scenario.name.clone(), variant: side.variant, holds, detail });
            answers.push((side.variant, outcome.map(|_| ())));
        }
        answers
    }

    /// Waits, watching for signals and stop conditions. Cancel-safe.
    async fn hold(&self, length: Duration, conditions: &[StopCondition]) -> Result<Held, Stop> {
        tokio::select! {
            () = tokio::time::sleep(length) => Ok(Held::Out),
            stopped = self.watch(conditions) => stopped.map(Held::Stopped),
        }
    }

    /// Ends when a stop condition has held for its time, or with a signal. Cancel-safe.
    async fn watch(&self, conditions: &[StopCondition]) -> Result<String, Stop> {
        let mut since: Vec<Option<Instant>> = vec![None; conditions.len()];
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = self.orders.interrupt.polite().cancelled() => return Err(self.orders.interrupted()),
                _ = tick.tick() => {}
            }
            for (condition, since) in conditions.iter().zip(&mut since) {
                let glance = self.live.recent(&condition.load, Variant::Candidate, Duration::from_secs(1));
                let holds = glance.requests >= ENOUGH_TO_STOP && condition.success.holds(glance.success);
                *since = if holds { since.or_else(|| Some(Instant::now())) } else { None };
                if since.is_some_and(|since| since.elapsed() >= condition.lasts.0) {
                    return Ok(format!(
                        "{}: success {:.1} % has been {} for {}",
                        condition.load,
                        glance.success * 100.0,
                        condition.success,
                        condition.lasts
                    ));
                }
            }
        }
    }

    /// All faults, each at its time, on all variants; whatever ends it early, they are taken off before it returns.
    async fn fault_phase(&self, scenario: &Scenario) -> Result<Held, Stop> {
        let early = CancellationToken::new();
        let began = tokio::time::Instant::now();
        let faults = join_all((0..scenario.faults.len()).map(|index| self.fault(scenario, index, began, &early)));
        tokio::pin!(faults);
        let ended = tokio::select! {
            _ = &mut faults => Ok(Held::Out),
            stopped = self.watch(&scenario.stop_when) => stopped.map(Held::Stopped),
            () = self.probe(scenario) => Ok(Held::Out),
        };
        if !matches!(ended, Ok(Held::Out)) {
            early.cancel();
            faults.await;
        }
        ended
    }

    async fn fault(&self, scenario: &Scenario, index: usize, began: tokio::time::Instant, early: &CancellationToken) {
        let planned = Planned { index, fault: &scenario.faults[index] };
        let setting = Setting {
            runtime: self.orders.plan.runtime,
            journal: &self.orders.journal,
            scenario: &scenario.name,
            play: self.play,
            seed: self.seed(),
        };
        let on = began + planned.fault.at.0;
        if sleep_until(on, early).await {
            return self.not_started(&setting, planned);
        }
        let mut records: Vec<FaultRecord> = join_all(self.sides.iter().map(|side| faults::apply(side, &setting, planned))).await;
        for (side, record) in self.sides.iter().zip(&records) {
            let (variant, fault) = (side.variant, record.clone());
            self.say(if record.error.is_none() { Event::FaultApplied { variant, fault } } else { Event::FaultReverted { variant, fault } });
        }
        let until = on + planned.fault.lasts.0;
        join_all(self.sides.iter().zip(&mut records).map(|(side, record)| faults::hold(side, &setting, planned, record, until, early)))
            .await;
        let reverts = self.sides.iter().zip(&mut records).filter(|(_, record)| record.applied_at.is_some());
        join_all(reverts.map(|(side, record)| async {
            faults::revert(side, &setting, planned, record).await;
            self.say(Event::FaultReverted { variant: side.variant, fault: record.clone() });
        }))
        .await;
    }

    fn not_started(&self, setting: &Setting<'_>, planned: Planned<'_>) {
        for side in self.sides {
            let mut fault = faults::record(setting, planned);
            fault.error = Some("the scenario ended before it was due".to_owned());
            self.say(Event::FaultReverted { variant: side.variant, fault });
        }
    }

    /// Asks the probes of `expect.fault` again and again and records the answers. Never ends by itself.
    async fn probe(&self, scenario: &Scenario) {
        let asked: Vec<(usize, &Check)> = scenario
            .expect_fault
            .iter()
            .map(|expectation| &expectation.check)
            .enumerate()
            .filter(|(_, check)| matches!(check, Check::Http { .. } | Check::Prometheus { .. }))
            .collect();
        if asked.is_empty() {
            return std::future::pending().await;
        }
        let mut tick = tokio::time::interval(PROBE_EVERY);
        loop {
            tick.tick().await;
            for side in self.sides {
                for (index, check) in &asked {
                    let outcome = probes::probe(check, side).await;
                    record_probe(side, check, *index, &scenario.name, outcome.value);
                }
            }
        }
    }

    fn start_load(&self, scenario: &Scenario, phase: watch::Receiver<Phase>) -> Result<RunningLoad, Stop> {
        let loads: Vec<_> = self.orders.experiment.loads.values().cloned().collect();
        let mut lanes = Vec::new();
        for side in self.sides {
            let mut targets = HashMap::new();
            for load in &loads {
                let address = side
                    .address(&load.service, load.port)
                    .ok_or_else(|| Stop::Environment(format!("{}: {}:{} cannot be reached", load.name, load.service, load.port)))?;
                targets.insert(load.name.clone(), address);
            }
            lanes.push(Lane { variant: side.variant, targets });
        }
        let slot = Duration::from_secs_f64(self.orders.plan.slot_seconds.unwrap_or(0.5));
        let drive = Drive {
            run: self.orders.run.clone(),
            scenario: scenario.name.clone(),
            loads,
            lanes,
            slots: Slots { slot, seed: self.seed() },
            seed: self.seed(),
            phase,
        };
        drive.check().map_err(|error| Stop::Environment(format!("load: {error}")))?;
        let (records, received) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let stopping = stop.clone();
        tasks.spawn(async move { Some(shakedown_load::drive(drive, records, stopping).await) });
        tasks.spawn(self.consume(received));
        Ok(RunningLoad { stop, tasks })
    }

    /// Records each request, feeds the live figures, and tells the listener how it goes about once a second.
    fn consume(&self, mut received: mpsc::UnboundedReceiver<(Variant, Request)>) -> impl Future<Output = Option<GeneratorReport>> + use<> {
        let recorders: HashMap<_, _> = self.sides.iter().map(|side| (side.variant, side.recorder.clone())).collect();
        let loads: Vec<String> = self.orders.experiment.loads.keys().cloned().collect();
        let (live, announcer, witness) = (Arc::clone(&self.live), self.orders.announcer.clone(), self.witness.clone());
        async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            loop {
                tokio::select! {
                    request = received.recv() => {
                        let (variant, request) = request?;
                        live.add(variant, &request);
                        witness.request(variant, &request);
                        if let Some(recorder) = recorders.get(&variant) {
                            recorder.request(request);
                        }
                    }
                    _ = tick.tick() => for load in &loads {
                        for variant in recorders.keys().copied() {
                            let glance = live.recent(load, variant, GLANCE);
                            announcer.say(Event::LoadProgress {
                                load: load.clone(),
                                variant,
                                rate: glance.requests as f64 / GLANCE.as_secs_f64(),
                                success: glance.success,
                                p99_ms: glance.p99 * 1e3,
                            });
                        }
                    }
                }
            }
        }
    }

    /// Of this play: due times, order of slots, traces and what faults draw differ from play to play.
    fn seed(&self) -> u64 {
        self.play.seed(self.orders.plan.seed)
    }

    fn say(&self, event: Event) {
        self.witness.event(&event);
        self.orders.announcer.say(event);
    }
}

/// The judge reads these by name and labels. A query without an answer leaves no sample; status 0 is no HTTP status.
fn record_probe(side: &Side, check: &Check, index: usize, scenario: &str, value: Option<f64>) {
    let (service, name, value) = match check {
        Check::Http { service, .. } => (service.as_str(), "shakedown_probe_http_status", Some(value.unwrap_or(0.0))),
        _ => ("prometheus", "shakedown_probe_value", value),
    };
    let labels = [("phase", "fault"), ("probe", &*index.to_string()), ("scenario", scenario)];
    let Some(value) = value else { return };
    if side.recorder.sample(now(), service, name, &labels, value).is_err() {
        side.recorder.lost("probe samples", 1);
    }
}

/// The generator and the consumer of its records.
struct RunningLoad {
    stop: CancellationToken,
    tasks: JoinSet<Option<GeneratorReport>>,
}

impl RunningLoad {
    /// Lets open requests end; after a signal nobody waits for them.
    async fn finish(&mut self, stage: &Stage<'_>) -> Option<GeneratorReport> {
        self.stop.cancel();
        let mut report = None;
        loop {
            tokio::select! {
                () = stage.orders.interrupt.polite().cancelled() => {
                    self.tasks.shutdown().await;
                    return report;
                }
                joined = self.tasks.join_next() => match joined {
                    None => return report,
                    Some(Ok(found)) => report = report.or(found),
                    Some(Err(error)) => stage.orders.announcer.warn(format!("the load generator ended badly: {error}")),
                }
            }
        }
    }
}
