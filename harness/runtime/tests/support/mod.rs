//! What the tests of both runtimes share: a run of their own, and the proof that nothing of it is left.
#![allow(dead_code, unreachable_pub, reason = "shared by test binaries that each use a part")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on has failed; one that is skipped says so")]

pub mod containers;

use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder};
use shakedown_model::{
    fault::Edge,
    stack::{Project, StackSpec, Variant},
};
use shakedown_runtime::{Built, Launch, Notice, Notices, Prepared, Reverter, Runtime, RuntimeError, Stack, Wrap, docker::Engine, marks};
use shakedown_undo::{Journal, Unwound, unwind};
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub const DEADLINE: Duration = Duration::from_secs(30);

/// A run id that no other test has.
pub fn run_id(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}-{}-{what}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An engine, or a loud skip.
pub async fn engine(test: &str) -> Option<Engine> {
    match Engine::connect().await {
        Ok(engine) => Some(engine),
        Err(error) => {
            println!("SKIPPED (no engine): {test}: {error}");
            None
        }
    }
}

/// One run of one variant, with its journal.
pub struct Run {
    pub id: String,
    pub scratch: tempfile::TempDir,
    pub journal: Arc<Journal>,
    pub notices: Notices,
    pub heard: mpsc::UnboundedReceiver<Notice>,
    pub cancel: CancellationToken,
    /// Services that begin through a program of ours.
    pub wraps: HashMap<String, Wrap>,
}

impl Run {
    pub fn new(what: &str) -> Run {
        let id = run_id(what);
        let scratch = tempfile::tempdir().unwrap();
        let journal = Arc::new(Journal::create(&scratch.path().join("journal.jsonl"), &id).unwrap());
        let (notices, heard) = mpsc::unbounded_channel();
        Run { id, scratch, journal, notices, heard, cancel: CancellationToken::new(), wraps: HashMap::new() }
    }

    pub fn spec(&self, variant: Variant) -> StackSpec {
        StackSpec {
            run: self.id.clone(),
            variant,
            round: 1,
            root: self.scratch.path().to_owned(),
            project: Project::default(),
            processes: indexmap::IndexMap::new(),
            environment: BTreeMap::new(),
        }
    }

    pub async fn up(&self, runtime: &dyn Runtime, spec: &StackSpec) -> Result<Box<dyn Stack>, RuntimeError> {
        self.up_with(runtime, spec, Launch::PATIENCE, &HashMap::new()).await
    }

    pub async fn up_with(
        &self,
        runtime: &dyn Runtime,
        spec: &StackSpec,
        patience: Duration,
        wiring: &HashMap<Edge, SocketAddr>,
    ) -> Result<Box<dyn Stack>, RuntimeError> {
        let built = runtime.build(spec, &self.notices, &self.cancel).await?;
        let prepared = runtime.prepare(spec, &self.journal).await?;
        self.launch(runtime, spec, &built, prepared, patience, wiring).await
    }

    pub async fn launch(
        &self,
        runtime: &dyn Runtime,
        spec: &StackSpec,
        built: &Built,
        prepared: Prepared,
        patience: Duration,
        wiring: &HashMap<Edge, SocketAddr>,
    ) -> Result<Box<dyn Stack>, RuntimeError> {
        let launch = Launch { spec, built, prepared, wiring, patience, wraps: &self.wraps };
        runtime.start(launch, Arc::clone(&self.journal), self.notices.clone(), self.cancel.clone()).await
    }

    /// Takes everything back, twice: the second time there is nothing to do.
    pub async fn down(&self) -> Unwound {
        let unwound = unwind(&self.journal, &Reverter::new(), DEADLINE).await;
        assert!(unwound.is_clean(), "{:?}", unwound.left);
        assert!(self.journal.pending().is_empty());
        unwound
    }

    pub fn notices_so_far(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }
}

/// Names of everything in the engine that carries the run's label.
pub async fn labelled(engine: &Engine, run: &str) -> Vec<String> {
    let filters = HashMap::from([("label".to_owned(), vec![format!("{}={run}", marks::RUN)])]);
    let docker = engine.docker();
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let containers = docker.list_containers(Some(options)).await.unwrap().into_iter().flat_map(|found| found.names.unwrap_or_default());
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let networks = docker.list_networks(Some(options)).await.unwrap().into_iter().filter_map(|found| found.name);
    let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
    let volumes = docker.list_volumes(Some(options)).await.unwrap().volumes.unwrap_or_default().into_iter().map(|found| found.name);
    containers.chain(networks).chain(volumes).collect()
}

/// Pids of everything that was started with the run's mark.
pub fn marked_processes(run: &str) -> Vec<u32> {
    let mark = format!("{}={run}", marks::RUN_VARIABLE);
    let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let carries = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    pids.filter(carries).collect()
}

/// Writes a file with its directories.
pub fn write(path: &Path, text: &str) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    path.to_owned()
}

/// Waits until `found` says so; a test that waits longer has failed.
pub async fn eventually(what: &str, mut found: impl AsyncFnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let wait = async {
        while !found().await {
            looks.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("{what} never came"));
}
