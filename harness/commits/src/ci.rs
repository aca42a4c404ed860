//! What the CI says of the change: environment variables, and the event that GitHub Actions leaves in a file.
//!
//! Both are written by others: the file is bounded and read strictly, and what is not as expected counts as not said. The `base.sha` of a
//! pull request and `CI_MERGE_REQUEST_DIFF_BASE_SHA` are never used: they are stale as soon as the target branch moves on.

use serde::Deserialize;
use std::{fs::File, io::Read as _, path::Path};

/// GitHub does not send larger payloads.
const MAX_EVENT_BYTES: u64 = 25 << 20;
/// More labels than any pull request has.
const MAX_LABELS: usize = 1000;
/// GitHub allows 50 characters.
const MAX_LABEL_BYTES: usize = 400;

/// What the CI says of the change, out of its environment variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CiEnvironment {
    /// Name of the branch that the change wants to go into.
    pub target_branch: Option<String>,
    /// Id of the commit that the CI checked out before any step ran.
    pub commit: Option<String>,
    /// What kind of checkout that is.
    pub checkout: Checkout,
    /// Labels of the pull request.
    pub labels: Vec<String>,
    /// What the CI said that could not be read.
    pub unreadable: Option<String>,
}

/// What kind of commit a CI checked out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Checkout {
    /// A commit as somebody wrote it.
    #[default]
    Commit,
    /// A merge that the CI made to try the change on its target: its first parent is what it was merged onto.
    TestMerge,
    /// The head of a merge queue's group, with the commit that the group goes on top of, where the event says it.
    Queue {
        /// `merge_group.base_sha`
        base: Option<String>,
    },
    /// A tag: a release.
    Tag,
}

impl CiEnvironment {
    /// Reads what GitHub Actions, GitLab CI and Jenkins (multibranch) say. `variable` answers like the environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> CiEnvironment {
        let said = |name: &str| variable(name).filter(|value| !value.is_empty());
        let any = |names: &[&str]| names.iter().find_map(|name| said(name));
        let (event, unreadable) = match said("GITHUB_EVENT_PATH").map(|path| Event::read(Path::new(&path))) {
            None => (Event::default(), None),
            Some(Ok(event)) => (event, None),
            Some(Err(why)) => (Event::default(), Some(format!("GITHUB_EVENT_PATH: {why}"))),
        };
        let reference = said("GITHUB_REF").unwrap_or_default();
        let queue_target = queue_branch(&reference);
        let gitlab_labels = said("CI_MERGE_REQUEST_LABELS").unwrap_or_default();
        CiEnvironment {
            target_branch: any(&["GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CHANGE_TARGET"]).or(queue_target.clone()),
            commit: any(&["GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT"]),
            checkout: checkout(&said, &reference, queue_target.is_some(), &event),
            labels: event
                .labels()
                .chain(gitlab_labels.split(',').map(str::trim))
                .filter(|label| !label.is_empty())
                .map(str::to_owned)
                .collect(),
            unreadable,
        }
    }
}

fn checkout(said: &impl Fn(&str) -> Option<String>, reference: &str, queue: bool, event: &Event) -> Checkout {
    let merged = said("CI_MERGE_REQUEST_EVENT_TYPE").is_some_and(|kind| kind == "merged_result" || kind == "merge_train");
    if merged || is_test_merge(reference) {
        Checkout::TestMerge
    } else if queue || said("GITHUB_EVENT_NAME").is_some_and(|name| name == "merge_group") {
        Checkout::Queue { base: event.queue_base() }
    } else if reference.starts_with("refs/tags/") || said("CI_COMMIT_TAG").is_some() || said("TAG_NAME").is_some() {
        Checkout::Tag
    } else {
        Checkout::Commit
    }
}

