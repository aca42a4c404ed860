//! The binary: choose between serving, `press`, `doctor` and `--help`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use shakedown_agent::press::{self, Outcome};
use shakedown_agent::session::{Means, Session};
use shakedown_agent::{Linux, doctor, stdio};

const HELP: &str = r#"shakedown-agent: faults on the network and the processes of a service, from inside its namespaces, and scarcity inside
its cgroup

usage:
  shakedown-agent           serve: JSON lines on stdin and stdout until stdin ends, then take everything back
  shakedown-agent --netem   the same, but latency, loss and bandwidth in direction out by the kernel's own netem and tbf, where
                            it has them and nobody else has put a queueing discipline there; the mechanism says which
  shakedown-agent press PRESSURE
                            use up a resource until stdin ends; JSON lines on stdout
  shakedown-agent doctor [--netem]
                            show what this kernel lets the agent do (exit code 1 if no fault is possible)
  shakedown-agent --help | --version

serving needs CAP_NET_ADMIN over the network namespace for faults on packets; for those on processes the service's pid namespace,
and over processes of other users CAP_SYS_PTRACE, and for files CAP_SETUID and CAP_SETGID, or CAP_SYS_RESOURCE; to try it by hand, in
a namespace of its own:
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
    {"connect":{"drop":{}}}, {"connect":{"delay_us":250000}}, {"mtu":{"bytes":1400}},
    {"redirect":{"port":15001,"except_uid":64317,"udp":true,"reset_established":true}}; a share is of a million packets)
    on processes, without a direction: {"clock":{"offset_us":-3600000000}} and {"files":{"leave":4}},
    "to":{"processes":"namespace"} or "to":{"processes":{"group":1234}}
  {"id":3,"op":"dose","name":"slow"}
  {"id":4,"op":"revert","name":"slow"}
  {"id":5,"op":"beat"}
  {"id":6,"op":"survey"}

pressures, with units in the names (ppm: millionths):
  {"ttl_ms":30000,"kind":{"cpu":{"workers":2,"load_ppm":800000}}}
    (the other kinds are {"memory":{"bytes":104857600}}, {"memory":{"fill_ppm":900000}}, {"oom":{}},
    {"io":{"path":"/data","workers":2,"block_bytes":65536,"read":true}}, {"fill":{"path":"/data","to_ppm":950000}},
    {"fill":{"path":"/data","leave_bytes":1048576}}, {"fill":{"path":"/data","bytes":104857600}}, {"pids":{"leave":2}})

exit codes: 0 all taken back, 1 something could not be done or taken back, 2 usage
"#;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        [] => serve(Means::Queue),
        ["--netem"] => serve(Means::Netem),
        ["press", pressure] => press(pressure),
        ["doctor"] => examine(Means::Queue),
        ["doctor", "--netem"] => examine(Means::Netem),
        ["--help" | "-h" | "help"] => say(HELP).map(|()| ExitCode::SUCCESS),
        ["--version" | "-V"] => say(concat!("shakedown-agent ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| ExitCode::SUCCESS),
        _ => complain(&format!("unknown arguments: {}; see --help", words.join(" "))).map(|()| ExitCode::from(2)),
    };
    done.unwrap_or_else(|error| {
        let _ = complain(&error.to_string());
        ExitCode::FAILURE
    })
}

fn serve(means: Means) -> io::Result<ExitCode> {
    let ended = stdio::serve(&mut Session::by(means, Linux::by(means)), io::stdin(), io::stdout())?;
    Ok(if ended.clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the binary is called where it was put into somebody's service to run there: it must not stay.
const GUEST: &str = ".shakedown-within";

fn press(pressure: &str) -> io::Result<ExitCode> {
    if let Ok(path) = std::env::current_exe()
        && path.file_name().is_some_and(|name| name == GUEST)
    {
        let _ = std::fs::remove_file(path);
    }
    Ok(match press::press(pressure, io::stdin(), io::stdout())? {
        Outcome::Ended => ExitCode::SUCCESS,
        Outcome::Failed => ExitCode::FAILURE,
        Outcome::Refused => ExitCode::from(2),
    })
}

fn examine(means: Means) -> io::Result<ExitCode> {
    let mut session = Session::by(means, Linux::by(means));
    let facts = session.facts();
    say(&doctor::describe(facts, means))?;
    let any = facts.powers.nft || facts.powers.clock || facts.powers.files;
    Ok(if any { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}

fn complain(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "shakedown-agent: {text}")
}
