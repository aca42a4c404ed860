//! A small shop that never ran: evidence of scenarios as a conductor would have recorded it, from a seed. For tests and for the example `sample`.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use indexmap::IndexMap;
use shakedown_model::{
    event::{Event, GeneratorReport, Phase, TimedEvent},
    evidence::{Attributes, Baseline, Evidence, LogRecord, Request, SpanKind, SpanRecord, VariantEvidence},
    experiment::{
        Arrivals, BaselineCommit, BaselineMode, BaselineSpec, Check, Expectation, Experiment, Gate, Load, PhaseLengths, Quantile, Scenario,
        Services, Source, Telemetry, When,
    },
    fault::{Action, Distribution, Dose, Edge, Fault, FaultRecord, Latency, Target},
    ids::{SpanId, TraceId},
    plan::{RuntimeKind, Slots},
    run::{Changes, CommitInfo, Machine, PhaseRun, Play, RUN_SCHEMA, Rounds, RunMeta, ScenarioRun, ServiceChanges},
    stack::Variant,
    time::UnixNanos,
    units::{Percent, Rate, Span},
    verdict::GateMode,
};
use std::time::Duration;

pub(crate) const SLOT: Duration = Duration::from_millis(500);
const BEGIN: u64 = 1_763_721_600_000_000_000;
const SCENARIO_SECONDS: f64 = 40.0;
const PHASES: [(Phase, f64, f64); 4] =
    [(Phase::Warmup, 0.0, 2.0), (Phase::Steady, 2.0, 12.0), (Phase::Fault, 12.0, 26.0), (Phase::Recovery, 26.0, 36.0)];

/// SplitMix64: small, seeded, the same everywhere.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }
}

/// How one variant behaves in one scenario.
#[derive(Debug, Clone)]
pub(crate) struct Behaviour {
    /// Median latency without a fault, seconds.
    pub(crate) steady: f64,
    /// Median latency while the fault is on.
    pub(crate) fault: f64,
    /// Share of requests that fail while the fault is on.
    pub(crate) failures: f64,
    /// How long after the fault requests still fail.
    pub(crate) sick: f64,
    /// Calls to payment per request while the fault is on.
    pub(crate) calls: u32,
    /// What the fault touched.
    pub(crate) touched: u64,
    /// Added delay that was measured.
    pub(crate) delay_ms: f64,
}

impl Default for Behaviour {
    fn default() -> Behaviour {
        Behaviour { steady: 0.02, fault: 0.22, failures: 0.0, sick: 0.0, calls: 1, touched: 1_180, delay_ms: 201.3 }
    }
}

/// One scenario.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) why: Option<&'static str>,
    pub(crate) fault: Fault,
    pub(crate) candidate: Behaviour,
    pub(crate) baseline: Behaviour,
}

impl Story {
    pub(crate) fn slow_payment(name: &'static str) -> Story {
        let latency = Latency { delay: span("200ms"), jitter: span("50ms"), distribution: Distribution::Normal, correlation: Percent(0.0) };
        let edge = Edge { from: "orders".to_owned(), to: "payment".to_owned() };
        Story {
            name,
            why: Some("Checkout must survive a slow payment provider."),
            fault: Fault {
                at: span("0s"),
                lasts: span("14s"),
                on: Target::Edge(edge),
                action: Action::Latency(latency),
                connections: Percent(1.0),
                ports: Vec::new(),
                search: None,
                source: source(4),
            },
            candidate: Behaviour::default(),
            baseline: Behaviour::default(),
        }
    }
}

pub(crate) fn span(text: &str) -> Span {
    text.parse().expect("a quantity")
}

pub(crate) fn source(line: u32) -> Source {
    Source { file: "chaos/scenario.yaml".to_owned(), line }
}

pub(crate) fn at(scenario: usize, seconds: f64) -> UnixNanos {
    UnixNanos(BEGIN + ((scenario as f64 * SCENARIO_SECONDS + seconds) * 1e9) as u64)
}

/// A paired run of these stories, 100 requests a second.
pub(crate) fn evidence(stories: &[Story]) -> Evidence {
    evidence_at(stories, 100.0, 7)
}

pub(crate) fn evidence_at(stories: &[Story], rate: f64, seed: u64) -> Evidence {
    let plays: Vec<(Play, Story)> = stories.iter().map(|story| (Play::default(), story.clone())).collect();
    played(&plays, rate, seed)
}

