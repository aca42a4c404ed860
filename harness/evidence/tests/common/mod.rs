//! What the tests of this room share: a run directory, a recorder that runs, spans, and a plain HTTP client.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod serving;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use indexmap::IndexMap;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status},
};
use shakedown_evidence::{Limits, Losses, OtlpReceiver, RecordError, Recorder, RunDirectory, Source, SourceError};
use shakedown_model::{
    config,
    evidence::Evidence,
    experiment::{BaselineCommit, BaselineMode, BaselineSpec, Experiment, Gate, PhaseLengths, Services, Telemetry},
    plan::RuntimeKind,
    run::{CommitInfo, Machine, RUN_SCHEMA, Rounds, RunMeta},
    stack::Variant,
    time::UnixNanos,
    units::{Percent, Span as Length},
    verdict::GateMode,
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// A run directory with everything in it but evidence.
pub(crate) struct Run {
    pub(crate) parent: tempfile::TempDir,
    pub(crate) directory: RunDirectory,
}

impl Run {
    pub(crate) fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(parent.path(), "r1").unwrap();
        directory.write_run(&run_meta("r1")).unwrap();
        directory.write_experiment(&config::to_yaml(&experiment())).unwrap();
        drop(directory.events().unwrap());
        Self { parent, directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn read(&self) -> Evidence {
        shakedown_evidence::read(self.path(), None).unwrap()
    }
}

pub(crate) fn run_meta(run: &str) -> RunMeta {
    RunMeta {
        schema: RUN_SCHEMA.to_owned(),
        tool_version: "0.1.0".to_owned(),
        run: run.to_owned(),
        imported: None,
        commit: CommitInfo { candidate: Some("c0ffee".to_owned()), ..CommitInfo::default() },
        changes: None,
        machine: Machine::default(),
        runtime: RuntimeKind::Process,
        seed: u64::MAX,
        started: UnixNanos(1),
        ended: None,
        slot_seconds: None,
        shard: 1,
        shards: 1,
        rounds: Rounds::default(),
        scenarios: Vec::new(),
        margins: Vec::new(),
        clean: true,
        left: Vec::new(),
        aborted: None,
    }
}

pub(crate) fn experiment() -> Experiment {
    let second = Length(Duration::from_secs(1));
    Experiment {
        config: "shakedown.yaml".into(),
        root: "/repository".into(),
        services: Services::default(),
        telemetry: Telemetry { otlp: true, metrics: IndexMap::new(), alerts: Vec::new() },
        loads: IndexMap::new(),
        steady_state: Vec::new(),
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
        phases: PhaseLengths { warmup: second, steady: second, recovery: second },
        scenarios: Vec::new(),
    }
}

/// A recorder whose driver runs, with sources that run.
pub(crate) struct Recording {
    pub(crate) recorder: Recorder,
    stop_driver: CancellationToken,
    driver: JoinSet<Result<Losses, RecordError>>,
    stop_sources: CancellationToken,
    sources: JoinSet<Result<(), SourceError>>,
}

impl Recording {
    pub(crate) fn of(run: &Run) -> Self {
        Self::with(run, Variant::Candidate, Limits::default())
    }

    pub(crate) fn with(run: &Run, variant: Variant, limits: Limits) -> Self {
        let (recorder, recorder_driver) = Recorder::open_with(&run.directory.variant(variant), limits).unwrap();
        let (stop_driver, stop_sources) = (CancellationToken::new(), CancellationToken::new());
        let mut driver = JoinSet::new();
        driver.spawn(recorder_driver.run(stop_driver.clone()));
        Self { recorder, stop_driver, driver, stop_sources, sources: JoinSet::new() }
    }

    pub(crate) fn source(&mut self, source: Box<dyn Source>) {
        self.sources.spawn(source.run(self.recorder.clone(), self.stop_sources.clone()));
    }

    pub(crate) async fn receiver(&mut self) -> (SocketAddr, SocketAddr) {
        let receiver = OtlpReceiver::bind(IpAddr::V4(Ipv4Addr::LOCALHOST)).await.unwrap();
        let addresses = (receiver.http(), receiver.grpc());
        self.source(Box::new(receiver));
        addresses
    }

    /// As the conductor does it: first whoever listens, then whoever writes.
    pub(crate) async fn end(mut self) -> (Losses, Vec<Result<(), SourceError>>) {
        self.stop_sources.cancel();
        self.finish().await
    }

    /// Lets the sources end by themselves.
    pub(crate) async fn finish(&mut self) -> (Losses, Vec<Result<(), SourceError>>) {
        let mut ended = Vec::new();
        while let Some(source) = self.sources.join_next().await {
            ended.push(source.unwrap());
        }
        self.stop_driver.cancel();
        (self.driver.join_next().await.unwrap().unwrap().unwrap(), ended)
    }
}

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(crate) fn span(number: u64) -> Span {
    Span {
        trace_id: u128::from(number + 1).to_be_bytes().to_vec(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("GET /orders/{number}"),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000 + number,
        end_time_unix_nano: 1_700_000_000_100_000_000 + number,
        attributes: vec![attribute("http.response.status_code", Value::IntValue(200))],
        status: Some(Status::default()),
        ..Span::default()
    }
}

pub(crate) fn traces(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let attributes = vec![attribute("service.name", Value::StringValue(service.to_owned()))];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }] }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One request on a connection of its own.
pub(crate) async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

pub(crate) async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut request = Request::post(path).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(address, request.body(Full::new(body.into())).unwrap()).await
}
