//! Which commit is judged and which one it is compared with.

use crate::{
    ci::{Checkout, CiEnvironment},
    repository::{CommitError, Repository},
    select::Selection,
};
use git2::{Oid, Sort};
use shakedown_model::{experiment::BaselineCommit, run::CommitInfo};
use std::collections::HashMap;

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

    fn cut_off(why: &str) -> Found {
        Found::none(format!("{why}: {UNSHALLOW}"))
    }
}

/// The way out of a clone whose history is cut off.
pub(crate) const UNSHALLOW: &str = "the clone is shallow: run `git fetch --unshallow --tags` (GitHub Actions: actions/checkout with \
     `fetch-depth: 0`; GitLab CI: `GIT_DEPTH: 0`; Jenkins: no shallow clone)";

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
            (None, BaselineCommit::LastTag) => self.last_tag(head, dirty)?,
            (None, BaselineCommit::MergeBase) => self.baseline_of(head, dirty, question.ci)?,
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

    /// What the trailer `Shakedown:` of a commit message asks for. A merge that the CI made has none: then the change that it merged is asked.
    pub fn selection(&self, commit: &str, ci: &CiEnvironment) -> Result<Option<Selection>, CommitError> {
        let id = self.resolve(commit)?;
        let of = |id: Oid| {
            self.git.find_commit(id).ok().and_then(|commit| Selection::of_message(&String::from_utf8_lossy(commit.message_bytes())))
        };
        let merged = match self.parents_as_written(id)?[..] {
            [_, change] if self.test_merge(id, ci)?.is_some() || self.queue_head(id, ci) => Some(change),
            _ => None,
        };
        Ok(of(id).or_else(|| merged.and_then(of)))
    }

    /// Whether a commit belongs to the main branch: what history keeps. The trial of a change does not.
    pub fn is_on_main(&self, commit: &str, ci: &CiEnvironment) -> Result<bool, CommitError> {
        if ci.target_branch.is_some() || ci.checkout == Checkout::TestMerge {
            return Ok(false);
        }
        let id = self.resolve(commit)?;
        let Some((_, tip)) = self.target_branch(ci)? else { return Ok(false) };
        Ok(id == tip || self.git.graph_descendant_of(tip, id)?)
    }

    fn baseline_of(&self, head: Oid, dirty: bool, ci: &CiEnvironment) -> Result<Found, CommitError> {
        if let Some(onto) = self.test_merge(head, ci)? {
            // Only the change differs between the test merge and what it was merged onto.
            let target = ci.target_branch.as_deref().map(|branch| format!(" into {branch}")).unwrap_or_default();
            return Ok(match self.git.find_commit(onto) {
                Ok(_) => Found::at(onto, format!("first parent of the test merge{target}")),
                Err(_) => Found::cut_off("the first parent of the test merge is not here"),
            });
        }
        match &ci.checkout {
            Checkout::Queue { base: Some(base) } if self.queue_head(head, ci) => {
                if let Some(found) = self.below_the_queue(head, base)? {
                    return Ok(found);
                }
            }
            Checkout::Tag if is_checked_out(head, ci) => return self.last_tag(head, dirty),
            _ => {}
        }
        self.merge_base(head, dirty, ci)
    }

    /// What `head` was merged onto, where it is a merge that a CI made. GitHub's says so in its subject, too, where the environment does not reach the step;
    /// a merge that somebody made himself (the target into his branch) is none.
    fn test_merge(&self, head: Oid, ci: &CiEnvironment) -> Result<Option<Oid>, CommitError> {
        let [onto, change] = self.parents_as_written(head)?[..] else { return Ok(None) };
        let said = ci.checkout == Checkout::TestMerge && is_checked_out(head, ci);
        let written = self.subject(head).is_some_and(|subject| subject == format!("Merge {change} into {onto}"));
        Ok((said || written).then_some(onto))
    }

    fn queue_head(&self, head: Oid, ci: &CiEnvironment) -> bool {
        matches!(ci.checkout, Checkout::Queue { .. }) && is_checked_out(head, ci)
    }

    /// What a merge queue's group goes on top of; `None`: the event names no ancestor of `head`, so it is not believed.
    fn below_the_queue(&self, head: Oid, base: &str) -> Result<Option<Found>, CommitError> {
        let base = Oid::from_str(base)?;
        if self.git.find_commit(base).is_err() {
            return Ok(self.is_shallow().then(|| Found::cut_off("the base of the merge group is not here")));
        }
        Ok(self.git.graph_descendant_of(head, base)?.then(|| Found::at(base, "base of the merge group")))
    }

    fn merge_base(&self, head: Oid, dirty: bool, ci: &CiEnvironment) -> Result<Found, CommitError> {
        let Some((branch, tip)) = self.target_branch(ci)? else {
            return Ok(self.parent(head, dirty, "no main branch to compare with"));
        };
        if head == tip || self.git.graph_descendant_of(tip, head)? {
            return Ok(self.parent(head, dirty, &format!("on {branch}")));
        }
        let Some(base) = self.nearest_merge_base(head, tip)? else {
            let why = format!("no common ancestor with {branch}");
            return Ok(if self.is_shallow() { Found::cut_off(&why) } else { Found::none(format!("{why}; name one with --base")) });
        };
        if self.is_cut_between(&[head, tip], base)? {
            return Ok(Found::cut_off(&format!("history is cut before the merge-base with {branch} is certain")));
        }
        Ok(Found::at(base, format!("merge-base with {branch}")))
    }

    /// Histories that were merged crosswise have several: the newest, then the smallest id, so that every clone finds the same.
    fn nearest_merge_base(&self, head: Oid, tip: Oid) -> Result<Option<Oid>, CommitError> {
        let bases = match self.git.merge_bases(head, tip) {
            Ok(bases) => bases,
            Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let time = |id: Oid| self.git.find_commit(id).map_or(0, |commit| commit.time().seconds());
        Ok(bases.iter().copied().min_by_key(|&id| (std::cmp::Reverse(time(id)), id)))
    }

    /// Whether a commit whose parents are not here lies between the tips and `base`: behind it there may be a better merge-base.
    fn is_cut_between(&self, tips: &[Oid], base: Oid) -> Result<bool, CommitError> {
        if !self.is_shallow() {
            return Ok(false);
        }
        let mut walk = self.git.revwalk()?;
        tips.iter().try_for_each(|tip| walk.push(*tip))?;
        walk.hide(base)?;
        for id in walk {
            if self.is_cut(id?)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `HEAD` itself where the working tree has changes of its own, else `HEAD^`.
    fn parent(&self, head: Oid, dirty: bool, situation: &str) -> Found {
        if dirty {
            return Found::at(head, format!("HEAD, {situation} with uncommitted changes"));
        }
        match self.parents_as_written(head).unwrap_or_default().first() {
            Some(&parent) if self.git.find_commit(parent).is_ok() => Found::at(parent, format!("HEAD^, {situation}")),
            Some(_) => Found::cut_off("HEAD^ is not here"),
            None => Found::none("the first commit has nothing before it"),
        }
    }

    /// The nearest tag behind `head`: of a release its predecessor. Where the tree has changes of its own, a tag at `head` counts.
    fn last_tag(&self, head: Oid, dirty: bool) -> Result<Found, CommitError> {
        let tags = self.tags()?;
        let mut walk = self.git.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
        walk.push(head)?;
        for id in walk {
            let id = id?;
            if let Some(name) = tags.get(&id).filter(|_| id != head || dirty) {
                return Ok(Found::at(id, format!("last tag {name}")));
            }
            if self.is_cut(id)? {
                return Ok(Found::cut_off("history is cut before a tag"));
            }
        }
        Ok(Found::none("no earlier tag is reachable: run `git fetch --tags`, or name a commit with --base"))
    }

    /// Commits that carry a tag, each with the last of its tags' names.
    fn tags(&self) -> Result<HashMap<Oid, String>, CommitError> {
        let mut tags: HashMap<Oid, String> = HashMap::new();
        for reference in self.git.references_glob("refs/tags/*")?.flatten() {
            let Ok(commit) = reference.peel_to_commit() else { continue }; // a tag may stand on a file
            let name = String::from_utf8_lossy(reference.shorthand_bytes()).into_owned();
            let known = tags.entry(commit.id()).or_default();
            if *known < name {
                *known = name;
            }
        }
        Ok(tags)
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
                hint: "the CI names it as the target branch: `git fetch origin` it (GitHub Actions: actions/checkout with `fetch-depth: 0`; \
                       GitLab CI: `git fetch origin $CI_MERGE_REQUEST_TARGET_BRANCH_NAME:refs/remotes/origin/$CI_MERGE_REQUEST_TARGET_BRANCH_NAME` \
                       and `GIT_DEPTH: 0`)",
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

/// Whether `head` is the commit that the CI speaks of, and not one that a step checked out afterwards.
fn is_checked_out(head: Oid, ci: &CiEnvironment) -> bool {
    ci.commit.as_ref().is_none_or(|commit| *commit == head.to_string())
}

fn short(reference: &str) -> String {
    reference.trim_start_matches("refs/remotes/").trim_start_matches("refs/heads/").to_owned()
}

fn unborn() -> CommitInfo {
    CommitInfo { dirty: true, baseline_source: "none: the repository has no commit yet".to_owned(), ..CommitInfo::default() }
}