/// One story in several rounds, each with a candidate that behaves in its own way.
pub(crate) fn in_rounds(story: &Story, candidates: &[Behaviour]) -> Evidence {
    let round = |(index, candidate): (usize, &Behaviour)| {
        (Play { round: index as u32 + 1, episode: 1 }, Story { candidate: candidate.clone(), ..story.clone() })
    };
    played(&candidates.iter().enumerate().map(round).collect::<Vec<_>>(), 100.0, 7)
}

/// Plays one after the other; those of one name are plays of one scenario.
pub(crate) fn played(plays: &[(Play, Story)], rate: f64, seed: u64) -> Evidence {
    let mut recording = Recording {
        candidate: VariantEvidence::default(),
        baseline: VariantEvidence::default(),
        events: Vec::new(),
        chance: Chance(seed),
        trace: 0,
    };
    for (index, (play, story)) in plays.iter().enumerate() {
        recording.scenario(index, *play, story, rate);
    }
    let mut stories: Vec<Story> = Vec::new();
    for (_, story) in plays {
        if !stories.iter().any(|known| known.name == story.name) {
            stories.push(story.clone());
        }
    }
    let generator = stories.iter().map(|story| (story.name.to_owned(), healthy(rate))).collect();
    for evidence in [&mut recording.candidate, &mut recording.baseline] {
        evidence.logs.sort_by_key(|line| line.at);
    }
    Evidence {
        run: run_meta(plays),
        experiment: experiment(&stories, rate),
        events: recording.events,
        generator,
        candidate: recording.candidate,
        baseline: Some(Baseline { evidence: recording.baseline, paired: true, run: None }),
    }
}

fn healthy(rate: f64) -> GeneratorReport {
    let due = (rate * 36.0) as u64;
    GeneratorReport { due, sent: due, late_p99_ms: 0.4, late_max_ms: 2.2, shed: 0 }
}

struct Recording {
    candidate: VariantEvidence,
    baseline: VariantEvidence,
    events: Vec<TimedEvent>,
    chance: Chance,
    trace: u64,
}

impl Recording {
    fn scenario(&mut self, index: usize, play: Play, story: &Story, rate: f64) {
        let say = |seconds: f64, event: Event| TimedEvent { at: at(index, seconds), event };
        for (phase, start, end) in PHASES {
            self.events.push(say(start, Event::PhaseStarted { scenario: story.name.to_owned(), phase, seconds: end - start }));
        }
        for (variant, behaviour) in [(Variant::Candidate, &story.candidate), (Variant::Baseline, &story.baseline)] {
            let (scenario, detail) = (story.name.to_owned(), "checkout: success 100 %, p99 61 ms".to_owned());
            self.events.push(say(12.0, Event::SteadyState { scenario, variant, holds: true, detail }));
            let fault = FaultRecord { play, ..fault_record(index, story, behaviour) };
            self.events.push(say(12.02, Event::FaultApplied { variant, fault: fault.clone() }));
            self.events.push(say(26.0, Event::FaultReverted { variant, fault: fault.clone() }));
            self.side(variant).faults.push(fault);
        }
        // Written as the file has it: an event may have more fields than are told here.
        let report = serde_json::json!({"event": "generator", "scenario": story.name, "report": healthy(rate)});
        self.events.push(say(36.5, serde_json::from_value(report).expect("an event")));
        let slots = Slots { slot: SLOT, seed: 42 + u64::from(play.round - 1) * 1_000 + u64::from(play.episode - 1) };
        let mut weather = 0.0;
        for number in 0..(rate * 36.0) as u64 {
            let seconds = number as f64 / rate;
            let (block, half) = slots.position(Duration::from_secs_f64(seconds + 1e-9));
            let variant = if (half == 0) == slots.baseline_first(block) { Variant::Baseline } else { Variant::Candidate };
            weather = 0.99 * weather + 0.01 * self.chance.normal();
            self.request(index, story, variant, seconds, block, weather);
        }
    }

    fn side(&mut self, variant: Variant) -> &mut VariantEvidence {
        match variant {
            Variant::Candidate => &mut self.candidate,
            Variant::Baseline => &mut self.baseline,
        }
    }

