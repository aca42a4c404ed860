//! Documents out of a file or an answer: JSON, a document a line or one over many lines, or protobuf; plain, gzip or zstd.
//!
//! What is torn, damaged or too large is counted and left out; what can be read of the rest is.

use super::outline::Outline;
use crate::{driver::RecordError, losses::Ledger};
use flate2::read::MultiGzDecoder;
use std::{
    borrow::Cow,
    io::{self, BufRead, BufReader, ErrorKind, Read},
};

/// Largest document, unpacked: a line, or a whole file of one.
pub(super) const DOCUMENT: usize = 128 << 20;
/// What is read of one file or answer, unpacked.
const FILE: u64 = 16 << 30;
const BUFFER: usize = 256 << 10;

/// One document.
pub(super) enum Document<'a> {
    /// With what stands at its top.
    Json(&'a [u8], Outline),
    Protobuf(&'a [u8]),
}

/// Takes documents. What is wrong with one of them is its own business; only what the disk refuses ends the reading.
pub(super) trait Take: FnMut(Document<'_>) -> Result<(), RecordError> {}

impl<F: FnMut(Document<'_>) -> Result<(), RecordError>> Take for F {}

/// Why no further document is read.
enum End {
    /// The bytes are torn or damaged.
    Bytes(io::Error),
    Disk(RecordError),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Bytes(error)
    }
}

impl From<RecordError> for End {
    fn from(error: RecordError) -> End {
        End::Disk(error)
    }
}

/// Every document of `bytes`, which may be packed.
pub(super) fn each(bytes: impl Read, ledger: &Ledger, take: &mut impl Take) -> Result<(), RecordError> {
    let ended = match unpacked(bytes) {
        Ok(reader) => Documents { reader: BufReader::with_capacity(BUFFER, reader.take(FILE)), ledger }.each(take),
        Err(error) => Err(End::Bytes(error)),
    };
    match ended {
        Ok(()) => {}
        Err(End::Disk(error)) => return Err(error),
        Err(End::Bytes(error)) if error.kind() == ErrorKind::UnexpectedEof => ledger.add("torn files (what was before the end is read)", 1),
        Err(End::Bytes(_)) => ledger.add("damaged files (what was before the damage is read)", 1),
    }
    Ok(())
}

fn unpacked<'b>(bytes: impl Read + 'b) -> io::Result<Box<dyn Read + 'b>> {
    let mut packed = BufReader::with_capacity(BUFFER, bytes);
    Ok(match packed.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(packed)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
        _ => Box::new(packed),
    })
}

struct Documents<'l, R> {
    reader: R,
    ledger: &'l Ledger,
}

