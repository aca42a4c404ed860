//! `kill -9` of a harness with everything up, and what recovery makes of it: from the journal, and by marks where the journal is lost.
//!
//! The harness that is killed is this test binary, started again with [`CHILD`] set.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use indexmap::IndexMap;
use shakedown_model::{
    experiment::{ProcessService, Ready},
    stack::{BuildSpec, ContainerSpec, NetworkSpec, Variant, VolumeSpec},
};
use shakedown_runtime::{Lifecycle, Reverter, Runtime, docker::DockerRuntime, process::ProcessRuntime, sweep};
use shakedown_undo::{Journal, JournalError, unwind};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use support::{DEADLINE, Run, engine, labelled, marked_processes, write};

/// `docker` or `process`: this process is the harness that will be killed.
const CHILD: &str = "SHAKEDOWN_TEST_CHILD";

/// A sweep takes what any dead harness left, so one harness is dead at a time.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Not a test of its own: does nothing unless it is started by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_harness_that_is_killed() {
    let Ok(kind) = std::env::var(CHILD) else { return };
    let run = Run::new("killed");
    let mut spec = run.spec(Variant::Candidate);
    let runtime: Box<dyn Runtime> = if kind == "docker" {
        write(&run.scratch.path().join("image/Dockerfile"), "FROM scratch\nCOPY busybox /bin/busybox\n");
        std::fs::copy("/bin/busybox", run.scratch.path().join("image/busybox")).unwrap();
        let context = run.scratch.path().join("image");
        let service = ContainerSpec {
            name: "web".to_owned(),
            build: Some(BuildSpec { context, dockerfile: "Dockerfile".to_owned(), target: None, args: IndexMap::new() }),
            command: Some(["/bin/busybox", "sleep", "1000"].map(str::to_owned).to_vec()),
            networks: IndexMap::from([("default".to_owned(), vec![])]),
            ..ContainerSpec::default()
        };
        spec.project.networks.insert("default".to_owned(), NetworkSpec::default());
        spec.project.volumes.insert("data".to_owned(), VolumeSpec::default());
        spec.project.services.insert("web".to_owned(), service);
        Box::new(DockerRuntime::new(engine("child").await.unwrap()))
    } else {
        let script = "setsid sleep 1000 & exec python3 -m http.server --bind 127.0.0.1 {{ port }}";
        let run = ["sh", "-c", script].map(str::to_owned).to_vec();
        let service = ProcessService { run, env: IndexMap::new(), cwd: None, ready: Ready::Tcp, depends_on: vec![] };
        spec.processes.insert("web".to_owned(), service);
        Box::new(ProcessRuntime::new())
    };
    let up = run.up(&*runtime, &spec).await.unwrap();
    // A stopped process group whose parent dies is hung up by the kernel (POSIX, orphaned process groups): nothing would be left to find.
    if kind == "docker" {
        up.change("web", Lifecycle::Pause, &run.journal).await.unwrap();
    }
    println!("\nUP {} {}", run.id, run.journal.path().display());
    std::future::pending::<()>().await;
}

struct Killed {
    run: String,
    journal: PathBuf,
}

/// Starts a harness, sees that it is alive, and kills it with everything up.
fn kill_a_harness(kind: &str) -> Killed {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_harness_that_is_killed", "--nocapture"])
        .env(CHILD, kind)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = said.map_while(Result::ok).find(|line| line.starts_with("UP ")).expect("the harness did not come up");
    let mut words = line.split(' ').skip(1).map(str::to_owned);
    let killed = Killed { run: words.next().unwrap(), journal: PathBuf::from(words.next().unwrap()) };
    assert!(matches!(Journal::open(&killed.journal), Err(JournalError::OwnerAlive { .. })));
    kill(&mut child);
    assert!(!Journal::owner_alive(&killed.journal).unwrap());
    killed
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn recover(journal: &Path) {
    let journal = Journal::open(journal).unwrap();
    let unwound = unwind(&journal, &Reverter::new(), DEADLINE).await;
    assert!(unwound.is_clean(), "{:?}", unwound.left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_of_a_killed_harness_are_recovered_from_its_journal_once_and_again() {
    let Some(engine) = engine("killed_docker").await else { return };
    let _one = ONE_AT_A_TIME.lock().await;
    let killed = kill_a_harness("docker");
    assert_eq!(labelled(&engine, &killed.run).await.len(), 3, "container, network and volume outlive the harness");
    recover(&killed.journal).await;
    assert_eq!(labelled(&engine, &killed.run).await, Vec::<String>::new());
    recover(&killed.journal).await;
    std::fs::remove_dir_all(killed.journal.parent().unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_of_a_killed_harness_are_swept_by_label_where_the_journal_is_lost() {
    let Some(engine) = engine("swept_docker").await else { return };
    let _one = ONE_AT_A_TIME.lock().await;
    let killed = kill_a_harness("docker");
    std::fs::remove_dir_all(killed.journal.parent().unwrap()).unwrap();
    let swept = sweep().await.unwrap();
    assert!(swept.removed.contains(&format!("container sd-{}-c-web", killed.run)), "{swept:?}");
    assert_eq!(labelled(&engine, &killed.run).await, Vec::<String>::new());
}

#[tokio::test]
async fn processes_of_a_killed_harness_are_recovered_from_its_journal_once_and_again() {
    let _one = ONE_AT_A_TIME.lock().await;
    let killed = kill_a_harness("process");
    assert_eq!(marked_processes(&killed.run).len(), 2, "the service and its stray child outlive the harness");
    recover(&killed.journal).await;
    assert_eq!(marked_processes(&killed.run), Vec::<u32>::new());
    recover(&killed.journal).await;
    std::fs::remove_dir_all(killed.journal.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn processes_of_a_killed_harness_are_swept_by_their_mark_where_the_journal_is_lost() {
    let _one = ONE_AT_A_TIME.lock().await;
    let killed = kill_a_harness("process");
    std::fs::remove_dir_all(killed.journal.parent().unwrap()).unwrap();
    sweep().await.unwrap();
    assert_eq!(marked_processes(&killed.run), Vec::<u32>::new());
}
