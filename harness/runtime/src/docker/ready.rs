//! Waiting until a container is ready.
//!
//! The engine runs a health check for the first time after a whole interval (often 10 s or 30 s). The same command is run here through
//! exec as well, every tenth of a second: a service is ready when either says so. Afterwards the engine's own checks run seldom
//! (`container.rs`): a dozen execs a second would be a good part of what is measured on two cores.

use super::{
    container::Reach,
    engine::Engine,
    inspect::{addresses, health_test, published_port, state_of},
};
use crate::{RuntimeError, StateWord, text::exit_meaning};
use bollard::{
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    models::ContainerInspectResponse,
};
use futures_util::StreamExt;
use shakedown_model::stack::ContainerSpec;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, sleep, timeout, timeout_at},
};

const PAUSE: Duration = Duration::from_millis(50);
/// Knocks between two questions to the engine: a knock costs nothing, an inspection some milliseconds of the engine's time.
const KNOCKS: u32 = 4;
/// Running a command inside costs a tenth of a second of a core. So it waits this long for the service's port to accept first, lest the
/// probes of a whole stack starve the services that they wait for.
const PORT_FIRST: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_millis(250);
/// How much of a failed health check's output is told.
const SAID: usize = 300;
const PROBE: Duration = Duration::from_secs(5);
/// A restart policy may start a service again this often before we say that it does not come up.
const MOST_RESTARTS: i64 = 3;

/// How a service came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Up {
    Ready,
    /// It did its work and ended with exit code 0.
    Completed,
}

/// One service whose readiness is waited for.
pub(crate) struct Wait<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) service: &'a ContainerSpec,
    pub(crate) container: &'a str,
    /// Engine name of the network by which it is reached.
    pub(crate) network: &'a str,
    pub(crate) reach: Reach,
    /// Somebody depends on its end.
    pub(crate) must_complete: bool,
    pub(crate) deadline: Instant,
    pub(crate) patience: Duration,
}

