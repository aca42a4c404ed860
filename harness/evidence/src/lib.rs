//! What was seen and when: OTLP receiver, logs, Prometheus scrape, recorder, and the run directory, written and read back.
//!
//! This room listens and writes down. It knows neither faults nor expectations: whether what it saw is good is for others to say.
//! Telemetry is hostile input: every size, depth and count is bounded, and what does not get in is counted.

mod admit;
mod ask;
mod directory;
mod driver;
mod event_log;
mod frames;
pub mod import;
mod imported;
mod logs;
mod losses;
mod otlp;
mod read;
mod recorder;
mod roots;
mod sample;
mod scrape;
mod source;

pub use ask::{Answer, AskError, ask};
pub use directory::RunDirectory;
pub use driver::{RecordError, RecorderDriver};
pub use event_log::EventLog;
pub use logs::LogSource;
pub use losses::Losses;
pub use otlp::OtlpReceiver;
pub use read::{ReadError, Variants, read, read_variants, run_meta};
pub use recorder::{Accepted, Limits, Overloaded, Recorder};
pub use scrape::Scraper;
pub use source::{Source, SourceError};
