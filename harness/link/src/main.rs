//! The binary `shakedown-relay`: choose between serving and `--help`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shakedown_link::{desk, session::Session};
use std::{
    io::{self, Write as _},
    process::ExitCode,
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

const HELP: &str = r#"shakedown-relay: relays the connections of one service, and does to them what it is told

usage:
  shakedown-relay           serve: JSON lines on stdin and stdout until stdin ends
  shakedown-relay --help | --version

needs no capability. It stands in the network namespace of the service, as a user of its own, and somebody who may (the
agent: fault kind redirect) leads the service's connections to the port that it says, except those of this user.

requests, one a line:
  {"id":1,"op":"open","name":"db","to":{"addresses":["172.18.0.5"],"ports":[5432]}}
  {"id":2,"op":"set","name":"db","behaviour":{"slicer":{"size_bytes":16,"delay_us":1000}},
    "connections":{"share_ppm":500000,"seed":42},"ttl_ms":30000}
    (on one line; connections may be left out; the other behaviours are
    {"latency":{"delay_us":200000,"jitter_us":50000,"distribution":"normal","seed":42}}, "partition", "reset", "down",
    {"bandwidth":{"bytes_per_second":125000}}, {"slow_close":{"delay_us":500000}}, {"limit_data":{"bytes":4096}},
    {"timeout":{"after_us":1000000}}, {"http":{"match":{"path":{"glob":"/cart/*"}},"action":{"abort":{"status":503}}}})
  {"id":7,"op":"open_dns","name":"dns","upstream":"127.0.0.11:53"}
  {"id":8,"op":"set_dns","name":"dns","rule":{"match":{"name":"payment","types":["A"],"share_ppm":200000,"seed":42},
    "effect":"nxdomain"},"ttl_ms":30000}
    (match may be left out; the other effects are "servfail", "refused", "silence", "truncate",
    {"address":{"v4":"203.0.113.7"}}, {"delay":{"delay_us":300000}})
  {"id":3,"op":"dose","name":"db"}
  {"id":4,"op":"clear","name":"db"}
  {"id":5,"op":"close","name":"db"}
  {"id":6,"op":"beat"}

exit codes: 0 ended as asked, 1 failed, 2 usage
"#;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        [] => serve().map(|()| ExitCode::SUCCESS),
        ["--help" | "-h" | "help"] => say(HELP).map(|()| ExitCode::SUCCESS),
        ["--version" | "-V"] => say(concat!("shakedown-relay ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| ExitCode::SUCCESS),
        _ => complain(&format!("unknown arguments: {}; see --help", words.join(" "))).map(|()| ExitCode::from(2)),
    };
    done.unwrap_or_else(|error| {
        let _ = complain(&error.to_string());
        ExitCode::FAILURE
    })
}

fn serve() -> io::Result<()> {
    allow_descriptors();
    let runtime: Runtime = Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let end = ending()?;
        desk::serve(&mut Session::default(), tokio::io::stdin(), tokio::io::stdout(), end).await
    });
    // A thread may still be reading stdin, and nobody waits for what it reads.
    runtime.shutdown_background();
    result
}

/// As many descriptors as may be had: each connection takes two.
fn allow_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is refused the limit stays what it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Ready when a signal asks for the end.
fn ending() -> io::Result<impl Future<Output = ()>> {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];
    let mut signals = kinds.into_iter().map(signal).collect::<io::Result<Vec<Signal>>>()?;
    Ok(std::future::poll_fn(move |context| {
        let any = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if any { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }))
}

fn say(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}

fn complain(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "shakedown-relay: {text}")
}
