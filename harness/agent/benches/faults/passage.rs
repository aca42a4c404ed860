//! How many packets a second one core of the agent passes, through a fault that lets practically all of them go on at once.
//!
//! The sender has the other core, and waits where its socket's buffer is full, so that nothing is lost. What the agent's core does includes the rest of
//! the packets' way: a verdict sends the packet on before it returns, up to the receiver's buffer.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::statistics::{quantile, word};
use crate::support::{Agent, FAR, Far, fault};

const ROUNDS: usize = 3;
const WINDOW: Duration = Duration::from_secs(2);
const AIM: f64 = 150_000.0;

pub(crate) fn measure(far: &Far) {
    println!(
        "\n| through | packets/s, median of 3 | packets per second of the agent's CPU | of that, user | lost by the queue | aim (150,000) |"
    );
    println!("|---|---|---|---|---|---|");
    let loss = json!({ "loss": { "share_ppm": 1, "seed": 1 } });
    let latency = json!({ "latency": { "delay_us": 0, "seed": 1 } });
    for (name, kind) in [("loss of one in a million", &loss), ("latency of 0 ms", &latency)] {
        let rounds: Vec<Round> = (0..ROUNDS).map(|_| round(far, kind)).collect();
        let [rate, per_core, user] = [|round: &Round| round.rate, |round: &Round| round.per_core, |round: &Round| round.user]
            .map(|of| quantile(&rounds.iter().map(of).collect::<Vec<_>>(), 0.5));
        let lost: u64 = rounds.iter().map(|round| round.lost).sum();
        println!("| {name} | {rate:.0} | {per_core:.0} | {:.0} % | {lost} | {} |", user * 1e2, word(per_core >= AIM));
    }
}

struct Round {
    rate: f64,
    per_core: f64,
    user: f64,
    lost: u64,
}

fn round(far: &Far, kind: &Value) -> Round {
    let mut agent = Agent::start();
    pin(Pid::from_raw(agent.child.id().cast_signed()), 1);
    let there = far.errand(|| UdpSocket::bind((FAR, 0)).unwrap());
    let senders: Vec<UdpSocket> = (0..64).map(|_| UdpSocket::bind("0.0.0.0:0").unwrap()).collect();
    for sender in &senders {
        sender.connect(there.local_addr().unwrap()).unwrap();
    }
    agent.apply(&fault(kind, &[FAR], &[], "out"));
    let (begun, before) = (Instant::now(), cpu_time(agent.child.id()));
    let sending = std::thread::spawn(move || {
        pin(Pid::from_raw(0), 0);
        while begun.elapsed() < WINDOW {
            for sender in &senders {
                sender.send(b"x").unwrap();
            }
        }
    });
    sending.join().unwrap();
    let dose = agent.revert("f").dose.unwrap();
    let (took, after) = (begun.elapsed().as_secs_f64(), cpu_time(agent.child.id()));
    let [user, system] = [after[0] - before[0], after[1] - before[1]];
    let passed = (dose.judged - dose.lost) as f64;
    Round { rate: passed / took, per_core: passed / (user + system), user: user / (user + system), lost: dose.dropped_by_queue }
}

/// Keeps a process or this thread to one of two cores, where there are two.
fn pin(whom: Pid, core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core % std::thread::available_parallelism().unwrap().get()).unwrap();
    sched_setaffinity(whom, &cores).unwrap();
}

/// Seconds that a process has spent in user space and in the kernel: fields 14 and 15 of proc(5)'s stat, in ticks of 10 ms.
fn cpu_time(process: u32) -> [f64; 2] {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, behind_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = behind_name.split_ascii_whitespace().collect();
    [11, 12].map(|at| fields[at].parse::<f64>().unwrap() / 100.0)
}
