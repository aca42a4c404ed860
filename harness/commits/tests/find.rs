//! Candidate and baseline in repositories of every shape that a CI hands us.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::git;
use shakedown_commits::{Checkout, CiEnvironment, Question, Repository, Selection, seed_of};
use shakedown_model::{experiment::BaselineCommit, run::CommitInfo};
use std::path::Path;

struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let fixture = Fixture { folder: tempfile::tempdir().unwrap() };
        fixture.git(&["init", "-q", "-b", "main"]);
        fixture
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(self.path(), arguments)
    }

    fn commit(&self, file: &str, message: &str) -> String {
        std::fs::write(self.path().join(file), message).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn find(&self, ci: &CiEnvironment) -> CommitInfo {
        find_in(self.path(), ci)
    }
}

fn find_in(folder: &Path, ci: &CiEnvironment) -> CommitInfo {
    let repository = Repository::discover(folder).unwrap().unwrap();
    repository.find(&Question { head: None, base: None, config: &BaselineCommit::MergeBase, ci }).unwrap()
}

#[test]
fn a_branch_is_compared_with_where_it_left_main_not_with_the_tip_of_main() {
    let fixture = Fixture::new();
    let base = fixture.commit("a", "base");
    fixture.git(&["checkout", "-q", "-b", "feature"]);
    let head = fixture.commit("b", "feature");
    fixture.git(&["checkout", "-q", "main"]);
    fixture.commit("c", "others went on");
    fixture.git(&["checkout", "-q", "feature"]);
    let found = fixture.find(&CiEnvironment::default());
    assert_eq!((found.candidate.unwrap(), found.baseline.unwrap()), (head, base));
    assert_eq!(found.baseline_source, "merge-base with main");
}

#[test]
fn a_push_to_main_is_compared_with_its_parent() {
    let fixture = Fixture::new();
    let base = fixture.commit("a", "one");
    fixture.commit("b", "two");
    let found = fixture.find(&CiEnvironment::default());
    assert_eq!(found.baseline.unwrap(), base);
    assert!(found.baseline_source.starts_with("HEAD^"), "{}", found.baseline_source);
}

#[test]
fn uncommitted_changes_on_main_are_compared_with_head() {
    let fixture = Fixture::new();
    fixture.commit("a", "one");
    let head = fixture.commit("b", "two");
    std::fs::write(fixture.path().join("b"), "changed").unwrap();
    let found = fixture.find(&CiEnvironment::default());
    assert!(found.dirty);
    assert_eq!(found.baseline.unwrap(), head);
}

/// A pull request whose target went on: `(target's tip, the change, the test merge)`; the merge is checked out, detached.
fn test_merge(fixture: &Fixture, subject: impl Fn(&str, &str) -> String) -> (String, String, String) {
    fixture.commit("a", "base");
    fixture.git(&["checkout", "-q", "-b", "feature"]);
    let change = fixture.commit("b", "feature\n\nShakedown: all");
    fixture.git(&["checkout", "-q", "main"]);
    let tip = fixture.commit("c", "others went on");
    fixture.git(&["checkout", "-q", "--detach"]);
    fixture.git(&["merge", "-q", "--no-ff", "-m", &subject(&change, &tip), "feature"]);
    let merge = fixture.git(&["rev-parse", "HEAD"]);
    (tip, change, merge)
}

fn pull_request(commit: Option<&str>) -> CiEnvironment {
    CiEnvironment { checkout: Checkout::TestMerge, commit: commit.map(str::to_owned), ..CiEnvironment::default() }
}

#[test]
fn a_test_merge_is_compared_with_its_first_parent() {
    let fixture = Fixture::new();
    let (tip, _, merge) = test_merge(&fixture, |_, _| "merged by a CI".to_owned());
    // Neither the target's branch nor its name is needed: a clone of depth 2 has neither.
    fixture.git(&["branch", "-q", "-D", "main"]);
    for ci in [pull_request(Some(&merge)), pull_request(None)] {
        let found = fixture.find(&ci);
        assert_eq!(found.baseline.as_deref(), Some(&*tip));
        assert!(found.baseline_source.contains("test merge"), "{}", found.baseline_source);
    }
}

