//! The scrape and the log lines, end to end into the run directory.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use common::{Recording, Run};
use shakedown_evidence::{LogSource, Scraper, Source as _, SourceError};
use shakedown_model::{evidence::RawLine, time::UnixNanos};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};

/// Answers every connection with `answer`, and tells when it did.
async fn serve(answer: &'static [u8], tasks: &mut JoinSet<()>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, requests) = mpsc::unbounded_channel();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            // A client that hangs up in the middle is one of the cases.
            let _written = stream.write_all(answer).await;
            drop(stream);
            asked.send(String::from_utf8_lossy(&request[..length]).into_owned()).unwrap();
        }
    });
    (address, requests)
}

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
# TYPE orders_total counter\norders_total{path=\"/orders/{id}\"} 7\npool_open 3\n";

#[tokio::test]
async fn a_service_is_scraped_wherever_it_is_at_the_moment() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let mut servers = JoinSet::new();
    let (first, mut asked_first) = serve(PAGE, &mut servers).await;
    let (second, mut asked_second) = serve(PAGE, &mut servers).await;
    let (moved, address) = watch::channel(first);
    recording.source(Box::new(Scraper::new("orders", address, "/metrics")));
    assert!(asked_first.recv().await.unwrap().starts_with("GET /metrics HTTP/1.1\r\n"));
    moved.send(second).unwrap();
    asked_second.recv().await.unwrap();
    asked_second.recv().await.unwrap();
    let (losses, ended) = recording.end().await;
    assert!(losses.is_empty() && ended[0].is_ok(), "{losses:?} {ended:?}");
    let points = run.read().candidate.metrics;
    let total = points.iter().find(|point| &*point.name == "orders_total").unwrap();
    assert_eq!((&total.service[..], &total.labels[..], total.value), ("orders", r#"path="/orders/{id}""#, 7.0));
    assert!(points.iter().any(|point| &*point.name == "pool_open") && points[0].at > UnixNanos(0));
}

#[tokio::test]
async fn a_page_is_read_in_the_format_that_it_says_and_all_three_are_asked_for() {
    const OPENMETRICS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n\r\n\
# TYPE n counter\nn_total 3 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 1\n# EOF\n";
    // A family called `open` with one gauge of 1.
    const PROTOBUF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
encoding=delimited\r\n\r\n\x13\x0a\x04open\x22\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf0\x3f";
    for (page, name, value) in [(OPENMETRICS, "n_total", 3.0_f64), (PROTOBUF, "open", 1.0), (PAGE, "pool_open", 3.0)] {
        let run = Run::new();
        let mut recording = Recording::of(&run);
        let mut servers = JoinSet::new();
        let (address, mut asked) = serve(page, &mut servers).await;
        let (_moved, address) = watch::channel(address);
        recording.source(Box::new(Scraper::new("orders", address, "/metrics")));
        let request = asked.recv().await.unwrap();
        for format in ["io.prometheus.client.MetricFamily", "application/openmetrics-text", "text/plain"] {
            assert!(request.contains(format), "{request}");
        }
        // The second one is asked when the first was taken.
        asked.recv().await.unwrap();
        let (losses, _) = recording.end().await;
        assert!(losses.is_empty(), "{losses:?}");
        let points = run.read().candidate.metrics;
        assert!(points.iter().any(|point| &*point.name == name && point.value.to_bits() == value.to_bits()), "{name}: {points:?}");
        let file = std::fs::File::open(run.path().join("evidence/metrics.jsonl.zst")).unwrap();
        let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
        assert_eq!(text.contains("0af7651916cd43dd8448eb211c80319c"), name == "n_total", "{text}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_told_once_and_counted_and_stops_nothing() {
    let cases: [(&'static [u8], &str); 4] = [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "404"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>", "a format of Prometheus"),
        (b"\x00\xff garbage", "http"),
        (b"", "http"),
    ];
    let checks = cases.map(|(answer, hint)| async move {
        let run = Run::new();
        let mut recording = Recording::of(&run);
        let mut servers = JoinSet::new();
        let (address, _asked) = serve(answer, &mut servers).await;
        let (_moved, address) = watch::channel(address);
        let (told, mut reasons) = mpsc::unbounded_channel();
        let tell = move |reason: &str| told.send(reason.to_owned()).unwrap();
        recording.source(Box::new(Scraper::new("orders", address, "/metrics").on_failure(tell)));
        let reason = reasons.recv().await.unwrap();
        assert!(reason.contains(hint), "{reason}");
        let (losses, ended) = recording.end().await;
        assert!(losses["scrapes of orders that failed"] >= 3, "{losses:?}");
        assert!(matches!(&ended[0], Err(SourceError::NeverScraped { .. })), "{ended:?}");
        assert!(reasons.recv().await.is_none(), "told once");
    });
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn an_endless_page_and_a_silent_one_are_given_up() {
    static ENDLESS: [u8; (4 << 20) + 200] = {
        let mut page = [b'a'; (4 << 20) + 200];
        let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        let mut index = 0;
        while index < head.len() {
            page[index] = head[index];
            index += 1;
        }
        page
    };
    let mut servers = JoinSet::new();
    let (endless, _asked) = serve(&ENDLESS, &mut servers).await;
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let cases = [(endless, "more than 4194304 bytes"), (silent.local_addr().unwrap(), "did not answer within 1 s")];
    let checks = cases.map(|(address, hint)| async move {
        let run = Run::new();
        let mut recording = Recording::of(&run);
        let (_moved, address) = watch::channel(address);
        let (told, mut reasons) = mpsc::unbounded_channel();
        recording
            .source(Box::new(Scraper::new("orders", address, "/metrics").on_failure(move |reason| told.send(reason.to_owned()).unwrap())));
        let reason = reasons.recv().await.unwrap();
        assert!(reason.contains(hint), "{reason}");
        recording.end().await;
    });
    futures_util::future::join_all(checks).await;
}

fn line(service: &str, at: u64, text: &str) -> RawLine {
    RawLine { at: UnixNanos(at), service: service.to_owned(), line: text.to_owned() }
}

#[tokio::test]
async fn lines_become_log_records_with_what_was_found_in_them() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (lines, receiver) = mpsc::channel(16);
    recording.source(Box::new(LogSource::new(receiver)));
    let json = r#"{"level":"error","trace_id":"0af7651916cd43dd8448eb211c80319c","message":"declined"}"#;
    lines.send(line("payment", 20, json)).await.unwrap();
    lines.send(line("orders", 10, "\u{1b}[33mWARN\u{1b}[0m retrying")).await.unwrap();
    lines.send(line("orders", 30, &"ä".repeat(30_000))).await.unwrap();
    drop(lines);
    let (losses, ended) = recording.finish().await;
    assert!(losses.is_empty() && ended[0].is_ok());
    let logs = run.read().candidate.logs;
    let short: Vec<_> = logs.iter().map(|log| (log.at.0, &log.service[..], log.severity.as_deref(), log.trace_id.is_some())).collect();
    assert_eq!(short, [(10, "orders", Some("WARN"), false), (20, "payment", Some("ERROR"), true), (30, "orders", None, false)]);
    assert_eq!((&logs[0].body[..], &logs[1].body[..], logs[2].body.len()), ("WARN retrying", json, 16 * 1024));
}

#[tokio::test]
async fn lines_that_were_handed_in_before_the_end_are_in_the_evidence() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (lines, receiver) = mpsc::channel(1000);
    let source = LogSource::new(receiver);
    assert_eq!(source.name(), "logs");
    recording.source(Box::new(source));
    for index in 0..1000 {
        lines.send(line("orders", index, "paid")).await.unwrap();
    }
    recording.end().await;
    assert_eq!(run.read().candidate.logs.len(), 1000);
    assert!(lines.send(line("orders", 1, "late")).await.is_err());
}

#[tokio::test]
async fn a_log_storm_of_one_service_is_cut_and_counted_and_the_others_stay_whole() {
    let run = Run::new();
    let mut recording = Recording::of(&run);
    let (lines, receiver) = mpsc::channel(60_000);
    for _ in 0..50_000 {
        lines.try_send(line("loud", 1, "panic")).unwrap();
    }
    lines.try_send(line("quiet", 2, "fine")).unwrap();
    drop(lines);
    recording.source(Box::new(LogSource::new(receiver)));
    let (losses, _) = recording.finish().await;
    let cut = losses["log lines of loud over 5000 a second"];
    let logs = run.read().candidate.logs;
    assert_eq!(logs.iter().filter(|log| &*log.service == "loud").count() as u64 + cut, 50_000);
    assert!(cut > 10_000 && logs.iter().any(|log| &*log.service == "quiet"));
}
