//! What a container may use of the machine: declared when it was made, less for a while, then what was declared again.

use super::engine::Engine;
use crate::{Limit, Resource, RuntimeError, Usage, marks};
use bollard::{
    models::{ContainerStatsResponse, ContainerUpdateBody, HostConfig},
    query_parameters::{KillContainerOptionsBuilder, StatsOptionsBuilder},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use shakedown_model::stack::ContainerSpec;
use std::{collections::HashMap, time::Duration};

/// The engine cannot say "no limit" of memory any more once there was one: a pebibyte is none.
const NO_LIMIT: i64 = 1 << 50;
/// What engines divide a core's time into, in microseconds.
const PERIOD: f64 = 100_000.0;
/// The least that the engine grants.
const LEAST_QUOTA: i64 = 1_000;

/// What a service declares; `None`: as much as there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Declared {
    memory: Option<i64>,
    nano_cpus: Option<i64>,
    tasks: Option<i64>,
}

impl Declared {
    pub(crate) fn of(service: &ContainerSpec) -> Declared {
        Declared {
            memory: service.memory.map(u64::cast_signed),
            nano_cpus: service.cpus.map(|cores| (cores * 1e9) as i64),
            tasks: service.pids_limit.filter(|&limit| limit > 0),
        }
    }

    pub(crate) fn label(self) -> String {
        serde_json::to_string(&self).unwrap_or_default()
    }

    pub(crate) fn of_labels(labels: Option<&HashMap<String, String>>) -> Option<Declared> {
        serde_json::from_str(labels?.get(marks::LIMITS)?).ok()
    }

    /// How less of it is said. Cores of a container that declares none are given by quota: once told in billionths they could never be unlimited.
    pub(crate) fn limited(self, limit: Limit) -> ContainerUpdateBody {
        match limit {
            Limit::Cpu(cores) if self.nano_cpus.is_some() => {
                ContainerUpdateBody { nano_cpus: Some((cores * 1e9) as i64), ..ContainerUpdateBody::default() }
            }
            Limit::Cpu(cores) => quota(((cores * PERIOD) as i64).max(LEAST_QUOTA)),
            Limit::Memory(bytes) => memory(bytes.cast_signed(), bytes.cast_signed()),
            Limit::Tasks(tasks) => ContainerUpdateBody { pids_limit: Some(i64::from(tasks)), ..ContainerUpdateBody::default() },
        }
    }

    /// How what was declared is said.
    pub(crate) fn restored(self, resource: Resource) -> ContainerUpdateBody {
        match (resource, self.nano_cpus) {
            (Resource::Cpu, Some(cores)) => ContainerUpdateBody { nano_cpus: Some(cores), ..ContainerUpdateBody::default() },
            (Resource::Cpu, None) => quota(-1),
            // With as much swap as memory, as the engine does where nobody says.
            (Resource::Memory, _) => self.memory.map_or_else(|| memory(NO_LIMIT, NO_LIMIT), |bytes| memory(bytes, bytes.saturating_mul(2))),
            (Resource::Tasks, _) => ContainerUpdateBody { pids_limit: Some(self.tasks.unwrap_or(-1)), ..ContainerUpdateBody::default() },
        }
    }
}

fn quota(quota: i64) -> ContainerUpdateBody {
    ContainerUpdateBody { cpu_period: Some(PERIOD as i64), cpu_quota: Some(quota), ..ContainerUpdateBody::default() }
}

fn memory(memory: i64, with_swap: i64) -> ContainerUpdateBody {
    ContainerUpdateBody { memory: Some(memory), memory_swap: Some(with_swap), ..ContainerUpdateBody::default() }
}

/// What a container may use, as the engine tells it; what is not limited is not named, however the engine says so.
pub(super) fn granted(host: Option<&HostConfig>) -> Vec<(String, i64)> {
    let Some(host) = host else { return Vec::new() };
    let set = |value: Option<i64>| value.filter(|&value| (1..NO_LIMIT).contains(&value));
    let memory = set(host.memory);
    let quota = set(host.cpu_quota);
    let told = [
        ("memory", memory),
        ("memory and swap", memory.and(set(host.memory_swap))),
        ("billionths of cores", set(host.nano_cpus)),
        ("quota of cores", quota),
        ("period of that quota", quota.and(set(host.cpu_period))),
        ("tasks", set(host.pids_limit)),
    ];
    told.into_iter().filter_map(|(what, value)| Some((what.to_owned(), value?))).collect()
}

