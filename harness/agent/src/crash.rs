//! The test that the architecture asks for: stop the world at every single step, forwards and backwards, and look
//! whether anything is left.

mod disciplines;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::json;

use crate::kernel::{Act, Hook, Kernel, KernelError, Meters, Rule, Sentence, TableId, Undo};
use crate::session::Session;
use crate::wire::{Answer, Dose, Facts, Line, Powers, QueuePower, Survey};

/// When the fake kernel fails a call, counted from 0 over acts and undos together.
#[derive(Debug, Clone, Copy, Default)]
struct Crash {
    at: Option<usize>,
    /// Whether the effect happens and only its acknowledgement is lost.
    after_effect: bool,
}

/// A kernel made of maps.
#[derive(Debug, Default)]
struct FakeKernel {
    powers: Powers,
    tables: BTreeMap<TableId, Vec<Rule>>,
    queues: BTreeSet<u16>,
    shapes: BTreeSet<u16>,
    /// No interface takes a discipline.
    no_discipline: bool,
    taken: BTreeSet<u16>,
    /// Holds on processes.
    grips: BTreeSet<String>,
    /// How often processes that began were looked for.
    looks: usize,
    calls: usize,
    crash: Crash,
}

impl FakeKernel {
    /// Counts a call; an error if this is the one to fail. `effect` runs, or not, as the crash has it.
    fn call(&mut self, effect: impl FnOnce(&mut Self)) -> Result<(), KernelError> {
        let crashes = self.crash.at == Some(self.calls);
        self.calls += 1;
        if !crashes || self.crash.after_effect {
            effect(self);
        }
        if self.crash.at.is_none_or(|at| at >= self.calls) {
            self.assert_rules_lead_to_listeners();
        }
        if crashes {
            return Err(KernelError::Refused { doing: "crash".to_owned(), source: io::Error::other("on purpose") });
        }
        Ok(())
    }

