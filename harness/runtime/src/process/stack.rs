//! The processes of one variant, up: their lives, their lines, and changes to them.

use super::{
    group, ready, ready_first,
    spawn::{Spawned, spawn},
    stat,
    template::Template,
};
use crate::{
    Changed, Depth, Helper, Launch, Lifecycle, Limit, Notice, Notices, Pipe, Resource, RuntimeError, ServiceState, Stack, StateWord,
    Survey, Usage, Within,
    lines::{LineSink, Splitter, now},
    order::{Board, Progress},
    text::exit_meaning,
};
use futures_util::future::join_all;
use indexmap::IndexMap;
use rustix::process::Signal;
use shakedown_model::{evidence::RawLine, experiment::ProcessService, fault::Edge, stack::StackSpec};
use shakedown_undo::{Journal, ProcessGroup, Ticket, Undo};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Child,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(25);
/// How long a change may take to show.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last lines of a process that ended may take.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The processes of one variant.
pub(crate) struct ProcessStack {
    spec: StackSpec,
    listen: HashMap<String, SocketAddr>,
    wiring: HashMap<Edge, SocketAddr>,
    lives: IndexMap<String, Mutex<Option<Life>>>,
    sink: LineSink,
    lines: Option<mpsc::Receiver<RawLine>>,
    notices: Notices,
    /// Readers of stdout and stderr, and who waits for the ends; they end with the stack.
    followers: Mutex<JoinSet<()>>,
}

/// From one start to its end.
#[derive(Debug)]
struct Life {
    group: ProcessGroup,
    ticket: Ticket,
    pause: Option<Ticket>,
    /// The exit code when it has ended.
    end: watch::Receiver<Option<i64>>,
    /// Set before we end it ourselves.
    expected: watch::Sender<bool>,
}

/// Starts everything in order; an error leaves what was made to the journal.
pub(crate) async fn start(
    launch: Launch<'_>,
    journal: Arc<Journal>,
    notices: Notices,
    cancel: CancellationToken,
) -> Result<ProcessStack, RuntimeError> {
    let (sink, lines) = LineSink::new();
    let lives = launch.spec.processes.keys().map(|name| (name.clone(), Mutex::new(None))).collect();
    let stack = ProcessStack {
        spec: launch.spec.clone(),
        listen: launch.prepared.listen,
        wiring: launch.wiring.clone(),
        lives,
        sink,
        lines: Some(lines),
        notices,
        followers: Mutex::default(),
    };
    let board = Board::new(stack.spec.processes.keys().map(String::as_str));
    let stop = cancel.child_token();
    let deadline = Instant::now() + launch.patience;
    let ups = stack.spec.processes.iter().map(|(name, service)| {
        let (stack, board, stop, journal) = (&stack, &board, &stop, &journal);
        async move {
            let up = stack.bring_up(name, service, board, stop, journal, deadline, launch.patience).await;
            if up.is_err() {
                stop.cancel();
            }
            up
        }
    });
    let outcomes = join_all(ups).await;
    let mut errors: Vec<RuntimeError> = outcomes.into_iter().filter_map(Result::err).collect();
    // The one that stopped the others is the one to tell.
    errors.sort_by_key(|error| matches!(error, RuntimeError::Cancelled));
    match errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(stack),
    }
}

impl ProcessStack {
    #[expect(clippy::too_many_arguments, reason = "the shared state of one start")]
    async fn bring_up(
        &self,
        name: &str,
        service: &ProcessService,
        board: &Board,
        stop: &CancellationToken,
        journal: &Journal,
        deadline: Instant,
        patience: Duration,
    ) -> Result<(), RuntimeError> {
        let dependencies = ready_first(&service.depends_on);
        tokio::select! {
            () = stop.cancelled() => return Err(RuntimeError::Cancelled),
            () = board.wait_for(&dependencies) => {}
        }
        let _ = self.notices.send(Notice::Starting { service: name.to_owned() });
        let began = Instant::now();
        self.begin(name, service, journal).await?;
        board.reach(name, Progress::Started);
        tokio::select! {
            () = stop.cancelled() => return Err(RuntimeError::Cancelled),
            ready = self.until_ready(name, service, deadline, patience) => ready?,
        }
        board.reach(name, Progress::Ready);
        let _ = self.notices.send(Notice::Ready { service: name.to_owned(), after: began.elapsed() });
        Ok(())
    }

