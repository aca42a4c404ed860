//! Taking back what this room (and the others that note undos) did. Touches only what carries the run's mark.

use crate::{
    Resource,
    docker::{Declared, Engine, is_conflict, is_gone, plain},
    marks, process, worktree,
};
use bollard::{
    errors::Error,
    query_parameters::{
        InspectContainerOptions, InspectNetworkOptions, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
        RemoveVolumeOptionsBuilder,
    },
};
use shakedown_undo::{Revert, RevertError, Undo};
use std::{
    collections::HashMap,
    path::{Component, Path},
    time::Duration,
};
use tokio::{sync::OnceCell, time::sleep};

const PAUSE: Duration = Duration::from_millis(25);

/// Takes every kind of undo back. Connects to the engine when the first undo needs it.
#[derive(Debug, Default)]
pub struct Reverter {
    engine: OnceCell<Engine>,
}

impl Reverter {
    /// Connects to nothing yet.
    pub fn new() -> Reverter {
        Reverter::default()
    }

    async fn engine(&self) -> Result<&Engine, RevertError> {
        self.engine.get_or_try_init(Engine::connect).await.map_err(|error| RevertError(error.to_string()))
    }
}

#[async_trait::async_trait]
impl Revert for Reverter {
    async fn revert(&self, undo: &Undo) -> Result<(), RevertError> {
        match undo {
            Undo::RemoveContainer { name, run } => self.engine().await?.remove_container(name, run).await,
            Undo::ResumeContainer { name, run } => self.engine().await?.resume_container(name, run).await,
            Undo::ContinueContainer { name, run } => self.engine().await?.continue_container(name, run).await,
            Undo::RestoreLimits { name, run } => self.engine().await?.restore_limits(name, run).await,
            Undo::RemoveNetwork { name, run } => self.engine().await?.remove_network(name, run).await,
            Undo::RemoveVolume { name, run } => self.engine().await?.remove_volume(name, run).await,
            Undo::RemoveImage { reference, run } => self.engine().await?.remove_image(reference, run).await,
            Undo::KillProcessGroup { group, run } => process::group::kill_for_good(group, run).await.map_err(RevertError),
            Undo::ContinueProcessGroup { group, run } => process::group::go_on(group, run).map_err(RevertError),
            Undo::RemovePath { path, run } => {
                check_path(path, run)?;
                blocking(path, worktree::remove_path).await
            }
            Undo::RemoveWorktree { repository, path, run } => {
                check_path(path, run)?;
                let repository = repository.clone();
                blocking(path, move |path| worktree::remove_worktree(&repository, path)).await
            }
            Undo::Unknown { text } => {
                Err(RevertError(format!("this version does not know how to take back {text}; use the version that ran")))
            }
        }
    }
}

/// Only below paths that we made, and those are named after the run.
fn check_path(path: &Path, run: &str) -> Result<(), RevertError> {
    let names_run = !run.is_empty() && path.components().any(|part| part.as_os_str().to_string_lossy().contains(run));
    let climbs = path.components().any(|part| part == Component::ParentDir);
    if path.is_absolute() && names_run && !climbs {
        return Ok(());
    }
    Err(RevertError(format!("{} is not a path of run {run}: it is left alone; remove it by hand if it is one", path.display())))
}

async fn blocking(path: &Path, remove: impl FnOnce(&Path) -> std::io::Result<()> + Send + 'static) -> Result<(), RevertError> {
    let owned = path.to_owned();
    let outcome = tokio::task::spawn_blocking(move || remove(&owned)).await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
    outcome.map_err(|error| RevertError(format!("could not remove {}: {error}", path.display())))
}

fn said(error: &Error) -> RevertError {
    RevertError(plain(error))
}

fn is_of_run(labels: Option<&HashMap<String, String>>, run: &str) -> bool {
    labels.and_then(|labels| labels.get(marks::RUN)).is_some_and(|label| label == run)
}

/// Each of these finds out first whether the thing is there and is ours; if not there is nothing to take back.
impl Engine {
    async fn our_container(&self, name: &str, run: &str) -> Result<Option<bollard::models::ContainerInspectResponse>, RevertError> {
        match self.docker.inspect_container(name, None::<InspectContainerOptions>).await {
            Ok(found) => {
                let ours = is_of_run(found.config.as_ref().and_then(|config| config.labels.as_ref()), run);
                Ok(ours.then_some(found))
            }
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(said(&error)),
        }
    }

    pub(crate) async fn remove_container(&self, name: &str, run: &str) -> Result<(), RevertError> {
        let _turn = self.removals.acquire().await.map_err(|closed| RevertError(closed.to_string()))?;
        while self.our_container(name, run).await?.is_some() {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            match self.docker.remove_container(name, Some(options)).await {
                Ok(()) => return Ok(()),
                Err(error) if is_gone(&error) => return Ok(()),
                // Somebody removes it already: it is gone when it cannot be found any more.
                Err(error) if is_conflict(&error) => sleep(PAUSE).await,
                Err(error) => return Err(said(&error)),
            }
        }
        Ok(())
    }