/// `refs/pull/12/merge`
fn is_test_merge(reference: &str) -> bool {
    let number = reference.strip_prefix("refs/pull/").and_then(|rest| rest.strip_suffix("/merge"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `main` out of `refs/heads/gh-readonly-queue/main/pr-12-<commit>`; a branch's name may hold slashes.
fn queue_branch(reference: &str) -> Option<String> {
    let (branch, group) = reference.strip_prefix("refs/heads/gh-readonly-queue/")?.rsplit_once('/')?;
    (!branch.is_empty() && group.starts_with("pr-")).then(|| branch.to_owned())
}

/// What of a webhook payload is looked at.
#[derive(Debug, Default, Deserialize)]
struct Event {
    merge_group: Option<MergeGroup>,
    pull_request: Option<PullRequest>,
}

#[derive(Debug, Deserialize)]
struct MergeGroup {
    base_sha: String,
}

#[derive(Debug, Deserialize)]
struct PullRequest {
    #[serde(default)]
    labels: Vec<Label>,
}

#[derive(Debug, Deserialize)]
struct Label {
    name: String,
}

impl Event {
    fn read(path: &Path) -> Result<Event, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err("it is not a regular file".to_owned());
        }
        let mut bytes = Vec::new();
        file.take(MAX_EVENT_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > MAX_EVENT_BYTES {
            return Err(format!("it is larger than {} MiB", MAX_EVENT_BYTES >> 20));
        }
        serde_json::from_slice(&bytes).map_err(|error| format!("it is not an event as GitHub writes it: {error}"))
    }

    /// A full commit id, or nothing: a payload never names a revision for git to interpret.
    fn queue_base(&self) -> Option<String> {
        let base = &self.merge_group.as_ref()?.base_sha;
        let full = [40, 64].contains(&base.len()) && base.bytes().all(|byte| byte.is_ascii_hexdigit());
        full.then(|| base.clone())
    }

    fn labels(&self) -> impl Iterator<Item = &str> {
        let labels = self.pull_request.iter().flat_map(|request| &request.labels).take(MAX_LABELS);
        labels.map(|label| label.name.as_str()).filter(|name| name.len() <= MAX_LABEL_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> CiEnvironment {
        CiEnvironment::read(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn with_event(event: &str, variables: &[(&str, &str)]) -> CiEnvironment {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event.json");
        std::fs::write(&path, event).unwrap();
        let mut all = variables.to_vec();
        let path = path.to_str().unwrap().to_owned();
        all.push(("GITHUB_EVENT_PATH", &path));
        read(&all)
    }

    #[test]
    fn each_kind_of_checkout_is_told_apart() {
        type Case<'a> = (&'a [(&'a str, &'a str)], Checkout, Option<&'a str>);
        let cases: [Case<'_>; 9] = [
            (&[("GITHUB_REF", "refs/pull/12/merge"), ("GITHUB_BASE_REF", "main")], Checkout::TestMerge, Some("main")),
            (&[("GITHUB_REF", "refs/pull/12/merge")], Checkout::TestMerge, None),
            (&[("GITHUB_REF", "refs/pull/12/head"), ("GITHUB_BASE_REF", "")], Checkout::Commit, None),
            (&[("GITHUB_REF", "refs/heads/gh-readonly-queue/release/2/pr-7-abc")], Checkout::Queue { base: None }, Some("release/2")),
            (&[("GITHUB_REF", "refs/tags/v1.2"), ("GITHUB_BASE_REF", "")], Checkout::Tag, None),
            (
                &[("CI_MERGE_REQUEST_EVENT_TYPE", "merged_result"), ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "trunk")],
                Checkout::TestMerge,
                Some("trunk"),
            ),
            (&[("CI_MERGE_REQUEST_EVENT_TYPE", "detached"), ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "stale")], Checkout::Commit, None),
            (&[("CI_COMMIT_TAG", "v2")], Checkout::Tag, None),
            (&[("CHANGE_TARGET", "develop"), ("GIT_COMMIT", "abc")], Checkout::Commit, Some("develop")),
        ];
        for (variables, checkout, target) in cases {
            let ci = read(variables);
            assert_eq!((ci.checkout, ci.target_branch.as_deref()), (checkout, target), "{variables:?}");
        }
    }

    #[test]
    fn the_event_names_the_base_of_a_queue_and_the_labels() {
        let base = "0123456789012345678901234567890123456789";
        let queue =
            with_event(&format!(r#"{{"merge_group":{{"base_sha":"{base}","extra":[1]}}}}"#), &[("GITHUB_EVENT_NAME", "merge_group")]);
        assert_eq!(queue.checkout, Checkout::Queue { base: Some(base.to_owned()) });
        let labelled = with_event(r#"{"pull_request":{"labels":[{"name":"shakedown:all"},{"name":"bug"}]}}"#, &[]);
        assert_eq!(labelled.labels, ["shakedown:all", "bug"]);
        assert_eq!(read(&[("CI_MERGE_REQUEST_LABELS", "bug, shakedown:skip")]).labels, ["bug", "shakedown:skip"]);
    }

    #[test]
    fn a_hostile_event_says_nothing_and_is_named() {
        let name = [("GITHUB_EVENT_NAME", "merge_group")];
        for revision in ["main", "--upload-pack=x", "HEAD~1", ""] {
            let ci = with_event(&format!(r#"{{"merge_group":{{"base_sha":"{revision}"}}}}"#), &name);
            assert_eq!(ci.checkout, Checkout::Queue { base: None }, "{revision}");
        }
        for broken in ["", "[", "{\"merge_group\": 7}", "{\"pull_request\": {\"labels\": 3}}", &"[".repeat(100_000)] {
            let ci = with_event(broken, &name);
            assert!(ci.unreadable.as_deref().is_some_and(|why| why.contains("not an event")), "{:?}", ci.unreadable);
            assert!(ci.labels.is_empty());
        }
        let long = "x".repeat(MAX_LABEL_BYTES + 1);
        assert!(with_event(&format!(r#"{{"pull_request":{{"labels":[{{"name":"{long}"}}]}}}}"#), &[]).labels.is_empty());
        assert!(read(&[("GITHUB_EVENT_PATH", "/dev/zero")]).unreadable.unwrap().contains("regular file"));
        assert!(read(&[("GITHUB_EVENT_PATH", "/no/such/file")]).unreadable.is_some());
    }
}
