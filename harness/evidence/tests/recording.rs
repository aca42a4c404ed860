//! What was recorded is read back: whole, after a crash, after damage, and counted where it was lost.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use common::{Recording, Run, experiment, run_meta, span, traces};
use indexmap::IndexMap;
use opentelemetry_proto::tonic::{common::v1::any_value::Value, trace::v1::Status};
use proptest::prelude::*;
use serde_json::json;
use shakedown_evidence::{Limits, ReadError, Recorder, RunDirectory, read};
use shakedown_model::{
    config,
    event::{Event, GeneratorReport, Phase, TimedEvent},
    evidence::Request,
    fault::{Dose, FaultRecord},
    ids::TraceId,
    run::Play,
    stack::Variant,
    time::UnixNanos,
};
use std::{fs, path::Path, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

fn request(due: u64) -> Request {
    Request {
        load: "checkout".to_owned(),
        scenario: "slow-payment".to_owned(),
        phase: Phase::Fault,
        block: 3,
        due: UnixNanos(due),
        sent: (!due.is_multiple_of(3)).then_some(UnixNanos(due + 1)),
        done: UnixNanos(due + 20),
        status: 200,
        error: due.is_multiple_of(2).then(|| "reset: \"by peer\"\n".to_owned()),
        ok: true,
        bytes: 512,
        trace_id: TraceId::of(&u128::from(due + 1).to_be_bytes()).unwrap(),
    }
}

fn fault(index: usize, reverted_at: Option<u64>) -> FaultRecord {
    FaultRecord {
        scenario: "slow-payment".to_owned(),
        play: Play::default(),
        index,
        kind: "latency".to_owned(),
        target: "orders -> payment".to_owned(),
        mechanism: "packets".to_owned(),
        asked: IndexMap::from([("delay_ms".to_owned(), 200.0)]),
        dose: Dose { touched: reverted_at.unwrap_or(0), figures: IndexMap::new() },
        applied_at: Some(UnixNanos(10)),
        reverted_at: reverted_at.map(UnixNanos),
        error: None,
    }
}

fn append(run: &Run, events: Vec<Event>) {
    let mut log = run.directory.events().unwrap();
    for event in events {
        log.append(&TimedEvent { at: UnixNanos(5), event }).unwrap();
    }
}

fn evidence_file(run: &Run, name: &str) -> std::path::PathBuf {
    run.path().join("evidence").join(name)
}

#[tokio::test]
async fn a_whole_run_is_read_back_as_it_was_written() {
    let run = Run::new();
    append(
        &run,
        vec![
            Event::RunStarted { run: "r1".to_owned(), runtime: "process".to_owned() },
            Event::FaultApplied { variant: Variant::Candidate, fault: fault(0, None) },
            Event::FaultApplied { variant: Variant::Baseline, fault: fault(0, None) },
            Event::FaultApplied { variant: Variant::Candidate, fault: fault(1, None) },
            Event::FaultReverted { variant: Variant::Candidate, fault: fault(0, Some(90)) },
            Event::Generator {
                scenario: "slow-payment".to_owned(),
                play: Play::default(),
                report: GeneratorReport { due: 7, sent: 7, ..Default::default() },
            },
        ],
    );
    let (candidate, baseline) = (Recording::of(&run), Recording::with(&run, Variant::Baseline, Limits::default()));
    for due in [30, 10, 20] {
        candidate.recorder.request(request(due));
    }
    candidate.recorder.traces(traces("orders", vec![span(1)])).unwrap();
    baseline.recorder.request(request(40));
    for recorder in [&candidate.recorder, &baseline.recorder] {
        let record = json!({"timeUnixNano": "12", "severityNumber": 17, "body": {"stringValue": "gave up"}});
        let logs = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]});
        recorder.logs(serde_json::from_value(logs).unwrap()).unwrap();
        recorder.sample(UnixNanos(13), "orders", "queue", &[], 3.0).unwrap();
    }
    candidate.recorder.lost("spans dropped", 4);
    candidate.end().await;
    baseline.end().await;

    let evidence = run.read();
    assert_eq!(serde_json::to_value(&evidence.run).unwrap(), serde_json::to_value(run_meta("r1")).unwrap());
    assert_eq!(config::to_yaml(&evidence.experiment), config::to_yaml(&experiment()));
    assert_eq!((evidence.events.len(), evidence.generator["slow-payment"].due), (6, 7));
    assert_eq!(evidence.candidate.requests, [request(10), request(20), request(30)]);
    assert_eq!(evidence.candidate.faults, [fault(0, Some(90)), fault(1, None)]);
    assert_eq!(evidence.candidate.losses, IndexMap::from([("spans dropped".to_owned(), 4)]));
    let paired = evidence.baseline.unwrap();
    assert!(paired.paired && paired.run.is_none());
    assert_eq!((paired.evidence.requests, paired.evidence.faults), (vec![request(40)], vec![fault(0, None)]));
    assert_eq!((&paired.evidence.logs, &paired.evidence.metrics), (&evidence.candidate.logs, &evidence.candidate.metrics));
    assert_eq!((paired.evidence.logs[0].body.as_str(), paired.evidence.metrics[0].value), ("gave up", 3.0));
}

