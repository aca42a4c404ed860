//! The containers of one variant, up: where they are, what they are doing, and changes to their lives.

use super::{
    beside,
    container::Reach,
    engine::Engine,
    events::Expected,
    images::Images,
    inspect::{addresses, published_port, state_of},
    names::Names,
    start::Handle,
    within, wrap,
};
use crate::{
    Changed, Depth, Helper, Lifecycle, Limit, Notices, Pipe, Resource, RuntimeError, ServiceState, Stack, StateWord, Survey, Usage, Within,
    lines::{LineSink, now},
    text::exit_meaning,
};
use bollard::query_parameters::{KillContainerOptionsBuilder, StopContainerOptionsBuilder};
use indexmap::IndexMap;
use shakedown_model::evidence::RawLine;
use shakedown_undo::{Journal, Ticket, Undo};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// How long a change may take to show.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// One container.
pub(crate) struct Member {
    pub(crate) container: String,
    /// Engine names, the one by which it is reached first.
    pub(crate) networks: Vec<String>,
    /// Changes with every start.
    pub(crate) starts: watch::Sender<u64>,
}

/// The containers of one variant.
pub(crate) struct DockerStack {
    engine: Arc<Engine>,
    images: Arc<Images>,
    names: Names,
    reach: Reach,
    members: IndexMap<String, Member>,
    handles: IndexMap<String, Handle>,
    sink: LineSink,
    lines: Option<mpsc::Receiver<RawLine>>,
    expected: Expected,
    notices: Notices,
    /// What is held, by service and by what holds it.
    holds: Mutex<HashMap<(String, Hold), Ticket>>,
    helpers: AtomicU32,
    /// Log tails and the event stream; they end with the stack.
    _followers: JoinSet<()>,
}

impl DockerStack {
    #[expect(clippy::too_many_arguments, reason = "called once, by the function that made all of these")]
    pub(crate) fn new(
        engine: Arc<Engine>,
        images: Arc<Images>,
        names: Names,
        reach: Reach,
        members: IndexMap<String, Member>,
        handles: IndexMap<String, Handle>,
        sink: LineSink,
        lines: mpsc::Receiver<RawLine>,
        expected: Expected,
        notices: Notices,
        followers: JoinSet<()>,
    ) -> DockerStack {
        DockerStack {
            engine,
            images,
            names,
            reach,
            members,
            handles,
            sink,
            lines: Some(lines),
            expected,
            notices,
            holds: Mutex::default(),
            helpers: AtomicU32::new(0),
            _followers: followers,
        }
    }

    fn member(&self, service: &str) -> Result<&Member, RuntimeError> {
        self.members.get(service).ok_or_else(|| RuntimeError::unknown_service(service, self.members.keys().map(String::as_str)))
    }

    /// Notes the undo of something that is held for a while.
    async fn hold(&self, service: &str, hold: Hold, undo: Undo, journal: &Journal) -> Result<(), RuntimeError> {
        let ticket = journal.intend(undo).await?;
        self.holds.lock().unwrap_or_else(PoisonError::into_inner).insert((service.to_owned(), hold), ticket);
        Ok(())
    }

    /// It is held no more.
    fn release(&self, service: &str, hold: Hold, journal: &Journal) -> Result<(), RuntimeError> {
        let ticket = self.holds.lock().unwrap_or_else(PoisonError::into_inner).remove(&(service.to_owned(), hold));
        ticket.map_or(Ok(()), |ticket| journal.settle(&ticket)).map_err(RuntimeError::from)
    }

    async fn pause(&self, service: &str, member: &Member, journal: &Journal) -> Result<(), RuntimeError> {
        let undo = Undo::ResumeContainer { name: member.container.clone(), run: self.names.run.clone() };
        self.hold(service, Hold::Life, undo, journal).await?;
        self.engine.docker.pause_container(&member.container).await.map_err(RuntimeError::engine(format!("pause service `{service}`")))
    }

    async fn resume(&self, service: &str, member: &Member, journal: &Journal) -> Result<(), RuntimeError> {
        self.engine
            .docker
            .unpause_container(&member.container)
            .await
            .map_err(RuntimeError::engine(format!("resume service `{service}`")))?;
        self.release(service, Hold::Life, journal)
    }

    async fn stop(&self, service: &str, member: &Member, journal: &Journal) -> Result<(), RuntimeError> {
        let undo = Undo::ContinueContainer { name: member.container.clone(), run: self.names.run.clone() };
        self.hold(service, Hold::Life, undo, journal).await?;
        self.send_signal(service, member, "SIGSTOP").await?;
        self.until_stopped(service, member, true).await
    }

