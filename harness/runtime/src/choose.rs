//! Which runtime a run uses, and why, in one sentence that every report can print.

use crate::{
    Runtime, RuntimeError,
    docker::{DockerRuntime, Engine},
    process::ProcessRuntime,
};
use std::sync::Arc;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The engine if one answers, else processes.
    Auto,
    /// Containers.
    Docker,
    /// Child processes.
    Process,
}

/// Finds the runtime. `has_compose` and `has_process` say what the config describes.
pub async fn choose(choice: Choice, has_compose: bool, has_process: bool) -> Result<(Arc<dyn Runtime>, String), RuntimeError> {
    match (choice, has_compose, has_process) {
        (Choice::Docker, false, _) => nothing("the config has no `services.compose`; name a compose file, or use `--runtime process`"),
        (Choice::Process, _, false) => {
            nothing("the config has no `services.process`; describe the processes there, or use `--runtime docker`")
        }
        (Choice::Auto, false, false) => nothing("the config describes no services; set `services.compose` or `services.process`"),
        (Choice::Docker, true, _) => Ok(docker(Engine::connect().await?, "asked for")),
        (Choice::Process, _, true) => Ok(processes("asked for")),
        (Choice::Auto, false, true) => Ok(processes("the config has no compose file")),
        (Choice::Auto, true, has_process) => match Engine::connect().await {
            Ok(engine) => Ok(docker(engine, "a container engine answers")),
            Err(RuntimeError::NoEngine { why }) if has_process => Ok(processes(&format!("no container engine answers ({why})"))),
            Err(error) => Err(error),
        },
    }
}

fn nothing(message: &str) -> Result<(Arc<dyn Runtime>, String), RuntimeError> {
    Err(RuntimeError::NothingToStart(message.to_owned()))
}

fn docker(engine: Engine, why: &str) -> (Arc<dyn Runtime>, String) {
    let runtime = DockerRuntime::new(engine);
    let sentence = format!("{}: {why}", runtime.engine());
    (Arc::new(runtime), sentence)
}

fn processes(why: &str) -> (Arc<dyn Runtime>, String) {
    let runtime = ProcessRuntime::new();
    let sentence = format!("{}: {why}", runtime.engine());
    (Arc::new(runtime), sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_config_without_services_for_the_choice_says_which_key_is_missing() {
        let said = |outcome: Result<(Arc<dyn Runtime>, String), RuntimeError>| outcome.err().unwrap().to_string();
        assert!(said(choose(Choice::Docker, false, true).await).contains("services.compose"));
        assert!(said(choose(Choice::Process, true, false).await).contains("services.process"));
        assert!(said(choose(Choice::Auto, false, false).await).contains("no services"));
    }

    #[tokio::test]
    async fn without_a_compose_file_processes_are_chosen_and_the_reason_is_said() {
        let (runtime, why) = choose(Choice::Auto, false, true).await.unwrap();
        assert_eq!(runtime.kind(), shakedown_model::plan::RuntimeKind::Process);
        assert!(why.ends_with("the config has no compose file"), "{why}");
    }
}