    fn request(&mut self, index: usize, story: &Story, variant: Variant, seconds: f64, block: u32, weather: f64) {
        let behaviour = if variant == Variant::Candidate { &story.candidate } else { &story.baseline };
        let (phase, ..) = PHASES.into_iter().find(|(_, start, end)| (*start..*end).contains(&seconds)).expect("inside a phase");
        let under_fault = phase == Phase::Fault && seconds >= 12.02;
        let sick = (26.0..26.0 + behaviour.sick).contains(&seconds);
        let failed = sick || (under_fault && self.chance.share() < behaviour.failures);
        let slow_path = if self.chance.share() < 0.02 { 1.6 } else { 1.0 };
        let median = if under_fault { behaviour.fault } else { behaviour.steady };
        let latency = median * slow_path * (weather + 0.08 * self.chance.normal()).exp();
        let latency = if failed { 0.4_f64.min(latency) } else { latency };
        self.trace += 1;
        let due = at(index, seconds);
        let request = Request {
            load: "checkout".to_owned(),
            scenario: story.name.to_owned(),
            phase,
            block,
            due,
            sent: Some(due + Duration::from_micros(80)),
            done: due + Duration::from_secs_f64(latency),
            status: if failed { 503 } else { 201 },
            error: None,
            ok: !failed,
            bytes: 120,
            trace_id: TraceId::of(&u128::from(self.trace).to_be_bytes()).expect("not zero"),
        };
        let calls = if under_fault { behaviour.calls } else { 1 };
        let spans = spans(&request, calls, failed);
        let side = self.side(variant);
        if failed {
            side.logs.push(LogRecord {
                at: request.done,
                service: "orders".into(),
                severity: Some("ERROR".into()),
                body: format!("payment gave up after {calls} attempts: timeout <b>\u{1b}[31m"),
                trace_id: Some(request.trace_id),
            });
        }
        side.logs.push(LogRecord {
            at: due,
            service: "gateway".into(),
            severity: Some("INFO".into()),
            body: "POST /checkout".to_owned(),
            trace_id: Some(request.trace_id),
        });
        side.spans.extend(spans);
        side.requests.push(request);
    }
}

fn fault_record(index: usize, story: &Story, behaviour: &Behaviour) -> FaultRecord {
    let mut figures = IndexMap::from([("packets".to_owned(), behaviour.touched as f64)]);
    if let Action::Latency(_) = story.fault.action {
        figures.insert("delay_ms".to_owned(), behaviour.delay_ms);
    }
    FaultRecord {
        scenario: story.name.to_owned(),
        play: Play::default(),
        index: 0,
        kind: story.fault.action.kind().to_owned(),
        target: story.fault.on.to_string(),
        mechanism: "packets (nfqueue)".to_owned(),
        asked: story.fault.action.asked(),
        dose: Dose { touched: behaviour.touched, figures },
        applied_at: Some(at(index, 12.02)),
        reverted_at: Some(at(index, 26.0)),
        error: None,
    }
}

/// gateway -> orders -> payment, with as many calls to payment as asked; payment itself is quick.
fn spans(request: &Request, calls: u32, failed: bool) -> Vec<SpanRecord> {
    let latency = request.latency();
    let mut spans = Vec::new();
    let mut add = |id: &str, parent: &str, service: &str, name: &str, kind: SpanKind, from: f64, to: f64, error: bool| {
        spans.push(SpanRecord {
            trace_id: request.trace_id,
            span_id: SpanId::from_hex(id).expect("an id"),
            parent_id: SpanId::from_hex(parent),
            service: service.into(),
            name: name.into(),
            kind,
            start: request.due + Duration::from_secs_f64(from * latency),
            end: request.due + Duration::from_secs_f64(to * latency),
            error,
            attributes: Attributes::default(),
        });
    };
    add("00000000000000a1", "00000000000000ff", "gateway", "POST /checkout", SpanKind::Server, 0.01, 0.99, failed);
    add("00000000000000a2", "00000000000000a1", "gateway", "POST /orders", SpanKind::Client, 0.03, 0.97, failed);
    add("00000000000000a3", "00000000000000a2", "orders", "POST /orders", SpanKind::Server, 0.04, 0.96, failed);
    for call in 0..calls {
        let (from, length) = (0.1 + 0.85 * f64::from(call) / f64::from(calls), 0.8 / f64::from(calls));
        let (client, server) = (format!("00000000000000b{call}"), format!("00000000000000c{call}"));
        add(&client, "00000000000000a3", "orders", "POST /payment", SpanKind::Client, from, from + length, failed);
        add(&server, &client, "payment", "POST /payment", SpanKind::Server, from + length * 0.4, from + length * 0.5, false);
    }
    spans
}