#[tokio::test]
async fn a_recorded_baseline_brings_its_own_run_and_comes_before_the_one_beside() {
    let (run, earlier) = (Run::new(), Run::new());
    earlier.directory.write_run(&run_meta("earlier")).unwrap();
    append(&earlier, vec![Event::FaultReverted { variant: Variant::Candidate, fault: fault(0, Some(1)) }]);
    let recording = Recording::of(&earlier);
    recording.recorder.request(request(1));
    recording.end().await;
    Recording::of(&run).end().await;
    Recording::with(&run, Variant::Baseline, Limits::default()).end().await;

    let baseline = read(run.path(), Some(earlier.path())).unwrap().baseline.unwrap();
    assert_eq!((baseline.paired, &baseline.run.unwrap().run[..]), (false, "earlier"));
    assert_eq!((baseline.evidence.requests.len(), baseline.evidence.faults.len()), (1, 1));
}

#[tokio::test]
async fn a_second_recorder_goes_on_counting_what_the_first_one_lost() {
    let run = Run::new();
    for (lost, also) in [(3, "log lines cut"), (2, "spans cut")] {
        let recording = Recording::of(&run);
        recording.recorder.lost("spans dropped", lost);
        recording.recorder.lost(also, 1);
        let (own, _) = recording.end().await;
        assert_eq!(own["spans dropped"], lost, "each tells its own");
    }
    let losses = run.read().candidate.losses;
    assert_eq!((losses["spans dropped"], losses["log lines cut"], losses["spans cut"]), (5, 1, 1));
}

