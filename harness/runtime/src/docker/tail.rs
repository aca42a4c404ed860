//! Following what a container writes, from its start on and across kills and starts.

use super::engine::Engine;
use crate::lines::{LineSink, Splitter, now};
use bollard::{container::LogOutput, query_parameters::LogsOptionsBuilder};
use futures_util::StreamExt;
use shakedown_model::time::UnixNanos;
use std::sync::Arc;
use tokio::sync::watch;

/// Runs until it is aborted or the container is gone. `starts` changes with every start of the container.
pub(crate) async fn follow_logs(engine: Arc<Engine>, container: String, service: String, sink: LineSink, mut starts: watch::Receiver<u64>) {
    let mut seen = UnixNanos(0);
    // The first start is a change like any other.
    while starts.changed().await.is_ok() {
        let options =
            LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).timestamps(true).since((seen.0 / 1_000_000_000) as i32);
        let mut frames = engine.docker.logs(&container, Some(options.build()));
        let mut tails = [Tail::default(), Tail::default()];
        let mut last = seen;
        while let Some(Ok(frame)) = frames.next().await {
            let tail = &mut tails[usize::from(matches!(frame, LogOutput::StdErr { .. }))];
            tail.take(frame.as_ref(), |at, line| {
                // `since` counts whole seconds: what was seen before the kill comes again.
                if at > seen {
                    sink.put(&service, at, line);
                }
                last = last.max(at);
            });
        }
        seen = last;
    }
}

/// One of the two streams. The engine cuts long lines into pieces of 16 KiB and puts a time before each.
#[derive(Debug, Default)]
struct Tail {
    splitter: Splitter,
    at: Option<UnixNanos>,
}

impl Tail {
    fn take(&mut self, frame: &[u8], mut each: impl FnMut(UnixNanos, String)) {
        let (at, text) = split_time(frame);
        let at = *self.at.get_or_insert_with(|| at.unwrap_or_else(now));
        let mut ended = false;
        self.splitter.push(text, |line| {
            ended = true;
            each(at, line);
        });
        if ended {
            self.at = None;
        }
    }
}

/// `2026-01-02T03:04:05.678901234Z text`
fn split_time(frame: &[u8]) -> (Option<UnixNanos>, &[u8]) {
    let parsed = frame.iter().take(40).position(|byte| *byte == b' ').and_then(|end| {
        let time: jiff::Timestamp = std::str::from_utf8(&frame[..end]).ok()?.parse().ok()?;
        Some((UnixNanos(u64::try_from(time.as_nanosecond()).ok()?), &frame[end + 1..]))
    });
    parsed.map_or((None, frame), |(at, text)| (Some(at), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_time_is_taken_off_each_piece_and_a_line_in_pieces_is_one_line() {
        let mut tail = Tail::default();
        let mut lines = Vec::new();
        tail.take(b"2023-11-14T22:13:20.000000001Z half ", |at, line| lines.push((at, line)));
        assert!(lines.is_empty());
        tail.take(b"2023-11-14T22:13:20.000000002Z whole\n", |at, line| lines.push((at, line)));
        assert_eq!(lines, [(UnixNanos(1_700_000_000_000_000_001), "half whole".to_owned())]);
        let mut plain = Vec::new();
        tail.take(b"no time here\n", |_, line| plain.push(line));
        assert_eq!(plain, ["no time here"]);
    }
}