#[test]
fn githubs_test_merge_is_known_by_its_subject_where_the_environment_is_missing() {
    let fixture = Fixture::new();
    let (tip, ..) = test_merge(&fixture, |change, tip| format!("Merge {change} into {tip}"));
    fixture.git(&["branch", "-q", "-D", "main"]);
    let found = fixture.find(&CiEnvironment::default());
    assert_eq!(found.baseline, Some(tip));
    assert!(found.baseline_source.contains("test merge"), "{}", found.baseline_source);
}

#[test]
fn a_branch_that_merged_main_is_no_test_merge() {
    let fixture = Fixture::new();
    fixture.commit("a", "base");
    fixture.git(&["checkout", "-q", "-b", "feature"]);
    fixture.commit("b", "feature");
    fixture.git(&["checkout", "-q", "main"]);
    let merged = fixture.commit("c", "others went on");
    fixture.git(&["checkout", "-q", "feature"]);
    fixture.git(&["merge", "-q", "--no-ff", "-m", "Merge branch 'main' into feature", "main"]);
    // The workflow checked out the head of the pull request, not the test merge that the CI speaks of.
    let ci = CiEnvironment { target_branch: Some("main".to_owned()), ..pull_request(Some("0123456789012345678901234567890123456789")) };
    let found = fixture.find(&ci);
    assert_eq!((found.baseline, &*found.baseline_source), (Some(merged), "merge-base with main"));
}

#[test]
fn a_jenkins_merge_with_its_parents_the_other_way_round_is_compared_with_the_target() {
    let fixture = Fixture::new();
    fixture.commit("a", "base");
    fixture.git(&["checkout", "-q", "-b", "feature"]);
    fixture.commit("b", "feature");
    fixture.git(&["checkout", "-q", "main"]);
    let tip = fixture.commit("c", "others went on");
    fixture.git(&["checkout", "-q", "--detach", "feature"]);
    fixture.git(&["merge", "-q", "--no-ff", "-m", &format!("Merge commit '{tip}' into HEAD"), "main"]);
    let found = fixture.find(&CiEnvironment { target_branch: Some("main".to_owned()), ..CiEnvironment::default() });
    assert_eq!(found.baseline, Some(tip));
}

#[test]
fn the_trailer_of_a_test_merge_is_that_of_the_change() {
    let fixture = Fixture::new();
    let (_, change, merge) = test_merge(&fixture, |_, _| "merged by a CI".to_owned());
    let repository = Repository::discover(fixture.path()).unwrap().unwrap();
    assert_eq!(repository.selection(&merge, &pull_request(Some(&merge))).unwrap(), Some(Selection::All));
    assert_eq!(repository.selection(&merge, &CiEnvironment::default()).unwrap(), None, "a merge that somebody made says what it says");
    assert_eq!(repository.selection(&change, &CiEnvironment::default()).unwrap(), Some(Selection::All));
}

#[test]
fn a_merge_group_is_compared_with_what_it_goes_on_top_of() {
    let fixture = Fixture::new();
    fixture.commit("a", "base");
    fixture.commit("b", "the group before it in the queue");
    let base = fixture.git(&["rev-parse", "HEAD"]);
    fixture.git(&["branch", "-q", "other", "HEAD~1"]);
    fixture.git(&["checkout", "-q", "-b", "gh-readonly-queue/main/pr-7-x"]);
    fixture.commit("c", "one of the group");
    let head = fixture.commit("d", "another of the group");
    let queue = |base: &str| CiEnvironment {
        checkout: Checkout::Queue { base: Some(base.to_owned()) },
        commit: Some(head.clone()),
        target_branch: Some("main".to_owned()),
        ..CiEnvironment::default()
    };
    let found = fixture.find(&queue(&base));
    assert_eq!((found.baseline.as_deref(), &*found.baseline_source), (Some(&*base), "base of the merge group"));
    // What is no ancestor, or no commit, is not believed.
    fixture.git(&["checkout", "-q", "other"]);
    let stranger = fixture.commit("e", "elsewhere");
    fixture.git(&["checkout", "-q", &head]);
    for lie in [stranger.as_str(), "0123456789012345678901234567890123456789"] {
        assert_eq!(fixture.find(&queue(lie)).baseline_source, "merge-base with main", "{lie}");
    }
}

