//! Services as child processes: what is there where no container engine is.
//!
//! Each is the leader of a process group of its own. Links between services are addresses that are put into templates, so an edge can
//! be led through the harness.

pub(crate) mod group;
mod ports;
mod ready;
mod spawn;
mod stack;
pub(crate) mod stat;
mod template;

use crate::{Built, Launch, Notices, Powers, Prepared, Runtime, RuntimeError, Stack, order, runtime::Place};
use shakedown_model::{
    plan::RuntimeKind,
    stack::{Condition, Dependency, StackSpec},
};
use shakedown_undo::Journal;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// What processes stand on: nothing but the ports that [`Prepared::listen`] names.
#[derive(Debug)]
pub(crate) struct Ground;

/// Services as child processes.
#[derive(Debug, Default)]
pub struct ProcessRuntime;

impl ProcessRuntime {
    /// Needs nothing.
    pub fn new() -> ProcessRuntime {
        ProcessRuntime
    }
}

#[async_trait::async_trait]
impl Runtime for ProcessRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Process
    }

    fn engine(&self) -> String {
        format!("processes on {}", std::env::consts::OS)
    }

    fn powers(&self) -> Powers {
        Powers { stand_beside: false, wiring: true }
    }

    /// Processes are built by the experiment's own `build` command; here it is checked that the programs are there.
    async fn build(&self, spec: &StackSpec, _: &Notices, _: &CancellationToken) -> Result<Built, RuntimeError> {
        for (name, service) in &spec.processes {
            spawn::program(&spec.root, name, service)?;
        }
        Ok(Built::default())
    }

    async fn prepare(&self, spec: &StackSpec, _: &Journal) -> Result<Prepared, RuntimeError> {
        let harness_ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listen = ports::allocate(spec.processes.keys())?;
        Ok(Prepared { harness_ip, harness_host: harness_ip.to_string(), listen, place: Place::Process(Ground) })
    }

    async fn start(
        &self,
        launch: Launch<'_>,
        journal: Arc<Journal>,
        notices: Notices,
        cancel: CancellationToken,
    ) -> Result<Box<dyn Stack>, RuntimeError> {
        if launch.spec.processes.is_empty() {
            return Err(RuntimeError::NothingToStart("the config has no `services.process`".to_owned()));
        }
        let dependencies: Vec<(&str, Vec<Dependency>)> =
            launch.spec.processes.iter().map(|(name, service)| (name.as_str(), ready_first(&service.depends_on))).collect();
        order::check(&dependencies.iter().map(|(name, dependencies)| (*name, dependencies.as_slice())).collect())?;
        let stack = stack::start(launch, journal, notices, cancel).await?;
        Ok(Box::new(stack))
    }
}

/// Processes have one kind of dependency: the other one is ready.
fn ready_first(names: &[String]) -> Vec<Dependency> {
    names.iter().map(|name| Dependency { service: name.clone(), condition: Condition::Healthy }).collect()
}
