//! A run directory out of telemetry that others recorded, so that it can be judged like one of our own.
//!
//! Knows formats and query APIs. No fault of an input ends the import: it is counted, and told where the run is judged. Only where nothing at
//! all could be read, or nothing can be written, is there no run.

mod answers;
mod documents;
mod jaeger;
mod origin;
mod otel;
mod otlp;
mod outline;
mod query;
mod run;
mod sink;
mod zipkin;

pub use origin::Origin;
pub use query::Address;
pub use run::{Asked, import};

use crate::{driver::RecordError, losses::Losses, read::ReadError};
use documents::Document;
use outline::Outline;
use sink::{Sink, Unread};
use std::{fs::File, io};

/// How traces were recorded. What a document holds is seen by itself; this says what to ask a query API for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OTLP JSON or protobuf; a Tempo.
    Otlp,
    /// Jaeger's JSON; a Jaeger.
    Jaeger,
    /// Zipkin's version 2; a Zipkin.
    Zipkin,
}

impl Format {
    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Format::Otlp => "otlp",
            Format::Jaeger => "jaeger",
            Format::Zipkin => "zipkin",
        }
    }
}

/// How much was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans.
    pub spans: u64,
    /// Log records.
    pub logs: u64,
    /// Data points of metrics.
    pub points: u64,
    /// Requests: spans that nobody called.
    pub requests: u64,
}

/// What became of one variant.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// How much was taken.
    pub counts: Counts,
    /// Services in its traces.
    pub services: usize,
    /// What did not get in, or is odd.
    pub losses: Losses,
    /// What was wrong with sources and documents, in words; the first few.
    pub notes: Vec<String>,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Nothing could be read of any source.
    #[error("nothing could be read of {of}: {}", tried.join("; "))]
    Nothing {
        /// `the baseline`, or what was asked for.
        of: &'static str,
        /// What was tried, and what became of it.
        tried: Vec<String>,
    },
    /// Phases cannot be told.
    #[error("{0}")]
    Phases(String),
    /// The run directory cannot be made.
    #[error("{0}")]
    Directory(io::Error),
    /// The evidence cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// What was written cannot be read again.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Notes that are kept.
const NOTES: usize = 20;
/// Longest note, in characters.
const NOTE: usize = 300;

/// Takes everything from origins into one sink.
struct Importer {
    sink: Sink,
    format: Format,
    notes: Vec<String>,
}

impl Importer {
    fn note(&mut self, what: &str, why: &str) {
        if self.notes.len() < NOTES {
            self.notes.push(format!("{what}: {why}").chars().take(NOTE).map(|c| if c.is_control() { ' ' } else { c }).collect());
        }
    }

    /// Everything that one origin has.
    async fn take(&mut self, origin: &Origin, around: Option<shakedown_model::time::Window>) -> Result<(), RecordError> {
        match origin {
            Origin::Path(path) => {
                let (files, over) = match origin::files(path) {
                    Ok(found) => found,
                    Err(error) => {
                        self.sink.lost("sources that cannot be read", 1);
                        self.note(&origin.to_string(), &error.to_string());
                        return Ok(());
                    }
                };
                self.sink.lost("files of a directory over the limit", over);
                if files.is_empty() {
                    self.note(&origin.to_string(), "it holds no file");
                }
                files.iter().try_for_each(|file| self.file(file))
            }
            Origin::Address(address) => self.address(address, around).await,
        }
    }

    fn file(&mut self, path: &std::path::Path) -> Result<(), RecordError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => self.documents(&name, file).map(drop),
            Err(error) => {
                self.sink.lost("sources that cannot be read", 1);
                self.note(&name, &error.to_string());
                Ok(())
            }
        }
    }

    async fn address(&mut self, address: &Address, around: Option<shakedown_model::time::Window>) -> Result<(), RecordError> {
        let mut open = vec![address.clone()];
        if address.is_bare() {
            match address.questions(self.format, around).await {
                Ok(questions) => open = questions,
                Err(why) => {
                    self.unanswered(address, &why);
                    return Ok(());
                }
            }
        }
        open.reverse();
        while let Some(address) = open.pop() {
            match address.fetch().await {
                Ok(answer) => {
                    let found = address.found_by_search(&answer);
                    if found.is_empty() {
                        self.documents(&address.to_string(), &answer[..])?;
                    }
                    open.extend(found);
                }
                Err(why) => self.unanswered(&address, &why),
            }
        }
        Ok(())
    }

    fn unanswered(&mut self, address: &Address, why: &str) {
        self.sink.lost("queries without an answer", 1);
        self.note(&address.to_string(), why);
    }

    fn documents(&mut self, name: &str, bytes: impl io::Read) -> Result<(), RecordError> {
        let ledger = crate::losses::Ledger::default();
        let mut read = 0;
        let taken = documents::each(bytes, &ledger, &mut |document: Document<'_>| {
            read += 1;
            match document_into(&document, &mut self.sink) {
                Ok(()) => Ok(()),
                Err(Unread::Document(why)) => {
                    self.sink.lost("documents that cannot be read", 1);
                    self.note(name, &why);
                    Ok(())
                }
                Err(Unread::Disk(error)) => Err(error),
            }
        });
        for (what, count) in ledger.snapshot() {
            if self.notes.len() < NOTES {
                self.note(name, &format!("{count} {what}"));
            }
            self.sink.ledger.add(what, count);
        }
        if read == 0 {
            self.note(name, "it holds no document");
        }
        taken
    }
}

/// One document of whatever format.
fn document_into(document: &Document<'_>, sink: &mut Sink) -> Result<(), Unread> {
    match document {
        Document::Protobuf(bytes) => otlp::read_protobuf(bytes, sink),
        Document::Json(json, outline) if answers::is_it(outline) => answers::read(json, sink),
        Document::Json(json, outline) if otlp::is_it(outline) => otlp::read(json, sink),
        Document::Json(json, outline) if jaeger::is_it(outline) => jaeger::read(json, outline, sink),
        Document::Json(json, outline) if zipkin::is_it(outline) => zipkin::read(json, sink),
        Document::Json(_, Outline::List(None)) => Ok(()),
        Document::Json(..) => {
            Err(Unread::Document("it is neither OTLP, Jaeger or Zipkin JSON nor an answer of Tempo, Loki or Prometheus".to_owned()))
        }
    }
}
