//! Telemetry that others recorded, in every format, whole and broken.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;
mod recorded;

use common::serving::Serving;
use recorded::{Story, fault, gzip, jaeger, loki, otlp, prometheus, tempo, zipkin};
use serde_json::{Value, json};
use shakedown_evidence::import::{Asked, Format, ImportError, Origin, Taken, import};
use shakedown_model::{
    event::Phase,
    evidence::{Evidence, SpanKind},
    time::Window,
};
use std::{fs, path::Path};

/// A folder with files to import, and with what comes of it.
struct Case {
    folder: tempfile::TempDir,
    asked: Asked,
}

impl Case {
    fn new(format: Format, files: &[(&str, Vec<u8>)]) -> Case {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join("in").join(name), bytes).unwrap();
        }
        let asked = Asked {
            format,
            sources: vec![Origin::Path(folder.path().join("in"))],
            logs: Vec::new(),
            metrics: Vec::new(),
            baseline: Vec::new(),
            fault: Some(fault()),
            baseline_fault: None,
            fault_on: Some("payment".to_owned()),
            fault_kind: Some("latency".to_owned()),
            tool_version: "0.1.0".to_owned(),
        };
        Case { folder, asked }
    }

    async fn import(&self) -> Result<(Taken, Evidence), ImportError> {
        let (directory, taken, _) = import(self.folder.path(), "run", &self.asked).await?;
        Ok((taken, shakedown_evidence::read(directory.path(), None).unwrap()))
    }

    fn is_gone(&self) -> bool {
        !self.folder.path().join("run").exists()
    }
}

async fn imported(format: Format, files: &[(&str, Vec<u8>)]) -> (Taken, Evidence) {
    Case::new(format, files).import().await.unwrap()
}

/// Whatever the format was, the same traces are the same evidence.
fn check(taken: &Taken, evidence: &Evidence) {
    let story = Story::default();
    assert_eq!(taken.counts.requests, story.requests, "{taken:?}");
    assert_eq!(taken.counts.spans, story.requests * 4, "{taken:?}");
    assert_eq!(taken.services, 3);
    let phases: Vec<Phase> = evidence.run.scenarios[0].phases.iter().map(|phase| phase.name).collect();
    assert_eq!(phases, [Phase::Steady, Phase::Fault, Phase::Recovery]);
    let requests = &evidence.candidate.requests;
    assert!(requests.iter().all(|request| request.load == "gateway POST /checkout/{id}" && request.sent == Some(request.due)));
    let slow = |request: &&shakedown_model::evidence::Request| request.phase == Phase::Fault;
    assert!(requests.iter().filter(slow).all(|request| request.latency() > 0.1));
    assert!(requests.iter().filter(|request| !slow(request)).all(|request| request.latency() < 0.1));
    assert_eq!(requests.iter().filter(|request| !request.ok).count() as u64, story.failed);
    // Every call is a tree of its own: gateway, its call, orders, and payment below that.
    let spans = &evidence.candidate.spans;
    for span in spans {
        let parent = span
            .parent_id
            .map(|parent| spans.iter().find(|above| above.trace_id == span.trace_id && above.span_id == parent).map(|above| &*above.name));
        let expected = match (&*span.service, span.kind) {
            ("gateway", SpanKind::Server) => None,
            ("gateway", SpanKind::Client) => Some(Some("POST /checkout/4711")),
            ("orders", SpanKind::Server) => Some(Some("POST /orders")),
            ("payment", SpanKind::Server) => Some(Some("reserve")),
            other => panic!("{other:?}"),
        };
        assert_eq!(parent, expected, "{span:?}");
    }
    let loads: Vec<&str> = evidence.experiment.loads.keys().map(String::as_str).collect();
    assert_eq!(loads, ["gateway POST /checkout/{id}"]);
    let [fault] = &evidence.candidate.faults[..] else { panic!("{:?}", evidence.candidate.faults) };
    assert_eq!((fault.kind.as_str(), fault.target.as_str(), fault.dose.touched), ("latency", "payment", 0));
    assert_eq!((fault.applied_at, fault.reverted_at), (Some(recorded::fault().start), Some(recorded::fault().end)));
}

#[tokio::test]
async fn otlp_is_read_by_line_as_a_whole_packed_and_as_protobuf() {
    let story = Story::default();
    let lines: Vec<u8> = story.otlp_lines().into_bytes();
    let whole = serde_json::to_vec_pretty(&otlp(&story)).unwrap();
    let framed: Vec<u8> =
        story.protobuf().iter().flat_map(|message| [&(message.len() as u32).to_be_bytes()[..], message].concat()).collect();
    for (name, bytes) in [
        ("traces.jsonl", lines.clone()),
        ("traces.json", whole),
        ("traces.jsonl.gz", gzip(&lines)),
        ("traces.jsonl.zst", zstd::encode_all(&lines[..], 1).unwrap()),
        ("traces.binpb", framed),
        ("request.pb", story.protobuf_in_one()),
    ] {
        let (taken, evidence) = imported(Format::Otlp, &[(name, bytes)]).await;
        check(&taken, &evidence);
        assert!(taken.losses.is_empty() && taken.notes.is_empty(), "{name}: {taken:?}");
    }
}

