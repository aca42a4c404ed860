//! Leftovers of runs whose journal is lost too: found by label and by environment, removed where their owner is certainly dead.

use crate::{
    RuntimeError,
    docker::Engine,
    marks,
    owner::{Life, Owner},
    process::{self, stat},
};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder};
use futures_util::future::join_all;
use std::collections::HashMap;

/// What a sweep did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Swept {
    /// Removed.
    pub removed: Vec<String>,
    /// Could not be removed, or was not because nobody can say whether its owner lives; each with the reason.
    pub left: Vec<String>,
}

/// Removes what carries our mark and whose owner is certainly dead. What a live run owns is neither touched nor mentioned. Where no
/// engine answers there are processes only.
pub async fn sweep() -> Result<Swept, RuntimeError> {
    sweep_of(Whose::TheDead).await
}

/// Removes what carries the mark of one run, whoever owns it and whether or not that somebody lives.
pub async fn sweep_run(run: &str) -> Result<Swept, RuntimeError> {
    sweep_of(Whose::Run(run)).await
}

/// Whose things are swept.
#[derive(Debug, Clone, Copy)]
enum Whose<'a> {
    TheDead,
    Run(&'a str),
}

async fn sweep_of(whose: Whose<'_>) -> Result<Swept, RuntimeError> {
    let mut swept = Swept::default();
    sweep_processes(whose, &mut swept).await;
    match Engine::connect().await {
        Ok(engine) => sweep_engine(&engine, whose, &mut swept).await?,
        Err(RuntimeError::NoEngine { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(swept)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Container,
    Network,
    Volume,
}

impl Kind {
    /// All.
    pub(crate) const ALL: [Kind; 3] = [Kind::Container, Kind::Network, Kind::Volume];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Container => "container",
            Kind::Network => "network",
            Kind::Volume => "volume",
        }
    }
}

async fn sweep_engine(engine: &Engine, whose: Whose<'_>, swept: &mut Swept) -> Result<(), RuntimeError> {
    for kind in Kind::ALL {
        let found = list(engine, kind, whose.run()).await.map_err(RuntimeError::engine(format!("list {}s", kind.word())))?;
        let removals = found.into_iter().filter_map(|(name, labels)| {
            let run = labels.get(marks::RUN).cloned().unwrap_or_default();
            match whose.fate(&run, labels.get(marks::OWNER)) {
                Fate::Ours => Some(async move { (remove(engine, kind, &name, &run).await, name) }),
                Fate::Alive => None,
                Fate::Unclear(why) => {
                    swept.left.push(format!("{} {name}: {why}", kind.word()));
                    None
                }
            }
        });
        let removals: Vec<_> = removals.collect();
        for (outcome, name) in join_all(removals).await {
            let what = format!("{} {name}", kind.word());
            match outcome {
                Ok(()) => swept.removed.push(what),
                Err(error) => swept.left.push(format!("{what}: {error}")),
            }
        }
    }
    Ok(())
}

impl<'a> Whose<'a> {
    fn run(self) -> Option<&'a str> {
        match self {
            Whose::TheDead => None,
            Whose::Run(run) => Some(run),
        }
    }

    /// What becomes of a thing of `run`.
    fn fate(self, run: &str, owner: Option<&String>) -> Fate {
        match self {
            Whose::TheDead => fate(run, owner),
            Whose::Run(wanted) if wanted == run => Fate::Ours,
            Whose::Run(_) => Fate::Alive,
        }
    }
}

enum Fate {
    Ours,
    Alive,
    Unclear(String),
}

fn fate(run: &str, owner: Option<&String>) -> Fate {
    let Some(owner) = owner.and_then(|text| text.parse::<Owner>().ok()) else {
        return Fate::Unclear("it does not say who made it; remove it by hand".to_owned());
    };
    match owner.life(engine_is_local()) {
        Life::Alive => Fate::Alive,
        Life::Dead => Fate::Ours,
        Life::Unknown => Fate::Unclear(format!("run {run} was started where this process cannot look; run recover there")),
    }
}

