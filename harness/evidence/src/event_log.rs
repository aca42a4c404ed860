//! `events.jsonl`: one line an event, on disk before the call returns. Knows no event's meaning.

use shakedown_model::event::TimedEvent;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

/// Appends to `events.jsonl`.
#[derive(Debug)]
pub struct EventLog {
    file: File,
}

impl EventLog {
    /// Opens the file, or makes it. A line that a crash left unfinished is taken away: a file whose lines are whole can be read strictly.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let whole = end_of_last_line(&mut file)?;
        file.set_len(whole)?;
        Ok(Self { file })
    }

    /// Writes one event as one line, in one piece.
    pub fn append(&mut self, event: &TimedEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.flush()
    }
}

/// How long the file is up to its last line end.
fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut chunk = vec![0; 4096];
    while end > 0 {
        let start = end.saturating_sub(chunk.len() as u64);
        let part = &mut chunk[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::{event::Event, time::UnixNanos};
    use std::fs;

    fn warning(message: &str) -> TimedEvent {
        TimedEvent { at: UnixNanos(1), event: Event::Warning { message: message.to_owned() } }
    }

    #[test]
    fn an_event_is_on_disk_when_append_returns() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let mut log = EventLog::open(&path).unwrap();
        log.append(&warning("two\nlines")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"at\":1,\"event\":\"warning\",\"message\":\"two\\nlines\"}\n");
    }

    #[test]
    fn what_a_crash_left_of_a_line_is_taken_away_and_the_whole_lines_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        for (before, kept) in [("{\"a\":1}\n{\"b", 8), ("{\"torn", 0), ("", 0), (&format!("{{}}\n{}", "x".repeat(10_000)), 3)] {
            fs::write(&path, before).unwrap();
            EventLog::open(&path).unwrap().append(&warning("next")).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(&before[..kept]) && text[kept..].starts_with("{\"at\""), "{text}");
        }
    }
}
