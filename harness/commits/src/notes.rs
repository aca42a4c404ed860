//! Lines of text that stand beside commits: git notes.
//!
//! A note is a set of lines. Two writers who did not know of each other are joined by the union of their lines, as git's own
//! `notes.mergeStrategy = cat_sort_uniq` does, so that nothing is lost and the order of merging does not matter.

use crate::repository::{CommitError, Repository};
use git2::{Commit, ErrorCode, ObjectType, Oid, Signature, Tree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
};

/// A larger note is not ours.
const MAX_NOTE_BYTES: usize = 16 << 20;
/// How often a writer that is not ours, such as git, is let go first.
const ATTEMPTS: u32 = 1000;

/// What a merge of notes did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotesMerge {
    /// The other reference is not there: nothing was fetched.
    NothingFetched,
    /// All of it was here already.
    UpToDate,
    /// It holds all that was here, and more.
    FastForward,
    /// Both had something of their own.
    Joined,
}

/// The blob of each commit's note.
type Notes = BTreeMap<Oid, Oid>;

impl Repository {
    /// Adds a line to the note of `commit` under `reference`; one that is there already is not added again.
    pub fn add_note_line(&self, reference: &str, commit: &str, line: &str) -> Result<(), CommitError> {
        let _alone = self.alone()?;
        let commit = self.resolve(commit)?;
        let line = line.replace(['\n', '\r'], " ");
        let mut attempt = 0;
        loop {
            match self.try_to_add(reference, commit, &line) {
                Err(CommitError::Git(error)) if attempt < ATTEMPTS && is_race(&error) => attempt += 1,
                outcome => return outcome,
            }
            std::thread::yield_now();
        }
    }

    /// Everything is read from one state of the reference, and written only where that is still its state.
    fn try_to_add(&self, reference: &str, commit: Oid, line: &str) -> Result<(), CommitError> {
        let tip = self.notes_tip(reference);
        let mut notes = self.notes_at(tip)?;
        let mut lines = notes.get(&commit).map_or(Ok(BTreeSet::new()), |blob| self.lines(*blob))?;
        if !lines.insert(line.to_owned()) {
            return Ok(());
        }
        notes.insert(commit, self.git.blob(text(&lines).as_bytes())?);
        let parents = tip.map(|tip| self.git.find_commit(tip)).transpose()?;
        self.write_notes(reference, tip, &notes, &parents.iter().collect::<Vec<_>>())
    }

    /// The lines of all notes under several references, without repetition, by commit.
    pub fn note_lines(&self, references: &[&str]) -> Result<Vec<(String, String)>, CommitError> {
        let mut all: BTreeMap<Oid, BTreeSet<String>> = BTreeMap::new();
        for reference in references {
            for (commit, blob) in self.notes_at(self.notes_tip(reference))? {
                all.entry(commit).or_default().extend(self.lines(blob)?);
            }
        }
        Ok(all.into_iter().flat_map(|(commit, lines)| lines.into_iter().map(move |line| (commit.to_string(), line))).collect())
    }

    /// Joins the notes of `from` (as fetched) into those of `into`, which then descends from both, so that it can be pushed.
    pub fn merge_notes(&self, into: &str, from: &str) -> Result<NotesMerge, CommitError> {
        let _alone = self.alone()?;
        let Some(theirs) = self.notes_tip(from) else { return Ok(NotesMerge::NothingFetched) };
        let Some(ours) = self.notes_tip(into) else {
            self.git.reference(into, theirs, false, "shakedown: notes as fetched")?;
            return Ok(NotesMerge::FastForward);
        };
        if ours == theirs || self.git.graph_descendant_of(ours, theirs)? {
            return Ok(NotesMerge::UpToDate);
        }
        if self.git.graph_descendant_of(theirs, ours)? {
            self.git.reference_matching(into, theirs, true, ours, "shakedown: notes as fetched")?;
            return Ok(NotesMerge::FastForward);
        }
        let mut all = self.notes_at(Some(ours))?;
        for (commit, blob) in self.notes_at(Some(theirs))? {
            let mut lines = self.lines(blob)?;
            if let Some(own) = all.get(&commit) {
                lines.extend(self.lines(*own)?);
            }
            all.insert(commit, self.git.blob(text(&lines).as_bytes())?);
        }
        let parents = [self.git.find_commit(ours)?, self.git.find_commit(theirs)?];
        self.write_notes(into, Some(ours), &all, &[&parents[0], &parents[1]])?;
        Ok(NotesMerge::Joined)
    }

