//! The binary: choose between serving, `doctor` and `--help`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use shakedown_agent::session::Session;
use shakedown_agent::{Linux, doctor, stdio};

const HELP: &str = r#"shakedown-agent: network faults inside this network namespace

usage:
  shakedown-agent           serve: JSON lines on stdin and stdout until stdin ends, then take everything back
  shakedown-agent doctor    show what this kernel lets the agent do (exit code 1 if no fault is possible)
  shakedown-agent --help | --version

needs CAP_NET_ADMIN over the network namespace; to try it by hand, in a namespace of its own:
  unshare --net sh -c 'ip link set lo up; shakedown-agent doctor'

requests, one a line:
  {"id":1,"op":"facts"}
  {"id":2,"op":"apply","fault":{"name":"slow","ttl_ms":30000,
    "kind":{"latency":{"delay_us":200000,"jitter_us":50000,"distribution":"normal","seed":42}},
    "to":{"addresses":["172.18.0.5"],"ports":[8080]},"direction":"out"}}
    (on one line; directions are out, in, both; the other kinds are
    {"partition":{}}, {"reset":{}}, {"loss":{"share_ppm":50000,"burst_packets":3,"seed":42}},
    {"reorder":{"share_ppm":50000,"delay_us":5000,"seed":42}}, {"corrupt":{"share_ppm":50000,"seed":42}},
    {"bandwidth":{"bytes_per_second":125000,"queue_us":50000}}, {"duplicate":{"share_ppm":50000,"seed":42}},
    {"connect":{"drop":{}}}, {"connect":{"delay_us":250000}}, {"mtu":{"bytes":1400}}; a share is of a million packets)
  {"id":3,"op":"dose","name":"slow"}
  {"id":4,"op":"revert","name":"slow"}
  {"id":5,"op":"beat"}

exit codes: 0 all taken back, 1 something could not be, 2 usage
"#;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        [] => serve(),
        ["doctor"] => examine(),
        ["--help" | "-h" | "help"] => say(HELP).map(|()| ExitCode::SUCCESS),
        ["--version" | "-V"] => say(concat!("shakedown-agent ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| ExitCode::SUCCESS),
        _ => complain(&format!("unknown arguments: {}; see --help", words.join(" "))).map(|()| ExitCode::from(2)),
    };
    done.unwrap_or_else(|error| {
        let _ = complain(&error.to_string());
        ExitCode::FAILURE
    })
}

fn serve() -> io::Result<ExitCode> {
    let ended = stdio::serve(&mut Session::new(Linux::new()), io::stdin(), io::stdout())?;
    Ok(if ended.clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn examine() -> io::Result<ExitCode> {
    let mut session = Session::new(Linux::new());
    let facts = session.facts();
    say(&doctor::describe(facts))?;
    Ok(if facts.powers.nft { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}

fn complain(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "shakedown-agent: {text}")
}
