//! Child processes for real: small Python servers and shell scripts.

mod support;

use indexmap::IndexMap;
use shakedown_model::{
    experiment::{ProcessService, Ready},
    fault::Edge,
    stack::{StackSpec, Variant},
};
use shakedown_runtime::{Helper, Lifecycle, Notice, Post, Runtime, RuntimeError, Stack, StateWord, process::ProcessRuntime};
use std::{collections::HashMap, net::SocketAddr, time::Duration};
use support::{Run, eventually, marked_processes, write};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Answers every GET with its name and the value of `PEER`; says a line when it is up.
const SERVER: &str = r#"
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (os.environ["NAME"] + " peer=" + os.environ.get("PEER", "")).encode()
        self.send_response(200 if self.path != "/missing" else 404)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("up", flush=True)
print("trouble", file=sys.stderr, flush=True)
server.serve_forever()
"#;

fn server(run: &Run, name: &str) -> ProcessService {
    write(&run.scratch.path().join("bin/server.py"), SERVER);
    ProcessService {
        run: ["python3", "bin/server.py", "{{ port }}"].map(str::to_owned).to_vec(),
        env: IndexMap::from([("NAME".to_owned(), name.to_owned())]),
        cwd: None,
        ready: Ready::Http("/".to_owned()),
        depends_on: vec![],
    }
}

fn shell(script: &str) -> ProcessService {
    ProcessService {
        run: ["sh", "-c", script].map(str::to_owned).to_vec(),
        env: IndexMap::new(),
        cwd: None,
        ready: Ready::Tcp,
        depends_on: vec![],
    }
}

fn stack(run: &Run, services: Vec<(&str, ProcessService)>) -> StackSpec {
    let mut spec = run.spec(Variant::Candidate);
    spec.processes = services.into_iter().map(|(name, service)| (name.to_owned(), service)).collect();
    spec
}

async fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn ends_clean(run: &Run, stack: Option<Box<dyn Stack>>) {
    drop(stack);
    run.down().await;
    assert_eq!(marked_processes(&run.id), Vec::<u32>::new());
}

#[tokio::test]
async fn services_start_in_order_and_an_edge_that_is_wired_goes_through_the_harness() {
    let runtime = ProcessRuntime::new();
    let mut run = Run::new("order");
    let mut front = server(&run, "front");
    front.depends_on = vec!["back".to_owned()];
    front.env.insert("PEER".to_owned(), "http://{{ back }}/".to_owned());
    let spec = stack(&run, vec![("front", front), ("back", server(&run, "back"))]);
    let link = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let wiring = HashMap::from([(Edge { from: "front".to_owned(), to: "back".to_owned() }, link)]);
    let up = run.up_with(&runtime, &spec, support::DEADLINE, &wiring).await.unwrap();
    let ready = run.notices_so_far().into_iter().filter_map(|notice| match notice {
        Notice::Ready { service, .. } => Some(service),
        _ => None,
    });
    assert_eq!(ready.collect::<Vec<_>>(), ["back", "front"]);
    let answer = get(up.address("front", 8080).await.unwrap()).await.unwrap();
    assert!(answer.ends_with(&format!("front peer=http://{link}/")), "{answer}");
    let helper = Helper { name: "agent", binary: b"", post: Post::Packets };
    let error = up.stand_beside("front", &helper, &run.journal).await.unwrap_err().to_string();
    assert!(error.contains("--runtime docker"), "{error}");
    ends_clean(&run, Some(up)).await;
}