#[tokio::test]
async fn the_answers_of_query_apis_are_read_from_files() {
    let story = Story::default();
    let v3 = json!({"result": otlp(&story)});
    for (format, answer) in [
        (Format::Jaeger, jaeger(&story)),
        (Format::Jaeger, v3),
        (Format::Jaeger, jaeger(&story)["data"].clone()),
        (Format::Otlp, tempo(&story)),
        (Format::Otlp, json!({"trace": otlp(&story)})),
    ] {
        let (taken, evidence) = imported(format, &[("answer.json", answer.to_string().into_bytes())]).await;
        check(&taken, &evidence);
        assert!(taken.losses.is_empty(), "{taken:?}");
    }
}

#[tokio::test]
async fn a_span_that_client_and_server_share_becomes_two() {
    let (taken, evidence) = imported(Format::Zipkin, &[("spans.json", zipkin(&Story::default()).to_string().into_bytes())]).await;
    check(&taken, &evidence);
    assert_eq!(taken.losses.keys().collect::<Vec<_>>(), ["shared spans of client and server (split)"]);
}

#[tokio::test]
async fn a_jaeger_a_zipkin_and_a_tempo_are_asked_by_their_bare_address() {
    let story = Story::default();
    let named: Vec<Value> = story.traces().iter().map(|trace| json!({"traceID": trace.id.trim_start_matches('0')})).collect();
    let mut answers = vec![
        ("/api/services".to_owned(), json!({"data": ["gateway", "or ders"]})),
        ("/api/traces?service=gateway".to_owned(), jaeger(&story)),
        ("/api/traces?service=or%20ders".to_owned(), json!({"data": []})),
        ("/api/v2/traces?".to_owned(), zipkin(&story)),
        ("/api/search?".to_owned(), json!({ "traces": named })),
    ];
    for trace in story.traces() {
        answers.push((format!("/api/traces/{}", trace.id.trim_start_matches('0')), tempo(&story.only(&trace.id))));
    }
    let serving = Serving::json(answers).await;
    for format in [Format::Jaeger, Format::Zipkin, Format::Otlp] {
        let mut case = Case::new(format, &[]);
        case.asked.sources = vec![serving.origin("/")];
        let (taken, evidence) = case.import().await.unwrap();
        check(&taken, &evidence);
        assert!(taken.notes.is_empty(), "{taken:?}");
    }
}

#[tokio::test]
async fn logs_of_loki_and_metrics_of_prometheus_are_of_the_services_that_the_traces_name() {
    let story = Story::default();
    let mut case = Case::new(Format::Otlp, &[("traces.jsonl", story.otlp_lines().into_bytes())]);
    let serving = Serving::json(vec![("/loki/".to_owned(), loki(&story)), ("/api/v1/".to_owned(), prometheus())]).await;
    case.asked.logs = vec![serving.origin("/loki/api/v1/query_range?query=x")];
    case.asked.metrics = vec![serving.origin("/api/v1/query_range?query=x")];
    let (taken, evidence) = case.import().await.unwrap();
    assert_eq!((taken.counts.logs, taken.counts.points), (3, 5), "{taken:?}");
    let logs: Vec<_> = evidence.candidate.logs.iter().map(|log| (&*log.service, log.severity.as_deref(), log.trace_id.is_some())).collect();
    assert_eq!(logs, [("payment", Some("ERROR"), true), ("payment", Some("WARN"), true), ("orders", None, false)]);
    let metrics: Vec<_> = evidence.candidate.metrics.iter().map(|point| (&*point.service, &*point.name, point.value)).collect();
    assert_eq!(
        metrics,
        [
            ("payment", "cpu", 0.5),
            ("payment", "cpu", 0.75),
            ("orders", "took_count", 3.0),
            ("orders", "took_sum", 1.5),
            ("shelf", "up", 1.0)
        ]
    );
}

#[tokio::test]
async fn a_baseline_is_a_run_of_its_own_inside_the_run() {
    let (slow, calm) = (Story::default(), Story { slow: 1, ..Story::default() });
    let mut case = Case::new(Format::Otlp, &[("traces.jsonl", slow.otlp_lines().into_bytes())]);
    let baseline = case.folder.path().join("baseline.json");
    fs::write(&baseline, jaeger(&calm.later(86_400)).to_string()).unwrap();
    case.asked.baseline = vec![Origin::Path(baseline)];
    let (_, evidence) = case.import().await.unwrap();
    let theirs = evidence.baseline.unwrap();
    assert!(!theirs.paired);
    let phases: Vec<Phase> = theirs.run.unwrap().scenarios[0].phases.iter().map(|phase| phase.name).collect();
    assert_eq!(phases, [Phase::Fault], "of another day, so all of it is what the fault is compared with");
    assert_eq!(theirs.evidence.requests.len() as u64, calm.requests);
    assert!(theirs.evidence.requests.iter().all(|request| request.latency() < 0.1));
}