    async fn resume_container(&self, name: &str, run: &str) -> Result<(), RevertError> {
        let found = self.our_container(name, run).await?;
        if !found.and_then(|found| found.state?.paused).unwrap_or_default() {
            return Ok(());
        }
        gone_or_ended_is_fine(self.docker.unpause_container(name).await)
    }

    async fn continue_container(&self, name: &str, run: &str) -> Result<(), RevertError> {
        match self.our_container(name, run).await? {
            Some(_) => gone_or_ended_is_fine(self.send_signal(name, "SIGCONT").await),
            None => Ok(()),
        }
    }

    async fn restore_limits(&self, name: &str, run: &str) -> Result<(), RevertError> {
        let Some(found) = self.our_container(name, run).await? else { return Ok(()) };
        let Some(declared) = Declared::of_labels(found.config.and_then(|config| config.labels).as_ref()) else { return Ok(()) };
        for which in Resource::ALL {
            gone_or_ended_is_fine(self.docker.update_container(name, declared.restored(which)).await)?;
        }
        Ok(())
    }

    pub(crate) async fn remove_network(&self, name: &str, run: &str) -> Result<(), RevertError> {
        match self.docker.inspect_network(name, None::<InspectNetworkOptions>).await {
            Ok(found) if is_of_run(found.labels.as_ref(), run) => gone_is_fine(self.docker.remove_network(name).await),
            Ok(_) => Ok(()),
            Err(error) => gone_is_fine(Err(error)),
        }
    }

    pub(crate) async fn remove_volume(&self, name: &str, run: &str) -> Result<(), RevertError> {
        match self.docker.inspect_volume(name).await {
            Ok(found) if is_of_run(Some(&found.labels), run) => {
                let options = RemoveVolumeOptionsBuilder::new().force(true).build();
                gone_is_fine(self.docker.remove_volume(name, Some(options)).await)
            }
            Ok(_) => Ok(()),
            Err(error) => gone_is_fine(Err(error)),
        }
    }

    async fn remove_image(&self, reference: &str, run: &str) -> Result<(), RevertError> {
        match self.docker.inspect_image(reference).await {
            Ok(found) if is_of_run(found.config.as_ref().and_then(|config| config.labels.as_ref()), run) => {
                let options = RemoveImageOptionsBuilder::new().force(true).build();
                gone_is_fine(self.docker.remove_image(reference, Some(options), None).await.map(|_| ()))
            }
            Ok(_) => Ok(()),
            Err(error) => gone_is_fine(Err(error)),
        }
    }
}

/// What is done to a container that runs: it may end meanwhile.
fn gone_or_ended_is_fine(outcome: Result<(), Error>) -> Result<(), RevertError> {
    match outcome {
        Err(error) if !is_gone(&error) && !is_conflict(&error) => Err(said(&error)),
        _ => Ok(()),
    }
}

fn gone_is_fine(outcome: Result<(), Error>) -> Result<(), RevertError> {
    match outcome {
        Ok(()) => Ok(()),
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(said(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    async fn remove(path: &Path, run: &str) -> Result<(), RevertError> {
        Reverter::new().revert(&Undo::RemovePath { path: path.to_owned(), run: run.to_owned() }).await
    }

    #[tokio::test]
    async fn a_path_of_the_run_is_removed_once_or_twice_and_any_other_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let ours = scratch.path().join("sd-r7-x");
        std::fs::create_dir_all(ours.join("deep")).unwrap();
        remove(&ours, "r7").await.unwrap();
        assert!(!ours.exists());
        remove(&ours, "r7").await.unwrap();
        std::fs::create_dir(&ours).unwrap();
        for (path, run) in [(ours.clone(), "r8"), (PathBuf::from("sd-r7-x"), "r7"), (ours.join("../other"), "r7"), (ours.clone(), "")] {
            assert!(remove(&path, run).await.unwrap_err().to_string().contains("left alone"), "{}", path.display());
        }
        assert!(ours.exists());
    }

    #[tokio::test]
    async fn a_link_is_removed_and_not_what_it_leads_to() {
        let scratch = tempfile::tempdir().unwrap();
        let precious = scratch.path().join("precious");
        std::fs::create_dir(&precious).unwrap();
        let link = scratch.path().join("r7");
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        remove(&link, "r7").await.unwrap();
        assert!(precious.exists() && !link.exists());
    }

    #[tokio::test]
    async fn an_undo_from_the_future_is_not_taken_for_done() {
        let unknown = Undo::Unknown { text: "{\"undo\":\"melt\"}".to_owned() };
        assert!(Reverter::new().revert(&unknown).await.unwrap_err().to_string().contains("use the version that ran"));
    }
}
