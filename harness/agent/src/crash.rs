//! The test that the architecture asks for: stop the world at every single step, forwards and backwards, and look
//! whether anything is left.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::json;

use crate::kernel::{Act, Kernel, KernelError, Rule, Sentence, TableId, Undo};
use crate::session::Session;
use crate::wire::{Answer, Dose, Facts, Line, Powers, QueuePower};

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
    taken: BTreeSet<u16>,
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
            if let Sentence::Queue { number, .. } | Sentence::Relay { number, .. } = rule.sentence {
                assert!(self.queues.contains(&number), "{rule:?}");
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.tables.is_empty() && self.queues.is_empty()
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
            Act::Arm { table, rules } => self.call(|world| {
                world.tables.get_mut(table).expect("a table to arm").clone_from(rules);
            }),
        }
    }

    fn undo(&mut self, undo: &Undo) -> Result<(), KernelError> {
        self.call(|world| match undo {
            Undo::DeleteTable(table) => drop(world.tables.remove(table)),
            Undo::Disarm(table) => world.tables.get_mut(table).into_iter().for_each(Vec::clear),
            Undo::CloseQueue(number) => drop(world.queues.remove(number)),
        })
    }

    fn dose(&mut self, tables: &[TableId], _queue: Option<u16>) -> Result<Dose, KernelError> {
        assert!(tables.iter().all(|table| self.tables.contains_key(table)), "the counters must still be there");
        Ok(Dose::default())
    }

    fn tidy(&mut self) -> bool {
        false
    }
}

fn able() -> FakeKernel {
    let queue = Some(QueuePower::XtNfqueue);
    let powers = Powers { nft: true, nft_owner: true, queue, copy: true, reject: true, why_not: vec![] };
    FakeKernel { powers, ..FakeKernel::default() }
}

fn request(id: u64, op: &str, kind: &serde_json::Value) -> Vec<u8> {
    let to = json!({ "addresses": ["10.0.0.1", "fd00::1", "::ffff:10.0.0.2"], "ports": [80, 443, 80] });
    let fault = json!({ "name": "f", "ttl_ms": 1000, "kind": kind, "to": to, "direction": "both" });
    let body = if op == "apply" { json!({ "fault": fault }) } else { json!({ "name": "f" }) };
    let mut request = json!({ "id": id, "op": op });
    request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    request.to_string().into_bytes()
}

fn kinds() -> [serde_json::Value; 11] {
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
        assert!(calls >= 8 && replies.iter().all(|reply| reply.ok.is_some()), "{replies:?}");
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
        for at in 0..4 {
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
    let cases: [(Powers, Vec<&str>); 4] = [
        (Powers::default(), [BY_QUEUE, &["partition", "reset"]].concat()),
        (Powers { queue: None, ..able().powers }, BY_QUEUE.to_vec()),
        (Powers { reject: false, ..able().powers }, vec!["reset"]),
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