#[test]
fn a_release_is_compared_with_the_tag_before_it() {
    let fixture = Fixture::new();
    fixture.commit("a", "one");
    fixture.git(&["tag", "-a", "-m", "first", "v1.0"]);
    let first = fixture.git(&["rev-parse", "HEAD"]);
    fixture.commit("b", "two");
    fixture.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    fixture.commit("s", "side");
    fixture.git(&["tag", "v9-not-behind-main"]);
    fixture.git(&["checkout", "-q", "main"]);
    let release = fixture.commit("c", "three");
    fixture.git(&["tag", "v1.1"]);
    fixture.git(&["checkout", "-q", "--detach", "v1.1"]);
    let ci = CiEnvironment { checkout: Checkout::Tag, commit: Some(release.clone()), ..CiEnvironment::default() };
    let found = fixture.find(&ci);
    assert_eq!((found.baseline, &*found.baseline_source), (Some(first.clone()), "last tag v1.0"));
    let last_tag = |fixture: &Fixture| {
        let repository = Repository::discover(fixture.path()).unwrap().unwrap();
        let ci = CiEnvironment::default();
        repository.find(&Question { head: None, base: None, config: &BaselineCommit::LastTag, ci: &ci }).unwrap()
    };
    assert_eq!(last_tag(&fixture).baseline, Some(first));
    std::fs::write(fixture.path().join("c"), "changed").unwrap();
    assert_eq!(last_tag(&fixture).baseline, Some(release), "changes on top of a release are compared with it");
    fixture.git(&["checkout", "-q", "-f", "v1.0"]);
    let none = last_tag(&fixture);
    assert!(none.baseline.is_none() && none.baseline_source.contains("git fetch --tags"), "{}", none.baseline_source);
}

#[test]
fn crosswise_merges_have_one_answer() {
    let fixture = Fixture::new();
    fixture.commit("a", "base");
    fixture.git(&["checkout", "-q", "-b", "feature"]);
    let feature = fixture.commit("b", "feature");
    fixture.git(&["checkout", "-q", "main"]);
    let main = fixture.commit("c", "main");
    fixture.git(&["merge", "-q", "-m", "one way", &feature]);
    fixture.commit("d", "main went on");
    fixture.git(&["checkout", "-q", "feature"]);
    fixture.git(&["merge", "-q", "-m", "the other way", &main]);
    let found = fixture.find(&CiEnvironment::default());
    let expected = if fixture.git(&["show", "-s", "--format=%ct", &main]) == fixture.git(&["show", "-s", "--format=%ct", &feature]) {
        std::cmp::min(main, feature)
    } else {
        main
    };
    assert_eq!(found.baseline, Some(expected));
}

#[test]
fn the_first_commit_has_no_baseline_and_says_why() {
    let fixture = Fixture::new();
    fixture.commit("a", "one");
    let found = fixture.find(&CiEnvironment::default());
    assert_eq!(found.baseline, None);
    assert!(found.baseline_source.contains("first commit"), "{}", found.baseline_source);
}

/// A clone as a CI makes it.
fn clone(fixture: &Fixture, arguments: &[&str]) -> tempfile::TempDir {
    let clone = tempfile::tempdir().unwrap();
    let url = format!("file://{}", fixture.path().display());
    git(clone.path(), &[&["clone", "-q"], arguments, &[url.as_str(), "."]].concat());
    clone
}

fn assert_cut_off(found: &CommitInfo) {
    assert_eq!(found.baseline, None, "{}", found.baseline_source);
    for fix in ["git fetch --unshallow", "fetch-depth: 0", "GIT_DEPTH: 0"] {
        assert!(found.baseline_source.contains(fix), "{}", found.baseline_source);
    }
}