    /// A new life.
    async fn begin(&self, name: &str, service: &ProcessService, journal: &Journal) -> Result<(), RuntimeError> {
        let template = Template { service: name, listen: &self.listen, wiring: &self.wiring };
        let Spawned { child, group, ticket } = spawn(&self.spec, service, template, journal).await?;
        let (ended, end) = watch::channel(None);
        let (expected, is_expected) = watch::channel(false);
        let follower = follow(name.to_owned(), child, self.sink.clone(), ended, is_expected, self.notices.clone());
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).spawn(follower);
        *self.life(name)? = Some(Life { group, ticket, pause: None, end, expected });
        Ok(())
    }

    async fn until_ready(&self, name: &str, service: &ProcessService, deadline: Instant, patience: Duration) -> Result<(), RuntimeError> {
        let address = self.listen_of(name)?;
        loop {
            // A foreign process on our port must not pass for the service: it has to live, before and after the knock.
            self.must_live(name)?;
            let missing = ready::look(&service.ready, address).await.err();
            self.must_live(name)?;
            let Some(waiting_for) = missing else { return Ok(()) };
            if Instant::now() >= deadline {
                return Err(RuntimeError::NeverReady { service: name.to_owned(), waiting_for, patience, log: self.sink.recent(name) });
            }
            sleep(PAUSE).await;
        }
    }

    fn must_live(&self, name: &str) -> Result<(), RuntimeError> {
        let code = self.life(name)?.as_ref().and_then(|life| *life.end.borrow());
        match code {
            Some(code) => Err(RuntimeError::Exited { service: name.to_owned(), how: exit_meaning(code), log: self.sink.recent(name) }),
            None => Ok(()),
        }
    }

    fn life(&self, name: &str) -> Result<MutexGuard<'_, Option<Life>>, RuntimeError> {
        let life = self.lives.get(name).ok_or_else(|| RuntimeError::unknown_service(name, self.lives.keys().map(String::as_str)))?;
        Ok(life.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn listen_of(&self, name: &str) -> Result<SocketAddr, RuntimeError> {
        let address = self.listen.get(name).copied();
        address.ok_or_else(|| RuntimeError::unknown_service(name, self.listen.keys().map(String::as_str)))
    }

    fn group(&self, name: &str) -> Result<ProcessGroup, RuntimeError> {
        let life = self.life(name)?;
        life.as_ref().map(|life| life.group.clone()).ok_or_else(|| RuntimeError::State {
            service: name.to_owned(),
            state: "not started".to_owned(),
            needs: "it has to be started first",
        })
    }

    fn look(&self, name: &str) -> Result<ServiceState, RuntimeError> {
        let life = self.life(name)?;
        let (word, exit_code) = match life.as_ref().map(|life| (*life.end.borrow(), &life.group)) {
            None => (StateWord::Created, None),
            Some((Some(code), _)) => (StateWord::Exited, Some(code)),
            Some((None, group)) if stat::read(group.pid).is_some_and(|stat| stat.is_stopped()) => (StateWord::Paused, None),
            Some((None, _)) => (StateWord::Running, None),
        };
        let started_at = life.as_ref().map_or_else(String::new, |life| format!("tick {}", life.group.start_time_ticks));
        Ok(ServiceState { word, exit_code, out_of_memory: false, health: None, started_at })
    }

    async fn pause(&self, name: &str, journal: &Journal) -> Result<(), RuntimeError> {
        let group = self.group(name)?;
        let ticket = journal.intend(Undo::ContinueProcessGroup { group: group.clone(), run: self.spec.run.clone() }).await?;
        if let Some(life) = self.life(name)?.as_mut() {
            life.pause = Some(ticket);
        }
        self.signal(name, &group, Signal::STOP)?;
        self.until(name, "stop", || group::is_stopped(&group, &self.spec.run)).await
    }

    async fn resume(&self, name: &str, journal: &Journal) -> Result<(), RuntimeError> {
        let group = self.group(name)?;
        self.signal(name, &group, Signal::CONT)?;
        self.until(name, "go on", || !group::is_stopped(&group, &self.spec.run)).await?;
        let ticket = self.life(name)?.as_mut().and_then(|life| life.pause.take());
        ticket.map_or(Ok(()), |ticket| journal.settle(&ticket)).map_err(RuntimeError::from)
    }

    async fn term(&self, name: &str, grace: Duration, journal: &Journal) -> Result<(), RuntimeError> {
        let (group, mut end) = {
            let mut life = self.life(name)?;
            let Some(life) = life.as_mut() else { return Ok(()) };
            life.expected.send_replace(true);
            (life.group.clone(), life.end.clone())
        };
        self.signal(name, &group, Signal::TERM)?;
        // Whether it went by itself or not, what is left of its group goes now; how it ended stands in its state.
        let _ = timeout(grace, end.wait_for(Option::is_some)).await;
        self.kill(name, journal).await
    }

    async fn kill(&self, name: &str, journal: &Journal) -> Result<(), RuntimeError> {
        let (group, mut end, tickets) = {
            let mut life = self.life(name)?;
            let Some(life) = life.as_mut() else { return Ok(()) };
            life.expected.send_replace(true);
            (life.group.clone(), life.end.clone(), [Some(life.ticket.clone()), life.pause.take()])
        };
        let killed = async {
            group::kill(&group, &self.spec.run).await.map_err(|why| self.program_error(name, why))?;
            // The follower holds the other end until it has told.
            let _ = end.wait_for(Option::is_some).await;
            Ok(())
        };
        timeout(PATIENCE, killed).await.unwrap_or_else(|_| Err(self.never(name, "die")))?;
        for ticket in tickets.iter().flatten() {
            journal.settle(ticket)?;
        }
        Ok(())
    }

    fn set_expected(&self, name: &str, is_expected: bool) {
        if let Ok(life) = self.life(name)
            && let Some(life) = life.as_ref()
        {
            life.expected.send_replace(is_expected);
        }
    }

    fn signal(&self, name: &str, group: &ProcessGroup, signal: Signal) -> Result<(), RuntimeError> {
        group::send(group, &self.spec.run, signal).map_err(|why| self.program_error(name, why))
    }

    fn program_error(&self, name: &str, why: String) -> RuntimeError {
        let program = self.spec.processes.get(name).and_then(|service| service.run.first().cloned()).unwrap_or_default();
        RuntimeError::Program { service: name.to_owned(), program, why }
    }

    fn never(&self, name: &str, what: &str) -> RuntimeError {
        RuntimeError::NeverReady {
            service: name.to_owned(),
            waiting_for: format!("it did not {what}"),
            patience: PATIENCE,
            log: self.sink.recent(name),
        }
    }

    async fn until(&self, name: &str, what: &str, reached: impl Fn() -> bool) -> Result<(), RuntimeError> {
        let wait = async {
            while !reached() {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, wait).await.map_err(|_| self.never(name, what))
    }
}

/// Reads both streams to their ends and tells the end of the process.
async fn follow(
    name: String,
    mut child: Child,
    sink: LineSink,
    ended: watch::Sender<Option<i64>>,
    expected: watch::Receiver<bool>,
    notices: Notices,
) {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reads = async {
        tokio::join!(read(&name, stdout, &sink), read(&name, stderr, &sink));
    };
    tokio::pin!(reads);
    let mut drained = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = &mut reads, if !drained => drained = true,
        }
    };
    if !drained {
        drained = timeout(LAST_WORDS, &mut reads).await.is_ok();
    }
    let code = status.map_or(-1, exit_code);
    if !*expected.borrow() {
        let _ = notices.send(Notice::Changed { service: name.clone(), what: format!("ended with {}", exit_meaning(code)) });
    }
    ended.send_replace(Some(code));
    // A grandchild may hold the streams open and go on writing.
    if !drained {
        reads.await;
    }
}

