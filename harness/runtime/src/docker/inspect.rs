//! What the engine says of a container, in the words of this room.

use super::engine::Engine;
use crate::{RuntimeError, ServiceState, StateWord, lines::quote};
use bollard::{
    models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum},
    query_parameters::{InspectContainerOptions, LogsOptionsBuilder, TopOptionsBuilder},
};
use futures_util::StreamExt;
use std::{collections::HashMap, net::IpAddr, time::Duration};

/// How long the engine has to hand out a few log lines for an error message.
const LAST_WORDS: Duration = Duration::from_secs(3);

impl Engine {
    pub(crate) async fn inspect(&self, name: &str) -> Result<ContainerInspectResponse, RuntimeError> {
        let found = self.docker.inspect_container(name, None::<InspectContainerOptions>).await;
        found.map_err(RuntimeError::engine(format!("inspect container {name}")))
    }

    /// Whether the main process of a container is stopped (state `T` of ps).
    pub(crate) async fn is_stopped(&self, name: &str) -> Result<bool, RuntimeError> {
        let options = TopOptionsBuilder::new().ps_args("-o pid,stat").build();
        let top = self.docker.top_processes(name, Some(options)).await;
        let processes = top.map_err(RuntimeError::engine(format!("look at the processes of container {name}")))?.processes;
        let pid = self.inspect(name).await?.state.and_then(|state| state.pid).unwrap_or_default().to_string();
        let main = processes.into_iter().flatten().find(|process| process.first().is_some_and(|word| *word == pid));
        Ok(main.is_some_and(|process| process.get(1).is_some_and(|state| state.starts_with('T'))))
    }

    /// The last lines of a container, for an error message; never fails, there is an error to tell already.
    pub(crate) async fn last_lines(&self, name: &str) -> String {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("20").build();
        let mut frames = self.docker.logs(name, Some(options));
        let mut text = String::new();
        let read = async {
            while let Some(Ok(frame)) = frames.next().await {
                text.push_str(&String::from_utf8_lossy(frame.as_ref()));
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, read).await;
        if text.trim().is_empty() {
            return quote(std::iter::once("(it said nothing)"));
        }
        let lines = text.lines().map(|line| line.chars().take(400).collect::<String>()).collect::<Vec<_>>();
        quote(lines.iter().map(String::as_str))
    }
}

pub(crate) fn state_of(found: &ContainerInspectResponse) -> ServiceState {
    let state = found.state.clone().unwrap_or_default();
    let word = word_of(&state);
    ServiceState {
        exit_code: matches!(word, StateWord::Exited | StateWord::Restarting).then_some(state.exit_code).flatten(),
        word,
        out_of_memory: state.oom_killed.unwrap_or_default(),
        health: state.health.and_then(|health| health.status).map(|status| status.to_string()).filter(|text| !text.is_empty()),
        started_at: state.started_at.unwrap_or_default(),
    }
}

fn word_of(state: &ContainerState) -> StateWord {
    use ContainerStateStatusEnum as Status;
    match state.status {
        Some(Status::RUNNING) => StateWord::Running,
        Some(Status::PAUSED) => StateWord::Paused,
        Some(Status::RESTARTING) => StateWord::Restarting,
        Some(Status::CREATED) => StateWord::Created,
        _ => StateWord::Exited,
    }
}

/// Addresses by engine name of the network, IPv4 before IPv6. A container that does not run has none.
pub(crate) fn addresses(found: &ContainerInspectResponse) -> HashMap<String, Vec<IpAddr>> {
    let networks = found.network_settings.as_ref().and_then(|settings| settings.networks.clone()).unwrap_or_default();
    let of = |(name, endpoint): (String, bollard::models::EndpointSettings)| {
        let texts = [endpoint.ip_address, endpoint.global_ipv6_address];
        let addresses: Vec<IpAddr> = texts.into_iter().flatten().filter_map(|text| text.parse().ok()).collect();
        (!addresses.is_empty()).then_some((name, addresses))
    };
    networks.into_iter().filter_map(of).collect()
}

/// The port of this host that leads to a container's port, where it was published.
pub(crate) fn published_port(found: &ContainerInspectResponse, port: u16) -> Option<u16> {
    let ports = found.network_settings.as_ref()?.ports.as_ref()?;
    ports.get(&format!("{port}/tcp"))?.as_ref()?.iter().find_map(|binding| binding.host_port.as_ref()?.parse().ok())
}

/// The health check that is in force, from the compose file or the image; `None`: there is none.
pub(crate) fn health_test(found: &ContainerInspectResponse) -> Option<Vec<String>> {
    let test = found.config.as_ref()?.healthcheck.as_ref()?.test.clone()?;
    test.first().is_some_and(|word| word != "NONE").then_some(test)
}