#[test]
fn a_shallow_clone_says_how_to_deepen_it() {
    let fixture = Fixture::new();
    let parent = fixture.commit("a", "one");
    fixture.commit("b", "two");
    assert_cut_off(&find_in(clone(&fixture, &["--depth", "1"]).path(), &CiEnvironment::default()));
    let enough = find_in(clone(&fixture, &["--depth", "2"]).path(), &CiEnvironment::default());
    assert_eq!(enough.baseline, Some(parent), "HEAD^ is here, though shallow");
    let missing = clone(&fixture, &["--depth", "1"]);
    let repository = Repository::discover(missing.path()).unwrap().unwrap();
    assert!(repository.resolve("HEAD^").unwrap_err().to_string().contains("git fetch --unshallow"));
}

#[test]
fn a_shallow_clone_of_a_test_merge_is_told_from_one_that_is_deep_enough() {
    let fixture = Fixture::new();
    let (tip, _, merge) = test_merge(&fixture, |_, _| "merged by a CI".to_owned());
    fixture.git(&["update-ref", "refs/pull/7/merge", "HEAD"]);
    for depth in ["1", "2"] {
        let runner = tempfile::tempdir().unwrap();
        git(runner.path(), &["init", "-q"]);
        let url = format!("file://{}", fixture.path().display());
        git(runner.path(), &["fetch", "-q", "--no-tags", "--depth", depth, &url, "+refs/pull/7/merge:refs/remotes/pull/7/merge"]);
        git(runner.path(), &["checkout", "-q", "--detach", "refs/remotes/pull/7/merge"]);
        let found = find_in(runner.path(), &CiEnvironment { target_branch: Some("main".to_owned()), ..pull_request(Some(&merge)) });
        if depth == "1" {
            assert_cut_off(&found);
        } else {
            assert_eq!(found.baseline.as_deref(), Some(&*tip), "{}", found.baseline_source);
        }
    }
}

#[test]
fn a_merge_base_that_a_cut_history_makes_wrong_is_not_believed() {
    // main:     a - b - c - m       The feature left main at `b`, and once merged `e`, which main merged as well.
    //            \         /        The right answer is `b`; a clone that is cut at `c` can only see `e`.
    //             e ------
    let fixture = Fixture::new();
    fixture.commit("a", "a");
    fixture.git(&["checkout", "-q", "-b", "side"]);
    let side = fixture.commit("e", "e");
    fixture.git(&["checkout", "-q", "main"]);
    let right = fixture.commit("b", "b");
    fixture.git(&["checkout", "-q", "-b", "feature"]);
    fixture.commit("f", "f");
    fixture.git(&["merge", "-q", "-m", "takes the side branch", "side"]);
    fixture.git(&["checkout", "-q", "main"]);
    fixture.commit("c", "c");
    fixture.git(&["merge", "-q", "-m", "m", "side"]);
    let shallow = clone(&fixture, &["--depth", "2", "--branch", "main"]);
    git(shallow.path(), &["fetch", "-q", "--depth", "3", "origin", "feature:feature"]);
    git(shallow.path(), &["checkout", "-q", "feature"]);
    assert_eq!(git(shallow.path(), &["merge-base", "HEAD", "origin/main"]), side, "git itself is misled");
    assert_cut_off(&find_in(shallow.path(), &CiEnvironment::default()));
    git(shallow.path(), &["fetch", "-q", "--unshallow"]);
    let found = find_in(shallow.path(), &CiEnvironment::default()).baseline.unwrap();
    assert!([right, side].contains(&found), "with all of history both are merge-bases");
}

#[test]
fn a_shallow_clone_that_holds_all_that_matters_is_good_enough() {
    let fixture = Fixture::new();
    for old in ["o1", "o2", "o3"] {
        fixture.commit(old, old);
    }
    let base = fixture.commit("a", "base");
    fixture.git(&["checkout", "-q", "-b", "feature"]);
    fixture.commit("b", "feature");
    fixture.git(&["checkout", "-q", "main"]);
    fixture.commit("c", "others went on");
    let shallow = clone(&fixture, &["--depth", "2", "--no-single-branch"]);
    git(shallow.path(), &["checkout", "-q", "feature"]);
    let found = find_in(shallow.path(), &CiEnvironment::default());
    assert_eq!((found.baseline, &*found.baseline_source), (Some(base), "merge-base with origin/HEAD"));
}