    /// Keeps other writers of ours away while it lives: of two that make a reference, libgit2 lets the second one overwrite the first.
    fn alone(&self) -> Result<File, CommitError> {
        let path = self.git.commondir().join("shakedown-notes.lock");
        let lock = || {
            let file = File::options().create(true).append(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|source| CommitError::Io { path: path.clone(), source })
    }

    fn notes_tip(&self, reference: &str) -> Option<Oid> {
        self.git.find_reference(reference).ok().and_then(|reference| reference.target())
    }

    fn notes_at(&self, tip: Option<Oid>) -> Result<Notes, CommitError> {
        let mut notes = Notes::new();
        if let Some(tip) = tip {
            self.collect(&self.git.find_commit(tip)?.tree()?, "", &mut notes)?;
        }
        Ok(notes)
    }

    /// Git spreads many notes over folders of two digits; together the names are the commit's id.
    fn collect(&self, tree: &Tree<'_>, before: &str, notes: &mut Notes) -> Result<(), CommitError> {
        for entry in tree {
            let name = format!("{before}{}", String::from_utf8_lossy(entry.name_bytes()));
            match entry.kind() {
                Some(ObjectType::Tree) if name.len() < 40 => self.collect(&self.git.find_tree(entry.id())?, &name, notes)?,
                Some(ObjectType::Blob) if name.len() == 40 => {
                    notes.extend(Oid::from_str(&name).ok().map(|commit| (commit, entry.id())));
                }
                _ => {} // not a note
            }
        }
        Ok(())
    }

    fn lines(&self, blob: Oid) -> Result<BTreeSet<String>, CommitError> {
        if self.git.odb()?.read_header(blob)?.0 > MAX_NOTE_BYTES {
            return Ok(BTreeSet::new());
        }
        let blob = self.git.find_blob(blob)?;
        Ok(String::from_utf8_lossy(blob.content()).lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
    }

    /// Moves the reference from `tip`, and from nowhere else.
    fn write_notes(&self, reference: &str, tip: Option<Oid>, notes: &Notes, parents: &[&Commit<'_>]) -> Result<(), CommitError> {
        let mut tree = self.git.treebuilder(None)?;
        for (commit, blob) in notes {
            tree.insert(commit.to_string(), *blob, 0o100_644)?;
        }
        let tree = self.git.find_tree(tree.write()?)?;
        let author = self.author()?;
        let commit = self.git.commit(None, &author, &author, "Notes added by shakedown\n", &tree, parents)?;
        match tip {
            Some(tip) => self.git.reference_matching(reference, commit, true, tip, "shakedown: notes")?,
            None => self.git.reference(reference, commit, false, "shakedown: notes")?,
        };
        Ok(())
    }

    /// Whoever git says; a CI often says nobody.
    fn author(&self) -> Result<Signature<'static>, CommitError> {
        match self.git.signature() {
            Ok(signature) => Ok(signature.to_owned()),
            Err(_) => Ok(Signature::now("shakedown", "shakedown@localhost")?),
        }
    }
}

fn text(lines: &BTreeSet<String>) -> String {
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

/// Another writer was quicker, or holds the lock.
fn is_race(error: &git2::Error) -> bool {
    matches!(error.code(), ErrorCode::Modified | ErrorCode::Locked | ErrorCode::NotFastForward | ErrorCode::Exists)
}
