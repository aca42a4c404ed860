//! Importers and decoders on bytes that nobody meant: whatever they are given, they answer, and what they wrote can be read.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod recorded;

use proptest::prelude::*;
use recorded::{Story, fault, gzip, jaeger, loki, otlp, prometheus, tempo, zipkin};
use shakedown_evidence::import::{Asked, Format, Origin, import};
use shakedown_model::time::{UnixNanos, Window};
use std::{fs, sync::LazyLock};

/// A change to a text that was well-formed.
#[derive(Debug, Clone)]
enum Blow {
    Flip { at: usize, to: u8 },
    Cut { from: usize, length: usize },
    Repeat { from: usize, length: usize, times: usize },
    Put { at: usize, what: &'static str },
    End { at: usize },
}

fn blow() -> impl Strategy<Value = Blow> {
    let words = prop::sample::select(vec![
        "null",
        "-1",
        "1e999",
        "\"\"",
        "{}",
        "[]",
        "99999999999999999999",
        "\u{0}",
        "\"traceId\":",
        "{\"data\":",
        "true",
        "\\ud800",
        ",",
        "[[[[[[[[",
    ]);
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, to)| Blow::Flip { at, to }),
        (any::<usize>(), 0..200_usize).prop_map(|(from, length)| Blow::Cut { from, length }),
        (any::<usize>(), 0..200_usize, 1..20_usize).prop_map(|(from, length, times)| Blow::Repeat { from, length, times }),
        (any::<usize>(), words).prop_map(|(at, what)| Blow::Put { at, what }),
        any::<usize>().prop_map(|at| Blow::End { at }),
    ]
}

fn struck(mut bytes: Vec<u8>, blows: &[Blow]) -> Vec<u8> {
    for blow in blows {
        let place = |at: usize| at % (bytes.len() + 1);
        match *blow {
            Blow::Flip { at, to } => {
                let at = place(at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = to;
                }
            }
            Blow::Cut { from, length } => {
                let from = place(from);
                let end = (from + length).min(bytes.len());
                bytes.drain(from..end);
            }
            Blow::Repeat { from, length, times } => {
                let from = place(from);
                let part = bytes[from..(from + length).min(bytes.len())].repeat(times);
                bytes.splice(from..from, part);
            }
            Blow::Put { at, what } => {
                let at = place(at);
                bytes.splice(at..at, what.bytes());
            }
            Blow::End { at } => {
                let at = place(at);
                bytes.truncate(at);
            }
        }
    }
    bytes
}

/// A file of each format.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(files);

fn files() -> Vec<Vec<u8>> {
    let story = Story { requests: 6, ..Story::default() };
    let json = [otlp(&story), jaeger(&story), zipkin(&story), tempo(&story), loki(&Story::default()), prometheus()];
    let mut files: Vec<Vec<u8>> = json.iter().map(|document| document.to_string().into_bytes()).collect();
    files.push(story.otlp_lines().into_bytes());
    files.push(story.protobuf_in_one());
    files.push(story.protobuf().iter().flat_map(|message| [&(message.len() as u32).to_be_bytes()[..], message].concat()).collect());
    files.push(gzip(story.otlp_lines().as_bytes()));
    files.push(zstd::encode_all(story.otlp_lines().as_bytes(), 1).unwrap());
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_abort_an_import_and_what_it_wrote_is_read(blows in prop::collection::vec(prop::collection::vec(blow(), 1..8), 11)) {
        let folder = tempfile::tempdir().unwrap();
        let story = Story { requests: 30, ..Story::default() };
        let source = folder.path().join("source");
        fs::create_dir(&source).unwrap();
        for (number, (file, blows)) in FILES.iter().zip(&blows).enumerate() {
            fs::write(source.join(number.to_string()), struck(file.clone(), blows)).unwrap();
        }
        let good = folder.path().join("good");
        fs::write(&good, story.later(1).otlp_lines()).unwrap();
        let asked = Asked {
            format: Format::Otlp,
            sources: vec![Origin::Path(good), Origin::Path(source)],
            logs: Vec::new(),
            metrics: Vec::new(),
            baseline: Vec::new(),
            fault: Some(Window { start: UnixNanos(fault().start.0 - (15 << 30)), end: UnixNanos(fault().start.0 - (10 << 30)) }),
            baseline_fault: None,
            fault_on: None,
            fault_kind: None,
            tool_version: String::new(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (directory, taken, _) = runtime.block_on(import(folder.path(), "run", &asked)).unwrap();
        let evidence = shakedown_evidence::read(directory.path(), None).unwrap();
        prop_assert_eq!(evidence.candidate.spans.len() as u64, taken.counts.spans);
        prop_assert_eq!(evidence.candidate.requests.len() as u64, taken.counts.requests);
        prop_assert!(taken.counts.requests >= story.requests - 2, "{:?}", taken);
    }
}