#[tokio::test]
async fn every_cut_through_a_file_reads_back_as_a_beginning_of_it_and_the_tear_is_counted() {
    let run = Run::new();
    // Two frames: the second recorder goes on behind the first.
    for first in [0, 40] {
        let recording = Recording::of(&run);
        (first..first + 40).for_each(|due| recording.recorder.request(request(due)));
        recording.end().await;
    }
    let path = evidence_file(&run, "requests.jsonl.zst");
    let whole = fs::read(&path).unwrap();
    let all: Vec<_> = (0..80).map(request).collect();
    assert_eq!(run.read().candidate.requests, all);
    let mut seen = Vec::new();
    for length in (0..whole.len()).rev() {
        fs::write(&path, &whole[..length]).unwrap();
        let candidate = run.read().candidate;
        assert!(all.starts_with(&candidate.requests), "cut at {length}");
        let torn = candidate.losses.get("torn ends of requests.jsonl.zst").copied().unwrap_or(0);
        seen.push((candidate.requests.len(), torn));
    }
    assert!(seen.iter().any(|(count, torn)| *count == 40 && *torn == 1), "the first frame outlives the second");
    let whole_ends = seen.iter().filter(|(_, torn)| *torn == 0).collect::<Vec<_>>();
    assert_eq!(whole_ends, [&(40, 0), &(0, 0)], "only a cut between two frames looks whole");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_has_on_disk_what_is_older_than_a_second() {
    let run = Run::new();
    let (recorder, driver) = Recorder::open(run.path()).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(driver.run(CancellationToken::new()));
    recorder.request(request(1));
    recorder.lost("spans dropped", 2);
    // The clock is paused: it moves on by itself as soon as nobody has anything to do.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let candidate = run.read().candidate;
    assert_eq!((candidate.requests, candidate.losses["spans dropped"]), (vec![request(1)], 2));
    tasks.shutdown().await;
}

#[tokio::test]
async fn what_comes_after_the_end_of_a_recording_is_counted() {
    let run = Run::new();
    let recording = Recording::of(&run);
    let recorder = recording.recorder.clone();
    recording.end().await;
    recorder.request(request(1));
    assert!(recorder.traces(traces("shop", vec![span(1)])).is_err());
    assert_eq!(recorder.losses().values().sum::<u64>(), 2, "{:?}", recorder.losses());
}

#[tokio::test]
async fn requests_of_the_generator_get_in_while_telemetry_is_turned_away() {
    let run = Run::new();
    let recording = Recording::with(&run, Variant::Candidate, Limits { queued: 0, ..Limits::default() });
    assert!(recording.recorder.traces(traces("shop", vec![span(1)])).is_err());
    (0..10_000).for_each(|due| recording.recorder.request(request(due)));
    recording.end().await;
    assert_eq!(run.read().candidate.requests.len(), 10_000);
}

#[tokio::test]
async fn a_driver_ends_when_nobody_is_left_to_record() {
    let run = Run::new();
    let (recorder, driver) = Recorder::open(run.path()).unwrap();
    recorder.request(request(1));
    drop(recorder);
    driver.run(CancellationToken::new()).await.unwrap();
    assert_eq!(run.read().candidate.requests, [request(1)]);
}

#[tokio::test]
async fn a_disk_that_says_no_ends_the_driver_with_the_name_of_the_file() {
    let run = Run::new();
    fs::create_dir_all(run.path().join("evidence")).unwrap();
    std::os::unix::fs::symlink("/dev/full", evidence_file(&run, "requests.jsonl.zst")).unwrap();
    let (recorder, driver) = Recorder::open(run.path()).unwrap();
    recorder.request(request(1));
    drop(recorder);
    let error = driver.run(CancellationToken::new()).await.unwrap_err().to_string();
    assert!(error.contains("requests.jsonl.zst") && error.contains("free some space"), "{error}");
}

fn message(path: &Path) -> String {
    read(path, None).unwrap_err().to_string()
}

#[tokio::test]
async fn damage_in_the_middle_is_an_error_that_names_file_and_line() {
    let run = Run::new();
    Recording::of(&run).end().await;
    let good = serde_json::to_string(&request(1)).unwrap();
    let lines = format!("{good}\n{{\"load\": 7}}\n{good}\n");
    fs::write(evidence_file(&run, "requests.jsonl.zst"), zstd::encode_all(lines.as_bytes(), 1).unwrap()).unwrap();
    assert!(message(run.path()).contains("evidence/requests.jsonl.zst, line 2"), "{}", message(run.path()));

    fs::write(evidence_file(&run, "requests.jsonl.zst"), b"this is not zstd").unwrap();
    assert!(matches!(read(run.path(), None), Err(ReadError::Damaged { line: 0, .. })));

    let run = Run::new();
    fs::write(run.path().join("events.jsonl"), "{}\n{}\n").unwrap();
    assert!(message(run.path()).contains("events.jsonl, line 1"), "{}", message(run.path()));
}

#[tokio::test]
async fn a_torn_event_is_counted_and_a_missing_file_of_evidence_too() {
    let run = Run::new();
    append(&run, vec![Event::Warning { message: "whole".to_owned() }]);
    let path = run.path().join("events.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{}", &text[..20])).unwrap();
    let evidence = run.read();
    assert_eq!((evidence.events.len(), evidence.candidate.losses["torn ends of events.jsonl"]), (1, 1));
    for name in ["requests", "traces", "logs", "metrics"] {
        assert_eq!(evidence.candidate.losses[&format!("missing file evidence/{name}.jsonl.zst")], 1);
    }
}