fn run_meta(plays: &[(Play, Story)]) -> RunMeta {
    let rounds = plays.iter().map(|(play, _)| play.round).max().unwrap_or(1);
    let phases = |index: usize| {
        PHASES.iter().map(|(name, start, end)| PhaseRun { name: *name, start: at(index, *start), end: at(index, *end) }).collect()
    };
    RunMeta {
        schema: RUN_SCHEMA.to_owned(),
        tool_version: "0.1.0".to_owned(),
        run: "20251121-104000-4f2c9d1".to_owned(),
        imported: None,
        commit: CommitInfo {
            candidate: Some("4f2c9d1e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d".to_owned()),
            candidate_subject: Some("orders: retry payment harder".to_owned()),
            dirty: false,
            baseline: Some("a1b2c3d4e5f60718293a4b5c6d7e8f9012345678".to_owned()),
            baseline_subject: Some("gateway: tidy".to_owned()),
            baseline_source: "merge-base with origin/main".to_owned(),
        },
        changes: Some(Changes {
            files: 3,
            services: IndexMap::from([
                ("gateway".to_owned(), ServiceChanges::default()),
                (
                    "orders".to_owned(),
                    ServiceChanges { files: 2, named: vec!["services/orders/client.rs".to_owned(), "services/orders/retry.rs".to_owned()] },
                ),
            ]),
        }),
        machine: Machine {
            cpu: "AMD EPYC 7763".to_owned(),
            cores: 2,
            memory_mib: 7_900,
            kernel: "6.1.0".to_owned(),
            arch: "x86_64".to_owned(),
            engine: "docker 20.10.24".to_owned(),
        },
        runtime: RuntimeKind::Docker,
        seed: 42,
        started: at(0, -8.0),
        ended: Some(at(plays.len(), 2.0)),
        slot_seconds: Some(SLOT.as_secs_f64()),
        shard: 1,
        shards: 1,
        rounds: Rounds { planned: rounds, most: rounds, done: rounds },
        scenarios: plays
            .iter()
            .enumerate()
            .map(|(index, (play, story))| ScenarioRun {
                name: story.name.to_owned(),
                play: *play,
                phases: phases(index),
                stopped: None,
                steady_broken: None,
            })
            .collect(),
        margins: Vec::new(),
        clean: true,
        left: Vec::new(),
        aborted: None,
    }
}

pub(crate) fn load_expectation(success: &str, p99: &str, line: u32) -> Expectation {
    let check = Check::Load {
        load: "checkout".to_owned(),
        success: Some(success.parse().expect("a quantity")),
        latency: vec![(Quantile::P99, p99.parse().expect("a quantity"))],
    };
    Expectation { check, source: source(line) }
}

fn experiment(stories: &[Story], rate: f64) -> Experiment {
    let phases = PhaseLengths { warmup: span("2s"), steady: span("10s"), recovery: span("10s") };
    let load = Load {
        name: "checkout".to_owned(),
        service: "gateway".to_owned(),
        port: 8080,
        method: "POST".to_owned(),
        path: "/checkout".to_owned(),
        headers: IndexMap::new(),
        body: None,
        rate: Rate(rate),
        arrivals: Arrivals::Constant,
        timeout: span("2s"),
        success_status: Vec::new(),
        source: source(1),
    };
    let edge = Edge { from: "orders".to_owned(), to: "payment".to_owned() };
    let scenarios = stories.iter().map(|story| Scenario {
        name: story.name.to_owned(),
        why: story.why.map(str::to_owned),
        when: When::Always,
        faults: vec![story.fault.clone()],
        random: None,
        episodes: 1,
        expect_fault: vec![
            load_expectation(">= 99%", "<= 900ms", 7),
            Expectation {
                check: Check::Retries { edge: edge.clone(), amplification: "<= 2x".parse().expect("a quantity") },
                source: source(8),
            },
        ],
        recover_within: Some((span("5s"), source(9))),
        forbid_logs: vec![("panicked at".to_owned(), source(10))],
        stop_when: Vec::new(),
        phases,
        source: source(1),
    });
    Experiment {
        config: "shakedown.yaml".into(),
        root: "/srv/shop".into(),
        services: Services::default(),
        telemetry: Telemetry { otlp: true, metrics: IndexMap::new(), alerts: Vec::new() },
        loads: IndexMap::from([("checkout".to_owned(), load)]),
        steady_state: vec![load_expectation(">= 99.5%", "<= 250ms", 3)],
        baseline: BaselineSpec { commit: BaselineCommit::MergeBase, mode: BaselineMode::Paired, rounds: 1, slot: None },
        gate: Gate {
            tolerance: Percent(0.05),
            harmful: Percent(0.3),
            confidence: Percent(0.99),
            inconclusive: GateMode::Block,
            mode: GateMode::Block,
        },
        waivers: Vec::new(),
        history: None,
        phases,
        scenarios: scenarios.collect(),
    }
}