    /// Unless something has failed, no rule ever leads to a queue that nobody listens to. (After a failure `bypass` has
    /// to do: then the queue closes although its rules could not be removed.)
    fn assert_rules_lead_to_listeners(&self) {
        for rule in self.tables.values().flatten() {
            if let Sentence::Redirect { .. } = rule.sentence {
                assert!(rule.hook == Hook::Opening && rule.spares.is_some(), "the relay would talk to itself: {rule:?}");
            }
            if let Sentence::Shape { class } = rule.sentence {
                assert!(self.shapes.contains(&((class >> 16) as u16)), "{rule:?}");
            }
            if let Sentence::Queue { number, .. } | Sentence::Relay { number, .. } = rule.sentence {
                assert!(self.queues.contains(&number), "{rule:?}");
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.tables.is_empty() && self.queues.is_empty() && self.shapes.is_empty() && self.grips.is_empty()
    }
}

/// The session's handle on a kernel that the test keeps.
impl Kernel for &mut FakeKernel {
    fn facts(&mut self) -> Facts {
        let powers = self.powers.clone();
        Facts { kernel: "fake".into(), arch: "none".into(), powers, pid: 1, interfaces: vec![] }
    }

    fn name_stem(&self) -> String {
        "shakedown_1".to_owned()
    }

    fn act(&mut self, act: &Act) -> Result<(), KernelError> {
        match act {
            Act::OpenQueue { number, .. } if self.taken.contains(number) => Err(KernelError::QueueTaken(*number)),
            Act::CreateTable(table) => {
                assert!(!self.tables.contains_key(&table.id), "names are not used twice");
                self.call(|world| drop(world.tables.insert(table.id.clone(), vec![])))
            }
            Act::OpenQueue { number, .. } => self.call(|world| assert!(world.queues.insert(*number))),
            Act::Shape(_) if self.no_discipline => Err(KernelError::NoDiscipline("somebody's".to_owned())),
            Act::Shape(shape) => self.call(|world| assert!(world.shapes.insert(shape.handle))),
            Act::Arm { table, rules, .. } => self.call(|world| {
                world.tables.get_mut(table).expect("a table to arm").clone_from(rules);
            }),
            Act::Skew { grip, .. } | Act::Limit { grip, .. } => self.call(|world| assert!(world.grips.insert(grip.clone()))),
        }
    }

    fn undo(&mut self, undo: &Undo) -> Result<(), KernelError> {
        self.call(|world| match undo {
            Undo::DeleteTable(table) => drop(world.tables.remove(table)),
            Undo::Disarm { table, stays, .. } => world.tables.get_mut(table).into_iter().for_each(|rules| rules.clone_from(stays)),
            Undo::Unshape(handle) => drop(world.shapes.remove(handle)),
            Undo::CloseQueue(number) => drop(world.queues.remove(number)),
            Undo::Unskew(grip) | Undo::Unlimit(grip) => drop(world.grips.remove(grip)),
        })
    }

    fn dose(&mut self, meters: &Meters) -> Result<Dose, KernelError> {
        assert!(meters.tables.iter().all(|table| self.tables.contains_key(table)), "the counters must still be there");
        Ok(Dose::default())
    }

    fn survey(&mut self) -> Survey {
        Survey { nft_tables: self.tables.keys().map(|id| id.name.clone()).collect(), ..Survey::default() }
    }

    fn tend(&mut self) -> bool {
        self.looks += 1;
        !self.grips.is_empty()
    }

    fn tidy(&mut self) -> bool {
        false
    }
}

fn able() -> FakeKernel {
    let queue = Some(QueuePower::XtNfqueue);
    let powers = Powers {
        nft: true,
        nft_owner: true,
        queue,
        copy: true,
        reject: true,
        redirect: true,
        forget: true,
        clock: true,
        files: true,
        netem: true,
        tbf: true,
        why_not: vec![],
    };
    FakeKernel { powers, ..FakeKernel::default() }
}

fn request(id: u64, op: &str, kind: &serde_json::Value) -> Vec<u8> {
    let to = json!({ "addresses": ["10.0.0.1", "fd00::1", "::ffff:10.0.0.2"], "ports": [80, 443, 80] });
    let mut fault = json!({ "name": "f", "ttl_ms": 1000, "kind": kind });
    if on_processes(kind) {
        fault["to"] = json!({ "processes": "namespace" });
    } else {
        let direction = if kind.get("redirect").is_some() { "out" } else { "both" };
        (fault["to"], fault["direction"]) = (to, json!(direction));
    }
    let body = if op == "apply" { json!({ "fault": fault }) } else { json!({ "name": "f" }) };
    let mut request = json!({ "id": id, "op": op });
    request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    request.to_string().into_bytes()
}

fn on_processes(kind: &serde_json::Value) -> bool {
    ["clock", "files"].iter().any(|name| kind.get(name).is_some())
}

fn kinds() -> [serde_json::Value; 14] {
    [
        json!({ "latency": { "delay_us": 1000 } }),
        json!({ "partition": {} }),
        json!({ "reset": {} }),
        json!({ "loss": { "share_ppm": 100_000, "burst_packets": 3 } }),
        json!({ "reorder": { "share_ppm": 100_000, "delay_us": 1000 } }),
        json!({ "bandwidth": { "bytes_per_second": 1_000_000 } }),
        json!({ "corrupt": { "share_ppm": 100_000 } }),
        json!({ "duplicate": { "share_ppm": 100_000 } }),
        json!({ "connect": { "drop": {} } }),
        json!({ "connect": { "delay_us": 1000 } }),
        json!({ "mtu": { "bytes": 1400 } }),
        json!({ "redirect": { "port": 15001, "except_uid": 64317, "udp": true, "reset_established": true } }),
        json!({ "clock": { "offset_us": -3_600_000_000_i64 } }),
        json!({ "files": { "leave": 0 } }),
    ]
}

/// Applies and reverts with a crash; returns how many calls the kernel got, and the two replies.
fn live(kind: &serde_json::Value, crash: Crash) -> (usize, [Line; 2]) {
    let mut kernel = FakeKernel { crash, ..able() };
    let mut session = Session::new(&mut kernel);
    let replies = [session.answer(&request(1, "apply", kind)), session.answer(&request(2, "revert", kind))];
    let (_, clean) = session.take_back_all();
    drop(session);
    assert!(clean && kernel.is_whole(), "{kind} with {crash:?} left {kernel:?}");
    (kernel.calls, replies)
}

#[test]
fn the_world_ends_whole_wherever_a_step_fails() {
    for kind in kinds() {
        let (calls, replies) = live(&kind, Crash::default());
        let least = if on_processes(&kind) { 2 } else { 8 };
        assert!(calls >= least && replies.iter().all(|reply| reply.ok.is_some()), "{replies:?}");
        for at in 0..calls {
            for after_effect in [false, true] {
                let (_, replies) = live(&kind, Crash { at: Some(at), after_effect });
                assert!(replies.iter().any(|reply| reply.error.is_some()), "a failure must be told: {replies:?}");
            }
        }
    }
}

#[test]
fn a_fault_that_cannot_be_applied_whole_leaves_nothing_at_once() {
    for kind in kinds() {
        for at in 0..if on_processes(&kind) { 1 } else { 4 } {
            let mut kernel = FakeKernel { crash: Crash { at: Some(at), after_effect: true }, ..able() };
            let mut session = Session::new(&mut kernel);
            let failure = session.answer(&request(1, "apply", &kind)).error.unwrap();
            assert_eq!(failure.code, "kernel");
            drop(session);
            assert!(kernel.is_whole(), "{kernel:?}");
        }
    }
}

#[test]
fn a_queue_that_somebody_else_has_is_passed_over() {
    let mut kernel = FakeKernel { taken: (20_001..20_040).collect(), ..able() };
    let mut session = Session::new(&mut kernel);
    let reply = session.answer(&request(1, "apply", &kinds()[0]));
    assert!(matches!(reply.ok, Some(Answer::Applied(_))), "{reply:?}");
    drop(session);
    assert_eq!(kernel.queues.iter().collect::<Vec<_>>(), [&20_040, &20_041]);
    assert_eq!(kernel.tables.len(), 2, "failed attempts are taken back");
}

#[test]
fn what_the_kernel_cannot_do_is_refused_with_the_reason() {
    const BY_QUEUE: &[&str] = &["latency", "loss", "reorder", "bandwidth", "corrupt", "duplicate", "connect", "mtu"];
    let cases: [(Powers, Vec<&str>); 7] = [
        (Powers::default(), [BY_QUEUE, &["partition", "reset", "redirect", "clock", "files"]].concat()),
        (Powers { clock: false, ..able().powers }, vec!["clock"]),
        (Powers { files: false, ..able().powers }, vec!["files"]),
        (Powers { queue: None, ..able().powers }, BY_QUEUE.to_vec()),
        (Powers { reject: false, ..able().powers }, vec!["reset", "redirect"]),
        (Powers { redirect: false, ..able().powers }, vec!["redirect"]),
        (Powers { copy: false, ..able().powers }, vec!["duplicate"]),
    ];
    for (powers, refused) in cases {
        let why_not = vec!["no such thing".to_owned()];
        for kind in &kinds() {
            let possible = !refused.iter().any(|name| kind.get(name).is_some());
            let mut kernel = FakeKernel { powers: Powers { why_not: why_not.clone(), ..powers.clone() }, ..able() };
            let reply = Session::new(&mut kernel).answer(&request(1, "apply", kind));
            assert_eq!(reply.ok.is_some(), possible, "{kind} {powers:?}");
            if let Some(failure) = reply.error {
                assert_eq!((failure.code.as_str(), failure.hint.as_str()), ("unsupported", "no such thing"));
            }
        }
    }
}

#[test]
fn a_fault_expires_and_is_remembered() {
    let mut kernel = able();
    let mut session = Session::new(&mut kernel);
    let now = std::time::Instant::now();
    session.answer(&request(1, "apply", &kinds()[1]));
    assert!(session.tick(now).is_empty());
    let expiry = session.next_tick(now).unwrap();
    assert_eq!(session.tick(expiry).len(), 1);
    assert!(session.next_tick(now).is_none());
    let Some(Answer::Reverted(late)) = session.answer(&request(2, "revert", &kinds()[1])).ok else { panic!() };
    assert!(late.already_gone && late.dose.is_some());
    drop(session);
    assert!(kernel.is_whole());
}

#[test]
fn the_most_that_a_kind_can_do_is_not_refused() {
    let kinds = [
        json!({ "latency": { "delay_us": 60_000_000, "jitter_us": 60_000_000, "distribution": "paretonormal", "correlation_ppm": 999_999 } }),
        json!({ "loss": { "share_ppm": 1_000_000, "burst_packets": 1 } }),
        json!({ "loss": { "share_ppm": 666_666, "burst_packets": 2 } }),
        json!({ "loss": { "share_ppm": 999_999, "burst_packets": 4_294_967_295_u32 } }),
        json!({ "reorder": { "share_ppm": 999_999, "delay_us": 60_000_000 } }),
        json!({ "bandwidth": { "bytes_per_second": u64::MAX, "queue_us": 60_000_000 } }),
        json!({ "corrupt": { "share_ppm": 1_000_000 } }),
        json!({ "duplicate": { "share_ppm": 1_000_000 } }),
        json!({ "connect": { "delay_us": 60_000_000 } }),
        json!({ "mtu": { "bytes": 1280 } }),
        json!({ "mtu": { "bytes": 65_535 } }),
    ];
    for kind in kinds {
        let mut kernel = able();
        let reply = Session::new(&mut kernel).answer(&request(1, "apply", &kind));
        assert!(matches!(reply.ok, Some(Answer::Applied(_))), "{kind} {reply:?}");
    }
}

#[test]
fn a_path_of_ipv4_alone_may_be_as_narrow_as_the_protocol_allows() {
    let mut line: serde_json::Value = serde_json::from_slice(&request(1, "apply", &json!({ "mtu": { "bytes": 68 } }))).unwrap();
    line["fault"]["to"]["addresses"] = json!(["10.0.0.1", "::ffff:10.0.0.2"]);
    let mut kernel = able();
    let reply = Session::new(&mut kernel).answer(line.to_string().as_bytes());
    assert!(matches!(reply.ok, Some(Answer::Applied(_))), "{reply:?}");
}

#[test]
fn only_the_kinds_that_hold_packets_relay_what_goes_out() {
    for kind in kinds() {
        let mut kernel = able();
        Session::new(&mut kernel).answer(&request(1, "apply", &kind));
        let relays = kernel.tables.values().flatten().any(|rule| matches!(rule.sentence, Sentence::Relay { .. }));
        let holds = ["latency", "reorder", "bandwidth"].iter().any(|name| kind.get(name).is_some());
        assert_eq!(relays, holds, "{kind}");
    }
}

#[test]
fn a_fault_that_makes_no_sense_is_refused_before_the_kernel_hears_of_it() {
    let cases = [
        ("/name", json!("")),
        ("/name", json!("no spaces")),
        ("/ttl_ms", json!(0)),
        ("/ttl_ms", json!(86_400_001)),
        ("/to/addresses", json!([])),
        ("/to/addresses", json!(["0.0.0.0"])),
        ("/to/ports", json!([0])),
        ("/kind", json!({ "latency": { "delay_us": 10, "jitter_us": 11 } })),
        ("/kind", json!({ "latency": { "delay_us": 60_000_001 } })),
        ("/kind", json!({ "latency": { "delay_us": 10, "correlation_ppm": 1_000_000 } })),
        ("/kind", json!({ "loss": { "share_ppm": 0 } })),
        ("/kind", json!({ "loss": { "share_ppm": 1_000_001 } })),
        ("/kind", json!({ "loss": { "share_ppm": 1_000_000, "burst_packets": 2 } })),
        ("/kind", json!({ "loss": { "share_ppm": 666_667, "burst_packets": 2 } })),
        ("/kind", json!({ "reorder": { "share_ppm": 1_000_000, "delay_us": 1 } })),
        ("/kind", json!({ "reorder": { "share_ppm": 1, "delay_us": 0 } })),
        ("/kind", json!({ "reorder": { "share_ppm": 1, "delay_us": 60_000_001 } })),
        ("/kind", json!({ "bandwidth": { "bytes_per_second": 0 } })),
        ("/kind", json!({ "bandwidth": { "bytes_per_second": 1, "queue_us": 60_000_001 } })),
        ("/kind", json!({ "corrupt": { "share_ppm": 0 } })),
        ("/kind", json!({ "duplicate": { "share_ppm": 0 } })),
        ("/kind", json!({ "duplicate": { "share_ppm": 1_000_001 } })),
        ("/kind", json!({ "connect": { "delay_us": 0 } })),
        ("/kind", json!({ "connect": { "delay_us": 60_000_001 } })),
        ("/kind", json!({ "mtu": { "bytes": 67 } })),
        ("/kind", json!({ "mtu": { "bytes": 65_536 } })),
        ("/kind", json!({ "mtu": { "bytes": 1279 } })),
        ("/kind", json!({ "files": { "leave": 4 } })),
        ("/to", json!({ "processes": "namespace" })),
        ("/direction", serde_json::Value::Null),
    ];
    for (pointer, value) in cases {
        let mut line: serde_json::Value = serde_json::from_slice(&request(1, "apply", &kinds()[1])).unwrap();
        *line["fault"].pointer_mut(pointer).unwrap() = value;
        let mut kernel = able();
        let reply = Session::new(&mut kernel).answer(line.to_string().as_bytes());
        assert_eq!(reply.error.unwrap().code, "invalid", "{line}");
        assert_eq!(kernel.calls, 0);
    }
}

#[test]
fn a_fault_on_processes_that_makes_no_sense_is_refused_before_the_kernel_hears_of_it() {
    let packets = json!({ "addresses": ["10.0.0.1"], "ports": [] });
    let cases = [
        ("/kind", json!({ "clock": { "offset_us": 0 } })),
        ("/kind", json!({ "clock": { "offset_us": 3_153_600_000_000_001_i64 } })),
        ("/kind", json!({ "clock": { "offset_us": -3_153_600_000_000_001_i64 } })),
        ("/kind", json!({ "clock": { "offset_us": i64::MIN } })),
        ("/kind", json!({ "files": { "leave": 1_000_001 } })),
        ("/kind", json!({ "partition": {} })),
        ("/to", json!({ "processes": { "group": 0 } })),
        ("/to", json!({ "processes": { "group": 1 } })),
        ("/to", json!({ "processes": { "group": -1 } })),
        ("/to", packets),
        ("/direction", json!("out")),
    ];
    for (pointer, value) in cases {
        let mut line: serde_json::Value = serde_json::from_slice(&request(1, "apply", &kinds()[12])).unwrap();
        line["fault"]["direction"] = serde_json::Value::Null;
        *line["fault"].pointer_mut(pointer).unwrap() = value;
        let mut kernel = able();
        let reply = Session::new(&mut kernel).answer(line.to_string().as_bytes());
        assert_eq!(reply.error.unwrap().code, "invalid", "{line}");
        assert_eq!(kernel.calls, 0);
    }
}

#[test]
fn processes_that_begin_are_looked_for_every_50_ms_while_a_fault_has_a_grip_on_any() {
    for kind in &kinds() {
        let mut kernel = able();
        let mut session = Session::new(&mut kernel);
        session.answer(&request(1, "apply", kind));
        let now = std::time::Instant::now();
        for milliseconds in [60, 70, 80, 200] {
            session.tick(now + std::time::Duration::from_millis(milliseconds));
        }
        let next = session.next_tick(now).unwrap();
        session.answer(&request(2, "revert", kind));
        session.tick(now + std::time::Duration::from_millis(300));
        assert_eq!(session.next_tick(now), None, "{kind}");
        drop(session);
        // The last look finds that nothing is held any more.
        assert_eq!(kernel.looks, if on_processes(kind) { 3 } else { 0 }, "{kind}");
        assert_eq!(next < now + std::time::Duration::from_millis(300), on_processes(kind), "{kind}");
    }
}

#[test]
fn a_redirect_that_could_lead_nowhere_or_to_itself_is_refused() {
    let whole = json!({ "port": 15001, "except_uid": 64317, "udp": true });
    let cases = [
        ("/kind/redirect/port", json!(0)),
        ("/kind/redirect/except_uid", json!(0)),
        ("/kind/redirect/except_uid", json!(u32::MAX)),
        ("/direction", json!("both")),
        ("/direction", json!("in")),
        ("/to", json!({ "addresses": ["10.0.0.1"], "ports": [] })),
        ("/to", json!({ "addresses": ["127.0.0.1"], "ports": [15001] })),
        ("/to", json!({ "addresses": ["::ffff:127.0.0.1"], "ports": [15001, 80] })),
        ("/to", json!({ "addresses": ["::1"], "ports": [15001] })),
    ];
    for (pointer, value) in cases {
        let mut line: serde_json::Value = serde_json::from_slice(&request(1, "apply", &json!({ "redirect": whole }))).unwrap();
        *line["fault"].pointer_mut(pointer).unwrap() = value;
        let mut kernel = able();
        let reply = Session::new(&mut kernel).answer(line.to_string().as_bytes());
        assert_eq!(reply.error.unwrap().code, "invalid", "{line}");
        assert_eq!(kernel.calls, 0);
    }
}

#[test]
fn a_redirect_that_cannot_make_flows_forgotten_says_so() {
    for (forget, words) in [(true, "UDP too"), (false, "but for flows from before")] {
        let mut kernel = FakeKernel { powers: Powers { forget, ..able().powers }, ..able() };
        let reply = Session::new(&mut kernel).answer(&request(1, "apply", &kinds()[11]));
        let Some(Answer::Applied(applied)) = reply.ok else { panic!("{reply:?}") };
        assert!(applied.mechanism.ends_with(words), "{}", applied.mechanism);
    }
}

#[test]
fn a_redirect_that_resets_nothing_needs_no_resets_and_leaves_every_other_packet_alone() {
    let mut kernel = FakeKernel { powers: Powers { reject: false, ..able().powers }, ..able() };
    let kind = json!({ "redirect": { "port": 15001, "except_uid": 64317 } });
    let reply = Session::new(&mut kernel).answer(&request(1, "apply", &kind));
    assert!(matches!(reply.ok, Some(Answer::Applied(_))), "{reply:?}");
    assert!(kernel.tables.values().flatten().all(|rule| rule.hook == Hook::Opening));
}
