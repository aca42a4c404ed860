//! Starting one process so that its undo is on disk before it does anything.
//!
//! A pid cannot be chosen beforehand. So what is started first is a shell that waits for a line on its stdin: its pid is noted, then
//! the line is written, and the shell becomes the program (same pid, same start time). If we die in between, the shell reads end of
//! file and ends.

use super::{group, template::Template};
use crate::{RuntimeError, marks, owner::Owner};
use shakedown_model::{experiment::ProcessService, stack::StackSpec};
use shakedown_undo::{Journal, ProcessGroup, Ticket, Undo};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

const GATE: &str = r#"read -r _ && exec "$@" </dev/null"#;
/// All that a child inherits.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// A process that was let go.
pub(crate) struct Spawned {
    pub(crate) child: Child,
    pub(crate) group: ProcessGroup,
    pub(crate) ticket: Ticket,
}

/// Starts a service with its undo noted.
pub(crate) async fn spawn(
    spec: &StackSpec,
    service: &ProcessService,
    template: Template<'_>,
    journal: &Journal,
) -> Result<Spawned, RuntimeError> {
    let name = template.service;
    let mut command = command(spec, service, template)?;
    let mut child = command.spawn().map_err(|error| failed(name, "/bin/sh", error.to_string()))?;
    let group = child.id().and_then(group::of_leader).ok_or_else(|| failed(name, "/bin/sh", "it ended at once".to_owned()))?;
    let mut gate = child.stdin.take();
    // Where this fails, dropping the gate ends the shell.
    let ticket = journal.intend(Undo::KillProcessGroup { group: group.clone(), run: spec.run.clone() }).await?;
    if let Some(gate) = gate.as_mut() {
        gate.write_all(b"go\n").await.map_err(|error| failed(name, "/bin/sh", error.to_string()))?;
    }
    Ok(Spawned { child, group, ticket })
}

fn command(spec: &StackSpec, service: &ProcessService, template: Template<'_>) -> Result<Command, RuntimeError> {
    let name = template.service;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", GATE, "shakedown"]).arg(program(&spec.root, name, service)?);
    for argument in service.run.iter().skip(1) {
        command.arg(template.fill(argument, "`run`")?);
    }
    command.env_clear();
    command.envs(INHERITED.iter().filter_map(|key| Some((*key, std::env::var_os(key)?))));
    command.envs(&spec.environment);
    for (key, value) in &service.env {
        command.env(key, template.fill(value, &format!("`env.{key}`"))?);
    }
    command.env(marks::RUN_VARIABLE, &spec.run).env(marks::OWNER_VARIABLE, Owner::current().to_string());
    let directory = service.cwd.as_ref().map_or_else(|| spec.root.clone(), |cwd| spec.root.join(cwd));
    if !directory.is_dir() {
        return Err(failed(name, &directory.display().to_string(), "its working directory does not exist; fix `cwd`".to_owned()));
    }
    command.current_dir(directory).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// The program of a service: a path is meant from the root, a bare name from `PATH`.
pub(crate) fn program(root: &Path, service: &str, process: &ProcessService) -> Result<PathBuf, RuntimeError> {
    let Some(first) = process.run.first() else {
        return Err(failed(service, "", "`run` is empty; name a program".to_owned()));
    };
    if first.contains('/') {
        let path = root.join(first);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(failed(service, first, format!("{} does not exist; build it (`services.build`) or fix `run`", path.display())))
        };
    }
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&directories).map(|directory| directory.join(first)).find(|path| path.is_file());
    found.ok_or_else(|| failed(service, first, "it is not in PATH; install it or give its path".to_owned()))
}

fn failed(service: &str, program: &str, why: String) -> RuntimeError {
    RuntimeError::Program { service: service.to_owned(), program: program.to_owned(), why }
}
