//! JSON lines out of a plain or a compressed file: bounded, strict in the middle, forgiving at an end that a crash tore off.

use super::ReadError;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

/// Longest line: an export of the largest size that the receiver takes, as JSON.
const LINE: u64 = 512 << 20;
/// Largest file after unpacking.
const FILE: u64 = 32 << 30;

/// How a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Torn {
    Whole,
    Tail,
}

/// What reads one line of JSON and keeps what it needs of it.
pub(super) trait Take: FnMut(&[u8]) -> serde_json::Result<()> {}

impl<F: FnMut(&[u8]) -> serde_json::Result<()>> Take for F {}

/// Lines of a file that is not compressed.
pub(super) fn plain(path: &Path, take: impl Take) -> Result<Torn, ReadError> {
    let file = File::open(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    each(path, BufReader::new(file), take)
}

/// Lines of a file of zstd frames.
pub(super) fn compressed(path: &Path, take: impl Take) -> Result<Torn, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    // No frame at all is no torn frame: nothing of this kind was seen.
    if file.metadata().map_err(failed)?.len() == 0 {
        return Ok(Torn::Whole);
    }
    let decoder = zstd::stream::read::Decoder::new(file).map_err(failed)?;
    each(path, BufReader::with_capacity(256 << 10, decoder), take)
}

fn each(path: &Path, mut reader: impl BufRead, mut take: impl Take) -> Result<Torn, ReadError> {
    let (mut line, mut number, mut total) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        match reader.by_ref().take(LINE).read_until(b'\n', &mut line) {
            Ok(0) => return Ok(Torn::Whole),
            Ok(read) => total += read as u64,
            // A frame that has no end: the run was killed while it was written.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Torn::Tail),
            Err(source) => return Err(ReadError::Damaged { path: path.to_owned(), line: number, source }),
        }
        if line.len() as u64 == LINE || total > FILE {
            return Err(ReadError::TooLarge { path: path.to_owned(), limit: if total > FILE { FILE } else { LINE } });
        }
        number += 1;
        match take(&line) {
            Ok(()) => {}
            Err(_) if !line.ends_with(b"\n") => return Ok(Torn::Tail),
            Err(source) => return Err(ReadError::Line { path: path.to_owned(), line: number, source }),
        }
    }
}
