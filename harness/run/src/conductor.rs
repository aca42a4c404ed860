//! The order of a run: build, rounds with fresh instances, a look between two of them, and everything taken back.

use crate::{
    announce::{Announcer, now},
    instances::{Ground, build_all},
    interrupt::{Interrupt, Signal},
    look::{Look, Looker},
    round,
    search::Examiner,
    sides::Helpers,
    teardown::take_back,
    traces::Host,
};
use indexmap::IndexMap;
use shakedown_evidence::RunDirectory;
use shakedown_model::{
    event::Event,
    experiment::{Experiment, ProcessService},
    plan::Plan,
    run::{Abort, AbortKind, Machine, RUN_SCHEMA, Rounds, RunMeta, ScenarioRun},
    stack::{Project, Variant},
};
use shakedown_runtime::Runtime;
use shakedown_undo::Journal;
use std::{path::PathBuf, sync::Arc, time::Instant};
use tokio_util::sync::CancellationToken;

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
    /// Judges the evidence so far, between two rounds.
    pub looker: Looker,
    /// Judges one play of a search.
    pub examiner: Examiner,
}

impl Orders {
    pub(crate) fn interrupted(&self) -> Stop {
        Stop::Interrupted(self.interrupt.first().unwrap_or(Signal::Interrupt))
    }

    /// An error of the world; what a signal cut short counts as interrupted.
    pub(crate) fn stop(&self, error: &dyn std::fmt::Display) -> Stop {
        match self.interrupt.first() {
            Some(signal) => Stop::Interrupted(signal),
            None => Stop::Environment(error.to_string()),
        }
    }

    pub(crate) fn trees(&self) -> Vec<(Variant, &Tree)> {
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
    let performed = perform(&orders, &mut meta, &host).await;
    meta.aborted = performed.err().map(|stop| match stop {
        Stop::Interrupted(signal) => {
            orders.announcer.say(Event::Interrupted { signal: signal.word().to_owned() });
            let kind = if signal == Signal::Interrupt { AbortKind::Interrupted } else { AbortKind::Terminated };
            Abort { kind, reason: format!("{} came", signal.word()) }
        }
        Stop::Environment(reason) => Abort { kind: AbortKind::Environment, reason },
    });
    orders.recorded.cancel();
    meta.left.extend(take_back(&orders, &host, None).await);
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
        imported: None,
        commit: orders.plan.commit.clone(),
        changes: orders.plan.changes.clone(),
        machine: orders.machine.clone(),
        runtime: orders.plan.runtime,
        seed: orders.plan.seed,
        started: now(),
        ended: None,
        slot_seconds: orders.plan.slot_seconds,
        shard: orders.plan.shard,
        shards: orders.plan.shards,
        rounds: Rounds { planned: orders.plan.rounds, most: orders.plan.most_rounds, done: 0 },
        scenarios: Vec::new(),
        margins: Vec::new(),
        clean: false,
        left: Vec::new(),
        aborted: None,
    }
}

async fn perform(orders: &Orders, meta: &mut RunMeta, host: &Host) -> Result<(), Stop> {
    let grounds = build_all(orders).await?;
    for round in 1..=meta.rounds.most {
        if !play_round(orders, meta, host, round, &grounds).await? {
            break;
        }
    }
    Ok(())
}

/// One round and, where another may follow, the end of its instances and a look at what is known by now. `true`: the run goes on.
async fn play_round(orders: &Orders, meta: &mut RunMeta, host: &Host, round: u32, grounds: &[Ground]) -> Result<bool, Stop> {
    let Rounds { planned, most, .. } = meta.rounds;
    let mark = orders.journal.mark();
    orders.announcer.say(Event::RoundStarted { round, planned, most });
    round::play(orders, meta, round, grounds).await?;
    meta.rounds.done = round;
    orders.directory.write_run(meta).map_err(|error| Stop::Environment(format!("run.json: {error}")))?;
    if round == most {
        return Ok(false);
    }
    let began = Instant::now();
    let taken_back = async {
        let left = take_back(orders, host, Some(mark)).await;
        orders.announcer.say(Event::RoundEnded { round, seconds: began.elapsed().as_secs_f64() });
        left
    };
    let (left, go_on) = tokio::join!(taken_back, look(orders, meta));
    if let Some(signal) = orders.interrupt.first() {
        return Err(Stop::Interrupted(signal));
    }
    match left.first() {
        Some(first) => Err(Stop::Environment(format!("{} things of round {round} could not be taken back, first {first}", left.len()))),
        None => Ok(go_on),
    }
}

/// Whether another round is of use; why, is told. A look that cannot be taken is a reason to go on.
async fn look(orders: &Orders, meta: &RunMeta) -> bool {
    let round = meta.rounds.done;
    // A search is stopped by a dose that is not borne, which is what it is for.
    let is_searched =
        |name: &str| orders.plan.scenarios.iter().any(|planned| planned.scenario.name == name && planned.scenario.searched().is_some());
    let ended_early = |played: &&ScenarioRun| played.play.round == round && played.stopped.is_some() && !is_searched(&played.name);
    let stopped = meta.scenarios.iter().rfind(ended_early);
    let looked = match stopped {
        Some(played) => Ok(Look::Enough(format!("{} was stopped early, which no further round makes good", played.name))),
        None => (orders.looker)(meta).await,
    };
    let (enough, reason) = match looked {
        Ok(Look::Enough(reason)) => (true, reason),
        Ok(Look::GoOn(reason)) => (false, reason),
        Err(why) => {
            orders.announcer.warn(format!("the evidence so far could not be judged: {why}"));
            (false, "the evidence so far could not be judged".to_owned())
        }
    };
    orders.announcer.say(Event::Looked { round, enough, reason });
    !enough
}
