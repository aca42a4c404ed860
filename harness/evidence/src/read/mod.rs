//! A run directory read back as the plain data that a judge reads.
//!
//! What a crash tore off is tolerated and counted. What is wrong in any other way is an error that names the file and the line: a verdict
//! must not rest on half a file. Knows nothing of expectations.

mod error;
mod lines;
mod logs;
mod metrics;
mod texts;
mod traces;
mod values;

use crate::{
    admit::Signal,
    directory::{BASELINE, EVENTS, EVIDENCE, EXPERIMENT, RUN},
    driver::{LOGS, LOSSES, METRICS, REQUESTS, TRACES},
    imported,
    losses::{Losses, merge},
    roots::Roots,
};
pub use error::ReadError;
use indexmap::IndexMap;
use opentelemetry_proto::tonic::collector::{logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest};
use serde::de::DeserializeOwned;
use shakedown_model::{
    config,
    event::{Event, GeneratorReport, TimedEvent},
    evidence::{Baseline, Evidence, LogRecord, MetricPoint, Request, VariantEvidence},
    experiment::Experiment,
    fault::FaultRecord,
    run::{Play, RUN_SCHEMA, RunMeta},
    stack::Variant,
    time::UnixNanos,
};
use std::{fs, io, path::Path, thread};
use texts::Texts;
pub(crate) use values::{Text as Borrowed, UNKNOWN_SERVICE, Value, integer};

/// Largest `run.json`, `experiment.yaml` or `losses.json`.
const SMALL_FILE: u64 = 64 << 20;

/// Reads a run. The baseline is the one recorded earlier at `recorded_baseline` where that is given, else the one that ran beside it.
pub fn read(run_dir: &Path, recorded_baseline: Option<&Path>) -> Result<Evidence, ReadError> {
    read_variants(run_dir, recorded_baseline)?.into_evidence(run_dir)
}

/// What was seen of candidate and baseline, read: nearly all the time of reading a run, and possible as soon as its recorders are closed.
pub struct Variants {
    candidate: VariantEvidence,
    baseline: Option<Baseline>,
}

/// The part of [`read`] that need not wait for the end of the run.
pub fn read_variants(run_dir: &Path, recorded_baseline: Option<&Path>) -> Result<Variants, ReadError> {
    // What is no run is told before anything else is.
    let run = run_meta(run_dir)?;
    let (events, _) = events(run_dir, &run)?;
    // Most of the time of judging is spent here, and there are two cores: a thread for each variant.
    thread::scope(|scope| {
        let baseline = scope.spawn(|| match recorded_baseline {
            Some(directory) => recorded(directory).map(Some),
            None => paired(run_dir, &events),
        });
        let candidate = of_run(run_dir, &run, &events, Depth::Everything);
        let baseline = baseline.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(Variants { candidate: candidate?, baseline: baseline? })
    })
}

impl Variants {
    /// With what the run says of itself: `run.json`, `experiment.yaml` and the events.
    pub fn into_evidence(self, run_dir: &Path) -> Result<Evidence, ReadError> {
        let Variants { mut candidate, baseline } = self;
        let run = run_meta(run_dir)?;
        let experiment = if let Some(experiment) = experiment(&run_dir.join(EXPERIMENT))? {
            experiment
        } else {
            let theirs = baseline.iter().flat_map(|baseline| &baseline.evidence.requests);
            made_up(run_dir, &run, candidate.requests.iter().chain(theirs), baseline.is_some())?
        };
        let (events, torn) = events(run_dir, &run)?;
        merge(&mut candidate.losses, torn);
        let generator = generator(&events);
        Ok(Evidence { run, experiment, events, generator, candidate, baseline })
    }
}

fn paired(run_dir: &Path, events: &[TimedEvent]) -> Result<Option<Baseline>, ReadError> {
    let directory = run_dir.join(BASELINE);
    if !directory.is_dir() {
        return Ok(None);
    }
    // Recorded at a time of its own, as the baseline of an imported run is.
    if directory.join(RUN).is_file() {
        return recorded(&directory).map(Some);
    }
    let evidence = variant(&directory, events, Variant::Baseline, Depth::Compared)?;
    Ok(Some(Baseline { evidence, paired: true, run: None }))
}

/// In a run of its own, what is a baseline now was the candidate.
fn recorded(directory: &Path) -> Result<Baseline, ReadError> {
    let run = run_meta(directory)?;
    let (events, torn) = events(directory, &run)?;
    let mut evidence = of_run(directory, &run, &events, Depth::Compared)?;
    merge(&mut evidence.losses, torn);
    Ok(Baseline { evidence, paired: false, run: Some(run) })
}

/// All that is below `directory`, whose `run.json` is not written yet.
pub(crate) fn everything(directory: &Path) -> Result<VariantEvidence, ReadError> {
    variant(directory, &[], Variant::Candidate, Depth::Everything)
}

