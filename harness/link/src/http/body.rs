//! Where the body of a message ends (RFC 9112, sections 6 and 7). It must not know what is in it.

/// A chunk's size with its extensions, at most.
const LINE: usize = 1 << 10;
/// Trailers, at most.
const TRAILERS: usize = 64 << 10;

/// What is said by a message can be understood in two ways, or in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is left of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

/// Where in a chunked body one is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the line of a size.
    Size(Vec<u8>),
    /// So many bytes before the end of a chunk.
    Data(u64),
    /// Before these bytes, which end a chunk.
    Close(&'static [u8]),
    Trailers {
        /// All of them so far.
        total: usize,
        /// The current line so far.
        line: usize,
        /// Whether its last byte is a carriage return.
        returned: bool,
    },
    Done,
}

impl Body {
    pub(super) const NONE: Body = Body::Length(0);

    pub(super) fn chunked() -> Body {
        Body::Chunked(Chunk::Size(Vec::new()))
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self, Body::Length(0) | Body::Chunked(Chunk::Done))
    }

    /// How many of `bytes` belong to it.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self {
            Body::Length(left) => Ok(take_up_to(left, bytes)),
            Body::Chunked(chunk) => chunk.take(bytes),
            Body::UntilClose => Ok(bytes.len()),
        }
    }
}

fn take_up_to(left: &mut u64, bytes: &[u8]) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= taken as u64;
    taken
}

impl Chunk {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut taken = 0;
        while taken < bytes.len() && *self != Chunk::Done {
            if let Chunk::Data(left) = self {
                taken += take_up_to(left, &bytes[taken..]);
                if *left == 0 {
                    *self = Chunk::Close(b"\r\n");
                }
            } else {
                self.step(bytes[taken])?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        match self {
            Chunk::Size(line) if line.len() >= LINE => return Err(Malformed),
            Chunk::Size(line) => {
                line.push(byte);
                if byte == b'\n' {
                    *self = sized(line)?;
                }
            }
            Chunk::Close([expected, rest @ ..]) if *expected == byte => {
                *self = if rest.is_empty() { Chunk::Size(Vec::new()) } else { Chunk::Close(rest) };
            }
            Chunk::Trailers { total, .. } if *total >= TRAILERS => return Err(Malformed),
            Chunk::Trailers { line: 1, returned: true, .. } if byte == b'\n' => *self = Chunk::Done,
            // Some take this for the end and some do not.
            Chunk::Trailers { line: 0, .. } if byte == b'\n' => return Err(Malformed),
            Chunk::Trailers { total, line, returned } => {
                *total += 1;
                *line = if byte == b'\n' { 0 } else { *line + 1 };
                *returned = byte == b'\r';
            }
            Chunk::Close(_) | Chunk::Data(_) | Chunk::Done => return Err(Malformed),
        }
        Ok(())
    }
}

fn sized(line: &[u8]) -> Result<Chunk, Malformed> {
    match httparse::parse_chunk_size(line) {
        Ok(httparse::Status::Complete((_, 0))) => Ok(Chunk::Trailers { total: 0, line: 0, returned: false }),
        Ok(httparse::Status::Complete((_, size))) => Ok(Chunk::Data(size)),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"5;a=b\r\nhello\r\n1F\r\n0123456789012345678901234567890\r\n0\r\nChecked: no\r\n\r\n";

    /// How many bytes are the body's where `bytes` arrive `at_once` at a time.
    fn taken(mut body: Body, bytes: &[u8], at_once: usize) -> Result<usize, Malformed> {
        let mut total = 0;
        for piece in bytes.chunks(at_once) {
            total += body.take(piece)?;
            if body.is_done() {
                return Ok(total);
            }
        }
        Err(Malformed)
    }

    #[test]
    fn a_chunked_body_ends_where_it_ends_however_it_is_cut() {
        let with_more = [CHUNKED, b"HTTP/1.1 200 OK"].concat();
        for at_once in 1..=with_more.len() {
            assert_eq!(taken(Body::chunked(), &with_more, at_once), Ok(CHUNKED.len()), "{at_once} at once");
        }
    }

    #[test]
    fn a_length_is_kept_to() {
        for at_once in 1..9 {
            assert_eq!(taken(Body::Length(5), b"hello and more", at_once), Ok(5));
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_malformed() {
        let endless_line = vec![b'1'; LINE + 2];
        let endless_trailers = [b"0\r\n".as_slice(), &b"a: b\r\n".repeat(TRAILERS)].concat();
        for bytes in
            [b"x\r\n".as_slice(), b"1\r\nab\r\n", b"1\r\na\n", b"0\r\n\n", b"fffffffffffffffff\r\n", &endless_line, &endless_trailers]
        {
            assert_eq!(taken(Body::chunked(), bytes, 7), Err(Malformed));
        }
    }
}
