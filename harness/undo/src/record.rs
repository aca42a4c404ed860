//! The lines of a journal file, and reading them back from a file that a crash may have torn.

use crate::change::Undo;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the file format: the `journal` field of its first line.
const FORMAT: &str = "shakedown.journal/1";

/// A line that is neither a record nor a torn tail: somebody or something damaged the file, and an undo may be lost in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// 1-based.
    pub line: usize,
    /// The line, cut to 200 characters.
    pub text: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Record {
    Head { journal: String, run: String },
    Intend { intend: u64, change: serde_json::Value },
    Settle { settle: u64 },
}

/// What a journal file says.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) run: Option<String>,
    pub(crate) pending: BTreeMap<u64, Undo>,
    pub(crate) last: u64,
    pub(crate) unread: Vec<Unread>,
    /// Length of the file up to the end of its last whole line.
    pub(crate) sound_length: usize,
    /// The last line is whole but its line end is missing.
    pub(crate) lacks_newline: bool,
}

pub(crate) fn head_line(run: &str) -> Vec<u8> {
    line(&Record::Head { journal: FORMAT.to_owned(), run: run.to_owned() })
}

pub(crate) fn intend_line(number: u64, undo: &Undo) -> Result<Vec<u8>, serde_json::Error> {
    Ok(line(&Record::Intend { intend: number, change: serde_json::to_value(undo)? }))
}

pub(crate) fn settle_line(number: u64) -> Vec<u8> {
    line(&Record::Settle { settle: number })
}

fn line(record: &Record) -> Vec<u8> {
    // A JSON value of strings and numbers always prints.
    let mut bytes = serde_json::to_vec(record).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Reads a whole journal. Never fails: what cannot be read is in [`Reading::unread`], except a torn tail, which is harmless: the
/// `intend` that was writing it had not returned, so its change was never made.
pub(crate) fn read(bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut offset = 0;
    for (index, raw) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let whole = raw.ends_with(b"\n");
        let text = raw.strip_suffix(b"\n").unwrap_or(raw);
        offset += raw.len();
        if text.is_empty() {
            reading.sound_length = offset;
            continue;
        }
        match parse(text) {
            Some(record) => {
                reading.apply(record);
                reading.sound_length = offset;
                reading.lacks_newline = !whole;
            }
            None if offset == bytes.len() => {} // the torn tail
            None => {
                let text = String::from_utf8_lossy(text).chars().take(200).collect();
                reading.unread.push(Unread { line: index + 1, text });
                reading.sound_length = offset;
            }
        }
    }
    reading
}

fn parse(text: &[u8]) -> Option<Record> {
    serde_json::from_slice(text).ok()
}

impl Reading {
    fn apply(&mut self, record: Record) {
        match record {
            Record::Head { run, .. } => self.run = Some(run),
            Record::Intend { intend, change } => {
                let text = change.to_string();
                let undo = serde_json::from_value(change).unwrap_or(Undo::Unknown { text });
                self.pending.insert(intend, undo);
                self.last = self.last.max(intend);
            }
            Record::Settle { settle } => {
                self.pending.remove(&settle);
                self.last = self.last.max(settle);
            }
        }
    }
}
