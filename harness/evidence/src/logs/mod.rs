//! The lines that services write to stdout and stderr, as log records.
//!
//! Knows lines, not containers: a runtime hands them in.

mod json;
mod line;
mod severity;
mod text;

use crate::{
    admit::{BODY, cut},
    recorder::{Overloaded, Recorder},
    source::{Source, SourceError},
};
use indexmap::IndexMap;
use line::Found;
use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
};
pub(crate) use severity::Severity;
use shakedown_model::evidence::RawLine;
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Lines taken at once; more stay in the channel, and the runtime behind it waits.
const BATCH: usize = 4096;
/// Between two batches.
const TICK: Duration = Duration::from_millis(100);
/// Lines of one service per second. More is a log storm, whose first lines say what the rest would.
const RATE: f64 = 5_000.0;
/// Lines of one service that may come at once.
const BURST: f64 = 20_000.0;
/// Services that have a rate of their own.
const SERVICES: usize = 1024;

/// Turns lines into log records.
#[derive(Debug)]
pub struct LogSource {
    lines: mpsc::Receiver<RawLine>,
}

impl LogSource {
    /// Takes lines until the other end is gone.
    pub fn new(lines: mpsc::Receiver<RawLine>) -> Self {
        Self { lines }
    }
}

#[async_trait::async_trait]
impl Source for LogSource {
    fn name(&self) -> &'static str {
        "logs"
    }

    async fn run(mut self: Box<Self>, recorder: Recorder, stop: CancellationToken) -> Result<(), SourceError> {
        let mut allowances = Allowances::default();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                _ = ticks.tick() => false,
            };
            if stopping {
                // What is queued was written before the end; nothing more is let in, so this ends.
                self.lines.close();
            }
            let ended = loop {
                match self.lines.try_recv() {
                    Ok(line) => batch.push(line),
                    Err(error) => break error == mpsc::error::TryRecvError::Disconnected,
                }
                if batch.len() == BATCH {
                    hand_over(batch.drain(..), &recorder, &mut allowances);
                }
            };
            hand_over(batch.drain(..), &recorder, &mut allowances);
            if ended || stopping {
                return Ok(());
            }
        }
    }
}

/// One export for all lines, grouped by service.
fn hand_over(lines: impl Iterator<Item = RawLine>, recorder: &Recorder, allowances: &mut Allowances) {
    let mut services: IndexMap<String, Vec<LogRecord>> = IndexMap::new();
    for line in lines {
        if !allowances.spend(&line.service) {
            recorder.lost(format!("log lines of {} over {RATE} a second", line.service), 1);
            continue;
        }
        let record = record_of(&line);
        services.entry(line.service).or_default().push(record);
    }
    let count: usize = services.values().map(Vec::len).sum();
    let resource_logs = services.into_iter().map(|(service, records)| group(service, records)).collect();
    if count > 0 {
        // Where the recorder is behind, it has counted them; a line that was read cannot be asked for again.
        let _taken: Result<_, Overloaded> = recorder.logs(ExportLogsServiceRequest { resource_logs });
    }
}

fn group(service: String, log_records: Vec<LogRecord>) -> ResourceLogs {
    let name = KeyValue { key: "service.name".to_owned(), value: Some(text_value(service)), ..KeyValue::default() };
    let scope = InstrumentationScope { name: "shakedown.output".to_owned(), ..InstrumentationScope::default() };
    ResourceLogs {
        resource: Some(Resource { attributes: vec![name], ..Resource::default() }),
        scope_logs: vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }],
        ..ResourceLogs::default()
    }
}

/// One line as a log record, with what can be found in it.
pub(crate) fn record_of(raw: &RawLine) -> LogRecord {
    let mut body = line::without_colours(&raw.line).into_owned();
    let Found { trace, span, severity } = line::find(&body);
    cut(&mut body, BODY);
    LogRecord {
        time_unix_nano: raw.at.0,
        observed_time_unix_nano: raw.at.0,
        severity_number: severity.map_or(0, Severity::number),
        severity_text: severity.map_or_else(String::new, |severity| severity.word().to_owned()),
        body: Some(text_value(body)),
        trace_id: trace.map_or_else(Vec::new, |id| id.bytes().to_vec()),
        span_id: span.map_or_else(Vec::new, |id| id.bytes().to_vec()),
        ..LogRecord::default()
    }
}

fn text_value(text: String) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text)) }
}

/// What each service may still write: a bucket that fills at [`RATE`] up to [`BURST`].
#[derive(Default)]
struct Allowances {
    buckets: IndexMap<String, (f64, Option<Instant>)>,
}

impl Allowances {
    fn spend(&mut self, service: &str) -> bool {
        let known = self.buckets.contains_key(service) || self.buckets.len() < SERVICES;
        let name = if known { service } else { "" };
        if !self.buckets.contains_key(name) {
            self.buckets.insert(name.to_owned(), (BURST, None));
        }
        let now = Instant::now();
        let Some((left, seen)) = self.buckets.get_mut(name) else { return false };
        let passed = seen.map_or(Duration::ZERO, |seen| now.duration_since(seen));
        *left = (*left + passed.as_secs_f64() * RATE).min(BURST);
        *seen = Some(now);
        if *left < 1.0 {
            return false;
        }
        *left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_service_that_storms_is_held_to_its_rate_and_the_others_are_not() {
        let mut allowances = Allowances::default();
        let spent = |allowances: &mut Allowances, lines| (0..lines).filter(|_| allowances.spend("loud")).count();
        assert_eq!(spent(&mut allowances, 50_000), BURST as usize);
        assert!(allowances.spend("quiet"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(spent(&mut allowances, 50_000), RATE as usize);
    }
}
