//! Removing directories, and git worktrees together with git's own record of them, without git.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Removes a file, a link or a directory with all that is in it. What is not there is removed already.
pub(crate) fn remove_path(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes the worktree's directory and its entry in `.git/worktrees`, which `git worktree prune` would do later.
pub(crate) fn remove_worktree(repository: &Path, path: &Path) -> io::Result<()> {
    remove_path(path)?;
    let Some(records) = common_directory(repository).map(|common| common.join("worktrees")) else { return Ok(()) };
    let Ok(entries) = fs::read_dir(&records) else { return Ok(()) };
    for record in entries.flatten().map(|entry| entry.path()) {
        let leads_to = fs::read_to_string(record.join("gitdir")).unwrap_or_default();
        if Path::new(leads_to.trim()) == path.join(".git") {
            remove_path(&record)?;
        }
    }
    // Git removes the directory when the last record goes; one that is not empty stays.
    let _ = fs::remove_dir(&records);
    Ok(())
}

/// The directory that all worktrees of a repository share. The repository may be bare, or a worktree itself.
fn common_directory(repository: &Path) -> Option<PathBuf> {
    let dot_git = repository.join(".git");
    let own = if dot_git.is_dir() {
        dot_git
    } else if let Ok(text) = fs::read_to_string(&dot_git) {
        repository.join(text.trim().strip_prefix("gitdir:")?.trim())
    } else {
        repository.to_owned()
    };
    let common = fs::read_to_string(own.join("commondir")).map(|text| own.join(text.trim()));
    Some(common.unwrap_or(own)).filter(|directory| directory.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn git(directory: &Path, arguments: &[&str]) -> String {
        let output =
            Command::new("git").args(["-c", "user.name=n", "-c", "user.email=e@x", "-C"]).arg(directory).args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn a_worktree_goes_with_gits_record_of_it_and_others_stay() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        let (repository, ours, theirs) = (root.join("repository"), root.join("r7-base"), root.join("theirs"));
        fs::create_dir(&repository).unwrap();
        git(&repository, &["init", "-q"]);
        git(&repository, &["commit", "-q", "--allow-empty", "-m", "one"]);
        for worktree in [&ours, &theirs] {
            git(&repository, &["worktree", "add", "-q", "--detach", worktree.to_str().unwrap()]);
        }
        // From inside another worktree, as a team may call us.
        remove_worktree(&theirs, &ours).unwrap();
        let list = git(&repository, &["worktree", "list"]);
        assert!(!list.contains("r7-base") && list.contains("theirs"), "{list}");
        remove_worktree(&repository, &ours).unwrap();
        remove_worktree(&root.join("nowhere"), &ours).unwrap();
    }
}