async fn read(name: &str, stream: Option<impl AsyncRead + Unpin>, sink: &LineSink) {
    let Some(mut stream) = stream else { return };
    let (mut buffer, mut splitter) = (vec![0; 16 * 1024], Splitter::default());
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        splitter.push(&buffer[..count], |line| sink.put(name, now(), line));
    }
    if let Some(line) = splitter.rest() {
        sink.put(name, now(), line);
    }
}

/// As a shell tells it: 128 and the signal's number for a process that a signal ended.
fn exit_code(status: ExitStatus) -> i64 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.map_or(-1, i64::from)
}

#[async_trait::async_trait]
impl Stack for ProcessStack {
    fn services(&self) -> Vec<String> {
        self.lives.keys().cloned().collect()
    }

    /// A process has one address; the port that the config names is the one inside a container.
    async fn address(&self, service: &str, _port: u16) -> Result<SocketAddr, RuntimeError> {
        self.listen_of(service)
    }

    async fn addresses_within(&self, service: &str) -> Result<Vec<IpAddr>, RuntimeError> {
        Ok(vec![self.listen_of(service)?.ip()])
    }

    async fn change(&self, service: &str, change: Lifecycle, journal: &Journal) -> Result<Changed, RuntimeError> {
        let before = self.look(service)?;
        let needs = |words: &[StateWord], needs| {
            let fits = words.contains(&before.word);
            fits.then_some(()).ok_or_else(|| RuntimeError::State { service: service.to_owned(), state: before.to_string(), needs })
        };
        match change {
            Lifecycle::Pause | Lifecycle::Stop => {
                needs(&[StateWord::Running], "only a running service can be paused")?;
                self.pause(service, journal).await?;
            }
            Lifecycle::Resume | Lifecycle::Continue => {
                needs(&[StateWord::Paused], "only a paused service can be resumed")?;
                self.resume(service, journal).await?;
            }
            Lifecycle::Term { grace } => {
                needs(&[StateWord::Running], "only a running service can be asked to end: resume it first if it is paused")?;
                self.term(service, grace, journal).await?;
            }
            Lifecycle::Kill => {
                needs(&[StateWord::Running], "only a running service can be killed: resume it first if it is paused")?;
                self.kill(service, journal).await?;
            }
            Lifecycle::Start => {
                needs(&[StateWord::Exited], "only one that ended can be started again")?;
                self.begin(service, &self.spec.processes[service], journal).await?;
            }
            Lifecycle::Restart => {
                needs(&[StateWord::Running], "only a running service can be restarted: resume it first if it is paused")?;
                self.kill(service, journal).await?;
                self.begin(service, &self.spec.processes[service], journal).await?;
            }
        }
        Ok(Changed { before, at: now(), after: self.look(service)? })
    }