    async fn go_on(&self, service: &str, member: &Member, journal: &Journal) -> Result<(), RuntimeError> {
        self.send_signal(service, member, "SIGCONT").await?;
        self.until_stopped(service, member, false).await?;
        self.release(service, Hold::Life, journal)
    }

    async fn send_signal(&self, service: &str, member: &Member, signal: &str) -> Result<(), RuntimeError> {
        let sent = self.engine.send_signal(&member.container, signal).await;
        sent.map_err(RuntimeError::engine(format!("send {signal} to service `{service}`")))
    }

    async fn until_stopped(&self, service: &str, member: &Member, is_stopped: bool) -> Result<(), RuntimeError> {
        let wait = async {
            while self.engine.is_stopped(&member.container).await? != is_stopped {
                sleep(PAUSE).await;
            }
            Ok(())
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| Err(never(service, if is_stopped { "stop" } else { "continue" })))
    }

    async fn term(&self, service: &str, member: &Member, grace: Duration) -> Result<(), RuntimeError> {
        self.expected.one_more(service);
        let seconds = i32::try_from(grace.as_secs_f64().ceil() as u64).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let stopped = self.engine.docker.stop_container(&member.container, Some(options)).await;
        stopped.map_err(|error| {
            self.expected.take(service);
            RuntimeError::engine(format!("stop service `{service}`"))(error)
        })?;
        self.until(service, member, "end", |state| state.word == StateWord::Exited).await
    }

    async fn kill(&self, service: &str, member: &Member) -> Result<(), RuntimeError> {
        self.expected.one_more(service);
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        let killed = self.engine.docker.kill_container(&member.container, Some(options)).await;
        killed.map_err(|error| {
            self.expected.take(service);
            RuntimeError::engine(format!("kill service `{service}`"))(error)
        })?;
        self.until(service, member, "end", |state| state.word == StateWord::Exited).await
    }

    async fn start(&self, service: &str, member: &Member) -> Result<(), RuntimeError> {
        let before = self.look(member).await?.started_at;
        let Some(handle) = self.handles.get(service) else { return Err(RuntimeError::unknown_service(service, std::iter::empty())) };
        handle.start().await.map_err(|source| RuntimeError::Start { service: service.to_owned(), source: Box::new(source) })?;
        member.starts.send_modify(|count| *count += 1);
        self.until(service, member, "start", |state| state.started_at != before && state.word != StateWord::Created).await?;
        let state = self.look(member).await?;
        if state.word == StateWord::Exited {
            let how = exit_meaning(state.exit_code.unwrap_or_default());
            return Err(RuntimeError::Exited { service: service.to_owned(), how, log: self.engine.last_lines(&member.container).await });
        }
        Ok(())
    }

    async fn look(&self, member: &Member) -> Result<ServiceState, RuntimeError> {
        self.engine.inspect(&member.container).await.map(|found| state_of(&found))
    }

    async fn until(
        &self,
        service: &str,
        member: &Member,
        what: &str,
        reached: impl Fn(&ServiceState) -> bool + Send,
    ) -> Result<(), RuntimeError> {
        let wait = async {
            while !reached(&self.look(member).await?) {
                sleep(PAUSE).await;
            }
            Ok(())
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| Err(never(service, what)))
    }
}

fn never(service: &str, what: &str) -> RuntimeError {
    RuntimeError::NeverReady {
        service: service.to_owned(),
        waiting_for: format!("the engine did not {what} it"),
        patience: PATIENCE,
        log: String::new(),
    }
}

/// What can be held of a service at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Hold {
    /// It is paused or stopped.
    Life,
    /// It may use less of something.
    Limit(Resource),
}

