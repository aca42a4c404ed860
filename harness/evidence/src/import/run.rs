//! The run directory of an import: telemetry first, then the requests in it, then what the run says of itself.

use super::{Format, ImportError, Importer, Origin, Taken, query, sink::Sink};
use crate::{
    directory::RunDirectory,
    imported::{self, SCENARIO},
    read,
    roots::{Roots, extent},
};
use shakedown_model::{
    config,
    event::{Event, Phase, TimedEvent},
    evidence::{Request, VariantEvidence},
    plan::RuntimeKind,
    run::{CommitInfo, Imported, Machine, PhaseRun, Play, RUN_SCHEMA, Rounds, RunMeta, ScenarioRun},
    stack::Variant,
    time::{UnixNanos, Window},
};
use std::path::Path;

/// What is to be imported.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Of the traces.
    pub format: Format,
    /// Traces, and whatever else the same files hold.
    pub sources: Vec<Origin>,
    /// Logs.
    pub logs: Vec<Origin>,
    /// Metrics.
    pub metrics: Vec<Origin>,
    /// Telemetry of the baseline; empty: there is none.
    pub baseline: Vec<Origin>,
    /// When the fault was on.
    pub fault: Option<Window>,
    /// When it was on for the baseline, where that was another time.
    pub baseline_fault: Option<Window>,
    /// What was disturbed.
    pub fault_on: Option<String>,
    /// How.
    pub fault_kind: Option<String>,
    /// Of shakedown.
    pub tool_version: String,
}

/// Makes the run directory `id` below `parent`. Answers what became of candidate and baseline.
pub async fn import(parent: &Path, id: &str, asked: &Asked) -> Result<(RunDirectory, Taken, Option<Taken>), ImportError> {
    if asked.fault.is_none() && asked.baseline.is_empty() {
        return Err(ImportError::Phases(
            "there is nothing to compare with: say when the fault was on with --fault-from and --fault-to, or name the telemetry of a \
             baseline with --baseline"
                .to_owned(),
        ));
    }
    let directory = RunDirectory::create(parent, id).map_err(ImportError::Directory)?;
    let made = make(&directory, id, asked).await;
    if made.is_err() {
        // Half a run would be taken for one. It is ours: it did not exist before.
        let _gone = std::fs::remove_dir_all(directory.path());
    }
    made.map(|(taken, baseline)| (directory, taken, baseline))
}

async fn make(directory: &RunDirectory, id: &str, asked: &Asked) -> Result<(Taken, Option<Taken>), ImportError> {
    let sources: Vec<&Origin> = asked.sources.iter().chain(&asked.logs).chain(&asked.metrics).collect();
    let ours = Side { id, sources: &sources, fault: asked.fault, of: "the sources" };
    let (taken, run, mut requests) = ours.import(directory, asked).await?;
    let mut baseline = None;
    if !asked.baseline.is_empty() {
        let sources: Vec<&Origin> = asked.baseline.iter().collect();
        // Where both were recorded at one time, what disturbed one disturbed the other.
        let theirs = Side { id: "baseline", sources: &sources, fault: asked.baseline_fault.or(asked.fault), of: "the baseline" };
        let beside = RunDirectory::create(directory.path(), "baseline").map_err(ImportError::Directory)?;
        let (taken, _, more) = theirs.import(&beside, asked).await?;
        requests.extend(more);
        baseline = Some(taken);
    }
    let experiment = imported::experiment(&run, requests.iter(), baseline.is_some());
    directory.write_experiment(&config::to_yaml(&experiment)).map_err(ImportError::Directory)?;
    Ok((taken, baseline))
}

/// One of the two variants.
struct Side<'a> {
    id: &'a str,
    sources: &'a [&'a Origin],
    fault: Option<Window>,
    of: &'static str,
}