pub(crate) fn engine_is_local() -> bool {
    std::env::var("DOCKER_HOST").map_or(true, |host| host.is_empty() || host.starts_with("unix:"))
}

/// Names and labels of what carries the mark of one run, or of any.
pub(crate) async fn list(
    engine: &Engine,
    kind: Kind,
    run: Option<&str>,
) -> Result<Vec<(String, HashMap<String, String>)>, bollard::errors::Error> {
    let label = run.map_or_else(|| marks::RUN.to_owned(), |run| format!("{}={run}", marks::RUN));
    let filters = HashMap::from([("label".to_owned(), vec![label])]);
    let docker = &engine.docker;
    Ok(match kind {
        Kind::Container => {
            let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
            let named = |names: Option<Vec<String>>| names.and_then(|names| Some(names.first()?.trim_start_matches('/').to_owned()));
            let found = docker.list_containers(Some(options)).await?.into_iter();
            found.filter_map(|container| Some((named(container.names)?, container.labels.unwrap_or_default()))).collect()
        }
        Kind::Network => {
            let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
            let found = docker.list_networks(Some(options)).await?.into_iter();
            found.filter_map(|network| Some((network.name?, network.labels.unwrap_or_default()))).collect()
        }
        Kind::Volume => {
            let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
            let found = docker.list_volumes(Some(options)).await?.volumes.unwrap_or_default().into_iter();
            found.map(|volume| (volume.name, volume.labels)).collect()
        }
    })
}

async fn remove(engine: &Engine, kind: Kind, name: &str, run: &str) -> Result<(), shakedown_undo::RevertError> {
    match kind {
        Kind::Container => engine.remove_container(name, run).await,
        Kind::Network => engine.remove_network(name, run).await,
        Kind::Volume => engine.remove_volume(name, run).await,
    }
}

/// Children that left their process group are found by the environment that they were started with.
async fn sweep_processes(whose: Whose<'_>, swept: &mut Swept) {
    for stat in stat::all() {
        let Some(run) = stat::variable(stat.pid, marks::RUN_VARIABLE).filter(|_| stat.pid != std::process::id()) else { continue };
        let owner = stat::variable(stat.pid, marks::OWNER_VARIABLE);
        let what = format!("process {}", stat.pid);
        match whose.fate(&run, owner.as_ref()) {
            Fate::Alive => {}
            Fate::Unclear(why) => swept.left.push(format!("{what}: {why}")),
            Fate::Ours => match process::group::kill_process(&stat).await {
                Ok(()) => swept.removed.push(what),
                Err(error) => swept.left.push(format!("{what}: {error}")),
            },
        }
    }
}

/// How many containers of dead runs there are.
pub(crate) async fn leftovers(engine: &Engine) -> usize {
    let found = list(engine, Kind::Container, None).await.unwrap_or_default();
    found.iter().filter(|(_, labels)| matches!(fate(&labels[marks::RUN], labels.get(marks::OWNER)), Fate::Ours)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_owner_left_is_swept() {
        let alive = Owner::current().to_string();
        let dead = alive.replacen(':', ":9", 1);
        assert!(matches!(fate("r2", Some(&alive)), Fate::Alive));
        assert!(matches!(fate("r2", Some(&dead)), Fate::Ours));
        assert!(matches!(fate("r2", None), Fate::Unclear(_)));
        assert!(matches!(fate("r2", Some(&"nonsense".to_owned())), Fate::Unclear(_)));
    }

    #[test]
    fn a_run_that_is_named_is_swept_though_its_owner_lives_and_no_other_is() {
        let alive = Owner::current().to_string();
        assert!(matches!(Whose::Run("r2").fate("r2", Some(&alive)), Fate::Ours));
        assert!(matches!(Whose::Run("r2").fate("r2", None), Fate::Ours));
        assert!(matches!(Whose::Run("r2").fate("r22", Some(&alive)), Fate::Alive));
        assert!(matches!(Whose::TheDead.fate("r2", Some(&alive)), Fate::Alive));
    }
}