#[test]
fn what_is_no_run_of_this_version_is_refused_with_the_way_out() {
    let empty = tempfile::tempdir().unwrap();
    assert!(message(empty.path()).contains("no run directory"));
    assert!(message(Path::new("/does/not/exist")).contains("no run directory"));

    let run = Run::new();
    let mut meta = run_meta("r1");
    meta.schema = "shakedown.run/99".to_owned();
    run.directory.write_run(&meta).unwrap();
    assert!(message(run.path()).contains("shakedown.run/99") && message(run.path()).contains("the version that wrote it"));

    let run = Run::new();
    run.directory.write_experiment("services: [").unwrap();
    assert!(message(run.path()).contains("experiment.yaml"), "{}", message(run.path()));

    let run = Run::new();
    fs::write(run.path().join("run.json"), "{\n\"schema\": 7}").unwrap();
    assert!(message(run.path()).contains("run.json, line 2"), "{}", message(run.path()));
    assert!(RunDirectory::open(run.path()).is_ok());
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), Just("\u{0}\u{1f}\"\\\u{2028}".to_owned())]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any_text().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        any::<f64>().prop_map(Value::DoubleValue),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::BytesValue),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_span_is_recorded_is_read_back_equal(
        service in any_text(),
        spans in proptest::collection::vec(
            (any::<[u8; 16]>(), any::<[u8; 8]>(), any_text(), -1..9i32, 1..u64::MAX, proptest::collection::vec((any_text(), any_value()), 0..6), 0..3i32),
            1..8,
        ),
    ) {
        let run = Run::new();
        let spans: Vec<_> = spans.into_iter().enumerate().map(|(index, (trace, id, name, kind, start, attributes, code))| {
            let attributes = attributes.into_iter().map(|(key, value)| common::attribute(&key, value)).collect();
            let (trace_id, span_id) = ([&trace[..15], &[1]].concat(), [&id[..7], &[1]].concat());
            let status = Some(Status { code, ..Status::default() });
            opentelemetry_proto::tonic::trace::v1::Span {
                trace_id, span_id, name, kind, start_time_unix_nano: start, end_time_unix_nano: start, attributes, status, ..span(index as u64)
            }
        }).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let recording = Recording::of(&run);
            recording.recorder.traces(traces(&service, spans.clone())).unwrap();
            recording.end().await;
        });
        let seen = run.read().candidate.spans;
        prop_assert_eq!(seen.len(), spans.len());
        for (seen, span) in seen.iter().zip(&spans) {
            prop_assert_eq!(&*seen.name, &span.name);
            prop_assert_eq!(&*seen.service, if service.is_empty() { "unknown_service" } else { &service });
            prop_assert_eq!(seen.start.0, span.start_time_unix_nano);
            prop_assert_eq!(seen.trace_id.bytes().to_vec(), span.trace_id.clone());
            prop_assert_eq!(seen.error, span.status.as_ref().unwrap().code == 2);
            for pair in &span.attributes {
                // A key that is there twice keeps its last value.
                let last = span.attributes.iter().rfind(|other| other.key == pair.key).unwrap();
                let found = seen.attributes.get(&pair.key).unwrap();
                match last.value.as_ref().unwrap().value.as_ref().unwrap() {
                    Value::StringValue(text) => prop_assert_eq!(found, text),
                    Value::BoolValue(value) => prop_assert_eq!(found, &value.to_string()),
                    Value::IntValue(number) => prop_assert_eq!(found, &number.to_string()),
                    Value::DoubleValue(number) => prop_assert_eq!(found.parse::<f64>().unwrap().to_bits(), number.to_bits()),
                    other => prop_assert!(matches!(other, Value::BytesValue(_))),
                }
            }
        }
    }

    #[test]
    fn whatever_request_is_recorded_is_read_back_equal(dues in proptest::collection::vec(any::<u32>(), 0..50)) {
        let run = Run::new();
        let mut requests: Vec<_> = dues.into_iter().map(|due| request(u64::from(due))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let recording = Recording::of(&run);
            for request in &requests {
                recording.recorder.request(request.clone());
            }
            recording.end().await;
        });
        requests.sort_by_key(|request| request.due);
        prop_assert_eq!(run.read().candidate.requests, requests);
    }
}
