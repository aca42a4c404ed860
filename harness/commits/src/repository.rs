//! A repository as far as a gate needs it: commits, differences, trees.

use crate::find::UNSHALLOW;
use git2::{DiffOptions, Oid, StatusOptions, build::CheckoutBuilder};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

/// Why git could not answer.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A revision that does not exist here.
    #[error("no commit `{revision}` in this repository; {hint}")]
    NoSuchRevision {
        /// As it was asked for.
        revision: String,
        /// The way out.
        hint: &'static str,
    },
    /// Git trusts a repository of its own user only.
    #[error("git refuses {folder}, since it belongs to another user: run `git config --global --add safe.directory {folder}`")]
    NotTrusted {
        /// As it was asked for.
        folder: PathBuf,
    },
    /// libgit2 said no.
    #[error("git: {0}")]
    Git(#[from] git2::Error),
    /// In a shallow clone a commit that is missing may well be reachable.
    #[error("which commits are reachable cannot be told: {UNSHALLOW}")]
    CutOff,
    /// A tree could not be written.
    #[error("cannot write {path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Seed of everything random in a run: a function of the commit id alone, so that the same commit always meets the same weather.
pub fn seed_of(commit: &str) -> u64 {
    let digest = Sha256::digest(commit.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    // 53 bits, so that every JSON reader sees the same number.
    u64::from_be_bytes(first) >> 11
}

/// An open repository.
pub struct Repository {
    pub(crate) git: git2::Repository,
}

impl Repository {
    /// The repository that `folder` lies in; `None` where there is none.
    pub fn discover(folder: &Path) -> Result<Option<Repository>, CommitError> {
        match git2::Repository::discover(folder) {
            Ok(git) if git.is_bare() => Ok(None),
            Ok(git) => Ok(Some(Repository { git })),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) if error.code() == git2::ErrorCode::Owner => Err(CommitError::NotTrusted { folder: folder.to_owned() }),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether history was cut off (`git clone --depth`).
    pub fn is_shallow(&self) -> bool {
        self.git.is_shallow()
    }

    /// Root of the working tree.
    pub fn root(&self) -> Option<&Path> {
        self.git.workdir()
    }

    /// Resolves what git understands to a full commit id.
    pub fn resolve(&self, revision: &str) -> Result<Oid, CommitError> {
        let not_found = |_| CommitError::NoSuchRevision {
            revision: revision.to_owned(),
            hint: if self.is_shallow() { UNSHALLOW } else { "`git fetch` it, or name another one" },
        };
        Ok(self.git.revparse_single(revision).and_then(|object| object.peel_to_commit()).map_err(not_found)?.id())
    }

    /// Subject line of a commit, bounded.
    pub fn subject(&self, commit: Oid) -> Option<String> {
        let commit = self.git.find_commit(commit).ok()?;
        let subject = commit.summary().ok().flatten()?;
        Some(subject.chars().take(120).collect())
    }

    /// Whether tracked files differ from `HEAD`, or new files lie about that are not ignored.
    pub fn is_dirty(&self) -> Result<bool, CommitError> {
        let mut options = StatusOptions::new();
        options.include_untracked(true).exclude_submodules(true);
        Ok(!self.git.statuses(Some(&mut options))?.is_empty())
    }

    /// Paths that differ between `baseline` and `candidate`, relative to the repository's root, sorted. A dirty tree counts.
    pub fn changed_paths(&self, baseline: &str, candidate: &str, dirty: bool) -> Result<Vec<String>, CommitError> {
        let old = self.git.find_commit(self.resolve(baseline)?)?.tree()?;
        let mut options = DiffOptions::new();
        let diff = if dirty {
            options.include_untracked(true).recurse_untracked_dirs(true);
            self.git.diff_tree_to_workdir_with_index(Some(&old), Some(&mut options))?
        } else {
            let new = self.git.find_commit(self.resolve(candidate)?)?.tree()?;
            self.git.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))?
        };
        let both = |delta: git2::DiffDelta<'_>| {
            let path = |file: git2::DiffFile<'_>| file.path().map(|path| path.to_string_lossy().into_owned());
            [path(delta.old_file()), path(delta.new_file())]
        };
        let mut paths: Vec<String> = diff.deltas().flat_map(both).flatten().collect();
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// The parents that a commit names, whether they are here or not: a shallow clone hides them.
    pub(crate) fn parents_as_written(&self, commit: Oid) -> Result<Vec<Oid>, CommitError> {
        let odb = self.git.odb()?;
        let object = odb.read(commit)?;
        let header = object.data().split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
        let parents = header.filter_map(|line| line.strip_prefix(b"parent ".as_slice()));
        Ok(parents.filter_map(|id| std::str::from_utf8(id).ok().and_then(|id| Oid::from_str(id).ok())).collect())
    }

    /// Whether history is cut off behind a commit.
    pub(crate) fn is_cut(&self, commit: Oid) -> Result<bool, CommitError> {
        let written = self.parents_as_written(commit)?;
        Ok(self.is_shallow()
            && (self.git.find_commit(commit)?.parent_count() != written.len()
                || written.iter().any(|&parent| self.git.find_commit(parent).is_err())))
    }

    /// Writes the tree of `commit` below `cache`, once: a second call finds it there. Plain files, no `.git`; the repository is not touched.
    pub fn export_tree(&self, commit: &str, cache: &Path) -> Result<PathBuf, CommitError> {
        let target = cache.join(commit);
        if target.is_dir() {
            return Ok(target);
        }
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| CommitError::Io { path, source }
        };
        let unfinished = cache.join(format!(".{commit}.{}", std::process::id()));
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).map_err(io(&unfinished))?;
        }
        std::fs::create_dir_all(&unfinished).map_err(io(&unfinished))?;
        let tree = self.git.find_commit(self.resolve(commit)?)?.into_object();
        let mut checkout = CheckoutBuilder::new();
        checkout.target_dir(&unfinished).force().recreate_missing(true).update_index(false);
        self.git.checkout_tree(&tree, Some(&mut checkout))?;
        // Another run may have been quicker: then its copy is as good.
        if std::fs::rename(&unfinished, &target).is_err() {
            std::fs::remove_dir_all(&unfinished).map_err(io(&unfinished))?;
        }
        Ok(target)
    }

    /// All commits that a branch, a tag or `HEAD` leads to.
    pub(crate) fn reachable(&self) -> Result<HashSet<String>, CommitError> {
        if self.is_shallow() {
            return Err(CommitError::CutOff);
        }
        let mut walk = self.git.revwalk()?;
        for glob in ["refs/heads/*", "refs/remotes/*", "refs/tags/*"] {
            walk.push_glob(glob)?;
        }
        if self.git.head().is_ok() {
            walk.push_head()?;
        }
        Ok(walk.filter_map(Result::ok).map(|id| id.to_string()).collect())
    }

    /// The commit and its first-parent ancestors, newest first, at most `limit`.
    pub fn first_parents(&self, commit: &str, limit: usize) -> Result<Vec<String>, CommitError> {
        let mut found = Vec::new();
        let mut next = Some(self.resolve(commit)?);
        while let Some(id) = next.take().filter(|_| found.len() < limit) {
            found.push(id.to_string());
            next = self.git.find_commit(id).ok().and_then(|commit| commit.parent_id(0).ok());
        }
        Ok(found)
    }

    /// Commits that lead to `to` and not to `from`, newest first, at most `limit`; that `from` leads to `to` is not asked.
    pub fn range(&self, from: &str, to: &str, limit: usize) -> Result<Vec<String>, CommitError> {
        let mut walk = self.git.revwalk()?;
        walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::TIME)?;
        walk.push(self.resolve(to)?)?;
        walk.hide(self.resolve(from)?)?;
        Ok(walk.filter_map(Result::ok).take(limit).map(|id| id.to_string()).collect())
    }
}