impl Wait<'_> {
    /// Returns when the service is ready. Cancel-safe.
    pub(crate) async fn until_ready(&self) -> Result<Up, RuntimeError> {
        let mut missing = "the engine has not said anything of it".to_owned();
        let began = Instant::now();
        let outcome = timeout_at(self.deadline, async {
            loop {
                match self.look(began).await? {
                    Sight::Up(up) => return Ok(up),
                    Sight::NotYet(what) => missing = what,
                }
                sleep(PAUSE).await;
            }
        })
        .await;
        match outcome {
            Ok(outcome) => outcome,
            Err(_) => Err(RuntimeError::NeverReady {
                service: self.service.name.clone(),
                waiting_for: missing,
                patience: self.patience,
                log: self.engine.last_lines(self.container).await,
            }),
        }
    }

    async fn look(&self, began: Instant) -> Result<Sight, RuntimeError> {
        let found = self.engine.inspect(self.container).await?;
        let state = state_of(&found);
        match state.word {
            StateWord::Created => Ok(Sight::not_yet("it is not started")),
            StateWord::Paused => Ok(Sight::not_yet("it is paused")),
            StateWord::Restarting if found.restart_count.unwrap_or_default() < MOST_RESTARTS => {
                Ok(Sight::not_yet("it ended and its restart policy starts it again"))
            }
            StateWord::Exited if state.exit_code == Some(0) && self.may_complete(&found) => Ok(Sight::Up(Up::Completed)),
            StateWord::Restarting | StateWord::Exited => self.ended(&found, state.exit_code).await,
            StateWord::Running if self.must_complete => Ok(Sight::not_yet("it still runs, and somebody waits for its end")),
            StateWord::Running => self.look_at_running(&found, began).await,
        }
    }

    fn may_complete(&self, found: &ContainerInspectResponse) -> bool {
        self.must_complete || (self.service.ports.is_empty() && health_test(found).is_none())
    }

    async fn ended(&self, found: &ContainerInspectResponse, code: Option<i64>) -> Result<Sight, RuntimeError> {
        let reason = found.state.as_ref().and_then(|state| state.error.clone()).filter(|error| !error.is_empty());
        let how = exit_meaning(code.unwrap_or_default());
        Err(RuntimeError::Exited {
            service: self.service.name.clone(),
            how: reason.map_or(how.clone(), |reason| format!("{how}, {reason}")),
            log: self.engine.last_lines(self.container).await,
        })
    }

    async fn look_at_running(&self, found: &ContainerInspectResponse, began: Instant) -> Result<Sight, RuntimeError> {
        let Some(test) = health_test(found) else { return Ok(self.knock(found).await) };
        if state_of(found).health.as_deref() == Some("healthy") {
            return Ok(Sight::Up(Up::Ready));
        }
        if let Sight::NotYet(closed) = self.knock(found).await
            && began.elapsed() < PORT_FIRST
        {
            return Ok(Sight::NotYet(closed));
        }
        match timeout(PROBE, self.probe(test)).await {
            Ok(Ok((0, _))) => Ok(Sight::Up(Up::Ready)),
            Ok(Ok((code, said))) if began.elapsed() > self.health_patience() => Err(RuntimeError::Unhealthy {
                service: self.service.name.clone(),
                probe: format!("exit code {code}: {said}"),
                log: self.engine.last_lines(self.container).await,
            }),
            Ok(Ok((code, _))) => Ok(Sight::NotYet(format!("its health check ends with exit code {code}"))),
            // The container may have ended in between: the next look tells.
            Ok(Err(_)) => Ok(Sight::not_yet("its health check cannot be run")),
            Err(_) => Ok(Sight::not_yet("its health check does not come back")),
        }
    }

    /// How long the engine would have let the health check fail before it called the service unhealthy, with its own defaults.
    fn health_patience(&self) -> Duration {
        let check = self.service.healthcheck.as_ref();
        let interval = check.and_then(|check| check.interval).unwrap_or(Duration::from_secs(30));
        let retries = check.and_then(|check| check.retries).unwrap_or(3);
        check.and_then(|check| check.start_period).unwrap_or_default() + interval * retries
    }

    /// Runs the health check's own command inside; its exit code and the beginning of what it said.
    async fn probe(&self, test: Vec<String>) -> Result<(i64, String), bollard::errors::Error> {
        let command = match test.split_first() {
            Some((word, rest)) if word == "CMD" => rest.to_vec(),
            Some((word, rest)) if word == "CMD-SHELL" => vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.join(" ")],
            _ => test,
        };
        let docker = &self.engine.docker;
        let options =
            CreateExecOptions { cmd: Some(command), attach_stdout: Some(true), attach_stderr: Some(true), ..CreateExecOptions::default() };
        let exec = docker.create_exec(self.container, options).await?;
        let mut said = String::new();
        if let StartExecResults::Attached { mut output, .. } = docker.start_exec(&exec.id, None::<StartExecOptions>).await? {
            while let Some(chunk) = output.next().await {
                if said.len() < SAID {
                    said.push_str(&chunk?.to_string());
                }
            }
        }
        let code = docker.inspect_exec(&exec.id).await?.exit_code.unwrap_or(-1);
        Ok((code, said.trim().chars().take(SAID).collect()))
    }

    /// A service without a health check is ready when its first port accepts a connection; without ports, when it runs.
    async fn knock(&self, found: &ContainerInspectResponse) -> Sight {
        let Some(port) = self.service.ports.first() else { return Sight::Up(Up::Ready) };
        let address = match self.reach {
            Reach::Direct => addresses(found).get(self.network).and_then(|ips| ips.first()).map(|ip| SocketAddr::new(*ip, *port)),
            Reach::Published => published_port(found, *port).map(|port| SocketAddr::from(([127, 0, 0, 1], port))),
        };
        let Some(address) = address else { return Sight::not_yet("it has no address") };
        for _ in 0..KNOCKS {
            if let Ok(Ok(stream)) = timeout(CONNECT, TcpStream::connect(address)).await
                && (self.reach == Reach::Direct || stays_open(stream).await)
            {
                return Sight::Up(Up::Ready);
            }
            sleep(PAUSE).await;
        }
        Sight::NotYet(format!("its port {port} accepts no connection"))
    }
}

/// A published port is accepted by the engine's own proxy, which closes at once when nobody listens behind it.
async fn stays_open(mut stream: TcpStream) -> bool {
    !matches!(timeout(CONNECT, stream.read_u8()).await, Ok(Err(_)))
}

enum Sight {
    Up(Up),
    NotYet(String),
}

impl Sight {
    fn not_yet(what: &str) -> Sight {
        Sight::NotYet(what.to_owned())
    }
}
