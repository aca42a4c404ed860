//! How much of a core the receiver takes: `cargo run --release -p shakedown-evidence --example ingest`.
//!
//! Sends batches of 512 spans over gRPC, as fast as they are taken, and prints the processor time per span of client and receiver
//! together, and of the client's encoding alone, which has to be taken off.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people")]

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message as _;
use shakedown_evidence::{OtlpReceiver, Recorder};
use std::{fs, net::IpAddr};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const BATCH: u64 = 512;
const BATCHES: u64 = 400;

fn batch(number: u64) -> ExportTraceServiceRequest {
    let attribute = |index: u64| KeyValue {
        key: format!("http.attribute.{index}"),
        value: Some(AnyValue { value: Some(Value::StringValue(format!("value-{}", number * index))) }),
        ..KeyValue::default()
    };
    let span = |index: u64| Span {
        trace_id: u128::from((number << 20) + index + 1).to_be_bytes().to_vec(),
        span_id: (index + 1).to_be_bytes().to_vec(),
        name: "GET /orders/{id}".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000 + index,
        end_time_unix_nano: 1_700_000_000_100_000_000 + index,
        attributes: (0..10).map(attribute).collect(),
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (0..BATCH).map(span).collect(), ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes: vec![attribute(0)], ..Resource::default() });
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }] }
}

/// Processor time of this process in seconds.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

#[tokio::main]
async fn main() {
    let directory = std::env::temp_dir().join(format!("ingest-{}", std::process::id()));
    let batches: Vec<_> = (0..BATCHES).map(batch).collect();
    let spans = (BATCH * BATCHES) as f64;
    let before = processor();
    let bytes: usize = batches.iter().map(|batch| batch.encode_to_vec().len()).sum();
    let encoding = (processor() - before) / spans * 1e6;

    let (recorder, driver) = Recorder::open(&directory).unwrap();
    let receiver = OtlpReceiver::bind(IpAddr::from([127, 0, 0, 1])).await.unwrap();
    let address = format!("http://{}", receiver.grpc());
    let (stop_receiver, stop_driver) = (CancellationToken::new(), CancellationToken::new());
    let (mut receiving, mut driving) = (JoinSet::new(), JoinSet::new());
    receiving.spawn(receiver.run(recorder.clone(), stop_receiver.clone()));
    driving.spawn(driver.run(stop_driver.clone()));
    let mut client = TraceServiceClient::connect(address).await.unwrap();
    let before = processor();
    let mut again = 0;
    for batch in batches {
        while client.export(batch.clone()).await.is_err() {
            again += 1;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    stop_receiver.cancel();
    while receiving.join_next().await.is_some() {}
    stop_driver.cancel();
    let losses = driving.join_next().await.unwrap().unwrap().unwrap();
    let total = (processor() - before) / spans * 1e6;
    let peak = fs::read_to_string("/proc/self/status").unwrap().lines().find(|line| line.starts_with("VmHWM")).unwrap().to_owned();
    println!("{:.0} bytes a span on the wire; encoding {encoding:.2} µs a span", bytes as f64 / spans);
    println!(
        "client and receiver {total:.2} µs a span: receiver about {:.1} % of a core at 10,000 spans/s",
        (total - encoding) * 1e4 / 1e6 * 100.0
    );
    println!("sent again {again} times; losses {losses:?}; {peak}");
    fs::remove_dir_all(directory).unwrap();
}
