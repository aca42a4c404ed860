//! Which commit is judged and which one it is compared with.

use crate::repository::{CommitError, Repository};
use git2::Oid;
use shakedown_model::{experiment::BaselineCommit, run::CommitInfo};

const UNSHALLOW: &str = "the clone is shallow: run `git fetch --unshallow` (in GitHub Actions: actions/checkout with `fetch-depth: 0`)";

/// What the CI says of the change, out of its environment variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CiEnvironment {
    /// Name of the branch that the change wants to go into.
    pub target_branch: Option<String>,
}

impl CiEnvironment {
    /// Reads what GitHub Actions (`GITHUB_BASE_REF`), GitLab (`CI_MERGE_REQUEST_TARGET_BRANCH_NAME`) and Jenkins (`CHANGE_TARGET`) say.
    /// `base.sha` of a pull request is not used: it is stale as soon as the target branch moves on.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> CiEnvironment {
        let names = ["GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CHANGE_TARGET"];
        CiEnvironment { target_branch: names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty())) }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// `--head`; `None`: the working tree.
    pub head: Option<&'a str>,
    /// `--base`; goes before the config.
    pub base: Option<&'a str>,
    /// What the config says.
    pub config: &'a BaselineCommit,
    /// What the CI says.
    pub ci: &'a CiEnvironment,
}

/// A baseline and how it was found, or why there is none.
struct Found {
    commit: Option<Oid>,
    source: String,
}

impl Found {
    fn at(commit: Oid, source: impl Into<String>) -> Found {
        Found { commit: Some(commit), source: source.into() }
    }

    fn none(why: impl std::fmt::Display) -> Found {
        Found { commit: None, source: format!("none: {why}") }
    }
}

impl Repository {
    /// Finds candidate and baseline. A revision that was asked for and does not exist is an error; a baseline that cannot be found is
    /// `None` with the reason in `baseline_source`.
    pub fn find(&self, question: &Question<'_>) -> Result<CommitInfo, CommitError> {
        let head = match (question.head, self.git.head()) {
            (Some(revision), _) => self.resolve(revision)?,
            (None, Ok(head)) => head.peel_to_commit()?.id(),
            (None, Err(_)) => return Ok(unborn()),
        };
        let dirty = question.head.is_none() && self.is_dirty()?;
        let found = match (question.base, question.config) {
            (Some(revision), _) => Found::at(self.resolve(revision)?, format!("--base {revision}")),
            (None, BaselineCommit::Revision(revision)) => Found::at(self.resolve(revision)?, format!("baseline.commit {revision}")),
            (None, BaselineCommit::MergeBase) => self.merge_base(head, dirty, question.ci)?,
        };
        Ok(CommitInfo {
            candidate: Some(head.to_string()),
            candidate_subject: self.subject(head),
            dirty,
            baseline: found.commit.map(|commit| commit.to_string()),
            baseline_subject: found.commit.and_then(|commit| self.subject(commit)),
            baseline_source: found.source,
        })
    }

    fn merge_base(&self, head: Oid, dirty: bool, ci: &CiEnvironment) -> Result<Found, CommitError> {
        let Some((branch, tip)) = self.target_branch(ci)? else {
            return Ok(self.parent(head, dirty, "no main branch to compare with"));
        };
        if ci.target_branch.is_some() && self.git.find_commit(head)?.parent_count() == 2 {
            // `pull_request` checks out the test merge: its first parent is what it was merged onto, so only the change differs.
            return Ok(Found::at(self.git.find_commit(head)?.parent_id(0)?, format!("first parent of the test merge into {branch}")));
        }
        if head == tip || self.git.graph_descendant_of(tip, head)? {
            return Ok(self.parent(head, dirty, &format!("on {branch}")));
        }
        match self.git.merge_base(head, tip) {
            Ok(base) => Ok(Found::at(base, format!("merge-base with {branch}"))),
            Err(_) if self.is_shallow() => Ok(Found::none(UNSHALLOW)),
            Err(_) => Ok(Found::none(format!("no common ancestor with {branch}; name one with --base"))),
        }
    }

    /// `HEAD` itself where the working tree has changes of its own, else `HEAD^`.
    fn parent(&self, head: Oid, dirty: bool, situation: &str) -> Found {
        if dirty {
            return Found::at(head, format!("HEAD, {situation} with uncommitted changes"));
        }
        match self.git.find_commit(head).and_then(|commit| commit.parent_id(0)) {
            Ok(parent) if self.git.find_commit(parent).is_ok() => Found::at(parent, format!("HEAD^, {situation}")),
            _ if self.is_shallow() => Found::none(UNSHALLOW),
            _ => Found::none("the first commit has nothing before it"),
        }
    }

    /// The branch that changes go into: what the CI says, else the remote's default, else the usual names.
    fn target_branch(&self, ci: &CiEnvironment) -> Result<Option<(String, Oid)>, CommitError> {
        if let Some(name) = &ci.target_branch {
            for candidate in [format!("refs/remotes/origin/{name}"), format!("refs/heads/{name}")] {
                if let Some(tip) = self.tip(&candidate) {
                    return Ok(Some((short(&candidate), tip)));
                }
            }
            return Err(CommitError::NoSuchRevision {
                revision: format!("origin/{name}"),
                hint: "; the CI names it as the target branch: `git fetch origin` it (in GitHub Actions: actions/checkout with `fetch-depth: 0`)",
            });
        }
        let usual =
            ["refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/remotes/origin/master", "refs/heads/main", "refs/heads/master"];
        Ok(usual.iter().find_map(|name| Some((short(name), self.tip(name)?))))
    }

    fn tip(&self, reference: &str) -> Option<Oid> {
        self.git.find_reference(reference).ok()?.peel_to_commit().ok().map(|commit| commit.id())
    }
}

fn short(reference: &str) -> String {
    reference.trim_start_matches("refs/remotes/").trim_start_matches("refs/heads/").to_owned()
}

fn unborn() -> CommitInfo {
    CommitInfo { dirty: true, baseline_source: "none: the repository has no commit yet".to_owned(), ..CommitInfo::default() }
}