/// The candidate of a run. What an imported one does not say is found in its traces.
fn of_run(directory: &Path, run: &RunMeta, events: &[TimedEvent], depth: Depth) -> Result<VariantEvidence, ReadError> {
    let mut evidence = variant(directory, events, Variant::Candidate, depth)?;
    if run.imported.is_none() {
        return Ok(evidence);
    }
    evidence.faults = imported::faults(run);
    if !there_is(directory, REQUESTS) {
        let roots = Roots::of(&evidence.spans);
        let (requests, outside) = roots.requests(run);
        // Nothing is missing that was not made up for.
        evidence.losses.retain(|what, _| *what != missing(REQUESTS));
        merge(&mut evidence.losses, roots.odd);
        merge(&mut evidence.losses, outside);
        evidence.requests = requests;
    }
    Ok(evidence)
}

/// What an imported run would have been an experiment of, where its directory does not say it.
fn made_up<'r>(
    directory: &Path,
    run: &RunMeta,
    requests: impl Iterator<Item = &'r Request>,
    baseline: bool,
) -> Result<Experiment, ReadError> {
    if run.imported.is_some() {
        return Ok(imported::experiment(run, requests, baseline));
    }
    Err(ReadError::Io { path: directory.join(EXPERIMENT), source: io::Error::from(io::ErrorKind::NotFound) })
}

/// `run.json` alone.
pub fn run_meta(directory: &Path) -> Result<RunMeta, ReadError> {
    let path = directory.join(RUN);
    let text = small_file(&path)?.ok_or_else(|| ReadError::NotARun { path: directory.to_owned() })?;
    let run: RunMeta = json(&path, &text)?;
    if run.schema == RUN_SCHEMA { Ok(run) } else { Err(ReadError::Schema { path, found: run.schema }) }
}

/// `None`: there is no such file.
fn experiment(path: &Path) -> Result<Option<Experiment>, ReadError> {
    let read = |text: String| config::from_yaml(&text).map_err(|source| ReadError::Experiment { path: path.to_owned(), source });
    small_file(path)?.map(read).transpose()
}

fn events(directory: &Path, run: &RunMeta) -> Result<(Vec<TimedEvent>, Losses), ReadError> {
    let path = directory.join(EVENTS);
    let (mut events, mut losses) = (Vec::new(), Losses::new());
    if run.imported.is_some() && !path.exists() {
        return Ok((events, losses));
    }
    let torn = lines::plain(&path, |line| serde_json::from_slice(line).map(|event| events.push(event)))?;
    count_torn(&mut losses, EVENTS, torn);
    Ok((events, losses))
}

/// What is read of a variant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Everything,
    /// What candidate and baseline are compared by: of log lines and samples those that fit into [`COMPARED`].
    Compared,
}

/// Bytes of log lines, and as many of samples, that are kept of a baseline. Of more than that none are: half of them would be compared as if the
/// other half had never been written.
const COMPARED: usize = 512 << 20;

/// What was kept of one kind so far, in bytes.
struct Room {
    left: Option<usize>,
}

impl Room {
    fn of(depth: Depth) -> Room {
        Room { left: (depth == Depth::Compared).then_some(COMPARED) }
    }

    fn is_used_up(&self) -> bool {
        self.left == Some(0)
    }

    /// Takes room for what was added since `before`; where there is none, everything goes and is counted.
    fn take<T>(&mut self, kept: &mut Vec<T>, before: usize, size: impl Fn(&T) -> usize, items: &str, losses: &mut Losses) {
        let Some(left) = &mut self.left else { return };
        let added: usize = kept[before..].iter().map(size).sum();
        *left = left.saturating_sub(added);
        if *left == 0 {
            merge(losses, Losses::from([(format!("{items} and more, too many to be compared"), kept.len() as u64)]));
            *kept = Vec::new();
        }
    }
}

fn variant(directory: &Path, events: &[TimedEvent], which: Variant, depth: Depth) -> Result<VariantEvidence, ReadError> {
    let mut evidence = VariantEvidence { faults: faults(events, which), ..VariantEvidence::default() };
    let losses = directory.join(EVIDENCE).join(LOSSES);
    if let Some(text) = small_file(&losses)? {
        evidence.losses = json(&losses, &text)?;
    }
    let mut texts = Texts::default();
    let VariantEvidence { requests, spans, logs, metrics, losses, .. } = &mut evidence;
    packed(directory, REQUESTS, losses, |line, _| serde_json::from_slice(line).map(|request: Request| requests.push(request)))?;
    packed(directory, TRACES, losses, |line, losses| {
        let refused = traces::read(line, &mut texts, spans)?;
        count_refused(losses, "spans", refused);
        Ok(())
    })?;
    requests.sort_by_key(|request| request.due);
    let mut room = Room::of(depth);
    packed(directory, LOGS, losses, |line, losses| {
        if room.is_used_up() {
            return Ok(());
        }
        let (request, before): (ExportLogsServiceRequest, usize) = (serde_json::from_slice(line)?, logs.len());
        logs::read(bounded(request, losses), &mut texts, logs);
        room.take(logs, before, |record| size_of::<LogRecord>() + record.body.len(), "log records", losses);
        Ok(())
    })?;
    let mut room = Room::of(depth);
    packed(directory, METRICS, losses, |line, losses| {
        if room.is_used_up() {
            return Ok(());
        }
        let (request, before): (ExportMetricsServiceRequest, usize) = (serde_json::from_slice(line)?, metrics.len());
        metrics::read(bounded(request, losses), &mut texts, metrics);
        room.take(metrics, before, |_| size_of::<MetricPoint>(), "data points", losses);
        Ok(())
    })?;
    logs.sort_by_key(|record| record.at);
    metrics.sort_by_key(|point| point.at);
    Ok(evidence)
}