#[test]
fn a_detached_head_on_main_is_compared_with_its_parent_and_a_stranger_with_nothing() {
    let fixture = Fixture::new();
    let first = fixture.commit("a", "one");
    fixture.commit("b", "two");
    fixture.commit("c", "three");
    fixture.git(&["checkout", "-q", "--detach", "HEAD~1"]);
    assert_eq!(fixture.find(&CiEnvironment::default()).baseline, Some(first));
    fixture.git(&["checkout", "-q", "--orphan", "stranger"]);
    fixture.commit("z", "no common past");
    let found = fixture.find(&CiEnvironment::default());
    assert_eq!(found.baseline, None);
    assert!(
        found.baseline_source.contains("no common ancestor with main") && found.baseline_source.contains("--base"),
        "{}",
        found.baseline_source
    );
}

#[test]
fn a_target_branch_that_was_not_fetched_is_an_error_with_the_way_out() {
    let fixture = Fixture::new();
    fixture.commit("a", "one");
    let ci = CiEnvironment { target_branch: Some("develop".to_owned()), ..CiEnvironment::default() };
    let repository = Repository::discover(fixture.path()).unwrap().unwrap();
    let error = repository.find(&Question { head: None, base: None, config: &BaselineCommit::MergeBase, ci: &ci }).unwrap_err().to_string();
    assert!(error.contains("origin/develop") && error.contains("fetch-depth: 0"), "{error}");
}

#[test]
fn a_folder_outside_git_and_an_empty_repository_are_no_errors() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Repository::discover(folder.path()).unwrap().is_none());
    let fixture = Fixture::new();
    let found = fixture.find(&CiEnvironment::default());
    assert!(found.candidate.is_none() && found.baseline_source.contains("no commit yet"));
}

#[test]
fn a_base_that_does_not_exist_is_an_error_that_names_it() {
    let fixture = Fixture::new();
    fixture.commit("a", "one");
    let repository = Repository::discover(fixture.path()).unwrap().unwrap();
    let ci = CiEnvironment::default();
    let question = Question { head: None, base: Some("v9.9"), config: &BaselineCommit::MergeBase, ci: &ci };
    let error = repository.find(&question).unwrap_err().to_string();
    assert!(error.contains("`v9.9`"), "{error}");
}

#[test]
fn changed_paths_see_commits_renames_and_the_working_tree() {
    let fixture = Fixture::new();
    let base = fixture.commit("a", "one");
    fixture.git(&["mv", "a", "renamed"]);
    let head = fixture.commit("b", "two");
    let repository = Repository::discover(fixture.path()).unwrap().unwrap();
    assert_eq!(repository.changed_paths(&base, &head, false).unwrap(), ["a", "b", "renamed"]);
    std::fs::create_dir(fixture.path().join("new")).unwrap();
    std::fs::write(fixture.path().join("new/file"), "x").unwrap();
    assert_eq!(repository.changed_paths(&base, &head, true).unwrap(), ["a", "b", "new/file", "renamed"]);
}

#[test]
fn a_tree_is_exported_once_and_holds_what_the_commit_held() {
    let fixture = Fixture::new();
    let base = fixture.commit("a", "one");
    fixture.commit("a", "two");
    let cache = tempfile::tempdir().unwrap();
    let repository = Repository::discover(fixture.path()).unwrap().unwrap();
    let tree = repository.export_tree(&base, cache.path()).unwrap();
    assert_eq!(std::fs::read_to_string(tree.join("a")).unwrap(), "one");
    assert_eq!(repository.export_tree(&base, cache.path()).unwrap(), tree);
    assert_eq!(std::fs::read_to_string(fixture.path().join("a")).unwrap(), "two", "the working tree is not touched");
    assert_eq!(fixture.git(&["status", "--porcelain"]), "", "nor is the index");
}

#[test]
fn the_seed_is_a_function_of_the_commit_alone() {
    assert_eq!(seed_of("abc"), seed_of("abc"));
    assert_ne!(seed_of("abc"), seed_of("abd"));
    assert!(seed_of("abc") < 1 << 53, "every JSON reader sees the same number");
}
