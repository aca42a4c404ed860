//! The team's own build command (`services.build`), run in a tree before anything is started from it.

use crate::{
    RuntimeError,
    lines::{LineSink, Splitter, now},
    marks,
    owner::Owner,
    process::group,
    text::exit_meaning,
};
use rustix::process::Signal;
use std::{
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

/// Runs `command` in `root` with our whole environment, as a person would, and shows its last lines where it fails.
///
/// There is no undo for it: what it makes is the tree's own business. When `cancel` comes its process group is killed; after a `kill -9` the sweep
/// of `recover` knows its processes by the marks of `run` in their environment.
pub async fn run_build(run: &str, root: &Path, command: &[String], cancel: &CancellationToken) -> Result<(), RuntimeError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let text = command.join(" ");
    let failed = |why: String| RuntimeError::BuildCommand { command: text.clone(), tree: root.display().to_string(), why };
    let path = if program.contains('/') { root.join(program) } else { PathBuf::from(program) };
    let mut command = Command::new(path);
    command.env(marks::RUN_VARIABLE, run).env(marks::OWNER_VARIABLE, Owner::current().to_string());
    command.args(arguments).current_dir(root).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(format!("it cannot be run: {error}")))?;
    let (sink, _lines) = LineSink::new();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = async {
        let (status, (), ()) = tokio::join!(child.wait(), read(stdout, &sink), read(stderr, &sink));
        status
    };
    let status = tokio::select! {
        status = ended => status,
        () = cancel.cancelled() => {
            stop(&mut child).await;
            return Err(RuntimeError::Cancelled);
        }
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(failed(format!("{}; its last lines:\n{}", exit_meaning(status.code().map_or(-1, i64::from)), sink.recent(BUILD))))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Under this name its lines are remembered.
const BUILD: &str = "build";

async fn stop(child: &mut Child) {
    if let Some(group) = child.id().and_then(group::of_leader) {
        // A group that cannot be signalled is over, or its leader is killed when `child` is dropped.
        let _ = group::send(&group, "", Signal::KILL);
    }
    let _ = child.wait().await;
}

async fn read(stream: Option<impl AsyncRead + Unpin>, sink: &LineSink) {
    let Some(mut stream) = stream else { return };
    let (mut buffer, mut splitter) = (vec![0; 16 * 1024], Splitter::default());
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        splitter.push(&buffer[..count], |line| sink.put(BUILD, now(), line));
    }
    if let Some(line) = splitter.rest() {
        sink.put(BUILD, now(), line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(script: &str, cancel: &CancellationToken) -> Result<(), RuntimeError> {
        let scratch = tempfile::tempdir().unwrap();
        run_build("r1", scratch.path(), &["sh".to_owned(), "-c".to_owned(), script.to_owned()], cancel).await
    }

    #[tokio::test]
    async fn a_build_that_fails_shows_its_last_lines() {
        let cancel = CancellationToken::new();
        run("exit 0", &cancel).await.unwrap();
        let error = run("echo compiling; echo 'error: no such type' >&2; exit 3", &cancel).await.unwrap_err().to_string();
        assert!(error.contains("exit code 3") && error.contains("| error: no such type"), "{error}");
        let nobody = run_build("r1", Path::new("/"), &["/no/such/program".to_owned()], &cancel).await.unwrap_err().to_string();
        assert!(nobody.contains("cannot be run"), "{nobody}");
    }

    #[tokio::test]
    async fn a_cancelled_build_is_dead_when_the_call_returns() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        assert!(matches!(run("sleep 1000", &cancel).await, Err(RuntimeError::Cancelled)));
    }
}
