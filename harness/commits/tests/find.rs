//! Candidate and baseline in repositories of every shape that a CI hands us.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use shakedown_commits::{CiEnvironment, Question, Repository, seed_of};
use shakedown_model::{experiment::BaselineCommit, run::CommitInfo};
use std::{path::Path, process::Command};

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
        git_in(self.path(), arguments)
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

fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
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

#[test]
fn a_test_merge_is_compared_with_its_first_parent() {
    let fixture = Fixture::new();
    fixture.commit("a", "base");
    fixture.git(&["checkout", "-q", "-b", "feature"]);
    fixture.commit("b", "feature");
    fixture.git(&["checkout", "-q", "main"]);
    let tip = fixture.commit("c", "others went on");
    fixture.git(&["checkout", "-q", "--detach"]);
    fixture.git(&["merge", "-q", "--no-ff", "-m", "test merge", "feature"]);
    let found = fixture.find(&CiEnvironment { target_branch: Some("main".to_owned()) });
    assert_eq!(found.baseline.unwrap(), tip);
    assert!(found.baseline_source.contains("test merge"), "{}", found.baseline_source);
}

#[test]
fn the_first_commit_has_no_baseline_and_says_why() {
    let fixture = Fixture::new();
    fixture.commit("a", "one");
    let found = fixture.find(&CiEnvironment::default());
    assert_eq!(found.baseline, None);
    assert!(found.baseline_source.contains("first commit"), "{}", found.baseline_source);
}

#[test]
fn a_shallow_clone_says_how_to_deepen_it() {
    let fixture = Fixture::new();
    fixture.commit("a", "one");
    fixture.commit("b", "two");
    let clone = tempfile::tempdir().unwrap();
    let url = format!("file://{}", fixture.path().display());
    git_in(clone.path(), &["clone", "-q", "--depth", "1", &url, "."]);
    let found = find_in(clone.path(), &CiEnvironment::default());
    assert_eq!(found.baseline, None);
    assert!(found.baseline_source.contains("git fetch --unshallow"), "{}", found.baseline_source);
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
