//! Git notes as the git binary sees them, with writers who did not know of each other.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::git;
use shakedown_commits::{NotesMerge, Repository};
use std::{path::Path, process::Command};

const OURS: &str = "refs/notes/shakedown";
const THEIRS: &str = "refs/notes/shakedown-origin";

fn open(folder: &Path) -> Repository {
    Repository::discover(folder).unwrap().unwrap()
}

/// A bare origin and two clones of it, with one commit.
fn origin_and_clones() -> (tempfile::TempDir, String) {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    git(root, &["init", "-q", "-b", "main", "seed"]);
    git(&root.join("seed"), &["commit", "-q", "--allow-empty", "-m", "one"]);
    let commit = git(&root.join("seed"), &["rev-parse", "HEAD"]);
    git(root, &["clone", "-q", "--bare", "seed", "origin.git"]);
    for clone in ["a", "b"] {
        git(root, &["clone", "-q", "origin.git", clone]);
    }
    (scratch, commit)
}

#[test]
fn several_records_of_a_commit_are_lines_of_one_note_that_git_shows() {
    let (scratch, commit) = origin_and_clones();
    let folder = scratch.path().join("a");
    let repository = open(&folder);
    assert!(repository.note_lines(&[OURS]).unwrap().is_empty());
    for line in ["{\"run\":2}", "{\"run\":1}", "{\"run\":2}"] {
        repository.add_note_line(OURS, &commit, line).unwrap();
    }
    assert_eq!(git(&folder, &["notes", "--ref=shakedown", "show", &commit]), "{\"run\":1}\n{\"run\":2}");
    let lines: Vec<String> = repository.note_lines(&[OURS, THEIRS]).unwrap().into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["{\"run\":1}", "{\"run\":2}"]);
}

#[test]
fn two_machines_that_wrote_at_once_are_joined_and_pushed_by_the_documented_refspecs() {
    let (scratch, commit) = origin_and_clones();
    let (a, b) = (scratch.path().join("a"), scratch.path().join("b"));
    open(&a).add_note_line(OURS, &commit, "from a").unwrap();
    open(&b).add_note_line(OURS, &commit, "from b").unwrap();
    git(&a, &["push", "-q", "origin", "refs/notes/shakedown"]);
    let refused = Command::new("git").args(["push", "-q", "origin", "refs/notes/shakedown"]).current_dir(&b).output().unwrap();
    assert!(!refused.status.success(), "the second push is refused until the first is merged");
    git(&b, &["fetch", "-q", "origin", "+refs/notes/shakedown:refs/notes/shakedown-origin"]);
    let repository = open(&b);
    assert_eq!(repository.note_lines(&[OURS, THEIRS]).unwrap().len(), 2, "what was fetched is read even before it is merged");
    assert_eq!(repository.merge_notes(OURS, THEIRS).unwrap(), NotesMerge::Joined);
    assert_eq!(repository.merge_notes(OURS, THEIRS).unwrap(), NotesMerge::UpToDate);
    git(&b, &["push", "-q", "origin", "refs/notes/shakedown"]);
    git(&a, &["fetch", "-q", "origin", "+refs/notes/shakedown:refs/notes/shakedown-origin"]);
    assert_eq!(open(&a).merge_notes(OURS, THEIRS).unwrap(), NotesMerge::FastForward);
    assert_eq!(git(&a, &["notes", "--ref=shakedown", "show", &commit]), "from a\nfrom b");
}

#[test]
fn the_first_fetch_becomes_ours_and_no_fetch_is_told() {
    let (scratch, commit) = origin_and_clones();
    let a = scratch.path().join("a");
    assert_eq!(open(&a).merge_notes(OURS, THEIRS).unwrap(), NotesMerge::NothingFetched);
    open(&a).add_note_line(THEIRS, &commit, "as if fetched").unwrap();
    assert_eq!(open(&a).merge_notes(OURS, THEIRS).unwrap(), NotesMerge::FastForward);
    assert_eq!(open(&a).note_lines(&[OURS]).unwrap().len(), 1);
}

#[test]
fn writers_of_one_machine_lose_nothing() {
    let (scratch, commit) = origin_and_clones();
    let folder = scratch.path().join("a");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (folder, commit) = (&folder, &commit);
            scope.spawn(move || open(folder).add_note_line(OURS, commit, &format!("writer {writer}")).unwrap());
        }
    });
    assert_eq!(open(&folder).note_lines(&[OURS]).unwrap().len(), 4);
}

#[test]
fn notes_that_git_spread_over_folders_are_read_and_kept() {
    let (scratch, commit) = origin_and_clones();
    let folder = scratch.path().join("a");
    std::fs::write(folder.join("note"), "spread\n").unwrap();
    let blob = git(&folder, &["hash-object", "-w", "note"]);
    let tree = |entry: String| {
        std::fs::write(folder.join("entry"), entry).unwrap();
        let output = Command::new("git")
            .arg("mktree")
            .current_dir(&folder)
            .stdin(std::fs::File::open(folder.join("entry")).unwrap())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let inner = tree(format!("100644 blob {blob}\t{}\n", &commit[2..]));
    let outer = tree(format!("040000 tree {inner}\t{}\n", &commit[..2]));
    let notes = git(&folder, &["commit-tree", "-m", "notes", &outer]);
    git(&folder, &["update-ref", OURS, &notes]);
    assert_eq!(git(&folder, &["notes", "--ref=shakedown", "show", &commit]), "spread", "git takes it for a note");
    open(&folder).add_note_line(OURS, &commit, "another").unwrap();
    assert_eq!(git(&folder, &["notes", "--ref=shakedown", "show", &commit]), "another\nspread");
}