#[tokio::test]
async fn pause_resume_kill_start_and_restart_are_proven_and_what_we_caused_is_no_news() {
    let runtime = ProcessRuntime::new();
    let mut run = Run::new("life");
    let spec = stack(&run, vec![("web", server(&run, "web"))]);
    let mut up = run.up(&runtime, &spec).await.unwrap();
    let mut lines = up.take_logs().unwrap();
    let change = async |change| up.change("web", change, &run.journal).await;
    let paused = change(Lifecycle::Pause).await.unwrap();
    assert_eq!((paused.before.word, paused.after.word), (StateWord::Running, StateWord::Paused));
    assert_eq!(run.journal.pending().len(), 2);
    assert!(change(Lifecycle::Kill).await.unwrap_err().to_string().contains("resume it first"));
    assert_eq!(change(Lifecycle::Resume).await.unwrap().after.word, StateWord::Running);
    assert_eq!(run.journal.pending().len(), 1, "a pause that is taken back is settled");
    let killed = change(Lifecycle::Kill).await.unwrap();
    assert_eq!((killed.after.word, killed.after.exit_code), (StateWord::Exited, Some(137)));
    assert_eq!(run.journal.pending().len(), 0, "what is dead need not be killed again");
    assert!(get(up.address("web", 0).await.unwrap()).await.is_err());
    let started = change(Lifecycle::Start).await.unwrap();
    assert_ne!(started.after.started_at, killed.before.started_at);
    change(Lifecycle::Restart).await.unwrap();
    let address = up.address("web", 0).await.unwrap();
    eventually("the service after its restart", async || get(address).await.is_ok()).await;
    let mut said = Vec::new();
    while said.iter().filter(|line| *line == "up").count() < 2 {
        said.push(tokio::time::timeout(support::DEADLINE, lines.recv()).await.unwrap().unwrap().line);
    }
    assert!(said.contains(&"trouble".to_owned()), "{said:?}");
    let news: Vec<Notice> = run.notices_so_far().into_iter().filter(|notice| matches!(notice, Notice::Changed { .. })).collect();
    assert_eq!(news, []);
    ends_clean(&run, Some(up)).await;
}

#[tokio::test]
async fn a_service_that_is_asked_to_end_has_its_grace_and_no_more() {
    let runtime = ProcessRuntime::new();
    let mut run = Run::new("term");
    let deaf = ["sh", "-c", "trap '' TERM; python3 bin/server.py $0", "{{ port }}"].map(str::to_owned).to_vec();
    let deaf = ProcessService { run: deaf, ..server(&run, "deaf") };
    let spec = stack(&run, vec![("polite", server(&run, "polite")), ("deaf", deaf)]);
    let up = run.up(&runtime, &spec).await.unwrap();
    let grace = std::time::Duration::from_millis(700);
    let went = async |service: &str| up.change(service, Lifecycle::Term { grace }, &run.journal).await.unwrap().after;
    let polite = went("polite").await;
    assert_eq!((polite.word, polite.exit_code), (StateWord::Exited, Some(143)));
    let deaf = went("deaf").await;
    assert_eq!((deaf.word, deaf.exit_code), (StateWord::Exited, Some(137)));
    assert_eq!(run.journal.pending().len(), 0, "what is dead need not be killed again");
    assert_eq!(up.change("polite", Lifecycle::Start, &run.journal).await.unwrap().after.word, StateWord::Running);
    let news: Vec<Notice> = run.notices_so_far().into_iter().filter(|notice| matches!(notice, Notice::Changed { .. })).collect();
    assert_eq!(news, []);
    ends_clean(&run, Some(up)).await;
}

#[tokio::test]
async fn a_death_that_nobody_asked_for_is_news() {
    let runtime = ProcessRuntime::new();
    let mut run = Run::new("news");
    let mut dying = server(&run, "dying");
    dying.run = vec![
        "sh".to_owned(),
        "-c".to_owned(),
        "python3 bin/server.py $0 & read _ < fifo; kill $!; exit 42".to_owned(),
        "{{ port }}".to_owned(),
    ];
    let fifo = run.scratch.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let up = run.up(&runtime, &stack(&run, vec![("dying", dying)])).await.unwrap();
    tokio::fs::write(&fifo, "now\n").await.unwrap();
    let news = tokio::time::timeout(support::DEADLINE, async {
        loop {
            if let Some(Notice::Changed { service, what }) = run.heard.recv().await {
                return (service, what);
            }
        }
    });
    assert_eq!(news.await.unwrap(), ("dying".to_owned(), "ended with exit code 42".to_owned()));
    ends_clean(&run, Some(up)).await;
}

#[tokio::test]
async fn a_pause_that_nobody_took_back_is_taken_back_with_the_rest() {
    let runtime = ProcessRuntime::new();
    let run = Run::new("frozen");
    let up = run.up(&runtime, &stack(&run, vec![("web", server(&run, "web"))])).await.unwrap();
    up.change("web", Lifecycle::Pause, &run.journal).await.unwrap();
    ends_clean(&run, Some(up)).await;
}