#[async_trait::async_trait]
impl Stack for DockerStack {
    fn services(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    async fn address(&self, service: &str, port: u16) -> Result<SocketAddr, RuntimeError> {
        let member = self.member(service)?;
        let found = self.engine.inspect(&member.container).await?;
        let address = match self.reach {
            Reach::Direct => {
                let addresses = addresses(&found);
                member.networks.iter().find_map(|network| addresses.get(network)?.first()).map(|ip| SocketAddr::new(*ip, port))
            }
            Reach::Published => published_port(&found, port).map(|port| SocketAddr::from(([127, 0, 0, 1], port))),
        };
        address.ok_or_else(|| RuntimeError::State {
            service: service.to_owned(),
            state: state_of(&found).to_string(),
            needs: "only a running service has an address (on this engine: at a port that `ports` or `expose` names)",
        })
    }

    async fn addresses_within(&self, service: &str) -> Result<Vec<IpAddr>, RuntimeError> {
        let member = self.member(service)?;
        let addresses = addresses(&self.engine.inspect(&member.container).await?);
        Ok(member.networks.iter().filter_map(|network| addresses.get(network)).flatten().copied().collect())
    }

    async fn change(&self, service: &str, change: Lifecycle, journal: &Journal) -> Result<Changed, RuntimeError> {
        let member = self.member(service)?;
        let before = self.look(member).await?;
        let needs = |word, needs| {
            let fits = before.word == word;
            fits.then_some(()).ok_or_else(|| RuntimeError::State { service: service.to_owned(), state: before.to_string(), needs })
        };
        match change {
            Lifecycle::Pause => {
                needs(StateWord::Running, "only a running service can be paused")?;
                self.pause(service, member, journal).await?;
            }
            Lifecycle::Resume => {
                needs(StateWord::Paused, "only a paused service can be resumed")?;
                self.resume(service, member, journal).await?;
            }
            Lifecycle::Stop => {
                needs(StateWord::Running, "only a running service can be stopped")?;
                self.stop(service, member, journal).await?;
                let after = ServiceState { word: StateWord::Paused, ..self.look(member).await? };
                return Ok(Changed { before, at: now(), after });
            }
            Lifecycle::Continue => {
                needs(StateWord::Running, "only a service that lives can go on")?;
                self.go_on(service, member, journal).await?;
            }
            Lifecycle::Term { grace } => {
                needs(StateWord::Running, "only a running service can be asked to end: resume it first if it is paused")?;
                self.term(service, member, grace).await?;
            }
            Lifecycle::Kill => {
                needs(StateWord::Running, "only a running service can be killed: resume it first if it is paused")?;
                self.kill(service, member).await?;
            }
            Lifecycle::Start => {
                needs(StateWord::Exited, "only one that ended can be started again")?;
                self.start(service, member).await?;
            }
            Lifecycle::Restart => {
                needs(StateWord::Running, "only a running service can be restarted: resume it first if it is paused")?;
                self.kill(service, member).await?;
                self.start(service, member).await?;
            }
        }
        Ok(Changed { before, at: now(), after: self.look(member).await? })
    }

    async fn state(&self, service: &str) -> Result<ServiceState, RuntimeError> {
        self.look(self.member(service)?).await
    }

    fn take_logs(&mut self) -> Option<mpsc::Receiver<RawLine>> {
        self.lines.take()
    }

    fn lost_lines(&self) -> u64 {
        self.sink.lost()
    }

    async fn stand_beside(&self, service: &str, helper: &Helper, journal: &Journal) -> Result<Pipe, RuntimeError> {
        let member = self.member(service)?;
        let image = self.images.of_binary(helper.name, helper.binary).await?;
        let number = self.helpers.fetch_add(1, Ordering::Relaxed) + 1;
        let name = self.names.helper(service, helper.name, number);
        let place = beside::Place { helper, service, container: &member.container, name: &name, image: &image };
        beside::stand(&self.engine, &self.names, place, journal, &self.notices).await
    }

    async fn run_within(&self, service: &str, within: &Within<'_>) -> Result<Pipe, RuntimeError> {
        within::run(&self.engine, service, &self.member(service)?.container, within, &self.notices).await
    }

    async fn talk_to_wrap(&self, service: &str) -> Result<Pipe, RuntimeError> {
        let command = vec![wrap::PROGRAM.to_owned(), "control".to_owned()];
        within::execute(&self.engine, service, &self.member(service)?.container, command, &self.notices).await
    }

    async fn limit(&self, service: &str, limit: Limit, journal: &Journal) -> Result<(), RuntimeError> {
        let container = &self.member(service)?.container;
        let declared = self.engine.declared(container).await?;
        let undo = Undo::RestoreLimits { name: container.clone(), run: self.names.run.clone() };
        self.hold(service, Hold::Limit(limit.resource()), undo, journal).await?;
        let updated = self.engine.docker.update_container(container, declared.limited(limit)).await;
        updated.map_err(RuntimeError::engine(format!("limit service `{service}`")))
    }

    async fn unlimit(&self, service: &str, resource: Resource, journal: &Journal) -> Result<(), RuntimeError> {
        let container = &self.member(service)?.container;
        let declared = self.engine.declared(container).await?;
        let updated = self.engine.docker.update_container(container, declared.restored(resource)).await;
        updated.map_err(RuntimeError::engine(format!("restore the limits of service `{service}`")))?;
        self.release(service, Hold::Limit(resource), journal)
    }

    async fn usage(&self, service: &str) -> Result<Usage, RuntimeError> {
        self.engine.usage(&self.member(service)?.container).await
    }

    async fn survey(&self, service: &str, depth: Depth) -> Result<Survey, RuntimeError> {
        self.engine.survey(&self.member(service)?.container, depth).await
    }

    fn expect_end(&self, service: &str) {
        self.expected.one_more(service);
    }

    fn end_did_not_come(&self, service: &str) {
        self.expected.take(service);
    }
}