/// Every line of a compressed file. One that is missing is a loss: whatever was to be in it was not seen.
fn packed(
    directory: &Path,
    name: &str,
    losses: &mut Losses,
    mut take: impl FnMut(&[u8], &mut Losses) -> serde_json::Result<()>,
) -> Result<(), ReadError> {
    let path = directory.join(EVIDENCE).join(name);
    let torn = if path.exists() {
        lines::compressed(&path, |line| take(line, losses))?
    } else if there_is(directory, name) {
        lines::plain(&path.with_extension(""), |line| take(line, losses))?
    } else {
        merge(losses, Losses::from([(missing(name), 1)]));
        return Ok(());
    };
    count_torn(losses, name, torn);
    Ok(())
}

/// Whether there is a file of evidence, compressed or, as one makes it by hand, plain.
fn there_is(directory: &Path, name: &str) -> bool {
    let path = directory.join(EVIDENCE).join(name);
    path.exists() || path.with_extension("").exists()
}

fn missing(name: &str) -> String {
    format!("missing file {EVIDENCE}/{name}")
}

fn count_torn(losses: &mut Losses, name: &str, torn: lines::Torn) {
    if torn == lines::Torn::Tail {
        merge(losses, Losses::from([(format!("torn ends of {name}"), 1)]));
    }
}

/// The same bounds as on the way in: a run directory may come from anywhere.
fn bounded<S: Signal>(mut request: S, losses: &mut Losses) -> S {
    let admission = request.admit(UnixNanos(0));
    count_refused(losses, S::ITEMS, admission.refused);
    request
}

fn count_refused(losses: &mut Losses, items: &str, refused: u64) {
    if refused > 0 {
        merge(losses, Losses::from([(format!("{items} refused on reading"), refused)]));
    }
}

/// Each fault as it was last told of: applied, then reverted with its dose; in the order of the scenario.
fn faults(events: &[TimedEvent], which: Variant) -> Vec<FaultRecord> {
    let mut faults: IndexMap<(&str, Play, usize), &FaultRecord> = IndexMap::new();
    for TimedEvent { event, .. } in events {
        if let Event::FaultApplied { variant, fault } | Event::FaultReverted { variant, fault } = event
            && *variant == which
        {
            faults.insert((&fault.scenario, fault.play, fault.index), fault);
        }
    }
    let mut faults: Vec<FaultRecord> = faults.into_values().cloned().collect();
    // Faults that begin together are told in any order.
    faults.sort_by_key(|fault| (fault.play, fault.index));
    faults
}

/// By scenario, all of its plays together.
fn generator(events: &[TimedEvent]) -> IndexMap<String, GeneratorReport> {
    let mut reports: IndexMap<String, GeneratorReport> = IndexMap::new();
    for TimedEvent { event, .. } in events {
        if let Event::Generator { scenario, report, .. } = event {
            reports.entry(scenario.clone()).or_default().add(report);
        }
    }
    reports
}

/// `None` where there is no such file.
fn small_file(path: &Path) -> Result<Option<String>, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > SMALL_FILE => Err(ReadError::TooLarge { path: path.to_owned(), limit: SMALL_FILE }),
        Ok(_) => fs::read_to_string(path).map(Some).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn json<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ReadError> {
    serde_json::from_str(text).map_err(|source| ReadError::Line { path: path.to_owned(), line: source.line() as u64, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_baseline_all_lines_are_kept_or_none_and_of_a_candidate_all() {
        let size = |size: &usize| *size;
        for (depth, kept) in [(Depth::Everything, 3), (Depth::Compared, 0)] {
            let (mut room, mut lines, mut losses) = (Room::of(depth), Vec::new(), Losses::new());
            for line in [10, COMPARED - 20, 10] {
                assert!(!room.is_used_up());
                lines.push(line);
                let before = lines.len() - 1;
                room.take(&mut lines, before, size, "lines", &mut losses);
            }
            assert_eq!((lines.len(), room.is_used_up(), losses.len()), (kept, kept == 0, usize::from(kept == 0)));
        }
    }
}
