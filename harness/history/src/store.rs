//! A store of records, opened.

use crate::objects::Objects;
use shakedown_commits::{CommitError, NotesMerge, Repository};
use shakedown_model::history::{HISTORY_SCHEMA, HistoryRecord, HistoryStore};
use std::path::Path;

/// Where our records stand.
const NOTES: &str = "refs/notes/shakedown";
/// Where those of others stand after a fetch.
const FETCHED: &str = "refs/notes/shakedown-origin";
/// A larger record is not ours.
pub(crate) const MAX_RECORD_BYTES: usize = 1 << 20;

/// Why a store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Notes need a repository.
    #[error("history.store is git-notes, and this is not in a git repository")]
    NoRepository,
    /// Git said no.
    #[error(transparent)]
    Git(#[from] CommitError),
    /// A disk or a bucket said no. Secrets are taken out of the text.
    #[error("{store}: {why}")]
    Store {
        /// As the config writes it.
        store: String,
        /// Why.
        why: String,
    },
    /// Only notes have something to merge.
    #[error("history.store is {0}: only git-notes have something to merge")]
    NothingToMerge(String),
}

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// Oldest first.
    pub records: Vec<HistoryRecord>,
    /// Entries that are not records as we write them.
    pub refused: usize,
}

/// A store of records, opened.
pub struct History<'r>(Place<'r>);

enum Place<'r> {
    Notes(&'r Repository),
    Objects(Objects),
}

impl<'r> History<'r> {
    /// Opens a store; `home` is `.shakedown` beside the config. Nothing is made or asked yet.
    pub fn open(store: &HistoryStore, home: &Path, repository: Option<&'r Repository>) -> Result<History<'r>, HistoryError> {
        Ok(History(match store {
            HistoryStore::GitNotes => Place::Notes(repository.ok_or(HistoryError::NoRepository)?),
            HistoryStore::Directory => Place::Objects(Objects::folder(store, &home.join("history"))),
            HistoryStore::Folder(folder) => Place::Objects(Objects::folder(store, folder)),
            HistoryStore::Bucket { bucket, prefix } => Place::Objects(Objects::bucket(store, bucket, prefix)?),
        }))
    }

    /// Keeps a record. The same one twice is kept once.
    pub async fn keep(&self, record: &HistoryRecord) -> Result<(), HistoryError> {
        let line =
            serde_json::to_string(record).map_err(|error| HistoryError::Store { store: "record".to_owned(), why: error.to_string() })?;
        match &self.0 {
            Place::Notes(repository) => Ok(repository.add_note_line(NOTES, &record.commit, &line)?),
            Place::Objects(objects) => objects.put(record, line).await,
        }
    }

    /// Reads what is kept, and of notes what was fetched as well; of a folder or a bucket the latest records.
    pub async fn read(&self) -> Result<Kept, HistoryError> {
        let mut kept = Kept::default();
        match &self.0 {
            Place::Notes(repository) => {
                for (commit, line) in repository.note_lines(&[NOTES, FETCHED])? {
                    kept.add(record(line.as_bytes()).filter(|record| record.commit == commit));
                }
            }
            Place::Objects(objects) => {
                for bytes in objects.latest().await? {
                    kept.add(bytes.and_then(|bytes| record(&bytes)));
                }
            }
        }
        kept.records.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.run.cmp(&b.run)));
        Ok(kept)
    }

    /// Joins notes that were fetched into ours.
    pub fn merge(&self) -> Result<NotesMerge, HistoryError> {
        match &self.0 {
            Place::Notes(repository) => Ok(repository.merge_notes(NOTES, FETCHED)?),
            Place::Objects(objects) => Err(HistoryError::NothingToMerge(objects.name().to_owned())),
        }
    }
}

impl Kept {
    fn add(&mut self, record: Option<HistoryRecord>) {
        match record {
            Some(record) => self.records.push(record),
            None => self.refused += 1,
        }
    }
}

/// A record as we write it, or nothing.
fn record(bytes: &[u8]) -> Option<HistoryRecord> {
    if bytes.len() > MAX_RECORD_BYTES {
        return None;
    }
    let record: HistoryRecord = serde_json::from_slice(bytes).ok()?;
    let is_id = (40..=64).contains(&record.commit.len()) && record.commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    (record.schema == HISTORY_SCHEMA && is_id).then_some(record)
}
