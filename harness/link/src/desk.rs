//! The loop around a session: it waits for a line, for the end of a behaviour's time, or to be asked to end, whichever is first.
//!
//! It never waits for its reader: replies wait in memory until there is room, so that a harness which has stopped reading cannot keep a behaviour on
//! beyond its time. One that lets two mebibytes gather is given up on.

use crate::{
    session::{HINT, Session},
    wire::{Line, MAX_LINE_BYTES},
};
use shakedown_line::{Heard, Lines, malformed, said};
use std::{collections::VecDeque, io, pin::pin, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// Reply bytes that may wait for a reader.
const UNREAD_MAX_BYTES: usize = 2 * MAX_LINE_BYTES;
/// How long the last words wait for a reader.
const FAREWELL: Duration = Duration::from_secs(1);
const PIECE: usize = 16 * 1024;

/// Serves until the input ends, `end` is ready, or nobody reads the output; then clears and closes everything.
pub async fn serve(
    session: &mut Session,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut desk = Desk { input, output, lines: Lines::new(MAX_LINE_BYTES), unread: VecDeque::new() };
    let result = desk.converse(session, end).await;
    for line in session.take_back_all().await {
        desk.say(&line);
    }
    // Nobody who reads is left to be told that nobody reads.
    let _ = timeout(FAREWELL, desk.part()).await;
    result
}

/// The two ends of the pipe.
struct Desk<I, O> {
    input: I,
    output: O,
    lines: Lines,
    unread: VecDeque<u8>,
}

impl<I: AsyncRead + Unpin, O: AsyncWrite + Unpin> Desk<I, O> {
    async fn converse(&mut self, session: &mut Session, end: impl Future<Output = ()>) -> io::Result<()> {
        let mut end = pin!(end);
        let mut buffer = vec![0; PIECE];
        while self.unread.len() <= UNREAD_MAX_BYTES {
            tokio::select! {
                biased;
                () = &mut end => return Ok(()),
                () = session.expiry() => {
                    for event in session.tick() {
                        self.say(&event);
                    }
                }
                written = self.output.write(self.unread.as_slices().0), if !self.unread.is_empty() => match written {
                    Ok(bytes @ 1..) => drop(self.unread.drain(..bytes)),
                    Ok(0) | Err(_) => return Ok(()),
                },
                heard = self.input.read(&mut buffer) => match heard? {
                    0 => {
                        let last = self.lines.end();
                        self.reply(session, last).await;
                        return Ok(());
                    }
                    bytes => {
                        let heard = self.lines.feed(&buffer[..bytes]);
                        self.reply(session, heard).await;
                    }
                },
            }
        }
        Ok(())
    }

    async fn reply(&mut self, session: &mut Session, heard: Vec<Heard>) {
        for line in heard {
            let reply = match line {
                Heard::Line(line) if line.trim_ascii().is_empty() => continue,
                Heard::Line(line) => session.answer(&line).await,
                Heard::TooLong => Line::reply(None, Err(malformed("the line is longer than 1 MiB", HINT))),
            };
            self.say(&reply);
        }
    }

    fn say(&mut self, line: &Line) {
        if let Ok(text) = said(line) {
            self.unread.extend(text);
        }
    }

    /// Writes what is left.
    async fn part(&mut self) -> io::Result<()> {
        self.output.write_all(self.unread.make_contiguous()).await?;
        self.output.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future;

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_lets_too_much_gather_is_given_up_on() {
        let (mut asker, input) = tokio::io::duplex(PIECE);
        let (_unread, output) = tokio::io::duplex(1);
        let ask = async {
            // Until nobody listens any more.
            while asker.write_all(b"{\"id\":1,\"op\":\"beat\"}\n").await.is_ok() {}
        };
        let mut session = Session::default();
        let ((), ended) = tokio::join!(ask, serve(&mut session, input, output, future::pending()));
        ended.expect("giving up is no error");
    }
}