impl<R: BufRead> Documents<'_, R> {
    fn each(&mut self, take: &mut impl Take) -> Result<(), End> {
        if !self.is_json()? {
            return self.protobuf(take);
        }
        let mut line = Vec::new();
        if !self.line(&mut line)? {
            return Ok(());
        }
        if !self.json(&line, take)? {
            return self.whole(line, take);
        }
        while self.line(&mut line)? {
            self.one_line(&line, take)?;
        }
        Ok(())
    }

    fn protobuf(&mut self, take: &mut impl Take) -> Result<(), End> {
        let mut all = Vec::new();
        self.reader.by_ref().take(DOCUMENT as u64 + 1).read_to_end(&mut all)?;
        if all.len() > DOCUMENT {
            self.too_large();
            return Ok(());
        }
        Ok(take(Document::Protobuf(&all))?)
    }

    /// One document over many lines, of which the first was read; where it is none, each line may still be one.
    fn whole(&mut self, mut all: Vec<u8>, take: &mut impl Take) -> Result<(), End> {
        let room = (DOCUMENT + 1).saturating_sub(all.len()) as u64;
        let read = self.reader.by_ref().take(room).read_to_end(&mut all);
        if all.len() > DOCUMENT {
            self.too_large();
            return Ok(());
        }
        if !self.json(&all, take)? {
            for line in all.split(|byte| *byte == b'\n') {
                self.one_line(line, take)?;
            }
        }
        Ok(read.map(drop)?)
    }

    fn one_line(&self, line: &[u8], take: &mut impl Take) -> Result<(), End> {
        if !line.trim_ascii().is_empty() && !self.json(line, take)? {
            self.ledger.add("lines that are no JSON", 1);
        }
        Ok(())
    }

    /// Answers whether it was a document.
    fn json(&self, document: &[u8], take: &mut impl Take) -> Result<bool, End> {
        let text = self.text(document);
        let Some(outline) = Outline::of(&text) else { return Ok(false) };
        take(Document::Json(&text, outline))?;
        Ok(true)
    }

    fn text<'a>(&self, document: &'a [u8]) -> Cow<'a, [u8]> {
        match String::from_utf8_lossy(document) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => {
                self.ledger.add("documents with bytes that are no UTF-8 (replaced)", 1);
                Cow::Owned(text.into_bytes())
            }
        }
    }

    /// The next line; `false`: there is none. One that is too long is skipped.
    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            line.clear();
            if self.reader.by_ref().take(DOCUMENT as u64).read_until(b'\n', line)? == 0 {
                return Ok(false);
            }
            if line.last() == Some(&b'\n') || line.len() < DOCUMENT {
                return Ok(true);
            }
            self.too_large();
            // The rest of the line is no line of its own.
            loop {
                line.clear();
                if self.reader.by_ref().take(1 << 20).read_until(b'\n', line)? == 0 || line.last() == Some(&b'\n') {
                    break;
                }
            }
        }
    }

    fn too_large(&self) {
        self.ledger.add(format!("documents of more than {} MiB", DOCUMENT >> 20), 1);
    }

    /// Whether JSON follows, and then nothing stands before it. A line end may also be the first byte of a protobuf message.
    fn is_json(&mut self) -> io::Result<bool> {
        let buffer = self.reader.fill_buf()?;
        let mark = if buffer.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let blank = mark + buffer[mark..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let is_json = matches!(buffer.get(blank), Some(b'{' | b'[')) || buffer.is_empty();
        self.reader.consume(if is_json { blank } else { 0 });
        Ok(is_json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// The documents, and what was counted.
    fn check(bytes: &[u8], expected: &[&str], losses: &[&str]) {
        let (ledger, mut seen) = (Ledger::default(), Vec::new());
        let mut take = |document: Document<'_>| {
            seen.push(match document {
                Document::Json(json, _) => String::from_utf8_lossy(json).trim().to_owned(),
                Document::Protobuf(bytes) => format!("{} bytes", bytes.len()),
            });
            Ok(())
        };
        each(bytes, &ledger, &mut take).unwrap();
        assert_eq!(seen, expected);
        let counted: Vec<String> = ledger.snapshot().keys().cloned().collect();
        assert_eq!(counted, losses);
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_and_whole_files_packed_or_not_give_the_same_documents() {
        let lines = b"{\"a\":1}\n\n{\"b\":2}";
        for bytes in [lines.to_vec(), gzip(lines), zstd::encode_all(&lines[..], 1).unwrap()] {
            check(&bytes, &["{\"a\":1}", "{\"b\":2}"], &[]);
        }
        check(b"\xef\xbb\xbf \n{\n\"a\": [\n1]\n}\n", &["{\n\"a\": [\n1]\n}"], &[]);
        check(&[0x0a, 0x00], &["2 bytes"], &[]);
        check(b"", &[], &[]);
    }

    #[test]
    fn a_broken_line_is_counted_and_the_others_are_read() {
        check(b"{\"a\":1}\n{\"torn\n{\"b\":2}\n", &["{\"a\":1}", "{\"b\":2}"], &["lines that are no JSON"]);
        check(b"{\"torn\n{\"b\":2}\n", &["{\"b\":2}"], &["lines that are no JSON"]);
        check(b"{\"a\":\"\xff\xfe\"}", &["{\"a\":\"\u{fffd}\u{fffd}\"}"], &["documents with bytes that are no UTF-8 (replaced)"]);
    }

    #[test]
    fn half_a_stream_gives_what_was_before_its_end() {
        let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(50));
        let many: String = (0..20_000).map(|number| line.replace('x', &number.to_string())).collect();
        let packed = gzip(many.as_bytes());
        let (ledger, mut seen) = (Ledger::default(), 0);
        each(&packed[..packed.len() / 2], &ledger, &mut |_: Document<'_>| {
            seen += 1;
            Ok(())
        })
        .unwrap();
        assert!(seen > 100 && seen < 20_000, "{seen}");
        assert_eq!(ledger.snapshot().keys().collect::<Vec<_>>(), ["torn files (what was before the end is read)"]);
        check(b"\x1f\x8bnonsense", &[], &["damaged files (what was before the damage is read)"]);
        check(b"\x28\xb5\x2f\xfdnonsense", &[], &["damaged files (what was before the damage is read)"]);
    }

    #[test]
    fn a_bomb_is_given_up_at_the_limit_and_counted() {
        let bomb = gzip(&[b"[".to_vec(), vec![b' '; DOCUMENT]].concat());
        assert!(bomb.len() < 2 << 20, "{}", bomb.len());
        check(&bomb, &[], &["documents of more than 128 MiB"]);
    }
}
