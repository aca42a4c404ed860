//! Containers on a real engine. The services are busybox, in images of nothing else. Without an engine every test says that it is skipped.

mod support;

use indexmap::IndexMap;
use shakedown_model::stack::{BuildSpec, Condition, ContainerSpec, Healthcheck, Mount, MountSource, NetworkSpec, Variant, VolumeSpec};
use shakedown_runtime::{Lifecycle, Notice, Runtime, RuntimeError, StateWord};
use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};
use support::{
    Run,
    containers::{SERVE, after, check, docker, ends_clean, service, stack, stack_of, web},
    engine, eventually, write,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_start_in_order_find_each_other_by_name_and_leave_nothing_behind() {
    let Some(runtime) = docker("services_start_in_order").await else { return };
    let mut run = Run::new("order");
    // The middle one is ready only when it can fetch from the first by its name and its alias; its check is due every 30 s for the engine.
    let first = ContainerSpec { networks: IndexMap::from([("default".to_owned(), vec!["also-first".to_owned()])]), ..web("first") };
    let job = ContainerSpec {
        depends_on: after("first", Condition::Healthy),
        ..service("job", "wget -q -O /dev/null http://first:8080/ && echo done")
    };
    let middle = ContainerSpec {
        depends_on: after("job", Condition::CompletedSuccessfully),
        healthcheck: Some(check("wget -q -O /dev/null http://also-first:8080/")),
        ..web("middle")
    };
    let last = ContainerSpec { depends_on: after("middle", Condition::Healthy), ..web("last") };
    let spec = stack(&run, vec![last, middle, job, first]);
    let began = Instant::now();
    let up = run.up(&runtime, &spec).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(25), "the engine's 30 s interval was waited for");
    let ready: Vec<String> = run
        .notices_so_far()
        .into_iter()
        .filter_map(|notice| match notice {
            Notice::Ready { service, .. } => Some(service),
            _ => None,
        })
        .collect();
    assert_eq!(ready, ["first", "job", "middle", "last"]);
    assert_eq!(up.services(), ["last", "middle", "job", "first"]);
    let address = up.address("last", 8080).await.unwrap();
    assert!(get(address, "/").await.unwrap().ends_with("hello\n"));
    assert_eq!(up.addresses_within("last").await.unwrap(), [address.ip()]);
    assert_eq!(up.state("job").await.unwrap().exit_code, Some(0));
    let unknown = up.address("lst", 8080).await.unwrap_err().to_string();
    assert!(unknown.contains("did you mean `last`?"), "{unknown}");
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_variants_run_side_by_side_from_one_build() {
    let Some(runtime) = docker("two_variants").await else { return };
    let run = Run::new("pair");
    let specs = [Variant::Candidate, Variant::Baseline].map(|variant| stack_of(&run, variant, vec![web("web")]));
    let (candidate, baseline) = tokio::join!(run.up(&runtime, &specs[0]), run.up(&runtime, &specs[1]));
    let (candidate, baseline) = (candidate.unwrap(), baseline.unwrap());
    let (one, two) = (candidate.address("web", 8080).await.unwrap(), baseline.address("web", 8080).await.unwrap());
    assert_ne!(one, two);
    for address in [one, two] {
        assert!(get(address, "/").await.unwrap().contains("hello"));
    }
    let built = runtime.build(&specs[1], &run.notices, &run.cancel).await.unwrap();
    assert_eq!(built.fresh, Vec::<String>::new(), "the same files are built once");
    drop(candidate);
    ends_clean(&run, Some(baseline)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_resume_kill_start_and_restart_are_proven_and_what_we_caused_is_no_news() {
    let Some(runtime) = docker("lifecycle").await else { return };
    let mut run = Run::new("life");
    // The engine must not start again what was killed on purpose.
    let spec = stack(&run, vec![ContainerSpec { restart: Some("always".to_owned()), ..web("web") }]);
    let mut up = run.up(&runtime, &spec).await.unwrap();
    let mut lines = up.take_logs().unwrap();
    let change = async |change| up.change("web", change, &run.journal).await;
    let pending = run.journal.pending().len();

    let paused = change(Lifecycle::Pause).await.unwrap();
    assert_eq!((paused.before.word, paused.after.word), (StateWord::Running, StateWord::Paused));
    assert_eq!(run.journal.pending().len(), pending + 1);
    let refused = change(Lifecycle::Kill).await.unwrap_err().to_string();
    assert!(refused.contains("it is paused") && refused.contains("resume it first"), "{refused}");
    assert_eq!(change(Lifecycle::Resume).await.unwrap().after.word, StateWord::Running);
    assert_eq!(run.journal.pending().len(), pending, "a pause that is taken back is settled");

    let killed = change(Lifecycle::Kill).await.unwrap();
    assert_eq!((killed.after.word, killed.after.exit_code), (StateWord::Exited, Some(137)));
    assert!(up.address("web", 8080).await.is_err(), "a dead service has no address");
    let started = change(Lifecycle::Start).await.unwrap();
    assert_eq!(started.after.word, StateWord::Running);
    let restarted = change(Lifecycle::Restart).await.unwrap();
    assert_ne!(restarted.after.started_at, restarted.before.started_at);
    let address = up.address("web", 8080).await.unwrap();
    eventually("the service after its restart", async || get(address, "/").await.is_ok()).await;

    // Three lives, each with a line on stdout and one on stderr.
    let mut said = Vec::new();
    while said.len() < 6 {
        said.push(tokio::time::timeout(support::DEADLINE, lines.recv()).await.unwrap().unwrap().line);
    }
    assert_eq!(said.iter().filter(|line| *line == "up").count(), 3, "{said:?}");
    assert_eq!(up.lost_lines(), 0);
    let news: Vec<Notice> = run.notices_so_far().into_iter().filter(|notice| matches!(notice, Notice::Changed { .. })).collect();
    assert_eq!(news, []);
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_asked_to_end_has_its_grace_and_no_more() {
    let Some(runtime) = docker("term").await else { return };
    let mut run = Run::new("term");
    let polite = service("polite", "trap 'exit 7' TERM; while :; do sleep 1 & wait; done");
    let polite = ContainerSpec { restart: Some("always".to_owned()), ..polite };
    let spec = stack(&run, vec![polite, service("deaf", "trap '' TERM; while :; do sleep 1; done")]);
    let up = run.up(&runtime, &spec).await.unwrap();
    let grace = Duration::from_secs(1);
    let went = async |service: &str| up.change(service, Lifecycle::Term { grace }, &run.journal).await.unwrap().after;
    let polite = went("polite").await;
    assert_eq!((polite.word, polite.exit_code), (StateWord::Exited, Some(7)), "the engine does not start it again");
    let deaf = went("deaf").await;
    assert_eq!((deaf.word, deaf.exit_code), (StateWord::Exited, Some(137)));
    assert_eq!(up.change("polite", Lifecycle::Start, &run.journal).await.unwrap().after.word, StateWord::Running);
    let news: Vec<Notice> = run.notices_so_far().into_iter().filter(|notice| matches!(notice, Notice::Changed { .. })).collect();
    assert_eq!(news, []);
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_that_nobody_asked_for_is_news() {
    let Some(runtime) = docker("unasked_death").await else { return };
    let mut run = Run::new("news");
    let spec = stack(&run, vec![ContainerSpec { ports: vec![8080], ..service("web", "httpd -p 8080 -h /www; nc -l -p 9090; exit 42") }]);
    let up = run.up(&runtime, &spec).await.unwrap();
    let address = up.address("web", 9090).await.unwrap();
    // It may take a moment until it listens there.
    eventually("the port that ends it", async || TcpStream::connect(address).await.is_ok()).await;
    let news = tokio::time::timeout(support::DEADLINE, async {
        loop {
            if let Some(Notice::Changed { service, what }) = run.heard.recv().await {
                return (service, what);
            }
        }
    });
    assert_eq!(news.await.unwrap(), ("web".to_owned(), "ended with exit code 42".to_owned()));
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_nobody_took_back_is_taken_back_with_the_rest() {
    let Some(runtime) = docker("unwound_pause").await else { return };
    let run = Run::new("frozen");
    let spec = stack(&run, vec![web("web")]);
    let up = run.up(&runtime, &spec).await.unwrap();
    up.change("web", Lifecycle::Pause, &run.journal).await.unwrap();
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_does_not_come_up_is_named_with_its_last_lines() {
    let Some(runtime) = docker("not_up").await else { return };
    let cases = [
        (service("broken", "echo cannot find my config; exit 3"), "exit code 3"),
        (ContainerSpec { healthcheck: Some(check("exit 1")), ..web("broken") }, "its health check ends with exit code 1"),
        (ContainerSpec { ports: vec![9999], ..service("broken", SERVE) }, "its port 9999 accepts no connection"),
        (ContainerSpec { restart: Some("always".to_owned()), ..service("broken", "echo again; exit 9") }, "exit code 9"),
    ];
    for (broken, expected) in cases {
        let run = Run::new("broken");
        let waiting = ContainerSpec { depends_on: after("broken", Condition::Healthy), ..web("waiting") };
        let spec = stack(&run, vec![waiting, ContainerSpec { ports: vec![9999], ..broken }]);
        let error = run.up_with(&runtime, &spec, Duration::from_secs(8), &HashMap::new()).await.err().unwrap().to_string();
        assert!(error.starts_with("service `broken`") && error.contains("\n  | "), "{error}");
        assert!(error.contains(expected), "{expected}: {error}");
        ends_clean(&run, None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unhealthy_service_is_an_error_before_the_patience_ends() {
    let Some(runtime) = docker("unhealthy").await else { return };
    let run = Run::new("unhealthy");
    let sick = Healthcheck { interval: Some(Duration::from_millis(200)), retries: Some(1), ..check("echo no database; exit 1") };
    let spec = stack(&run, vec![ContainerSpec { healthcheck: Some(sick), ..web("web") }]);
    let error = run.up(&runtime, &spec).await.err().unwrap();
    assert!(matches!(&error, RuntimeError::Unhealthy { probe, .. } if probe.contains("no database")), "{error}");
    ends_clean(&run, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_start_ends_soon_and_clean() {
    let Some(runtime) = docker("cancelled").await else { return };
    let mut run = Run::new("cancelled");
    let spec = stack(&run, vec![ContainerSpec { ports: vec![9999], ..service("slow", SERVE) }]);
    let built = runtime.build(&spec, &run.notices, &run.cancel).await.unwrap();
    let prepared = runtime.prepare(&spec, &run.journal).await.unwrap();
    let cancel = run.cancel.clone();
    let (mut heard, wiring) = (std::mem::replace(&mut run.heard, mpsc::unbounded_channel().1), HashMap::new());
    let canceller = async {
        while !matches!(heard.recv().await, Some(Notice::Starting { .. }) | None) {}
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(run.launch(&runtime, &spec, &built, prepared, support::DEADLINE, &wiring), canceller);
    assert!(matches!(outcome.err().unwrap(), RuntimeError::Cancelled));
    ends_clean(&run, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_binds_environment_networks_and_limits_are_as_the_file_says() {
    let Some(runtime) = docker("features").await else { return };
    let run = Run::new("features");
    let bound = write(&run.scratch.path().join("bound/file"), "from the host\n");
    let mount = |source, target: &str, read_only| Mount { source, target: target.to_owned(), read_only };
    let script = "cat /bound/file; echo env=$TEAM,$OURS; (echo x > /bound/new) 2>/dev/null || echo read-only; echo kept > /data/f; \
                  id -u; ulimit -n; hostname; grep /ram /proc/mounts | cut -d' ' -f3; exec httpd -f -p 8080 -h /www";
    let mut web = service("web", script);
    web.ports = vec![8080];
    web.environment.insert("TEAM".to_owned(), "theirs".to_owned());
    web.mounts = vec![
        mount(MountSource::Bind(bound.parent().unwrap().to_owned()), "/bound", true),
        mount(MountSource::Volume("data".to_owned()), "/data", false),
        mount(MountSource::Anonymous, "/scratch", false),
    ];
    web.tmpfs.insert("/ram".to_owned(), String::new());
    web.ulimits.insert("nofile".to_owned(), (256, 512));
    web.hostname = Some("chosen".to_owned());
    web.networks = IndexMap::from([("inside".to_owned(), vec![]), ("default".to_owned(), vec![])]);
    let hidden = ContainerSpec { networks: IndexMap::from([("inside".to_owned(), vec![])]), ..self::web("hidden") };
    let mut spec = stack(&run, vec![web, hidden]);
    spec.project.networks.insert("inside".to_owned(), NetworkSpec { internal: true, ..NetworkSpec::default() });
    spec.project.volumes.insert("data".to_owned(), VolumeSpec::default());
    spec.environment.insert("OURS".to_owned(), "told".to_owned());
    let mut up = run.up(&runtime, &spec).await.unwrap();
    assert_eq!(up.addresses_within("web").await.unwrap().len(), 2, "it is in two networks");
    let hidden = up.address("hidden", 8080).await.unwrap();
    assert!(get(hidden, "/").await.unwrap().contains("hello"), "also a service in an internal network is reached from here");
    let mut lines = up.take_logs().unwrap();
    let mut said = Vec::new();
    while said.len() < 7 {
        let line = tokio::time::timeout(support::DEADLINE, lines.recv()).await.unwrap().unwrap();
        if line.service == "web" {
            said.push(line.line);
        }
    }
    assert_eq!(said, ["from the host", "env=theirs,told", "read-only", "0", "256", "chosen", "tmpfs"]);
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_reaches_the_harness_where_prepare_said() {
    let Some(runtime) = docker("reaches_harness").await else { return };
    let run = Run::new("gateway");
    let mut spec = stack(&run, vec![service("caller", "while ! echo hello | nc $HARNESS; do :; done; sleep 1000")]);
    let built = runtime.build(&spec, &run.notices, &run.cancel).await.unwrap();
    let prepared = runtime.prepare(&spec, &run.journal).await.unwrap();
    let listener = TcpListener::bind((prepared.harness_ip, 0)).await.unwrap();
    spec.environment.insert("HARNESS".to_owned(), format!("{} {}", prepared.harness_host, listener.local_addr().unwrap().port()));
    let up = run.launch(&runtime, &spec, &built, prepared, support::DEADLINE, &HashMap::new()).await.unwrap();
    let (mut caller, from) = tokio::time::timeout(support::DEADLINE, listener.accept()).await.unwrap().unwrap();
    let mut said = [0; 5];
    caller.read_exact(&mut said).await.unwrap();
    assert_eq!((&said, up.addresses_within("caller").await.unwrap()), (b"hello", vec![from.ip()]));
    ends_clean(&run, Some(up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_does_not_build_or_is_nowhere_is_named_with_the_way_out() {
    let Some(runtime) = docker("bad_images").await else { return };
    let run = Run::new("images");
    let context = run.scratch.path().join("bad");
    write(&context.join("Dockerfile"), "FROM scratch\nCOPY nothing /\n");
    let build = BuildSpec { context, dockerfile: "Dockerfile".to_owned(), target: None, args: IndexMap::new() };
    let bad = ContainerSpec { build: Some(build), ..service("bad", "") };
    let error = runtime.build(&stack(&run, vec![bad]), &run.notices, &run.cancel).await.unwrap_err().to_string();
    assert!(error.starts_with("the image of service `bad` does not build") && error.contains("docker build"), "{error}");
    let nowhere = ContainerSpec { image: Some("localhost:1/no/such/image:1".to_owned()), ..service("nowhere", "") };
    let error = runtime.build(&stack(&run, vec![nowhere]), &run.notices, &run.cancel).await.unwrap_err().to_string();
    assert!(error.contains("`localhost:1/no/such/image:1` of service `nowhere`") && error.contains("docker load"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dockerfile_that_needs_buildkit_builds() {
    let Some(runtime) = docker("buildkit").await else { return };
    let run = Run::new("buildkit");
    let mut spec = stack(&run, vec![web("web")]);
    let dockerfile = run.scratch.path().join("image/Dockerfile");
    let text = std::fs::read_to_string(&dockerfile).unwrap();
    let modern = format!("{text}RUN --mount=type=cache,target=/cache [\"/bin/touch\", \"/cache/{}\"]\n", run.id);
    std::fs::write(&dockerfile, modern).unwrap();
    spec.project.services["web"].build.as_mut().unwrap().args.insert("UNIQUE".to_owned(), run.id.clone());
    let up = run.up(&runtime, &spec).await.unwrap();
    let address = up.address("web", 8080).await.unwrap();
    assert!(get(address, "/").await.unwrap().contains("hello"));
    ends_clean(&run, Some(up)).await;
    let built = runtime.build(&spec, &run.notices, &run.cancel).await.unwrap();
    let engine = engine("buildkit").await.unwrap();
    engine.docker().remove_image(&built.images["web"], None::<bollard::query_parameters::RemoveImageOptions>, None).await.unwrap();
}