impl Engine {
    /// What was declared of a container of ours.
    pub(crate) async fn declared(&self, container: &str) -> Result<Declared, RuntimeError> {
        let found = self.inspect(container).await?;
        Ok(Declared::of_labels(found.config.and_then(|config| config.labels).as_ref()).unwrap_or_default())
    }

    pub(crate) async fn usage(&self, container: &str) -> Result<Usage, RuntimeError> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let stats = match self.docker.stats(container, Some(options)).next().await {
            Some(stats) => stats.map_err(RuntimeError::engine(format!("ask what container {container} uses")))?,
            None => ContainerStatsResponse::default(),
        };
        let limit = self.inspect(container).await?.host_config.and_then(|host| host.memory).filter(|&bytes| (1..NO_LIMIT).contains(&bytes));
        let throttling = stats.cpu_stats.and_then(|cpu| cpu.throttling_data).unwrap_or_default();
        Ok(Usage {
            memory: stats.memory_stats.and_then(|memory| memory.usage).unwrap_or_default(),
            memory_limit: limit.map(i64::cast_unsigned),
            tasks: stats.pids_stats.and_then(|pids| pids.current).unwrap_or_default(),
            throttled_periods: throttling.throttled_periods.unwrap_or_default(),
            throttled: Duration::from_nanos(throttling.throttled_time.unwrap_or_default()),
        })
    }

    /// A signal to the main process of a container.
    pub(crate) async fn send_signal(&self, container: &str, signal: &str) -> Result<(), bollard::errors::Error> {
        self.docker.kill_container(container, Some(KillContainerOptionsBuilder::new().signal(signal).build())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(service: &ContainerSpec) -> Declared {
        let label = HashMap::from([(marks::LIMITS.to_owned(), Declared::of(service).label())]);
        Declared::of_labels(Some(&label)).unwrap()
    }

    #[test]
    fn what_was_declared_is_read_back_from_the_label_and_restored() {
        let service = ContainerSpec { memory: Some(64 << 20), cpus: Some(1.5), pids_limit: Some(50), ..ContainerSpec::default() };
        let restored = Resource::ALL.map(|resource| declared(&service).restored(resource));
        assert_eq!(restored[0].nano_cpus, Some(1_500_000_000));
        assert_eq!((restored[1].memory, restored[1].memory_swap), (Some(64 << 20), Some(128 << 20)));
        assert_eq!(restored[2].pids_limit, Some(50));
    }

    #[test]
    fn no_limit_is_the_same_in_each_of_the_engines_words() {
        let never = HostConfig::default();
        let again = HostConfig {
            memory: Some(NO_LIMIT),
            memory_swap: Some(NO_LIMIT),
            cpu_period: Some(100_000),
            cpu_quota: Some(-1),
            pids_limit: Some(-1),
            ..HostConfig::default()
        };
        assert_eq!(granted(Some(&never)), granted(Some(&again)));
        let less = HostConfig { cpu_quota: Some(50_000), ..again };
        assert_eq!(granted(Some(&less)), [("quota of cores".to_owned(), 50_000), ("period of that quota".to_owned(), 100_000)]);
    }

    #[test]
    fn what_declares_nothing_gets_everything_back() {
        let declared = declared(&ContainerSpec::default());
        assert_eq!(declared.limited(Limit::Cpu(0.5)).cpu_quota, Some(50_000));
        let restored = Resource::ALL.map(|resource| declared.restored(resource));
        assert_eq!((restored[0].cpu_quota, restored[0].nano_cpus), (Some(-1), None));
        assert_eq!(restored[1].memory, Some(NO_LIMIT));
        assert_eq!(restored[2].pids_limit, Some(-1));
    }
}