    async fn state(&self, service: &str) -> Result<ServiceState, RuntimeError> {
        self.look(service)
    }

    fn take_logs(&mut self) -> Option<mpsc::Receiver<RawLine>> {
        self.lines.take()
    }

    fn lost_lines(&self) -> u64 {
        self.sink.lost()
    }

    async fn stand_beside(&self, service: &str, helper: &Helper, _: &Journal) -> Result<Pipe, RuntimeError> {
        Err(unsupported(format!("put a {} beside service `{service}`: processes share their namespaces", helper.name)))
    }

    async fn run_within(&self, service: &str, _: &Within<'_>) -> Result<Pipe, RuntimeError> {
        Err(unsupported(format!("run a helper within service `{service}`: it has no cgroup of its own")))
    }

    async fn talk_to_wrap(&self, service: &str) -> Result<Pipe, RuntimeError> {
        Err(unsupported(format!("mount over directories of service `{service}`: it has no namespace of its own")))
    }

    async fn limit(&self, service: &str, _: Limit, _: &Journal) -> Result<(), RuntimeError> {
        Err(unsupported(format!("limit service `{service}`: it has no cgroup of its own")))
    }

    async fn unlimit(&self, service: &str, _: Resource, _: &Journal) -> Result<(), RuntimeError> {
        Err(unsupported(format!("limit service `{service}`: it has no cgroup of its own")))
    }

    async fn usage(&self, service: &str) -> Result<Usage, RuntimeError> {
        Err(unsupported(format!("ask what is used by service `{service}`: it has no cgroup of its own")))
    }

    async fn survey(&self, service: &str, _: Depth) -> Result<Survey, RuntimeError> {
        let state = self.look(service)?;
        Ok(Survey { is_stopped: state.word == StateWord::Paused, state, limits: Vec::new(), ours: Vec::new() })
    }

    fn expect_end(&self, service: &str) {
        self.set_expected(service, true);
    }

    fn end_did_not_come(&self, service: &str) {
        self.set_expected(service, false);
    }
}

fn unsupported(what: String) -> RuntimeError {
    RuntimeError::Unsupported { runtime: "process", what, way_out: "use `--runtime docker`".to_owned() }
}
