//! Where everything that is imported goes: bounded as on the way in over the network, counted, and written as evidence.

use super::Counts;
use crate::{
    admit::Signal,
    driver::{Files, RecordError},
    losses::Ledger,
    recorder::{Item, Limits},
};
use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::any_value::Value,
    resource::v1::Resource,
    trace::v1::Span,
};
use shakedown_model::{evidence::Request, time::UnixNanos};
use std::{collections::BTreeSet, io, path::Path};

/// Services that are remembered.
const SERVICES: usize = 10_000;

/// Why a document went no further.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is not what it should be: the next one may be.
    Document(String),
    /// The evidence cannot be written: nothing helps.
    Disk(RecordError),
}

impl From<RecordError> for Unread {
    fn from(error: RecordError) -> Unread {
        Unread::Disk(error)
    }
}

impl From<serde_json::Error> for Unread {
    fn from(error: serde_json::Error) -> Unread {
        Unread::Document(error.to_string())
    }
}

/// The evidence of one variant, being written.
pub(super) struct Sink {
    files: Files,
    pub(super) ledger: Ledger,
    pub(super) counts: Counts,
    /// Names that traces gave: labels of logs and metrics that say the same name the same service.
    pub(super) services: BTreeSet<String>,
    limits: Limits,
    bytes: [u64; 3],
}

impl Sink {
    pub(super) fn open(directory: &Path) -> io::Result<Sink> {
        Ok(Sink {
            files: Files::open(directory)?,
            ledger: Ledger::default(),
            counts: Counts::default(),
            services: BTreeSet::new(),
            limits: Limits::default(),
            bytes: [0; 3],
        })
    }

    /// Counts something that does not get in.
    pub(super) fn lost(&self, what: &'static str, count: u64) {
        self.ledger.add(what, count);
    }

    pub(super) fn traces(&mut self, mut request: ExportTraceServiceRequest) -> Result<(), RecordError> {
        let mut backwards = 0;
        for resource in &mut request.resource_spans {
            self.remember(resource.resource.as_ref());
            for span in resource.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans) {
                backwards += u64::from(set_straight(span));
            }
        }
        self.lost("spans that ended before they began (taken as moments)", backwards);
        let Some(kept) = self.admit(&mut request, 0, self.counts.spans) else { return Ok(()) };
        self.counts.spans += kept;
        self.files.write(Item::Traces(request))
    }

    pub(super) fn logs(&mut self, mut request: ExportLogsServiceRequest) -> Result<(), RecordError> {
        let Some(kept) = self.admit(&mut request, 1, self.counts.logs) else { return Ok(()) };
        self.counts.logs += kept;
        self.files.write(Item::Logs(request))
    }

    pub(super) fn metrics(&mut self, mut request: ExportMetricsServiceRequest) -> Result<(), RecordError> {
        let Some(kept) = self.admit(&mut request, 2, self.counts.points) else { return Ok(()) };
        self.counts.points += kept;
        self.files.write(Item::Metrics(request))
    }

    pub(super) fn request(&mut self, request: Request) -> Result<(), RecordError> {
        self.counts.requests += 1;
        self.files.write(Item::Request(request))
    }

    /// What was written so far can be read from here on.
    pub(super) fn flush(&mut self) -> Result<(), RecordError> {
        self.files.end_frame(self.ledger.snapshot())
    }

    /// How many items stay; `None`: none.
    fn admit<S: Signal>(&mut self, request: &mut S, signal: usize, before: u64) -> Option<u64> {
        let admission = request.admit(UnixNanos(0));
        if let Some(why) = admission.why {
            self.ledger.add(format!("{} refused: {why}", S::ITEMS), admission.refused);
        }
        self.ledger.add(format!("texts, lists and values cut in {}", S::ITEMS), admission.cut);
        if admission.kept == 0 {
            return None;
        }
        self.bytes[signal] = self.bytes[signal].saturating_add(admission.weight as u64);
        if before + admission.kept > self.limits.items || self.bytes[signal] > self.limits.bytes {
            self.ledger.add(format!("{} over the limit of a run", S::ITEMS), admission.kept);
            return None;
        }
        Some(admission.kept)
    }

    fn remember(&mut self, resource: Option<&Resource>) {
        let attributes = resource.map(|resource| &resource.attributes[..]).unwrap_or_default();
        let value = attributes.iter().find(|pair| pair.key == "service.name").and_then(|pair| pair.value.as_ref()?.value.as_ref());
        if let Some(Value::StringValue(name)) = value
            && self.services.len() < SERVICES
            && !self.services.contains(name)
        {
            self.services.insert(name.clone());
        }
    }
}

/// A span cannot take less than no time. Answers whether this one did.
fn set_straight(span: &mut Span) -> bool {
    let backwards = span.end_time_unix_nano < span.start_time_unix_nano && span.end_time_unix_nano != 0;
    if backwards {
        span.end_time_unix_nano = span.start_time_unix_nano;
    }
    backwards
}