#[tokio::test]
async fn a_process_that_does_not_come_up_is_named_with_its_last_lines() {
    let runtime = ProcessRuntime::new();
    let run = Run::new("broken");
    let mut missing = server(&run, "web");
    missing.ready = Ready::Http("/missing".to_owned());
    let cases = [
        (shell("echo cannot find my config; exit 3"), "exit code 3", "| cannot find my config"),
        (shell("echo waiting; exec sleep 1000"), "accepts no connection", "| waiting"),
        (missing, "GET /missing answers 404", "| up"),
    ];
    for (service, why, line) in cases {
        let spec = stack(&run, vec![("broken", service)]);
        let error = run.up_with(&runtime, &spec, Duration::from_millis(1500), &HashMap::new()).await.err().unwrap().to_string();
        assert!(error.starts_with("service `broken`") && error.contains(why) && error.contains(line), "{error}");
        ends_clean(&run, None).await;
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_before_anything_starts() {
    let runtime = ProcessRuntime::new();
    let run = Run::new("missing");
    for (program, way_out) in [("./target/release/shop", "services.build"), ("no-such-program", "PATH")] {
        let mut service = shell("");
        service.run[0] = program.to_owned();
        let spec = stack(&run, vec![("web", service)]);
        let error = runtime.build(&spec, &run.notices, &run.cancel).await.unwrap_err().to_string();
        assert!(error.contains(program) && error.contains(way_out), "{error}");
    }
    let mut circle = shell("true");
    circle.depends_on = vec!["web".to_owned()];
    let error = run.up(&runtime, &stack(&run, vec![("web", circle)])).await.err().unwrap();
    assert!(matches!(error, RuntimeError::Circle(_)), "{error}");
    let template = run.up(&runtime, &stack(&run, vec![("web", shell("{{ wbe }}"))])).await.err().unwrap().to_string();
    assert!(template.contains("did you mean `web`?"), "{template}");
    ends_clean(&run, None).await;
}

#[tokio::test]
async fn only_a_small_environment_is_inherited() {
    let runtime = ProcessRuntime::new();
    let run = Run::new("environment");
    let mut service = server(&run, "web");
    service.env.insert("MINE".to_owned(), "set at {{ listen }}".to_owned());
    service.run = vec!["sh".to_owned(), "-c".to_owned(), "env; exec python3 bin/server.py $0".to_owned(), "{{ port }}".to_owned()];
    let mut spec = stack(&run, vec![("web", service)]);
    spec.environment.insert("OURS".to_owned(), "told".to_owned());
    let mut up = run.up(&runtime, &spec).await.unwrap();
    let mut lines = up.take_logs().unwrap();
    let mut said = Vec::new();
    while said.last().is_none_or(|line| line != "up") {
        said.push(tokio::time::timeout(support::DEADLINE, lines.recv()).await.unwrap().unwrap().line);
    }
    let has = |start: &str| said.iter().any(|line: &String| line.starts_with(start));
    assert!(has("PATH=") && has("OURS=told") && has("MINE=set at 127.0.0.1:") && !has("CARGO"), "{said:?}");
    ends_clean(&run, Some(up)).await;
}

#[tokio::test]
async fn children_that_leave_the_process_group_are_taken_back_too() {
    let runtime = ProcessRuntime::new();
    let run = Run::new("stray");
    let mut service = server(&run, "web");
    service.run =
        vec!["sh".to_owned(), "-c".to_owned(), "setsid sleep 1000 & exec python3 bin/server.py $0".to_owned(), "{{ port }}".to_owned()];
    let up = run.up(&runtime, &stack(&run, vec![("web", service)])).await.unwrap();
    assert_eq!(marked_processes(&run.id).len(), 2);
    ends_clean(&run, Some(up)).await;
}

#[tokio::test]
async fn a_cancelled_start_ends_soon_and_clean() {
    let runtime = ProcessRuntime::new();
    let run = Run::new("cancelled");
    run.cancel.cancel();
    let error = run.up(&runtime, &stack(&run, vec![("web", shell("exec sleep 1000"))])).await.err().unwrap();
    assert!(matches!(error, RuntimeError::Cancelled), "{error}");
    ends_clean(&run, None).await;
}