impl Side<'_> {
    async fn import(&self, directory: &RunDirectory, asked: &Asked) -> Result<(Taken, RunMeta, Vec<Request>), ImportError> {
        let sink = Sink::open(directory.path()).map_err(ImportError::Directory)?;
        let mut importer = Importer { sink, format: asked.format, notes: Vec::new() };
        for source in self.sources {
            importer.take(source, self.fault.map(query::around)).await?;
        }
        let Importer { mut sink, notes, .. } = importer;
        let counts = sink.counts;
        if counts.spans + counts.logs + counts.points == 0 {
            let mut tried: Vec<String> = if notes.is_empty() { self.sources.iter().map(ToString::to_string).collect() } else { notes };
            tried.extend(sink.ledger.snapshot().into_iter().map(|(what, count)| format!("{count} {what}")));
            return Err(ImportError::Nothing { of: self.of, tried });
        }
        sink.flush()?;
        let seen = read::everything(directory.path())?;
        let roots = Roots::of(&seen.spans);
        let run = self.run(asked, self.phases(&roots, &seen)?);
        let (requests, outside) = roots.requests(&run);
        for request in &requests {
            sink.request(request.clone())?;
        }
        for (what, count) in roots.odd.into_iter().chain(outside) {
            sink.ledger.add(what, count);
        }
        sink.flush()?;
        directory.write_run(&run).map_err(ImportError::Directory)?;
        write_events(directory, &run, &notes)?;
        let taken = Taken { counts: sink.counts, services: sink.services.len(), losses: sink.ledger.snapshot(), notes };
        Ok((taken, run, requests))
    }

    /// Steady, fault and recovery as far as there is something in them.
    fn phases(&self, roots: &Roots<'_>, seen: &VariantEvidence) -> Result<Vec<PhaseRun>, ImportError> {
        let others = || extent(seen.logs.iter().map(|log| log.at).chain(seen.metrics.iter().map(|point| point.at)).collect());
        let Some(extent) = roots.extent().or_else(others) else {
            return Err(ImportError::Phases(format!("nothing in {} has a time", self.of)));
        };
        let phase = |name, start: UnixNanos, end: UnixNanos| PhaseRun { name, start, end };
        let all = vec![phase(Phase::Fault, extent.start, extent.end)];
        let Some(fault) = self.fault else { return Ok(all) };
        let (from, to) = (fault.start.max(extent.start), fault.end.min(extent.end));
        if from >= to {
            // Of a baseline that was recorded at another time nobody said when it was disturbed: all of it is what the fault is compared with.
            if self.of == "the baseline" {
                return Ok(all);
            }
            return Err(ImportError::Phases(format!(
                "the fault, {} to {}, lies outside the telemetry, {} to {}: see --fault-from and --fault-to (RFC 3339, or Unix time)",
                fault.start.rfc3339(),
                fault.end.rfc3339(),
                extent.start.rfc3339(),
                extent.end.rfc3339()
            )));
        }
        let phases = [phase(Phase::Steady, extent.start, from), phase(Phase::Fault, from, to), phase(Phase::Recovery, to, extent.end)];
        Ok(phases.into_iter().filter(|phase| phase.start < phase.end).collect())
    }

    fn run(&self, asked: &Asked, phases: Vec<PhaseRun>) -> RunMeta {
        let (started, ended) = (phases.first().map(|phase| phase.start), phases.last().map(|phase| phase.end));
        RunMeta {
            schema: RUN_SCHEMA.to_owned(),
            tool_version: asked.tool_version.clone(),
            run: self.id.to_owned(),
            imported: Some(Imported {
                format: asked.format.word().to_owned(),
                sources: self.sources.iter().map(ToString::to_string).collect(),
                fault_on: asked.fault_on.clone(),
                fault_kind: asked.fault_kind.clone(),
            }),
            commit: CommitInfo { baseline_source: "recorded by others".to_owned(), ..CommitInfo::default() },
            changes: None,
            machine: Machine::default(),
            runtime: RuntimeKind::Process,
            seed: 0,
            started: started.unwrap_or_default(),
            ended,
            slot_seconds: None,
            rounds: Rounds::default(),
            shard: 1,
            shards: 1,
            scenarios: vec![ScenarioRun { name: SCENARIO.to_owned(), play: Play::default(), phases, stopped: None, steady_broken: None }],
            margins: Vec::new(),
            clean: true,
            left: Vec::new(),
            aborted: None,
        }
    }
}

/// What was wrong with the sources stays with the run.
fn write_events(directory: &RunDirectory, run: &RunMeta, notes: &[String]) -> Result<(), ImportError> {
    let mut events = directory.events().map_err(ImportError::Directory)?;
    let variant = if run.run == "baseline" { Variant::Baseline } else { Variant::Candidate };
    for note in notes {
        let event = Event::SourceFailed { variant, source: "import".to_owned(), error: note.clone() };
        events.append(&TimedEvent { at: run.started, event }).map_err(ImportError::Directory)?;
    }
    Ok(())
}