#[tokio::test]
async fn without_a_window_everything_is_the_fault_if_there_is_a_baseline_and_else_the_way_out_is_told() {
    let story = Story::default();
    let mut case = Case::new(Format::Otlp, &[("traces.jsonl", story.otlp_lines().into_bytes())]);
    case.asked.fault = None;
    let error = case.import().await.unwrap_err().to_string();
    assert!(error.contains("--fault-from") && error.contains("--baseline"), "{error}");
    assert!(case.is_gone());
    case.asked.baseline = case.asked.sources.clone();
    let (_, evidence) = case.import().await.unwrap();
    assert!(evidence.candidate.requests.iter().all(|request| request.phase == Phase::Fault));
}

#[tokio::test]
async fn a_window_outside_the_telemetry_says_both_times() {
    let mut case = Case::new(Format::Otlp, &[("traces.jsonl", Story::default().otlp_lines().into_bytes())]);
    let Window { start, end } = fault();
    case.asked.fault =
        Some(Window { start: start + std::time::Duration::from_secs(86_400), end: end + std::time::Duration::from_secs(86_400) });
    let error = case.import().await.unwrap_err().to_string();
    assert!(error.contains("outside the telemetry") && error.contains("2023-11-15T") && error.contains("2023-11-14T"), "{error}");
}

#[tokio::test]
async fn where_nothing_can_be_read_the_error_says_what_was_tried_and_nothing_is_left() {
    let page = b"<html>not found</html>".to_vec();
    let case = Case::new(
        Format::Jaeger,
        &[("page.html", page), ("torn.json.gz", gzip(b"{\"data\": [")[..20].to_vec()), ("empty.json", Vec::new())],
    );
    let error = case.import().await.unwrap_err().to_string();
    for part in ["page.html", "torn.json.gz", "empty.json", "neither JSON nor OTLP", "torn files"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    assert!(case.is_gone());
    let mut case = Case::new(Format::Jaeger, &[]);
    case.asked.sources = vec!["/nowhere/at/all".parse().unwrap()];
    assert!(case.import().await.unwrap_err().to_string().contains("/nowhere/at/all"));
}

#[tokio::test]
async fn an_answer_without_end_is_given_up_at_a_bound_and_told() {
    let serving = Serving::endless().await;
    let mut case = Case::new(Format::Jaeger, &[("traces.json", jaeger(&Story::default()).to_string().into_bytes())]);
    case.asked.sources.push(serving.origin("/api/traces?service=x"));
    let (taken, evidence) = case.import().await.unwrap();
    check(&taken, &evidence);
    assert_eq!(taken.losses.get("queries without an answer"), Some(&1), "{taken:?}");
    assert!(taken.notes[0].contains("more than 134217728 bytes"), "{taken:?}");
}

#[tokio::test]
async fn what_is_odd_about_traces_is_counted_and_told_where_the_run_is_judged() {
    let story = Story::default();
    let (taken, evidence) =
        imported(Format::Otlp, &[("good.jsonl", story.otlp_lines().into_bytes()), ("odd.jsonl", recorded::odd())]).await;
    let expected = [
        ("lines that are no JSON", 1),
        ("documents that cannot be read", 1),
        ("documents with field names in snake_case, which OTLP JSON does not have (read all the same)", 1),
        ("spans that cannot be read", 1),
        ("spans refused: a span needs a trace id of 16 bytes that are not all zero", 1),
        ("spans that ended before they began (taken as moments)", 1),
        ("texts, lists and values cut in spans", 1),
        ("spans with the id of another span of their trace", 1),
        ("spans whose parent is missing", 1),
        ("traces whose first span is missing", 1),
        ("traces that go in circles", 1),
        ("calls that lie outside their caller's span by the clocks", 1),
        ("spans without a service", 1),
        ("requests outside every phase of the run", 1),
    ];
    for (what, count) in expected {
        assert_eq!(taken.losses.get(what), Some(&count), "{what}: {:#?}", taken.losses);
        assert_eq!(evidence.candidate.losses.get(what), Some(&count), "{what} is not in losses.json");
    }
    assert_eq!(taken.losses.len(), expected.len(), "{:#?}", taken.losses);
    assert!(taken.notes.iter().any(|note| note.contains("odd.jsonl")), "{:?}", taken.notes);
}

#[tokio::test]
async fn a_pipe_is_no_source() {
    let case = Case::new(Format::Otlp, &[("traces.jsonl", Story::default().otlp_lines().into_bytes())]);
    let mut asked = case.asked.clone();
    asked.sources.push(Origin::Path(Path::new("/dev/zero").to_owned()));
    let (_, taken, _) = import(case.folder.path(), "run", &asked).await.unwrap();
    assert!(taken.notes.iter().any(|note| note.contains("/dev/zero: it is neither a file nor a directory")), "{taken:?}");
}
