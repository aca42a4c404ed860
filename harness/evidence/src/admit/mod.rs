//! What of a request gets into the evidence: every text, list and depth is bounded here, and what cannot be evidence is refused with a reason.
//!
//! Whatever passes can be written as OTLP JSON and read back. Pure: the time is handed in. Knows no socket and no file.

mod json;
mod line;
mod logs;
mod measure;
mod metrics;
#[cfg(test)]
mod same;
mod traces;
mod wire;

pub(crate) use json::traces as line_of_json;
pub(crate) use line::Line;
use measure::Measure;
pub(crate) use measure::{ATTRIBUTES, BODY, TEXT, bound, cut};
use serde::{Serialize, de::DeserializeOwned};
use shakedown_model::time::UnixNanos;
pub(crate) use wire::traces as line_of_protobuf;

/// What was let in of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Admission {
    /// Items that stay.
    pub(crate) kept: u64,
    /// Items that were taken out.
    pub(crate) refused: u64,
    /// Why the first of them was.
    pub(crate) why: Option<&'static str>,
    /// Texts, lists and values that were shortened.
    pub(crate) cut: u64,
    /// About how many bytes the rest occupies.
    pub(crate) weight: usize,
}

/// One of the three requests of OTLP.
pub(crate) trait Signal: prost::Message + Default + Serialize + DeserializeOwned + Send + 'static {
    /// What its items are called in messages.
    const ITEMS: &'static str;

    /// Bounds everything, takes out what cannot be evidence, and says what was done.
    fn admit(&mut self, now: UnixNanos) -> Admission;
}

/// Keeps the running account while a request is walked through.
#[derive(Default)]
struct Account {
    measure: Measure,
    kept: u64,
    refused: u64,
    why: Option<&'static str>,
}

impl Account {
    /// Books one item: kept, or refused for a reason. Answers whether it stays.
    fn book(&mut self, item: Result<(), &'static str>) -> bool {
        match item {
            Ok(()) => self.kept += 1,
            Err(why) => {
                self.refused += 1;
                self.why.get_or_insert(why);
            }
        }
        item.is_ok()
    }

    fn close(self) -> Admission {
        let Account { measure, kept, refused, why } = self;
        Admission { kept, refused, why, cut: measure.cut, weight: measure.weight }
    }
}

/// Whether an id is as long as it must be and not all zero.
fn is_id(id: &[u8], length: usize) -> bool {
    id.len() == length && id.iter().any(|byte| *byte != 0)
}
